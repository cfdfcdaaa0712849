//! Questions to the records, and the answers.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::clock::UnixSeconds;
use crate::reason::{Class, Reason};

/// Most records of one page.
pub const PAGE_RECORDS: usize = 1_000;

/// Most buckets of a summary.
pub const SUMMARY_BUCKETS: i64 = 120;

/// Most streams and most reasons of a summary.
pub const SUMMARY_TOP: usize = 10;

/// Which records are wanted: those that every part agrees on. Names are as [`Disconnect`] shows them or as labels show
/// them, so that a link made of labels finds what the series counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// The push domain.
    pub domain: Option<String>,
    /// The push path.
    pub app: Option<String>,
    /// The stream, and how it is compared.
    pub stream: Option<(String, StreamMatch)>,
    /// What the reason text means today.
    pub reason: Option<Reason>,
    /// The class of that.
    pub class: Option<Class>,
}

/// How the name of a stream is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamMatch {
    /// The whole name.
    #[default]
    Exact,
    /// A part of the name, byte for byte; no character stands for others.
    Contains,
}

/// A page of records, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordQuery {
    /// Which records.
    pub filter: RecordFilter,
    /// Those that ended at this second or later.
    pub start: Option<UnixSeconds>,
    /// Those that ended at this second or before.
    pub end: Option<UnixSeconds>,
    /// How many at most, up to [`PAGE_RECORDS`].
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

/// A place between two records: after the one with this end and number. What comes later does not move it.
///
/// ```
/// use tencent_live_exporter::ledger::Cursor;
/// let cursor: Cursor = "6955b900-2a".parse()?;
/// assert_eq!((cursor.end, cursor.id), (1_767_225_600, 42));
/// assert_eq!(cursor.to_string(), "6955b900-2a");
/// assert!("6955B900-2a".parse::<Cursor>().is_err(), "one spelling a place");
/// # Ok::<(), tencent_live_exporter::ledger::NoCursor>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When that record's session ended; never before 1970.
    pub end: UnixSeconds,
    /// Its number in the ledger.
    pub id: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.end, self.id)
    }
}

/// A text that no page has given as its cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let number = |text: &str| i64::from_str_radix(text, 16).map_err(|_| NoCursor);
        let (end, id) = text.split_once('-').ok_or(NoCursor)?;
        let cursor = Self { end: number(end)?, id: number(id)? };
        // More digits than any time and any number of records has.
        let short = end.len() <= 15 && id.len() <= 15;
        if short && cursor.to_string() == text { Ok(cursor) } else { Err(NoCursor) }
    }
}

/// A record as it reads now. Names that are UTF-8 are whole; others are shown the way labels show them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect {
    /// The account in the configuration that brought it.
    pub account: String,
    /// The push domain.
    pub domain: String,
    /// The push path.
    pub app: String,
    /// The stream.
    pub stream: String,
    /// When the push began.
    pub start: UnixSeconds,
    /// When it ended.
    pub end: UnixSeconds,
    /// Seconds it lasted, as the API says, else by its times.
    pub duration: u64,
    /// The publisher's address, as far as it is kept.
    pub client_ip: String,
    /// What the text means today.
    pub reason: Reason,
    /// The class of that.
    pub class: Class,
    /// Tencent's text.
    pub reason_text: String,
    /// `W*H`; may be empty.
    pub resolution: String,
    /// When the exporter first saw it, by its own clock.
    pub first_seen: UnixSeconds,
    /// Whether the counters have it: what ended before counting began is recorded only.
    pub counted: bool,
}

/// Records, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPage {
    /// By end, then by number, both falling; fewer than were asked for where names are very long.
    pub disconnects: Vec<Disconnect>,
    /// Where to go on; absent when there are no more.
    pub next_cursor: Option<Cursor>,
}

/// What a range of time comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSummary {
    /// The first second that is summed up.
    pub start: UnixSeconds,
    /// The last one.
    pub end: UnixSeconds,
    /// From here on totals, buckets and reasons are complete. Later than `start` only where a stream filter
    /// matches more records than can be looked at.
    pub since: UnixSeconds,
    /// Records since then.
    pub total: u64,
    /// Seconds a bucket is wide.
    pub width: i64,
    /// The timeline, oldest first, without gaps; at most [`SUMMARY_BUCKETS`].
    pub buckets: Vec<SummaryBucket>,
    /// The most frequent reasons first; at most [`SUMMARY_TOP`].
    pub reasons: Vec<(Reason, u64)>,
    /// From here on `streams` is complete: with many records it tells of the newest only.
    pub streams_since: UnixSeconds,
    /// The streams with the most records first; at most [`SUMMARY_TOP`].
    pub streams: Vec<TopStream>,
}

/// A piece of the timeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SummaryBucket {
    /// Its first second, a multiple of its width; may lie before the range.
    pub start: UnixSeconds,
    /// Records by class, those without any left out.
    pub by_class: BTreeMap<Class, u64>,
}

/// A stream and its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopStream {
    /// The push domain.
    pub domain: String,
    /// The push path.
    pub app: String,
    /// The stream.
    pub stream: String,
    /// Records of it.
    pub total: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "1-2-3",
            "+1-2",
            "01-2",
            "1-2 ",
            "x-1",
            "1--2",
            "ffffffffffffffffff-1",
            "7fffffffffffffff-1",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }
}
