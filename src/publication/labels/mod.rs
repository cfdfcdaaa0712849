//! Which value the label `stream` has for a disconnect, and which disconnects the stream counter leaves out.
//!
//! Each stream name is a series, and strangers choose the names. So the operator may leave the label empty, let rules make
//! one name of many, or leave domains, apps and streams out of the stream counter; the class families and the records
//! have them all the same. Expressions are those of the `regex` crate, which takes time linear in the name, and have to
//! match the whole name as in Prometheus' relabelling. They see names as label values, so what a page shows can
//! be written into a rule.
//!
//! Nothing is remembered from name to name: a rule takes some ten nanoseconds to find that a name is not for it, and
//! a row some ten thousand to be counted (`cargo bench --bench ingest`).

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{LABEL_BYTES, Name, OVERFLOW};

    fn key() -> IdentityKey {
        IdentityKey::new(*b"0123456789abcdef")
    }

    fn group(rules: &[(&str, &str)]) -> Choice {
        let rule = |(pattern, template): &(&str, &str)| {
            let pattern = Pattern::new(pattern).unwrap();
            Rule { template: Template::new(template, &pattern).unwrap(), pattern }
        };
        Choice { stream: StreamLabel::Group(rules.iter().map(rule).collect()), ..Choice::default() }
    }

    fn selector(domain: &str, app: &str, stream: &str) -> Selector {
        let pattern = |text: &str| (text != "any").then(|| Pattern::new(text).unwrap());
        Selector { domain: pattern(domain), app: pattern(app), stream: pattern(stream) }
    }

    fn stream(choice: &Choice, stream: &str) -> Option<String> {
        choice.stream("push.example.com", "live", stream, &key()).map(Cow::into_owned)
    }

    fn shown(choice: &Choice, name: &str) -> String {
        stream(choice, name).expect("nothing is left out")
    }

    #[test]
    fn without_a_choice_the_name_is_the_label() {
        assert_eq!(shown(&Choice::default(), "room_1"), "room_1");
        let drop = Choice { stream: StreamLabel::Drop, ..Choice::default() };
        assert_eq!(shown(&drop, "room_1"), "");
    }

    #[test]
    fn the_first_rule_that_matches_the_whole_name_makes_another_of_it() {
        let choice = group(&[("(room|live)_[0-9]+", "${1}_*"), ("room_.*", "odd room"), ("tmp-.*", "")]);
        for (name, made) in [
            ("room_123", "room_*"),
            ("live_0", "live_*"),
            ("room_12a", "odd room"),
            ("my room_123", "my room_123"),
            ("tmp-7", ""),
            ("", ""),
        ] {
            assert_eq!(shown(&choice, name), made, "{name}");
        }
    }

    #[test]
    fn what_a_rule_makes_is_cut_and_two_texts_never_become_one() {
        let choice = group(&[("(.*)", "$1$1$1")]);
        let made = |last: char| shown(&choice, &format!("{}{last}", "房".repeat(30)));
        assert!(made('x').len() <= LABEL_BYTES + 9, "{}", made('x'));
        assert_ne!(made('x'), made('y'), "though they differ only where both are cut");
        let cleaned = [Name::new(vec![b'a', 0xff]), Name::new(vec![b'a', 0xfe])].map(|name| name.label(&key()));
        let same = group(&[("(.*)", "$1")]);
        assert_eq!(cleaned.clone().map(|label| shown(&same, &label)), cleaned, "what was marked stays as it is");
    }

    #[test]
    fn no_rule_makes_the_name_of_what_the_limit_folds_together() {
        let choice = group(&[("x(.*)", "$1"), ("y(.*)", "__overflow__$1")]);
        for name in ["x__overflow__", "y"] {
            let made = shown(&choice, name);
            assert!(made != OVERFLOW && made.starts_with("__overflow__~"), "{made}");
            // Nor can what it makes instead be asked for.
            assert_ne!(shown(&choice, &format!("x{made}")), made);
        }
    }

    #[test]
    fn a_disconnect_counts_by_stream_where_something_includes_and_nothing_excludes_it() {
        let choice = Choice {
            include: vec![selector("push[.].*", "live|vip", "any"), selector("any", "any", "vip_.*")],
            exclude: vec![selector("any", "live", "test.*"), selector("old[.].*", "any", "any")],
            ..Choice::default()
        };
        for (domain, app, name, counts) in [
            ("push.a", "live", "room", true),
            ("push.a", "vip", "test", true),
            ("push.a", "live", "test", false),
            ("push.a", "other", "room", false),
            ("push.a", "live2", "room", false),
            ("other", "other", "vip_1", true),
            ("old.a", "other", "vip_1", false),
        ] {
            assert_eq!(choice.stream(domain, app, name, &key()).is_some(), counts, "{domain} {app} {name}");
        }
        let nothing_included = Choice { exclude: vec![selector("any", "any", "test")], ..Choice::default() };
        assert_eq!(stream(&nothing_included, "room").as_deref(), Some("room"));
        assert_eq!(stream(&nothing_included, "test"), None);
    }

    #[test]
    fn selectors_see_the_name_and_not_what_a_rule_makes_of_it() {
        let choice = Choice { exclude: vec![selector("any", "any", "room_7")], ..group(&[("room_[0-9]+", "room_*")]) };
        assert_eq!(stream(&choice, "room_7"), None);
        assert_eq!(stream(&choice, "room_8").as_deref(), Some("room_*"));
        let made = Choice { exclude: vec![selector("any", "any", "room_[*]")], ..choice };
        assert_eq!(stream(&made, "room_8").as_deref(), Some("room_*"));
    }
}
