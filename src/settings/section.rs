//! Reading typed values out of the tree, with every problem kept and none fatal.
//!
//! `serde` would be shorter, but it stops at the first mistake, and the promise is to name them all. So each key is
//! read on its own; what cannot be read is reported and stands in as its default until all the rest is read.

use std::cell::RefCell;
use std::time::Duration;

use config::{Map, Value, ValueKind};

use super::duration::{format_duration, parse_duration};
use super::problem::{Problem, ProblemKind, Problems, shown};
use super::schema::{is_secret, join, sorted, text_key};

/// A mapping with named keys, or the lack of one.
#[derive(Clone)]
pub(super) struct Section<'a> {
    key: String,
    table: Option<&'a Map<String, Value>>,
    problems: &'a RefCell<Problems>,
}

/// One value as text, and where it stands.
#[derive(Clone)]
pub(super) struct Entry<'a> {
    /// The dotted key.
    pub(super) key: String,
    /// The value as written.
    pub(super) text: &'a str,
    /// The line or variable it was written in.
    pub(super) origin: Option<&'a str>,
    secret: bool,
    problems: &'a RefCell<Problems>,
}

/// A value that was read, or the default that stands in for it.
pub(super) struct Reading<T> {
    /// The value.
    pub(super) value: T,
    /// The dotted key.
    pub(super) key: String,
    /// False where the value given was refused: whatever compares with it would be a second complaint.
    pub(super) sound: bool,
    shown: String,
    origin: Option<String>,
}

/// The durations a key takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// Shortest.
    pub(super) min: Duration,
    /// Longest.
    pub(super) max: Duration,
    /// Whether fractions of a second are refused, because the API's times have none.
    pub(super) whole: bool,
}

impl Span {
    /// From `min` to `max` seconds.
    pub(super) const fn seconds(min: u64, max: u64) -> Self {
        Self { min: Duration::from_secs(min), max: Duration::from_secs(max), whole: false }
    }

    /// The same, but whole seconds only.
    pub(super) const fn whole(self) -> Self {
        Self { whole: true, ..self }
    }

    /// The range in words.
    pub(super) fn accepted(self) -> String {
        let unit = if self.whole { ", in whole seconds" } else { "" };
        format!("a duration such as 1h30m{unit} from {} to {}", format_duration(self.min), format_duration(self.max))
    }

    fn read(self, text: &str) -> Result<Duration, String> {
        let duration = parse_duration(text).map_err(|error| error.to_string())?;
        if duration < self.min {
            Err("too short".to_owned())
        } else if duration > self.max {
            Err("too long".to_owned())
        } else if self.whole && duration.subsec_nanos() != 0 {
            Err("has a fraction of a second".to_owned())
        } else {
            Ok(duration)
        }
    }
}

impl<'a> Section<'a> {
    /// The root of the tree.
    pub(super) fn root(tree: &'a Value, problems: &'a RefCell<Problems>) -> Self {
        Self { key: String::new(), table: table(tree), problems }
    }

    /// The dotted key of this section.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Whether this is a mapping, be it an empty one.
    pub(super) fn exists(&self) -> bool {
        self.table.is_some()
    }

    /// The names of what is in it, known or not.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.table.into_iter().flat_map(Map::keys).map(String::as_str)
    }

    /// Keeps `problem`.
    pub(super) fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Keeps the problems of another file.
    pub(super) fn report_all(&self, problems: Problems) {
        self.problems.borrow_mut().push_all(problems);
    }

    /// Keeps `problem`, unless another account has reported it.
    pub(super) fn report_once(&self, problem: Problem) {
        self.problems.borrow_mut().push_once(problem);
    }

    /// Whether nothing at or below the key has been refused so far.
    pub(super) fn is_sound(&self, name: &str) -> bool {
        !self.problems.borrow().blames(&join(&self.key, name))
    }

    /// Whether the key is there with anything in it, right or wrong.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The section called `name`, empty where it is not set.
    pub(super) fn section(&self, name: &str) -> Section<'a> {
        Section { key: join(&self.key, name), table: self.value(name).and_then(table), problems: self.problems }
    }

    /// The section at `key` with nothing set in it.
    pub(super) fn nothing(&self, key: &str) -> Section<'a> {
        Section { key: key.to_owned(), table: None, problems: self.problems }
    }

    /// The sections in the list called `name`, those that are mappings.
    pub(super) fn sections(&self, name: &str) -> Vec<Section<'a>> {
        let key = join(&self.key, name);
        let Some(ValueKind::Array(items)) = self.value(name).map(|value| &value.kind) else { return Vec::new() };
        let section = |(index, item)| {
            Some(Section { key: format!("{key}[{index}]"), table: Some(table(item)?), problems: self.problems })
        };
        items.iter().enumerate().filter_map(section).collect()
    }

    /// The value called `name`, where it is set and is one value.
    pub(super) fn entry(&self, name: &str) -> Option<Entry<'a>> {
        self.entry_at(join(&self.key, name), self.value(name)?, is_secret(name))
    }

    /// The values in the list called `name`; `None` where it is not set.
    pub(super) fn entries(&self, name: &str) -> Option<Vec<Entry<'a>>> {
        let key = join(&self.key, name);
        let ValueKind::Array(items) = &self.value(name)?.kind else { return None };
        let entry = |(index, item)| self.entry_at(format!("{key}[{index}]"), item, false);
        Some(items.iter().enumerate().filter_map(entry).collect())
    }

    /// The texts of the mapping called `name` with their values, in the order of the texts.
    pub(super) fn texts(&self, name: &str) -> Vec<(&'a str, Entry<'a>)> {
        let key = join(&self.key, name);
        let Some(table) = self.value(name).and_then(table) else { return Vec::new() };
        let entry = |(text, value): (&'a String, &'a Value)| {
            Some((text.as_str(), self.entry_at(text_key(&key, text), value, is_secret(name))?))
        };
        sorted(table).into_iter().filter_map(entry).collect()
    }

    /// The value called `name` through `read`; `default` where it is not set or was refused.
    pub(super) fn read<T>(
        &self,
        name: &str,
        default: T,
        accepted: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Reading<T>
    where
        T: ToString,
    {
        let key = join(&self.key, name);
        let Some(entry) = self.entry(name) else {
            return Reading { shown: default.to_string(), value: default, key, sound: !self.has(name), origin: None };
        };
        let (shown, origin) = (entry.shown(), entry.origin.map(str::to_owned));
        match entry.read(accepted, read) {
            Some(value) => Reading { value, key, sound: true, shown, origin },
            None => Reading { value: default, key, sound: false, shown, origin },
        }
    }

    /// The duration called `name`.
    pub(super) fn duration(&self, name: &str, default: Duration, span: Span) -> Reading<Duration> {
        let read = |text: &str| span.read(text).map(Shown);
        let reading = self.read(name, Shown(default), &span.accepted(), read);
        Reading {
            value: reading.value.0,
            key: reading.key,
            sound: reading.sound,
            shown: reading.shown,
            origin: reading.origin,
        }
    }

    /// The whole number called `name`.
    pub(super) fn number(&self, name: &str, default: u64, range: std::ops::RangeInclusive<u64>) -> u64 {
        let accepted = format!("a whole number from {} to {}", range.start(), range.end());
        let read = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            match text.parse() {
                _ if !digits => Err("not a whole number".to_owned()),
                Ok(number) if range.contains(&number) => Ok(number),
                _ => Err("out of range".to_owned()),
            }
        };
        self.read(name, default, &accepted, read).value
    }

    /// One of the words of `choices` called `name`.
    pub(super) fn choice<T: Copy>(&self, name: &str, default: T, choices: &[(&str, T)]) -> T {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let Some(entry) = self.entry(name) else { return default };
        let read = |text: &str| {
            let found = choices.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| "not one of the words".to_owned())
        };
        entry.read(&words.join(", "), read).unwrap_or(default)
    }

    fn value(&self, name: &str) -> Option<&'a Value> {
        let value = self.table?.get(name)?;
        (!matches!(value.kind, ValueKind::Nil)).then_some(value)
    }

    fn entry_at(&self, key: String, value: &'a Value, secret: bool) -> Option<Entry<'a>> {
        let ValueKind::String(text) = &value.kind else { return None };
        Some(Entry { key, text, origin: value.origin(), secret, problems: self.problems })
    }
}

impl Entry<'_> {
    /// The value through `read`, whose error says what is wrong with it; `None` where it was refused.
    pub(super) fn read<T>(&self, accepted: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        read(self.text).map_err(|wrong| self.refuse(ProblemKind::BadValue, wrong, accepted)).ok()
    }

    /// Whether the value was written in the file, rather than in a variable or flag.
    pub(super) fn is_in_file(&self) -> bool {
        self.origin.is_some_and(|origin| origin.starts_with("line "))
    }

    /// Reports that the value is not accepted.
    pub(super) fn refuse(&self, kind: ProblemKind, wrong: impl Into<String>, accepted: &str) {
        let problem = Problem::new(kind, &self.key, wrong, accepted).with_value(self.shown()).with_origin(self.origin);
        self.problems.borrow_mut().push(problem);
    }

    fn shown(&self) -> String {
        // User names, passwords and queries of URLs may be secrets too.
        let secret = self.secret || (self.text.contains("://") && self.text.contains(['@', '?']));
        if secret { "[secret]".to_owned() } else { shown(self.text) }
    }
}

impl<T> Reading<T> {
    /// The value as it was written.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// The problem that this value cannot hold beside others.
    pub(super) fn contradicts(&self, wrong: String, accepted: String) -> Problem {
        Problem::new(ProblemKind::Contradiction, &self.key, wrong, accepted)
            .with_value(&self.shown)
            .with_origin(self.origin.as_deref())
    }
}

/// A duration written as Prometheus does.
struct Shown(Duration);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&format_duration(self.0))
    }
}

fn table(value: &Value) -> Option<&Map<String, Value>> {
    match &value.kind {
        ValueKind::Table(table) => Some(table),
        _ => None,
    }
}
