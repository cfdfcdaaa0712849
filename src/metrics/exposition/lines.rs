//! The smallest pieces of both text formats: headers, label values, numbers.

use super::Format;
use crate::metrics::names::Family;

/// Appends the `# HELP`, `# TYPE` and, in OpenMetrics, `# UNIT` lines of one family.
///
/// OpenMetrics names a counter's family without `_total`, and knows units only as the last word of that name.
pub(super) fn header(out: &mut Vec<u8>, format: Format, name: &str, kind: &str, help: &str) {
    let family = if format.is_openmetrics() { without_total(name, kind) } else { name };
    push(out, &["# HELP ", family, " "]);
    // Text 0.0.4 leaves quotes in help texts alone, OpenMetrics escapes them.
    escape(out, help, |byte| needs_escape(byte) && (byte != b'"' || format.is_openmetrics()));
    push(out, &["\n# TYPE ", family, " ", kind, "\n"]);
    if format.is_openmetrics()
        && let Some(unit) = unit(name, kind)
    {
        push(out, &["# UNIT ", family, " ", unit, "\n"]);
    }
}

/// [`header`] for a family of the table.
pub(super) fn family_header(out: &mut Vec<u8>, format: Format, family: &Family) {
    header(out, format, family.name, family.kind.as_str(), family.help);
}

/// The last word of a family's name, `_total` left out, where that is a unit.
pub(super) fn unit(name: &str, kind: &str) -> Option<&'static str> {
    let has = |unit: &&str| without_total(name, kind).strip_suffix(*unit).is_some_and(|rest| rest.ends_with('_'));
    ["seconds", "bytes"].into_iter().find(has)
}

fn without_total<'a>(name: &'a str, kind: &str) -> &'a str {
    if kind == "counter" { name.strip_suffix("_total").unwrap_or(name) } else { name }
}

/// Appends the texts one after the other.
pub(super) fn push(out: &mut Vec<u8>, texts: &[&str]) {
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Appends a label value: `\`, `"` and line feed are escaped, all else stays as it is, as both formats want it.
#[inline]
pub(super) fn label_value(out: &mut Vec<u8>, value: &str) {
    if is_plain(value.as_bytes()) {
        out.extend_from_slice(value.as_bytes());
    } else {
        escape(out, value, needs_escape);
    }
}

fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'\\' | b'"' | b'\n')
}

/// Whether nothing needs escaping. Names rarely do, so this is most of the work of writing one: sixteen bytes are
/// looked at a time, the last of them together with some that were looked at before.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    fn all_plain<const N: usize>(bytes: &[u8; N]) -> bool {
        // Without an early exit the compiler compares all N at once.
        !bytes.iter().fold(false, |found, byte| found | needs_escape(*byte))
    }
    if let Some(last) = bytes.last_chunk::<16>() {
        bytes.as_chunks::<16>().0.iter().all(all_plain) && all_plain(last)
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        all_plain(first) & all_plain(last)
    } else {
        !bytes.iter().any(|byte| needs_escape(*byte))
    }
}

#[cold]
fn escape(out: &mut Vec<u8>, text: &str, special: impl Fn(u8) -> bool) {
    for byte in text.bytes() {
        if special(byte) {
            out.push(b'\\');
        }
        out.push(if special(byte) && byte == b'\n' { b'n' } else { byte });
    }
}

/// Appends a whole number.
#[inline]
pub(super) fn integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a sample value: whole numbers without a point, infinities and NaN as both formats spell them.
pub(super) fn value(out: &mut Vec<u8>, number: f64) {
    use std::io::Write as _;
    if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        write!(out, "{number}").expect("a Vec takes every write");
    }
}

/// Appends a bucket's bound: OpenMetrics asks for a canonical float (`1.0`), text 0.0.4 is usually written `1`.
pub(super) fn bound(out: &mut Vec<u8>, format: Format, number: f64) {
    use std::io::Write as _;
    if format.is_openmetrics() && number.is_finite() {
        write!(out, "{number:?}").expect("a Vec takes every write");
    } else {
        value(out, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_what_the_formats_name_is_escaped() {
        assert_eq!(written(|out| label_value(out, "a\\b\"c\nd\re\tf房\u{2028}")), "a\\\\b\\\"c\\nd\re\tf房\u{2028}");
    }

    #[test]
    fn a_character_to_escape_is_found_wherever_it_stands() {
        for length in 1..70 {
            for at in 0..length {
                for special in ["\"", "\\", "\n"] {
                    let mut value = "x".repeat(length);
                    value.replace_range(at..=at, special);
                    assert_eq!(written(|out| label_value(out, &value)).len(), length + 1, "{value:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_spelled_as_the_formats_spell_them() {
        let values = [(0.0, "0"), (1.5, "1.5"), (f64::INFINITY, "+Inf"), (f64::NAN, "NaN"), (1e15, "1000000000000000")];
        for (number, text) in values {
            assert_eq!(written(|out| value(out, number)), text);
        }
        assert_eq!(written(|out| integer(out, u64::MAX)), "18446744073709551615");
        assert_eq!(written(|out| bound(out, Format::Text, 1.0)), "1");
        assert_eq!(written(|out| bound(out, Format::OpenMetrics, 1.0)), "1.0");
        assert_eq!(written(|out| bound(out, Format::OpenMetrics, f64::INFINITY)), "+Inf");
    }

    #[test]
    fn openmetrics_names_a_counter_without_total_and_knows_its_unit() {
        let header = |format| written(|out| header(out, format, "process_cpu_seconds_total", "counter", "CPU \"s\"."));
        assert_eq!(
            header(Format::Text),
            "# HELP process_cpu_seconds_total CPU \"s\".\n# TYPE process_cpu_seconds_total counter\n"
        );
        assert_eq!(
            header(Format::OpenMetrics),
            "# HELP process_cpu_seconds CPU \\\"s\\\".\n# TYPE process_cpu_seconds counter\n\
             # UNIT process_cpu_seconds seconds\n"
        );
    }
}
