//! Pages that are made once and shared.
//!
//! The disconnect part of a page changes only with the snapshot, and most blocks of a snapshot are those of the one
//! before. So each kind of page (format and coding) keeps its pieces beside the [`Arc`] they were made from: a new
//! snapshot costs its changed blocks, a second scrape of the same one costs nothing, and scrapes that come together
//! wait for one rendering. The socket is handed the parts of a page where they stand.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};

use super::disconnects::{DomainFamily, Style, follow, head, reasons, streams};
use super::{Coding, Format, gzip, zstd};
use crate::metrics::names::{self, Family};
use crate::publication::{DomainSeries, Snapshot, StreamBlock};

/// After so many snapshots without a reader the pieces of a kind of page are dropped.
const FORGET_AFTER: u64 = 60;

/// So many compressed pieces are one part: they are short, and the system takes 64 parts at a time however short they are.
/// A piece that changes has the others of its part copied, so not many.
const TOGETHER: usize = 4;

/// The lines of a block or of a domain as they go over the wire.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// Bytes before they were compressed, for the length of a message that is made of pieces.
    length: usize,
    /// Of those bytes; meaningful for [`Coding::Gzip`], whose trailer needs it.
    pub(super) sum: gzip::Sum,
}

/// The disconnect part of one page.
#[derive(Debug, Clone, Default)]
pub(super) struct Disconnects {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) families: [FamilyParts; 5],
}

/// One family of a page.
#[derive(Debug, Clone, Default)]
pub(super) struct FamilyParts {
    pub(super) name: &'static str,
    /// Its head and its pieces, one by one or some together; some are empty.
    pub(super) parts: Vec<Bytes>,
    /// Bytes of all its parts.
    pub(super) length: usize,
    /// Over all its parts; meaningful for [`Coding::Gzip`].
    pub(super) sum: gzip::Sum,
}

/// One [`Slot`] per kind of page.
#[derive(Debug)]
pub(super) struct Cache {
    slots: [[Mutex<Slot>; Coding::ALL.len()]; Format::ALL.len()],
}

impl Cache {
    pub(super) fn new(created: bool) -> Self {
        let slot = |format, coding| Mutex::new(Slot::new(Style { format, created }, coding));
        Self { slots: Format::ALL.map(|format| Coding::ALL.map(|coding| slot(format, coding))) }
    }

    /// The disconnect part for the newest of `snapshots`, from the cache as far as possible.
    pub(super) fn page(&self, snapshots: &ArcSwap<Snapshot>, format: Format, coding: Coding) -> Arc<Disconnects> {
        let wanted = &self.slots[format as usize][coding as usize];
        let page = {
            let mut slot = wanted.lock().unwrap_or_else(PoisonError::into_inner);
            // Read under the lock, so that a slot never goes back to an older snapshot.
            slot.page(snapshots.load_full())
        };
        for other in self.slots.iter().flatten().filter(|other| !std::ptr::eq(*other, wanted)) {
            if let Ok(mut other) = other.try_lock() {
                other.forget_if_unread(page.snapshot.generation);
            }
        }
        page
    }
}

/// What is kept of one kind of page.
#[derive(Debug)]
struct Slot {
    style: Style,
    coding: Coding,
    streams: Vec<Made<StreamBlock>>,
    domains: [Vec<Made<DomainSeries>>; DomainFamily::ALL.len()],
    page: Option<Arc<Disconnects>>,
}

/// What a piece was made of, and what the piece does not tell. Its bytes are in the page, and nowhere else, so that they
/// can be changed where they stand once no reader holds them any more.
#[derive(Debug)]
struct Made<S> {
    of: Arc<S>,
    /// Bytes of the piece.
    bytes: usize,
    /// See [`Piece`].
    length: usize,
    sum: gzip::Sum,
    /// Where the lines of a block end; empty where they are compressed.
    ends: Vec<u32>,
}

impl<S> Made<S> {
    fn new(of: Arc<S>, piece: Piece, ends: Vec<u32>) -> (Self, Bytes) {
        let Piece { bytes, length, sum } = piece;
        (Self { of, bytes: bytes.len(), length, sum, ends }, bytes)
    }
}

impl Slot {
    fn new(style: Style, coding: Coding) -> Self {
        let style = Style { created: style.created && style.format.is_openmetrics(), ..style };
        Self { style, coding, streams: Vec::new(), domains: Default::default(), page: None }
    }

    fn forget_if_unread(&mut self, generation: u64) {
        let read = self.page.as_ref().map(|page| page.snapshot.generation);
        if read.is_some_and(|read| generation.saturating_sub(read) > FORGET_AFTER) {
            *self = Self::new(self.style, self.coding);
        }
    }

    fn page(&mut self, snapshot: Arc<Snapshot>) -> Arc<Disconnects> {
        if let Some(page) = &self.page
            && Arc::ptr_eq(&page.snapshot, &snapshot)
        {
            return Arc::clone(page);
        }
        let mut page = self.page.take().map(Arc::unwrap_or_clone).unwrap_or_default();
        self.renew(&mut page, &snapshot);
        page.snapshot = snapshot;
        let page = Arc::new(page);
        self.page = Some(Arc::clone(&page));
        page
    }

    /// Brings the page up to `snapshot`, leaving those pieces alone whose source is the same.
    fn renew(&mut self, page: &mut Disconnects, snapshot: &Snapshot) {
        let (style, coding) = (self.style, self.coding);
        let together = if coding == Coding::Identity { 1 } else { TOGETHER };
        let mut pen = Pen::new(coding);
        let [streams, domains @ .., reasons_info] = &mut page.families;
        streams.renew(&mut self.streams, &snapshot.blocks, together, |block, before| match before {
            Some((made, bytes)) if coding == Coding::Identity && made.of.has_labels_of(block) => {
                following(style, made, bytes, block)
            }
            _ => pen.block(style, block),
        });
        streams.finish(&mut pen, style, &names::STREAM_DISCONNECTS, &self.streams);
        for ((family, parts), made) in DomainFamily::ALL.into_iter().zip(domains).zip(&mut self.domains) {
            parts.renew(made, &snapshot.domains, together, |domain, _| {
                (pen.piece(|out| family.piece(out, style, domain)), Vec::new())
            });
            parts.finish(&mut pen, style, family.family(), made);
        }
        if reasons_info.parts.is_empty() {
            let piece = pen.piece(|out| reasons(out, style));
            let (made, bytes) = Made::new(Arc::new(()), piece, Vec::new());
            reasons_info.parts.extend([Bytes::new(), bytes]);
            reasons_info.finish(&mut pen, style, &names::REASON_INFO, &[made]);
        }
    }
}

impl FamilyParts {
    /// Makes the pieces, so many `together` in a part, follow `sources`: what stands at the same place and is the same
    /// allocation stays; the rest is made, out of what stood there before.
    fn renew<S>(
        &mut self,
        made: &mut Vec<Made<S>>,
        sources: &[Arc<S>],
        together: usize,
        mut make: impl FnMut(&S, Option<(&mut Made<S>, Bytes)>) -> (Piece, Vec<u32>),
    ) {
        // The head stands before them.
        self.parts.resize(sources.len().div_ceil(together) + 1, Bytes::new());
        made.truncate(sources.len());
        for (nth, (part, sources)) in self.parts[1..].iter_mut().zip(sources.chunks(together)).enumerate() {
            let first = nth * together;
            if holds(part, made.get(first..).unwrap_or_default(), sources) {
                continue;
            }
            let mut before = std::mem::take(part);
            let pieces = (first..).zip(sources).map(|(at, source)| {
                let mut old = None;
                if let Some(made) = made.get_mut(at) {
                    let bytes = before.split_to(made.bytes);
                    if Arc::ptr_eq(&made.of, source) {
                        return bytes;
                    }
                    old = Some((made, bytes));
                }
                let (piece, ends) = make(source, old);
                let (new, bytes) = Made::new(Arc::clone(source), piece, ends);
                match made.get_mut(at) {
                    Some(made) => *made = new,
                    None => made.push(new),
                }
                bytes
            });
            *part = joined(pieces.collect());
        }
    }

    /// Puts the head before the pieces, which is made each time since it may tell their length, and adds up.
    fn finish<S>(&mut self, pen: &mut Pen, style: Style, family: &Family, made: &[Made<S>]) {
        let length = made.iter().map(|made| made.length).sum();
        let head = pen.piece(|out| head(out, style, family, length));
        let mut total = gzip::Total::default();
        std::iter::once(&head.sum).chain(made.iter().map(|made| &made.sum)).for_each(|sum| total.append(sum));
        self.parts[0] = head.bytes;
        self.name = family.name;
        self.length = self.parts.iter().map(Bytes::len).sum();
        self.sum = total.sum();
    }
}

/// Whether a part has the pieces of these sources, and nothing else that a longer snapshot has left there.
fn holds<S>(part: &Bytes, made: &[Made<S>], sources: &[Arc<S>]) -> bool {
    let made = &made[..sources.len().min(made.len())];
    made.len() == sources.len()
        && made.iter().zip(sources).all(|(made, source)| Arc::ptr_eq(&made.of, source))
        && made.iter().map(|made| made.bytes).sum::<usize>() == part.len()
}

fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 { pieces.remove(0) } else { pieces.concat().into() }
}

/// The piece of `next`, out of that of a block with the same labels.
fn following(style: Style, made: &mut Made<StreamBlock>, bytes: Bytes, next: &StreamBlock) -> (Piece, Vec<u32>) {
    let mut lines = bytes.try_into_mut().unwrap_or_else(|read| BytesMut::from(&read[..]));
    let mut ends = std::mem::take(&mut made.ends);
    follow(&mut lines, &mut ends, style, &made.of, next);
    (Piece { length: lines.len(), bytes: lines.freeze(), sum: gzip::Sum::default() }, ends)
}

/// Writes pieces in one coding, reusing its buffers.
pub(super) struct Pen {
    text: Vec<u8>,
    compressor: Compressor,
}

enum Compressor {
    None,
    Gzip(Box<gzip::Compressor>),
    Zstd(zstd::Compressor),
}

impl Pen {
    pub(super) fn new(coding: Coding) -> Self {
        let compressor = match coding {
            Coding::Identity => Compressor::None,
            Coding::Gzip => Compressor::Gzip(Box::new(gzip::Compressor::new())),
            Coding::Zstd => Compressor::Zstd(zstd::Compressor::new()),
        };
        Self { text: Vec::new(), compressor }
    }

    pub(super) fn piece(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Piece {
        self.text.clear();
        write(&mut self.text);
        self.coded(gzip::Compressor::piece)
    }

    /// The lines of a block, and where they end if they can be read.
    fn block(&mut self, style: Style, block: &StreamBlock) -> (Piece, Vec<u32>) {
        self.text.clear();
        let ends = streams(&mut self.text, style, block);
        let piece = self.coded(
            |gzip, text| {
                if style.ends_in_number() { gzip::lines(text, &ends, block) } else { gzip.piece(text) }
            },
        );
        let keeps_lines = matches!(self.compressor, Compressor::None);
        (piece, if keeps_lines { ends } else { Vec::new() })
    }

    fn coded(&mut self, gzip: impl FnOnce(&mut gzip::Compressor, &[u8]) -> Bytes) -> Piece {
        let mut sum = gzip::Sum::default();
        let bytes = match &mut self.compressor {
            Compressor::None => Bytes::copy_from_slice(&self.text),
            _ if self.text.is_empty() => Bytes::new(),
            Compressor::Gzip(compressor) => {
                sum = gzip::Sum::of(&self.text);
                gzip(compressor, &self.text)
            }
            Compressor::Zstd(compressor) => compressor.frame(&self.text),
        };
        Piece { bytes, length: self.text.len(), sum }
    }

    /// What stands before the first piece of a page.
    pub(super) fn start(&self) -> Option<Bytes> {
        matches!(self.compressor, Compressor::Gzip(_)).then(|| Bytes::from_static(gzip::HEADER))
    }

    /// What stands behind the last piece of a page whose pieces come to `total`, or which `is_empty`.
    pub(super) fn end(&mut self, total: &gzip::Total, is_empty: bool) -> Option<Bytes> {
        match &mut self.compressor {
            Compressor::None => None,
            Compressor::Gzip(_) => Some(gzip::trailer(total)),
            // Nothing at all is no zstd.
            Compressor::Zstd(compressor) => is_empty.then(|| compressor.frame(&[])),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::publication::StreamLabels;
    use crate::reason::Reason;

    fn block(stream: &str) -> Arc<StreamBlock> {
        let labels =
            StreamLabels { domain: "d".into(), app: "a".into(), stream: stream.into(), reason: Reason::Unmapped };
        Arc::new(StreamBlock::of([(labels, 1, 0)]))
    }

    fn snapshot(generation: u64, blocks: &[Arc<StreamBlock>]) -> Snapshot {
        Snapshot { generation, blocks: Arc::new(blocks.to_vec()), ..Snapshot::default() }
    }

    fn text(page: &Disconnects) -> String {
        let parts = page.families.iter().flat_map(|family| &family.parts);
        parts.map(|part| std::str::from_utf8(part).unwrap()).collect()
    }

    #[test]
    fn a_block_that_did_not_change_is_not_written_again() {
        let cache = Cache::new(false);
        let (one, two, other) = (block("one"), block("two"), block("other"));
        let snapshots = ArcSwap::from_pointee(snapshot(1, &[one.clone(), two]));
        let first = cache.page(&snapshots, Format::Text, Coding::Identity);
        snapshots.store(Arc::new(snapshot(2, &[one, other])));
        let second = cache.page(&snapshots, Format::Text, Coding::Identity);
        assert_eq!(first.families[0].parts[1].as_ptr(), second.families[0].parts[1].as_ptr());
        assert!(text(&first).contains("stream=\"two\"") && text(&second).contains("stream=\"other\""));
        assert!(!text(&second).contains("stream=\"two\""));
    }

    #[test]
    fn lines_that_nobody_reads_are_changed_where_they_stand() {
        let (cache, first) = (Cache::new(false), block("one"));
        let lines = |generation, total| {
            let mut block = StreamBlock::clone(&first);
            block.set(0, total);
            let snapshots = ArcSwap::from_pointee(snapshot(generation, &[Arc::new(block)]));
            cache.page(&snapshots, Format::Text, Coding::Identity)
        };
        let unread = lines(1, 1).families[0].parts[1].as_ptr();
        let read = lines(2, 2);
        assert_eq!(read.families[0].parts[1].as_ptr(), unread);
        let next = lines(3, 3);
        assert_ne!(next.families[0].parts[1].as_ptr(), unread);
        assert!(text(&read).contains("} 2\n") && text(&next).contains("} 3\n"));
    }

    #[test]
    fn one_snapshot_is_rendered_once() {
        let cache = Cache::new(false);
        let snapshots = ArcSwap::from_pointee(snapshot(1, &[block("one")]));
        let first = cache.page(&snapshots, Format::OpenMetrics, Coding::Gzip);
        assert!(Arc::ptr_eq(&first, &cache.page(&snapshots, Format::OpenMetrics, Coding::Gzip)));
    }

    /// What may be different in the next snapshot.
    #[derive(Debug, Clone)]
    enum Change {
        Block(prop::sample::Index),
        More(usize),
        Fewer(usize),
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            any::<prop::sample::Index>().prop_map(Change::Block),
            (1..TOGETHER * 2).prop_map(Change::More),
            (1..TOGETHER * 2).prop_map(Change::Fewer),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_page_that_followed_its_snapshots_is_the_page_made_anew(
            steps in prop::collection::vec(prop::collection::vec(change(), 0..4), 1..8),
        ) {
            let (cache, mut names) = (Cache::new(false), 0..);
            let mut new = || block(&format!("stream {}", names.next().unwrap()));
            let mut blocks: Vec<_> = (0..=TOGETHER).map(|_| new()).collect();
            for (generation, step) in (1..).zip(steps) {
                for change in step {
                    match change {
                        Change::Block(which) if !blocks.is_empty() => *which.get_mut(&mut blocks) = new(),
                        Change::Block(_) => {}
                        Change::More(many) => blocks.extend((0..many).map(|_| new())),
                        Change::Fewer(few) => blocks.truncate(blocks.len().saturating_sub(few)),
                    }
                }
                let snapshots = ArcSwap::from_pointee(snapshot(generation, &blocks));
                for coding in Coding::ALL {
                    let page = |cache: &Cache| -> Vec<u8> {
                        let page = cache.page(&snapshots, Format::Text, coding);
                        let parts: Vec<_> = page.families.iter().flat_map(|family| family.parts.clone()).collect();
                        assert_eq!(parts.concat().len(), page.families.iter().map(|family| family.length).sum::<usize>());
                        parts.concat()
                    };
                    prop_assert_eq!(page(&cache), page(&Cache::new(false)));
                }
            }
        }
    }

    #[test]
    fn compressed_pieces_that_stand_together_are_one_part() {
        let blocks: Vec<_> = (0..=TOGETHER).map(|n| block(&n.to_string())).collect();
        let snapshots = ArcSwap::from_pointee(snapshot(1, &blocks));
        let parts = |coding| Cache::new(false).page(&snapshots, Format::Text, coding).families[0].parts.len();
        // The head is one of them.
        assert_eq!(Coding::ALL.map(parts), [TOGETHER + 2, 3, 3]);
    }

    #[test]
    fn a_shrunken_snapshot_leaves_nothing_behind() {
        let cache = Cache::new(false);
        let snapshots = ArcSwap::from_pointee(snapshot(1, &[block("one"), block("two")]));
        cache.page(&snapshots, Format::Text, Coding::Identity);
        snapshots.store(Arc::new(snapshot(2, &[])));
        assert!(!text(&cache.page(&snapshots, Format::Text, Coding::Identity)).contains("{domain="));
    }

    #[test]
    fn a_kind_of_page_nobody_reads_is_forgotten() {
        let cache = Cache::new(false);
        let snapshots = ArcSwap::from_pointee(snapshot(1, &[block("one")]));
        let unread = Arc::downgrade(&cache.page(&snapshots, Format::Text, Coding::Identity));
        snapshots.store(Arc::new(snapshot(FORGET_AFTER + 1, &[])));
        cache.page(&snapshots, Format::Text, Coding::Gzip);
        assert!(unread.upgrade().is_some());
        snapshots.store(Arc::new(snapshot(FORGET_AFTER + 2, &[])));
        cache.page(&snapshots, Format::Text, Coding::Gzip);
        assert!(unread.upgrade().is_none());
    }
}
