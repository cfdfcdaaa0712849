//! What a child did to its disk, in order.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Open {
        fd: i32,
        path: PathBuf,
    },
    Close {
        fd: i32,
    },
    /// `data` is a part of the log itself.
    Write {
        fd: i32,
        at: usize,
        data: Range<usize>,
    },
    Truncate {
        fd: i32,
        length: usize,
    },
    Sync {
        fd: i32,
    },
    FailedSync {
        fd: i32,
    },
    Unlink {
        path: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    MakeFolder {
        path: PathBuf,
    },
    /// The child is about to commit its n-th posting.
    Begun(usize),
    /// That commit has returned.
    Acknowledged(usize),
}

/// All of a log.
pub(super) struct Log {
    pub(super) bytes: Vec<u8>,
    pub(super) records: Vec<Record>,
}

impl Log {
    pub(super) fn read(file: &Path) -> Self {
        let bytes = fs::read(file).unwrap();
        let mut records = Vec::new();
        let mut rest = 0..bytes.len();
        while !rest.is_empty() {
            records.push(record(&bytes, &mut rest));
        }
        Self { bytes, records }
    }

    /// Whether a write-ahead log was begun again from its first byte while it was open: all of it had been checkpointed.
    pub(super) fn is_restarted(&self, name: &str) -> bool {
        let mut beginnings = HashMap::new();
        self.records.iter().any(|record| match record {
            Record::Open { fd, path } if path.ends_with(name) => {
                beginnings.insert(*fd, 0);
                false
            }
            Record::Close { fd } => beginnings.remove(fd).is_some_and(|_| false),
            Record::Write { fd, at: 0, .. } => beginnings.get_mut(fd).is_some_and(|begun| {
                *begun += 1;
                *begun > 1
            }),
            _ => false,
        })
    }
}

/// Takes the first record of `rest`; the layout is that of `struct head`.
fn record(bytes: &[u8], rest: &mut Range<usize>) -> Record {
    let mut take = |length: usize| -> Range<usize> {
        let taken = rest.start..rest.start + length;
        assert!(taken.end <= rest.end, "the log is cut short");
        rest.start = taken.end;
        taken
    };
    let head = &bytes[take(24)];
    let u32_at = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
    let kind = u8::try_from(u32_at(0)).unwrap();
    let fd = i32::from_le_bytes(head[4..8].try_into().unwrap());
    let at = usize::try_from(i64::from_le_bytes(head[8..16].try_into().unwrap())).unwrap();
    let name = take(u32_at(16) as usize);
    let data = take(u32_at(20) as usize);
    let path = |range: Range<usize>| PathBuf::from(std::str::from_utf8(&bytes[range]).unwrap());
    match kind {
        b'o' => Record::Open { fd, path: path(name) },
        b'c' => Record::Close { fd },
        b'w' => Record::Write { fd, at, data },
        b't' => Record::Truncate { fd, length: at },
        b's' => Record::Sync { fd },
        b'x' => Record::FailedSync { fd },
        b'u' => Record::Unlink { path: path(name) },
        b'r' => Record::Rename { from: path(name), to: path(data) },
        b'm' => Record::MakeFolder { path: path(name) },
        b'b' => Record::Begun(at),
        b'a' => Record::Acknowledged(at),
        other => panic!("a record of kind {other}"),
    }
}

/// The child's own marks between the records of its disk.
pub(super) struct Marks(File);

impl Marks {
    pub(super) fn new(log: &Path) -> Self {
        Self(File::options().append(true).create(true).open(log).unwrap())
    }

    pub(super) fn begun(&mut self, n: usize) {
        self.mark(b'b', n);
    }

    pub(super) fn acknowledged(&mut self, n: usize) {
        self.mark(b'a', n);
    }

    fn mark(&mut self, kind: u8, n: usize) {
        let mut head = [0; 24];
        head[0] = kind;
        head[8..16].copy_from_slice(&(n as u64).to_le_bytes());
        self.0.write_all(&head).unwrap();
    }
}
