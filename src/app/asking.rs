//! The API, asked by people: what it shows of a range of time, and whether the ledger has counted that.

use std::path::PathBuf;
use std::sync::Arc;

use super::{AppError, call_logged, client_ip, client_observed_by, pace};
use crate::clock::{Clock, SystemClock};
use crate::ledger::LedgerView;
use crate::listing::{Filter, Window};
use crate::live::{CallReport, Client};
use crate::poller::{
    self, PassError, Sightings, Survey, SurveyOptions, SurveyProgress, Verification, VerificationOptions,
};
use crate::reason::Classifier;
use crate::session::{IdentityKey, Name, PushSession};
use crate::settings::{Account, Settings};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The accounts, each of the settings.
    pub accounts: Vec<String>,
    /// When the sessions ended.
    pub range: Window,
    /// The push domain; none for those that the account is asked for.
    pub domain: Option<Name>,
    /// The push path; none for those that the account is asked for.
    pub app: Option<Name>,
    /// The stream; none for all.
    pub stream: Option<Name>,
}

/// What the API shows of an account.
#[derive(Debug)]
pub struct AskedEvents {
    /// The account.
    pub account: String,
    /// Newest first; addresses as far as the settings keep them.
    pub sessions: Vec<PushSession>,
    /// Rows that cannot be read: the field that is unusable, and the start of the row.
    pub broken: Vec<(&'static str, String)>,
    /// Windows of which the API did not show every row.
    pub incomplete_listings: u64,
}

/// Told how far the questions to an account have come.
pub type Told = Arc<dyn Fn(&str, SurveyProgress) + Send + Sync>;

/// What the API shows of each account, or why it does not. The ledger is neither needed nor touched.
///
/// # Errors
/// When a client cannot be made.
pub async fn events(
    settings: &Settings,
    asked: &Asked,
    told: &Told,
) -> Result<Vec<Result<AskedEvents, AppError>>, AppError> {
    let mut all = Vec::new();
    for account in accounts(settings, asked) {
        let mut survey = survey(account, settings, told)?;
        let key = IdentityKey::new(fastrand::u128(..).to_ne_bytes());
        let mut sightings = Sightings::new(asked.range, key);
        let mut done = Ok(());
        for scope in scopes(account, asked) {
            done = survey.list(&scope, asked.range, &mut sightings).await;
            if done.is_err() {
                break;
            }
        }
        let keep = client_ip(settings);
        let kept = |session: PushSession| PushSession { client_ip: keep.keep(session.client_ip.clone()), ..session };
        all.push(match done {
            Ok(()) => Ok(AskedEvents {
                account: account.name.clone(),
                broken: sightings.broken().cloned().collect(),
                incomplete_listings: survey.incomplete_listings(),
                sessions: sightings.newest_first().into_iter().map(kept).collect(),
            }),
            Err(error) => Err(AppError::Poll { account: account.name.clone(), source: PassError::Call(error) }),
        });
    }
    Ok(all)
}

/// Holds what the API shows of each account against the ledger in `folder`, which may be in use.
///
/// # Errors
/// When a client cannot be made.
pub async fn verify(
    settings: &Settings,
    folder: &std::path::Path,
    asked: &Asked,
    told: &Told,
) -> Result<Vec<(String, Result<Verification, AppError>)>, AppError> {
    let mut all = Vec::new();
    for account in accounts(settings, asked) {
        let (name, look_in, in_use): (_, PathBuf, PathBuf) = (account.name.clone(), folder.into(), folder.into());
        let options = VerificationOptions {
            account: account.name.clone(),
            survey: survey(account, settings, told)?,
            scopes: scopes(account, asked),
            pace: pace(settings),
            classifier: Classifier::new(&settings.reasons),
            look: Box::new(move |since| LedgerView::open(&look_in)?.account(&name, since)),
            is_in_use: Box::new(move || LedgerView::is_in_use(&in_use)),
        };
        let failed = |source| AppError::Verification { account: account.name.clone(), source };
        all.push((account.name.clone(), poller::verify(options, asked.range).await.map_err(failed)));
    }
    Ok(all)
}

fn accounts<'a>(settings: &'a Settings, asked: &Asked) -> impl Iterator<Item = &'a Account> {
    settings.accounts.iter().filter(|account| asked.accounts.contains(&account.name))
}

fn survey(account: &Account, settings: &Settings, told: &Told) -> Result<Survey<Client>, AppError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let logged = account.name.clone();
    let observer = Arc::new(move |call: &CallReport| call_logged(&logged, call));
    let source = client_observed_by(observer, account, settings, &clock, None)?;
    let (told, name) = (Arc::clone(told), account.name.clone());
    let told = Box::new(move |progress| told(&name, progress));
    Ok(Survey::new(SurveyOptions { source, clock, lookback: settings.poll.sweep_lookback, told }))
}

/// Every domain with every app that is asked for.
fn scopes(account: &Account, asked: &Asked) -> Vec<Filter> {
    let names = |one: &Option<Name>, configured: &[String]| match one {
        Some(name) => vec![name.clone()],
        None => configured.iter().map(|name| Name::from(name.as_str())).collect(),
    };
    let scopes = poller::scopes(&names(&asked.domain, &account.domains), &names(&asked.app, &account.apps));
    scopes.into_iter().map(|scope| Filter { stream: asked.stream.clone(), ..scope }).collect()
}
