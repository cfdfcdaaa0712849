//! Every event the platform has, in an index by end time.
//!
//! A question walks the part of the index its window can touch and counts what matches, which for 100,000 events is a
//! few milliseconds. Events are never removed: the truth is about all of them.

use super::dice::Dice;
use super::event::refuses_push;
use super::scenario::{Bounds, Quirks, TieOrder, WindowFilter};
use super::{Event, EventChange, EventId, Name};
use crate::clock::UnixSeconds;
use crate::reason::Reason;

/// One event and what has become of it.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) event: Event,
    /// What its reason text means.
    pub(super) reason: Reason,
    /// What it meant when a reader first got the row as finished.
    pub(super) told: Option<Reason>,
    pub(super) hidden: bool,
    /// A roll of its own.
    pub(super) dice: Dice,
}

/// How a row is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Unfinished,
    Finished,
}

impl Record {
    /// How the event is listed at `now`, none where it is not.
    pub(super) fn shown(&self, now: UnixSeconds) -> Option<Shown> {
        if self.hidden {
            return None;
        }
        if self.is_published(now) {
            return Some(Shown::Finished);
        }
        self.event.live_from.filter(|from| *from <= now).map(|_| Shown::Unfinished)
    }

    /// True from the moment on at which the finished row can be listed, hidden or not.
    pub(super) fn is_published(&self, now: UnixSeconds) -> bool {
        self.event.finished_from().is_some_and(|from| from <= now)
    }
}

/// What a listing asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) start: UnixSeconds,
    pub(super) end: UnixSeconds,
    pub(super) domain: Option<Name>,
    pub(super) app: Option<Name>,
    pub(super) stream: Option<Name>,
    pub(super) strict: bool,
    pub(super) started_only: bool,
    pub(super) ascending: bool,
    pub(super) page_num: u64,
    pub(super) page_size: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    end: UnixSeconds,
    id: u32,
    start: UnixSeconds,
}

/// All events.
#[derive(Debug, Default)]
pub(super) struct Archive {
    records: Vec<Record>,
    /// Every event that has an end, in order.
    by_end: Vec<Entry>,
    /// Events that are or may be listed without an end.
    unfinished: Vec<u32>,
    /// The longest session so far, in seconds.
    longest: i64,
}

impl Archive {
    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(super) fn record(&self, id: EventId) -> Option<&Record> {
        self.records.get(id.0 as usize)
    }

    pub(super) fn get_mut(&mut self, id: EventId) -> Option<&mut Record> {
        self.records.get_mut(id.0 as usize)
    }

    /// Takes one event in.
    pub(super) fn push(&mut self, record: Record) -> EventId {
        let settled = self.by_end.len();
        let id = self.append(record);
        self.settle(settled);
        id
    }

    /// Takes `records` in; one sort for all of them.
    pub(super) fn extend(&mut self, records: impl IntoIterator<Item = Record>) -> Vec<EventId> {
        let settled = self.by_end.len();
        let ids = records.into_iter().map(|record| self.append(record)).collect();
        self.settle(settled);
        ids
    }

    fn append(&mut self, record: Record) -> EventId {
        let id = u32::try_from(self.records.len()).expect("four billion events do not fit in memory");
        if record.event.live_from.is_some() {
            self.unfinished.push(id);
        }
        if let Some(end) = record.event.end {
            let entry = self.entry(id, record.event.start, end);
            self.by_end.push(entry);
        }
        self.records.push(record);
        EventId(id)
    }

    /// Puts the index in order again, of which the first `settled` entries are; cheap where the others belong near the end.
    fn settle(&mut self, settled: usize) {
        let mut new = self.by_end.split_off(settled);
        new.sort_unstable();
        let Some(first) = new.first() else { return };
        let from = self.by_end.partition_point(|entry| entry < first);
        let mut late = self.by_end.split_off(from).into_iter().peekable();
        for entry in new {
            while let Some(earlier) = late.next_if(|other| *other < entry) {
                self.by_end.push(earlier);
            }
            self.by_end.push(entry);
        }
        self.by_end.extend(late);
    }

    fn entry(&mut self, id: u32, start: UnixSeconds, end: UnixSeconds) -> Entry {
        self.longest = self.longest.max(end.saturating_sub(start));
        Entry { end, id, start }
    }

    /// Applies `change`; false where there is no such event.
    pub(super) fn change(&mut self, id: EventId, change: EventChange, means: impl Fn(&str) -> Reason) -> bool {
        let Some(record) = self.records.get_mut(id.0 as usize) else { return false };
        let event = &mut record.event;
        let before = event.end;
        if let Some(reason) = change.reason {
            record.reason = means(&reason);
            event.reason = reason;
        }
        event.end = change.end.or(event.end);
        event.duration = change.duration.or(event.duration);
        event.visible_at = change.visible_at.or(event.visible_at);
        event.resolution = change.resolution.unwrap_or_else(|| event.resolution.clone());
        event.client_ip = change.client_ip.unwrap_or_else(|| event.client_ip.clone());
        let (start, after) = (event.start, event.end);
        if before != after {
            if let Some(at) = before.and_then(|end| self.position(end, id.0)) {
                self.by_end.remove(at);
            }
            if let Some(end) = after {
                let entry = self.entry(id.0, start, end);
                let at = self.by_end.partition_point(|other| *other < entry);
                self.by_end.insert(at, entry);
            }
        }
        true
    }

    /// Makes visible at `now` what has ended and is not visible yet.
    pub(super) fn publish_late(&mut self, now: UnixSeconds) {
        for record in &mut self.records {
            let event = &mut record.event;
            let waits = event.finished_from().is_some_and(|from| from > now);
            if waits && event.end.is_some_and(|end| end <= now) {
                event.visible_at = Some(now);
            }
        }
    }

    /// The sessions that have begun and not ended at `now`, refused ones left out.
    pub(super) fn on_air(&self, now: UnixSeconds) -> impl Iterator<Item = &Event> {
        let ends_later = &self.by_end[self.by_end.partition_point(|entry| entry.end <= now)..];
        let open = self.unfinished.iter().filter(|id| self.records[**id as usize].event.end.is_none());
        ends_later
            .iter()
            .map(|entry| entry.id)
            .chain(open.copied())
            .map(|id| &self.records[id as usize])
            .filter(move |record| record.event.start <= now && !refuses_push(record.reason))
            .map(|record| &record.event)
    }

    fn position(&self, end: UnixSeconds, id: u32) -> Option<usize> {
        self.by_end.binary_search_by_key(&(end, id), |entry| (entry.end, entry.id)).ok()
    }

    /// Every row that answers `ask` at `now`, oldest end first, whatever the page.
    pub(super) fn matching(&mut self, ask: &Ask, quirks: &Quirks, now: UnixSeconds) -> Vec<(UnixSeconds, EventId)> {
        let nameless;
        let ask = if quirks.ignore_names {
            nameless = Ask { domain: None, app: None, stream: None, ..ask.clone() };
            &nameless
        } else {
            ask
        };
        let window = OpenedWindow::new(ask, quirks);
        let last_end = match quirks.filter {
            WindowFilter::End => window.last,
            WindowFilter::Start | WindowFilter::Overlap => window.last.saturating_add(self.longest),
        };
        let from = self.by_end.partition_point(|entry| entry.end < window.first.saturating_sub(1));
        let candidates = self.by_end[from..].iter().take_while(|entry| entry.end <= last_end);
        let narrowed =
            Ask { page_num: 0, page_size: 0, start: 0, end: 0, ascending: false, strict: false, ..ask.clone() };
        let takes_all = narrowed == Ask::default() && !quirks.app_defaults_to_live && quirks.flicker.share <= 0.0;
        let mut rows = Vec::new();
        for entry in candidates {
            let record = &self.records[entry.id as usize];
            let listed = window.holds(quirks.filter, entry.start, entry.end)
                && !record.hidden
                && record.is_published(now)
                && (takes_all || is_meant(record, ask, quirks, now));
            if listed {
                rows.push((entry.end, EventId(entry.id)));
            }
        }
        let records = &self.records;
        self.unfinished.retain(|id| !records[*id as usize].is_published(now));
        let finished = rows.len();
        rows.extend(self.unfinished.iter().filter_map(|id| {
            let record = &records[*id as usize];
            let start = record.event.start;
            // A push that goes on has no end to hold against the window: its start stands for it.
            let end = if quirks.filter == WindowFilter::Overlap { UnixSeconds::MAX } else { start };
            let listed = record.shown(now) == Some(Shown::Unfinished)
                && window.holds(quirks.filter, start, end)
                && is_meant(record, ask, quirks, now);
            listed.then_some((start, EventId(*id)))
        }));
        if rows.len() > finished {
            rows.sort();
        }
        rows
    }
}

/// The seconds a window holds, ends included.
struct OpenedWindow {
    first: UnixSeconds,
    last: UnixSeconds,
}

impl OpenedWindow {
    fn new(ask: &Ask, quirks: &Quirks) -> Self {
        let first = ask.start.saturating_sub(quirks.window_slack.as_seconds());
        match quirks.bounds {
            Bounds::Closed => Self { first, last: ask.end },
            Bounds::EndExcluded => Self { first, last: ask.end.saturating_sub(1) },
            Bounds::StartExcluded => Self { first: first.saturating_add(1), last: ask.end },
        }
    }

    fn holds(&self, filter: WindowFilter, start: UnixSeconds, end: UnixSeconds) -> bool {
        let inside = |time: UnixSeconds| self.first <= time && time <= self.last;
        match filter {
            WindowFilter::Start => inside(start),
            WindowFilter::End => inside(end),
            WindowFilter::Overlap => start.min(end) <= self.last && self.first <= end,
        }
    }
}

fn is_meant(record: &Record, ask: &Ask, quirks: &Quirks, now: UnixSeconds) -> bool {
    let event = &record.event;
    let app = match &ask.app {
        Some(app) => event.app == *app,
        None => !quirks.app_defaults_to_live || event.app.as_bytes() == b"live",
    };
    let stream = ask
        .stream
        .as_ref()
        .is_none_or(|stream| if ask.strict { event.stream == *stream } else { event.stream.contains(stream) });
    let period = quirks.flicker.period.as_seconds().max(1);
    let seen = quirks.flicker.share <= 0.0
        || !record.dice.fork(now.div_euclid(period).cast_unsigned()).hits(quirks.flicker.share);
    app && stream
        && seen
        && ask.domain.as_ref().is_none_or(|domain| event.domain == *domain)
        && !(ask.started_only && refuses_push(record.reason))
}

/// The part of `rows` that is page `ask.page_num`, in the order asked for; `dice` shuffles rows of one second.
pub(super) fn page(rows: &[(UnixSeconds, EventId)], ask: &Ask, quirks: &Quirks, dice: Dice) -> Vec<EventId> {
    let size = quirks.page_size_served.unwrap_or(ask.page_size);
    let number = if quirks.ignore_page_num { 1 } else { ask.page_num };
    let skipped = number.saturating_sub(1).saturating_mul(size);
    let count = rows.len() as u64;
    let until = skipped.saturating_add(size).min(count).min(quirks.cap.max(skipped));
    if skipped >= until {
        return Vec::new();
    }
    let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(rows.len());
    let (mut from, mut to) = (at(skipped), at(until));
    if !ask.ascending {
        (from, to) = (rows.len() - to, rows.len() - from);
    }
    // Whole seconds, since order within one is the quirk's.
    let first = rows.partition_point(|row| row.0 < rows[from].0);
    let last = rows.partition_point(|row| row.0 <= rows[to - 1].0);
    let mut around = rows[first..last].to_vec();
    match quirks.tie_order {
        TieOrder::Published => {}
        TieOrder::Reversed => around.sort_by_key(|(end, id)| (*end, std::cmp::Reverse(*id))),
        TieOrder::Shuffled => around.sort_by_key(|(end, id)| (*end, dice.fork(u64::from(id.0)).bits())),
    }
    let mut page: Vec<_> = around[from - first..to - first].iter().map(|(_, id)| *id).collect();
    if !ask.ascending {
        page.reverse();
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn late_events_find_their_places_among_those_before(batches in proptest::collection::vec(proptest::collection::vec(0_i64..40, 0..12), 0..8)) {
            let mut archive = Archive::default();
            let mut all = Vec::new();
            for batch in batches {
                let settled = archive.by_end.len();
                for end in batch {
                    let entry = Entry { end, id: u32::try_from(all.len()).unwrap(), start: 0 };
                    archive.by_end.push(entry);
                    all.push(entry);
                }
                archive.settle(settled);
                all.sort_unstable();
                assert_eq!(archive.by_end, all);
            }
        }
    }
}
