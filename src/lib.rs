//! **tencent-live-exporter**: counts stream disconnects of Tencent Cloud Live (云直播断流记录) for Prometheus.
//!
//! # The map
//! ```text
//! floor 6  cli          commands and flags
//!       6  app          the only file that wires rooms together
//!       6  telemetry    the log
//!       5  settings     file, variables and flags, checked; every problem at once
//!       4  poller       the loop: ask, answer, commit, publish; one writer. Listings for people, held against the books;
//!                       what an exporter needs, examined
//!       4  web          the HTTP server: metrics, records as page and as JSON, health, landing page
//!       3  metrics      names and help, the own registry, exposition
//!       3  publication  which series there are and what each shows: labels, shares, baselines, holds, releases
//!       2  live         the API: client, rows, error classes, pace and retries, credentials
//!       2  ledger       the durable books, one transaction a posting; SQLite
//!       1  signing      TC3-HMAC-SHA256
//!       1  listing      what to ask next and what an answer adds: windows, leaves, groups, slices
//!       0  session      one finished push, and what makes it the same when told again
//!       0  reason       why pushes end: taxonomy and matching
//!       0  clock        wall time and elapsed time
//!       0  secret       text that must never be printed
//!       0  csv          lines that no spreadsheet runs
//!       0  tls          TLS on the server side: certificates, keys, which clients are believed
//!       0  status       what the loops say about themselves
//! beside   sim          the fake cloud; knows reason and clock only
//! beside   planted      mistakes to order, for the simulation to catch; constantly none but in tests
//! ```
//! A room uses rooms of lower floors only; metrics may use publication, app telemetry, cli app. A test keeps it so.
//!
//! # The line of flow
//! ```text
//! credentials → signing → live::Client → poller ← listing ← clock
//!                                          │ PushSession, as received
//!                                          ▼
//!                        reason::Classifier → ledger: groups, totals, watermark in one transaction
//!                                          ▼ only then
//!                                publication::Snapshot, swapped whole
//!                                          ▼
//!                                metrics::exposition → web
//! ```
//! The middle is pure: time is an argument, the network, the disk and the clocks are at the rim.

pub mod app;
pub mod cli;
pub mod clock;
pub mod csv;
pub mod ledger;
pub mod listing;
pub mod live;
pub mod metrics;
pub mod planted;
pub mod poller;
pub mod publication;
pub mod reason;
pub mod secret;
pub mod session;
pub mod settings;
pub mod signing;
pub mod sim;
pub mod status;
pub mod telemetry;
pub mod tls;
pub mod web;
