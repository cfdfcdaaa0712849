//! What scrapers, browsers and bad clients get from the HTTP server.
#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use arc_swap::ArcSwap;
use tencent_live_exporter::clock::{Clock, ManualClock, SystemClock};
use tencent_live_exporter::ledger::{Records, SqliteLedger};
use tencent_live_exporter::metrics::exposition::{Coding, Exposition, Format};
use tencent_live_exporter::metrics::{BUILD, OwnMetrics, POLL_ERRORS};
use tencent_live_exporter::publication::{
    BLOCK_SERIES, DomainSeries, DurationHistogram, Exemplar, Scrape, Snapshot, StreamBlock, StreamLabels,
};
use tencent_live_exporter::reason::{Class, Classifier, Reason};
use tencent_live_exporter::status::Board;
use tencent_live_exporter::web::{Guard, Limits, Serving, Site, Terms, serve};

#[path = "web/api.rs"]
mod api;
#[path = "web/attacks.rs"]
mod attacks;
#[path = "web/clients.rs"]
mod clients;
#[path = "web/disconnects.rs"]
mod disconnects;
#[path = "web/hostile.rs"]
mod hostile;
#[path = "web/http2.rs"]
mod http2;
#[path = "web/pages.rs"]
mod pages;
#[path = "web/passwords.rs"]
mod passwords;
#[path = "web/tls.rs"]
mod tls;

/// Longest a test waits for what should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// Labels that parsers and pages have tripped over.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "plain",
    "\"",
    "\\",
    "\\n",
    "\n",
    "\\\"}\n# EOF\n",
    "a\rb\r\n",
    "\t\u{1}\u{1b}[31m\u{7f}",
    "房间一号",
    "\u{2028}\u{2029}\u{85}",
    "\u{202e}gnp.exe",
    "🎥👩‍👩‍👧",
    "{le=\"+Inf\"} 1 1 # {} 2",
    "<script>alert(1)</script>",
    "\u{feff}bom",
];

/// The formats that are read line by line; of protobuf the tests of `exposition` tell.
const TEXTS: [Format; 2] = [Format::Text, Format::OpenMetrics];

/// A series by labels, value and start timestamp.
type Series = (StreamLabels, u64, i64);

fn series(stream: &str, shown: u64) -> Series {
    let labels = StreamLabels {
        domain: "push.example.com".into(),
        app: "live".into(),
        stream: stream.into(),
        reason: Reason::NetworkError,
    };
    (labels, shown, 1_767_225_600)
}

fn snapshot(generation: u64, series: impl IntoIterator<Item = Series>) -> Snapshot {
    let series: Vec<Series> = series.into_iter().collect();
    let mut disconnects = [0; Reason::COUNT];
    disconnects[Reason::NetworkError as usize] = series.iter().map(|(_, shown, _)| shown).sum();
    let mut durations = [DurationHistogram::default(); Class::ALL.len()];
    durations[Class::Network as usize].observe(3);
    durations[Class::Network as usize].observe(100_000);
    let mut last_end = [None; Class::ALL.len()];
    last_end[Class::Network as usize] = Some(1_767_229_200);
    let latest = Exemplar { stream: "房间 \"1\"\n".into(), end: 1_767_229_200 };
    let domain = DomainSeries {
        domain: "push.example.com".into(),
        created: 1_767_225_600,
        disconnects,
        durations,
        last_end,
        exemplars: Arc::new([(Reason::NetworkError, latest)].into()),
    };
    Snapshot {
        generation,
        series: series.len() as u64,
        blocks: Arc::new(series.chunks(BLOCK_SERIES).map(|block| Arc::new(StreamBlock::of(block.to_vec()))).collect()),
        domains: vec![Arc::new(domain)],
        idle_series: 0,
        held_series: 1,
        held_disconnects: 2,
    }
}

fn no_records() -> Arc<Records> {
    let ledger = SqliteLedger::in_memory().unwrap();
    Arc::new(ledger.records(Classifier::new(&[]), Arc::new(SystemClock::new())))
}

/// So many series that no socket buffer takes the page.
fn big() -> Snapshot {
    let padding = "x".repeat(100);
    snapshot(7, (0..100_000).map(|i| series(&format!("{i}-{padding}"), i)))
}

fn own() -> Arc<OwnMetrics> {
    let actions = &["DescribeLiveStreamEventList"];
    let codes = &["ok", "InternalError"];
    let accounts = ["main".to_owned()];
    Arc::new(OwnMetrics::new(&accounts, Duration::from_secs(30), 50_000, codes, actions, POLL_ERRORS).unwrap())
}

fn exposition(snapshot: Snapshot, created_lines: bool) -> Exposition {
    Exposition::new(Arc::new(ArcSwap::from_pointee(snapshot)), own(), created_lines)
}

fn page(snapshot: Snapshot, format: Format) -> String {
    String::from_utf8(exposition(snapshot, false).page(format, Coding::Identity).concat()).unwrap()
}

/// A server on a port of its own, in a thread of its own.
struct Server {
    address: SocketAddr,
    board: Arc<Board>,
    clock: Arc<ManualClock>,
    scrapes: mpsc::Receiver<Scrape>,
    ended: mpsc::Receiver<u64>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    stopped: mpsc::Receiver<()>,
}

impl Server {
    fn start(snapshot: Snapshot) -> Self {
        Self::with(snapshot, |_| {})
    }

    fn with(snapshot: Snapshot, change: impl FnOnce(&mut Site)) -> Self {
        let clock = Arc::new(ManualClock::new(1_767_230_000));
        let board = Arc::new(Board::new(["main <b>&".to_owned()], Duration::from_secs(90), clock.elapsed()));
        let (report, scrapes) = mpsc::channel();
        let (tell_end, ended) = mpsc::channel();
        let mut site = Site {
            telemetry_path: "/metrics".to_owned(),
            external_path: String::new(),
            max_requests: 40,
            guard: Arc::new(Guard::new(Terms::default()).unwrap()),
            exposition: Arc::new(exposition(snapshot, false)),
            records: no_records(),
            board: Arc::clone(&board),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            build: BUILD,
            started: 1_767_000_000,
            on_scraped: Box::new(move |scrape| report.send(scrape).unwrap_or_default()),
            on_disconnected: Box::new(move |connection| tell_end.send(connection).unwrap_or_default()),
            reload: None,
            limits: Limits::default(),
        };
        change(&mut site);
        let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
        let (tell_address, address) = mpsc::channel();
        let (tell_stopped, stopped) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell_address.send(listener.local_addr().unwrap()).unwrap();
                let shutdown = async { stopping.await.unwrap_or_default() };
                serve(vec![listener], Arc::new(Serving::new(site)), shutdown, Duration::from_secs(1)).await;
            });
            // Nobody listens once the test is over.
            tell_stopped.send(()).unwrap_or_default();
        });
        let address = address.recv_timeout(PATIENCE).unwrap();
        Self { address, board, clock, scrapes, ended, stop: Some(stop), stopped }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // Heads are written in pieces, and none of them waits for the last one's acknowledgement.
        stream.set_nodelay(true).unwrap();
        stream
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut stream = self.connect();
        send(&mut stream, method, path, headers);
        Answer::read(&mut stream, method)
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    fn next_scrape(&self) -> Scrape {
        self.scrapes.recv_timeout(PATIENCE).expect("a scrape is reported")
    }

    fn no_scrape(&self) {
        assert!(self.scrapes.try_recv().is_err(), "a scrape was reported");
    }

    fn first_poll(&self) {
        self.board.update("main <b>&", |account| account.last_poll = Some(1_767_229_900));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).unwrap_or_default();
        }
    }
}

fn send(stream: &mut impl Write, method: &str, path: &str, headers: &[(&str, &str)]) {
    let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = headers.concat();
    // One that is refused before its end need not be taken whole; what comes back tells.
    let _ = write!(stream, "{method} {path} HTTP/1.1\r\nHost: exporter\r\n{headers}\r\n");
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// Reads one answer, leaving the connection open.
    fn read(stream: &mut impl Read, method: &str) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> =
            lines.map(|line| line.split_once(": ").unwrap()).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
        let mut answer = Self { status, headers, body: Vec::new() };
        if method != "HEAD" {
            answer.body = vec![0; answer.header("content-length").unwrap_or("0").parse().unwrap()];
            stream.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Whether the server has closed the connection, or closes it within [`PATIENCE`].
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = [0; 4096];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}
