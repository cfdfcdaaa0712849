//! Durable ingest: rows per second from a response to a commit that has reached the disk.
//!
//! Three shapes: every row a new stream (a new series, the worst case), rows of a thousand streams that are known, and the
//! same under a hundred rules, of which the last makes a group of them. Beside them, what SQLite alone does on this disk:
//! the same rows, appended to one table that has no index.
//! `cargo bench --bench ingest`; the folder is below the target directory, on whatever disk that is.

#[expect(dead_code, reason = "other benches use the rest")]
mod series;

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use rusqlite::{Connection, params};
use tencent_live_exporter::listing::{FULL_PAGE, Filter, Progress};
use tencent_live_exporter::poller::{Keeper, Observation};
use tencent_live_exporter::publication::labels::{Choice, Pattern, Rule, StreamLabel, Template};
use tencent_live_exporter::session::{Name, PushSession};

const START: i64 = 1_767_225_600;

fn keeper(folder: &Path, labels: Choice) -> Keeper {
    // The account alone.
    series::fill(&mut series::ledger(folder), 0);
    let options = series::keeper_options(labels);
    let (keeper, _) = Keeper::open(Box::new(series::ledger(folder)), options).expect("it is sound");
    keeper
}

/// Ninety-nine rules that match nothing here, and one that matches all.
fn hundred_rules() -> Choice {
    let rule = |n: u32| {
        let word = if n == 99 { "room".to_owned() } else { format!("other{n}") };
        let pattern = Pattern::new(&format!("({word})_[0-9]+")).expect("an expression");
        Rule { template: Template::new("${1}_*", &pattern).expect("a template"), pattern }
    };
    Choice { stream: StreamLabel::Group((0..100).map(rule).collect()), ..Choice::default() }
}

/// Fifty end in a second. As many last for ten to twenty seconds as for twenty to forty, and so on up to eleven hours: rows
/// of one response started at very different times.
fn row(number: u64, streams: u64) -> PushSession {
    let end = START + i64::try_from(number / 50).expect("benches end before that");
    let mut dice = fastrand::Rng::with_seed(number);
    let lasted = dice.u64(10..20) << dice.u32(..12);
    PushSession {
        domain: "push.live.example.com".into(),
        app: "live".into(),
        stream: Name::from(format!("room_{}", number % streams).as_str()),
        start: end - lasted.cast_signed(),
        end,
        reason_text: "推流客户端主动断流".into(),
        client_ip: "203.0.113.7".into(),
        duration: Some(lasted),
        resolution: "1280*720".into(),
    }
}

/// Commits rows with the settings of the ledger, and nothing is counted.
fn sqlite_alone(group: &mut BenchmarkGroup<'_, WallTime>, folder: &Path) {
    std::fs::create_dir_all(folder).expect("the bench's disk takes it");
    let mut connection = Connection::open(folder.join("alone.sqlite")).expect("SQLite opens it");
    let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        CREATE TABLE record (domain BLOB, app BLOB, stream BLOB, start_time INTEGER, end_time INTEGER, reason_text TEXT,
                             client_ip TEXT, duration INTEGER, resolution TEXT) STRICT";
    connection.execute_batch(settings).expect("SQLite knows them");
    let mut append = |rows: &[PushSession]| -> rusqlite::Result<()> {
        let tx = connection.transaction()?;
        for row in rows {
            tx.prepare_cached("INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?.execute(params![
                row.domain.as_bytes(),
                row.app.as_bytes(),
                row.stream.as_bytes(),
                row.start,
                row.end,
                row.reason_text,
                row.client_ip,
                row.duration.map(u64::cast_signed),
                row.resolution,
            ])?;
        }
        tx.commit()
    };
    let mut number = 0;
    group.bench_function("SQLite alone", |bencher| {
        bencher.iter(|| {
            let rows: Vec<_> = (number..number + u64::from(FULL_PAGE)).map(|number| row(number, 1_000)).collect();
            number += u64::from(FULL_PAGE);
            append(&rows).expect("the bench's disk takes it");
        });
    });
    std::fs::remove_dir_all(folder).expect("the bench's folder is its own");
}

fn ingest(criterion: &mut Criterion) {
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let mut group = criterion.benchmark_group("durable ingest");
    group.throughput(Throughput::Elements(u64::from(FULL_PAGE)));
    let keep = Choice::default();
    let shapes = [
        ("new streams", u64::MAX, keep.clone()),
        ("known streams", 1_000, keep),
        ("known streams, a hundred rules", 1_000, hundred_rules()),
    ];
    for (shape, (name, streams, labels)) in shapes.into_iter().enumerate() {
        let folder = base.join(format!("ingest-{}-{shape}", std::process::id()));
        let mut keeper = keeper(&folder, labels);
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
    sqlite_alone(&mut group, &base.join(format!("ingest-{}-alone", std::process::id())));
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
