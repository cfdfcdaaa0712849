//! Who has read what: the reader's side of a hold.

pub use crate::ledger::{Scraper, USER_AGENT_BYTES};

/// A whole metrics page, the stream counter included, that was written to a scraper's socket to its last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrape {
    /// Who read it.
    pub scraper: Scraper,
    /// [`super::Snapshot::generation`] of what was read.
    pub generation: u64,
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

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
