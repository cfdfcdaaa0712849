//! JSON text, as bytes that may be anything.
//!
//! Whoever may push chooses stream names, and the API's encoder may pass on what is not text. `serde_json` reads
//! strings as *bytes* with lone surrogates kept in their three-byte form (WTF-8), but it needs the document as a whole
//! to be UTF-8 without bare control characters. [`readable`] makes it so without making names equal that were not:
//! inside strings a control byte becomes its escape, and a byte that is not UTF-8 becomes the lone surrogate `\udcNN`,
//! as Python's `surrogateescape` does. (A name with the invalid byte 0xFF is thus the same as one with a literal
//! `\udcff`, and the byte makes a pair with a lone `\ud83d` before it; no encoder writes both bytes and escapes.)

use std::borrow::Cow;

use serde_json::value::RawValue;

/// The body as text that `serde_json` can read, where it is JSON at all.
pub(super) fn readable(body: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(body) {
        Ok(text) if !body.iter().any(|byte| *byte < 0x20) => Cow::Borrowed(text),
        _ => Cow::Owned(escaped(body)),
    }
}

fn escaped(body: &[u8]) -> String {
    let mut out = String::with_capacity(body.len() + body.len() / 8);
    let mut in_string = false;
    let mut after_backslash = false;
    for chunk in body.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                // After a backslash a control byte is no escape and the parser has to say so.
                '\0'..='\x1f' if in_string && !after_backslash => push_escape(&mut out, c as u16),
                _ => out.push(c),
            }
            in_string ^= c == '"' && !after_backslash;
            after_backslash = in_string && c == '\\' && !after_backslash;
        }
        for byte in chunk.invalid() {
            if after_backslash {
                // Two backslashes in a row would read as one, followed by the letters of our escape.
                out.push(char::REPLACEMENT_CHARACTER);
                after_backslash = false;
            } else {
                push_escape(&mut out, 0xdc00 | u16::from(*byte));
            }
        }
    }
    out
}

/// Digit by digit, since a body may need four million of them.
fn push_escape(out: &mut String, unit: u16) {
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        out.push(char::from(b"0123456789abcdef"[usize::from(unit >> shift & 0xf)]));
    }
}

/// The bytes of a string, or the digits of a number; nothing for any other value.
pub(super) fn bytes(raw: &RawValue) -> Option<Vec<u8>> {
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str::<serde_bytes::ByteBuf>(raw.get()).ok().map(serde_bytes::ByteBuf::into_vec),
        b'-' | b'0'..=b'9' => Some(raw.get().as_bytes().to_vec()),
        _ => None,
    }
}

/// A string or number as text, what is not UTF-8 replaced, cut to `most` bytes; empty for `null` and for no value.
pub(super) fn lossy(raw: Option<&RawValue>, most: usize) -> String {
    let Some(raw) = raw else { return String::new() };
    let bytes = bytes(raw).unwrap_or_else(|| raw.get().as_bytes().to_vec());
    let text = String::from_utf8_lossy(&bytes);
    cut(&text, most).to_owned()
}

/// A number from 0, also when sent as a string.
pub(super) fn count(raw: Option<&RawValue>) -> Option<u64> {
    std::str::from_utf8(&bytes(raw?)?).ok()?.trim().parse().ok()
}

/// The start of `text`, of at most `most` bytes, with everything unprintable escaped: safe for a log line and for a
/// terminal.
#[must_use]
pub fn printable(text: &str, most: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let before = out.len();
        match c {
            ' '..='~' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
        if out.len() > most {
            out.truncate(before);
            break;
        }
    }
    out
}

/// The longest start of `text` of at most `most` bytes that ends between characters.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Appends the bytes of a name as a JSON string, the way they were read: WTF-8 surrogates as `\udXXX`, and any other byte that
/// is not UTF-8 as `\udcNN`.
pub fn push_string(out: &mut String, bytes: &[u8]) {
    out.push('"');
    let mut rest = bytes;
    loop {
        let valid = std::str::from_utf8(rest).unwrap_or_else(|error| {
            std::str::from_utf8(&rest[..error.valid_up_to()]).expect("valid up to there, says the first attempt")
        });
        let quoted = serde_json::to_string(valid).expect("a str is always a JSON string");
        out.push_str(&quoted[1..quoted.len() - 1]);
        rest = &rest[valid.len()..];
        rest = match rest {
            [] => break,
            [0xed, high @ 0xa0..=0xbf, low @ 0x80..=0xbf, after @ ..] => {
                push_escape(out, 0xd000 | u16::from(high & 0x3f) << 6 | u16::from(low & 0x3f));
                after
            }
            [byte, after @ ..] => {
                push_escape(out, 0xdc00 | u16::from(*byte));
                after
            }
        };
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Option<Vec<u8>> {
        let text = readable(body);
        bytes(serde_json::from_str(&text).ok()?)
    }

    #[test]
    fn strings_are_read_whatever_bytes_they_hold() {
        for (body, expected) in [
            (&br#""plain""#[..], Some(&b"plain"[..])),
            ("\"房间\"".as_bytes(), Some("房间".as_bytes())),
            (br#""\u623f\ud83d\ude00""#, Some("房😀".as_bytes())),
            (br#""a\ud800b""#, Some(b"a\xed\xa0\x80b")),
            (br#""a\udfffb""#, Some(b"a\xed\xbf\xbfb")),
            (b"\"a\xffb\"", Some(b"a\xed\xb3\xbfb")),
            (b"\"a\xed\xa0\x80\"", Some(b"a\xed\xb3\xad\xed\xb2\xa0\xed\xb2\x80")),
            (b"\"a\0b\x1f\n\"", Some(b"a\0b\x1f\n")),
            (br#""\u0000\"\\""#, Some(b"\0\"\\")),
            (b"\"\\\"\x01\\\\\"", Some(b"\"\x01\\")),
            (b"\n12\n", Some(b"12")),
            (b"-1.5e3", Some(b"-1.5e3")),
            (b"\"\\\xff\"", None),
            (b"\"\\\x01\"", None),
            (b"[1]", None),
            (b"null", None),
            (b"\xff", None),
        ] {
            assert_eq!(read(body).as_deref(), expected, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn names_that_differ_only_in_an_invalid_byte_stay_two() {
        assert_ne!(read(b"\"a\xff\""), read(b"\"a\xfe\""));
        assert_ne!(read(b"\"a\xff\""), read("\"a\u{fffd}\"".as_bytes()));
    }

    #[test]
    fn what_was_read_is_written_back_so_that_it_reads_the_same() {
        for body in [&b"\"a\xff\xfe\""[..], br#""\ud800x\udc00\udfff""#, "\"房\\n\\\"😀\\u0000\"".as_bytes(), b"\"\""]
        {
            let name = read(body).unwrap();
            let mut out = String::new();
            push_string(&mut out, &name);
            assert_eq!(read(out.as_bytes()), Some(name), "{out}");
        }
        let mut out = String::new();
        push_string(&mut out, b"a\xff\xed\xa0\x80");
        assert_eq!(out, r#""a\udcff\ud800""#);
    }

    proptest::proptest! {
        #[test]
        fn any_name_is_the_same_after_one_round_trip(name in proptest::collection::vec(0_u8.., 0..60)) {
            let round = |name: &[u8]| {
                let mut out = String::new();
                push_string(&mut out, name);
                read(out.as_bytes()).unwrap()
            };
            let once = round(&name);
            proptest::prop_assert_eq!(round(&once), once.clone());
            if std::str::from_utf8(&name).is_ok() {
                proptest::prop_assert_eq!(once, name);
            }
        }
    }

    #[test]
    fn samples_are_short_and_printable() {
        assert_eq!(printable("a\n\u{202e}\u{200b}\u{1b}房", 200), "a\\n\\u{202e}\\u{200b}\\u{1b}房");
        assert_eq!(printable(&"房".repeat(100), 10), "房房房");
        assert_eq!(printable("ab\n", 3), "ab");
    }

    #[test]
    fn counts_are_whole_numbers_from_zero() {
        for (json, expected) in [
            ("7", Some(7)),
            ("\"7\"", Some(7)),
            ("-7", None),
            ("7.0", None),
            ("1e3", None),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("true", None),
            ("null", None),
            ("\"\"", None),
            ("[7]", None),
        ] {
            assert_eq!(count(serde_json::from_str(json).ok()), expected, "{json}");
        }
    }
}
