//! From the words of a filter to kinds and streams, and from those back to words.

use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, Row};

use super::lanes::LANES;
use super::{Reading, cut_off};
use crate::ledger::{RecordFilter, StreamMatch};
use crate::reason::Reason;
use crate::session::{IdentityKey, Name};

/// Most kinds to choose from: strangers may invent apps, and what is chosen from is in memory.
const KINDS: u32 = 100_000;

/// What a record has in common with many.
pub(super) struct Kind {
    pub(super) account: String,
    pub(super) domain: Name,
    pub(super) app: Name,
    pub(super) reason_text: String,
    pub(super) reason: Reason,
}

/// The streams that a filter names.
pub(super) enum Streams {
    All,
    These(Vec<i64>),
    /// More than there are lanes for: all whose name contains this.
    Containing(String),
}

/// Whether `filter` is about kinds at all.
pub(super) fn is_about_kinds(filter: &RecordFilter) -> bool {
    filter.domain.is_some() || filter.app.is_some() || filter.reason.is_some() || filter.class.is_some()
}

/// The kinds that `filter` lets through.
pub(super) fn kinds(reading: &Reading<'_>, filter: &RecordFilter) -> rusqlite::Result<HashMap<i64, Kind>> {
    let sql = "SELECT id, account, domain, app, reason_text FROM record_kind
               WHERE (?1 IS NULL OR domain = ?1) AND (?2 IS NULL OR app = ?2)";
    let mut statement = reading.books.prepare(sql)?;
    // What is marked may be the label of another name, and is compared below.
    let plain =
        |name: &Option<String>| name.as_ref().filter(|name| !is_marked(name)).map(|name| name.clone().into_bytes());
    let mut rows = statement.query((plain(&filter.domain), plain(&filter.app)))?;
    let mut read = 0;
    let mut reasons: HashMap<String, Reason> = HashMap::new();
    let mut kinds = HashMap::new();
    while let Some(row) = rows.next()? {
        read += 1;
        if read > KINDS {
            return Err(cut_off());
        }
        let kind = kind(row, |text| match reasons.get(text) {
            Some(reason) => *reason,
            None => *reasons.entry(text.to_owned()).or_insert(reading.classifier.classify(text)),
        })?;
        let fits = filter.reason.is_none_or(|reason| reason == kind.reason)
            && filter.class.is_none_or(|class| class == kind.reason.class())
            && filter.domain.as_ref().is_none_or(|domain| is_called(&kind.domain, domain, &reading.key))
            && filter.app.as_ref().is_none_or(|app| is_called(&kind.app, app, &reading.key));
        if fits {
            kinds.insert(row.get(0)?, kind);
        }
    }
    Ok(kinds)
}

/// The kind of that number.
pub(super) fn kind_by_id(reading: &Reading<'_>, id: i64) -> rusqlite::Result<Kind> {
    let sql = "SELECT id, account, domain, app, reason_text FROM record_kind WHERE id = ?1";
    let classify = |text: &str| reading.classifier.classify(text);
    reading.books.prepare_cached(sql)?.query_row([id], |row| kind(row, classify))
}

fn kind(row: &Row<'_>, classify: impl FnOnce(&str) -> Reason) -> rusqlite::Result<Kind> {
    let reason_text: String = row.get(4)?;
    Ok(Kind {
        account: row.get(1)?,
        domain: Name::new(row.get::<_, Vec<u8>>(2)?),
        app: Name::new(row.get::<_, Vec<u8>>(3)?),
        reason: classify(&reason_text),
        reason_text,
    })
}

/// The streams that `filter` lets through.
pub(super) fn streams(reading: &Reading<'_>, filter: &RecordFilter) -> rusqlite::Result<Streams> {
    let books = &reading.books;
    match &filter.stream {
        None => Ok(Streams::All),
        Some((part, StreamMatch::Contains)) if part.is_empty() => Ok(Streams::All),
        Some((part, StreamMatch::Contains)) => {
            let mut statement = books.prepare("SELECT id FROM record_stream WHERE instr(name, ?1) LIMIT ?2")?;
            let ids = statement.query_map((part.as_bytes(), LANES + 1), |row| row.get(0))?;
            let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
            Ok(if ids.len() > LANES as usize { Streams::Containing(part.clone()) } else { Streams::These(ids) })
        }
        Some((name, StreamMatch::Exact)) => {
            let sql = "SELECT id FROM record_stream WHERE name = ?1";
            let mut ids: Vec<i64> =
                books.query_row(sql, [name.as_bytes()], |row| row.get(0)).optional()?.into_iter().collect();
            if is_marked(name) {
                let mut statement = books.prepare("SELECT id, name FROM record_stream")?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    if Name::new(row.get_ref(1)?.as_blob()?).label(&reading.key) == *name {
                        ids.push(row.get(0)?);
                    }
                }
                ids.sort_unstable();
                ids.dedup();
            }
            Ok(Streams::These(ids))
        }
    }
}

/// The stream of that number, to be shown.
pub(super) fn stream_by_id(reading: &Reading<'_>, id: i64) -> rusqlite::Result<String> {
    let name = |row: &Row<'_>| Ok(Name::new(row.get_ref(0)?.as_blob()?));
    let found = reading.books.prepare_cached("SELECT name FROM record_stream WHERE id = ?1")?.query_row([id], name)?;
    Ok(shown(&found, &reading.key))
}

/// A name to be shown: whole where it is UTF-8.
pub(super) fn shown(name: &Name, key: &IdentityKey) -> String {
    str::from_utf8(name.as_bytes()).map_or_else(|_| name.label(key), str::to_owned)
}

fn is_called(name: &Name, wanted: &str, key: &IdentityKey) -> bool {
    name.as_bytes() == wanted.as_bytes() || (is_marked(wanted) && name.label(key) == wanted)
}

/// Whether a text looks like the label of a name that had to be cut or cleaned.
fn is_marked(text: &str) -> bool {
    let mark = text.rsplit_once('~').map_or("", |(_, mark)| mark);
    mark.len() == 8 && mark.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::ledger::{LedgerError, RecordQuery, SqliteLedger};
    use crate::reason::Classifier;

    #[test]
    fn a_flood_of_invented_apps_takes_no_memory_and_leaves_the_other_domains_to_be_asked_about() {
        let mut ledger = SqliteLedger::in_memory().unwrap();
        let flood = format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n <= {KINDS})
             INSERT INTO record_kind (account, domain, app, reason_text)
             SELECT 'main', CAST('flooded' AS BLOB), CAST(n AS BLOB), '' FROM numbers"
        );
        ledger.with(|books| Ok(books.execute(&flood, []).unwrap())).unwrap();
        let records = ledger.records(Classifier::new(&[]), Arc::new(SystemClock::new()));
        let records = records.patience(std::time::Duration::from_secs(60));
        let ask = |domain: Option<&str>, reason| {
            let filter = RecordFilter { domain: domain.map(str::to_owned), reason, ..RecordFilter::default() };
            records.page(&RecordQuery { filter, limit: 1, ..RecordQuery::default() }).map(|page| page.disconnects.len())
        };
        assert!(matches!(ask(Some("flooded"), None), Err(LedgerError::TooSlow)));
        assert!(matches!(ask(None, Some(Reason::Unmapped)), Err(LedgerError::TooSlow)));
        assert_eq!((ask(Some("other"), None).unwrap(), ask(None, None).unwrap()), (0, 0));
    }
}
