//! Why pushes end: the taxonomy and the matching of Tencent's texts against it.
//!
//! `StopReason` is a sentence, Chinese or English, whose wording has changed over the years. Both sides are
//! normalised (NFKC, lower case, white space and punctuation dropped) and compared whole: substrings would confuse
//! neighbours ("推流客户端主动断流" contains "客户端主动断流"). A bare `N` or `N/M` is looked up as a code.
//! What nothing matches is [`Reason::Unmapped`]; logging its text is left to the caller.

mod advice;
mod classify;
mod table;

pub use advice::Advice;
pub use classify::Classifier;
pub use table::{Class, Entry, Reason, TABLE};

impl Reason {
    /// Number of reasons, [`Reason::Unmapped`] included.
    pub const COUNT: usize = TABLE.len();

    /// The line of the taxonomy that defines this reason.
    #[must_use]
    pub fn entry(self) -> &'static Entry {
        &TABLE[self as usize]
    }

    /// The value of the `reason` label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.entry().name
    }

    /// The class this reason belongs to.
    #[must_use]
    pub fn class(self) -> Class {
        self.entry().class
    }

    /// The reason whose label value is `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Reason> {
        TABLE.iter().find(|entry| entry.name == name).map(|entry| entry.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_finds_its_own_line() {
        for entry in &TABLE {
            assert_eq!(entry.reason.as_str(), entry.name);
            assert_eq!(Reason::from_name(entry.name), Some(entry.reason));
        }
    }
}
