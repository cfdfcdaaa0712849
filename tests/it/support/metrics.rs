//! A metrics page, read back.

use std::collections::BTreeMap;

/// Domain, app, stream, reason.
pub(crate) type Stream = (String, String, String, String);

/// The samples of one page.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Reads text format 0.0.4; panics on a line that is none.
    pub(crate) fn parse(page: &str) -> Self {
        let lines = page.split('\n').filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self { samples: lines.map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line:?}"))).collect() }
    }

    /// The sum of the samples of `name` that have `labels`; nothing where there is none.
    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &Sample| {
            labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|found| found == value))
        };
        let found = self.samples.iter().filter(|sample| sample.name == name && has(sample));
        found.map(|sample| sample.value).reduce(|one, other| one + other)
    }

    /// The same as a whole number, 0 where there is none.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of a test are small")]
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let value = self.get(name, labels).unwrap_or(0.0);
        assert!(value >= 0.0 && value.fract() == 0.0, "{name}{labels:?} is no count: {value}");
        value as u64
    }

    /// The stream counter; names that are no text as the simulator shows them, without the mark that tells them apart.
    pub(crate) fn streams(&self) -> BTreeMap<Stream, u64> {
        let mut streams = BTreeMap::new();
        for sample in self.samples.iter().filter(|sample| sample.name == "tencent_live_stream_disconnects_total") {
            let label = |name: &str| unmarked(&sample.labels[name]);
            let stream = (label("domain"), label("app"), label("stream"), label("reason"));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of a test are small")]
            let before = streams.insert(stream, sample.value as u64);
            assert_eq!(before, None, "a series is there twice: {sample:?}");
        }
        streams
    }

    /// The names of the families, histograms without their suffixes.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.samples.iter().any(|sample| {
            sample.name.strip_prefix(name).is_some_and(|suffix| matches!(suffix, "" | "_bucket" | "_sum" | "_count"))
        })
    }
}

fn unmarked(label: &str) -> String {
    let marked = label.contains('\u{fffd}').then(|| label.rsplit_once('~')).flatten();
    marked.map_or(label, |(name, _)| name).to_owned()
}

fn sample(line: &str) -> Option<Sample> {
    let border = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let (name, mut rest) = line.split_at(border);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, quoted) = rest.split_once("=\"")?;
            let (value, after) = quoted_value(quoted)?;
            labels.insert(label.to_owned(), value);
            rest = after;
            let Some(more) = rest.strip_prefix(',') else { break };
            rest = more;
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// A label value up to its closing quote, and what follows.
fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(match characters.next()? {
                'n' => '\n',
                plain => plain,
            }),
            plain => value.push(plain),
        }
    }
}
