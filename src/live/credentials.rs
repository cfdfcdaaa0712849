//! What requests are signed with, and where it comes from.
//!
//! Two sources: the configuration itself, and a key file that whoever rotates keys may replace at any time. The
//! client asks before every request; a file is looked at each time and read again when it has changed.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::secret::Secret;

/// Longest key file in bytes; keys have 32.
const KEY_FILE_BYTES: u64 = 4096;

/// What stands for a secret in a text that is shown.
const BLOT: &str = "[secret]";
/// What stands before a signature in the `Authorization` header.
const SIGNATURE: &str = "Signature=";

/// An API key, permanent or temporary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `SecretId`, sent with every request.
    pub secret_id: String,
    /// `SecretKey`, never sent.
    pub secret_key: Secret,
    /// Session token of a temporary key, sent as `X-TC-Token`.
    pub token: Option<Secret>,
}

/// Why there is nothing to sign with.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A value that no HTTP header can carry, or none at all.
    #[error("{0} is empty or holds blanks or characters that are not printable ASCII")]
    Unprintable(&'static str),
    /// The key file could not be read.
    #[error("reading the key file {path} failed")]
    KeyFile {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Credentials {
    /// # Errors
    /// When a part is empty, or has blanks or other characters that keys never have.
    fn checked(self) -> Result<Self, CredentialsError> {
        let fit = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !fit(&self.secret_id) {
            return Err(CredentialsError::Unprintable("secret_id"));
        }
        if !fit(self.secret_key.expose()) {
            return Err(CredentialsError::Unprintable("secret_key"));
        }
        if self.token.as_ref().is_some_and(|token| !fit(token.expose())) {
            return Err(CredentialsError::Unprintable("token"));
        }
        Ok(self)
    }

    /// `text` with every secret in it blotted out, signatures included, which are good for five minutes. A server that
    /// echoes requests must not bring them into the log.
    pub(super) fn blot_out(&self, text: &str) -> String {
        let mut text = text.replace(self.secret_key.expose(), BLOT);
        if let Some(token) = &self.token {
            text = text.replace(token.expose(), BLOT);
        }
        let mut parts = text.split(SIGNATURE);
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |done, part| {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
            done + SIGNATURE + BLOT + rest
        })
    }
}

/// A source of credentials.
#[derive(Debug, Clone)]
pub enum Provider {
    /// Given once, never changed.
    Fixed(Credentials),
    /// The secret key is in a file.
    KeyFile(Arc<KeyFile>),
}

impl Provider {
    /// The credentials to sign the next request with.
    ///
    /// # Errors
    /// When the key file cannot be read, or a part is empty or unprintable.
    pub async fn current(&self) -> Result<Credentials, CredentialsError> {
        match self {
            Self::Fixed(credentials) => credentials.clone().checked(),
            Self::KeyFile(file) => file.credentials(false).await,
        }
    }

    /// The same, read from the source even if it looks unchanged.
    pub(super) async fn renewed(&self) -> Result<Credentials, CredentialsError> {
        match self {
            Self::Fixed(_) => self.current().await,
            Self::KeyFile(file) => file.credentials(true).await,
        }
    }
}

/// A file that holds a secret key, with white space around it ignored; read again when its time of change or its
/// length is another.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    secret_id: String,
    token: Option<Secret>,
    last: Mutex<Option<(Stamp, Secret)>>,
}

/// What shows that a file has changed.
type Stamp = (Option<SystemTime>, u64);

impl KeyFile {
    /// The key of `secret_id` in the file at `path`, which is not looked at yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, secret_id: impl Into<String>, token: Option<Secret>) -> Self {
        Self { path: path.into(), secret_id: secret_id.into(), token, last: Mutex::new(None) }
    }

    async fn credentials(self: &Arc<Self>, anew: bool) -> Result<Credentials, CredentialsError> {
        let file = Arc::clone(self);
        // The file may be on a network; reading it must not hold up the other tasks.
        let key = tokio::task::spawn_blocking(move || file.key(anew)).await.unwrap_or_else(|stopped| {
            Err(CredentialsError::KeyFile { path: self.path.clone(), source: std::io::Error::other(stopped) })
        })?;
        Credentials { secret_id: self.secret_id.clone(), secret_key: key, token: self.token.clone() }.checked()
    }

    fn key(&self, anew: bool) -> Result<Secret, CredentialsError> {
        let failed = |source| CredentialsError::KeyFile { path: self.path.clone(), source };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.path).map_err(failed)?;
        match &*last {
            Some((known, key)) if *known == stamp && !anew => Ok(key.clone()),
            _ => {
                let key = read(&self.path).map_err(failed)?;
                *last = Some((stamp, key.clone()));
                Ok(key)
            }
        }
    }
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        // A pipe would block for ever.
        return Err(std::io::Error::other("not a regular file"));
    }
    Ok((metadata.modified().ok(), metadata.len()))
}

fn read(path: &Path) -> std::io::Result<Secret> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(KEY_FILE_BYTES + 1).read_to_string(&mut text)?;
    let whole = Secret::new(text);
    if whole.expose().len() as u64 > KEY_FILE_BYTES {
        return Err(std::io::Error::other("longer than any key"));
    }
    Ok(Secret::new(whole.expose().trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("tencent-live-key-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn secrets_are_blotted_out_wherever_they_stand() {
        let credentials =
            Credentials { secret_id: "AKID".into(), secret_key: Secret::new("key"), token: Some(Secret::new("token")) };
        assert_eq!(
            credentials.blot_out("a key, a token, Signature=0aF9, Signature=; tokenkey"),
            "a [secret], a [secret], Signature=[secret], Signature=[secret]; [secret][secret]"
        );
        assert_eq!(credentials.blot_out(""), "");
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
        assert_eq!(provider.current().await.unwrap().secret_key.expose(), "first");
        assert_eq!(provider.renewed().await.unwrap().secret_key.expose(), "other");
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
