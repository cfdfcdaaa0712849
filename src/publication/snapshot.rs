//! What readers see: immutable, swapped whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{StreamBlock, StreamSeries};
use crate::clock::UnixSeconds;
use crate::ledger::{DurationHistogram, Exemplar};
use crate::reason::{Class, Reason};

/// The disconnect families at one moment. Nothing in it is ahead of what is durable.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Counts snapshots; a scraper that has read generation *g* has seen every baseline published up to *g*.
    pub generation: u64,
    /// The stream counter. A block that did not change is the same [`Arc`] at the same place as in the snapshot before,
    /// so a renderer may keep what it made of it; some may be empty.
    pub blocks: Arc<Vec<Arc<StreamBlock>>>,
    /// The domains with their per-class families, in order of first appearance.
    pub domains: Vec<Arc<DomainSeries>>,
    /// Series of the stream counter.
    pub series: u64,
    /// Series that have left the page as idle.
    pub idle_series: u64,
    /// Series that wait at their baseline.
    pub held_series: u64,
    /// Disconnects that are counted but wait behind a baseline.
    pub held_disconnects: u64,
}

impl Snapshot {
    /// The series of the stream counter.
    pub fn streams(&self) -> impl Iterator<Item = StreamSeries<'_>> {
        self.blocks.iter().flat_map(|block| block.series())
    }
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
