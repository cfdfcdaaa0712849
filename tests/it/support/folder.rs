//! A folder of a test's own.
#![expect(clippy::unwrap_used, reason = "a test without its folder ends")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tencent_live_exporter::clock::{Clock as _, SystemClock};
use tencent_live_exporter::ledger::{LedgerError, SqliteLedger};

/// A new, empty folder that is removed with everything in it when this is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        Self::inside(&std::env::temp_dir())
    }

    /// The same in a place that is not the usual one.
    pub(crate) fn inside(place: &Path) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tencent-live-exporter-test-{}-{number}", std::process::id());
        let path = place.join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of `name` in it, whether that exists or not.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The ledger in its folder `state`. A child that another test is just starting may still hold the lock of the
    /// last one for a moment.
    pub(crate) fn ledger(&self) -> SqliteLedger {
        let clock = SystemClock::new();
        loop {
            match SqliteLedger::open(&self.join("state")) {
                Err(LedgerError::InUse { .. }) if clock.elapsed() < Duration::from_secs(5) => std::thread::yield_now(),
                opened => return opened.unwrap(),
            }
        }
    }

    /// The names of the files in it, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that somebody else has removed is gone all the same.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
