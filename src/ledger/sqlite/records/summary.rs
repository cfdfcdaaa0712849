//! What a range of time comes to.
//!
//! The newest records of the range are looked at one by one. Where that is not all of them, the timeline, the reasons
//! and the total come from the hours that the ledger has counted, and only the list of streams tells of a part, and of
//! which.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::Reading;
use super::lanes::Lanes;
use super::names::{self, Kind, Streams};
use crate::clock::UnixSeconds;
use crate::ledger::{Cursor, RecordFilter, RecordSummary, SUMMARY_BUCKETS, SUMMARY_TOP, SummaryBucket, TopStream};
use crate::reason::{Class, Reason};

/// Most records that are looked at one by one.
const EXAMINED: u64 = 100_000;

const HOUR: i64 = 3_600;

/// Widths of buckets that people can read, in seconds; beyond, whole days.
const WIDTHS: [i64; 14] = [1, 10, 30, 60, 120, 300, 600, 900, 1_800, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 12 * HOUR];

const DAY: i64 = 24 * HOUR;

pub(super) fn summary(
    reading: &Reading<'_>,
    filter: &RecordFilter,
    start: UnixSeconds,
    end: UnixSeconds,
) -> rusqlite::Result<RecordSummary> {
    let kinds = names::kinds(reading, filter)?;
    let streams = names::streams(reading, filter)?;
    let sums = Sums { reading, kinds: &kinds, streams: &streams };
    let mut tally = Tally::new(width(start, end, 1));
    let mut by_stream = HashMap::new();
    let streams_since = sums.one_by_one(&mut tally, Some(&mut by_stream), start, end)?;
    let mut since = streams_since;
    if since > start && matches!(streams, Streams::All) {
        tally = Tally::new(width(start, end, HOUR));
        sums.by_hours(&mut tally, start, end)?;
        since = start;
    }
    Ok(RecordSummary {
        start,
        end,
        since,
        total: tally.reasons.values().sum(),
        width: tally.width,
        streams: sums.top_streams(&by_stream)?,
        streams_since,
        reasons: top(tally.reasons.iter().map(|(reason, total)| (*reason, *total))),
        buckets: tally.buckets(start, end),
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
    by_bucket: BTreeMap<i64, BTreeMap<Class, u64>>,
    reasons: BTreeMap<Reason, u64>,
}

impl Tally {
    fn new(width: i64) -> Self {
        Self { width, by_bucket: BTreeMap::new(), reasons: BTreeMap::new() }
    }

    fn add(&mut self, end: UnixSeconds, reason: Reason, records: u64) {
        let bucket = self.by_bucket.entry(end.div_euclid(self.width)).or_default();
        *bucket.entry(reason.class()).or_default() += records;
        *self.reasons.entry(reason).or_default() += records;
    }

    fn buckets(mut self, start: UnixSeconds, end: UnixSeconds) -> Vec<SummaryBucket> {
        let numbers = start.div_euclid(self.width)..=end.div_euclid(self.width);
        let bucket = |number: i64| SummaryBucket {
            start: number.saturating_mul(self.width),
            by_class: self.by_bucket.remove(&number).unwrap_or_default(),
        };
        numbers.map(bucket).collect()
    }
}

/// Records by a number that stands for domain and app, and by stream.
type ByStream = HashMap<(i64, i64), u64>;

struct Sums<'a> {
    reading: &'a Reading<'a>,
    kinds: &'a HashMap<i64, Kind>,
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
        let places = self.places();
        let before = Cursor { end, id: i64::MAX };
        let mut lanes = Lanes::new(self.reading, Some(self.kinds), self.streams, start, before)?;
        let mut examined = 0;
        let mut reached = end;
        while let Some(entry) = lanes.next()? {
            // A second is taken whole or not at all.
            if by_stream.is_some() && examined >= EXAMINED && entry.at.end < reached {
                return Ok(reached);
            }
            (reached, examined) = (entry.at.end, examined + 1);
            if let Some(kind) = self.kinds.get(&entry.kind) {
                tally.add(entry.at.end, kind.reason, 1);
            }
            if let Some(by_stream) = &mut by_stream {
                let place = places.get(&entry.kind).copied().unwrap_or(entry.kind);
                *by_stream.entry((place, entry.stream)).or_default() += 1;
            }
        }
        Ok(start)
    }

    /// Adds a range out of the hours that are counted, and what is left at its ends one by one.
    fn by_hours(&self, tally: &mut Tally, start: UnixSeconds, end: UnixSeconds) -> rusqlite::Result<()> {
        let first = start.div_euclid(HOUR) + i64::from(start.rem_euclid(HOUR) > 0);
        let over = end.saturating_add(1).div_euclid(HOUR);
        if first >= over {
            return self.one_by_one(tally, None, start, end).map(|_| ());
        }
        let sql = "SELECT hour, kind, records FROM record_hour WHERE hour >= ?1 AND hour < ?2";
        let mut statement = self.reading.books.prepare(sql)?;
        let mut rows = statement.query([first, over])?;
        while let Some(row) = rows.next()? {
            if let Some(kind) = self.kinds.get(&row.get(1)?) {
                let (hour, records): (i64, i64) = (row.get(0)?, row.get(2)?);
                tally.add(hour * HOUR, kind.reason, u64::try_from(records).unwrap_or(0));
            }
        }
        for (start, end) in [(start, first * HOUR - 1), (over * HOUR, end)] {
            if start <= end {
                self.one_by_one(tally, None, start, end)?;
            }
        }
        Ok(())
    }

    /// One kind for all that have domain and app in common.
    fn places(&self) -> HashMap<i64, i64> {
        let mut first: HashMap<_, i64> = HashMap::new();
        let place = |(id, kind): (&i64, &Kind)| {
            (*id, *first.entry((kind.domain.as_bytes().to_vec(), kind.app.as_bytes().to_vec())).or_insert(*id))
        };
        self.kinds.iter().map(place).collect()
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
