//! The accounts to ask, and what to ask them for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::credentials::{CredentialSource, credentials};
use super::endpoint::{ACCEPTED as ENDPOINT_ACCEPTED, Endpoint, Site, is_host_name};
use super::problem::{Problem, ProblemKind, shown};
use super::section::{Entry, Section};
use super::way::{self, CaFile, Proxy};

/// The name of an account that is given none.
const DEFAULT_NAME: &str = "main";
/// Most accounts: each of them polls by itself.
const MOST: usize = 100;
/// Longest name of an account in characters.
const NAME_CHARS: usize = 64;
/// Longest `AppName` in bytes.
const APP_BYTES: usize = 255;

/// One account of Tencent Cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The value of the `account` label; unique.
    pub name: String,
    /// Where its API answers.
    pub endpoint: Endpoint,
    /// Where roles are taken on.
    pub sts_endpoint: Endpoint,
    /// Through whom both are asked; straight without one.
    pub proxy: Option<Proxy>,
    /// Who may vouch for them beside the bundled roots.
    pub ca_file: Option<CaFile>,
    /// Who signs.
    pub credentials: CredentialSource,
    /// Push domains to ask for one by one; empty: one query for all of them.
    pub domains: Vec<String>,
    /// Whether push domains are listed too, so that their counters start at 0.
    pub discover_domains: bool,
    /// Whether the streams that are pushed are counted once a minute.
    pub streams_online: bool,
    /// `AppName` values to ask for one by one; empty: none is sent.
    pub apps: Vec<String>,
}

/// What the settings may look at besides themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// The folder of the file, from which its relative paths start.
    pub(super) folder: Option<&'a Path>,
    /// The variables of the process.
    pub(super) environment: &'a BTreeMap<String, String>,
}

impl<'a> Surroundings<'a> {
    /// A variable of the process that has something in it.
    pub(super) fn variable(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The path that `text` of `entry` names.
    ///
    /// # Errors
    /// When it is empty.
    pub(super) fn path(&self, entry: &Entry<'_>, text: &str) -> Result<PathBuf, String> {
        // As Prometheus does: paths in the file start from its folder, others from where the program was started.
        match self.folder {
            _ if text.is_empty() => Err("is empty".to_owned()),
            Some(folder) if entry.is_in_file() => Ok(folder.join(text)),
            _ => Ok(PathBuf::from(text)),
        }
    }
}

/// Reads the accounts; without any, the one whose credentials the environment holds.
pub(super) fn read(root: &Section<'_>, around: Surroundings<'_>) -> Vec<Account> {
    if root.has("accounts") && root.entries("accounts").is_none() {
        return Vec::new();
    }
    let mut sections = root.sections("accounts");
    if sections.is_empty() {
        sections.push(root.nothing("accounts[0]"));
    }
    if sections.len() > MOST {
        let accepted = format!("at most {MOST} accounts");
        root.report(Problem::new(
            ProblemKind::BadValue,
            "accounts",
            format!("has {} accounts", sections.len()),
            accepted,
        ));
        return Vec::new();
    }
    let drafts: Vec<Draft> = sections.iter().map(|section| draft(section, around)).collect();
    for problem in shared_names(&drafts).into_iter().chain(shared_sessions(&drafts)) {
        root.report(problem);
    }
    drafts.into_iter().filter_map(Draft::finish).collect()
}

/// An account as far as it could be read. What was refused is compared with no other account: that would be a second
/// complaint about one mistake.
struct Draft {
    key: String,
    name: Option<String>,
    endpoint: Option<Endpoint>,
    sts_endpoint: Option<Endpoint>,
    proxy: Option<Proxy>,
    ca_file: Option<CaFile>,
    credentials: Option<CredentialSource>,
    domains: Option<Vec<String>>,
    discover_domains: bool,
    streams_online: bool,
    apps: Vec<String>,
}

impl Draft {
    fn finish(self) -> Option<Account> {
        Some(Account {
            name: self.name?,
            endpoint: self.endpoint?,
            sts_endpoint: self.sts_endpoint?,
            proxy: self.proxy,
            ca_file: self.ca_file,
            credentials: self.credentials?,
            domains: self.domains?,
            discover_domains: self.discover_domains,
            streams_online: self.streams_online,
            apps: self.apps,
        })
    }
}

/// What is either wanted or not.
const SWITCH: [(&str, bool); 2] = [("true", true), ("false", false)];

fn draft(section: &Section<'_>, around: Surroundings<'_>) -> Draft {
    let name_accepted = format!("1 to {NAME_CHARS} letters, digits, - _ . : @ /");
    let name = section.read("name", DEFAULT_NAME.to_owned(), &name_accepted, name);
    let site = section.choice("site", Site::China, &Site::CHOICES);
    let place = |name, usual: Endpoint| match section.entry(name) {
        Some(entry) => entry.read(ENDPOINT_ACCEPTED, Endpoint::parse),
        None => Some(usual).filter(|_| section.is_sound("site") && section.is_sound(name)),
    };
    let (endpoint, sts_endpoint) = (place("endpoint", site.endpoint()), place("sts_endpoint", site.sts_endpoint()));
    let plain = [&endpoint, &sts_endpoint].into_iter().flatten().any(Endpoint::is_plain);
    let domain = |text: &str| {
        let found = if is_host_name(text) { Ok(text.to_owned()) } else { Err("not a domain name".to_owned()) };
        found.map(|text| (text.to_ascii_lowercase(), text))
    };
    let domains = distinct(section, "domains", "domain names, each once", domain);
    let apps_accepted = "AppName values, each once, without white space and slashes";
    Draft {
        key: section.key().to_owned(),
        name: name.sound.then_some(name.value),
        endpoint,
        sts_endpoint,
        proxy: way::proxy(section, plain),
        ca_file: way::ca_file(section, around),
        credentials: credentials(section, around),
        domains: section.is_sound("domains").then_some(domains),
        discover_domains: section.choice("discover_domains", true, &SWITCH),
        streams_online: section.choice("streams_online", true, &SWITCH),
        apps: distinct(section, "apps", apps_accepted, |text| app(text).map(|app| (app.clone(), app))),
    }
}

fn name(text: &str) -> Result<String, String> {
    let sane = |c: char| c.is_alphanumeric() || "-_.:@/".contains(c);
    match text.chars().count() {
        0 => Err("empty".to_owned()),
        count if count > NAME_CHARS => Err(format!("has {count} characters")),
        _ if !text.chars().all(sane) => Err("has other characters".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

fn app(text: &str) -> Result<String, String> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '?');
    if text.is_empty() {
        Err("empty".to_owned())
    } else if text.len() > APP_BYTES {
        Err(format!("longer than {APP_BYTES} bytes"))
    } else if text.contains(odd) {
        Err("has white space or a slash".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// The values of a list without those that are refused or there twice; `read` gives what to compare, and the value.
fn distinct(
    section: &Section<'_>,
    name: &str,
    accepted: &str,
    read: impl Fn(&str) -> Result<(String, String), String>,
) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut value = |entry: Entry<'_>| {
        let (identity, value) = entry.read(accepted, &read)?;
        let new = seen.insert(identity);
        if !new {
            entry.refuse(ProblemKind::Contradiction, "there twice", accepted);
        }
        new.then_some(value)
    };
    section.entries(name).unwrap_or_default().into_iter().filter_map(&mut value).collect()
}

/// Accounts under one value of the label.
fn shared_names(drafts: &[Draft]) -> Vec<Problem> {
    let mut first = BTreeMap::new();
    let mut problems = Vec::new();
    for Draft { key, name, .. } in drafts {
        let Some(name) = name else { continue };
        let earlier = *first.entry(name).or_insert(key);
        if earlier != key {
            let wrong = format!("also the name of {earlier}");
            let problem = Problem::new(ProblemKind::Contradiction, format!("{key}.name"), wrong, "a name of its own");
            problems.push(problem.with_value(shown(name)));
        }
    }
    problems
}

/// Accounts that would list, and so count, the same sessions.
fn shared_sessions(drafts: &[Draft]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut by_domain = BTreeMap::new();
    let mut by_id: BTreeMap<_, (&str, bool)> = BTreeMap::new();
    for Draft { key, endpoint, domains, credentials, .. } in drafts {
        let (Some(endpoint), Some(domains)) = (endpoint, domains) else { continue };
        let place = (endpoint.host(), endpoint.port());
        if let Some(credentials) = credentials {
            let all = domains.is_empty();
            let identity = credentials.identity();
            let same = identity.words();
            match by_id.get(&(place, identity)) {
                Some((earlier, earlier_all)) if all || *earlier_all => {
                    let wrong = format!("same {same} as {earlier}, and one of the two asks for all domains");
                    let accepted = "different domains in both, or one account";
                    problems.push(Problem::new(ProblemKind::Contradiction, format!("{key}.domains"), wrong, accepted));
                }
                Some(_) => {}
                None => {
                    by_id.insert((place, credentials.identity()), (key, all));
                }
            }
        }
        for (index, domain) in domains.iter().enumerate() {
            let earlier = *by_domain.entry((place, domain.to_ascii_lowercase())).or_insert(key);
            if earlier != key {
                let wrong = format!("also in {earlier}.domains, its sessions would be counted twice");
                let key = format!("{key}.domains[{index}]");
                let problem = Problem::new(ProblemKind::Contradiction, key, wrong, "every domain in one account");
                problems.push(problem.with_value(shown(domain)));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_short_word() {
        for text in ["main", "主账号", "a-b_c.d:e@f/g", &"x".repeat(64)] {
            assert_eq!(name(text), Ok(text.to_owned()));
        }
        for text in ["", " ", "a b", "a\n", "a\"b", "a\u{200b}b", &"x".repeat(65)] {
            assert!(name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_app_is_one_path_segment() {
        assert!(app("live").is_ok() && app("直播").is_ok());
        for text in ["", "a b", "a/b", "/live", "a?b", "a\0", &"x".repeat(256)] {
            assert!(app(text).is_err(), "{text}");
        }
    }
}
