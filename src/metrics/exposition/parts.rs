//! The bytes of a page, part by part.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::slice;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::cache::Disconnects;

/// What is left of a page to be written: its parts in their order, most of them shared with other pages.
///
/// None is touched before it is written, and none is copied then: as a [`Buf`] it hands out the parts where they stand, as
/// many at a time as the system takes. So a page of a million series costs no more than its families, and a reader that
/// takes none of it has no copy of it: it keeps alive what other pages have replaced meanwhile.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    runs: VecDeque<Run>,
    left: usize,
    /// Bytes of the first part that have been written.
    gone: usize,
}

/// Parts that follow one another.
#[derive(Debug, Clone)]
enum Run {
    One(Bytes),
    /// A family of a page, from one of its parts on.
    Shared(Arc<Disconnects>, usize, usize),
}

impl Run {
    fn parts(&self) -> &[Bytes] {
        match self {
            Run::One(part) => slice::from_ref(part),
            Run::Shared(page, family, from) => &page.families[*family].parts[*from..],
        }
    }

    /// What is left without the first of its parts; nothing if that is all of them.
    fn after(self, parts: usize) -> Option<Run> {
        if parts == self.parts().len() {
            return None;
        }
        match self {
            Run::Shared(page, family, from) => Some(Run::Shared(page, family, from + parts)),
            Run::One(_) => Some(self),
        }
    }
}

impl Parts {
    pub(super) fn push_family(&mut self, page: &Arc<Disconnects>, family: usize) {
        self.left += page.families[family].length;
        self.runs.push_back(Run::Shared(Arc::clone(page), family, 0));
    }

    /// What is left of each part, where something is.
    fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut gone = self.gone;
        let parts = self.runs.iter().flat_map(Run::parts);
        parts.map(move |part| &part[std::mem::take(&mut gone)..]).filter(|part| !part.is_empty())
    }
}

impl Extend<Bytes> for Parts {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, parts: I) {
        for part in parts {
            self.left += part.len();
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

impl Buf for Parts {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        self.slices().next().unwrap_or_default()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        slices.iter_mut().zip(self.slices()).map(|(slice, part)| *slice = IoSlice::new(part)).count()
    }

    fn advance(&mut self, bytes: usize) {
        self.left = self.left.checked_sub(bytes).expect("nobody writes more than there is");
        // From the beginning of the first part, as far as it is not gone with others before it.
        self.gone += bytes;
        while let Some(run) = self.runs.pop_front() {
            let whole = run.parts().iter().take_while(|part| {
                let is_gone = part.len() <= self.gone;
                self.gone -= if is_gone { part.len() } else { 0 };
                is_gone
            });
            let whole = whole.count();
            if let Some(rest) = run.after(whole) {
                self.runs.push_front(rest);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::cache::FamilyParts;
    use super::*;

    /// A page that has these parts in its first family.
    fn page(parts: &[String]) -> Arc<Disconnects> {
        let mut page = Disconnects::default();
        let parts: Vec<_> = parts.iter().map(|part| Bytes::from(part.clone())).collect();
        page.families[0] = FamilyParts { length: parts.iter().map(Bytes::len).sum(), parts, ..FamilyParts::default() };
        Arc::new(page)
    }

    proptest! {
        #[test]
        fn however_much_is_written_at_a_time_it_is_the_parts_in_their_order(
            runs in prop::collection::vec(prop::collection::vec("[a-z]{0,9}", 0..5), 0..5),
            most in 1..40_usize,
            slices in 1..4_usize,
        ) {
            let mut parts = Parts::default();
            for run in &runs {
                match &run[..] {
                    [part] => parts.extend([Bytes::from(part.clone())]),
                    run => parts.push_family(&page(run), 0),
                }
            }
            let whole = runs.concat().concat();
            let mut copy = parts.clone();
            let mut written = String::new();
            while parts.has_remaining() {
                prop_assert_eq!(parts.remaining() + written.len(), whole.len());
                let mut together = vec![IoSlice::new(&[]); slices];
                let count = parts.chunks_vectored(&mut together);
                prop_assert!(count > 0 && together[..count].iter().all(|slice| !slice.is_empty()));
                prop_assert_eq!(parts.chunk(), &*together[0]);
                let bytes: Vec<u8> = together[..count].iter().flat_map(|slice| slice.to_vec()).take(most).collect();
                written.push_str(std::str::from_utf8(&bytes).unwrap());
                parts.advance(bytes.len());
            }
            prop_assert_eq!(&written, &whole);
            prop_assert_eq!(copy.copy_to_bytes(copy.remaining()), whole);
            prop_assert!(parts.chunk().is_empty() && parts.runs.iter().all(|run| run.parts().concat().is_empty()));
        }
    }

    #[test]
    fn parts_of_a_page_are_written_where_they_stand() {
        let page = page(&["first".to_owned(), "second".to_owned()]);
        let mut parts = Parts::default();
        parts.push_family(&page, 0);
        parts.advance(2);
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!(parts.chunks_vectored(&mut slices), 2);
        assert_eq!(slices[0].as_ptr(), page.families[0].parts[0][2..].as_ptr());
        assert_eq!(slices[1].as_ptr(), page.families[0].parts[1].as_ptr());
    }
}
