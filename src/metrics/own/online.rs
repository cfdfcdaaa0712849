//! Streams that are pushed, by domain and app.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::IntGaugeVec;

/// Most pairs of a domain and an app that an account shows: publishers name the apps.
const MOST_PAIRS: usize = 1_000;

/// The app of the pairs beyond; it is what streams beyond `series.limit` are called, too.
const OTHERS: &str = "__overflow__";

/// The labels `domain` and `app`.
type Pair = (String, String);

/// What one account shows.
#[derive(Debug)]
pub(super) struct Online {
    gauges: IntGaugeVec,
    /// Pairs that were there, and whether they are on the page.
    known: Mutex<BTreeMap<Pair, bool>>,
}

impl Online {
    pub(super) fn new(gauges: IntGaugeVec) -> Self {
        Self { gauges, known: Mutex::default() }
    }

    /// So many streams are pushed. A pair that was there before is shown at 0, so that its end can be seen, while there
    /// is room.
    pub(super) fn listed(&self, online: &BTreeMap<Pair, u64>) {
        let mut known = self.known();
        let (seen, new): (Vec<_>, Vec<_>) = online.iter().partition(|(pair, _)| known.contains_key(pair));
        let mut now: BTreeMap<Pair, u64> = BTreeMap::new();
        for (pair, streams) in seen.into_iter().chain(new) {
            let pair = if now.len() < MOST_PAIRS { pair.clone() } else { overflow(&pair.0) };
            *now.entry(pair).or_default() += streams;
        }
        for (pair, shown) in std::mem::take(&mut *known) {
            if now.len() < MOST_PAIRS {
                now.entry(pair).or_default();
            } else if shown && !now.contains_key(&pair) {
                self.hide(&pair);
            }
        }
        for ((domain, app), streams) in &now {
            self.gauges.with_label_values(&[domain, app]).set(i64::try_from(*streams).unwrap_or(i64::MAX));
        }
        *known = now.into_keys().map(|pair| (pair, true)).collect();
    }

    /// How many are pushed is not known any more: nothing is shown until it is.
    pub(super) fn unknown(&self) {
        for (pair, shown) in self.known().iter_mut().filter(|(_, shown)| **shown) {
            self.hide(pair);
            *shown = false;
        }
    }

    fn hide(&self, (domain, app): &Pair) {
        let gone = self.gauges.remove_label_values(&[domain, app]);
        debug_assert!(gone.is_ok(), "{gone:?}");
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Pair, bool>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn overflow(domain: &str) -> Pair {
    (domain.to_owned(), OTHERS.to_owned())
}
