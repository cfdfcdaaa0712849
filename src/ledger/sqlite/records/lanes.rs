//! Records in falling order of end and number, out of one index or of several places in it.
//!
//! A lane is the records of one kind, or of one stream, or all of them: each has them in this order in an index. The
//! heads of the lanes are merged. From each lane one record is read, then more and more as it turns out to be needed, so
//! that neither a thousand lanes with little in them nor one with a million costs more than what is taken.

use std::collections::{BinaryHeap, HashMap, VecDeque};

use rusqlite::{CachedStatement, params};

use super::Reading;
use super::names::{Kind, Streams};
use crate::clock::UnixSeconds;
use crate::ledger::Cursor;

/// Most lanes: each costs some microseconds.
pub(super) const LANES: u32 = 4_096;

/// Most records read of a lane at a time.
const CHUNK: u32 = 512;

/// One record, as far as the indexes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: Cursor,
    pub(super) kind: i64,
    pub(super) stream: i64,
}

/// The records from `start` to before a place, newest first.
pub(super) struct Lanes<'a> {
    reading: &'a Reading<'a>,
    statement: CachedStatement<'a>,
    start: UnixSeconds,
    containing: Option<&'a str>,
    /// What is let through beside the lanes' own choice.
    kinds: Option<&'a HashMap<i64, Kind>>,
    all: Vec<Lane>,
    heads: BinaryHeap<(Cursor, usize)>,
}

struct Lane {
    key: i64,
    read: VecDeque<Entry>,
    /// How many to read next; none are left at 0.
    chunk: u32,
    before: Cursor,
}

/// The statement for lanes of that index, which is named so that no statistics can talk the planner out of it.
pub(super) fn sql(index: &str, containing: bool) -> String {
    let key = match index {
        "record_by_kind" => "kind = ?1",
        "record_by_stream" => "stream = ?1",
        _ => "?1 = 0",
    };
    let containing = if containing {
        "AND (SELECT instr(name, ?6) FROM record_stream WHERE record_stream.id = stream) > 0"
    } else {
        "AND ?6 IS NULL"
    };
    format!(
        "SELECT end_time, id, kind, stream FROM record INDEXED BY {index}
         WHERE {key} AND end_time >= ?2 AND end_time <= ?3 AND (end_time < ?3 OR id < ?4) {containing}
         ORDER BY end_time DESC, id DESC LIMIT ?5"
    )
}

impl<'a> Lanes<'a> {
    /// Records of `kinds` (of all, if absent) and `streams`, that ended at `start` or later and stand after `before`.
    pub(super) fn new(
        reading: &'a Reading<'a>,
        kinds: Option<&'a HashMap<i64, Kind>>,
        streams: &'a Streams,
        start: UnixSeconds,
        before: Cursor,
    ) -> rusqlite::Result<Self> {
        let (index, keys) = match (streams, kinds) {
            (Streams::These(ids), _) => ("record_by_stream", ids.clone()),
            (_, Some(kinds)) if kinds.len() <= LANES as usize => ("record_by_kind", kinds.keys().copied().collect()),
            _ => ("record_end", vec![0]),
        };
        let containing = if let Streams::Containing(part) = streams { Some(part.as_str()) } else { None };
        let lane = |key| Lane { key, read: VecDeque::new(), chunk: 1, before };
        let mut lanes = Self {
            reading,
            statement: reading.books.prepare_cached(&sql(index, containing.is_some()))?,
            start,
            containing,
            kinds,
            all: keys.into_iter().map(lane).collect(),
            heads: BinaryHeap::new(),
        };
        if lanes.all.len() == 1 {
            lanes.all[0].chunk = CHUNK / 4;
        }
        for lane in 0..lanes.all.len() {
            lanes.refill(lane)?;
        }
        Ok(lanes)
    }

    /// The next record, if there is one.
    pub(super) fn next(&mut self) -> rusqlite::Result<Option<Entry>> {
        while let Some((_, lane)) = self.heads.pop() {
            let entry = self.all[lane].read.pop_front();
            match self.all[lane].read.front() {
                Some(head) => self.heads.push((head.at, lane)),
                None => self.refill(lane)?,
            }
            let entry = entry.filter(|entry| self.kinds.is_none_or(|kinds| kinds.contains_key(&entry.kind)));
            if entry.is_some() {
                return Ok(entry);
            }
        }
        Ok(None)
    }

    /// Reads more of a lane that has nothing left to give.
    fn refill(&mut self, number: usize) -> rusqlite::Result<()> {
        let lane = &mut self.all[number];
        if lane.chunk == 0 {
            return Ok(());
        }
        self.reading.deadline.check()?;
        let Cursor { end, id } = lane.before;
        let part = self.containing.map(str::as_bytes);
        let mut rows = self.statement.query(params![lane.key, self.start, end, id, lane.chunk, part])?;
        while let Some(row) = rows.next()? {
            let at = Cursor { end: row.get(0)?, id: row.get(1)? };
            lane.read.push_back(Entry { at, kind: row.get(2)?, stream: row.get(3)? });
        }
        lane.chunk = if lane.read.len() < lane.chunk as usize { 0 } else { (lane.chunk * 8).min(CHUNK) };
        if let (Some(first), Some(last)) = (lane.read.front(), lane.read.back()) {
            lane.before = last.at;
            self.heads.push((first.at, number));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn no_question_sorts_or_walks_through_all_records() {
        let books = Connection::open_in_memory().unwrap();
        super::super::super::create_schema(&books).unwrap();
        let plan = |sql: &str| -> String {
            let mut statement = books.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let values = rusqlite::params_from_iter(vec![1; statement.parameter_count()]);
            let steps = statement.query_map(values, |row| row.get::<_, String>(3));
            steps.unwrap().map(Result::unwrap).collect::<Vec<_>>().join("; ")
        };
        for (index, access) in [
            ("record_end", "SEARCH record USING COVERING INDEX record_end (end_time>? AND end_time<?)"),
            (
                "record_by_kind",
                "SEARCH record USING COVERING INDEX record_by_kind (kind=? AND end_time>? AND end_time<?)",
            ),
            (
                "record_by_stream",
                "SEARCH record USING COVERING INDEX record_by_stream (stream=? AND end_time>? AND end_time<?)",
            ),
        ] {
            assert_eq!(plan(&sql(index, false)), access);
            let name = "CORRELATED SCALAR SUBQUERY 1; SEARCH record_stream USING INTEGER PRIMARY KEY (rowid=?)";
            assert_eq!(plan(&sql(index, true)), format!("{access}; {name}"));
        }
        let sums = plan("SELECT slot, kind, records FROM record_sum WHERE width = ?1 AND slot >= ?2 AND slot < ?3");
        assert_eq!(sums, "SEARCH record_sum USING PRIMARY KEY (width=? AND slot>? AND slot<?)");
    }
}
