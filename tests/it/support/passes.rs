//! One account's polls over the simulator, made one by one, by a client that does not wait long.
#![expect(clippy::unwrap_used, reason = "a stand-in that cannot go on ends its test")]

use std::collections::BTreeMap;
use std::slice::from_ref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tencent_live_exporter::clock::{Clock, SystemClock};
use tencent_live_exporter::ledger::SqliteLedger;
use tencent_live_exporter::live::{self, CallReport, Client, ClientOptions, Provider};
use tencent_live_exporter::metrics::exposition::{Coding, Exposition, Format};
use tencent_live_exporter::metrics::{OwnMetrics, POLL_ERRORS};
use tencent_live_exporter::poller::{
    AccountLoop, AccountOptions, ClientIp, Keeper, KeeperHandle, KeeperOptions, Pace, PassError,
};
use tencent_live_exporter::publication::Terms;
use tencent_live_exporter::reason::Classifier;
use tencent_live_exporter::sim::{Event, Keys, Scenario, Simulator, World};
use tencent_live_exporter::status::Board;
use tokio::net::TcpListener;

use super::log;
use super::metrics::Metrics;

/// What the client signs with, if the key is not in a file.
pub(crate) const SECRET_ID: &str = "AKIDEXAMPLE";

/// A quiet platform and an account that polls it when told to.
pub(crate) struct Passes {
    pub(crate) world: Arc<World>,
    pub(crate) account: String,
    polls: AccountLoop<Client>,
    keeper: KeeperHandle,
    exposition: Exposition,
    reports: Arc<Mutex<Vec<CallReport>>>,
    _simulator: Simulator,
}

impl Passes {
    /// With an API that lets in whoever signs with `key`, and with all the patience of a real account.
    pub(crate) async fn new(credentials: Provider, key: &str) -> Self {
        Self::with_timeout(credentials, key, Duration::from_secs(30)).await
    }

    /// The same with another deadline for an exchange as a whole.
    pub(crate) async fn with_timeout(credentials: Provider, key: &str, total_timeout: Duration) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        log::keep();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let keys = Keys::new(SECRET_ID, key);
        let simulator = Simulator::start(listener, Scenario::default(), keys, Arc::clone(&clock)).unwrap();
        let account = format!("passes-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let seconds = Duration::from_secs;
        let metrics =
            OwnMetrics::new(from_ref(&account), seconds(30), 1000, live::CODES, live::ACTIONS, POLL_ERRORS).unwrap();
        let metrics = Arc::new(metrics);
        let reports = Arc::<Mutex<Vec<CallReport>>>::default();
        let (told, calls, name) = (Arc::clone(&reports), Arc::clone(&metrics), account.clone());
        let observer = Arc::new(move |report: &CallReport| {
            calls.api_request(&name, report.action, report.code, report.took);
            calls.api_pace(&name, report.requests_per_second);
            told.lock().unwrap().push(report.clone());
        });
        let mut options =
            ClientOptions::new(simulator.endpoint(), credentials, 100_000.0, Arc::clone(&clock), observer);
        (options.back_off, options.total_timeout) = (Duration::from_millis(1), total_timeout);
        let keeper_options = KeeperOptions {
            classifier: Classifier::new(&[]),
            terms: Terms { series_limit: 10_000, hold_max: Duration::ZERO, ..Terms::default() },
            client_ip: ClientIp::Masked,
            clock: Arc::clone(&clock),
            observer: Box::new(|_| {}),
        };
        let (keeper, handle) = Keeper::open(Box::new(SqliteLedger::in_memory().unwrap()), keeper_options).unwrap();
        std::thread::spawn(move || keeper.run());
        let pace = Pace {
            interval: seconds(30),
            overlap: seconds(120),
            sweep_interval: seconds(60),
            sweep_lookback: seconds(6 * 3600),
            audit_interval: seconds(24 * 3600),
            horizon: seconds(12 * 3600),
            initial_lookback: seconds(3600),
            retention: seconds(24 * 3600),
        };
        let polls = AccountLoop::new(AccountOptions {
            name: account.clone(),
            source: Client::new(options).unwrap(),
            domains: Vec::new(),
            apps: Vec::new(),
            discover_domains: false,
            streams_online: false,
            pace,
            board: Arc::new(Board::new([account.clone()], seconds(90), clock.elapsed())),
            clock,
            keeper: handle.clone(),
            metrics: Arc::clone(&metrics),
        });
        let exposition = Exposition::new(handle.snapshot(), metrics, false);
        Self { world: simulator.world(), account, polls, keeper: handle, exposition, reports, _simulator: simulator }
    }

    /// Publishes so many sessions of the last fifty minutes; past a hundred are too many for one response.
    pub(crate) fn publish(&self, sessions: i64) {
        let now = self.world.now();
        let session = |n: i64| {
            let (stream, end) = (format!("room_{}", n % 1000), now - 5 - n * 3000 / sessions);
            Event::ended("push.example.com", "live", stream.as_str(), end - 60, end)
        };
        self.world.publish_all((0..sessions).map(session));
    }

    /// Makes one poll.
    pub(crate) async fn poll(&mut self) -> Result<(), PassError> {
        let outcome = self.polls.poll_once().await;
        self.keeper.publish(self.account.clone()).await.unwrap();
        self.keeper.counting(self.account.clone()).await.unwrap();
        outcome
    }

    /// The page as a scraper would get it.
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::parse(&String::from_utf8(self.exposition.page(Format::Text, Coding::Identity).concat()).unwrap())
    }

    /// Every session is on the page once.
    pub(crate) fn shows_the_truth(&self, what: &str) {
        let shown: BTreeMap<String, u64> =
            self.metrics().streams().into_iter().map(|((_, _, stream, _), count)| (stream, count)).collect();
        let truth = self.world.truth().by_series;
        let truth = truth.into_iter().map(|(series, count)| (series.stream.text().into_owned(), count)).collect();
        assert_eq!(shown, truth, "{what}");
    }

    /// How many exchanges came to `code`, by the metric and by the reports.
    pub(crate) fn exchanges(&self, code: &str) -> u64 {
        let labels = [("account", self.account.as_str()), ("code", code)];
        let metric = self.metrics().count("tencent_live_exporter_api_requests_total", &labels);
        let reported = self.reports.lock().unwrap().iter().filter(|report| report.code == code).count();
        assert_eq!(metric, reported as u64, "{code}");
        metric
    }

    /// The log about the account.
    pub(crate) fn log(&self) -> Vec<String> {
        log::of(&self.account)
    }
}
