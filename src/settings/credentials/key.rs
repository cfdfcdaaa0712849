//! Keys as they are, in the settings, in a file or in the environment.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::CredentialSource;
use crate::secret::Secret;
use crate::settings::accounts::Surroundings;
use crate::settings::problem::{Problem, ProblemKind};
use crate::settings::section::{Entry, Section};

/// The keys of a key.
pub(super) const KEYS: [&str; 4] = ["secret_id", "secret_key", "secret_key_file", "token"];

/// Largest key file that is read.
const KEY_FILE_BYTES: usize = 64 << 10;

pub(super) const ID: &str = "TENCENTCLOUD_SECRET_ID";
pub(super) const KEY: &str = "TENCENTCLOUD_SECRET_KEY";
/// The session token is called either way by programs of this field; the first is the name of Tencent's own tool.
const TOKENS: [&str; 2] = ["TENCENTCLOUD_TOKEN", "TENCENTCLOUD_SECURITY_TOKEN"];

const ID_ACCEPTED: &str = "visible ASCII without / and ,";
const SECRET_ACCEPTED: &str = "visible ASCII without white space";

/// The key that is set in the settings.
pub(super) fn read(section: &Section<'_>, around: Surroundings<'_>) -> Option<CredentialSource> {
    let [has_id, has_key, has_file, _] = KEYS.map(|name| section.has(name));
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

/// The key of the environment; `alone` where nothing else would do.
pub(super) fn of_environment(section: &Section<'_>, around: Surroundings<'_>, alone: bool) -> Option<CredentialSource> {
    let missing: Vec<&str> = [ID, KEY].into_iter().filter(|name| around.variable(name).is_none()).collect();
    if !missing.is_empty() {
        let wrong = format!("not set, and the environment lacks {}", missing.join(" and "));
        let neither = if alone { "" } else { " or neither of them" };
        let accepted =
            format!("{ID} and {KEY} in the environment{neither}, or here secret_id with secret_key or secret_key_file");
        section.report(Problem::new(ProblemKind::Missing, section.key(), wrong, accepted));
        return None;
    }
    let report = |name: &str, wrong: String, accepted: &str| {
        let problem = Problem::new(ProblemKind::BadValue, name, wrong, accepted).with_value("[secret]");
        section.report_once(problem.with_origin(Some("environment")));
    };
    let secret_id = id(around.variable(ID)?).map_err(|wrong| report(ID, wrong, ID_ACCEPTED)).ok();
    let secret_key = secret(around.variable(KEY)?).map_err(|wrong| report(KEY, wrong, SECRET_ACCEPTED)).ok();
    let tokens: Vec<(&str, &str)> = TOKENS.iter().filter_map(|name| Some((*name, around.variable(name)?))).collect();
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

pub(super) fn secret(text: &str) -> Result<Secret, String> {
    printable(text).map(|()| Secret::new(text))
}

/// Whether `text` is one word that a header can carry.
pub(super) fn printable(text: &str) -> Result<(), String> {
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
        let path = around.path(entry, text)?;
        let key = read_key(&path)?;
        printable(key.trim_end_matches(['\r', '\n'])).map(|()| path).map_err(|wrong| format!("its content {wrong}"))
    })
}

fn read_key(path: &Path) -> Result<Zeroizing<String>, String> {
    // As long as it may become, so that it is never moved and leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(KEY_FILE_BYTES + 1));
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(KEY_FILE_BYTES as u64 + 1).read_to_string(&mut text))
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => "not UTF-8".to_owned(),
            _ => format!("cannot be read, {error}"),
        })?;
    if read > KEY_FILE_BYTES { Err("larger than 64 KiB".to_owned()) } else { Ok(text) }
}
