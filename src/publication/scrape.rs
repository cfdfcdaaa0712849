//! Who has read what: the reader's side of a hold.

use std::net::IpAddr;

/// Longest user agent in bytes that tells scrapers apart.
pub const USER_AGENT_BYTES: usize = 128;

/// One reader of the metrics page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scraper {
    /// Its address; an IPv4 address is one, even on an IPv6 socket.
    pub peer: IpAddr,
    /// Its `User-Agent`, cut to [`USER_AGENT_BYTES`]; empty where it sent none.
    pub user_agent: String,
}

impl Scraper {
    /// A scraper at `peer` that calls itself `user_agent`.
    #[must_use]
    pub fn new(peer: IpAddr, user_agent: &[u8]) -> Self {
        let mut user_agent = String::from_utf8_lossy(user_agent).into_owned();
        while user_agent.len() > USER_AGENT_BYTES {
            user_agent.pop();
        }
        Self { peer: peer.to_canonical(), user_agent }
    }
}

/// A whole metrics page, the stream counter included, that was written to a scraper's socket to its last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrape {
    /// Who read it.
    pub scraper: Scraper,
    /// The number of the connection it went over.
    pub connection: u64,
    /// [`super::Snapshot::generation`] of what was read.
    pub generation: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_scraper_is_one_whatever_the_socket() {
        let four: IpAddr = "192.0.2.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(Scraper::new(four, b"Prometheus/3.5.3"), Scraper::new(mapped, b"Prometheus/3.5.3"));
    }

    #[test]
    fn a_long_user_agent_is_cut_between_characters() {
        let scraper = Scraper::new("::1".parse().unwrap(), "房".repeat(100).as_bytes());
        assert_eq!(scraper.user_agent, "房".repeat(42));
    }
}
