//! One connection: the handshake of TLS, then HTTP on a socket that keeps its progress.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use hyper::body::Body as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::refusal::{self, Refusal};
use super::routes::HasBody;
use super::socket::{Socket, Wire};
use super::{Progress, Seat, Serving, http2};
use crate::tls::HTTP2;

/// Longest request line and headers in bytes.
pub(super) const HEAD_BYTES: usize = 16 * 1024;

/// What a client gets that speaks HTTP where TLS is spoken; Go's servers have the same sentence.
const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Why a connection broke.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// No TLS could be agreed on.
    #[error("TLS handshake")]
    Handshake(#[source] io::Error),
    /// Something that begins as HTTP does.
    #[error("HTTP where TLS is spoken")]
    NotTls,
    /// HTTP/1.1 could not be spoken to the end.
    #[error("HTTP/1.1")]
    Http1(#[from] hyper::Error),
    /// HTTP/2 could not be spoken to the end.
    #[error("HTTP/2")]
    Http2(#[from] h2::Error),
}

/// How a part of a connection ended.
enum End<T> {
    Done(Result<T, Broken>),
    TooSlow,
    MadeRoom,
    Stopped,
}

/// Answers the requests of one connection until it ends, is too slow, has to make room, or `stopped`.
pub(super) async fn run(stream: TcpStream, seat: Seat, serving: Arc<Serving>, mut stopped: watch::Receiver<bool>) {
    let seat = Arc::new(seat);
    let progress = &seat.progress;
    let end = match serving.tls(seat.peer) {
        None => http1(stream, &seat, &serving, &mut stopped).await,
        Some(config) => {
            let shaken =
                supervise(pin!(handshake(stream, config, &seat, &serving)), |_| {}, progress, &mut stopped).await;
            match shaken {
                End::Done(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(HTTP2) => {
                    let finish = Notify::new();
                    let work = pin!(http2::serve(stream, &seat, &serving, &finish));
                    supervise(work, |_| finish.notify_one(), progress, &mut stopped).await
                }
                End::Done(Ok(stream)) => http1(stream, &seat, &serving, &mut stopped).await,
                End::Done(Err(broken)) => End::Done(Err(broken)),
                End::TooSlow => End::TooSlow,
                End::MadeRoom => End::MadeRoom,
                End::Stopped => End::Stopped,
            }
        }
    };
    let peer = seat.peer;
    serving.disconnected(seat.number);
    match end {
        End::Done(Ok(())) | End::Stopped => {}
        End::Done(Err(broken)) => {
            let why = std::error::Error::source(&broken).map(ToString::to_string).unwrap_or_default();
            tracing::debug!(%peer, during = %broken, error = why, "connection failed");
        }
        End::TooSlow => tracing::debug!(%peer, "connection was too slow"),
        End::MadeRoom => tracing::debug!(%peer, "silent connection made room for another"),
    }
}

/// Does `work` until it is done, too slow, has to make room, or `stopped`: then an answer in hand is finished, of which
/// `finish` tells it.
async fn supervise<W, T, E>(
    mut work: Pin<&mut W>,
    mut finish: impl FnMut(Pin<&mut W>),
    progress: &Progress,
    stopped: &mut watch::Receiver<bool>,
) -> End<T>
where
    W: Future<Output = Result<T, E>>,
    Broken: From<E>,
{
    let mut too_slow = pin!(tokio::time::sleep_until(progress.deadline()));
    let mut make_room = pin!(progress.evicted());
    let mut stop = pin!(stopped.wait_for(|stopped| *stopped));
    let mut stopping = false;
    std::future::poll_fn(|cx| {
        if !stopping && stop.as_mut().poll(cx).is_ready() {
            stopping = true;
            if !progress.is_answering() {
                return Poll::Ready(End::Stopped);
            }
            finish(work.as_mut());
        }
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(End::Done(result.map_err(Broken::from)));
        }
        if make_room.as_mut().poll(cx).is_ready() {
            return Poll::Ready(End::MadeRoom);
        }
        // Whatever moves the deadline happens inside the poll above, so this is where to look.
        let deadline = progress.deadline();
        // Work that never lets up spends all that tokio lets a task do in one go, and then no timer says that it is due.
        if Instant::now() >= deadline {
            return Poll::Ready(End::TooSlow);
        }
        if too_slow.deadline() != deadline {
            too_slow.as_mut().reset(deadline);
        }
        too_slow.as_mut().poll(cx).map(|()| End::TooSlow)
    })
    .await
}

async fn handshake(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    seat: &Seat,
    serving: &Serving,
) -> Result<TlsStream<Wire>, Broken> {
    let progress = &seat.progress;
    // Nothing to read yet is silence, which may have to make room.
    progress.read(0);
    let mut first = [0];
    stream.peek(&mut first).await.map_err(Broken::Handshake)?;
    if first[0].is_ascii_uppercase() {
        refuse_http(&stream, serving);
        return Err(Broken::NotTls);
    }
    let wire = Wire { stream, progress: Arc::clone(progress), shaking: true };
    let mut stream = TlsAcceptor::from(config).accept(wire).await.map_err(Broken::Handshake)?;
    stream.get_mut().0.shaking = false;
    Ok(stream)
}

/// A hint for people. Whoever does not take it gets none, so nothing is waited for.
fn refuse_http(stream: &TcpStream, serving: &Serving) {
    // What is not read before the end would take the hint along.
    let _ = stream.try_read(&mut [0; HEAD_BYTES]);
    let _ = stream.try_write(&refusal::with_headers(NOT_TLS, &serving.headers()));
}

async fn http1<S>(stream: S, seat: &Arc<Seat>, serving: &Arc<Serving>, stopped: &mut watch::Receiver<bool>) -> End<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let progress = &seat.progress;
    let socket = Socket {
        stream,
        progress: Arc::clone(progress),
        reports: Some(Arc::clone(serving)),
        refusal: Refusal::default(),
    };
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        progress.request();
        let request = request.map(|body| HasBody(!body.is_end_stream()));
        serving.respond(request, seat)
    });
    let connection = http1::Builder::new()
        // Ours, see the room's doc; 100 headers is hyper's own limit.
        .header_read_timeout(None)
        .max_header_size(HEAD_BYTES)
        // A client may close its side once it has asked, as a shell pipe does.
        .half_close(true)
        .serve_connection(TokioIo::new(socket), service);
    supervise(pin!(connection), http1::Connection::graceful_shutdown, progress, stopped).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::web::Limits;

    /// Work of a client that sends faster than it is read.
    async fn flood() -> Result<(), Broken> {
        loop {
            tokio::task::consume_budget().await;
        }
    }

    async fn end_of_flood(progress: &Progress) -> End<()> {
        let (_stop, mut stopped) = watch::channel(false);
        let flood = pin!(flood());
        let supervised = supervise(flood, |_| {}, progress, &mut stopped);
        tokio::time::timeout(Duration::from_secs(20), supervised).await.expect("the flood ends")
    }

    #[tokio::test]
    async fn a_flood_does_not_put_off_its_deadline() {
        let progress = Progress::new(Limits { head: Duration::from_millis(10), ..Limits::default() });
        assert!(matches!(end_of_flood(&progress).await, End::TooSlow));
    }

    #[tokio::test]
    async fn a_flood_makes_room() {
        let progress = Progress::new(Limits::default());
        progress.evict();
        assert!(matches!(end_of_flood(&progress).await, End::MadeRoom));
    }
}
