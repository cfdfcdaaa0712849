//! The bytes of a page, part by part.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::cache::{Disconnects, FamilyParts};

/// The parts of a page in their order, none of them empty. Most are shared with other pages and are not touched before
/// they are written: a page of a million series costs no more than its families.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    runs: VecDeque<Run>,
    length: u64,
}

#[derive(Debug, Clone)]
enum Run {
    One(Bytes),
    Shared(Arc<Disconnects>, Range<usize>),
}

impl Parts {
    /// Bytes that are left, all parts together.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn push_family(&mut self, page: &Arc<Disconnects>, family: &FamilyParts) {
        if !family.parts.is_empty() {
            self.length += family.length;
            self.runs.push_back(Run::Shared(Arc::clone(page), family.parts.clone()));
        }
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

impl Iterator for Parts {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let part = match self.runs.front_mut()? {
            Run::Shared(page, places) if places.len() > 1 => {
                let part = page.parts[places.start].clone();
                places.start += 1;
                part
            }
            Run::Shared(page, places) => {
                let part = page.parts[places.start].clone();
                self.runs.pop_front();
                part
            }
            Run::One(part) => {
                let part = std::mem::take(part);
                self.runs.pop_front();
                part
            }
        };
        self.length -= part.len() as u64;
        Some(part)
    }
}
