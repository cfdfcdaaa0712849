//! The books: what is posted is read back, what cannot be used is said and kept, and nobody else gets in.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tencent_live_exporter::clock::{Clock as _, SystemClock};
use tencent_live_exporter::ledger::{
    AccountBooks, Books, ClassAdd, DomainAdd, DomainBooks, DomainTotals, DurationHistogram, Ledger as _, LedgerError,
    NewAccount, NewDomain, NewSeries, Posting, Record, RecordQuery, Release, Revision, ScopeBooks, ScopeProgress,
    SeriesAdd, SeriesBooks, SqliteLedger, StreamLabels,
};
use tencent_live_exporter::listing::{Filter, Group, Progress, SliceCount, SliceId};
use tencent_live_exporter::reason::{Class, Classifier, Reason, TABLE};
use tencent_live_exporter::session::{Fact, GroupKey, IdentityKey, Name, PushSession};

use crate::support::folder::Folder;
use crate::support::patience::{seen, until};
use crate::support::rig::Rig;

const LEDGER: &str = "ledger.sqlite";

fn account(name: &str) -> NewAccount {
    NewAccount { name: name.into(), first_start: 10_000, counting_since: 6_400, floor: 1_000 }
}

fn key(n: u64) -> GroupKey {
    GroupKey((u128::from(n) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_le_bytes())
}

fn fact(end: i64) -> Fact {
    Fact { end, reason: 7, address: 9 }
}

fn session(end: i64) -> PushSession {
    PushSession {
        domain: "push.example.com".into(),
        app: "live".into(),
        stream: Name::new(vec![b'r', 0xff, 0]),
        start: end - 60,
        end,
        reason_text: "推流客户端主动断流".into(),
        client_ip: "203.0.113.0/24".into(),
        duration: None,
        resolution: String::new(),
    }
}

fn record(n: u64, end: i64) -> Record {
    let session = session(end);
    Record { account: "main".into(), group: key(n), fact: fact(end), session, first_seen: end, counted: true }
}

/// A posting of `n` series with one disconnect each, and groups and records to go with them.
fn many(n: u32) -> Posting {
    let domain: std::sync::Arc<str> = "push.example.com".into();
    let reason = Reason::ClientStopped;
    let mut durations = DurationHistogram::default();
    (0..n).for_each(|_| durations.observe(60));
    let series = |id: u32| {
        let labels =
            StreamLabels { domain: domain.clone(), app: "live".into(), stream: format!("room_{id}").into(), reason };
        SeriesAdd { new: Some(NewSeries { labels, created: 6_400 }), total: 1, ..SeriesAdd::new(id) }
    };
    let posted = DomainAdd {
        id: 0,
        new: Some(NewDomain { name: domain.clone(), account: "main".into(), created: 6_400 }),
        disconnects: BTreeMap::from([(reason, u64::from(n))]),
        classes: BTreeMap::from([(reason.class(), ClassAdd { durations, last_end: 7_000 })]),
        baseline_disconnects: BTreeMap::new(),
        excluded: BTreeMap::new(),
        baseline_excluded: BTreeMap::new(),
        baseline_classes: BTreeMap::new(),
    };
    Posting {
        new_account: Some(account("main")),
        groups: (0..u64::from(n)).map(|n| (key(n), "main".into(), Group::new(vec![fact(7_000)]))).collect(),
        records: (0..u64::from(n)).map(|n| record(n, 7_000)).collect(),
        series: (0..n).map(series).collect(),
        domains: vec![posted],
        ..Posting::default()
    }
}

/// A folder with a ledger of some size in it.
fn used() -> Folder {
    let folder = Folder::new();
    let mut ledger = SqliteLedger::open(folder.path()).unwrap();
    ledger.commit(&many(400)).unwrap();
    folder
}

/// What an operator reads.
fn said(error: &LedgerError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}

/// Opens and reads, as a start does.
fn start(folder: &Path) -> Result<Books, LedgerError> {
    SqliteLedger::open(folder)?.read()
}

/// The same, at once.
fn start_promptly(folder: &Path) -> Result<Books, LedgerError> {
    let clock = SystemClock::new();
    let result = start(folder);
    assert!(clock.elapsed() < Duration::from_secs(1), "it took {:?}", clock.elapsed());
    result
}

fn total(books: &Books) -> u64 {
    books.series.iter().map(|series| series.total).sum()
}

#[test]
fn d7_two_cannot_share_a_folder_and_the_second_is_told_who_has_it() {
    let folder = Folder::new();
    let first = SqliteLedger::open(folder.path()).unwrap();
    let error = start_promptly(folder.path()).unwrap_err();
    let text = said(&error);
    assert!(matches!(error, LedgerError::InUse { .. }), "{text}");
    for part in [&*std::process::id().to_string(), folder.path().to_str().unwrap(), "--state.path"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    drop(first);
    start(folder.path()).unwrap();
}

#[test]
fn nobody_else_can_look_into_the_books() {
    let above = Folder::new();
    let folder = above.join("new").join("state");
    let mut ledger = SqliteLedger::open(&folder).unwrap();
    ledger.commit(&many(3)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert!(files >= 3, "ledger, lock and log: {files}");
}

#[test]
fn d8_the_books_of_a_newer_version_are_left_alone() {
    let folder = used();
    let file = folder.join(LEDGER);
    rusqlite::Connection::open(&file).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let before = fs::read(&file).unwrap();
    let error = start_promptly(folder.path()).unwrap_err();
    assert!(matches!(error, LedgerError::Newer { found: 99, .. }), "{}", said(&error));
    assert!(said(&error).contains("run the newer version"), "{}", said(&error));
    assert_eq!(fs::read(&file).unwrap(), before);
}

/// Two more disconnects of the domain of [`many`], of which the stream counter has none.
fn two_excluded() -> Posting {
    let reason = Reason::ClientStopped;
    let mut durations = DurationHistogram::default();
    (0..2).for_each(|_| durations.observe(60));
    let posted = DomainAdd {
        id: 0,
        new: None,
        disconnects: BTreeMap::from([(reason, 2)]),
        classes: BTreeMap::from([(reason.class(), ClassAdd { durations, last_end: 7_000 })]),
        baseline_disconnects: BTreeMap::new(),
        baseline_classes: BTreeMap::new(),
        excluded: BTreeMap::from([(reason, 2)]),
        baseline_excluded: BTreeMap::new(),
    };
    Posting { domains: vec![posted], ..Posting::default() }
}

#[test]
fn the_books_of_version_1_go_on_where_they_were() {
    let folder = used();
    let file = folder.join(LEDGER);
    let before = start(folder.path()).unwrap();
    rusqlite::Connection::open(&file)
        .unwrap()
        .execute_batch(
            "DROP TABLE domain_excluded;
             DROP TABLE record;
             DROP TABLE record_kind;
             DROP TABLE record_stream;
             DROP TABLE record_sum;
             CREATE TABLE record (
                 id INTEGER PRIMARY KEY, account TEXT NOT NULL, session_group BLOB NOT NULL, fact BLOB NOT NULL,
                 domain BLOB NOT NULL, app BLOB NOT NULL, stream BLOB NOT NULL, start_time INTEGER NOT NULL,
                 end_time INTEGER NOT NULL, reason_text TEXT NOT NULL, client_ip TEXT NOT NULL, duration INTEGER,
                 resolution TEXT NOT NULL, first_seen INTEGER NOT NULL, counted INTEGER NOT NULL
             ) STRICT;
             CREATE INDEX record_end ON record (end_time);
             INSERT INTO record
                 SELECT column1, 'main', x'00', x'01', CAST('push.example.com' AS BLOB), CAST('live' AS BLOB),
                        x'72ff00', 60, column2, '推流链路网络异常', '-', column3, '1*2', 130, column4
                 FROM (VALUES (7, 120, 61, 1), (9, 4000, NULL, 0));
             ALTER TABLE series DROP COLUMN returned_at;
             ALTER TABLE slice RENAME COLUMN restless TO unfinished;
             ALTER TABLE series DROP COLUMN active_at;
             ALTER TABLE ledger_key DROP COLUMN ordered_since;
             PRAGMA user_version = 1",
        )
        .unwrap();
    let mut ledger = SqliteLedger::open(folder.path()).unwrap();
    let records = ledger.records(Classifier::new(&[]), Arc::new(SystemClock::new()));
    let page = records.page(&RecordQuery { limit: 9, ..RecordQuery::default() }).unwrap();
    let found: Vec<_> = page.disconnects.iter().map(|one| (one.end, one.duration, one.reason, one.counted)).collect();
    assert_eq!(found, [(4_000, 3_940, Reason::NetworkError, false), (120, 61, Reason::NetworkError, true)]);
    let mut after = ledger.read().unwrap();
    for (before, after) in before.series.iter().zip(&mut after.series) {
        assert!(after.active_at > before.active_at, "nobody knows when, so it is now");
        after.active_at = before.active_at;
    }
    assert_eq!((after.series, after.domains), (before.series, before.domains));
    ledger.commit(&two_excluded()).unwrap();
    drop(ledger);
    let books = start_promptly(folder.path()).unwrap();
    let reason = Reason::ClientStopped as usize;
    let of_domain = &books.domains[0].total;
    assert_eq!((total(&books), of_domain.disconnects[reason], of_domain.excluded[reason]), (400, 402, 2));
    let version = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let connection = rusqlite::Connection::open(&file).unwrap();
    assert_eq!(connection.query_row("PRAGMA user_version", [], version), Ok(6));
    let hours = "SELECT group_concat(width || ':' || slot || ':' || records) FROM (SELECT * FROM record_sum ORDER BY width, slot)";
    assert_eq!(connection.query_row(hours, [], |row| row.get(0)), Ok("3600:0:1,3600:1:1,28800:0:2".to_owned()));
}

#[test]
fn a_version_that_has_become_another_by_itself_loses_nothing() {
    let folder = used();
    let mut ledger = SqliteLedger::open(folder.path()).unwrap();
    ledger.commit(&two_excluded()).unwrap();
    let before = ledger.read().unwrap();
    drop(ledger);
    rusqlite::Connection::open(folder.join(LEDGER)).unwrap().execute_batch("PRAGMA user_version = 1").unwrap();
    assert_eq!(start_promptly(folder.path()).unwrap().domains, before.domains);
}

#[test]
fn d5_what_is_excluded_is_held_against_the_other_sums() {
    for change in ["SET total = total + 1", "SET reason = 'network_error'", "SET baseline = 1"] {
        let folder = used();
        SqliteLedger::open(folder.path()).unwrap().commit(&two_excluded()).unwrap();
        let connection = rusqlite::Connection::open(folder.join(LEDGER)).unwrap();
        assert_eq!(connection.execute(&format!("UPDATE domain_excluded {change}"), []), Ok(1));
        drop(connection);
        let error = start_promptly(folder.path()).expect_err(change);
        assert!(matches!(error, LedgerError::SetAside { .. }), "{change}: {}", said(&error));
    }
}

/// Puts `bytes` in the place of the ledger and starts twice.
fn is_set_aside(folder: &Folder, bytes: &[u8], what: &str) {
    let file = folder.join(LEDGER);
    fs::write(&file, bytes).unwrap();
    let error = start_promptly(folder.path()).expect_err(what);
    let text = said(&error);
    let LedgerError::SetAside { kept, .. } = &error else { panic!("{what}: {text}") };
    assert!(text.contains(file.to_str().unwrap()) && text.contains(&**kept), "{what}: {text}");
    assert_eq!(fs::read(kept).unwrap(), bytes, "{what} is kept as it was");
    assert!(!file.exists(), "{what}");
    let books = start(folder.path()).unwrap();
    assert_eq!((total(&books), books.accounts.len()), (0, 0), "{what}: the next start begins anew");
}

#[test]
fn d5_what_is_no_ledger_is_set_aside_and_never_deleted() {
    let folder = Folder::new();
    let foreign = folder.join("foreign.sqlite");
    rusqlite::Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)")
        .unwrap();
    is_set_aside(&folder, &fs::read(foreign).unwrap(), "a database of another program");
    let mut dice = fastrand::Rng::with_seed(3);
    let random: Vec<u8> = std::iter::repeat_with(|| dice.u8(..)).take(30_000).collect();
    is_set_aside(&folder, &random, "random bytes");
    is_set_aside(&folder, b"xy", "two bytes");
    let sound = fs::read(used().join(LEDGER)).unwrap();
    for length in [50, 600, 4096, 5000, 8192, sound.len() / 2, sound.len() - 4096] {
        is_set_aside(&folder, &sound[..length], &format!("a ledger cut to {length} bytes"));
    }
    let kept = folder.names().iter().filter(|name| name.contains("set-aside")).count();
    assert_eq!(kept, 10, "{:?}", folder.names());
}

#[test]
fn an_empty_file_is_a_new_ledger() {
    let folder = Folder::new();
    fs::write(folder.join(LEDGER), b"").unwrap();
    assert_eq!(total(&start(folder.path()).unwrap()), 0);
}

#[test]
fn d5_a_damaged_page_is_found_or_harms_no_total() {
    let original = used();
    let sound = fs::read(original.join(LEDGER)).unwrap();
    let books = start(original.path()).unwrap();
    let mut found = 0;
    for page in 0..sound.len() / 4096 {
        let folder = Folder::new();
        let mut damaged = sound.clone();
        damaged[page * 4096..page * 4096 + 512].iter_mut().for_each(|byte| *byte = !*byte);
        fs::write(folder.join(LEDGER), &damaged).unwrap();
        match start(folder.path()) {
            Err(LedgerError::SetAside { kept, .. }) => {
                assert_eq!(fs::read(kept).unwrap(), damaged, "page {page}");
                found += 1;
            }
            Err(error) => panic!("page {page}: {}", said(&error)),
            Ok(read) => {
                assert_eq!((read.series, read.domains), (books.series.clone(), books.domains.clone()), "page {page}");
            }
        }
    }
    assert!(found > 5, "{found}");
}

#[test]
fn d6_a_folder_that_cannot_be_used_is_said_at_once() {
    let folder = Folder::new();
    fs::write(folder.join("file"), b"").unwrap();
    let fifo = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    };
    fifo(&folder.join("fifo"));
    for name in ["ledger_is_fifo", "lock_is_fifo", "ledger_is_folder", "lock_is_folder"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    fifo(&folder.join("ledger_is_fifo").join(LEDGER));
    fifo(&folder.join("lock_is_fifo").join("lock"));
    fs::create_dir(folder.join("ledger_is_folder").join(LEDGER)).unwrap();
    fs::create_dir(folder.join("lock_is_folder").join("lock")).unwrap();
    let inside = |name: &str| folder.join(name);
    let cases = [
        inside("file"),
        inside("file").join("below"),
        inside("fifo"),
        inside("ledger_is_fifo"),
        inside("lock_is_fifo"),
        inside("ledger_is_folder"),
        inside("lock_is_folder"),
        // Nothing can be made here, whoever one is.
        "/proc/self".into(),
        "/proc/self/state".into(),
    ];
    for case in cases {
        let error = start_promptly(&case).unwrap_err();
        let text = said(&error);
        assert!(matches!(error, LedgerError::Folder { .. }), "{}: {text}", case.display());
        assert!(text.contains(case.to_str().unwrap()) && text.contains("--state.path"), "{}: {text}", case.display());
    }
}

#[test]
fn d10_forgetting_takes_what_is_below_the_floor_and_nothing_else() {
    let folder = Folder::new();
    let mut ledger = SqliteLedger::open(folder.path()).unwrap();
    let ends = [1_000, 4_999, 5_000, 9_000];
    let groups = |account: &str, first: u64| -> Vec<_> {
        (first..).zip(ends).map(|(n, end)| (key(n), account.to_owned(), Group::new(vec![fact(end)]))).collect()
    };
    let slices = |index: &[i64]| -> Vec<(SliceId, SliceCount)> {
        let count = SliceCount { total: 3, restless: false };
        index.iter().map(|index| (SliceId { level: 6, index: *index }, count)).collect()
    };
    let progress = |account: &str| ScopeProgress {
        account: account.into(),
        scope: Filter::default(),
        progress: Progress { reached: Some(9_000), remember: slices(&[76, 77, 78, 100]), forget: Vec::new() },
    };
    for (n, name) in [(0, "main"), (10, "other")] {
        let posting = Posting {
            new_account: Some(account(name)),
            groups: groups(name, n),
            records: if n == 0 { ends.map(|end| record(0, end)).into() } else { Vec::new() },
            progress: Some(progress(name)),
            ..Posting::default()
        };
        ledger.commit(&posting).unwrap();
    }
    // Slice 77 is 4928 to 4991, slice 78 is 4992 to 5055.
    ledger.commit(&Posting { floor: Some(("main".into(), 5_000)), ..Posting::default() }).unwrap();
    let books = ledger.read().unwrap();
    assert_eq!((books.accounts["main"].floor, books.accounts["other"].floor), (5_000, 1_000));
    let kept = |name: &str| -> Vec<i64> {
        books.accounts[name].scopes[&Filter::default()].slices.keys().map(|slice| slice.index).collect()
    };
    assert_eq!((kept("main"), kept("other")), (vec![78, 100], vec![76, 77, 78, 100]));
    let all: Vec<GroupKey> = (0..20).map(key).collect();
    let left: Vec<GroupKey> = ledger.groups(&all).unwrap().into_keys().collect();
    // A session that ended just below the floor may be corrected to have ended above it.
    let mut expected: Vec<GroupKey> = [1, 2, 3, 10, 11, 12, 13].map(key).to_vec();
    expected.sort_unstable();
    assert_eq!(left, expected);
    ledger.commit(&Posting { floor: Some(("main".into(), 2_000)), ..Posting::default() }).unwrap();
    assert_eq!(ledger.read().unwrap().accounts["main"].floor, 5_000, "a floor only rises");
    let records = |file: &Path| -> i64 {
        let books = rusqlite::Connection::open(file).unwrap();
        books.query_row("SELECT count(*) FROM record", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(records(&folder.join(LEDGER)), 4, "records have an age of their own");
    ledger.commit(&Posting { records_until: Some(5_000), ..Posting::default() }).unwrap();
    assert_eq!(records(&folder.join(LEDGER)), 2);
}

#[test]
fn d1_e3_a_posting_is_written_whole_or_not_at_all() {
    let folder = used();
    let mut ledger = SqliteLedger::open(folder.path()).unwrap();
    let before = ledger.read().unwrap();
    // Series 0 is there already, so the posting fails after its groups and records were written.
    let mut posting = many(1);
    posting.new_account = None;
    posting.groups = vec![(key(5_000), "main".into(), Group::new(vec![fact(7_000)]))];
    ledger.commit(&posting).unwrap_err();
    ledger.reopen().unwrap();
    let after = ledger.read().unwrap();
    assert_eq!((after.series, after.domains), (before.series, before.domains));
    assert!(ledger.groups(&[key(5_000)]).unwrap().is_empty());
}

/// What the books should say, kept beside them.
#[derive(Debug, Default)]
struct Expected {
    accounts: BTreeMap<String, AccountBooks>,
    series: Vec<SeriesBooks>,
    domains: Vec<DomainBooks>,
    groups: BTreeMap<GroupKey, Group>,
}

/// One random change, as numbers to be taken modulo what there is.
#[derive(Debug, Clone)]
struct Change {
    account: usize,
    scope: usize,
    domain: usize,
    stream: usize,
    reason: usize,
    times: u64,
    baseline: bool,
    returns: bool,
    lasted: u64,
    end: i64,
    slice: i64,
    release: bool,
}

fn change() -> impl Strategy<Value = Change> {
    let names = (0_usize..3, 0_usize..4, 0_usize..3, 0_usize..6, 0..TABLE.len());
    let values = (1_u64..5, any::<[bool; 2]>(), 0_u64..100_000, 5_000_i64..90_000, 0_i64..50, any::<bool>());
    (names, values).prop_map(
        |((account, scope, domain, stream, reason), (times, [baseline, returns], lasted, end, slice, release))| {
            Change { account, scope, domain, stream, reason, times, baseline, returns, lasted, end, slice, release }
        },
    )
}

impl Expected {
    /// Writes the change down and returns the posting for it.
    fn take(&mut self, change: &Change) -> Posting {
        let account = format!("account {}", change.account);
        let new_account = (!self.accounts.contains_key(&account)).then(|| self::account(&account));
        let books = self.accounts.entry(account.clone()).or_insert_with(|| AccountBooks {
            first_start: 10_000,
            counting_since: 6_400,
            floor: 1_000,
            published: false,
            scopes: BTreeMap::new(),
        });
        let name = |n: usize| (n > 0).then(|| Name::new(vec![b'n', 0xff, u8::try_from(n).unwrap()]));
        let scope = Filter { domain: name(change.scope % 2), app: name(change.scope / 2), stream: None };
        let slice = SliceId { level: 6, index: change.slice };
        let count = SliceCount { total: change.times, restless: change.baseline };
        let known: &mut ScopeBooks = books.scopes.entry(scope.clone()).or_default();
        known.watermark = known.watermark.max(Some(change.end));
        known.slices.insert(slice, count);
        let progress = Progress { reached: Some(change.end), remember: vec![(slice, count)], forget: Vec::new() };

        let key = key(u64::try_from(change.stream).unwrap());
        let group = self.groups.entry(key).or_default();
        let mut facts = group.accounted().to_vec();
        facts.push(fact(change.end));
        *group = Group::new(facts);
        let group = (key, account.clone(), group.clone());

        let reason = TABLE[change.reason].reason;
        let (domain, series) = self.count(change, &account, reason);
        let mut release = Release::default();
        if change.release {
            let released = &mut self.series[series.id as usize];
            (released.held, released.returned_at) = (false, None);
            self.domains[domain.id as usize].held = false;
            self.accounts.get_mut(&account).unwrap().published = true;
            release = Release { series: vec![series.id], domains: vec![domain.id], accounts: vec![account.clone()] };
        }
        Posting {
            at: change.end + 55,
            new_account,
            groups: vec![group],
            records: vec![record(1, change.end)],
            series: vec![series],
            domains: vec![domain],
            release,
            progress: Some(ScopeProgress { account, scope, progress }),
            ..Posting::default()
        }
    }

    fn count(&mut self, change: &Change, account: &str, reason: Reason) -> (DomainAdd, SeriesAdd) {
        let (domain_name, created) = (format!("d\"{}\n", change.domain), change.end - 5);
        let place = self.domains.iter().position(|domain| *domain.name == *domain_name);
        let new_domain =
            place.is_none().then(|| NewDomain { name: domain_name.as_str().into(), account: account.into(), created });
        let place = place.unwrap_or_else(|| {
            self.domains.push(DomainBooks {
                name: domain_name.as_str().into(),
                account: account.into(),
                created,
                held: true,
                total: DomainTotals::default(),
                baseline: DomainTotals::default(),
                last_end: [None; Class::ALL.len()],
            });
            self.domains.len() - 1
        });
        let domain = &mut self.domains[place];
        let class = reason.class();
        let mut durations = DurationHistogram::default();
        (0..change.times).for_each(|_| durations.observe(change.lasted));
        let in_baseline = |times: u64| if change.baseline { times } else { 0 };
        let excluded = change.lasted % (change.times + 1);
        domain.total.disconnects[reason as usize] += change.times;
        domain.baseline.disconnects[reason as usize] += in_baseline(change.times);
        domain.total.excluded[reason as usize] += excluded;
        domain.baseline.excluded[reason as usize] += in_baseline(excluded);
        domain.total.durations[class as usize].add(&durations);
        let last_end = &mut domain.last_end[class as usize];
        *last_end = (*last_end).max(Some(change.end));
        if change.baseline {
            domain.baseline.durations[class as usize].add(&durations);
        }
        let posted = DomainAdd {
            id: u32::try_from(place).unwrap(),
            new: new_domain,
            disconnects: BTreeMap::from([(reason, change.times)]),
            classes: BTreeMap::from([(class, ClassAdd { durations, last_end: change.end })]),
            baseline_disconnects: BTreeMap::from([(reason, in_baseline(change.times))]),
            excluded: BTreeMap::from([(reason, excluded)]),
            baseline_excluded: BTreeMap::from([(reason, in_baseline(excluded))]),
            baseline_classes: change.baseline.then_some((class, durations)).into_iter().collect(),
        };
        let labels = StreamLabels {
            domain: domain.name.clone(),
            app: "live".into(),
            stream: format!("房间 {}\\", change.stream).into(),
            reason,
        };
        let known = self.series.iter().position(|series| series.labels == labels);
        let (new, at) = (NewSeries { labels, created }, change.end + 55);
        let id = known.unwrap_or_else(|| {
            self.series.push(SeriesBooks::new(&new, at));
            self.series.len() - 1
        });
        let (total, returns) = (change.times - excluded, known.is_some() && change.returns);
        let series = &mut self.series[id];
        if returns {
            (series.held, series.returned_at) = (true, Some(series.total));
        }
        series.total += total;
        series.baseline += in_baseline(total);
        series.active_at = at;
        let new = known.is_none().then_some(new);
        let id = u32::try_from(id).unwrap();
        (posted, SeriesAdd { id, new, total, baseline: in_baseline(total), returns })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_books_read_back_what_was_posted(changes in prop::collection::vec(change(), 1..30)) {
        let folder = Folder::new();
        let mut expected = Expected::default();
        let mut ledger = SqliteLedger::open(folder.path()).unwrap();
        let key = ledger.read().unwrap().key;
        for (n, change) in changes.iter().enumerate() {
            ledger.commit(&expected.take(change)).unwrap();
            if n % 7 == 3 {
                ledger.reopen().unwrap();
            }
        }
        drop(ledger);
        let mut ledger = SqliteLedger::open(folder.path()).unwrap();
        let books = ledger.read().unwrap();
        prop_assert_eq!(books.key, key);
        prop_assert_eq!(books.accounts, expected.accounts);
        prop_assert_eq!(books.series, expected.series);
        prop_assert_eq!(books.domains, expected.domains);
        let keys: Vec<GroupKey> = expected.groups.keys().copied().collect();
        prop_assert_eq!(ledger.groups(&keys).unwrap(), expected.groups);
    }
}

#[test]
fn every_ledger_has_a_key_of_its_own() {
    let key = || SqliteLedger::in_memory().unwrap().read().unwrap().key;
    let (one, other): (IdentityKey, IdentityKey) = (key(), key());
    assert_ne!(one, other);
}

#[test]
fn a_corrected_session_takes_the_place_of_its_record() {
    let folder = used();
    let mut ledger = SqliteLedger::open(folder.path()).unwrap();
    let corrected = PushSession { reason_text: "推流链路网络异常".into(), ..session(7_003) };
    let revision = Revision { group: key(5), old: fact(7_000), new: fact(7_003), session: corrected };
    ledger.commit(&Posting { revisions: vec![revision], ..Posting::default() }).unwrap();
    let books = rusqlite::Connection::open(folder.join(LEDGER)).unwrap();
    let sql = "SELECT count(*), sum(end_time = 7003 AND reason_text = '推流链路网络异常')
               FROM record JOIN record_kind ON record_kind.id = kind";
    let found: (i64, i64) = books.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(found, (400, 1));
}

#[tokio::test]
async fn d3_while_the_books_cannot_be_written_the_page_is_served_and_it_recovers_by_itself() {
    let rig = Rig::new().await.start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    let before = rig.metrics().await.streams();
    // As a backup tool does that means well.
    let other = rusqlite::Connection::open(rig.folder.join("state").join(LEDGER)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    rig.world.publish(rig.ended("room", 2));
    let failures = "tencent_live_exporter_poll_failures_total";
    rig.reaches(failures, &[("kind", "poll"), ("error", "state")], 1).await;
    assert_eq!(rig.metrics().await.streams(), before);
    assert_eq!((rig.own("tencent_live_up", &[]).await, rig.get("/-/ready").await.0), (0, 200));
    other.execute_batch("ROLLBACK").unwrap();
    rig.shows_the_truth().await;
    until("the account is up again", async || seen(rig.own("tencent_live_up", &[]).await == 1, ())).await;
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth());
}

#[test]
fn d5_damage_that_writing_stumbles_over_is_set_aside_too() {
    let folder = Folder::new();
    let posting = Posting { records: vec![record(1, 9_000)], new_account: Some(account("main")), ..Posting::default() };
    let mut ledger = SqliteLedger::open(folder.path()).unwrap();
    ledger.commit(&posting).unwrap();
    drop(ledger);
    let file = folder.path().join(LEDGER);
    let connection = rusqlite::Connection::open(&file).unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let root = number("SELECT rootpage FROM sqlite_schema WHERE name = 'record'");
    let page = number("PRAGMA page_size");
    drop(connection);
    let mut bytes = fs::read(&file).unwrap();
    let start = usize::try_from((root - 1) * page).unwrap();
    bytes[start..start + 64].fill(0xff);
    fs::write(&file, bytes).unwrap();

    let mut ledger = SqliteLedger::open(folder.path()).unwrap();
    let more = Posting {
        records: vec![record(2, 9_001)],
        groups: vec![(key(2), "main".into(), Group::new(vec![fact(9_001)]))],
        ..Posting::default()
    };
    ledger.commit(&more).unwrap_err();
    let error = ledger.reopen().unwrap_err();
    assert!(matches!(error, LedgerError::SetAside { .. }), "{error}");
    assert!(folder.names().iter().any(|name| name.contains("set-aside")), "{:?}", folder.names());
}
