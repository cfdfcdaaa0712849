//! Who signs for an account: keys in the settings, a key in a file, keys of the environment, of a profile, of the
//! machine or of the pod; and a role that they take on.

mod key;
mod places;
mod role;

use std::path::PathBuf;

use crate::secret::Secret;

use super::accounts::Surroundings;
use super::problem::{Problem, ProblemKind};
use super::section::Section;

use self::key::{ID, KEY};
pub use self::places::{ProfilePlaces, WebIdentity};
pub use self::role::Role;

/// Where an account's keys are. Keys of the environment are taken when the settings are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// Keys that stay as they are.
    Static {
        /// `SecretId`
        secret_id: String,
        /// `SecretKey`
        secret_key: Secret,
        /// Token of a temporary key.
        token: Option<Secret>,
    },
    /// A key to be read again when its file changes.
    KeyFile {
        /// `SecretId`
        secret_id: String,
        /// The file that holds the `SecretKey` and nothing else but a line end.
        secret_key_file: PathBuf,
        /// Token of a temporary key.
        token: Option<Secret>,
    },
    /// A profile of a file that Tencent's tools share.
    Profile(ProfilePlaces),
    /// The role that is bound to the machine.
    CvmRole {
        /// A stand-in for the machine's metadata service; no key sets it.
        metadata: Option<String>,
    },
    /// The role of the pod's service account.
    TkeOidc(WebIdentity),
    /// The first of profile, machine and pod that has keys, since the environment has none.
    Chain {
        /// Where profiles are looked for.
        profile: ProfilePlaces,
        /// A stand-in for the machine's metadata service; no key sets it.
        metadata: Option<String>,
        /// The pod's service account, or the variables that are missing for it.
        web_identity: Result<WebIdentity, Vec<&'static str>>,
    },
    /// A role, for whoever signs with the keys of another source.
    Role {
        /// The other source.
        base: Box<CredentialSource>,
        /// The role.
        role: Role,
    },
}

/// What tells two sources apart, as far as they list the sessions of different accounts.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Identity<'a> {
    Key(&'a str),
    Profile(&'a ProfilePlaces),
    Machine,
    Chain(&'a ProfilePlaces),
    Role(&'a str),
}

impl Identity<'_> {
    /// What two accounts with one of them have in common.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Identity::Key(_) => "secret_id",
            Identity::Role(_) => "role",
            _ => "credentials",
        }
    }
}

impl CredentialSource {
    /// `SecretId` where it is known beforehand. It is no secret: it is sent in clear with each request.
    #[must_use]
    pub fn secret_id(&self) -> Option<&str> {
        match self {
            Self::Static { secret_id, .. } | Self::KeyFile { secret_id, .. } => Some(secret_id),
            Self::Role { base, .. } => base.secret_id(),
            _ => None,
        }
    }

    pub(super) fn identity(&self) -> Identity<'_> {
        match self {
            Self::Static { secret_id, .. } | Self::KeyFile { secret_id, .. } => Identity::Key(secret_id),
            Self::Profile(places) => Identity::Profile(places),
            Self::CvmRole { .. } => Identity::Machine,
            Self::TkeOidc(identity) => Identity::Role(&identity.role_arn),
            Self::Chain { profile, .. } => Identity::Chain(profile),
            Self::Role { role, .. } => Identity::Role(&role.arn),
        }
    }
}

/// The word of `source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Auto,
    Environment,
    Profile,
    CvmRole,
    TkeOidc,
}

const WORDS: [(&str, Word); 5] = [
    ("auto", Word::Auto),
    ("environment", Word::Environment),
    ("profile", Word::Profile),
    ("cvm_role", Word::CvmRole),
    ("tke_oidc", Word::TkeOidc),
];

/// Reads the credentials of the account at `account`.
pub(super) fn credentials(account: &Section<'_>, around: Surroundings<'_>) -> Option<CredentialSource> {
    let section = account.section("credentials");
    if account.has("credentials") && !section.exists() {
        return None;
    }
    let base = base(&section, around);
    let role = section.section("role");
    if !section.has("role") {
        return base;
    }
    let role = role::read(&role)?;
    Some(CredentialSource::Role { base: Box::new(base?), role })
}

fn base(section: &Section<'_>, around: Surroundings<'_>) -> Option<CredentialSource> {
    let has = |names: &[&str]| names.iter().any(|name| section.has(name));
    let (keys, profile) = (has(&key::KEYS), has(&["profile", "profile_file"]));
    let given = section.choice("source", None, &WORDS.map(|(word, value)| (word, Some(value))));
    if !section.is_sound("source") {
        return None;
    }
    let contradicts = |wrong: &str, accepted: &str| {
        section.report(Problem::new(ProblemKind::Contradiction, section.key(), wrong, accepted));
        None
    };
    if keys && profile {
        return contradicts("a key and a profile are both set", "one of them");
    }
    let implied = if profile { Word::Profile } else { Word::Auto };
    match given.unwrap_or(implied) {
        Word::Auto if keys => key::read(section, around),
        _ if keys => contradicts("a key is set, and source names another place", "one of them, or source: auto"),
        Word::Environment | Word::CvmRole | Word::TkeOidc if profile => {
            contradicts("a profile is set, and source names another place", "one of them, or source: profile or auto")
        }
        Word::Auto => automatic(section, around),
        Word::Environment => key::of_environment(section, around, true),
        Word::Profile => places::profile(section, around).map(CredentialSource::Profile),
        Word::CvmRole => Some(CredentialSource::CvmRole { metadata: None }),
        Word::TkeOidc => match places::web_identity(section, around)? {
            Ok(identity) => Some(CredentialSource::TkeOidc(identity)),
            Err(missing) => {
                let wrong = format!("the environment lacks {}", missing.join(", "));
                let accepted = "a pod whose service account has a role, which TKE tells by these variables";
                let key = format!("{}.source", section.key());
                section.report(Problem::new(ProblemKind::Missing, key, wrong, accepted).with_value("tke_oidc"));
                None
            }
        },
    }
}

/// The keys of the environment, or whatever else has some when it is asked.
fn automatic(section: &Section<'_>, around: Surroundings<'_>) -> Option<CredentialSource> {
    let set = |name| around.variable(name).is_some();
    if set(ID) || set(KEY) {
        return key::of_environment(section, around, false);
    }
    let (profile, web_identity) = (places::profile(section, around), places::web_identity(section, around));
    Some(CredentialSource::Chain { profile: profile?, metadata: None, web_identity: web_identity? })
}
