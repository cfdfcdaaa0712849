//! What the API shows, held against what the ledger has, group by group. No I/O.
//!
//! Both sides are facts under the ledger's own key, so it makes no difference what records keep of an address or of the
//! past. Rows of a group that both have are paired off. Of what is left, rows of one reason are the same session with
//! its end or address corrected by the API, which is counted once; rows of one end and address are the same session with
//! another reason; the others are differences.

use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::{AccountView, Record};
use crate::listing::{Filter, Group, Unsettled, Window};
use crate::poller::Sightings;
use crate::reason::Classifier;
use crate::session::{Fact, GroupId, Name, PushSession};

/// How API and ledger differ about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DifferenceKind {
    /// The API has it, the ledger has not counted it.
    NotCounted,
    /// The ledger has it, the API does not show it.
    NotShown,
    /// Both have such rows, not as many.
    Number,
    /// It has another reason than the one it is counted under.
    Reason,
}

impl Difference {
    /// Whether an exporter that runs may be about to count it.
    #[must_use]
    pub fn may_be_counted_yet(&self) -> bool {
        self.shown > self.counted
    }
}

impl DifferenceKind {
    /// The kind in a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            DifferenceKind::NotCounted => "not_counted",
            DifferenceKind::NotShown => "not_shown",
            DifferenceKind::Number => "number",
            DifferenceKind::Reason => "reason",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is.
    pub kind: DifferenceKind,
    /// The session, as the API shows it, else as its record has it.
    pub session: PushSession,
    /// Rows of it that the API shows.
    pub shown: u64,
    /// Rows of it that are counted.
    pub counted: u64,
    /// The reason text that is counted in place of the session's, where a record of it is kept.
    pub counted_as: Option<String>,
}

/// What was compared, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Newest first.
    pub differences: Vec<Difference>,
    /// Sessions that both have.
    pub equal: u64,
    /// Sessions that both have, the API with another end, address or spelling of the reason by now.
    pub corrected: u64,
    /// Sessions of the ledger that no record names any more, nor a row of the API, so that they could not be looked for.
    pub unnamed: u64,
    /// Sessions of the ledger that nobody asks the API for any more.
    pub not_asked_for: u64,
    /// Groups with a difference, to be looked at once more.
    pub suspects: Vec<Unsettled>,
}

/// What is compared, and how.
#[derive(Debug)]
pub(super) struct Terms<'a> {
    /// The account.
    pub(super) account: &'a str,
    /// What the API was asked for.
    pub(super) scopes: &'a [Filter],
    /// When the sessions ended; nowhere below the ledger's floor.
    pub(super) range: Window,
    /// The taxonomy: texts of one reason do not differ.
    pub(super) classifier: &'a Classifier,
}

/// Compares what was seen with what the ledger has.
pub(super) fn compare(sightings: &Sightings, view: &AccountView, terms: &Terms<'_>) -> Comparison {
    let Terms { account, scopes, range, classifier } = *terms;
    let mut comparison = Comparison::default();
    let mut records: BTreeMap<GroupId, Vec<&Record>> = BTreeMap::new();
    for record in &view.records {
        records.entry(record.session.group()).or_default().push(record);
    }
    let ids: BTreeSet<&GroupId> = sightings.groups().chain(records.keys()).collect();
    let mut named = 0;
    for id in ids {
        let counted = view.groups.get(&id.key(account, &view.key));
        let counted = counted.map_or(&[][..], Group::accounted);
        let counted_in_range = counted.iter().filter(|fact| range.contains(fact.end)).count() as u64;
        named += counted_in_range;
        let shown = sightings.of(id);
        if shown.is_empty() && !scopes.iter().any(|scope| is_of(id, scope)) {
            comparison.not_asked_for += counted_in_range;
            continue;
        }
        let records = records.get(id).map_or(&[][..], Vec::as_slice);
        let sides = Sides { id, shown, counted, records, range, classifier };
        sides.compare(&mut comparison);
    }
    let all = view.groups.values().flat_map(Group::accounted).filter(|fact| range.contains(fact.end));
    comparison.unnamed = (all.count() as u64).saturating_sub(named);
    comparison.differences.sort_by(|a, b| {
        let place = |one: &Difference| (std::cmp::Reverse(one.session.end), one.kind);
        place(a).cmp(&place(b)).then_with(|| a.session.cmp(&b.session))
    });
    comparison
}

fn is_of(id: &GroupId, scope: &Filter) -> bool {
    let fits = |wanted: &Option<Name>, name: &Name| wanted.as_ref().is_none_or(|wanted| wanted == name);
    fits(&scope.domain, &id.domain) && fits(&scope.app, &id.app) && fits(&scope.stream, &id.stream)
}

/// The two sides of a group.
struct Sides<'a> {
    id: &'a GroupId,
    shown: &'a [(Fact, PushSession)],
    counted: &'a [Fact],
    records: &'a [&'a Record],
    range: Window,
    classifier: &'a Classifier,
}

impl Sides<'_> {
    fn compare(&self, comparison: &mut Comparison) {
        let mut shown: Vec<Fact> = self.shown.iter().map(|(fact, _)| *fact).collect();
        shown.sort_unstable();
        let mut counted = self.counted.to_vec();
        shown.retain(|fact| {
            let Some(place) = counted.iter().position(|other| other == fact) else { return true };
            counted.remove(place);
            comparison.equal += u64::from(self.range.contains(fact.end));
            false
        });
        let in_range = |fact: &Fact| self.range.contains(fact.end);
        if !shown.iter().chain(&counted).any(in_range) {
            return;
        }
        let ends = self.shown.iter().map(|(fact, _)| fact.end).chain(self.counted.iter().map(|fact| fact.end));
        comparison.suspects.push(Unsettled::new(self.id.clone(), ends.collect(), 0));
        for (of, by_reason) in
            [(Fact::has_reason_of as fn(&Fact, &Fact) -> bool, true), (Fact::has_end_and_address_of, false)]
        {
            shown.retain(|new| {
                let Some(place) = counted.iter().position(|old| of(new, old)) else { return true };
                let old = counted.remove(place);
                if by_reason {
                    comparison.corrected += u64::from(in_range(new) || in_range(&old));
                } else if in_range(new) {
                    self.compare_reasons(new, &old, comparison);
                }
                false
            });
        }
        for (facts, kind) in [(shown, DifferenceKind::NotCounted), (counted, DifferenceKind::NotShown)] {
            let facts: BTreeSet<Fact> = facts.into_iter().filter(in_range).collect();
            for fact in facts {
                let both = self.times_shown(&fact) > 0 && self.times_counted(&fact) > 0;
                let kind = if both { DifferenceKind::Number } else { kind };
                self.tell(kind, &fact, None, comparison);
            }
        }
    }

    /// Another text may be another spelling of one reason.
    fn compare_reasons(&self, new: &Fact, old: &Fact, comparison: &mut Comparison) {
        let counted_as = self.record(old).map(|record| record.session.reason_text.clone());
        let text = self.shown.iter().find(|(fact, _)| fact == new).map(|(_, session)| &session.reason_text);
        let reason = |text: &String| self.classifier.classify(text);
        if counted_as.is_some() && counted_as.as_ref().map(reason) == text.map(reason) {
            comparison.corrected += 1;
        } else {
            self.tell(DifferenceKind::Reason, new, counted_as, comparison);
        }
    }

    fn tell(&self, kind: DifferenceKind, fact: &Fact, counted_as: Option<String>, comparison: &mut Comparison) {
        let row = self.shown.iter().find(|(other, _)| other == fact).map(|(_, session)| session);
        let session = row.or_else(|| self.record(fact).map(|record| &record.session));
        let Some(session) = session.cloned() else {
            // The names are known, but nothing else is kept of it.
            comparison.unnamed += 1;
            return;
        };
        let (shown, counted) = (self.times_shown(fact), self.times_counted(fact));
        comparison.differences.push(Difference { kind, session, shown, counted, counted_as });
    }

    fn record(&self, fact: &Fact) -> Option<&Record> {
        self.records.iter().copied().find(|record| record.fact == *fact)
    }

    fn times_shown(&self, fact: &Fact) -> u64 {
        self.shown.iter().filter(|(other, _)| other == fact).count() as u64
    }

    fn times_counted(&self, fact: &Fact) -> u64 {
        self.counted.iter().filter(|other| *other == fact).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixSeconds;
    use crate::ledger::AccountBooks;
    use crate::listing::Reading;
    use crate::session::IdentityKey;

    const END: UnixSeconds = 1_700_000_000;
    const STOPPED: &str = "推流客户端主动断流";

    fn session(stream: &str, end: UnixSeconds, reason_text: &str) -> PushSession {
        PushSession {
            domain: "push.example.com".into(),
            app: "live".into(),
            stream: stream.into(),
            start: END - 60,
            end,
            reason_text: reason_text.into(),
            client_ip: "203.0.113.7".into(),
            duration: None,
            resolution: String::new(),
        }
    }

    /// What comes of sessions that the API shows and sessions that are counted, of which records of the first `recorded`
    /// are kept.
    fn compared(shown: &[PushSession], counted: &[PushSession], recorded: usize) -> Comparison {
        let key = IdentityKey::new([7; 16]);
        let mut sightings = Sightings::new(Window { start: i64::MIN, end: i64::MAX }, key.clone());
        assert_eq!(sightings.take(&mut Reading { sessions: shown.to_vec(), ..Reading::default() }), []);
        let mut groups: BTreeMap<_, Vec<Fact>> = BTreeMap::new();
        for session in counted {
            groups.entry(session.group().key("main", &key)).or_default().push(session.fact(&key));
        }
        let record = |session: &PushSession| Record {
            account: "main".into(),
            group: session.group().key("main", &key),
            fact: session.fact(&key),
            session: PushSession { client_ip: String::new(), ..session.clone() },
            first_seen: END,
            counted: true,
        };
        let books =
            AccountBooks { first_start: 0, counting_since: 0, floor: 0, published: true, scopes: BTreeMap::new() };
        let view = AccountView {
            books,
            groups: groups.into_iter().map(|(key, facts)| (key, Group::new(facts))).collect(),
            records: counted[..recorded].iter().map(record).collect(),
            key,
        };
        let classifier = Classifier::new(&[]);
        let range = Window { start: END - 100, end: END + 100 };
        let scope = Filter { domain: Some("push.example.com".into()), ..Filter::default() };
        compare(&sightings, &view, &Terms { account: "main", scopes: &[scope], range, classifier: &classifier })
    }

    fn told(comparison: &Comparison) -> Vec<(DifferenceKind, u64, u64)> {
        comparison.differences.iter().map(|one| (one.kind, one.shown, one.counted)).collect()
    }

    #[test]
    fn each_difference_is_told_as_what_it_is() {
        let room = session("room", END, STOPPED);
        let network = session("room", END, "推流链路网络异常");
        let same = compared(&vec![room.clone(); 2], &vec![room.clone(); 2], 2);
        assert_eq!((told(&same), same.equal, same.suspects.len()), (vec![], 2, 0));
        let room = std::slice::from_ref(&room);
        let two = [room, room].concat();
        for (shown, counted, kind) in [
            (&two[..], &[][..], (DifferenceKind::NotCounted, 2, 0)),
            (&[], &two, (DifferenceKind::NotShown, 0, 2)),
            (&two, room, (DifferenceKind::Number, 2, 1)),
            (room, &two, (DifferenceKind::Number, 1, 2)),
            (std::slice::from_ref(&network), room, (DifferenceKind::Reason, 1, 0)),
        ] {
            let comparison = compared(shown, counted, counted.len());
            assert_eq!(told(&comparison), [kind]);
            assert_eq!(comparison.suspects[0].ends, [END], "it is looked at once more");
        }
        let reason = compared(std::slice::from_ref(&network), room, 1);
        assert_eq!(reason.differences[0].counted_as.as_deref(), Some(STOPPED));
    }

    #[test]
    fn a_session_that_is_corrected_or_spelled_anew_is_no_difference() {
        let room = session("room", END, STOPPED);
        for changed in [
            session("room", END + 9, STOPPED),
            PushSession { client_ip: "198.51.100.9".into(), ..room.clone() },
            session("room", END, "Push client interrupted the push."),
        ] {
            let comparison = compared(std::slice::from_ref(&changed), std::slice::from_ref(&room), 1);
            assert_eq!((told(&comparison), comparison.corrected), (vec![], 1), "{changed:?}");
        }
    }

    #[test]
    fn what_no_record_names_is_left_out_and_not_missed() {
        let rooms = ["one", "two", "three"].map(|stream| session(stream, END, STOPPED));
        let comparison = compared(&rooms[..1], &rooms, 0);
        assert_eq!((told(&comparison), comparison.equal, comparison.unnamed), (vec![], 1, 2));
        let comparison = compared(&rooms[..1], &rooms, 2);
        assert_eq!((told(&comparison), comparison.unnamed), (vec![(DifferenceKind::NotShown, 0, 1)], 1));
    }

    #[test]
    fn what_nobody_asks_for_any_more_is_left_out() {
        let elsewhere = PushSession { domain: "old.example.com".into(), ..session("room", END, STOPPED) };
        let comparison = compared(&[], &[elsewhere], 1);
        assert_eq!((told(&comparison), comparison.not_asked_for), (vec![], 1));
    }

    #[test]
    fn what_ended_outside_of_the_range_is_not_compared() {
        let early = session("early", END - 101, STOPPED);
        let late = session("late", END + 101, STOPPED);
        let comparison = compared(std::slice::from_ref(&early), std::slice::from_ref(&late), 1);
        assert_eq!((told(&comparison), comparison.equal, comparison.unnamed), (vec![], 0, 0));
    }
}
