//! The power is cut at every moment, and once more while the ledger recovers.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tencent_live_exporter::ledger::{Ledger as _, SqliteLedger};
use tencent_live_exporter::session::IdentityKey;

use super::books::{Found, Reference};
use super::disk::{Disk, Syncs};
use super::log::{Log, Record};
use super::script::{POSTINGS, is_busy};
use super::shim::{Child, Orders, quick_folder};
use crate::support::folder::Folder;

/// Disks that one run is cut into.
const PER_SEED: usize = 250;

/// One disk in so many is cut again while it recovers, as often as this.
const AGAIN_EVERY: usize = 10;
const AGAIN: usize = 4;

/// What disks held.
#[derive(Debug, Default)]
struct Tally {
    /// Those that were cut once more while a ledger recovered on them.
    recut: u64,
    /// The books as the last commit that had returned left them.
    at_last: u64,
    /// The same and the commit in hand.
    in_hand: u64,
    /// Less than what had returned.
    lost: u64,
    /// Something else, or nothing that opens.
    neither: u64,
    /// The first that no power cut may leave.
    broken: Option<String>,
}

impl Tally {
    fn disks(&self) -> u64 {
        self.at_last + self.in_hand + self.lost + self.neither
    }
}

/// A run that was recorded.
struct Recorded {
    seed: u64,
    folder: Folder,
    log: Log,
    key: IdentityKey,
    reference: Reference,
}

impl Recorded {
    fn new(seed: u64) -> Self {
        Self::failing(seed, None)
    }

    /// The same on a disk that fails one of its syncs.
    fn failing(seed: u64, sync: Option<usize>) -> Self {
        let folder = quick_folder();
        let (root, file) = (folder.join("disk"), folder.join("log"));
        std::fs::create_dir(&root).unwrap();
        let orders = folder.join("orders");
        if let Some(sync) = sync {
            Orders::new(&orders).give("sync", sync, 1, "EIO");
        }
        let child = Child::new("post", &root).env("SEED", seed.to_string()).env("DISK_LOG", &file);
        child.env("DISK_ORDERS", orders).run();
        let key = SqliteLedger::open(&root.join("state")).unwrap().read().unwrap().key;
        let reference = Reference::new(seed);
        assert_eq!(reference.find(&root.join("state"), &key), Found::Commits(POSTINGS), "nothing was cut");
        let log = Log::read(&file);
        let restarted = log.is_restarted("ledger.sqlite-wal");
        assert_eq!(restarted, is_busy(seed), "seed {seed} takes the log past a checkpoint, or does not");
        Self { seed, folder, log, key, reference }
    }

    /// The folder that the child took for its disk.
    fn root(&self) -> PathBuf {
        self.folder.join("disk")
    }

    /// Cuts the run `cuts` times, at some of its `moments`, evenly spread.
    fn cut(&self, cuts: usize, moments: Range<usize>, syncs: Syncs, tally: &Mutex<Tally>) {
        let empty = quick_folder();
        let mut disk = Disk::of(empty.path(), syncs).at(&self.root());
        let mut dice = fastrand::Rng::with_seed(self.seed);
        // What one seed steps over another meets.
        let offset = dice.usize(..moments.len());
        let mut at: BTreeMap<usize, usize> = BTreeMap::new();
        for n in 0..cuts {
            *at.entry(moments.start + (offset + n * moments.len() / cuts) % moments.len()).or_default() += 1;
        }
        let (mut acknowledged, mut begun, mut done) = (0, 0, 0);
        for moment in 0..moments.end {
            for _ in 0..at.get(&moment).copied().unwrap_or(0) {
                let again = syncs == Syncs::Kept && done % AGAIN_EVERY == 0;
                self.look(&disk, acknowledged..=begun, moment, again, &mut dice, tally);
                done += 1;
            }
            match self.log.records.get(moment) {
                Some(Record::Begun(n)) => begun = *n,
                Some(Record::Acknowledged(n)) => acknowledged = *n,
                Some(record) => disk.apply(record, &self.log),
                None => {}
            }
        }
    }

    /// Looks at one of the disks that a cut at this moment may leave.
    fn look(
        &self,
        disk: &Disk,
        allowed: std::ops::RangeInclusive<usize>,
        moment: usize,
        again: bool,
        dice: &mut fastrand::Rng,
        tally: &Mutex<Tally>,
    ) {
        let folder = quick_folder();
        let left = folder.join("disk");
        disk.cut(&left, dice);
        let what = format!("seed {}, moment {moment}, dice {}", self.seed, dice.get_seed());
        if again {
            self.look_again(&folder, &left, &allowed, &what, dice, tally);
        }
        self.judge(&left, &allowed, &what, tally, false);
    }

    /// Starts on the disk in a child, cuts that short too, and looks at what is left then.
    fn look_again(
        &self,
        folder: &Folder,
        left: &Path,
        allowed: &std::ops::RangeInclusive<usize>,
        what: &str,
        dice: &mut fastrand::Rng,
        tally: &Mutex<Tally>,
    ) {
        let before = Disk::of(left, Syncs::Kept);
        let working = folder.join("recovering");
        before.cut(&working, dice);
        let file = folder.join("log");
        Child::new("open", &working).env("DISK_LOG", &file).run();
        let log = Log::read(&file);
        for n in 0..AGAIN {
            let (mut disk, moment) = (before.clone().at(&working), dice.usize(..=log.records.len()));
            for record in &log.records[..moment] {
                disk.apply(record, &log);
            }
            let again = folder.join(&format!("again-{n}"));
            disk.cut(&again, dice);
            self.judge(&again, allowed, &format!("{what}, again at {moment}"), tally, true);
        }
    }

    fn judge(
        &self,
        left: &Path,
        allowed: &std::ops::RangeInclusive<usize>,
        what: &str,
        tally: &Mutex<Tally>,
        recut: bool,
    ) {
        let found = self.reference.find(&left.join("state"), &self.key);
        let mut tally = tally.lock().unwrap();
        let tally = &mut *tally;
        tally.recut += u64::from(recut);
        let (count, broken) = match &found {
            Found::Commits(commits) if commits == allowed.start() => (&mut tally.at_last, false),
            Found::Commits(commits) if allowed.contains(commits) => (&mut tally.in_hand, false),
            Found::Commits(commits) if commits < allowed.start() => (&mut tally.lost, true),
            _ => (&mut tally.neither, true),
        };
        *count += 1;
        if broken {
            tally.broken.get_or_insert_with(|| format!("{what}: {found:?}, not {allowed:?}"));
        }
        drop(std::fs::remove_dir_all(left));
    }
}

/// Cuts as many disks as there should be, each run on one of the machine's processors.
#[expect(clippy::print_stdout, reason = "the numbers are for whoever runs it")]
fn cut_all(disks: usize, syncs: Syncs) -> Tally {
    let seeds = disks.div_ceil(PER_SEED) as u64;
    let (next, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let seed @ 0.. = next.fetch_add(1, Ordering::Relaxed)
                    && seed < seeds
                {
                    let run = Recorded::new(seed);
                    run.cut(PER_SEED.min(disks), 0..run.log.records.len() + 1, syncs, &tally);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    println!(
        "{seeds} runs of {POSTINGS} commits, {} disks, {} of them cut twice, syncs {syncs:?}: {} at the last commit that had \
         returned, {} with the one in hand, {} with less, {} unusable or wrong",
        tally.disks(),
        tally.recut,
        tally.at_last,
        tally.in_hand,
        tally.lost,
        tally.neither,
    );
    tally
}

fn disks() -> usize {
    std::env::var("POWER_CUTS").map_or(2000, |number| number.parse().expect("POWER_CUTS is a number"))
}

#[test]
fn d1_d2_e3_a_power_cut_at_any_moment_leaves_the_last_acknowledged_commit_or_the_one_in_hand() {
    let tally = cut_all(disks(), Syncs::Kept);
    assert_eq!((&tally.broken, tally.lost, tally.neither), (&None, 0, 0));
    // Both sides of a commit were met, and cuts of cuts.
    assert!(tally.at_last > tally.in_hand && tally.in_hand > 0 && tally.recut > 0, "{tally:?}");
}

#[test]
fn d4_a_sync_that_failed_once_costs_nothing_when_the_power_is_cut_later() {
    // Those before the tenth belong to the making of the ledger.
    let syncs = (10..54).step_by(if disks() > 10_000 { 1 } else { 10 });
    let (tally, runs) = (Mutex::new(Tally::default()), syncs.len());
    for sync in syncs {
        let run = Recorded::failing(4 * sync as u64 + 1, Some(sync));
        let failed = run.log.records.iter().position(|record| matches!(record, Record::FailedSync { .. })).unwrap();
        run.cut(40, failed..run.log.records.len().min(failed + 300), Syncs::Kept, &tally);
    }
    let tally = tally.into_inner().unwrap();
    println!("{runs} runs with a failed sync: {tally:?}");
    assert_eq!((&tally.broken, tally.lost, tally.neither), (&None, 0, 0));
}

#[test]
fn the_harness_notices_a_ledger_that_never_syncs() {
    let tally = cut_all(PER_SEED, Syncs::Ignored);
    assert!(tally.lost > 10 && tally.broken.is_some(), "{tally:?}");
}

#[test]
fn the_harness_notices_files_and_folders_whose_names_are_never_synced() {
    let tally = cut_all(PER_SEED, Syncs::OfFilesOnly);
    assert!(tally.lost > 10 && tally.broken.is_some(), "{tally:?}");
}
