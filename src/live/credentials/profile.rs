//! The profile file that Tencent's tools share: `[default]`, `secret_id = …`, `secret_key = …`.
//!
//! The first of some places where there is a file counts; it is looked at before every request and read again when it
//! has changed. Source: the READMEs of tencentcloud-sdk-go and tencentcloud-sdk-python.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::file::{self, Stamp};
use super::{Credentials, CredentialsError, told};
use crate::live::text::printable;
use crate::secret::Secret;

/// Longest profile file in bytes.
const FILE_BYTES: usize = 64 * 1024;

/// Longest list of names in a problem, in bytes.
const NAMES_BYTES: usize = 200;

/// One profile of the first file there is.
#[derive(Debug)]
pub struct ProfileFile {
    places: Vec<PathBuf>,
    profile: String,
    last: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    path: PathBuf,
    stamp: Stamp,
    credentials: Credentials,
}

impl ProfileFile {
    /// The profile called `profile`, in the first of `places` where there is a file; none is looked at yet.
    #[must_use]
    pub fn new(places: Vec<PathBuf>, profile: impl Into<String>) -> Self {
        Self { places, profile: profile.into(), last: Mutex::new(None) }
    }

    /// The key as it is now, `anew` even if the file looks unchanged.
    pub(super) async fn credentials(self: &Arc<Self>, anew: bool) -> Result<Credentials, CredentialsError> {
        let file = Arc::clone(self);
        let read = file::off_the_loop(move || Ok(file.read(anew))).await;
        read.unwrap_or_else(|error| Err(self.broken(Path::new("?"), &error.to_string())))
    }

    fn read(&self, anew: bool) -> Result<Credentials, CredentialsError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        for path in &self.places {
            let failed = |error: &std::io::Error| self.broken(path, &error.to_string());
            let stamp = match file::stamp(path) {
                Err(error) if is_absence(error.kind()) => continue,
                stamp => stamp.map_err(|error| failed(&error))?,
            };
            if let Some(known) = last.as_ref().filter(|known| !anew && (&known.path, known.stamp) == (path, stamp)) {
                return Ok(known.credentials.clone());
            }
            let text = file::read(path, FILE_BYTES).map_err(|error| failed(&error))?;
            let credentials = profile(&text, &self.profile).map_err(|problem| self.broken(path, &problem))?;
            let credentials = credentials.checked().map_err(|error| self.broken(path, &error.to_string()))?;
            *last = Some(Known { path: path.clone(), stamp, credentials: credentials.clone() });
            return Ok(credentials);
        }
        Err(CredentialsError::NoProfileFile { looked: told(self.places.iter().map(|path| path.display())) })
    }

    fn broken(&self, path: &Path, problem: &str) -> CredentialsError {
        let (path, profile) = (path.to_owned(), self.profile.clone());
        CredentialsError::ProfileFile { path, profile, problem: problem.to_owned() }
    }
}

/// Whether a file whose stamp cannot be had is not there, as far as this program can see: the home of another user is
/// shut to it.
fn is_absence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied)
}

/// The key of the profile called `name` in the text of a file; of a value that is there twice the last one counts.
fn profile(text: &str, name: &str) -> Result<Credentials, String> {
    let mut names = Vec::new();
    let mut inside = false;
    let (mut secret_id, mut secret_key, mut token) = (None, None, None);
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        // What stands on a line is never repeated: it may be a key without its name.
        let wrong = || format!("line {} is neither [profile] nor key = value", number + 1);
        if let Some(rest) = line.strip_prefix('[') {
            let section = rest.strip_suffix(']').ok_or_else(wrong)?.trim();
            inside = section == name;
            names.push(section);
            continue;
        }
        let (key, value) = line.split_once('=').ok_or_else(wrong)?;
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "secret_id" if inside => secret_id = Some(value.to_owned()),
            "secret_key" if inside => secret_key = Some(Secret::new(value)),
            "token" if inside => token = Some(Secret::new(value)),
            _ => {}
        }
    }
    if !names.contains(&name) {
        let known = if names.is_empty() { "none at all".to_owned() } else { printable(&names.join(", "), NAMES_BYTES) };
        return Err(format!("no such profile; there is {known}"));
    }
    let missing = |key: &str| format!("{key} is not set");
    let secret_id = secret_id.ok_or_else(|| missing("secret_id"))?;
    Ok(Credentials { secret_id, secret_key: secret_key.ok_or_else(|| missing("secret_key"))?, token })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, name: &str) -> Result<(String, String, Option<String>), String> {
        let keys = profile(text, name)?;
        let token = keys.token.map(|token| token.expose().to_owned());
        Ok((keys.secret_id, keys.secret_key.expose().to_owned(), token))
    }

    #[test]
    fn a_profile_is_read_as_tencents_tools_write_it() {
        let text = "\u{feff}# comment\n[default]\nsecret_id = AKIDA\nsecret_key=keyA\r\nrole_arn = x\n\n; more\n\
                    [ prod ]\n  Secret_Id=AKIDB\n  SECRET_KEY = key=B==\ntoken = t\n";
        assert_eq!(read(text, "default"), Ok(("AKIDA".into(), "keyA".into(), None)));
        assert_eq!(read(text, "prod"), Ok(("AKIDB".into(), "key=B==".into(), Some("t".into()))));
    }

    #[test]
    fn a_folder_that_is_shut_is_as_good_as_none() {
        for (kind, absent) in [
            (ErrorKind::NotFound, true),
            (ErrorKind::NotADirectory, true),
            (ErrorKind::PermissionDenied, true),
            (ErrorKind::Other, false),
            (ErrorKind::StaleNetworkFileHandle, false),
        ] {
            assert_eq!(is_absence(kind), absent, "{kind:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_what_stands_there() {
        for (text, problem) in [
            ("", "no such profile; there is none at all"),
            ("[a]\n[\u{1b}b]\nsecret_key = canary", "no such profile; there is a, \\u{1b}b"),
            ("[default]\nsecret_key = canary", "secret_id is not set"),
            ("[default]\nsecret_id = canary", "secret_key is not set"),
            ("secret_id = canary\nsecret_key = canary\n[default]", "secret_id is not set"),
            ("[default\nsecret_id = canary", "line 1 is neither [profile] nor key = value"),
            ("[default]\n\ncanary", "line 3 is neither [profile] nor key = value"),
        ] {
            assert_eq!(read(text, "default"), Err(problem.to_owned()), "{text:?}");
        }
    }
}
