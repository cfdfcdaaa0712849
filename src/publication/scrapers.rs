//! The scrapers seen lately, and what all of them have read.
//!
//! A pair of servers behind one gateway has one address and one user agent, so those do not tell scrapers apart.
//! Connections do: a scraper keeps its own over its interval. A client that opens one for each scrape can only be known
//! by address and user agent, so all of one kind pass for one scraper.

use std::collections::HashMap;
use std::time::Duration;

use super::scrape::{Scrape, Scraper};
use crate::planted::{Bug, planted};

/// More scrapers than this are not followed one by one.
const MOST_SCRAPERS: usize = 64;

#[derive(Debug)]
pub(super) struct Scrapers {
    /// By number: connections that are open, and those that have ended after several scrapes; remembered for twice as long
    /// as a scraper counts as seen lately.
    connections: HashMap<u64, (Scraper, Seen)>,
    /// Connections that have ended after one scrape, as one.
    passing: HashMap<Scraper, Seen>,
    /// Until then there is no telling what all have read.
    unknown_until: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    last: Duration,
    times: u64,
    generation: u64,
}

impl Seen {
    const NEVER: Self = Self { last: Duration::ZERO, times: 0, generation: 0 };

    fn add(&mut self, other: Seen) {
        self.last = self.last.max(other.last);
        self.times += other.times;
        self.generation = self.generation.max(other.generation);
    }
}

impl Scrapers {
    /// None met. Until `unknown_until`, some that are on their way may not have come yet.
    pub(super) fn new(unknown_until: Duration) -> Self {
        Self { connections: HashMap::new(), passing: HashMap::new(), unknown_until }
    }

    pub(super) fn scraped(&mut self, scrape: Scrape, elapsed: Duration, lately: Duration) {
        let last_one = self.seen().map(|(_, seen)| seen.last).max();
        if last_one.is_some_and(|last| elapsed.saturating_sub(last) > lately) {
            // All were cut off, and this one is the first to come back.
            self.expect_all_back(elapsed + lately);
        }
        let remembered = |seen: &Seen| elapsed.saturating_sub(seen.last) <= lately * 2;
        self.connections.retain(|_, (_, seen)| remembered(seen));
        self.passing.retain(|_, seen| remembered(seen));
        let Scrape { scraper, connection, generation } = scrape;
        let is_full = self.connections.len() + self.passing.len() >= MOST_SCRAPERS;
        if is_full && !self.connections.contains_key(&connection) {
            // Whoever is forgotten may be one that has not read what the others have.
            self.unknown_until = elapsed + lately;
            self.forget_oldest();
        }
        let (_, seen) = self.connections.entry(connection).or_insert((scraper, Seen::NEVER));
        seen.add(Seen { last: elapsed, times: 1, generation });
    }

    /// Scrapers that are known by nothing but having been there before may take until then to come back.
    pub(super) fn expect_all_back(&mut self, by: Duration) {
        self.unknown_until = self.unknown_until.max(by);
    }

    /// The connection of that number has ended. One that carried several scrapes still counts as a scraper until it
    /// has not been seen lately, since whoever had it may come back.
    pub(super) fn disconnected(&mut self, connection: u64) {
        if self.connections.get(&connection).is_some_and(|(_, seen)| seen.times == 1)
            && let Some((scraper, seen)) = self.connections.remove(&connection)
        {
            self.passing.entry(scraper).or_insert(Seen::NEVER).add(seen);
        }
    }

    /// The newest generation that every scraper seen lately has read; none while there is no telling who the scrapers
    /// are: before any has come twice, for a while after a restart, and while there are too many.
    pub(super) fn read_by_all(&self, elapsed: Duration, lately: Duration) -> Option<u64> {
        if elapsed < self.unknown_until {
            return None;
        }
        // Whoever lost its connection is no newcomer on the next one.
        let mut times = HashMap::new();
        for (scraper, seen) in self.seen() {
            *times.entry(scraper).or_insert(0) += seen.times;
        }
        let recent: Vec<_> = self.seen().filter(|(_, seen)| elapsed.saturating_sub(seen.last) <= lately).collect();
        // One that has come once may be a visitor, or one that had a failure or two; it is waited for, but alone it says
        // nothing of those that are still to come.
        if !recent.iter().any(|(scraper, _)| times[scraper] >= 2) {
            return None;
        }
        let read = recent.iter().map(|(_, seen)| seen.generation);
        if planted(Bug::HoldPerScraper) { read.max() } else { read.min() }
    }

    /// When [`Scrapers::read_by_all`] may have another answer though nobody scrapes.
    pub(super) fn next_change(&self, elapsed: Duration, lately: Duration) -> Option<Duration> {
        if elapsed < self.unknown_until {
            return Some(self.unknown_until);
        }
        let over = self.seen().map(|(_, seen)| seen.last + lately + Duration::from_millis(1));
        over.filter(|over| *over > elapsed).min()
    }

    fn seen(&self) -> impl Iterator<Item = (&Scraper, &Seen)> {
        self.connections.values().map(|(scraper, seen)| (scraper, seen)).chain(&self.passing)
    }

    fn forget_oldest(&mut self) {
        let connection = self.connections.iter().min_by_key(|(_, (_, seen))| seen.last);
        let connection = connection.map(|(number, (_, seen))| (*number, seen.last));
        let passing = self.passing.iter().min_by_key(|(_, seen)| seen.last);
        let passing = passing.map(|(scraper, seen)| (scraper.clone(), seen.last));
        match (connection, passing) {
            (Some((number, last)), passing) if passing.as_ref().is_none_or(|(_, passed)| last <= *passed) => {
                self.connections.remove(&number);
            }
            (_, Some((scraper, _))) => {
                self.passing.remove(&scraper);
            }
            (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATELY: Duration = Duration::from_secs(75);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn scrape(name: &str, connection: u64, generation: u64) -> Scrape {
        let peer = std::net::IpAddr::from([127, 0, 0, 1]);
        Scrape { scraper: Scraper { peer, user_agent: name.into() }, connection, generation }
    }

    /// Scrapes at a second, by name and connection, of a generation.
    fn scrapers(scrapes: &[(u64, &str, u64, u64)]) -> Scrapers {
        let mut scrapers = Scrapers::new(LATELY);
        for (time, name, connection, generation) in scrapes {
            scrapers.scraped(scrape(name, *connection, *generation), at(*time), LATELY);
        }
        scrapers
    }

    #[test]
    fn the_slowest_scraper_decides() {
        let scrapers = scrapers(&[
            (70, "fast", 1, 1),
            (75, "slow", 2, 1),
            (80, "fast", 1, 5),
            (100, "slow", 2, 3),
            (101, "fast", 1, 9),
        ]);
        assert_eq!(scrapers.read_by_all(at(102), LATELY), Some(3));
    }

    #[test]
    fn two_servers_that_look_alike_are_two() {
        let scrapers = scrapers(&[
            (70, "Prometheus", 1, 1),
            (75, "Prometheus", 2, 1),
            (80, "Prometheus", 1, 5),
            (100, "Prometheus", 2, 3),
            (101, "Prometheus", 1, 9),
        ]);
        assert_eq!(scrapers.read_by_all(at(102), LATELY), Some(3));
    }

    #[test]
    fn a_scraper_with_a_connection_for_each_scrape_is_one() {
        let mut scrapers = Scrapers::new(LATELY);
        for n in 0..20 {
            scrapers.scraped(scrape("curl", n, n), at(80 + n), LATELY);
            scrapers.disconnected(n);
        }
        assert_eq!(scrapers.read_by_all(at(100), LATELY), Some(19));
    }

    #[test]
    fn a_scraper_that_lost_its_connection_is_not_forgotten_before_it_has_come_back() {
        let mut scrapers = scrapers(&[(70, "slow", 2, 1), (76, "slow", 2, 2), (77, "fast", 1, 2), (78, "fast", 1, 3)]);
        scrapers.disconnected(2);
        scrapers.scraped(scrape("fast", 1, 9), at(135), LATELY);
        assert_eq!(scrapers.read_by_all(at(135), LATELY), Some(2));
        scrapers.scraped(scrape("slow", 3, 9), at(136), LATELY);
        assert_eq!(scrapers.read_by_all(at(136), LATELY), Some(2), "it may be another one");
        scrapers.scraped(scrape("fast", 1, 12), at(152), LATELY);
        assert_eq!(scrapers.read_by_all(at(152), LATELY), Some(9), "the old connection is over, the new one goes on");
    }

    #[test]
    fn one_that_has_come_once_is_waited_for_and_releases_nothing_alone() {
        let mut scrapers = scrapers(&[(81, "curl", 2, 2)]);
        assert_eq!(scrapers.read_by_all(at(82), LATELY), None);
        for (time, generation) in [(82, 5), (92, 6), (156, 7)] {
            scrapers.scraped(scrape("fast", 1, generation), at(time), LATELY);
        }
        assert_eq!(scrapers.read_by_all(at(156), LATELY), Some(2));
        assert_eq!(scrapers.read_by_all(at(157), LATELY), Some(7), "it is gone");
    }

    #[test]
    fn nobody_decides_before_the_scrapers_can_be_known() {
        assert_eq!(scrapers(&[]).read_by_all(at(500), LATELY), None);
        assert_eq!(scrapers(&[(1, "fast", 1, 1), (3, "fast", 1, 2)]).read_by_all(at(4), LATELY), None);
    }

    #[test]
    fn a_scraper_that_went_away_stops_deciding() {
        let scrapers = scrapers(&[(70, "gone", 1, 1), (72, "gone", 1, 1), (140, "fast", 2, 5), (150, "fast", 2, 8)]);
        assert_eq!(scrapers.read_by_all(at(151), LATELY), Some(8));
    }

    #[test]
    fn strangers_can_neither_fill_the_memory_nor_push_a_scraper_out_of_sight() {
        let mut scrapers = scrapers(&[(90, "slow", 1, 1), (100, "slow", 1, 2)]);
        for n in 0..1000 {
            scrapers.scraped(scrape(&format!("agent {n}"), 10 + n, 50), at(100), LATELY);
            scrapers.disconnected(10 + n);
        }
        assert_eq!(scrapers.connections.len() + scrapers.passing.len(), MOST_SCRAPERS);
        assert_eq!(scrapers.read_by_all(at(101), LATELY), None);
    }
}
