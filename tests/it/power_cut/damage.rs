//! A byte of the ledger changes by itself, or its end is missing.
//!
//! SQLite has checksums in its log but none in its pages. What a changed byte does to a page is found when it breaks the
//! page's structure or a rule of the books; a name, a time or the key of a group that has become another is not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tencent_live_exporter::ledger::{Books, Ledger as _, LedgerError, SqliteLedger};
use tencent_live_exporter::listing::Group;
use tencent_live_exporter::session::GroupKey;

use super::books::{Found, LEDGER, Reference, rows};
use super::script::Script;
use super::shim::quick_folder;
use crate::support::folder::Folder;

const SEED: u64 = 5;

/// What came of a damaged ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// It was said and the file was set aside, as it was.
    Found,
    /// Nothing reads differently.
    Harmless,
    /// A record for people to look at is another.
    Records,
    /// A label, a time, a hold or how far a listing has come is another.
    Surroundings,
    /// A group is gone or is another: its sessions would count once more, if they are listed again.
    Groups,
    /// A total is another, and nothing says so.
    Totals,
}

/// A sound ledger of a few postings, closed.
struct Sound {
    bytes: Vec<u8>,
    books: Books,
    groups: BTreeMap<GroupKey, Group>,
    rows: u64,
}

impl Sound {
    fn new(postings: usize) -> Self {
        let folder = quick_folder();
        let mut ledger = SqliteLedger::open(folder.path()).unwrap();
        let mut script = Script::new(SEED);
        script.by_ref().take(postings).for_each(|posting| ledger.commit(&posting).unwrap());
        let books = ledger.read().unwrap();
        let rows = rows(folder.path()).unwrap();
        drop(ledger);
        Self { bytes: fs::read(folder.join(LEDGER)).unwrap(), books, groups: script.groups(), rows }
    }

    /// Starts on `bytes` in the place of the ledger.
    fn start_on(&self, bytes: &[u8]) -> Outcome {
        let folder = quick_folder();
        fs::write(folder.join(LEDGER), bytes).unwrap();
        match self.compare(&folder) {
            Ok(outcome) => outcome,
            Err(LedgerError::SetAside { kept, why, .. }) => {
                assert_eq!(fs::read(&kept).unwrap(), bytes, "{why}: it is kept as it was");
                assert!(!folder.join(LEDGER).exists(), "{why}");
                Outcome::Found
            }
            // The version number is a number like any other.
            Err(error @ LedgerError::Newer { .. }) => {
                assert_eq!(fs::read(folder.join(LEDGER)).unwrap(), bytes, "{error}");
                Outcome::Found
            }
            Err(error) => panic!("neither used nor set aside: {error:?}"),
        }
    }

    fn compare(&self, folder: &Folder) -> Result<Outcome, LedgerError> {
        let mut ledger = SqliteLedger::open(folder.path())?;
        let books = ledger.read()?;
        let totals = |books: &Books| {
            let by_series: Vec<u64> = books.series.iter().map(|series| series.total).collect();
            let by_reason: Vec<_> = books.domains.iter().map(|domain| domain.total.disconnects).collect();
            (by_series, by_reason)
        };
        if totals(&books) != totals(&self.books) {
            return Ok(Outcome::Totals);
        }
        let known: Vec<GroupKey> = self.groups.keys().copied().collect();
        if ledger.groups(&known).ok().as_ref() != Some(&self.groups) || books.key != self.books.key {
            return Ok(Outcome::Groups);
        }
        let same = books.series == self.books.series
            && books.domains == self.books.domains
            && books.accounts == self.books.accounts;
        if !same {
            return Ok(Outcome::Surroundings);
        }
        Ok(if rows(folder.path()).ok() == Some(self.rows) { Outcome::Harmless } else { Outcome::Records })
    }
}

/// Does something `times` times on all of the machine's processors, and counts what comes of it.
fn count<T: Ord + Send>(times: usize, act: impl Fn(usize) -> T + Sync) -> BTreeMap<T, usize> {
    let (next, counts) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let n = next.fetch_add(1, Ordering::Relaxed)
                    && n < times
                {
                    let outcome = act(n);
                    *counts.lock().unwrap().entry(outcome).or_default() += 1;
                }
            });
        }
    });
    counts.into_inner().unwrap()
}

/// A bit of every 64th byte; another bit of another of the 64 each time, so that every kind of field has its turn.
fn flipped(sound: &[u8], n: usize) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    bytes[n * 64 + n * 37 % 64] ^= 1 << (n * 5 % 8);
    bytes
}

#[test]
fn d5_no_flipped_byte_changes_a_total_in_silence() {
    let sound = Sound::new(6);
    let counts = count(sound.bytes.len() / 64, |n| sound.start_on(&flipped(&sound.bytes, n)));
    println!("every 64th byte of {} flipped: {counts:?}", sound.bytes.len());
    assert_eq!(counts.get(&Outcome::Totals), None, "{counts:?}");
    assert!(counts[&Outcome::Found] > 0 && counts[&Outcome::Harmless] > 0, "{counts:?}");
}

#[test]
fn d5_a_ledger_cut_off_anywhere_or_with_a_page_of_zeros_is_set_aside_or_whole() {
    let sound = Sound::new(6);
    let pages = sound.bytes.len() / 4096;
    // Cut to nothing it is an empty file, which is a new ledger and says so by its key.
    let cut = count(pages - 1, |n| sound.start_on(&sound.bytes[..(n + 1) * 4096]));
    println!("cut at every 4 KiB of {pages}: {cut:?}");
    assert_eq!(cut, BTreeMap::from([(Outcome::Found, pages - 1)]));
    let odd = count(pages, |n| sound.start_on(&sound.bytes[..n * 4096 + 1234]));
    assert!(odd.keys().all(|outcome| *outcome <= Outcome::Records), "{odd:?}");
    let zeroed = count(pages, |n| {
        let mut bytes = sound.bytes.clone();
        bytes[n * 4096..(n + 1) * 4096].fill(0);
        sound.start_on(&bytes)
    });
    println!("each page in turn zeros: {zeroed:?}");
    assert!(zeroed.keys().all(|outcome| *outcome <= Outcome::Records), "{zeroed:?}");
}

#[test]
fn d5_a_flipped_byte_of_the_log_takes_the_books_back_to_an_earlier_commit_at_most() {
    let reference = Reference::new(SEED);
    let folder = quick_folder();
    let mut ledger = SqliteLedger::open(folder.path()).unwrap();
    Script::new(SEED).take(12).for_each(|posting| ledger.commit(&posting).unwrap());
    let key = ledger.read().unwrap().key;
    // As a power cut finds them.
    let file = |name: &str| fs::read(folder.join(name)).unwrap();
    let (main, log) = (file(LEDGER), file("ledger.sqlite-wal"));
    let start_on = |log: &[u8], folder: &Path| {
        fs::write(folder.join(LEDGER), &main).unwrap();
        fs::write(folder.join("ledger.sqlite-wal"), log).unwrap();
        reference.find(folder, &key)
    };
    assert_eq!(start_on(&log, quick_folder().path()), Found::Commits(12));
    let every = log.len() / 400;
    let counts = count(400, |n| {
        let mut bytes = log.clone();
        bytes[n * every] = !bytes[n * every];
        let folder = quick_folder();
        match start_on(&bytes, folder.path()) {
            Found::Commits(commits) => Some(commits),
            Found::Unusable(why) => panic!("the log is flipped at {}: {why}", n * every),
            Found::Neither(what) => panic!("the log is flipped at {}: {what}", n * every),
        }
    });
    println!("every {every}th byte of a log of {} flipped, by commits left: {counts:?}", log.len());
    assert!(counts.len() > 5, "{counts:?}");
}

#[test]
fn d5_what_others_have_added_to_a_ledger_is_no_damage() {
    let folder = quick_folder();
    let sound = Sound::new(6);
    fs::write(folder.join(LEDGER), &sound.bytes).unwrap();
    let other = rusqlite::Connection::open(folder.join(LEDGER)).unwrap();
    other.execute_batch("ANALYZE; CREATE TABLE _replica (position INTEGER)").unwrap();
    drop(other);
    assert_eq!(sound.compare(&folder).unwrap(), Outcome::Harmless);
}
