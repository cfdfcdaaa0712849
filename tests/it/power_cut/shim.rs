//! Running this test binary once more, as a child on the disk of `disk.c`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::support::folder::Folder;

/// A child to be started: which part it plays, and what it is told.
pub(super) struct Child {
    command: Command,
    what: String,
}

impl Child {
    /// A child that plays `part` in `folder`, on a disk of its own.
    pub(super) fn new(part: &str, folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let test = format!("{}::play", super::child::PATH);
        command.args(["--exact", &test, "--ignored", "--nocapture", "--test-threads=1"]);
        command.env("PART", part).env("FOLDER", folder);
        command.env("LD_PRELOAD", library()).env("DISK_ROOT", folder).env("DISK_SYNCS", "none");
        Self { command, what: part.to_owned() }
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Plays it to its end, which must be a good one.
    pub(super) fn run(mut self) -> Output {
        let output = self.command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success() && out.contains("1 passed"), "the child {}: {out}\n{err}", self.what);
        output
    }
}

/// What the disk is told to do, see `disk.c`.
pub(super) struct Orders(PathBuf);

impl Orders {
    pub(super) fn new(file: impl Into<PathBuf>) -> Self {
        Self(file.into())
    }

    /// From the `first` operation of a kind on, `times` of them come to `what`.
    pub(super) fn give(&self, kind: &str, first: usize, times: usize, what: &str) {
        // A disk never reads half an order.
        let draft = self.0.with_extension("draft");
        std::fs::write(&draft, format!("{kind} {first} {times} {what} 0")).unwrap();
        std::fs::rename(draft, &self.0).unwrap();
    }

    /// All is well from now on. Says how many operations an order has struck since the last time.
    pub(super) fn lift(&self) -> u64 {
        let struck = PathBuf::from(format!("{}.struck", self.0.display()));
        let times = std::fs::metadata(&struck).map_or(0, |found| found.len());
        for file in [&self.0, &struck] {
            // Who lifts twice, or before anything has struck, finds nothing to remove.
            drop(std::fs::remove_file(file));
        }
        times
    }
}

/// `disk.c` as a library to be loaded before all others.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/power_cut/disk.c");
        let made = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("disk-{}.so", std::process::id()));
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&made).arg(source);
        let output = compiler.output().expect("a C compiler, as cc, is needed to build SQLite too");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Whole or not there, whoever else is compiling it.
        let library = made.with_file_name("disk.so");
        std::fs::rename(made, &library).unwrap();
        library
    })
}

/// A folder in memory where the machine has one: what is tried here a thousand times needs no real disk.
pub(super) fn quick_folder() -> Folder {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { Folder::inside(memory) } else { Folder::new() }
}
