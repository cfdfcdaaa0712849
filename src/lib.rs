//! **tencent-live-exporter**: counts stream disconnects of Tencent Cloud Live for Prometheus.
#![allow(missing_docs, reason = "while the rooms are being furnished")]

pub mod clock;
pub mod listing;
pub mod publication;
pub mod reason;
pub mod secret;
pub mod session;
pub mod status;
