//! Answers for people, packed as their browser likes it: a page comes to a tenth of its size, which a phone notices.
//! The metrics page has its own way, with pieces that are kept.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{CONTENT_ENCODING, HeaderValue};

use super::answer::Answer;
use crate::metrics::exposition::{self, Coding, Parts};

/// Shorter answers are sent as they are: they fit one packet.
const SHORT_BYTES: u64 = 1_024;

/// zstd's fastest level; gzip's is its own fastest.
const ZSTD_LEVEL: i32 = 1;

/// `answer` in the coding that an `Accept-Encoding` header would rather have. Its `Vary` is left to the caller.
pub(super) async fn packed(mut answer: Answer, accept_encoding: &str) -> Answer {
    let coding = exposition::coding(accept_encoding);
    let Some(name) = coding.name() else { return answer };
    let parts = answer.response.body().clone();
    if parts.length() < SHORT_BYTES {
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

fn pack(mut parts: Parts, coding: Coding) -> io::Result<Vec<u8>> {
    match coding {
        Coding::Identity => Ok(parts.flatten().collect()),
        Coding::Gzip => {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            parts.try_for_each(|part| gzip.write_all(&part))?;
            gzip.finish()
        }
        Coding::Zstd => {
            let mut zstd = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
            parts.try_for_each(|part| zstd.write_all(&part))?;
            zstd.finish()
        }
    }
}
