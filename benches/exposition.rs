//! How long a page of n series takes: `cargo bench --bench exposition`.
//!
//! *fresh* has nothing to reuse, *warm* follows a snapshot of which 0.1 % changed, *again* is a second scrape of the
//! same snapshot, *prometheus* is `prometheus::TextEncoder` on the same series.

mod series;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn pages(criterion: &mut Criterion) {
    let own = series::own();
    let mut group = criterion.benchmark_group("exposition");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    for count in [10_000, 100_000, 1_000_000] {
        let snapshot = series::snapshot(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("fresh", count), |bench| {
            bench.iter(|| black_box(series::fresh(&own, &snapshot)));
        });
        let snapshots = Arc::new(ArcSwap::new(Arc::clone(&snapshot)));
        let exposition = series::exposition(&own, &snapshots);
        series::disconnects(&exposition);
        group.bench_function(BenchmarkId::new("warm", count), |bench| {
            bench.iter_batched(
                || snapshots.store(series::successor(&snapshots.load())),
                |()| black_box(series::disconnects(&exposition)),
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("again", count), |bench| {
            bench.iter(|| black_box(series::disconnects(&exposition)));
        });
        let families = series::families(&snapshot);
        group.bench_function(BenchmarkId::new("prometheus", count), |bench| {
            bench.iter(|| black_box(series::theirs(&families)));
        });
    }
    group.finish();
}

criterion_group!(benches, pages);
criterion_main!(benches);
