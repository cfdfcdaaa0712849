//! What a reader that never sleeps and never errs would have counted.

use std::collections::BTreeMap;

use super::archive::Record;
use super::{EventId, Name};
use crate::clock::UnixSeconds;
use crate::reason::Reason;

/// One label set of the stream counter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// The domain.
    pub domain: Name,
    /// The app.
    pub app: Name,
    /// The stream.
    pub stream: Name,
    /// The value of the `reason` label.
    pub reason: &'static str,
}

/// One published session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrueSession {
    /// The event.
    pub id: EventId,
    /// Where it counts.
    pub series: Series,
    /// When it started, Unix seconds.
    pub start: UnixSeconds,
    /// When it ended, Unix seconds.
    pub end: UnixSeconds,
    /// From when on the API listed it as finished, Unix seconds.
    pub visible_at: UnixSeconds,
}

/// Every finished session that the API has had to show so far, hidden ones included, unusable rows left out.
///
/// A session counts under the reason its row gave when a reader first got it, even if the platform changed it later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// The API's clock, Unix seconds.
    pub now: UnixSeconds,
    /// How many sessions are published.
    pub published: u64,
    /// How many have ended but are not published yet.
    pub pending: u64,
    /// How many rows nobody can count.
    pub unusable: u64,
    /// Counts by domain, app, stream and reason.
    pub by_series: BTreeMap<Series, u64>,
    /// Counts by domain and reason.
    pub by_reason: BTreeMap<(Name, &'static str), u64>,
    /// The sessions, in the order the platform learned of them.
    pub sessions: Vec<TrueSession>,
}

impl Truth {
    /// The truth at `now` about sessions that ended at `since` or later.
    pub(super) fn of(records: &[Record], now: UnixSeconds, since: UnixSeconds) -> Self {
        let mut truth = Self { now, ..Self::default() };
        for (id, record) in (0..).zip(records) {
            let event = &record.event;
            let Some((end, visible_at)) = event.end.zip(event.finished_from()) else { continue };
            if end < since {
                continue;
            }
            if visible_at > now {
                truth.pending += u64::from(end <= now);
                continue;
            }
            if event.unusable {
                truth.unusable += 1;
                continue;
            }
            let reason = record.told.unwrap_or(record.reason).as_str();
            let (domain, app, stream) = (event.domain.clone(), event.app.clone(), event.stream.clone());
            let series = Series { domain: domain.clone(), app, stream, reason };
            truth.published += 1;
            *truth.by_series.entry(series.clone()).or_default() += 1;
            *truth.by_reason.entry((domain, reason)).or_default() += 1;
            truth.sessions.push(TrueSession { id: EventId(id), series, start: event.start, end, visible_at });
        }
        truth
    }

    /// Counts by reason, all domains together.
    #[must_use]
    pub fn reasons(&self) -> BTreeMap<&'static str, u64> {
        let mut reasons = BTreeMap::new();
        for ((_, reason), count) in &self.by_reason {
            *reasons.entry(*reason).or_default() += count;
        }
        reasons
    }

    /// The reasons that occur.
    #[must_use]
    pub fn has(&self, reason: Reason) -> bool {
        self.by_reason.keys().any(|(_, name)| *name == reason.as_str())
    }

    /// The truth as `GET /-/truth` tells it; names that are not UTF-8 with their broken bytes replaced.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let by_series: Vec<_> = self
            .by_series
            .iter()
            .map(|(series, count)| {
                serde_json::json!({
                    "domain": series.domain.text(),
                    "app": series.app.text(),
                    "stream": series.stream.text(),
                    "reason": series.reason,
                    "count": count,
                })
            })
            .collect();
        let mut by_domain: BTreeMap<String, BTreeMap<&str, u64>> = BTreeMap::new();
        for ((domain, reason), count) in &self.by_reason {
            *by_domain.entry(domain.text().into_owned()).or_default().entry(reason).or_default() += count;
        }
        serde_json::json!({
            "now": self.now,
            "published": self.published,
            "pending": self.pending,
            "unusable": self.unusable,
            "by_series": by_series,
            "by_reason": self.reasons(),
            "by_domain": by_domain,
        })
    }
}
