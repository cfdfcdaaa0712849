//! The wire encoding of Protocol Buffers, as far as metrics need it: varints, doubles, strings, messages.
//!
//! Source: protobuf.dev, "Encoding". A field is a key, which holds its number and the kind of what follows, and the
//! value; a message is its fields one after the other, and inside another message its length stands before it. So what
//! was written for one family can be kept and put together with other pieces of it.

/// Kinds of value, the low three bits of a key.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const LENGTH_DELIMITED: u8 = 2;

/// Most bytes of a varint.
const VARINT_BYTES: usize = 10;

/// Appends a number, seven bits a byte, the lowest first.
pub(super) fn varint(out: &mut Vec<u8>, number: u64) {
    let (bytes, length) = encoded(number);
    out.extend_from_slice(&bytes[..length]);
}

fn encoded(mut number: u64) -> ([u8; VARINT_BYTES], usize) {
    let mut bytes = [0; VARINT_BYTES];
    let mut last = 0;
    while number >= 0x80 {
        bytes[last] = 0x80 | (number & 0x7f) as u8;
        number >>= 7;
        last += 1;
    }
    bytes[last] = (number & 0x7f) as u8;
    (bytes, last + 1)
}

fn key(out: &mut Vec<u8>, field: u8, kind: u8) {
    debug_assert!(field < 16, "greater field numbers take two bytes");
    out.push(field << 3 | kind);
}

/// Appends a field of an integer or enum type other than `sint`.
pub(super) fn integer(out: &mut Vec<u8>, field: u8, number: u64) {
    key(out, field, VARINT);
    varint(out, number);
}

/// Appends a `double` field.
pub(super) fn double(out: &mut Vec<u8>, field: u8, number: f64) {
    key(out, field, FIXED_64);
    out.extend_from_slice(&number.to_le_bytes());
}

/// Appends a `string` field.
pub(super) fn string(out: &mut Vec<u8>, field: u8, text: &str) {
    key(out, field, LENGTH_DELIMITED);
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a field that is a message of what `write` appends.
pub(super) fn message(out: &mut Vec<u8>, field: u8, write: impl FnOnce(&mut Vec<u8>)) {
    key(out, field, LENGTH_DELIMITED);
    // Nearly all of ours are shorter than 128 bytes: then one byte holds the length, and nothing has to make room for
    // more. Others are moved, which costs less than measuring all of them first.
    let place = out.len();
    out.push(0);
    write(out);
    let (bytes, length) = encoded((out.len() - place - 1) as u64);
    if length == 1 {
        out[place] = bytes[0];
    } else {
        out.splice(place..=place, bytes[..length].iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn numbers_are_those_of_the_encoding_guide() {
        for (number, bytes) in [
            (0, &[0][..]),
            (1, &[1]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (150, &[0x96, 1]),
            (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ] {
            assert_eq!(written(|out| varint(out, number)), bytes);
        }
        assert_eq!(written(|out| string(out, 2, "testing")), b"\x12\x07testing");
        assert_eq!(written(|out| message(out, 3, |out| integer(out, 1, 150))), [0x1a, 3, 8, 0x96, 1]);
        assert_eq!(written(|out| double(out, 1, 1.0)), [9, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    }

    #[test]
    fn a_long_message_has_a_long_length_and_nothing_lost() {
        for size in [0, 127, 128, 16_383, 16_384] {
            let text = "x".repeat(size);
            let out = written(|out| message(out, 1, |out| out.extend_from_slice(text.as_bytes())));
            assert_eq!(out, written(|out| string(out, 1, &text)), "{size}");
        }
    }
}
