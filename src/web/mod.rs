//! The HTTP server: metrics, records as page and as JSON, health, landing page; encrypted and for those who have a
//! password, where it is so set.
//!
//! Promises: a scrape never waits for the API, the disk or another client; every answer, errors included, carries the
//! same protective headers and repeats nothing of the request; a client that is slow, silent or many is cut off or
//! made to wait before a well-behaved one notices; a [`Scrape`] is reported only once its last byte has been written.
//!
//! hyper speaks HTTP/1.1 one connection at a time, and every deadline is ours: hyper's own head timeout also ends
//! idle connections, which a scraper with a long interval relies on. HTTP/2, over TLS only, is spoken by h2 without hyper
//! between, which cannot tell when an answer has left. Routes are a fixed list; there is nothing to
//! traverse. Wiring, settings and the meaning of health belong to others.

mod answer;
mod api;
mod auth;
mod connection;
mod disconnects;
mod http2;
mod landing;
mod layout;
mod packed;
mod progress;
mod questions;
mod refusal;
mod routes;
mod seats;
mod serving;
mod socket;

use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

pub use self::auth::{Guard, GuardError, LONGEST_PASSWORD, Terms};
use self::progress::Progress;
pub use self::routes::paths;
use self::seats::{Seat, Seats};
pub use self::serving::Serving;
use crate::clock::{Clock, UnixSeconds};
use crate::ledger::Records;
use crate::metrics::BuildInfo;
use crate::metrics::exposition::Exposition;
use crate::publication::Scrape;
use crate::status::Board;

/// Somebody's wish for a reload, with the way back for what came of it: nothing to say, or why the old settings stay.
pub type ReloadWish = oneshot::Sender<Result<(), String>>;

/// What there is to serve.
pub struct Site {
    /// Path of the metrics page, with its leading slash. At `/` it takes the landing page's place.
    pub telemetry_path: String,
    /// What the paths of links begin with: the path under which a proxy shows this, or nothing. Each page is there below
    /// it too, so that it makes no difference whether the proxy takes it off.
    pub external_path: String,
    /// Most requests answered at a time, health probes not counted; 0 for no limit.
    pub max_requests: usize,
    /// Who may ask, and how it is encrypted.
    pub guard: Arc<Guard>,
    /// Makes the metrics page.
    pub exposition: Arc<Exposition>,
    /// The single records.
    pub records: Arc<Records>,
    /// How the accounts are doing.
    pub board: Arc<Board>,
    /// Tells healthy from stuck, and how long ago something was.
    pub clock: Arc<dyn Clock>,
    /// Shown on the landing page.
    pub build: BuildInfo,
    /// When this program started.
    pub started: UnixSeconds,
    /// Called for each metrics page that was written whole; must return at once.
    pub on_scraped: Box<dyn Fn(Scrape) + Send + Sync>,
    /// Called with the number of each connection that has ended; must return at once.
    pub on_disconnected: Box<dyn Fn(u64) + Send + Sync>,
    /// Takes wishes for a reload; absent where the lifecycle API is not enabled.
    pub reload: Option<mpsc::Sender<ReloadWish>>,
    /// How long and how many.
    pub limits: Limits,
}

impl Site {
    /// What a link on a page to `path`, which begins with a slash, says: below the external path if there is one, else
    /// relative, since pages are all in one folder.
    #[must_use]
    pub fn link(&self, path: &str) -> String {
        let before = if self.external_path.is_empty() { "." } else { &self.external_path };
        format!("{before}{path}")
    }
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("telemetry_path", &self.telemetry_path).finish_non_exhaustive()
    }
}

/// What a client may take of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From accepting a connection, or from the first byte of a later request, to the end of the request's head. The
    /// handshake of TLS is in it.
    pub head: Duration,
    /// Between two requests of one connection. Scrapers keep theirs open over their interval.
    pub idle: Duration,
    /// From the end of the head to the last byte of the answer.
    pub answer: Duration,
    /// Longest time in which a client takes no byte of its answer.
    pub stall: Duration,
    /// A reader that has taken no byte of its answer for so long makes room for another request when `max_requests` is reached.
    pub idle_reader: Duration,
    /// Connections at a time. Beyond, the one that has kept silent longest makes room, else the next one waits.
    pub connections: usize,
    /// Connections of one address at a time, loopback excepted. Beyond, further ones are closed.
    pub connections_per_peer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(300),
            answer: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            idle_reader: Duration::from_millis(100),
            connections: 512,
            connections_per_peer: 256,
        }
    }
}

/// Serves on all `listeners` until `shutdown` completes, then lets the answers in hand be finished for at most `drain`.
pub async fn serve(
    listeners: Vec<TcpListener>,
    routes: Arc<Serving>,
    shutdown: impl Future<Output = ()>,
    drain: Duration,
) {
    let (stop, stopped) = watch::channel(false);
    let seats = Arc::new(Seats::new(routes.site().limits));
    let mut doors = JoinSet::new();
    for listener in listeners {
        doors.spawn(open_door(listener, Arc::clone(&routes), Arc::clone(&seats), stopped.clone(), drain));
    }
    shutdown.await;
    stop.send_replace(true);
    while let Some(closed) = doors.join_next().await {
        if let Err(error) = closed {
            tracing::error!(%error, "a listener's task did not end by itself");
        }
    }
}

/// Accepts connections until told to stop, then waits for them.
async fn open_door(
    listener: TcpListener,
    routes: Arc<Serving>,
    seats: Arc<Seats>,
    mut stopped: watch::Receiver<bool>,
    drain: Duration,
) {
    let mut connections = JoinSet::new();
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection's task did not end by itself");
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                failing = false;
                let Some(stream) = prompt(stream) else { continue };
                let seat = tokio::select! {
                    _ = stopped.wait_for(|stopped| *stopped) => break,
                    seat = seats.wait(peer.ip()) => seat,
                };
                if let Some(seat) = seat {
                    connections.spawn(connection::run(stream, seat, Arc::clone(&routes), stopped.clone()));
                }
            }
            // The client's affair, not ours.
            Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) => {}
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "cannot accept connections, trying on");
                    failing = true;
                }
                // Out of file descriptors, as a rule: a silent connection holds one.
                seats.evict(None);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let all_done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, all_done).await.is_err() {
        tracing::warn!(connections = connections.len(), "cutting off answers that took too long to drain");
        connections.shutdown().await;
    }
}

/// The stream, told not to hold back the end of a page until its beginning is acknowledged.
fn prompt(stream: TcpStream) -> Option<TcpStream> {
    match stream.set_nodelay(true) {
        Ok(()) => Some(stream),
        Err(error) => {
            tracing::debug!(%error, "a connection was gone before it began");
            None
        }
    }
}
