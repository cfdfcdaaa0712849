//! How many sessions a group has: the most ever seen together.
//!
//! Rows of one response can be told apart by their position, rows of two responses cannot. So the number counted for
//! a group is the largest number of its rows ever seen in one view (one response). Seeing them again adds nothing, a
//! corrected row adds nothing, n identical rows in one view count n. A group that may be larger than any one view so
//! far, because views show rows that are not accounted for, is *unsettled*: it takes one view of the whole group to
//! tell another session from a corrected one.
//!
//! No view shows a session that ended below the floor, so such a one is no part of what a view is measured by, unless a
//! row of the view may be what became of it.

use crate::clock::UnixSeconds;
use crate::planted::{Bug, planted};
use crate::session::Fact;

/// Seconds by which a row that ended below the floor may be corrected to end above it, and for which a group is
/// remembered longer than its rows are asked for.
pub const CORRECTION_SECONDS: i64 = 300;

/// The rows of a group that are accounted for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// One fact per counted session, sorted.
    accounted: Vec<Fact>,
}

/// What a view added to a group.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// Facts counted now, for the first time.
    pub counted: Vec<Fact>,
    /// Facts of the view that are not accounted for, though the group did not grow: corrected rows, or sessions that no
    /// view has shown together with the others.
    pub unaccounted: Vec<Fact>,
}

impl Group {
    /// A group whose sessions are `accounted`.
    #[must_use]
    pub fn new(mut accounted: Vec<Fact>) -> Self {
        accounted.sort_unstable();
        Self { accounted }
    }

    /// One fact per counted session, sorted.
    #[must_use]
    pub fn accounted(&self) -> &[Fact] {
        &self.accounted
    }

    /// When the last of its sessions ended.
    #[must_use]
    pub fn last_end(&self) -> Option<UnixSeconds> {
        self.accounted.last().map(|fact| fact.end)
    }

    /// Those of its sessions that a view can still show: they ended at `floor` or later.
    pub fn above(&self, floor: UnixSeconds) -> impl Iterator<Item = &Fact> {
        self.accounted.iter().filter(move |fact| fact.end >= floor)
    }

    /// Lets the group grow to the size of `view`, all of its rows in one response. The surplus goes to facts that are
    /// not accounted for yet, in their order; those that may be corrections of rows the view no longer shows come last.
    pub fn grow(&mut self, view: &[Fact], floor: UnixSeconds) -> Growth {
        let view = if planted(Bug::SetInsteadOfMaximum) { &as_set(view) } else { view };
        let (corrections, mut counted) = self.corrections(view, floor);
        let came_over_the_floor = corrections.iter().filter(|(old, _)| old.end < floor).count();
        let known = if planted(Bug::NoConfirmation) { 0 } else { self.above(floor).count() + came_over_the_floor };
        let surplus = view.len().saturating_sub(known);
        counted.extend(corrections.into_iter().map(|(_, new)| new));
        let unaccounted = counted.split_off(surplus.min(counted.len()));
        self.accounted.extend_from_slice(&counted);
        self.accounted.sort_unstable();
        Growth { counted, unaccounted }
    }

    /// Takes the facts that `view` corrects: an unaccounted fact of the view takes the place of an accounted one of the
    /// same reason that the view no longer shows. The number of sessions stays. Returns what may have become what.
    ///
    /// Another reason in a row's place may be a correction too, or another row that came as this one was hidden. That
    /// is returned, but left as it is: when all are shown together again, each is counted under its own reason.
    pub fn revise(&mut self, view: &[Fact], floor: UnixSeconds) -> Vec<(Fact, Fact)> {
        let (corrections, _) = self.corrections(view, floor);
        for (old, new) in corrections.iter().filter(|(old, new)| new.has_reason_of(old)) {
            let place = self.accounted.iter().position(|fact| fact == old);
            self.accounted[place.expect("corrections are of accounted facts")] = *new;
        }
        self.accounted.sort_unstable();
        corrections
    }

    /// Facts of `view` that are not accounted for: those that may be corrections, each with the fact it may correct,
    /// and the others. A correction of end or address is likelier than one of the reason.
    fn corrections(&self, view: &[Fact], floor: UnixSeconds) -> (Vec<(Fact, Fact)>, Vec<Fact>) {
        let mut gone = missing_from(&self.accounted, view);
        let mut others = missing_from(view, &self.accounted);
        let mut corrections = Vec::new();
        for likely in [Fact::has_reason_of, Fact::has_end_and_address_of] {
            others.retain(|new| {
                let may_be =
                    |old: &Fact| likely(new, old) && (old.end >= floor || may_have_come_over_the_floor(old, new));
                let Some(place) = gone.iter().position(may_be) else { return true };
                corrections.push((gone.remove(place), *new));
                false
            });
        }
        (corrections, others)
    }
}

/// Of a session that can no longer be asked for only this is believed: that its end alone was corrected, and not by much.
fn may_have_come_over_the_floor(old: &Fact, new: &Fact) -> bool {
    new.address == old.address && new.end - old.end <= CORRECTION_SECONDS
}

/// The facts of `some` beyond those of `others`, each as often as it is there; sorted.
fn missing_from(some: &[Fact], others: &[Fact]) -> Vec<Fact> {
    let mut missing = some.to_vec();
    missing.sort_unstable();
    for fact in others {
        if let Ok(place) = missing.binary_search(fact) {
            missing.remove(place);
        }
    }
    missing
}

/// What a mistake makes of a view.
fn as_set(view: &[Fact]) -> Vec<Fact> {
    let mut set = view.to_vec();
    set.sort_unstable();
    set.dedup();
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: UnixSeconds = 0;

    fn facts(ends: &[i64]) -> Vec<Fact> {
        ends.iter().map(|end| Fact { end: *end, reason: 0, address: 0 }).collect()
    }

    #[test]
    fn identical_rows_in_one_view_are_distinct_and_seeing_them_again_adds_nothing() {
        let mut group = Group::default();
        assert_eq!(group.grow(&facts(&[5, 5, 5]), FLOOR).counted.len(), 3);
        assert_eq!(group.grow(&facts(&[5, 5]), FLOOR), Growth::default());
        assert_eq!(group.grow(&facts(&[5, 5, 5, 5]), FLOOR).counted.len(), 1);
    }

    #[test]
    fn another_end_alone_does_not_count_but_unsettles() {
        let mut group = Group::new(facts(&[5]));
        let growth = group.grow(&facts(&[9]), FLOOR);
        assert_eq!((growth.counted, growth.unaccounted), (vec![], facts(&[9])));
        assert_eq!(group.grow(&facts(&[5, 9]), FLOOR).counted, facts(&[9]));
    }

    #[test]
    fn a_corrected_row_takes_the_place_of_the_old_one() {
        let mut group = Group::new(facts(&[5, 7]));
        assert_eq!(group.revise(&facts(&[9, 7]), FLOOR), vec![(facts(&[5])[0], facts(&[9])[0])]);
        assert_eq!(group.accounted(), facts(&[7, 9]));
        assert_eq!(group.grow(&facts(&[7, 9]), FLOOR), Growth::default());
    }

    #[test]
    fn a_new_row_is_told_from_a_corrected_one_by_its_reason() {
        let [old, corrected] = [5, 6].map(|end| Fact { end, reason: 1, address: 1 });
        let other = Fact { end: 7, reason: 2, address: 2 };
        let mut group = Group::new(vec![old]);
        let growth = group.grow(&[corrected, other], FLOOR);
        assert_eq!((growth.counted, growth.unaccounted), (vec![other], vec![corrected]));
        assert_eq!(group.revise(&[corrected, other], FLOOR), vec![(old, corrected)]);
        let (moved, alike) = (Fact { address: 9, ..old }, Fact { reason: 0, ..old });
        let mut group = Group::new(vec![old]);
        assert_eq!(
            group.grow(&[alike, moved], FLOOR).counted,
            vec![alike],
            "seed 69: the address was corrected, not the reason"
        );
        let mut hidden = Group::new(vec![old]);
        assert_eq!(hidden.revise(&[other], FLOOR), vec![], "a row that resembles none is no correction");
    }

    #[test]
    fn a_view_without_the_row_revises_nothing() {
        let mut group = Group::new(facts(&[5]));
        assert_eq!(group.revise(&[], FLOOR), vec![]);
        assert_eq!(group.accounted(), facts(&[5]));
    }

    #[test]
    fn the_surplus_goes_to_rows_not_accounted_for_in_a_fixed_order() {
        let mut group = Group::new(facts(&[5]));
        let growth = group.grow(&facts(&[9, 8, 10]), FLOOR);
        // 8 may be what became of 5.
        assert_eq!((growth.counted, growth.unaccounted), (facts(&[9, 10]), facts(&[8])));
    }

    #[test]
    fn a_session_below_the_floor_hides_no_other_of_its_start() {
        let mut group = Group::new(facts(&[5, 90]));
        assert_eq!(group.grow(&facts(&[90, 3_000]), 50).counted, facts(&[3_000]), "seed 9651");
        let another_address = Fact { address: 1, ..facts(&[60])[0] };
        assert_eq!(Group::new(facts(&[5])).grow(&[another_address], 50).counted, vec![another_address]);
    }

    #[test]
    fn a_session_that_is_corrected_over_the_floor_is_not_another() {
        let mut group = Group::new(facts(&[5]));
        let growth = group.grow(&facts(&[60]), 50);
        assert_eq!((growth.counted, growth.unaccounted), (vec![], facts(&[60])));
        assert_eq!(group.revise(&facts(&[60]), 50), vec![(facts(&[5])[0], facts(&[60])[0])]);
        assert_eq!(group.accounted(), facts(&[60]));
    }
}
