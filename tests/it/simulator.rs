//! The simulator keeps its word: over plain sockets, as any client sees it.
#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests themselves do")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tencent_live_exporter::clock::{Clock as _, ManualClock};
use tencent_live_exporter::reason::{Reason, TABLE};
use tencent_live_exporter::sim::scenario::{
    Bounds, EndText, Flicker, PastCap, TextForm, TieOrder, TotalNum, WindowFilter,
};
use tencent_live_exporter::sim::signature::SignedRequest;
use tencent_live_exporter::sim::{
    Damage, Domain, Event, EventChange, Fault, Keys, Scenario, Simulator, Span, Truth, World,
};

const T0: i64 = 1_700_000_000;
const DOMAIN: &str = "push.example.com";

/// A simulator on a port of its own, its clock in hand.
struct Lab {
    clock: Arc<ManualClock>,
    keys: Keys,
    world: Arc<World>,
    sim: Simulator,
    _runtime: tokio::runtime::Runtime,
}

/// What came back.
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {} {}", self.status, String::from_utf8_lossy(&self.body));
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

fn utc(at: i64) -> String {
    jiff::Timestamp::from_second(at).unwrap().to_string()
}

impl Lab {
    fn new(scenario: Scenario) -> Self {
        Self::at(scenario, T0)
    }

    fn at(scenario: Scenario, now: i64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let clock = Arc::new(ManualClock::new(now));
        let keys = Keys::new("AKIDEXAMPLE", "EXAMPLEKEY");
        let inside = runtime.enter();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let sim = Simulator::start(listener, scenario, keys.clone(), clock.clone()).unwrap();
        let world = sim.world();
        drop(inside);
        Self { clock, keys, world, sim, _runtime: runtime }
    }

    fn quiet() -> Self {
        Self::new(Scenario::default())
    }

    /// Sends bytes, reads to the end of the connection.
    fn raw(&self, request: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = std::net::TcpStream::connect(self.sim.addr())?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(request)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }

    fn send(&self, method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> std::io::Result<Reply> {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.push_str("\r\n");
        let answer = self.raw(&[request.as_bytes(), body].concat())?;
        let border = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let border = border.ok_or_else(|| std::io::Error::other("no end of the head"))?;
        let head = String::from_utf8(answer[..border].to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        let body = answer[border + 4..].to_vec();
        let announced: Option<usize> = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
            .map(|length| length.parse().unwrap());
        if announced.is_some_and(|announced| announced != body.len()) {
            return Err(std::io::Error::other("the body is cut"));
        }
        Ok(Reply { status, head, body })
    }

    /// A signed call at `timestamp` with whatever keys.
    fn call_as(&self, keys: &Keys, timestamp: i64, action: &str, body: &[u8]) -> std::io::Result<Reply> {
        let mut headers = vec![
            ("Host".to_owned(), self.sim.addr().to_string()),
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("X-TC-Action".to_owned(), action.to_owned()),
            ("X-TC-Version".to_owned(), "2018-08-01".to_owned()),
            ("X-TC-Timestamp".to_owned(), timestamp.to_string()),
        ];
        if let Some(token) = &keys.token {
            headers.push(("X-TC-Token".to_owned(), token.clone()));
        }
        let request = SignedRequest { method: "POST", query: "", headers: &headers, body };
        headers.push(("Authorization".to_owned(), request.authorization(keys).unwrap()));
        self.send("POST", "/", &headers, body)
    }

    fn call(&self, action: &str, params: &Value) -> Reply {
        let body = params.to_string();
        self.call_as(&self.keys, self.world.now(), action, body.as_bytes()).unwrap()
    }

    /// `Response` of a listing of `start..=end`, oldest first, with further parameters.
    fn list(&self, start: i64, end: i64, more: &Value) -> Value {
        let mut params = json!({"StartTime": utc(start), "EndTime": utc(end), "PageSize": 100, "IsAsc": 1});
        for (name, value) in more.as_object().unwrap() {
            params[name] = value.clone();
        }
        let mut reply = self.call("DescribeLiveStreamEventList", &params).json();
        reply["Response"].take()
    }

    /// The stream names of a listing's rows.
    fn streams(&self, start: i64, end: i64, more: &Value) -> Vec<String> {
        rows(&self.list(start, end, more)).iter().map(|row| row["StreamName"].as_str().unwrap().to_owned()).collect()
    }

    fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[("Host".to_owned(), "localhost".to_owned())], b"").unwrap()
    }

    fn post(&self, path: &str, body: &Value) -> Reply {
        let body = body.to_string();
        self.send("POST", path, &[("Host".to_owned(), "localhost".to_owned())], body.as_bytes()).unwrap()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn rows(response: &Value) -> &Vec<Value> {
    response["EventList"].as_array().unwrap_or_else(|| panic!("{response}"))
}

fn code(response: &Value) -> &str {
    response["Error"]["Code"].as_str().unwrap_or("")
}

fn room(name: &str, start: i64, end: i64) -> Event {
    Event::ended(DOMAIN, "live", name, start, end)
}

#[test]
fn each_filter_mode_and_each_bound_lists_its_own_rows() {
    let lab = Lab::quiet();
    let (from, to) = (T0 - 200, T0 - 100);
    lab.world.publish_all([
        room("long_before_into", from - 500, from + 50),
        room("ends_on_start", from - 50, from),
        room("inside", from + 10, from + 20),
        room("starts_on_end", to, to + 50),
        room("around", from - 10, to + 10),
        room("before", from - 20, from - 10),
        room("after", to + 1, to + 2),
    ]);
    let cases: [(WindowFilter, Bounds, &[&str]); 6] = [
        (WindowFilter::End, Bounds::Closed, &["ends_on_start", "inside", "long_before_into"]),
        (WindowFilter::End, Bounds::StartExcluded, &["inside", "long_before_into"]),
        (WindowFilter::Start, Bounds::Closed, &["inside", "starts_on_end"]),
        (WindowFilter::Start, Bounds::EndExcluded, &["inside"]),
        (
            WindowFilter::Overlap,
            Bounds::Closed,
            &["ends_on_start", "inside", "long_before_into", "around", "starts_on_end"],
        ),
        (WindowFilter::Overlap, Bounds::EndExcluded, &["ends_on_start", "inside", "long_before_into", "around"]),
    ];
    for (filter, bounds, expected) in cases {
        lab.world.set_quirks(|quirks| (quirks.filter, quirks.bounds) = (filter, bounds));
        assert_eq!(lab.streams(from, to, &json!({})), expected, "{filter:?} {bounds:?}");
        assert_eq!(lab.list(from, to, &json!({}))["TotalNum"], expected.len());
    }
    lab.world.set_quirks(|quirks| (quirks.filter, quirks.bounds) = (WindowFilter::End, Bounds::Closed));
    lab.world.set_quirks(|quirks| quirks.window_slack = Span::seconds(10));
    assert_eq!(lab.streams(from, to, &json!({}))[0], "before");
}

#[test]
fn names_narrow_a_listing_fuzzily_or_strictly_and_refused_pushes_can_be_left_out() {
    let lab = Lab::quiet();
    lab.world.publish_all([
        room("room_1", T0 - 9, T0 - 9),
        room("room_12", T0 - 8, T0 - 8).because("校验鉴权参数不通过"),
        Event::ended("other.example.com", "live", "room_1", T0 - 7, T0 - 7),
        Event::ended(DOMAIN, "show", "room_1", T0 - 6, T0 - 6),
    ]);
    let count = |more: Value| lab.list(T0 - 60, T0, &more)["TotalNum"].as_u64().unwrap();
    assert_eq!(count(json!({})), 4);
    assert_eq!(count(json!({"DomainName": DOMAIN})), 3);
    assert_eq!(count(json!({"DomainName": DOMAIN, "AppName": "live"})), 2);
    assert_eq!(count(json!({"StreamName": "oom_1"})), 4);
    assert_eq!(count(json!({"StreamName": "room_1", "IsStrict": 1})), 3);
    assert_eq!(count(json!({"StreamName": "oom_1", "IsStrict": 1})), 0);
    assert_eq!(count(json!({"IsFilter": 1})), 3);
    lab.world.set_quirks(|quirks| quirks.app_defaults_to_live = true);
    assert_eq!((count(json!({})), count(json!({"AppName": "show"}))), (3, 1));
}

#[test]
fn pages_run_both_ways_and_cover_everything_once() {
    let lab = Lab::quiet();
    lab.world.publish_all((0..25).map(|n| room(&format!("r{n:02}"), T0 - 100, T0 - 50 + n)));
    let page =
        |number: u64, asc: u64| lab.streams(T0 - 60, T0, &json!({"PageNum": number, "PageSize": 10, "IsAsc": asc}));
    let oldest: Vec<_> = (1..=3).flat_map(|number| page(number, 1)).collect();
    let newest: Vec<_> = (1..=3).flat_map(|number| page(number, 0)).collect();
    assert_eq!(oldest, (0..25).map(|n| format!("r{n:02}")).collect::<Vec<_>>());
    assert_eq!(newest, oldest.iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(page(4, 1), Vec::<String>::new());
    let response = lab.list(T0 - 60, T0, &json!({"PageSize": 10}));
    assert_eq!((&response["TotalNum"], &response["TotalPage"]), (&json!(25), &json!(3)));
}

#[test]
fn beyond_10_000_rows_the_api_refuses_truncates_or_saturates() {
    let lab = Lab::quiet();
    lab.world.publish_all((0..10_150).map(|n| room("burst", T0 - 3600, T0 - 3000 + n / 100)));
    let page = |number: u64| lab.list(T0 - 3600, T0, &json!({"PageNum": number}));
    assert_eq!(page(100)["TotalNum"], 10_150);
    assert_eq!(code(&page(101)), "InvalidParameterValue");
    for (past_cap, total) in [(PastCap::Truncate, 10_150), (PastCap::Saturate, 10_000)] {
        lab.world.set_quirks(|quirks| quirks.past_cap = past_cap);
        assert_eq!((rows(&page(100)).len(), rows(&page(101)).len()), (100, 0), "{past_cap:?}");
        assert_eq!(page(101)["TotalNum"], total);
    }
}

#[test]
fn rows_inserted_between_two_pages_shift_the_later_page() {
    let lab = Lab::quiet();
    lab.world.publish_all((0..20).map(|n| room(&format!("r{n:02}"), T0 - 50 + n, T0 - 50 + n)));
    lab.world.set_quirks(|quirks| quirks.insert_between_pages = 3);
    let first = lab.streams(T0 - 60, T0, &json!({"PageSize": 10}));
    let second = lab.streams(T0 - 60, T0, &json!({"PageSize": 10, "PageNum": 2}));
    assert_eq!(second[..3], first[7..], "three rows are seen twice");
    assert_eq!(lab.world.truth().published, 23);
}

#[test]
fn rows_of_one_second_change_places_between_requests_when_ties_are_shuffled() {
    let lab = Lab::quiet();
    lab.world.publish_all((0..40).map(|n| room(&format!("r{n:02}"), T0 - 9, T0 - 9)));
    let order = || lab.streams(T0 - 60, T0, &json!({}));
    assert_eq!(order(), order());
    lab.world.set_quirks(|quirks| quirks.tie_order = TieOrder::Shuffled);
    let (one, two) = (order(), order());
    assert_ne!(one, two);
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(one), sorted(two));
}

#[test]
fn clones_of_one_second_are_listed_as_often_as_they_happened() {
    let lab = Lab::quiet();
    let refused = room("room", T0 - 5, T0 - 5).because("推流时间戳参数值已过期");
    lab.world.publish_all(std::iter::repeat_n(refused, 3));
    let response = lab.list(T0 - 60, T0, &json!({}));
    assert_eq!(response["TotalNum"], 3);
    assert!(rows(&response).iter().all(|row| *row == rows(&response)[0]));
    assert_eq!(lab.world.truth().by_reason[&(DOMAIN.into(), "auth_expired")], 3);
}

#[test]
fn a_late_row_appears_when_it_is_due_and_not_before() {
    let lab = Lab::quiet();
    lab.world.publish(room("late", T0 - 60, T0 - 30).visible_at(T0 + 10));
    let seen = || (lab.list(T0 - 100, T0, &json!({}))["TotalNum"].as_u64(), lab.world.truth().published);
    assert_eq!(seen(), (Some(0), 0));
    assert_eq!(lab.world.truth().pending, 1);
    lab.pass(9);
    assert_eq!(seen(), (Some(0), 0));
    lab.pass(1);
    assert_eq!(seen(), (Some(1), 1));
}

#[test]
fn a_hidden_row_disappears_and_comes_back_while_the_truth_stands() {
    let lab = Lab::quiet();
    let id = lab.world.publish(room("room", T0 - 60, T0 - 30));
    let count = || lab.list(T0 - 100, T0, &json!({}))["TotalNum"].as_u64().unwrap();
    assert!(lab.world.hide(id));
    assert_eq!((count(), lab.world.truth().published), (0, 1));
    assert!(lab.world.show(id));
    assert_eq!(count(), 1);
}

#[test]
fn flickering_hides_a_share_of_the_rows_and_another_one_later() {
    let lab = Lab::quiet();
    lab.world.publish_all((0..80).map(|n| room(&format!("r{n}"), T0 - 60, T0 - 30)));
    lab.world.set_quirks(|quirks| quirks.flicker = Flicker { share: 0.5, period: Span::seconds(10) });
    let one = lab.streams(T0 - 100, T0, &json!({}));
    assert_eq!(one, lab.streams(T0 - 100, T0, &json!({})));
    lab.pass(10);
    let two = lab.streams(T0 - 100, T0, &json!({}));
    assert!((20..60).contains(&one.len()) && (20..60).contains(&two.len()) && one != two);
    assert_eq!(lab.world.truth().published, 80);
}

#[test]
fn a_changed_row_is_told_anew_but_counts_as_it_was_first_told() {
    let lab = Lab::quiet();
    let told = lab.world.publish(room("told", T0 - 60, T0 - 30));
    let reason = || rows(&lab.list(T0 - 100, T0, &json!({})))[0]["StopReason"].as_str().unwrap().to_owned();
    assert_eq!(reason(), "推流客户端主动断流");
    let untold = lab.world.publish(room("untold", T0 - 60, T0 - 20));
    let change =
        EventChange { reason: Some("推流链路网络异常".into()), end: Some(T0 - 25), ..EventChange::default() };
    assert!(lab.world.change(told, change.clone()) && lab.world.change(untold, change));
    assert_eq!(reason(), "推流链路网络异常");
    assert_eq!(rows(&lab.list(T0 - 25, T0 - 25, &json!({}))).len(), 2, "both moved to their new end");
    assert_eq!(lab.world.truth().reasons(), BTreeMap::from([("client_stopped", 1), ("network_error", 1)]));
}

#[test]
fn generated_rows_change_after_publication_when_the_scenario_says_so() {
    let yaml = "platform: { domains: [{ name: d, apps: [{ name: live, streams: [{ names: [a, b] }] }] }] }
traffic: { disconnects_per_minute: 60, history: 10m, reasons: { client_stopped: 1, network_error: 1 } }
quirks: { row_changes: { share: 1, after: 20s } }";
    let lab = Lab::new(Scenario::from_yaml(yaml).unwrap());
    lab.world.stop_traffic();
    let list = || rows(&lab.list(T0 - 15, T0, &json!({}))).clone();
    let before = list();
    lab.pass(30);
    assert!(!before.is_empty() && list() != before);
}

#[test]
fn a_session_that_goes_on_is_listed_without_an_end_until_it_has_one() {
    let lab = Lab::quiet();
    let id = lab.world.publish(Event::live(DOMAIN, "live", "room", T0 - 60));
    let end = || rows(&lab.list(T0 - 100, T0, &json!({})))[0]["StreamEndTime"].clone();
    for (form, text) in [
        (EndText::Empty, json!("")),
        (EndText::Dash, json!("-")),
        (EndText::Zero, json!("0000-00-00 00:00:00")),
        (EndText::Null, Value::Null),
        (EndText::Future, json!(utc(T0 + 86_400))),
    ] {
        lab.world.set_quirks(|quirks| quirks.unfinished.end = form);
        assert_eq!(end(), text);
    }
    assert_eq!(lab.world.truth().published, 0);
    lab.world.change(id, EventChange { end: Some(T0 - 1), ..EventChange::default() });
    assert_eq!(end(), json!(utc(T0 - 1)));
    assert_eq!(lab.world.truth().published, 1);
}

#[test]
fn wrong_keys_tokens_and_clocks_are_refused_with_the_codes_of_the_api() {
    let lab = Lab::quiet();
    let body = json!({"StartTime": utc(T0 - 60), "EndTime": utc(T0)}).to_string();
    let outcome = |keys: &Keys, at: i64| {
        let reply = lab.call_as(keys, at, "DescribeLiveStreamEventList", body.as_bytes()).unwrap();
        assert_eq!(reply.status, 200);
        code(&reply.json()["Response"]).to_owned()
    };
    let good = lab.keys.clone();
    assert_eq!(outcome(&good, T0), "");
    assert_eq!(outcome(&Keys::new("AKIDEXAMPLE", "wrong"), T0), "AuthFailure.SignatureFailure");
    assert_eq!(outcome(&Keys::new("AKIDOTHER", "EXAMPLEKEY"), T0), "AuthFailure.SecretIdNotFound");
    assert_eq!(
        (outcome(&good, T0 + 300), outcome(&good, T0 - 301)),
        (String::new(), "AuthFailure.SignatureExpire".into())
    );
    let temporary = Keys { token: Some("t0ken".into()), ..good.clone() };
    assert_eq!(outcome(&temporary, T0), "AuthFailure.TokenFailure");
    lab.world.set_keys(temporary.clone());
    assert_eq!((outcome(&temporary, T0), outcome(&good, T0)), (String::new(), "AuthFailure.TokenFailure".into()));
    let unsigned = lab.send("POST", "/", &[("Host".into(), "x".into())], body.as_bytes()).unwrap();
    assert_eq!(code(&unsigned.json()["Response"]), "AuthFailure.InvalidAuthorization");
}

#[test]
fn the_date_header_and_the_checks_follow_a_skewed_api_clock() {
    let lab = Lab::quiet();
    let reply = |at: i64| lab.call_as(&lab.keys, at, "DescribeLiveDomains", b"{}").unwrap();
    assert_eq!(reply(T0).header("date"), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
    lab.world.set_quirks(|quirks| quirks.clock_skew = 600);
    assert_eq!(lab.world.now(), lab.clock.now() + 600);
    assert_eq!(reply(T0 + 600).header("date"), Some("Tue, 14 Nov 2023 22:23:20 GMT"));
    assert_eq!(code(&reply(T0).json()["Response"]), "AuthFailure.SignatureExpire");
}

#[test]
fn parameters_are_held_to_the_documented_rules() {
    let lab = Lab::quiet();
    let day = 86_400;
    for (more, expected) in [
        (json!({}), ""),
        (json!({"StartTime": null}), "MissingParameter"),
        (json!({"StartTime": "2023-11-14 22:00:00"}), "InvalidParameterValue"),
        (json!({"StartTime": "2023-11-14T22:00:00+08:00"}), "InvalidParameterValue"),
        (json!({"EndTime": utc(T0 + 1)}), "InvalidParameterValue"),
        (json!({"StartTime": utc(T0 + 1)}), "InvalidParameterValue"),
        (json!({"StartTime": utc(T0 - 30 * day)}), ""),
        (json!({"StartTime": utc(T0 - 30 * day - 1)}), "InvalidParameterValue"),
        (json!({"StartTime": utc(T0 - 61 * day), "EndTime": utc(T0 - 50 * day)}), "InvalidParameterValue"),
        (json!({"PageSize": 0}), "InvalidParameterValue"),
        (json!({"PageSize": 101}), "InvalidParameterValue"),
        (json!({"PageNum": 0}), "InvalidParameterValue"),
        (json!({"PageNum": "1"}), "InvalidParameter"),
        (json!({"IsAsc": 2}), "InvalidParameterValue"),
        (json!({"Limit": 5}), "UnknownParameter"),
    ] {
        assert_eq!(code(&lab.list(T0 - 60, T0, &more)), expected, "{more}");
    }
    assert_eq!(code(&lab.call("DescribeEverything", &json!({})).json()["Response"]), "InvalidAction");
    let not_json = lab.call_as(&lab.keys, T0, "DescribeLiveDomains", b"[1]").unwrap();
    assert_eq!(code(&not_json.json()["Response"]), "InvalidParameter");
}

#[test]
fn domains_are_listed_by_type_and_status() {
    let lab = Lab::new(Scenario::demo());
    lab.world.set_faults(|faults| *faults = tencent_live_exporter::sim::Faults::default());
    let names = |params: Value| -> Vec<String> {
        let reply = lab.call("DescribeLiveDomains", &params).json();
        let list = reply["Response"]["DomainList"].as_array().unwrap().clone();
        assert_eq!(reply["Response"]["AllCount"], list.len());
        list.iter().map(|domain| domain["Name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(json!({})).len(), 7);
    assert_eq!(names(json!({"DomainType": 0, "DomainStatus": 1, "PageSize": 100, "PageNum": 1})).len(), 4);
    assert_eq!(names(json!({"DomainType": 0, "DomainStatus": 0})), ["push.old.example.com"]);
    lab.world.add_domain(Domain::push("new.example.com"));
    assert_eq!(names(json!({"DomainPrefix": "new"})), ["new.example.com"]);
    lab.world.set_quirks(|quirks| quirks.denied_actions = vec!["DescribeLiveDomains".into()]);
    let denied = lab.call("DescribeLiveDomains", &json!({})).json();
    assert_eq!(code(&denied["Response"]), "UnauthorizedOperation");
}

/// Domain, app, stream and since when.
type OnAir = (String, String, String, String);

fn online(lab: &Lab, params: &Value) -> (Value, Vec<OnAir>) {
    let reply = lab.call("DescribeLiveStreamOnlineList", params).json();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    let rows = reply["Response"]["OnlineInfo"].as_array().unwrap_or_else(|| panic!("{reply}")).clone();
    let on_air = |row: &Value| {
        let since = text(&row["PublishTimeList"][0], "PublishTime");
        (text(row, "DomainName"), text(row, "AppName"), text(row, "StreamName"), since)
    };
    (reply["Response"]["TotalNum"].clone(), rows.iter().map(on_air).collect())
}

#[test]
fn streams_are_online_from_their_start_until_their_end() {
    let yaml = "
platform: { domains: [{ name: d.example, apps: [{ name: live, streams: [{ pattern: 'room_{}', count: 300 }] }] }] }
traffic: { disconnects_per_minute: 60, history: 1h, reasons: { client_stopped: 3, auth_failed: 1 } }
quirks: { unfinished: { share: 0.3 } }
";
    let lab = Lab::new(Scenario::from_yaml(yaml).unwrap());
    let everything = json!({"PageSize": 300_000});
    let (total, online_then) = online(&lab, &everything);
    assert!(online_then.len() > 20 && total == online_then.len(), "{total}");
    // Later all of them have ended, and the platform knows when.
    lab.clock.advance(Duration::from_secs(3_600));
    let ended: BTreeSet<OnAir> = (0..)
        .map_while(|number| lab.world.event(serde_json::from_value(json!(number)).unwrap()))
        .filter(|event| event.start <= T0 && event.end.is_some_and(|end| end > T0 && end > event.start + 1))
        .map(|event| {
            let [domain, app, stream] = [&event.domain, &event.app, &event.stream].map(|name| name.text().into_owned());
            (domain, app, stream, utc(event.start))
        })
        .collect();
    assert_eq!(ended, online_then.into_iter().collect());
}

#[test]
fn streams_online_are_narrowed_and_paged_as_asked() {
    let lab = Lab::quiet();
    let pushed = |app: &str, stream: &str| Event::ended("d.example", app, stream, T0 - 60, T0 + 60);
    lab.world.publish_all([pushed("live", "a"), pushed("live", "b"), pushed("show", "a")]);
    lab.world.publish_all((0..10).map(|n| pushed("many", &format!("s{n}"))));
    let count = |params: Value| {
        let (total, rows) = online(&lab, &params);
        (total.as_u64().unwrap(), rows.len())
    };
    assert_eq!(count(json!({})), (13, 10));
    assert_eq!(count(json!({"PageNum": 2})), (13, 3));
    assert_eq!(count(json!({"AppName": "live"})), (2, 2));
    assert_eq!(count(json!({"StreamName": "a", "DomainName": "d.example"})), (2, 2));
    assert_eq!(count(json!({"DomainName": "e.example"})), (0, 0));
    lab.world.set_quirks(|quirks| quirks.app_defaults_to_live = true);
    assert_eq!(count(json!({})), (2, 2));
    lab.world.set_quirks(|quirks| quirks.most_online_on_a_page = 100);
    let refused = lab.call("DescribeLiveStreamOnlineList", &json!({"PageSize": 101})).json();
    assert_eq!(code(&refused["Response"]), "InvalidParameterValue");
    lab.clock.advance(Duration::from_secs(61));
    assert_eq!(count(json!({"AppName": "live"})), (0, 0), "their time is over");
}

#[test]
fn total_num_lies_as_told() {
    let lab = Lab::quiet();
    lab.world.publish_all((0..3).map(|n| room(&format!("r{n}"), T0 - 9, T0 - 9)));
    for (quirk, told) in [
        (TotalNum::Exact, json!(3)),
        (TotalNum::OneMore, json!(4)),
        (TotalNum::OneLess, json!(2)),
        (TotalNum::Page, json!(2)),
        (TotalNum::Zero, json!(0)),
        (TotalNum::Negative, json!(-1)),
        (TotalNum::Huge, json!(1_u64 << 63)),
        (TotalNum::Text, json!("3")),
        (TotalNum::Missing, Value::Null),
    ] {
        lab.world.set_quirks(|quirks| quirks.total_num = quirk);
        assert_eq!(lab.list(T0 - 60, T0, &json!({"PageSize": 2}))["TotalNum"], told, "{quirk:?}");
    }
    lab.world.set_quirks(|quirks| quirks.ignore_page_num = true);
    assert_eq!(rows(&lab.list(T0 - 60, T0, &json!({"PageNum": 7}))).len(), 3);
    lab.world.set_quirks(|quirks| quirks.page_size_served = Some(2));
    assert_eq!(rows(&lab.list(T0 - 60, T0, &json!({}))).len(), 2);
}

#[test]
fn each_fault_strikes_as_many_requests_as_told_and_then_stops() {
    let lab = Lab::quiet();
    lab.world.publish(room("room", T0 - 9, T0 - 5));
    let body = json!({"StartTime": utc(T0 - 60), "EndTime": utc(T0)}).to_string();
    let call = || lab.call_as(&lab.keys, T0, "DescribeLiveStreamEventList", body.as_bytes());
    let text = |reply: &Reply| String::from_utf8_lossy(&reply.body).into_owned();
    let struck = |fault: Fault, holds: &dyn Fn(std::io::Result<Reply>) -> bool| {
        lab.world.fail_next(2, fault.clone());
        for _ in 0..2 {
            assert!(holds(call()), "{fault:?}");
        }
        assert_eq!(code(&call().unwrap().json()["Response"]), "", "after {fault:?}");
        let recent = lab.world.requests().recent;
        assert_eq!(recent[recent.len() - 2].fault, Some(fault.name()));
    };
    let coded = |expected: &'static str| {
        move |reply: std::io::Result<Reply>| code(&reply.unwrap().json()["Response"]) == expected
    };
    struck(Fault::Throttle, &coded("RequestLimitExceeded"));
    struck(Fault::InternalError, &coded("InternalError"));
    struck(Fault::Api { code: "ActionOffline".into(), message: "m".into() }, &coded("ActionOffline"));
    struck(Fault::Http(502), &|reply| reply.unwrap().status == 502);
    struck(Fault::HtmlBody, &|reply| text(&reply.unwrap()).starts_with("<!DOCTYPE html>"));
    struck(Fault::EmptyBody, &|reply| reply.unwrap().body.is_empty());
    struck(Fault::TruncatedBody, &|reply| serde_json::from_slice::<Value>(&reply.unwrap().body).is_err());
    struck(Fault::ConnectionReset, &|reply| reply.is_err());
    struck(Fault::ResetMidBody, &|reply| reply.is_err());
    struck(Fault::Slow(Span::millis(1)), &coded(""));
    struck(Fault::Drip(Span::millis(1)), &coded(""));
    struck(Fault::EmptyList, &|reply| reply.unwrap().json()["Response"]["TotalNum"] == 0);
    struck(Fault::ErrorWithRows, &|reply| {
        let response = reply.unwrap().json()["Response"].take();
        code(&response) == "InternalError" && rows(&response).len() == 1
    });
    struck(Fault::BreakRow(Damage::NullName), &|reply| {
        rows(&reply.unwrap().json()["Response"])[0]["StreamName"] == Value::Null
    });
    struck(Fault::Redirect("http://127.0.0.1:9/".into()), &|reply| {
        let reply = reply.unwrap();
        reply.status == 302 && reply.header("location") == Some("http://127.0.0.1:9/")
    });
    struck(Fault::Endless(1 << 20), &|reply| reply.unwrap().body.len() == 1 << 20);
    struck(Fault::Body("[] []".into()), &|reply| text(&reply.unwrap()) == "[] []");
}

#[test]
fn what_is_planned_for_a_request_happens_just_before_it_and_once() {
    let lab = Lab::quiet();
    let id = lab.world.publish(room("room", T0 - 9, T0 - 5));
    lab.world.before_request(2, move |world| {
        world.hide(id);
        world.fail_next(1, Fault::EmptyBody);
    });
    let rows_now = || rows(&lab.list(T0 - 60, T0, &json!({}))).len();
    assert_eq!(rows_now(), 1);
    let body = json!({"StartTime": utc(T0 - 60), "EndTime": utc(T0)}).to_string();
    let second = lab.call_as(&lab.keys, T0, "DescribeLiveStreamEventList", body.as_bytes()).unwrap();
    assert!(second.body.is_empty());
    assert_eq!(rows_now(), 0);
    lab.world.show(id);
    assert_eq!(rows_now(), 1, "it does not happen again");
}

#[test]
fn names_narrow_nothing_when_they_are_ignored() {
    let lab = Lab::quiet();
    lab.world.publish_all((0..3).map(|n| room(&format!("room_{n}"), T0 - 9, T0 - 5)));
    let asked =
        json!({"DomainName": "push.other.example.com", "AppName": "show", "StreamName": "room_1", "IsStrict": 1});
    assert_eq!(rows(&lab.list(T0 - 60, T0, &asked)).len(), 0);
    lab.world.set_quirks(|quirks| quirks.ignore_names = true);
    assert_eq!(rows(&lab.list(T0 - 60, T0, &asked)).len(), 3);
}

#[test]
fn a_hanging_request_is_answered_by_nobody_and_stopping_cuts_it() {
    let lab = Lab::quiet();
    lab.world.fail_next(1, Fault::Hang);
    let addr = lab.sim.addr();
    let mut headers = vec![
        ("Host".to_owned(), addr.to_string()),
        ("Content-Type".to_owned(), "application/json".to_owned()),
        ("X-TC-Action".to_owned(), "DescribeLiveDomains".to_owned()),
        ("X-TC-Version".to_owned(), "2018-08-01".to_owned()),
        ("X-TC-Timestamp".to_owned(), T0.to_string()),
    ];
    let request = SignedRequest { method: "POST", query: "", headers: &headers, body: b"{}" };
    headers.push(("Authorization".to_owned(), request.authorization(&lab.keys).unwrap()));
    let mut text = "POST / HTTP/1.1\r\nContent-Length: 2\r\n".to_owned();
    for (name, value) in &headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    stream.write_all(format!("{text}\r\n{{}}").as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    while lab.world.requests().count == 0 {
        std::thread::yield_now();
    }
    lab.sim.stop();
    let mut answer = Vec::new();
    // Either kind of cut will do, an answer will not.
    let cut = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() && !matches!(cut, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock));
}

#[test]
fn throttling_counts_the_requests_of_a_second() {
    let lab = Lab::quiet();
    lab.world.set_quirks(|quirks| quirks.requests_per_second = Some(2));
    let outcome = || code(&lab.list(T0 - 60, T0, &json!({}))).to_owned();
    assert_eq!([outcome(), outcome(), outcome()], ["", "", "RequestLimitExceeded"]);
    lab.pass(1);
    assert_eq!(outcome(), "");
}

#[test]
fn raw_bytes_and_broken_rows_reach_the_reader_as_they_are() {
    let lab = Lab::quiet();
    lab.world.set_quirks(|quirks| quirks.text = TextForm::Escaped);
    let name = tencent_live_exporter::sim::Name::new(b"half\xed\xa0\xbd");
    lab.world.publish(Event::ended(DOMAIN, "live", name, T0 - 9, T0 - 9));
    lab.world.publish(room("r", T0 - 8, T0 - 8).raw("StreamName", b"\"\xff\"".to_vec()).raw("Duration", "-5"));
    lab.world.publish(room("r", T0 - 7, T0 - 7).raw_row("17").unusable());
    let body = json!({"StartTime": utc(T0 - 60), "EndTime": utc(T0), "IsAsc": 1}).to_string();
    let reply = lab.call_as(&lab.keys, T0, "DescribeLiveStreamEventList", body.as_bytes()).unwrap();
    let has = |part: &[u8]| reply.body.windows(part.len()).any(|window| window == part);
    assert!(has(b"\"half\\ud83d\"") && has(b"\"StreamName\":\"\xff\"") && has(b"\"Duration\":-5") && has(b",17]"));
    let truth = lab.world.truth();
    assert_eq!((truth.published, truth.unusable), (2, 1));
    let strict = br#"{"StartTime":"2023-11-14T22:00:00Z","EndTime":"2023-11-14T22:13:20Z","StreamName":"half\ud83d","IsStrict":1}"#;
    let reply = lab.call_as(&lab.keys, T0, "DescribeLiveStreamEventList", strict).unwrap();
    assert!(String::from_utf8_lossy(&reply.body).contains("\"TotalNum\":1"));
}

/// Lists `from..=to` second by second, every page, retrying what fails.
fn patient(lab: &Lab, from: i64, to: i64) -> BTreeMap<(String, String, String), u64> {
    let mut counts = BTreeMap::new();
    for second in from..=to {
        for page in 1.. {
            let response = loop {
                let body = json!({"StartTime": utc(second), "EndTime": utc(second), "PageSize": 100, "PageNum": page, "IsAsc": 1});
                let reply =
                    lab.call_as(&lab.keys, lab.world.now(), "DescribeLiveStreamEventList", body.to_string().as_bytes());
                let value = reply.ok().and_then(|reply| serde_json::from_slice::<Value>(&reply.body).ok());
                if let Some(response) = value.map(|value| value["Response"].clone()).filter(|r| code(r).is_empty()) {
                    break response;
                }
            };
            for row in rows(&response) {
                let text = |name: &str| row[name].as_str().unwrap().to_owned();
                *counts.entry((text("DomainName"), text("AppName"), text("StreamName"))).or_default() += 1;
            }
            if response["TotalPage"].as_u64().unwrap() <= page {
                break;
            }
        }
    }
    counts
}

#[test]
fn the_truth_is_what_a_patient_reader_can_list() {
    let mut scenario = Scenario::demo();
    scenario.traffic.history = Span::seconds(120);
    scenario.quirks.latency = tencent_live_exporter::sim::scenario::Latency::default();
    scenario.quirks.requests_per_second = None;
    scenario.quirks.tie_order = TieOrder::Published;
    scenario.faults.slow = 0.0;
    let lab = Lab::new(scenario);
    lab.pass(60);
    lab.world.stop_traffic();
    lab.pass(400);
    let truth = lab.world.truth();
    assert!(truth.published > 100 && truth.pending == 0, "{} {}", truth.published, truth.pending);
    let mut expected = BTreeMap::new();
    for (series, count) in &truth.by_series {
        let names = [&series.domain, &series.app, &series.stream].map(|name| name.text().into_owned());
        *expected.entry(<(String, String, String)>::from(names)).or_default() += count;
    }
    assert_eq!(patient(&lab, T0 - 130, T0 + 70), expected);
    assert_eq!(truth.by_reason.values().sum::<u64>(), truth.published);
}

fn truth_at(scenario: &Scenario, start: i64, steps: &[u64]) -> Truth {
    let clock = Arc::new(ManualClock::new(start));
    let world = World::new(scenario.clone(), Keys::new("id", "key"), clock.clone());
    for step in steps {
        clock.advance(Duration::from_secs(*step));
        assert_eq!(world.now(), clock.now());
    }
    world.truth_since(T0 - 300)
}

#[test]
fn the_same_seed_gives_the_same_sessions_whenever_and_however_often_it_is_asked() {
    let scenario = Scenario::demo();
    let one = truth_at(&scenario, T0, &[600]);
    let again = truth_at(&scenario, T0, &[1, 7, 300, 92, 200]);
    let later = truth_at(&scenario, T0 + 500, &[100]);
    assert!(one.published > 500);
    assert_eq!(one.by_series, again.by_series);
    assert_eq!(one.by_series, later.by_series, "a restart finds the same past");
    let other = truth_at(&Scenario { seed: scenario.seed + 1, ..scenario }, T0, &[600]);
    assert_ne!(one.by_series, other.by_series);
}

#[test]
fn the_demo_looks_like_a_platform() {
    let mut scenario = Scenario::demo();
    scenario.traffic.history = Span::seconds(0);
    let clock = Arc::new(ManualClock::new(T0));
    let world = World::new(scenario, Keys::new("id", "key"), clock.clone());
    clock.advance(Duration::from_secs(600));
    let early = world.truth();
    let missing: Vec<_> = TABLE.iter().filter(|entry| !early.has(entry.reason)).map(|entry| entry.name).collect();
    assert!(missing.is_empty(), "{missing:?} did not occur within ten minutes");
    clock.advance(Duration::from_secs(3000));
    let truth = world.truth();
    let a_minute = truth.published as f64 / 60.0;
    assert!((60.0..220.0).contains(&a_minute), "{a_minute} a minute");
    let streams: std::collections::BTreeSet<_> =
        truth.by_series.keys().map(|series| (&series.domain, &series.app, &series.stream)).collect();
    assert!(streams.len() > 300, "{} streams", streams.len());
    let of = |reason: Reason| truth.reasons()[reason.as_str()];
    assert!(of(Reason::AuthFailed) > 300, "storms: {}", of(Reason::AuthFailed));
    assert!(of(Reason::AccountArrears) > 200, "cut-offs: {}", of(Reason::AccountArrears));
    let odd = |part: &str| truth.by_series.keys().any(|series| series.stream.text().contains(part));
    assert!(odd("\"") && odd("\\") && odd("\n") && odd("房间") && odd("<script>"));
}

#[test]
fn sessions_of_one_stream_follow_each_other() {
    let yaml = "platform: { domains: [{ name: d, apps: [{ name: live, streams: [{ names: [a] }] }] }] }
traffic: { disconnects_per_minute: 2, history: 1h, rhythm: { low: 1 } }";
    let clock = Arc::new(ManualClock::new(T0));
    let world = World::new(Scenario::from_yaml(yaml).unwrap(), Keys::new("id", "key"), clock);
    let mut sessions = world.truth().sessions;
    sessions.sort_by_key(|session| session.end);
    assert!((115..=121).contains(&sessions.len()), "{}", sessions.len());
    assert!(sessions.windows(2).all(|two| two[0].end <= two[1].start));
}

#[test]
fn broken_rows_of_generated_sessions_are_known_to_the_truth() {
    let yaml = "platform: { domains: [{ name: d, apps: [{ name: live, streams: [{ names: [a, b] }] }] }] }
traffic: { disconnects_per_minute: 60, history: 10m }
faults: { broken_rows: 0.5, broken_kinds: [not_an_object, negative_duration] }";
    let lab = Lab::new(Scenario::from_yaml(yaml).unwrap());
    lab.world.stop_traffic();
    let truth = lab.world.truth();
    let (mut whole, mut broken) = (0_u64, 0_u64);
    for page in 1..=7 {
        for row in rows(&lab.list(T0 - 700, T0, &json!({"PageNum": page}))) {
            *(if row.is_object() { &mut whole } else { &mut broken }) += 1;
        }
    }
    assert_eq!((truth.published, truth.unusable), (whole, broken));
    assert!(broken > 80);
}

#[test]
fn scripts_drive_the_simulation_over_http() {
    let lab = Lab::quiet();
    assert_eq!(lab.get("/-/healthy").body, b"ok\n");
    let events = json!([
        {"domain": DOMAIN, "stream": "a", "start": T0 - 50, "end": T0 - 40, "reason": "推流链路网络异常"},
        {"domain": DOMAIN, "app": "show", "stream": "b\n", "start": T0 - 20, "end": T0 - 10},
        {"domain": DOMAIN, "stream": "c", "start": T0 - 20, "end": T0 - 10, "visible_at": T0 + 100},
    ]);
    assert_eq!(lab.post("/-/events", &events).json(), json!({"ids": [0, 1, 2]}));
    let truth = lab.get("/-/truth").json();
    assert_eq!((&truth["now"], &truth["published"], &truth["pending"]), (&json!(T0), &json!(2), &json!(1)));
    assert_eq!(truth["by_reason"], json!({"client_stopped": 1, "network_error": 1}));
    assert_eq!(truth["by_domain"][DOMAIN], truth["by_reason"]);
    assert_eq!(
        truth["by_series"][0],
        json!({"domain": DOMAIN, "app": "live", "stream": "a", "reason": "network_error", "count": 1})
    );
    assert_eq!(lab.get(&format!("/-/truth?since={}", T0 - 30)).json()["published"], 1);
    assert_eq!(lab.post("/-/hide", &json!([0, 9])).json(), json!({"found": 1}));
    assert_eq!(lab.list(T0 - 60, T0, &json!({}))["TotalNum"], 1);
    assert_eq!(lab.post("/-/show", &json!([0])).json(), json!({"found": 1}));
    let quirks = lab.post("/-/quirks", &json!({"filter": "start", "unfinished": {"end": "dash"}})).json();
    assert_eq!((&quirks["filter"], &quirks["unfinished"]), (&json!("start"), &json!({"share": 0.0, "end": "dash"})));
    assert_eq!(lab.world.quirks().filter, WindowFilter::Start);
    assert_eq!(lab.post("/-/faults", &json!({"throttle": 1})).json()["throttle"], 1.0);
    assert_eq!(code(&lab.list(T0 - 60, T0, &json!({}))), "RequestLimitExceeded");
    for (path, body) in [
        ("/-/faults", json!({"throttle": 2})),
        ("/-/quirks", json!({"filtre": "end"})),
        ("/-/events", json!([{"domain": DOMAIN}])),
        ("/-/fail-next", json!({"times": 1, "fault": "rain"})),
    ] {
        let reply = lab.post(path, &body);
        assert!(reply.status == 400 && reply.json()["error"].is_string(), "{path}");
    }
    lab.post("/-/faults", &json!({"throttle": 0}));
    lab.post("/-/fail-next", &json!({"times": 1, "fault": {"http": 503}}));
    assert_eq!(lab.call("DescribeLiveDomains", &json!({})).status, 503);
    let log = lab.get("/-/requests").json();
    assert_eq!((&log["count"], &log["recent"][1]["outcome"]), (&json!(3), &json!("RequestLimitExceeded")));
    assert_eq!(log["faults"], json!({"http": 1, "throttle": 1}));
    assert_eq!(lab.post("/-/stop-traffic?late=now", &json!({})).json()["published"], 3);
    assert_eq!(lab.get("/nowhere").status, 404);
}

#[test]
fn stopped_traffic_stays_stopped() {
    let lab = Lab::new(Scenario::demo());
    lab.pass(5);
    lab.post("/-/stop-traffic?late=now", &json!({}));
    let truth = lab.world.truth();
    lab.pass(3600);
    assert_eq!(lab.world.truth().published, truth.published);
}

#[test]
fn a_burst_of_100_000_is_counted_by_one_request() {
    let lab = Lab::quiet();
    lab.world.set_quirks(|quirks| quirks.past_cap = PastCap::Truncate);
    lab.world
        .publish_all((0..100_000).map(|n| room(&format!("r{}", n % 300), T0 - 40_000 + n / 3, T0 - 36_000 + n / 3)));
    for filter in [WindowFilter::End, WindowFilter::Start, WindowFilter::Overlap] {
        lab.world.set_quirks(|quirks| quirks.filter = filter);
        let response = lab.list(T0 - 80_000, T0, &json!({"PageNum": 100}));
        assert_eq!((&response["TotalNum"], rows(&response).len()), (&json!(100_000), 100));
    }
}

#[test]
fn a_clock_that_jumps_by_years_does_not_stop_a_quiet_simulation() {
    let lab = Lab::quiet();
    for now in [T0 + 400_000_000, 0, -T0, T0] {
        lab.clock.jump_to(now);
        assert_eq!(lab.world.now(), now);
    }
    assert_eq!(lab.list(T0 - 60, T0, &json!({}))["TotalNum"], 0);
}
