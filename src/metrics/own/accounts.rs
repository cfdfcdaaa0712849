//! The children of one account, all made at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{Gauge, Histogram, IntCounter, IntGauge, IntGaugeVec};

use super::online::Online;
use super::vectors::Vectors;
use super::{Labels, OTHER, Outcome};
use crate::clock::UnixSeconds;
use crate::listing::Kind;

/// One account's metrics.
#[derive(Debug)]
pub(super) struct AccountMetrics {
    up: IntGauge,
    last_poll: IntGauge,
    last_poll_success: IntGauge,
    pub(super) watermark: IntGauge,
    kinds: [KindMetrics; Kind::ALL.len()],
    actions: BTreeMap<&'static str, ActionMetrics>,
    pub(super) renewals: [IntCounter; RENEWALS.len()],
    pub(super) records: [IntCounter; Outcome::ALL.len()],
    pub(super) observation_lag: Histogram,
    pub(super) unmapped: IntCounter,
    pub(super) catchup: IntCounter,
    pub(super) overflowed: IntCounter,
    pub(super) excluded: IntCounter,
    pub(super) split_windows: IntCounter,
    pub(super) repeated_listings: IntCounter,
    pub(super) incomplete_listings: IntCounter,
    pub(super) api_pace: Gauge,
    pub(super) clock_skew: Gauge,
    pub(super) domains: Domains,
    pub(super) online: Online,
}

/// The label `result` of a renewal of keys that failed, and of one that did not.
const RENEWALS: [&str; 2] = ["failure", "success"];

/// The label `enabled` of a domain that was not listed.
const UNKNOWN: &str = "unknown";

/// What is known of the domains of one account.
#[derive(Debug)]
pub(super) struct Domains {
    account: String,
    info: IntGaugeVec,
    /// The label `enabled` by the label `domain`.
    known: Mutex<BTreeMap<String, &'static str>>,
}

#[derive(Debug)]
struct KindMetrics {
    polls: IntCounter,
    duration: Histogram,
    failures: BTreeMap<&'static str, IntCounter>,
}

#[derive(Debug)]
struct ActionMetrics {
    duration: Histogram,
    codes: BTreeMap<&'static str, IntCounter>,
}

impl Domains {
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, &'static str>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, known: &mut BTreeMap<String, &'static str>, domain: &str, enabled: &'static str) {
        let before = known.insert(domain.to_owned(), enabled);
        self.info.with_label_values(&[self.account.as_str(), domain, enabled]).set(1);
        if let Some(before) = before.filter(|before| *before != enabled) {
            self.hide(domain, before);
        }
    }

    fn hide(&self, domain: &str, enabled: &str) {
        let gone = self.info.remove_label_values(&[self.account.as_str(), domain, enabled]);
        debug_assert!(gone.is_ok(), "{gone:?}");
    }

    /// Something was counted in `domain`.
    pub(super) fn seen(&self, domain: &str) {
        let mut known = self.known();
        if !known.contains_key(domain) {
            self.show(&mut known, domain, UNKNOWN);
        }
    }

    /// `listed` are the domains, and whether they are switched on, where that is known. Of one that was listed before and
    /// is not now, nothing is known any more.
    pub(super) fn listed(&self, listed: &[(String, Option<bool>)]) {
        let mut known = self.known();
        let mut now: BTreeMap<String, &'static str> = known.keys().map(|domain| (domain.clone(), UNKNOWN)).collect();
        let word = |enabled| match enabled {
            Some(true) => "true",
            Some(false) => "false",
            None => UNKNOWN,
        };
        now.extend(listed.iter().map(|(domain, enabled)| (domain.clone(), word(*enabled))));
        for (domain, enabled) in now {
            self.show(&mut known, &domain, enabled);
        }
    }

    /// Takes all of them off the page.
    pub(super) fn remove(&self) {
        for (domain, enabled) in std::mem::take(&mut *self.known()) {
            self.hide(&domain, enabled);
        }
    }
}

impl AccountMetrics {
    pub(super) fn new(vectors: &Vectors, account: &str, labels: Labels) -> Self {
        let one = &[account];
        Self {
            up: vectors.up.with_label_values(one),
            last_poll: vectors.last_poll.with_label_values(one),
            last_poll_success: vectors.last_poll_success.with_label_values(one),
            watermark: vectors.watermark.with_label_values(one),
            kinds: Kind::ALL.map(|kind| KindMetrics {
                polls: vectors.polls.with_label_values(&[account, kind.as_str()]),
                duration: vectors.poll_duration.with_label_values(&[account, kind.as_str()]),
                failures: closed(labels.errors, |error| {
                    vectors.poll_failures.with_label_values(&[account, kind.as_str(), error])
                }),
            }),
            actions: closed(labels.actions, |action| ActionMetrics {
                duration: vectors.api_request_duration.with_label_values(&[account, action]),
                codes: closed(codes_of(action, labels), |code| {
                    vectors.api_requests.with_label_values(&[account, action, code])
                }),
            }),
            renewals: RENEWALS.map(|result| vectors.credentials_renewals.with_label_values(&[account, result])),
            records: Outcome::ALL.map(|outcome| vectors.records.with_label_values(&[account, outcome.as_str()])),
            observation_lag: vectors.observation_lag.with_label_values(one),
            unmapped: vectors.unmapped.with_label_values(one),
            catchup: vectors.catchup.with_label_values(one),
            overflowed: vectors.overflowed.with_label_values(one),
            excluded: vectors.excluded.with_label_values(one),
            split_windows: vectors.split_windows.with_label_values(one),
            repeated_listings: vectors.repeated_listings.with_label_values(one),
            incomplete_listings: vectors.incomplete_listings.with_label_values(one),
            api_pace: vectors.api_pace.with_label_values(one),
            clock_skew: vectors.clock_skew.with_label_values(one),
            domains: Domains {
                account: account.to_owned(),
                info: vectors.domain_info.clone(),
                known: Mutex::default(),
            },
            online: Online::new(vectors.streams_online.clone()),
        }
    }

    /// Takes the series of an account off the page.
    pub(super) fn remove(vectors: &Vectors, account: &str, labels: Labels) {
        let one = &[account];
        let mut all = vec![
            vectors.up.remove_label_values(one),
            vectors.last_poll.remove_label_values(one),
            vectors.last_poll_success.remove_label_values(one),
            vectors.watermark.remove_label_values(one),
            vectors.observation_lag.remove_label_values(one),
            vectors.unmapped.remove_label_values(one),
            vectors.catchup.remove_label_values(one),
            vectors.overflowed.remove_label_values(one),
            vectors.excluded.remove_label_values(one),
            vectors.split_windows.remove_label_values(one),
            vectors.repeated_listings.remove_label_values(one),
            vectors.incomplete_listings.remove_label_values(one),
            vectors.api_pace.remove_label_values(one),
            vectors.clock_skew.remove_label_values(one),
        ];
        for kind in Kind::ALL.map(Kind::as_str) {
            all.push(vectors.polls.remove_label_values(&[account, kind]));
            all.push(vectors.poll_duration.remove_label_values(&[account, kind]));
            let errors = with_other(labels.errors);
            all.extend(errors.map(|error| vectors.poll_failures.remove_label_values(&[account, kind, error])));
        }
        for action in with_other(labels.actions) {
            all.push(vectors.api_request_duration.remove_label_values(&[account, action]));
            let codes = with_other(codes_of(action, labels));
            all.extend(codes.map(|code| vectors.api_requests.remove_label_values(&[account, action, code])));
        }
        all.extend(RENEWALS.map(|result| vectors.credentials_renewals.remove_label_values(&[account, result])));
        // It is there only for keys that expire.
        drop(vectors.credentials_expiry.remove_label_values(one));
        let outcomes = Outcome::ALL.map(Outcome::as_str);
        all.extend(outcomes.map(|outcome| vectors.records.remove_label_values(&[account, outcome])));
        // What was made all at once is removed all at once; a child less would be a child that was never made.
        debug_assert!(all.iter().all(Result::is_ok), "{all:?}");
    }

    pub(super) fn poll_finished(&self, kind: Kind, result: Result<(), &str>, took: Duration, now: UnixSeconds) {
        let metrics = &self.kinds[kind as usize];
        metrics.polls.inc();
        metrics.duration.observe(took.as_secs_f64());
        if let Err(error) = result {
            listed(&metrics.failures, error).inc();
        }
        if kind == Kind::Poll {
            self.up.set(i64::from(result.is_ok()));
            self.last_poll.set(now);
            if result.is_ok() {
                self.last_poll_success.set(now);
            }
        }
    }

    pub(super) fn api_request(&self, action: &str, code: &str, took: Duration) {
        let metrics = listed(&self.actions, action);
        metrics.duration.observe(took.as_secs_f64());
        listed(&metrics.codes, code).inc();
    }
}

/// One child per label of `list`, and one for [`OTHER`].
fn closed<T>(list: &[&'static str], make: impl Fn(&'static str) -> T) -> BTreeMap<&'static str, T> {
    with_other(list).map(|label| (label, make(label))).collect()
}

/// The labels of `list`, and [`OTHER`] once.
fn with_other(list: &[&'static str]) -> impl Iterator<Item = &'static str> {
    list.iter().copied().filter(|label| *label != OTHER).chain([OTHER])
}

/// The codes of an action. One of no list is a mistake of ours, not an API to watch code by code.
fn codes_of(action: &str, labels: Labels) -> &'static [&'static str] {
    if action == OTHER { &["ok"] } else { labels.codes }
}

/// The child for `label`, or the one for [`OTHER`].
fn listed<'a, T>(children: &'a BTreeMap<&'static str, T>, label: &str) -> &'a T {
    children.get(label).unwrap_or_else(|| &children[OTHER])
}
