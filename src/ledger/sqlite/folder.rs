//! What can be told of a state folder without taking it: whether an exporter could use it, and what is in it.
//!
//! Where nobody has it, an empty file is made in it and removed again, since no flag tells all that may forbid that: a
//! read-only mount, a quota, another user's folder. Where an exporter has it, that one writes.

use std::fs;
use std::path::{Path, PathBuf};

use super::LedgerView;
use crate::ledger::LedgerError;

/// Ledgers up to this size are looked through; that takes about a second.
const QUICK_BYTES: u64 = 128 * 1024 * 1024;

/// The file that is made and removed.
const PROBE: &str = "doctor.probe";

/// A state folder, looked at.
#[derive(Debug)]
pub struct FolderLook {
    /// Whether it can be used.
    pub place: Place,
    /// Whether a process has the ledger open for writing.
    pub is_in_use: bool,
    /// What is in it.
    pub ledger: LedgerLook,
    /// Files of the ledger that others than their owner may read, with their permissions.
    pub open_to_others: Vec<(String, u32)>,
    /// Room that this user has on its disk, in bytes; absent where the system does not tell.
    pub free_bytes: Option<u64>,
}

/// Whether a folder can be used.
#[derive(Debug)]
pub enum Place {
    /// It is not there. The nearest folder above it that is, or why that cannot be written.
    Absent(PathBuf, std::io::Result<()>),
    /// It is there, or something else is; whether it can be written. Not tried where an exporter has it.
    There(std::io::Result<()>),
}

/// The ledger of a folder.
#[derive(Debug)]
pub enum LedgerLook {
    /// None yet.
    Absent,
    /// It can be read.
    Read {
        /// The version of its schema.
        version: i64,
        /// The size of its file in bytes.
        bytes: u64,
        /// What is wrong with it, one line each; absent where it is too large to be looked through on the way.
        findings: Option<Vec<String>>,
    },
    /// It cannot.
    Unread(LedgerError),
}

impl FolderLook {
    /// Looks at `folder`.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        let is_in_use = LedgerView::is_in_use(folder);
        Self {
            place: place(folder, is_in_use),
            is_in_use,
            ledger: ledger(folder),
            open_to_others: open_to_others(folder),
            free_bytes: nearest(folder).and_then(|folder| free_bytes(&folder)),
        }
    }
}

/// The folder, or the nearest above it that is there.
fn nearest(folder: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(folder).ok()?;
    whole.ancestors().find(|folder| folder.exists()).map(Path::to_path_buf)
}

fn place(folder: &Path, is_in_use: bool) -> Place {
    match fs::metadata(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match nearest(folder) {
            Some(above) => {
                let writable = try_to_write(&above);
                Place::Absent(above, writable)
            }
            None => Place::There(Err(error)),
        },
        Err(error) => Place::There(Err(error)),
        Ok(found) if !found.is_dir() => Place::There(Err(std::io::Error::other("it is not a folder"))),
        Ok(_) if is_in_use => Place::There(Ok(())),
        Ok(_) => Place::There(try_to_write(folder)),
    }
}

fn try_to_write(folder: &Path) -> std::io::Result<()> {
    // One of its own for each process, so that two do not fail because of each other.
    let probe = folder.join(format!("{PROBE}.{}", std::process::id()));
    fs::File::options().write(true).create_new(true).open(&probe)?;
    fs::remove_file(&probe)
}

fn ledger(folder: &Path) -> LedgerLook {
    let looked = || {
        let view = LedgerView::open(folder)?;
        let bytes = fs::metadata(folder.join("ledger.sqlite")).map_or(0, |found| found.len());
        let findings = if bytes <= QUICK_BYTES { Some(view.findings()?) } else { None };
        Ok(LedgerLook::Read { version: super::SCHEMA_VERSION, bytes, findings })
    };
    match looked() {
        Ok(found) => found,
        Err(LedgerError::Absent { .. }) => LedgerLook::Absent,
        Err(LedgerError::Contradiction(why)) => {
            LedgerLook::Read { version: super::SCHEMA_VERSION, bytes: 0, findings: Some(vec![why]) }
        }
        Err(error) => LedgerLook::Unread(error),
    }
}

#[cfg(unix)]
fn open_to_others(folder: &Path) -> Vec<(String, u32)> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: PathBuf| fs::metadata(path).map(|found| found.permissions().mode() & 0o777).ok();
    let is_open = |mode: u32| mode & 0o077 != 0;
    // Whoever cannot enter the folder cannot read its files.
    if mode(folder.to_path_buf()).is_some_and(|mode| !is_open(mode)) {
        return Vec::new();
    }
    let names = ["ledger.sqlite", "ledger.sqlite-wal"];
    let modes = names.into_iter().filter_map(|name| Some((name.to_owned(), mode(folder.join(name))?)));
    modes.filter(|(_, mode)| is_open(*mode)).collect()
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Vec<(String, u32)> {
    Vec::new()
}

#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}
