//! What is wrong with the settings: the key, the value, and what is accepted instead.

use std::fmt;
use std::path::Path;

/// The most characters of a value that a problem repeats.
pub(super) const SHOWN_CHARS: usize = 64;

/// The most characters of a file's name that a problem repeats.
const SHOWN_PATH_CHARS: usize = 200;

/// The most problems that are told; a file that is no config file can have hundreds of thousands.
const MOST_TOLD: usize = 1_000;

/// What kind of mistake a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProblemKind {
    /// The file cannot be read at all.
    File,
    /// The file is not the YAML that is accepted.
    Syntax,
    /// No such key.
    UnknownKey,
    /// The key takes other values.
    BadValue,
    /// A value is needed and none is given.
    Missing,
    /// Two values that cannot both hold.
    Contradiction,
}

/// One thing that is wrong, as one line: `key: value: what is wrong; accepted: what is`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: ProblemKind,
    key: String,
    value: Option<String>,
    wrong: String,
    accepted: String,
    origin: Option<String>,
}

impl Problem {
    /// A problem with `key`, without a value to show.
    pub(super) fn new(
        kind: ProblemKind,
        key: impl Into<String>,
        wrong: impl Into<String>,
        accepted: impl Into<String>,
    ) -> Self {
        Self { kind, key: key.into(), value: None, wrong: wrong.into(), accepted: accepted.into(), origin: None }
    }

    /// Adds the value, ready to be shown.
    pub(super) fn with_value(mut self, shown: impl Into<String>) -> Self {
        self.value = Some(shown.into());
        self
    }

    /// Adds where the value was written.
    pub(super) fn with_origin(mut self, origin: Option<&str>) -> Self {
        self.origin = origin.map(str::to_owned);
        self
    }

    /// Adds the name of the file that the key is in, where that is not the one of the settings.
    fn in_file(mut self, file: &str) -> Self {
        if !matches!(self.kind, ProblemKind::File | ProblemKind::Syntax) {
            self.origin = Some(self.origin.map_or_else(|| file.to_owned(), |origin| format!("{origin} of {file}")));
        }
        self
    }

    /// The kind of mistake: `file`, `syntax`, `unknown_key`, `bad_value`, `missing` or `contradiction`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.kind {
            ProblemKind::File => "file",
            ProblemKind::Syntax => "syntax",
            ProblemKind::UnknownKey => "unknown_key",
            ProblemKind::BadValue => "bad_value",
            ProblemKind::Missing => "missing",
            ProblemKind::Contradiction => "contradiction",
        }
    }

    /// The key with its path, such as `accounts[0].credentials.secret_key`; else the file or variable at fault.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.key)?;
        if let Some(value) = &self.value {
            write!(f, "{value}: ")?;
        }
        write!(f, "{}; accepted: {}", self.wrong, self.accepted)?;
        match &self.origin {
            Some(origin) => write!(f, " ({origin})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with the settings, one line each; never a secret. Past 1,000 problems the rest is only
/// counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    told: Vec<Problem>,
    untold: usize,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.told.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))?;
        if self.untold > 0 { write!(f, "\nand {} more problems", self.untold) } else { Ok(()) }
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// Adds a problem.
    pub(super) fn push(&mut self, problem: Problem) {
        self.push_with(|| problem);
    }

    /// Adds the problem that `make` describes, which is asked only if it is going to be told.
    pub(super) fn push_with(&mut self, make: impl FnOnce() -> Problem) {
        if self.told.len() < MOST_TOLD { self.told.push(make()) } else { self.untold += 1 }
    }

    /// Adds a problem unless it is there: two accounts that share a bad variable share one problem.
    pub(super) fn push_once(&mut self, problem: Problem) {
        if !self.told.contains(&problem) {
            self.push(problem);
        }
    }

    /// Adds all of `problems`.
    pub(super) fn push_all(&mut self, problems: Problems) {
        for problem in problems.told {
            self.push(problem);
        }
        self.untold += problems.untold;
    }

    /// The same problems, said to be of the file called `file`.
    pub(super) fn of_file(self, file: &str) -> Self {
        let told = self.told.into_iter().map(|problem| problem.in_file(file)).collect();
        Self { told, untold: self.untold }
    }

    /// Whether anything is wrong with the key `path` or what is below it.
    pub(super) fn blames(&self, path: &str) -> bool {
        let below =
            |key: &str| key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.told.iter().any(|problem| below(&problem.key))
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// The problems that are told: of the files first, then in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.told.iter()
    }
}

/// A value as a problem shows it: on one line, cut, quoted where its ends would not be seen.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    let plain = !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control);
    if plain { format!("{cut}{more}") } else { format!("\"{}{more}\"", cut.escape_debug()) }
}

/// A file's name as a problem shows it: on one line, and only the end of it where it is very long.
pub(super) fn shown_path(path: &Path) -> String {
    let name = path.to_string_lossy();
    let cut = name.chars().count().saturating_sub(SHOWN_PATH_CHARS);
    let more = if cut > 0 { "…" } else { "" };
    let escaped = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    format!("{more}{}", name.chars().skip(cut).map(escaped).collect::<String>())
}

/// A key that nobody expected, as far as it looks like a key.
///
/// `secret_key:hunter2`, the space forgotten, is a key to YAML; what follows the word is not repeated.
pub(super) fn shown_key(text: &str) -> String {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let end = text.char_indices().find(|(at, c)| !word(*c) || *at >= SHOWN_CHARS).map_or(text.len(), |(at, _)| at);
    let (start, more) = (&text[..end], if end < text.len() { "…" } else { "" });
    // A dot in a key does not separate levels; the quotes tell `"log.level"` from `log.level`.
    if text.is_empty() || start.contains('.') { format!("\"{start}{more}\"") } else { format!("{start}{more}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_on_one_line_and_cut() {
        assert_eq!(shown("30"), "30");
        assert_eq!(shown(" a"), "\" a\"");
        assert_eq!(shown(""), "\"\"");
        assert_eq!(shown("a\nb"), "\"a\\nb\"");
        assert_eq!(shown(&"字".repeat(65)), format!("{}…", "字".repeat(64)));
    }

    #[test]
    fn a_file_is_named_on_one_line() {
        assert_eq!(shown_path(Path::new("/etc/导出器/web config.yaml")), "/etc/导出器/web config.yaml");
        assert_eq!(shown_path(Path::new("web.yaml\u{1}D\n")), "web.yaml\\u{1}D\\n");
        let long = format!("{}/web.yaml", "\u{80}".repeat(1_000));
        let end = format!("{}/web.yaml", r"\u{80}".repeat(SHOWN_PATH_CHARS - "/web.yaml".len()));
        assert_eq!(shown_path(Path::new(&long)), format!("…{end}"));
    }

    #[test]
    fn what_follows_the_word_of_a_key_is_not_repeated() {
        assert_eq!(shown_key("intervall"), "intervall");
        assert_eq!(shown_key("secret_key:hunter2"), "secret_key…");
        assert_eq!(shown_key("<<"), "…");
        assert_eq!(shown_key("log.level"), "\"log.level\"");
        assert_eq!(shown_key(""), "\"\"");
    }

    #[test]
    fn past_a_thousand_problems_the_rest_is_counted() {
        let mut problems = Problems::default();
        for number in 0..MOST_TOLD {
            problems.push(Problem::new(ProblemKind::Missing, format!("a[{number}]"), "not set", "a value"));
        }
        assert!(problems.to_string().ends_with("\na[999]: not set; accepted: a value"));
        problems.push_with(|| unreachable!("nobody is told of this one"));
        problems.push(Problem::new(ProblemKind::Missing, "a[1001]", "not set", "a value"));
        assert!(problems.to_string().ends_with("\na[999]: not set; accepted: a value\nand 2 more problems"));
        assert_eq!(problems.iter().count(), MOST_TOLD);
    }

    #[test]
    fn a_shared_problem_is_listed_once() {
        let mut problems = Problems::default();
        for _ in 0..2 {
            problems.push_once(Problem::new(ProblemKind::Missing, "a[1].b", "not set", "a value"));
        }
        assert_eq!(problems.to_string(), "a[1].b: not set; accepted: a value");
        for (path, blamed) in [("a", true), ("a[1]", true), ("a[1].b", true), ("a[1].b.c", false), ("a[", false)] {
            assert_eq!(problems.blames(path), blamed, "{path}");
        }
    }
}
