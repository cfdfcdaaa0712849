//! One connection: hyper on a socket that keeps its progress.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::refusal::Refusal;
use super::{Progress, Seat, Serving};

/// Longest request line and headers in bytes.
const HEAD_BYTES: usize = 16 * 1024;

/// How a connection ended.
enum End {
    Closed,
    Failed(hyper::Error),
    TooSlow,
    MadeRoom,
    Stopped,
}

/// Answers the requests of one connection until it ends, is too slow, has to make room, or `stopped`.
pub(super) async fn run(stream: TcpStream, seat: Seat, routes: Arc<Serving>, mut stopped: watch::Receiver<bool>) {
    let progress = Arc::clone(&seat.progress);
    let socket =
        Socket { stream, progress: Arc::clone(&progress), routes: Arc::clone(&routes), refusal: Refusal::default() };
    let service = service_fn(|request| {
        progress.request();
        routes.respond(request, &seat)
    });
    let connection = http1::Builder::new()
        // Ours, see the room's doc; 100 headers is hyper's own limit.
        .header_read_timeout(None)
        .max_header_size(HEAD_BYTES)
        // A client may close its side once it has asked, as a shell pipe does.
        .half_close(true)
        .serve_connection(TokioIo::new(socket), service);

    let mut connection = pin!(connection);
    let mut too_slow = pin!(tokio::time::sleep_until(progress.deadline()));
    let mut make_room = pin!(progress.evicted());
    let mut stop = pin!(stopped.wait_for(|stopped| *stopped));
    let mut stopping = false;
    let end = std::future::poll_fn(|cx| {
        if !stopping && stop.as_mut().poll(cx).is_ready() {
            stopping = true;
            if !progress.is_answering() {
                return Poll::Ready(End::Stopped);
            }
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(result.map_or_else(End::Failed, |()| End::Closed));
        }
        if make_room.as_mut().poll(cx).is_ready() {
            return Poll::Ready(End::MadeRoom);
        }
        // Whatever moves the deadline happens inside the poll above, so this is where to look.
        let deadline = progress.deadline();
        if too_slow.deadline() != deadline {
            too_slow.as_mut().reset(deadline);
        }
        too_slow.as_mut().poll(cx).map(|()| End::TooSlow)
    })
    .await;
    let peer = seat.peer;
    routes.disconnected(seat.number);
    match end {
        End::Closed | End::Stopped => {}
        End::Failed(error) => tracing::debug!(%peer, %error, "connection failed"),
        End::TooSlow => tracing::debug!(%peer, "connection was too slow"),
        End::MadeRoom => tracing::debug!(%peer, "silent connection made room for another"),
    }
}

/// A stream that tells [`Progress`] what passes through it.
struct Socket {
    stream: TcpStream,
    progress: Arc<Progress>,
    routes: Arc<Serving>,
    refusal: Refusal,
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.progress.read(buffer.filled().len() - before);
        read
    }
}

impl Socket {
    /// Whether `bytes` are hyper's own answer to what it could not read: no request has come of it.
    fn is_refusal(&self, bytes: &[u8]) -> bool {
        !self.progress.is_answering() && Refusal::is_one(bytes)
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.progress.wrote();
        }
        written
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_refusal(bytes) {
            let socket = &mut *self;
            return socket.refusal.poll_write(Pin::new(&mut socket.stream), cx, bytes);
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = parts.iter().find(|part| !part.is_empty())
            && self.is_refusal(first)
        {
            let socket = &mut *self;
            return socket.refusal.poll_write(Pin::new(&mut socket.stream), cx, first);
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes only what it has written to the last byte, so this is where an answer is done.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        for scrape in self.progress.flushed() {
            self.routes.scraped(scrape);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
