//! What polling costs: requests a day for so many sessions a day, against the simulator, with time that stands still until
//! everybody waits.
//!
//! The real loop asks the real client, which asks the simulator over HTTP; a day takes some minutes for a million
//! sessions. It polls every 30 s and sweeps 24 h every minute, as it does unless told otherwise. Counted are the requests of
//! 24 h after the first two; at the end every session has to be counted, once.
//! `cargo bench --bench requests`, or with numbers of sessions a day: `cargo bench --bench requests -- 1000000`.

#[expect(dead_code, reason = "other benches use the rest")]
mod table;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tencent_live_exporter::clock::{Clock, ManualClock, UnixSeconds};
use tencent_live_exporter::ledger::SqliteLedger;
use tencent_live_exporter::listing::{FULL_PAGE, Filter, Page, Query};
use tencent_live_exporter::live::{
    self, ApiTime, CallError, CallReport, Client, ClientOptions, Credentials, Domain, EventSource, Patience, Provider,
    StreamsOnline,
};
use tencent_live_exporter::metrics::{OwnMetrics, POLL_ERRORS};
use tencent_live_exporter::poller::{AccountLoop, AccountOptions, ClientIp, Keeper, KeeperHandle, KeeperOptions, Pace};
use tencent_live_exporter::publication::{Terms, labels};
use tencent_live_exporter::reason::Classifier;
use tencent_live_exporter::secret::Secret;
use tencent_live_exporter::session::Name;
use tencent_live_exporter::sim::{Keys, Scenario, Simulator, World};
use tencent_live_exporter::status::Board;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;

const START: UnixSeconds = 1_767_225_600;
const ACCOUNT: &str = "main";
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// From the start to where requests begin to be counted.
const BEFORE: Duration = Duration::from_secs(2 * 3600);
/// What is listed of the past at the very first start.
const INITIAL_LOOKBACK: Duration = HOUR;
/// How long an answer takes.
const ANSWER: Duration = Duration::from_millis(50);
const REQUESTS_PER_SECOND: f64 = 5.0;

/// One exporter and what it has to do.
#[derive(Debug, Clone, Copy)]
struct Case {
    sessions: u64,
    /// Push domains, asked for one by one or all at once.
    domains: u64,
    one_by_one: bool,
    late: Lateness,
}

/// When the API lists what has ended.
#[derive(Debug, Clone, Copy)]
enum Lateness {
    /// All of it within half a minute.
    Seconds,
    /// All of it within five minutes, most within half of one.
    Minutes,
    /// The same, but for one in fifty, which takes up to a day.
    ADay,
}

impl Lateness {
    fn words(self) -> &'static str {
        match self {
            Self::Seconds => "≤ 30 s",
            Self::Minutes => "20 % ≤ 5 min",
            Self::ADay => "2 % ≤ 24 h",
        }
    }

    fn yaml(self) -> &'static str {
        match self {
            Self::Seconds => "[{ share: 1.0, up_to: 30s }]",
            Self::Minutes => "[{ share: 0.8, up_to: 30s }, { share: 0.2, up_to: 5m }]",
            Self::ADay => "[{ share: 0.8, up_to: 30s }, { share: 0.18, up_to: 5m }, { share: 0.02, up_to: 24h }]",
        }
    }
}

impl Case {
    fn domain(number: u64) -> String {
        format!("push{number}.example.com")
    }

    fn scenario(self) -> Scenario {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let per_minute = self.sessions as f64 / 1440.0;
        let mut yaml = String::from("seed: 7\nplatform:\n  domains:\n");
        for number in 0..self.domains {
            let name = Self::domain(number);
            let streams = "[{ pattern: \"room_{}\", count: 100 }]";
            writeln!(yaml, "    - {{ name: {name}, apps: [{{ name: live, streams: {streams} }}] }}")
                .expect("a string takes it");
        }
        let lateness = self.late.yaml();
        write!(
            yaml,
            "traffic: {{ disconnects_per_minute: {per_minute}, history: 24h, clones: {{ share: 0.3, most: 5 }}, \
             reasons: {{ client_stopped: 8, network_error: 1, auth_failed: 1 }} }}\nquirks: {{ lateness: {lateness}, \
             tie_order: shuffled }}\n"
        )
        .expect("a string takes it");
        Scenario::from_yaml(&yaml).expect("the scenario is sound")
    }
}

/// The runtime's time, which stands still until everybody waits.
struct RuntimeClock {
    origin: Instant,
}

impl Clock for RuntimeClock {
    fn now(&self) -> UnixSeconds {
        START + i64::try_from(self.elapsed().as_secs()).expect("benches end before that")
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// The real client in a runtime whose time goes on, for a loop whose time does not.
struct Source {
    client: Arc<Client>,
    elsewhere: Handle,
    /// The client's and the simulator's.
    theirs: Arc<ManualClock>,
    ours: Arc<RuntimeClock>,
    patience: Patience,
    questions: Arc<Questions>,
}

/// What was asked.
#[derive(Debug, Default)]
struct Questions {
    /// How many rows there are.
    counts: AtomicU64,
    /// For rows of one stream, to be sure of those that look alike.
    confirmations: AtomicU64,
    /// For rows.
    pages: AtomicU64,
}

impl Questions {
    fn note(&self, query: &Query) {
        let kind = match query {
            Query { filter, .. } if filter.stream.is_some() => &self.confirmations,
            Query { page_size: 1, .. } => &self.counts,
            _ => &self.pages,
        };
        kind.fetch_add(1, Ordering::Relaxed);
    }

    fn asked(&self) -> [u64; 3] {
        [&self.counts, &self.pages, &self.confirmations].map(|kind| kind.load(Ordering::Relaxed))
    }
}

impl Source {
    /// Waits for the account's pace and for the answer on the loop's time, and for the exchange itself on none.
    async fn ask<T: Send + 'static>(&self, exchange: impl Future<Output = T> + Send + 'static) -> T {
        self.patience.turn().await;
        tokio::time::sleep(ANSWER).await;
        let elapsed = self.ours.elapsed();
        self.theirs.advance(elapsed.saturating_sub(self.theirs.elapsed()));
        self.theirs.jump_to(self.ours.now());
        let (answer, answered) = mpsc::channel();
        self.elsewhere.spawn(async move {
            // Whoever has stopped waiting has stopped the bench.
            let _ = answer.send(exchange.await);
        });
        answered.recv().expect("the client answers")
    }
}

impl EventSource for Source {
    async fn events(&self, query: &Query) -> Result<Page, CallError> {
        self.questions.note(query);
        let (client, query) = (Arc::clone(&self.client), query.clone());
        self.ask(async move { client.events(&query).await }).await
    }

    async fn push_domains(&self) -> Result<Vec<Domain>, CallError> {
        let client = Arc::clone(&self.client);
        self.ask(async move { client.push_domains().await }).await
    }

    async fn streams_online(&self, scope: &Filter) -> Result<StreamsOnline, CallError> {
        let (client, scope) = (Arc::clone(&self.client), scope.clone());
        self.ask(async move { client.streams_online(&scope).await }).await
    }

    fn api_time(&self) -> Option<ApiTime> {
        self.client.api_time()
    }
}

/// The simulator, beside the loop.
struct Cloud {
    elsewhere: Runtime,
    simulator: Simulator,
    clock: Arc<ManualClock>,
    requests: Arc<AtomicU64>,
    questions: Arc<Questions>,
}

impl Cloud {
    fn new(case: Case) -> Self {
        let elsewhere = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads can be had");
        let clock = Arc::new(ManualClock::new(START));
        let (scenario, shared) = (case.scenario(), Arc::clone(&clock));
        let simulator = elsewhere.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
            Simulator::start(listener, scenario, Keys::new("AKIDbench", "bench"), shared).expect("it starts")
        });
        Self { elsewhere, simulator, clock, requests: Arc::default(), questions: Arc::default() }
    }

    fn source(&self, ours: &Arc<RuntimeClock>) -> Source {
        let key = Credentials { secret_id: "AKIDbench".into(), secret_key: Secret::new("bench"), token: None };
        let requests = Arc::clone(&self.requests);
        let observer: live::Observer = Arc::new(move |call: &CallReport| {
            assert_eq!(call.code, "ok", "nothing goes wrong here");
            requests.fetch_add(1, Ordering::Relaxed);
        });
        let endpoint = self.simulator.endpoint();
        // Its own pace would be kept in real time; the source keeps it.
        let unpaced = 1e6;
        let options = ClientOptions::new(endpoint, Provider::Fixed(key), unpaced, self.clock.clone(), observer);
        Source {
            client: Arc::new(Client::new(options).expect("the simulator can be reached")),
            elsewhere: self.elsewhere.handle().clone(),
            theirs: Arc::clone(&self.clock),
            ours: Arc::clone(ours),
            patience: Patience::new(REQUESTS_PER_SECOND, 4, Duration::from_millis(500)),
            questions: Arc::clone(&self.questions),
        }
    }

    fn asked(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

fn pace() -> Pace {
    Pace {
        interval: Duration::from_secs(30),
        overlap: Duration::from_secs(120),
        sweep_interval: Duration::from_secs(60),
        sweep_lookback: DAY,
        audit_interval: DAY,
        horizon: 3 * DAY,
        initial_lookback: INITIAL_LOOKBACK,
        retention: DAY,
    }
}

fn keeper(clock: &Arc<RuntimeClock>) -> (Keeper, KeeperHandle) {
    let terms = Terms {
        series_limit: 50_000,
        labels: labels::Choice::default(),
        hold_max: Duration::ZERO,
        idle_ttl: Duration::ZERO,
    };
    let options = KeeperOptions {
        classifier: Classifier::new(&[]),
        terms,
        client_ip: ClientIp::None,
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        observer: Box::new(|_| {}),
    };
    Keeper::open(Box::new(SqliteLedger::in_memory().expect("there is memory")), options).expect("it is empty")
}

/// What a counter of the account comes to, all label sets with this pair together.
fn count(metrics: &OwnMetrics, name: &str, label: (&str, &str)) -> u64 {
    let families = metrics.gather(&tencent_live_exporter::publication::Snapshot::default());
    let metrics =
        families.iter().filter(|family| family.name() == name).flat_map(prometheus::proto::MetricFamily::get_metric);
    let chosen = metrics.filter(|metric| metric.get_label().iter().any(|pair| (pair.name(), pair.value()) == label));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    chosen.map(|metric| metric.get_counter().get_value() as u64).sum()
}

/// Whether everything that was to be counted is.
fn counted(metrics: &OwnMetrics, world: &World) -> (u64, u64) {
    // The loop's present is the last second that is over.
    let since = START - 1 - i64::try_from(INITIAL_LOOKBACK.as_secs()).expect("an hour");
    (count(metrics, "tencent_live_exporter_records_total", ("outcome", "counted")), world.truth_since(since).published)
}

/// The requests of a day.
async fn day(case: Case, cloud: &Cloud) -> u64 {
    let clock = Arc::new(RuntimeClock { origin: Instant::now() });
    let metrics =
        OwnMetrics::new(&[ACCOUNT.to_owned()], pace().interval, 50_000, live::CODES, live::ACTIONS, POLL_ERRORS);
    let metrics = Arc::new(metrics.expect("the table of names is sound"));
    let (keeper, handle) = keeper(&clock);
    let keeping = spawn_local(keeper.work());
    let (stop, stopping) = watch::channel(false);
    let domains = if case.one_by_one { case.domains } else { 0 };
    let options = AccountOptions {
        name: ACCOUNT.into(),
        source: cloud.source(&clock),
        domains: (0..domains).map(|number| Name::from(Case::domain(number).as_str())).collect(),
        apps: Vec::new(),
        discover_domains: true,
        streams_online: false,
        pace: pace(),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        keeper: handle.clone(),
        metrics: Arc::clone(&metrics),
        board: Arc::new(Board::new([ACCOUNT.to_owned()], HOUR, Duration::ZERO)),
    };
    let looping = spawn_local(AccountLoop::new(options).run(stopping));
    tokio::time::sleep(BEFORE).await;
    let before = cloud.asked();
    for hour in 1..=24 {
        tokio::time::sleep(HOUR).await;
        let [counts, pages, confirmations] = cloud.questions.asked();
        table::progress(format!(
            "{hour} of 24 hours: {} requests; from the start {counts} counts, {pages} pages, {confirmations} confirmations",
            cloud.asked() - before
        ));
    }
    let requests = cloud.asked() - before;
    // Now everything that has ended is published, and has to be found.
    cloud.simulator.world().stop_traffic();
    cloud.simulator.world().publish_late();
    for _ in 0..24 {
        tokio::time::sleep(HOUR).await;
        let (counted, published) = counted(&metrics, &cloud.simulator.world());
        if counted == published {
            break;
        }
        table::progress(format!("{counted} of {published} sessions are counted"));
    }
    let (counted, published) = counted(&metrics, &cloud.simulator.world());
    assert_eq!(counted, published, "every session counts once");
    stop.send_replace(true);
    looping.await.expect("the loop ends when it is told to");
    handle.stop();
    keeping.await.expect("the keeper ends when it is told to").expect("it has written everything");
    requests
}

fn measure(case: Case) {
    let cloud = Cloud::new(case);
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime can be had");
    let requests = LocalSet::new().block_on(&runtime, day(case, &cloud));
    drop(runtime);
    cloud.simulator.stop();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let per_second = requests as f64 / DAY.as_secs_f64();
    let domains = if case.one_by_one { format!("{} one by one", case.domains) } else { "all at once".to_owned() };
    // Every sweep lists every page of the day.
    let listing = case.sessions.div_ceil(u64::from(FULL_PAGE)).max(1) * (86_400 / pace().sweep_interval.as_secs());
    table::line(&[&case.sessions, &domains, &case.late.words(), &requests, &table::three_digits(per_second), &listing]);
}

fn main() {
    let counts = table::counts(&[1_000, 10_000, 100_000, 1_000_000]);
    table::head(&["sessions a day", "domains", "listed after", "requests a day", "a second", "if sweeps listed all"]);
    for sessions in counts {
        for late in [Lateness::Seconds, Lateness::Minutes, Lateness::ADay] {
            measure(Case { sessions, domains: 10, one_by_one: false, late });
        }
        measure(Case { sessions, domains: 10, one_by_one: true, late: Lateness::Minutes });
    }
}
