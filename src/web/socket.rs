//! The streams below a connection: what they tell its [`Progress`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::refusal::Refusal;
use super::{Progress, Serving};

/// A stream under TLS, whose bytes are a head as long as hands are shaken.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    pub(super) progress: Arc<Progress>,
    pub(super) shaking: bool,
}

/// The stream that HTTP is spoken on.
pub(super) struct Socket<S> {
    pub(super) stream: S,
    pub(super) progress: Arc<Progress>,
    /// Whom to report answers to that have been written, where a flush says so; absent for HTTP/2, whose reads and
    /// flushes are about many answers at a time.
    pub(super) reports: Option<Arc<Serving>>,
    /// What hyper answers by itself.
    pub(super) refusal: Refusal,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if self.shaking {
            self.progress.read(buffer.filled().len() - before);
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let bytes = buffer.filled().len() - before;
        // What HTTP/2 sends between requests is no beginning of a head.
        self.progress.read(if self.reports.is_some() { bytes } else { 0 });
        if read.is_ready() && bytes == 0 {
            self.progress.read_out();
        }
        read
    }
}

impl<S> Socket<S> {
    /// Who is asked for headers when `bytes` are hyper's own answer to what it could not read: no request has come of it.
    fn refusing(&self, bytes: &[u8]) -> Option<Arc<Serving>> {
        let refuses = !self.progress.is_answering() && Refusal::is_one(bytes);
        self.reports.as_ref().filter(|_| refuses).map(Arc::clone)
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.progress.wrote();
        }
        self.progress.block(written.is_pending());
        written
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(serving) = self.refusing(bytes) {
            let socket = &mut *self;
            return socket.refusal.poll_write(Pin::new(&mut socket.stream), cx, bytes, || serving.headers());
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
            && let Some(serving) = self.refusing(first)
        {
            let socket = &mut *self;
            return socket.refusal.poll_write(Pin::new(&mut socket.stream), cx, first, || serving.headers());
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes only what it has written to the last byte, so this is where an answer is done.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.progress.block(flushed.is_pending());
        ready!(flushed)?;
        if let Some(serving) = &self.reports {
            for scrape in self.progress.flushed() {
                serving.scraped(scrape);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
