//! The loop: ask, answer, commit, publish. One [`AccountLoop`] per account asks; one [`Keeper`] writes. Beside it, listings
//! for people that write nothing: [`Survey`], and [`verify`], which holds one against the books; and [`examine`], which looks
//! at what an exporter needs.
//!
//! Rooms return reports; `report` turns each into one log line and one set of counters. What became of a pass that
//! failed is never guessed: what was committed stays, everything else is listed again.

mod account;
mod cost;
mod doctor;
mod handle;
mod idle_clock;
mod keeper;
mod observation;
mod report;
mod survey;
mod verify;

use std::time::Duration;

pub use account::{AccountLoop, AccountOptions, Pace, PassError, scopes};
pub use cost::QuietDay;
pub use doctor::{
    Check, ExaminationOptions, KeyFound, LedgerNotes, Policy, Status, Way, examine, state, state_in_memory,
};
pub use handle::{KeeperError, KeeperHandle};
pub use keeper::{CommitObserver, Keeper, KeeperChange, KeeperOptions};
pub use observation::{Bench, ClientIp, Observation, Receipt, Sorted};
pub use survey::{API_REMEMBERS, Sightings, Survey, SurveyOptions, SurveyProgress};
pub use verify::{
    Comparison, Difference, DifferenceKind, Look, Verification, VerificationError, VerificationOptions, verify,
};

/// How often the streams online are counted, as the API's page recommends; not more often than polls.
const ONLINE_INTERVAL: Duration = Duration::from_secs(60);
