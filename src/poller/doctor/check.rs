//! One line of an examination.

use std::fmt::Display;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works, and somebody should know or do something.
    Warning,
    /// It does not work.
    Failure,
    /// There was nothing to tell it by, which is nobody's fault.
    Unknown,
    /// Not looked at, since something before it has failed or it is switched off.
    Skipped,
}

impl Status {
    /// One word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Failure => "failure",
            Status::Unknown => "unknown",
            Status::Skipped => "skipped",
        }
    }
}

/// What was looked at, what was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at: a word.
    pub name: &'static str,
    /// What it came to.
    pub status: Status,
    /// What was found. Names that strangers chose may be in it; whoever prints it escapes them.
    pub message: String,
    /// What to do; may be empty.
    pub advice: String,
}

impl Check {
    /// As it should be.
    pub fn ok(name: &'static str, message: impl Display) -> Self {
        Self::new(name, Status::Ok, message, "")
    }

    /// It works, but.
    pub fn warning(name: &'static str, message: impl Display, advice: impl Display) -> Self {
        Self::new(name, Status::Warning, message, advice)
    }

    /// It does not work.
    pub fn failure(name: &'static str, message: impl Display, advice: impl Display) -> Self {
        Self::new(name, Status::Failure, message, advice)
    }

    /// Nothing tells.
    pub fn unknown(name: &'static str, message: impl Display, advice: impl Display) -> Self {
        Self::new(name, Status::Unknown, message, advice)
    }

    /// Not looked at, and why.
    pub fn skipped(name: &'static str, why: impl Display) -> Self {
        Self::new(name, Status::Skipped, why, "")
    }

    fn new(name: &'static str, status: Status, message: impl Display, advice: impl Display) -> Self {
        Self { name, status, message: message.to_string(), advice: advice.to_string() }
    }
}

/// A number with its noun, which has an s where there is not one.
pub(super) fn counted(number: impl Into<u64>, noun: &str) -> String {
    match number.into() {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}
