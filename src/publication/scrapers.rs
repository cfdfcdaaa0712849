//! The scrapers seen lately, and what all of them have read.

use std::collections::HashMap;
use std::time::Duration;

use super::scrape::{Scrape, Scraper};

/// More callers than this are no scrapers; the one unseen for longest gives way.
const MOST_SCRAPERS: usize = 64;

#[derive(Debug)]
pub(super) struct Scrapers {
    seen: HashMap<Scraper, Seen>,
    start: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    last: Duration,
    times: u64,
    generation: u64,
}

impl Scrapers {
    pub(super) fn new(elapsed: Duration) -> Self {
        Self { seen: HashMap::new(), start: elapsed }
    }

    pub(super) fn scraped(&mut self, scrape: Scrape, elapsed: Duration, lately: Duration) {
        self.seen.retain(|_, seen| elapsed.saturating_sub(seen.last) <= lately);
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

    /// The newest generation that every scraper seen lately has read; none while there is no telling who the scrapers
    /// are: before any has come twice, and within the first `lately` after the start, since one that comes once a
    /// minute may not have come yet.
    pub(super) fn read_by_all(&self, elapsed: Duration, lately: Duration) -> Option<u64> {
        if elapsed.saturating_sub(self.start) < lately {
            return None;
        }
        let recent = || self.seen.values().filter(|seen| elapsed.saturating_sub(seen.last) <= lately);
        let regulars = recent().filter(|seen| seen.times >= 2);
        regulars.map(|seen| seen.generation).min()
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
        let mut scrapers = Scrapers::new(at(0));
        for (time, name, generation) in scrapes {
            scrapers.scraped(scrape(name, *generation), at(*time), LATELY);
        }
        scrapers
    }

    #[test]
    fn the_slowest_scraper_decides() {
        let scrapers =
            scrapers(&[(70, "fast", 1), (75, "slow", 1), (80, "fast", 5), (100, "slow", 3), (101, "fast", 9)]);
        assert_eq!(scrapers.read_by_all(at(102), LATELY), Some(3));
    }

    #[test]
    fn a_visitor_that_comes_once_decides_nothing() {
        let scrapers = scrapers(&[(70, "fast", 1), (80, "fast", 5), (81, "curl", 2)]);
        assert_eq!(scrapers.read_by_all(at(82), LATELY), Some(5));
    }

    #[test]
    fn nobody_decides_before_the_scrapers_can_be_known() {
        assert_eq!(scrapers(&[]).read_by_all(at(500), LATELY), None);
        assert_eq!(scrapers(&[(1, "fast", 1), (3, "fast", 2)]).read_by_all(at(4), LATELY), None);
    }

    #[test]
    fn a_scraper_that_went_away_stops_deciding() {
        let scrapers = scrapers(&[(70, "gone", 1), (72, "gone", 1), (140, "fast", 5), (150, "fast", 8)]);
        assert_eq!(scrapers.read_by_all(at(151), LATELY), Some(8));
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let mut scrapers = Scrapers::new(at(0));
        for n in 0..1000 {
            scrapers.scraped(scrape(&format!("agent {n}"), 1), at(100), LATELY);
        }
        assert_eq!(scrapers.seen.len(), MOST_SCRAPERS);
    }
}
