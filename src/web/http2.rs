//! HTTP/2 on one connection, with h2 itself.
//!
//! An answer is done when its last byte has left, and only below hyper can that be seen. A body is given to h2 as far
//! as the client's windows allow and no further; so once the connection has been polled and its socket is not waiting, all
//! that was given has been written, and the answers that were given whole and not taken back are reported.
//!
//! The deadlines are those of the connection, not of its streams: of answers that overlap the oldest one's counts, so a
//! client that keeps one of them waiting loses all. Limits (F6): few streams, small heads, and an end to clients that reset
//! what they have asked for; h2 itself bounds CONTINUATION frames, resets in waiting, and what it answers to.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use hyper::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderValue};
use hyper::{Method, Request, Response};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use super::answer::Content;
use super::connection::{Broken, HEAD_BYTES};
use super::refusal::Refusal;
use super::routes::HasBody;
use super::socket::{Socket, Wire};
use super::{Progress, Seat, Serving};

/// Requests that one connection may have answered at a time.
const STREAMS: u32 = 16;
/// Requests that a client may take back before it is asked to stop; each answer that it takes whole earns one.
const RESETS: usize = 64;
/// What of an answer is given to h2 at a time: the longest frame that every client takes (RFC 9113, 6.5.2).
const FRAME_BYTES: usize = 16_384;
/// What of an answer h2 holds at a time until it is written, however much the client would take.
const BUFFERED_BYTES: usize = 4 * FRAME_BYTES;

/// When an answer began, and what becomes of it; nothing where the client did not take it whole.
type Answering = (Instant, Pin<Box<dyn Future<Output = Option<Sent>> + Send>>);

/// An answer that h2 has to the last byte, and its stream unless it had no body.
struct Sent {
    stream: Option<SendStream<Bytes>>,
    content: Content,
}

/// Answers the requests of one connection until it ends; after `finish`, only those that are being answered.
pub(super) async fn serve(
    stream: TlsStream<Wire>,
    seat: &Arc<Seat>,
    serving: &Arc<Serving>,
    finish: &Notify,
) -> Result<(), Broken> {
    let socket = Socket { stream, progress: Arc::clone(&seat.progress), reports: None, refusal: Refusal::default() };
    let head_bytes = u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX);
    let connection = Builder::new()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(head_bytes)
        .max_send_buffer_size(BUFFERED_BYTES)
        .max_pending_accept_reset_streams(STREAMS as usize)
        .max_local_error_reset_streams(Some(RESETS))
        .handshake(socket)
        .await?;
    let mut conversation = Conversation {
        connection,
        answering: Vec::new(),
        sent: Vec::new(),
        may_reset: RESETS,
        seat: Arc::clone(seat),
        is_over: false,
    };
    let mut finishing = std::pin::pin!(finish.notified());
    let mut told = false;
    std::future::poll_fn(|cx| {
        if !told && finishing.as_mut().poll(cx).is_ready() {
            told = true;
            conversation.connection.graceful_shutdown();
        }
        conversation.poll(cx, serving, &seat.progress)
    })
    .await
}

struct Conversation {
    connection: Connection<Socket<TlsStream<Wire>>, Bytes>,
    answering: Vec<Answering>,
    /// Some of these may not have left yet.
    sent: Vec<Sent>,
    may_reset: usize,
    seat: Arc<Seat>,
    /// The client has been asked to stop.
    is_over: bool,
}

impl Conversation {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        serving: &Arc<Serving>,
        progress: &Arc<Progress>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            let (sent, may_reset) = (&mut self.sent, &mut self.may_reset);
            self.answering.retain_mut(|(_, answer)| match answer.as_mut().poll(cx) {
                Poll::Pending => true,
                Poll::Ready(Some(whole)) => {
                    sent.push(whole);
                    false
                }
                Poll::Ready(None) => {
                    *may_reset = may_reset.saturating_sub(1);
                    false
                }
            });
            if self.may_reset == 0 && !self.is_over {
                self.is_over = true;
                self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.begin(request, respond, serving, progress);
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error.into())),
                Poll::Ready(None) => {
                    self.report(cx, serving, progress);
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => break,
            }
        }
        if let Some((began, _)) = self.answering.first() {
            progress.oldest(*began);
        }
        self.report(cx, serving, progress);
        Poll::Pending
    }

    /// Reports what h2 had whole before the connection was polled, unless some of it may not have left.
    fn report(&mut self, cx: &mut Context<'_>, serving: &Serving, progress: &Progress) {
        if progress.may_owe() {
            return;
        }
        for mut sent in self.sent.drain(..) {
            // With a reset h2 forgets what it had.
            if sent.stream.is_some_and(|mut stream| stream.poll_reset(cx).is_ready()) {
                self.may_reset = self.may_reset.saturating_sub(1);
            } else {
                self.may_reset = RESETS.min(self.may_reset + 1);
                sent.content.handed_over();
            }
        }
        for scrape in progress.flushed() {
            serving.scraped(scrape);
        }
    }

    fn begin(
        &mut self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        serving: &Arc<Serving>,
        progress: &Arc<Progress>,
    ) {
        let streams = STREAMS as usize;
        if self.answering.len() >= streams || self.sent.len() >= 4 * streams {
            // Streams that were reset are still being let go of.
            respond.send_reset(Reason::REFUSED_STREAM);
            self.may_reset = self.may_reset.saturating_sub(1);
            return;
        }
        progress.request();
        let answer = answer(request, respond, Arc::clone(serving), Arc::clone(&self.seat));
        self.answering.push((Instant::now(), Box::pin(answer)));
    }
}

/// A request that has begun; until its answer has a body that says when it is gone, this does.
struct Counted(Option<Arc<Progress>>);

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(progress) = &self.0 {
            progress.closed();
        }
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    serving: Arc<Serving>,
    seat: Arc<Seat>,
) -> Option<Sent> {
    let mut counted = Counted(Some(Arc::clone(&seat.progress)));
    let is_head = request.method() == Method::HEAD;
    let request = request.map(|body| HasBody(!body.is_end_stream()));
    let response = {
        let mut made = std::pin::pin!(serving.respond(request, &seat));
        let made = std::future::poll_fn(|cx| {
            if respond.poll_reset(cx).is_ready() {
                return Poll::Ready(None);
            }
            made.as_mut().poll(cx).map(Some)
        });
        match made.await {
            Some(Ok::<_, Infallible>(response)) => response,
            None => return None,
        }
    };
    // From here on the body tells.
    counted.0 = None;
    send(response, &mut respond, is_head, serving.date()).await.unwrap_or_else(|error| {
        tracing::debug!(peer = %seat.peer, %error, "an answer was not taken");
        None
    })
}

/// Sends a response as fast as the client takes it.
async fn send(
    response: Response<Content>,
    respond: &mut SendResponse<Bytes>,
    is_head: bool,
    date: Option<HeaderValue>,
) -> Result<Option<Sent>, h2::Error> {
    let (mut head, mut content) = response.into_parts();
    // Not for HTTP/2: a stream ends by itself.
    head.headers.remove(CONNECTION);
    head.headers.insert(CONTENT_LENGTH, content.left().into());
    head.headers.extend(date.map(|date| (DATE, date)));
    let ends = is_head || content.left() == 0;
    let mut stream = respond.send_response(Response::from_parts(head, ()), ends)?;
    if ends {
        return Ok(Some(Sent { stream: None, content }));
    }
    while content.left() > 0 {
        stream.reserve_capacity(content.left().min(FRAME_BYTES));
        while stream.capacity() == 0 {
            match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(room) => room?,
                None => return Ok(None),
            };
        }
        let bytes = content.take(stream.capacity().min(FRAME_BYTES));
        stream.send_data(bytes, content.left() == 0)?;
    }
    Ok(Some(Sent { stream: Some(stream), content }))
}
