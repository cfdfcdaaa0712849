//! All series of the stream counter: what is counted of each, under which labels, and what it shows.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use super::block::{Kind, StreamBlock, StreamSeries};
use super::shelf::{Place, Shelf};
use crate::ledger::{SeriesBooks, SeriesId, StreamLabels};
use crate::planted::{Bug, planted};
use crate::reason::Reason;

/// A series as counted. Its labels are in the block where it stands.
#[derive(Debug)]
struct Series {
    total: u64,
    baseline: u64,
    place: Place,
    /// Whether it stands where readers see it.
    visible: bool,
    held: bool,
}

impl Series {
    fn shown(&self) -> u64 {
        if self.held && !planted(Bug::NoHold) { self.baseline } else { self.total }
    }
}

#[derive(Debug, Default)]
pub(super) struct Streams {
    series: Vec<Series>,
    /// Who chooses the names must not choose where they meet: the hash has a key of this process.
    by_labels: HashTable<SeriesId>,
    hasher: RandomState,
    kinds: HashSet<Arc<Kind>>,
    visible: Shelf,
    hidden: Shelf,
}

impl Streams {
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

    /// Disconnects that are counted but not shown while it is held.
    pub(super) fn waiting(&self, id: SeriesId) -> u64 {
        let series = &self.series[id as usize];
        series.total - series.baseline
    }

    /// All of them, in order of first appearance.
    pub(super) fn books(&self) -> impl Iterator<Item = SeriesBooks> {
        self.series.iter().zip(0..).map(|(series, id)| {
            let stands = self.get(id);
            let Series { total, baseline, held, .. } = *series;
            SeriesBooks { labels: stands.labels(), created: stands.created, total, baseline, held }
        })
    }

    /// Adds the next series.
    pub(super) fn add(&mut self, books: &SeriesBooks, visible: bool) {
        let SeriesBooks { labels, created, total, baseline, held } = books;
        let id = SeriesId::try_from(self.series.len()).expect("the series limit is far below 2^32");
        let shelf = if visible { &mut self.visible } else { &mut self.hidden };
        let kind = kind(&mut self.kinds, labels);
        let mut series = Series { total: *total, baseline: *baseline, place: Place::default(), visible, held: *held };
        let shown = series.shown();
        series.place = shelf.push(id, StreamSeries { kind: &kind, stream: &labels.stream, created: *created, shown });
        self.series.push(series);
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
    pub(super) fn grow(&mut self, id: SeriesId, total: u64, baseline: u64) {
        if planted(Bug::OverflowResetsTotals) && self.get(id).stream == super::OVERFLOW {
            self.series[id as usize].total = 0;
        }
        let series = &mut self.series[id as usize];
        series.total += total;
        series.baseline += baseline;
        self.show(id);
    }

    /// Shows its total from now on.
    pub(super) fn release(&mut self, id: SeriesId) {
        self.series[id as usize].held = false;
        self.show(id);
    }

    /// Lets readers see the hidden series of some domains; returns those that are held.
    pub(super) fn reveal(&mut self, of: impl Fn(&str) -> bool) -> Vec<SeriesId> {
        let mut held = Vec::new();
        let hidden = std::mem::take(&mut self.hidden);
        let mut series: Vec<_> = hidden.series().collect();
        series.sort_unstable_by_key(|(id, _)| *id);
        for (id, stands) in series {
            let visible = of(&stands.kind.domain);
            let shelf = if visible { &mut self.visible } else { &mut self.hidden };
            let series = &mut self.series[id as usize];
            (series.place, series.visible) = (shelf.push(id, stands), visible);
            if visible && series.held {
                held.push(id);
            }
        }
        held
    }

    /// Brings the value of a series into its block.
    fn show(&mut self, id: SeriesId) {
        let Series { place, visible, .. } = self.series[id as usize];
        let shown = self.series[id as usize].shown();
        let shelf = if visible { &mut self.visible } else { &mut self.hidden };
        let stands = shelf.get(place);
        if stands.shown == shown {
            return;
        }
        if shelf.is_recent(place) {
            shelf.set(place, shown);
            return;
        }
        let (kind, stream, created) = (Arc::clone(stands.kind), stands.stream.to_owned(), stands.created);
        shelf.remove(place, |id, place| self.series[id as usize].place = place);
        let place = shelf.push(id, StreamSeries { kind: &kind, stream: &stream, created, shown });
        self.series[id as usize].place = place;
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

    fn labels(n: u32) -> StreamLabels {
        let reason = if n.is_multiple_of(3) { Reason::NetworkError } else { Reason::ClientStopped };
        StreamLabels { domain: format!("d{}", n % 3).into(), app: "live".into(), stream: n.to_string().into(), reason }
    }

    fn add(streams: &mut Streams, n: u32, visible: bool, held: bool) {
        let labels = labels(n);
        streams.add(&SeriesBooks { labels, created: i64::from(n), total: 0, baseline: 0, held }, visible);
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
                        streams.release(n);
                        series.1 = false;
                    }
                    _ => {
                        streams.grow(n, u64::from(step), 0);
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
        (0..100).for_each(|n| streams.grow(live(n), 1, 0));
        for _ in 0..10 {
            let before = streams.blocks();
            (0..100).for_each(|n| streams.grow(live(n), 1, 0));
            // A hundred series fit into two blocks; some stand among the newest of all and stay there.
            assert!(changed(&before, &streams.blocks()) <= 10);
        }
        assert_eq!(seen(&streams).values().sum::<u64>(), 1_100);
    }

    #[test]
    fn a_block_that_did_not_change_is_shared() {
        let mut streams = Streams::default();
        (0..10_000).for_each(|n| add(&mut streams, n, true, false));
        let before = streams.blocks();
        streams.grow(9_999, 1, 0);
        assert_eq!(changed(&before, &streams.blocks()), 1);
        let (before, after) = (before.last().unwrap(), Arc::clone(streams.blocks().last().unwrap()));
        assert!(after.has_labels_of(before), "only a value changed");
    }
}
