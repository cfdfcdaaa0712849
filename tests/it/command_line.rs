//! The program as a process: arguments, variables, exit codes, signals, what it prints and what it never prints.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tencent_live_exporter::clock::{Clock as _, SystemClock};
use tencent_live_exporter::sim::{Event, Fault, Keys, Scenario, Simulator, World};
use tokio::net::TcpListener;

use crate::support::child::{CommandLine, Ended, Process};
use crate::support::folder::Folder;
use crate::support::http;
use crate::support::metrics::Metrics;
use crate::support::patience::{seen, until};

const SECRET_ID: &str = "AKIDcanarycanarycanarycanarycanary00";
const SECRET_KEY: &str = "CANARYkeyCANARYkeyCANARYkey00000";
const DOMAIN: &str = "push.example.com";
const STREAMS: &str = "tencent_live_stream_disconnects_total";

/// The API, for a process to ask.
pub(crate) struct Api {
    simulator: Simulator,
    pub(crate) world: Arc<World>,
}

impl Api {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let keys = Keys::new(SECRET_ID, SECRET_KEY);
        let simulator = Simulator::start(listener, Scenario::default(), keys, Arc::new(SystemClock::new())).unwrap();
        Self { world: simulator.world(), simulator }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.simulator.endpoint()
    }

    /// A session that ended ten seconds ago.
    pub(crate) fn ended(&self, stream: &str) -> Event {
        let end = self.world.now() - 10;
        Event::ended(DOMAIN, "live", stream, end - 60, end)
    }

    /// A process that asks this API, by variables alone.
    pub(crate) fn asked_by(&self, arguments: &[&str]) -> CommandLine {
        self.variables(CommandLine::new(arguments))
    }

    pub(crate) fn variables(&self, command: CommandLine) -> CommandLine {
        command
            .env("TENCENTCLOUD_SECRET_ID", SECRET_ID)
            .env("TENCENTCLOUD_SECRET_KEY", SECRET_KEY)
            .env("TENCENT_LIVE__ACCOUNTS__0__ENDPOINT", &self.simulator.endpoint())
            .env("TENCENT_LIVE__POLL__INTERVAL", "1s")
            .env("TENCENT_LIVE__POLL__SWEEP_INTERVAL", "1s")
            .env("TENCENT_LIVE__POLL__MAX_REQUESTS_PER_SECOND", "100")
            .env("TENCENT_LIVE__SERIES__HOLD_MAX", "0s")
            .env("TENCENT_LIVE__WEB__LISTEN_ADDRESSES", "127.0.0.1:0")
    }
}

/// The one line that a failed start ends with.
pub(crate) fn last_line(ended: &Ended) -> &str {
    let mut lines = ended.stderr.lines().filter(|line| line.starts_with("tencent-live-exporter: "));
    let line = lines.next().unwrap_or_else(|| panic!("{ended:?}"));
    assert_eq!(lines.next(), None, "one line is enough: {ended:?}");
    line
}

fn is_polled(metrics: &Metrics) -> bool {
    metrics.count("tencent_live_exporter_polls_total", &[("kind", "poll")]) > 0
}

/// Asks for a stop with `signal` and expects a clean one, in five seconds.
pub(crate) async fn stops_cleanly(process: Process, signal: &str) -> Ended {
    let clock = SystemClock::new();
    process.signal(signal);
    let ended = process.ended().await;
    let took = clock.elapsed();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(took < Duration::from_secs(5), "it took {took:?}: {ended:?}");
    ended
}

#[tokio::test]
async fn version_and_help_are_answers() {
    for flag in ["--version", "--help", "-V", "-h"] {
        let ended = CommandLine::new(&[flag]).run().await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{flag}");
        assert!(ended.stdout.contains("tencent-live-exporter"), "{flag}: {}", ended.stdout);
    }
    let version = CommandLine::new(&["--version"]).run().await.stdout;
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let help = CommandLine::new(&["--help"]).run().await.stdout;
    let words = ["--config.file", "--config.check", "--state.path", "--web.listen-address", "--web.telemetry-path"];
    let more = [
        "--web.max-requests",
        "--log.level",
        "--log.format",
        "demo",
        "simulate",
        "once",
        "doctor",
        "events",
        "verify",
        "state",
    ];
    for word in words.iter().chain(&more) {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
}

#[tokio::test]
async fn unknown_arguments_are_refused() {
    for arguments in [&["--no.such.flag"][..], &["no-such-command"], &["reasons", "--output", "xml"], &["once", "more"]]
    {
        let ended = CommandLine::new(arguments).run().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(arguments.last().unwrap()), "{arguments:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn e8_every_problem_of_a_bad_configuration_is_told_at_once() {
    let bad = "poll: { interval: soon, intervall: 30s }\nweb: { max_requests: -1 }\n";
    for arguments in [&["--config.file", "bad.yaml"][..], &["--config.check", "--config.file", "bad.yaml"]] {
        // Half a key is a mistake; none at all would be looked for elsewhere.
        let half = CommandLine::new(arguments).env("TENCENTCLOUD_SECRET_ID", SECRET_ID);
        let ended = half.file("bad.yaml", bad).run().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        for part in ["poll.interval", "soon", "intervall", "web.max_requests", "TENCENTCLOUD_SECRET_KEY"] {
            assert!(ended.stderr.contains(part), "{part} is not in\n{}", ended.stderr);
        }
        assert_eq!(ended.folder.names(), ["bad.yaml"], "nothing was begun");
    }
    let ended = CommandLine::new(&["--config.file", "missing.yaml"]).run().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(last_line(&ended).contains("missing.yaml"), "{ended:?}");
}

#[tokio::test]
async fn a_good_configuration_passes_the_check_and_starts_nothing() {
    let good = format!("accounts: [{{ credentials: {{ secret_id: {SECRET_ID}, secret_key: {SECRET_KEY} }} }}]\n");
    let ended =
        CommandLine::new(&["--config.check", "--config.file", "good.yaml"]).file("good.yaml", &good).run().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert_eq!(ended.folder.names(), ["good.yaml"]);
}

#[tokio::test]
async fn without_credentials_it_runs_and_says_where_it_has_looked_for_them() {
    let arguments = ["once", "--state.path", ":memory:"];
    let ended = CommandLine::new(&arguments).env("HOME", "/nowhere").run().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in [
        "no credentials: no source has any; looked for environment: TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY",
        "TKE OIDC: TKE_REGION, TKE_PROVIDER_ID, TKE_WEB_IDENTITY_TOKEN_FILE, TKE_ROLE_ARN not set",
        "profile file: no file can be seen at /nowhere/.tencentcloud/credentials or /etc/tencentcloud/credentials",
        "CVM role: the metadata service metadata.tencentyun.com does not answer",
    ] {
        assert!(last_line(&ended).contains(part), "{part} is not in\n{}", ended.stderr);
    }
}

#[tokio::test]
async fn two_variables_are_enough_to_run_and_sigterm_and_sigint_stop_it() {
    let api = Api::start().await;
    api.world.publish(api.ended("room"));
    for signal in ["TERM", "INT"] {
        let mut process = api.asked_by(&[]).start();
        process.metrics_when("the session is shown", |page| page.count(STREAMS, &[("stream", "room")]) == 1).await;
        assert_eq!(process.stdout(), "", "the log is not an answer");
        let ended = stops_cleanly(process, signal).await;
        assert_eq!(ended.folder.names(), ["data"], "the state is where it was started");
    }
}

#[tokio::test]
async fn f17_a_port_in_use_is_said_in_one_line() {
    let api = Api::start().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = api.asked_by(&["--web.listen-address", &address]).run().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let line = last_line(&ended);
    assert!(line.contains(&address) && line.contains("--web.listen-address"), "{line}");
    assert!(ended.folder.names().is_empty(), "no state is made for an exporter that cannot answer");
}

#[tokio::test]
async fn d6_e8_a_state_folder_that_cannot_be_used_is_said_in_one_line() {
    let api = Api::start().await;
    let ended = api.asked_by(&["--state.path", "file/state"]).file("file", "").run().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(last_line(&ended).contains("file/state") && last_line(&ended).contains("--state.path"), "{ended:?}");
}

#[tokio::test]
async fn d7_a_state_folder_in_use_is_left_to_the_process_that_has_it() {
    let api = Api::start().await;
    let shared = Folder::new();
    let path = shared.path().to_str().unwrap();
    let mut first = api.asked_by(&["--state.path", path]).start();
    let address = first.address().await;
    let ended = api.asked_by(&["--state.path", path]).run().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let line = last_line(&ended);
    assert!(line.contains(path) && line.contains(&first.id().to_string()), "{line}");
    assert_eq!(http::get(address, "/-/healthy").await.unwrap().0, 200);
}

#[tokio::test]
async fn d5_e8_a_damaged_ledger_is_kept_and_the_next_start_begins_anew() {
    let api = Api::start().await;
    let folder = Folder::new();
    std::fs::create_dir(folder.join("data")).unwrap();
    std::fs::write(folder.join("data").join("ledger.sqlite"), "no ledger, but somebody's only copy").unwrap();
    let ended = api.asked_by(&[]).inside(folder).run().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let line = last_line(&ended).to_owned();
    let kept = line.split_whitespace().find(|word| word.contains("set-aside")).expect(&line).trim_end_matches('.');
    let kept = ended.folder.join(kept);
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "no ledger, but somebody's only copy");
    let mut process = api.asked_by(&[]).inside(ended.folder).start();
    process.metrics_when("it polls", is_polled).await;
}

#[tokio::test]
async fn e7_a_poll_that_hangs_does_not_hold_up_a_stop() {
    let api = Api::start().await;
    api.world.fail_next(100, Fault::Hang);
    let mut process = api.asked_by(&[]).start();
    let address = process.address().await;
    until("a request hangs", async || seen(api.world.requests().count > 0, process.stderr())).await;
    assert_eq!(http::get(address, "/-/healthy").await.unwrap().0, 200);
    assert_eq!(http::get(address, "/-/ready").await.unwrap().0, 503);
    stops_cleanly(process, "TERM").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_hold_up_a_stop() {
    let api = Api::start().await;
    let mut process = api.asked_by(&[]).start();
    process.metrics_when("it polls", is_polled).await;
    let address = process.address().await;
    // More pages than sockets have room for, all asked for at once and none of them read.
    let pipelined = "GET /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n".repeat(500);
    let mut lazy = std::net::TcpStream::connect(address).unwrap();
    lazy.write_all(pipelined.as_bytes()).unwrap();
    // And one that does not even ask.
    let mut half = std::net::TcpStream::connect(address).unwrap();
    half.write_all(b"GET /metrics HTTP/1.1\r\nHo").unwrap();
    let mut first = [0];
    until("the first page is on its way", async || seen(lazy.peek(&mut first).is_ok_and(|read| read == 1), ())).await;
    stops_cleanly(process, "TERM").await;
    drop((lazy, half));
}

#[tokio::test]
async fn d9_books_that_somebody_holds_do_not_hold_up_a_stop() {
    let api = Api::start().await;
    let mut process = api.asked_by(&[]).start();
    process.metrics_when("it polls", is_polled).await;
    let other = rusqlite::Connection::open(process.folder.join("data").join("ledger.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let failed = [("kind", "poll"), ("error", "state")];
    let fails = |page: &Metrics| page.count("tencent_live_exporter_poll_failures_total", &failed) > 0;
    process.metrics_when("a poll fails for it", fails).await;
    stops_cleanly(process, "TERM").await;
}

#[tokio::test]
async fn once_prints_the_page_with_what_the_lookback_found() {
    let api = Api::start().await;
    api.world.publish(api.ended("room"));
    let ended = api.asked_by(&["once"]).run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let page = Metrics::parse(&ended.stdout);
    assert_eq!(page.count(STREAMS, &[("stream", "room")]), 1);
    assert_eq!(page.count("tencent_live_disconnects_total", &[]), 1);
    assert_eq!(page.count("tencent_live_up", &[("account", "main")]), 1);
    api.world.publish(api.ended("room"));
    let again = api.asked_by(&["once"]).inside(ended.folder).run().await;
    assert_eq!(Metrics::parse(&again.stdout).count(STREAMS, &[("stream", "room")]), 2, "{again:?}");
}

#[tokio::test]
async fn once_with_a_wrong_key_prints_the_page_all_the_same_and_fails() {
    let api = Api::start().await;
    let wrong = "WRONGkeyWRONGkeyWRONGkeyWRONG000";
    let ended = api.asked_by(&["once"]).env("TENCENTCLOUD_SECRET_KEY", wrong).run().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let page = Metrics::parse(&ended.stdout);
    assert_eq!(page.count("tencent_live_up", &[]), 0);
    let failures = [("kind", "poll"), ("error", "auth")];
    assert_eq!(page.count("tencent_live_exporter_poll_failures_total", &failures), 1);
    assert!(last_line(&ended).contains("account main: DescribeLiveStreamEventList"), "{ended:?}");
    assert!(!format!("{ended:?}").contains(wrong));
}

/// A taxonomy without what it says about itself, by reason.
fn reasons(document: &Value) -> Vec<Value> {
    let mut reasons = document["reasons"].as_array().unwrap().clone();
    for reason in &mut reasons {
        reason
            .as_object_mut()
            .unwrap()
            .retain(|key, _| ["reason", "class", "zh", "en", "codes"].contains(&key.as_str()));
    }
    reasons.sort_by_key(|reason| reason["reason"].as_str().unwrap().to_owned());
    reasons
}

#[tokio::test]
async fn the_taxonomy_is_printed_as_it_was_collected() {
    let json = CommandLine::new(&["reasons", "--output", "json"]).run().await;
    assert_eq!(json.code, Some(0), "{json:?}");
    let collected = include_str!("../fixtures/reasons.json");
    let [printed, collected] = [&*json.stdout, collected].map(|text| reasons(&serde_json::from_str(text).unwrap()));
    assert_eq!(printed, collected);
    let table = CommandLine::new(&["reasons"]).run().await.stdout;
    for reason in &collected {
        let name = reason["reason"].as_str().unwrap();
        assert!(table.lines().any(|line| line.starts_with(&format!("{name} "))), "{name} is not in\n{table}");
    }
}

#[tokio::test]
async fn a_health_check_tells_by_its_exit_code() {
    let api = Api::start().await;
    let mut process = api.asked_by(&[]).start();
    let address = process.address().await.to_string();
    let check = || api.asked_by(&["healthcheck", "--web.listen-address", &address]).run();
    let ended = check().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let ended = CommandLine::new(&["healthcheck", "--web.listen-address", &address]).run().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "without keys: {ended:?}");
    stops_cleanly(process, "TERM").await;
    let ended = check().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(last_line(&ended).contains(&address), "{ended:?}");
}

#[tokio::test]
async fn the_demo_says_where_to_look_and_leaves_nothing_behind() {
    let temporary = Folder::new();
    let demo = CommandLine::new(&["demo", "--web.listen-address", "127.0.0.1:0"]);
    let mut process = demo.env("TMPDIR", temporary.path().to_str().unwrap()).start();
    let address = process.address().await;
    let page = format!("http://localhost:{}/metrics", address.port());
    until("it says where to look", async || seen(process.stdout().contains(&page), process.stdout())).await;
    let counted = [("account", "demo"), ("outcome", "counted")];
    let counts = |page: &Metrics| page.count("tencent_live_exporter_records_total", &counted) > 0;
    process.metrics_when("disconnects are counted", counts).await;
    let words = process.stdout();
    let truth = words.split_whitespace().find(|word| word.ends_with("/-/truth")).expect(&words);
    let simulator = truth.trim_start_matches("http://").trim_end_matches("/-/truth").parse().unwrap();
    let (status, truth) = http::get(simulator, "/-/truth").await.unwrap();
    assert!(status == 200 && serde_json::from_str::<Value>(&truth).unwrap()["published"].as_u64() > Some(0));
    assert_eq!(temporary.names().len(), 1, "{:?}", temporary.names());
    stops_cleanly(process, "TERM").await;
    assert!(temporary.names().is_empty(), "{:?}", temporary.names());
}

#[tokio::test]
async fn the_simulator_alone_can_be_asked_by_another_exporter() {
    let scenario = "
platform: { domains: [{ name: push.example.com, apps: [{ name: live, streams: [{ names: [room] }] }] }] }
traffic: { disconnects_per_minute: 1, history: 30m }
";
    let arguments = ["simulate", "--listen-address", "127.0.0.1:0", "--scenario", "scenario.yaml"];
    let keys = ["--secret-id", SECRET_ID, "--secret-key", SECRET_KEY];
    let simulator = CommandLine::new(&[&arguments[..], &keys].concat()).file("scenario.yaml", scenario).start();
    let endpoint = until("it says where it is", async || {
        let words = simulator.stdout();
        let endpoint = words.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned);
        endpoint.ok_or(words)
    })
    .await;
    let api = Api::start().await;
    let once = api.asked_by(&["once"]).env("TENCENT_LIVE__ACCOUNTS__0__ENDPOINT", &endpoint).run().await;
    assert_eq!(once.code, Some(0), "{once:?}");
    assert!(Metrics::parse(&once.stdout).count(STREAMS, &[]) > 0);
    stops_cleanly(simulator, "TERM").await;
}

/// Whether a line is `key=value` pairs and nothing else; values with anything odd in them are quoted.
fn is_logfmt(line: &str) -> bool {
    let mut rest = line;
    loop {
        let Some(border) = rest.find('=') else { return false };
        let key = &rest[..border];
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
            return false;
        }
        rest = &rest[border + 1..];
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut escaped = false;
            let end = quoted.find(|c| {
                let closes = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            });
            let Some(end) = end else { return false };
            rest = &quoted[end + 1..];
        } else {
            rest = &rest[rest.find(' ').unwrap_or(rest.len())..];
        }
        match rest.strip_prefix(' ') {
            Some(more) => rest = more,
            None => return rest.is_empty(),
        }
    }
}

#[tokio::test]
async fn h5_names_and_texts_of_strangers_cannot_write_lines_of_their_own() {
    let api = Api::start().await;
    let evil =
        "\" level=error msg=owned\nts=2000 level=error msg=\"owned\"\r\u{1b}[31m{\"level\":\"ERROR\"}\u{85}\u{2028}";
    api.world.publish(api.ended(evil).because(format!("never heard of {evil}")));
    api.world.publish(api.ended(evil).raw("StreamStartTime", serde_json::to_vec(evil).unwrap()).unusable());
    for format in ["logfmt", "json"] {
        let api_error = Fault::Api { code: format!("Odd{evil}"), message: evil.into() };
        api.world.fail_next(1, api_error);
        let mut process = api.asked_by(&["--log.format", format, "--log.level", "debug"]).start();
        process.metrics_when("the session is shown", |page| page.count(STREAMS, &[("reason", "unmapped")]) == 1).await;
        until("both texts are in the log", async || {
            let log = process.stderr();
            seen(log.contains("never heard of") && log.contains("row set aside"), log)
        })
        .await;
        let ended = stops_cleanly(process, "TERM").await;
        for line in ended.stderr.lines() {
            let fine = match format {
                "json" => serde_json::from_str::<Value>(line).is_ok_and(|line| line["level"] != "ERROR"),
                _ => is_logfmt(line) && line.starts_with("ts=") && !line.starts_with("ts=2000"),
            };
            assert!(fine, "{format}: {line:?}");
            assert!(!line.contains(|c: char| c.is_control() || "\u{85}\u{2028}".contains(c)), "{format}: {line:?}");
        }
    }
}

/// Every file below `folder`.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn k4_the_secret_key_is_never_told() {
    let api = Api::start().await;
    api.world.publish(api.ended("room"));
    api.world.fail_next(1, Fault::HtmlBody);
    let mut told = Vec::new();
    let arguments =
        ["--log.level", "debug", "--log.format", "json", "--config.file", "c.yaml", "--web.enable-lifecycle"];
    let mut process = api.asked_by(&arguments).file("c.yaml", "").start();
    process.metrics_when("it polls", is_polled).await;
    let address = process.address().await;
    told.push(std::fs::read_to_string(format!("/proc/{}/cmdline", process.id())).unwrap());
    let slip = format!("accounts: [{{ credentials: {{ secret_id: a b, secret_keyy: {SECRET_KEY} }} }}]\n");
    std::fs::write(process.folder.join("c.yaml"), slip).unwrap();
    let refused = http::post(address, "/-/reload").await.unwrap();
    assert_eq!(refused.0, 500, "{refused:?}");
    told.push(refused.1);
    std::fs::remove_file(process.folder.join("c.yaml")).unwrap();
    for path in ["/metrics", "/", "/-/healthy", "/-/ready", "/-/reload", "/api/v1/status"] {
        told.push(http::get(address, path).await.unwrap().1);
    }
    let ended = stops_cleanly(process, "TERM").await;
    told.extend([ended.stdout.clone(), ended.stderr.clone()]);
    assert!(told.iter().any(|text| text.contains("called")), "debug lines are there: {}", ended.stderr);
    let bad = api.asked_by(&["--log.level", "shout"]).env("TENCENT_LIVE__POLL__INTERVAL", "soon").run().await;
    assert_eq!(bad.code, Some(2));
    told.extend([bad.stdout, bad.stderr]);
    let mut folders = vec![ended.folder];
    for fault in [
        Fault::Redirect("http://127.0.0.1:1/elsewhere".into()),
        Fault::Api { code: "AuthFailure.SignatureFailure".into(), message: "no".into() },
    ] {
        let api = Api::start().await;
        api.world.fail_next(10, fault);
        let once = api.asked_by(&["once", "--log.level", "debug"]).run().await;
        assert_eq!(once.code, Some(1), "{once:?}");
        told.extend([once.stdout, once.stderr]);
        folders.push(once.folder);
    }
    for text in &told {
        assert!(!text.contains("CANARYkey"), "{text}");
    }
    let kept: Vec<_> = folders.iter().flat_map(|folder| files(folder.path())).collect();
    assert!(kept.len() >= 6, "{kept:?}");
    for file in kept {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(9).any(|part| part == b"CANARYkey"), "{}", file.display());
    }
}

#[tokio::test]
async fn d3_a_disk_without_room_fails_polls_and_nothing_else_and_all_is_counted_once_there_is_room() {
    let api = Api::start().await;
    api.world.publish(api.ended("room"));
    // No file may grow past 512 KiB: room for a new ledger, but not for what is published then.
    let mut process = api.variables(CommandLine::after("trap '' XFSZ; ulimit -f 1024", &[])).start();
    let first = |page: &Metrics| page.count(STREAMS, &[("stream", "room")]) == 1;
    process.metrics_when("the first session is shown", first).await;
    let end = api.world.now() - 10;
    api.world.publish_all((0..1500).map(|n| {
        Event::ended(DOMAIN, "live", &*format!("a-stream-with-a-long-name-{n:08}-{}", "x".repeat(80)), end - 60, end)
    }));
    let failed = [("kind", "poll"), ("error", "state")];
    let fails = |page: &Metrics| page.count("tencent_live_exporter_poll_failures_total", &failed) > 0;
    let page = process.metrics_when("a poll fails for want of room", fails).await;
    assert_eq!(page.count(STREAMS, &[("stream", "room")]), 1, "what is durable stays on the page");
    let address = process.address().await;
    assert_eq!(http::get(address, "/-/healthy").await.unwrap().0, 200);
    assert_eq!(http::get(address, "/-/ready").await.unwrap().0, 200);
    let ended = stops_cleanly(process, "TERM").await;
    let mut process = api.asked_by(&[]).inside(ended.folder).start();
    let all = |page: &Metrics| page.count("tencent_live_disconnects_total", &[]) == 1501;
    process.metrics_when("everything is counted", all).await;
}
