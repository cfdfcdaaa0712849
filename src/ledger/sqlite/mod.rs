//! The embedded ledger: one SQLite file in a folder that one process has to itself.
//!
//! WAL with `synchronous=FULL`: a commit that returned has reached the disk. The folder is 0700 and the file 0600, since
//! stream names and addresses are in it. The lock is on a file of its own, so that a ledger that is being set aside stays
//! locked.

mod findings;
mod folder;
mod home;
mod memory;
mod read;
mod readers;
mod records;
mod view;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

pub use self::folder::{FolderLook, LedgerLook, Place};
use self::home::Home;
use self::memory::Memory;
use self::readers::Readers;
pub use self::records::Records;
pub use self::view::LedgerView;
use super::{Books, Ledger, LedgerError, Posting};
use crate::clock::Clock;
use crate::listing::Group;
use crate::reason::Classifier;
use crate::session::GroupKey;

/// `PRAGMA application_id`: "TLEX".
const APPLICATION_ID: i64 = 0x544c_4558;

/// What each version of the schema has added to the one before.
const SCHEMA: [&str; 6] = [
    include_str!("schema.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
    include_str!("schema-5.sql"),
    include_str!("schema-6.sql"),
];

/// What cannot be added twice: the version that adds it, and how to see that it is there.
const ADDED_ONCE: [(usize, &str); 4] = [
    (3, "SELECT count(*) FROM pragma_table_info('series') WHERE name = 'active_at'"),
    (4, "SELECT count(*) FROM sqlite_schema WHERE name = 'record_kind'"),
    (5, "SELECT count(*) FROM pragma_table_info('slice') WHERE name = 'restless'"),
    (6, "SELECT count(*) FROM pragma_table_info('ledger_key') WHERE name = 'ordered_since'"),
];

/// `PRAGMA user_version`.
const SCHEMA_VERSION: i64 = SCHEMA.len().cast_signed() as i64;

/// A log of so many bytes is long; SQLite begins to take it back at 4 MiB.
const LONG_LOG: u64 = 32 << 20;

/// What a log that begins anew keeps of its file, in bytes.
const KEPT_LOG: u64 = 8 << 20;

/// By how many bytes a long log grows until it is tried again to take it back.
const MORE_LOG: u64 = 8 << 20;

/// The tables that counting rests on; checked whenever the ledger is opened.
const COUNTING_TABLES: [&str; 10] = [
    "account",
    "scope",
    "slice",
    "session_group",
    "series",
    "domain",
    "domain_reason",
    "domain_class",
    "domain_duration",
    "domain_excluded",
];

/// The books in one SQLite file, or in memory.
#[derive(Debug)]
pub struct SqliteLedger {
    connection: Held,
    home: Option<Home>,
    readers: Arc<Readers>,
    /// From how many bytes on the log is to be taken back with nobody reading.
    long_log: u64,
    /// SQLite has found damage: the next opening looks at every page.
    suspect: bool,
}

#[derive(Debug)]
enum Held {
    /// Absent while the file could not be reopened.
    File(Option<Connection>),
    /// Shared with those who ask for records: there is no file that they could open.
    Memory(Arc<Memory>),
}

impl SqliteLedger {
    /// A ledger that is gone when it is dropped.
    ///
    /// # Errors
    /// When there is no memory or no randomness.
    pub fn in_memory() -> Result<Self, LedgerError> {
        let connection = Connection::open_in_memory().map_err(sqlite("opening"))?;
        tune(&connection);
        create_schema(&connection)?;
        Ok(Self::new(Held::Memory(Arc::new(Memory::new(connection))), None))
    }

    /// Opens the ledger in `folder`, or makes both.
    ///
    /// # Errors
    /// When the folder cannot be used or is in use, when the ledger is of a newer version, and when it is damaged or
    /// foreign; then it is moved beside, and the next start begins a new one.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        let home = Home::enter(folder)?;
        let mut ledger = Self::new(Held::File(None), Some(home));
        ledger.reopen()?;
        Ok(ledger)
    }

    fn new(connection: Held, home: Option<Home>) -> Self {
        Self { connection, home, readers: Arc::default(), long_log: LONG_LOG, suspect: false }
    }

    /// Passes `done` on, and remembers damage that SQLite stumbled over: a table that counting does not rest on is not
    /// looked at on each start.
    fn suspected<T>(&mut self, done: Result<T, LedgerError>) -> Result<T, LedgerError> {
        if let Err(LedgerError::Sqlite { source, .. }) = &done {
            self.suspect |= is_damage(source);
        }
        done
    }

    /// Whoever asks for single records of this ledger, from any thread.
    #[must_use]
    pub fn records(&self, classifier: Classifier, clock: Arc<dyn Clock>) -> Records {
        let place = match (&self.connection, &self.home) {
            (Held::Memory(memory), _) => records::Place::Memory(Arc::clone(memory)),
            (_, home) => {
                let file = home.as_ref().expect("a file has its home").file().to_owned();
                records::Place::File(file, Arc::clone(&self.readers))
            }
        };
        Records::new(place, classifier, clock)
    }

    /// Whether the next commit is to be made with nobody reading, since the log is long; once more when it has grown though
    /// one was, as while another process reads.
    fn shall_be_alone(&mut self) -> bool {
        let log = self.home.as_ref().map_or(0, Home::log_bytes);
        if log < LONG_LOG {
            self.long_log = LONG_LOG;
        }
        let is_long = log >= self.long_log;
        if is_long {
            self.long_log = log + MORE_LOG;
        }
        is_long
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut Connection) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        match &mut self.connection {
            Held::File(Some(connection)) => work(connection),
            Held::File(None) => Err(LedgerError::Contradiction("it could not be reopened".into())),
            Held::Memory(memory) => memory.write(work),
        }
    }
}

impl Ledger for SqliteLedger {
    fn read(&mut self) -> Result<Books, LedgerError> {
        let books = self.with(|connection| read::books(connection));
        let (Err(LedgerError::Contradiction(_)), true) = (&books, self.home.is_some()) else { return books };
        // Once more, see `reopen`.
        self.reopen()?;
        match (self.with(|connection| read::books(connection)), &self.home) {
            (Err(LedgerError::Contradiction(why)), Some(home)) => {
                self.connection = Held::File(None);
                Err(home.set_aside(why))
            }
            (books, _) => books,
        }
    }

    fn groups(&mut self, keys: &[GroupKey]) -> Result<BTreeMap<GroupKey, Group>, LedgerError> {
        let groups = self.with(|connection| read::groups(connection, keys));
        self.suspected(groups)
    }

    fn commit(&mut self, posting: &Posting) -> Result<(), LedgerError> {
        // A file that was removed can be written to, and is gone when it is closed.
        if self.home.as_ref().is_some_and(Home::is_replaced) {
            return Err(LedgerError::Replaced);
        }
        let readers = Arc::clone(&self.readers);
        let _alone = if self.shall_be_alone() { readers.stop() } else { None };
        let written = self.with(|connection| write::posting(connection, posting));
        self.suspected(written)
    }

    fn reopen(&mut self) -> Result<(), LedgerError> {
        let Some(home) = &mut self.home else { return Ok(()) };
        self.connection = Held::File(None);
        let open = || {
            let connection = open_file(home)?;
            if self.suspect {
                check(&connection, "PRAGMA quick_check(1)")?;
            }
            Ok(connection)
        };
        let connection = match open() {
            // SQLite calls it damage too when the disk fails to read. Damage is what can be read and is wrong twice.
            Err(LedgerError::Contradiction(_)) => {
                home.read_through()?;
                match open() {
                    Err(LedgerError::Contradiction(why)) => return Err(home.set_aside(why)),
                    opened => opened?,
                }
            }
            opened => opened?,
        };
        home.settle()?;
        self.connection = Held::File(Some(connection));
        self.suspect = false;
        Ok(())
    }
}

fn sqlite(doing: &'static str) -> impl Fn(rusqlite::Error) -> LedgerError {
    move |source| LedgerError::Sqlite { doing, source: explained(source) }
}

/// On a full disk SQLite often gets no further than the index of its log, and calls that an I/O error.
fn explained(error: rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, _) if code.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => {
            let words = "no room for the index of its log, the disk may be full";
            rusqlite::Error::SqliteFailure(code, Some(words.into()))
        }
        error => error,
    }
}

fn open_file(home: &Home) -> Result<Connection, LedgerError> {
    let is_new = home.is_empty()?;
    let connection = Connection::open(home.file()).map_err(sqlite("opening"))?;
    connection.busy_timeout(Duration::from_secs(2)).map_err(sqlite("opening"))?;
    tune(&connection);
    if is_new {
        wal(&connection).map_err(sqlite("preparing"))?;
        create_schema(&connection)?;
    } else {
        let version = check_identity(home.file(), &connection)?;
        wal(&connection).map_err(broken_or("preparing"))?;
        match usize::try_from(version) {
            Ok(0) => create_schema(&connection)?,
            Ok(version) if version < SCHEMA.len() => upgrade_schema(&connection, version)?,
            _ => {}
        }
        check_schema(&connection)?;
        for table in COUNTING_TABLES {
            check(&connection, &format!("PRAGMA quick_check('{table}')"))?;
        }
    }
    Ok(connection)
}

/// The schema is kept as text, and a column whose name has changed by itself is no damage to SQLite. What others have
/// added (`ANALYZE`, a replication tool) is none of ours.
fn check_schema(connection: &Connection) -> Result<(), LedgerError> {
    let statements = |connection: &Connection| -> rusqlite::Result<BTreeSet<Vec<u8>>> {
        let sql = "SELECT CAST(sql AS BLOB) FROM sqlite_schema WHERE sql IS NOT NULL";
        connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
    };
    let fresh = Connection::open_in_memory().map_err(sqlite("checking"))?;
    create_schema(&fresh)?;
    let found = statements(connection).map_err(broken_or("checking"))?;
    if statements(&fresh).map_err(sqlite("checking"))?.is_subset(&found) {
        Ok(())
    } else {
        Err(LedgerError::Contradiction("its schema is not that of its version".into()))
    }
}

fn check(connection: &Connection, pragma: &str) -> Result<(), LedgerError> {
    let verdict: String = connection.query_row(pragma, [], |row| row.get(0)).map_err(broken_or("checking"))?;
    if verdict == "ok" { Ok(()) } else { Err(LedgerError::Contradiction(verdict)) }
}

/// The schema version of a file that is ours; 0 for one whose making was cut short.
fn check_identity(file: &Path, connection: &Connection) -> Result<i64, LedgerError> {
    let pragma = |name: &str| -> Result<i64, LedgerError> {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).map_err(broken_or("reading"))
    };
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(broken_or("reading"))?;
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    if tables == 0 && application == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(LedgerError::Contradiction("it was written by another program".into()));
    }
    if version > SCHEMA_VERSION {
        let file = file.display().to_string();
        return Err(LedgerError::Newer { file, found: version, known: SCHEMA_VERSION });
    }
    Ok(version)
}

/// Damage is a contradiction, everything else (a full disk, no permission) is not.
fn broken_or(doing: &'static str) -> impl Fn(rusqlite::Error) -> LedgerError {
    move |source| {
        if is_damage(&source) { LedgerError::Contradiction(source.to_string()) } else { sqlite(doing)(source) }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// A posting has more kinds of statements than are kept by default.
fn tune(connection: &Connection) {
    connection.set_prepared_statement_cache_capacity(64);
}

fn wal(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // In KiB; what is not in it is in the page cache of the system.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -16384;")?;
    connection.query_row(&format!("PRAGMA journal_size_limit = {KEPT_LOG}"), [], |_| Ok(()))
}

/// Adds what the versions after `version` have, all of it or nothing.
fn upgrade_schema(connection: &Connection, version: usize) -> Result<(), LedgerError> {
    // Where something exists already, the version was wrong.
    let mut added = String::new();
    for (step, sql) in (1..).zip(SCHEMA).skip(version) {
        let look = ADDED_ONCE.iter().find(|(added_by, _)| *added_by == step);
        let there = look.map(|(_, look)| connection.query_row(look, [], |row| row.get::<_, i64>(0))).transpose();
        if there.map_err(broken_or("upgrading"))?.unwrap_or(0) == 0 {
            added.push_str(sql);
        }
    }
    let upgrade = format!("BEGIN IMMEDIATE; {added} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT");
    connection.execute_batch(&upgrade).map_err(broken_or("upgrading"))
}

fn create_schema(connection: &Connection) -> Result<(), LedgerError> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|error| LedgerError::Contradiction(format!("no random key: {error}")))?;
    let create = || {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        SCHEMA.iter().try_for_each(|added| connection.execute_batch(added))?;
        connection.execute("INSERT INTO ledger_key (only, bytes) VALUES (1, ?1)", [key])?;
        connection.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
        ))
    };
    create().map_err(sqlite("creating"))
}
