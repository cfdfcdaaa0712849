//! One listing from its first question to its last: a state machine without I/O.
//!
//! A page border cannot be trusted: rows arrive, vanish and change places between two requests. One response can. So a
//! window is asked for with one full page; when the response holds all rows of the window it is a *leaf*, and when not,
//! the window is split in time until every part is one. Where time does not separate (one second, or long sessions
//! that reach over every part), a [`Crowd`] is paged and split by name.
//!
//! The driver asks [`Pass::next`], hands the answer to [`Pass::answer`], commits the [`Reading`], and tells the pass what
//! the commit found with [`Pass::confirm`]. What is waiting is a stack; markers on it say what has been completed when
//! they come up.

mod confirmation;
mod division;

use std::collections::BTreeSet;

use self::confirmation::Confirmation;
pub use self::confirmation::{Unsettled, Whole};
use super::crowd::Crowd;
use super::query::{BrokenRow, FULL_PAGE, Filter, Page, Query, Row, Window};
use super::slice::{CAP, CROWDED, SliceCount, SliceId, Slices};
use crate::clock::UnixSeconds;
use crate::planted::{Bug, planted};
use crate::session::{GroupId, PushSession};

/// How often a response that contradicts itself is asked for again.
const REPEATS: u8 = 2;

/// No server shows fewer rows a page when there are more: it is what the API shows when nothing is said.
const FEWEST_ROWS: u64 = 10;

/// A `TotalNum` beyond this is a number, not a count; so sums of a few of them stay numbers too.
const MOST_ROWS: u64 = 1 << 48;

/// The times between which questions make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Nothing below is asked for: what happened there may have been forgotten.
    pub floor: UnixSeconds,
    /// The latest second that is over for both clocks.
    pub now: UnixSeconds,
}

/// What an answer adds, to be committed as one.
#[derive(Debug, Default)]
pub struct Reading {
    /// Finished sessions of this one response.
    pub sessions: Vec<PushSession>,
    /// Rows that have not ended yet.
    pub unfinished: u64,
    /// Rows that are set aside.
    pub broken: Vec<BrokenRow>,
    /// The response is the answer to a confirmation: it unsettles nothing further.
    pub confirming: bool,
    /// The group that was to be confirmed, if it is.
    pub whole: Option<Whole>,
    /// What is complete once these rows are in and settled.
    pub progress: Progress,
}

/// What a pass has completed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything up to here has been listed.
    pub reached: Option<UnixSeconds>,
    /// Slices listed in full, and their counts.
    pub remember: Vec<(SliceId, SliceCount)>,
    /// Slices whose count says nothing, since not all of their rows could be listed.
    pub forget: Vec<SliceId>,
}

impl Progress {
    /// Whether nothing was completed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn append(&mut self, later: Progress) {
        self.reached = later.reached.or(self.reached);
        self.remember.extend(later.remember);
        self.forget.extend(later.forget);
    }
}

/// What a pass has been through, for logs and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Windows that did not fit one response and were split, in time or by name.
    pub split_windows: u64,
    /// Responses that contradicted themselves and were asked for again.
    pub repeated_listings: u64,
    /// Listings of which some rows could not be told apart or were not shown: counted from below.
    pub incomplete_listings: u64,
}

#[derive(Debug, Clone)]
enum Task {
    /// List this span of time.
    Span { window: Window, parent: Option<Parent> },
    /// Compare this slice with what it was, and list it if it changed.
    Slice { id: SliceId, parent: Option<Parent>, in_full: bool },
    /// A part holds nearly all rows of its window: do the others too?
    Doubt { part: Box<Task>, part_total: u64, rest: Window, parent: Parent },
    /// List this part of a crowd.
    Named { window: Window, filter: Filter },
    /// Read the next page of this crowd.
    Crowd(Box<Crowd>),
    /// Marker: the parts of a crowd of `total` rows are listed; `came_to` is what they hold together.
    Parts { total: u64, came_to: u64 },
    /// Marker: everything up to here is listed.
    Reached(UnixSeconds),
    /// Count what the windows of both halves of a crowded slice show.
    Seam(Window),
    /// Marker: this slice is listed; `total` was asked for before its rows were, unless the API refuses to tell. `halves` is
    /// what its halves or parts came to, if they were asked instead of it.
    Remember { id: SliceId, total: Option<u64>, before: Marks, halves: Option<u64> },
}

/// What a response is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// All rows of the window, in one response.
    Leaf,
    /// More rows than the response holds.
    Overfull,
    /// Fewer rows than it says there are, though they would fit: read on.
    Short,
    /// It contradicts itself.
    Contradiction,
}

/// The window a part was split from.
#[derive(Debug, Clone, Copy)]
struct Parent {
    window: Window,
    total: u64,
    /// Height of the stack below its parts.
    depth: usize,
}

/// Rows and leaves met so far that keep a slice from being compared by its count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Marks {
    unfinished: u64,
    incomplete: u64,
}

#[derive(Debug)]
enum Asked {
    Task(Task),
    Confirmation(Confirmation),
}

/// A listing under way.
#[derive(Debug)]
pub struct Pass {
    scope: Filter,
    bounds: Bounds,
    compare: bool,
    /// Whether it tells how far it has come.
    reaches: bool,
    stack: Vec<Task>,
    confirmations: Vec<Confirmation>,
    /// Groups that were or are going to be confirmed.
    confirmed: BTreeSet<GroupId>,
    asked: Option<(Asked, Query, u8)>,
    /// How many questions of this pass the API has answered.
    answers: u64,
    progress: Progress,
    marks: Marks,
    tally: Tally,
}

impl Pass {
    /// Lists `windows` one after the other and reports each end as reached.
    #[must_use]
    pub fn poll(scope: Filter, windows: impl IntoIterator<Item = Window>, bounds: Bounds) -> Self {
        let tasks = |window: Window| [Task::Span { window, parent: None }, Task::Reached(window.end)];
        let mut stack: Vec<Task> = windows.into_iter().flat_map(tasks).collect();
        stack.reverse();
        Self { reaches: true, ..Self::new(scope, stack, bounds, false) }
    }

    /// Goes over `slices`; those whose count is the remembered one are left alone if `compare` says so.
    #[must_use]
    pub fn sweep(scope: Filter, slices: &[SliceId], bounds: Bounds, compare: bool) -> Self {
        let task = |id: &SliceId| Task::Slice { id: *id, parent: None, in_full: false };
        Self::new(scope, slices.iter().rev().map(task).collect(), bounds, compare)
    }

    fn new(scope: Filter, stack: Vec<Task>, bounds: Bounds, compare: bool) -> Self {
        Self {
            scope,
            bounds,
            compare,
            reaches: false,
            stack,
            confirmations: Vec::new(),
            confirmed: BTreeSet::new(),
            asked: None,
            answers: 0,
            progress: Progress::default(),
            marks: Marks::default(),
            tally: Tally::default(),
        }
    }

    /// What the pass has been through so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// How many answers it has taken. A pass that a failing network cut short goes on from there.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// The next question; none when the pass is complete and only [`Pass::take_progress`] is left to commit.
    pub fn next(&mut self, slices: &Slices) -> Option<Query> {
        if self.asked.is_none() {
            self.asked = self.choose(slices);
        }
        self.asked.as_ref().map(|(_, query, _)| query.clone())
    }

    fn choose(&mut self, slices: &Slices) -> Option<(Asked, Query, u8)> {
        if let Some(confirmation) = self.confirmations.pop() {
            let query = self.confirmation_query(&confirmation);
            return Some((Asked::Confirmation(confirmation), query, 0));
        }
        while let Some(task) = self.stack.pop() {
            let (window, filter, page, page_size) = match &task {
                Task::Span { window, .. } => (*window, self.scope.clone(), 1, FULL_PAGE),
                Task::Doubt { rest, .. } | Task::Seam(rest) => (*rest, self.scope.clone(), 1, 1),
                Task::Named { window, filter } => (*window, filter.clone(), 1, FULL_PAGE),
                Task::Crowd(crowd) => (crowd.window, crowd.filter.clone(), crowd.next_page(), FULL_PAGE),
                Task::Slice { id, in_full, .. } => {
                    let remembered = slices.get(id).copied();
                    if remembered.is_some_and(SliceCount::is_uncounted) && id.halves().is_some() {
                        self.descend(*id, None);
                        continue;
                    }
                    let count_only = self.compare && remembered.is_some() && !in_full;
                    (id.window(), self.scope.clone(), 1, if count_only { 1 } else { FULL_PAGE })
                }
                Task::Reached(_) | Task::Remember { .. } | Task::Parts { .. } => {
                    self.complete(&task);
                    continue;
                }
            };
            let query = Query { window: self.padded(window), filter, page, page_size };
            return Some((Asked::Task(task), query, 0));
        }
        None
    }

    /// Takes the answer to the last [`Pass::next`].
    ///
    /// # Panics
    /// When nothing was asked.
    pub fn answer(&mut self, mut page: Page, slices: &Slices) -> Reading {
        page.total = page.total.map(|total| total.min(MOST_ROWS));
        let (asked, query, repeats) = self.asked.take().expect("an answer follows a question");
        self.answers += 1;
        let received = page.rows.len() as u64;
        let verdict = judge(page.total, received, query.page_size);
        let paging = matches!(asked, Asked::Task(Task::Crowd(_)));
        if !paging && matches!(verdict, Verdict::Short | Verdict::Contradiction) {
            self.tally.repeated_listings += 1;
            if repeats < REPEATS {
                self.asked = Some((asked, query, repeats + 1));
                return Reading::default();
            }
        }
        let total = page.total.unwrap_or(received).max(received);
        let mut reading = match asked {
            Asked::Confirmation(confirmation) => self.confirm_with(confirmation, verdict, page),
            Asked::Task(task) => self.work(task, verdict, total, page, slices),
        };
        if self.confirmations.is_empty() {
            self.complete_markers();
            reading.progress = std::mem::take(&mut self.progress);
        }
        reading
    }

    /// What was completed after the last answer; for the end of the pass.
    pub fn take_progress(&mut self) -> Progress {
        std::mem::take(&mut self.progress)
    }

    fn read(&mut self, page: Page) -> Reading {
        let mut reading = Reading::default();
        for row in page.rows {
            match row {
                Row::Finished(session) if session.end <= self.bounds.now + 1 => reading.sessions.push(session),
                Row::Finished(_) | Row::Unfinished => reading.unfinished += 1,
                Row::Broken(broken) => reading.broken.push(broken),
            }
        }
        self.marks.unfinished += reading.unfinished;
        reading
    }

    /// One second more on either side: whether the API's window holds its ends is not known.
    fn padded(&self, window: Window) -> Window {
        let spare = i64::from(!planted(Bug::BordersOffByOne));
        let start = (window.start - spare).max(self.bounds.floor);
        Window { start, end: (window.end + spare).min(self.bounds.now).max(start) }
    }

    fn mark_incomplete(&mut self) {
        self.marks.incomplete += 1;
        self.tally.incomplete_listings += 1;
        // What waits for a confirmation that now falls short must not be compared by its count either.
        self.progress.forget.extend(self.progress.remember.drain(..).map(|(id, _)| id));
    }

    /// Adds the count of a part to what the parts of its whole come to.
    fn resolved(&mut self, total: u64) {
        let whole = self.stack.iter_mut().rev().find_map(|task| match task {
            Task::Remember { halves, .. } => Some(halves.as_mut()),
            Task::Parts { came_to, .. } => Some(Some(came_to)),
            _ => None,
        });
        if let Some(Some(sum)) = whole {
            *sum += total;
        }
    }

    /// Takes what both halves of a slice have shown off what they come to.
    fn shown_by_both(&mut self, total: u64) {
        let whole = self.stack.iter_mut().rev().find_map(|task| match task {
            Task::Remember { halves, .. } => halves.as_mut(),
            _ => None,
        });
        if let Some(sum) = whole {
            *sum = sum.saturating_sub(total);
        }
    }

    fn complete_markers(&mut self) {
        let is_marker = |task: &mut Task| matches!(task, Task::Reached(_) | Task::Remember { .. } | Task::Parts { .. });
        while let Some(marker) = self.stack.pop_if(is_marker) {
            self.complete(&marker);
        }
    }

    fn complete(&mut self, marker: &Task) {
        match marker {
            Task::Reached(_) if planted(Bug::RetryPerListing) && !self.stack.is_empty() => {}
            Task::Reached(end) => self.progress.reached = Some(*end),
            // A part has shown less than it has, or there are names that no page has shown.
            Task::Parts { total, came_to } if came_to < total => self.mark_incomplete(),
            Task::Remember { id, total, before, halves } => self.remember(*id, *total, *before, *halves),
            _ => {}
        }
    }
}

impl Pass {
    fn remember(&mut self, id: SliceId, total: Option<u64>, before: Marks, halves: Option<u64>) {
        let crowded = total.is_none_or(|total| total >= CROWDED);
        if !crowded && halves < total && halves.is_some() && !planted(Bug::HalvesNotCompared) {
            // A half has shown less than it has. Its slice would look complete by its count for ever after.
            self.marks.incomplete += 1;
            self.tally.repeated_listings += 1;
        }
        self.resolved(total.or(halves).unwrap_or(0));
        if self.marks.incomplete != before.incomplete {
            self.progress.forget.push(id);
            return;
        }
        let counted = !crowded || halves == total && total != Some(CAP);
        let restless = !counted || self.marks.unfinished != before.unfinished;
        let count = total.map_or(SliceCount::UNCOUNTED, |total| SliceCount { total, restless });
        self.progress.remember.push((id, count));
    }
}

fn judge(total: Option<u64>, received: u64, page_size: u32) -> Verdict {
    match total {
        Some(total) if total == received => Verdict::Leaf,
        // A server that shows a tenth of what was asked for is overfull too, whatever `PageSize` says.
        Some(total)
            if total > received
                && (received >= u64::from(page_size) || received * 2 <= total && received >= FEWEST_ROWS) =>
        {
            Verdict::Overfull
        }
        Some(total) if total > received => Verdict::Short,
        _ => Verdict::Contradiction,
    }
}
