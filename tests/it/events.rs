//! `events`: what the API shows, printed by the real program.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_bytes::ByteBuf;
use tencent_live_exporter::clock::{Clock as _, SystemClock};
use tencent_live_exporter::sim::scenario::{TieOrder, WindowFilter};
use tencent_live_exporter::sim::{Damage, Event, Fault, Name};

use crate::command_line::{Api, last_line};
use crate::support::child::{CommandLine, Ended};

const DOMAIN: &str = "push.example.com";
const NETWORK: &str = "推流链路网络异常";

/// Names that want to be more than names.
fn hostile() -> Vec<Name> {
    let mut names: Vec<Name> = [
        "room_1",
        "房间 一",
        "",
        "=cmd|' /C calc'!A0",
        "-1+1",
        "'quoted'",
        "say \"hi\", again;\r\n\"owned\"",
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "\u{9b}31m\u{85}\u{7f}",
        "\u{202e}drawkcab\u{2066}\u{200b}\u{feff}",
        "\u{0}\u{1}\u{1f}",
        "back\\slash \\u{1b}",
        "a,b\tc",
        "😀e\u{301}",
    ]
    .map(Name::from)
    .to_vec();
    names.push(Name::from("x".repeat(300).as_str()));
    names.push(Name::new(b"half a pair \xed\xa0\xbd"));
    names.push(Name::new(b"half a pair \xed\xa0\xbe"));
    names
}

/// A session as it can be compared: names as bytes, then start, end and reason.
type Session = (Vec<u8>, Vec<u8>, Vec<u8>, String, String, String);

fn time(at: i64) -> String {
    jiff::Timestamp::from_second(at).unwrap().to_string()
}

/// The truth, each session as often as there is one.
fn truth(api: &Api) -> BTreeMap<Session, u64> {
    let mut truth = BTreeMap::new();
    for session in api.world.truth().sessions {
        let [domain, app, stream] =
            [&session.series.domain, &session.series.app, &session.series.stream].map(|name| name.as_bytes().to_vec());
        let session = (domain, app, stream, time(session.start), time(session.end), session.series.reason.to_owned());
        *truth.entry(session).or_default() += 1;
    }
    truth
}

#[derive(Deserialize)]
struct Document {
    disconnects: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    account: String,
    domain: ByteBuf,
    app: ByteBuf,
    stream: ByteBuf,
    start: String,
    end: String,
    duration_seconds: u64,
    client_ip: String,
    reason: String,
    class: String,
    reason_text: String,
    resolution: String,
}

fn rows(ended: &Ended) -> Vec<Row> {
    let document: Document =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout));
    document.disconnects
}

fn counted(rows: Vec<Row>) -> BTreeMap<Session, u64> {
    let mut counted = BTreeMap::new();
    for row in rows {
        let names = [row.domain, row.app, row.stream].map(ByteBuf::into_vec);
        let [domain, app, stream] = names;
        *counted.entry((domain, app, stream, row.start, row.end, row.reason)).or_default() += 1;
    }
    counted
}

/// The streams, in their order.
fn streams(ended: &Ended) -> Vec<String> {
    rows(ended).into_iter().map(|row| String::from_utf8(row.stream.into_vec()).unwrap()).collect()
}

/// The lines of a file as RFC 4180 reads them.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut lines, mut line, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, quoted) {
            ('"', true) if characters.peek() == Some(&'"') => cell.extend(characters.next()),
            ('"', _) => quoted = !quoted,
            (c, true) => cell.push(c),
            (',', false) => line.push(std::mem::take(&mut cell)),
            ('\r', false) => {}
            ('\n', false) => {
                line.push(std::mem::take(&mut cell));
                lines.push(std::mem::take(&mut line));
            }
            (c, false) => panic!("{c:?} stands outside of quotes"),
        }
    }
    assert!(!quoted && line.is_empty() && cell.is_empty(), "the last line has no end");
    lines
}

/// What a name becomes that may write nothing but itself.
fn escaped(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let escape = |c: char| if (' '..='~').contains(&c) { c.to_string() } else { c.escape_debug().to_string() };
    if text.is_empty() { "-".to_owned() } else { text.chars().map(escape).collect() }
}

/// Sessions of every hostile name, twins among them, and more of one second than a response holds.
fn publish_hostile(api: &Api) {
    let now = api.world.now();
    for (n, name) in (0_i64..).zip(hostile()) {
        for _ in 0..=n % 3 {
            let start = now - 1_000 - n;
            api.world.publish(Event::ended(DOMAIN, "live", name.clone(), start, now - 900 - n).because(NETWORK));
        }
        api.world.publish(Event::ended(name.clone(), name.clone(), "room", now - 2_000, now - 1_900));
    }
    let crowd = (0..250).map(|n| Event::ended(DOMAIN, "crowd", &*format!("room_{n}"), now - 700, now - 600));
    api.world.publish_all(crowd);
}

#[tokio::test]
async fn events_prints_exactly_the_truth_in_json_for_hostile_names() {
    let api = Api::start().await;
    publish_hostile(&api);
    let ended = api.asked_by(&["events", "--output", "json"]).run().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert_eq!(counted(rows(&ended)), truth(&api));
    let harmless = |c: char| c == '\n' || (!c.is_control() && !"\u{202e}\u{2066}\u{200b}\u{feff}".contains(c));
    assert!(ended.stdout.chars().all(harmless), "{}", ended.stdout);
}

#[tokio::test]
async fn events_prints_exactly_the_truth_in_csv_and_no_formula() {
    let api = Api::start().await;
    publish_hostile(&api);
    let ended = api.asked_by(&["events", "--output", "csv"]).run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = csv(&ended.stdout);
    let column = |name: &str| lines[0].iter().position(|column| column == name).unwrap();
    let mut told: BTreeMap<Session, u64> = BTreeMap::new();
    for line in &lines[1..] {
        assert!(line.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{line:?}");
        let cell = |name: &str| {
            let cell = &line[column(name)];
            let name = cell.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '-'])).unwrap_or(cell);
            name.to_owned()
        };
        let [domain, app, stream] = ["domain", "app", "stream"].map(|name| cell(name).into_bytes());
        *told.entry((domain, app, stream, cell("start"), cell("end"), cell("reason"))).or_default() += 1;
    }
    // What is not UTF-8 has no form in it but a replaced one.
    let mut expected: BTreeMap<Session, u64> = BTreeMap::new();
    for ((domain, app, stream, start, end, reason), count) in truth(&api) {
        let lossy = |name: Vec<u8>| String::from_utf8_lossy(&name).into_owned().into_bytes();
        *expected.entry((lossy(domain), lossy(app), lossy(stream), start, end, reason)).or_default() += count;
    }
    assert_eq!(told, expected);
}

#[tokio::test]
async fn events_prints_a_line_for_each_session_and_nothing_that_a_terminal_would_obey() {
    let api = Api::start().await;
    publish_hostile(&api);
    let ended = api.asked_by(&["events"]).run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let harmless = |c: char| c == '\n' || (!c.is_control() && !"\u{202e}\u{2066}\u{200b}\u{feff}".contains(c));
    assert!(ended.stdout.chars().all(harmless), "{}", ended.stdout);
    let mut lines = ended.stdout.lines();
    assert!(lines.next().unwrap().starts_with("ENDED (UTC)"), "{}", ended.stdout);
    let mut lines: Vec<&str> = lines.collect();
    for ((domain, app, stream, _, end, reason), count) in truth(&api) {
        let cut = |name: &[u8]| {
            let name = escaped(name);
            if name.len() > 128 { format!("{}…", &name[..128]) } else { name }
        };
        let cells = [end.replace('T', " ").replace('Z', ""), cut(&domain), cut(&app), cut(&stream), reason];
        for _ in 0..count {
            let is_it = |line: &&str| {
                let mut rest = *line;
                cells.iter().all(|cell| {
                    let Some(at) = rest.find(&format!("{cell}  ")) else { return false };
                    rest = &rest[at + cell.len()..];
                    true
                })
            };
            let place = lines.iter().position(is_it).unwrap_or_else(|| panic!("{cells:?} is not in\n{}", ended.stdout));
            lines.remove(place);
        }
    }
    assert_eq!(lines, [""; 0]);
    assert!(last_line(&ended).contains("disconnects that ended from 20"), "{ended:?}");
}

#[tokio::test]
async fn events_is_exact_where_ties_change_places() {
    let api = Api::start().await;
    let now = api.world.now();
    api.world.set_quirks(|quirks| {
        quirks.tie_order = TieOrder::Shuffled;
    });
    api.world.publish_all((0..900).map(|n| {
        let end = now - 100 - n % 7 * 300;
        Event::ended(DOMAIN, "live", &*format!("room_{}", n % 60), end - 30 - n % 3, end)
    }));
    let ended = api.asked_by(&["events", "--output", "json"]).run().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert_eq!(counted(rows(&ended)), truth(&api));
}

#[tokio::test]
async fn events_shows_every_session_that_began_in_one_second_when_others_ended_in_between() {
    let api = Api::start().await;
    let now = api.world.now();
    let start = now - 3_400;
    for end in [now - 3_000, now - 1_500, now - 100] {
        api.world.publish(Event::ended(DOMAIN, "live", "room", start, end));
    }
    api.world.publish_all((0..400).map(|n| {
        let end = now - 90 - n * 8;
        Event::ended(DOMAIN, "live", &*format!("other_{n}"), end - 5, end)
    }));
    let ended = api.asked_by(&["events", "--output", "json"]).run().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert_eq!(counted(rows(&ended)), truth(&api));
}

#[tokio::test]
async fn events_shows_what_ended_in_the_range_whichever_time_the_api_filters_on() {
    for filter in [WindowFilter::End, WindowFilter::Start, WindowFilter::Overlap] {
        for others in [0, 3] {
            let api = Api::start().await;
            api.world.set_quirks(|quirks| quirks.filter = filter);
            let now = api.world.now();
            let ended_ago = |stream: &str, lasted: i64, ago: i64| {
                api.world.publish(Event::ended(DOMAIN, "live", stream, now - ago - lasted, now - ago));
            };
            // It began long before the range.
            ended_ago("long", 20 * 3_600, 300);
            ended_ago("before", 60, 7_200);
            // It began in the range, and ended after it.
            ended_ago("after", 170, 30);
            for _ in 0..others {
                ended_ago("short", 1, 600);
            }
            let asked = ["events", "--since", "1h", "--until", "2m", "--output", "json"];
            let ended = api.asked_by(&asked).run().await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let mut expected = vec!["long".to_owned()];
            expected.extend(std::iter::repeat_n("short".to_owned(), others));
            assert_eq!(streams(&ended), expected, "{filter:?}, {others} others");
        }
    }
}

#[tokio::test]
async fn events_splits_what_is_wider_than_thirty_days_and_refuses_what_is_forgotten() {
    let api = Api::start().await;
    let now = api.world.now();
    let day = 86_400;
    for days in [59, 45, 30, 29, 1] {
        let end = now - days * day;
        api.world.publish(Event::ended(DOMAIN, "live", &*format!("{days}d"), end - 60, end));
    }
    let ended = api.asked_by(&["events", "--since", "60d", "--output", "json"]).run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(streams(&ended), ["1d", "29d", "30d", "45d", "59d"]);
    assert!(api.world.requests().recent.iter().all(|request| request.outcome == "ok"), "{:?}", api.world.requests());
    let before = api.world.requests().count;
    let ended = api.asked_by(&["events", "--since", "61d"]).run().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    assert!(last_line(&ended).contains("60 days"), "{ended:?}");
    assert_eq!(api.world.requests().count, before, "nothing was asked in vain");
}

#[tokio::test]
async fn events_needs_no_state_and_runs_beside_an_exporter() {
    let api = Api::start().await;
    api.world.publish(api.ended("room"));
    let mut process = api.asked_by(&[]).start();
    let shown = |page: &crate::support::metrics::Metrics| page.count("tencent_live_disconnects_total", &[]) == 1;
    process.metrics_when("it counts", shown).await;
    let state = process.folder.join("data").display().to_string();
    let beside = api.asked_by(&["events", "--output", "json", "--state.path", &state]).run().await;
    assert_eq!((beside.code, streams(&beside)), (Some(0), vec!["room".to_owned()]), "{beside:?}");
    let without = api.asked_by(&["events", "--output", "json", "--state.path", "file/x"]).file("file", "").run().await;
    assert_eq!((without.code, streams(&without)), (Some(0), vec!["room".to_owned()]), "{without:?}");
    assert_eq!(without.folder.names(), ["file"]);
}

#[tokio::test]
async fn events_shows_of_addresses_what_the_state_would_keep() {
    let api = Api::start().await;
    api.world.publish(api.ended("room").from_ip("198.51.100.77"));
    for (client_ip, shown) in [("full", "198.51.100.77"), ("masked", "198.51.100.0/24"), ("none", "")] {
        for output in ["json", "csv", "table"] {
            let asked = api.asked_by(&["events", "--output", output]);
            let ended = asked.env("TENCENT_LIVE__STATE__CLIENT_IP", client_ip).run().await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert!(ended.stdout.contains(shown), "{client_ip}: {}", ended.stdout);
            assert_eq!(ended.stdout.contains("198.51.100."), !shown.is_empty(), "{client_ip}: {}", ended.stdout);
            assert_eq!(ended.stdout.contains(".77"), client_ip == "full", "{client_ip}: {}", ended.stdout);
        }
    }
}

#[tokio::test]
async fn events_shows_every_field_and_the_newest_first_unless_told_otherwise() {
    let api = Api::start().await;
    let now = api.world.now();
    for ago in [30, 10, 20] {
        let event = Event::ended(DOMAIN, "live", &*format!("{ago}s"), now - ago - 60, now - ago);
        api.world.publish(event.because(NETWORK));
    }
    let newest = api.asked_by(&["events", "--output", "json"]).run().await;
    assert_eq!(streams(&newest), ["10s", "20s", "30s"]);
    let oldest = api.asked_by(&["events", "--output", "json", "--oldest-first"]).run().await;
    assert_eq!(streams(&oldest), ["30s", "20s", "10s"]);
    let row = rows(&newest).remove(0);
    assert_eq!((row.account.as_str(), &**row.domain, &**row.app), ("main", DOMAIN.as_bytes(), &b"live"[..]));
    assert_eq!((row.start, row.end, row.duration_seconds), (time(now - 70), time(now - 10), 60));
    assert_eq!(
        (row.reason.as_str(), row.class.as_str(), row.reason_text.as_str()),
        ("network_error", "network", NETWORK)
    );
    assert_eq!((row.client_ip.as_str(), row.resolution.as_str()), ("203.0.113.0/24", "1920*1080"));
    let nothing = api.asked_by(&["events", "--since", "1h", "--until", "30m", "--output", "json"]).run().await;
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), "{\"disconnects\":[]}\n"), "{nothing:?}");
}

#[tokio::test]
async fn events_shows_only_what_is_asked_for() {
    let api = Api::start().await;
    for (domain, app, stream, reason) in [
        ("a.example.com", "live", "one", NETWORK),
        ("a.example.com", "vip", "two", "推流客户端主动断流"),
        ("b.example.com", "live", "three", "never heard of"),
        ("b.example.com", "vip", "four", "账号欠费，您的直播服务已被暂时关停，请及时充值。"),
    ] {
        let end = api.world.now() - 10;
        api.world.publish(Event::ended(domain, app, stream, end - 60, end).because(reason));
    }
    for (arguments, expected) in [
        (&["--domain", "a.example.com"][..], &["one", "two"][..]),
        (&["--app", "vip"], &["four", "two"]),
        (&["--domain", "b.example.com", "--app", "live"], &["three"]),
        (&["--stream", "two"], &["two"]),
        (&["--stream", "tw"], &[]),
        (&["--reason", "network_error"], &["one"]),
        (&["--reason", "network_error", "--reason", "unmapped"], &["one", "three"]),
        (&["--class", "network", "--class", "arrears"], &["four", "one"]),
        (&["--class", "network", "--reason", "unmapped"], &[]),
    ] {
        let ended = api.asked_by(&[&["events", "--output", "json"], arguments].concat()).run().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let mut streams = streams(&ended);
        streams.sort();
        assert_eq!(streams, expected, "{arguments:?}");
    }
}

#[tokio::test]
async fn events_asks_for_the_domains_and_apps_of_each_account_and_one_that_fails_does_not_hide_the_others() {
    let (one, other) = (Api::start().await, Api::start().await);
    for api in [&one, &other] {
        let end = api.world.now() - 10;
        api.world.set_quirks(|quirks| quirks.domain_required = true);
        for domain in ["a.example.com", "b.example.com"] {
            api.world.publish(Event::ended(domain, "live", "room", end - 60, end));
        }
    }
    let settings = format!(
        "accounts:\n- {{ name: one, domains: [a.example.com], credentials: {{ secret_id: AKIDcanarycanarycanarycanarycanary00, \
         secret_key: CANARYkeyCANARYkeyCANARYkey00000 }}, endpoint: '{}' }}\n- {{ name: other, domains: [a.example.com, \
         b.example.com], credentials: {{ secret_id: AKIDcanarycanarycanarycanarycanary00, secret_key: \
         CANARYkeyCANARYkeyCANARYkey00000 }}, endpoint: '{}' }}\n",
        one.endpoint(),
        other.endpoint(),
    );
    let asked = |more: &[&str]| {
        let arguments = [&["events", "--config.file", "c.yaml", "--output", "json"], more].concat();
        CommandLine::new(&arguments).file("c.yaml", &settings).run()
    };
    let told = |ended: &Ended| {
        let domain = |row: Row| (row.account, String::from_utf8(row.domain.into_vec()).unwrap());
        let mut told: Vec<(String, String)> = rows(ended).into_iter().map(domain).collect();
        told.sort();
        told
    };
    let expected = [("one", "a.example.com"), ("other", "a.example.com"), ("other", "b.example.com")]
        .map(|(account, domain)| (account.to_owned(), domain.to_owned()));
    let both = asked(&[]).await;
    assert_eq!((both.code, told(&both)), (Some(0), expected.to_vec()), "{both:?}");
    let just = asked(&["--account", "other"]).await;
    assert_eq!((just.code, told(&just)), (Some(0), expected[1..].to_vec()), "{just:?}");
    one.world.fail_next(1_000, Fault::Api { code: "AuthFailure.SecretIdNotFound".into(), message: "no".into() });
    let failed = asked(&[]).await;
    assert_eq!((failed.code, told(&failed)), (Some(1), expected[1..].to_vec()), "{failed:?}");
    assert!(last_line(&failed).contains("account one: ") && last_line(&failed).contains("nothing of this account"));
    let unknown = asked(&["--account", "third"]).await;
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(2), ""), "{unknown:?}");
    assert!(last_line(&unknown).contains("--account third: the configuration has one, other"), "{unknown:?}");
}

#[tokio::test]
async fn events_with_arguments_that_mean_nothing_ends_with_2_and_says_what_is_accepted() {
    let api = Api::start().await;
    for (arguments, words) in [
        (&["--since", "yesterday"][..], "a duration up to now (2h, 1h30m, 7d)"),
        (&["--until", "2h ago"], "seconds since 1970"),
        (&["--since", "1h", "--until", "2h"], "is later than --until"),
        (&["--since", "4102444800"], "is later than now"),
        (&["--reason", "rain"], "network_error"),
        (&["--class", "Network"], "network"),
        (&["--output", "xml"], "csv"),
    ] {
        let ended = api.asked_by(&[&["events"], arguments].concat()).run().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(words), "{words} is not in\n{}", ended.stderr);
    }
    assert_eq!(api.world.requests().count, 0);
}

#[tokio::test]
async fn events_goes_on_where_the_network_fails_for_a_moment_and_ends_with_1_where_it_does_not_come_back() {
    let api = Api::start().await;
    api.world.publish(api.ended("room"));
    api.world.fail_next(5, Fault::ConnectionReset);
    let ended = api.asked_by(&["events", "--output", "json"]).run().await;
    assert_eq!((ended.code, streams(&ended)), (Some(0), vec!["room".to_owned()]), "{ended:?}");
    api.world.fail_next(1_000, Fault::Api { code: "UnauthorizedOperation".into(), message: "no".into() });
    let ended = api.asked_by(&["events"]).run().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("grant the CAM action live:DescribeLiveStreamEventList"), "{ended:?}");
}

#[tokio::test]
async fn events_says_what_it_could_not_show() {
    let api = Api::start().await;
    let end = api.world.now() - 10;
    api.world.publish(Damage::NullName.apply(api.ended("nameless")));
    let ended = api.asked_by(&["events", "--output", "json"]).run().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "{\"disconnects\":[]}\n"), "{ended:?}");
    assert!(last_line(&ended).contains("1 rows cannot be read and are left out, the first for its StreamName"));
    // Identical to the second: no question tells them apart.
    api.world.publish_all((0..130).map(|_| Event::ended(DOMAIN, "live", "room", end - 5, end)));
    let ended = api.asked_by(&["events", "--output", "json"]).run().await;
    assert_eq!((ended.code, streams(&ended).len()), (Some(1), 100), "{ended:?}");
    assert!(ended.stderr.contains("the API did not show every row"), "{ended:?}");
}

#[tokio::test]
async fn events_honours_the_pace() {
    let api = Api::start().await;
    let now = api.world.now();
    api.world.publish_all((0..1_500).map(|n| Event::ended(DOMAIN, "live", "room", now - 100 - n, now - 90 - n)));
    let clock = SystemClock::new();
    let asked = api.asked_by(&["events", "--output", "json"]);
    let ended = asked.env("TENCENT_LIVE__POLL__MAX_REQUESTS_PER_SECOND", "10").run().await;
    let took = clock.elapsed();
    assert_eq!((ended.code, streams(&ended).len()), (Some(0), 1_500), "{ended:?}");
    // A burst of a second's worth is free, the others come at the pace.
    let requests = u32::try_from(api.world.requests().count).unwrap();
    assert!(requests > 20, "{requests} requests tell nothing");
    assert!(took >= Duration::from_millis(100) * (requests - 10 - 1), "{requests} requests in {took:?}");
}
