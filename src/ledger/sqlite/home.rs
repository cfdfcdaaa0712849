//! The state folder: for this user alone, for one process alone, its names durable, and damaged files kept in it.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ledger::LedgerError;

/// The folder of a ledger, held until this is dropped.
#[derive(Debug)]
pub(super) struct Home {
    file: PathBuf,
    /// Which file that was when it was opened.
    identity: Option<Identity>,
    /// Held for its lock.
    _lock: File,
}

impl Home {
    /// Makes `folder` where it is not there, and takes it for this process.
    pub(super) fn enter(folder: &Path) -> Result<Self, LedgerError> {
        make_private_folder(folder).map_err(cannot_use(folder))?;
        let lock = lock(folder)?;
        let file = folder.join("ledger.sqlite");
        refuse_what_is_no_file(&file).map_err(cannot_use(folder))?;
        Ok(Self { file, identity: None, _lock: lock })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Makes an empty file where there is none, and says whether it is empty.
    pub(super) fn is_empty(&self) -> Result<bool, LedgerError> {
        let found = private_file(&self.file).and_then(|file| file.metadata());
        Ok(found.map_err(cannot_use(&self.file))?.len() == 0)
    }

    /// The file is open, with its log beside it: both keep their names from now on, whatever happens.
    ///
    /// Each opening makes a new log. SQLite syncs its name too, but says nothing when that fails.
    pub(super) fn settle(&mut self) -> Result<(), LedgerError> {
        self.file.parent().map_or(Ok(()), sync_names).map_err(cannot_use(&self.file))?;
        self.identity = Some(identity(&self.file).map_err(cannot_use(&self.file))?);
        Ok(())
    }

    /// Whether the file has another in its place since it was opened, or none.
    pub(super) fn is_replaced(&self) -> bool {
        match identity(&self.file) {
            Ok(found) => self.identity.is_some_and(|opened| found != opened),
            // What else keeps it from being looked at SQLite will stumble over too.
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }

    /// How long its log is in bytes; none is there before the first commit.
    pub(super) fn log_bytes(&self) -> u64 {
        fs::metadata(with_tail(&self.file, "-wal")).map_or(0, |log| log.len())
    }

    /// Reads the file and its log to their ends.
    pub(super) fn read_through(&self) -> Result<(), LedgerError> {
        for path in [self.file.clone(), with_tail(&self.file, "-wal")] {
            let read = File::open(&path).and_then(|mut file| std::io::copy(&mut file, &mut std::io::sink()));
            match read {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(cannot_use(&path)(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Moves a file that is no usable ledger out of the way, with what belongs to it.
    pub(super) fn set_aside(&self, why: String) -> LedgerError {
        let file = &self.file;
        let suffix = (1_u32..).map(|n| format!("set-aside-{n}"));
        let kept = suffix.map(|suffix| file.with_extension(suffix)).find(|kept| !kept.exists());
        let kept = kept.expect("one of the numbers is free");
        for tail in ["", "-wal", "-shm"] {
            match fs::rename(with_tail(file, tail), with_tail(&kept, tail)) {
                Err(error) if tail.is_empty() || error.kind() != std::io::ErrorKind::NotFound => {
                    let why = format!("{why}; moving it aside failed too: {error}");
                    let file = file.display().to_string();
                    return LedgerError::SetAside { kept: file.clone(), file, why };
                }
                _ => {}
            }
        }
        LedgerError::SetAside { file: file.display().to_string(), why, kept: kept.display().to_string() }
    }
}

fn cannot_use(path: &Path) -> impl Fn(std::io::Error) -> LedgerError {
    let folder = path.display().to_string();
    move |source| LedgerError::Folder { folder: folder.clone(), source }
}

/// What tells a file from another of its name: device and number.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(file: &Path) -> std::io::Result<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(file).map(|found| (found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity(file: &Path) -> std::io::Result<Identity> {
    fs::metadata(file).map(|_| (0, 0))
}

#[cfg(unix)]
fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if folder.is_dir() {
        return Ok(());
    }
    let is_new = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let new: Vec<&Path> = folder.ancestors().take_while(is_new).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    new.iter().filter_map(|folder| folder.parent()).try_for_each(sync_names)
}

/// Makes the names in a folder durable, as syncing what they name does not.
#[cfg(unix)]
fn sync_names(folder: &Path) -> std::io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_names(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)
}

fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Opening a pipe would wait for its other end for ever.
fn refuse_what_is_no_file(file: &Path) -> std::io::Result<()> {
    match fs::metadata(file) {
        Ok(found) if !found.is_file() => Err(std::io::Error::other(format!("{} is not a file", file.display()))),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Waits for a moment: a process that ends has its lock until it is gone, and so has a child of it that has not begun yet.
fn try_lock(file: &File) -> Result<(), fs::TryLockError> {
    for _ in 0..25 {
        match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            tried => return tried,
        }
    }
    file.try_lock()
}

fn lock(folder: &Path) -> Result<File, LedgerError> {
    let path = folder.join("lock");
    refuse_what_is_no_file(&path).map_err(cannot_use(folder))?;
    let mut file = private_file(&path).map_err(cannot_use(folder))?;
    match try_lock(&file) {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // The number is for people only; one that cannot be read, or is not there yet, is no second error.
            let read = file.read_to_string(&mut pid).is_ok_and(|bytes| bytes > 0);
            let pid = if read { pid.trim().to_owned() } else { "unknown".into() };
            return Err(LedgerError::InUse { folder: folder.display().to_string(), pid });
        }
        // A file system without locks, for one.
        Err(fs::TryLockError::Error(error)) => return Err(cannot_use(folder)(error)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(cannot_use(folder))?;
    Ok(file)
}

fn with_tail(file: &Path, tail: &str) -> PathBuf {
    PathBuf::from(format!("{}{tail}", file.display()))
}
