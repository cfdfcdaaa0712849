//! One response on its way into the books: facts in, posting out. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::clock::UnixSeconds;
use crate::ledger::{AccountBooks, Posting, Record, Revision, ScopeProgress};
use crate::listing::{Filter, Group, Progress, Unsettled, Whole};
use crate::planted::{Bug, planted};
use crate::publication::{Happening, Publication};
use crate::reason::{Classifier, Reason};
use crate::session::{Fact, GroupId, GroupKey, IdentityKey, PushSession};

/// What one response showed.
#[derive(Debug, Default)]
pub struct Observation {
    /// The account that was asked.
    pub account: String,
    /// The names the listing is narrowed to.
    pub scope: Filter,
    /// Its finished sessions.
    pub sessions: Vec<PushSession>,
    /// It answers a confirmation, so nothing further is unsettled by it.
    pub confirming: bool,
    /// The group that it confirms.
    pub whole: Option<Whole>,
    /// What is complete once it is in, unless it leaves a group unsettled.
    pub progress: Progress,
    /// When it was received.
    pub seen: UnixSeconds,
}

/// What became of an observation.
#[derive(Debug, Default)]
pub struct Receipt {
    /// Ends of the sessions counted now; those of the baseline are not among them.
    pub counted_ends: Vec<UnixSeconds>,
    /// Sessions counted into the baseline.
    pub baseline: u64,
    /// Rows that were accounted for already.
    pub duplicates: u64,
    /// Sessions the API has corrected.
    pub revised: u64,
    /// Rows that ended before what is counted or remembered.
    pub late: u64,
    /// Reason texts that nothing matches, of sessions counted now.
    pub unmapped: Vec<String>,
    /// Disconnects folded into overflow series.
    pub overflowed: u64,
    /// The domains of what was counted now, as labels.
    pub domains: Vec<Arc<str>>,
    /// The domains that had no place for them.
    pub full_domains: BTreeSet<Arc<str>>,
    /// Disconnects counted, but not in the stream counter.
    pub excluded: u64,
    /// Groups that need a confirmation; then the progress was not taken.
    pub unsettled: Vec<Unsettled>,
}

/// How much of a publisher's address a record keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientIp {
    /// All of it.
    Full,
    /// The network: /24 of IPv4, /48 of IPv6.
    #[default]
    Masked,
    /// Nothing.
    None,
}

impl ClientIp {
    /// What is kept of `address`.
    #[must_use]
    pub fn keep(self, address: String) -> String {
        match (self, address.parse()) {
            (ClientIp::None, _) => String::new(),
            (ClientIp::Full, _) => address,
            (ClientIp::Masked, Ok(std::net::IpAddr::V4(v4))) => {
                let [a, b, c, _] = v4.octets();
                format!("{a}.{b}.{c}.0/24")
            }
            (ClientIp::Masked, Ok(std::net::IpAddr::V6(v6))) => {
                let [a, b, c, ..] = v6.segments();
                format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
            }
            // `-` stands for the intranet; anything else is no address and may be one in disguise.
            (ClientIp::Masked, Err(_)) => {
                if address == "-" {
                    address
                } else {
                    String::new()
                }
            }
        }
    }
}

/// What turning an observation into a posting needs to know.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The key of the ledger's hashes.
    pub key: &'a IdentityKey,
    /// The taxonomy.
    pub classifier: &'a Classifier,
    /// The account's books.
    pub account: &'a AccountBooks,
    /// The end of the scope's last successful listing.
    pub watermark: Option<UnixSeconds>,
    /// All series.
    pub publication: &'a Publication,
    /// What records keep of addresses.
    pub client_ip: ClientIp,
    /// [`Posting::at`]
    pub at: UnixSeconds,
}

/// The rows of an observation by group.
#[derive(Debug)]
pub struct Sorted {
    groups: BTreeMap<GroupKey, (GroupId, Vec<(Fact, PushSession)>)>,
    late: u64,
}

impl Sorted {
    /// Sorts the rows; those that ended below the account's floor are left out.
    #[must_use]
    pub fn new(observation: &mut Observation, floor: UnixSeconds, key: &IdentityKey) -> Self {
        let mut sorted = Self { groups: BTreeMap::new(), late: 0 };
        for session in std::mem::take(&mut observation.sessions) {
            if session.end < floor {
                sorted.late += 1;
                continue;
            }
            let group = session.group();
            let rows = &mut sorted.groups.entry(group.key(&observation.account, key)).or_insert((group, Vec::new())).1;
            rows.push((session.fact(key), session));
        }
        sorted
    }

    /// The groups that the rows belong to.
    #[must_use]
    pub fn keys(&self) -> Vec<GroupKey> {
        self.groups.keys().copied().collect()
    }
}

impl Bench<'_> {
    /// What `observation` changes, given the groups as they are in the books.
    #[must_use]
    pub fn post(
        &self,
        observation: &Observation,
        sorted: Sorted,
        mut known: BTreeMap<GroupKey, Group>,
    ) -> (Posting, Receipt) {
        let mut posting = Posting { at: self.at, ..Posting::default() };
        let mut receipt = Receipt { late: sorted.late, ..Receipt::default() };
        let mut draft = self.publication.draft();
        for (key, (id, mut rows)) in sorted.groups {
            if planted(Bug::CursorAlone) {
                rows.retain(|(fact, _)| self.watermark.is_none_or(|watermark| fact.end > watermark));
            }
            let view: Vec<Fact> = rows.iter().map(|(fact, _)| *fact).collect();
            let mut group = known.remove(&key).unwrap_or_default();
            let growth = group.grow(&view, self.account.floor);
            receipt.duplicates += (view.len() - growth.counted.len() - growth.unaccounted.len()) as u64;
            let mut changed = !growth.counted.is_empty();
            for fact in growth.counted {
                let place = rows.iter().position(|(other, _)| *other == fact);
                let (_, session) = rows.swap_remove(place.expect("growth is of the view"));
                let counted = session.end >= self.account.counting_since;
                if counted {
                    self.count(observation, &session, &mut draft, &mut receipt);
                } else {
                    receipt.late += 1;
                }
                posting.records.push(self.record(observation, key, fact, session, counted));
            }
            if !growth.unaccounted.is_empty() {
                let whole = observation.whole.as_ref();
                match doubt(whole, observation.confirming, &id, &view, &group, self.account.floor) {
                    Doubt::Corrected => {
                        changed |= self.revise(key, &view, &mut group, rows, &mut posting, &mut receipt);
                    }
                    Doubt::Left => {}
                    Doubt::Unsettled(unsettled) => receipt.unsettled.push(unsettled),
                }
            }
            if changed {
                posting.groups.push((key, observation.account.clone(), group));
            }
        }
        receipt.overflowed = draft.overflowed();
        receipt.domains = draft.domains().cloned().collect();
        receipt.full_domains = draft.full_domains().clone();
        receipt.excluded = draft.excluded();
        draft.write_into(&mut posting);
        if receipt.unsettled.is_empty() && !observation.progress.is_empty() {
            posting.progress = Some(ScopeProgress {
                account: observation.account.clone(),
                scope: observation.scope.clone(),
                progress: observation.progress.clone(),
            });
        }
        (posting, receipt)
    }

    fn count(
        &self,
        observation: &Observation,
        session: &PushSession,
        draft: &mut crate::publication::Draft<'_>,
        receipt: &mut Receipt,
    ) {
        let reason = self.classifier.classify(&session.reason_text);
        if reason == Reason::Unmapped {
            receipt.unmapped.push(session.reason_text.clone());
        }
        let in_baseline = session.end < self.account.first_start
            && !self.publication.is_published(&observation.account)
            && !planted(Bug::NothingInBaseline);
        if in_baseline {
            receipt.baseline += 1;
        } else {
            receipt.counted_ends.push(session.end);
        }
        let start = self.watermark.unwrap_or(self.account.counting_since);
        draft.count(&Happening {
            account: &observation.account,
            domain: &session.domain.label(self.key),
            app: &session.app.label(self.key),
            stream: &session.stream.label(self.key),
            reason,
            end: session.end,
            lasted: session.lasted(),
            created: if in_baseline { self.account.counting_since } else { start.min(session.end) },
            in_baseline,
        });
    }

    fn revise(
        &self,
        key: GroupKey,
        view: &[Fact],
        group: &mut Group,
        mut rows: Vec<(Fact, PushSession)>,
        posting: &mut Posting,
        receipt: &mut Receipt,
    ) -> bool {
        let mut changed = false;
        for (old, new) in group.revise(view, self.account.floor) {
            receipt.revised += 1;
            if !new.has_reason_of(&old) {
                continue;
            }
            let place = rows.iter().position(|(fact, _)| *fact == new);
            let (_, mut session) = rows.swap_remove(place.expect("revisions are of the view"));
            session.client_ip = self.client_ip.keep(session.client_ip);
            posting.revisions.push(Revision { group: key, old, new, session });
            changed = true;
        }
        changed
    }

    fn record(
        &self,
        observation: &Observation,
        group: GroupKey,
        fact: Fact,
        mut session: PushSession,
        counted: bool,
    ) -> Record {
        session.client_ip = self.client_ip.keep(session.client_ip);
        Record { account: observation.account.clone(), group, fact, session, first_seen: observation.seen, counted }
    }
}

/// What to make of facts that a view showed though its group did not grow by them.
pub(super) enum Doubt {
    /// They are what the API has made of others.
    Corrected,
    /// Nothing more can be learned of them now.
    Left,
    /// It takes one view of the whole group to tell.
    Unsettled(Unsettled),
}

/// Judges the facts of `view` that `group` does not account for, in a response that answers a confirmation if
/// `confirming`, and showed `whole`.
pub(super) fn doubt(
    whole: Option<&Whole>,
    confirming: bool,
    id: &GroupId,
    view: &[Fact],
    group: &Group,
    floor: UnixSeconds,
) -> Doubt {
    let whole = whole.filter(|whole| whole.group == *id);
    let shows = |whole: &Whole, fact: &Fact| whole.ends.iter().any(|ends| ends.contains(fact.end));
    let shows_all = whole.is_some_and(|whole| group.above(floor).all(|fact| shows(whole, fact)));
    match whole {
        Some(whole) if shows_all && whole.at_once => Doubt::Corrected,
        None if confirming => Doubt::Left,
        Some(_) if shows_all => Doubt::Left,
        // Whoever wanted it confirmed did not know of all ends.
        Some(_) | None => Doubt::Unsettled(unsettled(id.clone(), view, group, floor)),
    }
}

fn unsettled(group: GroupId, view: &[Fact], known: &Group, floor: UnixSeconds) -> Unsettled {
    let ends = view.iter().chain(known.above(floor)).map(|fact| fact.end).collect();
    let rows = view.len().max(known.above(floor).count()) as u64;
    Unsettled::new(group, ends, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_address_names_a_network() {
        let kept = |address: &str| ClientIp::Masked.keep(address.to_owned());
        assert_eq!(kept("180.163.8.244"), "180.163.8.0/24");
        assert_eq!(kept("2402:4e00:1020:1404::9"), "2402:4e00:1020::/48");
        assert_eq!(kept("-"), "-");
        assert_eq!(kept("1.2.3.4, 5.6.7.8"), "");
        assert_eq!(ClientIp::None.keep("1.2.3.4".into()), "");
        assert_eq!(ClientIp::Full.keep("1.2.3.4".into()), "1.2.3.4");
    }
}
