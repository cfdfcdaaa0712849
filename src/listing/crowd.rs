//! A window that time cannot divide: more rows in one second than a response holds, or long sessions that reach over
//! every part of it.
//!
//! Its pages are read, each a view of its own. A page border may hide a row or show it twice, so the reading counts as
//! whole only if as many different rows were seen as `TotalNum` says there are. If not, and it is so twice, the crowd
//! is split by domain, then app, then stream, each asked for by itself. Groups that were met on several pages need a
//! confirmation, since no single response has shown them whole.

use std::collections::{BTreeMap, BTreeSet};

use super::pass::Unsettled;
use super::query::{FULL_PAGE, Filter, Page, Row, Window};
use super::slice::CROWDED;
use crate::clock::UnixSeconds;
use crate::planted::{Bug, planted};
use crate::session::{GroupId, Name, PushSession};

/// The API answers for 10,000 rows of a window at most: 100 full pages.
const MOST_PAGES: u32 = 100;

/// A crowd of more names than this is not split by name: one request each would cost more than it can tell.
const MOST_NAMES: usize = 300;

/// What to do after a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CrowdStep {
    /// Ask for [`Crowd::next_page`].
    NextPage,
    /// Every row was seen.
    Whole,
    /// Ask for each of these by itself; together they must come to `total`, or there are names that no page has shown.
    Split { filters: Vec<Filter>, total: u64 },
    /// Not all rows could be seen, and there is nothing left to split by.
    Incomplete,
}

/// The pages of one window, as read so far.
#[derive(Debug, Clone)]
pub(super) struct Crowd {
    pub(super) window: Window,
    pub(super) filter: Filter,
    page: u32,
    second_reading: bool,
    received: u64,
    /// The rows of the page with the most.
    most_on_a_page: u64,
    /// The highest `TotalNum` of this window so far: an answer that is empty by mistake must not end the reading.
    total: u64,
    /// Rows that are no sessions (unfinished, broken), as many as the reading with the most.
    others: u64,
    most_others: u64,
    last_page: Vec<Row>,
    most_together: BTreeMap<PushSession, u64>,
    pages_of_group: BTreeMap<GroupId, BTreeSet<u32>>,
}

impl Crowd {
    /// A crowd of at least `total` rows.
    pub(super) fn new(window: Window, filter: Filter, total: u64) -> Self {
        Self {
            window,
            filter,
            page: 1,
            second_reading: false,
            received: 0,
            most_on_a_page: 0,
            total,
            others: 0,
            most_others: 0,
            last_page: Vec::new(),
            most_together: BTreeMap::new(),
            pages_of_group: BTreeMap::new(),
        }
    }

    pub(super) fn next_page(&self) -> u32 {
        self.page
    }

    /// Takes the page asked for.
    pub(super) fn read(&mut self, page: &Page) -> CrowdStep {
        let mut together: BTreeMap<&PushSession, u64> = BTreeMap::new();
        for row in &page.rows {
            match row {
                Row::Finished(session) => *together.entry(session).or_default() += 1,
                Row::Unfinished | Row::Broken(_) => self.others += 1,
            }
        }
        for (session, count) in together {
            self.pages_of_group.entry(session.group()).or_default().insert(self.page);
            let most = self.most_together.entry(session.clone()).or_default();
            *most = if planted(Bug::MultisetOverPages) { *most + count } else { count.max(*most) };
        }
        let rows = page.rows.len() as u64;
        self.received += rows;
        self.most_on_a_page = self.most_on_a_page.max(rows);
        self.total = self.total.max(page.total.unwrap_or(0));
        let total = self.total;
        let same_page_again = self.page > 1 && page.rows == self.last_page;
        self.last_page.clone_from(&page.rows);
        if self.received < total && !page.rows.is_empty() && !same_page_again && self.page < MOST_PAGES {
            self.page += 1;
            return CrowdStep::NextPage;
        }
        self.most_others = self.others.max(self.most_others);
        let seen = self.most_together.values().sum::<u64>() + self.most_others;
        if seen >= total && total < CROWDED {
            return CrowdStep::Whole;
        }
        if !self.second_reading && !same_page_again && total < CROWDED {
            (self.second_reading, self.page, self.received, self.others) = (true, 1, 0, 0);
            return CrowdStep::NextPage;
        }
        self.split(total)
    }

    /// The groups that no single page has shown whole.
    pub(super) fn groups_on_several_pages(&self) -> Vec<Unsettled> {
        let mut groups: BTreeMap<GroupId, (Vec<UnixSeconds>, u64)> = BTreeMap::new();
        for (session, rows) in &self.most_together {
            let group = session.group();
            if self.pages_of_group.get(&group).is_some_and(|pages| pages.len() > 1) {
                let (ends, known) = groups.entry(group).or_default();
                ends.push(session.end);
                *known += rows;
            }
        }
        groups.into_iter().map(|(group, (ends, rows))| Unsettled::new(group, ends, rows)).collect()
    }

    /// What a mistake makes of the pages.
    pub(super) fn all_pages(&self) -> Vec<PushSession> {
        let rows = |(session, rows): (&PushSession, &u64)| vec![session.clone(); usize::try_from(*rows).unwrap_or(0)];
        self.most_together.iter().flat_map(rows).collect()
    }

    fn split(&self, total: u64) -> CrowdStep {
        let names =
            |name: fn(&PushSession) -> &Name| -> BTreeSet<&Name> { self.most_together.keys().map(name).collect() };
        let (names, narrow): (_, fn(Filter, Name) -> Filter) = if self.filter.domain.is_none() {
            (names(|session| &session.domain), |filter, name| Filter { domain: Some(name), ..filter })
        } else if self.filter.app.is_none() {
            (names(|session| &session.app), |filter, name| Filter { app: Some(name), ..filter })
        } else if self.filter.stream.is_none() {
            (names(|session| &session.stream), |filter, name| Filter { stream: Some(name), ..filter })
        } else {
            return CrowdStep::Incomplete;
        };
        // Rows that would fit a page, and came on one, are all there are: `TotalNum` is wrong.
        let fits_a_page = total <= u64::from(FULL_PAGE) && self.received <= self.most_on_a_page;
        if names.is_empty() || names.len() > MOST_NAMES || fits_a_page {
            return CrowdStep::Incomplete;
        }
        let filters = names.into_iter().map(|name| narrow(self.filter.clone(), name.clone())).collect();
        CrowdStep::Split { filters, total }
    }
}
