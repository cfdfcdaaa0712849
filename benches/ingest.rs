//! Durable ingest: rows per second from a response to a commit that has reached the disk.
//!
//! Three shapes: every row a new stream (a new series, the worst case), rows of a thousand streams that are known, and the
//! same under a hundred rules, of which the last makes a group of them.
//! `cargo bench --bench ingest`; the folder is below the target directory, on whatever disk that is.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tencent_live_exporter::clock::SystemClock;
use tencent_live_exporter::ledger::{NewAccount, SqliteLedger};
use tencent_live_exporter::listing::{FULL_PAGE, Filter, Progress};
use tencent_live_exporter::poller::{ClientIp, Keeper, KeeperOptions, Observation};
use tencent_live_exporter::publication::Terms;
use tencent_live_exporter::publication::labels::{Choice, Pattern, Rule, StreamLabel, Template};
use tencent_live_exporter::reason::Classifier;
use tencent_live_exporter::session::{Name, PushSession};

const START: i64 = 1_700_000_000;

fn keeper(folder: &Path, labels: Choice) -> Keeper {
    let options = KeeperOptions {
        classifier: Classifier::new(&[]),
        terms: Terms { series_limit: 10_000_000, labels, hold_max: Duration::from_secs(75) },
        client_ip: ClientIp::Masked,
        clock: Arc::new(SystemClock::new()),
        observer: Box::new(|_| {}),
    };
    let ledger = SqliteLedger::open(folder).expect("the bench's folder is its own");
    let (mut keeper, _) = Keeper::open(Box::new(ledger), options).expect("a new ledger can be read");
    let new = NewAccount { name: "main".into(), first_start: START, counting_since: START, floor: START - 86_400 };
    keeper.account(new).expect("a new account can be opened");
    keeper
}

fn hundred_rules() -> Choice {
    let rule = |n: u32| {
        let word = if n == 99 { "room".to_owned() } else { format!("other{n}") };
        let pattern = Pattern::new(&format!("({word})_[0-9]+")).expect("an expression");
        Rule { template: Template::new("${1}_*", &pattern).expect("a template"), pattern }
    };
    Choice { stream: StreamLabel::Group((0..100).map(rule).collect()), ..Choice::default() }
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
                    account: "main".into(),
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
