//! What is simulated: the platform, its traffic, its quirks and its faults, out of one YAML file.
//!
//! The same scenario with the same seed gives the same sessions at the same seconds, whenever it is started: everything
//! hangs on the seed and the wall clock alone. The YAML goes through the `config` crate, the YAML reader this project
//! has, and then through `serde_json`'s stricter types, so that `"3"` does not pass for a number.

mod faults;
mod platform;
mod quirks;
mod traffic;

pub use faults::{Fault, Faults};
pub use platform::{App, Domain, DomainKind, Platform, Streams};
pub use quirks::{
    Bounds, EndText, Flicker, Latency, Lateness, PastCap, Quirks, RowChanges, TextForm, TieOrder, TotalNum, Unfinished,
    WindowFilter,
};
pub use traffic::{Clones, Cutoff, Rhythm, Spelling, Storm, Traffic};

use serde::Deserialize;

/// A whole simulation.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// What every piece of chance comes from.
    pub seed: u64,
    /// Domains, apps and streams.
    pub platform: Platform,
    /// Which sessions end, when and why.
    pub traffic: Traffic,
    /// How the API tells them.
    pub quirks: Quirks,
    /// How often the API fails.
    pub faults: Faults,
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The text is no YAML.
    #[error("reading the scenario as YAML")]
    Syntax(#[source] config::ConfigError),
    /// A key is unknown, missing or of another type.
    #[error("reading the keys of the scenario")]
    Shape(#[source] serde_json::Error),
    /// A value cannot be meant.
    #[error("{key} is {value}, accepted is {accepted}")]
    Value {
        /// The key, with dots.
        key: &'static str,
        /// What it holds.
        value: String,
        /// What it may hold.
        accepted: &'static str,
    },
}

impl ScenarioError {
    /// What went wrong, out of a closed list: `syntax`, `shape`, `value`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            ScenarioError::Syntax(_) => "syntax",
            ScenarioError::Shape(_) => "shape",
            ScenarioError::Value { .. } => "value",
        }
    }
}

impl Scenario {
    /// Names of the scenarios that come with the program.
    pub const BUILT_IN: [&'static str; 3] = ["demo", "quiet", "hostile"];

    /// A platform in full swing: several domains and apps, hundreds of streams, every reason, storms and cut-offs.
    ///
    /// # Panics
    /// Never: a test reads every embedded scenario.
    #[must_use]
    pub fn demo() -> Self {
        Self::built_in("demo").expect("the embedded demo scenario is read by a test")
    }

    /// The scenario of that name, out of [`Scenario::BUILT_IN`].
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        let yaml = match name {
            "demo" => include_str!("../scenarios/demo.yaml"),
            "quiet" => include_str!("../scenarios/quiet.yaml"),
            "hostile" => include_str!("../scenarios/hostile.yaml"),
            _ => return None,
        };
        Self::from_yaml(yaml).ok()
    }

    /// Reads a scenario file; keys that are left out keep their defaults.
    ///
    /// # Errors
    /// When the text is no YAML, a key is unknown or of another type, or a value is out of its range.
    pub fn from_yaml(yaml: &str) -> Result<Self, ScenarioError> {
        let file = config::File::from_str(yaml, config::FileFormat::Yaml);
        let tree: serde_json::Value = config::Config::builder()
            .add_source(file)
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(ScenarioError::Syntax)?;
        let scenario: Self = serde_json::from_value(tree).map_err(ScenarioError::Shape)?;
        scenario.validate()?;
        Ok(scenario)
    }

    /// Looks for values that cannot be meant.
    ///
    /// # Errors
    /// Names the first key whose value is out of its range.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        self.platform.validate()?;
        self.traffic.validate()?;
        self.quirks.validate()?;
        self.faults.validate()
    }
}

/// Accepts a probability; a sum of tenths may miss 1 by a rounding error.
fn share(key: &'static str, value: f64) -> Result<(), ScenarioError> {
    if (0.0..=1.0 + 1e-9).contains(&value) {
        return Ok(());
    }
    Err(ScenarioError::Value { key, value: value.to_string(), accepted: "a share from 0 to 1" })
}

/// Accepts a rate or a weight.
fn amount(key: &'static str, value: f64) -> Result<(), ScenarioError> {
    if (0.0..=1e9).contains(&value) {
        return Ok(());
    }
    Err(ScenarioError::Value { key, value: value.to_string(), accepted: "a number from 0 to 1e9" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_scenario_is_read() {
        for name in Scenario::BUILT_IN {
            assert!(Scenario::built_in(name).is_some(), "{name}");
        }
        assert!(Scenario::built_in("nothing").is_none());
        assert_eq!(Scenario::built_in("quiet"), Some(Scenario::default()));
    }

    #[test]
    fn an_empty_file_is_the_quiet_default() {
        assert_eq!(Scenario::from_yaml("seed: 0").unwrap(), Scenario::default());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_key() {
        for (yaml, kind, part) in [
            ("seed: [", "syntax", ""),
            ("sead: 1", "shape", "sead"),
            ("seed: \"1\"", "shape", "u64"),
            ("seed: -1", "shape", "u64"),
            ("quirks: { filter: middle }", "shape", "middle"),
            ("quirks: { latency: { from: 5 } }", "shape", "duration"),
            ("faults: { throttle: 1.5 }", "value", "faults.throttle"),
            ("faults: { throttle: 0.7, internal_error: 0.7 }", "value", "faults"),
            ("traffic: { reasons: { bad_weather: 1 } }", "value", "traffic.reasons"),
            ("traffic: { disconnects_per_minute: -1 }", "value", "traffic.disconnects_per_minute"),
            ("traffic: { storms: [{ every: 1m, lasts: 2m }] }", "value", "traffic.storms"),
            ("platform: { domains: [{ name: \"\" }] }", "value", "platform.domains"),
        ] {
            let error = Scenario::from_yaml(yaml).unwrap_err();
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            let text = format!("{error} {source}");
            assert!(error.kind() == kind && text.contains(part), "{yaml}: {text}");
        }
    }
}
