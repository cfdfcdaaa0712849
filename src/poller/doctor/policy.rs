//! The least that a key has to be allowed, in the language of CAM. Pure.
//!
//! Source: the elements of a policy (<https://www.tencentcloud.com/document/product/598/10603>), and which actions of Live can
//! be limited to push domains (<https://cloud.tencent.com/document/product/267/58612>): `DescribeLiveDomains` cannot.

use crate::live::{DESCRIBE_DOMAINS, push_string};

/// What an account asks for, and of which push domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The actions it calls.
    pub actions: Vec<&'static str>,
    /// The push domains that it asks for one by one; none where it asks for all.
    pub domains: Vec<String>,
}

impl Policy {
    /// The statement that allows `action`, as JSON on one line.
    #[must_use]
    pub fn statement(&self, action: &'static str) -> String {
        self.allow(&[action])
    }

    /// The whole policy, as JSON on one line.
    #[must_use]
    pub fn whole(&self) -> String {
        let (general, of_domains): (Vec<&str>, Vec<&str>) =
            self.actions.iter().partition(|action| self.resources(action) == EVERYTHING);
        let statements: Vec<String> = [of_domains, general]
            .iter()
            .filter(|actions| !actions.is_empty())
            .map(|actions| self.allow(actions))
            .collect();
        format!(r#"{{"version":"2.0","statement":[{}]}}"#, statements.join(","))
    }

    /// A statement for actions that have the same resources.
    fn allow(&self, actions: &[&str]) -> String {
        let resources = actions.first().map_or(EVERYTHING.to_owned(), |action| self.resources(action));
        let actions: Vec<String> = actions.iter().map(|action| format!(r#""live:{action}""#)).collect();
        format!(r#"{{"effect":"allow","action":[{}],"resource":{resources}}}"#, actions.join(","))
    }

    fn resources(&self, action: &str) -> String {
        if self.domains.is_empty() || action == DESCRIBE_DOMAINS {
            return EVERYTHING.to_owned();
        }
        let resource = |domain: &String| {
            let mut json = String::new();
            push_string(&mut json, format!("qcs::live::uin/:domain/{domain}").as_bytes());
            json
        };
        format!("[{}]", self.domains.iter().map(resource).collect::<Vec<_>>().join(","))
    }
}

const EVERYTHING: &str = r#"["*"]"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::DESCRIBE_EVENTS;

    fn policy(domains: &[&str]) -> Policy {
        let domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
        Policy { actions: vec![DESCRIBE_EVENTS, DESCRIBE_DOMAINS], domains }
    }

    #[test]
    fn a_policy_allows_what_is_asked_for_and_no_more() {
        assert_eq!(
            policy(&[]).whole(),
            r#"{"version":"2.0","statement":[{"effect":"allow","action":["live:DescribeLiveStreamEventList","live:DescribeLiveDomains"],"resource":["*"]}]}"#
        );
        assert_eq!(
            policy(&["a.example.com", "b.example.com"]).whole(),
            r#"{"version":"2.0","statement":[{"effect":"allow","action":["live:DescribeLiveStreamEventList"],"resource":["qcs::live::uin/:domain/a.example.com","qcs::live::uin/:domain/b.example.com"]},{"effect":"allow","action":["live:DescribeLiveDomains"],"resource":["*"]}]}"#
        );
    }

    #[test]
    fn a_statement_allows_one_action() {
        assert_eq!(
            policy(&["a.example.com"]).statement(DESCRIBE_DOMAINS),
            r#"{"effect":"allow","action":["live:DescribeLiveDomains"],"resource":["*"]}"#
        );
        assert_eq!(
            policy(&["a.example.com"]).statement(DESCRIBE_EVENTS),
            r#"{"effect":"allow","action":["live:DescribeLiveStreamEventList"],"resource":["qcs::live::uin/:domain/a.example.com"]}"#
        );
    }
}
