//! An examination of one account: what works, what does not, and what to do about it, in checks of one line each. Nothing
//! is written, so it may be made beside an exporter that runs.
//!
//! What evidence means is decided by functions without I/O: [`access`] for the first question, [`window`], [`delay`] and
//! [`rows`] for what rows tell, [`state()`] for the folder. Only [`asking`] asks. It asks seldom: what could be learned
//! better by more questions is learned less well and said so.
//!
//! A check that rests on another which has failed is skipped and says so: one mistake is one failure.

mod access;
mod asking;
mod check;
mod delay;
mod policy;
mod rows;
mod state;
mod window;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

pub use self::access::{KeyFound, Way};
use self::asking::Asker;
pub use self::check::{Check, Status};
use self::delay::Witness;
pub use self::policy::Policy;
use self::rows::Rows;
pub use self::state::{in_memory as state_in_memory, state};
use super::keeper::chain;
use super::{Pace, SurveyProgress};
use crate::clock::{Clock, UnixSeconds};
use crate::ledger::{LedgerError, LedgerView};
use crate::listing::Filter;
use crate::live::{
    ApiError, CallError, CredentialsError, DESCRIBE_DOMAINS, DESCRIBE_EVENTS, DESCRIBE_ONLINE, EventSource,
};
use crate::reason::Classifier;
use crate::session::{Name, PushSession};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Most records of the ledger that are looked at.
const MOST_RECORDS: usize = 20_000;

/// What comes after the API's first answer, in the order of the checks.
const OF_DOMAINS: [&str; 2] = ["permission_domains", "domains"];
const ONLINE: &str = "permission_online";
const OF_ROWS: [&str; 5] = ["rows", "window", "publication_delay", "apps", "reasons"];

/// What an examination is made of.
pub struct ExaminationOptions<S> {
    /// The API.
    pub source: S,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The keys that were found, or why there are none.
    pub key: Result<KeyFound, CredentialsError>,
    /// Where the API is.
    pub way: Way,
    /// What the key has to be allowed.
    pub policy: Policy,
    /// What an exporter asks for, one by one.
    pub scopes: Vec<Filter>,
    /// The push domains of the configuration.
    pub domains: Vec<Name>,
    /// The apps of the configuration.
    pub apps: BTreeSet<Name>,
    /// Whether an exporter lists the push domains.
    pub discover_domains: bool,
    /// Whether an exporter counts the streams that are pushed.
    pub streams_online: bool,
    /// How often and how far back an exporter asks.
    pub pace: Pace,
    /// The taxonomy.
    pub classifier: Classifier,
    /// What the ledger knows; nothing where there is none.
    pub ledger: LedgerNotes,
    /// How long to watch for rows; not at all if zero.
    pub watch: Duration,
    /// Told before each question.
    pub told: Box<dyn Fn(SurveyProgress) + Send + Sync>,
}

/// What a ledger knows that an examination is interested in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerNotes {
    /// Seconds from the end of a session to when an exporter first saw it, of those that ended while it ran.
    pub delays: Vec<i64>,
    /// Apps that it has records of.
    pub apps: BTreeSet<Name>,
}

impl LedgerNotes {
    /// What `view` knows of `account`, out of its newest records.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn read(view: &LedgerView, account: &str) -> Result<Self, LedgerError> {
        let mut notes = Self::default();
        let Some(books) = view.books()?.accounts.remove(account) else { return Ok(notes) };
        let mut left = MOST_RECORDS;
        view.records(Some(account), UnixSeconds::MIN, |record| {
            // What had ended before the exporter first asked tells when it was started, and not when it was published.
            if record.session.end >= books.first_start {
                notes.delays.push((record.first_seen - record.session.end).max(0));
            }
            notes.apps.insert(record.session.app);
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(notes)
    }
}

/// Examines one account; the checks in their order.
pub async fn examine<S: EventSource>(options: ExaminationOptions<S>) -> Vec<Check> {
    let now = options.clock.now();
    let mut checks = vec![access::credentials(options.key.as_ref(), now)];
    if options.key.is_err() {
        let after = ["reachability", "tls", "clock", "key", "permission_events", "service"];
        let after = after.iter().chain(&OF_DOMAINS).chain([&ONLINE]).chain(&OF_ROWS);
        checks.extend(skipped(after, "credentials"));
        return checks;
    }
    let scope = options.scopes.first().cloned().unwrap_or_default();
    let mut asker = Asker::new(&options);
    let started = options.clock.elapsed();
    let first = asker.first(&scope).await;
    let took = options.clock.elapsed().saturating_sub(started);
    let mut of_access = access::access(first.as_ref().err(), took, &options.way, &options.policy);
    // With what has to be right before any signature is.
    of_access.insert(2, access::clock(asker.skew()));
    let failed = of_access.iter().find(|check| check.status == Status::Failure && check.name != "clock");
    let failed = failed.map(|check| check.name);
    checks.extend(of_access);
    let is_denied = matches!(&first, Err(CallError::Api(error)) if error.kind() == "permission");
    match failed {
        Some(failed) if !is_denied => checks.extend(skipped(OF_DOMAINS.iter().chain([&ONLINE]), failed)),
        _ => {
            checks.extend(domains(&options).await);
            checks.push(online(&options, &scope).await);
        }
    }
    match failed {
        Some(failed) => checks.extend(skipped(OF_ROWS.iter(), failed)),
        None => checks.extend(of_rows(&options, &mut asker).await),
    }
    checks
}

fn skipped<'a>(names: impl Iterator<Item = &'a &'static str>, failed: &str) -> impl Iterator<Item = Check> {
    names.map(move |name| Check::skipped(name, format!("after {failed}")))
}

/// Whether the push domains may be listed, and what they are.
async fn domains<S: EventSource>(options: &ExaminationOptions<S>) -> [Check; 2] {
    let [permission, domains] = OF_DOMAINS;
    if !options.discover_domains {
        return OF_DOMAINS.map(|name| Check::skipped(name, "discover_domains is off"));
    }
    match options.source.push_domains().await {
        Ok(found) => {
            let allowed = Check::ok(permission, format!("live:{DESCRIBE_DOMAINS} is allowed"));
            [allowed, rows::domains(&found, &options.domains)]
        }
        Err(CallError::Api(error)) if error.kind() == "permission" => {
            let denied = dispensable(permission, DESCRIBE_DOMAINS, &error, &options.policy, "discover_domains");
            [denied, Check::skipped(domains, format!("after {permission}"))]
        }
        Err(error) => {
            let failed =
                Check::warning(permission, chain(&error), "ask again; counters of domains without disconnects lack");
            [failed, Check::skipped(domains, format!("after {permission}"))]
        }
    }
}

/// Whether the streams that are pushed now may be counted.
async fn online<S: EventSource>(options: &ExaminationOptions<S>, scope: &Filter) -> Check {
    if !options.streams_online {
        return Check::skipped(ONLINE, "streams_online is off");
    }
    match options.source.streams_online(scope).await {
        Ok(found) => {
            let streams = check::counted(found.values().sum::<u64>(), "stream");
            Check::ok(ONLINE, format!("live:{DESCRIBE_ONLINE} is allowed; {streams} online"))
        }
        Err(CallError::Api(error)) if error.kind() == "permission" => {
            dispensable(ONLINE, DESCRIBE_ONLINE, &error, &options.policy, "streams_online")
        }
        Err(error) => Check::warning(ONLINE, chain(&error), "ask again; tencent_live_streams_online is not up to date"),
    }
}

/// A permission that is missing, for what can be switched off.
fn dispensable(name: &'static str, action: &'static str, error: &ApiError, policy: &Policy, key: &str) -> Check {
    let denied = access::permission(name, action, error, policy, Check::warning);
    Check { advice: format!("{}; or set {key}: false", denied.advice), ..denied }
}

/// What rows tell.
async fn of_rows<S: EventSource>(options: &ExaminationOptions<S>, asker: &mut Asker<'_, S>) -> Vec<Check> {
    let [name, rest @ ..] = OF_ROWS;
    let found = match rows_of_the_last_day(options, asker).await {
        Ok(found) => found,
        Err(error) => {
            let advice = match &error {
                CallError::Api(error) if error.is_unauthorized() => format!(
                    "the key's policy does not cover every domain; add to it: {}",
                    options.policy.statement(DESCRIBE_EVENTS)
                ),
                _ => "ask again".to_owned(),
            };
            let failed = Check::failure(name, chain(&error), advice);
            return std::iter::once(failed).chain(skipped(rest.iter(), name)).collect();
        }
    };
    let number = rows::number(&found.hour, found.day.as_ref(), found.asked, options.scopes.len());
    let sessions: Vec<PushSession> =
        found.day.iter().chain([&found.hour]).flat_map(|rows| &rows.finished).cloned().collect();
    let longest = sessions.iter().map(|session| session.end.saturating_sub(session.start)).max().unwrap_or(0);
    let window = match asker.window(&sessions).await {
        Ok((shown, ends)) => window::judge(&shown, ends, longest, options.pace.sweep_lookback),
        Err(error) => unasked("window", &error),
    };
    let apps = match asker.apps(&sessions).await {
        Ok(tried) => tried,
        Err(error) => unasked("apps", &error),
    };
    let (delays, witness) = if options.watch.is_zero() {
        (Ok(options.ledger.delays.clone()), Witness::Ledger(options.pace.interval))
    } else {
        (asker.watch(&found.busiest).await, Witness::Watched(asking::pause(options.watch)))
    };
    let delay = match delays {
        Ok(delays) => delay::judge(delays, witness, options.pace.overlap),
        Err(error) => unasked("publication_delay", &error),
    };
    // The day holds the hour's once more.
    let latest = found.day.as_ref().filter(|_| found.hour.finished.is_empty()).unwrap_or(&found.hour);
    vec![number, window, delay, apps, rows::reasons(&latest.finished, &options.classifier)]
}

fn unasked(name: &'static str, error: &CallError) -> Check {
    Check::unknown(name, format!("a question about it has failed: {}", chain(error)), "ask again")
}

/// Rows of an account.
struct Found {
    hour: Rows,
    /// Asked for where the hour does not tell enough.
    day: Option<Rows>,
    /// How many of the scopes were asked.
    asked: usize,
    /// The scope that has most rows.
    busiest: Filter,
}

async fn rows_of_the_last_day<S: EventSource>(
    options: &ExaminationOptions<S>,
    asker: &mut Asker<'_, S>,
) -> Result<Found, CallError> {
    let now: UnixSeconds = asker.now();
    let (hour, asked, busiest) = asker.rows(&options.scopes, HOUR, asking::HOUR_PAGES).await?;
    if !window::telling(&hour.finished, now).is_empty() {
        return Ok(Found { hour, day: None, asked, busiest });
    }
    let (day, _, of_day) = asker.rows(&options.scopes, DAY, asking::DAY_PAGES).await?;
    let busiest = if hour.total == 0 { of_day } else { busiest };
    Ok(Found { hour, day: Some(day), asked, busiest })
}
