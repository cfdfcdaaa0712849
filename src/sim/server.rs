//! The listener: HTTP/1.1 in, answers out, whole or not.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::answer::{Answer, Delivery};
use super::body::{Broken, Delivered};
use super::signature::{Keys, SignedRequest};
use super::{Scenario, World, control};
use crate::clock::Clock;

/// The largest request the API takes (10 MB for signature v3).
const LARGEST_REQUEST: usize = 10 * 1024 * 1024;

/// A running fake of the Tencent Live API.
///
/// It serves `POST /` as the API does and its own paths under `/-/` until it is stopped or dropped. It prints and
/// logs nothing.
#[derive(Debug)]
pub struct Simulator {
    addr: SocketAddr,
    world: Arc<World>,
    serving: JoinHandle<()>,
}

impl Simulator {
    /// Serves `scenario` on `listener` in a task of the current runtime, to callers that sign with `keys`.
    ///
    /// # Errors
    /// When the listener does not know its own address.
    pub fn start(
        listener: TcpListener,
        scenario: Scenario,
        keys: Keys,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let addr = listener.local_addr()?;
        let world = Arc::new(World::new(scenario, keys, clock));
        let serving = tokio::spawn(serve(listener, Arc::clone(&world)));
        Ok(Self { addr, world, serving })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The endpoint to configure: `http://` and the address.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The platform behind it.
    #[must_use]
    pub fn world(&self) -> Arc<World> {
        Arc::clone(&self.world)
    }

    /// Stops listening and cuts every connection.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&world)));
                }
                // Out of file descriptors: wait until some are closed instead of spinning.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection; ends it with a reset where the answer asks for one.
async fn connection(stream: TcpStream, world: Arc<World>) {
    let service = service_fn(move |request| Box::pin(respond(request, Arc::clone(&world))));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if poll_fn(|cx| connection.poll_without_shutdown(cx)).await.is_err() {
        let stream = connection.into_parts().io.into_inner();
        // Failing leaves an ordinary close, which is a cut connection all the same.
        let _reset = stream.set_zero_linger();
    }
}

async fn respond(request: hyper::Request<Incoming>, world: Arc<World>) -> Result<hyper::Response<Delivered>, Broken> {
    let (head, body) = request.into_parts();
    let method = head.method.as_str();
    let query = head.uri.query().unwrap_or("");
    let Ok(body) = Limited::new(body, LARGEST_REQUEST).collect().await else {
        return deliver(Answer::new(413, "text/plain", b"request too large".to_vec(), world.now())).await;
    };
    let body: Bytes = body.to_bytes();
    if head.uri.path() != "/" || method != "POST" {
        return deliver(control::answer(&world, method, head.uri.path(), query, &body)).await;
    }
    let value = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<_> = head.headers.iter().map(|(name, v)| (name.as_str().to_owned(), value(v))).collect();
    let answer = world.answer(&SignedRequest { method, query, headers: &headers, body: &body });
    deliver(answer).await
}

async fn deliver(answer: Answer) -> Result<hyper::Response<Delivered>, Broken> {
    if !answer.wait.is_zero() {
        tokio::time::sleep(answer.wait).await;
    }
    let body = match answer.delivery {
        Delivery::Never => match std::future::pending::<Infallible>().await {},
        Delivery::Reset => return Err(Broken),
        Delivery::Whole => Delivered::whole(answer.body),
        Delivery::HalfThenReset => Delivered::half(answer.body),
        Delivery::Drip(pause) => Delivered::drip(answer.body, pause),
        Delivery::Endless(bytes) => Delivered::endless(bytes),
    };
    let date = jiff::Timestamp::from_second(answer.now)
        .ok()
        .and_then(|now| jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok());
    let mut response = hyper::Response::builder()
        .status(answer.status)
        .header(hyper::header::CONTENT_TYPE, answer.content_type)
        .header(hyper::header::SERVER, "nginx");
    if let Some(date) = date {
        response = response.header(hyper::header::DATE, date);
    }
    if let Some(location) = answer.location {
        response = response.header(hyper::header::LOCATION, location);
    }
    // A redirect to nonsense is refused by the header's own rules; the caller then sees a cut connection.
    response.body(body).map_err(|_| Broken)
}
