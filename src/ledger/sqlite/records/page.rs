//! A page of records.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};

use super::Reading;
use super::lanes::{Entry, Lanes};
use super::names::{self, Kind};
use crate::ledger::{Cursor, Disconnect, PAGE_RECORDS, RecordPage, RecordQuery};

/// Once the texts of a page come to more than this in bytes, it ends: strangers choose the names.
const PAGE_BYTES: usize = 2 << 20;

pub(super) fn page(reading: &Reading<'_>, query: &RecordQuery) -> rusqlite::Result<RecordPage> {
    let kinds = if names::is_about_kinds(&query.filter) { Some(names::kinds(reading, &query.filter)?) } else { None };
    let streams = names::streams(reading, &query.filter)?;
    let newest = Cursor { end: query.end.unwrap_or(i64::MAX), id: i64::MAX };
    let before = query.cursor.map_or(newest, |cursor| cursor.min(newest));
    let mut lanes = Lanes::new(reading, kinds.as_ref(), &streams, query.start.unwrap_or(i64::MIN), before)?;
    let limit = query.limit.clamp(1, PAGE_RECORDS);
    let mut entries = Vec::new();
    while entries.len() <= limit {
        let Some(entry) = lanes.next()? else { break };
        entries.push(entry);
    }
    drop(lanes);
    let mut words = Words { kinds: kinds.unwrap_or_default(), streams: HashMap::new() };
    let mut page = RecordPage { disconnects: Vec::new(), next_cursor: None };
    let mut bytes = 0;
    for (number, entry) in entries.iter().enumerate() {
        if number == limit || bytes > PAGE_BYTES {
            page.next_cursor = entries.get(number.saturating_sub(1)).map(|last| last.at);
            break;
        }
        let disconnect = words.disconnect(reading, entry)?;
        bytes +=
            disconnect.domain.len() + disconnect.app.len() + disconnect.stream.len() + disconnect.reason_text.len();
        page.disconnects.push(disconnect);
    }
    Ok(page)
}

/// What was looked up already.
struct Words {
    kinds: HashMap<i64, Kind>,
    streams: HashMap<i64, String>,
}

impl Words {
    fn disconnect(&mut self, reading: &Reading<'_>, entry: &Entry) -> rusqlite::Result<Disconnect> {
        let kind = match self.kinds.entry(entry.kind) {
            Occupied(known) => known.into_mut(),
            Vacant(new) => new.insert(names::kind_by_id(reading, entry.kind)?),
        };
        let stream = match self.streams.entry(entry.stream) {
            Occupied(known) => known.into_mut(),
            Vacant(new) => new.insert(names::stream_by_id(reading, entry.stream)?),
        };
        let sql = "SELECT start_time, duration, client_ip, resolution, first_seen, counted FROM record WHERE id = ?1";
        reading.books.prepare_cached(sql)?.query_row([entry.at.id], |row| {
            let start: i64 = row.get(0)?;
            let lasted = row.get::<_, Option<i64>>(1)?.unwrap_or(entry.at.end.saturating_sub(start));
            Ok(Disconnect {
                account: kind.account.clone(),
                domain: names::shown(&kind.domain, &reading.key),
                app: names::shown(&kind.app, &reading.key),
                stream: stream.clone(),
                start,
                end: entry.at.end,
                duration: u64::try_from(lasted).unwrap_or(0),
                client_ip: row.get(2)?,
                reason: kind.reason,
                class: kind.reason.class(),
                reason_text: kind.reason_text.clone(),
                resolution: row.get(3)?,
                first_seen: row.get(4)?,
                counted: row.get(5)?,
            })
        })
    }
}
