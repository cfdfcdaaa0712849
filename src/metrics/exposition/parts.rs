//! The bytes of a page, part by part.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::cache::Disconnects;

/// The parts of a page in their order, none of them empty. Large ones are shared with other pages; none is touched before
/// it is written, so that a page of a million series costs no more than its families.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    runs: VecDeque<Run>,
    length: u64,
}

/// Parts smaller than this are joined up to it: to write one costs more than to copy a few thousand bytes.
const WORTH_WRITING: usize = 16 * 1024;

#[derive(Debug, Clone)]
enum Run {
    One(Bytes),
    /// A family of a page, from one of its parts on.
    Shared(Arc<Disconnects>, usize, usize),
}

impl Parts {
    /// Bytes that are left, all parts together.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn push_family(&mut self, page: &Arc<Disconnects>, family: usize) {
        self.length += page.families[family].length;
        self.runs.push_back(Run::Shared(Arc::clone(page), family, 0));
    }
}

impl Extend<Bytes> for Parts {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, parts: I) {
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            self.length += part.len() as u64;
            self.runs.push_back(Run::One(part));
        }
    }
}

impl From<Vec<Bytes>> for Parts {
    fn from(parts: Vec<Bytes>) -> Self {
        let mut all = Self::default();
        all.extend(parts);
        all
    }
}

impl Parts {
    /// The next part as it was made.
    fn next_part(&mut self) -> Option<Bytes> {
        loop {
            let part = match self.runs.front_mut()? {
                Run::Shared(page, family, at) => {
                    let part = page.families[*family].parts.get(*at).cloned();
                    *at += 1;
                    part
                }
                Run::One(part) => Some(std::mem::take(part)).filter(|part| !part.is_empty()),
            };
            match part {
                None => _ = self.runs.pop_front(),
                Some(part) if part.is_empty() => {}
                Some(part) => {
                    self.length -= part.len() as u64;
                    return Some(part);
                }
            }
        }
    }
}

impl Iterator for Parts {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let first = self.next_part()?;
        if first.len() >= WORTH_WRITING || self.length == 0 {
            return Some(first);
        }
        let mut joined = BytesMut::with_capacity(2 * WORTH_WRITING);
        joined.extend_from_slice(&first);
        while joined.len() < WORTH_WRITING
            && let Some(part) = self.next_part()
        {
            joined.extend_from_slice(&part);
        }
        Some(joined.freeze())
    }
}
