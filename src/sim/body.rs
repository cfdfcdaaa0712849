//! Response bodies that arrive whole, in drops, by half, or without end.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// One block of an endless body.
const BLOCK: usize = 16 * 1024;

/// The connection is to be reset here.
#[derive(Debug, thiserror::Error)]
#[error("the scenario resets this connection")]
pub(super) struct Broken;

/// A body on its way.
#[derive(Debug)]
pub(super) struct Delivered {
    /// What is still to be sent.
    rest: Bytes,
    /// Bytes a step.
    step: usize,
    /// Time between steps, and before a reset.
    pause: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    /// Bytes that are announced but never sent.
    withheld: u64,
    /// Blocks of `x` to make up before `rest`.
    made_up: u64,
}

impl Delivered {
    pub(super) fn whole(body: Vec<u8>) -> Self {
        let step = body.len().max(1);
        Self { rest: body.into(), step, pause: Duration::ZERO, waiting: None, withheld: 0, made_up: 0 }
    }

    /// Announces `body`, sends half of it and breaks.
    pub(super) fn half(mut body: Vec<u8>) -> Self {
        let half = body.len() / 2;
        let withheld = (body.len() - half) as u64;
        body.truncate(half);
        // The first half must be on the wire before the reset, which would overtake it in the buffers.
        Self { pause: Duration::from_millis(50), withheld, ..Self::whole(body) }
    }

    pub(super) fn drip(body: Vec<u8>, pause: Duration) -> Self {
        Self { step: 1, pause, ..Self::whole(body) }
    }

    /// At least `bytes` bytes, made up on the way; no memory holds them.
    pub(super) fn endless(bytes: u64) -> Self {
        Self { made_up: bytes.div_ceil(BLOCK as u64), ..Self::whole(Vec::new()) }
    }
}

impl Body for Delivered {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(waiting) = &mut self.waiting {
            std::task::ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
        }
        if self.made_up > 0 {
            self.made_up -= 1;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; BLOCK])))));
        }
        if self.rest.is_empty() {
            let withheld = std::mem::take(&mut self.withheld) > 0;
            return Poll::Ready(withheld.then_some(Err(Broken)));
        }
        let step = self.step.min(self.rest.len());
        let sent = self.rest.split_to(step);
        if !self.pause.is_zero() {
            self.waiting = Some(Box::pin(tokio::time::sleep(self.pause)));
        }
        Poll::Ready(Some(Ok(Frame::data(sent))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.withheld == 0 && self.made_up == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64 + self.withheld + self.made_up * BLOCK as u64)
    }
}
