//! The lives of one exporter: the real keeper and the real account loop, started, killed, stopped and started again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::proto::{Metric, MetricFamily};
use tencent_live_exporter::clock::Clock as _;
use tencent_live_exporter::ledger::{Ledger as _, LedgerError};
use tencent_live_exporter::live;
use tencent_live_exporter::metrics::{OwnMetrics, POLL_ERRORS};
use tencent_live_exporter::poller::{
    AccountLoop, AccountOptions, ClientIp, Keeper, KeeperChange, KeeperHandle, KeeperOptions, Pace,
};
use tencent_live_exporter::publication::{Snapshot, Terms};
use tencent_live_exporter::reason::Classifier;
use tencent_live_exporter::session::Name;
use tencent_live_exporter::status::Board;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, spawn_local};

use super::disk::{Disk, PaperLedger};
use super::plan::Plan;
use super::prometheus::Door;
use super::source::{Network, Source};
use super::world::World;
use crate::support::folder::Folder;
use crate::support::metrics::Metrics;

/// The account.
pub(super) const ACCOUNT: &str = "main";

/// What the process is started from, each time anew.
pub(super) struct Machine {
    pub(super) plan: Arc<Plan>,
    pub(super) world: Arc<World>,
    pub(super) network: Arc<Network>,
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) door: Arc<Door>,
    pub(super) metrics: Arc<OwnMetrics>,
    pub(super) folder: Option<Folder>,
    classifier: Classifier,
    /// The settings in force.
    pub(super) pace: Pace,
    pub(super) terms: Terms,
    pub(super) domains: Vec<Name>,
    pub(super) apps: Vec<Name>,
    life: Option<Life>,
}

struct Life {
    keeper: KeeperHandle,
    keeping: JoinHandle<Result<(), LedgerError>>,
    looping: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Machine {
    pub(super) fn new(
        plan: &Arc<Plan>,
        world: &Arc<World>,
        network: &Arc<Network>,
        door: &Arc<Door>,
        folder: Option<Folder>,
        classifier: Classifier,
    ) -> Self {
        let metrics = OwnMetrics::new(
            &[ACCOUNT.to_owned()],
            plan.pace.interval,
            plan.terms.series_limit,
            live::CODES,
            live::ACTIONS,
            POLL_ERRORS,
        );
        Self {
            plan: Arc::clone(plan),
            world: Arc::clone(world),
            network: Arc::clone(network),
            disk: Arc::clone(&network.disk),
            door: Arc::clone(door),
            metrics: Arc::new(metrics.unwrap()),
            folder,
            classifier,
            pace: plan.pace,
            terms: plan.terms.clone(),
            domains: plan.domains.clone(),
            apps: plan.apps.clone(),
            life: None,
        }
    }

    pub(super) fn runs(&self) -> bool {
        self.life.is_some()
    }

    /// Starts the process; it may fail to open its ledger.
    pub(super) fn start(&mut self, dies_after: Option<u64>) -> bool {
        self.world.live(dies_after);
        let sqlite = self.folder.as_ref().map(Folder::ledger);
        let ledger = PaperLedger { disk: Arc::clone(&self.disk), world: Arc::clone(&self.world), sqlite };
        let options = KeeperOptions {
            classifier: self.classifier.clone(),
            terms: self.terms.clone(),
            client_ip: ClientIp::Masked,
            clock: self.clock(),
            observer: Box::new(|_| {}),
        };
        let opened = Keeper::open(Box::new(ledger), options);
        let Ok((mut keeper, handle)) = opened else { return false };
        if keeper.publish_left_over(&[ACCOUNT.to_owned()]).is_err() {
            return false;
        }
        let keeping = spawn_local(keeper.work());
        self.door.open(handle.clone());
        let (stop, looping) = self.spawn_loop(&handle);
        self.life = Some(Life { keeper: handle, keeping, looping, stop });
        true
    }

    fn clock(&self) -> Arc<dyn tencent_live_exporter::clock::Clock> {
        Arc::new(SharedTime(Arc::clone(&self.world)))
    }

    fn spawn_loop(&self, keeper: &KeeperHandle) -> (watch::Sender<bool>, JoinHandle<()>) {
        let (stop, stopping) = watch::channel(false);
        let board = Board::new([ACCOUNT.to_owned()], Duration::from_secs(90), self.world.time.elapsed());
        let options = AccountOptions {
            name: ACCOUNT.into(),
            source: Source::new(Arc::clone(&self.network), ACCOUNT, self.plan.requests_per_second),
            domains: self.domains.clone(),
            apps: self.apps.clone(),
            discover_domains: self.plan.discover_domains,
            streams_online: false,
            pace: self.pace,
            clock: self.clock(),
            keeper: keeper.clone(),
            metrics: Arc::clone(&self.metrics),
            board: Arc::new(board),
        };
        (stop, spawn_local(AccountLoop::new(options).run(stopping)))
    }

    /// Goes on with the settings in force now, as a reload does: the loop is another one, the keeper the same.
    pub(super) async fn reload(&mut self) {
        let change = KeeperChange {
            classifier: self.classifier.clone(),
            terms: self.terms.clone(),
            client_ip: ClientIp::Masked,
            accounts: vec![ACCOUNT.to_owned()],
        };
        let Some(life) = &mut self.life else { return };
        life.stop.send_replace(true);
        let ended = (&mut life.looping).await;
        let keeper = life.keeper.clone();
        let changed = keeper.change(change).await;
        self.world.promise(changed.is_ok() || self.world.is_dead(), || "the keeper is gone".into());
        let (stop, looping) = self.spawn_loop(&keeper);
        if let Some(life) = &mut self.life {
            (life.stop, life.looping) = (stop, looping);
        }
        self.no_panic(&ended.map(|()| true));
    }

    /// What is left when the process is gone from one moment to the next.
    pub(super) async fn kill(&mut self) {
        self.door.close();
        let Some(life) = self.life.take() else { return };
        life.keeping.abort();
        life.looping.abort();
        let (kept, looped) = (life.keeping.await, life.looping.await);
        self.no_panic(&kept.map(|_| true));
        self.no_panic(&looped.map(|()| true));
    }

    /// Ends the process in order.
    pub(super) async fn stop(&mut self) {
        self.door.close();
        let Some(life) = self.life.take() else { return };
        life.stop.send_replace(true);
        let looped = life.looping.await;
        life.keeper.stop();
        let kept = life.keeping.await;
        self.no_panic(&looped.map(|()| true));
        self.no_panic(&kept.map(|kept| kept.is_ok()));
    }

    /// Neither task may end by itself.
    pub(super) fn is_alive(&self) {
        if let Some(life) = &self.life {
            let ended = life.keeping.is_finished() || life.looping.is_finished();
            self.world.promise(!ended || self.world.is_dead(), || "a task ended by itself".into());
        }
    }

    fn no_panic(&self, ended: &Result<bool, JoinError>) {
        let fine = ended.as_ref().map_or_else(JoinError::is_cancelled, |kept| *kept || self.world.is_dead());
        self.world.promise(fine, || format!("a task ended with {ended:?}"));
    }

    /// The exporter's own metrics.
    pub(super) fn page(&self) -> Metrics {
        let families = self.metrics.gather(&Snapshot::default());
        Metrics::parse(&prometheus::TextEncoder::new().encode_to_string(&families).unwrap())
    }

    /// Passes of a kind that have ended well.
    pub(super) fn passes(&self, kind: &str) -> u64 {
        let families = self.metrics.gather(&Snapshot::default());
        let count = |name| sum(&families, name, ("kind", kind));
        count("tencent_live_exporter_polls_total") - count("tencent_live_exporter_poll_failures_total")
    }

    /// Listings that ended without all of their rows.
    pub(super) fn incomplete(&self) -> u64 {
        let families = self.metrics.gather(&Snapshot::default());
        sum(&families, "tencent_live_exporter_incomplete_listings_total", ("account", ACCOUNT))
    }

    /// The real ledger, if there is one, can be opened by itself and says the same.
    pub(super) fn compare_with_sqlite(&self) {
        if let Some(folder) = &self.folder {
            let sqlite = Some(folder.ledger());
            let mut ledger = PaperLedger { disk: Arc::clone(&self.disk), world: Arc::clone(&self.world), sqlite };
            ledger.read().unwrap();
        }
    }
}

/// A counter, all label sets together that have this pair.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn sum(families: &[MetricFamily], name: &str, label: (&str, &str)) -> u64 {
    let metrics = families.iter().filter(|family| family.name() == name).flat_map(MetricFamily::get_metric);
    let has = |metric: &&Metric| metric.get_label().iter().any(|pair| (pair.name(), pair.value()) == label);
    metrics.filter(has).map(|metric| metric.get_counter().get_value() as u64).sum()
}

/// The run's time, for whoever wants a clock.
struct SharedTime(Arc<World>);

impl tencent_live_exporter::clock::Clock for SharedTime {
    fn now(&self) -> i64 {
        self.0.time.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.time.elapsed()
    }
}
