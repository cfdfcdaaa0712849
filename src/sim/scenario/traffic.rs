//! Which sessions end, when and why.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ScenarioError, amount, share};
use crate::reason::Reason;
use crate::sim::Span;

/// What happens on the platform's push domains.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Traffic {
    /// Ordinary disconnects a minute at the busiest time of the day, all domains together; at most one in a
    /// millisecond and stream.
    pub disconnects_per_minute: f64,
    /// How much of the past exists at the start of the simulator.
    pub history: Span,
    /// The daily rhythm.
    pub rhythm: Rhythm,
    /// Weights of the reasons of ordinary disconnects, by the value of the `reason` label; empty: `client_stopped`.
    pub reasons: BTreeMap<String, f64>,
    /// Within this time every reason of the taxonomy occurs at least once, in turn; 0: not seen to.
    pub every_reason: Span,
    /// How reasons are spelled.
    pub spelling: Spelling,
    /// Texts for the reason `unmapped`.
    pub unknown_texts: Vec<String>,
    /// Refused pushes that are tried again within the second.
    pub clones: Clones,
    /// Bursts of refused pushes on one domain.
    pub storms: Vec<Storm>,
    /// Moments at which all streams of a domain are cut.
    pub cutoffs: Vec<Cutoff>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            disconnects_per_minute: 0.0,
            history: Span::default(),
            rhythm: Rhythm::default(),
            reasons: BTreeMap::new(),
            every_reason: Span::default(),
            spelling: Spelling::default(),
            unknown_texts: vec!["推流节点例行维护".into()],
            clones: Clones::default(),
            storms: Vec::new(),
            cutoffs: Vec::new(),
        }
    }
}

/// A wave between `low` and 1 times the full rate.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rhythm {
    /// How long one day takes.
    pub day: Span,
    /// The rate at night as a part of the full one, 0 to 1.
    pub low: f64,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { day: Span::seconds(86_400), low: 1.0 }
    }
}

/// Shares of the less usual spellings of a reason; the rest is the first Chinese one without its full stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spelling {
    /// The first Chinese one with its full stop.
    pub full_stop: f64,
    /// Another Chinese one.
    pub other: f64,
    /// An English one.
    pub english: f64,
}

/// Refused pushes come in equal copies.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clones {
    /// Part of the refused pushes that are tried again within the second, 0 to 1.
    pub share: f64,
    /// The most equal rows of one second, 2 or more.
    pub most: u32,
}

impl Default for Clones {
    fn default() -> Self {
        Self { share: 0.0, most: 4 }
    }
}

/// Once in every `every`, at a moment the seed chooses, one domain is flooded with refused pushes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    /// One storm in each such time.
    pub every: Span,
    /// How long it lasts, at most `every`.
    pub lasts: Span,
    /// Refused pushes a minute while it lasts.
    #[serde(default)]
    pub per_minute: f64,
    /// The domain; none: one that the seed chooses each time.
    #[serde(default)]
    pub domain: Option<String>,
    /// Weights of the reasons; empty: `auth_failed`.
    #[serde(default)]
    pub reasons: BTreeMap<String, f64>,
}

/// Once in every `every`, all running sessions of a domain end; pushes are refused until it is over.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cutoff {
    /// One cut-off in each such time.
    pub every: Span,
    /// How long pushes stay refused, at most `every`.
    pub lasts: Span,
    /// Refused pushes a minute meanwhile.
    #[serde(default)]
    pub retries_per_minute: f64,
    /// The domain; none: one that the seed chooses each time.
    #[serde(default)]
    pub domain: Option<String>,
    /// The reason, by the value of the `reason` label.
    #[serde(default = "arrears")]
    pub reason: String,
}

fn arrears() -> String {
    Reason::AccountArrears.as_str().to_owned()
}

impl Traffic {
    pub(super) fn validate(&self) -> Result<(), ScenarioError> {
        amount("traffic.disconnects_per_minute", self.disconnects_per_minute)?;
        share("traffic.rhythm.low", self.rhythm.low)?;
        share("traffic.clones.share", self.clones.share)?;
        let Spelling { full_stop, other, english } = self.spelling;
        for value in [full_stop, other, english, full_stop + other + english] {
            share("traffic.spelling", value)?;
        }
        weights("traffic.reasons", &self.reasons)?;
        let turn = self.every_reason.as_seconds();
        if turn != 0 && turn < i64::try_from(Reason::COUNT).unwrap_or(i64::MAX) {
            let value = self.every_reason.to_string();
            return Err(ScenarioError::Value {
                key: "traffic.every_reason",
                value,
                accepted: "0, or a second a reason",
            });
        }
        if self.rhythm.day.as_seconds() == 0 {
            let value = self.rhythm.day.to_string();
            return Err(ScenarioError::Value { key: "traffic.rhythm.day", value, accepted: "1s or more" });
        }
        for storm in &self.storms {
            rare("traffic.storms.every", storm.every, storm.lasts)?;
            amount("traffic.storms.per_minute", storm.per_minute)?;
            weights("traffic.storms.reasons", &storm.reasons)?;
        }
        for cutoff in &self.cutoffs {
            rare("traffic.cutoffs.every", cutoff.every, cutoff.lasts)?;
            amount("traffic.cutoffs.retries_per_minute", cutoff.retries_per_minute)?;
            known("traffic.cutoffs.reason", &cutoff.reason)?;
        }
        Ok(())
    }
}

fn weights(key: &'static str, weights: &BTreeMap<String, f64>) -> Result<(), ScenarioError> {
    for (name, weight) in weights {
        known(key, name)?;
        amount(key, *weight)?;
    }
    Ok(())
}

fn known(key: &'static str, name: &str) -> Result<(), ScenarioError> {
    match Reason::from_name(name) {
        Some(_) => Ok(()),
        None => Err(ScenarioError::Value { key, value: name.to_owned(), accepted: "a value of the `reason` label" }),
    }
}

fn rare(key: &'static str, every: Span, lasts: Span) -> Result<(), ScenarioError> {
    if every.as_seconds() > 0 && lasts <= every {
        return Ok(());
    }
    Err(ScenarioError::Value {
        key,
        value: format!("{every} for {lasts}"),
        accepted: "1s or more, and no less than `lasts`",
    })
}
