//! A listing for people: what the API shows of a range of time. Nothing is written, so it may be made beside an exporter
//! that runs.
//!
//! It asks as polls do, with the same passes, so that it is as exact. What a poll leaves to sweeps it does by itself: the
//! API's documents do not say which time of a session a window is held against. Where it is the start, sessions
//! that began before the range and ended in it are looked for further back. Which it is shows in the rows, or in the
//! answer to one question around the end of a session that lasted.

mod sightings;

use std::sync::Arc;
use std::time::Duration;

pub use self::sightings::Sightings;
use super::account::{any_question, latest_second, seconds};
use crate::clock::{Clock, UnixSeconds};
use crate::listing::{Bounds, FULL_PAGE, Filter, Page, Pass, Progress, Query, Row, Slices, Tally, Unsettled, Window};
use crate::live::{CallError, EventSource};
use crate::session::PushSession;

/// How far back the API answers (60 days in the older editions of page 267/33186).
pub const API_REMEMBERS: Duration = Duration::from_secs(60 * 24 * 3600);

/// What is asked for at a time; a question may span 30 days at most, the second on either side included.
const CHUNK_SECONDS: i64 = 29 * 24 * 3600;

/// What begins to be forgotten while it is asked for is not asked for.
const SPARE_SECONDS: i64 = 60;

/// How often in a row a question may fail, each time after all attempts of the client.
const MOST_FAILURES: u32 = 3;

/// Sessions so long tell by which of their times they are listed.
const TELLING_SECONDS: i64 = 10;

/// Rows may begin so long before their window in answers of an API that lists by starts: the official sample has one.
const SLACK_SECONDS: i64 = 600;

/// What a survey is made of.
pub struct SurveyOptions<S> {
    /// The API.
    pub source: S,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How long before the range a session may have begun to be found where the API lists by starts.
    pub lookback: Duration,
    /// Told before each question.
    pub told: Box<dyn Fn(SurveyProgress) + Send + Sync>,
}

/// How far a survey has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SurveyProgress {
    /// Questions asked.
    pub requests: u64,
    /// Sessions seen.
    pub sessions: u64,
    /// Everything up to here has been listed.
    pub reached: Option<UnixSeconds>,
}

/// Listings of one account.
pub struct Survey<S> {
    options: SurveyOptions<S>,
    progress: SurveyProgress,
    tally: Tally,
    /// Whether the API holds windows against starts alone, once that is known.
    by_start: Option<bool>,
}

impl<S: EventSource> Survey<S> {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(options: SurveyOptions<S>) -> Self {
        Self { options, progress: SurveyProgress::default(), tally: Tally::default(), by_start: None }
    }

    /// The latest second that is over for both clocks, ours and the API's.
    ///
    /// # Errors
    /// When the API's has yet to be learned, and is not told.
    pub async fn now(&mut self, scope: &Filter) -> Result<UnixSeconds, CallError> {
        if self.options.source.api_time().is_none() {
            let asked = self.ask(&any_question(scope.clone(), self.options.clock.now()), 0).await;
            if self.options.source.api_time().is_none() {
                asked?;
            }
        }
        Ok(latest_second(&*self.options.clock, &self.options.source))
    }

    /// Lists what `scope` has of the sessions that ended in `range`, as far as the API remembers.
    ///
    /// # Errors
    /// When the API does not answer, or refuses; what was seen until then is not all.
    pub async fn list(&mut self, scope: &Filter, range: Window, sightings: &mut Sightings) -> Result<(), CallError> {
        let bounds = self.bounds(scope).await?;
        let range = Window { start: range.start.max(bounds.floor), end: range.end.min(bounds.now) };
        self.run(Pass::poll(scope.clone(), chunks(range), bounds), sightings).await?;
        let earlier = Window {
            start: range.start.saturating_sub(seconds(self.options.lookback)).max(bounds.floor),
            end: range.start - 1,
        };
        if earlier.start <= earlier.end && self.lists_by_start(scope, earlier, range, sightings).await? {
            self.run(Pass::poll(scope.clone(), chunks(earlier), bounds), sightings).await?;
        }
        Ok(())
    }

    /// Looks at each of these groups as a whole, as passes confirm them.
    ///
    /// # Errors
    /// When the API does not answer, or refuses.
    pub async fn look_at(&mut self, groups: Vec<Unsettled>, sightings: &mut Sightings) -> Result<(), CallError> {
        let bounds = self.bounds(&Filter::default()).await?;
        let mut pass = Pass::poll(Filter::default(), [], bounds);
        pass.confirm(groups, Progress::default());
        // A group that is not there leaves its confirmation open; that says nothing about a listing.
        let tally = self.tally;
        let done = self.run(pass, sightings).await;
        self.tally = tally;
        done
    }

    /// Windows of which the API did not show every row.
    #[must_use]
    pub fn incomplete_listings(&self) -> u64 {
        self.tally.incomplete_listings
    }

    async fn bounds(&mut self, scope: &Filter) -> Result<Bounds, CallError> {
        let now = self.now(scope).await?;
        Ok(Bounds { floor: now - seconds(API_REMEMBERS) + SPARE_SECONDS, now })
    }

    async fn run(&mut self, mut pass: Pass, sightings: &mut Sightings) -> Result<(), CallError> {
        static NONE: Slices = Slices::new();
        while let Some(query) = pass.next(&NONE) {
            let page = match self.ask(&query, sightings.sessions()).await {
                // More than the API, or this program, takes in one answer.
                Err(error) if error.kind() == "parameter" && pass.refused() => continue,
                Err(CallError::TooLarge { .. }) if pass.refused() => continue,
                page => page?,
            };
            self.learn_from(&query, &page);
            let mut reading = pass.answer(page, &NONE);
            self.progress.reached = reading.progress.reached.or(self.progress.reached);
            let unsettled = sightings.take(&mut reading);
            if !unsettled.is_empty() {
                pass.confirm(unsettled, reading.progress);
            }
        }
        self.tally.incomplete_listings += pass.tally().incomplete_listings;
        Ok(())
    }

    /// Asks with more patience than a client has: a long listing should not end with one bad minute.
    async fn ask(&mut self, query: &Query, sessions: u64) -> Result<Page, CallError> {
        let mut failures = 0;
        loop {
            (self.options.told)(SurveyProgress { sessions, ..self.progress });
            self.progress.requests += 1;
            match self.options.source.events(query).await {
                Err(error) if error.is_retryable() && failures + 1 < MOST_FAILURES => failures += 1,
                answer => return answer,
            }
        }
    }

    /// A row that began long before its window is not listed by its start.
    fn learn_from(&mut self, query: &Query, page: &Page) {
        let began_before = |row: &Row| match row {
            Row::Finished(session) => session.start < query.window.start - SLACK_SECONDS,
            Row::Unfinished | Row::Broken(_) => false,
        };
        if page.rows.iter().any(began_before) {
            self.by_start = Some(false);
        }
    }

    /// Whether sessions that ended in `range` may be listed only `earlier`, when they began. In doubt they may.
    async fn lists_by_start(
        &mut self,
        scope: &Filter,
        earlier: Window,
        range: Window,
        sightings: &Sightings,
    ) -> Result<bool, CallError> {
        if let Some(by_start) = self.by_start {
            return Ok(by_start);
        }
        let mut telling = sightings.longest().filter(|session| tells(session)).cloned();
        if telling.is_none() {
            let end = range.end.min(earlier.start + CHUNK_SECONDS);
            let window = Window { start: earlier.start, end };
            let query = Query { window, filter: scope.clone(), page: 1, page_size: FULL_PAGE };
            let page = self.ask(&query, sightings.sessions()).await?;
            self.learn_from(&query, &page);
            if page.total == Some(0) {
                return Ok(false);
            }
            telling = finished(page).filter(tells).max_by_key(|session| session.end - session.start);
        }
        let Some(session) = telling else { return Ok(true) };
        let by_start = !self.is_shown_by_its_end(&session, sightings.sessions()).await?;
        Ok(*self.by_start.get_or_insert(by_start))
    }

    /// Whether the API shows a session to those who ask for what its end is in, and not its start.
    async fn is_shown_by_its_end(&mut self, session: &PushSession, sessions: u64) -> Result<bool, CallError> {
        let filter = Filter {
            domain: Some(session.domain.clone()),
            app: Some(session.app.clone()),
            stream: Some(session.stream.clone()),
        };
        let now = latest_second(&*self.options.clock, &self.options.source);
        let window = Window { start: session.end - 1, end: (session.end + 1).min(now).max(session.end - 1) };
        match self.ask(&Query { window, filter, page: 1, page_size: FULL_PAGE }, sessions).await {
            Ok(page) => Ok(finished(page).any(|other| other.end == session.end && other.group() == session.group())),
            // It may not take back the names that it has sent.
            Err(error) if error.kind() == "parameter" => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn finished(page: Page) -> impl Iterator<Item = PushSession> {
    page.rows.into_iter().filter_map(|row| match row {
        Row::Finished(session) => Some(session),
        Row::Unfinished | Row::Broken(_) => None,
    })
}

fn tells(session: &PushSession) -> bool {
    session.end.saturating_sub(session.start) >= TELLING_SECONDS
}

fn chunks(range: Window) -> Vec<Window> {
    let mut chunks = Vec::new();
    let mut start = range.start;
    while start <= range.end {
        let end = (start + CHUNK_SECONDS - 1).min(range.end);
        chunks.push(Window { start, end });
        start = end + 1;
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_asked_for_in_windows_that_the_api_answers() {
        let day = 24 * 3600;
        for days in [0, 1, 29, 30, 59, 60] {
            let range = Window { start: 5, end: 5 + days * day };
            let chunks = chunks(range);
            assert_eq!((chunks[0].start, chunks[chunks.len() - 1].end), (range.start, range.end));
            assert!(chunks.iter().all(|chunk| chunk.end - chunk.start + 2 <= 30 * day), "{days}");
            assert!(chunks.windows(2).all(|pair| pair[0].end + 1 == pair[1].start), "{days}");
        }
        assert_eq!(chunks(Window { start: 6, end: 5 }), []);
    }
}
