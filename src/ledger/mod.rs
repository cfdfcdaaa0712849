//! The durable books: which sessions are accounted for, what each series has come to, how far listings have reached.
//!
//! A [`Posting`] is everything that one response, one release or one housekeeping step changes; it is committed whole
//! or not at all. A commit that failed may have happened all the same, so after any error the ledger is closed, opened
//! anew and read again ([`Ledger::reopen`]); nothing is ever added from memory a second time.
//!
//! Beside the one who writes, anybody may ask for single records ([`Records`]) or look at everything ([`LedgerView`]).

mod posting;
mod records;
mod sqlite;
mod view;

use std::collections::BTreeMap;

pub use posting::{
    AccountBooks, Books, ClassAdd, DURATION_BOUNDS, DomainAdd, DomainBooks, DomainId, DomainTotals, DurationHistogram,
    Exemplar, NewAccount, NewDomain, NewSeries, Posting, Record, Release, Revision, ScopeBooks, ScopeProgress,
    SeriesAdd, SeriesBooks, SeriesId, StreamLabels,
};
pub use records::{
    Cursor, Disconnect, NoCursor, PAGE_RECORDS, RecordFilter, RecordPage, RecordQuery, RecordSummary, SUMMARY_BUCKETS,
    SUMMARY_TOP, StreamMatch, SummaryBucket, TopStream,
};
pub use sqlite::{FolderLook, LedgerLook, LedgerView, Place, Records, SqliteLedger};
pub use view::{AccountView, Overview};

use crate::listing::Group;
use crate::session::GroupKey;

/// Where postings are kept. One task owns it.
pub trait Ledger: Send {
    /// Everything but groups and records.
    ///
    /// # Errors
    /// When the books cannot be read or contradict themselves.
    fn read(&mut self) -> Result<Books, LedgerError>;

    /// The groups among `keys` that are known.
    ///
    /// # Errors
    /// When the books cannot be read.
    fn groups(&mut self, keys: &[GroupKey]) -> Result<BTreeMap<GroupKey, Group>, LedgerError>;

    /// Writes `posting` whole and durably.
    ///
    /// # Errors
    /// When that is not certain: the posting may or may not be in the books. Call [`Ledger::reopen`] and read again.
    fn commit(&mut self, posting: &Posting) -> Result<(), LedgerError>;

    /// Drops the handle, whatever state it is in, and opens the books again.
    ///
    /// # Errors
    /// When they cannot be opened.
    fn reopen(&mut self) -> Result<(), LedgerError>;
}

/// What can go wrong with the books.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The folder cannot be made, entered or written.
    #[error("cannot use state folder {folder}; make it writable for this user or choose another with --state.path")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the folder.
    #[error(
        "state folder {folder} is in use by process {pid}; stop that one first or choose another folder with --state.path"
    )]
    InUse {
        /// The folder.
        folder: String,
        /// The other process, as far as it is known.
        pid: String,
    },
    /// There is nothing to look at.
    #[error("there is no ledger in {folder}; name the folder of one with --state.path")]
    Absent {
        /// The folder.
        folder: String,
    },
    /// The file was written by an older version, and is only looked at.
    #[error(
        "{file} has schema version {found}, this program reads {known}; start the exporter of this version on it, which \
         takes it over, or use the program that wrote it"
    )]
    Older {
        /// The file.
        file: String,
        /// Its version.
        found: i64,
        /// The version that is read here.
        known: i64,
    },
    /// The copy cannot be made.
    #[error("cannot write the copy {file}")]
    Copy {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file was written by a newer version.
    #[error("{file} has schema version {found}, this program knows up to {known}; run the newer version that wrote it")]
    Newer {
        /// The file.
        file: String,
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The file is damaged or not ours; it has been moved, not deleted.
    #[error(
        "{file} is not a usable ledger ({why}); it has been kept as {kept}. Restore a backup in its place, or start again \
         to begin with a new ledger (a new baseline, no jump in any counter)"
    )]
    SetAside {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
        /// Where it is now.
        kept: String,
    },
    /// Another ledger stands in the place of the one that was open.
    #[error("the ledger was replaced or removed while it was in use; put the right one back and start again")]
    Replaced,
    /// SQLite refused.
    #[error("{doing} the ledger")]
    Sqlite {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
    /// A question to the records was cut off.
    #[error("reading the records took too long; narrow the range or the filters, or ask again")]
    TooSlow,
    /// A row of the books cannot be right.
    #[error("the ledger contradicts itself: {0}")]
    Contradiction(String),
}

impl LedgerError {
    /// Whether going on could only make it worse.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, LedgerError::SetAside { .. } | LedgerError::Replaced)
    }
}
