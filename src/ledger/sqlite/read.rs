//! From rows to books.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::{broken_or, sqlite};
use crate::clock::UnixSeconds;
use crate::ledger::{
    AccountBooks, Books, DURATION_BOUNDS, DomainBooks, DomainTotals, DurationHistogram, LedgerError, ScopeBooks,
    SeriesBooks, StreamLabels,
};
use crate::listing::{Filter, Group, SliceCount, SliceId};
use crate::reason::{Class, Reason, TABLE};
use crate::session::{Fact, GroupKey, IdentityKey, Name};

/// Those of `keys` that are there; read in one transaction, since each by itself would take the lock and leave it again.
pub(super) fn groups(connection: &mut Connection, keys: &[GroupKey]) -> Result<BTreeMap<GroupKey, Group>, LedgerError> {
    let tx = connection.transaction().map_err(sqlite("reading groups from"))?;
    let mut statement = tx
        .prepare_cached("SELECT accounted FROM session_group WHERE key = ?1")
        .map_err(sqlite("reading groups from"))?;
    let mut groups = BTreeMap::new();
    for key in keys {
        let accounted: Option<Vec<u8>> =
            statement.query_row([key.0], |row| row.get(0)).optional().map_err(sqlite("reading groups from"))?;
        if let Some(accounted) = accounted {
            groups.insert(*key, group(&accounted)?);
        }
    }
    Ok(groups)
}

/// The groups of an account whose last session ended at `since` or later.
pub(super) fn groups_of(
    connection: &Connection,
    account: &str,
    since: UnixSeconds,
) -> Result<BTreeMap<GroupKey, Group>, LedgerError> {
    let sql = "SELECT key, accounted FROM session_group WHERE account = ?1 AND last_end >= ?2";
    let mut groups = BTreeMap::new();
    let mut statement = connection.prepare(sql).map_err(broken_or("reading groups from"))?;
    let mut rows = statement.query((account, since)).map_err(broken_or("reading groups from"))?;
    while let Some(row) = rows.next().map_err(broken_or("reading groups from"))? {
        let read = || Ok::<_, rusqlite::Error>((GroupKey(row.get(0)?), row.get::<_, Vec<u8>>(1)?));
        let (key, accounted) = read().map_err(broken_or("reading groups from"))?;
        groups.insert(key, group(&accounted)?);
    }
    Ok(groups)
}

pub(super) fn group(accounted: &[u8]) -> Result<Group, LedgerError> {
    let (facts, rest) = accounted.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(LedgerError::Contradiction("a group is cut short".into()));
    }
    Ok(Group::new(facts.iter().copied().map(Fact::from_bytes).collect()))
}

pub(super) fn books(connection: &Connection) -> Result<Books, LedgerError> {
    let books = books_as_they_are(connection)?;
    match unequal_sums(&books).into_iter().next() {
        Some(unequal) => Err(LedgerError::Contradiction(unequal)),
        None => Ok(books),
    }
}

/// The books, whatever their sums come to.
pub(super) fn books_as_they_are(connection: &Connection) -> Result<Books, LedgerError> {
    Ok(Books {
        key: key(connection).map_err(broken_or("reading the key of"))?,
        accounts: accounts(connection)?,
        series: series(connection)?,
        domains: domains(connection)?,
    })
}

/// The key of the ledger's hashes.
pub(super) fn key(connection: &Connection) -> rusqlite::Result<IdentityKey> {
    let key = |row: &Row<'_>| Ok(IdentityKey::new(row.get(0)?).with_order_since(row.get(1)?));
    connection.query_row("SELECT bytes, ordered_since FROM ledger_key", [], key)
}

/// What is written together must come to the same, domain by domain and reason by reason: pages have no checksums, and
/// this is what tells a total, a reason or a domain that has become another by itself. Returns what does not.
pub(super) fn unequal_sums(books: &Books) -> Vec<String> {
    let mut by_stream: BTreeMap<(&str, Reason), [u64; 2]> = BTreeMap::new();
    for series in &books.series {
        let [total, baseline] = by_stream.entry((&series.labels.domain, series.labels.reason)).or_default();
        *total += series.total;
        *baseline += series.baseline;
    }
    let mut wrong = Vec::new();
    for domain in &books.domains {
        for entry in &TABLE {
            let reason = entry.reason as usize;
            let by_reason = [domain.total.disconnects[reason], domain.baseline.disconnects[reason]];
            let excluded = [domain.total.excluded[reason], domain.baseline.excluded[reason]];
            let by_stream = by_stream.remove(&(&*domain.name, entry.reason)).unwrap_or_default();
            let by_stream = [by_stream[0] + excluded[0], by_stream[1] + excluded[1]];
            if by_stream != by_reason {
                wrong.push(unequal(&domain.name, &by_stream, "by stream or excluded", &by_reason, entry.name));
            }
        }
        for totals in [&domain.total, &domain.baseline] {
            let by_reason: u64 = totals.disconnects.iter().sum();
            let by_duration: u64 = totals.durations.iter().map(DurationHistogram::count).sum();
            if by_duration != by_reason {
                wrong.push(unequal(&domain.name, &by_duration, "by duration", &by_reason, "by reason"));
            }
        }
    }
    let of_no_domain = by_stream
        .into_iter()
        .map(|((domain, reason), sums)| unequal(domain, &sums, "by stream", &[0, 0], reason.as_str()));
    wrong.extend(of_no_domain);
    wrong
}

fn unequal<T: std::fmt::Debug>(domain: &str, one: &T, of: &str, other: &T, of_other: &str) -> String {
    format!("disconnects of {domain:?}: {one:?} {of}, {other:?} {of_other}")
}

pub(super) fn accounts(connection: &Connection) -> Result<BTreeMap<String, AccountBooks>, LedgerError> {
    let mut accounts = BTreeMap::new();
    each(connection, "SELECT name, first_start, counting_since, floor, published FROM account", |row| {
        let books = AccountBooks {
            first_start: row.get(1)?,
            counting_since: row.get(2)?,
            floor: row.get(3)?,
            published: row.get(4)?,
            scopes: BTreeMap::new(),
        };
        accounts.insert(row.get(0)?, books);
        Ok(())
    })?;
    let mut slices: HashMap<i64, Vec<(SliceId, SliceCount)>> = HashMap::new();
    each(connection, "SELECT scope, level, slice_index, total, restless FROM slice", |row| {
        let id = SliceId { level: row.get(1)?, index: row.get(2)? };
        let count = SliceCount { total: unsigned(row, 3)?, restless: row.get(4)? };
        slices.entry(row.get(0)?).or_default().push((id, count));
        Ok(())
    })?;
    each(connection, "SELECT id, account, domain, app, watermark FROM scope", |row| {
        let name = |at| Ok::<_, rusqlite::Error>(row.get::<_, Option<Vec<u8>>>(at)?.map(Name::new));
        let filter = Filter { domain: name(2)?, app: name(3)?, stream: None };
        let slices = slices.remove(&row.get(0)?).unwrap_or_default().into_iter().collect();
        if let Some(account) = accounts.get_mut(&row.get::<_, String>(1)?) {
            account.scopes.insert(filter, ScopeBooks { watermark: row.get(4)?, slices });
        }
        Ok(())
    })?;
    Ok(accounts)
}

fn series(connection: &Connection) -> Result<Vec<SeriesBooks>, LedgerError> {
    let mut shared = Shared::default();
    let mut series = Vec::new();
    let sql = "SELECT id, domain, app, stream, reason, created, total, baseline, held, returned_at, active_at
               FROM series ORDER BY id";
    each(connection, sql, |row| {
        in_sequence(row, series.len())?;
        let labels = StreamLabels {
            domain: shared.text(row, 1)?,
            app: shared.text(row, 2)?,
            stream: row.get(3)?,
            reason: reason(row, 4)?,
        };
        series.push(SeriesBooks {
            labels,
            created: row.get(5)?,
            total: unsigned(row, 6)?,
            baseline: unsigned(row, 7)?,
            held: row.get(8)?,
            returned_at: row.get::<_, Option<i64>>(9)?.map(|_| unsigned(row, 9)).transpose()?,
            active_at: row.get(10)?,
        });
        Ok(())
    })?;
    Ok(series)
}

fn domains(connection: &Connection) -> Result<Vec<DomainBooks>, LedgerError> {
    let mut domains: Vec<DomainBooks> = Vec::new();
    each(connection, "SELECT id, name, account, created, held FROM domain ORDER BY id", |row| {
        in_sequence(row, domains.len())?;
        domains.push(DomainBooks {
            name: row.get(1)?,
            account: row.get(2)?,
            created: row.get(3)?,
            held: row.get(4)?,
            total: DomainTotals::default(),
            baseline: DomainTotals::default(),
            last_end: [None; Class::ALL.len()],
        });
        Ok(())
    })?;
    each(connection, "SELECT domain, reason, total, baseline FROM domain_reason", |row| {
        let (domain, reason) = (known(&mut domains, row)?, reason(row, 1)? as usize);
        // A name that has left the taxonomy joins `unmapped`, and may not be alone there.
        domain.total.disconnects[reason] += unsigned(row, 2)?;
        domain.baseline.disconnects[reason] += unsigned(row, 3)?;
        Ok(())
    })?;
    each(connection, "SELECT domain, reason, total, baseline FROM domain_excluded", |row| {
        let (domain, reason) = (known(&mut domains, row)?, reason(row, 1)? as usize);
        domain.total.excluded[reason] += unsigned(row, 2)?;
        domain.baseline.excluded[reason] += unsigned(row, 3)?;
        Ok(())
    })?;
    each(connection, "SELECT domain, class, seconds, baseline_seconds, last_end FROM domain_class", |row| {
        let (domain, class) = (known(&mut domains, row)?, class(row, 1)? as usize);
        domain.total.durations[class].sum += unsigned(row, 2)?;
        domain.baseline.durations[class].sum += unsigned(row, 3)?;
        domain.last_end[class] = domain.last_end[class].max(Some(row.get(4)?));
        Ok(())
    })?;
    each(connection, "SELECT domain, class, up_to, sessions, baseline_sessions FROM domain_duration", |row| {
        let (domain, class) = (known(&mut domains, row)?, class(row, 1)? as usize);
        let up_to: i64 = row.get(2)?;
        let fits = |bound: &u64| u64::try_from(up_to).is_ok_and(|up_to| up_to <= *bound);
        let bucket = DURATION_BOUNDS.iter().position(fits).unwrap_or(DURATION_BOUNDS.len());
        domain.total.durations[class].buckets[bucket] += unsigned(row, 3)?;
        domain.baseline.durations[class].buckets[bucket] += unsigned(row, 4)?;
        Ok(())
    })?;
    Ok(domains)
}

/// Domains and apps are few and every series has one.
#[derive(Default)]
struct Shared(HashSet<Arc<str>>);

impl Shared {
    fn text(&mut self, row: &Row<'_>, at: usize) -> rusqlite::Result<Arc<str>> {
        let text = row.get_ref(at)?.as_str()?;
        if let Some(known) = self.0.get(text) {
            return Ok(Arc::clone(known));
        }
        let new: Arc<str> = text.into();
        self.0.insert(Arc::clone(&new));
        Ok(new)
    }
}

pub(super) fn each(
    connection: &Connection,
    sql: &str,
    mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> Result<(), LedgerError> {
    let mut walk = || {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
        Ok(())
    };
    walk().map_err(|error| match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => LedgerError::Contradiction(error.to_string()),
        error => broken_or("reading")(error),
    })
}

fn in_sequence(row: &Row<'_>, expected: usize) -> rusqlite::Result<()> {
    let id: i64 = row.get(0)?;
    if usize::try_from(id) == Ok(expected) { Ok(()) } else { Err(rusqlite::Error::IntegralValueOutOfRange(0, id)) }
}

fn known<'a>(domains: &'a mut [DomainBooks], row: &Row<'_>) -> rusqlite::Result<&'a mut DomainBooks> {
    let id: i64 = row.get(0)?;
    let place = usize::try_from(id).unwrap_or(usize::MAX);
    domains.get_mut(place).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, id))
}

fn reason(row: &Row<'_>, at: usize) -> rusqlite::Result<Reason> {
    Ok(Reason::from_name(row.get_ref(at)?.as_str()?).unwrap_or(Reason::Unmapped))
}

fn class(row: &Row<'_>, at: usize) -> rusqlite::Result<Class> {
    let name = row.get_ref(at)?.as_str()?;
    Ok(Class::ALL.into_iter().find(|class| class.as_str() == name).unwrap_or(Class::Unknown))
}

fn unsigned(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(at)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, value))
}
