//! Small files with secrets in them, which others may replace at any time.

use std::io::{Error, Read as _, Result};
use std::path::Path;
use std::time::SystemTime;

use zeroize::Zeroizing;

/// What shows that a file has changed.
pub(super) type Stamp = (Option<SystemTime>, u64);

/// The stamp of the file at `path`.
pub(super) fn stamp(path: &Path) -> Result<Stamp> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        // A pipe would block for ever.
        return Err(Error::other("not a regular file"));
    }
    Ok((metadata.modified().ok(), metadata.len()))
}

/// The text of the file at `path`, which has at most `most` bytes.
pub(super) fn read(path: &Path, most: usize) -> Result<Zeroizing<String>> {
    // As long as it may become, so that it is never moved and leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(most + 1));
    std::fs::File::open(path)?.take(most as u64 + 1).read_to_string(&mut text)?;
    if text.len() > most {
        return Err(Error::other(format!("longer than {most} bytes")));
    }
    Ok(text)
}

/// What `work` brings, which may be long in coming: the file may be on a network, and must not hold up other tasks.
pub(super) async fn off_the_loop<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|stopped| Err(Error::other(stopped)))
}
