//! A file that holds a secret key and nothing else.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::file::{self, Stamp};
use super::{Credentials, CredentialsError};
use crate::secret::Secret;

/// Longest key file in bytes; keys have 32.
const KEY_FILE_BYTES: usize = 4096;

/// A file that holds a secret key, with white space around it ignored; read again when its time of change or its
/// length is another.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    secret_id: String,
    token: Option<Secret>,
    last: Mutex<Option<(Stamp, Secret)>>,
}

impl KeyFile {
    /// The key of `secret_id` in the file at `path`, which is not looked at yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, secret_id: impl Into<String>, token: Option<Secret>) -> Self {
        Self { path: path.into(), secret_id: secret_id.into(), token, last: Mutex::new(None) }
    }

    /// The key as it is now, `anew` even if the file looks unchanged.
    pub(super) async fn credentials(self: &Arc<Self>, anew: bool) -> Result<Credentials, CredentialsError> {
        let file = Arc::clone(self);
        let key = file::off_the_loop(move || file.key(anew)).await;
        let key = key.map_err(|source| CredentialsError::KeyFile { path: self.path.clone(), source })?;
        Credentials { secret_id: self.secret_id.clone(), secret_key: key, token: self.token.clone() }.checked()
    }

    fn key(&self, anew: bool) -> std::io::Result<Secret> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = file::stamp(&self.path)?;
        match &*last {
            Some((known, key)) if *known == stamp && !anew => Ok(key.clone()),
            _ => {
                let key = Secret::new(file::read(&self.path, KEY_FILE_BYTES)?.trim());
                *last = Some((stamp, key.clone()));
                Ok(key)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Provider;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("tencent-live-key-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[tokio::test]
    async fn a_key_file_is_trimmed_and_read_again_when_it_changes() {
        let folder = folder("changes");
        let path = folder.join("key");
        std::fs::write(&path, " first\n").unwrap();
        let provider = Provider::KeyFile(Arc::new(KeyFile::new(&path, "AKID", Some(Secret::new("token")))));
        let first = provider.current().await.unwrap();
        assert_eq!((first.secret_id.as_str(), first.secret_key.expose()), ("AKID", "first"));
        assert_eq!(first.token, Some(Secret::new("token")));
        std::fs::write(&path, "another").unwrap();
        assert_eq!(provider.current().await.unwrap().secret_key.expose(), "another");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_change_that_leaves_no_trace_is_found_on_renewal() {
        let folder = folder("renewal");
        let path = folder.join("key");
        std::fs::write(&path, "first").unwrap();
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        let provider = Provider::KeyFile(Arc::new(KeyFile::new(&path, "AKID", None)));
        assert_eq!(provider.current().await.unwrap().secret_key.expose(), "first");
        std::fs::write(&path, "other").unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        let used = provider.current().await.unwrap();
        assert_eq!(used.secret_key.expose(), "first");
        assert_eq!(provider.renewed(&used).await.unwrap().secret_key.expose(), "other");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_a_key_is_refused_without_showing_it() {
        let folder = folder("refused");
        let path = folder.join("key");
        let provider = Provider::KeyFile(Arc::new(KeyFile::new(&path, "AKID", None)));
        assert!(matches!(provider.current().await, Err(CredentialsError::KeyFile { .. })));
        for content in ["", "canary canary", &"canary".repeat(1000), "canary\u{1b}"] {
            std::fs::write(&path, content).unwrap();
            let error = provider.current().await.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
        let folder_as_key = Provider::KeyFile(Arc::new(KeyFile::new(&folder, "AKID", None)));
        assert!(folder_as_key.current().await.is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
