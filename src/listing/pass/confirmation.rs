//! One narrow question about one group, when its rows have not been seen together.

use super::{Pass, Progress, Reading, Verdict};
use crate::clock::UnixSeconds;
use crate::listing::query::{FULL_PAGE, Filter, Page, Query, Window};
use crate::session::GroupId;

/// Most groups of one pass that are confirmed; past it the rest is left to later passes.
const MOST_CONFIRMATIONS: usize = 2_000;

/// A group of which a view showed rows that are not accounted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// The group.
    pub group: GroupId,
    /// The earliest end among its rows.
    pub first_end: UnixSeconds,
    /// The latest end among its rows.
    pub last_end: UnixSeconds,
    /// How many of its rows are known to be there.
    pub rows: u64,
}

#[derive(Debug)]
pub(super) struct Confirmation {
    unsettled: Unsettled,
    around_start: bool,
    /// Whether the responses so far held all of their rows.
    whole: bool,
    /// Whether one of them showed the group.
    shown: bool,
    /// Most rows of the group in one of them.
    most_rows: u64,
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
            self.confirmations.push(Confirmation {
                unsettled,
                around_start: false,
                whole: true,
                shown: false,
                most_rows: 0,
            });
        }
    }

    pub(super) fn confirm_with(&mut self, mut confirmation: Confirmation, verdict: Verdict, page: Page) -> Reading {
        let whole = verdict == Verdict::Leaf;
        confirmation.whole &= whole;
        if !whole {
            self.mark_incomplete();
        }
        let reading = self.read(page);
        let group = &confirmation.unsettled.group;
        let rows = reading.sessions.iter().filter(|session| session.is_of(group)).count() as u64;
        let shown = rows > 0;
        // Around its ends a group is shown whole or, where the API's window is of starts, not at all. Around its start
        // it may be shown in part, unless that is the only place where it is shown.
        let revises = (confirmation.whole && shown && !confirmation.shown).then(|| group.clone());
        confirmation.shown |= shown;
        confirmation.most_rows = confirmation.most_rows.max(rows);
        if !confirmation.around_start && group.start > self.bounds.floor {
            self.confirmations.push(Confirmation { around_start: true, ..confirmation });
        } else if confirmation.most_rows < confirmation.unsettled.rows {
            // Rows that are known to be there were not shown: nothing is confirmed, the slice has to be listed again.
            self.mark_incomplete();
        }
        Reading { confirming: true, revises, ..reading }
    }

    pub(super) fn confirmation_query(&self, confirmation: &Confirmation) -> Query {
        let Unsettled { group, first_end, last_end, .. } = &confirmation.unsettled;
        let window = if confirmation.around_start {
            Window { start: group.start, end: group.start }
        } else {
            Window { start: *first_end, end: *last_end }
        };
        let filter = Filter {
            domain: Some(group.domain.clone()),
            app: Some(group.app.clone()),
            stream: Some(group.stream.clone()),
        };
        Query { window: self.padded(window), filter, page: 1, page_size: FULL_PAGE }
    }
}
