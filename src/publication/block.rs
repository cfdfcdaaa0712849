//! Neighbouring series of the stream counter: packed, immutable once it is in a snapshot.
//!
//! Streams are many and their names are a stranger's choice, so a series costs little more than its stream's name: its
//! domain, app and reason are shared, the names stand in one text. Labels are apart from values, since values change
//! much more often: a block whose values changed shares its labels with the block before.

use std::sync::Arc;

use crate::clock::UnixSeconds;
use crate::ledger::StreamLabels;
use crate::reason::Reason;

/// Most series in one [`StreamBlock`]: a commit copies the blocks it touches and shares the others.
pub const BLOCK_SERIES: usize = 128;

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
    kinds: Vec<Arc<Kind>>,
    created: Vec<UnixSeconds>,
    /// Where the stream names end in `streams`.
    ends: Vec<u32>,
    streams: String,
}

/// Up to [`BLOCK_SERIES`] series.
#[derive(Debug, Clone, Default)]
pub struct StreamBlock {
    labels: Arc<Labels>,
    shown: Vec<u64>,
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
        self.shown.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// The series at a place, counted from 0.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<StreamSeries<'_>> {
        let shown = *self.shown.get(at)?;
        let labels = &*self.labels;
        let start = at.checked_sub(1).map_or(0, |before| labels.ends[before]);
        Some(StreamSeries {
            shown,
            kind: &labels.kinds[at],
            stream: &labels.streams[start as usize..labels.ends[at] as usize],
            created: labels.created[at],
        })
    }

    /// The series in their order.
    pub fn series(&self) -> impl Iterator<Item = StreamSeries<'_>> {
        (0..self.len()).map_while(|at| self.get(at))
    }

    /// The values in the order of the series.
    #[must_use]
    pub fn shown(&self) -> &[u64] {
        &self.shown
    }

    /// Whether `other` has the same labels at the same places: it is this block with other values.
    #[must_use]
    pub fn has_labels_of(&self, other: &StreamBlock) -> bool {
        Arc::ptr_eq(&self.labels, &other.labels)
    }

    /// The same series with other values.
    ///
    /// # Panics
    /// When there are fewer or more values than series.
    #[must_use]
    pub fn with(&self, shown: Vec<u64>) -> Self {
        assert_eq!(shown.len(), self.len(), "a value for each series");
        Self { labels: Arc::clone(&self.labels), shown }
    }

    pub(super) fn push(&mut self, series: StreamSeries<'_>) {
        let labels = Arc::make_mut(&mut self.labels);
        labels.kinds.push(Arc::clone(series.kind));
        labels.created.push(series.created);
        labels.streams.push_str(series.stream);
        // Label values are at most some 140 bytes long.
        labels.ends.push(u32::try_from(labels.streams.len()).expect("names of a block are short"));
        self.shown.push(series.shown);
        if self.shown.len() == BLOCK_SERIES {
            self.shrink();
        }
    }

    pub(super) fn set(&mut self, at: usize, shown: u64) {
        self.shown[at] = shown;
    }

    /// Takes the series at a place out; those behind it move up.
    pub(super) fn remove(&mut self, at: usize) {
        let others = self.series().enumerate().filter(|(place, _)| *place != at).map(|(_, series)| series);
        let mut left = Self::default();
        others.for_each(|series| left.push(series));
        left.shrink();
        *self = left;
    }

    fn shrink(&mut self) {
        let labels = Arc::make_mut(&mut self.labels);
        labels.kinds.shrink_to_fit();
        labels.created.shrink_to_fit();
        labels.ends.shrink_to_fit();
        labels.streams.shrink_to_fit();
        self.shown.shrink_to_fit();
    }
}
