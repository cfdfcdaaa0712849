//! The readers' side of the ledger: single records, while one thread writes.
//!
//! Promises: a question holds up no commit to disk but the rare one that has to be alone ([`Readers`]), is answered from
//! one moment's books, and is over after [`Records::patience`], answered or not. Each opens the file for itself, for
//! reading only; in WAL mode it sees the last commit and stops nobody.
//!
//! How it stays short with many millions of records: whatever a filter says about domain, app and reason is true of
//! whole *kinds* of records, of which there are few, and each kind, like each stream, has its records in order of time in
//! an index. The newest of several such *lanes* are merged as they are asked for ([`lanes`]). Sums come from the hours
//! that the ledger counts as it writes ([`summary`]).
//!
//! Books in memory have no file. There a question takes its turn between two commits, with less patience, and never before a
//! commit that waits.

mod lanes;
mod names;
mod page;
mod summary;

use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, ffi};

use super::memory::Memory;
use super::readers::{PATIENCE, Readers};
use super::{read, sqlite};
use crate::clock::{Clock, UnixSeconds};
use crate::ledger::{LedgerError, RecordFilter, RecordPage, RecordQuery, RecordSummary};
use crate::reason::Classifier;
use crate::session::IdentityKey;

/// Longest a question to books in memory may take, since it holds up the next commit.
const PATIENCE_IN_MEMORY: Duration = Duration::from_millis(250);

/// Between two looks whether it is a question's turn.
const BETWEEN_TRIES: Duration = Duration::from_millis(1);

/// Virtual machine instructions of SQLite between two looks at the clock: about a tenth of a millisecond.
const BETWEEN_LOOKS: i32 = 5_000;

/// Answers questions about records.
pub struct Records {
    place: Place,
    classifier: ArcSwap<Classifier>,
    clock: Arc<dyn Clock>,
    patience: Duration,
}

#[derive(Debug)]
pub(super) enum Place {
    File(PathBuf, Arc<Readers>),
    Memory(Arc<Memory>),
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("place", &self.place).field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Records {
    pub(super) fn new(place: Place, classifier: Classifier, clock: Arc<dyn Clock>) -> Self {
        let patience = match place {
            Place::File(..) => PATIENCE,
            Place::Memory(_) => PATIENCE_IN_MEMORY,
        };
        Self { place, classifier: ArcSwap::from_pointee(classifier), clock, patience }
    }

    /// The same with another patience.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// From the next question on reads reason texts, old ones too, by another taxonomy.
    pub fn classify_by(&self, classifier: Classifier) {
        self.classifier.store(Arc::new(classifier));
    }

    /// The records that `query` asks for. It blocks.
    ///
    /// # Errors
    /// [`LedgerError::TooSlow`] when that takes too long, others when the books cannot be read.
    pub fn page(&self, query: &RecordQuery) -> Result<RecordPage, LedgerError> {
        self.ask(|reading| page::page(reading, query))
    }

    /// What the records come to that ended from `start` to `end`, both included. It blocks.
    ///
    /// # Errors
    /// As [`Records::page`].
    pub fn summary(
        &self,
        filter: &RecordFilter,
        start: UnixSeconds,
        end: UnixSeconds,
    ) -> Result<RecordSummary, LedgerError> {
        self.ask(|reading| summary::summary(reading, filter, start, end.max(start)))
    }

    fn ask<T>(&self, question: impl FnOnce(&Reading<'_>) -> rusqlite::Result<T>) -> Result<T, LedgerError> {
        let deadline = Deadline { clock: Arc::clone(&self.clock), end: self.clock.elapsed() + self.patience };
        let answer = match &self.place {
            Place::File(file, readers) => {
                let _turn = readers.turn(self.patience).ok_or(LedgerError::TooSlow)?;
                open(file, deadline.left()).and_then(|mut own| self.read(&mut own, deadline, question))
            }
            Place::Memory(shared) => {
                let mut shared = turn(shared, &deadline)?;
                let answer = self.read(&mut shared, deadline, question);
                // The writer, who is next to use it, may take its time.
                shared.progress_handler(0, None::<fn() -> bool>).and(answer)
            }
        };
        answer.map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted | ErrorCode::DatabaseBusy) => LedgerError::TooSlow,
            _ => sqlite("reading records from")(error),
        })
    }

    fn read<T>(
        &self,
        connection: &mut Connection,
        deadline: Deadline,
        question: impl FnOnce(&Reading<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let watched = deadline.clone();
        connection.progress_handler(BETWEEN_LOOKS, Some(move || watched.is_over()))?;
        // One moment's books for all that follows; dropping it ends it.
        let books = Transaction::new(connection, TransactionBehavior::Deferred)?;
        let key = read::key(&books)?;
        let classifier = self.classifier.load_full();
        question(&Reading { books, key, classifier, deadline })
    }
}

/// A connection of its own for every question: opening costs less than a millisecond, and what is not kept cannot be
/// stale, hold the log or have to be closed.
fn open(file: &Path, patience: Duration) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(patience)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -8192;")?;
    Ok(connection)
}

/// A turn with books in memory.
fn turn<'a>(memory: &'a Memory, deadline: &Deadline) -> Result<MutexGuard<'a, Connection>, LedgerError> {
    loop {
        if let Some(connection) = memory.try_read() {
            return Ok(connection);
        }
        if deadline.is_over() {
            return Err(LedgerError::TooSlow);
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
}

/// The books of one moment, and what it takes to read them.
struct Reading<'a> {
    books: Transaction<'a>,
    key: IdentityKey,
    classifier: Arc<Classifier>,
    deadline: Deadline,
}

/// When patience ends.
#[derive(Clone)]
struct Deadline {
    clock: Arc<dyn Clock>,
    end: Duration,
}

impl Deadline {
    fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    fn left(&self) -> Duration {
        self.end.saturating_sub(self.clock.elapsed())
    }

    /// For work that SQLite does not see, or sees as many short pieces.
    fn check(&self) -> rusqlite::Result<()> {
        if self.is_over() { Err(cut_off()) } else { Ok(()) }
    }
}

/// What SQLite says when it is interrupted.
fn cut_off() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None)
}
