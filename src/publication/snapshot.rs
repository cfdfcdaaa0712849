//! What readers see: immutable, swapped whole.

use std::sync::Arc;

use crate::clock::UnixSeconds;
use crate::reason::{Class, Reason};

/// Series per [`StreamBlock`]: a commit copies the blocks it touches and shares the others.
pub const BLOCK_SERIES: usize = 256;

/// Upper bounds in seconds of `tencent_live_session_duration_seconds`, `+Inf` left out.
pub const DURATION_BOUNDS: [u64; 12] = [1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 43200, 86400];

/// The disconnect families at one moment. Nothing in it is ahead of what is durable.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Counts snapshots; a scraper that has read generation *g* has seen every baseline published up to *g*.
    pub generation: u64,
    /// The stream counter in blocks of up to [`BLOCK_SERIES`]. A block that did not change is the same [`Arc`] as in
    /// the snapshot before, so a renderer may keep what it made of it.
    pub blocks: Vec<Arc<StreamBlock>>,
    /// The domains with their per-class families, in order of first appearance.
    pub domains: Vec<Arc<DomainSeries>>,
    /// Series of the stream counter.
    pub series: u64,
    /// Series that wait at their baseline.
    pub held_series: u64,
    /// Disconnects that are counted but wait behind a baseline.
    pub held_disconnects: u64,
}

/// Neighbouring series of the stream counter.
#[derive(Debug, Clone, Default)]
pub struct StreamBlock {
    /// In order of first appearance; at most [`BLOCK_SERIES`].
    pub series: Vec<StreamSeries>,
}

/// One series of `tencent_live_stream_disconnects_total`.
#[derive(Debug, Clone)]
pub struct StreamSeries {
    /// Its labels.
    pub labels: Arc<StreamLabels>,
    /// The value to publish: the baseline while held, the durable total after.
    pub shown: u64,
    /// Start timestamp.
    pub created: UnixSeconds,
}

/// Labels of the stream counter, as label values (cut and cleaned, not escaped).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamLabels {
    /// `domain`
    pub domain: Arc<str>,
    /// `app`
    pub app: Arc<str>,
    /// `stream`
    pub stream: Arc<str>,
    /// `reason`
    pub reason: Reason,
}

/// The per-class families of one domain.
#[derive(Debug, Clone)]
pub struct DomainSeries {
    /// `domain`
    pub domain: Arc<str>,
    /// Start timestamp of all of them.
    pub created: UnixSeconds,
    /// `tencent_live_disconnects_total` by `Reason as usize`; every reason is published, also at 0.
    pub disconnects: [u64; Reason::COUNT],
    /// `tencent_live_session_duration_seconds` by `Class as usize`; every class is published, also at 0.
    pub durations: [DurationHistogram; Class::ALL.len()],
    /// `tencent_live_last_disconnect_timestamp_seconds` by `Class as usize`; absent where there was none.
    pub last_end: [Option<UnixSeconds>; Class::ALL.len()],
}

/// How long pushes lasted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DurationHistogram {
    /// Sessions per bucket of [`DURATION_BOUNDS`], not cumulated; the last bucket is `+Inf`.
    pub buckets: [u64; DURATION_BOUNDS.len() + 1],
    /// Sum of the durations in seconds.
    pub sum: u64,
}

impl DurationHistogram {
    /// Adds one session of `seconds`.
    pub fn observe(&mut self, seconds: u64) {
        let bucket = DURATION_BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket] += 1;
        self.sum = self.sum.saturating_add(seconds);
    }

    /// Number of sessions.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = DurationHistogram::default();
        for seconds in [0, 1, 2, 5, 86_400, 86_401] {
            histogram.observe(seconds);
        }
        assert_eq!(histogram.buckets, [2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!((histogram.count(), histogram.sum), (6, 172_809));
    }
}
