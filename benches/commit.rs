//! From a response to a commit on disk, and from there to readers: `cargo bench --bench commit`.
//!
//! The ledger holds n series on disk, a reader keeps the page before, and each round is a response with 100 finished
//! pushes, each in another series. *Visible* means that whoever asks for the newest snapshot gets the one with them.
//! Beside it, in the same folder and the same turn, an append of 4 KiB with `fdatasync`: what the disk itself takes.

#[expect(dead_code, reason = "other benches use the rest")]
mod series;
#[expect(dead_code, reason = "other benches use the rest")]
mod table;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tencent_live_exporter::clock::{Clock, SystemClock};
use tencent_live_exporter::ledger::{Books, Ledger, LedgerError, Posting, SqliteLedger};
use tencent_live_exporter::listing::Group;
use tencent_live_exporter::metrics::exposition::{Coding, Format};
use tencent_live_exporter::poller::Keeper;
use tencent_live_exporter::publication::labels::Choice;
use tencent_live_exporter::session::GroupKey;

use self::series::{Changes, Where};
use self::table::Target::AtMost;
use self::table::{Times, over, rounded};

/// Series with a disconnect more in each commit.
const COMMITTED: u64 = 100;

/// A ledger that notes when it was last durable.
struct Noting {
    ledger: SqliteLedger,
    clock: Arc<dyn Clock>,
    durable: Arc<Mutex<Duration>>,
}

impl Ledger for Noting {
    fn read(&mut self) -> Result<Books, LedgerError> {
        self.ledger.read()
    }

    fn groups(&mut self, keys: &[GroupKey]) -> Result<BTreeMap<GroupKey, Group>, LedgerError> {
        self.ledger.groups(keys)
    }

    fn commit(&mut self, posting: &Posting) -> Result<(), LedgerError> {
        let done = self.ledger.commit(posting);
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.elapsed();
        done
    }

    fn reopen(&mut self) -> Result<(), LedgerError> {
        self.ledger.reopen()
    }
}

/// Times of one number of series.
#[derive(Default)]
struct Commits {
    disk: Times,
    durable: Times,
    visible: Times,
}

fn measure(folder: &Path, count: u64, rounds: i64) -> Commits {
    table::progress(format!("{count} series: filling a ledger"));
    series::fill(&mut series::ledger(folder), count);
    let options = series::keeper_options(Choice::default());
    let (clock, durable) = (Arc::clone(&options.clock), Arc::new(Mutex::default()));
    let noting = Noting { ledger: series::ledger(folder), clock: Arc::clone(&clock), durable: Arc::clone(&durable) };
    let (mut keeper, handle) = Keeper::open(Box::new(noting), options).expect("it has just been filled");
    let exposition = series::exposition(&handle.snapshot(), &series::own());
    let mut file = File::create(folder.join("appended")).expect("the bench's folder is its own");
    let mut changes = Changes::new(count);
    let mut commits = Commits::default();
    table::progress(format!("{count} series: {rounds} commits"));
    for round in 1..=rounds {
        let page = exposition.page(Format::Text, Coding::Identity);
        commits.disk.time(|| {
            file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).expect("the bench's disk takes it");
        });
        let observation = series::observation(round, &changes.choose(COMMITTED, Where::Anywhere), count);
        let start = clock.elapsed();
        let receipt = keeper.observe(observation).expect("the bench's disk takes it");
        let visible = clock.elapsed();
        assert_eq!(receipt.counted_ends.len() as u64, COMMITTED.min(count), "every push counts");
        let (generation, shown) = series::newest(&handle.snapshot());
        assert!(generation > page.generation, "a commit is visible when it is answered");
        assert_eq!(shown, count, "a push of a series that is known makes no other");
        let durable = *durable.lock().unwrap_or_else(PoisonError::into_inner);
        commits.durable.push(durable.saturating_sub(start));
        commits.visible.push(visible.saturating_sub(durable));
    }
    commits
}

fn main() {
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let clock = SystemClock::new();
    let results = table::counts(&[100_000, 1_000_000]).into_iter().map(|count| {
        let folder = base.join(format!("commit-{}-{count}-{}", std::process::id(), clock.elapsed().as_nanos()));
        let commits = measure(&folder, count, 51);
        std::fs::remove_dir_all(&folder).expect("the bench's folder is its own");
        (count, commits)
    });
    let results: Vec<_> = results.collect();
    table::head(&["series", "a response with 100 pushes in 100 series", "median", "over the disk's own"]);
    for (count, commits) in &results {
        let disk = commits.disk.median();
        for (what, times) in [
            ("4 KiB appended with `fdatasync`", &commits.disk),
            ("response → durable", &commits.durable),
            ("durable → visible", &commits.visible),
        ] {
            let median = times.median();
            table::line(&[count, &what, &rounded(median), &table::three_digits(over(median, disk))]);
        }
    }
    table::head(&["series", "100 series changed by a commit", "value", "target"]);
    for (count, commits) in &results {
        let visible = commits.visible.median().as_secs_f64() * 1e3;
        table::ratio(*count, "durable → visible, in ms", visible, Some(AtMost(1.0)));
    }
}
