//! `doctor`: each thing that may be wrong, told in its line and in no other, by the real program.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tencent_live_exporter::app::{self, AskedExamination};
use tencent_live_exporter::poller::Status;
use tencent_live_exporter::settings::{CredentialSource, ProfilePlaces, Settings};
use tencent_live_exporter::sim::scenario::{Bounds, Domain, WindowFilter};
use tencent_live_exporter::sim::{Event, Fault, Name};

use crate::command_line::{Api, last_line, stops_cleanly};
use crate::support::certificates::Authority;
use crate::support::child::{CommandLine, Ended};
use crate::support::issuers::{ISSUED_ID, Issuers, issued};
use crate::support::metrics::Metrics;
use crate::support::proxy::tls_before;
use crate::support::scripted::{Scripted, Step};

const DOMAIN: &str = "push.example.com";
const EVENTS: &str = "DescribeLiveStreamEventList";
const DOMAINS: &str = "DescribeLiveDomains";
const ONLINE: &str = "DescribeLiveStreamOnlineList";

/// What requests are signed with, which is nobody's business.
const SECRET_KEY: &str = "CANARYkeyCANARYkeyCANARYkey00000";

/// An API with a push domain and sessions of two apps, which tell all that rows can tell.
async fn healthy() -> Api {
    let api = Api::start().await;
    api.world.add_domain(Domain::push(DOMAIN));
    for (n, app) in (0_i64..).zip(["live", "game", "live"]) {
        session(&api, app, &format!("room_{n}"), 600 + n);
    }
    let now = api.world.now();
    api.world.publish(Event::live(DOMAIN, "live", "goes_on", now - 90).live_from(now + 3_600));
    api
}

/// A session that lasted five minutes, and ended so many seconds ago.
fn session(api: &Api, app: &str, stream: &str, ago: i64) {
    let end = api.world.now() - ago;
    api.world.publish(Event::ended(DOMAIN, app, stream, end - 300, end));
}

async fn doctor(api: &Api, more: &[&str]) -> Ended {
    api.asked_by(&[&["doctor", "--output", "json"], more].concat()).run().await
}

fn document(ended: &Ended) -> Value {
    assert!(!ended.stdout.contains(SECRET_KEY) && !ended.stderr.contains(SECRET_KEY), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// The check of that name.
fn check(ended: &Ended, name: &str) -> Value {
    let document = document(ended);
    let found = document["checks"].as_array().unwrap().iter().filter(|check| check["check"] == name);
    let [found] = &found.cloned().collect::<Vec<_>>()[..] else { panic!("{name} once: {document:#}") };
    found.clone()
}

fn text<'a>(check: &'a Value, member: &str) -> &'a str {
    check[member].as_str().unwrap_or_else(|| panic!("{member} is no text: {check}"))
}

/// The checks that are not ok, with what they came to.
fn others(ended: &Ended) -> Vec<(String, String)> {
    let pair = |check: &Value| (text(check, "check").to_owned(), text(check, "status").to_owned());
    let pairs = document(ended)["checks"].as_array().unwrap().iter().map(pair).collect::<Vec<_>>();
    pairs.into_iter().filter(|(_, status)| status != "ok").collect()
}

fn named(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, status)| ((*name).to_owned(), (*status).to_owned())).collect()
}

/// What is skipped where rows cannot be asked for.
const OF_ROWS: [(&str, &str); 5] = [
    ("rows", "skipped"),
    ("window", "skipped"),
    ("publication_delay", "skipped"),
    ("apps", "skipped"),
    ("reasons", "skipped"),
];

/// The same, and what is skipped where nothing else can be either.
fn nothing_known() -> Vec<(&'static str, &'static str)> {
    let more = ["permission_domains", "domains", "permission_online"].map(|name| (name, "skipped"));
    more.into_iter().chain(OF_ROWS).collect()
}

#[tokio::test]
async fn on_a_healthy_platform_all_is_well_but_what_nobody_has_watched_yet() {
    let api = healthy().await;
    let ended = doctor(&api, &[]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert_eq!(others(&ended), named(&[("publication_delay", "unknown")]), "{ended:?}");
    for (name, words) in [
        ("config", "no file"),
        ("credentials", "environment (TENCENTCLOUD_SECRET_ID), secret id AKIDcana…;"),
        ("reachability", "answers"),
        ("tls", "plain HTTP to this machine"),
        ("clock", "clock"),
        ("permission_events", EVENTS),
        ("permission_domains", DOMAINS),
        ("domains", "1 push domain"),
        ("permission_online", "is allowed; 1 stream online"),
        ("rows", "3 in the last hour: 3 finished, 0 unfinished, 0 that cannot be read"),
        ("window", "3 sessions were shown by a window at the end, and not by one at the start or in between"),
        ("window", "its first and its last second belong to it"),
        ("apps", "shows all apps: there are rows of game, live"),
        ("reasons", "knows the reasons of 3 rows"),
        ("state", "can be made"),
    ] {
        let check = check(&ended, name);
        assert!(text(&check, "message").contains(words), "{words} is not in {check}");
    }
    assert!(ended.folder.names().is_empty(), "nothing is left behind");
    let document = document(&ended);
    let actions = [EVENTS, ONLINE, DOMAINS].map(|action| format!("live:{action}"));
    let allowed = json!({
        "version": "2.0",
        "statement": [{ "effect": "allow", "action": actions, "resource": ["*"] }],
    });
    assert_eq!(document["accounts"][0]["policy"], allowed);
    assert_eq!(document["accounts"][0]["requests"], json!(api.world.requests().count));
}

#[tokio::test]
async fn one_line_is_one_check_and_the_policy_comes_last() {
    let api = healthy().await;
    let ended = api.asked_by(&["doctor"]).run().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let (table, rest) = ended.stdout.split_once("\n\n").unwrap();
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("STATUS   CHECK               FOUND"), "no account where there is one");
    let words: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().take(2).collect()).collect();
    assert_eq!(words.len(), 17, "{table}");
    assert!(words.iter().all(|words| words[0] == "ok" || words[..] == ["unknown", "publication_delay"]), "{table}");
    assert!(rest.contains("16 ok, 1 unknown; "), "{rest}");
    let policy: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    assert_eq!(policy["version"], "2.0");
    assert!(!ended.stdout.contains(SECRET_KEY));
}

#[tokio::test]
async fn several_accounts_are_examined_each_and_told_apart() {
    let (api, other) = (healthy().await, healthy().await);
    other.world.set_quirks(|quirks| quirks.denied_actions = vec![EVENTS.to_owned()]);
    let command = |arguments: &[&str]| {
        let command = api.asked_by(arguments).env("TENCENT_LIVE__ACCOUNTS__1__NAME", "other");
        command.env("TENCENT_LIVE__ACCOUNTS__1__ENDPOINT", &other.endpoint())
    };
    let ended = command(&["doctor"]).run().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let row = |words: [&str; 3]| {
        let is_row = |line: &str| line.split_whitespace().take(3).eq(words);
        assert!(ended.stdout.lines().any(is_row), "{words:?} is not in {}", ended.stdout);
    };
    row(["ok", "main", "permission_events"]);
    row(["failure", "other", "permission_events"]);
    row(["ok", "-", "state"]);
    let ended = command(&["doctor", "--account", "main"]).run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = command(&["doctor", "--account", "nobody"]).run().await;
    assert!(ended.code == Some(2) && last_line(&ended).contains("the configuration has main, other"), "{ended:?}");
}

#[tokio::test]
async fn a_missing_permission_is_told_with_its_statement_and_what_rests_on_it_is_skipped() {
    let api = healthy().await;
    api.world.set_quirks(|quirks| quirks.denied_actions = vec![EVENTS.to_owned()]);
    let ended = doctor(&api, &[]).await;
    let wanted = [("permission_events", "failure"), ("service", "skipped")].into_iter().chain(OF_ROWS);
    assert_eq!(others(&ended), named(&wanted.collect::<Vec<_>>()), "{ended:?}");
    assert_eq!(ended.code, Some(1));
    let statement = r#"{"effect":"allow","action":["live:DescribeLiveStreamEventList"],"resource":["*"]}"#;
    assert!(text(&check(&ended, "permission_events"), "advice").contains(statement), "{ended:?}");
    // Where domains are named, the statement is about them.
    let command = api.asked_by(&["doctor", "--output", "json"]).env("TENCENT_LIVE__ACCOUNTS__0__DOMAINS", DOMAIN);
    let ended = command.run().await;
    let resource = format!(r#""resource":["qcs::live::uin/:domain/{DOMAIN}"]"#);
    assert!(text(&check(&ended, "permission_events"), "advice").contains(&resource), "{ended:?}");
}

#[tokio::test]
async fn without_leave_to_list_domains_there_is_a_warning_and_none_where_they_are_not_to_be_listed() {
    let api = healthy().await;
    api.world.set_quirks(|quirks| quirks.denied_actions = vec![DOMAINS.to_owned()]);
    let ended = doctor(&api, &[]).await;
    let wanted = [("permission_domains", "warning"), ("domains", "skipped"), ("publication_delay", "unknown")];
    assert_eq!((ended.code, others(&ended)), (Some(0), named(&wanted)), "{ended:?}");
    let advice = check(&ended, "permission_domains");
    assert!(text(&advice, "advice").contains(r#""action":["live:DescribeLiveDomains"],"resource":["*"]"#), "{advice}");
    let command = api.asked_by(&["doctor", "--output", "json"]);
    let ended = command.env("TENCENT_LIVE__ACCOUNTS__0__DISCOVER_DOMAINS", "false").run().await;
    let wanted = [("permission_domains", "skipped"), ("domains", "skipped"), ("publication_delay", "unknown")];
    assert_eq!((ended.code, others(&ended)), (Some(0), named(&wanted)), "{ended:?}");
    assert!(!document(&ended)["accounts"][0]["policy"].to_string().contains(DOMAINS), "{ended:?}");
}

#[tokio::test]
async fn without_leave_to_count_streams_there_is_a_warning_and_none_where_they_are_not_to_be_counted() {
    let api = healthy().await;
    api.world.set_quirks(|quirks| quirks.denied_actions = vec![ONLINE.to_owned()]);
    let command = || api.asked_by(&["doctor", "--output", "json"]).env("TENCENT_LIVE__ACCOUNTS__0__DOMAINS", DOMAIN);
    let ended = command().run().await;
    let wanted = [("permission_online", "warning"), ("publication_delay", "unknown")];
    assert_eq!((ended.code, others(&ended)), (Some(0), named(&wanted)), "{ended:?}");
    let statement = format!(
        r#"{{"effect":"allow","action":["live:{ONLINE}"],"resource":["qcs::live::uin/:domain/{DOMAIN}"]}}; or set streams_online"#
    );
    let online = check(&ended, "permission_online");
    assert!(text(&online, "advice").contains(&statement), "{online}");
    let ended = command().env("TENCENT_LIVE__ACCOUNTS__0__STREAMS_ONLINE", "false").run().await;
    let wanted = [("permission_online", "skipped"), ("publication_delay", "unknown")];
    assert_eq!((ended.code, others(&ended)), (Some(0), named(&wanted)), "{ended:?}");
    assert!(!document(&ended)["accounts"][0]["policy"].to_string().contains(ONLINE), "{ended:?}");
}

#[tokio::test]
async fn a_wrong_key_is_told_and_nobody_blames_the_network() {
    let api = healthy().await;
    let command = api.asked_by(&["doctor", "--output", "json"]);
    let ended = command.env("TENCENTCLOUD_SECRET_KEY", "CANARYwrongCANARYwrong").run().await;
    let wanted = [("key", "failure"), ("permission_events", "skipped"), ("service", "skipped")];
    let wanted: Vec<_> = wanted.into_iter().chain(nothing_known()).collect();
    assert_eq!((ended.code, others(&ended)), (Some(1), named(&wanted)), "{ended:?}");
    let key = check(&ended, "key");
    assert!(text(&key, "message").contains("AuthFailure.SignatureFailure"), "{key}");
    assert!(text(&key, "advice").contains("check secret_id and secret_key"), "{key}");
    assert!(!ended.stdout.contains("CANARYwrong") && !ended.stderr.contains("CANARYwrong"), "{ended:?}");
}

#[tokio::test]
async fn without_keys_it_says_where_it_has_looked_and_asks_nothing() {
    let api = healthy().await;
    let command = CommandLine::new(&["doctor", "--output", "json"]).env("HOME", "/nowhere");
    let ended = command.env("TENCENT_LIVE__ACCOUNTS__0__ENDPOINT", &api.endpoint()).run().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
    let credentials = check(&ended, "credentials");
    assert!(credentials["status"] == "failure" && text(&credentials, "message").contains("/nowhere"), "{credentials}");
    assert!(others(&ended)[1..].iter().all(|(_, status)| status == "skipped"), "{ended:?}");
    assert_eq!(api.world.requests().count, 0);
}

#[tokio::test]
async fn a_bad_configuration_is_told_as_everywhere() {
    let ended = CommandLine::new(&["doctor"]).env("TENCENT_LIVE__POLL__INTERVAL", "soon").run().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains("poll.interval"), "{ended:?}");
    let ended = CommandLine::new(&["doctor", "--watch", "2h"]).run().await;
    assert!(ended.code == Some(2) && ended.stderr.contains("up to 1h"), "{ended:?}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_by_how_much() {
    for (skew, status, code) in [(30, "ok", 0), (90, "warning", 0), (-90, "warning", 0), (-600, "failure", 1)] {
        let api = Api::start().await;
        api.world.set_quirks(|quirks| quirks.clock_skew = skew);
        api.world.add_domain(Domain::push(DOMAIN));
        for (n, app) in (0_i64..).zip(["live", "game"]) {
            session(&api, app, &format!("room_{n}"), 1_500);
        }
        let ended = doctor(&api, &[]).await;
        let clock = check(&ended, "clock");
        assert_eq!((&clock["status"], ended.code), (&json!(status), Some(code)), "{skew}: {ended:?}");
        let side = if skew < 0 { "behind" } else { "ahead" };
        assert!(text(&clock, "message").contains(side), "{skew}: {clock}");
        assert_eq!(check(&ended, "rows")["status"], "ok", "the rest goes by the API's clock: {ended:?}");
    }
}

#[tokio::test]
async fn each_meaning_of_a_window_is_recognised() {
    for (filter, words) in [
        (WindowFilter::End, "the end of a session: 3 sessions were shown by a window at the end, and not"),
        (WindowFilter::Start, "the start of a session: 3 sessions were shown by a window at the start, and not"),
        (WindowFilter::Overlap, "any time of a session: 3 sessions were shown by windows at the start, in between and"),
    ] {
        for (bounds, borders) in [
            (Bounds::Closed, "its first and its last second belong to it"),
            (Bounds::EndExcluded, "its last second does not belong to it"),
            (Bounds::StartExcluded, "its first second does not belong to it"),
        ] {
            let api = healthy().await;
            api.world.set_quirks(|quirks| (quirks.filter, quirks.bounds) = (filter, bounds));
            let ended = doctor(&api, &[]).await;
            let window = check(&ended, "window");
            let message = text(&window, "message");
            assert!(message.contains(words) && message.contains(borders), "{filter:?} {bounds:?}: {window}");
            assert_eq!((&window["status"], ended.code), (&json!("ok"), Some(0)), "{filter:?}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn without_rows_that_tell_the_meaning_of_a_window_is_unknown_and_no_failure() {
    let api = Api::start().await;
    let end = api.world.now() - 100;
    api.world.publish_all([
        Event::ended(DOMAIN, "live", "short", end - 5, end),
        Event::live(DOMAIN, "live", "goes_on", end - 500),
        Event::ended(DOMAIN, "live", "broken", end - 500, end).raw("StreamStartTime", "\"never\""),
    ]);
    let ended = doctor(&api, &[]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let window = check(&ended, "window");
    assert!(window["status"] == "unknown" && text(&window, "message").contains("not enough rows"), "{window}");
    let rows = check(&ended, "rows");
    assert!(text(&rows, "message").contains("1 finished, 1 unfinished, 1 that cannot be read"), "{rows}");
    assert!(rows["status"] == "warning" && text(&rows, "advice").contains("StreamStartTime"), "{rows}");
    let quiet = doctor(&Api::start().await, &[]).await;
    assert_eq!((quiet.code, &check(&quiet, "rows")["status"]), (Some(0), &json!("warning")), "{quiet:?}");
}

fn counts(page: &Metrics, disconnects: u64) -> bool {
    page.count("tencent_live_disconnects_total", &[]) == disconnects
}

#[tokio::test]
async fn an_api_that_means_live_where_no_app_is_named_is_found_out_by_an_app_that_the_ledger_knows() {
    let api = Api::start().await;
    session(&api, "live", "room", 600);
    let ended = doctor(&api, &[]).await;
    assert_eq!(check(&ended, "apps")["status"], "unknown", "rows of live alone tell nothing: {ended:?}");
    session(&api, "game", "arena", 600);
    // An exporter that asks for both apps has learned of them.
    let mut exporter = api.asked_by(&[]).env("TENCENT_LIVE__ACCOUNTS__0__APPS", "live,game").start();
    exporter.metrics_when("all is counted", |page| counts(page, 2)).await;
    let folder = stops_cleanly(exporter, "TERM").await.folder;
    api.world.set_quirks(|quirks| quirks.app_defaults_to_live = true);
    let ended = api.asked_by(&["doctor", "--output", "json"]).inside(folder).run().await;
    let apps = check(&ended, "apps");
    assert_eq!((&apps["status"], ended.code), (&json!("warning"), Some(0)), "{ended:?}");
    assert!(text(&apps, "message").contains("a session of game is shown by its name only"), "{apps}");
    assert!(text(&apps, "advice").contains("under `apps`"), "{apps}");
    // One that is configured is not tried but asked for.
    let command = api.asked_by(&["doctor", "--output", "json"]).env("TENCENT_LIVE__ACCOUNTS__0__APPS", "live,game");
    let ended = command.inside(ended.folder).run().await;
    assert_eq!(check(&ended, "apps")["status"], "ok", "{ended:?}");
}

#[tokio::test]
async fn an_app_that_is_not_configured_is_told_of() {
    let api = healthy().await;
    let command = api.asked_by(&["doctor", "--output", "json"]).env("TENCENT_LIVE__ACCOUNTS__0__APPS", "live");
    let ended = command.run().await;
    let apps = check(&ended, "apps");
    assert!(apps["status"] == "warning" && text(&apps, "message").contains("game, which are not asked for"), "{apps}");
}

#[tokio::test]
async fn domains_of_the_configuration_are_asked_for_one_by_one() {
    let api = healthy().await;
    api.world.set_quirks(|quirks| quirks.domain_required = true);
    let end = api.world.now() - 700;
    api.world.publish(Event::ended("push.other.example.com", "live", "elsewhere", end - 60, end));
    let ended = doctor(&api, &[]).await;
    let events = check(&ended, "permission_events");
    assert!(events["status"] == "failure" && text(&events, "advice").contains("list them under `domains`"), "{events}");
    let both = format!("{DOMAIN},push.other.example.com");
    let command = api.asked_by(&["doctor", "--output", "json"]).env("TENCENT_LIVE__ACCOUNTS__0__DOMAINS", &both);
    let ended = command.run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let rows = check(&ended, "rows");
    assert!(text(&rows, "message").contains("4 in the last hour: 4 finished"), "{rows}");
    let domains = check(&ended, "domains");
    assert_eq!(domains["status"], "warning", "{domains}");
    assert!(text(&domains, "message").contains("the account has no push domain push.other.example.com"), "{domains}");
}

#[tokio::test]
async fn rows_of_the_last_hour_are_counted_once_though_the_day_is_asked_for_too() {
    let api = Api::start().await;
    api.world.add_domain(Domain::push(DOMAIN));
    let end = api.world.now() - 60;
    // Too short to tell what a window is held against, so that the day is looked at for longer ones.
    for stream in ["a", "b"] {
        api.world.publish(Event::ended(DOMAIN, "live", stream, end - 2, end).because("no such text"));
    }
    let reasons = check(&doctor(&api, &[]).await, "reasons");
    assert!(text(&reasons, "message").starts_with("2 of 2 rows"), "{reasons}");
}

#[tokio::test]
async fn unmapped_texts_are_counted_and_no_name_breaks_a_line() {
    let api = healthy().await;
    let end = api.world.now() - 700;
    let hostile = "a\u{1b}[2J\r\nfailure  main  owned\u{202e}";
    for stream in ["x\u{1b}]0;owned\u{7}", "y\n", "z"] {
        let event = Event::ended(DOMAIN, Name::from("odd\napp"), Name::from(stream), end - 400, end);
        api.world.publish(event.because(hostile));
    }
    let json = doctor(&api, &[]).await;
    let reasons = check(&json, "reasons");
    assert!(reasons["status"] == "warning" && text(&reasons, "message").contains("3 of 6 rows"), "{reasons}");
    let table = api.asked_by(&["doctor"]).run().await;
    assert_eq!((json.code, table.code), (Some(0), Some(0)));
    for ended in [&json, &table] {
        let odd = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!ended.stdout.contains(odd) && !ended.stderr.contains(odd), "{ended:?}");
    }
    let is_row = |line: &&str| ["ok ", "warning ", "failure ", "unknown "].iter().any(|word| line.starts_with(word));
    assert_eq!(table.stdout.lines().filter(is_row).count(), 17, "{}", table.stdout);
    assert!(table.stdout.contains(r"a\u{1b}[2J\r\nfailure  main  owned\u{202e}"), "{}", table.stdout);
    assert!(table.stdout.contains(r"rows of game, live, odd\napp"), "{}", table.stdout);
    // Mapped, it is none any more.
    let config = "reasons: { \"a\\u001b[2J\\r\\nfailure  main  owned\\u202e\": network_error }\n";
    let command = api.asked_by(&["doctor", "--output", "json", "--config.file", "c.yaml"]).file("c.yaml", config);
    let ended = command.run().await;
    assert_eq!(check(&ended, "reasons")["status"], "ok", "{ended:?}");
    assert!(text(&check(&ended, "config"), "message").contains("the file c.yaml"), "{ended:?}");
}

#[tokio::test]
async fn each_place_where_a_request_may_end_is_told_apart() {
    let closed = { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
    let html = Scripted::start([Step::ok("<html>Sign in</html>"), Step::ok("<html>Sign in</html>")]).await;
    let api = healthy().await;
    let address = api.endpoint().trim_start_matches("http://").parse().unwrap();
    let authority = Authority::new();
    let strange = tls_before(address, &authority.server()).await;
    for (endpoint, failed, words) in [
        (format!("http://{closed}"), "reachability", "Connection refused"),
        ("https://doctor.invalid".to_owned(), "reachability", "DNS"),
        (format!("https://localhost:{}", strange.port()), "tls", "certificate"),
        (html.endpoint(), "service", "unreadable answer"),
    ] {
        let command = api.asked_by(&["doctor", "--output", "json"]);
        let ended = command.env("TENCENT_LIVE__ACCOUNTS__0__ENDPOINT", &endpoint).run().await;
        assert_eq!(ended.code, Some(1), "{endpoint}: {ended:?}");
        let others = others(&ended);
        let failures: Vec<_> = others.iter().filter(|(_, status)| status == "failure").collect();
        assert_eq!(failures, [&(failed.to_owned(), "failure".to_owned())], "{endpoint}: {ended:?}");
        let check = check(&ended, failed);
        assert!(text(&check, "message").contains(words) && !text(&check, "advice").is_empty(), "{endpoint}: {check}");
        assert!(others.iter().all(|(_, status)| status == "failure" || status == "skipped"), "{endpoint}: {ended:?}");
    }
    // Whoever vouches for it may be believed.
    let command = api.asked_by(&["doctor", "--output", "json"]).file("ca.pem", &authority.pem());
    let command = command.env("TENCENT_LIVE__ACCOUNTS__0__CA_FILE", "ca.pem");
    let endpoint = format!("https://localhost:{}", strange.port());
    let ended = command.env("TENCENT_LIVE__ACCOUNTS__0__ENDPOINT", &endpoint).run().await;
    let tls = check(&ended, "tls");
    assert!(ended.code == Some(0) && text(&tls, "message").contains("those of ca_file"), "{ended:?}");
}

#[tokio::test]
async fn a_service_that_is_stopped_is_no_fault_of_the_key() {
    let api = healthy().await;
    let (code, message) = ("ResourceNotFound.StopService".to_owned(), "stopped".to_owned());
    api.world.fail_next(9, Fault::Api { code, message });
    let ended = doctor(&api, &[]).await;
    let service = check(&ended, "service");
    assert!(service["status"] == "failure" && text(&service, "advice").contains("arrears"), "{service}");
    assert_eq!((check(&ended, "key")["status"].clone(), ended.code), (json!("ok"), Some(1)), "{ended:?}");
}

#[tokio::test]
async fn the_state_folder_is_judged_and_left_to_the_exporter_that_runs_on_it() {
    let api = healthy().await;
    let mut exporter = api.asked_by(&[]).start();
    exporter.metrics_when("what had ended before is counted", |page| counts(page, 3)).await;
    session(&api, "live", "news", 0);
    exporter.metrics_when("all is counted", |page| counts(page, 4)).await;
    let data = exporter.folder.join("data");
    let files = || {
        let mut names: Vec<_> =
            std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        names.sort();
        names
    };
    let before = files();
    let state = data.display().to_string();
    let ended = doctor(&api, &["--state.path", &state]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let found = check(&ended, "state");
    for words in ["an exporter is running on it", "schema version", "sound", "MiB free"] {
        assert!(found["status"] == "ok" && text(&found, "message").contains(words), "{words} is not in {found}");
    }
    assert_eq!(files(), before, "nothing is left behind");
    let delay = check(&ended, "publication_delay");
    assert!(delay["status"] == "ok" && text(&delay, "message").contains("1 session, by the ledger"), "{delay}");
    let folder = stops_cleanly(exporter, "TERM").await.folder;
    let ended = api.asked_by(&["doctor", "--output", "json"]).inside(folder).run().await;
    assert!(text(&check(&ended, "state"), "message").contains("it can be written"), "{ended:?}");
    // A file in its place is no folder.
    let ended = api.asked_by(&["doctor", "--output", "json"]).file("data", "").run().await;
    assert_eq!((ended.code, &check(&ended, "state")["status"]), (Some(1), &json!("failure")), "{ended:?}");
    let ended = doctor(&api, &["--state.path", ":memory:"]).await;
    assert_eq!((ended.code, &check(&ended, "state")["status"]), (Some(0), &json!("warning")), "{ended:?}");
}

#[tokio::test]
async fn a_damaged_ledger_is_a_failure() {
    let api = healthy().await;
    let ended = api.asked_by(&["doctor", "--output", "json"]).folder("data").file("data/ledger.sqlite", "no ledger");
    let ended = ended.run().await;
    assert_eq!((ended.code, &check(&ended, "state")["status"]), (Some(1), &json!("failure")), "{ended:?}");
    assert_eq!(std::fs::read_to_string(ended.folder.join("data/ledger.sqlite")).unwrap(), "no ledger");
}

#[tokio::test]
async fn a_watch_tells_how_late_rows_come() {
    let api = healthy().await;
    let now = api.world.now();
    for n in 0..30 {
        // Published one a second, so that some are while it is watched, minutes after their ends.
        let end = now - 300 - n;
        let event = Event::ended(DOMAIN, "live", &*format!("late_{n}"), end - 60, end);
        api.world.publish(event.visible_at(now + n));
    }
    let ended = doctor(&api, &["--watch", "12s"]).await;
    let delay = check(&ended, "publication_delay");
    assert_eq!((&delay["status"], ended.code), (&json!("warning"), Some(0)), "{ended:?}");
    let message = text(&delay, "message");
    assert!(message.contains("watched every 1 s") && message.contains("sweeps find it"), "{delay}");
    assert!(text(&delay, "advice").contains("poll.overlap"), "{delay}");
    assert!(ended.stderr.contains("watching each account for 12 s"), "{ended:?}");
    assert!(api.world.requests().count <= 60, "it asks seldom");
}

#[tokio::test]
async fn a_busy_platform_is_asked_no_more_than_sixty_times() {
    let api = healthy().await;
    let now = api.world.now();
    let event = |n: i64| Event::ended(DOMAIN, "live", &*format!("s_{}", n % 97), now - n - 61, now - n - 1);
    api.world.publish_all((0..3_000).map(event));
    let ended = doctor(&api, &["--watch", "3s"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let rows = check(&ended, "rows");
    assert!(text(&rows, "message").contains("3003 in the last hour; of the first 1200: 1200 finished"), "{rows}");
    let delay = check(&ended, "publication_delay");
    assert_eq!(delay["status"], "unknown", "what moves from page to page is not new: {delay}");
    assert!(api.world.requests().count <= 60, "{}", api.world.requests().count);
}

#[tokio::test]
async fn keys_that_are_issued_are_told_with_their_issuer_and_their_end() {
    let (api, issuers) = (healthy().await, Issuers::start().await);
    api.world.set_keys(issued(1));
    let yaml = format!("{{ accounts: [{{ endpoint: \"{}\" }}], state: {{ path: \":memory:\" }} }}", api.endpoint());
    let mut settings = Settings::from_yaml(&yaml, []).unwrap();
    settings.accounts[0].credentials = CredentialSource::Chain {
        profile: ProfilePlaces { files: Vec::new(), profile: "default".into() },
        metadata: Some(issuers.server.endpoint()),
        web_identity: Err(vec!["TKE_REGION"]),
    };
    let asked =
        AskedExamination { accounts: vec!["main".into()], watch: Duration::ZERO, environment_id: Some("other".into()) };
    let told: app::Told = Arc::new(|_, _| ());
    let examined = app::examine(&settings, &asked, &told).await.unwrap();
    let [first, rest @ ..] = &examined[0].checks[..] else { panic!("{examined:?}") };
    assert_eq!((first.name, first.status), ("credentials", Status::Ok), "{first:?}");
    let minutes = issuers.habits().lock().unwrap().life / 60;
    let ends = [minutes - 1, minutes].map(|left| format!("expire in {left} min and are renewed before"));
    assert!(ends.iter().any(|end| first.message.contains(end)), "{first:?}");
    assert!(first.message.starts_with("keys of the CVM role, secret id AKIDcana…"), "{first:?}");
    assert!(rest.iter().all(|check| check.status != Status::Failure), "{examined:#?}");
    assert!(!format!("{examined:?}").contains(ISSUED_ID), "{examined:?}");
}
