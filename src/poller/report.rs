//! The one place that logs and counts what the other rooms report, so that log and metrics cannot drift.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::account::PassError;
use super::keeper::chain;
use super::observation::Receipt;
use crate::clock::UnixSeconds;
use crate::listing::{Kind, Reading, Tally};
use crate::live::CallError;
use crate::metrics::{Outcome, OwnMetrics};

/// Streams that are pushed, by the labels of their domain and app.
pub(super) type StreamsByLabels = BTreeMap<(String, String), u64>;

/// Most distinct texts of strangers that are logged in the life of the process.
const MOST_LOGGED: usize = 64;

/// Log and metrics of one account.
pub(super) struct Report {
    account: String,
    metrics: Arc<OwnMetrics>,
    failing: bool,
    online_unknown: bool,
    logged: HashSet<String>,
}

impl Report {
    pub(super) fn new(account: String, metrics: Arc<OwnMetrics>) -> Self {
        Self { account, metrics, failing: false, online_unknown: false, logged: HashSet::new() }
    }

    /// A pass has ended.
    pub(super) fn pass_ended(&mut self, kind: Kind, outcome: &Result<(), PassError>, took: Duration, now: UnixSeconds) {
        let account = &self.account;
        let result = outcome.as_ref().copied().map_err(PassError::kind);
        self.metrics.poll_finished(account, kind, result, took, now);
        let was_failing = self.failing;
        if kind == Kind::Poll {
            self.failing = outcome.is_err();
        }
        let kind = kind.as_str();
        match outcome {
            Ok(()) if was_failing && !self.failing => info!(account, "polls succeed again"),
            Ok(()) => debug!(account, kind, ?took, "pass complete"),
            Err(error) if error.is_refusal() => {
                error!(account, kind, error = chain(error), "refused, trying again in a minute");
            }
            Err(error) => {
                warn!(account, kind, error = chain(error), "pass failed, the next one goes on where it stopped");
            }
        }
    }

    /// A response has been read.
    pub(super) fn read(&mut self, reading: &Reading) {
        self.metrics.records(&self.account, Outcome::Unfinished, reading.unfinished);
        self.metrics.records(&self.account, Outcome::Invalid, reading.broken.len() as u64);
        for broken in &reading.broken {
            let (field, sample) = (broken.field, &broken.sample);
            // The start of a row may be that of many, and the field need not be in it.
            if self.is_news(&format!("{field} {sample}")) {
                let account = &self.account;
                warn!(account, field, sample, "row set aside, it cannot be read");
            }
        }
    }

    /// An observation is in the books.
    pub(super) fn counted(&mut self, receipt: &Receipt, now: UnixSeconds) {
        let (account, metrics) = (&self.account, &self.metrics);
        for end in &receipt.counted_ends {
            metrics.observation_lag(account, (now - end).max(0) as f64);
        }
        metrics.records(account, Outcome::Counted, receipt.counted_ends.len() as u64 + receipt.baseline);
        metrics.records(account, Outcome::Duplicate, receipt.duplicates);
        metrics.records(account, Outcome::Revised, receipt.revised);
        metrics.records(account, Outcome::Late, receipt.late);
        metrics.unmapped(account, receipt.unmapped.len() as u64);
        metrics.overflowed(account, receipt.overflowed);
        metrics.excluded(account, receipt.excluded);
        for domain in &receipt.domains {
            metrics.domain_seen(account, domain);
        }
        for text in &receipt.unmapped {
            if self.is_news(text) {
                let (account, text) = (&self.account, text.escape_debug().take(256).collect::<String>());
                warn!(account, text, "unmapped reason text, name its reason under `reasons` in the config file");
            }
        }
        for domain in &receipt.full_domains {
            if self.is_news(&format!("series.limit {domain}")) {
                let (account, domain) = (&self.account, domain.escape_debug().to_string());
                warn!(
                    account,
                    domain,
                    "series.limit reached, new streams of the domain fold into stream=__overflow__; raise it if memory allows, or group names by series.stream"
                );
            }
        }
    }

    /// A listing has gone on from `before` to `after`.
    pub(super) fn listed(&self, kind: Kind, before: Tally, after: Tally) {
        let (account, metrics) = (&self.account, &self.metrics);
        metrics.split_windows(account, after.split_windows - before.split_windows);
        metrics.repeated_listings(account, after.repeated_listings - before.repeated_listings);
        let incomplete = after.incomplete_listings - before.incomplete_listings;
        metrics.incomplete_listings(account, incomplete);
        if incomplete > 0 {
            let kind = kind.as_str();
            error!(
                account,
                kind, incomplete, "listings without all of their rows, counted as far as rows were seen together"
            );
        }
    }

    /// The push domains cannot be listed.
    pub(super) fn no_domains(&mut self, error: &CallError) {
        if self.is_news("push domains") {
            let (account, error) = (&self.account, chain(error));
            warn!(
                account,
                error,
                "push domains cannot be listed, a domain appears with its first disconnect; grant live:DescribeLiveDomains or set discover_domains: false"
            );
        }
    }

    /// The streams that are pushed were counted, or could not be; none where the answer was not there in time.
    pub(super) fn streams_online(&mut self, counted: Option<Result<StreamsByLabels, PassError>>) {
        let account = &self.account;
        let was_unknown = std::mem::replace(&mut self.online_unknown, !matches!(counted, Some(Ok(_))));
        if let Some(Ok(online)) = &counted {
            self.metrics.streams_online(account, online);
        } else {
            self.metrics.streams_online_unknown(account);
        }
        match counted {
            Some(Ok(_)) if was_unknown => info!(account, "streams online are counted again"),
            Some(Ok(_)) => {}
            _ if was_unknown => {}
            Some(Err(error)) if error.is_refusal() => warn!(
                account,
                error = chain(&error),
                "streams online are not counted; grant live:DescribeLiveStreamOnlineList or set streams_online: false"
            ),
            Some(Err(error)) => warn!(account, error = chain(&error), "streams online cannot be counted"),
            None => warn!(account, "streams online cannot be counted between two polls"),
        }
    }

    /// Whether `text` is new; only so many ever are.
    fn is_news(&mut self, text: &str) -> bool {
        self.logged.len() < MOST_LOGGED && self.logged.insert(text.chars().take(1024).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{ACTIONS, CODES};
    use crate::metrics::POLL_ERRORS;
    use crate::publication::Snapshot;

    #[test]
    fn streams_online_that_are_not_told_any_more_are_not_shown_any_more() {
        let accounts = ["main".to_owned()];
        let metrics = OwnMetrics::new(&accounts, Duration::from_secs(30), 7, CODES, ACTIONS, POLL_ERRORS).unwrap();
        let metrics = Arc::new(metrics);
        let mut report = Report::new("main".to_owned(), Arc::clone(&metrics));
        let is_shown =
            || metrics.gather(&Snapshot::default()).iter().any(|family| family.name() == "tencent_live_streams_online");
        let counted = || Some(Ok(StreamsByLabels::from([(("d.example".to_owned(), "live".to_owned()), 1)])));
        for missing in [None, Some(Err(PassError::Clock { ours: 0 }))] {
            report.streams_online(counted());
            assert!(is_shown());
            report.streams_online(missing);
            assert!(!is_shown());
        }
    }
}
