//! One test binary; one file per promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod command_line;
mod counting;
mod credentials;
mod crowd;
mod disk;
mod doctor;
mod events;
mod exporter;
mod exposition;
mod faults;
mod floors;
mod ledger;
mod live;
mod power_cut;
mod publication;
mod readme;
mod reasons;
mod records;
mod recovery;
mod reload;
mod settings;
mod signing;
mod simulation;
mod simulator;
mod state;
mod support;
mod verify;
mod web;
mod web_config;
mod zones;
