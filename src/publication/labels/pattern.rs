//! A regular expression that has to match a whole name.

use regex::{Captures, Error, Regex, RegexBuilder};

/// Longest expression in bytes.
const TEXT_BYTES: usize = 1_000;

/// Most memory of a compiled expression. A Unicode class such as `\w` takes some ten thousand bytes each time.
const COMPILED_BYTES: usize = 4 << 20;

/// A regular expression that has to match a whole name.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    whole: Regex,
}

/// What is wrong with a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is no regular expression; in the words of the `regex` crate.
    #[error("not a regular expression, {0}")]
    Syntax(String),
    /// It is too long as it is written.
    #[error("longer than {TEXT_BYTES} bytes")]
    TooLong,
    /// It is too large once it is compiled.
    #[error("takes more than {} MiB of memory", COMPILED_BYTES >> 20)]
    TooLarge,
}

impl Pattern {
    /// The expression `text`.
    ///
    /// # Errors
    /// When it is none, or too large.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        if text.len() > TEXT_BYTES {
            return Err(PatternError::TooLong);
        }
        // By itself first: `a)(b` is none, though it is one between parentheses.
        compiled(text)?;
        // Names may have line breaks, and a dot matches them, as in Prometheus.
        let whole = compiled(&format!(r"\A(?s:{text})\z"))?;
        Ok(Self { text: text.to_owned(), whole })
    }

    /// Whether it matches all of `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.whole.is_match(name)
    }

    pub(super) fn captures<'n>(&self, name: &'n str) -> Option<Captures<'n>> {
        // Most names match no rule, and to find out where its groups are costs several times more.
        self.matches(name).then(|| self.whole.captures(name))?
    }

    /// The names of its groups, in order; the first, which has none, is the whole match.
    pub(super) fn groups(&self) -> Vec<Option<&str>> {
        self.whole.capture_names().collect()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

fn compiled(text: &str) -> Result<Regex, PatternError> {
    let compiled = RegexBuilder::new(text).size_limit(COMPILED_BYTES).build();
    compiled.map_err(|error| match error {
        Error::CompiledTooBig(_) => PatternError::TooLarge,
        // Several lines that draw where it is wrong; the last says why.
        other => {
            let told = other.to_string();
            let last = told.lines().next_back().unwrap_or_default();
            PatternError::Syntax(last.trim_start_matches("error: ").to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_name_has_to_match() {
        let matches = |text: &str, name: &str| Pattern::new(text).unwrap().matches(name);
        assert!(matches("room_[0-9]+", "room_7"));
        assert!(!matches("room_[0-9]+", "room_7a") && !matches("room_[0-9]+", "a room_7"));
        assert!(matches("a|ab", "ab"), "each alternative is the whole name");
        assert!(!matches("a|b", "ab"));
        assert!(!matches("room", "room\n") && !matches("(?m)^room$", "room\nother"));
        assert!(matches(".*", "two\nlines") && matches("房.", "房间"));
        assert!(matches("", "") && !matches("", "a"));
        assert!(!matches("room", "ROOM") && matches("(?i)room", "ROOM"));
    }

    #[test]
    fn what_is_no_expression_is_told_in_one_line() {
        for (text, told) in [
            ("room_(", "not a regular expression, unclosed group"),
            ("a)(b", "not a regular expression, unopened group"),
            ("*", "not a regular expression, repetition operator missing expression"),
            ("(?<n>a)(?<n>b)", "not a regular expression, duplicate capture group name"),
            (r"(a)\1", "not a regular expression, backreferences are not supported"),
            (
                r"(?=a)b",
                "not a regular expression, look-around, including look-ahead and look-behind, is not supported",
            ),
            (r"\w{1000}", "takes more than 4 MiB of memory"),
            (&"a".repeat(1_001), "longer than 1000 bytes"),
        ] {
            assert_eq!(Pattern::new(text).expect_err(text).to_string(), told, "{text}");
        }
        assert!(Pattern::new(r"\w{1,20}-[\p{Han}a-z]{1,20}").is_ok(), "ordinary ones fit");
        assert!(Pattern::new(&"a".repeat(1_000)).is_ok());
    }
}
