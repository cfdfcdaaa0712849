//! From starting the real program to its first scrape, and what it then keeps in memory: `cargo bench --bench start`.
//!
//! The program is this build's; its ledger holds n series, its API is a loopback port where nobody answers. *First
//! scrape* is from spawning it to the last byte of a page with all series. Resident memory is `VmRSS` of that process in
//! `/proc`, all of it, over the number of series; it is read after each further kind of page has been asked for.

#[expect(dead_code, reason = "other benches use the rest")]
mod series;
#[expect(dead_code, reason = "other benches use the rest")]
mod table;

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tencent_live_exporter::clock::{Clock as _, SystemClock};

use self::series::FAMILY;
use self::table::Target::AtMost;
use self::table::{Times, rounded};

const TEXT: &str = "text/plain";
const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0";

/// How long a scrape is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program, which ends with this.
struct Exporter {
    child: Child,
    address: SocketAddr,
}

impl Exporter {
    fn start(state: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("loopback has free ports");
        let child = Command::new(env!("CARGO_BIN_EXE_tencent-live-exporter"))
            .args(["--state.path".as_ref(), state.as_os_str()])
            .args(["--web.listen-address", &address.to_string(), "--log.level", "error"])
            .envs([
                ("TENCENTCLOUD_SECRET_ID", "AKIDbenchbenchbenchbenchbenchbench00"),
                ("TENCENTCLOUD_SECRET_KEY", "benchbenchbenchbenchbenchbench00"),
                ("TENCENT_LIVE__ACCOUNTS__0__ENDPOINT", "http://127.0.0.1:1"),
                ("TENCENT_LIVE__ACCOUNTS__0__DISCOVER_DOMAINS", "false"),
            ])
            .stderr(Stdio::null())
            .spawn();
        Self { child: child.expect("it was built with this bench"), address }
    }

    /// The body of a page, once there is somebody to ask.
    fn scrape(&self, accept: &str, coding: &str) -> Vec<u8> {
        let clock = SystemClock::new();
        loop {
            match self.try_scrape(accept, coding) {
                Ok(answer) => return answer,
                Err(error) => assert!(clock.elapsed() < PATIENCE, "nothing to scrape at {}: {error}", self.address),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn try_scrape(&self, accept: &str, coding: &str) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: bench\r\nAccept: {accept}\r\nAccept-Encoding: {coding}\r\n\
             Connection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "the page is not served");
        Ok(answer)
    }

    /// A number of kibibytes in its `/proc/…/status`, in bytes.
    fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs, on Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        number.expect("the kernel writes it so") * 1024
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // It may have ended by itself, and this has failed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one number of series comes to.
struct Start {
    first_scrape: Times,
    /// What has been asked for, and the bytes of memory then.
    resident: Vec<(&'static str, u64)>,
}

fn measure(folder: &Path, count: u64, rounds: usize) -> Start {
    table::progress(format!("{count} series: filling a ledger"));
    series::fill(&mut series::ledger(folder), count);
    let mut start = Start { first_scrape: Times::default(), resident: Vec::new() };
    for round in 1..=rounds {
        table::progress(format!("{count} series: start {round} of {rounds}"));
        let (exporter, page) = start.first_scrape.time(|| {
            let exporter = Exporter::start(folder);
            let page = exporter.scrape(TEXT, "identity");
            (exporter, page)
        });
        let lines = page.split(|byte| *byte == b'\n');
        let series = lines.filter(|line| line.starts_with(FAMILY.as_bytes())).count() as u64;
        assert_eq!(series, count, "the first page has all series");
        if round == rounds {
            let mut note = |what| start.resident.push((what, exporter.memory("VmRSS")));
            note("text");
            exporter.scrape(TEXT, "gzip");
            note("text, and text in gzip");
            exporter.scrape(OPENMETRICS, "gzip");
            note("text, and text and OpenMetrics in gzip");
            start.resident.push(("the most it ever was", exporter.memory("VmHWM")));
        }
    }
    start
}

fn main() {
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let mut results = Vec::new();
    for count in table::counts(&[100_000, 1_000_000]) {
        let folder = base.join(format!("start-{}-{count}", std::process::id()));
        results.push((count, measure(&folder, count, 3)));
        std::fs::remove_dir_all(&folder).expect("the bench's folder is its own");
    }
    table::head(&["series", "from start to the last byte of the first page", "seconds", "target"]);
    for (count, start) in &results {
        let median = start.first_scrape.median();
        let what = format!("median {}", rounded(median));
        table::ratio(*count, &what, median.as_secs_f64(), (*count >= 1_000_000).then_some(AtMost(3.0)));
    }
    table::head(&["series", "resident memory after these pages were asked for", "bytes per series", "target"]);
    for (count, start) in &results {
        for (what, bytes) in &start.resident {
            let all_in = *count >= 1_000_000 && *what == "text, and text in gzip";
            table::ratio(*count, what, *bytes as f64 / *count as f64, all_in.then_some(AtMost(300.0)));
        }
    }
}
