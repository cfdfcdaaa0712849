//! One narrow question about one group, when its rows have not been seen together.
//!
//! Asked for is the group's stream around the ends of its rows. Where the API's window is of starts that shows none of
//! them; then it is asked for around its start, which shows all of them if it shows one that ended later. When a page of the stream's other sessions ended in between, the ends are
//! asked for one by one, and the first of them again: if that has not changed meanwhile, all were there at once.

use super::{Pass, Progress, Reading, Verdict};
use crate::clock::UnixSeconds;
use crate::listing::query::{FULL_PAGE, Filter, Page, Query, Window};
use crate::session::{GroupId, PushSession};

/// Most groups of one pass that are confirmed; past it the rest is left to later passes.
const MOST_CONFIRMATIONS: usize = 2_000;

/// Most ends that are asked for one by one.
const MOST_ENDS: usize = 20;

/// A window that every end is in.
const EVER: Window = Window { start: UnixSeconds::MIN, end: UnixSeconds::MAX };

/// A group of which a view showed rows that are not accounted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// The group.
    pub group: GroupId,
    /// When its rows end, each end once, in their order; at least one.
    pub ends: Vec<UnixSeconds>,
    /// How many of its rows are known to be there.
    pub rows: u64,
}

impl Unsettled {
    /// A group with `rows` rows that end at `ends`, or one that starts and ends in the same second.
    #[must_use]
    pub fn new(group: GroupId, mut ends: Vec<UnixSeconds>, rows: u64) -> Self {
        ends.sort_unstable();
        ends.dedup();
        if ends.is_empty() {
            ends.push(group.start);
        }
        Self { group, ends, rows }
    }

    /// From its first end to its last.
    fn span(&self) -> Window {
        Window { start: self.ends[0], end: self.ends[self.ends.len() - 1] }
    }
}

/// A group that a confirmation showed whole, as far as it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// The group.
    pub group: GroupId,
    /// Its rows were looked for at these ends. One that has rows elsewhere is not whole after all.
    pub ends: Vec<Window>,
    /// All came in one response: what differs from before has been corrected by the API.
    pub at_once: bool,
}

/// Where a group is looked for.
#[derive(Debug)]
enum Look {
    /// From its first end to its last.
    Ends,
    /// At each of its ends, then at the first again; what they showed so far.
    EndByEnd(Vec<Vec<PushSession>>),
    /// At its start. `excluded`: the looks before have shown that it is not listed by its ends.
    Start { excluded: bool },
}

#[derive(Debug)]
pub(super) struct Confirmation {
    unsettled: Unsettled,
    look: Look,
}

impl Pass {
    /// Has `unsettled` groups looked at as a whole before anything else, and holds `progress` back until then.
    pub fn confirm(&mut self, unsettled: Vec<Unsettled>, progress: Progress) {
        let later = std::mem::replace(&mut self.progress, progress);
        self.progress.append(later);
        for unsettled in unsettled {
            if self.confirmed.len() >= MOST_CONFIRMATIONS && !self.confirmed.contains(&unsettled.group) {
                self.mark_incomplete();
                continue;
            }
            self.confirmed.insert(unsettled.group.clone());
            self.confirmations.push(Confirmation { unsettled, look: Look::Ends });
        }
    }

    pub(super) fn confirm_with(&mut self, confirmation: Confirmation, verdict: Verdict, page: Page) -> Reading {
        let Confirmation { unsettled, look } = confirmation;
        let mut reading = Reading { confirming: true, ..self.read(page) };
        let ends: Vec<UnixSeconds> = reading
            .sessions
            .iter()
            .filter(|session| session.is_of(&unsettled.group))
            .map(|session| session.end)
            .collect();
        let whole = verdict == Verdict::Leaf;
        let shown = match look {
            Look::Ends => (!ends.is_empty()).then(|| unsettled.span()),
            // Rows that ended at once are shown by a window of ends too, when the look before was empty by mistake.
            Look::Start { excluded } => {
                let by_start = excluded && ends.iter().any(|end| *end > unsettled.group.start + 1);
                by_start.then_some(EVER)
            }
            Look::EndByEnd(_) => None,
        };
        match look {
            _ if whole && let Some(span) = shown => {
                self.compare(&unsettled, ends.len());
                reading.whole = Some(Whole { group: unsettled.group, ends: vec![span], at_once: true });
            }
            Look::Ends if whole => self.look_at_start(unsettled, true),
            Look::Ends if verdict == Verdict::Overfull && (2..=MOST_ENDS).contains(&unsettled.ends.len()) => {
                self.confirmations.push(Confirmation { unsettled, look: Look::EndByEnd(Vec::new()) });
            }
            Look::EndByEnd(views) if whole => self.join(unsettled, views, &mut reading),
            Look::Ends | Look::EndByEnd(_) => self.look_at_start(unsettled, false),
            // What was shown counts, but there may be more.
            Look::Start { .. } => self.mark_incomplete(),
        }
        reading
    }

    /// Adds the view of one end, and when the first has been seen again unchanged, makes one view of all.
    fn join(&mut self, unsettled: Unsettled, mut views: Vec<Vec<PushSession>>, reading: &mut Reading) {
        let end = end_asked_for(&unsettled, &views);
        let is_of_it = |session: &PushSession| session.end == end && session.is_of(&unsettled.group);
        let mut view: Vec<PushSession> = reading.sessions.iter().filter(|session| is_of_it(session)).cloned().collect();
        view.sort_unstable();
        if views.len() < unsettled.ends.len() {
            views.push(view);
            self.confirmations.push(Confirmation { unsettled, look: Look::EndByEnd(views) });
        } else if views.first() != Some(&view) {
            self.mark_incomplete();
        } else {
            let joined = views.concat();
            if joined.is_empty() {
                self.look_at_start(unsettled, true);
                return;
            }
            self.compare(&unsettled, joined.len());
            reading.sessions.retain(|session| !session.is_of(&unsettled.group));
            reading.sessions.extend(joined);
            let ends = unsettled.ends.iter().map(|end| Window { start: *end, end: *end }).collect();
            reading.whole = Some(Whole { group: unsettled.group, ends, at_once: false });
        }
    }

    fn look_at_start(&mut self, unsettled: Unsettled, excluded: bool) {
        if unsettled.group.start > self.bounds.floor {
            self.confirmations.push(Confirmation { unsettled, look: Look::Start { excluded } });
        } else {
            self.mark_incomplete();
        }
    }

    /// Where rows that are known to be there were not shown, nothing is confirmed: the slice has to be listed again.
    fn compare(&mut self, unsettled: &Unsettled, rows: usize) {
        if (rows as u64) < unsettled.rows {
            self.mark_incomplete();
        }
    }

    pub(super) fn confirmation_query(&self, confirmation: &Confirmation) -> Query {
        let Unsettled { group, .. } = &confirmation.unsettled;
        let second = |at: UnixSeconds| Window { start: at, end: at };
        let window = match &confirmation.look {
            Look::Ends => confirmation.unsettled.span(),
            Look::EndByEnd(views) => second(end_asked_for(&confirmation.unsettled, views)),
            Look::Start { .. } => second(group.start),
        };
        let filter = Filter {
            domain: Some(group.domain.clone()),
            app: Some(group.app.clone()),
            stream: Some(group.stream.clone()),
        };
        Query { window: self.padded(window), filter, page: 1, page_size: FULL_PAGE }
    }
}

/// Each end in turn, then the first again.
fn end_asked_for(unsettled: &Unsettled, views: &[Vec<PushSession>]) -> UnixSeconds {
    unsettled.ends[views.len() % unsettled.ends.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::query::Row;
    use crate::listing::{Bounds, Slices};

    const START: UnixSeconds = 1_700_000_000;

    fn session(lasted: i64) -> PushSession {
        PushSession {
            domain: "push.example.com".into(),
            app: "live".into(),
            stream: "room".into(),
            start: START,
            end: START + lasted,
            reason_text: "推流客户端主动断流".into(),
            client_ip: "203.0.113.7".into(),
            duration: None,
            resolution: String::new(),
        }
    }

    /// Confirms the group of `session(0)`, a row of which ended after `lasted`; the first look is answered by nothing and
    /// the second, around the start, by `shown`. Returns whether that was taken for the whole group.
    fn shows_all(lasted: i64, shown: &[PushSession]) -> bool {
        let bounds = Bounds { floor: START - 10_000, now: START + 10_000 };
        let mut pass = Pass::poll(Filter::default(), [], bounds);
        let group = session(0).group();
        pass.confirm(vec![Unsettled::new(group.clone(), vec![START, START + lasted], 1)], Progress::default());
        let slices = Slices::new();
        let mut window_and_answer = |rows: &[PushSession]| {
            let window = pass.next(&slices).unwrap().window;
            let rows: Vec<Row> = rows.iter().cloned().map(Row::Finished).collect();
            (window, pass.answer(Page { total: Some(rows.len() as u64), rows }, &slices))
        };
        let (window, reading) = window_and_answer(&[]);
        assert_eq!((window, reading.whole), (Window { start: START - 1, end: START + lasted + 1 }, None));
        let (window, reading) = window_and_answer(shown);
        assert_eq!(window, Window { start: START - 1, end: START + 1 });
        assert_eq!(pass.next(&slices), None);
        assert_eq!(pass.tally().incomplete_listings, u64::from(reading.whole.is_none()));
        reading.whole.is_some_and(|whole| whole.group == group && whole.at_once)
    }

    #[test]
    fn around_its_start_a_group_is_shown_whole_where_the_window_is_of_starts() {
        assert!(shows_all(900, &[session(900)]));
        assert!(shows_all(900, &[session(0), session(900)]));
    }

    #[test]
    fn an_answer_that_is_empty_by_mistake_lets_no_session_that_ended_at_once_stand_for_all() {
        assert!(!shows_all(900, &[session(0)]), "seed 32705");
        assert!(!shows_all(900, &[]));
    }
}
