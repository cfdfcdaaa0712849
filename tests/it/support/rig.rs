//! The whole exporter, as it is wired for use, against the simulator in one process.
#![expect(clippy::unwrap_used, reason = "a stand-in that cannot go on ends its test")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tencent_live_exporter::app::{self, AppError, Reloads};
use tencent_live_exporter::clock::SystemClock;
use tencent_live_exporter::settings::{Problems, Settings, StatePath};
use tencent_live_exporter::sim::{Event, Keys, Quirks, Scenario, Simulator, World};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::folder::Folder;
use super::metrics::{Metrics, Stream};
use super::patience::{PATIENCE, seen, until};
use super::{http, log};

/// What the simulator and the exporter sign with.
pub(crate) const SECRET_ID: &str = "AKIDrigrigrigrigrigrigrigrigrigrig00";
pub(crate) const SECRET_KEY: &str = "rigrigrigrigrigrigrigrigrigrig00";

/// A push domain for tests that need but one.
pub(crate) const DOMAIN: &str = "push.example.com";

/// A simulator and an exporter that polls it, on ports and in a folder of their own.
pub(crate) struct Rig {
    pub(crate) world: Arc<World>,
    pub(crate) settings: Settings,
    pub(crate) folder: Folder,
    simulator: Option<Simulator>,
    running: Option<Running>,
    /// What a reload reads.
    next: Arc<Mutex<Result<Settings, Problems>>>,
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    stopped: JoinHandle<Result<(), AppError>>,
}

impl Rig {
    /// A quiet platform, and an exporter in a great hurry that is not started yet.
    pub(crate) async fn new() -> Self {
        Self::on(Scenario::default()).await
    }

    /// The same on another platform.
    pub(crate) async fn on(scenario: Scenario) -> Self {
        log::keep();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let keys = Keys::new(SECRET_ID, SECRET_KEY);
        let simulator = Simulator::start(listener, scenario, keys, Arc::new(SystemClock::new())).unwrap();
        let folder = Folder::new();
        let settings = hurried(&simulator.endpoint(), &folder);
        let next = Arc::new(Mutex::new(Ok(settings.clone())));
        Self { world: simulator.world(), settings, folder, simulator: Some(simulator), running: None, next }
    }

    /// The same with other settings.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// The same with other habits of the API.
    pub(crate) fn quirks(self, change: impl FnOnce(&mut Quirks)) -> Self {
        self.world.set_quirks(change);
        self
    }

    /// Starts the exporter.
    pub(crate) async fn start(mut self) -> Self {
        self.start_again().await;
        self
    }

    pub(crate) async fn start_again(&mut self) {
        let listeners = app::listen(&self.settings.web.listen_addresses).await.unwrap();
        let address = listeners[0].local_addr().unwrap();
        let (stop, stopping) = oneshot::channel();
        let (settings, next) = (self.settings.clone(), Arc::clone(&self.next));
        let reloads = Reloads::new(move || next.lock().unwrap().clone());
        let stopping = async {
            // A test that is over stops it too.
            let _ = stopping.await;
        };
        let stopped = tokio::spawn(app::run_reloading(settings, listeners, stopping, reloads));
        self.running = Some(Running { address, stop, stopped });
    }

    /// Changes the settings and has them read; the status and the words of the answer.
    pub(crate) async fn reload(&mut self, change: impl FnOnce(&mut Settings)) -> (u16, String) {
        let mut changed = self.settings.clone();
        change(&mut changed);
        let answer = self.reload_as(Ok(changed.clone())).await;
        if answer.0 == 200 {
            self.settings = changed;
        }
        answer
    }

    /// Has the exporter find `settings` when it reads them.
    pub(crate) async fn reload_as(&self, settings: Result<Settings, Problems>) -> (u16, String) {
        *self.next.lock().unwrap() = settings;
        http::post(self.address(), "/-/reload").await.unwrap()
    }

    /// Stops the exporter and waits until it has.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().expect("it runs");
        running.stop.send(()).expect("it listens");
        running.stopped.await.unwrap().unwrap();
    }

    /// Waits until the exporter has stopped by itself, and returns why.
    pub(crate) async fn breaks(&mut self) -> AppError {
        let running = self.running.take().expect("it runs");
        let stopped = tokio::time::timeout(PATIENCE, running.stopped).await.expect("it stops in time");
        // The way to stop it must not be gone before it has stopped by itself.
        drop(running.stop);
        stopped.unwrap().expect_err("it was not told to stop")
    }

    /// Takes the API off the network.
    pub(crate) fn cut_off(&mut self) {
        self.simulator.take().expect("it is there").stop();
    }

    /// The value of the `account` label.
    pub(crate) fn account(&self) -> &str {
        &self.settings.accounts[0].name
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.as_ref().expect("it runs").address
    }

    /// The status and body of a page.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        http::get(self.address(), path).await.unwrap()
    }

    pub(crate) async fn metrics(&self) -> Metrics {
        let (status, page) = self.get("/metrics").await;
        assert_eq!(status, 200, "{page}");
        Metrics::parse(&page)
    }

    /// A metric of the account, all label sets together.
    pub(crate) async fn own(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let account = [("account", self.account())];
        self.metrics().await.count(name, &[labels, &account].concat())
    }

    /// Waits until a metric of the account is at least `least`.
    pub(crate) async fn reaches(&self, name: &str, labels: &[(&str, &str)], least: u64) {
        let what = format!("{name}{labels:?} is {least}");
        until(&what, async || {
            let value = self.own(name, labels).await;
            seen(value >= least, value)
        })
        .await;
    }

    /// Waits until `n` further polls and `n` further sweeps have succeeded from beginning to end.
    pub(crate) async fn turns(&self, n: u64) {
        for kind in ["poll", "sweep"] {
            let before = self.successes(kind).await;
            let what = format!("{n} more passes of kind {kind} succeed");
            until(&what, async || {
                let now = self.successes(kind).await;
                // The first to end may have begun before.
                seen(now > before + n, now)
            })
            .await;
        }
    }

    async fn successes(&self, kind: &str) -> u64 {
        let metrics = self.metrics().await;
        let labels = [("account", self.account()), ("kind", kind)];
        metrics.count("tencent_live_exporter_polls_total", &labels)
            - metrics.count("tencent_live_exporter_poll_failures_total", &labels)
    }

    /// Waits until the page shows `wanted`, no more and no less.
    pub(crate) async fn shows(&self, wanted: &BTreeMap<Stream, u64>) {
        until("the page shows what there is to count", async || {
            let shown = self.metrics().await.streams();
            let differs = |stream: &&Stream| shown.get(*stream) != wanted.get(*stream);
            let mut wrong: Vec<_> = shown.keys().chain(wanted.keys()).filter(differs).collect();
            wrong.dedup();
            let told = wrong.iter().take(5).map(|stream| (stream, shown.get(*stream), wanted.get(*stream)));
            seen(shown == *wanted, format!("{} differ: {:?}", wrong.len(), told.collect::<Vec<_>>()))
        })
        .await;
    }

    /// Waits until the page shows the truth.
    pub(crate) async fn shows_the_truth(&self) {
        self.shows(&self.truth()).await;
    }

    /// What there is to count.
    pub(crate) fn truth(&self) -> BTreeMap<Stream, u64> {
        let mut truth = BTreeMap::new();
        for (series, count) in self.world.truth().by_series {
            let text = |name: &tencent_live_exporter::sim::Name| name.text().into_owned();
            let stream = (text(&series.domain), text(&series.app), text(&series.stream), series.reason.to_owned());
            *truth.entry(stream).or_default() += count;
        }
        truth
    }

    /// A session on `stream` that ended `ago` seconds ago and had lasted a minute.
    pub(crate) fn ended(&self, stream: &str, ago: i64) -> Event {
        let end = self.world.now() - ago;
        Event::ended(DOMAIN, "live", stream, end - 60, end)
    }

    /// The log about the account.
    pub(crate) fn log(&self) -> Vec<String> {
        log::of(self.account())
    }

    /// The lines of the log about the account that have every one of `parts`.
    pub(crate) fn told(&self, parts: &[&str]) -> Vec<String> {
        self.log().into_iter().filter(|line| parts.iter().all(|part| line.contains(part))).collect()
    }

    /// Waits until a line of the log about the account has every one of `parts`.
    pub(crate) async fn tells(&self, parts: &[&str]) {
        let what = format!("the log tells {parts:?}");
        until(&what, async || seen(!self.told(parts).is_empty(), self.log())).await;
    }

    /// Nothing has happened that anybody has to read about.
    pub(crate) fn tells_nothing(&self) {
        assert_eq!(self.log(), [""; 0]);
    }
}

/// Settings with which everything happens at once.
fn hurried(endpoint: &str, folder: &Folder) -> Settings {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let account = format!("rig-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let yaml = format!(
        "accounts:\n  - name: {account}\n    endpoint: {endpoint}\n    credentials: {{ secret_id: {SECRET_ID}, \
         secret_key: {SECRET_KEY} }}\npoll: {{ overlap: 30s, sweep_lookback: 6h, horizon: 12h, audit_interval: 1h }}\n\
         series: {{ hold_max: 0s }}\nweb: {{ listen_addresses: [\"127.0.0.1:0\"] }}\n"
    );
    let mut settings = Settings::from_yaml(&yaml, []).unwrap();
    settings.state.path = StatePath::Folder(folder.join("state"));
    // Faster than anyone may set it.
    settings.poll.interval = Duration::from_millis(200);
    settings.poll.sweep_interval = Duration::from_millis(200);
    settings.poll.max_requests_per_second = 100_000.0;
    settings.web.enable_lifecycle = true;
    // Its requests would meet the faults that are meant for listings.
    settings.accounts[0].streams_online = false;
    settings
}
