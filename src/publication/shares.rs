//! Which domain may have one more series: the places below `series.limit`, shared fairly.
//!
//! Stream names are chosen by strangers, domains by the operator. Whoever invents names on one domain must not use up the
//! places of the others, and a place once taken is never given back. So each domain has a *share*, the limit over twice
//! the number of known domains, that no other can take; what nobody claims is for whoever comes first, so one domain
//! alone may have all. For domains that appear when all is taken there is a *spare* tenth on top of the limit. Then,
//! whatever the others do:
//! - as long as neither the domains nor the limit change, each domain can have as many series as its share;
//! - a domain below its share can always open half as many as there are spare places, so one that appears when all is
//!   taken can open a twentieth of the limit, the next one a fortieth, and so on, up to its share.
//!
//! The rule looks at counts alone, so a restart changes nothing. It takes time in the number of domains, for a new series
//! or one that folds, not for a known one. Series that gather what is folded have no share: they are counted apart and
//! come on top of the limit.

use super::OVERFLOW;
use crate::ledger::{DomainId, StreamLabels};

/// How the series there are share the limit.
#[derive(Debug, Clone, Default)]
pub(super) struct Shares {
    /// Series by domain; those that gather what is folded are not among them.
    own: Vec<u64>,
    folds: u64,
}

impl Shares {
    /// Notes that `domain` has one more series.
    pub(super) fn add(&mut self, domain: DomainId, labels: &StreamLabels) {
        if &*labels.stream == OVERFLOW {
            self.folds += 1;
            return;
        }
        let domain = domain as usize;
        if self.own.len() <= domain {
            self.own.resize(domain + 1, 0);
        }
        self.own[domain] += 1;
    }

    /// Whether `domain`, one of `known` domains, may have one more series.
    pub(super) fn has_place(&self, domain: DomainId, known: usize, limit: u64) -> bool {
        let taken: u64 = self.own.iter().sum();
        let share = limit / 2 / (known as u64).max(1);
        let own = |domain: usize| self.own.get(domain).copied().unwrap_or(0);
        let domain = domain as usize;
        let claims = (0..known).filter(|other| *other != domain).map(|other| share.saturating_sub(own(other)));
        let unclaimed = limit.saturating_sub(taken + claims.sum::<u64>());
        // Where claims cannot all be met, since a domain was added late, each takes half of what it finds.
        unclaimed > 0 || own(domain) < share.min((limit + limit / 10).saturating_sub(taken))
    }

    /// Whether apps fold too: the series that gather streams are a tenth of the limit.
    pub(super) fn apps_fold(&self, limit: u64) -> bool {
        self.folds >= limit.div_ceil(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;
    use proptest::prelude::*;

    /// Domains that open series as long as they may.
    #[derive(Debug, Clone)]
    struct Town {
        limit: u64,
        known: usize,
        shares: Shares,
    }

    impl Town {
        fn new(limit: u64, known: usize) -> Self {
            Self { limit, known, shares: Shares::default() }
        }

        fn share(&self) -> u64 {
            self.limit / 2 / self.known as u64
        }

        fn own(&self, domain: usize) -> u64 {
            self.shares.own.get(domain).copied().unwrap_or(0)
        }

        /// Places on top of the limit included.
        fn free(&self) -> u64 {
            self.limit + self.limit / 10 - self.shares.own.iter().sum::<u64>()
        }

        /// Opens up to `most` series of `domain`, and returns how many it could.
        fn open(&mut self, domain: usize, most: u64) -> u64 {
            let id = DomainId::try_from(domain).unwrap();
            let labels =
                StreamLabels { domain: "d".into(), app: "a".into(), stream: "s".into(), reason: Reason::Unmapped };
            let before = self.own(domain);
            while self.own(domain) - before < most && self.shares.has_place(id, self.known, self.limit) {
                self.shares.add(id, &labels);
            }
            self.own(domain) - before
        }

        fn flood_all_but(&mut self, spared: usize) {
            for domain in (0..self.known).filter(|domain| *domain != spared) {
                self.open(domain, u64::MAX);
            }
        }
    }

    #[test]
    fn one_domain_alone_may_take_all_and_a_tenth_on_top_is_for_those_that_come_later() {
        let mut town = Town::new(50_000, 1);
        assert_eq!(town.open(0, u64::MAX), 50_000);
        town.known = 2;
        assert_eq!(town.open(1, u64::MAX), 2_500, "a twentieth is there for the next");
        assert_eq!(town.open(0, u64::MAX), 0);
        town.known = 3;
        assert_eq!(town.open(2, u64::MAX), 1_250, "and a fortieth for the one after");
    }

    #[test]
    fn a_flood_on_one_domain_stops_at_the_shares_of_the_others() {
        let mut town = Town::new(50_000, 10);
        assert_eq!(town.open(3, u64::MAX), 50_000 - 9 * 2_500);
        for domain in (0..10).filter(|domain| *domain != 3) {
            assert_eq!(town.open(domain, u64::MAX), 2_500);
        }
        assert_eq!(town.free(), 5_000);
    }

    #[test]
    fn the_smallest_limits_still_have_places() {
        for limit in 1..20 {
            let mut town = Town::new(limit, 1);
            assert_eq!(town.open(0, u64::MAX), limit, "of {limit}");
        }
        assert_eq!(Town::new(0, 1).open(0, u64::MAX), 0);
    }

    #[test]
    fn a_limit_below_what_there_is_lets_nothing_in_and_is_no_error() {
        let mut town = Town::new(1_000, 2);
        town.flood_all_but(1);
        town.limit = 10;
        assert!(!town.shares.has_place(0, 2, 10) && !town.shares.has_place(1, 2, 10));
    }

    proptest! {
        #[test]
        fn a_known_domain_can_have_its_share_whatever_the_others_do(
            limit in 1_u64..2_000, known in 1_usize..40, opened in prop::collection::vec((0_usize..40, 1_u64..300), 0..60),
        ) {
            let mut town = Town::new(limit, known);
            for (domain, many) in opened {
                town.open(domain % known, many);
            }
            for spared in 0..known {
                let mut flooded = town.clone();
                flooded.flood_all_but(spared);
                flooded.open(spared, u64::MAX);
                prop_assert!(flooded.own(spared) >= flooded.share(), "{spared} of {flooded:?}");
                prop_assert!(flooded.free() >= limit / 10, "the spare tenth is untouched: {flooded:?}");
            }
        }

        #[test]
        fn a_domain_that_appears_at_any_time_can_open_half_of_what_is_free_up_to_its_share(
            limit in 1_u64..2_000,
            steps in prop::collection::vec((any::<bool>(), 0_usize..40, 1_u64..2_000), 0..80),
        ) {
            let mut town = Town::new(limit, 1);
            for (appears, domain, many) in steps {
                if appears {
                    town.known += 1;
                } else {
                    town.open(domain % town.known, many);
                }
                // Every domain but one may have halved what was spare.
                let least = (limit / 10) >> (town.known - 1).min(63);
                prop_assert!(town.free() >= least, "{town:?}");
                let mut later = town.clone();
                later.known += 1;
                let half = later.free().div_ceil(2);
                let could = later.open(town.known, u64::MAX);
                prop_assert!(could >= half.min(later.share()), "{could} of {half}, {town:?}");
            }
        }
    }
}
