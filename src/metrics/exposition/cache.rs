//! Pages that are made once and shared.
//!
//! The disconnect part of a page changes only with the snapshot, and most blocks of a snapshot are those of the one
//! before. So each kind of page (format and coding) keeps its pieces beside the [`Arc`] they were made from: a new
//! snapshot costs its changed blocks, a second scrape of the same one costs nothing, and scrapes that come together
//! wait for one rendering. Pieces are never joined; they are handed to the socket one by one.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use flate2::Crc;

use super::disconnects::{BlockText, DomainFamily, Style, reasons, streams, streams_header};
use super::gzip::Compressor;
use super::{Coding, Format};
use crate::publication::{DomainSeries, Snapshot, StreamBlock};

/// After so many snapshots without a reader the pieces of a kind of page are dropped.
const FORGET_AFTER: u64 = 60;

/// A part of a page as it goes over the wire, and the checksum of its text where a trailer will need it.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) crc: Crc,
}

/// The disconnect part of one page.
#[derive(Debug)]
pub(super) struct Disconnects {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) parts: Vec<Bytes>,
    /// Over all parts; meaningful for [`Coding::Gzip`].
    pub(super) crc: Crc,
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
    headers: Vec<Piece>,
    blocks: Vec<(Arc<StreamBlock>, BlockPiece)>,
    domains: Vec<(Arc<DomainSeries>, [Piece; DomainFamily::ALL.len()])>,
    page: Option<Arc<Disconnects>>,
}

#[derive(Debug)]
struct BlockPiece {
    piece: Piece,
    /// Where the lines of the piece's text end; empty where the text is not at hand.
    ends: Vec<u32>,
}

impl BlockPiece {
    /// The text this was made from `block` as, if it is still there.
    fn text<'a>(&'a self, block: &'a StreamBlock) -> Option<BlockText<'a>> {
        (!self.ends.is_empty()).then(|| BlockText { block, text: &self.piece.bytes, ends: &self.ends })
    }
}

impl Slot {
    fn new(style: Style, coding: Coding) -> Self {
        let style = Style { created: style.created && style.format.is_openmetrics(), ..style };
        Self { style, coding, headers: Vec::new(), blocks: Vec::new(), domains: Vec::new(), page: None }
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
        self.render(&snapshot);
        let page = Arc::new(self.assemble(snapshot));
        self.page = Some(Arc::clone(&page));
        page
    }

    /// Brings the pieces up to `snapshot`, leaving those alone whose source is the same.
    fn render(&mut self, snapshot: &Snapshot) {
        let style = self.style;
        let mut pen = Pen::new(self.coding);
        if self.headers.is_empty() {
            self.headers.push(pen.piece(|out| streams_header(out, style)));
            self.headers.extend(DomainFamily::ALL.map(|family| pen.piece(|out| family.header(out, style))));
            self.headers.push(pen.piece(|out| reasons(out, style)));
        }
        let keeps_text = self.coding == Coding::Identity;
        renew(&mut self.blocks, &snapshot.blocks, |block, before| {
            let before = before.and_then(|(source, piece)| piece.text(source));
            let mut ends = Vec::new();
            let piece = pen.piece(|out| ends = streams(out, style, block, before.as_ref()));
            BlockPiece { piece, ends: if keeps_text { ends } else { Vec::new() } }
        });
        renew(&mut self.domains, &snapshot.domains, |domain, _| {
            DomainFamily::ALL.map(|family| pen.piece(|out| family.piece(out, style, domain)))
        });
    }

    fn assemble(&self, snapshot: Arc<Snapshot>) -> Disconnects {
        let [stream_header, domain_headers @ .., reasons] = &self.headers[..] else {
            unreachable!("render makes the headers first")
        };
        let mut page = Disconnects {
            snapshot,
            parts: Vec::with_capacity(self.headers.len() + self.blocks.len() + self.domains.len() * 3),
            crc: Crc::new(),
        };
        let mut add = |piece: &Piece| {
            page.crc.combine(&piece.crc);
            page.parts.push(piece.bytes.clone());
        };
        add(stream_header);
        self.blocks.iter().for_each(|(_, block)| add(&block.piece));
        for (family, header) in domain_headers.iter().enumerate() {
            add(header);
            self.domains.iter().for_each(|(_, pieces)| add(&pieces[family]));
        }
        add(reasons);
        page
    }
}

/// Makes `kept` follow `sources`: what stands at the same place and is the same allocation stays; the rest is made,
/// with a look at what stood there before.
fn renew<S, P>(kept: &mut Vec<(Arc<S>, P)>, sources: &[Arc<S>], mut make: impl FnMut(&S, Option<&(Arc<S>, P)>) -> P) {
    kept.truncate(sources.len());
    for (index, source) in sources.iter().enumerate() {
        match kept.get_mut(index) {
            Some((from, _)) if Arc::ptr_eq(from, source) => {}
            Some(stale) => *stale = (Arc::clone(source), make(source, Some(stale))),
            None => kept.push((Arc::clone(source), make(source, None))),
        }
    }
}

/// Writes pieces in one coding, reusing its buffers.
pub(super) struct Pen {
    text: Vec<u8>,
    compressor: Option<Compressor>,
}

impl Pen {
    pub(super) fn new(coding: Coding) -> Self {
        Self { text: Vec::new(), compressor: (coding == Coding::Gzip).then(Compressor::new) }
    }

    pub(super) fn piece(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Piece {
        self.text.clear();
        write(&mut self.text);
        match &mut self.compressor {
            Some(compressor) => compressor.piece(&self.text),
            None => Piece { bytes: Bytes::copy_from_slice(&self.text), crc: Crc::new() },
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
