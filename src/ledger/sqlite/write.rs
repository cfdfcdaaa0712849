//! From a posting to rows, in one transaction.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, ToSql, Transaction, TransactionBehavior, params};

use super::sqlite;
use crate::clock::UnixSeconds;
use crate::ledger::{DURATION_BOUNDS, DomainAdd, LedgerError, Posting, Record, Revision, ScopeProgress, SeriesAdd};
use crate::listing::{CORRECTION_SECONDS, Filter, Group};
use crate::session::{Name, PushSession};

/// Seconds of the spans in which records are summed up.
const SUM_WIDTHS: [i64; 2] = [3600, 28_800];

pub(super) fn posting(connection: &mut Connection, posting: &Posting) -> Result<(), LedgerError> {
    let write = || {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        rows(&tx, posting)?;
        tx.commit()
    };
    let mut write = write;
    write().map_err(sqlite("writing"))
}

fn rows(tx: &Transaction<'_>, posting: &Posting) -> rusqlite::Result<()> {
    if let Some(account) = &posting.new_account {
        tx.execute(
            "INSERT INTO account (name, first_start, counting_since, floor) VALUES (?1, ?2, ?3, ?4)",
            params![account.name, account.first_start, account.counting_since, account.floor],
        )?;
    }
    groups(tx, posting)?;
    records(tx, &posting.records)?;
    for revision in &posting.revisions {
        revise(tx, revision)?;
    }
    for add in &posting.series {
        series(tx, add, posting.at)?;
    }
    for add in &posting.domains {
        domain(tx, add)?;
    }
    release(tx, posting)?;
    if let Some(progress) = &posting.progress {
        scope(tx, progress)?;
    }
    if let Some((account, floor)) = &posting.floor {
        forget(tx, account, *floor)?;
    }
    if let Some(until) = posting.records_until {
        tx.execute("DELETE FROM record WHERE end_time < ?1", [until])?;
    }
    Ok(())
}

fn groups(tx: &Transaction<'_>, posting: &Posting) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO session_group (key, account, last_end, accounted) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (key) DO UPDATE SET last_end = excluded.last_end, accounted = excluded.accounted",
    )?;
    for (key, account, group) in &posting.groups {
        statement.execute(params![key.0, account, group.last_end(), accounted(group)])?;
    }
    Ok(())
}

fn accounted(group: &Group) -> Vec<u8> {
    group.accounted().iter().flat_map(|fact| fact.to_bytes()).collect()
}

/// Adds records, and to how many there are by hour, by third of a day and by kind: once for all that ended together.
fn records(tx: &Transaction<'_>, records: &[Record]) -> rusqlite::Result<()> {
    let mut sums: BTreeMap<(i64, i64, i64), i64> = BTreeMap::new();
    // Few kinds, many records of each.
    let mut kinds = BTreeMap::new();
    for record in records {
        let (account, session) = (record.account.as_str(), &record.session);
        let names = (account, &session.domain, &session.app, session.reason_text.as_str());
        let kind = match kinds.get(&names) {
            Some(kind) => *kind,
            None => *kinds.entry(names).or_insert(kind(tx, account, session)?),
        };
        new_record(tx, record, kind)?;
        for width in SUM_WIDTHS {
            *sums.entry((width, record.session.end / width, kind)).or_default() += 1;
        }
    }
    for ((width, slot, kind), records) in sums {
        tx.prepare_cached(
            "INSERT INTO record_sum (width, slot, kind, records) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (width, slot, kind) DO UPDATE SET records = records + excluded.records",
        )?
        .execute(params![width, slot, kind, records])?;
    }
    Ok(())
}

fn new_record(tx: &Transaction<'_>, record: &Record, kind: i64) -> rusqlite::Result<()> {
    let session = &record.session;
    let stream = stream(tx, &session.stream)?;
    tx.prepare_cached(
        "INSERT INTO record (kind, stream, end_time, start_time, duration, first_seen, counted, client_ip, resolution,
                             session_group, fact)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        kind,
        stream,
        session.end,
        session.start,
        session.duration.map(signed),
        record.first_seen,
        record.counted,
        session.client_ip,
        session.resolution,
        record.group.0,
        record.fact.to_bytes(),
    ])?;
    Ok(())
}

fn revise(tx: &Transaction<'_>, revision: &Revision) -> rusqlite::Result<()> {
    let session = &revision.session;
    let known: Option<(i64, String)> = tx
        .prepare_cached(
            "SELECT record.id, account FROM record JOIN record_kind ON record_kind.id = kind
             WHERE end_time = ?1 AND session_group = ?2 AND fact = ?3 LIMIT 1",
        )?
        .query_row(params![revision.old.end, revision.group.0, revision.old.to_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    // Its retention may be over.
    let Some((id, account)) = known else { return Ok(()) };
    tx.prepare_cached(
        "UPDATE record SET kind = ?1, fact = ?2, end_time = ?3, client_ip = ?4, duration = ?5, resolution = ?6
         WHERE id = ?7",
    )?
    .execute(params![
        kind(tx, &account, session)?,
        revision.new.to_bytes(),
        session.end,
        session.client_ip,
        session.duration.map(signed),
        session.resolution,
        id,
    ])?;
    Ok(())
}

/// What a record has in common with many.
fn kind(tx: &Transaction<'_>, account: &str, session: &PushSession) -> rusqlite::Result<i64> {
    let values = params![account, session.domain.as_bytes(), session.app.as_bytes(), session.reason_text];
    let known = "SELECT id FROM record_kind WHERE account = ?1 AND domain = ?2 AND app = ?3 AND reason_text = ?4";
    let new = "INSERT INTO record_kind (account, domain, app, reason_text) VALUES (?1, ?2, ?3, ?4)";
    known_or_new(tx, known, new, values)
}

fn stream(tx: &Transaction<'_>, name: &Name) -> rusqlite::Result<i64> {
    let new = "INSERT INTO record_stream (name) VALUES (?1)";
    known_or_new(tx, "SELECT id FROM record_stream WHERE name = ?1", new, params![name.as_bytes()])
}

fn known_or_new(tx: &Transaction<'_>, known: &str, new: &str, values: &[&dyn ToSql]) -> rusqlite::Result<i64> {
    let id = tx.prepare_cached(known)?.query_row(values, |row| row.get(0)).optional()?;
    match id {
        Some(id) => Ok(id),
        None => tx.prepare_cached(new)?.insert(values),
    }
}

fn series(tx: &Transaction<'_>, add: &SeriesAdd, at: UnixSeconds) -> rusqlite::Result<()> {
    let Some(new) = &add.new else {
        if add.returns {
            tx.prepare_cached("UPDATE series SET held = 1, returned_at = total WHERE id = ?1")?.execute([add.id])?;
        }
        tx.prepare_cached(
            "UPDATE series SET total = total + ?2, baseline = baseline + ?3, active_at = ?4 WHERE id = ?1",
        )?
        .execute(params![add.id, signed(add.total), signed(add.baseline), at])?;
        return Ok(());
    };
    let labels = &new.labels;
    tx.prepare_cached(
        "INSERT INTO series (id, domain, app, stream, reason, created, total, baseline, held, active_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9)",
    )?
    .execute(params![
        add.id,
        labels.domain,
        labels.app,
        labels.stream,
        labels.reason.as_str(),
        new.created,
        signed(add.total),
        signed(add.baseline),
        at,
    ])?;
    Ok(())
}

fn domain(tx: &Transaction<'_>, add: &DomainAdd) -> rusqlite::Result<()> {
    if let Some(new) = &add.new {
        tx.execute(
            "INSERT INTO domain (id, name, account, created, held) VALUES (?1, ?2, ?3, ?4, 1)",
            params![add.id, new.name, new.account, new.created],
        )?;
    }
    for (reason, total) in &add.disconnects {
        let baseline = add.baseline_disconnects.get(reason).copied().unwrap_or(0);
        tx.prepare_cached(
            "INSERT INTO domain_reason (domain, reason, total, baseline) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (domain, reason)
             DO UPDATE SET total = total + excluded.total, baseline = baseline + excluded.baseline",
        )?
        .execute(params![add.id, reason.as_str(), signed(*total), signed(baseline)])?;
    }
    for (reason, total) in &add.excluded {
        let baseline = add.baseline_excluded.get(reason).copied().unwrap_or(0);
        tx.prepare_cached(
            "INSERT INTO domain_excluded (domain, reason, total, baseline) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (domain, reason)
             DO UPDATE SET total = total + excluded.total, baseline = baseline + excluded.baseline",
        )?
        .execute(params![add.id, reason.as_str(), signed(*total), signed(baseline)])?;
    }
    for (class, class_add) in &add.classes {
        let baseline = add.baseline_classes.get(class).copied().unwrap_or_default();
        tx.prepare_cached(
            "INSERT INTO domain_class (domain, class, seconds, baseline_seconds, last_end) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (domain, class)
             DO UPDATE SET seconds = seconds + excluded.seconds,
                           baseline_seconds = baseline_seconds + excluded.baseline_seconds,
                           last_end = max(last_end, excluded.last_end)",
        )?
        .execute(params![
            add.id,
            class.as_str(),
            signed(class_add.durations.sum),
            signed(baseline.sum),
            class_add.last_end
        ])?;
        for (bucket, sessions) in class_add.durations.buckets.iter().enumerate().filter(|(_, sessions)| **sessions > 0)
        {
            let up_to = DURATION_BOUNDS.get(bucket).map_or(-1, |bound| signed(*bound));
            tx.prepare_cached(
                "INSERT INTO domain_duration (domain, class, up_to, sessions, baseline_sessions)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (domain, class, up_to)
                 DO UPDATE SET sessions = sessions + excluded.sessions,
                               baseline_sessions = baseline_sessions + excluded.baseline_sessions",
            )?
            .execute(params![
                add.id,
                class.as_str(),
                up_to,
                signed(*sessions),
                signed(baseline.buckets[bucket])
            ])?;
        }
    }
    Ok(())
}

fn release(tx: &Transaction<'_>, posting: &Posting) -> rusqlite::Result<()> {
    for id in &posting.release.series {
        tx.prepare_cached("UPDATE series SET held = 0, returned_at = NULL, active_at = ?2 WHERE id = ?1")?
            .execute(params![id, posting.at])?;
    }
    for id in &posting.release.domains {
        tx.prepare_cached("UPDATE domain SET held = 0 WHERE id = ?1")?.execute([id])?;
    }
    for name in &posting.release.accounts {
        tx.prepare_cached("UPDATE account SET published = 1 WHERE name = ?1")?.execute([name])?;
    }
    Ok(())
}

fn scope(tx: &Transaction<'_>, scope: &ScopeProgress) -> rusqlite::Result<()> {
    let Filter { domain, app, .. } = &scope.scope;
    let bytes = |name: &Option<Name>| name.as_ref().map(|name| name.as_bytes().to_vec());
    let id: i64 = tx
        .prepare_cached(
            "INSERT INTO scope (account, domain, app, watermark) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (account, ifnull(domain, 0), ifnull(app, 0))
             DO UPDATE SET watermark = max(ifnull(watermark, excluded.watermark), ifnull(excluded.watermark, watermark))
             RETURNING id",
        )?
        .query_row(params![scope.account, bytes(domain), bytes(app), scope.progress.reached], |row| row.get(0))?;
    for (slice, count) in &scope.progress.remember {
        tx.prepare_cached(
            "INSERT OR REPLACE INTO slice (scope, level, slice_index, total, restless) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![id, slice.level, slice.index, signed(count.total), count.restless])?;
    }
    for slice in &scope.progress.forget {
        tx.prepare_cached("DELETE FROM slice WHERE scope = ?1 AND level = ?2 AND slice_index = ?3")?
            .execute(params![id, slice.level, slice.index])?;
    }
    Ok(())
}

fn forget(tx: &Transaction<'_>, account: &str, floor: UnixSeconds) -> rusqlite::Result<()> {
    tx.execute("UPDATE account SET floor = max(floor, ?2) WHERE name = ?1", params![account, floor])?;
    let forgotten = floor.saturating_sub(CORRECTION_SECONDS);
    tx.execute("DELETE FROM session_group WHERE account = ?1 AND last_end < ?2", params![account, forgotten])?;
    tx.execute(
        "DELETE FROM slice WHERE scope IN (SELECT id FROM scope WHERE account = ?1)
                             AND (slice_index << level) + (1 << level) <= ?2",
        params![account, floor],
    )?;
    Ok(())
}

/// SQLite's integers are signed; a counter that ran past 2^63 stays there.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
