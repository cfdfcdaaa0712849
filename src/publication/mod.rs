//! Which value each series shows.
//!
//! Prometheus cannot see the first increment of a series that appears with it. So a new series is published at its
//! *baseline* and *held* there until every scraper seen lately has read it (or `hold_max` has passed); its *release* is
//! written to the ledger before any scraper can see it. A released series shows its durable total. The class families of
//! a new domain are held in the same way; those of an account that has never been listed before are hidden until its
//! first pass is over, and start with what that pass found as their baseline.
//!
//! `labels` says which stream a disconnect counts under, if any, `shares` whether there is a place for a new one. Where
//! there is none, streams fold into `stream="__overflow__"`, then `app="__overflow__"`; sums stay exact.

mod block;
mod draft;
pub mod labels;
mod scrape;
mod scrapers;
mod shares;
mod shelf;
mod snapshot;
mod streams;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

pub use block::{BLOCK_SERIES, Kind, StreamBlock, StreamSeries};
pub use draft::{Draft, Happening};
use labels::Choice;
pub use scrape::{Scrape, Scraper, USER_AGENT_BYTES};
use scrapers::Scrapers;
use shares::Shares;
pub use snapshot::{DomainSeries, Snapshot};
use streams::{Streams, Waiting};

use crate::clock::UnixSeconds;
use crate::ledger::{Books, DomainBooks, DomainId, Posting, Release, SeriesBooks, SeriesId};
pub use crate::ledger::{DURATION_BOUNDS, DurationHistogram, Exemplar, StreamLabels};
use crate::planted::{Bug, planted};
use crate::reason::Reason;
use crate::session::IdentityKey;
pub use crate::session::OVERFLOW;

/// How series are published.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Most series of the stream counter before new streams fold together; they are shared by the domains.
    pub series_limit: u64,
    /// Which disconnects the stream counter counts, and under which stream.
    pub labels: Choice,
    /// Longest time a new series waits at its baseline.
    pub hold_max: Duration,
    /// A series of which nothing has been counted for so long leaves the page; zero for never.
    pub idle_ttl: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            series_limit: 50_000,
            labels: Choice::default(),
            hold_max: Duration::from_secs(75),
            idle_ttl: Duration::ZERO,
        }
    }
}

/// All series: the durable totals in memory, and what is shown of them.
#[derive(Debug)]
pub struct Publication {
    terms: Terms,
    key: IdentityKey,
    shares: Shares,
    streams: Streams,
    domains: Vec<DomainBooks>,
    /// What is shown of each domain, once it is visible; the same [`Arc`] while it stays as it is.
    shown_domains: Vec<Arc<DomainSeries>>,
    by_domain: HashMap<Arc<str>, DomainId>,
    /// The latest disconnects by domain, in memory only: a restart or a reload forgets them.
    exemplars: HashMap<DomainId, Arc<BTreeMap<Reason, Exemplar>>>,
    published_accounts: HashSet<String>,
    held_series: HashMap<SeriesId, Hold>,
    held_domains: HashMap<DomainId, Hold>,
    /// Since when an account has been counted but not shown.
    hidden_since: HashMap<String, Duration>,
    scrapers: Scrapers,
    generation: u64,
}

/// A series or domain that waits at its baseline.
#[derive(Debug, Clone, Copy)]
struct Hold {
    since: Duration,
    /// The first snapshot that shows the baseline.
    generation: u64,
}

impl Publication {
    /// Starts from the books. Holds begin anew: a restart may delay an increment, never lose one.
    #[must_use]
    pub fn new(books: Books, terms: Terms, elapsed: Duration) -> Self {
        let hold_max = terms.hold_max;
        let mut publication = Self {
            terms,
            key: books.key.clone(),
            shares: Shares::default(),
            streams: Streams::default(),
            domains: Vec::new(),
            shown_domains: Vec::new(),
            by_domain: HashMap::new(),
            exemplars: HashMap::new(),
            published_accounts: HashSet::new(),
            held_series: HashMap::new(),
            held_domains: HashMap::new(),
            hidden_since: HashMap::new(),
            // A new ledger has had no scraper yet; after a restart, one that comes once a minute may be on its way.
            scrapers: Scrapers::new(if books.accounts.is_empty() { elapsed } else { elapsed + hold_max }),
            generation: 0,
        };
        publication.reload(books, elapsed);
        publication
    }

    /// Takes everything from the books again, after a commit that may or may not have happened.
    pub fn reload(&mut self, books: Books, elapsed: Duration) {
        self.generation += 1;
        let published = books.accounts.into_iter().filter(|(_, account)| account.published).map(|(name, _)| name);
        self.published_accounts = published.collect();
        self.by_domain = books.domains.iter().zip(0..).map(|(domain, id)| (Arc::clone(&domain.name), id)).collect();
        self.domains = books.domains;
        self.shares = Shares::default();
        (self.streams, self.held_series) = (Streams::with_capacity(books.series.len()), HashMap::new());
        self.exemplars = HashMap::new();
        let hold = Hold { since: elapsed, generation: self.generation };
        for (mut series, id) in books.series.into_iter().zip(0..) {
            if planted(Bug::BaselineLostAtRestart) {
                series.baseline = 0;
            }
            self.add_series(&series, id, hold);
        }
        let held = self.domains.iter().zip(0..).filter(|(domain, _)| domain.held).map(|(_, id)| (id, hold));
        self.held_domains = held.collect();
        self.shown_domains = self.domains.iter().map(|domain| Arc::new(shown_domain(domain, None))).collect();
    }

    /// Goes on by other terms. Series keep their labels and totals; what waits, waits by the new ones.
    pub fn change_terms(&mut self, terms: Terms, elapsed: Duration) {
        if terms.hold_max > self.terms.hold_max {
            // Scrapers too slow for the old one have been forgotten, and are to be waited for now.
            self.scrapers.expect_all_back(elapsed + terms.hold_max);
        }
        self.terms = terms;
    }

    /// A sheet to count on. Nothing of it is shown before [`Publication::apply`].
    #[must_use]
    pub fn draft(&self) -> Draft<'_> {
        Draft::new(self)
    }

    /// Shows what `posting` changed, now that it is durable.
    pub fn apply(&mut self, posting: &Posting, elapsed: Duration) {
        self.generation += 1;
        let hold = Hold { since: elapsed, generation: self.generation };
        for account in &posting.release.accounts {
            self.publish_account(account, hold);
        }
        for add in &posting.domains {
            if let Some(new) = &add.new {
                self.by_domain.insert(Arc::clone(&new.name), add.id);
                self.domains.push(draft::new_domain(new));
                self.held_domains.insert(add.id, hold);
            }
            draft::add_to_domain(&mut self.domains[add.id as usize], add);
        }
        for ((domain, reason), latest) in &posting.exemplars {
            let shown = Arc::make_mut(self.exemplars.entry(*domain).or_default());
            if draft::is_latest(latest.end, shown.get(reason)) {
                shown.insert(*reason, latest.clone());
            }
        }
        for add in &posting.series {
            if let Some(new) = &add.new {
                self.add_series(&SeriesBooks::new(new, posting.at), add.id, hold);
            }
            if add.returns {
                self.streams.return_to_page(add.id);
                self.held_series.insert(add.id, hold);
            }
            self.streams.grow(add, posting.at);
        }
        for id in &posting.release.series {
            self.held_series.remove(id);
            self.streams.release(*id, posting.at);
        }
        for id in &posting.release.domains {
            self.domains[*id as usize].held = false;
            self.held_domains.remove(id);
        }
        let changed = posting.domains.iter().map(|add| &add.id).chain(&posting.release.domains);
        for id in changed.chain(posting.exemplars.keys().map(|(id, _)| id)) {
            let shown = Arc::new(shown_domain(&self.domains[*id as usize], self.exemplars.get(id)));
            match self.shown_domains.get_mut(*id as usize) {
                Some(before) => *before = shown,
                // New domains come in the order of their ids.
                None => self.shown_domains.push(shown),
            }
        }
    }

    /// Takes what has become idle off the page, as of `now` by the clock of [`Posting::at`]; returns whether the page has changed. What comes back is
    /// held at its total so far.
    pub fn rest(&mut self, now: UnixSeconds) -> bool {
        let ttl = self.terms.idle_ttl;
        if ttl.is_zero() && self.streams.idle() == 0 {
            return false;
        }
        // None ever becomes idle; those that were by other terms come back.
        let never = ttl.is_zero();
        let since = now.saturating_sub(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX));
        let since = if never { UnixSeconds::MIN } else { since };
        let changed = self.streams.rest(since);
        self.generation += u64::from(changed);
        changed
    }

    /// Notes that an account counts but is not to be shown yet.
    pub fn hide(&mut self, account: &str, elapsed: Duration) {
        if !self.published_accounts.contains(account) {
            self.hidden_since.entry(account.to_owned()).or_insert(elapsed);
        }
    }

    /// Whether the series of `account` may be shown.
    #[must_use]
    pub fn is_published(&self, account: &str) -> bool {
        self.published_accounts.contains(account)
    }

    /// Notes that a scraper has read a snapshot to its end.
    pub fn scraped(&mut self, scrape: Scrape, elapsed: Duration) {
        self.scrapers.scraped(scrape, elapsed, self.terms.hold_max);
    }

    /// Notes that a connection has ended.
    pub fn disconnected(&mut self, connection: u64) {
        self.scrapers.disconnected(connection);
    }

    /// Notes that nobody could scrape for a while, since this process stood still: holds begin anew.
    pub fn stood_still(&mut self, elapsed: Duration) {
        let holds = self.held_series.values_mut().chain(self.held_domains.values_mut());
        holds.for_each(|hold| hold.since = elapsed);
        self.scrapers.expect_all_back(elapsed + self.terms.hold_max);
    }

    /// What may be released now.
    #[must_use]
    pub fn due(&self, elapsed: Duration) -> Release {
        let read_by_all = self.scrapers.read_by_all(elapsed, self.terms.hold_max);
        let due = |hold: &Hold| {
            elapsed.saturating_sub(hold.since) >= self.terms.hold_max
                || read_by_all.is_some_and(|generation| generation >= hold.generation)
        };
        let overdue = |since: &Duration| elapsed.saturating_sub(*since) >= self.terms.hold_max;
        let mut release = Release {
            series: self
                .held_series
                .iter()
                .filter(|(id, hold)| self.streams.is_visible(**id) && due(hold))
                .map(|(id, _)| *id)
                .collect(),
            domains: self
                .held_domains
                .iter()
                .filter(|(id, hold)| self.domain_is_visible(**id) && due(hold))
                .map(|(id, _)| *id)
                .collect(),
            accounts: self
                .hidden_since
                .iter()
                .filter(|(_, since)| overdue(since))
                .map(|(name, _)| name.clone())
                .collect(),
        };
        release.series.sort_unstable();
        release.domains.sort_unstable();
        release.accounts.sort_unstable();
        release
    }

    /// When to ask for what is due again if nothing happens before; never while nothing waits.
    #[must_use]
    pub fn next_look(&self, elapsed: Duration) -> Option<Duration> {
        let hold_max = self.terms.hold_max;
        let series =
            self.held_series.iter().filter(|(id, _)| self.streams.is_visible(**id)).map(|(_, hold)| hold.since);
        let domains = self.held_domains.iter().filter(|(id, _)| self.domain_is_visible(**id));
        let first_hold = series.chain(domains.map(|(_, hold)| hold.since)).min();
        let hidden = self.hidden_since.values().min().map(|since| *since + hold_max);
        let scrapers = first_hold.and_then(|_| self.scrapers.next_change(elapsed, hold_max));
        [first_hold.map(|since| since + hold_max), hidden, scrapers].into_iter().flatten().min()
    }

    /// What readers see from now on.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let waiting = self.streams.waiting();
        debug_assert_eq!(
            self.held_series.keys().map(|id| self.streams.waiting_of(*id)).fold(Waiting::default(), Waiting::and),
            waiting
        );
        let visible = (0..).zip(&self.shown_domains).filter(|(id, _)| self.domain_is_visible(*id));
        Snapshot {
            generation: self.generation,
            blocks: self.streams.blocks(),
            domains: visible.map(|(_, domain)| Arc::clone(domain)).collect(),
            series: self.streams.visible() as u64,
            idle_series: self.streams.idle() as u64,
            held_series: waiting.series,
            held_disconnects: waiting.disconnects,
        }
    }

    /// The stream counter as counted, in order of first appearance.
    pub fn series(&self) -> impl Iterator<Item = SeriesBooks> {
        self.streams.books()
    }

    fn publish_account(&mut self, account: &str, hold: Hold) {
        self.hidden_since.remove(account);
        if !self.published_accounts.insert(account.to_owned()) {
            return;
        }
        let is_its = |domain: &str| {
            let domain = self.by_domain.get(domain);
            domain.is_some_and(|id| self.domains[*id as usize].account == account)
        };
        self.held_series.extend(self.streams.reveal(is_its).into_iter().map(|id| (id, hold)));
        for (domain, id) in self.domains.iter().zip(0..) {
            if domain.held && domain.account == account {
                self.held_domains.insert(id, hold);
            }
        }
    }

    fn add_series(&mut self, series: &SeriesBooks, id: SeriesId, hold: Hold) {
        let domain = self.by_domain.get(&series.labels.domain);
        if let Some(domain) = domain {
            self.shares.add(*domain, &series.labels);
        }
        self.streams.add(series, domain.is_some_and(|domain| self.domain_is_visible(*domain)));
        if series.held {
            self.held_series.insert(id, hold);
        }
    }

    fn domain_is_visible(&self, id: DomainId) -> bool {
        self.published_accounts.contains(&self.domains[id as usize].account)
    }
}

fn shown_domain(domain: &DomainBooks, exemplars: Option<&Arc<BTreeMap<Reason, Exemplar>>>) -> DomainSeries {
    let shown = if domain.held { &domain.baseline } else { &domain.total };
    DomainSeries {
        domain: Arc::clone(&domain.name),
        created: domain.created,
        disconnects: shown.disconnects,
        durations: shown.durations,
        last_end: domain.last_end,
        // What waits behind a baseline must not be told by its exemplar.
        exemplars: exemplars.filter(|_| !domain.held).cloned().unwrap_or_default(),
    }
}
