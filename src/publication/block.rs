//! Neighbouring series of the stream counter: packed, immutable once it is in a snapshot.
//!
//! Streams are many and their names are a stranger's choice, so a series costs little more than its stream's name: its
//! domain, app and reason are shared, the names stand in one text. Labels are apart from values, since values change
//! much more often: a block whose values changed shares its labels with the block before. So does one that a series has
//! left: its place stays empty until the block is made anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::UnixSeconds;
use crate::ledger::StreamLabels;
use crate::reason::Reason;

/// Places in one [`StreamBlock`]: a commit copies the blocks it touches and shares the others.
pub const BLOCK_SERIES: usize = 128;

/// Stands in place of the value of a series that has left. No counter comes so far.
const LEFT: u64 = u64::MAX;

/// What many series have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// `domain`
    pub domain: Arc<str>,
    /// `app`
    pub app: Arc<str>,
    /// `reason`
    pub reason: Reason,
}

/// One series of `tencent_live_stream_disconnects_total`, as its block has it.
#[derive(Debug, Clone, Copy)]
pub struct StreamSeries<'a> {
    /// Its labels but for the stream.
    pub kind: &'a Arc<Kind>,
    /// `stream`
    pub stream: &'a str,
    /// Start timestamp.
    pub created: UnixSeconds,
    /// The value to publish: the baseline while held, the durable total after.
    pub shown: u64,
}

impl StreamSeries<'_> {
    /// Its labels, all of them.
    #[must_use]
    pub fn labels(&self) -> StreamLabels {
        let Kind { domain, app, reason } = &**self.kind;
        StreamLabels { domain: Arc::clone(domain), app: Arc::clone(app), stream: self.stream.into(), reason: *reason }
    }
}

/// The labels and start timestamps of a block.
#[derive(Debug, Clone, Default)]
struct Labels {
    places: Vec<Place>,
    /// The stream names, one after the other.
    streams: String,
}

#[derive(Debug, Clone)]
struct Place {
    kind: Arc<Kind>,
    created: u32,
    /// Where its stream's name ends.
    end: u32,
}

/// Up to [`BLOCK_SERIES`] series, each at its place.
#[derive(Debug, Default)]
pub struct StreamBlock {
    labels: Arc<Labels>,
    shown: Vec<u64>,
    /// Places that are not empty.
    len: usize,
    version: Version,
    /// What it is a copy of, and the places that have changed since, a bit for each.
    copy_of: Option<Version>,
    changed: u128,
}

/// Tells one block from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version(u64);

impl Default for Version {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Clone for StreamBlock {
    fn clone(&self) -> Self {
        Self {
            labels: Arc::clone(&self.labels),
            shown: self.shown.clone(),
            len: self.len,
            version: Version::default(),
            copy_of: Some(self.version),
            changed: 0,
        }
    }
}

impl StreamBlock {
    /// A block of these series, by labels, value and start timestamp.
    #[must_use]
    pub fn of(series: impl IntoIterator<Item = (StreamLabels, u64, UnixSeconds)>) -> Self {
        let mut block = Self::default();
        for (StreamLabels { domain, app, stream, reason }, shown, created) in series {
            let kind = Arc::new(Kind { domain, app, reason });
            block.push(StreamSeries { kind: &kind, stream: &stream, created, shown });
        }
        block
    }

    /// How many series it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many places it has, empty ones included.
    #[must_use]
    pub fn places(&self) -> usize {
        self.shown.len()
    }

    /// The series at a place, counted from 0; none where it has left.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<StreamSeries<'_>> {
        let shown = self.value(at)?;
        let Labels { places, streams } = &*self.labels;
        let Place { kind, created, end } = &places[at];
        let start = at.checked_sub(1).map_or(0, |before| places[before].end);
        Some(StreamSeries { shown, kind, stream: &streams[start as usize..*end as usize], created: (*created).into() })
    }

    /// The value at a place, counted from 0; none where the series has left.
    #[must_use]
    pub fn value(&self, at: usize) -> Option<u64> {
        self.shown.get(at).copied().filter(|shown| *shown != LEFT)
    }

    /// The series in their order.
    pub fn series(&self) -> impl Iterator<Item = StreamSeries<'_>> {
        (0..self.places()).filter_map(|at| self.get(at))
    }

    /// Whether `other` has the same labels at the same places: it is this block with other values, or with fewer series.
    #[must_use]
    pub fn has_labels_of(&self, other: &StreamBlock) -> bool {
        Arc::ptr_eq(&self.labels, &other.labels)
    }

    /// The first place from `from` on where `other`, which has the same labels, may show something else.
    #[must_use]
    pub fn differs_from(&self, other: &StreamBlock, from: usize) -> Option<usize> {
        if self.copy_of == Some(other.version) {
            let changed = self.changed.checked_shr(u32::try_from(from).ok()?)?;
            return (changed != 0).then(|| from + changed.trailing_zeros() as usize);
        }
        let (ours, others) = (self.shown.get(from..)?, other.shown.get(from..)?);
        ours.iter().zip(others).position(|(ours, others)| ours != others).map(|at| from + at)
    }

    pub(super) fn push(&mut self, series: StreamSeries<'_>) {
        let labels = Arc::make_mut(&mut self.labels);
        labels.streams.push_str(series.stream);
        // Label values are at most some 140 bytes long.
        let end = u32::try_from(labels.streams.len()).expect("names of a block are short");
        labels.places.push(Place { kind: Arc::clone(series.kind), created: seconds(series.created), end });
        self.shown.push(series.shown);
        self.len += 1;
        if self.shown.len() == BLOCK_SERIES {
            self.shrink();
        }
    }

    /// Changes the value of a series that is there.
    pub(crate) fn set(&mut self, at: usize, shown: u64) {
        self.shown[at] = shown;
        self.changed |= 1 << at;
    }

    /// Takes the series at a place out; the others stay where they are.
    pub(crate) fn leave(&mut self, at: usize) {
        self.shown[at] = LEFT;
        self.changed |= 1 << at;
        self.len -= 1;
    }

    fn shrink(&mut self) {
        let labels = Arc::make_mut(&mut self.labels);
        labels.places.shrink_to_fit();
        labels.streams.shrink_to_fit();
        self.shown.shrink_to_fit();
    }
}

/// In 32 bits, which last until 2106.
pub(super) fn seconds(at: UnixSeconds) -> u32 {
    u32::try_from(at.max(0)).unwrap_or(u32::MAX)
}
