//! Who has read what.

use std::net::IpAddr;

/// A program that reads `/metrics` again and again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scraper {
    /// Its address, without the port, which changes with every connection.
    pub peer: IpAddr,
    /// What it calls itself, cut to 128 bytes.
    pub user_agent: String,
}

/// An answer that was written to its last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrape {
    /// Who asked.
    pub scraper: Scraper,
    /// The snapshot it was given.
    pub generation: u64,
}
