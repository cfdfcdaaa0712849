//! What the exporter shows to scrapers: the names, its own metrics, and the pages they become.
//!
//! The disconnect families come from [`crate::publication::Snapshot`] through the encoders in [`exposition`], because
//! the `prometheus` crate hashes label values without a separator and merges names that touch; whoever may push
//! chooses a stream name. The crate's registry serves the exporter's own metrics, whose label sets are closed.

pub mod exposition;
pub mod names;
mod own;

pub use own::{BUILD, BuildInfo, Outcome, OwnMetrics, POLL_ERRORS};
