//! The files that are read, and what they had in them.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::settings::layers;
use crate::settings::problem::{Problem, ProblemKind, Problems, shown_path};

/// Reads files and remembers which they were, with a digest of everything read, failures included.
pub(super) struct Files {
    folder: PathBuf,
    read: RefCell<(Vec<PathBuf>, Sha256)>,
}

/// The digest of the files at `paths` as they are now.
pub(super) fn digest(paths: &[PathBuf]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for path in paths {
        take_in(&mut digest, &layers::file_bytes(path));
    }
    digest.finalize().into()
}

fn take_in(digest: &mut Sha256, read: &Result<Vec<u8>, String>) {
    let (kind, content) = match read {
        Ok(bytes) => (0, bytes.as_slice()),
        Err(wrong) => (1, wrong.as_bytes()),
    };
    digest.update([kind]);
    digest.update((content.len() as u64).to_be_bytes());
    digest.update(content);
}

impl Files {
    /// Relative names start from the folder of `path`.
    pub(super) fn new(path: &Path) -> Self {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Self { folder, read: RefCell::default() }
    }

    /// The text of the web config itself, at `path` as it is.
    pub(super) fn own(&self, path: &Path, problems: &mut Problems) -> Option<String> {
        let name = shown_path(path);
        let problem = |wrong: String, accepted: &str| Problem::new(ProblemKind::File, name.clone(), wrong, accepted);
        let text = match self.bytes(path) {
            Ok(bytes) => String::from_utf8(bytes),
            Err(wrong) => {
                problems.push(problem(wrong, "a web config file of at most 1 MiB, in YAML"));
                return None;
            }
        };
        let broken = |_| problems.push(problem("not UTF-8".to_owned(), "a YAML file in UTF-8"));
        text.map_err(broken).ok()
    }

    /// What is in the file called `name`; the error says in words why that cannot be had.
    pub(super) fn named(&self, name: &str) -> Result<Vec<u8>, String> {
        self.bytes(&self.folder.join(name))
    }

    /// Whether others than its owner and group can read the file called `name`.
    pub(super) fn is_open_to_all(&self, name: &str) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(self.folder.join(name)).map(|metadata| metadata.permissions().mode());
        mode.is_ok_and(|mode| mode & 0o004 != 0)
    }

    /// What was read so far, and the digest of it.
    pub(super) fn into_read(self) -> (Vec<PathBuf>, [u8; 32]) {
        let (paths, digest) = self.read.into_inner();
        (paths, digest.finalize().into())
    }

    fn bytes(&self, path: &Path) -> Result<Vec<u8>, String> {
        let read = layers::file_bytes(path);
        let (paths, digest) = &mut *self.read.borrow_mut();
        paths.push(path.to_owned());
        take_in(digest, &read);
        read
    }
}
