//! The way to the API: slow, unreliable, paced like the real client; and the promises about what is asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tencent_live_exporter::clock::{Clock as _, UnixSeconds};
use tencent_live_exporter::listing::{FULL_PAGE, Filter, Page, Query};
use tencent_live_exporter::live::{self, ApiError, ApiTime, CallError, Domain, EventSource, Patience, StreamsOnline};
use tencent_live_exporter::session::Name;

use super::cloud::Cloud;
use super::disk::Disk;
use super::world::World;

/// Until when the API is in which state, in the platform's time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) outage_until: UnixSeconds,
    pub(super) refusal_until: UnixSeconds,
    pub(super) hush_until: UnixSeconds,
    /// Share of attempts that fail.
    pub(super) fails: f64,
    /// Seconds that every answer takes longer than usual.
    pub(super) slow: u64,
}

/// The network between the exporter and the API, which outlives the process.
pub(super) struct Network {
    pub(super) world: Arc<World>,
    pub(super) cloud: Mutex<Cloud>,
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) weather: Mutex<Weather>,
    pub(super) domains: Vec<Name>,
    dice: Mutex<fastrand::Rng>,
}

impl Network {
    pub(super) fn new(
        world: Arc<World>,
        cloud: Cloud,
        disk: Arc<Mutex<Disk>>,
        weather: Weather,
        domains: Vec<Name>,
        dice: fastrand::Rng,
    ) -> Self {
        let (cloud, weather, dice) = (Mutex::new(cloud), Mutex::new(weather), Mutex::new(dice));
        Self { world, cloud, disk, weather, domains, dice }
    }

    /// What goes wrong with this attempt, and how long it takes.
    fn fate(&self) -> (Option<CallError>, Duration) {
        let mut dice = self.dice.lock().unwrap();
        let weather = *self.weather.lock().unwrap();
        let now = self.world.time.true_now();
        let quick = Duration::from_millis(dice.u64(5..300)) + Duration::from_secs(weather.slow);
        let api = |code: &str| ApiError::new(live::DESCRIBE_EVENTS, code, "so it is", None).into();
        let (action, host) = (live::DESCRIBE_EVENTS, "api.example".to_owned());
        if now < weather.outage_until {
            let source = "nobody there".into();
            return (Some(CallError::Network { action, host, source }), quick);
        }
        if now < weather.refusal_until {
            return (Some(api("AuthFailure.SecretIdNotFound")), quick);
        }
        if dice.f64() >= weather.fails {
            return (None, quick);
        }
        match dice.u8(..6) {
            0 => (Some(CallError::Timeout { action, host, source: "30 s".into() }), Duration::from_secs(30)),
            1 => (Some(CallError::Network { action, host, source: "reset".into() }), quick),
            2 => (Some(CallError::Status { action, host, status: 502, sample: "<html>".into() }), quick),
            3 => (Some(api("InternalError")), quick),
            4 => (Some(api("AuthFailure.SignatureExpire")), quick),
            _ => (Some(api("RequestLimitExceeded")), quick),
        }
    }
}

/// One process's client.
pub(super) struct Source {
    network: Arc<Network>,
    account: String,
    patience: Patience,
    per_second: f64,
    since: Duration,
    attempts: Mutex<u64>,
    /// A request is on its way.
    busy: Mutex<bool>,
    api_time: Mutex<Option<ApiTime>>,
}

impl Source {
    pub(super) fn new(network: Arc<Network>, account: &str, per_second: f64) -> Self {
        Self {
            since: network.world.time.elapsed(),
            network,
            account: account.into(),
            // As `ClientOptions::new` has it.
            patience: Patience::new(per_second, 4, Duration::from_millis(500)),
            per_second,
            attempts: Mutex::new(0),
            busy: Mutex::new(false),
            api_time: Mutex::new(None),
        }
    }

    fn keeps_its_promises(&self, query: &Query) {
        let world = &self.network.world;
        if self.api_time().is_none() {
            // The first question is asked for the sake of the time alone; its rows are not looked at.
            world.promise(query.page_size == 1, || format!("{query:?} is asked before the API's time is known"));
            return;
        }
        let (window, now) = (query.window, world.time.true_now());
        let floor = self.network.disk.lock().unwrap().accounts.get(&self.account).map(|account| account.floor);
        world.promise(floor.is_none_or(|floor| window.start >= floor), || format!("{window} is below {floor:?}"));
        world.promise(window.end <= now, || format!("{window} ends in the API's future, it is {now}"));
        world.promise(window.start <= window.end, || format!("{window} is no window"));
        world.promise(window.end - window.start <= 30 * 86_400, || format!("{window} is wider than 30 days"));
        world.promise(now - window.start < 60 * 86_400, || format!("{window} is longer ago than the API remembers"));
        let page_size = query.page_size;
        world.promise((1..=FULL_PAGE).contains(&page_size), || format!("a page of {page_size}"));
        world.promise(query.page * page_size <= 10_000, || format!("{query:?} is beyond the API's cap"));
    }

    fn keeps_its_budget(&self) {
        let world = &self.network.world;
        world.count(|tally| tally.requests += 1);
        let mut attempts = self.attempts.lock().unwrap();
        *attempts += 1;
        let seconds = world.time.elapsed().saturating_sub(self.since).as_secs_f64();
        let most = seconds * self.per_second + self.per_second + 1.0;
        world.promise(*attempts as f64 <= most, || format!("{attempts} requests in {seconds} s"));
    }

    async fn attempt(&self, query: &Query) -> Result<Page, CallError> {
        let network = &self.network;
        let world = &network.world;
        world.survives().await;
        self.keeps_its_budget();
        let busy = std::mem::replace(&mut *self.busy.lock().unwrap(), true);
        world.promise(!busy, || "two requests at once: polls overlap".into());
        let (error, takes) = network.fate();
        tokio::time::sleep(takes).await;
        *self.busy.lock().unwrap() = false;
        let now = world.time.true_now();
        let answer = match error {
            Some(error) => {
                world.count(|tally| tally.faults += 1);
                Err(error)
            }
            None if now < network.weather.lock().unwrap().hush_until => Ok(Page { total: Some(0), rows: Vec::new() }),
            None => {
                let page = network.cloud.lock().unwrap().answer(query, now);
                let refused = || ApiError::new(live::DESCRIBE_EVENTS, "InvalidParameterValue", "too many", None);
                page.ok_or_else(|| refused().into())
            }
        };
        let shown = answer.as_ref().map(|page| (page.total, page.rows.len())).map_err(CallError::code);
        let names = &query.filter;
        let names = (&names.domain, &names.app, &names.stream);
        world.trace("asked", (query.window.start, query.window.end, query.page, query.page_size, names, shown));
        world.survives().await;
        // An answer of any kind tells the time.
        if answer.as_ref().err().is_none_or(|error| matches!(error, CallError::Api(_))) {
            *self.api_time.lock().unwrap() = Some(ApiTime { at: now, elapsed: world.time.elapsed() });
        }
        answer
    }
}

impl EventSource for Source {
    async fn events(&self, query: &Query) -> Result<Page, CallError> {
        let mut attempt = 1;
        let mut signed_anew = false;
        self.keeps_its_promises(query);
        loop {
            self.patience.turn().await;
            match self.attempt(query).await {
                // The answer has told the time, so another signature may do.
                Err(error) if error.kind() == "clock" && self.patience.lasts_beyond(attempt) && !signed_anew => {
                    (signed_anew, attempt) = (true, attempt + 1);
                }
                Err(error) if error.is_throttled() && self.patience.lasts_beyond(attempt) => {
                    self.patience.throttled();
                    tokio::time::sleep(self.patience.pause_after(attempt)).await;
                    attempt += 1;
                }
                Err(error) if error.is_retryable() && self.patience.lasts_beyond(attempt) => {
                    tokio::time::sleep(self.patience.pause_after(attempt)).await;
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }

    async fn push_domains(&self) -> Result<Vec<Domain>, CallError> {
        self.patience.turn().await;
        self.keeps_its_budget();
        let (error, takes) = self.network.fate();
        tokio::time::sleep(takes).await;
        match error {
            Some(error) => Err(error),
            None => Ok(self.network.domains.iter().map(|name| Domain { name: name.clone(), enabled: true }).collect()),
        }
    }

    async fn streams_online(&self, _: &Filter) -> Result<StreamsOnline, CallError> {
        unreachable!("not asked for")
    }

    fn api_time(&self) -> Option<ApiTime> {
        *self.api_time.lock().unwrap()
    }
}
