//! Durable ingest: rows per second from a response to a commit that has reached the disk.
//!
//! Two shapes: every row a new stream (a new series, the worst case), and rows of a thousand streams that are known.
//! `cargo bench --bench ingest`; the folder is below the target directory, on whatever disk that is.

#[expect(dead_code, reason = "other benches use the rest")]
mod series;

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tencent_live_exporter::listing::{FULL_PAGE, Filter, Progress};
use tencent_live_exporter::poller::{Keeper, Observation};
use tencent_live_exporter::session::{Name, PushSession};

const START: i64 = 1_767_225_600;

fn keeper(folder: &Path) -> Keeper {
    // The account alone.
    series::fill(&mut series::ledger(folder), 0);
    let (keeper, _) = Keeper::open(Box::new(series::ledger(folder)), series::keeper_options()).expect("it is sound");
    keeper
}

fn row(number: u64, streams: u64) -> PushSession {
    let start = START + i64::try_from(number / 50).expect("benches end before that");
    PushSession {
        domain: "push.live.example.com".into(),
        app: "live".into(),
        stream: Name::from(format!("room_{}", number % streams).as_str()),
        start,
        end: start + 600,
        reason_text: "推流客户端主动断流".into(),
        client_ip: "203.0.113.7".into(),
        duration: Some(600),
        resolution: "1280*720".into(),
    }
}

fn ingest(criterion: &mut Criterion) {
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let mut group = criterion.benchmark_group("durable ingest");
    group.throughput(Throughput::Elements(u64::from(FULL_PAGE)));
    for (name, streams) in [("new streams", u64::MAX), ("known streams", 1_000)] {
        let folder = base.join(format!("ingest-{}-{streams}", std::process::id()));
        let mut keeper = keeper(&folder);
        let mut number = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let rows = number..number + u64::from(FULL_PAGE);
                number = rows.end;
                let observation = Observation {
                    account: series::ACCOUNT.into(),
                    scope: Filter::default(),
                    sessions: rows.map(|number| row(number, streams)).collect(),
                    progress: Progress { reached: Some(START), ..Progress::default() },
                    ..Observation::default()
                };
                black_box(keeper.observe(observation).expect("the bench's disk takes it"))
            });
        });
        drop(keeper);
        std::fs::remove_dir_all(&folder).expect("the bench's folder is its own");
    }
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
