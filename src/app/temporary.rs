//! A folder for what nobody wants to keep.

use std::path::PathBuf;

use tracing::error;

use super::AppError;

/// A folder that is removed when this is dropped.
#[derive(Debug)]
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// A new folder that only this user can enter.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> Result<Self, AppError> {
        let name = format!("tencent-live-exporter-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|source| AppError::System { doing: "cannot make a temporary folder", source })?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            error!(folder = %self.0.display(), %error, "the temporary folder could not be removed");
        }
    }
}
