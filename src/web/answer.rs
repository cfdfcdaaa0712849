//! Answers: headers that every one of them carries, and a body that says when it has been handed over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use super::Progress;
use crate::metrics::exposition;
use crate::publication::Scrape;

/// Plain words.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// No script, no picture, no frame, nothing from elsewhere; the style sheet is our own.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// On every answer, errors included (OWASP's and Prometheus' own advice for pages that show foreign text).
pub(super) const PROTECTION: [(HeaderName, HeaderValue); 5] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// An answer before it is tied to its connection.
pub(super) struct Answer {
    pub(super) response: Response<exposition::Parts>,
    /// What to report once it is written whole.
    pub(super) scrape: Option<Scrape>,
    /// Its place among the requests answered at a time, until it is written.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    /// Its place among the large ones, until then.
    pub(super) large: Option<OwnedSemaphorePermit>,
}

impl Answer {
    pub(super) fn new(status: StatusCode, content_type: &'static str, parts: impl Into<exposition::Parts>) -> Self {
        let mut response = Response::new(parts.into());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.extend(PROTECTION);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { response, scrape: None, permit: None, large: None }
    }

    pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self::new(status, TEXT, vec![text.into().into()])
    }

    pub(super) fn not_found() -> Self {
        Self::text(StatusCode::NOT_FOUND, "404 page not found\n")
    }

    pub(super) fn not_allowed(allowed: &'static str) -> Self {
        Self::text(StatusCode::METHOD_NOT_ALLOWED, format!("method not allowed, only {allowed}\n"))
            .with(ALLOW, HeaderValue::from_static(allowed))
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.response.headers_mut().insert(name, value);
        self
    }

    /// The response to send on the connection of `progress`.
    pub(super) fn on(self, progress: Arc<Progress>) -> Response<Content> {
        progress.wrote();
        let place = progress.hold(self.permit, self.large);
        self.response.map(|parts| Content { parts, scrape: self.scrape, place, progress })
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Content {
    /// What has not been taken yet.
    parts: exposition::Parts,
    scrape: Option<Scrape>,
    /// Its place among the requests answered at a time.
    place: Option<u64>,
    progress: Arc<Progress>,
}

impl Content {
    /// Bytes that have not been taken yet.
    pub(super) fn left(&self) -> usize {
        self.parts.remaining()
    }

    /// The next bytes, `most` at most, for a connection that says by itself when the last ones are handed over.
    pub(super) fn take(&mut self, most: usize) -> Bytes {
        self.parts.copy_to_bytes(most.min(self.left()))
    }

    /// The last bytes are where the connection will write them next.
    pub(super) fn handed_over(&mut self) {
        self.progress.handed_over(self.scrape.take(), self.place.take());
    }
}

impl Body for Content {
    type Data = exposition::Parts;
    type Error = std::convert::Infallible;

    /// All there is at once: hyper keeps its place in it while it is written.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let parts = std::mem::take(&mut self.parts);
        self.handed_over();
        Poll::Ready(parts.has_remaining().then(|| Ok(Frame::data(parts))))
    }

    fn is_end_stream(&self) -> bool {
        !self.parts.has_remaining()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left() as u64)
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.progress.give_up(place);
        }
        self.progress.closed();
    }
}
