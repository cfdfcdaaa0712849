//! Raw DEFLATE, bit by bit, with codes that fit lines of metrics: RFC 1951 3.2.
//!
//! A compressor counts the symbols of each block and makes codes of their own for them. Those of a line of metrics are
//! known: digits are frequent, then small letters and copies of some length. So the codes are always the same, and what
//! is written at the head of a block is too.

use std::ops::Range;

use bytes::Bytes;

/// How far back a copy can be from.
const WINDOW: usize = 32 * 1024;

/// A copy is at least and at most so long.
const SHORTEST: usize = 3;
pub(super) const LONGEST: usize = 258;

/// The heads of a block that brings its codes and of one that is stored as it is, neither the last one.
const DYNAMIC: u32 = 0b100;
const STORED: u32 = 0b000;

/// How long the codes are: so many symbols, one after the other, with codes of so many bits. Literal bytes first, then
/// the end of the block, then the lengths of copies.
const SYMBOLS: [(u32, u32); 15] = [
    (32, 11),
    (13, 9),
    // - . /
    (3, 7),
    // 0 to 9
    (10, 5),
    (33, 9),
    (4, 10),
    // _
    (1, 7),
    (1, 10),
    // a to z
    (26, 7),
    (5, 9),
    (128, 10),
    (1, 8),
    (12, 10),
    // 19 to 130 bytes: the beginning of a line, and the end of its labels
    (12, 6),
    (5, 10),
];
const DISTANCES: [(u32, u32); 3] = [(14, 5), (2, 4), (14, 5)];

const SYMBOL_CODES: [Code; 286] = codes(&SYMBOLS);
const DISTANCE_CODES: [Code; 30] = codes(&DISTANCES);

const END: usize = 256;

/// The code of each length with the bits that tell it from its neighbours, 3.2.5.
const LENGTHS: [Code; LONGEST + 1] = lengths();

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
        writer.head();
        writer
    }

    /// 3.2.7: how long the codes are, itself in codes; those are of four bits each for a length of 1 to 15, and for
    /// what repeats the length before.
    fn head(&mut self) {
        const REPEAT: u32 = 16;
        // In an order of their own: repeat, two kinds of zeros, zero, and the rest.
        const HAS_CODE: [bool; 19] = {
            let mut has = [true; 19];
            (has[1], has[2], has[3]) = (false, false, false);
            has
        };
        self.put(DYNAMIC, 3);
        // 257 + 29 symbols, 1 + 29 distances, and 4 + 15 lengths for what follows.
        self.put(29 + (29 << 5) + (15 << 10), 14);
        for has in HAS_CODE {
            self.put(if has { 4 } else { 0 }, 3);
        }
        for (symbols, length) in SYMBOLS.into_iter().chain(DISTANCES) {
            self.put(reversed(length - 1, 4), 4);
            let mut left = symbols - 1;
            while left >= 3 {
                let repeated = left.min(6);
                self.put(reversed(REPEAT - 1, 4) | (repeated - 3) << 4, 6);
                left -= repeated;
            }
            for _ in 0..left {
                self.put(reversed(length - 1, 4), 4);
            }
        }
    }

    pub(super) fn literals(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let Code { bits, count } = SYMBOL_CODES[usize::from(*byte)];
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
        self.put(SYMBOL_CODES[END].bits, SYMBOL_CODES[END].count);
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
        let code = DISTANCE_CODES[(2 * extra + (distance >> extra)) as usize];
        let rest = distance & ((1 << extra) - 1);
        self.put(code.bits | rest << code.count, code.count + extra);
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

/// 3.2.2: codes of one length follow each other, after those that are shorter.
const fn codes<const N: usize>(runs: &[(u32, u32)]) -> [Code; N] {
    let mut codes = [Code { bits: 0, count: 0 }; N];
    let (mut code, mut count) = (0, 1);
    while count <= 15 {
        let (mut symbol, mut run) = (0, 0);
        while run < runs.len() {
            let (symbols, length) = runs[run];
            let end = symbol + symbols as usize;
            while symbol < end {
                if length == count {
                    codes[symbol] = Code { bits: reversed(code, count), count };
                    code += 1;
                }
                symbol += 1;
            }
            run += 1;
        }
        code <<= 1;
        count += 1;
    }
    codes
}

const fn lengths() -> [Code; LONGEST + 1] {
    let mut codes = [Code { bits: 0, count: 0 }; LONGEST + 1];
    // Eight lengths have a symbol each, then four symbols share every power of two, with bits behind that tell the rest.
    let mut above: u32 = 0;
    while above < 255 {
        let extra = if above < 8 { 0 } else { above.ilog2() - 2 };
        let symbol = SYMBOL_CODES[257 + (4 * extra + (above >> extra)) as usize];
        let rest = above & ((1 << extra) - 1);
        codes[above as usize + SHORTEST] =
            Code { bits: symbol.bits | rest << symbol.count, count: symbol.count + extra };
        above += 1;
    }
    // The longest has one for itself.
    codes[LONGEST] = SYMBOL_CODES[285];
    codes
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
    fn the_codes_leave_no_gap() {
        for runs in [&SYMBOLS[..], &DISTANCES] {
            assert_eq!(runs.iter().map(|(symbols, length)| symbols << (15 - length)).sum::<u32>(), 1 << 15);
        }
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
