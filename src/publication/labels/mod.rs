//! Which value the label `stream` has for a disconnect, and which disconnects the stream counter leaves out.
//!
//! Each stream name is a series, and strangers choose the names. So the operator may leave the label empty, let rules make
//! one name of many, or leave domains, apps and streams out of the stream counter; the class families and the records
//! have them all the same. Expressions are those of the `regex` crate, which takes time linear in the name, and have to
//! match the whole name as in Prometheus' relabelling. They see names as label values, so what a page shows can
//! be written into a rule.
//!
//! Nothing is remembered from name to name: a rule that does not match costs less than a microsecond, and a response has
//! a hundred rows.

mod pattern;
mod template;

use std::borrow::Cow;

pub use pattern::{Pattern, PatternError};
pub use template::{Template, TemplateError};

use crate::session::{IdentityKey, relabelled};

/// What the stream counter shows of whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// What the label `stream` holds.
    pub stream: StreamLabel,
    /// The only disconnects in the stream counter; empty for all.
    pub include: Vec<Selector>,
    /// Disconnects that are not in the stream counter, whatever includes them.
    pub exclude: Vec<Selector>,
}

/// What the label `stream` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StreamLabel {
    /// The name.
    #[default]
    Keep,
    /// Nothing: all streams of an app share a series, which to Prometheus has no such label.
    Drop,
    /// What the first rule that matches makes of the name; the name where none does.
    Group(Vec<Rule>),
}

/// A rule that makes one name of many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The names it is for.
    pub pattern: Pattern,
    /// What they become.
    pub template: Template,
}

/// Disconnects by name; what is not given matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// `domain`
    pub domain: Option<Pattern>,
    /// `app`
    pub app: Option<Pattern>,
    /// `stream`, as it is before rules make another of it.
    pub stream: Option<Pattern>,
}

impl Choice {
    /// The value of the label `stream` that a disconnect with these label values is counted under; nothing where the
    /// stream counter leaves it out.
    #[must_use]
    pub fn stream<'a>(&self, domain: &str, app: &str, stream: &'a str, key: &IdentityKey) -> Option<Cow<'a, str>> {
        let matches = |selector: &Selector| selector.matches(domain, app, stream);
        if !(self.include.is_empty() || self.include.iter().any(matches)) || self.exclude.iter().any(matches) {
            return None;
        }
        Some(match &self.stream {
            StreamLabel::Keep => stream.into(),
            StreamLabel::Drop => "".into(),
            StreamLabel::Group(rules) => {
                let made = rules.iter().find_map(|rule| Some(rule.template.fill(&rule.pattern.captures(stream)?)));
                made.map_or(stream.into(), |made| relabelled(made, key).into())
            }
        })
    }
}

impl Selector {
    fn matches(&self, domain: &str, app: &str, stream: &str) -> bool {
        let fits = |pattern: &Option<Pattern>, text| pattern.as_ref().is_none_or(|pattern| pattern.matches(text));
        fits(&self.domain, domain) && fits(&self.app, app) && fits(&self.stream, stream)
    }
}
