//! Zstandard: every piece a frame of its own.
//!
//! RFC 8878 3: compressed data is one or more frames, one after the other, so pieces can be kept and put together in any
//! order. The blocks of one frame could not: a block may repeat distances and tables of the one before it.

use ::zstd::bulk;
use ::zstd::zstd_safe::compress_bound;
use bytes::Bytes;

/// The fastest level, as for gzip.
const LEVEL: i32 = 1;

/// Compresses one piece after the other.
pub(super) struct Compressor {
    zstd: bulk::Compressor<'static>,
    scratch: Vec<u8>,
}

impl Compressor {
    pub(super) fn new() -> Self {
        Self { zstd: bulk::Compressor::new(LEVEL).expect("the level exists"), scratch: Vec::new() }
    }

    /// `text` as a frame of its own; an empty text is a frame too.
    pub(super) fn frame(&mut self, text: &[u8]) -> Bytes {
        self.scratch.clear();
        self.scratch.reserve(compress_bound(text.len()));
        self.zstd.compress_to_buffer(text, &mut self.scratch).expect("there is room for the longest possible frame");
        Bytes::copy_from_slice(&self.scratch)
    }
}
