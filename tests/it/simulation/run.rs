//! One seed, from its plan to the verdict.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tencent_live_exporter::listing::FULL_PAGE;
use tencent_live_exporter::planted::{Bug, plant};
use tencent_live_exporter::poller::Pace;
use tencent_live_exporter::reason::Classifier;
use tencent_live_exporter::session::{IdentityKey, Name};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, advance, sleep, sleep_until};

use super::cloud::{Cloud, Event};
use super::disk::{Disk, DiskHabits};
use super::life::{ACCOUNT, Machine};
use super::plan::{Disaster, Plan, over};
use super::prometheus::{Door, Observer};
use super::source::{Network, Weather};
use super::traffic;
use super::truth::{By, Labels, Truth};
use super::world::{START, Tally, World};
use crate::support::folder::Folder;

/// Longest time a pass may take when nothing goes wrong.
const LONGEST_PASS: Duration = Duration::from_secs(6 * 3600);

/// The key of every ledger here: with another, names would come in another order.
const KEY: [u8; 16] = *b"a key for a seed";

/// What came of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    pub(super) hash: u64,
    /// The first promise that was broken.
    pub(super) broken: Option<String>,
}

/// Runs a seed with a mistake in the code, or without. `told` prints what happens.
pub(super) fn run(seed: u64, bug: Option<Bug>, told: bool) -> Outcome {
    run_plan(Plan::new(seed), seed, bug, told, |_| {})
}

/// Runs a plan, with everything that is left to chance decided by a seed, and has the machine looked at in the end.
pub(super) fn run_plan(plan: Plan, seed: u64, bug: Option<Bug>, told: bool, look: impl FnOnce(&Machine)) -> Outcome {
    plant(bug);
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let outcome = LocalSet::new().block_on(&runtime, async {
        let mut run = Run::new(plan, seed, told);
        run.main_part().await;
        run.last_part().await;
        run.machine.kill().await;
        look(&run.machine);
        let world = &run.machine.world;
        world.count(|tally| {
            tally.events = run.machine.plan.events.len() as u64;
            tally.seconds = world_seconds(world);
        });
        Outcome { tally: world.tally(), hash: world.trace_hash(), broken: world.broken_promise() }
    });
    plant(None);
    outcome
}

fn world_seconds(world: &World) -> u64 {
    (world.time.true_now() - START).unsigned_abs()
}

struct Run {
    machine: Machine,
    observers: Vec<Arc<Observer>>,
    labels: Labels,
    dice: fastrand::Rng,
    began: Instant,
    /// Incomplete listings before those that are judged.
    incomplete_before: u64,
}

impl Run {
    fn new(plan: Plan, seed: u64, told: bool) -> Self {
        let plan = Arc::new(plan);
        let mut dice = fastrand::Rng::with_seed(seed ^ 0x5eed);
        let world = Arc::new(World::new(told));
        world.time.set_local_offset(plan.clock_offset);
        world.tell(|| format!("{:?} {:?} {:?}", plan.pace, plan.terms, plan.habits));
        plan.events.iter().for_each(|event| world.tell(|| format!("{event:?}")));
        let folder = plan.with_sqlite.then(Folder::new);
        folder.iter().for_each(make_sqlite);
        let disk = Arc::new(Mutex::new(Disk::new(IdentityKey::new(KEY), plan.disk, dice.fork())));
        let honest_from = START + i64::try_from(plan.length).expect("runs are short");
        let cloud = Cloud::new(plan.events.clone(), plan.habits.clone(), honest_from, dice.fork());
        let weather = Weather { fails: plan.requests_fail, slow: plan.slow, ..Weather::default() };
        let domains = traffic::DOMAINS.map(Name::from).to_vec();
        let network =
            Arc::new(Network::new(Arc::clone(&world), cloud, Arc::clone(&disk), weather, domains, dice.fork()));
        let door = Arc::<Door>::default();
        let observer = |scraper: &super::plan::ScraperPlan| {
            let (world, disk, door) = (Arc::clone(&world), Arc::clone(&disk), Arc::clone(&door));
            Arc::new(Observer::new(scraper.clone(), world, disk, door, dice.fork()))
        };
        let observers: Vec<_> = plan.scrapers.iter().map(observer).collect();
        for observer in &observers {
            spawn_local(Arc::clone(observer).run());
        }
        let classifier = Classifier::new(&[]);
        let labels = Labels::new(&plan, &disk.lock().unwrap().key, &classifier);
        let machine = Machine::new(&plan, &world, &network, &door, folder, classifier);
        Self { machine, observers, labels, dice, began: Instant::now(), incomplete_before: 0 }
    }

    fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.machine.plan)
    }

    fn is_over(&self) -> bool {
        self.machine.world.broken_promise().is_some()
    }

    /// The part in which things go wrong.
    async fn main_part(&mut self) {
        let plan = self.plan();
        for (at, disaster) in &plan.disasters {
            self.live_until(self.began + Duration::from_secs(*at)).await;
            self.judge(|truth| _ = truth.counted_exactly("before a disaster", By::Nothing));
            self.strike(*disaster).await;
        }
        let storms = is_crowded(&plan);
        for eighth in 1..=8 {
            self.live_until(self.began + Duration::from_secs(plan.length * eighth / 8)).await;
            let by = if plan.calm && !storms { By::OnePoll } else { By::Nothing };
            self.judge(|truth| _ = truth.counted_exactly("on the way", by));
        }
        if plan.life.is_none() && plan.disk.commits_fail == 0.0 && plan.slow == 0 && plan.events.len() < 2_000 {
            self.judge(|truth| {
                truth.the_watermark_has_moved();
            });
        }
    }

    /// Keeps the process going, killed as often as it may be, until then.
    async fn live_until(&mut self, end: Instant) {
        while Instant::now() < end && !self.is_over() {
            if !self.machine.runs() {
                let dies_after = self.machine.plan.life.map(|effects| self.dice.u64(1..effects * 2));
                if !self.machine.start(dies_after) {
                    sleep(Duration::from_secs(self.dice.u64(1..10))).await;
                    continue;
                }
            }
            let world = Arc::clone(&self.machine.world);
            tokio::select! {
                biased;
                () = world.news.notified() => {}
                () = sleep_until(end) => {}
            }
            self.machine.is_alive();
            if world.is_dead() {
                world.count(|tally| tally.crashes += 1);
                world.trace("killed", ());
                self.machine.kill().await;
                sleep(Duration::from_secs(self.dice.u64(1..90))).await;
            }
        }
    }

    async fn strike(&mut self, disaster: Disaster) {
        let world = Arc::clone(&self.machine.world);
        world.trace("disaster", format_args!("{disaster:?}").to_string());
        world.count(|tally| tally.faults += 1);
        let until = |seconds: u64| world.time.true_now() + i64::try_from(seconds).expect("short");
        let mut weather = *self.machine.network.weather.lock().unwrap();
        match disaster {
            Disaster::ClockSet(offset) => world.time.set_local_offset(offset),
            Disaster::Pause(seconds) => advance(Duration::from_secs(seconds)).await,
            Disaster::FullDisk(seconds) => {
                let disk = Arc::clone(&self.machine.disk);
                disk.lock().unwrap().full = true;
                spawn_local(async move {
                    sleep(Duration::from_secs(seconds)).await;
                    disk.lock().unwrap().full = false;
                });
            }
            Disaster::Outage(seconds) => weather.outage_until = until(seconds),
            Disaster::Refusal(seconds) => weather.refusal_until = until(seconds),
            Disaster::Hush(seconds) => weather.hush_until = until(seconds),
            Disaster::Reload { percent, overlap } => {
                let pace = self.machine.pace;
                let lookback =
                    (pace.sweep_lookback * u32::try_from(percent).expect("small") / 100).max(Duration::from_secs(600));
                let pace = Pace {
                    sweep_lookback: Duration::from_secs(lookback.as_secs()),
                    horizon: Duration::from_secs(lookback.as_secs() * 3 / 2),
                    overlap: Duration::from_secs(overlap).min(lookback),
                    ..pace
                };
                self.machine.pace = pace;
                self.change_more(percent, overlap);
                self.machine.reload().await;
            }
            Disaster::Restart(seconds) => {
                self.machine.stop().await;
                sleep(Duration::from_secs(seconds)).await;
            }
        }
        *self.machine.network.weather.lock().unwrap() = weather;
    }

    /// What else a reload changes. It takes no dice: what is changed by it anyway decides.
    fn change_more(&mut self, percent: u64, overlap: u64) {
        let machine = &mut self.machine;
        if percent != 150 {
            return;
        }
        if overlap == 30 {
            // From one query for all to one for each domain and app, or the other way round.
            let one_by_one = machine.domains.is_empty();
            let names = |all: [&str; 2], wanted| if wanted { all.map(Name::from).to_vec() } else { Vec::new() };
            machine.domains = names(traffic::DOMAINS, one_by_one);
            machine.apps = names(traffic::APPS, one_by_one);
        }
        let on = machine.terms.idle_ttl.is_zero();
        machine.terms.idle_ttl = Duration::from_secs(if on { 300 } else { 0 });
        // Never shorter: a scraper that comes less often than that is promised nothing.
        machine.terms.hold_max += machine.plan.terms.hold_max / 2;
        if machine.terms.series_limit <= 500 {
            machine.terms.series_limit += 3;
        }
    }

    /// Everything is well again: late rows come in, and then every promise has to be kept.
    async fn last_part(&mut self) {
        self.machine.kill().await;
        let plan = self.plan();
        let world = Arc::clone(&self.machine.world);
        world.time.set_local_offset(0);
        *self.machine.network.weather.lock().unwrap() = Weather::default();
        {
            let mut disk = self.machine.disk.lock().unwrap();
            (disk.habits, disk.full) = (DiskHabits::default(), false);
        }
        if self.is_over() || !self.machine.start(None) {
            world.promise(false, || "it does not start on a sound disk".into());
            return;
        }
        self.incomplete_before = self.machine.incomplete();
        let step = Duration::from_secs(plan.late_rows_for / 6);
        while world.time.true_now() <= over(&plan) && !self.is_over() {
            sleep(Duration::from_secs(1)).await;
            advance(step).await;
            self.passes("sweep", 1).await;
        }
        self.passes("sweep", 1).await;
        // Otherwise a row may have come as another went, which leaves the count of their slice as it was.
        if plan.steady {
            self.judge(|truth| _ = truth.counted_exactly("after sweeps", By::AllPasses));
        }
        let audits = Pace { audit_interval: Duration::from_secs(1), ..self.machine.pace };
        self.incomplete_before = self.machine.incomplete();
        self.machine.pace = audits;
        self.machine.reload().await;
        self.passes("audit", 1).await;
        self.judge(|truth| {
            truth.the_past_is_baseline();
            let due = truth.counted_exactly("after an audit", By::AllPasses);
            world.count(|tally| tally.due = due);
        });
        sleep(plan.terms.hold_max * 2 + Duration::from_secs(400)).await;
        self.judge(|truth| self.observers.iter().for_each(|observer| truth.increases_are_right(observer)));
        self.machine.stop().await;
        self.machine.compare_with_sqlite();
    }

    /// Waits until a pass of a kind has been made from its beginning to its end.
    async fn passes(&self, kind: &str, times: u64) {
        let wanted = self.machine.passes(kind) + times + 1;
        let begun = Instant::now();
        sleep(self.machine.pace.sweep_interval + self.machine.pace.interval).await;
        while self.machine.passes(kind) < wanted && !self.is_over() {
            self.machine.world.promise(begun.elapsed() < LONGEST_PASS, || format!("no {kind} comes to its end"));
            sleep(self.machine.pace.sweep_interval).await;
        }
        self.machine.is_alive();
    }

    /// Holds the books against what happened.
    fn judge(&self, judge: impl FnOnce(&Truth<'_>)) {
        // More clones than a response holds are told of when they are listed, be it long ago.
        let is_clone = |pair: &[Event]| pair[0].session == pair[FULL_PAGE as usize].session;
        let clones = self.machine.plan.events.windows(FULL_PAGE as usize + 1).any(is_clone);
        let told_before = if clones { 0 } else { self.incomplete_before };
        let (cloud, disk) = (self.machine.network.cloud.lock().unwrap(), self.machine.disk.lock().unwrap());
        judge(&Truth {
            plan: &self.machine.plan,
            world: &self.machine.world,
            cloud: &cloud,
            disk: &disk,
            lookback: i64::try_from(self.machine.pace.sweep_lookback.as_secs()).expect("short"),
            horizon: i64::try_from(self.machine.pace.horizon.as_secs()).expect("short"),
            now: self.machine.world.time.true_now(),
            account: ACCOUNT,
            one_by_one: (!self.machine.domains.is_empty(), !self.machine.apps.is_empty()),
            labels: &self.labels,
            told_incomplete: &|| self.machine.incomplete() > told_before,
        });
    }
}

/// Whether so much happens at once that polls take longer than usual.
fn is_crowded(plan: &Plan) -> bool {
    let mut ends: Vec<_> = plan.events.iter().map(|event| event.session.end).collect();
    ends.sort_unstable();
    ends.windows(80).any(|ends| ends[79] - ends[0] <= 2)
}

/// Makes the real ledger, with a key that is the same each time.
fn make_sqlite(folder: &Folder) {
    drop(folder.ledger());
    let file = rusqlite::Connection::open(folder.join("state").join("ledger.sqlite")).unwrap();
    file.execute("UPDATE ledger_key SET bytes = ?1", [KEY]).unwrap();
}
