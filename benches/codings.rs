//! Every format in every coding on the same series: `cargo bench --bench codings`.
//!
//! Prints one table: how long a first page takes, how long one after 0.1 % of the series have changed, and how large it
//! is. Kinds take turns, so that a busy machine slows all; medians are compared.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

#[expect(dead_code, reason = "other benches compare with what is theirs")]
mod series;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tencent_live_exporter::clock::{Clock, SystemClock};
use tencent_live_exporter::metrics::exposition::{Coding, Exposition, Format};

/// The length of a page.
fn page(exposition: &Exposition, (format, coding): (Format, Coding)) -> usize {
    black_box(exposition.page(format, coding)).parts.iter().map(bytes::Bytes::len).sum()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() {
    let own = series::own();
    let clock = SystemClock::new();
    println!("{:>9}  {:<22} {:>12} {:>12} {:>12} {:>7}", "series", "page", "first", "changed", "bytes", "share");
    for (count, rounds) in [(10_000, 31), (100_000, 11)] {
        let snapshots = Arc::new(ArcSwap::new(series::snapshot(count)));
        let warm = series::exposition(&own, &snapshots);
        let kinds: Vec<_> = Format::ALL.iter().flat_map(|format| Coding::ALL.map(|coding| (*format, coding))).collect();
        let mut times = vec![(Vec::new(), Vec::new(), page(&warm, kinds[0])); kinds.len()];
        for kind in &kinds {
            page(&warm, *kind);
        }
        for _ in 0..rounds {
            snapshots.store(series::successor(&snapshots.load()));
            for (kind, (first, changed, bytes)) in kinds.iter().zip(&mut times) {
                let fresh = series::exposition(&own, &snapshots);
                for (exposition, times) in [(&fresh, first), (&warm, changed)] {
                    let start = clock.elapsed();
                    *bytes = page(exposition, *kind);
                    times.push(clock.elapsed().saturating_sub(start));
                }
            }
        }
        let plain = times[0].2;
        for ((format, coding), (first, changed, bytes)) in kinds.into_iter().zip(times) {
            let (first, changed) = (median(first), median(changed));
            let kind = format!("{format:?} {coding:?}");
            let share = bytes as f64 / plain as f64 * 100.0;
            println!("{count:>9}  {kind:<22} {first:>12.1?} {changed:>12.1?} {bytes:>12} {share:>5.1} %");
        }
    }
}
