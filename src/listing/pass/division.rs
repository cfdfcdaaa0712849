//! What a response is worth, and into what a window is divided that does not fit one.

use super::{Asked, Parent, Pass, Progress, Reading, Task, Verdict};
use crate::listing::crowd::{Crowd, CrowdStep};
use crate::listing::query::{FULL_PAGE, Filter, Page, Window};
use crate::listing::slice::{CROWDED, SliceId, Slices};
use crate::planted::{Bug, planted};

/// A window is split into about this many rows a part, so that most parts fit one response at once.
const ROWS_PER_PART: u64 = 75;

/// Up to so many rows are listed again where a count has changed; among more, the halves are asked which of them it is.
const FEW_ROWS: u64 = 1_000;

/// Most parts of one split: a wrong `TotalNum` must not cost thousands of requests.
const MOST_PARTS: u64 = 256;

impl Pass {
    /// Goes on without the answer to the question in hand, which the API refuses as a question, where that makes sense;
    /// returns whether it does.
    ///
    /// It may not take back names that it has sent, so what was narrowed to them is left out. It may not answer for more
    /// rows than its cap, and say so by an error, so a window is divided; if no part of it is answered either, then
    /// it was not for that.
    pub fn refused(&mut self) -> bool {
        let Some((asked, query, repeats)) = self.asked.take() else { return false };
        match asked {
            Asked::Task(Task::Span { window, .. }) if window.start < window.end => self.split(window, 0),
            Asked::Task(Task::Slice { id, .. }) if id.level > 0 => self.descend(id, None),
            Asked::Task(Task::Doubt { part, part_total, .. }) => self.divide(*part, part_total),
            // Then they are not counted, which is on the safe side.
            Asked::Task(Task::Seam(_)) => {}
            Asked::Task(_) if query.filter == self.scope && self.answers == 0 => {
                self.asked = Some((asked, query, repeats));
                return false;
            }
            _ => self.mark_incomplete(),
        }
        true
    }

    pub(super) fn work(&mut self, task: Task, verdict: Verdict, total: u64, page: Page, slices: &Slices) -> Reading {
        match task {
            Task::Slice { id, in_full: false, parent } if self.compare && slices.contains_key(&id) => {
                let same = slices.get(&id).is_some_and(|count| {
                    let settled = !count.restless || planted(Bug::UnfinishedNotAskedAgain);
                    count.total == total && settled
                });
                if same || planted(Bug::SliceCountNotCompared) {
                    self.resolved(total);
                } else {
                    self.list_changed(id, parent, total);
                }
                Reading::default()
            }
            Task::Crowd(crowd) => self.work_crowd(crowd, page),
            Task::Seam(_) => {
                self.shown_by_both(total);
                Reading::default()
            }
            Task::Doubt { part, part_total, parent, .. } => {
                let overlapping = (part_total + total) * 2 >= parent.total * 3;
                if overlapping {
                    self.crowd_instead_of_parts(parent);
                } else {
                    self.divide(*part, part_total);
                }
                Reading::default()
            }
            part => {
                if matches!(part, Task::Named { .. })
                    || matches!(part, Task::Span { .. }) && verdict != Verdict::Overfull
                {
                    self.resolved(total);
                }
                if let Task::Slice { id, .. } = &part
                    && verdict != Verdict::Overfull
                {
                    self.stack.push(Task::Remember { id: *id, total: Some(total), before: self.marks, halves: None });
                }
                match verdict {
                    Verdict::Leaf => self.read(page),
                    Verdict::Contradiction => {
                        self.mark_incomplete();
                        self.read(page)
                    }
                    Verdict::Short => {
                        let (window, filter) = self.extent(&part);
                        self.stack.push(Task::Crowd(Box::new(Crowd::new(window, filter, total))));
                        Reading::default()
                    }
                    Verdict::Overfull => {
                        self.tally.split_windows += 1;
                        self.divide_or_doubt(part, total);
                        Reading::default()
                    }
                }
            }
        }
    }

    /// The count of a remembered slice is another one: list it, or look which half changed.
    fn list_changed(&mut self, id: SliceId, parent: Option<Parent>, total: u64) {
        if total <= u64::from(FULL_PAGE) {
            self.stack.push(Task::Slice { id, parent, in_full: true });
        } else {
            self.divide_or_doubt(Task::Slice { id, parent, in_full: true }, total);
        }
    }

    /// A part with nearly all rows of its window may mean that time does not separate them, or just that they came
    /// together: the count of the rest of the window tells.
    fn divide_or_doubt(&mut self, part: Task, part_total: u64) {
        let parent = match &part {
            Task::Span { parent, .. } | Task::Slice { parent, .. } => *parent,
            _ => None,
        };
        let (window, _) = self.extent(&part);
        match parent {
            Some(parent) if parent.total < CROWDED && part_total * 10 >= parent.total * 8 => {
                let rest = if window.start == parent.window.start {
                    Window { start: window.end + 1, end: parent.window.end }
                } else {
                    Window { start: parent.window.start, end: window.start - 1 }
                };
                self.stack.push(Task::Doubt { part: Box::new(part), part_total, rest, parent });
            }
            _ => self.divide(part, part_total),
        }
    }

    fn divide(&mut self, part: Task, total: u64) {
        match part {
            Task::Span { window, .. } if window.start < window.end => self.split(window, total),
            Task::Slice { id, .. } if id.level > 0 && total > FEW_ROWS => self.descend(id, Some(total)),
            Task::Slice { id, .. } if id.level > 0 => {
                self.stack.push(Task::Remember { id, total: Some(total), before: self.marks, halves: Some(0) });
                self.split(id.window(), total);
            }
            part => {
                match &part {
                    Task::Slice { id, .. } => self.stack.push(Task::Remember {
                        id: *id,
                        total: Some(total),
                        before: self.marks,
                        halves: None,
                    }),
                    _ => self.resolved(total),
                }
                let (window, filter) = self.extent(&part);
                self.stack.push(Task::Crowd(Box::new(Crowd::new(window, filter, total))));
            }
        }
    }

    fn extent(&self, task: &Task) -> (Window, Filter) {
        match task {
            Task::Span { window, .. } | Task::Doubt { rest: window, .. } | Task::Seam(window) => {
                (*window, self.scope.clone())
            }
            Task::Slice { id, .. } | Task::Remember { id, .. } => (id.window(), self.scope.clone()),
            Task::Named { window, filter } => (*window, filter.clone()),
            Task::Parts { .. } => unreachable!("a marker is never listed"),
            Task::Crowd(crowd) => (crowd.window, crowd.filter.clone()),
            Task::Reached(end) => (Window { start: *end, end: *end }, self.scope.clone()),
        }
    }

    /// Puts the halves of a slice up, to be remembered with `total` once both are listed. `total` was asked for before
    /// them, so what arrives while they are listed makes the next comparison fail, on the safe side. None: the API refuses
    /// to count so many rows.
    pub(super) fn descend(&mut self, id: SliceId, total: Option<u64>) {
        self.stack.push(Task::Remember { id, total, before: self.marks, halves: total.map(|_| 0) });
        let parent = Some(Parent { window: id.window(), total: total.unwrap_or(CROWDED), depth: self.stack.len() });
        let [early, late] = id.halves().expect("a second is never divided");
        if total.is_some_and(|total| total >= CROWDED) {
            // As every window is asked for with a second more on either side, both show the two seconds where they meet.
            let seam = Window { start: late.window().start, end: early.window().end };
            self.stack.push(Task::Seam(seam));
        }
        for half in [late, early] {
            self.stack.push(Task::Slice { id: half, parent, in_full: false });
        }
    }

    fn split(&mut self, window: Window, total: u64) {
        let seconds = u64::try_from(window.end - window.start + 1).unwrap_or(1);
        let parts = total.div_ceil(ROWS_PER_PART).clamp(2, MOST_PARTS.min(seconds));
        let parent = Parent { window, total, depth: self.stack.len() };
        let border = |part: u64| window.start + i64::try_from(part * seconds / parts).unwrap_or(i64::MAX);
        for part in (0..parts).rev() {
            let part = Window { start: border(part), end: border(part + 1) - 1 };
            if self.reaches {
                self.stack.push(Task::Reached(part.end));
            }
            self.stack.push(Task::Span { window: part, parent: Some(parent) });
        }
    }

    fn crowd_instead_of_parts(&mut self, parent: Parent) {
        self.stack.truncate(parent.depth);
        match self.stack.last_mut() {
            Some(Task::Remember { id, halves, .. }) if id.window() == parent.window => *halves = None,
            _ => self.resolved(parent.total),
        }
        self.stack.push(Task::Crowd(Box::new(Crowd::new(parent.window, self.scope.clone(), parent.total))));
    }

    fn work_crowd(&mut self, mut crowd: Box<Crowd>, page: Page) -> Reading {
        let step = crowd.read(&page);
        let mut reading = self.read(page);
        if planted(Bug::MultisetOverPages) {
            reading.sessions = crowd.all_pages();
        }
        match step {
            CrowdStep::NextPage => {
                self.stack.push(Task::Crowd(crowd));
                return reading;
            }
            CrowdStep::Split { filters, total } => {
                let window = crowd.window;
                self.stack.push(Task::Parts { total, came_to: 0 });
                self.stack.extend(filters.into_iter().rev().map(|filter| Task::Named { window, filter }));
            }
            CrowdStep::Whole => {}
            CrowdStep::Incomplete => self.mark_incomplete(),
        }
        // The seconds beside a crowd show it again; a group is looked at once.
        let mut suspects = crowd.groups_on_several_pages();
        suspects.retain(|suspect| !self.confirmed.contains(&suspect.group));
        self.confirm(suspects, Progress::default());
        reading
    }
}
