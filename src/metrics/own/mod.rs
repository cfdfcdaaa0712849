//! The exporter's metrics about itself.
//!
//! Every child of a closed label set exists from the start at 0, so that the first failure of a kind is an increase
//! and not a new series. A label from outside a closed list is counted as `other` and never becomes a child. The
//! registry is owned; the process-wide one stays unused, so that two exporters in one process (tests, reloads) do
//! not meet.

mod accounts;
mod online;
mod vectors;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Histogram, IntGauge, IntGaugeVec, Registry};

use self::accounts::AccountMetrics;
use self::vectors::{Vectors, gauge, histogram, int_gauge};
use super::names;
use crate::clock::UnixSeconds;
use crate::listing::Kind;
use crate::publication::Snapshot;

/// Kinds of poll failure: the `error` label, a closed list.
pub const POLL_ERRORS: &[&str] = &[
    "network",
    "timeout",
    "http",
    "protocol",
    "throttled",
    "auth",
    "permission",
    "service",
    "parameter",
    "clock",
    "internal",
    "state",
    OTHER,
];

/// The label value of what is in no closed list.
const OTHER: &str = "other";

/// The build this is.
pub const BUILD: BuildInfo = BuildInfo {
    version: env!("CARGO_PKG_VERSION"),
    revision: env!("TENCENT_LIVE_REVISION"),
    rustversion: env!("TENCENT_LIVE_RUSTVERSION"),
};

/// What a binary was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildInfo {
    /// The version of the crate.
    pub version: &'static str,
    /// The commit, abbreviated; `unknown` outside a repository.
    pub revision: &'static str,
    /// The compiler's version.
    pub rustversion: &'static str,
}

/// What became of a disconnect record: the `outcome` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Counted for the first time.
    Counted,
    /// Counted before.
    Duplicate,
    /// Counted before, with other facts. A row of which only the reason changed is told each time it is read.
    Revised,
    /// Has not ended yet, as far as the API knows.
    Unfinished,
    /// Set aside, because its names or times are unusable.
    Invalid,
    /// Too old to be told from what was counted before; not counted.
    Late,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Outcome; 6] =
        [Outcome::Counted, Outcome::Duplicate, Outcome::Revised, Outcome::Unfinished, Outcome::Invalid, Outcome::Late];

    /// The value of the `outcome` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Counted => "counted",
            Outcome::Duplicate => "duplicate",
            Outcome::Revised => "revised",
            Outcome::Unfinished => "unfinished",
            Outcome::Invalid => "invalid",
            Outcome::Late => "late",
        }
    }
}

/// The closed lists of labels that other rooms own.
#[derive(Debug, Clone, Copy)]
struct Labels {
    codes: &'static [&'static str],
    actions: &'static [&'static str],
    errors: &'static [&'static str],
}

/// The registry of the exporter's own metrics, with one method per happening.
///
/// Accounts are named in the configuration; one that was not there at the start is added when it is first heard of.
#[derive(Debug)]
pub struct OwnMetrics {
    registry: Registry,
    vectors: Vectors,
    labels: Labels,
    accounts: RwLock<BTreeMap<String, Arc<AccountMetrics>>>,
    poll_interval: Gauge,
    series: IntGauge,
    series_limit: IntGauge,
    idle_series: IntGauge,
    held_series: IntGauge,
    held_disconnects: IntGauge,
    state_commit: Histogram,
    reload_successful: IntGauge,
    reload_success: IntGauge,
    web_reload_successful: IntGauge,
    web_reload_success: IntGauge,
    /// Without labels, and without its one child until there is a certificate.
    web_certificate_expiry: IntGaugeVec,
}

impl OwnMetrics {
    /// All metrics at 0, for `accounts` and the closed lists `codes` (of the API, `ok` included), `actions` (of the
    /// API) and `errors` (of polls, such as [`POLL_ERRORS`]); `other` is added to each list.
    ///
    /// # Errors
    /// When the registry refuses a family, which means that [`names`] contradicts itself.
    pub fn new(
        accounts: &[String],
        poll_interval: Duration,
        series_limit: u64,
        codes: &'static [&'static str],
        actions: &'static [&'static str],
        errors: &'static [&'static str],
    ) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let build = vectors::int_gauge_vec(&registry, &names::BUILD_INFO)?;
        build.get_metric_with_label_values(&[BUILD.version, BUILD.revision, BUILD.rustversion])?.set(1);
        let own = Self {
            vectors: Vectors::new(&registry)?,
            labels: Labels { codes, actions, errors },
            accounts: RwLock::default(),
            poll_interval: gauge(&registry, &names::POLL_INTERVAL)?,
            series: int_gauge(&registry, &names::SERIES)?,
            series_limit: int_gauge(&registry, &names::SERIES_LIMIT)?,
            idle_series: int_gauge(&registry, &names::IDLE_SERIES)?,
            held_series: int_gauge(&registry, &names::HELD_SERIES)?,
            held_disconnects: int_gauge(&registry, &names::HELD_DISCONNECTS)?,
            state_commit: histogram(&registry, &names::STATE_COMMIT_DURATION, vectors::COMMIT_BUCKETS)?,
            reload_successful: int_gauge(&registry, &names::CONFIG_LAST_RELOAD_SUCCESSFUL)?,
            reload_success: int_gauge(&registry, &names::CONFIG_LAST_RELOAD_SUCCESS)?,
            web_reload_successful: int_gauge(&registry, &names::WEB_CONFIG_LAST_RELOAD_SUCCESSFUL)?,
            web_reload_success: int_gauge(&registry, &names::WEB_CONFIG_LAST_RELOAD_SUCCESS)?,
            web_certificate_expiry: vectors::int_gauge_vec(&registry, &names::WEB_CERTIFICATE_EXPIRY)?,
            registry,
        };
        own.change(accounts, poll_interval, series_limit);
        Ok(own)
    }

    /// Goes on for `accounts`: the series of others go, those of new ones start at 0.
    pub fn change(&self, accounts: &[String], poll_interval: Duration, series_limit: u64) {
        self.poll_interval.set(poll_interval.as_secs_f64());
        self.series_limit.set(whole(series_limit));
        let mut known = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name, metrics| {
            let stays = accounts.contains(name);
            if !stays {
                metrics.domains.remove();
                metrics.online.unknown();
                AccountMetrics::remove(&self.vectors, name, self.labels);
            }
            stays
        });
        drop(known);
        for name in accounts {
            self.account(name);
        }
    }

    /// A poll, sweep or audit has ended after `took`. Only a poll says whether the account is up.
    pub fn poll_finished(&self, account: &str, kind: Kind, result: Result<(), &str>, took: Duration, now: UnixSeconds) {
        self.account(account).poll_finished(kind, result, took, now);
    }

    /// Everything that ended up to `at` has been asked for.
    pub fn watermark(&self, account: &str, at: UnixSeconds) {
        self.account(account).watermark.set(at);
    }

    /// Something was counted in the push domain `domain` of the account.
    pub fn domain_seen(&self, account: &str, domain: &str) {
        self.account(account).domains.seen(domain);
    }

    /// The account's push domains, as configured or discovered: whether each is switched on, where that is known.
    pub fn domains_listed(&self, account: &str, domains: &[(String, Option<bool>)]) {
        self.account(account).domains.listed(domains);
    }

    /// So many streams of the account are pushed, by the labels `domain` and `app`.
    pub fn streams_online(&self, account: &str, online: &BTreeMap<(String, String), u64>) {
        self.account(account).online.listed(online);
    }

    /// How many streams of the account are pushed cannot be told any more.
    pub fn streams_online_unknown(&self, account: &str) {
        self.account(account).online.unknown();
    }

    /// A request to the API was answered with `code` (or failed locally, which has codes too) after `took`.
    pub fn api_request(&self, account: &str, action: &str, code: &str, took: Duration) {
        self.account(account).api_request(action, code, took);
    }

    /// Temporary keys of the account were renewed, or were not.
    pub fn credentials_renewed(&self, account: &str, success: bool) {
        self.account(account).renewals[usize::from(success)].inc();
    }

    /// The keys that sign the account's requests expire `at`, or never.
    pub fn credentials_expiry(&self, account: &str, at: Option<UnixSeconds>) {
        let expiry = &self.vectors.credentials_expiry;
        match at {
            Some(at) => expiry.with_label_values(&[account]).set(at),
            // They may never have expired before either.
            None => drop(expiry.remove_label_values(&[account])),
        }
    }

    /// `n` records met `outcome`.
    pub fn records(&self, account: &str, outcome: Outcome, n: u64) {
        self.account(account).records[outcome as usize].inc_by(n);
    }

    /// A push that ended `seconds` ago was counted; a negative lag, by a clock that is behind, is 0.
    pub fn observation_lag(&self, account: &str, seconds: f64) {
        self.account(account).observation_lag.observe(seconds.max(0.0));
    }

    /// `n` disconnects had a reason text that nothing matches.
    pub fn unmapped(&self, account: &str, n: u64) {
        self.account(account).unmapped.inc_by(n);
    }

    /// `n` disconnects were counted by a poll that reached further back than usual.
    pub fn catchup(&self, account: &str, n: u64) {
        self.account(account).catchup.inc_by(n);
    }

    /// `n` disconnects were folded into the overflow series.
    pub fn overflowed(&self, account: &str, n: u64) {
        self.account(account).overflowed.inc_by(n);
    }

    /// Disconnects that were folded into the overflow series since the start.
    #[must_use]
    pub fn overflowed_disconnects(&self, account: &str) -> u64 {
        self.account(account).overflowed.get()
    }

    /// The most series there may be.
    #[must_use]
    pub fn series_limit(&self) -> u64 {
        u64::try_from(self.series_limit.get()).unwrap_or(0)
    }

    /// `n` disconnects were left out of the stream counter.
    pub fn excluded(&self, account: &str, n: u64) {
        self.account(account).excluded.inc_by(n);
    }

    /// `n` windows were split.
    pub fn split_windows(&self, account: &str, n: u64) {
        self.account(account).split_windows.inc_by(n);
    }

    /// `n` listings were made again.
    pub fn repeated_listings(&self, account: &str, n: u64) {
        self.account(account).repeated_listings.inc_by(n);
    }

    /// `n` listings ended without all of their rows; what they showed was counted as far as it was seen together.
    pub fn incomplete_listings(&self, account: &str, n: u64) {
        self.account(account).incomplete_listings.inc_by(n);
    }

    /// Requests per second that the account may make now.
    pub fn api_pace(&self, account: &str, requests_per_second: f64) {
        self.account(account).api_pace.set(requests_per_second);
    }

    /// The API's clock minus ours, in seconds.
    pub fn clock_skew(&self, account: &str, seconds: f64) {
        self.account(account).clock_skew.set(seconds);
    }

    /// A transaction reached the disk after `took`.
    pub fn state_commit(&self, took: Duration) {
        self.state_commit.observe(took.as_secs_f64());
    }

    /// The configuration was read, and taken or refused.
    pub fn config_reload(&self, success: bool, now: UnixSeconds) {
        self.reload_successful.set(i64::from(success));
        if success {
            self.reload_success.set(now);
        }
    }

    /// The file of `web.config_file` was read, and taken or refused.
    pub fn web_config_reload(&self, success: bool, now: UnixSeconds) {
        self.web_reload_successful.set(i64::from(success));
        if success {
            self.web_reload_success.set(now);
        }
    }

    /// The first of the certificates that are served now expires `at`.
    pub fn web_certificate_expiry(&self, at: UnixSeconds) {
        self.web_certificate_expiry.with_label_values::<&str>(&[]).set(at);
    }

    /// The families as they are now, by name, their metrics by label values; `snapshot` fills the gauges about it.
    #[must_use]
    pub fn gather(&self, snapshot: &Snapshot) -> Vec<MetricFamily> {
        self.series.set(whole(snapshot.series));
        self.idle_series.set(whole(snapshot.idle_series));
        self.held_series.set(whole(snapshot.held_series));
        self.held_disconnects.set(whole(snapshot.held_disconnects));
        self.registry.gather()
    }

    fn account(&self, name: &str) -> Arc<AccountMetrics> {
        let known = self.accounts.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        known.unwrap_or_else(|| {
            let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
            let make = || Arc::new(AccountMetrics::new(&self.vectors, name, self.labels));
            Arc::clone(accounts.entry(name.to_owned()).or_insert_with(make))
        })
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: &[&str] = &["ok", "InternalError"];
    const ACTIONS: &[&str] = &["DescribeLiveStreamEventList"];

    fn own() -> OwnMetrics {
        OwnMetrics::new(&["main".into()], Duration::from_secs(30), 50_000, CODES, ACTIONS, POLL_ERRORS).unwrap()
    }

    fn value(own: &OwnMetrics, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let families = own.gather(&Snapshot::default());
        let family = families.iter().find(|family| family.name() == name)?;
        let metric = family.get_metric().iter().find(|metric| {
            let pairs = metric.get_label();
            labels.iter().all(|(key, value)| pairs.iter().any(|pair| pair.name() == *key && pair.value() == *value))
        })?;
        Some(metric.get_counter().get_value() + metric.get_gauge().get_value())
    }

    fn series(own: &OwnMetrics) -> usize {
        own.gather(&Snapshot::default()).iter().map(|family| family.get_metric().len()).sum()
    }

    #[test]
    fn every_failure_is_there_at_0_before_it_happens() {
        let own = own();
        for kind in Kind::ALL {
            for error in POLL_ERRORS {
                let labels = [("account", "main"), ("kind", kind.as_str()), ("error", error)];
                assert_eq!(value(&own, names::POLL_FAILURES.name, &labels), Some(0.0), "{labels:?}");
            }
        }
        for outcome in Outcome::ALL {
            assert_eq!(value(&own, names::RECORDS.name, &[("outcome", outcome.as_str())]), Some(0.0));
        }
        for code in CODES {
            assert_eq!(value(&own, names::API_REQUESTS.name, &[("code", code)]), Some(0.0));
        }
    }

    #[test]
    fn every_own_family_of_the_table_is_registered_with_its_labels() {
        let own = own();
        own.domain_seen("main", "push.example.com");
        own.streams_online("main", &BTreeMap::from([(("push.example.com".to_owned(), "live".to_owned()), 1)]));
        own.web_certificate_expiry(7);
        own.credentials_expiry("main", Some(7));
        let families = own.gather(&Snapshot::default());
        for family in names::ALL.iter().filter(|family| !names::DISCONNECT_FAMILIES.contains(family)) {
            let gathered = families.iter().find(|gathered| gathered.name() == family.name).expect(family.name);
            assert_eq!(gathered.help(), family.help);
            let mut labels = family.labels.to_vec();
            labels.sort_unstable();
            let pairs = gathered.get_metric()[0].get_label();
            assert_eq!(pairs.iter().map(prometheus::proto::LabelPair::name).collect::<Vec<_>>(), labels);
        }
    }

    #[test]
    fn a_label_from_nowhere_counts_as_other_and_makes_no_series() {
        let own = own();
        let before = series(&own);
        own.api_request("main", "DescribeLiveStreamEventList", "Made.Up", Duration::ZERO);
        own.api_request("main", "MadeUp", "ok", Duration::ZERO);
        own.poll_finished("main", Kind::Poll, Err("made up"), Duration::ZERO, 7);
        assert_eq!(series(&own), before);
        let action = ("action", "DescribeLiveStreamEventList");
        assert_eq!(value(&own, names::API_REQUESTS.name, &[action, ("code", "other")]), Some(1.0));
        assert_eq!(value(&own, names::API_REQUESTS.name, &[("action", "other"), ("code", "ok")]), Some(1.0));
        assert_eq!(value(&own, names::POLL_FAILURES.name, &[("kind", "poll"), ("error", "other")]), Some(1.0));
    }

    #[test]
    fn only_a_poll_says_whether_the_account_is_up() {
        let own = own();
        own.poll_finished("main", Kind::Poll, Ok(()), Duration::ZERO, 100);
        own.poll_finished("main", Kind::Sweep, Err("timeout"), Duration::ZERO, 200);
        assert_eq!(value(&own, names::UP.name, &[]), Some(1.0));
        assert_eq!(value(&own, names::LAST_POLL.name, &[]), Some(100.0));
        own.poll_finished("main", Kind::Poll, Err("timeout"), Duration::ZERO, 300);
        assert_eq!(value(&own, names::UP.name, &[]), Some(0.0));
        assert_eq!(value(&own, names::LAST_POLL.name, &[]), Some(300.0));
        assert_eq!(value(&own, names::LAST_POLL_SUCCESS.name, &[]), Some(100.0));
        assert_eq!(value(&own, names::POLLS.name, &[("kind", "poll")]), Some(2.0));
    }

    #[test]
    fn an_account_that_a_reload_takes_away_leaves_no_series_and_starts_at_0_when_it_comes_back() {
        let own = own();
        own.poll_finished("main", Kind::Poll, Err("timeout"), Duration::ZERO, 7);
        let before = series(&own);
        let change = |names: &[&str], interval| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            own.change(&names, Duration::from_secs(interval), 7);
        };
        change(&["second"], 60);
        assert_eq!(series(&own), before, "one went, one came");
        assert_eq!(value(&own, names::POLLS.name, &[("account", "main")]), None);
        assert_eq!(value(&own, names::POLL_INTERVAL.name, &[]), Some(60.0));
        assert_eq!(value(&own, names::SERIES_LIMIT.name, &[]), Some(7.0));
        change(&["main", "second"], 60);
        assert_eq!(value(&own, names::POLLS.name, &[("account", "main"), ("kind", "poll")]), Some(0.0));
    }

    #[test]
    fn a_domain_has_one_series_with_what_is_known_of_it() {
        let own = own();
        let info =
            |enabled| value(&own, names::DOMAIN_INFO.name, &[("domain", "push.example.com"), ("enabled", enabled)]);
        let listed = |domain: &str, enabled| own.domains_listed("main", &[(domain.to_owned(), enabled)]);
        own.domain_seen("main", "push.example.com");
        assert_eq!(info("unknown"), Some(1.0));
        listed("push.example.com", Some(true));
        assert_eq!((info("unknown"), info("true")), (None, Some(1.0)));
        own.domain_seen("main", "push.example.com");
        assert_eq!((info("unknown"), info("true")), (None, Some(1.0)), "seen again, it is as it was");
        listed("push.example.com", Some(false));
        assert_eq!((info("true"), info("false")), (None, Some(1.0)));
        listed("push.other.example.com", None);
        assert_eq!((info("false"), info("unknown")), (None, Some(1.0)), "listed no more");
        own.change(&["second".to_owned()], Duration::from_secs(30), 7);
        assert_eq!(info("unknown"), None, "it goes with its account");
    }

    #[test]
    fn streams_online_are_shown_while_they_are_known_and_an_app_without_any_at_0() {
        let own = own();
        let of = |app: &str| value(&own, names::STREAMS_ONLINE.name, &[("domain", "d.example"), ("app", app)]);
        let pair = |app: &str| ("d.example".to_owned(), app.to_owned());
        own.streams_online("main", &BTreeMap::from([(pair("live"), 3), (pair("show"), 1)]));
        own.streams_online("main", &BTreeMap::from([(pair("live"), 2)]));
        assert_eq!((of("live"), of("show")), (Some(2.0), Some(0.0)));
        own.streams_online_unknown("main");
        own.streams_online_unknown("main");
        assert_eq!((of("live"), of("show")), (None, None));
        own.streams_online("main", &BTreeMap::from([(pair("live"), 1)]));
        assert_eq!((of("live"), of("show")), (Some(1.0), Some(0.0)));
        own.change(&["second".to_owned()], Duration::from_secs(30), 7);
        assert_eq!(of("live"), None, "they go with their account");
    }

    #[test]
    fn apps_without_end_make_no_series_without_end_and_no_stream_is_left_out() {
        let own = own();
        let many = (0..5_000).map(|n| (("d.example".to_owned(), format!("app_{n:04}")), 1)).collect();
        let before = series(&own);
        own.streams_online("main", &many);
        assert_eq!(series(&own) - before, 1_001);
        assert_eq!(value(&own, names::STREAMS_ONLINE.name, &[("app", "__overflow__")]), Some(4_000.0));
        let others = (0..1_000).map(|n| (("d.example".to_owned(), format!("other_{n:04}")), 1)).collect();
        own.streams_online("main", &others);
        assert_eq!(series(&own) - before, 1_000, "those without a stream make room");
        assert_eq!(value(&own, names::STREAMS_ONLINE.name, &[("app", "other_0999")]), Some(1.0));
    }

    #[test]
    fn renewals_are_counted_from_0_and_only_keys_that_expire_have_an_expiry() {
        let own = own();
        let before = series(&own);
        let renewals = |result| value(&own, names::CREDENTIALS_RENEWALS.name, &[("result", result)]);
        assert_eq!((renewals("success"), renewals("failure")), (Some(0.0), Some(0.0)));
        own.credentials_renewed("main", true);
        own.credentials_renewed("main", true);
        own.credentials_renewed("main", false);
        assert_eq!((renewals("success"), renewals("failure")), (Some(2.0), Some(1.0)));
        let expiry = || value(&own, names::CREDENTIALS_EXPIRY.name, &[("account", "main")]);
        assert_eq!(expiry(), None);
        own.credentials_expiry("main", None);
        own.credentials_expiry("main", Some(1_800_000_000));
        assert_eq!(expiry(), Some(1_800_000_000.0));
        own.credentials_expiry("main", None);
        assert_eq!((expiry(), series(&own)), (None, before));
        own.credentials_expiry("main", Some(1_800_000_000));
        own.change(&["second".to_owned()], Duration::from_secs(30), 7);
        assert_eq!((expiry(), series(&own)), (None, before), "it goes with its account");
    }

    #[test]
    fn without_tls_no_certificate_expires() {
        let own = own();
        assert_eq!(value(&own, names::WEB_CERTIFICATE_EXPIRY.name, &[]), None);
        own.web_certificate_expiry(1_800_000_000);
        assert_eq!(value(&own, names::WEB_CERTIFICATE_EXPIRY.name, &[]), Some(1_800_000_000.0));
    }

    #[test]
    fn an_account_that_comes_with_a_reload_gets_its_series() {
        let own = own();
        own.watermark("second", 5);
        assert_eq!(value(&own, names::WATERMARK.name, &[("account", "second")]), Some(5.0));
        assert_eq!(value(&own, names::RECORDS.name, &[("account", "second"), ("outcome", "late")]), Some(0.0));
    }
}
