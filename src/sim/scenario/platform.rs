//! The customer's side of the platform: domains, apps, streams.

use serde::Deserialize;

use super::{ScenarioError, amount};

/// Domains, apps and streams.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Platform {
    /// What `DescribeLiveDomains` lists; push domains that are on have traffic.
    pub domains: Vec<Domain>,
}

/// What a domain is for (`Type` of `DescribeLiveDomains`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainKind {
    /// Streams are pushed to it.
    #[default]
    Push,
    /// Streams are played from it.
    Play,
}

/// One domain.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// `Name`
    pub name: String,
    /// `Type`
    #[serde(default)]
    pub kind: DomainKind,
    /// `Status`: false lists it as off, and nothing is pushed to it.
    #[serde(default = "on")]
    pub enabled: bool,
    /// Its part of the traffic, relative to the other domains.
    #[serde(default = "one")]
    pub weight: f64,
    /// Push paths.
    #[serde(default)]
    pub apps: Vec<App>,
}

/// One push path.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// `AppName`
    pub name: String,
    /// Its part of the domain's traffic, relative to the other apps.
    #[serde(default = "one")]
    pub weight: f64,
    /// Groups of streams.
    #[serde(default)]
    pub streams: Vec<Streams>,
}

/// Streams that behave alike.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    /// Names as they are.
    #[serde(default)]
    pub names: Vec<String>,
    /// A name in which `{}` becomes each number from `first`, `count` of them.
    #[serde(default)]
    pub pattern: String,
    /// The first number of the pattern.
    #[serde(default = "first")]
    pub first: u64,
    /// How many names the pattern makes, at most 100,000.
    #[serde(default)]
    pub count: u64,
    /// The part of each of them, relative to the other streams of the app.
    #[serde(default = "one")]
    pub weight: f64,
}

fn on() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

fn first() -> u64 {
    1
}

impl Domain {
    /// A push domain that is on, without streams of its own.
    #[must_use]
    pub fn push(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: DomainKind::Push, enabled: true, weight: 1.0, apps: Vec::new() }
    }
}

impl Streams {
    /// Every name of the group.
    pub(in crate::sim) fn all(&self) -> impl Iterator<Item = String> + '_ {
        let numbered = (0..self.count).map(|n| self.pattern.replace("{}", &(self.first + n).to_string()));
        self.names.iter().cloned().chain(numbered)
    }
}

impl Platform {
    pub(super) fn validate(&self) -> Result<(), ScenarioError> {
        for domain in &self.domains {
            amount("platform.domains.weight", domain.weight)?;
            named("platform.domains.name", &domain.name)?;
            for app in &domain.apps {
                amount("platform.domains.apps.weight", app.weight)?;
                named("platform.domains.apps.name", &app.name)?;
                for streams in &app.streams {
                    amount("platform.domains.apps.streams.weight", streams.weight)?;
                    numbered(streams)?;
                }
            }
        }
        Ok(())
    }
}

fn named(key: &'static str, name: &str) -> Result<(), ScenarioError> {
    if name.is_empty() {
        return Err(ScenarioError::Value { key, value: "empty".into(), accepted: "a name" });
    }
    Ok(())
}

fn numbered(streams: &Streams) -> Result<(), ScenarioError> {
    let key = "platform.domains.apps.streams.pattern";
    if streams.count > 100_000 || streams.first > 1_000_000_000_000 {
        let value = format!("{} names from {}", streams.count, streams.first);
        return Err(ScenarioError::Value { key, value, accepted: "at most 100000 names from at most 1e12" });
    }
    if streams.count > 1 && !streams.pattern.contains("{}") {
        return Err(ScenarioError::Value { key, value: streams.pattern.clone(), accepted: "a name with {} in it" });
    }
    if streams.count == 0 && !streams.pattern.is_empty() {
        return Err(ScenarioError::Value { key, value: streams.pattern.clone(), accepted: "one with a count above 0" });
    }
    Ok(())
}
