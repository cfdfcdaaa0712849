//! `verify`: the ledger against the API, by the real program.

use serde_json::{Value, json};
use tencent_live_exporter::sim::scenario::WindowFilter;
use tencent_live_exporter::sim::{Event, EventChange, EventId};

use crate::command_line::{Api, last_line, stops_cleanly};
use crate::support::child::{CommandLine, Ended, Process};
use crate::support::folder::Folder;
use crate::support::metrics::Metrics;
use crate::support::patience::{seen, until};

const DOMAIN: &str = "push.example.com";
const STOPPED: &str = "推流客户端主动断流";
const NETWORK: &str = "推流链路网络异常";

/// A command line whose sweeps are often and whose overlap is short, so that little is too fresh to be compared.
fn asked_by(api: &Api, arguments: &[&str]) -> CommandLine {
    let command = api.asked_by(arguments).env("TENCENT_LIVE__POLL__OVERLAP", "1s");
    command.env("TENCENT_LIVE__POLL__INITIAL_LOOKBACK", "12h")
}

/// A session that ended so many seconds ago.
fn ended_ago(api: &Api, stream: &str, ago: i64) -> EventId {
    let end = api.world.now() - ago;
    api.world.publish(Event::ended(DOMAIN, "live", stream, end - 60, end))
}

fn counts(page: &Metrics, disconnects: u64) -> bool {
    page.count("tencent_live_disconnects_total", &[]) == disconnects
}

/// An exporter that has counted so many disconnects.
async fn exporter(api: &Api, disconnects: u64) -> Process {
    let mut process = asked_by(api, &[]).start();
    process.metrics_when("all is counted", |page| counts(page, disconnects)).await;
    process
}

/// A ledger with so many disconnects, which nobody has open.
async fn ledger(api: &Api, disconnects: u64) -> Folder {
    stops_cleanly(exporter(api, disconnects).await, "TERM").await.folder
}

/// What `verify` says about the ledger in `folder`, which the process hands on.
async fn verify(api: &Api, folder: Folder, more: &[&str]) -> Ended {
    asked_by(api, &[&["verify", "--output", "json"], more].concat()).inside(folder).run().await
}

/// The only account's part of the answer.
fn found(ended: &Ended) -> Value {
    let document: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    assert_eq!(document["accounts"].as_array().unwrap().len(), 1, "{ended:?}");
    document["accounts"][0].clone()
}

/// What differs, as kind, stream, rows of the API and of the ledger.
fn differences(ended: &Ended) -> Vec<Value> {
    let short = |one: &Value| json!([one["difference"], one["stream"], one["api_rows"], one["ledger_rows"]]);
    found(ended)["differences"].as_array().unwrap().iter().map(short).collect()
}

#[tokio::test]
async fn verify_finds_nothing_on_a_sound_ledger_while_an_exporter_counts_on() {
    for filter in [WindowFilter::End, WindowFilter::Start, WindowFilter::Overlap] {
        let api = Api::start().await;
        api.world.set_quirks(|quirks| quirks.filter = filter);
        for n in 0..300 {
            ended_ago(&api, &format!("room_{}", n % 40), 120 + n * 20);
        }
        let end = api.world.now() - 1_000;
        api.world.publish_all((0..5).map(|_| Event::ended(DOMAIN, "live", "twins", end - 1, end)));
        // It began long before what is asked for.
        api.world.publish(Event::ended(DOMAIN, "live", "long", end - 5 * 3_600, end));
        let exporter = exporter(&api, 306).await;
        // More comes all the time, late and at once.
        let world = std::sync::Arc::clone(&api.world);
        let traffic = tokio::spawn(async move {
            for n in 0_i64.. {
                let end = world.now() - [1, 500, 3_000][usize::try_from(n % 3).unwrap()];
                world.publish(Event::ended(DOMAIN, "live", &*format!("new_{n}"), end - 30, end));
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        });
        let state = exporter.folder.join("data").display().to_string();
        let asked = ["verify", "--since", "3h", "--output", "json", "--state.path", &state];
        for _ in 0..3 {
            let ended = asked_by(&api, &asked).run().await;
            let found = found(&ended);
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{filter:?}: {ended:?}");
            assert_eq!(found["differences"], json!([]), "{filter:?}: {ended:?}");
            assert!(found["same"].as_u64() >= Some(306), "{filter:?}: {ended:?}");
        }
        traffic.abort();
        assert_eq!(stops_cleanly(exporter, "TERM").await.folder.names(), ["data"]);
    }
}

#[tokio::test]
async fn verify_finds_a_row_that_the_ledger_has_not_counted() {
    let api = Api::start().await;
    ended_ago(&api, "counted", 2_000);
    let folder = ledger(&api, 1).await;
    ended_ago(&api, "late", 1_800);
    let ended = verify(&api, folder, &[]).await;
    assert_eq!((ended.code, differences(&ended)), (Some(1), vec![json!(["not_counted", "late", 1, 0])]), "{ended:?}");
    let difference = found(&ended)["differences"][0].clone();
    let end = api.world.truth().sessions[1].end;
    let time = |at| jiff::Timestamp::from_second(at).unwrap().to_string();
    for (field, value) in [
        ("account", "main".to_owned()),
        ("domain", DOMAIN.to_owned()),
        ("app", "live".to_owned()),
        ("start", time(end - 60)),
        ("end", time(end)),
        ("reason", "client_stopped".to_owned()),
        ("reason_text", STOPPED.to_owned()),
    ] {
        assert_eq!(difference[field], json!(value), "{field}");
    }
    let table = asked_by(&api, &["verify"]).inside(ended.folder).run().await;
    assert_eq!(table.code, Some(1), "{table:?}");
    let row = table.stdout.lines().find(|line| line.starts_with("not counted ")).unwrap();
    for cell in ["main", DOMAIN, "live", "late", "client_stopped"] {
        assert!(row.split("  ").any(|part| part.trim() == cell), "{cell} is not in {row}");
    }
    // Counted by the next exporter, it is none any more.
    let mut exporter = asked_by(&api, &[]).inside(table.folder).start();
    exporter.metrics_when("it is counted", |page| counts(page, 2)).await;
    let ended = verify(&api, stops_cleanly(exporter, "TERM").await.folder, &[]).await;
    assert_eq!((ended.code, differences(&ended)), (Some(0), vec![]), "{ended:?}");
}

#[tokio::test]
async fn verify_finds_a_row_that_the_api_does_not_show() {
    let api = Api::start().await;
    let [_, hidden] = ["there", "hidden"].map(|stream| ended_ago(&api, stream, 2_000));
    let folder = ledger(&api, 2).await;
    api.world.hide(hidden);
    let ended = verify(&api, folder, &[]).await;
    assert_eq!((ended.code, differences(&ended)), (Some(1), vec![json!(["not_shown", "hidden", 0, 1])]), "{ended:?}");
    assert_eq!(found(&ended)["differences"][0]["reason"], json!("client_stopped"));
    api.world.show(hidden);
    let ended = verify(&api, ended.folder, &[]).await;
    assert_eq!((ended.code, differences(&ended)), (Some(0), vec![]), "{ended:?}");
}

#[tokio::test]
async fn verify_finds_another_number_of_equal_rows() {
    let api = Api::start().await;
    let end = api.world.now() - 2_000;
    let twins = |n: usize, stream: &str| {
        let twin = Event::ended(DOMAIN, "live", stream, end - 1, end);
        api.world.publish_all(std::iter::repeat_n(twin, n))
    };
    let (fewer, _) = (twins(3, "fewer"), twins(2, "more"));
    let folder = ledger(&api, 5).await;
    api.world.hide(fewer[0]);
    twins(1, "more");
    let ended = verify(&api, folder, &[]).await;
    let expected = vec![json!(["number", "fewer", 2, 3]), json!(["number", "more", 3, 2])];
    assert_eq!((ended.code, differences(&ended)), (Some(1), expected), "{ended:?}");
}

#[tokio::test]
async fn verify_finds_another_reason_and_takes_no_correction_for_a_difference() {
    let api = Api::start().await;
    let [other, moved, spelled] = ["other", "moved", "spelled"].map(|stream| ended_ago(&api, stream, 2_000));
    let folder = ledger(&api, 3).await;
    let end = api.world.event(moved).unwrap().end.map(|end| end + 20);
    api.world.change(other, EventChange { reason: Some(NETWORK.into()), ..EventChange::default() });
    api.world.change(moved, EventChange { end, client_ip: None, ..EventChange::default() });
    let spelling = Some("Push client interrupted the push.".into());
    api.world.change(spelled, EventChange { reason: spelling, ..EventChange::default() });
    let ended = verify(&api, folder, &[]).await;
    assert_eq!((ended.code, differences(&ended)), (Some(1), vec![json!(["reason", "other", 1, 0])]), "{ended:?}");
    let difference = found(&ended)["differences"][0].clone();
    assert_eq!((&difference["reason"], &difference["counted_as"]), (&json!("network_error"), &json!("client_stopped")));
    assert_eq!((found(&ended)["corrected"].as_u64(), found(&ended)["same"].as_u64()), (Some(2), Some(2)), "{ended:?}");
    let table = asked_by(&api, &["verify"]).inside(ended.folder).run().await;
    assert!(table.stdout.contains("network_error, counted as client_stopped"), "{table:?}");
}

#[tokio::test]
async fn verify_waits_for_what_a_running_exporter_is_about_to_count() {
    let api = Api::start().await;
    ended_ago(&api, "counted", 2_000);
    let exporter = exporter(&api, 1).await;
    exporter.signal("STOP");
    ended_ago(&api, "late", 1_800);
    let asked = api.world.requests().count;
    let state = exporter.folder.join("data").display().to_string();
    let verify = asked_by(&api, &["verify", "--output", "json", "--state.path", &state]).start();
    // Its listing, and its second look at what differs.
    until("it has asked", async || seen(api.world.requests().count >= asked + 3, api.world.requests())).await;
    exporter.signal("CONT");
    let ended = verify.ended().await;
    assert_eq!((ended.code, differences(&ended)), (Some(0), vec![]), "{ended:?}");
    assert_eq!(found(&ended)["same"], json!(2));
    stops_cleanly(exporter, "TERM").await;
}

#[tokio::test]
async fn verify_leaves_out_what_is_too_fresh_and_says_how_much() {
    let api = Api::start().await;
    ended_ago(&api, "counted", 2_000);
    let folder = ledger(&api, 1).await;
    for stream in ["fresh", "fresh_too"] {
        ended_ago(&api, stream, 0);
    }
    until("the second is over", async || seen(api.world.now() > api.world.truth().sessions[2].end + 1, ())).await;
    let ended = verify(&api, folder, &[]).await;
    assert_eq!((ended.code, differences(&ended)), (Some(0), vec![]), "{ended:?}");
    assert_eq!((&found(&ended)["same"], &found(&ended)["left_out"]["fresh"]), (&json!(1), &json!(2)), "{ended:?}");
    let table = asked_by(&api, &["verify"]).inside(ended.folder).run().await;
    assert!(table.stdout.contains("left out: 2 that ended later"), "{table:?}");
}

#[tokio::test]
async fn verify_leaves_out_what_no_sweep_can_have_found_yet() {
    let api = Api::start().await;
    api.world.set_quirks(|quirks| quirks.filter = WindowFilter::Start);
    ended_ago(&api, "counted", 2_000);
    let exporter = exporter(&api, 1).await;
    // Sweeps look at whole slices, so one that began in this one, before what polls list, has to wait for its end.
    let slice = 64;
    let in_slice = || api.world.now() % slice;
    until("the slice has begun and will last", async || seen((8..50).contains(&in_slice()), in_slice())).await;
    let start = api.world.now() - in_slice();
    api.world.publish(Event::ended(DOMAIN, "live", "waits", start, start + 1));
    let polled = api.world.requests().count;
    until("it has been polled", async || seen(api.world.requests().count > polled + 2, ())).await;
    let ended = verify(&api, stops_cleanly(exporter, "TERM").await.folder, &[]).await;
    assert_eq!((ended.code, differences(&ended)), (Some(0), vec![]), "{ended:?}");
    assert_eq!((&found(&ended)["same"], &found(&ended)["left_out"]["fresh"]), (&json!(1), &json!(1)), "{ended:?}");
}

#[tokio::test]
async fn verify_is_not_misled_by_what_records_keep_of_addresses() {
    for client_ip in ["masked", "none", "full"] {
        let api = Api::start().await;
        let end = api.world.now() - 2_000;
        for last in 1..=3 {
            let event = Event::ended(DOMAIN, "live", "room", end - 60, end);
            api.world.publish(event.from_ip(format!("198.51.100.{last}")));
        }
        let mut exporter = asked_by(&api, &[]).env("TENCENT_LIVE__STATE__CLIENT_IP", client_ip).start();
        exporter.metrics_when("all is counted", |page| counts(page, 3)).await;
        let folder = stops_cleanly(exporter, "TERM").await.folder;
        let ended = verify(&api, folder, &[]).await;
        assert_eq!((ended.code, differences(&ended)), (Some(0), vec![]), "{client_ip}: {ended:?}");
        assert_eq!(found(&ended)["same"], json!(3), "{client_ip}: {ended:?}");
    }
}

#[tokio::test]
async fn verify_is_not_misled_by_records_that_are_kept_no_longer() {
    let api = Api::start().await;
    let hidden = ended_ago(&api, "hidden", 5 * 3_600);
    ended_ago(&api, "there", 5 * 3_600);
    let folder = ledger(&api, 2).await;
    let books = rusqlite::Connection::open(folder.join("data").join("ledger.sqlite")).unwrap();
    // As `state.retention` does.
    assert_eq!(books.execute("DELETE FROM record", []).unwrap(), 2);
    drop(books);
    let ended = verify(&api, folder, &[]).await;
    assert_eq!((ended.code, &found(&ended)["same"]), (Some(0), &json!(2)), "{ended:?}");
    // Nobody knows its name any more: it can neither be found nor missed.
    api.world.hide(hidden);
    let ended = verify(&api, ended.folder, &[]).await;
    assert_eq!((ended.code, differences(&ended)), (Some(0), vec![]), "{ended:?}");
    assert_eq!((&found(&ended)["same"], &found(&ended)["left_out"]["unnamed"]), (&json!(1), &json!(1)), "{ended:?}");
}

#[tokio::test]
async fn verify_leaves_out_what_was_never_counted_or_is_forgotten() {
    let api = Api::start().await;
    ended_ago(&api, "before_the_first_start", 20 * 3_600);
    ended_ago(&api, "counted", 2_000);
    let folder = ledger(&api, 1).await;
    ended_ago(&api, "late_and_before_the_first_start", 20 * 3_600);
    let ended = verify(&api, folder, &[]).await;
    assert_eq!((ended.code, differences(&ended)), (Some(0), vec![]), "{ended:?}");
    assert_eq!((&found(&ended)["same"], &found(&ended)["left_out"]["earlier"]), (&json!(1), &json!(2)), "{ended:?}");
    let books = rusqlite::Connection::open(ended.folder.join("data").join("ledger.sqlite")).unwrap();
    assert_eq!(books.execute("UPDATE account SET floor = ?1", [api.world.now() - 1_000]).unwrap(), 1);
    drop(books);
    let table = asked_by(&api, &["verify"]).inside(ended.folder).run().await;
    assert_eq!(table.code, Some(0), "{table:?}");
    assert!(
        table.stdout.contains("3 that ended earlier: the ledger has forgotten them, poll.horizon is 3d"),
        "{table:?}"
    );
}

#[tokio::test]
async fn verify_without_a_ledger_to_compare_with_says_what_to_do_and_asks_nothing() {
    let api = Api::start().await;
    for (path, code, words) in [
        ("nowhere", 1, "there is no ledger in nowhere; name the folder of one with --state.path"),
        (":memory:", 2, "state.path is :memory:"),
    ] {
        let ended = asked_by(&api, &["verify", "--state.path", path]).run().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{ended:?}");
        assert!(last_line(&ended).contains(words), "{ended:?}");
        assert!(ended.folder.names().is_empty(), "nothing is made");
    }
    assert_eq!(api.world.requests().count, 0);
    ended_ago(&api, "room", 2_000);
    let folder = ledger(&api, 1).await;
    let other = asked_by(&api, &["verify"]).inside(folder).env("TENCENT_LIVE__ACCOUNTS__0__NAME", "other");
    let ended = other.run().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(last_line(&ended).contains("account other: the ledger has not listed it yet"), "{ended:?}");
}
