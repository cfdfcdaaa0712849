//! Servers and scrapers for `benches/run`: the same series over HTTP, ours and others, and a client that times scrapes.
//!
//! ```text
//! bench_http series 100000                     the series, one a line, for servers in other languages
//! bench_http ours FOLDER 100000                ours, from a ledger that it makes in FOLDER, with commits going on
//! bench_http prometheus 100000                 a server on the `prometheus` crate
//! bench_http file PAGE PAGE.gz                 both files from memory, as they are
//! bench_http scrape http://127.0.0.1:1/metrics times scrapes, and prints them as JSON
//! ```
//! A server prints `listening ADDRESS` once it can be asked.
#![expect(clippy::print_stdout, reason = "what it prints is how others hear of it")]

mod ours;
#[path = "../peers/mod.rs"]
#[expect(dead_code, reason = "the benches use the rest")]
mod peers;
mod plain;
mod scrape;
#[path = "../series/mod.rs"]
#[expect(dead_code, reason = "the benches use the rest")]
mod series;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use tokio::net::TcpListener;

use self::series::Series;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Prints the series: domain, app, stream, reason and value with tabs between them
    Series { count: u64 },
    /// Serves our page while commits go on
    Ours {
        /// A folder that is not there yet
        folder: PathBuf,
        count: u64,
        /// Commits a second
        #[arg(long, default_value_t = 10)]
        commits: u32,
        /// Series that have one more with each
        #[arg(long, default_value_t = 100)]
        changed: u64,
    },
    /// Serves the page of the prometheus crate
    Prometheus { count: u64 },
    /// Serves two files
    File { plain: PathBuf, gzip: PathBuf },
    /// Times scrapes
    Scrape(scrape::Order),
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("the system has threads");
    match Arguments::parse().what {
        What::Series { count } => print(count),
        What::Ours { folder, count, commits, changed } => {
            let keeper = ours::keeper(&folder, count);
            runtime.block_on(ours::serve(keeper, count, commits, changed));
        }
        What::Prometheus { count } => {
            let registry = peers::tikv::registry(series::all(count));
            runtime.block_on(plain::serve(move |gzip| plain::prometheus(&registry, gzip)));
        }
        What::File { plain, gzip } => {
            let read = |path| bytes::Bytes::from(std::fs::read(path).expect("the file is there"));
            let (plain, gzip) = (read(plain), read(gzip));
            runtime.block_on(plain::serve(move |wants_gzip| if wants_gzip { gzip.clone() } else { plain.clone() }));
        }
        What::Scrape(order) => println!("{}", runtime.block_on(scrape::run(&order))),
    }
}

fn print(count: u64) {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for Series { domain, app, stream, reason, value } in series::all(count) {
        let reason = reason.as_str();
        writeln!(out, "{domain}\t{app}\t{stream}\t{reason}\t{value}").expect("somebody reads it");
    }
    out.flush().expect("somebody reads it");
}

/// A port of its own on loopback, and its address told to whoever started this.
async fn listen() -> TcpListener {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("loopback has free ports");
    println!("listening {}", listener.local_addr().expect("it is bound"));
    listener
}
