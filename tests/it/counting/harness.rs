//! A small API and an exporter without network, disk or threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tencent_live_exporter::clock::ManualClock;
use tencent_live_exporter::ledger::{AccountBooks, NewAccount, SqliteLedger};
use tencent_live_exporter::listing::{Bounds, Filter, Page, Pass, Query, Row, Slices, Whole, Window, cover};
use tencent_live_exporter::poller::{ClientIp, Keeper, KeeperOptions, Observation};
use tencent_live_exporter::publication::Terms;
use tencent_live_exporter::reason::Classifier;
use tencent_live_exporter::session::{Name, PushSession};

pub(super) const START: i64 = 1_700_000_000;
pub(super) const HORIZON: i64 = 72 * 3600;

/// What the API's window filters on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum By {
    Start,
    End,
    Overlap,
}

pub(super) struct Shown {
    pub(super) session: PushSession,
    pub(super) from: i64,
    pub(super) hidden: Option<(i64, i64)>,
    /// From then on the row says something else.
    pub(super) corrected: Option<(i64, PushSession)>,
}

/// An API that is right about one response at a time and about nothing else.
pub(super) struct Api {
    pub(super) rows: Vec<Shown>,
    pub(super) by: By,
    pub(super) ends_included: bool,
    pub(super) ties_shuffled: bool,
    pub(super) dice: fastrand::Rng,
    pub(super) requests: u64,
    /// Most rows a window shows, on all pages.
    pub(super) cap: usize,
    /// Whether `TotalNum` stops counting at the cap.
    pub(super) saturated: bool,
    /// The request that is answered as if nothing had happened.
    pub(super) empty_answer: Option<u64>,
    /// Most rows a page shows, whatever was asked for.
    pub(super) page_rows: usize,
}

impl Api {
    pub(super) fn new(rows: Vec<Shown>, by: By, seed: u64) -> Self {
        Self {
            rows,
            by,
            ends_included: true,
            ties_shuffled: false,
            dice: fastrand::Rng::with_seed(seed),
            requests: 0,
            cap: 10_000,
            saturated: false,
            empty_answer: None,
            page_rows: 100,
        }
    }

    pub(super) fn answer(&mut self, query: &Query, now: i64) -> Page {
        self.requests += 1;
        if self.empty_answer == Some(self.requests) {
            return Page { total: Some(0), rows: Vec::new() };
        }
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
        let total = if self.saturated { rows.len().min(self.cap) } else { rows.len() } as u64;
        let page_rows = (query.page_size as usize).min(self.page_rows);
        let skip = (query.page as usize - 1) * page_rows;
        let rows = rows.into_iter().take(self.cap).skip(skip).take(page_rows).map(Row::Finished).collect();
        Page { total: Some(total), rows }
    }
}

pub(super) struct Exporter {
    keeper: Keeper,
    books: AccountBooks,
    pub(super) clock: Arc<ManualClock>,
    /// Listings that ended without all of their rows.
    pub(super) incomplete: u64,
}

impl Exporter {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let options = KeeperOptions {
            classifier: Classifier::new(&[]),
            terms: Terms { series_limit: 1_000_000, hold_max: Duration::ZERO, ..Terms::default() },
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
        Self { keeper, books, clock, incomplete: 0 }
    }

    fn slices(&self) -> &Slices {
        static NONE: Slices = Slices::new();
        self.books.scopes.get(&Filter::default()).map_or(&NONE, |scope| &scope.slices)
    }

    pub(super) fn drive(&mut self, mut pass: Pass, api: &mut Api, now: i64) {
        while let Some(query) = pass.next(self.slices()) {
            assert!(query.window.start >= self.books.floor && query.window.end < now, "{query:?}");
            let page = api.answer(&query, now);
            let reading = pass.answer(page, self.slices());
            let progress = reading.progress.clone();
            let receipt = self.observe(reading.sessions, reading.confirming, reading.whole, progress.clone(), now);
            if receipt.is_empty() {
                self.progressed(&progress);
            } else {
                pass.confirm(receipt, progress);
            }
        }
        self.incomplete += pass.tally().incomplete_listings;
        let progress = pass.take_progress();
        self.observe(Vec::new(), false, None, progress.clone(), now);
        self.progressed(&progress);
    }

    pub(super) fn observe(
        &mut self,
        sessions: Vec<PushSession>,
        confirming: bool,
        whole: Option<Whole>,
        progress: tencent_live_exporter::listing::Progress,
        seen: i64,
    ) -> Vec<tencent_live_exporter::listing::Unsettled> {
        let observation = Observation {
            account: "main".into(),
            scope: Filter::default(),
            sessions,
            confirming,
            whole,
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

    pub(super) fn poll(&mut self, api: &mut Api, now: i64) {
        let bounds = Bounds { floor: self.books.floor, now: now - 1 };
        let start = self.watermark().map_or(self.books.counting_since, |at| at - 120);
        self.drive(Pass::poll(Filter::default(), [Window { start, end: now - 1 }], bounds), api, now);
    }

    pub(super) fn sweep(&mut self, api: &mut Api, now: i64, lookback: i64, audit: bool) {
        let bounds = Bounds { floor: self.books.floor, now: now - 1 };
        let watermark = self.watermark().unwrap();
        let slices = cover(watermark - lookback, watermark, self.books.floor);
        self.drive(Pass::sweep(Filter::default(), &slices, bounds, !audit), api, now);
    }

    pub(super) fn counted(&self) -> Counts {
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

/// Disconnects by domain, app, stream and reason.
pub(super) type Counts = BTreeMap<(String, String, String, &'static str), u64>;
