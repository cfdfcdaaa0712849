//! Scrapers that keep their connections, and how long each scrape took.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tencent_live_exporter::clock::{Clock as _, SystemClock};
use tokio::net::TcpStream;

/// What a scraper reads at a time, as curl does. hyper's own choice grows to what no longer fits the nearest cache, and then
/// the client takes longer than any server.
const READ_BYTES: usize = 16_384;

/// What is to be scraped, and how.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Order {
    /// http://ADDRESS:PORT/PATH
    url: Uri,
    /// Scrapers at a time, each with a connection of its own
    #[arg(long, default_value_t = 1)]
    scrapers: u32,
    /// No scrape begins after so many seconds; each scraper makes one at least
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Most scrapes of each scraper
    #[arg(long, default_value_t = 1_000_000)]
    most: u32,
    /// Milliseconds between two scrapes of a scraper
    #[arg(long, default_value_t = 0)]
    pause: u64,
    /// Asks for gzip; it is counted, not unpacked
    #[arg(long)]
    gzip: bool,
}

/// Scrapes as ordered; as JSON, the length of the longest body in bytes and the scrapes' times in seconds.
pub(super) async fn run(order: &Order) -> serde_json::Value {
    let scrapers: Vec<_> = (0..order.scrapers).map(|_| tokio::spawn(scraper(order.clone()))).collect();
    let (mut times, mut bytes) = (Vec::new(), 0);
    for scraper in scrapers {
        let (its_times, its_bytes) = scraper.await.expect("every scrape is answered");
        times.extend(its_times.iter().map(Duration::as_secs_f64));
        bytes = bytes.max(its_bytes);
    }
    serde_json::json!({ "bytes": bytes, "seconds": times })
}

async fn scraper(order: Order) -> (Vec<Duration>, usize) {
    let clock = SystemClock::new();
    let authority = order.url.authority().expect("a URL has an address").as_str();
    let stream = TcpStream::connect(authority).await.expect("somebody listens");
    let (mut sender, connection) = http1::Builder::new()
        .read_buf_exact_size(Some(READ_BYTES))
        .handshake(TokioIo::new(stream))
        .await
        .expect("HTTP is spoken");
    tokio::spawn(connection);
    let (mut times, mut bytes) = (Vec::new(), 0);
    // The first one opens windows and warms up; it is not counted.
    scrape(&mut sender, &order).await;
    while times.is_empty() || (clock.elapsed().as_secs_f64() < order.seconds && times.len() < order.most as usize) {
        tokio::time::sleep(Duration::from_millis(order.pause)).await;
        let start = clock.elapsed();
        bytes = bytes.max(scrape(&mut sender, &order).await);
        times.push(clock.elapsed().saturating_sub(start));
    }
    (times, bytes)
}

/// From the request to the last byte of the body, whose length it gives back.
async fn scrape(sender: &mut SendRequest<Empty<Bytes>>, order: &Order) -> usize {
    let coding = if order.gzip { "gzip" } else { "identity" };
    let request = Request::get(order.url.path())
        .header(HOST, order.url.authority().expect("a URL has an address").as_str())
        .header(ACCEPT_ENCODING, coding)
        .body(Empty::new())
        .expect("it is a valid request");
    let mut response = sender.send_request(request).await.expect("it is answered");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers().contains_key(CONTENT_ENCODING), order.gzip, "gzip is answered with gzip");
    let mut bytes = 0;
    while let Some(frame) = response.frame().await {
        bytes += frame.expect("it is sent whole").data_ref().map_or(0, Bytes::len);
    }
    bytes
}
