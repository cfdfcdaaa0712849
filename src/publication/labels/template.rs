//! What a rule makes of a name: text, and groups of its expression.

use regex::Captures;

use super::Pattern;
use crate::session::OVERFLOW;

/// Longest template in bytes.
const TEXT_BYTES: usize = 1_000;

/// What a rule makes of a name: `$1`, `${1}` and `${name}` stand for groups of its expression, `$$` for a dollar sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The expression has no such group; to leave it empty without a word would hide a slip such as `$1_x`.
    #[error("names the group {0}, which the expression does not have")]
    NoGroup(String),
    /// A dollar sign that begins nothing.
    #[error("has a $ that begins no name of a group")]
    Dollar,
    /// A NUL ends a page for Prometheus' parser.
    #[error("has a NUL")]
    Nul,
    /// The name of what the series limit folds together.
    #[error("is the name of what the series limit folds together")]
    Reserved,
    /// It is too long as it is written.
    #[error("longer than {TEXT_BYTES} bytes")]
    TooLong,
}

impl Template {
    /// The template `text` for what `pattern` matches.
    ///
    /// # Errors
    /// When it names a group that `pattern` does not have, or no label value can be made of it.
    pub fn new(text: &str, pattern: &Pattern) -> Result<Self, TemplateError> {
        if text.len() > TEXT_BYTES {
            return Err(TemplateError::TooLong);
        }
        if text.contains('\0') {
            return Err(TemplateError::Nul);
        }
        let groups = pattern.groups();
        let mut template = Self(Vec::new());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            template.push_text(before);
            if let Some(after) = after.strip_prefix('$') {
                template.push_text("$");
                rest = after;
                continue;
            }
            let (name, after) = group_name(after).ok_or(TemplateError::Dollar)?;
            let digits = name.bytes().all(|byte| byte.is_ascii_digit());
            let by_number = name.parse().ok().filter(|number| digits && *number < groups.len());
            let group = by_number.or_else(|| groups.iter().position(|group| *group == Some(name)));
            let shown = || name.chars().take(64).flat_map(char::escape_debug).collect();
            template.0.push(Part::Group(group.ok_or_else(|| TemplateError::NoGroup(shown()))?));
            rest = after;
        }
        template.push_text(rest);
        if template.0 == [Part::Text(OVERFLOW.to_owned())] {
            return Err(TemplateError::Reserved);
        }
        Ok(template)
    }

    fn push_text(&mut self, more: &str) {
        match self.0.last_mut() {
            _ if more.is_empty() => {}
            Some(Part::Text(text)) => text.push_str(more),
            _ => self.0.push(Part::Text(more.to_owned())),
        }
    }

    /// The text with the groups of a match in their places; one that took no part in it is empty.
    pub(super) fn fill(&self, captures: &Captures<'_>) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Group(group) => captures.get(*group).map_or("", |found| found.as_str()).to_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

/// The name of a group at the start of `text`, in braces or as far as letters, digits and `_` go, and what follows it.
fn group_name(text: &str) -> Option<(&str, &str)> {
    let (name, after) = if let Some(text) = text.strip_prefix('{') {
        text.split_once('}')?
    } else {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        text.split_at(end)
    };
    (!name.is_empty()).then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERN: &str = "(?<kind>[a-z]+)_([0-9]+)(x)?";

    fn made(template: &str, name: &str) -> String {
        let pattern = Pattern::new(PATTERN).unwrap();
        Template::new(template, &pattern).unwrap().fill(&pattern.captures(name).unwrap())
    }

    #[test]
    fn groups_stand_where_they_are_named() {
        for (template, text) in [
            ("room_*", "room_*"),
            ("${1}_*", "room_*"),
            ("$kind-$2", "room-123"),
            ("${kind}s/$0", "rooms/room_123"),
            ("$$1 $$$1", "$1 $room"),
            ("[$3]", "[]"),
            ("", ""),
            ("房$2间", "房123间"),
        ] {
            assert_eq!(made(template, "room_123"), text, "{template}");
        }
        assert_eq!(made("[$3]", "room_123x"), "[x]");
    }

    #[test]
    fn a_template_that_cannot_be_meant_is_refused() {
        let pattern = Pattern::new(PATTERN).unwrap();
        for (template, told) in [
            ("$1_*", "names the group 1_, which the expression does not have"),
            ("$4", "names the group 4, which the expression does not have"),
            ("${+1}", "names the group +1, which the expression does not have"),
            ("${ kind}", "names the group  kind, which the expression does not have"),
            ("$99999999999999999999", "names the group 99999999999999999999, which the expression does not have"),
            ("${a\nb}", "names the group a\\nb, which the expression does not have"),
            ("$", "has a $ that begins no name of a group"),
            ("5 $!", "has a $ that begins no name of a group"),
            ("${kind", "has a $ that begins no name of a group"),
            ("${}", "has a $ that begins no name of a group"),
            ("$房", "has a $ that begins no name of a group"),
            ("a\0", "has a NUL"),
            ("__overflow__", "is the name of what the series limit folds together"),
            (&"a".repeat(1_001), "longer than 1000 bytes"),
        ] {
            assert_eq!(Template::new(template, &pattern).expect_err(template).to_string(), told);
        }
    }
}
