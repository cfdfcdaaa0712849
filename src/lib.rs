//! **tencent-live-exporter**: counts stream disconnects of Tencent Cloud Live for Prometheus.
#![allow(missing_docs, reason = "while the rooms are being furnished")]

pub mod clock;
pub mod ledger;
pub mod listing;
pub mod live;
pub mod metrics;
pub mod poller;
pub mod publication;
pub mod reason;
pub mod secret;
pub mod session;
pub mod settings;
pub mod signing;
pub mod sim;
pub mod status;
pub mod web;
