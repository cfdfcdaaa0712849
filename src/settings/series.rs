//! What the stream counter shows, and its bounds.

use std::time::Duration;

use crate::publication::labels::{Choice, Pattern, Rule, Selector, StreamLabel, Template};

use super::problem::{Problem, ProblemKind};
use super::section::{Section, Span};

const HOLD_MAX: Span = Span::seconds(0, 3_600);
const IDLE_TTL: Span = Span::seconds(0, 10 * 365 * 86_400).whole();
/// A series must not leave before every scraper has read what it came to.
const SHORTEST_IDLE_TTL: Duration = Duration::from_secs(600);
/// Most rules, and most selectors of a list: each name is tried on them one by one.
const MOST: usize = 100;

const PATTERN_ACCEPTED: &str = "a regular expression that matches the whole name, at most 1000 bytes";
const TEMPLATE_ACCEPTED: &str = "text of at most 1000 bytes, with $1, ${1} or ${name} for groups of match and $$ for $";

/// What the stream counter shows, and its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Label sets of the stream counter, 1 to 10,000,000, shared by the domains; past it streams fold into
    /// `stream="__overflow__"`.
    pub limit: u64,
    /// Longest time a new series waits at its baseline.
    pub hold_max: Duration,
    /// A series of which nothing has been counted for so long leaves the page, its total kept; zero for never.
    pub idle_ttl: Duration,
    /// Which disconnects the stream counter counts, and under which stream.
    pub labels: Choice,
}

impl Default for Series {
    fn default() -> Self {
        Self { limit: 50_000, hold_max: Duration::from_secs(75), idle_ttl: Duration::ZERO, labels: Choice::default() }
    }
}

/// The words of `series.stream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Keep,
    Drop,
    Group,
}

impl Word {
    const CHOICES: [(&'static str, Word); 3] = [("keep", Word::Keep), ("drop", Word::Drop), ("group", Word::Group)];
}

impl Series {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        Self {
            limit: section.number("limit", default.limit, 1..=10_000_000),
            hold_max: section.duration("hold_max", default.hold_max, HOLD_MAX).value,
            idle_ttl: idle_ttl(section, default.idle_ttl),
            labels: Choice {
                stream: stream(section),
                include: list(section, "include", selector),
                exclude: list(section, "exclude", selector),
            },
        }
    }
}

fn idle_ttl(section: &Section<'_>, default: Duration) -> Duration {
    let read = section.duration("idle_ttl", default, IDLE_TTL);
    if read.sound && !read.value.is_zero() && read.value < SHORTEST_IDLE_TTL {
        let key = format!("{}.idle_ttl", section.key());
        section.report(Problem::new(
            ProblemKind::BadValue,
            key,
            read.shown(),
            "0s for never, or a duration from 10m to 10y",
        ));
    }
    read.value
}

fn stream(section: &Section<'_>) -> StreamLabel {
    let word = section.choice("stream", Word::Keep, &Word::CHOICES);
    let rules = list(section, "groups", rule);
    // What was refused is compared with nothing: that would be a second complaint about one mistake.
    if section.is_sound("stream") && section.is_sound("groups") {
        let contradiction = |name: &str, wrong: &str, accepted: &str| {
            let key = format!("{}.{name}", section.key());
            section.report(Problem::new(ProblemKind::Contradiction, key, wrong, accepted));
        };
        if word == Word::Group && rules.is_empty() {
            contradiction("stream", "is group, and series.groups has no rule", "keep, drop, or rules in series.groups");
        }
        if word != Word::Group && !rules.is_empty() {
            contradiction("groups", "has rules, and series.stream is not group", "no rules, or series.stream: group");
        }
    }
    match word {
        Word::Keep => StreamLabel::Keep,
        Word::Drop => StreamLabel::Drop,
        Word::Group => StreamLabel::Group(rules),
    }
}

/// The items of the list called `name`, those that `read` does not refuse.
fn list<T>(section: &Section<'_>, name: &str, read: impl Fn(&Section<'_>) -> Option<T>) -> Vec<T> {
    let items = section.sections(name);
    if items.len() > MOST {
        let (wrong, accepted) = (format!("has {} items", items.len()), format!("at most {MOST}"));
        section.report(Problem::new(ProblemKind::BadValue, format!("{}.{name}", section.key()), wrong, accepted));
        return Vec::new();
    }
    items.iter().filter_map(read).collect()
}

fn rule(section: &Section<'_>) -> Option<Rule> {
    for (name, accepted) in [("match", PATTERN_ACCEPTED), ("replace", TEMPLATE_ACCEPTED)] {
        if !section.has(name) {
            let key = format!("{}.{name}", section.key());
            section.report(Problem::new(ProblemKind::Missing, key, "not set", accepted));
        }
    }
    let pattern = pattern(section, "match")?;
    let text = section.entry("replace")?;
    let template =
        text.read(TEMPLATE_ACCEPTED, |text| Template::new(text, &pattern).map_err(|error| error.to_string()))?;
    Some(Rule { pattern, template })
}

fn selector(section: &Section<'_>) -> Option<Selector> {
    if !["domain", "app", "stream"].into_iter().any(|name| section.has(name)) {
        let accepted = "at least one of domain, app, stream";
        section.report(Problem::new(ProblemKind::Missing, section.key(), "selects nothing", accepted));
        return None;
    }
    Some(Selector {
        domain: pattern(section, "domain"),
        app: pattern(section, "app"),
        stream: pattern(section, "stream"),
    })
}

fn pattern(section: &Section<'_>, name: &str) -> Option<Pattern> {
    let entry = section.entry(name)?;
    entry.read(PATTERN_ACCEPTED, |text| Pattern::new(text).map_err(|error| error.to_string()))
}
