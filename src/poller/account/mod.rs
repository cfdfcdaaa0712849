//! The loop of one account: poll when it is due, sweep in between.

mod drive;
mod online;
mod poll;
mod sweep;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tracing::debug;

use self::poll::Poll;
use self::sweep::Sweep;
use super::handle::{KeeperError, KeeperHandle};
use super::keeper::chain;
use super::report::Report;
use crate::clock::{Clock, UnixSeconds};
use crate::ledger::{AccountBooks, NewAccount};
use crate::listing::{Bounds, Filter, Kind, Query, Window};
use crate::live::{CallError, EventSource};
use crate::metrics::OwnMetrics;
use crate::planted::{Bug, planted};
use crate::session::Name;
use crate::status::Board;

/// How far back the API answers, with a day to spare: two months, or 60 days in older editions of page 267/33186.
const API_HISTORY_SECONDS: i64 = 59 * 24 * 3600;

/// How long to leave an API alone that refuses our credentials.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// How often the push domains are listed.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(600);

/// How often and how far back an account is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From one poll to the next.
    pub interval: Duration,
    /// How far behind the watermark a poll begins.
    pub overlap: Duration,
    /// From one sweep to the next.
    pub sweep_interval: Duration,
    /// How far back sweeps and audits look.
    pub sweep_lookback: Duration,
    /// From one audit to the next.
    pub audit_interval: Duration,
    /// How long sessions are remembered.
    pub horizon: Duration,
    /// How far back the very first poll looks.
    pub initial_lookback: Duration,
    /// How long single records are kept.
    pub retention: Duration,
}

/// What an account loop is made of.
pub struct AccountOptions<S> {
    /// The account's name.
    pub name: String,
    /// The API.
    pub source: S,
    /// Push domains to ask for one by one; empty for one query for all.
    pub domains: Vec<Name>,
    /// Apps to ask for one by one; empty for none sent.
    pub apps: Vec<Name>,
    /// Whether to list the push domains, so that their counters start at 0.
    pub discover_domains: bool,
    /// Whether to count the streams that are pushed, once a minute.
    pub streams_online: bool,
    /// How often and how far back.
    pub pace: Pace,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The writer.
    pub keeper: KeeperHandle,
    /// The exporter's own metrics.
    pub metrics: Arc<OwnMetrics>,
    /// Where the loop says how it is.
    pub board: Arc<Board>,
}

/// Why a pass ended early. What it had committed stays.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The API did not answer, or refused.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The ledger did not take what the API showed.
    #[error("cannot write what was read; nothing is lost, it is listed again until it can be written")]
    Keeper(#[from] KeeperError),
    /// There is no second both clocks agree is over and not forgotten.
    #[error("this machine's clock ({ours}) is further behind than poll.horizon reaches; set the clock")]
    Clock {
        /// What it shows, Unix seconds.
        ours: UnixSeconds,
    },
}

impl PassError {
    /// The `error` label: one of [`crate::live::ERROR_KINDS`] or `state`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            PassError::Call(error) => error.kind(),
            PassError::Keeper(_) => "state",
            PassError::Clock { .. } => "clock",
        }
    }

    /// Whether the API refuses our credentials, so that asking again soon is of no use.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, PassError::Call(error) if error.is_refusal())
    }
}

/// Whether a pass has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Complete,
    Interrupted,
}

/// One account's loop.
pub struct AccountLoop<S> {
    options: AccountOptions<S>,
    scopes: Vec<Filter>,
    books: Option<AccountBooks>,
    /// Polls that the API cut short, by scope; they go on where they were.
    cut_short: BTreeMap<Filter, Poll>,
    sweep: Option<Sweep>,
    next_sweep: Duration,
    next_audit: Duration,
    next_discovery: Duration,
    next_online: Duration,
    first_pass_over: bool,
    /// Whether the last poll listed at least one scope.
    listed_any: bool,
    report: Report,
    /// Held from when something is given to the keeper until what came of it is told.
    writing: Arc<Mutex<()>>,
}

/// What stays the same about an account's books, and its floor.
#[derive(Debug, Clone, Copy)]
struct Since {
    counting_since: UnixSeconds,
    floor: UnixSeconds,
}

impl<S: EventSource> AccountLoop<S> {
    /// A loop that has not turned yet.
    #[must_use]
    pub fn new(options: AccountOptions<S>) -> Self {
        let scopes = scopes(&options.domains, &options.apps);
        let now = options.clock.elapsed();
        if !options.streams_online {
            // The loop before may have counted them.
            options.metrics.streams_online_unknown(&options.name);
        }
        Self {
            scopes,
            books: None,
            cut_short: BTreeMap::new(),
            sweep: None,
            next_sweep: now,
            next_audit: now + options.pace.audit_interval,
            next_discovery: now,
            next_online: now,
            first_pass_over: false,
            listed_any: false,
            report: Report::new(options.name.clone(), Arc::clone(&options.metrics)),
            writing: Arc::default(),
            options,
        }
    }

    /// Turns until `stop` says so; a request in flight is dropped, a commit in hand is not, nor what there is to tell of
    /// it.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let writing = Arc::clone(&self.writing);
        let stopped = async move {
            // A sender that is gone has stopped too.
            let _ = stop.wait_for(|stop| *stop).await;
            writing.lock_owned().await
        };
        tokio::select! {
            biased;
            _ = stopped => {}
            () = self.turn() => {}
        }
    }

    async fn turn(&mut self) {
        let interval = self.options.pace.interval;
        let mut due = Instant::now();
        loop {
            self.wait_until(due).await;
            let outcome = self.poll_once().await;
            // One scope that is refused is no reason to leave the others alone.
            let refused = !self.listed_any && outcome.is_err_and(|error| error.is_refusal());
            // Missed turns are left out; polls never overlap.
            let pause = if refused { interval.max(AFTER_REFUSAL) } else { interval };
            due = (due + pause).max(Instant::now());
            // Polls that take longer than their interval must not starve the others.
            self.count_streams_online(due.max(Instant::now() + interval / 4)).await;
            if self.listed_any {
                self.sweep_until(due.max(Instant::now() + interval / 4)).await;
            }
        }
    }

    /// Sleeps, and says so: a loop that waits is alive.
    async fn wait_until(&self, due: Instant) {
        let beat = self.options.pace.interval / 2;
        while Instant::now() < due {
            self.beat();
            tokio::time::sleep_until(due.min(Instant::now() + beat)).await;
        }
        self.beat();
    }

    fn beat(&self) {
        let elapsed = self.options.clock.elapsed();
        self.options.board.update(&self.options.name, |account| account.last_turn = elapsed);
    }

    /// Makes one poll of every scope and tells how it went.
    ///
    /// # Errors
    /// With the first failure; the other scopes are polled all the same.
    pub async fn poll_once(&mut self) -> Result<(), PassError> {
        let started = self.options.clock.elapsed();
        let outcome = self.poll().await;
        let took = self.options.clock.elapsed().saturating_sub(started);
        let now = self.options.clock.now();
        self.report.pass_ended(Kind::Poll, &outcome, took, now);
        let (error, watermark) = (outcome.as_ref().err().map(|error| chain(error)), self.watermark());
        self.options.board.update(&self.options.name, |account| {
            account.last_poll = Some(now);
            account.watermark = watermark;
            if error.is_none() {
                account.last_success = Some(now);
            }
            account.last_error = error;
        });
        outcome
    }

    async fn poll(&mut self) -> Result<(), PassError> {
        self.listed_any = false;
        self.learn_clock().await?;
        let now = self.bounds_now();
        let theirs = self.options.source.api_time().map(|time| time.now(self.options.clock.elapsed()));
        if theirs.is_some_and(|theirs| now < theirs - seconds(self.options.pace.horizon)) {
            return Err(PassError::Clock { ours: self.options.clock.now() });
        }
        let since = self.open(now).await?;
        self.discover(now).await?;
        let mut outcome = Ok(());
        for scope in self.scopes.clone() {
            let done = self.poll_scope(&scope, since, now).await;
            self.listed_any |= done.is_ok();
            outcome = outcome.and(done);
        }
        if self.listed_any {
            self.options.keeper.counting(self.options.name.clone()).await?;
            self.raise_floor(now).await?;
        }
        outcome
    }

    /// The earliest watermark of the scopes; none before each has one.
    fn watermark(&self) -> Option<UnixSeconds> {
        let books = self.books.as_ref()?;
        self.scopes.iter().map(|scope| books.scopes.get(scope).and_then(|scope| scope.watermark)).min().flatten()
    }

    async fn open(&mut self, now: UnixSeconds) -> Result<Since, PassError> {
        if let Some(books) = &self.books {
            return Ok(Since { counting_since: books.counting_since, floor: books.floor });
        }
        let pace = self.options.pace;
        let floor = now - seconds(pace.horizon);
        let new = NewAccount {
            name: self.options.name.clone(),
            first_start: now,
            counting_since: now - seconds(pace.initial_lookback),
            floor,
        };
        let mut books = self.options.keeper.account(new).await?;
        if planted(Bug::FloorNotKept) {
            books.floor = floor;
        }
        let since = Since { counting_since: books.counting_since, floor: books.floor };
        self.books = Some(books);
        if let Some(watermark) = self.watermark() {
            self.options.metrics.watermark(&self.options.name, watermark);
        }
        Ok(since)
    }

    async fn raise_floor(&mut self, now: UnixSeconds) -> Result<(), PassError> {
        // A listing that was interrupted goes on with the questions it had: none may come to lie below the floor.
        if self.sweep.is_some() || !self.cut_short.is_empty() {
            return Ok(());
        }
        let pace = self.options.pace;
        let Some(books) = &mut self.books else { return Ok(()) };
        // A scope that has never been listed has nothing to forget.
        let watermarks = self.scopes.iter().filter_map(|scope| books.scopes.get(scope)?.watermark);
        let Some(watermark) = watermarks.min() else { return Ok(()) };
        let until = if planted(Bug::FloorFromLocalClock) { self.options.clock.now() } else { watermark.min(now) };
        let floor = until - seconds(pace.horizon);
        // Once a minute is enough; each time costs a commit.
        if floor < books.floor + 60 {
            return Ok(());
        }
        books.floor = floor;
        for scope in books.scopes.values_mut() {
            scope.slices.retain(|id, _| id.window().end >= floor);
        }
        let records_until = now - seconds(pace.retention);
        let forgotten = self.options.keeper.forget(self.options.name.clone(), floor, records_until).await;
        if forgotten.is_err() {
            self.books = None;
        }
        Ok(forgotten?)
    }

    /// See [`latest_second`].
    fn bounds_now(&self) -> UnixSeconds {
        latest_second(&*self.options.clock, &self.options.source)
    }

    /// Any answer tells the API's time, so ask for anything once.
    async fn learn_clock(&mut self) -> Result<(), PassError> {
        if self.options.source.api_time().is_none() {
            let filter = self.scopes.first().cloned().unwrap_or_default();
            let asked = self.ask(&any_question(filter, self.options.clock.now())).await;
            if self.options.source.api_time().is_none() {
                asked?;
            }
        }
        if let Some(time) = self.options.source.api_time() {
            let skew = time.skew(self.options.clock.now(), self.options.clock.elapsed());
            #[expect(clippy::cast_precision_loss, reason = "a skew beyond 2^53 s is no number to be exact about")]
            self.options.metrics.clock_skew(&self.options.name, skew as f64);
        }
        Ok(())
    }

    /// Lists the push domains now and then, so that their counters start at 0. An account that may not list them goes
    /// without.
    async fn discover(&mut self, now: UnixSeconds) -> Result<(), PassError> {
        let elapsed = self.options.clock.elapsed();
        if elapsed < self.next_discovery {
            return Ok(());
        }
        let mut domains: Vec<(Name, Option<bool>)> =
            self.options.domains.iter().map(|name| (name.clone(), None)).collect();
        if self.options.discover_domains && domains.is_empty() {
            match self.alive_while(self.options.source.push_domains()).await {
                Ok(found) => domains.extend(found.into_iter().map(|domain| (domain.name, Some(domain.enabled)))),
                Err(error) => {
                    self.report.no_domains(&error);
                    let pause = if error.is_refusal() { DISCOVERY_INTERVAL } else { AFTER_REFUSAL };
                    self.next_discovery = elapsed + pause;
                    return Ok(());
                }
            }
        }
        debug!(account = self.options.name, domains = domains.len(), now, "push domains known");
        let (names, enabled): (Vec<Name>, Vec<Option<bool>>) = domains.into_iter().unzip();
        let labels = self.options.keeper.introduce(self.options.name.clone(), names).await?;
        let listed: Vec<(String, Option<bool>)> = labels.into_iter().zip(enabled).collect();
        self.options.metrics.domains_listed(&self.options.name, &listed);
        self.next_discovery = elapsed + DISCOVERY_INTERVAL;
        Ok(())
    }
}

/// What may be asked for: nothing that may have been forgotten, here or by the API.
fn bounds(since: Since, now: UnixSeconds) -> Bounds {
    Bounds { floor: since.floor.max(now.saturating_sub(API_HISTORY_SECONDS)), now }
}

/// The latest second that is over for both clocks. The API's is carried on by elapsed time, so that a jump of ours does
/// not move it.
pub(super) fn latest_second(clock: &dyn Clock, source: &impl EventSource) -> UnixSeconds {
    let ours = clock.now();
    let theirs = source.api_time().map(|time| time.now(clock.elapsed()));
    let theirs = theirs.filter(|_| !planted(Bug::WindowEndsAtLocalClock));
    ours.min(theirs.unwrap_or(ours)) - 1
}

/// A cheap question, whose answer tells the API's time.
pub(super) fn any_question(filter: Filter, now: UnixSeconds) -> Query {
    Query { window: Window { start: now - 120, end: now - 60 }, filter, page: 1, page_size: 1 }
}

/// Every domain with every app.
#[must_use]
pub fn scopes(domains: &[Name], apps: &[Name]) -> Vec<Filter> {
    let options = |names: &[Name]| match names {
        [] => vec![None],
        names => names.iter().cloned().map(Some).collect(),
    };
    let (domains, apps) = (options(domains), options(apps));
    let with_apps = |domain: Option<Name>| {
        apps.iter()
            .map(move |app| Filter { domain: domain.clone(), app: app.clone(), stream: None })
            .collect::<Vec<_>>()
    };
    domains.into_iter().flat_map(with_apps).collect()
}

pub(super) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
