//! Counting is exact: the production passes, groups, slices and ledger against a small hostile API, by seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tencent_live_exporter::clock::ManualClock;
use tencent_live_exporter::ledger::{AccountBooks, NewAccount, SqliteLedger};
use tencent_live_exporter::listing::{Bounds, Filter, Page, Pass, Query, Row, Slices, Window, cover};
use tencent_live_exporter::poller::{ClientIp, Keeper, KeeperOptions, Observation};
use tencent_live_exporter::publication::Terms;
use tencent_live_exporter::reason::Classifier;
use tencent_live_exporter::session::{GroupId, Name, PushSession};

const START: i64 = 1_700_000_000;
const HORIZON: i64 = 72 * 3600;

/// What the API's window filters on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Start,
    End,
    Overlap,
}

struct Shown {
    session: PushSession,
    from: i64,
    hidden: Option<(i64, i64)>,
    /// From then on the row says something else.
    corrected: Option<(i64, PushSession)>,
}

/// An API that is right about one response at a time and about nothing else.
struct Api {
    rows: Vec<Shown>,
    by: By,
    ends_included: bool,
    ties_shuffled: bool,
    dice: fastrand::Rng,
    requests: u64,
}

impl Api {
    fn answer(&mut self, query: &Query, now: i64) -> Page {
        self.requests += 1;
        let (start, end) = (query.window.start, query.window.end);
        let slack = i64::from(!self.ends_included);
        let inside = |at: i64| at >= start + slack && at <= end - slack;
        let fits = |session: &PushSession| match self.by {
            By::Start => inside(session.start),
            By::End => inside(session.end),
            By::Overlap => session.end >= start + slack && session.start <= end - slack,
        };
        let named = |filter: &Option<Name>, name: &Name| filter.as_ref().is_none_or(|wanted| wanted == name);
        let mut rows: Vec<PushSession> = Vec::new();
        for row in &self.rows {
            if now < row.from || row.hidden.is_some_and(|(from, until)| (from..until).contains(&now)) {
                continue;
            }
            let session = match &row.corrected {
                Some((from, corrected)) if now >= *from => corrected,
                _ => &row.session,
            };
            let filter = &query.filter;
            let wanted = named(&filter.domain, &session.domain)
                && named(&filter.app, &session.app)
                && named(&filter.stream, &session.stream);
            if fits(session) && wanted {
                rows.push(session.clone());
            }
        }
        if self.ties_shuffled {
            self.dice.shuffle(&mut rows);
        }
        rows.sort_by_key(|session| session.end);
        let total = rows.len() as u64;
        let skip = (query.page as usize - 1) * query.page_size as usize;
        let rows = rows.into_iter().skip(skip).take(query.page_size as usize).map(Row::Finished).collect();
        Page { total: Some(total), rows }
    }
}

struct Exporter {
    keeper: Keeper,
    books: AccountBooks,
    clock: Arc<ManualClock>,
}

impl Exporter {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let options = KeeperOptions {
            classifier: Classifier::new(&[]),
            terms: Terms { series_limit: 1_000_000, hold_max: Duration::ZERO },
            client_ip: ClientIp::Full,
            clock: clock.clone(),
            observer: Box::new(|_| {}),
        };
        let (mut keeper, _) = Keeper::open(Box::new(SqliteLedger::in_memory().unwrap()), options).unwrap();
        let new = NewAccount {
            name: "main".into(),
            first_start: START,
            counting_since: START - 3600,
            floor: START - HORIZON,
        };
        let books = keeper.account(new).unwrap();
        Self { keeper, books, clock }
    }

    fn slices(&self) -> &Slices {
        static NONE: Slices = Slices::new();
        self.books.scopes.get(&Filter::default()).map_or(&NONE, |scope| &scope.slices)
    }

    fn drive(&mut self, mut pass: Pass, api: &mut Api, now: i64) {
        while let Some(query) = pass.next(self.slices()) {
            assert!(query.window.start >= self.books.floor && query.window.end < now, "{query:?}");
            let page = api.answer(&query, now);
            let reading = pass.answer(page, self.slices());
            let progress = reading.progress.clone();
            let receipt = self.observe(reading.sessions, reading.confirming, reading.revises, progress.clone(), now);
            if receipt.is_empty() {
                self.progressed(&progress);
            } else {
                pass.confirm(receipt, progress);
            }
        }
        let progress = pass.take_progress();
        self.observe(Vec::new(), false, None, progress.clone(), now);
        self.progressed(&progress);
    }

    fn observe(
        &mut self,
        sessions: Vec<PushSession>,
        confirming: bool,
        revises: Option<GroupId>,
        progress: tencent_live_exporter::listing::Progress,
        seen: i64,
    ) -> Vec<tencent_live_exporter::listing::Unsettled> {
        let observation = Observation {
            account: "main".into(),
            scope: Filter::default(),
            sessions,
            confirming,
            revises,
            progress,
            seen,
        };
        self.keeper.observe(observation).unwrap().unsettled
    }

    fn progressed(&mut self, progress: &tencent_live_exporter::listing::Progress) {
        let scope = self.books.scopes.entry(Filter::default()).or_default();
        scope.watermark = scope.watermark.max(progress.reached);
        scope.slices.extend(progress.remember.iter().copied());
        for id in &progress.forget {
            scope.slices.remove(id);
        }
    }

    fn watermark(&self) -> Option<i64> {
        self.books.scopes.get(&Filter::default()).and_then(|scope| scope.watermark)
    }

    fn poll(&mut self, api: &mut Api, now: i64) {
        let bounds = Bounds { floor: self.books.floor, now: now - 1 };
        let start = self.watermark().map_or(self.books.counting_since, |at| at - 120);
        self.drive(Pass::poll(Filter::default(), [Window { start, end: now - 1 }], bounds), api, now);
    }

    fn sweep(&mut self, api: &mut Api, now: i64, lookback: i64, audit: bool) {
        let bounds = Bounds { floor: self.books.floor, now: now - 1 };
        let watermark = self.watermark().unwrap();
        let slices = cover(watermark - lookback, watermark, self.books.floor);
        self.drive(Pass::sweep(Filter::default(), &slices, bounds, !audit), api, now);
    }

    fn counted(&self) -> Counts {
        let mut counts = Counts::new();
        for series in self.keeper.publication().series() {
            let labels = &series.labels;
            let key =
                (labels.domain.to_string(), labels.app.to_string(), labels.stream.to_string(), labels.reason.as_str());
            *counts.entry(key).or_default() += series.total;
        }
        counts
    }
}

type Counts = BTreeMap<(String, String, String, &'static str), u64>;

const TEXTS: [(&str, &str); 3] = [
    ("推流客户端主动断流", "client_stopped"),
    ("校验鉴权参数不通过", "auth_failed"),
    ("推流链路网络异常", "network_error"),
];

/// A platform's two hours, and what there is to count of them.
fn platform(seed: u64, by: By) -> (Api, Counts) {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut rows = Vec::new();
    let mut truth = Counts::new();
    let domains = ["push.a.example", "push.b.example"];
    let sessions = dice.usize(50..600);
    let burst_at = START + dice.i64(600..6000);
    for n in 0..sessions {
        let in_burst = n < 150 && dice.u8(..4) < 3;
        let end = if in_burst { burst_at + dice.i64(0..2) } else { START + dice.i64(-3000..7000) };
        let (text, reason) = TEXTS[dice.usize(..3)];
        let refused = reason == "auth_failed";
        let length = if refused { 0 } else { [0, 1, 30, 600, 7000][dice.usize(..5)] };
        let lateness = match dice.u8(..100) {
            0..80 => dice.i64(0..30),
            80..98 => dice.i64(0..300),
            _ => dice.i64(0..9000),
        };
        let session = PushSession {
            domain: domains[dice.usize(..2)].into(),
            app: ["live", "live1"][dice.usize(..2)].into(),
            stream: Name::from(format!("room_{}", dice.u32(..40)).as_str()),
            start: end - length,
            end,
            reason_text: text.into(),
            client_ip: format!("10.0.0.{}", dice.u8(..3)),
            duration: None,
            resolution: String::new(),
        };
        let clones = if refused { dice.u64(1..5) } else { 1 };
        let late = |dice: &mut fastrand::Rng| end + 1 + lateness + if dice.u8(..10) == 0 { dice.i64(0..60) } else { 0 };
        for _ in 0..clones {
            let from = late(&mut dice);
            let hidden = (dice.u8(..20) == 0).then(|| (from + 40, from + 40 + dice.i64(0..600)));
            // One of several identical rows that changes becomes another row; that is told apart elsewhere.
            let corrected = (clones == 1 && dice.u8(..20) == 0).then(|| {
                let other_end = if dice.bool() { end } else { (end + dice.i64(1..90)).min(from) };
                let corrected = PushSession { end: other_end, client_ip: "10.9.9.9".into(), ..session.clone() };
                (from + dice.i64(0..200), corrected)
            });
            rows.push(Shown { session: session.clone(), from, hidden, corrected });
        }
        let label = |name: &Name| name.text().into_owned();
        let key = (label(&session.domain), label(&session.app), label(&session.stream), reason);
        *truth.entry(key).or_default() += clones;
    }
    let (ends_included, ties_shuffled) = (dice.bool(), dice.bool());
    (Api { rows, by, ends_included, ties_shuffled, dice, requests: 0 }, truth)
}

fn simulate(seed: u64) {
    let by = [By::End, By::Start, By::Overlap][usize::try_from(seed % 3).unwrap()];
    let (mut api, truth) = platform(seed, by);
    let mut exporter = Exporter::new();
    let mut now = START;
    while now < START + 18_000 {
        now += 30;
        exporter.clock.jump_to(now);
        exporter.poll(&mut api, now);
        if now % 60 == START % 60 {
            exporter.sweep(&mut api, now, 24 * 3600, false);
        }
        for (key, counted) in &exporter.counted() {
            assert!(truth.get(key).is_some_and(|shown| counted <= shown), "seed {seed}: {key:?} {counted}");
        }
    }
    exporter.sweep(&mut api, now, 24 * 3600, true);
    assert_eq!(exporter.counted(), truth, "seed {seed}, {by:?}, {} requests", api.requests);
}

#[test]
fn whatever_the_api_means_by_its_window_every_session_counts_exactly_once() {
    for seed in 0..24 {
        simulate(seed);
    }
}
