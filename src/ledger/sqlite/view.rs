//! The onlooker's side of the ledger: everything in it as it was at one moment, and a copy of it.
//!
//! It takes no lock and writes nothing, so it may look while an exporter writes: in WAL mode a reader sees the last
//! commit and stops nobody. As long as it looks, the log cannot be taken back into the file, so it should not look for
//! hours.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row, params};

use super::{SCHEMA_VERSION, broken_or, check, check_identity, findings, read, sqlite};
use crate::clock::UnixSeconds;
use crate::ledger::{AccountView, Books, LedgerError, Overview, Record};
use crate::session::{Fact, GroupKey, Name, PushSession};

/// Longest wait for a writer that has the file to itself for a moment.
const PATIENCE: Duration = Duration::from_secs(2);

/// The books as they were at one moment.
#[derive(Debug)]
pub struct LedgerView {
    connection: Connection,
    file: PathBuf,
}

impl LedgerView {
    /// Looks at the ledger in `folder`.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or is of another version.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        let file = file(folder)?;
        let connection = open(&file)?;
        connection.execute_batch("PRAGMA query_only = ON; BEGIN").map_err(sqlite("reading"))?;
        let view = Self { connection, file };
        match check_identity(&view.file, &view.connection).map_err(unwritable(folder))? {
            SCHEMA_VERSION => Ok(view),
            0 => Err(absent(folder)),
            found => {
                let file = view.file.display().to_string();
                Err(LedgerError::Older { file, found, known: SCHEMA_VERSION })
            }
        }
    }

    /// Whether a process has the ledger in `folder` open for writing.
    #[must_use]
    pub fn is_in_use(folder: &Path) -> bool {
        let lock = File::open(folder.join("lock"));
        // Whoever starts just now tries for longer than this has it.
        lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
    }

    /// Everything but groups and records, as [`super::super::Ledger::read`] gives it.
    ///
    /// # Errors
    /// When the books cannot be read or contradict themselves.
    pub fn books(&self) -> Result<Books, LedgerError> {
        read::books(&self.connection)
    }

    /// What it holds, in numbers.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub fn overview(&self) -> Result<Overview, LedgerError> {
        let number = |sql: &str| -> Result<u64, LedgerError> {
            let number: Option<i64> =
                self.connection.query_row(sql, [], |row| row.get(0)).map_err(broken_or("reading"))?;
            Ok(u64::try_from(number.unwrap_or(0)).unwrap_or(0))
        };
        let time = |sql: &str| -> Result<Option<UnixSeconds>, LedgerError> {
            self.connection.query_row(sql, [], |row| row.get(0)).map_err(broken_or("reading"))
        };
        Ok(Overview {
            schema_version: SCHEMA_VERSION,
            accounts: read::accounts(&self.connection)?,
            domains: number("SELECT count(*) FROM domain")?,
            disconnects: number("SELECT sum(total) FROM domain_reason")?,
            excluded: number("SELECT sum(total) FROM domain_excluded")?,
            series: number("SELECT count(*) FROM series")?,
            held_series: number("SELECT count(*) FROM series WHERE held")?,
            groups: number("SELECT count(*) FROM session_group")?,
            sessions: number("SELECT sum(length(accounted) / 16) FROM session_group")?,
            records: number("SELECT count(*) FROM record")?,
            oldest_record: time("SELECT min(end_time) FROM record")?,
            newest_record: time("SELECT max(end_time) FROM record")?,
            files: self.files()?,
        })
    }

    /// What is wrong with it, one line each; none if nothing is.
    ///
    /// # Errors
    /// When it cannot be read, damage apart.
    pub fn findings(&self) -> Result<Vec<String>, LedgerError> {
        findings::all(&self.connection)
    }

    /// The books of an account with every group that is remembered, and its records of sessions that ended at `since` or
    /// later; none if it was never polled.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub fn account(&self, name: &str, since: UnixSeconds) -> Result<Option<AccountView>, LedgerError> {
        let Some(books) = read::accounts(&self.connection)?.remove(name) else { return Ok(None) };
        let groups = read::groups_of(&self.connection, name, books.floor)?;
        let mut records = Vec::new();
        self.records(Some(name), since, |record| {
            records.push(record);
            ControlFlow::Continue(())
        })?;
        let key = read::key(&self.connection).map_err(broken_or("reading the key of"))?;
        Ok(Some(AccountView { key, books, groups, records }))
    }

    /// Hands the records of all accounts or of one, of sessions that ended at `since` or later, to `take`, newest
    /// first, until it has enough.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn records(
        &self,
        account: Option<&str>,
        since: UnixSeconds,
        mut take: impl FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), LedgerError> {
        let sql = "SELECT account, domain, app, reason_text, name, start_time, end_time, duration, first_seen, counted,
                          client_ip, resolution, session_group, fact
                   FROM record JOIN record_kind ON record_kind.id = kind JOIN record_stream ON record_stream.id = stream
                   WHERE end_time >= ?1 AND (?2 IS NULL OR account = ?2)
                   ORDER BY end_time DESC, record.id DESC";
        let mut walk = || {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query(params![since, account])?;
            while let Some(row) = rows.next()? {
                if take(record(row)?).is_break() {
                    break;
                }
            }
            Ok(())
        };
        walk().map_err(broken_or("reading the records of"))
    }

    /// The ledger's files, with their sizes.
    fn files(&self) -> Result<Vec<(String, u64)>, LedgerError> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let list = || -> std::io::Result<Vec<(String, u64)>> {
            let mut files = Vec::new();
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with("ledger.") {
                    files.push((name, entry.metadata()?.len()));
                }
            }
            files.sort();
            Ok(files)
        };
        list().map_err(|source| LedgerError::Folder { folder: folder.display().to_string(), source })
    }

    /// Copies the ledger in `folder` to the new file `to`, whole and consistent, while somebody may be writing it. The
    /// copy is for this user alone, and on the disk when this returns.
    ///
    /// # Errors
    /// When there is no ledger, or it cannot be read or is not sound, and when the copy cannot be written or is there
    /// already.
    pub fn back_up(folder: &Path, to: &Path) -> Result<(), LedgerError> {
        let cannot = |source| LedgerError::Copy { file: to.display().to_string(), source };
        if to.exists() {
            return Err(cannot(std::io::Error::other("it is there already; name a new file")));
        }
        let connection = open(&file(folder)?)?;
        check_identity(&file(folder)?, &connection).map_err(unwritable(folder))?;
        let partial = PathBuf::from(format!("{}.partial", to.display()));
        private_file(&partial).map_err(cannot)?;
        let copied = copy(&connection, &partial, cannot);
        if copied.is_err() {
            // What is wrong is told; what is left of it is of no use.
            drop(fs::remove_file(&partial));
        }
        copied?;
        let name = || {
            File::open(&partial)?.sync_all()?;
            fs::rename(&partial, to)?;
            let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        name().map_err(cannot)
    }
}

/// Writes what `connection` sees to an empty file, and looks at what has come of it.
fn copy(
    connection: &Connection,
    partial: &Path,
    cannot: impl Fn(std::io::Error) -> LedgerError,
) -> Result<(), LedgerError> {
    let path = partial.to_str().ok_or_else(|| cannot(std::io::Error::other("its name is not UTF-8")))?;
    connection.execute("VACUUM INTO ?1", [path]).map_err(broken_or("copying"))?;
    let copy = open(partial)?;
    if check_identity(partial, &copy)? == 0 {
        return Err(cannot(std::io::Error::other("it came out empty")));
    }
    check(&copy, "PRAGMA quick_check(1)")
}

/// The file of the ledger in `folder`.
fn file(folder: &Path) -> Result<PathBuf, LedgerError> {
    let file = folder.join("ledger.sqlite");
    let cannot = |source| LedgerError::Folder { folder: folder.display().to_string(), source };
    match fs::metadata(&file) {
        Ok(found) if !found.is_file() => Err(cannot(std::io::Error::other("ledger.sqlite in it is not a file"))),
        Ok(found) if found.len() == 0 => Err(absent(folder)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(absent(folder)),
        found => found.map(|_| file).map_err(cannot),
    }
}

/// Even a reader opens the log, with its index; SQLite has several words for the lack of a place for them.
fn unwritable(folder: &Path) -> impl Fn(LedgerError) -> LedgerError {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    let folder = folder.display().to_string();
    move |error| match error {
        LedgerError::Sqlite { source, .. } if matches!(source.sqlite_error_code(), Some(CannotOpen | ReadOnly)) => {
            let words = format!("whoever reads a ledger has to open its log beside it for writing: {source}");
            LedgerError::Folder { folder: folder.clone(), source: std::io::Error::other(words) }
        }
        error => error,
    }
}

fn absent(folder: &Path) -> LedgerError {
    LedgerError::Absent { folder: folder.display().to_string() }
}

fn open(file: &Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(sqlite("opening"))?;
    connection.busy_timeout(PATIENCE).map_err(sqlite("opening"))?;
    Ok(connection)
}

fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let bytes = |at| row.get::<_, Vec<u8>>(at);
    let session = PushSession {
        domain: Name::new(bytes(1)?),
        app: Name::new(bytes(2)?),
        stream: Name::new(bytes(4)?),
        start: row.get(5)?,
        end: row.get(6)?,
        reason_text: row.get(3)?,
        client_ip: row.get(10)?,
        duration: row.get::<_, Option<i64>>(7)?.and_then(|seconds| u64::try_from(seconds).ok()),
        resolution: row.get(11)?,
    };
    Ok(Record {
        account: row.get(0)?,
        group: GroupKey(row.get(12)?),
        fact: Fact::from_bytes(row.get(13)?),
        session,
        first_seen: row.get(8)?,
        counted: row.get(9)?,
    })
}
