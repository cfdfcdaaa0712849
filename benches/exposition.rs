//! How long a page of n series takes: `cargo bench --bench exposition`.
//!
//! Of ours, *fresh* has nothing to reuse, *warm* follows a commit that changed 0.1 % of the series (anywhere, or
//! neighbours), *again* is a second scrape of the same snapshot; as text and in gzip. Beside them `memcpy` of the page,
//! the page's text compressed afresh, and one scrape of each other crate, on the same series in the same run.

mod peers;
#[expect(dead_code, reason = "other benches use the rest")]
mod series;

use std::hint::black_box;
use std::io::Write as _;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use flate2::write::GzEncoder;
use tencent_live_exporter::metrics::exposition::Coding::{self, Gzip, Identity};

use self::series::{CHANGED, Changes, GZIP_LEVEL, Ours, Where};

fn pages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exposition");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    // A scrape of a million series takes some of them seconds: as many iterations in each sample, and few.
    group.sampling_mode(SamplingMode::Flat);
    for count in [100_000, 1_000_000] {
        group.throughput(Throughput::Elements(count));
        let mut ours = Ours::new(count);
        copying(&mut group, &ours, count);
        for (name, coding) in [("text", Identity), ("gzip", Gzip)] {
            rendering(&mut group, &mut ours, count, name, coding);
        }
        drop(ours);
        for mut peer in peers::all(|| Box::new(series::all(count))) {
            group.bench_function(BenchmarkId::new(peer.name(), count), |bench| {
                bench.iter(|| black_box(peer.scrape()));
            });
        }
    }
    group.finish();
}

/// What nobody can be faster than, and what compressing costs without anything kept.
fn copying(group: &mut BenchmarkGroup<'_, WallTime>, ours: &Ours, count: u64) {
    let text = ours.page(Identity).concat();
    let mut copy = vec![0; text.len()];
    group.bench_function(BenchmarkId::new("memcpy", count), |bench| {
        bench.iter(|| black_box(&mut copy).copy_from_slice(black_box(&text)));
    });
    group.bench_function(BenchmarkId::new("gzip afresh", count), |bench| {
        bench.iter(|| {
            let mut gzip = GzEncoder::new(Vec::new(), GZIP_LEVEL);
            gzip.write_all(&text).and_then(|()| gzip.finish()).expect("a Vec takes every write")
        });
    });
}

fn rendering(group: &mut BenchmarkGroup<'_, WallTime>, ours: &mut Ours, count: u64, name: &str, coding: Coding) {
    group.bench_function(BenchmarkId::new(format!("{name}, fresh"), count), |bench| {
        bench.iter(|| black_box(ours.fresh(coding)));
    });
    ours.page(coding);
    group.bench_function(BenchmarkId::new(format!("{name}, again"), count), |bench| {
        bench.iter(|| black_box(ours.page(coding)));
    });
    let mut changes = Changes::new(count);
    for (kind, place) in [("warm, anywhere", Where::Anywhere), ("warm, neighbours", Where::Neighbours)] {
        // Set-up and work both need all of ours, one after the other.
        let ours = std::cell::RefCell::new(&mut *ours);
        group.bench_function(BenchmarkId::new(format!("{name}, {kind}"), count), |bench| {
            bench.iter_batched(
                || ours.borrow_mut().change(&changes.choose(count / CHANGED, place)),
                |()| black_box(ours.borrow().page(coding)),
                BatchSize::PerIteration,
            );
        });
    }
}

criterion_group!(benches, pages);
criterion_main!(benches);
