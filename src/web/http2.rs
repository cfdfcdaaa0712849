//! HTTP/2 on one connection, with h2 itself.
//!
//! An answer is done when its last byte has left, and only below hyper can that be seen. Each part of a body is given to
//! h2 as far as the client's windows allow and no further; so once the connection has been polled and its socket is not
//! waiting, all that was given has been written, and the answers that were handed over whole are reported.
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
use h2::{Reason, RecvStream};
use hyper::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderValue};
use hyper::{Method, Request, Response};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use super::answer::Parts;
use super::connection::{Broken, HEAD_BYTES};
use super::routes::{HasBody, Routes};
use super::socket::{Socket, Wire};
use super::{Progress, Seat};

/// Requests that one connection may have answered at a time.
const STREAMS: u32 = 16;
/// Requests that a client may take back before it is asked to stop; each answer that it takes whole earns one.
const RESETS: usize = 64;

/// An answer that is being made or sent, true if it was handed over whole; and when it began.
type Answering = (Instant, Pin<Box<dyn Future<Output = bool> + Send>>);

/// Answers the requests of one connection until it ends; after `finish`, only those that are being answered.
pub(super) async fn serve(
    stream: TlsStream<Wire>,
    seat: &Seat,
    routes: &Arc<Routes>,
    finish: &Notify,
) -> Result<(), Broken> {
    let socket = Socket { stream, progress: Arc::clone(&seat.progress), reports: None };
    let head_bytes = u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX);
    let connection = Builder::new()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(head_bytes)
        .max_pending_accept_reset_streams(STREAMS as usize)
        .max_local_error_reset_streams(Some(RESETS))
        .handshake(socket)
        .await?;
    let mut conversation = Conversation {
        connection,
        answering: Vec::new(),
        may_reset: RESETS,
        client: (seat.peer, seat.number),
        is_over: false,
    };
    let mut finishing = std::pin::pin!(finish.notified());
    let mut told = false;
    std::future::poll_fn(|cx| {
        if !told && finishing.as_mut().poll(cx).is_ready() {
            told = true;
            conversation.connection.graceful_shutdown();
        }
        conversation.poll(cx, routes, &seat.progress)
    })
    .await
}

struct Conversation {
    connection: Connection<Socket<TlsStream<Wire>>, Bytes>,
    answering: Vec<Answering>,
    may_reset: usize,
    client: (std::net::IpAddr, u64),
    /// The client has been asked to stop.
    is_over: bool,
}

impl Conversation {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        routes: &Arc<Routes>,
        progress: &Arc<Progress>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            let may_reset = &mut self.may_reset;
            self.answering.retain_mut(|(_, answer)| match answer.as_mut().poll(cx) {
                Poll::Pending => true,
                Poll::Ready(whole) => {
                    *may_reset = if whole { RESETS.min(*may_reset + 1) } else { may_reset.saturating_sub(1) };
                    false
                }
            });
            if self.may_reset == 0 && !self.is_over {
                self.is_over = true;
                self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.begin(request, respond, routes, progress);
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error.into())),
                Poll::Ready(None) => {
                    report(routes, progress);
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => break,
            }
        }
        if let Some((began, _)) = self.answering.first() {
            progress.oldest(*began);
        }
        report(routes, progress);
        Poll::Pending
    }

    fn begin(
        &mut self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        routes: &Arc<Routes>,
        progress: &Arc<Progress>,
    ) {
        if self.answering.len() >= STREAMS as usize {
            // Streams that were reset are still being let go of.
            respond.send_reset(Reason::REFUSED_STREAM);
            self.may_reset = self.may_reset.saturating_sub(1);
            return;
        }
        progress.request();
        let answer = answer(request, respond, Arc::clone(routes), self.client, Arc::clone(progress));
        self.answering.push((Instant::now(), Box::pin(answer)));
    }
}

/// Reports what was handed over before the connection was polled, unless some of it may not have left.
fn report(routes: &Routes, progress: &Progress) {
    if !progress.may_owe() {
        for scrape in progress.flushed() {
            routes.scraped(scrape);
        }
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
    routes: Arc<Routes>,
    client: (std::net::IpAddr, u64),
    progress: Arc<Progress>,
) -> bool {
    let mut counted = Counted(Some(Arc::clone(&progress)));
    let is_head = request.method() == Method::HEAD;
    let request = request.map(|body| HasBody(!body.is_end_stream()));
    let response = {
        let mut made = std::pin::pin!(routes.respond(request, client, progress));
        let made = std::future::poll_fn(|cx| {
            if respond.poll_reset(cx).is_ready() {
                return Poll::Ready(None);
            }
            made.as_mut().poll(cx).map(Some)
        });
        match made.await {
            Some(Ok::<_, Infallible>(response)) => response,
            None => return false,
        }
    };
    // From here on the body tells.
    counted.0 = None;
    send(response, &mut respond, is_head, routes.date()).await.unwrap_or_else(|error| {
        tracing::debug!(peer = %client.0, %error, "an answer was not taken");
        false
    })
}

/// Sends a response as fast as the client takes it.
async fn send(
    response: Response<Parts>,
    respond: &mut SendResponse<Bytes>,
    is_head: bool,
    date: Option<HeaderValue>,
) -> Result<bool, h2::Error> {
    let (mut head, mut parts) = response.into_parts();
    // Not for HTTP/2: a stream ends by itself.
    head.headers.remove(CONNECTION);
    head.headers.insert(CONTENT_LENGTH, parts.left().into());
    head.headers.extend(date.map(|date| (DATE, date)));
    let ends = is_head || parts.left() == 0;
    let mut stream = respond.send_response(Response::from_parts(head, ()), ends)?;
    if ends {
        return Ok(true);
    }
    while let Some(mut part) = parts.take() {
        while !part.is_empty() {
            stream.reserve_capacity(part.len());
            while stream.capacity() == 0 {
                match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
                    Some(room) => room?,
                    None => return Ok(false),
                };
            }
            let chunk = part.split_to(part.len().min(stream.capacity()));
            let last = part.is_empty() && parts.left() == 0;
            stream.send_data(chunk, last)?;
        }
    }
    parts.handed_over();
    Ok(true)
}
