//! What is written to the books, and what is read back from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::UnixSeconds;
use crate::listing::{Filter, Group, Progress, Slices};
use crate::reason::{Class, Reason};
use crate::session::{Fact, GroupKey, IdentityKey, PushSession};

/// Upper bounds in seconds of the session duration buckets, `+Inf` left out.
pub const DURATION_BOUNDS: [u64; 12] = [1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 43200, 86400];

/// A series of the stream counter: its place in order of first appearance.
pub type SeriesId = u32;

/// A domain: its place in order of first appearance.
pub type DomainId = u32;

/// Labels of the stream counter, as label values (cut and cleaned, not escaped).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamLabels {
    /// `domain`
    pub domain: Arc<str>,
    /// `app`
    pub app: Arc<str>,
    /// `stream`
    pub stream: Arc<str>,
    /// `reason`
    pub reason: Reason,
}

/// How long pushes lasted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DurationHistogram {
    /// Sessions per bucket of [`DURATION_BOUNDS`], not cumulated; the last bucket is `+Inf`.
    pub buckets: [u64; DURATION_BOUNDS.len() + 1],
    /// Sum of the durations in seconds.
    pub sum: u64,
}

impl DurationHistogram {
    /// Adds one session of `seconds`.
    pub fn observe(&mut self, seconds: u64) {
        let bucket = DURATION_BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket] += 1;
        self.sum = self.sum.saturating_add(seconds);
    }

    /// Adds the sessions of `other`.
    pub fn add(&mut self, other: &DurationHistogram) {
        for (bucket, count) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += count;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Number of sessions.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// Everything that changes together.
#[derive(Debug, Default)]
pub struct Posting {
    /// When, by a clock that stands while nobody could read what is written: it tells what is idle.
    pub at: UnixSeconds,
    /// An account's first appearance.
    pub new_account: Option<NewAccount>,
    /// Groups that grew or were revised, whole, with their account.
    pub groups: Vec<(GroupKey, String, Group)>,
    /// Sessions seen for the first time.
    pub records: Vec<Record>,
    /// Sessions the API has corrected.
    pub revisions: Vec<Revision>,
    /// Growth of the stream counter.
    pub series: Vec<SeriesAdd>,
    /// Growth of the class families.
    pub domains: Vec<DomainAdd>,
    /// Series, domains and accounts that show their totals from now on.
    pub release: Release,
    /// How far a listing has come.
    pub progress: Option<ScopeProgress>,
    /// Forget what ended before: groups and slices of an account below its floor, and records.
    pub floor: Option<(String, UnixSeconds)>,
    /// Drop records that ended before.
    pub records_until: Option<UnixSeconds>,
    /// The latest of what is added to the class counter. Not written: what is told of it is told from memory.
    pub exemplars: BTreeMap<(DomainId, Reason), Exemplar>,
}

impl Posting {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.new_account.is_none()
            && self.groups.is_empty()
            && self.revisions.is_empty()
            && self.domains.is_empty()
            && self.release.is_empty()
            && self.progress.is_none()
            && self.floor.is_none()
            && self.records_until.is_none()
    }
}

/// An account that starts counting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Its name in the configuration.
    pub name: String,
    /// When its first listing began, by the API's clock.
    pub first_start: UnixSeconds,
    /// Sessions that ended before this are seen, never counted.
    pub counting_since: UnixSeconds,
    /// Nothing below is ever asked for.
    pub floor: UnixSeconds,
}

/// One session, kept for people to look at.
#[derive(Debug)]
pub struct Record {
    /// Its account.
    pub account: String,
    /// Its group.
    pub group: GroupKey,
    /// What tells it from others of its group.
    pub fact: Fact,
    /// The facts as received; the address as far as the configuration keeps it.
    pub session: PushSession,
    /// When it was first seen.
    pub first_seen: UnixSeconds,
    /// Whether it counts in the totals.
    pub counted: bool,
}

/// A session whose facts the API has corrected.
#[derive(Debug)]
pub struct Revision {
    /// Its group.
    pub group: GroupKey,
    /// What it was.
    pub old: Fact,
    /// What it is.
    pub new: Fact,
    /// The corrected facts.
    pub session: PushSession,
}

/// Growth of one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesAdd {
    /// The series.
    pub id: SeriesId,
    /// What it is, when it is new.
    pub new: Option<NewSeries>,
    /// Disconnects to add to its total.
    pub total: u64,
    /// How many of them its baseline takes along.
    pub baseline: u64,
    /// It had left the page as idle: it is held at its total so far.
    pub returns: bool,
}

impl SeriesAdd {
    /// Nothing yet.
    #[must_use]
    pub fn new(id: SeriesId) -> Self {
        Self { id, new: None, total: 0, baseline: 0, returns: false }
    }
}

/// A series that appears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSeries {
    /// Its labels.
    pub labels: StreamLabels,
    /// Start timestamp.
    pub created: UnixSeconds,
}

/// Growth of one domain's class families.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainAdd {
    /// The domain.
    pub id: DomainId,
    /// What it is, when it is new.
    pub new: Option<NewDomain>,
    /// Disconnects by reason.
    pub disconnects: BTreeMap<Reason, u64>,
    /// Durations and latest end by class.
    pub classes: BTreeMap<Class, ClassAdd>,
    /// How much of it the baseline takes along.
    pub baseline_disconnects: BTreeMap<Reason, u64>,
    /// How much of it the stream counter leaves out.
    pub excluded: BTreeMap<Reason, u64>,
    /// How much of that the baseline takes along.
    pub baseline_excluded: BTreeMap<Reason, u64>,
    /// How much of it the baseline takes along.
    pub baseline_classes: BTreeMap<Class, DurationHistogram>,
}

/// Growth of one class of a domain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassAdd {
    /// Sessions to add.
    pub durations: DurationHistogram,
    /// The latest end among them.
    pub last_end: UnixSeconds,
}

/// One disconnect of many: the latest of a domain and a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemplar {
    /// Its stream, as a label value.
    pub stream: Arc<str>,
    /// When it ended.
    pub end: UnixSeconds,
}

/// A domain that appears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDomain {
    /// The name as a label value.
    pub name: Arc<str>,
    /// The account that brought it.
    pub account: String,
    /// Start timestamp of its families.
    pub created: UnixSeconds,
}

/// What shows its totals from now on. Written before any scraper can see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    /// Series of the stream counter.
    pub series: Vec<SeriesId>,
    /// Domains with their class families.
    pub domains: Vec<DomainId>,
    /// Accounts whose series may be shown at all.
    pub accounts: Vec<String>,
}

impl Release {
    /// Whether it releases nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty() && self.domains.is_empty() && self.accounts.is_empty()
    }
}

/// How far the listing of one scope has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeProgress {
    /// The account.
    pub account: String,
    /// The names it is narrowed to.
    pub scope: Filter,
    /// What was completed.
    pub progress: Progress,
}

/// The books as read back.
#[derive(Debug)]
pub struct Books {
    /// The key of all hashes.
    pub key: IdentityKey,
    /// The accounts ever polled.
    pub accounts: BTreeMap<String, AccountBooks>,
    /// The stream counter, in order of first appearance.
    pub series: Vec<SeriesBooks>,
    /// The class families, in order of first appearance.
    pub domains: Vec<DomainBooks>,
}

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountBooks {
    /// When its first listing began.
    pub first_start: UnixSeconds,
    /// Sessions that ended before this are never counted.
    pub counting_since: UnixSeconds,
    /// Nothing below is ever asked for or counted.
    pub floor: UnixSeconds,
    /// Whether its series may be shown.
    pub published: bool,
    /// Its listing scopes.
    pub scopes: BTreeMap<Filter, ScopeBooks>,
}

/// One listing scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeBooks {
    /// Everything up to here has been listed.
    pub watermark: Option<UnixSeconds>,
    /// The slices whose count is remembered.
    pub slices: Slices,
}

/// One series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesBooks {
    /// Its labels.
    pub labels: StreamLabels,
    /// Start timestamp.
    pub created: UnixSeconds,
    /// Disconnects counted.
    pub total: u64,
    /// Disconnects of before the first start; what it shows while it is held for the first time.
    pub baseline: u64,
    /// Whether it waits for every scraper to have read what it shows.
    pub held: bool,
    /// What it shows while it is held again, since it had left the page as idle.
    pub returned_at: Option<u64>,
    /// When something of it was counted or released last, as [`Posting::at`].
    pub active_at: UnixSeconds,
}

impl SeriesBooks {
    /// A series that appears, before anything is added to it.
    #[must_use]
    pub fn new(new: &NewSeries, at: UnixSeconds) -> Self {
        Self {
            labels: new.labels.clone(),
            created: new.created,
            total: 0,
            baseline: 0,
            held: true,
            returned_at: None,
            active_at: at,
        }
    }
}

/// One domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainBooks {
    /// The name as a label value.
    pub name: Arc<str>,
    /// The account that brought it.
    pub account: String,
    /// Start timestamp of its families.
    pub created: UnixSeconds,
    /// Whether it waits at its baseline.
    pub held: bool,
    /// What is counted.
    pub total: DomainTotals,
    /// What it shows while it is held.
    pub baseline: DomainTotals,
    /// Latest end by `Class as usize`.
    pub last_end: [Option<UnixSeconds>; Class::ALL.len()],
}

/// The counters of one domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainTotals {
    /// By `Reason as usize`.
    pub disconnects: [u64; Reason::COUNT],
    /// Those of them that no series of the stream counter has.
    pub excluded: [u64; Reason::COUNT],
    /// By `Class as usize`.
    pub durations: [DurationHistogram; Class::ALL.len()],
}

impl Default for DomainTotals {
    fn default() -> Self {
        let none = [0; Reason::COUNT];
        Self { disconnects: none, excluded: none, durations: [DurationHistogram::default(); Class::ALL.len()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = DurationHistogram::default();
        for seconds in [0, 1, 2, 5, 86_400, 86_401] {
            histogram.observe(seconds);
        }
        assert_eq!(histogram.buckets, [2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!((histogram.count(), histogram.sum), (6, 172_809));
    }
}
