//! Raw DEFLATE with the fixed codes, bit by bit: RFC 1951 3.2.

use std::ops::Range;

use bytes::Bytes;

/// How far back a copy can be from.
const WINDOW: usize = 32 * 1024;

/// A copy is at least and at most so long.
const SHORTEST: usize = 3;
pub(super) const LONGEST: usize = 258;

/// The heads of a block with fixed codes and of one that is stored as it is, neither the last one.
const FIXED: u32 = 0b010;
const STORED: u32 = 0b000;

/// Code of a copy's length, and the bits behind it: 3.2.5 and 3.2.6, by the length.
const LENGTHS: [Code; LONGEST + 1] = lengths();

/// Code of a literal byte.
const LITERALS: [Code; 256] = literals();

/// Bits to write, the first one lowest.
#[derive(Debug, Clone, Copy)]
struct Code {
    bits: u32,
    count: u32,
}

/// Writes one block.
pub(super) struct Writer {
    out: Vec<u8>,
    /// Bits that do not make a word yet, the first one lowest.
    bits: u64,
    used: u32,
}

impl Writer {
    pub(super) fn new(capacity: usize) -> Self {
        let mut writer = Self { out: Vec::with_capacity(capacity), bits: 0, used: 0 };
        writer.put(FIXED, 3);
        writer
    }

    pub(super) fn literals(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let Code { bits, count } = LITERALS[usize::from(*byte)];
            self.put(bits, count);
        }
    }

    /// What stands at `place` in `text`, which also stands `distance` before it.
    pub(super) fn copy(&mut self, text: &[u8], mut place: Range<usize>, distance: usize) {
        if distance > WINDOW {
            return self.literals(&text[place]);
        }
        while place.len() >= SHORTEST {
            let length = place.len().min(LONGEST);
            self.put_copy(length, distance);
            place.start += length;
        }
        self.literals(&text[place]);
    }

    /// Ends the block, and on a byte: an empty stored block begins on one.
    pub(super) fn finish(mut self) -> Bytes {
        // End of block is seven zeros.
        self.put(0, 7);
        self.put(STORED, 3);
        self.put(0, self.used.wrapping_neg() % 8);
        self.out.extend_from_slice(&self.bits.to_le_bytes()[..self.used as usize / 8]);
        self.out.extend_from_slice(&[0, 0, 0xff, 0xff]);
        Bytes::copy_from_slice(&self.out)
    }

    fn put_copy(&mut self, length: usize, distance: usize) {
        let Code { bits, count } = LENGTHS[length];
        self.put(bits, count);
        let distance = u32::try_from(distance - 1).expect("it is within the window");
        // Each power of two has two codes, from 4 on with as many bits behind as tell the rest.
        let extra = distance.checked_ilog2().unwrap_or(0).saturating_sub(1);
        let code = 2 * extra + (distance >> extra);
        let rest = distance & ((1 << extra) - 1);
        self.put(reversed(code, 5) | rest << 5, 5 + extra);
    }

    #[inline]
    fn put(&mut self, bits: u32, count: u32) {
        self.bits |= u64::from(bits) << self.used;
        self.used += count;
        if self.used >= 32 {
            self.out.extend_from_slice(&self.bits.to_le_bytes()[..4]);
            self.bits >>= 32;
            self.used -= 32;
        }
    }
}

/// Codes are written from their highest bit on.
const fn reversed(code: u32, count: u32) -> u32 {
    code.reverse_bits() >> (32 - count)
}

const fn literals() -> [Code; 256] {
    let mut codes = [Code { bits: 0, count: 0 }; 256];
    let mut byte: u32 = 0;
    while byte < 256 {
        let (code, count) = if byte < 144 { (0x30 + byte, 8) } else { (0x190 + byte - 144, 9) };
        codes[byte as usize] = Code { bits: reversed(code, count), count };
        byte += 1;
    }
    codes
}

const fn lengths() -> [Code; LONGEST + 1] {
    let mut codes = [Code { bits: 0, count: 0 }; LONGEST + 1];
    // Eight lengths have a symbol each, then four symbols share every power of two, with bits behind that tell the rest.
    let mut above: u32 = 0;
    while above < 255 {
        let extra = if above < 8 { 0 } else { above.ilog2() - 2 };
        codes[above as usize + SHORTEST] =
            length(257 + 4 * extra + (above >> extra), above & ((1 << extra) - 1), extra);
        above += 1;
    }
    // The longest has one for itself.
    codes[LONGEST] = length(285, 0, 0);
    codes
}

const fn length(symbol: u32, rest: u32, extra: u32) -> Code {
    let (code, count) = if symbol < 280 { (symbol - 256, 7) } else { (0xc0 + symbol - 280, 8) };
    Code { bits: reversed(code, count) | rest << count, count: count + extra }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn unpacked(piece: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        let whole = [piece, &[0x03, 0x00]].concat();
        flate2::read::DeflateDecoder::new(&whole[..]).read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn every_byte_is_itself() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut writer = Writer::new(0);
        writer.literals(&bytes);
        assert_eq!(unpacked(&writer.finish()), bytes);
    }

    #[test]
    fn every_length_and_every_distance_is_read_as_it_is_meant() {
        let noise: Vec<u8> = (0..WINDOW as u64).map(|n| ((n * n * 2_654_435_761) >> 13).to_le_bytes()[0]).collect();
        for length in (0..600).chain([1000]) {
            let text = [&noise[..2000], &noise[1000..1000 + length]].concat();
            let mut writer = Writer::new(0);
            writer.literals(&text[..2000]);
            writer.copy(&text, 2000..text.len(), 1000);
            assert_eq!(unpacked(&writer.finish()), text, "{length}");
        }
        let text = [&noise[..], &[0; 100]].concat();
        for distance in (1..600).chain((0..=9).flat_map(|n| [(64 << n) - 1, 64 << n, (64 << n) + 1])) {
            if distance > WINDOW {
                continue;
            }
            let mut whole = text[..WINDOW].to_vec();
            whole.extend_from_within(WINDOW - distance..WINDOW - distance + distance.min(50));
            let mut writer = Writer::new(0);
            writer.literals(&noise);
            writer.copy(&whole, WINDOW..whole.len(), distance);
            assert_eq!(unpacked(&writer.finish()), whole, "{distance}");
        }
    }

    #[test]
    fn what_is_too_far_away_is_written_again() {
        let text = [&[b'a'; 20][..], &vec![b'b'; WINDOW], &[b'a'; 20]].concat();
        let mut writer = Writer::new(0);
        writer.literals(&text[..WINDOW + 20]);
        writer.copy(&text, WINDOW + 20..text.len(), WINDOW + 20);
        assert_eq!(unpacked(&writer.finish()), text);
    }
}
