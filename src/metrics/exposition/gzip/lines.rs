//! DEFLATE of the stream counter's lines without a search.
//!
//! What a compressor spends its time looking for is known here. A line begins like the last line of the same domain and
//! app, and its labels end like those of the last line of the same reason. So there are two places to compare with, and
//! what is left are some letters of a stream's name and a number. Lines that resemble nothing are merely not compressed.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::super::disconnects::same_text;
use super::bits::{LONGEST, Writer};
use crate::publication::{Kind, StreamBlock};
use crate::reason::Reason;

/// What stands between reason and value.
const BEHIND_REASON: &str = "\"} ";

/// The lines of a block, which end at `ends` and in a value each, as a piece that refers to nothing before itself.
pub(in crate::metrics::exposition) fn lines(text: &[u8], ends: &[u32], block: &StreamBlock) -> Bytes {
    let mut known = Known { last: None, of_names: Vec::new(), of_reason: [None; Reason::COUNT] };
    let mut writer = Writer::new(text.len() / 4);
    let (mut start, mut written) = (0, 0);
    for (at, end) in ends.iter().enumerate() {
        if let Some(series) = block.get(at) {
            let line = Line::new(text, start..*end as usize, series.kind);
            written = known.write(&mut writer, text, &line, written);
            known.add(line);
        }
        start = *end as usize;
    }
    writer.literals(&text[written..]);
    writer.finish()
}

/// Where the parts of a line begin.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    kind: &'a Arc<Kind>,
    start: usize,
    reason: usize,
    number: usize,
}

impl<'a> Line<'a> {
    fn new(text: &[u8], line: Range<usize>, kind: &'a Arc<Kind>) -> Self {
        let blank = text[line.clone()].iter().rposition(|byte| *byte == b' ').expect("a value stands there");
        let number = line.start + blank + 1;
        let reason = number - BEHIND_REASON.len() - kind.reason.as_str().len();
        Self { kind, start: line.start, reason, number }
    }
}

/// The lines so far that the next one is compared with.
struct Known<'a> {
    last: Option<Line<'a>>,
    /// The last of each domain and app.
    of_names: Vec<Line<'a>>,
    of_reason: [Option<Line<'a>>; Reason::COUNT],
}

impl<'a> Known<'a> {
    /// Goes on from what is `written`, which ends somewhere around the beginning of `line`, to its value or beyond.
    fn write(&self, writer: &mut Writer, text: &[u8], line: &Line<'_>, written: usize) -> usize {
        let Some(last) = self.last else { return written };
        let like = self.of_names.iter().find(|known| has_names_of(known, line)).unwrap_or(&last);
        // What begins alike begins with the line feed before, but for the first line.
        let begins = line.start - usize::from(like.start > 0);
        writer.literals(text.get(written..begins).unwrap_or_default());
        let mut at = written.max(begins);
        let distance = line.start - like.start;
        let alike = in_common(text.get(at..line.number).unwrap_or_default(), &text[at - distance..]);
        writer.copy(text, at..at + alike, distance);
        at += alike;
        // The labels end alike; if no line had this reason, what stands before the reason is alike all the same.
        let (like_end, end) = match &self.of_reason[line.kind.reason as usize] {
            Some(like) => (like.number, line.number),
            None => (last.reason, line.reason),
        };
        if at >= end {
            return at;
        }
        let before = in_common_backwards(&text[at..end], &text[..like_end]);
        writer.literals(&text[at..end - before]);
        // Where the value is the same too, it may go on like this far into the next line.
        let behind = in_common(&text[end..text.len().min(end + LONGEST)], &text[like_end..]);
        writer.copy(text, end - before..end + behind, end - like_end);
        end + behind
    }

    fn add(&mut self, line: Line<'a>) {
        match self.of_names.iter_mut().find(|known| has_names_of(known, &line)) {
            Some(known) => *known = line,
            None => self.of_names.push(line),
        }
        self.of_reason[line.kind.reason as usize] = Some(line);
        self.last = Some(line);
    }
}

fn has_names_of(one: &Line<'_>, other: &Line<'_>) -> bool {
    same_text(&one.kind.domain, &other.kind.domain) && same_text(&one.kind.app, &other.kind.app)
}

/// How many bytes both begin with.
fn in_common(one: &[u8], other: &[u8]) -> usize {
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    let start = words.take_while(|(one, other)| one == other).count() * 8;
    start + one[start..].iter().zip(&other[start..]).take_while(|(one, other)| one == other).count()
}

/// How many bytes both end with.
fn in_common_backwards(one: &[u8], other: &[u8]) -> usize {
    let words = one.as_rchunks::<8>().1.iter().rev().zip(other.as_rchunks::<8>().1.iter().rev());
    let end = words.take_while(|(one, other)| one == other).count() * 8;
    let bytes = one[..one.len() - end].iter().rev().zip(other[..other.len() - end].iter().rev());
    end + bytes.take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::super::super::Format;
    use super::super::super::disconnects::{Style, streams};
    use super::*;
    use crate::publication::StreamLabels;
    use crate::reason::TABLE;

    fn unpacked(piece: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        let whole = [piece, &[0x03, 0x00]].concat();
        flate2::read::DeflateDecoder::new(&whole[..]).read_to_end(&mut text).unwrap();
        text
    }

    fn written(block: &StreamBlock) -> (Vec<u8>, Bytes) {
        let mut text = Vec::new();
        let ends = streams(&mut text, Style { format: Format::Text, created: false }, block);
        let piece = lines(&text, &ends, block);
        (text, piece)
    }

    fn labels() -> impl Strategy<Value = (StreamLabels, u64, i64)> {
        let name = prop_oneof![3 => "[a-c]{0,3}", 1 => "[\\PC\"\\\\ \n]{0,20}", 1 => "x{100,140}"];
        let names = (prop::sample::select(vec!["one", "two"]), prop::sample::select(vec!["live", "", "a\\"]), name);
        (names, 0..TABLE.len(), any::<u64>().prop_map(|n| n >> (n % 64))).prop_map(
            |((domain, app, stream), reason, shown)| {
                let reason = TABLE[reason].reason;
                let labels =
                    StreamLabels { domain: domain.into(), app: app.into(), stream: stream.as_str().into(), reason };
                (labels, shown.min(u64::MAX - 1), 0)
            },
        )
    }

    proptest! {
        #[test]
        fn whatever_the_lines_are_they_are_read_back(
            series in prop::collection::vec(labels(), 0..128), left in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let mut block = StreamBlock::of(series);
            for at in left {
                if block.places() > 0 && block.get(at.index(block.places())).is_some() {
                    block.leave(at.index(block.places()));
                }
            }
            let (text, piece) = written(&block);
            prop_assert_eq!(unpacked(&piece), text);
        }
    }

    #[test]
    fn lines_that_resemble_each_other_shrink_to_what_tells_them_apart() {
        let series = (0..128_u32).map(|n| {
            let stream = format!("room-{n:08}-main-hd").into();
            let reason = TABLE[n as usize % 3].reason;
            (
                StreamLabels { domain: "push.example.com".into(), app: "live".into(), stream, reason },
                u64::from(n) * 7,
                0,
            )
        });
        let (text, piece) = written(&StreamBlock::of(series));
        assert!(piece.len() * 10 < text.len(), "{} of {}", piece.len(), text.len());
    }
}
