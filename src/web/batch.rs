//! Parts of an answer that are written together: a page of a million series has ten thousand, and to hand each over by
//! itself costs as much as a twentieth of writing it.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Parts in their order, none of them empty.
#[derive(Debug, Default)]
pub(super) struct Batch {
    parts: VecDeque<Bytes>,
    left: usize,
}

impl Batch {
    /// Most parts that hyper has the system write at once.
    pub(super) const PARTS: usize = 64;
}

impl FromIterator<Bytes> for Batch {
    fn from_iter<I: IntoIterator<Item = Bytes>>(parts: I) -> Self {
        let parts: VecDeque<Bytes> = parts.into_iter().collect();
        Self { left: parts.iter().map(Bytes::len).sum(), parts }
    }
}

impl Buf for Batch {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        self.parts.front().map_or(&[], |part| part)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pairs = slices.iter_mut().zip(&self.parts);
        pairs.map(|(slice, part)| *slice = IoSlice::new(part)).count()
    }

    fn advance(&mut self, mut bytes: usize) {
        self.left -= bytes;
        while let Some(first) = self.parts.front_mut() {
            if bytes < first.len() {
                first.advance(bytes);
                return;
            }
            bytes -= first.len();
            self.parts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn however_much_is_written_at_a_time_it_is_the_parts_in_their_order(
            parts in prop::collection::vec("[a-z]{1,9}", 0..9), most in 1..20_usize, slices in 1..4_usize,
        ) {
            let mut batch: Batch = parts.iter().map(|part| Bytes::from(part.clone())).collect();
            let mut written = String::new();
            while batch.has_remaining() {
                prop_assert_eq!(batch.remaining() + written.len(), parts.concat().len());
                let mut together = vec![IoSlice::new(&[]); slices];
                let count = batch.chunks_vectored(&mut together);
                let bytes: Vec<u8> = together[..count].iter().flat_map(|slice| slice.iter().copied()).take(most).collect();
                prop_assert!(bytes.starts_with(&batch.chunk()[..batch.chunk().len().min(most)]) && !bytes.is_empty());
                written.push_str(std::str::from_utf8(&bytes).unwrap());
                batch.advance(bytes.len());
            }
            prop_assert!(batch.chunk().is_empty());
            prop_assert_eq!(written, parts.concat());
        }
    }
}
