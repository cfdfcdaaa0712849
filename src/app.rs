//! Where the rooms are wired together, and nowhere else.

mod asking;
mod credentials;
mod examining;
mod limits;
mod reload;
mod temporary;
mod web_config;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{info, warn};

pub use self::asking::{Asked, AskedEvents, Told, events, verify};
pub use self::examining::{AskedExamination, Examined, examine, examine_state};
pub use self::reload::Reloads;
use self::reload::Running;
pub use self::temporary::TemporaryFolder;
use self::web_config::Protection;
use crate::clock::{Clock, SystemClock, UnixSeconds};
use crate::ledger::{Ledger, LedgerError, Records, SqliteLedger};
use crate::live::{self, Client, ClientOptions};
use crate::metrics::exposition::{Coding, Exposition, Format};
use crate::metrics::{BUILD, OwnMetrics, POLL_ERRORS};
use crate::poller::{AccountLoop, AccountOptions, ClientIp, Keeper, KeeperHandle, KeeperOptions, Pace, QuietDay};
use crate::publication::Terms;
use crate::reason::Classifier;
use crate::session::Name;
use crate::settings::{self, ListenAddress, Problems, Settings, StatePath};
pub use crate::sim::{Keys, Scenario, Simulator};
use crate::status::Board;
use crate::web::{self, Guard, GuardError, Limits, ReloadWish, Site};

/// How long answers in hand may take at the end. The whole stop stays below five seconds.
const DRAIN: Duration = Duration::from_secs(3);

/// A loop that has not turned for so many intervals is stuck.
const STUCK_INTERVALS: u32 = 3;

/// Why the exporter could not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An address cannot be listened at.
    #[error("cannot listen at {address}; choose a free address with --web.listen-address")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The books cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The API client cannot be made.
    #[error("account {account}")]
    Client {
        /// The account.
        account: String,
        /// Why.
        #[source]
        source: live::SetupError,
    },
    /// A poll of `once` failed.
    #[error("account {account}")]
    Poll {
        /// The account.
        account: String,
        /// Why.
        #[source]
        source: crate::poller::PassError,
    },
    /// What the API shows of an account cannot be held against the books.
    #[error("account {account}")]
    Verification {
        /// The account.
        account: String,
        /// Why.
        #[source]
        source: crate::poller::VerificationError,
    },
    /// Settings that are wrong in themselves: new ones, or a web config that was sound when the settings were read.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// New settings that a running exporter cannot take up.
    #[error("cannot be changed while running: {0}; put them back, or restart to take them up")]
    NeedsRestart(String),
    /// The web server cannot be guarded.
    #[error("the web server")]
    Guard(#[from] GuardError),
    /// Something that must not happen.
    #[error("{0}")]
    Broken(String),
    /// The operating system refused.
    #[error("{doing}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What an exporter is put together of, but for its loops.
struct House {
    clock: Arc<dyn Clock>,
    metrics: Arc<OwnMetrics>,
    board: Arc<Board>,
    keeper: KeeperHandle,
    exposition: Arc<Exposition>,
    records: Arc<Records>,
    started: UnixSeconds,
    limits: Limits,
}

/// A house with loops that do not turn yet, and the way its keeper tells of its end.
struct Built {
    house: House,
    loops: Vec<(String, AccountLoop<Client>)>,
    keeper_ended: oneshot::Receiver<Result<(), LedgerError>>,
}

/// Runs until `stop` completes, then stops polling, finishes the commit in hand and drains scrapes.
///
/// `listeners` are those of [`listen`]: whoever asked for port 0 knows from them where the exporter answers.
///
/// # Errors
/// When it cannot start, or a part of it ends by itself.
pub async fn run(
    settings: Settings,
    listeners: Vec<TcpListener>,
    stop: impl Future<Output = ()>,
) -> Result<(), AppError> {
    run_reloading(settings, listeners, stop, Reloads::never()).await
}

/// [`run`], with new settings whenever somebody asks `reloads` for them.
///
/// # Errors
/// As [`run`].
pub async fn run_reloading(
    settings: Settings,
    listeners: Vec<TcpListener>,
    stop: impl Future<Output = ()>,
    reloads: Reloads,
) -> Result<(), AppError> {
    let Built { house, loops, mut keeper_ended } = build(&settings, settings.series.hold_max)?;
    let names: Vec<&str> = loops.iter().map(|(name, _)| name.as_str()).collect();
    let bound: Vec<SocketAddr> = listeners.iter().filter_map(|at| at.local_addr().ok()).collect();
    let addresses: Vec<String> = bound.iter().map(ToString::to_string).collect();
    info!(
        version = BUILD.version,
        revision = BUILD.revision,
        accounts = names.join(","),
        listening = addresses.join(","),
        state = %state_name(&settings),
        "started"
    );
    for account in &settings.accounts {
        tell_cost(account, &settings, house.clock.now());
    }
    let bound: Vec<IpAddr> = bound.iter().map(SocketAddr::ip).collect();
    let protection = Protection::new(settings.web.config_file.as_deref(), &bound, &house.metrics)?;
    let (stopping, stopped) = watch::channel(false);
    let mut web_stopped = stopped.clone();
    let web_stop = async move {
        // A sender that is gone has stopped too.
        let _ = web_stopped.wait_for(|stopping| *stopping).await;
    };
    let keeper = house.keeper.clone();
    let guard = Arc::clone(&protection.guard);
    tokio::spawn(protection.keep(Arc::clone(&house.metrics), Arc::clone(&house.clock), stopped));
    let mut running = Running::new(house, settings, guard, &reloads, loops);
    let web = tokio::spawn(web::serve(listeners, running.serving(), web_stop, DRAIN));
    let ended = tokio::select! {
        () = stop => Ok(()),
        ended = &mut keeper_ended => Err(how_it_ended(ended)),
        error = running.turn(reloads) => Err(error),
    };
    info!("stopping: no more polls, finishing the commit in hand");
    stopping.send_replace(true);
    let deadline = Instant::now() + DRAIN;
    running.stop(deadline).await;
    keeper.stop();
    if ended.is_ok() {
        match tokio::time::timeout_at(deadline, keeper_ended).await {
            Ok(Ok(Err(error))) => return Err(error.into()),
            Ok(_) => {}
            // It is whole or not at all, as after a kill.
            Err(_) => warn!("the disk is slow, the commit in hand was not waited for"),
        }
    }
    web.await.map_err(|error| AppError::Broken(format!("the web server ended badly: {error}")))?;
    ended
}

/// Polls every account once and returns the page that a scraper would get, and the failures.
///
/// # Errors
/// When the exporter cannot be put together.
pub async fn once(settings: Settings) -> Result<(Vec<u8>, Vec<AppError>), AppError> {
    let Built { house, mut loops, .. } = build(&settings, Duration::ZERO)?;
    let mut failures = Vec::new();
    for (name, account) in &mut loops {
        let broken = |error: crate::poller::KeeperError| AppError::Broken(error.to_string());
        match account.poll_once().await {
            Ok(()) => {
                house.keeper.publish(name.clone()).await.map_err(broken)?;
                // What is published now is released before this is answered.
                house.keeper.counting(name.clone()).await.map_err(broken)?;
            }
            Err(source) => failures.push(AppError::Poll { account: name.clone(), source }),
        }
    }
    house.keeper.stop();
    let page = house.exposition.page(Format::Text, Coding::Identity).concat();
    Ok((page, failures))
}

fn build(settings: &Settings, hold_max: Duration) -> Result<Built, AppError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (names, interval) = (settings.account_names(), settings.poll.interval);
    let metrics = OwnMetrics::new(&names, interval, settings.series.limit, live::CODES, live::ACTIONS, POLL_ERRORS)
        .map_err(|error| AppError::Broken(format!("the metrics contradict each other: {error}")))?;
    let metrics = Arc::new(metrics);
    metrics.config_reload(true, clock.now());
    metrics.web_config_reload(true, clock.now());
    let board = Arc::new(Board::new(names, interval * STUCK_INTERVALS, clock.elapsed()));
    let ledger = match &settings.state.path {
        StatePath::Memory => SqliteLedger::in_memory()?,
        StatePath::Folder(folder) => SqliteLedger::open(folder)?,
    };
    let records = Arc::new(ledger.records(Classifier::new(&settings.reasons), Arc::clone(&clock)));
    let (keeper, keeper_ended) = start_keeper(Box::new(ledger), settings, hold_max, &clock, &metrics)?;
    let exposition = Arc::new(Exposition::new(keeper.snapshot(), Arc::clone(&metrics), settings.web.created_lines));
    let started = clock.now();
    let limits = limits::of_process();
    let house = House { clock, metrics, board, keeper, exposition, records, started, limits };
    let made = settings.accounts.iter().map(|account| {
        let source = client(account, settings, &house.clock, &house.metrics)?;
        Ok((account.name.clone(), house.account_loop(account, source, settings)))
    });
    let loops = made.collect::<Result<_, AppError>>()?;
    Ok(Built { house, loops, keeper_ended })
}

impl House {
    fn account_loop(&self, account: &settings::Account, source: Client, settings: &Settings) -> AccountLoop<Client> {
        AccountLoop::new(AccountOptions {
            name: account.name.clone(),
            source,
            domains: account.domains.iter().map(|name| Name::from(name.as_str())).collect(),
            apps: account.apps.iter().map(|name| Name::from(name.as_str())).collect(),
            discover_domains: account.discover_domains,
            streams_online: account.streams_online,
            pace: pace(settings),
            clock: Arc::clone(&self.clock),
            keeper: self.keeper.clone(),
            metrics: Arc::clone(&self.metrics),
            board: Arc::clone(&self.board),
        })
    }

    fn site(&self, settings: &Settings, guard: &Arc<Guard>, wishes: Option<mpsc::Sender<ReloadWish>>) -> Site {
        let (scraped, disconnected) = (self.keeper.clone(), self.keeper.clone());
        Site {
            telemetry_path: settings.web.telemetry_path.clone(),
            external_path: settings.web.external_url.as_ref().map_or(String::new(), |url| url.path().to_owned()),
            max_requests: usize::try_from(settings.web.max_requests).unwrap_or(usize::MAX),
            guard: Arc::clone(guard),
            exposition: Arc::clone(&self.exposition),
            records: Arc::clone(&self.records),
            board: Arc::clone(&self.board),
            clock: Arc::clone(&self.clock),
            build: BUILD,
            started: self.started,
            on_scraped: Box::new(move |scrape| scraped.scraped(scrape)),
            on_disconnected: Box::new(move |connection| disconnected.disconnected(connection)),
            reload: wishes.filter(|_| settings.web.enable_lifecycle),
            limits: self.limits,
        }
    }
}

fn start_keeper(
    ledger: Box<dyn Ledger>,
    settings: &Settings,
    hold_max: Duration,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<OwnMetrics>,
) -> Result<(KeeperHandle, oneshot::Receiver<Result<(), LedgerError>>), AppError> {
    let commits = Arc::clone(metrics);
    let options = KeeperOptions {
        classifier: Classifier::new(&settings.reasons),
        terms: terms(settings, hold_max),
        client_ip: client_ip(settings),
        clock: Arc::clone(clock),
        observer: Box::new(move |commit| match commit {
            Ok(took) => commits.state_commit(took),
            // Whoever wanted it written is told, and says so where it matters.
            Err(error) => tracing::debug!(%error, "the ledger did not take a posting"),
        }),
    };
    let (mut keeper, handle) = Keeper::open(ledger, options)?;
    keeper.publish_left_over(&settings.account_names())?;
    let (ended, keeper_ended) = oneshot::channel();
    let work = move || {
        // Nobody waits for it after a stop that took too long.
        drop(ended.send(keeper.run()));
    };
    let thread = std::thread::Builder::new().name("keeper".into()).spawn(work);
    thread.map_err(|source| AppError::System { doing: "cannot start a thread", source })?;
    Ok((handle, keeper_ended))
}

fn terms(settings: &Settings, hold_max: Duration) -> Terms {
    let series = &settings.series;
    Terms { series_limit: series.limit, labels: series.labels.clone(), hold_max, idle_ttl: series.idle_ttl }
}

fn client_ip(settings: &Settings) -> ClientIp {
    match settings.state.client_ip {
        settings::ClientIp::Full => ClientIp::Full,
        settings::ClientIp::Masked => ClientIp::Masked,
        settings::ClientIp::None => ClientIp::None,
    }
}

fn how_it_ended(ended: Result<Result<(), LedgerError>, oneshot::error::RecvError>) -> AppError {
    match ended {
        Ok(Err(error)) => error.into(),
        _ => AppError::Broken("the ledger's thread has ended by itself".into()),
    }
}

fn client(
    account: &settings::Account,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<OwnMetrics>,
) -> Result<Client, AppError> {
    let observer = calls_counted(&account.name, metrics);
    let client = client_observed_by(observer, account, settings, clock, Some(metrics))?;
    metrics.api_pace(&account.name, settings.poll.max_requests_per_second);
    Ok(client)
}

/// A client that tells `observer` of its calls, and `metrics`, if there are any, of its keys.
fn client_observed_by(
    observer: live::Observer,
    account: &settings::Account,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    metrics: Option<&Arc<OwnMetrics>>,
) -> Result<Client, AppError> {
    let failed = |source| AppError::Client { account: account.name.clone(), source };
    let provider = credentials::provider(account, clock, metrics, None).map_err(failed)?;
    client_signing_with(provider, observer, account, settings, clock, |_| ())
}

/// A client that signs with the keys of `provider`; `change` may change its options.
fn client_signing_with(
    provider: live::Provider,
    observer: live::Observer,
    account: &settings::Account,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    change: impl FnOnce(&mut ClientOptions),
) -> Result<Client, AppError> {
    let failed = |source| AppError::Client { account: account.name.clone(), source };
    let rate = settings.poll.max_requests_per_second;
    let mut options = ClientOptions::new(account.endpoint.to_string(), provider, rate, Arc::clone(clock), observer);
    change(&mut options);
    options.proxy = credentials::proxy(account).map_err(failed)?;
    credentials::add_roots(account, &mut options.roots);
    Client::new(options).map_err(failed)
}

/// Counts and logs every exchange with the API.
fn calls_counted(account: &str, metrics: &Arc<OwnMetrics>) -> live::Observer {
    let (name, calls) = (account.to_owned(), Arc::clone(metrics));
    Arc::new(move |call: &live::CallReport| {
        calls.api_request(&name, call.action, call.code, call.took);
        calls.api_pace(&name, call.requests_per_second);
        call_logged(&name, call);
    })
}

fn call_logged(account: &str, call: &live::CallReport) {
    let request_id = call.request_id.as_deref().unwrap_or("");
    tracing::debug!(account, action = call.action, code = call.code, request_id, attempt = call.attempt, "called");
}

fn pace(settings: &Settings) -> Pace {
    let poll = &settings.poll;
    Pace {
        interval: poll.interval,
        overlap: poll.overlap,
        sweep_interval: poll.sweep_interval,
        sweep_lookback: poll.sweep_lookback,
        audit_interval: poll.audit_interval,
        horizon: poll.horizon,
        initial_lookback: poll.initial_lookback,
        retention: settings.state.retention,
    }
}

/// Says how often the API is going to be asked, and what for.
fn tell_cost(account: &settings::Account, settings: &Settings, now: UnixSeconds) {
    let scopes = account.domains.len().max(1) * account.apps.len().max(1);
    let day = QuietDay::of(&pace(settings), scopes as u64, account.streams_online, now);
    info!(
        account = account.name,
        requests_a_day = day.requests(),
        polls = day.polls,
        sweeps = day.sweeps,
        streams_online = day.streams_online,
        asked_one_by_one = scopes,
        "asks the API at least so often, and more where there is something to list"
    );
}

fn state_name(settings: &Settings) -> String {
    match &settings.state.path {
        StatePath::Memory => ":memory:".into(),
        StatePath::Folder(folder) => folder.display().to_string(),
    }
}

/// Takes the addresses, before anything else is started.
///
/// # Errors
/// When one of them cannot be had.
pub async fn listen(addresses: &[ListenAddress]) -> Result<Vec<TcpListener>, AppError> {
    let mut listeners = Vec::new();
    for address in addresses {
        let mut bound = Err(std::io::Error::other("no address to bind"));
        for one in address.to_bind() {
            bound = TcpListener::bind(&one).await;
            // Another program on the port is no reason to take half of the machine's addresses.
            let unavailable = |error: &std::io::Error| error.kind() != std::io::ErrorKind::AddrInUse;
            if !bound.as_ref().is_err_and(unavailable) {
                break;
            }
        }
        let listener = bound.map_err(|source| AppError::Listen { address: address.to_string(), source })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Completes on SIGTERM or SIGINT; SIGHUP changes nothing.
///
/// # Errors
/// When the signals cannot be caught.
pub fn stop_signal() -> Result<impl Future<Output = ()>, AppError> {
    // A closed terminal or an old habit must not stop anything.
    stop_signal_and(|| warn!("SIGHUP: there are no settings here that could be read again"))
}

/// Completes on SIGTERM or SIGINT; tells `hung_up` of each SIGHUP.
///
/// # Errors
/// When the signals cannot be caught.
pub fn stop_signal_and(hung_up: impl Fn()) -> Result<impl Future<Output = ()>, AppError> {
    use tokio::signal::unix::{SignalKind, signal};
    let catch = |kind| signal(kind).map_err(|source| AppError::System { doing: "cannot catch signals", source });
    let (mut term, mut int) = (catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?);
    let mut hup = catch(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = term.recv() => return,
                _ = int.recv() => return,
                _ = hup.recv() => hung_up(),
            }
        }
    })
}

/// Serves the simulator at `address` to callers that sign with `keys`.
///
/// # Errors
/// When it cannot listen.
pub async fn simulate(address: &str, scenario: Scenario, keys: Keys) -> Result<Simulator, AppError> {
    let listening = |source| AppError::Listen { address: address.to_owned(), source };
    let listener = TcpListener::bind(address).await.map_err(listening)?;
    Simulator::start(listener, scenario, keys, Arc::new(SystemClock::new())).map_err(listening)
}
