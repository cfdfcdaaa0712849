//! What to ask next, and what an answer adds.
mod query;

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
