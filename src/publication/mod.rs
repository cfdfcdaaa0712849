//! Which value each series shows.
mod scrape;
mod snapshot;

pub use scrape::{Scrape, Scraper, USER_AGENT_BYTES};
pub use snapshot::{
    BLOCK_SERIES, DURATION_BOUNDS, DomainSeries, DurationHistogram, Snapshot, StreamBlock, StreamLabels, StreamSeries,
};
