//! Whether the ledger has counted what the API shows: a survey, held against the books row by row. Nothing is written, so it
//! may be made beside an exporter that runs on them.
//!
//! Both sides move while they are looked at, so whatever differs is looked at again before it is told: at the API by
//! itself, group by group, and in the books for as long as a running exporter may take to count it.

mod comparison;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

pub use self::comparison::{Comparison, Difference, DifferenceKind};
use self::comparison::{Terms, compare};
use super::account::seconds;
use super::{Pace, Sightings, Survey};
use crate::clock::UnixSeconds;
use crate::ledger::{AccountView, LedgerError};
use crate::listing::{Filter, SHORTEST_SLICE_SECONDS, Unsettled, Window};
use crate::live::{CallError, EventSource};
use crate::reason::Classifier;

/// Most groups that are looked at in one pass.
const GROUPS_AT_A_TIME: usize = 1_000;

/// The first pause between two looks into the books; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// How much longer than it should a running exporter may take.
const GRACE: Duration = Duration::from_secs(10);

/// A look into the books; none for an account that was never polled.
pub type Look = Box<dyn Fn(UnixSeconds) -> Result<Option<AccountView>, LedgerError>>;

/// What a verification is made of.
pub struct VerificationOptions<S> {
    /// The account.
    pub account: String,
    /// Who asks the API.
    pub survey: Survey<S>,
    /// What an exporter asks for.
    pub scopes: Vec<Filter>,
    /// How often and how far back an exporter asks.
    pub pace: Pace,
    /// The taxonomy.
    pub classifier: Classifier,
    /// Looks into the books.
    pub look: Look,
    /// Whether an exporter writes them.
    pub is_in_use: Box<dyn Fn() -> bool>,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum VerificationError {
    /// The API did not answer, or refused.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The books cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is nothing to compare with.
    #[error("the ledger has not listed it yet; start the exporter, or name the account as it is in the ledger")]
    NeverListed,
}

/// What a verification has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Ends that were asked for.
    pub asked: Window,
    /// Ends that were compared; none where its end lies before its start.
    pub compared: Window,
    /// What came of it.
    pub comparison: Comparison,
    /// Rows of the API that ended after what is compared: the ledger may not have them yet.
    pub fresh: u64,
    /// Rows of the API that ended before what is compared.
    pub earlier: u64,
    /// Rows of the API that cannot be read.
    pub broken: u64,
    /// Windows of which the API did not show every row.
    pub incomplete_listings: u64,
    /// Up to here the ledger has listed everything.
    pub watermark: UnixSeconds,
    /// What ended before this the ledger has forgotten.
    pub floor: UnixSeconds,
    /// What ended before this was never counted.
    pub counting_since: UnixSeconds,
}

/// Asks the API for the sessions that ended in `range`, and compares.
///
/// # Errors
/// When nothing can be said.
pub async fn verify<S: EventSource>(
    mut options: VerificationOptions<S>,
    range: Window,
) -> Result<Verification, VerificationError> {
    let look = |since| (options.look)(since)?.ok_or(VerificationError::NeverListed);
    // Facts are made with its key.
    let first = look(UnixSeconds::MAX)?;
    let mut sightings = Sightings::new(Window { start: UnixSeconds::MIN, end: UnixSeconds::MAX }, first.key);
    let scope = options.scopes.first().cloned().unwrap_or_default();
    let now = options.survey.now(&scope).await?;
    let asked = Window { start: range.start, end: range.end.min(now) };
    for scope in &options.scopes {
        options.survey.list(scope, asked, &mut sightings).await?;
    }
    let incomplete_listings = options.survey.incomplete_listings();
    let deadline = Instant::now() + options.pace.sweep_interval + options.pace.interval + GRACE;
    let (mut looked_at, mut pause, mut until) = (BTreeSet::new(), FIRST_PAUSE, None);
    loop {
        let view = look(asked.start)?;
        let watermark = watermark(&view, &options.scopes).ok_or(VerificationError::NeverListed)?;
        let settled = settled_until(watermark.min(now), options.pace);
        let compared = Window {
            start: asked.start.max(view.books.floor).max(view.books.counting_since),
            end: asked.end.min(*until.get_or_insert(settled)),
        };
        let terms = Terms {
            account: &options.account,
            scopes: &options.scopes,
            range: compared,
            classifier: &options.classifier,
        };
        let mut comparison = compare(&sightings, &view, &terms);
        let mut suspects: Vec<Unsettled> = std::mem::take(&mut comparison.suspects);
        suspects.retain(|suspect| looked_at.insert(suspect.group.clone()));
        if !suspects.is_empty() {
            for suspects in suspects.chunks(GROUPS_AT_A_TIME) {
                options.survey.look_at(suspects.to_vec(), &mut sightings).await?;
            }
            continue;
        }
        let waits = comparison.differences.iter().any(Difference::may_be_counted_yet) && (options.is_in_use)();
        if waits && Instant::now() < deadline {
            tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
            pause *= 2;
            continue;
        }
        let (mut fresh, mut earlier) = (0, 0);
        for (fact, _) in sightings.groups().flat_map(|group| sightings.of(group)) {
            fresh += u64::from(asked.contains(fact.end) && fact.end > compared.end);
            earlier += u64::from(asked.contains(fact.end) && fact.end < compared.start.min(compared.end + 1));
        }
        let broken = sightings.broken().len() as u64;
        return Ok(Verification {
            asked,
            compared,
            comparison,
            fresh,
            earlier,
            broken,
            incomplete_listings,
            watermark,
            floor: view.books.floor,
            counting_since: view.books.counting_since,
        });
    }
}

/// The latest end that everything is known of: what the API lists by its start a sweep finds with the slice that it began
/// in, and no sooner.
fn settled_until(watermark: UnixSeconds, pace: Pace) -> UnixSeconds {
    watermark - seconds(pace.sweep_interval) - seconds(pace.overlap) - SHORTEST_SLICE_SECONDS
}

/// The earliest watermark of what is asked for.
fn watermark(view: &AccountView, scopes: &[Filter]) -> Option<UnixSeconds> {
    scopes.iter().map(|scope| view.books.scopes.get(scope).and_then(|scope| scope.watermark)).min().flatten()
}
