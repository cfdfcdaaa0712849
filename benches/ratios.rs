//! Our pages beside `prometheus::TextEncoder` on the same series in the same run: `cargo bench --bench ratios`.
//!
//! Prints one table. `prometheus::TextEncoder` is timed alone, on families that are gathered already, and with the
//! gathering that each scrape of a registry needs. Kinds take turns, so that a busy machine slows all; medians are
//! compared. About half of *fresh* is the operating system handing out memory for a first page.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

mod series;

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use flate2::Compression;
use flate2::write::GzEncoder;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, Opts, Registry};
use tencent_live_exporter::clock::{Clock, SystemClock};
use tencent_live_exporter::metrics::exposition::{Coding, Exposition, Format};
use tencent_live_exporter::publication::Snapshot;

/// What is timed; the first is their encoder alone, the second what a scrape of their registry takes.
const KINDS: [&str; 8] = [
    "text: prometheus::TextEncoder",
    "text: its registry, gather and TextEncoder",
    "text: fresh, nothing reused",
    "text: warm, 0.1 % of the series changed",
    "text: again, the same snapshot",
    "gzip: prometheus::TextEncoder and flate2",
    "gzip: fresh, nothing reused",
    "gzip: warm, 0.1 % of the series changed",
];

/// A whole page in gzip, as Prometheus asks for it; its length.
fn gzip_page(exposition: &Exposition) -> usize {
    exposition.page(Format::OpenMetrics, Coding::Gzip).parts.iter().map(bytes::Bytes::len).sum()
}

/// Their page in gzip at the same level; its length.
fn their_gzip_page(families: &[MetricFamily]) -> usize {
    let text = prometheus::TextEncoder::new().encode_to_string(families).expect("counters with labels encode");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish()).expect("a Vec takes every write").len()
}

/// The same series in a registry of theirs. The names meet nowhere, so no two series fall into one.
fn registry(snapshot: &Snapshot) -> Registry {
    let opts = Opts::new("tencent_live_stream_disconnects_total", "Finished pushes.");
    let counters = IntCounterVec::new(opts, &["domain", "app", "stream", "reason"]).expect("the names are valid");
    for series in snapshot.streams() {
        let values = [&*series.kind.domain, &*series.kind.app, series.stream, series.kind.reason.as_str()];
        counters.with_label_values(&values).inc_by(series.shown);
    }
    let registry = Registry::new();
    registry.register(Box::new(counters)).expect("it is the only one");
    registry
}

fn main() {
    let own = series::own();
    println!(
        "{:>9}  {:<43} {:>10} {:>12} {:>11} {:>15}",
        "series", "page", "median", "per series", "to encoder", "with gathering"
    );
    for (count, rounds) in [(10_000, 31), (100_000, 15), (1_000_000, 3)] {
        let clock = SystemClock::new();
        let stopwatch = |work: &mut dyn FnMut() -> usize| {
            let start = clock.elapsed();
            black_box(work());
            clock.elapsed().saturating_sub(start)
        };
        let snapshot = series::snapshot(count);
        let families = series::families(&snapshot);
        let registry = registry(&snapshot);
        let snapshots = Arc::new(ArcSwap::new(Arc::clone(&snapshot)));
        let exposition = series::exposition(&own, &snapshots);
        series::disconnects(&exposition);
        gzip_page(&exposition);
        let mut times: [Vec<Duration>; KINDS.len()] = Default::default();
        for _ in 0..rounds {
            times[0].push(stopwatch(&mut || series::theirs(&families)));
            times[1].push(stopwatch(&mut || series::theirs(&registry.gather())));
            times[2].push(stopwatch(&mut || series::fresh(&own, &snapshot)));
            snapshots.store(series::successor(&snapshots.load()));
            times[3].push(stopwatch(&mut || series::disconnects(&exposition)));
            times[4].push(stopwatch(&mut || series::disconnects(&exposition)));
            let cold = series::exposition(&own, &snapshots);
            times[5].push(stopwatch(&mut || their_gzip_page(&families)));
            times[6].push(stopwatch(&mut || gzip_page(&cold)));
            times[7].push(stopwatch(&mut || gzip_page(&exposition)));
        }
        let medians = times.map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2]
        });
        for (index, (kind, median)) in KINDS.iter().zip(medians).enumerate() {
            let per_series = median.as_secs_f64() * 1e9 / count as f64;
            // Text is compared with text, gzip with gzip; gathering comes before either.
            let encoder = medians[if index < 5 { 0 } else { 5 }];
            let gathering = medians[1].saturating_sub(medians[0]);
            let [alone, gathered] = [encoder, encoder + gathering].map(|t| t.as_secs_f64() / median.as_secs_f64());
            println!("{count:>9}  {kind:<43} {median:>10.1?} {per_series:>9.1} ns {alone:>10.1}x {gathered:>14.1}x");
        }
    }
}
