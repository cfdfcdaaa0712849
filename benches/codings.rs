//! Every format in every coding on the same series: `cargo bench --bench codings`.
//!
//! Prints one table: how long a first page takes, how long one after 0.1 % of the series have changed, and how large it
//! is. Kinds take turns, so that a busy machine slows all; medians are compared.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

#[expect(dead_code, reason = "other benches use the rest")]
mod series;

use std::hint::black_box;
use std::time::Duration;

use tencent_live_exporter::clock::{Clock, SystemClock};
use tencent_live_exporter::metrics::exposition::{Coding, Format};

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() {
    let clock = SystemClock::new();
    println!("{:>9}  {:<22} {:>12} {:>12} {:>12} {:>7}", "series", "page", "first", "changed", "bytes", "share");
    for (count, rounds) in [(10_000, 31), (100_000, 11)] {
        let (mut ours, mut changes) = (series::Ours::new(count), series::Changes::new(count));
        let kinds: Vec<_> = Format::ALL.iter().flat_map(|format| Coding::ALL.map(|coding| (*format, coding))).collect();
        let mut times = vec![(Vec::new(), Vec::new(), 0); kinds.len()];
        for (format, coding) in &kinds {
            black_box(ours.page_as(*format, *coding));
        }
        for _ in 0..rounds {
            ours.change(&changes.choose(count / series::CHANGED, series::Where::Anywhere));
            for ((format, coding), (first, changed, bytes)) in kinds.iter().zip(&mut times) {
                let start = clock.elapsed();
                black_box(ours.fresh_as(*format, *coding));
                let fresh = clock.elapsed();
                *bytes = series::length(&black_box(ours.page_as(*format, *coding)));
                first.push(fresh.saturating_sub(start));
                changed.push(clock.elapsed().saturating_sub(fresh));
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
