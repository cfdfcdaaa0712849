//! The same series in the crates that others use.
//!
//! Each is filled once; what is measured is one scrape: everything a server on that crate has to do to have a page
//! ready. Each does it in its fastest sensible way: labels interned or shared where the crate can, and a buffer that is
//! kept from scrape to scrape, so that none of them waits for memory.

mod client;
mod interned;
pub(crate) mod tikv;

use crate::series::Series;

/// A crate with the series in it.
pub(crate) trait Peer {
    /// The crate and what one scrape of it takes.
    fn name(&self) -> &'static str;

    /// Makes a page; its length.
    fn scrape(&mut self) -> usize;
}

/// All of them, the `prometheus` crate first.
pub(crate) fn all(series: impl Fn() -> Box<dyn Iterator<Item = Series>>) -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(tikv::Tikv::new(series())),
        Box::new(client::Client::new(series())),
        Box::new(interned::Interned::new(series())),
    ]
}
