//! The disk fills up or fails at every single operation of a run, once, for a while and for good.
//!
//! What runs is the keeper, as in production: after an error it reads the books again, the response is listed again, and
//! an exporter that cannot start is started again. In the end everything is in the books exactly once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tencent_live_exporter::clock::ManualClock;
use tencent_live_exporter::ledger::{DomainTotals, Ledger as _, LedgerError, SeriesBooks, SqliteLedger};
use tencent_live_exporter::listing::{Filter, Progress};
use tencent_live_exporter::poller::{ClientIp, Keeper, KeeperOptions, Observation};
use tencent_live_exporter::publication::Terms;
use tencent_live_exporter::reason::Classifier;
use tencent_live_exporter::session::PushSession;

use super::books::LEDGER;
use super::child::told;
use super::script::{START, new_account};
use super::shim::{Child, Orders, quick_folder};

/// Responses of the run; the exporter is stopped and started again after half of them.
const RESPONSES: usize = 8;

/// Attempts before somebody frees space or changes the disk.
const ATTEMPTS: usize = 3;

/// What is in the books, whatever their key and the order in which it came.
#[derive(Debug, PartialEq)]
struct Contents {
    series: BTreeMap<String, SeriesBooks>,
    domains: BTreeMap<String, DomainTotals>,
    watermark: Option<i64>,
    records: i64,
}

impl Contents {
    fn of(state: &Path) -> Self {
        let books = SqliteLedger::open(state).unwrap().read().unwrap();
        let connection = rusqlite::Connection::open(state.join(LEDGER)).unwrap();
        let records = connection.query_row("SELECT count(*) FROM record", [], |row| row.get(0)).unwrap();
        Self {
            watermark: books.accounts["main"].scopes[&Filter::default()].watermark,
            series: books.series.into_iter().map(|series| (format!("{:?}", series.labels), series)).collect(),
            domains: books.domains.into_iter().map(|domain| (domain.name.to_string(), domain.total)).collect(),
            records,
        }
    }
}

/// The sessions of each response: some new, the newest of the response before once more.
fn responses() -> Vec<Vec<PushSession>> {
    let mut dice = fastrand::Rng::with_seed(1);
    let mut before: Option<PushSession> = None;
    let response = |n: usize| {
        let now = START + 30 * i64::try_from(n).unwrap();
        let mut sessions: Vec<PushSession> = (0..dice.u32(2..9))
            .map(|_| PushSession {
                domain: ["one.example.com", "two.example.com"][dice.usize(..2)].into(),
                app: "live".into(),
                stream: format!("room_{}", dice.u8(..20)).as_str().into(),
                start: now - dice.i64(60..600),
                end: now - dice.i64(1..30),
                reason_text: "推流客户端主动断流".into(),
                client_ip: "203.0.113.7".into(),
                duration: None,
                resolution: String::new(),
            })
            .collect();
        let new = sessions.last().cloned();
        sessions.extend(std::mem::replace(&mut before, new));
        sessions
    };
    (0..RESPONSES).map(response).collect()
}

/// How one run came through.
#[derive(Debug, Default)]
struct Run {
    /// What was said, in the words of the log.
    errors: Vec<String>,
    /// Starts that failed, and attempts after the disk was well again.
    refused_starts: usize,
    late_failures: usize,
    /// Operations that came to nothing.
    struck: u64,
    /// What the observer of commits was told.
    told: Arc<AtomicU64>,
}

impl Run {
    /// Polls through all responses, with a stop in the middle.
    fn through(state: &Path, orders: &Orders) -> Self {
        let mut run = Self::default();
        let responses = responses();
        let (morning, evening) = responses.split_at(RESPONSES / 2);
        for (n, day) in [morning, evening].into_iter().enumerate() {
            let mut keeper = run.attempt(orders, true, |run| run.start(state));
            run.attempt(orders, false, |_| keeper.account(new_account("main")));
            for (at, sessions) in (n * morning.len()..).zip(day) {
                run.attempt(orders, false, |_| keeper.observe(observation(at, sessions)));
            }
        }
        run
    }

    fn start(&self, state: &Path) -> Result<Keeper, LedgerError> {
        let told = Arc::clone(&self.told);
        let options = KeeperOptions {
            classifier: Classifier::new(&[]),
            terms: Terms { series_limit: 1000, hold_max: Duration::ZERO, ..Terms::default() },
            client_ip: ClientIp::Masked,
            clock: Arc::new(ManualClock::new(START)),
            observer: Box::new(move |done| {
                told.fetch_add(u64::from(done.is_err()), Ordering::Relaxed);
            }),
        };
        let (mut keeper, _) = Keeper::open(Box::new(SqliteLedger::open(state)?), options)?;
        // On the second day there is something to publish.
        keeper.publish_left_over(&[])?;
        Ok(keeper)
    }

    /// Tries until it is done, as the loops of the exporter do, or whoever starts it.
    fn attempt<T>(
        &mut self,
        orders: &Orders,
        starting: bool,
        mut act: impl FnMut(&mut Self) -> Result<T, LedgerError>,
    ) -> T {
        for attempt in 0.. {
            match act(self) {
                Ok(done) => return done,
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    self.errors.push(format!("{error}: {cause}"));
                    assert!(!error.is_fatal(), "a disk that fails is no damage: {error}");
                    self.refused_starts += usize::from(starting);
                    self.late_failures += usize::from(attempt >= ATTEMPTS);
                    assert!(attempt < 2 * ATTEMPTS, "it does not recover: {:?}", self.errors);
                }
            }
            if attempt + 1 == ATTEMPTS {
                self.struck += orders.lift();
            }
        }
        unreachable!("attempts have no end")
    }
}

fn observation(at: usize, sessions: &[PushSession]) -> Observation {
    let now = START + 30 * i64::try_from(at).unwrap();
    Observation {
        account: "main".into(),
        sessions: sessions.to_vec(),
        confirming: true,
        progress: Progress { reached: Some(now), ..Progress::default() },
        seen: now,
        ..Observation::default()
    }
}

/// The child's part: one run for each operation of a kind, until a run has fewer of them.
#[expect(clippy::print_stdout, reason = "the numbers are for whoever runs it")]
pub(super) fn keep() {
    let (folder, orders) = (told("FOLDER"), Orders::new(told("DISK_ORDERS")));
    let (kind, what, times) = (told("KIND"), told("WHAT"), told("TIMES").parse().unwrap());
    let state = |n: usize| Path::new(&folder).join(n.to_string());
    Run::through(&state(0), &orders);
    let expected = Contents::of(&state(0));
    let (mut disturbed, mut errors) = (0, BTreeMap::<String, usize>::new());
    for n in 1.. {
        orders.give(&kind, n, times, &what);
        let mut run = Run::through(&state(n), &orders);
        run.struck += orders.lift();
        if run.struck == 0 {
            println!("{kind} {what} times {times}: {} runs, {disturbed} saw an error", n - 1);
            break;
        }
        assert_eq!(Contents::of(&state(n)), expected, "{kind} {n}: {run:?}");
        assert_eq!(run.late_failures, 0, "{kind} {n}: it recovers at the first attempt: {run:?}");
        let met = run.errors.len() - run.refused_starts;
        assert!(met == 0 || run.told.load(Ordering::Relaxed) > 0, "{kind} {n}: nobody was told: {run:?}");
        disturbed += usize::from(!run.errors.is_empty());
        for error in run.errors {
            *errors.entry(error.replace(state(n).to_str().unwrap(), "STATE")).or_default() += 1;
        }
        std::fs::remove_dir_all(state(n)).unwrap();
    }
    // SQLite gets along with a log that cannot be removed.
    assert!(disturbed > 0 || kind == "unlink", "{kind} {what} disturbed nobody");
    for (error, times) in errors {
        println!("  {times} × {error}");
        // "malformed" is what SQLite makes of a read that failed.
        let says_why =
            ["full", "No space left", "I/O error", "Input/output error", "unable to open", "readonly", "malformed"];
        assert!(says_why.iter().any(|why| error.contains(why)), "{error}");
    }
}

/// Runs a child for each line: the kind of operation, what it comes to, and how often in a row (0: until freed).
#[expect(clippy::print_stdout, reason = "the numbers are for whoever runs it")]
fn disturb(lines: &[(&str, &str, usize)]) {
    let child = |(kind, what, times): &(&str, &str, usize)| {
        let folder = quick_folder();
        let root = folder.join("disk");
        std::fs::create_dir(&root).unwrap();
        let child = Child::new("keep", &root).env("DISK_ORDERS", folder.join("orders"));
        let output = child.env("KIND", kind).env("WHAT", what).env("TIMES", times.to_string()).run();
        let printed = String::from_utf8(output.stdout).unwrap();
        let told = printed.lines().filter(|line| line.contains("times") || line.contains('×'));
        println!("{}", told.collect::<Vec<_>>().join("\n"));
    };
    std::thread::scope(|scope| lines.iter().for_each(|line| drop(scope.spawn(|| child(line)))));
}

#[test]
fn d3_a_disk_that_is_full_at_any_write_loses_and_doubles_nothing() {
    disturb(&[
        ("write", "ENOSPC", 1),
        ("write", "ENOSPC", 0),
        ("write", "short", 1),
        ("write", "short", 0),
        ("truncate", "ENOSPC", 0),
    ]);
}

#[test]
fn d4_a_disk_that_fails_at_any_operation_loses_and_doubles_nothing() {
    disturb(&[
        ("sync", "EIO", 1),
        ("sync", "EIO", 0),
        ("write", "EIO", 1),
        ("write", "EIO", 7),
        ("read", "EIO", 1),
        ("read", "EIO", 2),
        ("read", "EIO", 3),
        ("read", "EIO", 0),
        ("truncate", "EIO", 1),
        ("open", "EIO", 1),
        ("open", "EIO", 0),
        ("unlink", "EIO", 1),
    ]);
}
