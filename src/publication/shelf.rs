//! Where series stand: in blocks, and those that change lately side by side.
//!
//! A page is made anew only where blocks changed. Most streams are over and change no more. One that changes and soon
//! changes again is live: it leaves its block for the newest one, and a poll touches few blocks, however many there are.

use std::sync::Arc;

use super::block::{BLOCK_SERIES, StreamBlock, StreamSeries};
use crate::ledger::SeriesId;

/// How far back lately goes at least, counted in changes or in new places. With many series it is a sixteenth of them.
const FEWEST_RECENT: usize = 8 * BLOCK_SERIES;

/// A place in a block: all places of the first block come before all of the second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    fn new(block: usize, at: usize) -> Self {
        Self(u32::try_from(block * BLOCK_SERIES + at).expect("blocks are at least half full, and ids have 32 bits"))
    }

    fn block(self) -> usize {
        self.0 as usize / BLOCK_SERIES
    }

    fn at(self) -> usize {
        self.0 as usize % BLOCK_SERIES
    }
}

#[derive(Debug, Default)]
pub(super) struct Shelf {
    blocks: Arc<Vec<Arc<StreamBlock>>>,
    /// Which series stand, or stood, at each place of each block.
    ids: Vec<Vec<SeriesId>>,
    /// How many series had been added when each block was begun.
    begun: Vec<usize>,
    added: usize,
    len: usize,
    /// The block that is added to.
    newest: Option<usize>,
    /// Blocks without series, to be begun again: places of blocks never change, so that what was made of one is found.
    empty: Vec<usize>,
    /// A block less than half full, for what is left of the next such one.
    gathering: Option<usize>,
}

impl Shelf {
    /// All blocks, some of them empty. Shared: taking them costs nothing.
    pub(super) fn blocks(&self) -> Arc<Vec<Arc<StreamBlock>>> {
        Arc::clone(&self.blocks)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, place: Place) -> StreamSeries<'_> {
        self.blocks[place.block()].get(place.at()).expect("places follow their series")
    }

    /// The series that stand here.
    pub(super) fn series(&self) -> impl Iterator<Item = (SeriesId, StreamSeries<'_>)> {
        self.ids.iter().zip(&*self.blocks).flat_map(|(ids, block)| standing(ids, block))
    }

    pub(super) fn push(&mut self, id: SeriesId, series: StreamSeries<'_>) -> Place {
        let block = match self.newest.filter(|newest| self.ids[*newest].len() < BLOCK_SERIES) {
            Some(newest) => newest,
            None => self.begin(),
        };
        self.added += 1;
        self.len += 1;
        self.put(block, id, series)
    }

    pub(super) fn set(&mut self, place: Place, shown: u64) {
        Arc::make_mut(self.block_mut(place.block())).set(place.at(), shown);
    }

    /// How far back lately goes, in changes or new places.
    pub(super) fn lately(&self) -> usize {
        FEWEST_RECENT.max(self.len / 16)
    }

    /// Whether the block of a place was begun lately.
    pub(super) fn is_recent(&self, place: Place) -> bool {
        self.added - self.begun[place.block()] <= self.lately()
    }

    /// Takes a series off; `moved` is told of each that stands somewhere else now.
    pub(super) fn remove(&mut self, place: Place, moved: impl FnMut(SeriesId, Place)) {
        let block = place.block();
        self.len -= 1;
        let left = Arc::make_mut(self.block_mut(block));
        left.leave(place.at());
        if left.len() * 2 < BLOCK_SERIES && self.newest != Some(block) {
            self.gather(block, moved);
        }
    }

    /// Two blocks less than half full become one.
    fn gather(&mut self, block: usize, mut moved: impl FnMut(SeriesId, Place)) {
        let Some(other) = self.gathering.filter(|other| *other != block) else {
            self.gathering = Some(block);
            return;
        };
        for from in [other, block] {
            let (series, ids) = (std::mem::take(self.block_mut(from)), std::mem::take(&mut self.ids[from]));
            for (id, series) in standing(&ids, &series) {
                moved(id, self.put(other, id, series));
            }
        }
        self.empty.push(block);
        if self.blocks[other].len() * 2 >= BLOCK_SERIES {
            self.gathering = None;
        }
    }

    fn begin(&mut self) -> usize {
        let block = self.empty.pop().unwrap_or_else(|| {
            Arc::make_mut(&mut self.blocks).push(Arc::default());
            self.ids.push(Vec::new());
            self.begun.push(0);
            self.ids.len() - 1
        });
        self.begun[block] = self.added;
        self.newest = Some(block);
        block
    }

    fn put(&mut self, block: usize, id: SeriesId, series: StreamSeries<'_>) -> Place {
        Arc::make_mut(self.block_mut(block)).push(series);
        self.ids[block].push(id);
        Place::new(block, self.ids[block].len() - 1)
    }

    fn block_mut(&mut self, block: usize) -> &mut Arc<StreamBlock> {
        &mut Arc::make_mut(&mut self.blocks)[block]
    }
}

fn standing<'a>(ids: &'a [SeriesId], block: &'a StreamBlock) -> impl Iterator<Item = (SeriesId, StreamSeries<'a>)> {
    ids.iter().enumerate().filter_map(|(at, id)| Some((*id, block.get(at)?)))
}
