//! New settings for an exporter that runs: all of them or none, and not a count lost, doubled or taken back.

use std::collections::BTreeMap;
use std::time::Duration;

use tencent_live_exporter::publication::labels::StreamLabel;
use tencent_live_exporter::reason::Reason;
use tencent_live_exporter::settings::{ExternalUrl, ListenAddress, LogLevel, Settings, StatePath};
use tencent_live_exporter::sim::{Fault, Scenario, Span};

use crate::command_line::{Api, stops_cleanly};
use crate::support::child::Process;
use crate::support::http;
use crate::support::metrics::Metrics;
use crate::support::patience::{seen, until};
use crate::support::rig::Rig;

const STREAMS: &str = "tencent_live_stream_disconnects_total";
const POLLS: &str = "tencent_live_exporter_polls_total";
const SUCCESSFUL: &str = "tencent_live_exporter_config_last_reload_successful";
const SUCCESS: &str = "tencent_live_exporter_config_last_reload_success_timestamp_seconds";

/// What a reload finds changed.
type Change = fn(&mut Settings);

/// Ten disconnects a second on two domains, listed late as often as not.
fn busy() -> Scenario {
    let yaml = "
platform:
  domains:
    - name: push.a.example.com
      apps: [{ name: live, streams: [{ pattern: 'room_{}', count: 30 }] }, { name: vip, streams: [{ names: [one] }] }]
    - { name: push.b.example.com, apps: [{ name: live, streams: [{ pattern: 'cam-{}', count: 8 }] }] }
traffic: { disconnects_per_minute: 600, history: 30s }
quirks: { lateness: [{ share: 0.5, up_to: 3s }] }
";
    Scenario::from_yaml(yaml).unwrap()
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

#[tokio::test]
async fn k2_whatever_changes_in_the_middle_of_polls_every_disconnect_counts_once() {
    let mut rig = Rig::on(busy()).await.start().await;
    let changes: [Change; 8] = [
        |settings| settings.accounts[0].domains = vec!["push.a.example.com".into(), "push.b.example.com".into()],
        |settings| (settings.poll.sweep_lookback, settings.poll.horizon) = (minutes(10), minutes(20)),
        |settings| settings.accounts[0].apps = vec!["live".into(), "vip".into()],
        |settings| settings.poll.overlap = Duration::from_secs(12),
        |settings| (settings.poll.sweep_lookback, settings.poll.horizon) = (minutes(60), minutes(600)),
        |settings| settings.series.hold_max = Duration::from_secs(1),
        |settings| (settings.accounts[0].domains, settings.accounts[0].apps) = (Vec::new(), Vec::new()),
        |settings| settings.poll.interval = Duration::from_millis(300),
    ];
    let mut shown = BTreeMap::new();
    for change in changes {
        // Each finds a pass at work, and the next one in the middle of what it has begun.
        rig.world.fail_next(3, Fault::Slow(Span::millis(300)));
        let asked = rig.world.requests().count;
        until("a request is on its way", async || seen(rig.world.requests().count > asked + 3, ())).await;
        assert_eq!(rig.reload(change).await, (200, "the settings were taken up\n".into()));
        let now = rig.metrics().await.streams();
        for (stream, before) in &shown {
            assert!(now.get(stream) >= Some(before), "{stream:?} was {before} and is {:?}", now.get(stream));
        }
        shown = now;
    }
    rig.world.stop_traffic();
    rig.world.publish_late();
    rig.shows_the_truth().await;
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth());
    let counted = rig.own("tencent_live_exporter_records_total", &[("outcome", "counted")]).await;
    assert_eq!(counted, rig.world.truth().published, "what was told of it is complete too");
    rig.tells_nothing();
}

#[tokio::test]
async fn k2_an_api_that_hangs_does_not_hold_up_a_reload() {
    let mut rig = Rig::new().await.start().await;
    rig.turns(1).await;
    rig.world.fail_next(1, Fault::Hang);
    let asked = rig.world.requests().count;
    rig.world.publish(rig.ended("room", 10));
    until("a request hangs", async || seen(rig.world.requests().count > asked, ())).await;
    assert_eq!(rig.reload(|settings| settings.poll.overlap = Duration::from_secs(20)).await.0, 200);
    rig.shows_the_truth().await;
}

#[tokio::test]
async fn accounts_that_come_and_go_take_their_own_metrics_along_and_leave_the_counters() {
    let mut rig = Rig::new().await.start().await;
    let other = Rig::new().await;
    let (first, second) = (rig.account().to_owned(), other.account().to_owned());
    rig.world.publish(rig.ended("room", 10));
    other.world.publish(other.ended("other", 10));
    rig.shows_the_truth().await;
    let both = |settings: &mut Settings| settings.accounts.push(other.settings.accounts[0].clone());
    assert_eq!(rig.reload(both).await.0, 200);
    assert_eq!(rig.get("/-/ready").await.0, 200, "ready for good");
    until("the second account counts", async || {
        let streams = rig.metrics().await;
        seen(streams.count(STREAMS, &[("stream", "other")]) == 1, streams.streams())
    })
    .await;
    let polled = |metrics: &Metrics, account: &str| metrics.get(POLLS, &[("account", account), ("kind", "poll")]);
    let before = polled(&rig.metrics().await, &first).unwrap();
    let account = rig.settings.accounts[0].clone();
    assert_eq!(rig.reload(|settings| drop(settings.accounts.remove(0))).await.0, 200);
    let metrics = rig.metrics().await;
    assert_eq!(polled(&metrics, &first), None, "it had {before}");
    assert!(polled(&metrics, &second).unwrap() > 0.0, "the one that stays was not disturbed");
    assert_eq!(metrics.count(STREAMS, &[]), 2, "what was counted stays");
    // It comes back where it was, and begins to tell of itself at 0.
    rig.world.publish(rig.ended("room", 5));
    assert_eq!(rig.reload(|settings| settings.accounts.push(account)).await.0, 200);
    until("it goes on where it was", async || {
        let metrics = rig.metrics().await;
        seen(metrics.count(STREAMS, &[("stream", "room")]) == 2, metrics.streams())
    })
    .await;
    let metrics = rig.metrics().await;
    assert_eq!(metrics.count(STREAMS, &[]), 3);
    let counted = [("account", &*first), ("outcome", "counted")];
    assert_eq!(metrics.count("tencent_live_exporter_records_total", &counted), 1);
}

#[tokio::test]
async fn what_needs_a_restart_is_refused_by_name_and_nothing_else_is_taken_up_either() {
    let mut rig = Rig::new().await.start().await;
    rig.turns(1).await;
    let cases: [(&str, Change); 3] = [
        ("state.path", |settings| settings.state.path = StatePath::Memory),
        ("web.listen_addresses", |settings| settings.web.listen_addresses = vec![ListenAddress::parse(":1").unwrap()]),
        ("log.level", |settings| settings.log.level = LogLevel::Debug),
    ];
    for (key, change) in cases {
        let (status, words) = rig
            .reload(|settings| {
                change(settings);
                settings.poll.interval = Duration::from_secs(7);
            })
            .await;
        assert_eq!(status, 500, "{words}");
        assert!(words.contains(key) && words.contains("restart"), "{words}");
        let metrics = rig.metrics().await;
        assert_eq!(metrics.get(SUCCESSFUL, &[]), Some(0.0));
        assert_ne!(metrics.get("tencent_live_exporter_poll_interval_seconds", &[]), Some(7.0));
    }
    assert_eq!(rig.reload(|_| {}).await.0, 200);
    assert_eq!(rig.metrics().await.get(SUCCESSFUL, &[]), Some(1.0));
}

#[tokio::test]
async fn series_reasons_and_pages_follow_the_new_settings() {
    let mut rig = Rig::new().await.start().await;
    let text = "新的断流原因文字";
    rig.world.publish(rig.ended("room", 10));
    rig.world.publish(rig.ended("early", 9).because(text));
    rig.shows_the_truth().await;
    let of_the_network = async |rig: &Rig| rig.get("/api/v1/disconnects?reason=network_error").await.1;
    assert!(!of_the_network(&rig).await.contains("early"), "nobody knows that text yet");
    let url = ExternalUrl::parse("https://ops.example.com/live").unwrap();
    let changed = rig
        .reload(|settings| {
            settings.series.limit = 7;
            settings.series.labels.stream = StreamLabel::Drop;
            settings.reasons = vec![(text.into(), Reason::NetworkError)];
            settings.web.created_lines = true;
            settings.web.external_url = Some(url);
        })
        .await;
    assert_eq!(changed.0, 200);
    rig.world.publish(rig.ended("another", 5).because(text));
    until("a new disconnect counts under the new labels and its new reason", async || {
        let metrics = rig.metrics().await;
        let counted = metrics.count(STREAMS, &[("stream", ""), ("reason", "network_error")]);
        seen(counted == 1 && metrics.count(STREAMS, &[("stream", "room")]) == 1, metrics.streams())
    })
    .await;
    assert!(of_the_network(&rig).await.contains("early"), "old records read by the new reasons");
    assert_eq!(rig.metrics().await.get("tencent_live_exporter_series_limit", &[]), Some(7.0));
    assert!(rig.get("/").await.1.contains("href=\"/live/metrics\""));
    let path = |settings: &mut Settings| settings.web.telemetry_path = "/m".into();
    assert_eq!(rig.reload(path).await.0, 200);
    assert_eq!((rig.get("/m").await.0, rig.get("/metrics").await.0), (200, 404));
    assert_eq!(rig.reload(|settings| settings.web.enable_lifecycle = false).await.0, 200);
    assert_eq!(http::post(rig.address(), "/-/reload").await.unwrap().0, 403, "the door is shut from now on");
}

/// An exporter with a config file, that polls.
async fn with_file(api: &Api, arguments: &[&str], file: &str) -> Process {
    let arguments = [&["--config.file", "exporter.yaml"], arguments].concat();
    let mut process = api.asked_by(&arguments).file("exporter.yaml", file).start();
    process.metrics_when("it polls", |page| page.count(POLLS, &[("kind", "poll")]) > 0).await;
    process
}

#[tokio::test]
async fn k1_settings_that_are_wrong_change_nothing_and_are_told() {
    let api = Api::start().await;
    let mut process = with_file(&api, &["--web.enable-lifecycle"], "poll: { overlap: 30s }\n").await;
    let address = process.address().await;
    let reload = async || http::post(address, "/-/reload").await.unwrap();
    let page = process.metrics_when("the start counts", |page| page.get(SUCCESSFUL, &[]) == Some(1.0)).await;
    let started = page.get(SUCCESS, &[]);
    let file = process.folder.join("exporter.yaml");
    for (wrong, told) in [
        ("poll: [", "exporter.yaml"),
        ("poll: { overlap: soon, intervall: 1s }\n", "intervall"),
        ("poll: { overlap: soon, intervall: 1s }\n", "poll.overlap: soon"),
        ("state: { path: elsewhere }\n", "state.path"),
        ("accounts: [{ credentials: { secret_id: a, secret_key_file: gone } }]\n", "gone"),
    ] {
        std::fs::write(&file, wrong).unwrap();
        let (status, words) = reload().await;
        assert_eq!(status, 500, "{words}");
        assert!(words.starts_with("the settings were not taken up, the old ones stay:\n"), "{words}");
        assert!(words.contains(told), "{told}: {words}");
        let page = process.metrics_when("it is told", |page| page.get(SUCCESSFUL, &[]) == Some(0.0)).await;
        assert_eq!(page.get(SUCCESS, &[]), started, "the last success stays");
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(reload().await.0, 500, "a file that is gone is no file without settings");
    api.world.publish(api.ended("room"));
    process.metrics_when("it counts on", |page| page.count(STREAMS, &[("stream", "room")]) == 1).await;
    std::fs::write(&file, "series: { limit: 9 }\n").unwrap();
    assert_eq!(reload().await.0, 200);
    let limit = |page: &Metrics| page.get("tencent_live_exporter_series_limit", &[]) == Some(9.0);
    let page = process.metrics_when("it is taken up", limit).await;
    assert_eq!(page.get(SUCCESSFUL, &[]), Some(1.0));
    let ended = stops_cleanly(process, "TERM").await;
    assert_eq!(ended.stderr.matches("settings not reloaded, the old ones stay").count(), 6, "{ended:?}");
    assert_eq!(ended.stderr.matches("settings reloaded").count(), 1, "{ended:?}");
    assert!(ended.stderr.lines().all(|line| line.starts_with("ts=")), "a line each: {}", ended.stderr);
}

#[tokio::test]
async fn a_hangup_reads_file_and_flags_again_and_flags_still_win() {
    let api = Api::start().await;
    let mut process = with_file(&api, &["--web.max-requests", "3"], "series: { limit: 8 }\n").await;
    let file = process.folder.join("exporter.yaml");
    std::fs::write(&file, "series: { limit: 9 }\nweb: { max_requests: 5 }\n").unwrap();
    process.signal("HUP");
    let limit = |page: &Metrics| page.get("tencent_live_exporter_series_limit", &[]) == Some(9.0);
    process.metrics_when("it is taken up", limit).await;
    let (status, words) = http::post(process.address().await, "/-/reload").await.unwrap();
    assert_eq!(status, 403, "{words}");
    assert!(words.contains("--web.enable-lifecycle"), "{words}");
    stops_cleanly(process, "TERM").await;
}
