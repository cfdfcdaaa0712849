//! One gzip member made of pieces that can be kept and reused.
//!
//! Several gzip members one after the other are a valid file, but curl stops after the first, so a page is one
//! member: a header, the pieces, an empty last block, and the trailer. Each piece is raw DEFLATE that ends with a full
//! flush: it ends on a byte and refers to nothing before itself, so pieces can be put together in any order. The
//! trailer's CRC-32 is combined from the pieces'. RFC 1951, RFC 1952.
//!
//! Nearly all of a page are lines of the stream counter, which `lines` compresses without a search; the rest is zlib's.

mod bits;
mod lines;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use zlib_rs::crc32::{crc32, crc32_combine_gen, crc32_combine_op};

pub(super) use self::lines::lines;

/// RFC 1952 2.3: magic, DEFLATE, no flags, no time, fastest algorithm, unknown system.
pub(super) const HEADER: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];

/// RFC 1951 3.2.6: a final block with fixed codes and nothing in it.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// Compresses one piece after the other.
pub(super) struct Compressor {
    deflate: Compress,
    scratch: Vec<u8>,
}

impl Compressor {
    pub(super) fn new() -> Self {
        // The fastest level: a page of metrics shrinks some tenfold at it already, and a scraper is waiting.
        Self { deflate: Compress::new(Compression::fast(), false), scratch: Vec::new() }
    }

    /// `text` as a piece of its own.
    pub(super) fn piece(&mut self, text: &[u8]) -> Bytes {
        self.scratch.clear();
        let start = self.deflate.total_in();
        loop {
            let consumed = usize::try_from(self.deflate.total_in() - start).expect("no more than the text was read");
            // More than needed as a rule; the flush is complete once output space is left over.
            self.scratch.reserve((text.len() - consumed) / 4 + 1024);
            let status = self
                .deflate
                .compress_vec(&text[consumed..], &mut self.scratch, FlushCompress::Full)
                .expect("deflate fails on wrong call order only");
            let all_read = self.deflate.total_in() - start == text.len() as u64;
            let space_left = self.scratch.len() < self.scratch.capacity();
            if all_read && (space_left || status == Status::BufError) {
                break;
            }
        }
        Bytes::copy_from_slice(&self.scratch)
    }
}

/// The checksum of a piece of text, ready to be appended to that of the text before it.
#[derive(Debug, Clone, Default)]
pub(super) struct Sum {
    crc: u32,
    length: u64,
    /// What so many bytes make of the checksum before them: nearly all the work of appending, done once for a piece that
    /// is on many pages.
    operator: u32,
}

impl Sum {
    pub(super) fn of(text: &[u8]) -> Self {
        Total { crc: crc32(0, text), length: text.len() as u64 }.sum()
    }
}

/// The checksum of pieces, one after the other.
#[derive(Debug, Default)]
pub(super) struct Total {
    crc: u32,
    length: u64,
}

impl Total {
    pub(super) fn append(&mut self, next: &Sum) {
        if next.length > 0 {
            self.crc = crc32_combine_op(self.crc, next.crc, next.operator);
            self.length += next.length;
        }
    }

    /// As a piece of something longer.
    pub(super) fn sum(&self) -> Sum {
        Sum { crc: self.crc, length: self.length, operator: crc32_combine_gen(self.length) }
    }
}

/// What ends the member whose pieces come to `total`.
pub(super) fn trailer(total: &Total) -> Bytes {
    let mut out = LAST_BLOCK.to_vec();
    out.extend_from_slice(&total.crc.to_le_bytes());
    // RFC 1952: the length modulo 2^32.
    out.extend_from_slice(&total.length.to_le_bytes()[..4]);
    out.into()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn unpacked(pieces: &[(&str, &Bytes)]) -> String {
        let (first, second) = pieces.split_at(pieces.len() / 2);
        let mut file = HEADER.to_vec();
        // As a page has them: sums of families of pieces.
        let mut all = Total::default();
        for half in [first, second] {
            let mut family = Total::default();
            for (text, piece) in half {
                file.extend_from_slice(piece);
                family.append(&Sum::of(text.as_bytes()));
            }
            all.append(&family.sum());
        }
        file.extend_from_slice(&trailer(&all));
        let mut text = String::new();
        // Of a single member: a second one would stay unread.
        let mut decoder = flate2::read::GzDecoder::new(&file[..]);
        decoder.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn pieces_are_one_member_in_any_order_and_any_size() {
        let mut compressor = Compressor::new();
        let noise: String = (0..40_000_u64).map(|i| char::from(b'a' + (i * i % 25) as u8)).collect();
        let texts = ["", "a", "tencent_live_up 1\n", &"repeated ".repeat(50_000), &noise];
        let pieces: Vec<Bytes> = texts.iter().map(|text| compressor.piece(text.as_bytes())).collect();
        for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 2, 4, 0, 2]] {
            let expected: String = order.iter().map(|i| texts[*i]).collect();
            assert_eq!(unpacked(&order.map(|i| (texts[i], &pieces[i]))), expected);
        }
    }
}
