//! Where a JSON value ends, for bytes that need not be text.

/// What may come next.
#[derive(Clone, Copy)]
enum Expected {
    /// A value; in a list that has just begun also its end.
    Value { or_end: bool },
    /// A member; in an object that has just begun also its end.
    Member { or_end: bool },
    /// A comma, or the end of the list or object around.
    More,
}

/// Whether `bytes` is one JSON value with white space around it. As the exporter promises to read them, strings may hold
/// any bytes, bare control characters too; everything else is as RFC 8259 has it.
#[must_use]
pub fn is_one_value(bytes: &[u8]) -> bool {
    let mut open = Vec::new();
    let mut state = Some((Expected::Value { or_end: false }, bytes));
    while let Some((expected, rest)) = state {
        if matches!(expected, Expected::More) && open.is_empty() {
            return past_white_space(rest).is_empty();
        }
        state = step(expected, past_white_space(rest), &mut open);
    }
    false
}

/// Reads one token, or one member up to its colon: what comes after it, and where that begins.
fn step<'a>(expected: Expected, rest: &'a [u8], open: &mut Vec<u8>) -> Option<(Expected, &'a [u8])> {
    let (first, after) = rest.split_first()?;
    match (expected, first) {
        (Expected::Value { or_end: true }, b']') | (Expected::Member { or_end: true }, b'}') => {
            open.pop();
            Some((Expected::More, after))
        }
        (Expected::More, b']' | b'}') => {
            let begun_by = if *first == b']' { b'[' } else { b'{' };
            (open.pop() == Some(begun_by)).then_some((Expected::More, after))
        }
        (Expected::More, b',') if open.last() == Some(&b'[') => Some((Expected::Value { or_end: false }, after)),
        (Expected::More, b',') => Some((Expected::Member { or_end: false }, after)),
        (Expected::Value { .. }, b'[') => {
            open.push(b'[');
            Some((Expected::Value { or_end: true }, after))
        }
        (Expected::Value { .. }, b'{') => {
            open.push(b'{');
            Some((Expected::Member { or_end: true }, after))
        }
        (Expected::Value { .. }, _) => Some((Expected::More, scalar(rest)?)),
        (Expected::Member { .. }, b'"') => {
            let value = past_white_space(string(rest)?).strip_prefix(b":")?;
            Some((Expected::Value { or_end: false }, value))
        }
        _ => None,
    }
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
