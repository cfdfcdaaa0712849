//! The questions of an examination: few, and each by the client of the account, at its pace.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ExaminationOptions;
use super::check::Check;
use super::rows::{AppEvidence, DEFAULT_APP, Rows, apps};
use super::window::{self, Ends, Shown};
use crate::clock::UnixSeconds;
use crate::listing::{FULL_PAGE, Filter, Page, Query, Row, Window};
use crate::live::{CallError, EventSource};
use crate::poller::SurveyProgress;
use crate::poller::account::{any_question, latest_second};
use crate::session::{Name, PushSession};

/// Most pages of the last hour, and of the last day.
pub(super) const HOUR_PAGES: usize = 12;
pub(super) const DAY_PAGES: usize = 4;
/// Most apps that are asked for by their names.
const MOST_APPS: usize = 2;
/// Most looks of a watch; each is one question, or two where there are more rows than one page holds.
const MOST_LOOKS: u32 = 12;
/// The shortest pause between two of them.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// How far back a watch looks, in seconds: what is published later than that it does not see.
const WATCHED_SECONDS: i64 = 600;

/// Two that learn the clock, three windows for each of three sessions and two for the ends of windows, and the rest.
const MOST_QUESTIONS: usize = 2 + HOUR_PAGES + DAY_PAGES + 9 + 2 + 2 * MOST_APPS + 2 * (MOST_LOOKS as usize + 1);
const _: () = assert!(MOST_QUESTIONS <= 60, "an examination asks seldom");

/// The pause between two looks of a watch.
pub(super) fn pause(watch: Duration) -> Duration {
    (watch / MOST_LOOKS).max(SHORTEST_PAUSE)
}

/// Who asks.
pub(super) struct Asker<'a, S> {
    options: &'a ExaminationOptions<S>,
    progress: SurveyProgress,
}

impl<'a, S: EventSource> Asker<'a, S> {
    pub(super) fn new(options: &'a ExaminationOptions<S>) -> Self {
        Self { options, progress: SurveyProgress::default() }
    }

    /// The latest second that is over for both clocks.
    pub(super) fn now(&self) -> UnixSeconds {
        latest_second(&*self.options.clock, &self.options.source)
    }

    /// Seconds by which the API's clock is ahead, once it is known.
    pub(super) fn skew(&self) -> Option<i64> {
        let time = self.options.source.api_time()?;
        Some(time.skew(self.options.clock.now(), self.options.clock.elapsed()))
    }

    /// A question whose answer tells how far questions come.
    pub(super) async fn first(&mut self, scope: &Filter) -> Result<(), CallError> {
        let answer = self.ask(&any_question(scope.clone(), self.options.clock.now())).await;
        match answer {
            // Its window was in the API's future, as it turns out.
            Err(error) if error.kind() == "parameter" && self.options.source.api_time().is_some() => {
                self.ask(&any_question(scope.clone(), self.now())).await.map(drop)
            }
            answer => answer.map(drop),
        }
    }

    /// Rows of the last `reach` seconds, up to so many pages; with how many scopes were asked, and the busiest of them.
    pub(super) async fn rows(
        &mut self,
        scopes: &[Filter],
        reach: i64,
        pages: usize,
    ) -> Result<(Rows, usize, Filter), CallError> {
        let now = self.now();
        let window = Window { start: now - reach, end: now };
        let mut rows = Rows::default();
        let mut totals = Vec::new();
        for scope in scopes.iter().take(pages) {
            let page = self.page(scope, window, 1).await?;
            totals.push((page.total.unwrap_or(0), scope));
            rows.take(page, true);
        }
        let asked = totals.len();
        let mut left = pages - asked;
        for (total, scope) in &totals {
            let more = total.div_ceil(u64::from(FULL_PAGE));
            for number in 2..=u32::try_from(more).unwrap_or(u32::MAX) {
                if left == 0 {
                    break;
                }
                left -= 1;
                rows.take(self.page(scope, window, number).await?, false);
            }
        }
        let busiest = totals.into_iter().max_by_key(|(total, _)| *total).map(|(_, scope)| scope.clone());
        Ok((rows, asked, busiest.unwrap_or_default()))
    }

    /// What windows around the times of known sessions show, and which of their ends belong to them.
    pub(super) async fn window(&mut self, sessions: &[PushSession]) -> Result<(Vec<Shown>, Ends), CallError> {
        let telling = window::telling(sessions, self.now());
        let mut all = Vec::new();
        for session in &telling {
            let [at_start, between, at_end] = window::windows(session);
            all.push(Shown {
                at_start: self.shows(session, at_start).await?,
                between: self.shows(session, between).await?,
                at_end: self.shows(session, at_end).await?,
            });
        }
        let mut ends = [None; 2];
        if let Some((session, held)) = telling.first().zip(window::agreed(&all)) {
            for (end, window) in ends.iter_mut().zip(window::at_the_ends(session, held)) {
                *end = self.shows(session, window).await?;
            }
        }
        Ok((all, ends))
    }

    /// Whether a session is shown to those who ask for a window, by its names; none where that cannot be known.
    async fn shows(&mut self, session: &PushSession, window: Window) -> Result<Option<bool>, CallError> {
        let filter = Filter {
            domain: Some(session.domain.clone()),
            app: Some(session.app.clone()),
            stream: Some(session.stream.clone()),
        };
        self.shows_by(session, filter, window).await
    }

    async fn shows_by(
        &mut self,
        session: &PushSession,
        filter: Filter,
        window: Window,
    ) -> Result<Option<bool>, CallError> {
        let page = match self.page(&filter, window, 1).await {
            Ok(page) => page,
            // It may not take back the names that it has sent.
            Err(error) if error.kind() == "parameter" => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_all = page.total.is_none_or(|total| total <= page.rows.len() as u64);
        let shown = finished(page).any(|other| other.end == session.end && other.group() == session.group());
        Ok((shown || is_all).then_some(shown))
    }

    /// Whether a request without `AppName` means all apps.
    pub(super) async fn apps(&mut self, sessions: &[PushSession]) -> Result<Check, CallError> {
        let configured = &self.options.apps;
        let scope = self.options.scopes.first().cloned().unwrap_or_default();
        let of_domain = Filter { app: None, ..scope };
        let now = self.now();
        let window = Window { start: now - super::DAY, end: now };
        if !configured.is_empty() {
            let page = self.page(&of_domain, window, 1).await?;
            let seen = finished(page).map(|session| session.app).collect();
            return Ok(apps(&AppEvidence { configured, seen, tried: None }));
        }
        let seen: BTreeSet<Name> = sessions.iter().map(|session| session.app.clone()).collect();
        let default = Name::from(DEFAULT_APP);
        let mut tried = None;
        if seen.iter().all(|app| *app == default) {
            for app in self.options.ledger.apps.iter().filter(|app| **app != default).take(MOST_APPS) {
                let by_name = Filter { app: Some(app.clone()), ..of_domain.clone() };
                let Some(session) = finished(self.page(&by_name, window, 1).await?).next() else { continue };
                let without = Filter { stream: Some(session.stream.clone()), ..of_domain.clone() };
                tried = self.shows_by(&session, without, window).await?.map(|shown| (session.app.clone(), shown));
                if tried.is_some() {
                    break;
                }
            }
        }
        Ok(apps(&AppEvidence { configured, seen, tried }))
    }

    /// Looks again and again at the rows of a scope; how many seconds after its end each new one was seen.
    pub(super) async fn watch(&mut self, scope: &Filter) -> Result<Vec<i64>, CallError> {
        let (clock, watch) = (&self.options.clock, self.options.watch);
        let until = clock.elapsed() + watch;
        let (mut known, mut covered) = self.look(scope).await?;
        let mut delays = Vec::new();
        while clock.elapsed() < until {
            tokio::time::sleep(pause(watch).min(until.saturating_sub(clock.elapsed()))).await;
            let (seen, from) = self.look(scope).await?;
            let now = self.now() + 1;
            // A page that is not looked at may have held it before.
            for session in seen {
                let is_covered = session.end > covered;
                let end = session.end;
                if known.insert(session) && is_covered {
                    delays.push((now - end).max(0));
                    self.progress.sessions += 1;
                }
            }
            covered = covered.max(from);
        }
        Ok(delays)
    }

    /// The newest sessions of a scope, and the end after which all of them are among these.
    async fn look(&mut self, scope: &Filter) -> Result<(BTreeSet<PushSession>, UnixSeconds), CallError> {
        let now = self.now();
        let window = Window { start: now - WATCHED_SECONDS, end: now };
        self.progress.reached = Some(now);
        let mut page = self.page(scope, window, 1).await?;
        let last = page.total.unwrap_or(0).div_ceil(u64::from(FULL_PAGE));
        let mut covered = UnixSeconds::MIN;
        if let Some(last) = u32::try_from(last).ok().filter(|last| *last > 1) {
            page = self.page(scope, window, last).await?;
            let ends = page.rows.iter().filter_map(|row| match row {
                Row::Finished(session) => Some(session.end),
                Row::Unfinished | Row::Broken(_) => None,
            });
            covered = ends.min().unwrap_or(now);
        }
        Ok((finished(page).collect(), covered))
    }

    async fn page(&mut self, filter: &Filter, window: Window, page: u32) -> Result<Page, CallError> {
        self.ask(&Query { window, filter: filter.clone(), page, page_size: FULL_PAGE }).await
    }

    async fn ask(&mut self, query: &Query) -> Result<Page, CallError> {
        (self.options.told)(self.progress);
        self.progress.requests += 1;
        self.options.source.events(query).await
    }
}

fn finished(page: Page) -> impl Iterator<Item = PushSession> {
    page.rows.into_iter().filter_map(|row| match row {
        Row::Finished(session) => Some(session),
        Row::Unfinished | Row::Broken(_) => None,
    })
}
