//! The accounts to ask, and what to ask them for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::credentials::{CredentialSource, credentials};
use super::endpoint::{ACCEPTED as ENDPOINT_ACCEPTED, Endpoint, Site, is_host_name};
use super::problem::{Problem, ProblemKind};
use super::section::{Entry, Section};

/// The name of an account that is given none.
const DEFAULT_NAME: &str = "main";
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
    /// Who signs.
    pub credentials: CredentialSource,
    /// Push domains to ask for one by one; empty: one query for all of them.
    pub domains: Vec<String>,
    /// Whether push domains are listed too, so that their counters start at 0.
    pub discover_domains: bool,
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

/// Reads the accounts; without any, the one whose credentials the environment holds.
pub(super) fn read(root: &Section<'_>, around: Surroundings<'_>) -> Vec<Account> {
    if root.has("accounts") && root.entries("accounts").is_none() {
        return Vec::new();
    }
    let mut sections = root.sections("accounts");
    if sections.is_empty() {
        sections.push(root.nothing("accounts[0]"));
    }
    let accounts: Vec<(Section<'_>, Option<Account>)> =
        sections.into_iter().map(|section| (section.clone(), account(&section, around))).collect();
    let sound: Vec<(&Section<'_>, &Account)> =
        accounts.iter().filter_map(|(section, account)| Some((section, account.as_ref()?))).collect();
    for (later, (section, account)) in sound.iter().enumerate() {
        for (earlier_section, earlier) in &sound[..later] {
            compare(section, account, earlier_section, earlier);
        }
    }
    accounts.into_iter().filter_map(|(_, account)| account).collect()
}

fn account(section: &Section<'_>, around: Surroundings<'_>) -> Option<Account> {
    let name_accepted = format!("1 to {NAME_CHARS} letters, digits, - _ . : @ /");
    let name = section.read("name", DEFAULT_NAME.to_owned(), &name_accepted, name).value;
    let site = section.choice("site", Site::China, &Site::CHOICES);
    let endpoint = match section.entry("endpoint") {
        Some(entry) => entry.read(ENDPOINT_ACCEPTED, Endpoint::parse),
        None => Some(site.endpoint()),
    };
    let credentials = credentials(section, around);
    let domain = |text: &str| {
        let found = if is_host_name(text) { Ok(text.to_owned()) } else { Err("not a domain name".to_owned()) };
        found.map(|text| (text.to_ascii_lowercase(), text))
    };
    let domains = distinct(section, "domains", "domain names, each once", domain);
    let truth = [("true", true), ("false", false)];
    let discover_domains = section.choice("discover_domains", true, &truth);
    let apps_accepted = "AppName values, each once, without white space and slashes";
    let apps = distinct(section, "apps", apps_accepted, |text| app(text).map(|app| (app.clone(), app)));
    Some(Account { name, endpoint: endpoint?, credentials: credentials?, domains, discover_domains, apps })
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

/// Reports what two accounts may not share: the label, and the sessions they would both count.
fn compare(section: &Section<'_>, account: &Account, earlier_section: &Section<'_>, earlier: &Account) {
    let (key, other) = (section.key(), earlier_section.key());
    let contradiction = |key: String, wrong: String, accepted: &str| {
        section.report(Problem::new(ProblemKind::Contradiction, key, wrong, accepted));
    };
    if account.name == earlier.name {
        let wrong = format!("{}: also the name of {other}", account.name);
        contradiction(format!("{key}.name"), wrong, "a name of its own");
    }
    let same_place =
        account.endpoint.host() == earlier.endpoint.host() && account.endpoint.port() == earlier.endpoint.port();
    if !same_place {
        return;
    }
    for domain in &account.domains {
        if earlier.domains.iter().any(|other| other.eq_ignore_ascii_case(domain)) {
            let wrong = format!("{domain}: also in {other}.domains, its sessions would be counted twice");
            contradiction(format!("{key}.domains"), wrong, "every domain in one account");
        }
    }
    let all_domains = account.domains.is_empty() || earlier.domains.is_empty();
    if all_domains && account.credentials.secret_id() == earlier.credentials.secret_id() {
        let wrong = format!("asks with the secret_id of {other}, and one of them asks for all domains");
        contradiction(format!("{key}.domains"), wrong, "domains in both that differ, or one account");
    }
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
