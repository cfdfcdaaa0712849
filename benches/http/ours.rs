//! The exporter but for its API client: ledger on disk, keeper, exposition and web server are its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tencent_live_exporter::clock::{Clock, SystemClock};
use tencent_live_exporter::ledger::SqliteLedger;
use tencent_live_exporter::metrics::BUILD;
use tencent_live_exporter::poller::{Keeper, KeeperHandle};
use tencent_live_exporter::publication::labels::Choice;
use tencent_live_exporter::reason::Classifier;
use tencent_live_exporter::status::Board;
use tencent_live_exporter::web::{self, Guard, Limits, Serving, Site, Terms};

use crate::series::{self, Changes, Where};

/// A ledger of `count` series in `folder`, opened as at a start, and its keeper at work.
pub(super) fn keeper(folder: &Path, count: u64) -> KeeperHandle {
    series::fill(&mut series::ledger(folder), count);
    let ledger = Box::new(series::ledger(folder));
    let (keeper, handle) =
        Keeper::open(ledger, series::keeper_options(Choice::default())).expect("it has just been filled");
    std::thread::spawn(move || keeper.run().expect("the bench's disk takes it"));
    handle
}

/// Serves until it is killed; `commits` a second go on meanwhile, each with one disconnect more in `changed` series.
pub(super) async fn serve(keeper: KeeperHandle, count: u64, commits: u32, changed: u64) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (scraped, disconnected) = (keeper.clone(), keeper.clone());
    // Nobody asks for records here.
    let nothing = SqliteLedger::in_memory().expect("there is memory");
    let site = Site {
        records: Arc::new(nothing.records(Classifier::new(&[]), Arc::new(SystemClock::new()))),
        telemetry_path: "/metrics".to_owned(),
        external_path: String::new(),
        // No scraper is to be sent away.
        max_requests: 0,
        guard: Arc::new(Guard::new(Terms::default()).expect("the system has random numbers")),
        exposition: Arc::new(series::exposition(&keeper.snapshot(), &series::own())),
        board: Arc::new(Board::new([series::ACCOUNT.to_owned()], Duration::from_secs(90), clock.elapsed())),
        started: clock.now(),
        clock,
        build: BUILD,
        on_scraped: Box::new(move |scrape| scraped.scraped(scrape)),
        on_disconnected: Box::new(move |connection| disconnected.disconnected(connection)),
        reload: None,
        limits: Limits::default(),
    };
    if commits > 0 {
        tokio::spawn(commit(keeper, count, Duration::from_secs(1) / commits, changed));
    }
    let listener = super::listen().await;
    web::serve(vec![listener], Arc::new(Serving::new(site)), std::future::pending(), Duration::ZERO).await;
}

async fn commit(keeper: KeeperHandle, count: u64, interval: Duration, changed: u64) {
    let mut changes = Changes::new(count);
    let mut turns = tokio::time::interval(interval);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in 1.. {
        turns.tick().await;
        let observation = series::observation(round, &changes.choose(changed, Where::Anywhere), count);
        keeper.observe(observation).await.expect("the bench's disk takes it");
    }
}
