//! Pages that are made once and shared.
//!
//! The disconnect part of a page changes only with the snapshot, and most blocks of a snapshot are those of the one
//! before. So each kind of page (format and coding) keeps its pieces beside the [`Arc`] they were made from: a new
//! snapshot costs its changed blocks, a second scrape of the same one costs nothing, and scrapes that come together
//! wait for one rendering. Pieces are never joined; they are handed to the socket one by one.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};

use super::disconnects::{DomainFamily, Style, follow, head, reasons, streams};
use super::{Coding, Format, gzip, zstd};
use crate::metrics::names::{self, Family};
use crate::publication::{DomainSeries, Snapshot, StreamBlock};

/// After so many snapshots without a reader the pieces of a kind of page are dropped.
const FORGET_AFTER: u64 = 60;

/// A part of a page as it goes over the wire.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// Bytes before they were compressed, for the length of a message that is made of pieces.
    length: usize,
    /// Of those bytes; meaningful for [`Coding::Gzip`], whose trailer needs it.
    pub(super) sum: gzip::Sum,
}

/// The disconnect part of one page.
#[derive(Debug)]
pub(super) struct Disconnects {
    pub(super) snapshot: Arc<Snapshot>,
    /// None is empty.
    pub(super) parts: Vec<Bytes>,
    pub(super) families: Vec<FamilyParts>,
}

/// One family of a page.
#[derive(Debug)]
pub(super) struct FamilyParts {
    pub(super) name: &'static str,
    /// Where it stands in [`Disconnects::parts`].
    pub(super) parts: Range<usize>,
    /// Bytes of all its parts.
    pub(super) length: u64,
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
    reasons: Option<Piece>,
    blocks: Vec<(Arc<StreamBlock>, BlockPiece)>,
    domains: Vec<(Arc<DomainSeries>, [Piece; DomainFamily::ALL.len()])>,
    page: Option<Arc<Disconnects>>,
}

#[derive(Debug, Default)]
struct BlockPiece {
    piece: Piece,
    /// Where the lines of the piece end; empty where it is compressed.
    ends: Vec<u32>,
}

impl BlockPiece {
    /// The piece of `next`, out of this one, which is `block`'s.
    fn following(self, style: Style, block: &StreamBlock, next: &StreamBlock) -> Self {
        let Self { piece: Piece { bytes, sum, .. }, mut ends } = self;
        let mut lines = bytes.try_into_mut().unwrap_or_else(|read| BytesMut::from(&read[..]));
        follow(&mut lines, &mut ends, style, block, next);
        Self { piece: Piece { length: lines.len(), bytes: lines.freeze(), sum }, ends }
    }
}

impl Slot {
    fn new(style: Style, coding: Coding) -> Self {
        let style = Style { created: style.created && style.format.is_openmetrics(), ..style };
        Self { style, coding, reasons: None, blocks: Vec::new(), domains: Vec::new(), page: None }
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
        // What no reader holds any more can be changed where it stands.
        self.page = None;
        let mut pen = Pen::new(self.coding);
        self.render(&snapshot, &mut pen);
        let page = Arc::new(self.assemble(snapshot, &mut pen));
        self.page = Some(Arc::clone(&page));
        page
    }

    /// Brings the pieces up to `snapshot`, leaving those alone whose source is the same.
    fn render(&mut self, snapshot: &Snapshot, pen: &mut Pen) {
        let (style, coding) = (self.style, self.coding);
        self.reasons.get_or_insert_with(|| pen.piece(|out| reasons(out, style)));
        renew(&mut self.blocks, &snapshot.blocks, |block, before| match before {
            Some((known, piece)) if coding == Coding::Identity && known.has_labels_of(block) => {
                piece.following(style, known, block)
            }
            _ => pen.block(style, block),
        });
        renew(&mut self.domains, &snapshot.domains, |domain, _| {
            DomainFamily::ALL.map(|family| pen.piece(|out| family.piece(out, style, domain)))
        });
    }

    fn assemble(&self, snapshot: Arc<Snapshot>, pen: &mut Pen) -> Disconnects {
        let parts = Vec::with_capacity(self.blocks.len() + self.domains.len() * 3 + 8);
        let mut page = Disconnects { snapshot, parts, families: Vec::with_capacity(5) };
        let streams = self.blocks.iter().map(|(_, block)| &block.piece);
        page.add(pen, self.style, &names::STREAM_DISCONNECTS, streams);
        for (index, family) in DomainFamily::ALL.into_iter().enumerate() {
            page.add(pen, self.style, family.family(), self.domains.iter().map(|(_, pieces)| &pieces[index]));
        }
        page.add(pen, self.style, &names::REASON_INFO, self.reasons.iter());
        page
    }
}

impl Disconnects {
    /// Appends one family: its head, which is made each time since it may tell the length, and its pieces.
    fn add<'a>(
        &mut self,
        pen: &mut Pen,
        style: Style,
        family: &Family,
        pieces: impl Iterator<Item = &'a Piece> + Clone,
    ) {
        let length = pieces.clone().map(|piece| piece.length).sum();
        let head = pen.piece(|out| head(out, style, family, length));
        let mut made =
            FamilyParts { name: family.name, parts: self.parts.len()..0, length: 0, sum: gzip::Sum::default() };
        let mut total = gzip::Total::default();
        let mut add = |piece: &Piece| {
            if !piece.bytes.is_empty() {
                total.append(&piece.sum);
                made.length += piece.bytes.len() as u64;
                self.parts.push(piece.bytes.clone());
            }
        };
        add(&head);
        pieces.for_each(add);
        (made.parts.end, made.sum) = (self.parts.len(), total.sum());
        self.families.push(made);
    }
}

/// Makes `kept` follow `sources`: what stands at the same place and is the same allocation stays; the rest is made, out
/// of what stood there before.
fn renew<S, P: Default>(
    kept: &mut Vec<(Arc<S>, P)>,
    sources: &[Arc<S>],
    mut make: impl FnMut(&S, Option<(&S, P)>) -> P,
) {
    kept.truncate(sources.len());
    for (index, source) in sources.iter().enumerate() {
        match kept.get_mut(index) {
            Some((from, _)) if Arc::ptr_eq(from, source) => {}
            Some((from, made)) => {
                *made = make(source, Some((from, std::mem::take(made))));
                *from = Arc::clone(source);
            }
            None => kept.push((Arc::clone(source), make(source, None))),
        }
    }
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

    fn block(&mut self, style: Style, block: &StreamBlock) -> BlockPiece {
        self.text.clear();
        let ends = streams(&mut self.text, style, block);
        let piece = self.coded(
            |gzip, text| {
                if style.ends_in_number() { gzip::lines(text, &ends, block) } else { gzip.piece(text) }
            },
        );
        let keeps_lines = matches!(self.compressor, Compressor::None);
        BlockPiece { piece, ends: if keeps_lines { ends } else { Vec::new() } }
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
        String::from_utf8(page.parts.concat()).unwrap()
    }

    #[test]
    fn a_block_that_did_not_change_is_not_written_again() {
        let cache = Cache::new(false);
        let (one, two, other) = (block("one"), block("two"), block("other"));
        let snapshots = ArcSwap::from_pointee(snapshot(1, &[one.clone(), two]));
        let first = cache.page(&snapshots, Format::Text, Coding::Identity);
        snapshots.store(Arc::new(snapshot(2, &[one, other])));
        let second = cache.page(&snapshots, Format::Text, Coding::Identity);
        assert_eq!(first.parts[1].as_ptr(), second.parts[1].as_ptr());
        assert!(text(&first).contains("stream=\"two\"") && text(&second).contains("stream=\"other\""));
        assert!(!text(&second).contains("stream=\"two\""));
    }

    #[test]
    fn one_snapshot_is_rendered_once() {
        let cache = Cache::new(false);
        let snapshots = ArcSwap::from_pointee(snapshot(1, &[block("one")]));
        let first = cache.page(&snapshots, Format::OpenMetrics, Coding::Gzip);
        assert!(Arc::ptr_eq(&first, &cache.page(&snapshots, Format::OpenMetrics, Coding::Gzip)));
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
