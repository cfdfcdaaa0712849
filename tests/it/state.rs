//! `state`: the ledger, looked at by the real program.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_bytes::ByteBuf;
use serde_json::{Value, json};
use tencent_live_exporter::sim::{Event, Name};

use crate::command_line::{Api, last_line, stops_cleanly};
use crate::support::child::{CommandLine, Ended, Process};
use crate::support::folder::Folder;
use crate::support::metrics::Metrics;

const DOMAIN: &str = "push.example.com";
const STREAMS: &str = "tencent_live_stream_disconnects_total";

/// Twelve sessions of hostile and of usual names.
fn publish(api: &Api) {
    let now = api.world.now();
    let names = [
        Name::from("room"),
        Name::from("=1+1"),
        Name::from("\u{1b}[2J\"\n,"),
        Name::from("房间一"),
        Name::new(b"half \xed\xa0\xbd"),
        Name::from("x".repeat(300).as_str()),
    ];
    for (n, name) in (0_i64..).zip(names) {
        let end = now - 100 - n;
        let event = Event::ended(DOMAIN, "live", name, end - 10, end);
        api.world.publish_all([event.clone(), event.because("推流链路网络异常")]);
    }
}

/// An exporter that has counted all of it.
async fn exporter(api: &Api) -> Process {
    let mut process = api.asked_by(&[]).start();
    let all = |page: &Metrics| page.count("tencent_live_disconnects_total", &[]) == 12;
    process.metrics_when("all is counted", all).await;
    process
}

/// A ledger of it that nobody has open.
async fn ledger() -> Folder {
    let api = Api::start().await;
    publish(&api);
    stops_cleanly(exporter(&api).await, "TERM").await.folder
}

/// `state` with the ledger in the folder `path`; it needs neither keys nor an API.
async fn state(path: &Path, arguments: &[&str]) -> Ended {
    CommandLine::new(&[&["state"], arguments, &["--state.path", path.to_str().unwrap()]].concat()).run().await
}

fn books(folder: &Folder) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join("data").join("ledger.sqlite")).unwrap()
}

/// The version of its schema.
fn version(folder: &Folder) -> i64 {
    books(folder).query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

/// What each line of a file says.
fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test]
async fn state_show_tells_what_the_ledger_holds_beside_a_running_exporter() {
    let api = Api::start().await;
    publish(&api);
    let exporter = exporter(&api).await;
    let data = exporter.folder.join("data");
    let version = version(&exporter.folder);
    let shown = state(&data, &["show", "--output", "json"]).await;
    assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""), "{shown:?}");
    let document: Value = serde_json::from_str(&shown.stdout).unwrap();
    for (key, value) in [
        ("schema_version", json!(version)),
        ("disconnects", json!(12)),
        ("excluded_disconnects", json!(0)),
        ("domains", json!(1)),
        ("series", json!(12)),
        ("groups", json!(6)),
        ("sessions", json!(12)),
        ("records", json!(12)),
    ] {
        assert_eq!(document[key], value, "{key}: {document:#}");
    }
    let account = &document["accounts"][0];
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    let now = api.world.now();
    assert_eq!((&account["account"], &account["listings"][0]["domain"]), (&json!("main"), &json!(null)));
    assert!((now - 60..=now).contains(&time(&account["listings"][0]["watermark"])), "{account}");
    assert!((now - 60..=now).contains(&time(&account["first_start"])), "{account}");
    assert_eq!(time(&account["first_start"]) - time(&account["counts_since"]), 3_600, "{account}");
    assert_eq!(time(&account["first_start"]) - time(&account["floor"]), 72 * 3_600, "{account}");
    let newest = api.world.truth().sessions.iter().map(|session| session.end).max().unwrap();
    assert_eq!(time(&document["newest_record"]), newest);
    let file = |name: &str| document["files"].as_array().unwrap().iter().find(|file| file["name"] == name).cloned();
    let size = std::fs::metadata(data.join("ledger.sqlite")).unwrap().len();
    assert_eq!(file("ledger.sqlite").unwrap()["bytes"], json!(size), "{document:#}");
    let table = state(&data, &["show"]).await;
    assert_eq!(table.code, Some(0), "{table:?}");
    for words in
        [&*format!("schema version   {version}\n"), "12, 0 of them in no series", "6 with 12 sessions", "main     */*"]
    {
        assert!(table.stdout.contains(words), "{words} is not in\n{}", table.stdout);
    }
    stops_cleanly(exporter, "TERM").await;
}

#[tokio::test]
async fn state_check_finds_nothing_on_a_sound_ledger_in_use_or_not() {
    let api = Api::start().await;
    publish(&api);
    let exporter = exporter(&api).await;
    let used = state(&exporter.folder.join("data"), &["check"]).await;
    assert_eq!((used.code, used.stdout.as_str()), (Some(0), "the ledger is sound\n"), "{used:?}");
    let folder = stops_cleanly(exporter, "TERM").await.folder;
    let unused = state(&folder.join("data"), &["check"]).await;
    assert_eq!((unused.code, unused.stdout.as_str()), (Some(0), "the ledger is sound\n"), "{unused:?}");
}

#[tokio::test]
async fn state_check_finds_each_planted_corruption() {
    let sound = ledger().await;
    for (sql, words) in [
        ("UPDATE series SET total = total + 1 WHERE id = 3", "by stream or excluded"),
        ("UPDATE domain_reason SET total = total + 1 WHERE reason = 'network_error'", "by duration"),
        ("UPDATE domain_duration SET sessions = sessions + 1", "by duration"),
        ("UPDATE series SET reason = 'auth_failed' WHERE id = 0", "auth_failed"),
        ("DELETE FROM domain", "Integer 0 out of range"),
        ("UPDATE session_group SET accounted = substr(accounted, 1, 7)", "is cut short"),
        ("UPDATE session_group SET last_end = last_end + 1", "does not end when it says"),
        ("UPDATE session_group SET account = 'nobody'", "account \"nobody\", which is not in the ledger"),
        ("UPDATE session_group SET accounted = substr(accounted, 1, 16)", "the group has 0"),
        ("DELETE FROM session_group", "the group has 0"),
        ("DELETE FROM record_kind", "no kind for record number"),
        ("DELETE FROM record_stream WHERE name = CAST('room' AS BLOB)", "no stream for record number"),
        ("DELETE FROM record_sum WHERE width = 3600", "by their sum"),
        ("UPDATE record_sum SET records = 99 WHERE width = 28800", "records of the 8 h from"),
        ("DELETE FROM account", "no account for listing number"),
        ("DELETE FROM scope", "no listing for slices of number"),
        ("DROP INDEX record_end", "its schema is not that of its version"),
        ("DROP TRIGGER record_gone; DELETE FROM record WHERE id = 1", "its schema is not that of its version"),
    ] {
        let folder = Folder::new();
        std::fs::create_dir(folder.join("data")).unwrap();
        std::fs::copy(sound.join("data").join("ledger.sqlite"), folder.join("data").join("ledger.sqlite")).unwrap();
        books(&folder).execute_batch(sql).unwrap();
        let ended = state(&folder.join("data"), &["check"]).await;
        assert_eq!(ended.code, Some(1), "{sql}: {ended:?}");
        assert!(ended.stdout.lines().any(|line| line.contains(words)), "{sql}: {words} is not in\n{}", ended.stdout);
        assert!(last_line(&ended).contains("put a backup in its place"), "{ended:?}");
    }
}

#[tokio::test]
async fn state_check_finds_damaged_pages_and_changes_nothing() {
    let folder = ledger().await;
    let file = folder.join("data").join("ledger.sqlite");
    let mut bytes = std::fs::read(&file).unwrap();
    // Every page but the first.
    for page in bytes.chunks_mut(4_096).skip(1) {
        page[..8].fill(0xff);
    }
    std::fs::write(&file, &bytes).unwrap();
    let ended = state(&folder.join("data"), &["check"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!ended.stdout.is_empty(), "{ended:?}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "it is left as it was");
    std::fs::write(&file, "no ledger, but somebody's only copy").unwrap();
    let ended = state(&folder.join("data"), &["check"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("file is not a database"), "{ended:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "no ledger, but somebody's only copy");
}

#[tokio::test]
async fn state_export_writes_the_totals_that_metrics_shows() {
    let api = Api::start().await;
    publish(&api);
    let exclude = "[{ stream: '=.*' }]";
    let settings = format!("series: {{ exclude: {exclude} }}\n");
    let mut exporter = api.asked_by(&["--config.file", "c.yaml"]).file("c.yaml", &settings).start();
    let all = |page: &Metrics| page.count("tencent_live_disconnects_total", &[]) == 12;
    let page = exporter.metrics_when("all is counted", all).await;
    let data = exporter.folder.join("data");
    let ended = state(&data, &["export"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let totals = lines(&ended.stdout);
    let sum = |excluded: bool| -> u64 {
        let these = totals.iter().filter(|one| one["excluded"] == json!(excluded));
        these.map(|one| one["total"].as_u64().unwrap()).sum()
    };
    assert_eq!((sum(false), sum(true)), (10, 2), "{ended:?}");
    for one in totals.iter().filter(|one| one["excluded"] == json!(false)) {
        let labels = ["domain", "app", "stream", "reason"].map(|label| (label, one[label].as_str().unwrap()));
        assert_eq!(page.count(STREAMS, &labels), one["total"].as_u64().unwrap(), "{one}");
        assert!(one["created"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{one}");
    }
    let csv = state(&data, &["export", "--output", "csv"]).await;
    assert_eq!(csv.code, Some(0), "{csv:?}");
    assert!(csv.stdout.starts_with("\"domain\",\"app\",\"stream\",\"reason\",\"total\",\"created\",\"excluded\"\r\n"));
    assert_eq!(csv.stdout.matches("\",\"network_error\",\"1\",\"").count(), 6, "{}", csv.stdout);
    stops_cleanly(exporter, "TERM").await;
}

#[derive(Deserialize)]
struct Record {
    domain: ByteBuf,
    app: ByteBuf,
    stream: ByteBuf,
    end: String,
    reason: String,
    client_ip: String,
    counted: bool,
}

#[tokio::test]
async fn state_export_writes_the_records_with_their_exact_names() {
    let api = Api::start().await;
    publish(&api);
    let exporter = exporter(&api).await;
    let data = exporter.folder.join("data");
    let ended = state(&data, &["export", "--records"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let records: Vec<Record> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(records.iter().all(|record| record.client_ip == "203.0.113.0/24" && record.counted));
    let mut told: BTreeMap<_, u64> = BTreeMap::new();
    for Record { domain, app, stream, end, reason, .. } in records {
        *told.entry((domain.into_vec(), app.into_vec(), stream.into_vec(), end, reason)).or_default() += 1;
    }
    let mut truth: BTreeMap<_, u64> = BTreeMap::new();
    for session in api.world.truth().sessions {
        let names = [session.series.domain, session.series.app, session.series.stream];
        let [domain, app, stream] = names.map(|name| name.as_bytes().to_vec());
        let end = jiff::Timestamp::from_second(session.end).unwrap().to_string();
        *truth.entry((domain, app, stream, end, session.series.reason.to_owned())).or_default() += 1;
    }
    assert_eq!(told, truth);
    let csv = state(&data, &["export", "--records", "--output", "csv"]).await;
    assert!(csv.stdout.contains(",\"'=1+1\",") && !csv.stdout.contains(",\"=1+1\","), "{csv:?}");
    stops_cleanly(exporter, "TERM").await;
}

#[tokio::test]
async fn state_export_writes_a_new_file_for_this_user_alone_and_none_over_another() {
    let folder = ledger().await;
    let (data, to) = (folder.join("data"), folder.join("totals.jsonl"));
    let asked = ["export", "--to", to.to_str().unwrap()];
    let ended = state(&data, &asked).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    let written = std::fs::read_to_string(&to).unwrap();
    assert_eq!(written, state(&data, &["export"]).await.stdout);
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    let again = state(&data, &asked).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(last_line(&again).contains("name a new file"), "{again:?}");
    assert_eq!(std::fs::read_to_string(&to).unwrap(), written);
}

#[tokio::test]
async fn state_backup_copies_whole_while_an_exporter_writes_and_counting_goes_on_from_the_copy() {
    let api = Api::start().await;
    publish(&api);
    let exporter = exporter(&api).await;
    let world = std::sync::Arc::clone(&api.world);
    let traffic = tokio::spawn(async move {
        for n in 0.. {
            let end = world.now() - 10;
            let burst = (0..40).map(|m| Event::ended(DOMAIN, "live", &*format!("new_{n}_{m}"), end - 30, end));
            world.publish_all(burst);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let data = exporter.folder.join("data");
    for n in 0..5 {
        let restored = Folder::new();
        let to: PathBuf = restored.join("ledger.sqlite");
        let ended = state(&data, &["backup", to.to_str().unwrap()]).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{n}: {ended:?}");
        assert_eq!(restored.names(), ["ledger.sqlite"], "{n}: nothing else is left");
        assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
        let check = state(restored.path(), &["check"]).await;
        assert_eq!((check.code, check.stdout.as_str()), (Some(0), "the ledger is sound\n"), "{n}: {check:?}");
        let again = state(&data, &["backup", to.to_str().unwrap()]).await;
        assert_eq!(again.code, Some(1), "{again:?}");
        assert!(last_line(&again).contains("it is there already; name a new file"), "{again:?}");
        if n == 4 {
            traffic.abort();
            let mut next = api.asked_by(&["--state.path", restored.path().to_str().unwrap()]).start();
            let published = api.world.truth().published;
            let all = |page: &Metrics| page.count("tencent_live_disconnects_total", &[]) == published;
            next.metrics_when("all is counted once", all).await;
            stops_cleanly(next, "TERM").await;
        }
    }
    stops_cleanly(exporter, "TERM").await;
}

#[tokio::test]
async fn state_says_what_to_do_about_a_ledger_of_another_version_or_none() {
    let folder = ledger().await;
    let data = folder.join("data");
    let copy = folder.join("copy").display().to_string();
    let known = version(&folder);
    let (older, newer) = (known - 1, known + 1);
    for (version, words) in [
        (
            older,
            format!("schema version {older}, this program reads {known}; start the exporter of this version on it"),
        ),
        (
            newer,
            format!("schema version {newer}, this program knows up to {known}; run the newer version that wrote it"),
        ),
    ] {
        books(&folder).execute_batch(&format!("PRAGMA user_version = {version}")).unwrap();
        for arguments in [&["show"][..], &["check"], &["export"], &["export", "--records"]] {
            let ended = state(&data, arguments).await;
            assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{arguments:?}: {ended:?}");
            assert!(last_line(&ended).contains(&words), "{arguments:?}: {ended:?}");
        }
    }
    // A copy of an older one is as good as it.
    books(&folder).execute_batch(&format!("PRAGMA user_version = {older}")).unwrap();
    assert_eq!(state(&data, &["backup", &copy]).await.code, Some(0));
    for (path, code, words) in
        [(folder.join("nowhere"), 1, "there is no ledger in"), (PathBuf::from(":memory:"), 2, "state.path is :memory:")]
    {
        for arguments in [&["show"][..], &["check"], &["export"], &["backup", "never"]] {
            let ended = state(&path, arguments).await;
            assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{arguments:?}: {ended:?}");
            assert!(last_line(&ended).contains(words) && last_line(&ended).contains("--state.path"), "{ended:?}");
            assert!(ended.folder.names().is_empty(), "{:?}", ended.folder.names());
        }
    }
}

#[tokio::test]
async fn state_without_a_place_for_the_log_says_what_to_do() {
    let folder = ledger().await;
    let data = folder.join("data");
    // As in a folder that this user may not write.
    std::fs::create_dir(data.join("ledger.sqlite-wal")).unwrap();
    let copy = folder.join("copy").display().to_string();
    for arguments in [&["show"][..], &["check"], &["export"], &["backup", &copy]] {
        let ended = state(&data, arguments).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{arguments:?}: {ended:?}");
        assert!(last_line(&ended).contains("make it writable for this user"), "{arguments:?}: {ended:?}");
    }
    assert_eq!(folder.names(), ["data"], "no half of a copy is left");
}

#[tokio::test]
async fn state_writes_nothing_to_the_ledger() {
    let folder = ledger().await;
    let data = folder.join("data");
    let bytes = std::fs::read(data.join("ledger.sqlite")).unwrap();
    let copy = folder.join("copy").display().to_string();
    for arguments in [&["show"][..], &["check"], &["export"], &["export", "--records"], &["backup", &copy]] {
        let ended = state(&data, arguments).await;
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        assert_eq!(std::fs::read(data.join("ledger.sqlite")).unwrap(), bytes, "{arguments:?}");
    }
}
