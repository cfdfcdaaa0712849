//! An examination of what an exporter would work with: wired as an exporter is, and looked at.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{AppError, Told, call_logged, client_signing_with, credentials, pace};
use crate::clock::{Clock, SystemClock, UnixSeconds};
use crate::ledger::{FolderLook, LedgerView};
use crate::live::{
    CallReport, CredentialsError, DESCRIBE_DOMAINS, DESCRIBE_EVENTS, DESCRIBE_ONLINE, KeyNews, KeyObserver, Provider,
};
use crate::poller::{self, Check, ExaminationOptions, KeyFound, LedgerNotes, Policy, Way};
use crate::reason::Classifier;
use crate::session::Name;
use crate::settings::{Account, CredentialSource, Settings, StatePath};

/// Most attempts at one request: who looks on would rather know than wait.
const ATTEMPTS: u32 = 2;

/// What is to be examined.
#[derive(Debug, Clone)]
pub struct AskedExamination {
    /// The accounts, each of the settings.
    pub accounts: Vec<String>,
    /// How long to watch each for rows; not at all if zero.
    pub watch: Duration,
    /// `SecretId` of the environment, if there is one.
    pub environment_id: Option<String>,
}

/// What was found of an account.
#[derive(Debug)]
pub struct Examined {
    /// The account.
    pub account: String,
    /// The checks in their order.
    pub checks: Vec<Check>,
    /// How many requests were made to the API.
    pub requests: u64,
    /// What its key has to be allowed.
    pub policy: Policy,
}

/// What is told of the keys while they are looked for.
#[derive(Debug, Default)]
struct KeyNotes {
    source: Option<&'static str>,
    expires: Option<UnixSeconds>,
}

/// Examines the accounts, one after the other.
///
/// # Errors
/// When a client cannot be made.
pub async fn examine(settings: &Settings, asked: &AskedExamination, told: &Told) -> Result<Vec<Examined>, AppError> {
    let mut all = Vec::new();
    for account in settings.accounts.iter().filter(|account| asked.accounts.contains(&account.name)) {
        all.push(examine_account(account, settings, asked, told).await?);
    }
    Ok(all)
}

/// Looks at the state folder.
#[must_use]
pub fn examine_state(settings: &Settings) -> Check {
    match &settings.state.path {
        StatePath::Memory => poller::state_in_memory(),
        StatePath::Folder(folder) => poller::state(folder, &FolderLook::at(folder)),
    }
}

async fn examine_account(
    account: &Account,
    settings: &Settings,
    asked: &AskedExamination,
    told: &Told,
) -> Result<Examined, AppError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let notes = Arc::new(Mutex::new(KeyNotes::default()));
    let failed = |source| AppError::Client { account: account.name.clone(), source };
    let provider = credentials::provider(account, &clock, None, Some(&taking(&notes))).map_err(failed)?;
    let key = key(&provider, &notes, account, asked).await;
    let (requests, name) = (Arc::new(AtomicU64::new(0)), account.name.clone());
    let counted = Arc::clone(&requests);
    let observer = Arc::new(move |call: &CallReport| {
        counted.fetch_add(1, Ordering::Relaxed);
        call_logged(&name, call);
    });
    let source = client_signing_with(provider, observer, account, settings, &clock, |options| {
        options.attempts = ATTEMPTS;
    })?;
    let (told, name) = (Arc::clone(told), account.name.clone());
    let names = |names: &[String]| names.iter().map(|name| Name::from(name.as_str())).collect::<Vec<_>>();
    let (domains, apps) = (names(&account.domains), names(&account.apps));
    let policy = policy(account);
    let checks = poller::examine(ExaminationOptions {
        source,
        clock,
        key,
        way: way(account),
        policy: policy.clone(),
        scopes: poller::scopes(&domains, &apps),
        domains,
        apps: apps.into_iter().collect(),
        discover_domains: account.discover_domains,
        streams_online: account.streams_online,
        pace: pace(settings),
        classifier: Classifier::new(&settings.reasons),
        ledger: ledger_notes(settings, &account.name),
        watch: asked.watch,
        told: Box::new(move |progress| told(&name, progress)),
    });
    let checks = checks.await;
    Ok(Examined { account: account.name.clone(), checks, requests: requests.load(Ordering::Relaxed), policy })
}

/// Keeps what is told of the keys.
fn taking(notes: &Arc<Mutex<KeyNotes>>) -> KeyObserver {
    let notes = Arc::clone(notes);
    Arc::new(move |news: &KeyNews<'_>| {
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        match news {
            KeyNews::Renewed { source, expires, .. } => {
                *notes = KeyNotes { source: Some(source), expires: Some(*expires) };
            }
            KeyNews::Found { source, .. } => notes.source = Some(source),
            // Whoever asked for them is told why.
            KeyNews::NotRenewed { .. } => {}
        }
    })
}

/// The keys that there are.
async fn key(
    provider: &Provider,
    notes: &Mutex<KeyNotes>,
    account: &Account,
    asked: &AskedExamination,
) -> Result<KeyFound, CredentialsError> {
    let keys = provider.current().await?;
    let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(KeyFound {
        source: source(&account.credentials, notes.source, asked.environment_id.as_deref()),
        secret_id: keys.secret_id,
        has_token: keys.token.is_some(),
        expires: notes.expires,
    })
}

/// What a source is called. `found` is what a chain has found.
fn source(source: &CredentialSource, found: Option<&'static str>, environment_id: Option<&str>) -> String {
    match source {
        CredentialSource::Static { secret_id, .. } if Some(secret_id.as_str()) == environment_id => {
            "environment (TENCENTCLOUD_SECRET_ID)".to_owned()
        }
        CredentialSource::Static { .. } => "configuration".to_owned(),
        CredentialSource::KeyFile { secret_key_file, .. } => format!("key file {}", secret_key_file.display()),
        CredentialSource::Profile(places) => format!("profile file (profile {})", places.profile),
        CredentialSource::CvmRole { .. } => "CVM role".to_owned(),
        CredentialSource::TkeOidc(identity) => format!("TKE OIDC role {}", identity.role_arn),
        CredentialSource::Chain { .. } => found.unwrap_or("chain").to_owned(),
        CredentialSource::Role { base, role } => {
            format!("role {}, taken on by the {}", role.arn, self::source(base, None, environment_id))
        }
    }
}

fn way(account: &Account) -> Way {
    let proxy = account.proxy.as_ref().map(|proxy| format!(" through the proxy {}", proxy.authority()));
    Way {
        endpoint: format!("{}{}", account.endpoint, proxy.unwrap_or_default()),
        roots: match (account.endpoint.is_plain(), &account.ca_file) {
            (true, _) => None,
            (false, None) => Some("the bundled roots"),
            (false, Some(_)) => Some("the bundled roots or those of ca_file"),
        },
    }
}

/// What an exporter asks an account for.
fn policy(account: &Account) -> Policy {
    let mut actions = vec![DESCRIBE_EVENTS];
    actions.extend(account.streams_online.then_some(DESCRIBE_ONLINE));
    actions.extend(account.discover_domains.then_some(DESCRIBE_DOMAINS));
    Policy { actions, domains: account.domains.clone() }
}

/// What the ledger knows of an account. One that cannot be read is told of where the state folder is looked at.
fn ledger_notes(settings: &Settings, account: &str) -> LedgerNotes {
    let StatePath::Folder(folder) = &settings.state.path else { return LedgerNotes::default() };
    LedgerView::open(folder).and_then(|view| LedgerNotes::read(&view, account)).unwrap_or_default()
}
