//! What is asked of the API, and what it answers.

use crate::clock::UnixSeconds;
use crate::session::{Name, PushSession};

/// The most rows one response may hold (`PageSize`, API page 267/33186).
pub const FULL_PAGE: u32 = 100;

/// A span of whole seconds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// First second.
    pub start: UnixSeconds,
    /// Last second.
    pub end: UnixSeconds,
}

impl Window {
    /// Whether a second is in it.
    #[must_use]
    pub fn contains(&self, at: UnixSeconds) -> bool {
        (self.start..=self.end).contains(&at)
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time =
            |at: UnixSeconds| jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |t| t.to_string());
        write!(f, "{}..{}", time(self.start), time(self.end))
    }
}

/// Narrows a listing by names; an absent name is not sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filter {
    /// `DomainName`
    pub domain: Option<Name>,
    /// `AppName`
    pub app: Option<Name>,
    /// `StreamName`, always sent with `IsStrict=1`.
    pub stream: Option<Name>,
}

/// One request for disconnect records, oldest end first (`IsAsc=1`), rejected pushes included (`IsFilter=0`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// `StartTime` and `EndTime`, sent as they are.
    pub window: Window,
    /// Names to narrow it to.
    pub filter: Filter,
    /// `PageNum`, from 1.
    pub page: u32,
    /// `PageSize`, 1 to [`FULL_PAGE`].
    pub page_size: u32,
}

/// One response: the only thing about the API that is consistent in itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// `TotalNum`: rows that match the query, on all pages; absent when it is no believable number.
    pub total: Option<u64>,
    /// The rows of this response, in the order received.
    pub rows: Vec<Row>,
}

/// One row of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A session that has ended.
    Finished(PushSession),
    /// A session without a believable end: still live, or not yet known to have ended.
    Unfinished,
    /// A row without usable names or start: set aside, counted and logged.
    Broken(BrokenRow),
}

/// Why a row was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRow {
    /// The API's field that is unusable, or `row` when the row is no object.
    pub field: &'static str,
    /// The start of the row's raw text, cut and made printable.
    pub sample: String,
}
