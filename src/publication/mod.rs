//! Which value each series shows.
mod snapshot;

pub use snapshot::{
    BLOCK_SERIES, DURATION_BOUNDS, DomainSeries, DurationHistogram, Snapshot, StreamBlock, StreamLabels, StreamSeries,
};
