//! A fake Tencent Live API server, for tests and for trying the exporter without an account.
//!
//! It promises to be as awkward as the real platform may be, and to know the truth: it checks signatures, filters,
//! pages, publishes late, repeats, changes, hides, throttles and fails as its [`Scenario`] says, always the same way for
//! the same seed, and [`World::truth`] tells what a perfect reader would have counted. It stands beside the house: it
//! shares the taxonomy and the clock with the exporter and nothing else, so that a mistake in signing or in reading
//! JSON cannot agree with itself. The actions are `DescribeLiveStreamEventList`, `DescribeLiveDomains` and
//! `DescribeLiveStreamOnlineList` of version 2018-08-01 (cloud.tencent.com 267/33186 and 267/33856, tencentcloud.com
//! 267/30798), `POST` only.
//!
//! Beside the API it serves unsigned paths of its own under `/-/` (`truth`, `requests`, `events`, `hide`, `show`,
//! `quirks`, `faults`, `fail-next`, `stop-traffic`, `healthy`), so whoever reaches the port controls the simulation:
//! listen on loopback.

mod answer;
mod archive;
mod body;
mod calendar;
mod control;
mod dice;
mod event;
mod online;
mod params;
pub mod scenario;
mod server;
pub mod signature;
mod sources;
mod span;
mod traffic;
mod truth;
mod wire;
mod world;

pub use event::{Damage, Event, EventChange, EventId, Name, RawJson, refuses_push};
pub use scenario::{Domain, Fault, Faults, Quirks, Scenario, ScenarioError};
pub use server::Simulator;
pub use signature::Keys;
pub use span::Span;
pub use truth::{Series, TrueSession, Truth};
pub use world::{Request, Requests, World};
