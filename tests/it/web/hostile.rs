//! Names that somebody else chose, read back by a parser that shares nothing with the encoder.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// One sample: name, labels in order, value as written.
type Sample = (String, Vec<(String, String)>, String);

/// Reads a page strictly by the grammar both formats share for samples without timestamps. Lines end at a line feed and
/// nothing else; label values know three escapes; nothing may be left over.
fn parse(page: &str) -> Result<Vec<Sample>, String> {
    let lines = page.strip_suffix('\n').ok_or("the last line is not ended")?.split('\n');
    lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| sample(line).ok_or_else(|| format!("bad line {line:?}")))
        .collect()
}

fn sample(line: &str) -> Option<Sample> {
    let (name, mut rest) = word(line)?;
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = word(rest)?;
            let mut value = String::new();
            let mut characters = after.strip_prefix("=\"")?.chars();
            loop {
                match characters.next()? {
                    '"' => break,
                    '\\' => value.push(match characters.next()? {
                        'n' => '\n',
                        plain @ ('\\' | '"') => plain,
                        _ => return None,
                    }),
                    plain => value.push(plain),
                }
            }
            labels.push((label.to_owned(), value));
            rest = characters.as_str();
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.strip_prefix(' ')?;
    let number = value.strip_prefix('+').unwrap_or(value);
    (number.parse::<f64>().is_ok() && !value.contains(' ')).then(|| (name.to_owned(), labels, value.to_owned()))
}

fn word(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    (end > 0 && !text.starts_with(|c: char| c.is_ascii_digit())).then(|| text.split_at(end))
}

fn streams(samples: &[Sample]) -> Vec<(String, String, String, String)> {
    samples
        .iter()
        .filter(|(name, _, _)| name == "tencent_live_stream_disconnects_total")
        .map(|(_, labels, value)| {
            let names: Vec<&str> = labels.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["domain", "app", "stream", "reason"]);
            (labels[0].1.clone(), labels[1].1.clone(), labels[2].1.clone(), value.clone())
        })
        .collect()
}

#[test]
fn g1_a_page_of_hostile_names_has_no_line_too_many() {
    for format in Format::ALL {
        let tame = page(snapshot(1, (0..HOSTILE.len()).map(|i| series(&i.to_string(), 1))), format);
        let hostile = page(snapshot(1, HOSTILE.iter().map(|stream| series(stream, 1))), format);
        assert_eq!(hostile.split('\n').count(), tame.split('\n').count());
        let read: Vec<String> =
            streams(&parse(&hostile).unwrap()).into_iter().map(|(_, _, stream, _)| stream).collect();
        assert_eq!(read, HOSTILE);
    }
}

#[test]
fn g7_no_series_is_on_a_page_twice_and_every_sample_has_a_type() {
    for format in Format::ALL {
        let page = page(snapshot(1, HOSTILE.iter().map(|stream| series(stream, 1))), format);
        let types: BTreeMap<&str, &str> =
            page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
        assert_eq!(types.len(), page.lines().filter(|line| line.starts_with("# TYPE ")).count(), "a family twice");
        let mut seen = std::collections::BTreeSet::new();
        for (name, labels, _) in parse(&page).unwrap() {
            let suffixes = ["", "_total", "_bucket", "_sum", "_count"];
            let families = suffixes.iter().filter_map(|suffix| types.get(name.strip_suffix(suffix)?)).count();
            assert_eq!(families, 1, "{name}");
            assert!(seen.insert((name.clone(), labels)), "{name} twice");
        }
    }
}

fn hostile_name() -> impl Strategy<Value = String> {
    // NUL is marked and replaced where labels are made, so it never comes here.
    let character = prop_oneof![
        Just('"'),
        Just('\\'),
        Just('\n'),
        Just('\r'),
        Just('n'),
        Just('}'),
        Just(','),
        Just('\u{2028}'),
        any::<char>().prop_filter("NUL", |c| *c != '\0'),
    ];
    proptest::collection::vec(character, 0..40).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn g1_any_name_is_read_back_as_it_was(
        names in proptest::collection::vec((hostile_name(), hostile_name(), hostile_name(), any::<u64>()), 0..20)
    ) {
        let series = names.iter().map(|(domain, app, stream, shown)| {
            let labels = StreamLabels {
                domain: domain.as_str().into(),
                app: app.as_str().into(),
                stream: stream.as_str().into(),
                reason: Reason::Unmapped,
            };
            (labels, *shown, 0)
        });
        let series: Vec<_> = series.collect();
        let blocks = Arc::new(series.chunks(7).map(|block| Arc::new(StreamBlock::of(block.to_vec()))).collect());
        let expected: Vec<_> =
            names.iter().map(|(d, a, s, n)| (d.clone(), a.clone(), s.clone(), n.to_string())).collect();
        let exposition = exposition(Snapshot { blocks, ..Snapshot::default() }, false);
        for format in Format::ALL {
            let page = String::from_utf8(exposition.disconnects(format).concat()).unwrap();
            prop_assert_eq!(&streams(&parse(&page).map_err(TestCaseError::fail)?), &expected);
        }
    }
}
