//! What readers see: immutable, swapped whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::UnixSeconds;
use crate::ledger::{DurationHistogram, Exemplar, StreamLabels};
use crate::reason::{Class, Reason};

/// Series per [`StreamBlock`]: a commit copies the blocks it touches and shares the others.
pub const BLOCK_SERIES: usize = 256;

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
    /// The latest disconnect behind `disconnects`, by reason, as far as it was counted by this process; none while
    /// the domain is held.
    pub exemplars: Arc<BTreeMap<Reason, Exemplar>>,
}
