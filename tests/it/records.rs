//! The records as people ask for them: the right ones, in order, as they read now, and never in the writer's way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tencent_live_exporter::clock::SystemClock;
use tencent_live_exporter::ledger::{
    Cursor, Disconnect, Ledger as _, LedgerError, PAGE_RECORDS, Posting, Record, RecordFilter, RecordQuery, Records,
    Revision, SqliteLedger, StreamMatch,
};
use tencent_live_exporter::reason::{Class, Classifier, Reason};
use tencent_live_exporter::session::{Fact, GroupKey, IdentityKey, Name, PushSession};
use tencent_live_exporter::settings::StatePath;

use crate::support::folder::Folder;
use crate::support::patience::until;
use crate::support::rig::Rig;

/// 2026-01-01T00:00:00Z, a full hour.
const START: i64 = 1_767_225_600;

const DOMAINS: [&str; 3] = ["push.one.example.com", "push.two.example.com", "推流.example.com"];
const APPS: [&str; 2] = ["live", "vip"];
const TEXTS: [(&str, Reason); 5] = [
    ("推流客户端主动断流", Reason::ClientStopped),
    ("Network error for the push client.", Reason::NetworkError),
    ("推流链路网络异常", Reason::NetworkError),
    ("18/202", Reason::AccountArrears),
    ("猫踩了键盘", Reason::Unmapped),
];

/// Record `n`, one of many that differ in everything.
fn record(n: u64) -> Record {
    let mut dice = fastrand::Rng::with_seed(n);
    let end = START + dice.i64(0..4 * 3_600);
    let session = PushSession {
        domain: Name::from(DOMAINS[dice.usize(..DOMAINS.len())]),
        app: Name::from(APPS[dice.usize(..APPS.len())]),
        stream: Name::from(format!("room_{}", dice.u32(..40)).as_str()),
        start: end - 60,
        end,
        reason_text: TEXTS[dice.usize(..TEXTS.len())].0.into(),
        client_ip: "203.0.113.0/24".into(),
        duration: dice.bool().then_some(59),
        resolution: "1280*720".into(),
    };
    told(n, session)
}

fn told(n: u64, session: PushSession) -> Record {
    let fact = Fact { end: session.end, reason: 1, address: 2 };
    let group = GroupKey(u128::from(n).to_le_bytes());
    Record { account: "main".into(), group, fact, first_seen: session.end + 9, counted: !n.is_multiple_of(7), session }
}

fn named(n: u64, stream: Name) -> Record {
    let record = record(n);
    told(n, PushSession { stream, ..record.session })
}

fn write(ledger: &mut SqliteLedger, records: impl IntoIterator<Item = Record>) {
    ledger.commit(&Posting { records: records.into_iter().collect(), ..Posting::default() }).unwrap();
}

/// With the patience that a busy machine wants.
fn asked(ledger: &SqliteLedger) -> Records {
    ledger.records(Classifier::new(&[]), Arc::new(SystemClock::new())).patience(Duration::from_secs(60))
}

fn by(change: impl FnOnce(&mut RecordFilter)) -> RecordFilter {
    let mut filter = RecordFilter::default();
    change(&mut filter);
    filter
}

fn of_stream(name: &str, compared: StreamMatch) -> RecordFilter {
    by(|filter| filter.stream = Some((name.into(), compared)))
}

fn query(filter: RecordFilter) -> RecordQuery {
    RecordQuery { filter, limit: PAGE_RECORDS, ..RecordQuery::default() }
}

fn all_of(records: &Records, filter: RecordFilter) -> Vec<Disconnect> {
    records.page(&query(filter)).unwrap().disconnects
}

/// All that `filter` is true of, page by page.
fn paged(records: &Records, query: &RecordQuery) -> Vec<Disconnect> {
    let mut query = query.clone();
    let mut found = Vec::new();
    loop {
        let page = records.page(&query).unwrap();
        assert!(page.disconnects.len() <= query.limit);
        found.extend(page.disconnects);
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return found;
        }
    }
}

/// What an answer has to be, by the simplest means there are.
fn expected(records: &[Record], filter: &RecordFilter, start: i64, end: i64) -> Vec<Disconnect> {
    let classifier = Classifier::new(&[]);
    let text = |name: &Name| String::from_utf8(name.as_bytes().to_vec()).unwrap();
    let shown = records.iter().map(|record| {
        let session = &record.session;
        let reason = classifier.classify(&session.reason_text);
        Disconnect {
            account: record.account.clone(),
            domain: text(&session.domain),
            app: text(&session.app),
            stream: text(&session.stream),
            start: session.start,
            end: session.end,
            duration: session.lasted(),
            client_ip: session.client_ip.clone(),
            reason,
            class: reason.class(),
            reason_text: session.reason_text.clone(),
            resolution: session.resolution.clone(),
            first_seen: record.first_seen,
            counted: record.counted,
        }
    });
    let fits = |one: &Disconnect| {
        (start..=end).contains(&one.end)
            && filter.domain.as_ref().is_none_or(|domain| *domain == one.domain)
            && filter.app.as_ref().is_none_or(|app| *app == one.app)
            && filter.reason.is_none_or(|reason| reason == one.reason)
            && filter.class.is_none_or(|class| class == one.class)
            && match &filter.stream {
                None => true,
                Some((name, StreamMatch::Exact)) => *name == one.stream,
                Some((part, StreamMatch::Contains)) => one.stream.contains(part),
            }
    };
    let mut found: Vec<(usize, Disconnect)> = shown.enumerate().filter(|(_, one)| fits(one)).collect();
    // Numbers are given in the order of writing.
    found.sort_by_key(|(id, one)| std::cmp::Reverse((one.end, *id)));
    found.into_iter().map(|(_, one)| one).collect()
}

/// Every filter alone, and some together.
fn filters() -> Vec<RecordFilter> {
    let stream = |name: &str, compared| Some((name.to_owned(), compared));
    vec![
        RecordFilter::default(),
        by(|filter| filter.domain = Some(DOMAINS[2].into())),
        by(|filter| filter.app = Some("vip".into())),
        by(|filter| filter.reason = Some(Reason::NetworkError)),
        by(|filter| filter.class = Some(Class::Unknown)),
        of_stream("room_7", StreamMatch::Exact),
        of_stream("room_1", StreamMatch::Contains),
        of_stream("", StreamMatch::Contains),
        of_stream("nobody", StreamMatch::Exact),
        of_stream("nobody", StreamMatch::Contains),
        by(|filter| filter.domain = Some("nobody".into())),
        by(|filter| {
            filter.domain = Some(DOMAINS[0].into());
            filter.class = Some(Class::Network);
            filter.stream = stream("_2", StreamMatch::Contains);
        }),
        by(|filter| {
            filter.app = Some("live".into());
            filter.reason = Some(Reason::AccountArrears);
            filter.stream = stream("room_9", StreamMatch::Exact);
        }),
    ]
}

fn each_kind_of_books(test: impl Fn(&mut SqliteLedger)) {
    let folder = Folder::new();
    test(&mut SqliteLedger::open(folder.path()).unwrap());
    test(&mut SqliteLedger::in_memory().unwrap());
}

#[test]
fn every_filter_finds_its_records_newest_first_page_by_page() {
    each_kind_of_books(|ledger| {
        let written: Vec<Record> = (0..1_500).map(record).collect();
        for chunk in 0..15_u64 {
            write(ledger, (chunk * 100..(chunk + 1) * 100).map(record));
        }
        let records = asked(ledger);
        let (start, end) = (START + 3_000, START + 9_000);
        for filter in filters() {
            for (start, end, limit) in [(None, None, 1_000), (Some(start), Some(end), 37), (None, Some(end), 1)] {
                let query = RecordQuery { filter: filter.clone(), start, end, limit, cursor: None };
                if limit == 1 && filter == RecordFilter::default() {
                    continue;
                }
                let (start, end) = (start.unwrap_or(i64::MIN), end.unwrap_or(i64::MAX));
                assert_eq!(paged(&records, &query), expected(&written, &filter, start, end), "{query:?}");
            }
        }
    });
}

#[test]
fn a_cursor_keeps_its_place_while_records_come() {
    let mut ledger = SqliteLedger::in_memory().unwrap();
    write(&mut ledger, (0..100).map(record));
    let records = asked(&ledger);
    let before = all_of(&records, RecordFilter::default());
    let first = records.page(&RecordQuery { limit: 40, ..RecordQuery::default() }).unwrap();
    let late = |n: u64, end: i64| told(n, PushSession { start: end - 1, end, ..record(n).session });
    write(&mut ledger, [late(200, START + 90_000), late(201, START + 80_000)]);
    let rest = records.page(&RecordQuery { cursor: first.next_cursor, ..query(RecordFilter::default()) }).unwrap();
    assert_eq!([first.disconnects, rest.disconnects].concat(), before);
    assert_eq!(rest.next_cursor, None);
    let beyond = Cursor { end: START - 1, id: 1 };
    let nothing = records.page(&RecordQuery { cursor: Some(beyond), ..query(RecordFilter::default()) }).unwrap();
    assert_eq!((nothing.disconnects.len(), nothing.next_cursor), (0, None));
}

#[test]
fn a_corrected_session_is_there_once_as_it_reads_now_and_sums_follow_it() {
    each_kind_of_books(|ledger| {
        let first = record(1);
        let corrected = PushSession {
            end: first.session.end + 7_200,
            reason_text: "18/202".into(),
            duration: None,
            ..first.session.clone()
        };
        let new = Fact { end: corrected.end, ..first.fact };
        let revision = Revision { group: first.group, old: first.fact, new, session: corrected.clone() };
        write(ledger, [first]);
        ledger.commit(&Posting { revisions: vec![revision], ..Posting::default() }).unwrap();
        let records = asked(ledger);
        let found = all_of(&records, RecordFilter::default());
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!((one.end, one.reason, one.duration), (corrected.end, Reason::AccountArrears, 7_260));
        assert_eq!(all_of(&records, by(|filter| filter.class = Some(Class::Arrears))).len(), 1);
        assert_eq!(all_of(&records, by(|filter| filter.reason = Some(TEXTS[0].1))).len(), 0);
    });
}

#[test]
fn hostile_names_come_back_exactly_and_nothing_in_them_means_more_than_itself() {
    let names = [
        "'; DROP TABLE record; --",
        "\"",
        "a\0b",
        "100%",
        "100x",
        "a_b",
        "axb",
        "*",
        "?",
        "[a]",
        "\u{202e}gnp.exe",
        "\\",
        "\n",
        "房间一号",
        "🎥👩‍👩‍👧",
        "",
        " ",
        "<script>alert(1)</script>",
        "room-1\u{fffd}",
    ];
    let long = "x".repeat(70_000);
    each_kind_of_books(|ledger| {
        let names = || names.into_iter().chain([&*long]);
        write(ledger, (0..).zip(names()).map(|(n, name)| named(n, name.into())));
        let records = asked(ledger);
        for name in names() {
            let exact = all_of(&records, of_stream(name, StreamMatch::Exact));
            assert_eq!(exact.iter().map(|one| &*one.stream).collect::<Vec<_>>(), [name]);
            let mut containing = names().filter(|other| other.contains(name)).collect::<Vec<_>>();
            let mut found = all_of(&records, of_stream(name, StreamMatch::Contains));
            found.sort_by(|one, other| one.stream.cmp(&other.stream));
            containing.sort_unstable();
            assert_eq!(found.iter().map(|one| &*one.stream).collect::<Vec<_>>(), containing, "{name:?}");
        }
    });
}

#[test]
fn what_a_label_shows_finds_the_record_too() {
    let mut ledger = SqliteLedger::in_memory().unwrap();
    let key: IdentityKey = ledger.read().unwrap().key;
    let (broken, long) = (Name::new(vec![b'a', 0xff]), Name::new(vec![b'l'; 300]));
    write(&mut ledger, [named(1, broken.clone()), named(2, long.clone()), named(3, "plain~00000000".into())]);
    let records = asked(&ledger);
    let found = |name: &str| all_of(&records, of_stream(name, StreamMatch::Exact));
    assert_eq!(found(&broken.label(&key))[0].stream, broken.label(&key), "it has no other text");
    assert_eq!(found(&long.label(&key))[0].stream, "l".repeat(300));
    assert_eq!(found("plain~00000000").len(), 1);
    assert_eq!(found("plain~00000001").len(), 0);
}

#[test]
fn a_better_taxonomy_reads_history_too() {
    let mut ledger = SqliteLedger::in_memory().unwrap();
    write(&mut ledger, (0..200).map(record));
    let records = asked(&ledger);
    let found = |reason| all_of(&records, by(|filter| filter.reason = Some(reason))).len();
    let (network, unmapped) = (found(Reason::NetworkError), found(Reason::Unmapped));
    assert!(network > 0 && unmapped > 0);
    records.classify_by(Classifier::new(&[("猫踩了键盘".into(), Reason::NetworkError)]));
    assert_eq!((found(Reason::NetworkError), found(Reason::Unmapped)), (network + unmapped, 0));
}

#[test]
fn a_page_of_very_long_names_is_cut_short_and_goes_on() {
    let mut ledger = SqliteLedger::in_memory().unwrap();
    write(&mut ledger, (0..100).map(|n| named(n, Name::from(format!("{n}{}", "x".repeat(60_000)).as_str()))));
    let records = asked(&ledger);
    let page = records.page(&query(RecordFilter::default())).unwrap();
    assert!(page.disconnects.len() < 40 && page.next_cursor.is_some(), "{}", page.disconnects.len());
    let mut streams: Vec<_> =
        paged(&records, &query(RecordFilter::default())).into_iter().map(|one| one.stream).collect();
    streams.sort();
    streams.dedup();
    assert_eq!(streams.len(), 100);
}

#[test]
fn what_retention_takes_leaves_nothing_behind() {
    let folder = Folder::new();
    let mut ledger = SqliteLedger::open(folder.path()).unwrap();
    let written: Vec<Record> = (0..800).map(record).collect();
    write(&mut ledger, (0..800).map(record));
    let until = START + 7_000;
    ledger.commit(&Posting { records_until: Some(until), ..Posting::default() }).unwrap();
    let records = asked(&ledger);
    assert_eq!(
        all_of(&records, RecordFilter::default()),
        expected(&written, &RecordFilter::default(), until, i64::MAX)
    );
    let books = rusqlite::Connection::open(folder.join("ledger.sqlite")).unwrap();
    let number = |sql: &str| books.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    for width in [3_600, 28_800] {
        let counted = format!("SELECT end_time / {width}, kind, count(*) FROM record GROUP BY 1, 2");
        let kept = format!("SELECT slot, kind, records FROM record_sum WHERE width = {width}");
        assert_eq!(number(&format!("SELECT count(*) FROM ({counted} EXCEPT {kept})")), 0);
        assert_eq!(number(&format!("SELECT count(*) FROM ({kept} EXCEPT {counted})")), 0);
    }
    ledger.commit(&Posting { records_until: Some(i64::MAX), ..Posting::default() }).unwrap();
    for table in ["record", "record_kind", "record_stream", "record_sum"] {
        assert_eq!(number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}

#[test]
fn a_summary_is_what_the_records_come_to() {
    each_kind_of_books(|ledger| {
        let written: Vec<Record> = (0..1_500).map(record).collect();
        write(ledger, (0..1_500).map(record));
        let records = asked(ledger);
        for filter in filters() {
            for (start, end) in
                [(START, START + 14_400), (START + 3_001, START + 3_900), (START - 86_400 * 30, START + 5_000)]
            {
                let summary = records.summary(&filter, start, end).unwrap();
                let wanted = expected(&written, &filter, start, end);
                let what = format!("{filter:?} {start} {end}");
                assert_eq!(summary.total, wanted.len() as u64, "{what}");
                assert_eq!((summary.since, summary.streams_since), (start, start), "{what}");
                let in_buckets: u64 = summary.buckets.iter().flat_map(|bucket| bucket.by_class.values()).sum();
                assert_eq!(in_buckets, summary.total, "{what}");
                assert!(summary.buckets.len() <= 120, "{what}");
                for bucket in &summary.buckets {
                    let inside = |one: &&Disconnect| (bucket.start..bucket.start + summary.width).contains(&one.end);
                    let network = wanted.iter().filter(inside).filter(|one| one.class == Class::Network).count();
                    assert_eq!(bucket.by_class.get(&Class::Network).copied().unwrap_or(0), network as u64, "{what}");
                }
                for (reason, total) in &summary.reasons {
                    let of_it = wanted.iter().filter(|one| one.reason == *reason).count();
                    assert_eq!(*total, of_it as u64, "{what}");
                }
                if let Some(top) = summary.streams.first() {
                    let same = |one: &&Disconnect| {
                        (&one.domain, &one.app, &one.stream) == (&top.domain, &top.app, &top.stream)
                    };
                    assert_eq!(top.total, wanted.iter().filter(same).count() as u64, "{what}");
                }
                assert!(summary.streams.is_sorted_by(|one, other| one.total >= other.total), "{what}");
            }
        }
    });
}

#[test]
fn past_what_can_be_looked_at_one_by_one_a_summary_is_exact_by_the_hour() {
    let mut ledger = SqliteLedger::in_memory().unwrap();
    let many: Vec<Record> = (0..60_000).map(record).collect();
    let ends: Vec<i64> = many.iter().map(|record| record.session.end).collect();
    write(&mut ledger, many);
    let records = asked(&ledger).patience(Duration::from_secs(60));
    let (start, end) = (START + 600, START + 14_400);
    let ended = |times: std::ops::RangeInclusive<i64>| ends.iter().filter(|end| times.contains(end)).count() as u64;
    let whole = records.summary(&RecordFilter::default(), start, end).unwrap();
    assert_eq!((whole.total, whole.since), (ended(start..=end), start));
    assert_eq!(whole.width, 3_600);
    assert!(whole.streams_since > start, "it says which part the streams are of");
    let listed = ended(whole.streams_since..=end);
    assert!((50_000..51_000).contains(&listed), "{listed}");
    let part = records.summary(&of_stream("room", StreamMatch::Contains), start, end).unwrap();
    assert!(part.since > start && part.total == listed, "{} since {}", part.total, part.since);
}

#[test]
fn a_question_that_takes_too_long_is_cut_off() {
    each_kind_of_books(|ledger| {
        write(ledger, (0..2_000).map(record));
        let records = asked(ledger).patience(Duration::ZERO);
        let error = records.page(&RecordQuery::default()).unwrap_err();
        assert!(matches!(error, LedgerError::TooSlow), "{error}");
        assert!(error.to_string().contains("narrow the range"), "{error}");
        let error = records.summary(&RecordFilter::default(), START, START + 9_000).unwrap_err();
        assert!(matches!(error, LedgerError::TooSlow), "{error}");
        // And nobody notices.
        write(ledger, [record(2_001)]);
        assert_eq!(all_of(&asked(ledger), RecordFilter::default()).len(), PAGE_RECORDS);
    });
}

/// Does `work` while three others ask again and again.
fn while_three_ask(ask: impl Fn() + Sync, work: impl FnOnce()) {
    let asking = AtomicBool::new(true);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while asking.load(Ordering::Relaxed) {
                    ask();
                }
            });
        }
        work();
        asking.store(false, Ordering::Relaxed);
    });
}

#[test]
fn whoever_reads_for_long_holds_up_no_commit() {
    let folder = Folder::new();
    let mut ledger = SqliteLedger::open(folder.path()).unwrap();
    write(&mut ledger, (0..3_000).map(record));
    let records = asked(&ledger);
    let ask = || drop(records.summary(&of_stream("room", StreamMatch::Contains), START, START + 20_000).unwrap());
    while_three_ask(ask, || {
        for n in 3_000..3_200 {
            // One that had to wait for a reader would fail after its busy timeout.
            write(&mut ledger, [record(n)]);
        }
    });
    // Nobody is left who needs the log: all of it can go back into the file.
    let books = rusqlite::Connection::open(folder.join("ledger.sqlite")).unwrap();
    let checkpoint =
        |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let (busy, log, back) = books.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], checkpoint).unwrap();
    assert_eq!((busy, log), (0, back));
}

#[test]
fn d10_questions_that_overlap_without_end_do_not_let_the_log_grow_without_end() {
    let folder = Folder::new();
    let mut ledger = SqliteLedger::open(folder.path()).unwrap();
    write(&mut ledger, (0..3_000).map(record));
    let records = ledger.records(Classifier::new(&[]), Arc::new(SystemClock::new()));
    let ask = || match records.summary(&of_stream("room", StreamMatch::Contains), START, START + 20_000) {
        // A slow machine cuts some off, which is why the writer need not wait for ever.
        Ok(_) | Err(LedgerError::TooSlow) => {}
        Err(error) => panic!("{error}"),
    };
    let mut largest = 0;
    while_three_ask(ask, || {
        for n in (3_000..43_000).step_by(100) {
            write(&mut ledger, (n..n + 100).map(record));
            largest = std::fs::metadata(folder.join("ledger.sqlite-wal")).unwrap().len().max(largest);
        }
    });
    assert!(largest < 48 << 20, "{largest} bytes");
}

#[tokio::test]
async fn what_is_counted_can_be_asked_for_at_once_with_books_in_memory_too() {
    for path in [None, Some(StatePath::Memory)] {
        let rig = Rig::new().await.with(|settings| {
            if let Some(path) = path.clone() {
                settings.state.path = path;
            }
        });
        let rig = rig.start().await;
        rig.world.publish_all([rig.ended("room", 20), rig.ended("hall", 10)]);
        rig.shows_the_truth().await;
        // A busy machine may need another try.
        let answered = async |path: &str| {
            until("the records are told", async || {
                let (status, body) = rig.get(path).await;
                if status == 200 { Ok(body) } else { Err(body) }
            })
            .await
        };
        let body = answered("/api/v1/disconnects?stream=room").await;
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        let found = answer["data"]["disconnects"].as_array().unwrap();
        assert_eq!(found.len(), 1, "{body}");
        assert_eq!((&found[0]["stream"], &found[0]["duration_seconds"]), (&"room".into(), &60.into()), "{body}");
        let body = answered("/api/v1/disconnects").await;
        assert!(body.find("\"hall\"").unwrap() < body.find("\"room\"").unwrap(), "{body}");
    }
}
