//! Where the rooms are wired together, and nowhere else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::clock::{Clock, SystemClock};
use crate::ledger::{Ledger, LedgerError, Records, SqliteLedger};
use crate::live::{self, Client, ClientOptions, Credentials, KeyFile, Provider};
use crate::metrics::exposition::{Coding, Exposition, Format};
use crate::metrics::{BUILD, OwnMetrics, POLL_ERRORS};
use crate::poller::{AccountLoop, AccountOptions, ClientIp, Keeper, KeeperHandle, KeeperOptions, Pace};
use crate::publication::Terms;
use crate::reason::Classifier;
use crate::session::Name;
use crate::settings::{self, CredentialSource, ListenAddress, Settings, StatePath};
pub use crate::sim::{Keys, Scenario, Simulator};
use crate::status::Board;
use crate::web::{self, Limits, Site};

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

/// An exporter that is put together but does not turn yet.
struct House {
    clock: Arc<dyn Clock>,
    board: Arc<Board>,
    keeper: KeeperHandle,
    keeper_ended: oneshot::Receiver<Result<(), LedgerError>>,
    loops: Vec<(String, AccountLoop<Client>)>,
    exposition: Arc<Exposition>,
    records: Arc<Records>,
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
    let mut house = build(&settings, settings.series.hold_max)?;
    let names: Vec<&str> = house.loops.iter().map(|(name, _)| name.as_str()).collect();
    let addresses: Vec<String> =
        listeners.iter().filter_map(|at| at.local_addr().ok()).map(|at| at.to_string()).collect();
    info!(
        version = BUILD.version,
        revision = BUILD.revision,
        accounts = names.join(","),
        listening = addresses.join(","),
        state = %state_name(&settings),
        "started"
    );
    let (stopping, stopped) = watch::channel(false);
    let mut loops = JoinSet::new();
    for (_, account) in house.loops.drain(..) {
        loops.spawn(account.run(stopped.clone()));
    }
    let (scraped, disconnected) = (house.keeper.clone(), house.keeper.clone());
    let site = Site {
        telemetry_path: settings.web.telemetry_path.clone(),
        max_requests: usize::try_from(settings.web.max_requests).unwrap_or(usize::MAX),
        exposition: Arc::clone(&house.exposition),
        records: Arc::clone(&house.records),
        board: Arc::clone(&house.board),
        clock: Arc::clone(&house.clock),
        build: BUILD,
        on_scraped: Box::new(move |scrape| scraped.scraped(scrape)),
        on_disconnected: Box::new(move |connection| disconnected.disconnected(connection)),
        limits: Limits::default(),
    };
    let mut web_stopped = stopped.clone();
    let web_stop = async move {
        // A sender that is gone has stopped too.
        let _ = web_stopped.wait_for(|stopping| *stopping).await;
    };
    let web = tokio::spawn(web::serve(listeners, Arc::new(site), web_stop, DRAIN));
    let ended = tokio::select! {
        () = stop => Ok(()),
        ended = &mut house.keeper_ended => Err(keeper_ended(ended)),
        _ = loops.join_next() => Err(AppError::Broken("a poll loop has ended by itself".into())),
    };
    info!("stopping: no more polls, finishing the commit in hand");
    stopping.send_replace(true);
    while loops.join_next().await.is_some() {}
    house.keeper.stop();
    if ended.is_ok() {
        match tokio::time::timeout(DRAIN, house.keeper_ended).await {
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
    let mut house = build(&settings, Duration::ZERO)?;
    let mut failures = Vec::new();
    for (name, account) in &mut house.loops {
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

fn build(settings: &Settings, hold_max: Duration) -> Result<House, AppError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let names: Vec<String> = settings.accounts.iter().map(|account| account.name.clone()).collect();
    let interval = settings.poll.interval;
    let metrics = OwnMetrics::new(&names, interval, settings.series.limit, live::CODES, live::ACTIONS, POLL_ERRORS)
        .map_err(|error| AppError::Broken(format!("the metrics contradict each other: {error}")))?;
    let metrics = Arc::new(metrics);
    metrics.config_reload(true, clock.now());
    let board = Arc::new(Board::new(names, interval * STUCK_INTERVALS, clock.elapsed()));
    let ledger = match &settings.state.path {
        StatePath::Memory => SqliteLedger::in_memory()?,
        StatePath::Folder(folder) => SqliteLedger::open(folder)?,
    };
    let records = Arc::new(ledger.records(Classifier::new(&settings.reasons), Arc::clone(&clock)));
    let (keeper, keeper_ended) = start_keeper(Box::new(ledger), settings, hold_max, &clock, &metrics)?;
    let mut loops = Vec::new();
    for (index, account) in settings.accounts.iter().enumerate() {
        let options = AccountOptions {
            name: account.name.clone(),
            index,
            source: client(account, settings, &clock, &metrics)?,
            domains: account.domains.iter().map(|name| Name::from(name.as_str())).collect(),
            apps: account.apps.iter().map(|name| Name::from(name.as_str())).collect(),
            discover_domains: account.discover_domains,
            pace: pace(settings),
            clock: Arc::clone(&clock),
            keeper: keeper.clone(),
            metrics: Arc::clone(&metrics),
            board: Arc::clone(&board),
        };
        loops.push((account.name.clone(), AccountLoop::new(options)));
    }
    let exposition = Arc::new(Exposition::new(keeper.snapshot(), Arc::clone(&metrics), settings.web.created_lines));
    Ok(House { clock, board, keeper, keeper_ended, loops, exposition, records })
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
        terms: Terms {
            series_limit: settings.series.limit,
            labels: settings.series.labels.clone(),
            hold_max,
            idle_ttl: settings.series.idle_ttl,
        },
        client_ip: match settings.state.client_ip {
            settings::ClientIp::Full => ClientIp::Full,
            settings::ClientIp::Masked => ClientIp::Masked,
            settings::ClientIp::None => ClientIp::None,
        },
        clock: Arc::clone(clock),
        observer: Box::new(move |commit| match commit {
            Ok(took) => commits.state_commit(took),
            // Whoever wanted it written is told, and says so where it matters.
            Err(error) => tracing::debug!(%error, "the ledger did not take a posting"),
        }),
    };
    let (mut keeper, handle) = Keeper::open(ledger, options)?;
    let configured: Vec<String> = settings.accounts.iter().map(|account| account.name.clone()).collect();
    keeper.publish_left_over(&configured)?;
    let (ended, keeper_ended) = oneshot::channel();
    let work = move || {
        // Nobody waits for it after a stop that took too long.
        drop(ended.send(keeper.run()));
    };
    let thread = std::thread::Builder::new().name("keeper".into()).spawn(work);
    thread.map_err(|source| AppError::System { doing: "cannot start a thread", source })?;
    Ok((handle, keeper_ended))
}

fn keeper_ended(ended: Result<Result<(), LedgerError>, oneshot::error::RecvError>) -> AppError {
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
    let provider = match account.credentials.clone() {
        CredentialSource::Static { secret_id, secret_key, token } => {
            Provider::Fixed(Credentials { secret_id, secret_key, token })
        }
        CredentialSource::KeyFile { secret_id, secret_key_file, token } => {
            Provider::KeyFile(Arc::new(KeyFile::new(secret_key_file, secret_id, token)))
        }
    };
    let (name, calls) = (account.name.clone(), Arc::clone(metrics));
    let observer: live::Observer = Arc::new(move |call: &live::CallReport| {
        calls.api_request(&name, call.action, call.code, call.took);
        let request_id = call.request_id.as_deref().unwrap_or("");
        tracing::debug!(
            account = name,
            action = call.action,
            code = call.code,
            request_id,
            attempt = call.attempt,
            "called"
        );
    });
    let rate = settings.poll.max_requests_per_second;
    let options = ClientOptions::new(account.endpoint.to_string(), provider, rate, Arc::clone(clock), observer);
    Client::new(options).map_err(|source| AppError::Client { account: account.name.clone(), source })
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

/// Completes on SIGTERM or SIGINT.
///
/// # Errors
/// When the signals cannot be caught.
pub fn stop_signal() -> Result<impl Future<Output = ()>, AppError> {
    use tokio::signal::unix::{SignalKind, signal};
    let catch = |kind| signal(kind).map_err(|source| AppError::System { doing: "cannot catch signals", source });
    let (mut term, mut int) = (catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?);
    let mut hup = catch(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = term.recv() => return,
                _ = int.recv() => return,
                // A closed terminal or an old habit must not stop the counting.
                _ = hup.recv() => warn!("SIGHUP: settings are read at the start only, restart to take up new ones"),
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

/// A folder that is removed when this is dropped.
#[derive(Debug)]
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// A new folder that only this user can enter.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> Result<Self, AppError> {
        let name = format!("tencent-live-exporter-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|source| AppError::System { doing: "cannot make a temporary folder", source })?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            error!(folder = %self.0.display(), %error, "the temporary folder could not be removed");
        }
    }
}
