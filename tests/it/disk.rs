//! The state folder over time: it does not grow for ever, and its loss is a new beginning without a jump.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tencent_live_exporter::clock::{Clock as _, ManualClock, SystemClock};
use tencent_live_exporter::ledger::{Ledger as _, LedgerError, NewAccount, Posting, SqliteLedger};
use tencent_live_exporter::listing::{CORRECTION_SECONDS, Progress};
use tencent_live_exporter::poller::{ClientIp, Keeper, KeeperHandle, KeeperOptions, Observation};
use tencent_live_exporter::publication::Terms;
use tencent_live_exporter::reason::Classifier;
use tencent_live_exporter::session::PushSession;

use crate::support::folder::Folder;
use crate::support::metrics::Stream;
use crate::support::patience::{seen, until};
use crate::support::rig::Rig;

const LEDGER: &str = "ledger.sqlite";
const START: i64 = 1_700_000_000;
const DAY: i64 = 86_400;

/// Sessions of a day, and how many days of them are remembered.
const SESSIONS: i64 = 600;
const HORIZON_DAYS: i64 = 3;

/// A keeper at work in its thread on the ledger in `folder`.
fn keeper(folder: &Path) -> (KeeperHandle, std::thread::JoinHandle<()>) {
    let options = KeeperOptions {
        classifier: Classifier::new(&[]),
        terms: Terms { series_limit: 1000, hold_max: Duration::ZERO, ..Terms::default() },
        client_ip: ClientIp::Masked,
        clock: Arc::new(ManualClock::new(START)),
        observer: Box::new(|_| {}),
    };
    let (keeper, handle) = Keeper::open(Box::new(SqliteLedger::open(folder).unwrap()), options).unwrap();
    (handle, std::thread::spawn(move || keeper.run().unwrap()))
}

fn new_account(name: &str) -> NewAccount {
    NewAccount { name: name.into(), first_start: START, counting_since: START, floor: START - DAY }
}

/// What one poll of a day shows.
fn observation(day: i64, first: i64, last: i64) -> Observation {
    let session = |n: i64| {
        let end = START + day * DAY + n * DAY / SESSIONS;
        PushSession {
            domain: "push.example.com".into(),
            app: "live".into(),
            stream: format!("room_{}", n % 40).as_str().into(),
            start: end - 30,
            end,
            reason_text: "推流客户端主动断流".into(),
            client_ip: "203.0.113.7".into(),
            duration: None,
            resolution: "1920*1080".into(),
        }
    };
    Observation {
        account: "main".into(),
        sessions: (first..last).map(session).collect(),
        confirming: true,
        progress: Progress { reached: Some(START + day * DAY + last * DAY / SESSIONS), ..Progress::default() },
        seen: START + (day + 1) * DAY,
        ..Observation::default()
    }
}

/// Lives through `days`, in one process, and returns how large the ledger is after.
async fn live(folder: &Path, days: std::ops::Range<i64>) -> u64 {
    let (keeper, thread) = keeper(folder);
    keeper.account(new_account("main")).await.unwrap();
    for day in days {
        for first in (0..SESSIONS).step_by(100) {
            keeper.observe(observation(day, first, first + 100)).await.unwrap();
        }
        let floor = START + (day - HORIZON_DAYS) * DAY;
        keeper.forget("main".into(), floor, floor).await.unwrap();
    }
    keeper.stop();
    thread.join().unwrap();
    std::fs::metadata(folder.join(LEDGER)).unwrap().len()
}

#[tokio::test]
async fn d10_what_is_forgotten_makes_room_for_what_comes_and_the_ledger_stops_growing() {
    let folder = Folder::new();
    let young = live(folder.path(), 0..6).await;
    let old = live(folder.path(), 6..40).await;
    assert!(old < young * 5 / 4, "{young} bytes after 6 days, {old} after 40");
    let ledger = rusqlite::Connection::open(folder.join(LEDGER)).unwrap();
    let number = |sql: &str| ledger.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let remembered = SESSIONS * (HORIZON_DAYS + 1);
    let just_below = SESSIONS * CORRECTION_SECONDS / DAY;
    assert_eq!(number("SELECT count(*) FROM session_group"), remembered + just_below);
    assert_eq!(number("SELECT count(*) FROM record"), remembered);
    assert_eq!(number("SELECT sum(total) FROM series"), 40 * SESSIONS, "totals are kept for ever");
}

/// Counts the sessions of some days, 100 in a response.
async fn count(folder: &Path, days: std::ops::Range<i64>) {
    let (keeper, thread) = keeper(folder);
    keeper.account(new_account("main")).await.unwrap();
    for day in days {
        for first in (0..SESSIONS).step_by(100) {
            keeper.observe(observation(day, first, first + 100)).await.unwrap();
        }
    }
    keeper.stop();
    thread.join().unwrap();
}

#[tokio::test]
async fn what_was_counted_before_keys_of_groups_had_an_order_is_not_counted_again() {
    let folder = Folder::new();
    drop(SqliteLedger::open(folder.path()).unwrap());
    let books = || rusqlite::Connection::open(folder.join(LEDGER)).unwrap();
    // Of version 5.
    books().execute_batch(&format!("UPDATE ledger_key SET ordered_since = {}", i64::MAX)).unwrap();
    count(folder.path(), 0..2).await;
    // How many keys begin with a second of that day; of those that are hashes, hardly any.
    let ordered = |day: i64| {
        let start = START + day * DAY - 30;
        let keys = format!(
            "SELECT count(*) FROM session_group WHERE hex(key) BETWEEN '{start:08X}' AND '{:08X}'",
            start + DAY
        );
        books().query_row(&keys, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert!(ordered(0) + ordered(1) < 10);
    books().execute_batch("ALTER TABLE ledger_key DROP COLUMN ordered_since; PRAGMA user_version = 5").unwrap();
    // Some of it again, and more.
    let far = (SystemClock::new().now() - START) / DAY + 2;
    count(folder.path(), 1..4).await;
    count(folder.path(), far..far + 1).await;
    count(folder.path(), 0..4).await;
    count(folder.path(), far..far + 1).await;
    let number = |sql: &str| books().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(number("SELECT sum(total) FROM series"), 5 * SESSIONS);
    assert_eq!(number("SELECT count(*) FROM session_group"), 5 * SESSIONS);
    assert!(ordered(far) >= SESSIONS, "what comes later has an order");
}

#[tokio::test]
async fn d12_a_deleted_state_folder_is_a_new_baseline_and_no_jump() {
    let mut rig = Rig::new().await.start().await;
    rig.world.publish_all((0..3).map(|n| rig.ended("room", 300 + n)));
    rig.shows_the_truth().await;
    rig.stop().await;
    std::fs::remove_dir_all(rig.folder.join("state")).unwrap();
    rig.world.publish(rig.ended("another", 200));
    rig.start_again().await;
    // What every scraper must have seen first, however often it looks.
    let mut first: BTreeMap<Stream, u64> = BTreeMap::new();
    until("both series are there", async || {
        let metrics = rig.metrics().await;
        for (stream, value) in metrics.streams() {
            first.entry(stream).or_insert(value);
        }
        seen(first.len() == 2, &first)
    })
    .await;
    rig.turns(2).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth());
    assert_eq!(first, rig.truth(), "a value that rises later is an increase that never happened");
}

#[test]
fn d12_a_ledger_that_is_removed_or_replaced_while_it_is_in_use_is_not_written_to() {
    let folder = Folder::new();
    let mut ledger = SqliteLedger::open(folder.path()).unwrap();
    let posting = |name: &str| Posting { new_account: Some(new_account(name)), ..Posting::default() };
    ledger.commit(&posting("one")).unwrap();
    let (file, copy) = (folder.join(LEDGER), folder.join("copy"));
    std::fs::copy(&file, &copy).unwrap();
    std::fs::rename(&copy, &file).unwrap();
    let error = ledger.commit(&posting("two")).unwrap_err();
    assert!(matches!(error, LedgerError::Replaced) && error.is_fatal(), "{error}");
    std::fs::remove_file(&file).unwrap();
    let error = ledger.commit(&posting("two")).unwrap_err();
    assert!(matches!(error, LedgerError::Replaced), "{error}");
    assert!(error.to_string().contains("put the right one back and start again"), "{error}");
}

#[tokio::test]
async fn c6_a_watermark_from_the_future_stops_no_counting() {
    let mut rig = Rig::new().await.start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    rig.stop().await;
    let ledger = rusqlite::Connection::open(rig.folder.join("state").join(LEDGER)).unwrap();
    ledger.execute("UPDATE scope SET watermark = watermark + 86400", []).unwrap();
    drop(ledger);
    rig.start_again().await;
    rig.world.publish(rig.ended("room", 1));
    rig.world.publish(rig.ended("another", 1));
    rig.shows_the_truth().await;
}
