//! All series of the stream counter: what is counted of each, under which labels, and what it shows.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use super::block::{Kind, StreamBlock, StreamSeries, seconds};
use super::shelf::{Place, Shelf};
use crate::clock::UnixSeconds;
use crate::ledger::{SeriesAdd, SeriesBooks, SeriesId, StreamLabels};
use crate::planted::{Bug, planted};
use crate::reason::Reason;

/// A series as counted. Its labels are in the block where it stands.
#[derive(Debug)]
struct Series {
    total: u64,
    baseline: u64,
    /// When something of it was counted or released last.
    active_at: u32,
    /// How many changes of any series there had been when this one changed last, wrapping; 0 before it did.
    changed_at: u32,
    place: Place,
    /// Whether it stands where readers see it.
    visible: bool,
    /// Whether it is hidden for no other reason than that it is idle.
    idle: bool,
    held: bool,
}

/// What readers see at its baseline: how many series, and how many disconnects of them are counted and not shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) series: u64,
    pub(super) disconnects: u64,
}

impl Waiting {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self { series: self.series + other.series, disconnects: self.disconnects + other.disconnects }
    }
}

#[derive(Debug, Default)]
pub(super) struct Streams {
    series: Vec<Series>,
    /// What those show that are held after they had been idle.
    returned_at: HashMap<SeriesId, u64>,
    /// Who chooses the names must not choose where they meet: the hash has a key of this process.
    by_labels: HashTable<SeriesId>,
    hasher: RandomState,
    kinds: HashSet<Arc<Kind>>,
    visible: Shelf,
    hidden: Shelf,
    idle: usize,
    waiting: Waiting,
    /// How many changes there have been, wrapping.
    changes: u32,
}

impl Streams {
    /// None yet, with room for so many: to make room bit by bit is most of the work of adding a million.
    pub(super) fn with_capacity(series: usize) -> Self {
        Self { series: Vec::with_capacity(series), by_labels: HashTable::with_capacity(series), ..Self::default() }
    }

    /// Series of all kinds, seen or not.
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// What readers see.
    pub(super) fn blocks(&self) -> Arc<Vec<Arc<StreamBlock>>> {
        self.visible.blocks()
    }

    /// Series that readers see.
    pub(super) fn visible(&self) -> usize {
        self.visible.len()
    }

    /// Series that readers do not see because they are idle.
    pub(super) fn idle(&self) -> usize {
        self.idle
    }

    pub(super) fn find(&self, domain: &str, app: &str, stream: &str, reason: Reason) -> Option<SeriesId> {
        let hash = self.hasher.hash_one((domain, app, stream, reason));
        let is_it = |id: &SeriesId| {
            let series = self.get(*id);
            let kind = &**series.kind;
            kind.reason == reason && series.stream == stream && *kind.domain == *domain && *kind.app == *app
        };
        self.by_labels.find(hash, is_it).copied()
    }

    /// A series as its block has it.
    pub(super) fn get(&self, id: SeriesId) -> StreamSeries<'_> {
        let series = &self.series[id as usize];
        if series.visible { self.visible.get(series.place) } else { self.hidden.get(series.place) }
    }

    pub(super) fn is_visible(&self, id: SeriesId) -> bool {
        self.series[id as usize].visible
    }

    /// Whether it has left the page, to be held when it comes back. New ones have not.
    pub(super) fn is_idle(&self, id: SeriesId) -> bool {
        self.series.get(id as usize).is_some_and(|series| series.idle)
    }

    /// All that waits at a baseline where readers see it.
    pub(super) fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// What a series adds to [`Streams::waiting`].
    pub(super) fn waiting_of(&self, id: SeriesId) -> Waiting {
        let series = &self.series[id as usize];
        if series.visible && series.held {
            Waiting { series: 1, disconnects: series.total - self.held_at(id) }
        } else {
            Waiting::default()
        }
    }

    /// Changes a series, and what waits with it.
    fn change(&mut self, id: SeriesId, change: impl FnOnce(&mut Self)) {
        let before = self.waiting_of(id);
        change(self);
        let after = self.waiting_of(id);
        self.waiting.series = self.waiting.series + after.series - before.series;
        self.waiting.disconnects = self.waiting.disconnects + after.disconnects - before.disconnects;
    }

    /// All of them, in order of first appearance.
    pub(super) fn books(&self) -> impl Iterator<Item = SeriesBooks> {
        self.series.iter().zip(0..).map(|(series, id)| {
            let stands = self.get(id);
            let Series { total, baseline, held, active_at, .. } = *series;
            SeriesBooks {
                labels: stands.labels(),
                created: stands.created,
                total,
                baseline,
                held,
                returned_at: self.returned_at.get(&id).copied(),
                active_at: active_at.into(),
            }
        })
    }

    /// Adds the next series.
    pub(super) fn add(&mut self, books: &SeriesBooks, visible: bool) {
        let SeriesBooks { labels, created, total, baseline, held, returned_at, active_at } = books;
        let id = SeriesId::try_from(self.series.len()).expect("the series limit is far below 2^32");
        let shelf = if visible { &mut self.visible } else { &mut self.hidden };
        let kind = kind(&mut self.kinds, labels);
        let stands = StreamSeries { kind: &kind, stream: &labels.stream, created: *created, shown: 0 };
        self.series.push(Series {
            total: *total,
            baseline: *baseline,
            active_at: seconds(*active_at),
            changed_at: 0,
            place: shelf.push(id, stands),
            visible,
            idle: false,
            held: *held,
        });
        self.returned_at.extend(returned_at.filter(|_| *held).map(|shown| (id, shown)));
        self.waiting = self.waiting.and(self.waiting_of(id));
        self.show(id);
        let hash = self.hasher.hash_one((&*labels.domain, &*labels.app, &*labels.stream, labels.reason));
        let (hasher, series) = (&self.hasher, &self.series);
        let (seen, unseen) = (&self.visible, &self.hidden);
        self.by_labels.insert_unique(hash, id, |id| {
            let series = &series[*id as usize];
            let stands = if series.visible { seen.get(series.place) } else { unseen.get(series.place) };
            hasher.hash_one((&*stands.kind.domain, &*stands.kind.app, stands.stream, stands.kind.reason))
        });
    }

    /// Adds to what is counted.
    pub(super) fn grow(&mut self, add: &SeriesAdd, at: UnixSeconds) {
        let id = add.id;
        self.change(id, |all| {
            let resets = planted(Bug::OverflowResetsTotals) && all.get(id).stream == super::OVERFLOW;
            let series = &mut all.series[id as usize];
            series.total = if resets { 0 } else { series.total };
            series.total += add.total;
            series.baseline += add.baseline;
            series.active_at = seconds(at);
        });
        self.show(id);
    }

    /// Takes those off the page that nothing has become of since; returns whether any has left or come. Those that are
    /// not idle after all come back as they were.
    pub(super) fn rest(&mut self, since: UnixSeconds) -> bool {
        let before = self.idle;
        let mut came_back = false;
        for id in 0..SeriesId::try_from(self.series.len()).expect("ids are 32 bits") {
            let Series { visible, idle, held, active_at, .. } = self.series[id as usize];
            let is_idle = i64::from(active_at) < since && !held;
            if visible && is_idle {
                self.series[id as usize].idle = true;
                self.idle += 1;
                self.stand(id, false);
            } else if idle && !is_idle {
                self.wake(id);
                came_back = true;
            }
        }
        came_back || self.idle > before
    }

    /// Shows an idle series again, held at its total so far.
    pub(super) fn return_to_page(&mut self, id: SeriesId) {
        self.change(id, |all| {
            let series = &mut all.series[id as usize];
            series.held = true;
            all.returned_at.insert(id, series.total);
            all.wake(id);
        });
    }

    fn wake(&mut self, id: SeriesId) {
        self.series[id as usize].idle = false;
        self.idle -= 1;
        self.stand(id, true);
    }

    /// Shows its total from now on.
    pub(super) fn release(&mut self, id: SeriesId, at: UnixSeconds) {
        self.change(id, |all| {
            let series = &mut all.series[id as usize];
            (series.held, series.active_at) = (false, seconds(at));
            all.returned_at.remove(&id);
        });
        self.show(id);
    }

    /// Lets readers see the hidden series of some domains; returns those that are held.
    pub(super) fn reveal(&mut self, of: impl Fn(&str) -> bool) -> Vec<SeriesId> {
        let mut held = Vec::new();
        let hidden = std::mem::take(&mut self.hidden);
        let mut series: Vec<_> = hidden.series().collect();
        series.sort_unstable_by_key(|(id, _)| *id);
        for (id, stands) in series {
            let series = &mut self.series[id as usize];
            let visible = of(&stands.kind.domain) && !series.idle;
            let shelf = if visible { &mut self.visible } else { &mut self.hidden };
            (series.place, series.visible) = (shelf.push(id, stands), visible);
            if visible && series.held {
                held.push(id);
                self.waiting = self.waiting.and(self.waiting_of(id));
            }
        }
        held
    }

    /// Brings the value of a series into its block.
    fn show(&mut self, id: SeriesId) {
        let shown = self.shown(id);
        let Series { place, visible, .. } = self.series[id as usize];
        let shelf = if visible { &self.visible } else { &self.hidden };
        if shelf.get(place).shown == shown {
            return;
        }
        if self.changes_again(id, shelf.lately()) && !shelf.is_recent(place) {
            self.stand(id, visible);
        } else {
            let shelf = if visible { &mut self.visible } else { &mut self.hidden };
            shelf.set(place, shown);
        }
        self.changes = self.changes.wrapping_add(1);
        self.series[id as usize].changed_at = self.changes;
    }

    /// Whether a series that changes now has changed within so many changes.
    fn changes_again(&self, id: SeriesId, lately: usize) -> bool {
        let changed_at = self.series[id as usize].changed_at;
        changed_at != 0 && self.changes.wrapping_sub(changed_at) as usize <= lately
    }

    /// Moves a series to where the newest stand, seen or not.
    fn stand(&mut self, id: SeriesId, visible: bool) {
        let shown = self.shown(id);
        let stands = self.get(id);
        let (kind, stream, created) = (Arc::clone(stands.kind), stands.stream.to_owned(), stands.created);
        let Series { place, visible: was_visible, .. } = self.series[id as usize];
        let shelf = if was_visible { &mut self.visible } else { &mut self.hidden };
        shelf.remove(place, |id, place| self.series[id as usize].place = place);
        let shelf = if visible { &mut self.visible } else { &mut self.hidden };
        let place = shelf.push(id, StreamSeries { kind: &kind, stream: &stream, created, shown });
        let series = &mut self.series[id as usize];
        (series.place, series.visible) = (place, visible);
    }

    fn shown(&self, id: SeriesId) -> u64 {
        let series = &self.series[id as usize];
        if series.held && !planted(Bug::NoHold) { self.held_at(id) } else { series.total }
    }

    /// What it shows while it is held.
    fn held_at(&self, id: SeriesId) -> u64 {
        self.returned_at.get(&id).copied().unwrap_or(self.series[id as usize].baseline)
    }
}

/// The one [`Kind`] of all series with these labels.
fn kind(kinds: &mut HashSet<Arc<Kind>>, labels: &StreamLabels) -> Arc<Kind> {
    let StreamLabels { domain, app, reason, .. } = labels;
    let kind = Kind { domain: Arc::clone(domain), app: Arc::clone(app), reason: *reason };
    if let Some(known) = kinds.get(&kind) {
        return Arc::clone(known);
    }
    let kind = Arc::new(kind);
    kinds.insert(Arc::clone(&kind));
    kind
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::BLOCK_SERIES;
    use super::*;
    use crate::ledger::NewSeries;

    fn labels(n: u32) -> StreamLabels {
        let reason = if n.is_multiple_of(3) { Reason::NetworkError } else { Reason::ClientStopped };
        StreamLabels { domain: format!("d{}", n % 3).into(), app: "live".into(), stream: n.to_string().into(), reason }
    }

    fn add(streams: &mut Streams, n: u32, visible: bool, held: bool) {
        let labels = labels(n);
        let books = SeriesBooks::new(&NewSeries { labels, created: i64::from(n) }, 0);
        streams.add(&SeriesBooks { held, ..books }, visible);
    }

    fn grow(streams: &mut Streams, n: u32, total: u64) {
        streams.grow(&SeriesAdd { total, ..SeriesAdd::new(n) }, 0);
    }

    /// What readers see, by stream; each series must be there once, as what it is.
    fn seen(streams: &Streams) -> BTreeMap<u32, u64> {
        let blocks = streams.blocks();
        let mut seen = BTreeMap::new();
        for series in blocks.iter().flat_map(|block| block.series()) {
            let n = series.stream.parse().unwrap();
            assert_eq!((series.labels(), series.created), (labels(n), i64::from(n)));
            assert_eq!(seen.insert(n, series.shown), None, "{n} is there twice");
        }
        assert_eq!(seen.len(), streams.visible());
        seen
    }

    fn changed(before: &[Arc<StreamBlock>], after: &[Arc<StreamBlock>]) -> usize {
        let stays = |(n, block): (usize, &Arc<StreamBlock>)| before.get(n).is_some_and(|one| Arc::ptr_eq(one, block));
        after.len() - after.iter().enumerate().filter(|pair| stays(*pair)).count()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn wherever_a_series_stands_it_is_seen_once_with_its_value(
            count in 1..4_000_u32, steps in prop::collection::vec((any::<u32>(), 0..20_u8), 0..3_000),
        ) {
            let mut streams = Streams::default();
            let mut model = BTreeMap::new();
            let mut shown = vec!["d0"];
            for n in 0..count {
                let (visible, held) = (n.is_multiple_of(3), n.is_multiple_of(2));
                add(&mut streams, n, visible, held);
                model.insert(n, (0, held));
            }
            for (pick, step) in steps {
                let n = pick % count;
                let series = model.get_mut(&n).unwrap();
                match step {
                    0 if pick % 50 == 0 => {
                        let domain = ["d1", "d2"][pick as usize % 2];
                        shown.push(domain);
                        let held = streams.reveal(|one| one == domain);
                        let is_its = |id: &SeriesId| id.is_multiple_of(2) && labels(*id).domain == domain.into();
                        prop_assert!(held.iter().all(is_its));
                    }
                    1 => {
                        streams.release(n, 0);
                        series.1 = false;
                    }
                    _ => {
                        grow(&mut streams, n, u64::from(step));
                        series.0 += u64::from(step);
                    }
                }
            }
            let is_shown = |n: &u32| shown.contains(&&*format!("d{}", n % 3));
            let expected: BTreeMap<u32, u64> = model.iter().filter(|(n, _)| is_shown(n))
                .map(|(n, (total, held))| (*n, if *held { 0 } else { *total })).collect();
            prop_assert_eq!(seen(&streams), expected);
            for n in 0..count {
                let StreamLabels { domain, app, stream, reason } = labels(n);
                prop_assert_eq!(streams.find(&domain, &app, &stream, reason), Some(n));
                prop_assert_eq!(streams.find(&domain, "other", &stream, reason), None);
                prop_assert_eq!(streams.is_visible(n), is_shown(&n));
            }
            let totals: Vec<u64> = streams.books().map(|books| books.total).collect();
            prop_assert_eq!(totals, model.values().map(|(total, _)| *total).collect::<Vec<_>>());
            // Nearly every block is at least half full.
            prop_assert!(streams.blocks().iter().filter(|block| !block.is_empty()).count() <= streams.visible() * 2 / BLOCK_SERIES + 3);
        }
    }

    #[test]
    fn streams_that_change_lately_stand_side_by_side() {
        let mut streams = Streams::default();
        (0..50_000).for_each(|n| add(&mut streams, n, true, false));
        let live = |n: u32| n * 487 % 50_000;
        let before = streams.blocks();
        (0..100).for_each(|n| grow(&mut streams, live(n), 1));
        assert!(changed(&before, &streams.blocks()) <= 100, "one change is no sign of life");
        (0..100).for_each(|n| grow(&mut streams, live(n), 1));
        for _ in 0..10 {
            let before = streams.blocks();
            (0..100).for_each(|n| grow(&mut streams, live(n), 1));
            // A hundred series fit into two blocks; some stand among the newest of all and stay there.
            assert!(changed(&before, &streams.blocks()) <= 10);
        }
        assert_eq!(seen(&streams).values().sum::<u64>(), 1_200);
    }

    #[test]
    fn a_block_that_did_not_change_is_shared() {
        let mut streams = Streams::default();
        (0..10_000).for_each(|n| add(&mut streams, n, true, false));
        let before = streams.blocks();
        grow(&mut streams, 9_999, 1);
        assert_eq!(changed(&before, &streams.blocks()), 1);
        let (before, after) = (before.last().unwrap(), Arc::clone(streams.blocks().last().unwrap()));
        assert!(after.has_labels_of(before), "only a value changed");
    }
}
