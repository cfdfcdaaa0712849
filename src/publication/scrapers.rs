//! The scrapers seen lately, and what all of them have read.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::scrape::{Scrape, Scraper};

/// More callers than this are no scrapers; the one unseen for longest gives way.
const MOST_SCRAPERS: usize = 64;

/// Who has come so often comes again.
const REGULAR: u64 = 2;

#[derive(Debug)]
pub(super) struct Scrapers {
    seen: HashMap<Scraper, Seen>,
    /// How long ago is no longer lately.
    lately: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    last: Duration,
    times: u64,
    generation: u64,
}

impl Scrapers {
    /// Starts with the regulars of before a restart: they are expected to come again.
    pub(super) fn new(regulars: BTreeSet<Scraper>, lately: Duration, elapsed: Duration) -> Self {
        let expected = Seen { last: elapsed, times: REGULAR, generation: 0 };
        Self { seen: regulars.into_iter().map(|scraper| (scraper, expected)).collect(), lately }
    }

    pub(super) fn scraped(&mut self, scrape: Scrape, elapsed: Duration) {
        self.seen.retain(|_, seen| elapsed.saturating_sub(seen.last) <= self.lately);
        if self.seen.len() >= MOST_SCRAPERS && !self.seen.contains_key(&scrape.scraper) {
            let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.last).map(|(scraper, _)| scraper.clone());
            oldest.map(|scraper| self.seen.remove(&scraper));
        }
        let first = Seen { last: elapsed, times: 0, generation: 0 };
        let seen = self.seen.entry(scrape.scraper).or_insert(first);
        seen.last = elapsed;
        seen.times += 1;
        seen.generation = seen.generation.max(scrape.generation);
    }

    /// The scrapers that came more than once, and lately.
    pub(super) fn regulars(&self, elapsed: Duration) -> BTreeSet<Scraper> {
        self.recent(elapsed).map(|(scraper, _)| scraper.clone()).collect()
    }

    /// The newest generation that every regular has read; none while there is no regular, so that whoever comes first
    /// finds the baseline.
    pub(super) fn read_by_all(&self, elapsed: Duration) -> Option<u64> {
        self.recent(elapsed).map(|(_, seen)| seen.generation).min()
    }

    fn recent(&self, elapsed: Duration) -> impl Iterator<Item = (&Scraper, &Seen)> {
        let lately = move |seen: &Seen| elapsed.saturating_sub(seen.last) <= self.lately;
        self.seen.iter().filter(move |(_, seen)| seen.times >= REGULAR && lately(seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATELY: Duration = Duration::from_secs(75);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn scrape(name: &str, generation: u64) -> Scrape {
        let peer = std::net::IpAddr::from([127, 0, 0, 1]);
        Scrape { scraper: Scraper { peer, user_agent: name.into() }, generation }
    }

    fn scrapers(scrapes: &[(u64, &str, u64)]) -> Scrapers {
        let mut scrapers = Scrapers::new(BTreeSet::new(), LATELY, at(0));
        for (time, name, generation) in scrapes {
            scrapers.scraped(scrape(name, *generation), at(*time));
        }
        scrapers
    }

    #[test]
    fn the_slowest_scraper_decides() {
        let scrapers =
            scrapers(&[(70, "fast", 1), (75, "slow", 1), (80, "fast", 5), (100, "slow", 3), (101, "fast", 9)]);
        assert_eq!(scrapers.read_by_all(at(102)), Some(3));
    }

    #[test]
    fn a_visitor_that_comes_once_decides_nothing() {
        let scrapers = scrapers(&[(70, "fast", 1), (80, "fast", 5), (81, "curl", 2)]);
        assert_eq!(scrapers.read_by_all(at(82)), Some(5));
    }

    #[test]
    fn nobody_decides_before_anyone_has_come_twice() {
        assert_eq!(scrapers(&[]).read_by_all(at(500)), None);
        assert_eq!(scrapers(&[(1, "fast", 1)]).read_by_all(at(2)), None);
        assert_eq!(scrapers(&[(1, "fast", 1), (3, "fast", 2)]).read_by_all(at(4)), Some(2));
    }

    #[test]
    fn a_regular_of_before_the_restart_is_waited_for() {
        let slow = scrape("slow", 0).scraper;
        let mut scrapers = Scrapers::new(BTreeSet::from([slow.clone()]), LATELY, at(0));
        for seconds in [1, 3, 5] {
            scrapers.scraped(scrape("fast", seconds), at(seconds));
        }
        assert_eq!(scrapers.read_by_all(at(6)), Some(0));
        assert_eq!(scrapers.regulars(at(6)), BTreeSet::from([slow, scrape("fast", 0).scraper]));
        scrapers.scraped(scrape("slow", 4), at(60));
        scrapers.scraped(scrape("fast", 9), at(61));
        assert_eq!(scrapers.read_by_all(at(62)), Some(4));
    }

    #[test]
    fn a_scraper_that_went_away_stops_deciding() {
        let scrapers = scrapers(&[(70, "gone", 1), (72, "gone", 1), (140, "fast", 5), (150, "fast", 8)]);
        assert_eq!(scrapers.read_by_all(at(151)), Some(8));
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let mut scrapers = Scrapers::new(BTreeSet::new(), LATELY, at(0));
        for n in 0..1000 {
            scrapers.scraped(scrape(&format!("agent {n}"), 1), at(100));
        }
        assert_eq!(scrapers.seen.len(), MOST_SCRAPERS);
    }
}
