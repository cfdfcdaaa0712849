//! What a disk may hold after its power was cut.
//!
//! A sync that has returned is all that is sure. Of what was written to a file since, each write may be there, be lost,
//! be there in some of its 512-byte sectors, or have left nothing but zeros behind; truncations may have happened or not;
//! and so may the making, renaming and removing of files since their folder was synced. No order is kept between them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use super::log::{Log, Record};

const SECTOR: usize = 512;

/// Which promises of the disk are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syncs {
    /// All.
    Kept,
    /// None: `synchronous=OFF`.
    Ignored,
    /// Those of files; of folders none.
    OfFilesOnly,
}

type FileId = usize;

#[derive(Debug, Clone, Default)]
struct File {
    /// What is sure.
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, data: Vec<u8> },
    Resize(usize),
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(PathBuf, FileId),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, FileId),
    Folder(PathBuf),
}

#[derive(Debug, Clone)]
enum Target {
    File(FileId),
    Folder(PathBuf),
}

/// A disk as a child has left it so far.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    root: PathBuf,
    syncs: Syncs,
    files: Vec<File>,
    /// What the child sees.
    names: BTreeMap<PathBuf, FileId>,
    folders: BTreeSet<PathBuf>,
    /// What is sure.
    durable_names: BTreeMap<PathBuf, FileId>,
    durable_folders: BTreeSet<PathBuf>,
    pending_names: Vec<NameChange>,
    open: HashMap<i32, Target>,
    /// For what a failed sync loses.
    dice: fastrand::Rng,
}

impl Disk {
    /// The folder `root` as it is now, all of it durable.
    pub(super) fn of(root: &Path, syncs: Syncs) -> Self {
        let mut disk = Self {
            root: root.to_owned(),
            syncs,
            files: Vec::new(),
            names: BTreeMap::new(),
            folders: BTreeSet::from([root.to_owned()]),
            durable_names: BTreeMap::new(),
            durable_folders: BTreeSet::new(),
            pending_names: Vec::new(),
            open: HashMap::new(),
            dice: fastrand::Rng::with_seed(0),
        };
        disk.take_in(root);
        disk.durable_names.clone_from(&disk.names);
        disk.durable_folders.clone_from(&disk.folders);
        disk
    }

    /// The same below another folder.
    pub(super) fn at(mut self, root: &Path) -> Self {
        let old = std::mem::replace(&mut self.root, root.to_owned());
        let moved = |path: &Path| root.join(path.strip_prefix(&old).expect("it is below the root"));
        let names = |names: &BTreeMap<PathBuf, FileId>| names.iter().map(|(path, id)| (moved(path), *id)).collect();
        let folders = |folders: &BTreeSet<PathBuf>| folders.iter().map(|path| moved(path)).collect();
        (self.names, self.durable_names) = (names(&self.names), names(&self.durable_names));
        (self.folders, self.durable_folders) = (folders(&self.folders), folders(&self.durable_folders));
        self
    }

    fn take_in(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.folders.insert(path.clone());
                self.take_in(&path);
            } else {
                self.files.push(File { durable: fs::read(&path).unwrap(), pending: Vec::new() });
                self.names.insert(path, self.files.len() - 1);
            }
        }
    }

    /// Does what `record` of `log` says.
    pub(super) fn apply(&mut self, record: &Record, log: &Log) {
        match record {
            Record::Open { fd, path } => {
                let target = self.target(path);
                self.open.insert(*fd, target);
            }
            Record::Close { fd } => drop(self.open.remove(fd)),
            Record::Write { fd, at, data } => {
                let data = log.bytes[data.clone()].to_vec();
                self.file(*fd).pending.push(Change::Write { at: *at, data });
            }
            Record::Truncate { fd, length } => self.file(*fd).pending.push(Change::Resize(*length)),
            Record::Sync { fd } => self.sync(*fd),
            Record::FailedSync { fd } => self.lose_some(*fd),
            Record::Unlink { path } => {
                self.names.remove(path);
                self.pending_names.push(NameChange::Unlink(path.clone()));
            }
            Record::Rename { from, to } => {
                let id = self.names.remove(from).expect("what is renamed is there");
                self.names.insert(to.clone(), id);
                self.pending_names.push(NameChange::Rename(from.clone(), to.clone(), id));
            }
            Record::MakeFolder { path } => {
                self.folders.insert(path.clone());
                self.pending_names.push(NameChange::Folder(path.clone()));
            }
            Record::Begun(_) | Record::Acknowledged(_) => {}
        }
    }

    fn target(&mut self, path: &Path) -> Target {
        if self.folders.contains(path) {
            return Target::Folder(path.to_owned());
        }
        Target::File(self.names.get(path).copied().unwrap_or_else(|| {
            let id = self.files.len();
            self.files.push(File::default());
            self.names.insert(path.to_owned(), id);
            self.pending_names.push(NameChange::Link(path.to_owned(), id));
            id
        }))
    }

    fn file(&mut self, fd: i32) -> &mut File {
        match &self.open[&fd] {
            Target::File(id) => &mut self.files[*id],
            Target::Folder(path) => panic!("{} is a folder", path.display()),
        }
    }

    fn sync(&mut self, fd: i32) {
        match (self.open[&fd].clone(), self.syncs) {
            (_, Syncs::Ignored) | (Target::Folder(_), Syncs::OfFilesOnly) => {}
            (Target::File(id), _) => self.files[id].settle(),
            (Target::Folder(folder), _) => {
                let (here, elsewhere) = std::mem::take(&mut self.pending_names)
                    .into_iter()
                    .partition(|change: &NameChange| change.path().parent() == Some(&folder));
                self.pending_names = elsewhere;
                for change in here {
                    change.apply(&mut self.durable_names, &mut self.durable_folders);
                }
            }
        }
    }

    /// A sync that fails says once that writes were lost. The next one has nothing left to say about them, and whoever
    /// reads sees them all the same.
    fn lose_some(&mut self, fd: i32) {
        if let Target::File(id) = self.open[&fd] {
            let dice = &mut self.dice;
            self.files[id].pending.retain(|_| dice.bool());
        }
    }

    /// Writes one of the disks that may be left to the folder `to`.
    pub(super) fn cut(&self, to: &Path, dice: &mut fastrand::Rng) {
        let mood = Mood::any(dice);
        let (mut names, mut folders) = (self.durable_names.clone(), self.durable_folders.clone());
        for change in &self.pending_names {
            if mood.keeps(dice) {
                change.apply(&mut names, &mut folders);
            }
        }
        let place = |path: &Path| to.join(path.strip_prefix(&self.root).expect("it is below the root"));
        for folder in folders {
            fs::create_dir_all(place(&folder)).unwrap();
        }
        for (path, id) in names {
            // A file whose folder is lost is lost.
            let Some(true) = path.parent().map(|folder| place(folder).is_dir()) else { continue };
            let shared_memory = path.to_str().is_some_and(|path| path.ends_with("-shm"));
            let bytes = if shared_memory { mood.garbage(dice) } else { self.files[id].cut(mood, dice) };
            fs::write(place(&path), bytes).unwrap();
        }
    }
}

impl NameChange {
    fn path(&self) -> &Path {
        match self {
            Self::Link(path, _) | Self::Unlink(path) | Self::Rename(path, ..) | Self::Folder(path) => path,
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, FileId>, folders: &mut BTreeSet<PathBuf>) {
        match self {
            Self::Link(path, id) => drop(names.insert(path.clone(), *id)),
            Self::Unlink(path) => drop(names.remove(path)),
            Self::Rename(from, to, id) => {
                names.remove(from);
                names.insert(to.clone(), *id);
            }
            Self::Folder(path) => drop(folders.insert(path.clone())),
        }
    }
}

impl File {
    fn settle(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.durable, None);
        }
    }

    fn cut(&self, mood: Mood, dice: &mut fastrand::Rng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            match change {
                Change::Write { .. } if mood.tears(dice) => change.apply(&mut bytes, Some(dice)),
                Change::Write { at, data } if mood.leaves_zeros(dice) && at + data.len() > bytes.len() => {
                    bytes.resize(at + data.len(), 0);
                }
                change if mood.keeps(dice) => change.apply(&mut bytes, None),
                _ => {}
            }
        }
        bytes
    }
}

impl Change {
    /// Does it, sector by sector as the dice fall if there are any.
    fn apply(&self, bytes: &mut Vec<u8>, mut dice: Option<&mut fastrand::Rng>) {
        let (start, data) = match self {
            Self::Resize(length) => return bytes.resize(*length, 0),
            Self::Write { at, data } => (*at, data),
        };
        let end = start + data.len();
        let mut from = start;
        while from < end {
            let to = (from / SECTOR * SECTOR + SECTOR).min(end);
            if dice.as_mut().is_none_or(|dice| dice.bool()) {
                if bytes.len() < to {
                    bytes.resize(to, 0);
                }
                bytes[from..to].copy_from_slice(&data[from - start..to - start]);
            }
            from = to;
        }
    }
}

/// How one power cut deals with what was pending.
#[derive(Debug, Clone, Copy)]
struct Mood {
    kept: f64,
    torn: f64,
    zeroed: f64,
    garbage: bool,
}

impl Mood {
    fn any(dice: &mut fastrand::Rng) -> Self {
        let one_of = |dice: &mut fastrand::Rng, values: &[f64]| values[dice.usize(..values.len())];
        Self {
            kept: one_of(dice, &[0.0, 0.1, 0.5, 0.9, 1.0]),
            torn: one_of(dice, &[0.0, 0.0, 0.2, 0.5]),
            zeroed: one_of(dice, &[0.0, 0.0, 0.1]),
            garbage: dice.u8(..3) == 0,
        }
    }

    fn keeps(self, dice: &mut fastrand::Rng) -> bool {
        dice.f64() < self.kept
    }

    fn tears(self, dice: &mut fastrand::Rng) -> bool {
        dice.f64() < self.torn
    }

    fn leaves_zeros(self, dice: &mut fastrand::Rng) -> bool {
        dice.f64() < self.zeroed
    }

    /// The index of the log is shared memory and never synced; SQLite must not believe a byte of it.
    fn garbage(self, dice: &mut fastrand::Rng) -> Vec<u8> {
        let length = if self.garbage { 32_768 } else { 0 };
        std::iter::repeat_with(|| dice.u8(..)).take(length).collect()
    }
}
