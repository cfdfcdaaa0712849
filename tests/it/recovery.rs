//! What must not stop the counting for good: a long outage, one refused domain, a renamed account, a lost ledger.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tencent_live_exporter::clock::{Clock as _, ManualClock};
use tencent_live_exporter::ledger::{Books, Ledger, LedgerError, NewAccount, Posting, SqliteLedger};
use tencent_live_exporter::listing::{Filter, Group, Page, Query, Row};
use tencent_live_exporter::live::{self, ApiTime, CallError, EventSource};
use tencent_live_exporter::metrics::{OwnMetrics, POLL_ERRORS};
use tencent_live_exporter::poller::{AccountLoop, AccountOptions, ClientIp, Keeper, KeeperHandle, KeeperOptions, Pace};
use tencent_live_exporter::publication::Terms;
use tencent_live_exporter::reason::Classifier;
use tencent_live_exporter::session::{GroupKey, Name, PushSession};
use tencent_live_exporter::status::Board;

use crate::support::folder::Folder;

const START: i64 = 1_700_000_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

fn session(end: i64) -> PushSession {
    PushSession {
        domain: "good.example.com".into(),
        app: "live".into(),
        stream: "room".into(),
        start: end - 60,
        end,
        reason_text: "推流客户端主动断流".into(),
        client_ip: "203.0.113.7".into(),
        duration: None,
        resolution: String::new(),
    }
}

/// Knows 60 days and one domain, and has one row, a second ago.
struct Api {
    clock: Arc<ManualClock>,
    starts: Arc<Mutex<Vec<i64>>>,
}

impl EventSource for Api {
    async fn events(&self, query: &Query) -> Result<Page, CallError> {
        self.starts.lock().unwrap().push(query.window.start);
        let unknown = query.filter.domain.as_ref().is_some_and(|domain| domain.text() == "gone.example.com");
        if unknown || query.window.start < self.clock.now() - 60 * 24 * 3600 {
            let code = "InvalidParameterValue";
            return Err(live::ApiError::new(live::DESCRIBE_EVENTS, code, "out of range", None).into());
        }
        let end = START - 600;
        let rows = if (query.window.start..=query.window.end).contains(&end) {
            vec![Row::Finished(session(end))]
        } else {
            Vec::new()
        };
        Ok(Page { total: Some(rows.len() as u64), rows })
    }

    async fn push_domains(&self) -> Result<Vec<live::Domain>, CallError> {
        Ok(Vec::new())
    }

    async fn streams_online(&self, _: &Filter) -> Result<live::StreamsOnline, CallError> {
        Ok(live::StreamsOnline::new())
    }

    fn api_time(&self) -> Option<ApiTime> {
        Some(ApiTime { at: self.clock.now(), elapsed: self.clock.elapsed() })
    }
}

fn options(clock: &Arc<ManualClock>) -> KeeperOptions {
    KeeperOptions {
        classifier: Classifier::new(&[]),
        terms: Terms { series_limit: 1000, hold_max: Duration::ZERO, ..Terms::default() },
        client_ip: ClientIp::Masked,
        clock: clock.clone(),
        observer: Box::new(|_| {}),
    }
}

fn new_account(name: &str) -> NewAccount {
    NewAccount { name: name.into(), first_start: START, counting_since: START - 3600, floor: START - 3 * 86_400 }
}

/// A keeper in memory, at work in its thread.
fn keeper(clock: &Arc<ManualClock>) -> KeeperHandle {
    let (keeper, handle) = Keeper::open(Box::new(SqliteLedger::in_memory().unwrap()), options(clock)).unwrap();
    std::thread::spawn(move || keeper.run());
    handle
}

fn account_loop(
    clock: &Arc<ManualClock>,
    keeper: &KeeperHandle,
    domains: &[&str],
) -> (AccountLoop<Api>, Arc<Board>, Arc<Mutex<Vec<i64>>>) {
    let seconds = Duration::from_secs;
    let names = ["main".to_owned()];
    let metrics = OwnMetrics::new(&names, seconds(30), 1000, live::CODES, live::ACTIONS, POLL_ERRORS).unwrap();
    let board = Arc::new(Board::new(names, seconds(90), clock.elapsed()));
    let starts = Arc::<Mutex<Vec<i64>>>::default();
    let pace = Pace {
        interval: seconds(30),
        overlap: seconds(120),
        sweep_interval: seconds(60),
        sweep_lookback: DAY,
        audit_interval: DAY,
        horizon: DAY * 3,
        initial_lookback: seconds(3600),
        retention: DAY * 30,
    };
    let options = AccountOptions {
        name: "main".into(),
        source: Api { clock: clock.clone(), starts: starts.clone() },
        domains: domains.iter().map(|name| Name::from(*name)).collect(),
        apps: Vec::new(),
        discover_domains: false,
        streams_online: false,
        pace,
        clock: clock.clone(),
        keeper: keeper.clone(),
        metrics: Arc::new(metrics),
        board: board.clone(),
    };
    (AccountLoop::new(options), board, starts)
}

#[tokio::test]
async fn c5_an_outage_longer_than_the_api_remembers_leaves_a_gap_and_goes_on() {
    let clock = Arc::new(ManualClock::new(START));
    let keeper = keeper(&clock);
    let (mut account, _, _) = account_loop(&clock, &keeper, &[]);
    account.poll_once().await.unwrap();
    drop(account);
    clock.advance(DAY * 61);
    let (mut account, board, starts) = account_loop(&clock, &keeper, &[]);
    account.poll_once().await.unwrap();
    assert_eq!(board.accounts()[0].watermark, Some(clock.now() - 1));
    let earliest = *starts.lock().unwrap().iter().min().unwrap();
    assert!(earliest >= clock.now() - 60 * 86_400, "{earliest}");
    keeper.stop();
}

#[tokio::test]
async fn a_domain_the_api_refuses_keeps_no_other_from_being_counted_and_shown() {
    let clock = Arc::new(ManualClock::new(START));
    let keeper = keeper(&clock);
    let (mut account, _, _) = account_loop(&clock, &keeper, &["gone.example.com", "good.example.com"]);
    account.poll_once().await.unwrap_err();
    // Whoever is answered after the release tick finds it done.
    keeper.counting("main".into()).await.unwrap();
    keeper.counting("main".into()).await.unwrap();
    let snapshot = keeper.snapshot().load_full();
    assert_eq!(snapshot.streams().map(|series| series.shown).sum::<u64>(), 1);
    keeper.stop();
}

#[test]
fn what_a_renamed_account_left_hidden_is_shown() {
    let folder = Folder::new();
    let clock = Arc::new(ManualClock::new(START));
    let open = || Keeper::open(Box::new(SqliteLedger::open(folder.path()).unwrap()), options(&clock)).unwrap().0;
    let mut keeper = open();
    keeper.account(new_account("old")).unwrap();
    assert!(!keeper.publication().is_published("old"));
    drop(keeper);
    let mut keeper = open();
    keeper.publish_left_over(&["old".into()]).unwrap();
    assert!(!keeper.publication().is_published("old"), "its first pass is still to come");
    keeper.publish_left_over(&["new".into()]).unwrap();
    assert!(keeper.publication().is_published("old"));
}

/// A ledger whose file is removed and made anew while it is open.
struct Removed {
    ledger: SqliteLedger,
    refuses: bool,
}

impl Ledger for Removed {
    fn read(&mut self) -> Result<Books, LedgerError> {
        self.ledger.read()
    }

    fn groups(&mut self, keys: &[GroupKey]) -> Result<BTreeMap<GroupKey, Group>, LedgerError> {
        self.ledger.groups(keys)
    }

    fn commit(&mut self, posting: &Posting) -> Result<(), LedgerError> {
        if self.refuses { Err(LedgerError::Contradiction("refused".into())) } else { self.ledger.commit(posting) }
    }

    fn reopen(&mut self) -> Result<(), LedgerError> {
        self.ledger = SqliteLedger::in_memory()?;
        Ok(())
    }
}

#[test]
fn d11_another_ledger_in_the_place_of_the_open_one_is_not_gone_on_with() {
    let clock = Arc::new(ManualClock::new(START));
    let ledger = Removed { ledger: SqliteLedger::in_memory().unwrap(), refuses: true };
    let (mut keeper, _) = Keeper::open(Box::new(ledger), options(&clock)).unwrap();
    let error = keeper.account(new_account("main")).unwrap_err();
    assert!(matches!(error, LedgerError::Replaced) && error.is_fatal(), "{error}");
}
