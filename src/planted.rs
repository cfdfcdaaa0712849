//! Mistakes to order, for the simulation (`tests/it/simulation`) to catch.
//!
//! A simulation that finds nothing proves nothing until it has been shown to find something. So the places where
//! exporters of polled events usually go wrong ask here whether to go wrong too. Without the feature `planted-bugs`,
//! which only tests switch on, the answer is a constant no and the compiler leaves nothing of the question.

/// A mistake somebody might make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A poll begins at the watermark, not some way behind it.
    NoOverlap,
    /// A row that is behind the watermark is taken for seen.
    CursorAlone,
    /// Rows that look alike are one.
    SetInsteadOfMaximum,
    /// The pages of a window are added up.
    MultisetOverPages,
    /// A group grows by rows of several responses without a look at the whole.
    NoConfirmation,
    /// Names are hashed without a sign where one ends.
    NamesRunTogether,
    /// Windows are asked for without a second to spare on either side.
    BordersOffByOne,
    /// A slice that has a count is taken for unchanged.
    SliceCountNotCompared,
    /// A slice is remembered whatever its halves come to.
    HalvesNotCompared,
    /// A slice with rows that have not ended is remembered like any other.
    UnfinishedNotAskedAgain,
    /// A request is not tried again, and a poll keeps what it has only at its end.
    RetryPerListing,
    /// Windows end at this machine's time, whatever the API's is.
    WindowEndsAtLocalClock,
    /// What is forgotten depends on this machine's time alone.
    FloorFromLocalClock,
    /// Each start sets the floor anew.
    FloorNotKept,
    /// The watermark is written before what was listed.
    WatermarkOutsideTransaction,
    /// What a failed commit held is written again from memory.
    AddAgainAfterCommitError,
    /// Totals show before they are durable.
    PublishBeforeCommit,
    /// A release shows before it is durable.
    ReleaseNotWrittenAhead,
    /// A new series shows its total at once.
    NoHold,
    /// The first scraper that has read a baseline releases the series for all.
    HoldPerScraper,
    /// A held series starts from 0 after a restart.
    BaselineLostAtRestart,
    /// What the first start finds is news.
    NothingInBaseline,
    /// A series that folds streams together keeps only what came last.
    OverflowResetsTotals,
}

impl Bug {
    /// Every mistake there is.
    pub const ALL: [Bug; 23] = [
        Bug::NoOverlap,
        Bug::CursorAlone,
        Bug::SetInsteadOfMaximum,
        Bug::MultisetOverPages,
        Bug::NoConfirmation,
        Bug::NamesRunTogether,
        Bug::BordersOffByOne,
        Bug::SliceCountNotCompared,
        Bug::HalvesNotCompared,
        Bug::UnfinishedNotAskedAgain,
        Bug::RetryPerListing,
        Bug::WindowEndsAtLocalClock,
        Bug::FloorFromLocalClock,
        Bug::FloorNotKept,
        Bug::WatermarkOutsideTransaction,
        Bug::AddAgainAfterCommitError,
        Bug::PublishBeforeCommit,
        Bug::ReleaseNotWrittenAhead,
        Bug::NoHold,
        Bug::HoldPerScraper,
        Bug::BaselineLostAtRestart,
        Bug::NothingInBaseline,
        Bug::OverflowResetsTotals,
    ];
}

/// Whether the code that asks is to make this mistake.
#[cfg(not(feature = "planted-bugs"))]
#[must_use]
pub const fn planted(_: Bug) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
pub use ordered::{plant, planted};

#[cfg(feature = "planted-bugs")]
mod ordered {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Orders a mistake, or none, from the code that runs on this thread.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether the code that asks is to make this mistake.
    #[must_use]
    pub fn planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}
