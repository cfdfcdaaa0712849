//! Scrapers, as Prometheus is one: whoever adds up what they saw with `increase()` must come to the truth.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tencent_live_exporter::clock::UnixSeconds;
use tencent_live_exporter::poller::KeeperHandle;
use tencent_live_exporter::publication::{
    DomainSeries, DurationHistogram, Scrape, Scraper, Snapshot, StreamBlock, StreamLabels,
};
use tencent_live_exporter::reason::Reason;
use tokio::time::Instant;

use super::disk::Disk;
use super::plan::ScraperPlan;
use super::world::World;

/// The page of the process that runs, if one does.
#[derive(Default)]
pub(super) struct Door {
    open: Mutex<Option<KeeperHandle>>,
    life: Mutex<u64>,
    connections: Mutex<u64>,
}

impl Door {
    pub(super) fn open(&self, keeper: KeeperHandle) {
        *self.life.lock().unwrap() += 1;
        *self.open.lock().unwrap() = Some(keeper);
    }

    pub(super) fn close(&self) {
        *self.open.lock().unwrap() = None;
    }

    fn keeper(&self) -> Option<(KeeperHandle, u64)> {
        let keeper = self.open.lock().unwrap().clone();
        keeper.map(|keeper| (keeper, *self.life.lock().unwrap()))
    }

    fn next_connection(&self) -> u64 {
        let mut connections = self.connections.lock().unwrap();
        *connections += 1;
        *connections
    }
}

/// The samples of one series, as `increase()` sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Samples {
    pub(super) first: u64,
    last: u64,
    pub(super) increase: u64,
}

impl Samples {
    fn take(seen: &mut Option<Samples>, value: u64) -> bool {
        let samples = seen.get_or_insert(Samples { first: value, last: value, increase: 0 });
        let kept = value >= samples.last;
        samples.increase += value.saturating_sub(samples.last);
        samples.last = value;
        kept
    }
}

/// What a scraper has stored.
#[derive(Default)]
pub(super) struct Store {
    pub(super) streams: HashMap<StreamLabels, Option<Samples>>,
    pub(super) classes: HashMap<Arc<str>, [Option<Samples>; Reason::COUNT]>,
    durations: HashMap<Arc<str>, u64>,
    /// When it scraped, by the platform's time.
    pub(super) scraped: Vec<UnixSeconds>,
    /// When it came for nothing twice in a row: by its own doing, or because whoever was to be scraped stood still.
    pub(super) blind: Vec<UnixSeconds>,
    blocks: Arc<Vec<Arc<StreamBlock>>>,
    life: u64,
}

/// One scraper.
pub(super) struct Observer {
    pub(super) plan: ScraperPlan,
    pub(super) store: Mutex<Store>,
    world: Arc<World>,
    disk: Arc<Mutex<Disk>>,
    door: Arc<Door>,
    dice: Mutex<fastrand::Rng>,
}

impl Observer {
    pub(super) fn new(
        plan: ScraperPlan,
        world: Arc<World>,
        disk: Arc<Mutex<Disk>>,
        door: Arc<Door>,
        dice: fastrand::Rng,
    ) -> Self {
        Self { plan, store: Mutex::default(), world, disk, door, dice: Mutex::new(dice) }
    }

    pub(super) async fn run(self: Arc<Self>) {
        let interval = Duration::from_secs(self.plan.interval);
        let mut due = Instant::now() + Duration::from_secs(self.plan.starts);
        let mut connection = self.door.next_connection();
        let mut failed = false;
        loop {
            tokio::time::sleep_until(due).await;
            // Whoever was to be scraped stood still meanwhile.
            let timed_out = due.elapsed() > Duration::from_secs(1);
            due = if timed_out { Instant::now() + interval / 2 } else { due + interval };
            if timed_out {
                // After a failure of its own it has not been seen for longer than it is waited for.
                self.blind_if(failed);
                failed = true;
                continue;
            }
            let fails = self.dice.lock().unwrap().f64() < self.plan.fails;
            let scraped = self.scrape(connection, fails).await;
            if self.plan.connection_each || !scraped {
                if let Some((keeper, _)) = self.door.keeper() {
                    keeper.disconnected(connection);
                }
                connection = self.door.next_connection();
            }
            self.blind_if(fails && failed);
            failed = fails;
        }
    }

    /// Notes that it came for nothing twice in a row.
    fn blind_if(&self, twice: bool) {
        if twice {
            self.store.lock().unwrap().blind.push(self.world.time.true_now());
        }
    }

    /// Whether a whole page was read.
    async fn scrape(&self, connection: u64, fails: bool) -> bool {
        let Some((keeper, life)) = self.door.keeper().filter(|_| !self.world.is_dead()) else { return false };
        let snapshot = keeper.snapshot().load_full();
        self.is_durable(&snapshot);
        let takes = self.dice.lock().unwrap().u64(0..400);
        tokio::time::sleep(Duration::from_millis(takes)).await;
        let gone = self.world.is_dead() || self.door.keeper().is_none_or(|(_, now)| now != life);
        if gone || fails {
            return false;
        }
        self.store(&snapshot, life);
        let scraper = Scraper { peer: IpAddr::from([127, 0, 0, 1]), user_agent: self.plan.user_agent.clone() };
        let generation = snapshot.generation;
        self.world.trace("scrape", (&self.plan.user_agent, connection, generation, snapshot.held_series));
        self.world.count(|tally| tally.scrapes += 1);
        keeper.scraped(Scrape { scraper, connection, generation });
        true
    }

    /// Nothing shown is ahead of the disk.
    fn is_durable(&self, snapshot: &Snapshot) {
        let store = self.store.lock().unwrap();
        let disk = self.disk.lock().unwrap();
        for block in changed(&snapshot.blocks, &store.blocks) {
            for series in block.series() {
                let labels = series.labels();
                let durable = disk.total(&labels);
                self.world.promise(series.shown <= durable, || {
                    format!("{labels:?} shows {}, durable is {durable}", series.shown)
                });
            }
        }
        for (shown, durable) in snapshot.domains.iter().filter_map(|shown| {
            let durable = disk.domains.iter().find(|domain| domain.name == shown.domain);
            Some((shown, durable?))
        }) {
            let most = &durable.total.disconnects;
            let ahead = shown.disconnects.iter().zip(most).any(|(shown, durable)| shown > durable);
            self.world.promise(!ahead, || format!("{:?} shows more than is durable", shown.domain));
        }
    }

    fn store(&self, snapshot: &Snapshot, life: u64) {
        let mut store = self.store.lock().unwrap();
        let store = &mut *store;
        if store.life != life {
            (store.life, store.blocks) = (life, Arc::default());
        }
        for block in changed(&snapshot.blocks, &store.blocks) {
            for series in block.series() {
                let seen = store.streams.entry(series.labels()).or_default();
                let before = *seen;
                let kept = Samples::take(seen, series.shown);
                self.world.promise(kept, || format!("{:?} was {before:?} and is {}", series.labels(), series.shown));
            }
        }
        store.blocks.clone_from(&snapshot.blocks);
        for domain in &snapshot.domains {
            self.store_domain(domain, store);
        }
        store.scraped.push(self.world.time.true_now());
    }

    fn store_domain(&self, domain: &DomainSeries, store: &mut Store) {
        let seen = store.classes.entry(Arc::clone(&domain.domain)).or_insert([None; Reason::COUNT]);
        for (seen, value) in seen.iter_mut().zip(domain.disconnects) {
            let before = *seen;
            let kept = Samples::take(seen, value);
            self.world.promise(kept, || format!("{:?} was {before:?} and is {value}", domain.domain));
        }
        let durations = domain.durations.iter().map(DurationHistogram::count).sum();
        let before = store.durations.insert(Arc::clone(&domain.domain), durations).unwrap_or(0);
        self.world.promise(durations >= before, || format!("{:?} had {before} durations", domain.domain));
        let disconnects: u64 = domain.disconnects.iter().sum();
        self.world.promise(durations == disconnects, || {
            format!("{:?} shows {disconnects} disconnects and {durations} durations", domain.domain)
        });
    }
}

fn changed<'a>(
    blocks: &'a [Arc<StreamBlock>],
    known: &'a [Arc<StreamBlock>],
) -> impl Iterator<Item = &'a Arc<StreamBlock>> {
    let is_known = |n: usize, block: &Arc<StreamBlock>| known.get(n).is_some_and(|known| Arc::ptr_eq(known, block));
    blocks.iter().enumerate().filter(move |(n, block)| !is_known(*n, block)).map(|(_, block)| block)
}
