//! What the answers of a survey come to: every session as often as it was seen together with its like. No I/O.
//!
//! It is counted as the exporter counts, so that the two can be held against each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::listing::{BrokenRow, Group, Reading, Unsettled, Window};
use crate::poller::observation::{Doubt, doubt};
use crate::session::{Fact, GroupId, IdentityKey, PushSession};

/// Sessions that were seen.
#[derive(Debug)]
pub struct Sightings {
    key: IdentityKey,
    ends: Window,
    groups: BTreeMap<GroupId, Sighting>,
    sessions: u64,
    broken: BTreeSet<(&'static str, String)>,
}

/// One group.
#[derive(Debug, Default)]
struct Sighting {
    group: Group,
    /// A row for each fact that the group accounts for.
    rows: Vec<(Fact, PushSession)>,
}

impl Sightings {
    /// None yet; what did not end in `ends` is left out. Facts are made with `key`.
    #[must_use]
    pub fn new(ends: Window, key: IdentityKey) -> Self {
        Self { key, ends, groups: BTreeMap::new(), sessions: 0, broken: BTreeSet::new() }
    }

    /// Takes the rows of one response; the groups that need a confirmation are returned.
    pub fn take(&mut self, reading: &mut Reading) -> Vec<Unsettled> {
        for BrokenRow { field, sample } in reading.broken.drain(..) {
            self.broken.insert((field, sample));
        }
        let mut views: BTreeMap<GroupId, Vec<(Fact, PushSession)>> = BTreeMap::new();
        for session in reading.sessions.drain(..).filter(|session| self.ends.contains(session.end)) {
            views.entry(session.group()).or_default().push((session.fact(&self.key), session));
        }
        let floor = self.ends.start;
        let mut unsettled = Vec::new();
        for (id, mut rows) in views {
            let sighting = self.groups.entry(id.clone()).or_default();
            let view: Vec<Fact> = rows.iter().map(|(fact, _)| *fact).collect();
            let growth = sighting.group.grow(&view, floor);
            self.sessions += growth.counted.len() as u64;
            for fact in growth.counted {
                let place = rows.iter().position(|(other, _)| *other == fact);
                sighting.rows.push(rows.swap_remove(place.expect("growth is of the view")));
            }
            if growth.unaccounted.is_empty() {
                continue;
            }
            match doubt(reading.whole.as_ref(), reading.confirming, &id, &view, &sighting.group, floor) {
                Doubt::Corrected => sighting.revise(&view, rows, floor),
                Doubt::Left => {}
                Doubt::Unsettled(group) => unsettled.push(group),
            }
        }
        unsettled
    }

    /// How many sessions were seen.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions
    }

    /// Rows that could not be read, each once: the field that is unusable, and the start of the row.
    #[must_use]
    pub fn broken(&self) -> impl ExactSizeIterator<Item = &(&'static str, String)> {
        self.broken.iter()
    }

    /// The groups that were seen.
    pub fn groups(&self) -> impl Iterator<Item = &GroupId> {
        self.groups.keys()
    }

    /// The sessions of a group.
    #[must_use]
    pub fn of(&self, group: &GroupId) -> &[(Fact, PushSession)] {
        self.groups.get(group).map_or(&[], |sighting| &sighting.rows)
    }

    /// The session that lasted longest by its times.
    #[must_use]
    pub fn longest(&self) -> Option<&PushSession> {
        let sessions = self.groups.values().flat_map(|sighting| &sighting.rows).map(|(_, session)| session);
        sessions.max_by_key(|session| session.end.saturating_sub(session.start))
    }

    /// All sessions, the one that ended last first; of one second, in the order of their names.
    #[must_use]
    pub fn newest_first(self) -> Vec<PushSession> {
        let rows = self.groups.into_values().flat_map(|sighting| sighting.rows);
        let mut sessions: Vec<PushSession> = rows.map(|(_, session)| session).collect();
        sessions.sort_by(|a, b| b.end.cmp(&a.end).then_with(|| a.cmp(b)));
        sessions
    }
}

impl Sighting {
    /// Takes what the API has corrected while it was listed.
    fn revise(&mut self, view: &[Fact], mut rows: Vec<(Fact, PushSession)>, floor: i64) {
        for (old, new) in self.group.revise(view, floor) {
            let place = self.rows.iter().position(|(fact, _)| *fact == old);
            let news = rows.iter().position(|(fact, _)| *fact == new);
            if let (true, Some(place), Some(news)) = (new.has_reason_of(&old), place, news) {
                self.rows[place] = rows.swap_remove(news);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: i64 = 1_700_000_000;

    fn session(stream: &str, end: i64) -> PushSession {
        PushSession {
            domain: "push.example.com".into(),
            app: "live".into(),
            stream: stream.into(),
            start: END - 60,
            end,
            reason_text: "推流客户端主动断流".into(),
            client_ip: "203.0.113.7".into(),
            duration: None,
            resolution: String::new(),
        }
    }

    fn sightings() -> Sightings {
        Sightings::new(Window { start: END - 10, end: END + 10 }, IdentityKey::new([7; 16]))
    }

    fn shown(sessions: &[PushSession]) -> Reading {
        Reading { sessions: sessions.to_vec(), ..Reading::default() }
    }

    #[test]
    fn identical_rows_of_one_response_are_distinct_and_the_same_rows_again_add_nothing() {
        let mut sightings = sightings();
        for rows in [2, 3, 1, 3] {
            assert_eq!(sightings.take(&mut shown(&vec![session("room", END); rows])), []);
        }
        assert_eq!(sightings.newest_first(), vec![session("room", END); 3]);
    }

    #[test]
    fn what_ended_elsewhere_is_left_out() {
        let mut sightings = sightings();
        let rows = [END - 11, END - 10, END + 10, END + 11].map(|end| session(&end.to_string(), end));
        assert_eq!(sightings.take(&mut shown(&rows)), []);
        assert_eq!(sightings.newest_first(), [rows[2].clone(), rows[1].clone()]);
    }

    #[test]
    fn another_end_of_one_start_waits_for_a_view_of_both() {
        let mut sightings = sightings();
        assert_eq!(sightings.take(&mut shown(&[session("room", END)])), []);
        let unsettled = sightings.take(&mut shown(&[session("room", END + 5)]));
        assert_eq!(unsettled[0].ends, [END, END + 5]);
        assert_eq!(sightings.sessions(), 1);
        assert_eq!(sightings.take(&mut shown(&[session("room", END), session("room", END + 5)])), []);
        assert_eq!(sightings.newest_first().iter().map(|one| one.end).collect::<Vec<_>>(), [END + 5, END]);
    }

    #[test]
    fn a_row_that_is_corrected_while_it_is_listed_is_shown_once_and_corrected() {
        let mut sightings = sightings();
        sightings.take(&mut shown(&[session("room", END)]));
        let corrected = session("room", END + 5);
        let ends = vec![Window { start: END, end: END + 5 }];
        let whole = crate::listing::Whole { group: corrected.group(), ends, at_once: true };
        let mut reading = Reading { whole: Some(whole), confirming: true, ..shown(std::slice::from_ref(&corrected)) };
        assert_eq!(sightings.take(&mut reading), []);
        assert_eq!(sightings.newest_first(), [corrected]);
    }
}
