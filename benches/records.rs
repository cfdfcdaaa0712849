//! Questions to many records while others are written: `cargo bench --bench records -- 10000000`.
//!
//! The records are spread over 30 days: ten domains, three apps, every reason, the first ones the most frequent, and a
//! stream name for each twenty records. Meanwhile a writer commits 100 more each tenth of a second. Filling the ledger
//! takes some minutes and 3 GB below the target directory.

#[expect(dead_code, reason = "other benches use the rest")]
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tencent_live_exporter::clock::{Clock as _, SystemClock};
use tencent_live_exporter::ledger::{
    Ledger as _, Posting, Record, RecordFilter, RecordQuery, Records, SqliteLedger, StreamMatch,
};
use tencent_live_exporter::reason::{Class, Classifier, Reason, TABLE};
use tencent_live_exporter::session::{Fact, GroupKey, Name, PushSession};

use self::table::{Times, rounded};

const START: i64 = 1_767_225_600;
const DAYS: i64 = 30;
const ROUNDS: usize = 15;

/// Most a question may take.
const TARGET: Duration = Duration::from_millis(200);

fn record(n: u64, count: u64) -> Record {
    let mut dice = fastrand::Rng::with_seed(n);
    let end = START + i64::try_from(u128::from(n) * 86_400 * 30 / u128::from(count)).expect("benches end before that");
    // The first reasons are the most frequent: a square of a number below one is near zero.
    let place = dice.f64() * dice.f64();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a short table")]
    let entry = &TABLE[(place * TABLE.len() as f64) as usize];
    let text = entry.zh.iter().chain(entry.en).chain(entry.codes).next().copied().unwrap_or("猫踩了键盘");
    let session = PushSession {
        domain: Name::from(format!("push{}.example.com", dice.u32(..10)).as_str()),
        app: ["live", "event", "vip"][dice.usize(..3)].into(),
        stream: Name::from(format!("room-{:08}-main-hd", dice.u64(..(count / 20).max(1))).as_str()),
        start: end - 600,
        end,
        reason_text: text.to_owned(),
        client_ip: "203.0.113.0/24".into(),
        duration: Some(600),
        resolution: "1280*720".into(),
    };
    let group = GroupKey((u128::from(n) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_le_bytes());
    let fact = Fact { end, reason: 7, address: 9 };
    Record { account: "main".into(), group, fact, session, first_seen: end + 30, counted: true }
}

fn write(ledger: &mut SqliteLedger, numbers: std::ops::Range<u64>, count: u64) {
    let records = numbers.map(|n| record(n, count)).collect();
    ledger.commit(&Posting { records, ..Posting::default() }).expect("the bench's disk takes it");
}

fn fill(folder: &Path, count: u64) -> SqliteLedger {
    let clock = SystemClock::new();
    let mut ledger = SqliteLedger::open(folder).expect("the bench's folder is its own");
    for first in (0..count).step_by(10_000) {
        write(&mut ledger, first..(first + 10_000).min(count), count);
        if first % 1_000_000 == 0 {
            table::progress(format!("{first} of {count} records after {}", rounded(clock.elapsed())));
        }
    }
    ledger
}

/// A question and its name.
type Question = (&'static str, Box<dyn Fn(&Records)>);

fn page(change: impl Fn(&mut RecordQuery)) -> Box<dyn Fn(&Records)> {
    let mut query = RecordQuery { limit: 100, ..RecordQuery::default() };
    change(&mut query);
    Box::new(move |records| {
        records.page(&query).expect("it is answered in time");
    })
}

fn summary(seconds: i64, filter: RecordFilter) -> Box<dyn Fn(&Records)> {
    let end = START + DAYS * 86_400;
    Box::new(move |records| {
        records.summary(&filter, end - seconds, end).expect("it is answered in time");
    })
}

fn stream(name: &str, compared: StreamMatch) -> RecordFilter {
    RecordFilter { stream: Some((name.into(), compared)), ..RecordFilter::default() }
}

fn questions(records: &Records) -> Vec<Question> {
    let middle = RecordQuery { end: Some(START + DAYS * 43_200), limit: 1, ..RecordQuery::default() };
    let deep = records.page(&middle).expect("it is answered in time").next_cursor;
    let domain = || RecordFilter { domain: Some("push3.example.com".into()), ..RecordFilter::default() };
    let rare = RecordFilter {
        domain: Some("push3.example.com".into()),
        app: Some("vip".into()),
        reason: TABLE.last().map(|entry| entry.reason),
        ..RecordFilter::default()
    };
    let arrears = || RecordFilter { class: Some(Class::Arrears), ..RecordFilter::default() };
    let reason = RecordFilter { reason: Some(Reason::NetworkError), ..RecordFilter::default() };
    let both = RecordFilter { domain: Some("push3.example.com".into()), ..stream("0001", StreamMatch::Contains) };
    let filtered = |filter: RecordFilter| page(move |query| query.filter = filter.clone());
    vec![
        ("newest 100", page(|_| {})),
        ("newest 1,000", page(|query| query.limit = 1_000)),
        ("cursor after 15 days", page(move |query| query.cursor = deep)),
        ("a domain", filtered(domain())),
        ("a domain, cursor after 15 days", page(move |query| (query.filter, query.cursor) = (domain(), deep))),
        ("a reason", filtered(reason)),
        ("a class", filtered(arrears())),
        ("a domain, an app and the rarest reason", filtered(rare)),
        ("a stream", filtered(stream("room-00000042-main-hd", StreamMatch::Exact))),
        ("a stream that is not there", filtered(stream("nobody", StreamMatch::Exact))),
        ("streams with a part in common, few", filtered(stream("0000042", StreamMatch::Contains))),
        ("streams with a part in common, thousands", filtered(stream("0001", StreamMatch::Contains))),
        ("streams with a part in common, all", filtered(stream("room", StreamMatch::Contains))),
        ("a part that no stream has", filtered(stream("nobody", StreamMatch::Contains))),
        ("a domain and a part of the name", filtered(both)),
        ("summary of 15 minutes", summary(900, RecordFilter::default())),
        ("summary of 24 hours", summary(86_400, RecordFilter::default())),
        ("summary of 30 days", summary(30 * 86_400, RecordFilter::default())),
        ("summary of 30 days, a class", summary(30 * 86_400, arrears())),
        ("summary of 30 days, a stream", summary(30 * 86_400, stream("room-00000042-main-hd", StreamMatch::Exact))),
        (
            "summary of 30 days, streams with a part in common",
            summary(30 * 86_400, stream("room", StreamMatch::Contains)),
        ),
    ]
}

fn measure(folder: &Path, count: u64) -> Vec<(&'static str, Times)> {
    let mut ledger = fill(folder, count);
    let records = ledger.records(Classifier::new(&[]), Arc::new(SystemClock::new()));
    let questions = questions(&records);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in (count..).step_by(100) {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                write(&mut ledger, n..n + 100, count);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let times = questions.iter().map(|(name, ask)| {
            table::progress(name);
            let mut times = Times::default();
            (0..ROUNDS).for_each(|_| times.time(|| ask(&records)));
            (*name, times)
        });
        let times = times.collect();
        done.store(true, Ordering::Relaxed);
        times
    })
}

fn main() {
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for count in table::counts(&[1_000_000]) {
        let folder = base.join(format!("records-{}-{count}", std::process::id()));
        let times = measure(&folder, count);
        let bytes = std::fs::metadata(folder.join("ledger.sqlite")).map_or(0, |file| file.len());
        std::fs::remove_dir_all(&folder).expect("the bench's folder is its own");
        table::head(&["records", "question, while others are written", "median", "longest", "200 ms"]);
        for (name, times) in times {
            let verdict = if times.longest() <= TARGET { "met" } else { "**not met**" };
            table::line(&[&count, &name, &rounded(times.median()), &rounded(times.longest()), &verdict]);
        }
        table::progress(format!("{} bytes a record", bytes / count));
    }
}
