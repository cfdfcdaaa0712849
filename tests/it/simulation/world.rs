//! What all parts of one simulated run share: time, fate, the trace, and the list of broken promises.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tencent_live_exporter::clock::{Clock, UnixSeconds};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The API's time when a run begins.
pub(super) const START: UnixSeconds = 1_700_000_000;

/// The platform's own time, and how far the exporter's machine is off.
#[derive(Debug)]
pub(super) struct Time {
    origin: Instant,
    local_offset: AtomicI64,
}

impl Time {
    /// The API's time in whole seconds.
    pub(super) fn true_now(&self) -> UnixSeconds {
        START + i64::try_from(self.elapsed().as_secs()).expect("runs are short")
    }

    pub(super) fn set_local_offset(&self, seconds: i64) {
        self.local_offset.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for Time {
    fn now(&self) -> UnixSeconds {
        self.true_now() + self.local_offset.load(Ordering::Relaxed)
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// What a run has been through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) events: u64,
    pub(super) requests: u64,
    pub(super) faults: u64,
    pub(super) commits: u64,
    pub(super) crashes: u64,
    pub(super) scrapes: u64,
    pub(super) seconds: u64,
    /// Events that had to be counted exactly once at the end.
    pub(super) due: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Tally) {
        self.events += other.events;
        self.requests += other.requests;
        self.faults += other.faults;
        self.commits += other.commits;
        self.crashes += other.crashes;
        self.scrapes += other.scrapes;
        self.seconds += other.seconds;
        self.due += other.due;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally { events, due, requests, faults, commits, crashes, scrapes, seconds } = self;
        write!(
            f,
            "{} days of polling, {events} sessions of which {due} were due at the end, {requests} requests, \
             {commits} commits, {scrapes} scrapes, {faults} faults, {crashes} crashes",
            seconds / 86_400
        )
    }
}

#[derive(Default)]
struct Record {
    hash: DefaultHasher,
    tally: Tally,
    broken_promise: Option<String>,
    effects: u64,
    dies_at: Option<u64>,
    dead: bool,
}

/// One run.
pub(super) struct World {
    pub(super) time: Time,
    told: bool,
    record: Mutex<Record>,
    /// Something has happened that ends a life or the run.
    pub(super) news: Notify,
}

impl World {
    /// Begins now, on the runtime's clock. `told` prints the trace.
    pub(super) fn new(told: bool) -> Self {
        let time = Time { origin: Instant::now(), local_offset: AtomicI64::new(0) };
        Self { time, told, record: Mutex::default(), news: Notify::new() }
    }

    /// Says something to whoever replays a seed.
    #[expect(clippy::print_stdout, reason = "that is what a seed is replayed for")]
    pub(super) fn tell(&self, words: impl FnOnce() -> String) {
        if self.told {
            println!("{}", words());
        }
    }

    /// Adds to the trace.
    pub(super) fn trace(&self, what: &str, details: impl Hash + std::fmt::Debug) {
        let at = self.time.elapsed().as_millis();
        self.tell(|| format!("{at:>10} {what} {details:?}"));
        let mut record = self.record.lock().unwrap();
        (at, what, details).hash(&mut record.hash);
    }

    /// What tells this run from another.
    pub(super) fn trace_hash(&self) -> u64 {
        self.record.lock().unwrap().hash.finish()
    }

    /// Changes the tally.
    pub(super) fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.record.lock().unwrap().tally);
    }

    pub(super) fn tally(&self) -> Tally {
        self.record.lock().unwrap().tally
    }

    /// Demands `kept`; the first promise that is broken ends the run.
    pub(super) fn promise(&self, kept: bool, words: impl FnOnce() -> String) {
        if kept {
            return;
        }
        let mut record = self.record.lock().unwrap();
        if record.broken_promise.is_none() {
            let at = self.time.elapsed().as_secs_f64();
            record.broken_promise = Some(format!("at {at:.3} s: {}", words()));
            self.news.notify_one();
        }
    }

    pub(super) fn broken_promise(&self) -> Option<String> {
        self.record.lock().unwrap().broken_promise.clone()
    }

    /// Starts a life that ends after so many effects, if at all.
    pub(super) fn live(&self, dies_after: Option<u64>) {
        let mut record = self.record.lock().unwrap();
        record.dead = false;
        record.dies_at = dies_after.map(|effects| record.effects + effects);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.record.lock().unwrap().dead
    }

    /// The process is about to have an effect, or has had one: does it die here?
    pub(super) fn dies_here(&self) -> bool {
        let mut record = self.record.lock().unwrap();
        record.effects += 1;
        if record.dies_at.is_some_and(|at| record.effects >= at) {
            record.dead = true;
            self.news.notify_one();
        }
        record.dead
    }

    /// Goes no further if the process dies here.
    pub(super) async fn survives(&self) {
        if self.dies_here() {
            std::future::pending::<()>().await;
        }
    }
}
