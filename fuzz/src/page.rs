//! A strict reader of text 0.0.4 and OpenMetrics 1.0.0, as far as this exporter may use them.
//!
//! Sources: prometheus.io, "Text-based format"; the OpenMetrics 1.0.0 specification, "Text format". Stricter than both
//! where they leave a choice: one space between tokens, no comma after the last label, no comment lines, no timestamps
//! or exemplars, every family with help and type, in one piece.

use std::collections::BTreeSet;

/// One line of a family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample {
    /// The metric's name, suffix included.
    pub name: String,
    /// Labels in the order written.
    pub labels: Vec<(String, String)>,
    /// The value as written.
    pub value: String,
}

/// A family that has begun.
struct Family<'a> {
    name: &'a str,
    kind: &'a str,
}

/// The samples of `page`, sorted.
///
/// # Errors
/// The first line that breaks a rule, and which.
pub fn read(page: &[u8], openmetrics: bool) -> Result<Vec<Sample>, String> {
    let text = std::str::from_utf8(page).map_err(|error| error.to_string())?;
    let text = if openmetrics { text.strip_suffix("# EOF\n").ok_or("no # EOF at the end")? } else { text };
    let text = text.strip_suffix('\n').ok_or("the last line is not ended")?;
    let mut lines = text.split('\n').peekable();
    let (mut samples, mut families) = (Vec::new(), BTreeSet::new());
    while let Some(line) = lines.next() {
        let family = (|| {
            let (name, help) = line.strip_prefix("# HELP ")?.split_once(' ')?;
            unescape(help, if openmetrics { "\\n\"" } else { "\\n" }, if openmetrics { "\"" } else { "" })?;
            let kind = lines.next()?.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' ')?;
            (is_name(name) && ["counter", "gauge", "histogram"].contains(&kind)).then_some(Family { name, kind })
        })();
        let family = family.ok_or_else(|| format!("no head of a family: {line:?}"))?;
        if !families.insert(family.name) {
            return Err(format!("{} comes twice", family.name));
        }
        if let Some(unit) = lines.next_if(|line| line.starts_with("# UNIT ")) {
            let unit = unit["# UNIT ".len()..].strip_prefix(family.name).and_then(|rest| rest.strip_prefix(' '));
            let last = unit.is_some_and(|unit| family.name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')));
            if !openmetrics || !last {
                return Err(format!("{}: a unit out of place", family.name));
            }
        }
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let sample = sample(line).ok_or_else(|| format!("bad line {line:?}"))?;
            check(&family, &sample, openmetrics).map_err(|wrong| format!("{wrong} in {line:?}"))?;
            samples.push(sample);
        }
    }
    samples.sort();
    let same = |[one, next]: &&[Sample; 2]| one.name == next.name && one.labels == next.labels;
    if let Some([one, _]) = samples.array_windows().find(same) {
        return Err(format!("twice: {one:?}"));
    }
    Ok(samples)
}

/// Proves that [`read`] is strict, for a reader that takes everything would never find anything.
///
/// # Panics
/// When it takes a page with a mistake, or refuses the same page without.
pub fn refuses_what_is_no_page() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\",y=\"\\\\ \\\" \\n\"} 3\n# HELP b B.\n# TYPE b gauge\nb 0.5\n";
    assert_eq!(read(good.as_bytes(), false).map(|samples| samples.len()), Ok(2));
    for (right, wrong) in [
        ("0.5\n", "0.5"),
        ("0.5\n", "0.5\n\n"),
        ("0.5\n", "0.5 1700000000\n"),
        ("0.5\n", "0.5\nb 0.5\n"),
        ("0.5\n", "half\n"),
        ("0.5\n", "0.5\r\n"),
        ("b 0.5", "c 0.5"),
        ("b 0.5", "b{} 0.5"),
        ("b 0.5", "b{le=\"1\"} 0.5"),
        ("# TYPE b gauge\n", ""),
        ("# HELP b B.\n# TYPE b", "# HELP a_total B.\n# TYPE a_total"),
        ("x=\"1\"", "x=\"1"),
        ("x=\"1\"", "x=\"1\n\""),
        ("x=\"1\"", "x=\"\\t\""),
        ("x=\"1\"", "x=\"\0\""),
        ("x=\"1\"", "y=\"1\""),
        ("x=\"1\"", "1=\"1\""),
        ("\"} 3", "\",} 3"),
        ("\"} 3", "\"}  3"),
        ("\"} 3", "\"} -3"),
    ] {
        let page = good.replacen(right, wrong, 1);
        assert!(page != good && read(page.as_bytes(), false).is_err(), "taken: {page}");
    }
    let openmetrics = good.replace("a_total A.", "a A.").replace("a_total counter", "a counter") + "# EOF\n";
    assert_eq!(read(openmetrics.as_bytes(), true).map(|samples| samples.len()), Ok(2));
    for page in [good.to_owned(), openmetrics.replace("a_total{", "a{"), openmetrics.clone() + "# EOF\n"] {
        assert!(read(page.as_bytes(), true).is_err(), "taken: {page}");
    }
}

/// Whether `sample` may stand in `family`.
fn check(family: &Family<'_>, sample: &Sample, openmetrics: bool) -> Result<(), &'static str> {
    let suffix = sample.name.strip_prefix(family.name).ok_or("a sample of another family")?;
    let suffixes: &[&str] = match family.kind {
        "counter" if openmetrics => &["_total", "_created"],
        "histogram" if openmetrics => &["_bucket", "_sum", "_count", "_created"],
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => &[""],
    };
    let names: BTreeSet<&str> = sample.labels.iter().map(|(name, _)| name.as_str()).collect();
    if !suffixes.contains(&suffix) {
        Err("not a suffix of this type")
    } else if names.len() < sample.labels.len() {
        Err("a label twice")
    } else if names.contains("le") != (suffix == "_bucket") {
        Err("le without a bucket, or a bucket without le")
    } else if family.kind != "gauge" && sample.value.starts_with(['-', 'N']) {
        Err("below zero, or no number")
    } else {
        Ok(())
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (name, mut rest) = line.split_at(line.find(['{', ' '])?);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (name, value) = rest.split_once("=\"")?;
            let end = end_of_value(value)?;
            labels.push((name.to_owned(), unescape(&value[..end], "\\n\"", "\"")?));
            rest = &value[end + 1..];
            if let Some(more) = rest.strip_prefix(',') {
                rest = more;
            } else {
                rest = rest.strip_prefix('}')?;
                break;
            }
        }
    }
    let value = rest.strip_prefix(' ')?;
    let sound = is_name(name) && labels.iter().all(|(name, _)| is_name(name)) && is_number(value);
    sound.then(|| Sample { name: name.to_owned(), labels, value: value.to_owned() })
}

/// Where the quote is that ends a label value.
fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        end
    })
}

/// `text` without its escapes: a backslash before one of `known`, and none of `bare` without one.
fn unescape(text: &str, known: &str, bare: &str) -> Option<String> {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next().filter(|escape| known.contains(*escape))? {
                'n' => out.push('\n'),
                plain => out.push(plain),
            },
            // Prometheus' own reader takes a NUL for the end of the page.
            '\0' => return None,
            _ if bare.contains(c) => return None,
            _ => out.push(c),
        }
    }
    Some(out)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_number(text: &str) -> bool {
    let plain = text.strip_prefix('-').unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = plain.split_once('e').map_or((plain, None), |(mantissa, e)| (mantissa, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(whole, part)| (whole, Some(part)));
    matches!(text, "+Inf" | "-Inf" | "NaN")
        || (digits(whole)
            && fraction.is_none_or(digits)
            && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e))))
}
