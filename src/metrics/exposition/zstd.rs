//! Zstandard: every piece a frame of its own.
//!
//! RFC 8878 3: compressed data is one or more frames, one after the other, so pieces can be kept and put together in any
//! order. The blocks of one frame could not: a block may repeat distances and tables of the one before it.

use ::zstd::bulk;
use bytes::Bytes;

/// The fastest level, as for gzip.
const LEVEL: i32 = 1;

/// Compresses one piece after the other.
pub(super) struct Compressor(bulk::Compressor<'static>);

impl Compressor {
    pub(super) fn new() -> Self {
        Self(bulk::Compressor::new(LEVEL).expect("the level exists"))
    }

    /// `text` as a frame of its own; an empty text is a frame too.
    pub(super) fn frame(&mut self, text: &[u8]) -> Bytes {
        self.0.compress(text).expect("a buffer of the greatest possible length takes every frame").into()
    }
}
