//! What requests are signed with, and where it comes from.
//!
//! The client asks a [`Provider`] before every request:
//! - a key of the configuration or the environment, which stays as it is;
//! - [`KeyFile`], [`ProfileFile`]: files that whoever rotates keys may replace at any time;
//! - [`Temporary`]: keys that expire and are renewed ahead of it, from the machine's [`Metadata`] service, from [`Sts`]
//!   for a pod's [`WebIdentity`], or for a [`Role`] that any other source may take on;
//! - [`Chain`]: the first of several that has keys.
//!
//! What comes of renewals is told to a [`KeyObserver`]. Answers are judged as those of the API: a body is bounded and
//! nothing in it is believed before it is checked; no error repeats what may be a key.

mod chain;
mod file;
mod issued;
mod key_file;
mod life;
mod metadata;
mod profile;
mod sts;
mod temporary;

use std::fmt::Display;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

pub use chain::Chain;
pub use key_file::KeyFile;
pub use metadata::{METADATA, Metadata};
pub use profile::ProfileFile;
pub use sts::{Role, Sts, StsOptions, WebIdentity};
pub use temporary::Temporary;

use crate::clock::UnixSeconds;
use crate::secret::Secret;

use super::error::CallError;

/// What stands for a secret in a text that is shown.
const BLOT: &str = "[secret]";
/// What stands before a signature in the `Authorization` header.
const SIGNATURE: &str = "Signature=";

/// What sources are called in the log and in errors.
pub const SOURCES: &[&str] = &["configuration", "key file", "profile file", "CVM role", "TKE OIDC", "role", "chain"];

/// An API key, permanent or temporary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `SecretId`, sent with every request.
    pub secret_id: String,
    /// `SecretKey`, never sent.
    pub secret_key: Secret,
    /// Session token of a temporary key, sent as `X-TC-Token`. A permanent key has none.
    pub token: Option<Secret>,
}

/// Why there is nothing to sign with.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A value that no HTTP header can carry, or none at all.
    #[error("{0} is empty or has characters that no key has")]
    Unprintable(&'static str),
    /// The key file could not be read.
    #[error("reading the key file {path} failed")]
    KeyFile {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no profile file that this program can see.
    #[error("no file can be seen at {looked}")]
    NoProfileFile {
        /// Where it was looked for.
        looked: String,
    },
    /// The profile file cannot be read, or the profile is not in it.
    #[error("profile {profile} of {path}: {problem}")]
    ProfileFile {
        /// The file.
        path: PathBuf,
        /// The profile.
        profile: String,
        /// What is wrong.
        problem: String,
    },
    /// There is no metadata service: this machine is no CVM, or something is between it and the service.
    #[error("the metadata service {host} does not answer")]
    NoMetadata {
        /// Where it was looked for.
        host: String,
        /// Whether a deadline has passed.
        timeout: bool,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No role is bound to this machine.
    #[error("no role is bound to this machine, says the metadata service {host}")]
    NoRole {
        /// Who says so.
        host: String,
    },
    /// The token of the pod's service account could not be read.
    #[error("reading the token file {path} failed")]
    TokenFile {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// STS could not be asked, or refused.
    #[error(transparent)]
    Sts(Box<CallError>),
    /// What was issued cannot be used.
    #[error("{from} cannot be used: {problem}")]
    Unusable {
        /// What was issued, and by whom.
        from: String,
        /// Why; nothing of it.
        problem: String,
    },
    /// No source has keys.
    #[error("no source has any; looked for {looked}")]
    Nowhere {
        /// What was looked for, where, and what was there.
        looked: String,
    },
    /// A renewal has failed, just now or so shortly before that it is not tried again yet.
    #[error(transparent)]
    Still(Arc<CredentialsError>),
}

impl From<CallError> for CredentialsError {
    fn from(error: CallError) -> Self {
        Self::Sts(Box::new(error))
    }
}

impl CredentialsError {
    /// What kind of error this is, one of [`super::ERROR_KINDS`].
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Sts(error) => error.kind(),
            Self::Still(error) => error.kind(),
            Self::NoMetadata { timeout: true, .. } => "timeout",
            Self::NoMetadata { .. } => "network",
            _ => "auth",
        }
    }

    /// Whether somebody has turned us away, so that asking again soon is of no use.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Sts(error) => error.is_refusal(),
            Self::Still(error) => error.is_refusal(),
            _ => false,
        }
    }

    /// Whether the source is not there at all, rather than there and broken.
    fn is_absence(&self) -> bool {
        match self {
            Self::NoProfileFile { .. } | Self::NoMetadata { .. } | Self::NoRole { .. } => true,
            Self::Still(error) => error.is_absence(),
            _ => false,
        }
    }
}

/// What has become of an account's keys.
#[derive(Debug)]
pub enum KeyNews<'a> {
    /// Keys were issued.
    Renewed {
        /// By whom, one of [`SOURCES`].
        source: &'static str,
        /// When they expire, by the issuer's clock.
        expires: UnixSeconds,
        /// Whether it had failed before.
        again: bool,
    },
    /// No keys were issued; those that there are serve until they expire.
    NotRenewed {
        /// By whom, one of [`SOURCES`].
        source: &'static str,
        /// Why.
        error: &'a CredentialsError,
        /// Whether the one before had not failed.
        first: bool,
    },
    /// A chain has found another source than before.
    Found {
        /// Which, one of [`SOURCES`].
        source: &'static str,
        /// Whether it tells when its keys expire.
        expire: bool,
    },
}

/// Who is told what becomes of an account's keys.
pub type KeyObserver = Arc<dyn Fn(&KeyNews<'_>) + Send + Sync>;

impl Credentials {
    /// # Errors
    /// When a part is empty, or has blanks or other characters that keys never have.
    fn checked(self) -> Result<Self, CredentialsError> {
        let fit = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        // The header of a signature separates the parts of the credential by these.
        if !fit(&self.secret_id) || self.secret_id.contains(['/', ',']) {
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

    /// What of them is secret.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.secret_key).chain(&self.token)
    }
}

/// `text` with `secrets` blotted out, and signatures too, which are good for five minutes. A server that echoes requests
/// must not bring them into the log.
pub(super) fn blot_out<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(secret.expose(), BLOT);
    }
    let mut parts = text.split(SIGNATURE);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |done, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        done + SIGNATURE + BLOT + rest
    })
}

/// Names in a row.
fn told(names: impl Iterator<Item = impl Display>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(" or ")
}

/// An error with its causes.
fn chain_of(error: &CredentialsError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// A source of credentials.
#[derive(Debug, Clone)]
pub enum Provider {
    /// Given once, never changed.
    Fixed(Credentials),
    /// The secret key is in a file.
    KeyFile(Arc<KeyFile>),
    /// The key is in a file of profiles.
    ProfileFile(Arc<ProfileFile>),
    /// Keys that expire and are renewed.
    Temporary(Arc<Temporary>),
    /// The first of several that has keys.
    Chain(Arc<Chain>),
}

/// Keys that are on their way. Sources may stand on others, so what a provider does cannot be spelled out as one type.
pub type Coming<'a> = Pin<Box<dyn Future<Output = Result<Credentials, CredentialsError>> + Send + 'a>>;

impl Provider {
    /// The credentials to sign the next request with.
    ///
    /// # Errors
    /// When the source cannot be read or asked, or a part is empty or unprintable.
    #[must_use]
    pub fn current(&self) -> Coming<'_> {
        match self {
            Self::Fixed(credentials) => Box::pin(std::future::ready(credentials.clone().checked())),
            Self::KeyFile(file) => Box::pin(file.credentials(false)),
            Self::ProfileFile(file) => Box::pin(file.credentials(false)),
            Self::Temporary(temporary) => Box::pin(temporary.current()),
            Self::Chain(chain) => Box::pin(chain.current()),
        }
    }

    /// Others than `used`, which the API has refused, if the source has any.
    pub(super) fn renewed<'a>(&'a self, used: &'a Credentials) -> Coming<'a> {
        match self {
            Self::Fixed(_) => self.current(),
            Self::KeyFile(file) => Box::pin(file.credentials(true)),
            Self::ProfileFile(file) => Box::pin(file.credentials(true)),
            Self::Temporary(temporary) => Box::pin(temporary.renewed(used)),
            Self::Chain(chain) => Box::pin(chain.renewed(used)),
        }
    }

    /// What it is called, one of [`SOURCES`].
    fn name(&self) -> &'static str {
        match self {
            Self::Fixed(_) => "configuration",
            Self::KeyFile(_) => "key file",
            Self::ProfileFile(_) => "profile file",
            Self::Temporary(temporary) => temporary.name(),
            Self::Chain(_) => "chain",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blotted_out_wherever_they_stand() {
        let credentials =
            Credentials { secret_id: "AKID".into(), secret_key: Secret::new("key"), token: Some(Secret::new("token")) };
        assert_eq!(
            blot_out("a key, a token, Signature=0aF9, Signature=; tokenkey", credentials.secrets()),
            "a [secret], a [secret], Signature=[secret], Signature=[secret]; [secret][secret]"
        );
        assert_eq!(blot_out("", credentials.secrets()), "");
    }
}
