//! How far a connection has come, and so when it is too slow, too silent, or done with an answer.
//!
//! The socket, the routes and the answers of one connection tell it what happens; its task asks it for the deadline
//! after each of these, the seats ask it who could make room. Every method takes the lock for a few instructions.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use super::Limits;
use crate::publication::Scrape;

/// A head that comes with the connection is not mistaken for silence within this time.
const GRACE_SILENT: Duration = Duration::from_millis(100);
/// A head in several packets is not mistaken for a trickle within this time.
const GRACE_HEAD: Duration = Duration::from_secs(1);

/// An answer that takes longer is not waited for when others want its place.
const SLOW_READER: Duration = Duration::from_secs(5);

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Progress {
    limits: Limits,
    state: Mutex<State>,
    evicted: Notify,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    /// Bytes of a next request came while an answer was being written.
    read_ahead: bool,
    /// Answers begun whose body has not been handed over or dropped yet.
    open: usize,
    /// Answers handed over whole that are to be reported once they are written.
    scrapes: Vec<Scrape>,
    /// Of answers that are being written.
    places: Vec<Place>,
    next_place: u64,
    leave: Leave,
    outlet: Outlet,
    /// A whole metrics page was read over it.
    regular: bool,
}

impl State {
    /// What has come of the connection so far and since when it has been silent; nothing while it is answered.
    fn waiting(&self) -> Option<(Standing, Instant)> {
        let (served, since) = match self.stage {
            Stage::Silent { since, served, .. } | Stage::Head { since, served } => (served, since),
            Stage::Answer { .. } => return None,
        };
        let standing = match (self.regular, served) {
            (true, _) => Standing::Regular,
            (_, true) => Standing::Served,
            _ => Standing::Unknown,
        };
        Some((standing, since))
    }
}

/// What an answer holds while it is written.
#[derive(Debug)]
struct Place {
    number: u64,
    /// Its answer was handed over, and is written with what is buffered.
    handed_over: bool,
    /// Its place among the requests that are answered at a time.
    permit: Option<OwnedSemaphorePermit>,
    /// Its place among the large answers, which nobody else can use.
    _large: Option<OwnedSemaphorePermit>,
}

/// Whether what is to be written gets out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outlet {
    Open,
    /// The last write or flush has to wait for the client.
    Blocked,
    /// The client has closed its side.
    Closed,
}

/// What has come of a connection, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// It has asked nothing.
    Unknown,
    /// It has been answered.
    Served,
    /// It has read a whole metrics page.
    Regular,
}

/// Whether a connection is to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    Never,
    /// Unless it is being answered.
    IfSilent,
    /// Whatever it is doing: it has lost its place.
    Now,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Not a byte of the next request.
    Silent { since: Instant, served: bool, looked: bool },
    /// Some of its head.
    Head { since: Instant, served: bool },
    /// Answering; `progress` is absent while there is nothing to write yet.
    Answer { since: Instant, progress: Option<Instant> },
}

impl Progress {
    pub(super) fn new(limits: Limits) -> Self {
        let state = State {
            stage: Stage::Silent { since: Instant::now(), served: false, looked: false },
            read_ahead: false,
            open: 0,
            scrapes: Vec::new(),
            places: Vec::new(),
            next_place: 0,
            regular: false,
            leave: Leave::Never,
            outlet: Outlet::Open,
        };
        Self { limits, state: Mutex::new(state), evicted: Notify::new() }
    }

    /// Bytes were read; none means that there is nothing to read yet.
    pub(super) fn read(&self, bytes: usize) {
        let mut state = self.state();
        match (&mut state.stage, bytes) {
            (Stage::Silent { looked, .. }, 0) => *looked = true,
            (Stage::Silent { since, served, .. }, _) => {
                // The first head is due from the moment of the connection.
                let since = if *served { Instant::now() } else { *since };
                state.stage = Stage::Head { since, served: *served };
            }
            (Stage::Answer { .. }, 1..) => state.read_ahead = true,
            (Stage::Head { .. } | Stage::Answer { .. }, _) => {}
        }
    }

    /// There is something to write, or the client took some of it.
    pub(super) fn wrote(&self) {
        if let Stage::Answer { progress, .. } = &mut self.state().stage {
            *progress = Some(Instant::now());
        }
    }

    /// The last write or flush had to wait, or had not.
    pub(super) fn block(&self, blocked: bool) {
        let outlet = &mut self.state().outlet;
        if *outlet != Outlet::Closed {
            *outlet = if blocked { Outlet::Blocked } else { Outlet::Open };
        }
    }

    /// The client has closed its side.
    pub(super) fn read_out(&self) {
        self.state().outlet = Outlet::Closed;
    }

    /// Whether something may be left to write: the client does not take it, or has closed its side, upon which h2 gives
    /// up what it holds.
    pub(super) fn may_owe(&self) -> bool {
        self.state().outlet != Outlet::Open
    }

    /// A request's head is complete; its answer begins.
    pub(super) fn request(&self) {
        let mut state = self.state();
        state.open += 1;
        if !matches!(state.stage, Stage::Answer { .. }) {
            state.stage = Stage::Answer { since: Instant::now(), progress: None };
        }
    }

    /// Of several answers at a time, the one that is waited for longest began at `since`.
    pub(super) fn oldest(&self, oldest: Instant) {
        if let Stage::Answer { since, .. } = &mut self.state().stage {
            *since = oldest;
        }
    }

    /// Keeps an answer's places until it is written or dropped, the connection ends, or another needs `permit` more. Their
    /// number, if there are any.
    pub(super) fn hold(
        &self,
        permit: Option<OwnedSemaphorePermit>,
        large: Option<OwnedSemaphorePermit>,
    ) -> Option<u64> {
        if permit.is_none() && large.is_none() {
            return None;
        }
        let mut state = self.state();
        let number = state.next_place;
        state.next_place += 1;
        state.places.push(Place { number, handed_over: false, permit, _large: large });
        Some(number)
    }

    /// The last part of an answer is about to be buffered. Its place is kept until that is written.
    pub(super) fn handed_over(&self, scrape: Option<Scrape>, place: Option<u64>) {
        let mut state = self.state();
        state.scrapes.extend(scrape);
        for place in state.places.iter_mut().filter(|held| Some(held.number) == place) {
            place.handed_over = true;
        }
    }

    /// An answer is dropped before its last part was handed over.
    pub(super) fn give_up(&self, place: u64) {
        self.state().places.retain(|held| held.number != place);
    }

    /// An answer's body is gone, handed over or not.
    pub(super) fn closed(&self) {
        let mut state = self.state();
        state.open = state.open.saturating_sub(1);
    }

    /// Everything buffered so far was written. Gives back what was read whole.
    pub(super) fn flushed(&self) -> Vec<Scrape> {
        let mut state = self.state();
        if state.open == 0 && matches!(state.stage, Stage::Answer { .. }) {
            let since = Instant::now();
            state.stage = if std::mem::take(&mut state.read_ahead) {
                Stage::Head { since, served: true }
            } else {
                Stage::Silent { since, served: true, looked: false }
            };
        }
        state.places.retain(|place| !place.handed_over);
        state.regular |= !state.scrapes.is_empty();
        std::mem::take(&mut state.scrapes)
    }

    /// When the connection is to be cut off unless something happens.
    pub(super) fn deadline(&self) -> Instant {
        match self.state().stage {
            Stage::Silent { since, served: true, .. } => since + self.limits.idle,
            Stage::Silent { since, served: false, .. } | Stage::Head { since, .. } => since + self.limits.head,
            Stage::Answer { since, progress } => {
                let whole = since + self.limits.answer;
                progress.map_or(whole, |progress| whole.min(progress + self.limits.stall))
            }
        }
    }

    /// Whether an answer is being made or written.
    pub(super) fn is_answering(&self) -> bool {
        matches!(self.state().stage, Stage::Answer { .. })
    }

    /// Rank among the connections that could make room, the first to go lowest: those that never asked anything, then
    /// the longest silent, those with a whole page behind them last. Absent for a connection that is being answered, or may
    /// just not have had time to speak.
    pub(super) fn rank(&self, now: Instant) -> Option<(Standing, Instant)> {
        let state = self.state();
        let (standing, since) = state.waiting()?;
        let ripe = match state.stage {
            Stage::Silent { since, looked, .. } => looked && now >= since + GRACE_SILENT,
            Stage::Head { since, .. } => now >= since + GRACE_HEAD,
            Stage::Answer { .. } => false,
        };
        (ripe && state.leave == Leave::Never).then_some((standing, since))
    }

    /// Whether it is a newcomer that may soon have to make room.
    pub(super) fn is_waiting_newcomer(&self) -> bool {
        self.state().waiting().is_some_and(|(standing, _)| standing != Standing::Regular)
    }

    /// Asks the connection to make room.
    pub(super) fn evict(&self) {
        self.state().leave = Leave::IfSilent;
        self.evicted.notify_one();
    }

    /// Since when the client has taken nothing of its answer, if that is long enough for others to come first, and it
    /// holds a place that they need.
    pub(super) fn idle_reader(&self, now: Instant) -> Option<Instant> {
        let state = self.state();
        let Stage::Answer { since, progress: Some(progress) } = state.stage else { return None };
        let idle = now >= progress + self.limits.idle_reader || now >= since + SLOW_READER;
        (idle && state.places.iter().any(|place| place.permit.is_some())).then_some(progress)
    }

    /// Whether a whole metrics page was read over this connection before.
    pub(super) fn is_regular(&self) -> bool {
        self.state().regular
    }

    /// Takes the connection's place among the requests that are answered, and ends it.
    pub(super) fn take_place(&self) -> Option<OwnedSemaphorePermit> {
        let mut state = self.state();
        let permit = state.places.iter_mut().find_map(|place| place.permit.take())?;
        state.leave = Leave::Now;
        self.evicted.notify_one();
        Some(permit)
    }

    /// Completes when the connection is to make room; a request that has come in the meantime is answered first, unless
    /// it has lost its place.
    pub(super) async fn evicted(&self) {
        loop {
            self.evicted.notified().await;
            let mut state = self.state();
            if state.leave == Leave::Now || !matches!(state.stage, Stage::Answer { .. }) {
                return;
            }
            state.leave = Leave::Never;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publication::Scraper;

    fn scrape() -> Scrape {
        Scrape { scraper: Scraper::new("::1".parse().unwrap(), b"test"), connection: 1, generation: 7 }
    }

    #[test]
    fn an_answer_is_reported_when_it_is_written_and_not_before() {
        let progress = Progress::new(Limits::default());
        progress.read(100);
        progress.request();
        assert_eq!(progress.flushed(), []);
        progress.handed_over(Some(scrape()), None);
        progress.closed();
        assert_eq!(progress.flushed(), [scrape()]);
        assert_eq!(progress.flushed(), []);
        assert!(!progress.is_answering());
    }

    #[test]
    fn each_stage_has_its_own_deadline() {
        let limits = Limits::default();
        let progress = Progress::new(limits);
        let start = Instant::now();
        let in_seconds = |progress: &Progress| (progress.deadline() - start).as_secs_f64().round();
        assert!((in_seconds(&progress) - 10.0).abs() < 1.0);
        progress.request();
        assert!((in_seconds(&progress) - 60.0).abs() < 1.0);
        progress.wrote();
        assert!((in_seconds(&progress) - 30.0).abs() < 1.0);
        progress.closed();
        progress.flushed();
        assert!((in_seconds(&progress) - 300.0).abs() < 1.0);
        progress.read(1);
        assert!((in_seconds(&progress) - 10.0).abs() < 1.0);
    }

    #[test]
    fn bytes_read_ahead_do_not_wait_as_an_idle_connection_does() {
        let progress = Progress::new(Limits::default());
        progress.request();
        progress.read(3);
        progress.closed();
        let flushed = Instant::now();
        progress.flushed();
        assert!(progress.deadline() < flushed + Limits::default().head * 2);
    }

    #[test]
    fn the_silent_make_room_before_the_served_and_nobody_at_once() {
        let later = Instant::now() + GRACE_SILENT * 2;
        let (silent, served, busy) =
            (Progress::new(Limits::default()), Progress::new(Limits::default()), Progress::new(Limits::default()));
        served.request();
        served.closed();
        served.flushed();
        busy.request();
        assert_eq!(silent.rank(later), None, "nobody has looked for its bytes yet");
        silent.read(0);
        served.read(0);
        assert_eq!(silent.rank(Instant::now()), None);
        assert!(silent.rank(later).unwrap() < served.rank(later).unwrap());
        let scraper = Progress::new(Limits::default());
        scraper.request();
        scraper.handed_over(Some(scrape()), None);
        scraper.closed();
        scraper.flushed();
        scraper.read(0);
        assert!(served.rank(later).unwrap() < scraper.rank(later).unwrap(), "scrapers last");
        assert!(silent.is_waiting_newcomer() && !busy.is_waiting_newcomer() && !scraper.is_waiting_newcomer());
        assert_eq!(busy.rank(later), None);
    }
}
