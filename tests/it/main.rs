//! One test binary; one file per promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod counting;
mod floors;
mod live;
mod readme;
mod reasons;
mod settings;
mod signing;
mod simulator;
mod support;
mod web;
