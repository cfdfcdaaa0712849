//! The streams of a scenario: who they are, how often they end, where they are pushed from.

use super::Name;
use super::dice::Dice;
use super::scenario::{DomainKind, Scenario};
use crate::clock::UnixSeconds;

/// The question that decides where a stream's slots begin.
const PHASE: u64 = 1;

/// One stream that is pushed to.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) domain_index: usize,
    pub(super) domain: Name,
    pub(super) app: Name,
    pub(super) stream: Name,
    pub(super) dice: Dice,
    /// Length of a slot in milliseconds; 0 where the stream has no ordinary sessions.
    pub(super) period: i64,
    /// The slot that comes next.
    pub(super) slot: i64,
    /// Nothing happens in that slot before this second.
    pub(super) due: UnixSeconds,
}

impl Source {
    /// When the slot begins, Unix milliseconds.
    pub(super) fn slot_begins(&self, slot: i64) -> i64 {
        let phase = i64::try_from(self.dice.fork(PHASE).below(self.period.unsigned_abs())).unwrap_or(0);
        slot.saturating_mul(self.period).saturating_add(phase)
    }
}

/// Every stream of the push domains that are on, with its slots standing at `begin`.
pub(super) fn sources(scenario: &Scenario, begin: UnixSeconds) -> Vec<Source> {
    let pushed = |kind, enabled| kind == DomainKind::Push && enabled;
    let domains: Vec<_> = scenario.platform.domains.iter().filter(|d| pushed(d.kind, d.enabled)).collect();
    let domain_weights: f64 = domains.iter().map(|domain| domain.weight).sum();
    let mut sources = Vec::new();
    for (domain_index, domain) in domains.iter().enumerate() {
        let app_weights: f64 = domain.apps.iter().map(|app| app.weight).sum();
        for app in &domain.apps {
            let stream_weights: f64 = app.streams.iter().map(|s| s.weight * s.all().count() as f64).sum();
            for (streams, stream) in app.streams.iter().flat_map(|s| s.all().map(move |name| (s, name))) {
                let part =
                    domain.weight * app.weight * streams.weight / (domain_weights * app_weights * stream_weights);
                let rate = scenario.traffic.disconnects_per_minute * part;
                let period = period_millis(rate);
                let named = [domain.name.as_str(), &app.name, &stream].into_iter();
                let dice = named.fold(Dice::new(scenario.seed, 7), |dice, name| dice.fork(fnv(name)));
                let mut source = Source {
                    domain_index,
                    domain: domain.name.as_str().into(),
                    app: app.name.as_str().into(),
                    stream: stream.as_str().into(),
                    dice,
                    period,
                    slot: if period > 0 { begin.saturating_mul(1000).div_euclid(period) - 1 } else { 0 },
                    due: begin,
                };
                source.due = source.slot_begins(source.slot).div_euclid(1000);
                sources.push(source);
            }
        }
    }
    sources
}

/// The time between sessions at `rate` a minute, from a millisecond to thirty years; 0 where there are none.
fn period_millis(rate: f64) -> i64 {
    if rate.is_nan() || rate <= 0.0 {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "clamped first")]
    let millis = (60_000.0 / rate).clamp(1.0, 1e12) as i64;
    millis
}

/// The 64-bit FNV-1a hash of a name.
fn fnv(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A publisher's address: mostly the same for a stream.
pub(super) fn address(source: Dice, session: Dice) -> String {
    const FIRST: [u8; 10] = [36, 42, 58, 101, 113, 117, 120, 183, 218, 223];
    let dice = if session.hits(0.8) { source } else { session };
    let byte = |salt: u64| dice.fork(salt).below(256);
    if dice.hits(0.02) {
        return "-".into();
    }
    if dice.hits(0.06) {
        return format!("2409:8a{:02x}:{:x}::{:x}", byte(1), byte(2), 1 + byte(3));
    }
    let first = dice.fork(4).pick(&FIRST).copied().unwrap_or_default();
    format!("{first}.{}.{}.{}", byte(1), byte(2), 1 + byte(3) % 254)
}

pub(super) fn resolution(source: Dice) -> &'static str {
    const SIZES: [&str; 6] = ["1920*1080", "1280*720", "1280*720", "720*1280", "640*360", "1080*1920"];
    source.fork(78).pick(&SIZES).copied().unwrap_or_default()
}
