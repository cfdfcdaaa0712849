//! How often the API is asked, and how far back.

use std::time::Duration;

use super::problem::Problem;
use super::section::{Reading, Section, Span};

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

const INTERVAL: Span = Span::seconds(1, HOUR);
const OVERLAP: Span = Span::seconds(1, 30 * DAY).whole();
const SWEEP_INTERVAL: Span = Span::seconds(1, DAY);
const SWEEP_LOOKBACK: Span = Span::seconds(MINUTE, 30 * DAY).whole();
const AUDIT_INTERVAL: Span = Span::seconds(1, 30 * DAY);
/// The API answers for the last 60 days (page 267/33186); one is left for clocks and for the time an answer takes.
const HORIZON: Span = Span::seconds(MINUTE, 59 * DAY).whole();
const INITIAL_LOOKBACK: Span = Span::seconds(0, 30 * DAY).whole();
/// Fewest and most calls a second; the API itself takes 300 from an account (page 267/33186).
const REQUESTS: (f64, f64) = (0.1, 100.0);

/// When to ask for what.
#[derive(Debug, Clone, PartialEq)]
pub struct Poll {
    /// Time between polls.
    pub interval: Duration,
    /// How far behind the watermark each poll lists again, whole seconds.
    pub overlap: Duration,
    /// Time between sweeps.
    pub sweep_interval: Duration,
    /// How far back sweeps compare counts and audits list rows, whole seconds.
    pub sweep_lookback: Duration,
    /// Time between audits.
    pub audit_interval: Duration,
    /// How long sessions are remembered, whole seconds; longer than any lookback.
    pub horizon: Duration,
    /// How far back the very first poll counts, whole seconds.
    pub initial_lookback: Duration,
    /// Calls per second of one account, all actions together.
    pub max_requests_per_second: f64,
}

impl Default for Poll {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            overlap: Duration::from_secs(2 * MINUTE),
            sweep_interval: Duration::from_secs(MINUTE),
            sweep_lookback: Duration::from_secs(DAY),
            audit_interval: Duration::from_secs(DAY),
            horizon: Duration::from_secs(3 * DAY),
            initial_lookback: Duration::from_secs(HOUR),
            max_requests_per_second: 5.0,
        }
    }
}

impl Poll {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let interval = section.duration("interval", default.interval, INTERVAL);
        let overlap = section.duration("overlap", default.overlap, OVERLAP);
        let sweep_interval = section.duration("sweep_interval", default.sweep_interval, SWEEP_INTERVAL);
        let sweep_lookback = section.duration("sweep_lookback", default.sweep_lookback, SWEEP_LOOKBACK);
        let audit_interval = section.duration("audit_interval", default.audit_interval, AUDIT_INTERVAL);
        let horizon = section.duration("horizon", default.horizon, HORIZON);
        let initial_lookback = section.duration("initial_lookback", default.initial_lookback, INITIAL_LOOKBACK);
        let contradictions = [
            at_most(&overlap, &sweep_lookback),
            at_least(&audit_interval, &sweep_interval),
            more_than(&horizon, &sweep_lookback),
            more_than(&horizon, &initial_lookback),
        ];
        contradictions.into_iter().flatten().for_each(|problem| section.report(problem));
        Self {
            interval: interval.value,
            overlap: overlap.value,
            sweep_interval: sweep_interval.value,
            sweep_lookback: sweep_lookback.value,
            audit_interval: audit_interval.value,
            horizon: horizon.value,
            initial_lookback: initial_lookback.value,
            max_requests_per_second: requests(section, default.max_requests_per_second),
        }
    }
}

fn requests(section: &Section<'_>, default: f64) -> f64 {
    let (least, most) = REQUESTS;
    let read = |text: &str| match text.parse::<f64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        Ok(_) => Err("out of range".to_owned()),
        Err(_) => Err("not a number".to_owned()),
    };
    section.read("max_requests_per_second", default, &format!("a number from {least} to {most}"), read).value
}

fn at_most(low: &Reading<Duration>, high: &Reading<Duration>) -> Option<Problem> {
    (low.value > high.value).then(|| contradiction(low, "more", "at most", high)).flatten()
}

fn at_least(high: &Reading<Duration>, low: &Reading<Duration>) -> Option<Problem> {
    (high.value < low.value).then(|| contradiction(high, "less", "at least", low)).flatten()
}

fn more_than(high: &Reading<Duration>, low: &Reading<Duration>) -> Option<Problem> {
    (high.value <= low.value).then(|| contradiction(high, "not more", "more than", low)).flatten()
}

fn contradiction(one: &Reading<Duration>, is: &str, accepted: &str, other: &Reading<Duration>) -> Option<Problem> {
    let (key, value) = (&other.key, other.shown());
    let problem = || one.contradicts(format!("{is} than {key}, which is {value}"), format!("{accepted} {key}"));
    (one.sound && other.sound).then(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_names_the_range_of_every_duration() {
        let example = include_str!("../../config/exporter.yaml");
        for (key, span) in [
            ("interval", INTERVAL),
            ("overlap", OVERLAP),
            ("sweep_interval", SWEEP_INTERVAL),
            ("sweep_lookback", SWEEP_LOOKBACK),
            ("audit_interval", AUDIT_INTERVAL),
            ("horizon", HORIZON),
            ("initial_lookback", INITIAL_LOOKBACK),
        ] {
            let accepted = span.accepted();
            let (_, range) = accepted.split_once(" from ").unwrap();
            let (before, _) = example.split_once(&format!("\n  {key}: ")).expect(key);
            let comment = before.rsplit("\n\n").next().unwrap();
            assert!(comment.contains(range), "{key}: {range} is not in\n{comment}");
        }
    }
}
