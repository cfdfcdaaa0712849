//! What to ask next, and what an answer adds: windows, leaves, groups, slices. No I/O; time is an argument.
//!
//! The order of trust: one response is consistent in itself; pages of one listing are not; the answers to the same
//! question at two times can be compared. [`Pass`] is one listing built on these, [`Group`] is what makes counting the
//! same rows again and again come out exactly once, [`Slices`] make looking back a day cheap.

mod crowd;
mod group;
mod pass;
mod query;
mod slice;

pub use group::{CORRECTION_SECONDS, Group, Growth};
pub use pass::{Bounds, Pass, Progress, Reading, Tally, Unsettled, Whole};
pub use slice::{CAP, CROWDED, SliceCount, SliceId, Slices, cover, next_border};

pub use query::{BrokenRow, FULL_PAGE, Filter, Page, Query, Row, Window};

/// Why a listing is made: the `kind` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Lists from a little behind the watermark up to now.
    Poll,
    /// Compares counts over the lookback and lists what changed.
    Sweep,
    /// Lists the whole lookback, row by row.
    Audit,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 3] = [Kind::Poll, Kind::Sweep, Kind::Audit];

    /// The value of the `kind` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Poll => "poll",
            Kind::Sweep => "sweep",
            Kind::Audit => "audit",
        }
    }
}
