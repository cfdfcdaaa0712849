//! What can be found wrong with a ledger that is only looked at: by SQLite, and by the sums that the ledger keeps of itself.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{check_schema, read};
use crate::clock::UnixSeconds;
use crate::ledger::{Books, LedgerError};
use crate::listing::Group;
use crate::session::{Fact, GroupKey, Name};

/// Most findings of one kind that are told one by one.
const TOLD: usize = 20;

/// What finds rows whose others are gone, and the words for one.
const LOST: [(&str, &str); 4] = [
    ("SELECT id FROM record WHERE kind NOT IN (SELECT id FROM record_kind)", "no kind for record number"),
    ("SELECT id FROM record WHERE stream NOT IN (SELECT id FROM record_stream)", "no stream for record number"),
    ("SELECT id FROM scope WHERE account NOT IN (SELECT name FROM account)", "no account for listing number"),
    ("SELECT DISTINCT scope FROM slice WHERE scope NOT IN (SELECT id FROM scope)", "no listing for slices of number"),
];

/// All findings, one line each. What one check stumbles over does not keep the others from being made.
pub(super) fn all(connection: &Connection) -> Result<Vec<String>, LedgerError> {
    let mut found = Found::default();
    found.add(pages(connection))?;
    found.add(check_schema(connection).map(|()| Vec::new()))?;
    if let Some(books) = found.or_damage(read::books_as_they_are(connection))? {
        found.add(Ok(read::unequal_sums(&books)))?;
        let mut known = BTreeMap::new();
        found.add(groups(connection, &books, &mut known))?;
        found.add(records(connection, &books, &known))?;
    }
    for (sql, words) in LOST {
        found.add(lost(connection, sql, words))?;
    }
    found.add(record_sums(connection))?;
    Ok(found.0)
}

#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    /// Adds what a check has found, the first of many.
    fn add(&mut self, findings: Result<Vec<String>, LedgerError>) -> Result<(), LedgerError> {
        let mut findings = self.or_damage(findings)?.unwrap_or_default();
        let more = findings.len().saturating_sub(TOLD);
        findings.truncate(TOLD);
        self.0.extend(findings);
        self.0.extend((more > 0).then(|| format!("and {more} more of this kind")));
        Ok(())
    }

    /// What was read; damage that it stumbled over is a finding too.
    fn or_damage<T>(&mut self, done: Result<T, LedgerError>) -> Result<Option<T>, LedgerError> {
        match done {
            Err(LedgerError::Contradiction(why)) => {
                if !self.0.contains(&why) {
                    self.0.push(why);
                }
                Ok(None)
            }
            done => done.map(Some),
        }
    }
}

fn pages(connection: &Connection) -> Result<Vec<String>, LedgerError> {
    let mut findings = Vec::new();
    read::each(connection, "PRAGMA integrity_check", |row| {
        let verdict: String = row.get(0)?;
        if verdict != "ok" {
            findings.push(format!("SQLite: {}", verdict.replace('\n', "; ")));
        }
        Ok(())
    })?;
    Ok(findings)
}

/// Groups that cannot be what was written.
fn groups(
    connection: &Connection,
    books: &Books,
    known: &mut BTreeMap<GroupKey, Group>,
) -> Result<Vec<String>, LedgerError> {
    let mut findings = Vec::new();
    read::each(connection, "SELECT key, account, last_end, accounted FROM session_group", |row| {
        let (key, account, last_end) = (GroupKey(row.get(0)?), row.get::<_, String>(1)?, row.get(2)?);
        let name = hex(key);
        match read::group(row.get_ref(3)?.as_blob()?) {
            Err(_) => findings.push(format!("group {name} of account {account:?} is cut short")),
            Ok(group) => {
                if group.last_end() != Some(last_end) {
                    findings.push(format!("group {name} of account {account:?} does not end when it says"));
                }
                known.insert(key, group);
            }
        }
        if !books.accounts.contains_key(&account) {
            findings.push(format!("group {name} is of account {account:?}, which is not in the ledger"));
        }
        Ok(())
    })?;
    Ok(findings)
}

/// Records that count and are in no group would be counted again; more of them than there are disconnects were never
/// counted.
fn records(
    connection: &Connection,
    books: &Books,
    known: &BTreeMap<GroupKey, Group>,
) -> Result<Vec<String>, LedgerError> {
    let mut findings = Vec::new();
    let sql = "SELECT session_group, fact, account, count(*) FROM record JOIN record_kind ON record_kind.id = kind
               GROUP BY session_group, fact, account";
    read::each(connection, sql, |row| {
        let (key, fact) = (GroupKey(row.get(0)?), Fact::from_bytes(row.get(1)?));
        let (account, records): (String, usize) = (row.get(2)?, row.get::<_, u32>(3)? as usize);
        let is_remembered = books.accounts.get(&account).is_some_and(|account| fact.end >= account.floor);
        let sessions = known.get(&key).map_or(0, |group| group.accounted().iter().filter(|one| **one == fact).count());
        if is_remembered && sessions < records {
            let (name, end) = (hex(key), time(fact.end));
            findings.push(format!(
                "account {account:?} has {records} record(s) of group {name} that ended at {end}, the group has {sessions}"
            ));
        }
        Ok(())
    })?;
    let sql = "SELECT domain, sum(counted) FROM record JOIN record_kind ON record_kind.id = kind GROUP BY domain";
    let mut by_domain: BTreeMap<String, u64> = BTreeMap::new();
    read::each(connection, sql, |row| {
        let label = Name::new(row.get::<_, Vec<u8>>(0)?).label(&books.key);
        *by_domain.entry(label).or_default() += u64::from(row.get::<_, u32>(1)?);
        Ok(())
    })?;
    for (domain, records) in by_domain {
        let total = books.domains.iter().find(|books| *books.name == *domain);
        let total = total.map_or(0, |books| books.total.disconnects.iter().sum());
        if records > total {
            findings.push(format!("disconnects of {domain:?}: {records} records that count, {total} counted"));
        }
    }
    Ok(findings)
}

/// Rows by number that belong to others which are not there.
fn lost(connection: &Connection, sql: &str, words: &str) -> Result<Vec<String>, LedgerError> {
    let mut findings = Vec::new();
    read::each(connection, sql, |row| {
        findings.push(format!("{words} {}", row.get::<_, i64>(0)?));
        Ok(())
    })?;
    Ok(findings)
}

/// Hours in which the records are not as many as their sum says.
fn record_sums(connection: &Connection) -> Result<Vec<String>, LedgerError> {
    let sql = "SELECT width, slot, sum(records), sum(summed) FROM (
                   SELECT 3600 AS width, end_time / 3600 AS slot, kind, count(*) AS records, 0 AS summed
                       FROM record GROUP BY 2, 3
                   UNION ALL SELECT 28800, end_time / 28800, kind, count(*), 0 FROM record GROUP BY 2, 3
                   UNION ALL SELECT width, slot, kind, 0, records FROM record_sum)
               GROUP BY width, slot, kind HAVING sum(records) <> sum(summed)";
    let mut findings = Vec::new();
    read::each(connection, sql, |row| {
        let (width, slot): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (records, summed): (i64, i64) = (row.get(2)?, row.get(3)?);
        let (from, hours) = (time(slot.saturating_mul(width)), width / 3600);
        findings.push(format!("records of the {hours} h from {from}: {records} there, {summed} by their sum"));
        Ok(())
    })?;
    Ok(findings)
}

fn hex(key: GroupKey) -> String {
    format!("{:032x}", u128::from_be_bytes(key.0))
}

fn time(at: UnixSeconds) -> String {
    jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |time| time.to_string())
}
