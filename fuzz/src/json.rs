//! Where a JSON value ends, for bytes that need not be text.

/// What may come next.
#[derive(Clone, Copy)]
enum Expected {
    /// A value; in a list that has just begun also its end.
    Value { or_end: bool },
    /// The name of a member; in an object that has just begun also its end.
    Name { or_end: bool },
    /// A comma, or the end of the list or object around.
    More,
}

/// Whether `bytes` is one JSON value with white space around it. As the exporter promises to read them, strings may hold
/// any bytes, bare control characters too; everything else is as RFC 8259 has it.
#[must_use]
pub fn is_one_value(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut open: Vec<u8> = Vec::new();
    let mut expected = Expected::Value { or_end: false };
    loop {
        rest = past_white_space(rest);
        let Some((first, after)) = rest.split_first() else { return false };
        let after = match (expected, first) {
            (Expected::Value { or_end: true }, b']') | (Expected::Name { or_end: true }, b'}') => {
                close(&mut open, after)
            }
            (Expected::Value { .. }, b'[' | b'{') => {
                open.push(*first);
                let list = *first == b'[';
                expected = if list { Expected::Value { or_end: true } } else { Expected::Name { or_end: true } };
                rest = after;
                continue;
            }
            (Expected::Value { .. }, _) => scalar(rest),
            (Expected::Name { .. }, b'"') => {
                let Some(colon) = string(rest).and_then(|rest| past_white_space(rest).strip_prefix(b":")) else {
                    return false;
                };
                rest = colon;
                expected = Expected::Value { or_end: false };
                continue;
            }
            (Expected::Name { .. }, _) => None,
            (Expected::More, b',') => {
                rest = after;
                let list = open.last() == Some(&b'[');
                expected = if list { Expected::Value { or_end: false } } else { Expected::Name { or_end: false } };
                continue;
            }
            (Expected::More, b']') if open.last() == Some(&b'[') => close(&mut open, after),
            (Expected::More, b'}') if open.last() == Some(&b'{') => close(&mut open, after),
            (Expected::More, _) => None,
        };
        let Some(after) = after else { return false };
        if open.is_empty() {
            return past_white_space(after).is_empty();
        }
        expected = Expected::More;
        rest = after;
    }
}

#[expect(clippy::unnecessary_wraps, reason = "one arm among others that may fail")]
fn close<'a>(open: &mut Vec<u8>, after: &'a [u8]) -> Option<&'a [u8]> {
    open.pop();
    Some(after)
}

fn past_white_space(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| !b" \t\r\n".contains(byte)).unwrap_or(bytes.len());
    &bytes[end..]
}

/// What follows the string, number or word at the start.
fn scalar(bytes: &[u8]) -> Option<&[u8]> {
    match bytes.first()? {
        b'"' => string(bytes),
        b'-' | b'0'..=b'9' => number(bytes),
        _ => [&b"true"[..], b"false", b"null"].iter().find_map(|word| bytes.strip_prefix(*word)),
    }
}

fn string(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'u', a, b, c, d, after @ ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => {
                after
            }
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', after @ ..] => after,
            [b'\\', ..] | [] => return None,
            [_, after @ ..] => after,
        };
    }
}

fn number(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let mut rest = rest.strip_prefix(b"0").map_or_else(|| digits(rest), Some)?;
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = digits(fraction)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        rest = digits(exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent))?;
    }
    Some(rest)
}

/// What follows one digit or more.
fn digits(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    (end > 0).then(|| &bytes[end..])
}
