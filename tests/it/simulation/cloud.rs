//! The API as the exporter sees it: right about one response at a time, and about nothing else.

use tencent_live_exporter::clock::UnixSeconds;
use tencent_live_exporter::listing::{BrokenRow, Page, Query, Row};
use tencent_live_exporter::session::{Name, PushSession};

/// What the API's window filters on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WindowOf {
    Starts,
    Ends,
    Overlaps,
}

/// What happens to a window of more rows than the API answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BeyondCap {
    /// `TotalNum` is right, later rows are never shown.
    Truncated,
    /// `TotalNum` stops counting.
    Saturated,
    /// The window is refused as a whole.
    Refused,
}

/// In what order rows of one end come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ties {
    Steady,
    Reversed,
    Shuffled,
}

/// The API's habits.
#[derive(Debug, Clone)]
pub(super) struct Habits {
    pub(super) window_of: WindowOf,
    pub(super) ends_included: bool,
    pub(super) ties: Ties,
    pub(super) beyond_cap: BeyondCap,
    /// Most rows a page shows, whatever was asked for.
    pub(super) page_rows: usize,
    /// Share of answers that are empty by mistake.
    pub(super) empty: f64,
    /// Share of answers whose `TotalNum` is wrong.
    pub(super) lies: f64,
    /// Share of rows that cannot be read in one answer and can in another.
    pub(super) garbled: f64,
}

/// The most rows the API answers for (page 267/33186).
const CAP: usize = 10_000;

/// One session, and how the API comes to tell of it.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) session: PushSession,
    /// Listed without an end from then on.
    pub(super) live_from: Option<UnixSeconds>,
    /// Listed as ended from then on.
    pub(super) shown_from: UnixSeconds,
    /// Not listed meanwhile.
    pub(super) hidden: Option<(UnixSeconds, UnixSeconds)>,
    /// From then on it reads differently.
    pub(super) corrected: Option<(UnixSeconds, PushSession)>,
}

/// How an event is listed at one moment.
pub(super) enum Listed<'a> {
    Not,
    Unfinished,
    Finished(&'a PushSession),
}

impl Event {
    pub(super) fn listed(&self, now: UnixSeconds) -> Listed<'_> {
        if self.hidden.is_some_and(|(from, until)| (from..until).contains(&now)) {
            Listed::Not
        } else if now >= self.shown_from {
            match &self.corrected {
                Some((from, corrected)) if now >= *from => Listed::Finished(corrected),
                _ => Listed::Finished(&self.session),
            }
        } else if self.live_from.is_some_and(|from| now >= from) {
            Listed::Unfinished
        } else {
            Listed::Not
        }
    }

    /// Everything the API ever says of it.
    pub(super) fn versions(&self) -> impl Iterator<Item = &PushSession> {
        std::iter::once(&self.session).chain(self.corrected.as_ref().map(|(_, session)| session))
    }
}

/// The API.
#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) events: Vec<Event>,
    pub(super) habits: Habits,
    /// From then on it tells nothing but the truth.
    pub(super) honest_from: UnixSeconds,
    pub(super) dice: fastrand::Rng,
    /// Which versions of which event some answer has shown.
    pub(super) told: Vec<[bool; 2]>,
}

impl Cloud {
    pub(super) fn new(events: Vec<Event>, habits: Habits, honest_from: UnixSeconds, dice: fastrand::Rng) -> Self {
        let told = vec![[false; 2]; events.len()];
        Self { events, habits, honest_from, dice, told }
    }

    /// The page asked for; none when the question is refused.
    pub(super) fn answer(&mut self, query: &Query, now: UnixSeconds) -> Option<Page> {
        let lying = now < self.honest_from;
        if lying && self.dice.f64() < self.habits.empty {
            return Some(Page { total: Some(0), rows: Vec::new() });
        }
        let mut found: Vec<usize> = (0..self.events.len()).filter(|n| self.matches(*n, query, now)).collect();
        match self.habits.ties {
            Ties::Steady => {}
            Ties::Reversed => found.reverse(),
            Ties::Shuffled => self.dice.shuffle(&mut found),
        }
        found.sort_by_key(|n| match self.events[*n].listed(now) {
            Listed::Finished(session) => session.end,
            Listed::Unfinished | Listed::Not => i64::MAX,
        });
        let mut total = found.len() as u64;
        if self.habits.beyond_cap == BeyondCap::Refused && found.len() > CAP {
            return None;
        }
        if self.habits.beyond_cap == BeyondCap::Saturated {
            total = total.min(CAP as u64);
        }
        if lying && self.dice.f64() < self.habits.lies {
            total = [0, total.saturating_sub(1), total + 1, total * 2, u64::MAX][self.dice.usize(..5)];
        }
        let page_rows = self.habits.page_rows.min(query.page_size as usize);
        let skip = (query.page as usize - 1) * page_rows;
        let page: Vec<usize> = found.into_iter().take(CAP).skip(skip).take(page_rows).collect();
        let rows = page.into_iter().map(|n| self.row(n, now, lying)).collect();
        Some(Page { total: Some(total), rows })
    }

    fn matches(&self, n: usize, query: &Query, now: UnixSeconds) -> bool {
        let event = &self.events[n];
        let (session, end) = match event.listed(now) {
            Listed::Not => return false,
            Listed::Unfinished => (&event.session, None),
            Listed::Finished(session) => (session, Some(session.end)),
        };
        let slack = i64::from(!self.habits.ends_included);
        let (from, until) = (query.window.start + slack, query.window.end - slack);
        let in_window = match self.habits.window_of {
            WindowOf::Starts => (from..=until).contains(&session.start),
            WindowOf::Ends => end.is_some_and(|end| (from..=until).contains(&end)),
            WindowOf::Overlaps => end.is_none_or(|end| end >= from) && session.start <= until,
        };
        let named = |filter: &Option<Name>, name: &Name| filter.as_ref().is_none_or(|wanted| wanted == name);
        let filter = &query.filter;
        in_window
            && named(&filter.domain, &session.domain)
            && named(&filter.app, &session.app)
            && named(&filter.stream, &session.stream)
    }

    fn row(&mut self, n: usize, now: UnixSeconds, lying: bool) -> Row {
        if lying && self.dice.f64() < self.habits.garbled {
            return Row::Broken(BrokenRow { field: "StreamName", sample: "null".into() });
        }
        let event = &self.events[n];
        match event.listed(now) {
            Listed::Finished(session) => {
                let version = usize::from(event.corrected.as_ref().is_some_and(|(from, _)| now >= *from));
                self.told[n][version] = true;
                Row::Finished(session.clone())
            }
            Listed::Unfinished | Listed::Not => Row::Unfinished,
        }
    }
}
