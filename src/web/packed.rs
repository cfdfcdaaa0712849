//! Answers for people, packed as their browser likes it: a page comes to a tenth of its size, which a phone notices.
//! The metrics page has its own way, with pieces that are kept.

use std::io;

use bytes::{Buf as _, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{CONTENT_ENCODING, HeaderValue};

use super::answer::Answer;
use crate::metrics::exposition::{self, Coding, Parts};

/// Shorter answers are sent as they are: they fit one packet.
const SHORT_BYTES: usize = 1_024;

/// zstd's fastest level; gzip's is its own fastest.
const ZSTD_LEVEL: i32 = 1;

/// `answer` in the coding that an `Accept-Encoding` header would rather have. Its `Vary` is left to the caller.
pub(super) async fn packed(mut answer: Answer, accept_encoding: &str) -> Answer {
    let coding = exposition::coding(accept_encoding);
    let Some(name) = coding.name() else { return answer };
    let parts = answer.response.body().clone();
    if parts.remaining() < SHORT_BYTES {
        return answer;
    }
    match tokio::task::spawn_blocking(move || pack(parts, coding)).await {
        Ok(Ok(packed)) => {
            *answer.response.body_mut() = vec![Bytes::from(packed)].into();
            answer.with(CONTENT_ENCODING, HeaderValue::from_static(name))
        }
        // It is as good unpacked.
        Ok(Err(error)) => {
            tracing::warn!(%error, coding = name, "a page could not be packed");
            answer
        }
        Err(error) => {
            tracing::error!(%error, "packing a page did not end by itself");
            answer
        }
    }
}

fn pack(parts: Parts, coding: Coding) -> io::Result<Vec<u8>> {
    let (mut parts, mut packed) = (parts.reader(), Vec::new());
    match coding {
        Coding::Identity => _ = io::copy(&mut parts, &mut packed)?,
        Coding::Gzip => {
            let mut gzip = GzEncoder::new(&mut packed, Compression::fast());
            io::copy(&mut parts, &mut gzip)?;
            gzip.finish()?;
        }
        Coding::Zstd => {
            let mut zstd = zstd::Encoder::new(&mut packed, ZSTD_LEVEL)?;
            io::copy(&mut parts, &mut zstd)?;
            zstd.finish()?;
        }
    }
    Ok(packed)
}
