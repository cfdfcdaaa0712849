//! What a range of time comes to.
//!
//! The newest records of the range are looked at one by one. Where that is not all of them, the timeline, the reasons
//! and the total come from what the ledger has counted by the hour, and only the list of streams tells of a part, and of
//! which.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::Reading;
use super::lanes::Lanes;
use super::names::{self, Kind, Streams};
use crate::clock::UnixSeconds;
use crate::ledger::{Cursor, RecordFilter, RecordSummary, SUMMARY_BUCKETS, SUMMARY_TOP, SummaryBucket, TopStream};
use crate::reason::{Class, Reason, TABLE};

/// Most records that are looked at one by one.
const EXAMINED: u64 = 50_000;

const HOUR: i64 = 3_600;

const DAY: i64 = 24 * HOUR;

/// Widths in seconds by which the ledger counts, the widest first.
const COUNTED: [i64; 2] = [8 * HOUR, HOUR];

/// Widths of buckets that people can read, in seconds; beyond, whole days.
const WIDTHS: [i64; 14] = [1, 10, 30, 60, 120, 300, 600, 900, 1_800, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, DAY];

pub(super) fn summary(
    reading: &Reading<'_>,
    filter: &RecordFilter,
    start: UnixSeconds,
    end: UnixSeconds,
) -> rusqlite::Result<RecordSummary> {
    let kinds = names::kinds(reading, filter)?;
    let streams = names::streams(reading, filter)?;
    // Without a filter one walk through all records is shorter than one along each kind.
    let lanes = names::is_about_kinds(filter).then_some(&kinds);
    let sums = Sums { reading, kinds: known(&kinds), lanes, streams: &streams };
    let mut tally = Tally::new(width(start, end, 1), start, end);
    let mut by_stream = HashMap::new();
    let streams_since = sums.one_by_one(&mut tally, Some(&mut by_stream), start, end)?;
    let mut since = streams_since;
    if since > start && matches!(streams, Streams::All) {
        tally = Tally::new(width(start, end, HOUR), start, end);
        sums.by_slots(&COUNTED, &mut tally, start, end)?;
        since = start;
    }
    let reasons = TABLE.iter().map(|entry| (entry.reason, tally.reasons[entry.reason as usize]));
    Ok(RecordSummary {
        start,
        end,
        since,
        total: tally.reasons.iter().sum(),
        width: tally.width,
        streams: sums.top_streams(&by_stream)?,
        streams_since,
        reasons: top(reasons.filter(|(_, total)| *total > 0)),
        buckets: tally.buckets(),
    })
}

/// The narrowest width from `least` on with which the range fits into the timeline.
fn width(start: UnixSeconds, end: UnixSeconds, least: i64) -> i64 {
    let fits = |width: i64| end.div_euclid(width).saturating_sub(start.div_euclid(width)) < SUMMARY_BUCKETS;
    let known = WIDTHS.into_iter().find(|width| *width >= least && fits(*width));
    let span = i128::from(end) - i128::from(start);
    let days = span / i128::from(DAY * (SUMMARY_BUCKETS - 1)) + 1;
    known.unwrap_or_else(|| i64::try_from(days * i128::from(DAY)).unwrap_or(i64::MAX))
}

/// Most frequent first.
fn top<T: Ord + Copy>(totals: impl Iterator<Item = (T, u64)>) -> Vec<(T, u64)> {
    let mut totals: Vec<_> = totals.collect();
    totals.sort_unstable_by_key(|(what, total)| (Reverse(*total), *what));
    totals.truncate(SUMMARY_TOP);
    totals
}

/// What has been added up.
struct Tally {
    width: i64,
    /// The number of the first bucket.
    first: i64,
    /// By `Class as usize`.
    by_bucket: Vec<[u64; Class::ALL.len()]>,
    /// By `Reason as usize`.
    reasons: [u64; Reason::COUNT],
}

impl Tally {
    fn new(width: i64, start: UnixSeconds, end: UnixSeconds) -> Self {
        let first = start.div_euclid(width);
        let buckets = end.div_euclid(width).saturating_sub(first).clamp(0, SUMMARY_BUCKETS) + 1;
        let by_bucket = (0..buckets).map(|_| [0; Class::ALL.len()]).collect();
        Self { width, first, by_bucket, reasons: [0; Reason::COUNT] }
    }

    fn add(&mut self, end: UnixSeconds, reason: Reason, records: u64) {
        let bucket = usize::try_from(end.div_euclid(self.width) - self.first);
        if let Some(bucket) = bucket.ok().and_then(|bucket| self.by_bucket.get_mut(bucket)) {
            bucket[reason.class() as usize] += records;
            self.reasons[reason as usize] += records;
        }
    }

    fn buckets(&self) -> Vec<SummaryBucket> {
        let bucket = |(number, totals): (i64, &[u64; Class::ALL.len()])| SummaryBucket {
            start: number.saturating_mul(self.width),
            by_class: Class::ALL.into_iter().zip(*totals).filter(|(_, total)| *total > 0).collect(),
        };
        (self.first..).zip(&self.by_bucket).map(bucket).collect()
    }
}

/// What counts about a kind: its reason, and a number for its domain and app.
type Known = HashMap<i64, (Reason, i64)>;

fn known<'a>(kinds: &'a HashMap<i64, Kind>) -> Known {
    let mut places: HashMap<(&[u8], &[u8]), i64> = HashMap::new();
    let known = |(id, kind): (&i64, &'a Kind)| {
        let place = *places.entry((kind.domain.as_bytes(), kind.app.as_bytes())).or_insert(*id);
        (*id, (kind.reason, place))
    };
    kinds.iter().map(known).collect()
}

/// Records by the number of their domain and app, and by stream.
type ByStream = HashMap<(i64, i64), u64>;

struct Sums<'a> {
    reading: &'a Reading<'a>,
    kinds: Known,
    /// The kinds again, where the filter is about them.
    lanes: Option<&'a HashMap<i64, Kind>>,
    streams: &'a Streams,
}

impl Sums<'_> {
    /// Adds the newest records of a range, and says from when on it has them all.
    fn one_by_one(
        &self,
        tally: &mut Tally,
        mut by_stream: Option<&mut ByStream>,
        start: UnixSeconds,
        end: UnixSeconds,
    ) -> rusqlite::Result<UnixSeconds> {
        let before = Cursor { end, id: i64::MAX };
        let mut lanes = Lanes::new(self.reading, self.lanes, self.streams, start, before)?;
        let mut examined = 0;
        let mut reached = end;
        while let Some(entry) = lanes.next()? {
            // A second is taken whole or not at all.
            if by_stream.is_some() && examined >= EXAMINED && entry.at.end < reached {
                return Ok(reached);
            }
            (reached, examined) = (entry.at.end, examined + 1);
            let Some((reason, place)) = self.kinds.get(&entry.kind) else { continue };
            tally.add(entry.at.end, *reason, 1);
            if let Some(by_stream) = &mut by_stream {
                *by_stream.entry((*place, entry.stream)).or_default() += 1;
            }
        }
        Ok(start)
    }

    /// Adds a range out of what is counted by the first of `widths`, and what is left at its ends by the others, in the
    /// end one by one.
    fn by_slots(
        &self,
        widths: &[i64],
        tally: &mut Tally,
        start: UnixSeconds,
        end: UnixSeconds,
    ) -> rusqlite::Result<()> {
        if start > end {
            return Ok(());
        }
        let Some((width, finer)) = widths.split_first() else {
            return self.one_by_one(tally, None, start, end).map(|_| ());
        };
        let first = start.div_euclid(*width) + i64::from(start.rem_euclid(*width) > 0);
        let over = end.saturating_add(1).div_euclid(*width);
        if first >= over || tally.width % width != 0 {
            return self.by_slots(finer, tally, start, end);
        }
        let sql = "SELECT slot, kind, records FROM record_sum WHERE width = ?1 AND slot >= ?2 AND slot < ?3";
        let mut statement = self.reading.books.prepare_cached(sql)?;
        let mut rows = statement.query([*width, first, over])?;
        while let Some(row) = rows.next()? {
            if let Some((reason, _)) = self.kinds.get(&row.get(1)?) {
                let (slot, records): (i64, i64) = (row.get(0)?, row.get(2)?);
                tally.add(slot * width, *reason, u64::try_from(records).unwrap_or(0));
            }
        }
        self.by_slots(finer, tally, start, first * width - 1)?;
        self.by_slots(finer, tally, over * width, end)
    }

    fn top_streams(&self, by_stream: &ByStream) -> rusqlite::Result<Vec<TopStream>> {
        let named = |((place, stream), total): ((i64, i64), u64)| {
            let kind = names::kind_by_id(self.reading, place)?;
            let shown = |name| names::shown(name, &self.reading.key);
            let stream = names::stream_by_id(self.reading, stream)?;
            Ok(TopStream { domain: shown(&kind.domain), app: shown(&kind.app), stream, total })
        };
        top(by_stream.iter().map(|(of, total)| (*of, *total))).into_iter().map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_fits_into_the_timeline() {
        for (span, expected) in [
            (0, 1),
            (900, 10),
            (HOUR, 60),
            (6 * HOUR, 300),
            (DAY, 900),
            (7 * DAY, 2 * HOUR),
            (30 * DAY, 8 * HOUR),
            (366 * DAY, 4 * DAY),
        ] {
            assert_eq!(width(1_767_225_605, 1_767_225_605 + span, 1), expected, "{span}");
        }
        for (start, end) in [(0, i64::from(u32::MAX)), (-5, 5), (i64::MIN, i64::MAX)] {
            let width = width(start, end, 1);
            assert!(end.div_euclid(width) - start.div_euclid(width) < SUMMARY_BUCKETS, "{start} to {end}");
        }
    }
}
