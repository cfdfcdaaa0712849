//! Where keys may be that are no matter of these settings: profile files, and what TKE tells a pod.

use std::path::PathBuf;

use super::key::printable;
use crate::settings::accounts::Surroundings;
use crate::settings::problem::{Problem, ProblemKind};
use crate::settings::section::Section;

/// The profile that is used unless another is named.
const DEFAULT_PROFILE: &str = "default";
/// Longest name of a profile in characters.
const PROFILE_CHARS: usize = 64;

/// The variable that names the profile file, and where it is looked for otherwise.
const FILE: &str = "TENCENTCLOUD_CREDENTIALS_FILE";
const IN_HOME: &str = ".tencentcloud/credentials";
const OF_MACHINE: &str = "/etc/tencentcloud/credentials";

/// What TKE tells a pod whose service account has a role.
const REGION: &str = "TKE_REGION";
const PROVIDER_ID: &str = "TKE_PROVIDER_ID";
const TOKEN_FILE: &str = "TKE_WEB_IDENTITY_TOKEN_FILE";
const ROLE_ARN: &str = "TKE_ROLE_ARN";

/// A profile, and the files in which it is looked for: the first that is there counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProfilePlaces {
    /// The files.
    pub files: Vec<PathBuf>,
    /// The name of the profile.
    pub profile: String,
}

/// A pod's service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebIdentity {
    /// `TKE_REGION`
    pub region: String,
    /// `TKE_PROVIDER_ID`
    pub provider_id: String,
    /// `TKE_WEB_IDENTITY_TOKEN_FILE`
    pub token_file: PathBuf,
    /// `TKE_ROLE_ARN`
    pub role_arn: String,
}

/// The profile to look for, and where.
pub(super) fn profile(section: &Section<'_>, around: Surroundings<'_>) -> Option<ProfilePlaces> {
    let accepted = format!("1 to {PROFILE_CHARS} letters, digits, - _ .");
    let word = |text: &str| {
        let fit = (1..=PROFILE_CHARS).contains(&text.chars().count())
            && text.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
        if fit { Ok(text.to_owned()) } else { Err("not such a name".to_owned()) }
    };
    let profile = section.read("profile", DEFAULT_PROFILE.to_owned(), &accepted, word);
    let files = if let Some(entry) = section.entry("profile_file") {
        let path = |text: &str| {
            let path = around.path(&entry, text)?;
            // What is in it is looked at when requests are signed, as it is then.
            let kind = std::fs::metadata(&path).map_err(|error| format!("cannot be read, {error}"))?;
            // A pipe would be waited for.
            if !kind.is_file() {
                return Err("not a regular file".to_owned());
            }
            std::fs::File::open(&path).map_err(|error| format!("cannot be read, {error}"))?;
            Ok(path)
        };
        vec![entry.read("a file of profiles that can be read", path)?]
    } else {
        let named = around.variable(FILE).map(PathBuf::from);
        let home = around.variable("HOME").map(|home| PathBuf::from(home).join(IN_HOME));
        named.into_iter().chain(home).chain([PathBuf::from(OF_MACHINE)]).collect()
    };
    (profile.sound && section.is_sound("profile_file")).then_some(ProfilePlaces { files, profile: profile.value })
}

/// What TKE tells this pod, or the variables that are missing; `None` where one of them cannot be right.
pub(super) fn web_identity(
    section: &Section<'_>,
    around: Surroundings<'_>,
) -> Option<Result<WebIdentity, Vec<&'static str>>> {
    let names = [REGION, PROVIDER_ID, TOKEN_FILE, ROLE_ARN];
    let missing: Vec<_> = names.into_iter().filter(|name| around.variable(name).is_none()).collect();
    if !missing.is_empty() {
        return Some(Err(missing));
    }
    let word = |name: &str| {
        let text = around.variable(name)?;
        let refuse = |wrong: String| {
            let problem = Problem::new(ProblemKind::BadValue, name, wrong, "visible ASCII without white space");
            section.report_once(problem.with_origin(Some("environment")));
        };
        printable(text).map(|()| text.to_owned()).map_err(refuse).ok()
    };
    let (region, provider_id, role_arn) = (word(REGION), word(PROVIDER_ID), word(ROLE_ARN));
    let token_file = around.variable(TOKEN_FILE).map(PathBuf::from);
    Some(Ok(WebIdentity { region: region?, provider_id: provider_id?, token_file: token_file?, role_arn: role_arn? }))
}
