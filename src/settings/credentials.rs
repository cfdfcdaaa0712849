//! Who signs for an account: keys in the settings, a key in a file, or keys in the environment.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::secret::Secret;

use super::accounts::Surroundings;
use super::problem::{Problem, ProblemKind};
use super::section::{Entry, Section};

/// Largest key file that is read.
const KEY_FILE_BYTES: u64 = 64 << 10;

const ID: &str = "TENCENTCLOUD_SECRET_ID";
const KEY: &str = "TENCENTCLOUD_SECRET_KEY";
/// The session token is called either way by programs of this field; the first is the name of Tencent's own tool.
const TOKENS: [&str; 2] = ["TENCENTCLOUD_TOKEN", "TENCENTCLOUD_SECURITY_TOKEN"];

const ID_ACCEPTED: &str = "visible ASCII without / and ,";
const SECRET_ACCEPTED: &str = "visible ASCII without white space";

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
}

impl CredentialSource {
    /// `SecretId`, which is no secret: it is sent in clear with each request.
    #[must_use]
    pub fn secret_id(&self) -> &str {
        match self {
            CredentialSource::Static { secret_id, .. } | CredentialSource::KeyFile { secret_id, .. } => secret_id,
        }
    }
}

/// Reads the credentials of the account at `account`.
pub(super) fn credentials(account: &Section<'_>, around: Surroundings<'_>) -> Option<CredentialSource> {
    let section = account.section("credentials");
    if account.has("credentials") && !section.exists() {
        return None;
    }
    let [has_id, has_key, has_file, has_token] =
        ["secret_id", "secret_key", "secret_key_file", "token"].map(|name| section.has(name));
    if !(has_id || has_key || has_file || has_token) {
        return from_environment(section.key(), &section, around);
    }
    if !has_id {
        let key = format!("{}.secret_id", section.key());
        section.report(Problem::new(ProblemKind::Missing, key, "not set", "the SecretId of the key beside it"));
    }
    match (has_key, has_file) {
        (true, true) => {
            let wrong = "secret_key and secret_key_file are both set";
            section.report(Problem::new(ProblemKind::Contradiction, section.key(), wrong, "one of them"));
        }
        (false, false) => {
            let wrong = "neither secret_key nor secret_key_file is set";
            section.report(Problem::new(ProblemKind::Missing, section.key(), wrong, "one of them"));
        }
        _ => {}
    }
    let secret_id = section.entry("secret_id").and_then(|entry| entry.read(ID_ACCEPTED, id));
    let read_secret = |name| section.entry(name).map(|entry: Entry<'_>| entry.read(SECRET_ACCEPTED, secret));
    let token = match read_secret("token") {
        Some(token) => Some(token?),
        None => None,
    };
    let secret_key = read_secret("secret_key").flatten();
    let secret_key_file = section.entry("secret_key_file").and_then(|entry| key_file(&entry, around));
    match (secret_key, secret_key_file) {
        (Some(secret_key), None) => Some(CredentialSource::Static { secret_id: secret_id?, secret_key, token }),
        (None, Some(secret_key_file)) => {
            Some(CredentialSource::KeyFile { secret_id: secret_id?, secret_key_file, token })
        }
        _ => None,
    }
}

fn from_environment(key: &str, section: &Section<'_>, around: Surroundings<'_>) -> Option<CredentialSource> {
    let variable = |name: &str| around.environment.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let missing: Vec<&str> = [ID, KEY].into_iter().filter(|name| variable(name).is_none()).collect();
    if !missing.is_empty() {
        let wrong = format!("not set, and the environment lacks {}", missing.join(" and "));
        let accepted =
            format!("{ID} and {KEY} in the environment, or here secret_id with secret_key or secret_key_file");
        section.report(Problem::new(ProblemKind::Missing, key, wrong, accepted));
        return None;
    }
    let report = |name: &str, wrong: String, accepted: &str| {
        let problem = Problem::new(ProblemKind::BadValue, name, wrong, accepted).with_value("[secret]");
        section.report_once(problem.with_origin(Some("environment")));
    };
    let secret_id = id(variable(ID)?).map_err(|wrong| report(ID, wrong, ID_ACCEPTED)).ok();
    let secret_key = secret(variable(KEY)?).map_err(|wrong| report(KEY, wrong, SECRET_ACCEPTED)).ok();
    let tokens: Vec<(&str, &str)> = TOKENS.iter().filter_map(|name| Some((*name, variable(name)?))).collect();
    if let [(first, one), (second, other)] = tokens[..]
        && one != other
    {
        let problem = Problem::new(ProblemKind::Contradiction, second, format!("differs from {first}"), "one of them");
        section.report_once(problem.with_value("[secret]").with_origin(Some("environment")));
    }
    let token = match tokens.first() {
        Some((name, text)) => Some(secret(text).map_err(|wrong| report(name, wrong, SECRET_ACCEPTED)).ok()?),
        None => None,
    };
    Some(CredentialSource::Static { secret_id: secret_id?, secret_key: secret_key?, token })
}

fn id(text: &str) -> Result<String, String> {
    printable(text)?;
    // The signature's header separates the parts of the credential by these.
    if text.contains(['/', ',']) { Err("has / or ,".to_owned()) } else { Ok(text.to_owned()) }
}

fn secret(text: &str) -> Result<Secret, String> {
    printable(text).map(|()| Secret::new(text))
}

fn printable(text: &str) -> Result<(), String> {
    if text.is_empty() {
        Err("is empty".to_owned())
    } else if text.trim() != text {
        Err("is surrounded by white space".to_owned())
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err("has invisible or foreign characters".to_owned())
    } else {
        Ok(())
    }
}

/// The path of a key file that can be read now. It is read again when requests are signed.
fn key_file(entry: &Entry<'_>, around: Surroundings<'_>) -> Option<PathBuf> {
    let accepted = "a file with the SecretKey in it and nothing else";
    entry.read(accepted, |text| {
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        // As Prometheus does: paths in the file start from its folder, others from where the program was started.
        let path = match around.folder {
            Some(folder) if entry.is_in_file() => folder.join(text),
            _ => PathBuf::from(text),
        };
        let key = read_key(&path)?;
        printable(&key).map(|()| path).map_err(|wrong| format!("its content {wrong}"))
    })
}

fn read_key(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(KEY_FILE_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("cannot be read, {error}"))?;
    if bytes.len() as u64 > KEY_FILE_BYTES {
        return Err("larger than 64 KiB".to_owned());
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "not UTF-8")?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}
