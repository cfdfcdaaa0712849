//! A poll of one scope: from a little behind the watermark to now.

use tracing::{error, info};

use super::{AccountLoop, PassError, Since, bounds, seconds};
use crate::clock::UnixSeconds;
use crate::listing::{Filter, Kind, Pass, Window};
use crate::live::EventSource;
use crate::planted::{Bug, planted};

/// A window is listed in chunks, so that a long catch-up keeps what it has.
const CHUNK_SECONDS: i64 = 24 * 3600;

/// A poll under way.
pub(super) struct Poll {
    pass: Pass,
    /// Whether it has further back to look than a regular one.
    catching_up: bool,
}

impl<S: EventSource> AccountLoop<S> {
    /// Takes the poll that was cut short to its end, then makes another up to now.
    pub(super) async fn poll_scope(&mut self, scope: &Filter, since: Since, now: UnixSeconds) -> Result<(), PassError> {
        if let Some(poll) = self.cut_short.remove(scope) {
            self.run_poll(scope, poll).await?;
        }
        let poll = self.next_poll(scope, since, now)?;
        self.run_poll(scope, poll).await
    }

    /// A pass may need more answers than a bad network gives in a row, so a failure is no reason to begin again. One
    /// that gets nowhere is given up: another may ask better questions.
    async fn run_poll(&mut self, scope: &Filter, mut poll: Poll) -> Result<(), PassError> {
        let before = poll.pass.answers();
        let (outcome, counted) = self.run_pass(Kind::Poll, scope, &mut poll.pass, None).await;
        if poll.catching_up {
            self.options.metrics.catchup(&self.options.name, counted);
        }
        if matches!(outcome, Err(PassError::Call(_))) && poll.pass.answers() > before {
            self.cut_short.insert(scope.clone(), poll);
        }
        outcome.map(drop)
    }

    fn next_poll(&self, scope: &Filter, since: Since, now: UnixSeconds) -> Result<Poll, PassError> {
        let pace = self.options.pace;
        let bounds = bounds(since, now);
        let books = self.books.as_ref();
        let watermark = books.and_then(|books| books.scopes.get(scope)?.watermark);
        // A scope that is new to an account goes on from where the account is; in the first life, all begin as one.
        let others = books.filter(|books| books.published);
        let others = others.and_then(|books| books.scopes.values().filter_map(|scope| scope.watermark).min());
        let overlap = if planted(Bug::NoOverlap) { 0 } else { seconds(pace.overlap) };
        let from = watermark.or(others).map_or(since.counting_since, |at| at - overlap);
        let wanted = from.min(now - overlap).max(since.floor);
        let from = wanted.max(bounds.floor);
        if from > wanted {
            let gap = Window { start: wanted, end: from };
            error!(account = self.options.name, %gap, "the API no longer knows these records, they are never counted");
        }
        if from > now {
            return Err(PassError::Clock { ours: self.options.clock.now() });
        }
        let chunks = (from..=now).step_by(usize::try_from(CHUNK_SECONDS).unwrap_or(usize::MAX));
        let windows = chunks.map(|start| Window { start, end: (start + CHUNK_SECONDS - 1).min(now) });
        let pass = Pass::poll(scope.clone(), windows, bounds);
        let catching_up = now - from > seconds(pace.overlap + pace.interval * 3);
        if catching_up {
            info!(account = self.options.name, window = %Window { start: from, end: now }, "catching up");
        }
        Ok(Poll { pass, catching_up })
    }
}
