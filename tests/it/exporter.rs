//! The whole exporter against the simulator: what the API has listed is on the page, each session once.

use std::time::Duration;

use tencent_live_exporter::reason::{Reason, TABLE};
use tencent_live_exporter::sim::scenario::WindowFilter;
use tencent_live_exporter::sim::{Domain, Event, Scenario};

use crate::support::metrics::Metrics;
use crate::support::patience::{seen, until};
use crate::support::rig::{DOMAIN, Rig};

const DISCONNECTS: &str = "tencent_live_disconnects_total";
const STREAMS: &str = "tencent_live_stream_disconnects_total";

const ONLINE: &str = "tencent_live_streams_online";

/// A quarter of an hour of traffic with every habit of the API that does not hide rows for good, and with faults.
fn awkward() -> Scenario {
    let yaml = "
seed: 7
platform:
  domains:
    - name: push.a.example.com
      apps:
        - { name: live, streams: [{ pattern: 'room_{}', count: 30 }] }
        - { name: live1, streams: [{ names: ['房间一', 'he said \"hi\"', 'two\\nlines'] }] }
    - { name: push.b.example.com, apps: [{ name: live, streams: [{ pattern: 'cam-{}', count: 8 }] }] }
traffic:
  disconnects_per_minute: 12
  history: 15m
  every_reason: 10m
  spelling: { full_stop: 0.2, other: 0.2, english: 0.2 }
  clones: { share: 0.5, most: 5 }
  reasons: { client_stopped: 50, network_error: 20, auth_failed: 20, stream_name_limit_exceeded: 10 }
  storms: [{ every: 5m, lasts: 10s, per_minute: 300, reasons: { auth_failed: 1 } }]
quirks:
  tie_order: shuffled
  lateness: [{ share: 0.8, up_to: 1s }, { share: 0.2, up_to: 3s }]
  unfinished: { share: 0.1, end: zero }
  total_num: one_more
  total_num_share: 0.02
  insert_between_pages: 1
  text: escaped
faults:
  throttle: 0.01
  internal_error: 0.01
  http_502: 0.005
  html_body: 0.005
  truncated_body: 0.005
  connection_reset: 0.005
  reset_mid_body: 0.005
  broken_rows: 0.02
";
    Scenario::from_yaml(yaml).unwrap()
}

async fn counts_everything(filter: WindowFilter) {
    let rig = Rig::on(awkward()).await.quirks(|quirks| quirks.filter = filter).start().await;
    rig.turns(1).await;
    rig.world.stop_traffic();
    rig.world.set_quirks(|quirks| quirks.insert_between_pages = 0);
    rig.world.publish_late();
    rig.shows_the_truth().await;
    rig.turns(1).await;
    // A session that was live when the traffic stopped may have ended meanwhile; more than the truth is never right again.
    rig.shows_the_truth().await;
    let truth = rig.world.truth();
    assert!(truth.published > 200, "{}", truth.published);
    let counted = rig.own("tencent_live_exporter_records_total", &[("outcome", "counted")]).await;
    assert_eq!(counted, truth.published);
}

#[tokio::test]
async fn a13_every_session_counts_once_where_the_window_is_of_ends() {
    counts_everything(WindowFilter::End).await;
}

#[tokio::test]
async fn a13_every_session_counts_once_where_the_window_is_of_starts() {
    counts_everything(WindowFilter::Start).await;
}

#[tokio::test]
async fn a13_every_session_counts_once_where_the_window_is_of_all_seconds() {
    counts_everything(WindowFilter::Overlap).await;
}

#[tokio::test]
async fn an_api_that_was_never_there_makes_ready_all_the_same() {
    let mut rig = Rig::new().await.with(|settings| settings.poll.interval = Duration::from_secs(2));
    rig.cut_off();
    let rig = rig.start().await;
    assert_eq!(rig.get("/-/ready").await.0, 503);
    until("the first poll is over", async || seen(rig.get("/-/ready").await.0 == 200, ())).await;
    assert_eq!(rig.get("/-/healthy").await.0, 200);
    assert_eq!(rig.own("tencent_live_up", &[]).await, 0);
}

#[tokio::test]
async fn a_spelling_of_the_configuration_maps_its_text() {
    let text = "新的断流原因文字";
    let rig = Rig::new().await.with(|settings| settings.reasons = vec![(text.into(), Reason::NetworkError)]);
    let rig = rig.start().await;
    rig.world.publish(rig.ended("room", 10).because(text));
    until("it counts as the reason named", async || {
        let metrics = rig.metrics().await;
        let counted = metrics.count(STREAMS, &[("stream", "room"), ("reason", "network_error")]);
        seen(counted == 1, metrics.streams())
    })
    .await;
}

#[tokio::test]
async fn every_metric_of_the_contract_is_on_the_page() {
    let names = [
        "tencent_live_stream_disconnects_total",
        "tencent_live_disconnects_total",
        "tencent_live_session_duration_seconds",
        "tencent_live_last_disconnect_timestamp_seconds",
        "tencent_live_disconnect_reason_info",
        "tencent_live_up",
        "tencent_live_domain_info",
        "tencent_live_exporter_build_info",
        "tencent_live_exporter_polls_total",
        "tencent_live_exporter_poll_failures_total",
        "tencent_live_exporter_poll_duration_seconds",
        "tencent_live_exporter_last_poll_timestamp_seconds",
        "tencent_live_exporter_last_poll_success_timestamp_seconds",
        "tencent_live_exporter_watermark_timestamp_seconds",
        "tencent_live_exporter_poll_interval_seconds",
        "tencent_live_exporter_api_requests_total",
        "tencent_live_exporter_api_request_duration_seconds",
        "tencent_live_exporter_records_total",
        "tencent_live_exporter_observation_lag_seconds",
        "tencent_live_exporter_unmapped_reasons_total",
        "tencent_live_exporter_series",
        "tencent_live_exporter_series_limit",
        "tencent_live_exporter_idle_series",
        "tencent_live_exporter_held_series",
        "tencent_live_exporter_held_disconnects",
        "tencent_live_exporter_overflowed_disconnects_total",
        "tencent_live_exporter_excluded_disconnects_total",
        "tencent_live_exporter_catchup_disconnects_total",
        "tencent_live_exporter_split_windows_total",
        "tencent_live_exporter_repeated_listings_total",
        "tencent_live_exporter_clock_skew_seconds",
        "tencent_live_exporter_state_commit_duration_seconds",
        "tencent_live_exporter_config_last_reload_successful",
        "tencent_live_exporter_config_last_reload_success_timestamp_seconds",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    ];
    let rig = Rig::new().await.start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    let metrics = rig.metrics().await;
    for name in names {
        assert!(metrics.has(name), "{name} is missing");
    }
}

#[tokio::test]
async fn every_domain_is_told_with_its_account_and_whether_it_is_on() {
    let rig = Rig::new().await;
    rig.world.add_domain(Domain::push("push.on.example.com"));
    rig.world.add_domain(Domain { enabled: false, ..Domain::push("push.off.example.com") });
    let rig = rig.start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    let expected = [("push.on.example.com", "true"), ("push.off.example.com", "false"), (DOMAIN, "unknown")];
    until("the domains are told", async || {
        let metrics = rig.metrics().await;
        let info = |labels: &[_]| metrics.count("tencent_live_domain_info", labels);
        let told = expected.map(|(domain, enabled)| info(&[("domain", domain), ("enabled", enabled)]));
        seen(told == [1; 3] && info(&[]) == 3, told)
    })
    .await;
}

#[tokio::test]
async fn a_domain_that_cannot_be_discovered_is_told_with_its_first_disconnect() {
    let rig = Rig::new().await;
    rig.world.set_quirks(|quirks| quirks.denied_actions = vec!["DescribeLiveDomains".into()]);
    let rig = rig.start().await;
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.get("tencent_live_domain_info", &[]), None);
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    let told = rig.metrics().await.get("tencent_live_domain_info", &[("domain", DOMAIN), ("enabled", "unknown")]);
    assert_eq!(told, Some(1.0));
}

/// A rig that counts the streams online, in no hurry that could cut the counting short.
async fn counting_online(rig: Rig) -> Rig {
    let rig = rig.with(|settings| {
        settings.accounts[0].streams_online = true;
        settings.poll.interval = Duration::from_secs(5);
    });
    rig.start().await
}

fn online(metrics: &Metrics) -> [Option<f64>; 3] {
    ["live", "直\"\n播", "gone"].map(|app| metrics.get(ONLINE, &[("domain", DOMAIN), ("app", app)]))
}

#[tokio::test]
async fn streams_online_are_counted_by_domain_and_app_and_left_out_once_nobody_wants_them() {
    let rig = Rig::new().await;
    let now = rig.world.now();
    let pushed = |app: &str, stream: &str, end| Event::ended(DOMAIN, app, stream, now - 60, end);
    rig.world.publish_all([
        pushed("live", "room", now + 600),
        pushed("live", "other", now + 600),
        pushed("直\"\n播", "room", now + 600),
        pushed("gone", "room", now - 1),
        pushed("live", "refused", now + 600).because("校验鉴权参数不通过"),
    ]);
    let mut rig = counting_online(rig).await;
    until("they are counted", async || {
        let online = online(&rig.metrics().await);
        seen(online == [Some(2.0), Some(1.0), None], online)
    })
    .await;
    rig.tells_nothing();
    assert_eq!(rig.reload(|settings| settings.accounts[0].streams_online = false).await.0, 200);
    until("they are left out", async || seen(!rig.metrics().await.has(ONLINE), ())).await;
}

#[tokio::test]
async fn a_stream_online_counts_once_though_the_api_names_it_for_every_app_that_is_asked_for() {
    let rig = Rig::new().await.quirks(|quirks| quirks.ignore_names = true);
    let now = rig.world.now();
    rig.world.publish(Event::ended(DOMAIN, "live", "room", now - 60, now + 600));
    let rig = rig.with(|settings| settings.accounts[0].apps = vec!["live".into(), "show".into()]);
    let rig = counting_online(rig).await;
    until("it is counted", async || seen(rig.metrics().await.has(ONLINE), ())).await;
    assert_eq!(online(&rig.metrics().await), [Some(1.0), None, None]);
}

#[tokio::test]
async fn whoever_may_not_count_streams_online_goes_without_and_is_told_once() {
    let rig = Rig::new().await;
    let rig = rig.quirks(|quirks| quirks.denied_actions = vec!["DescribeLiveStreamOnlineList".into()]);
    let rig = counting_online(rig).await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    rig.tells(&["level=warn", "streams online are not counted", "grant live:DescribeLiveStreamOnlineList"]).await;
    assert!(!rig.metrics().await.has(ONLINE));
    assert_eq!((rig.own("tencent_live_up", &[]).await, rig.log().len()), (1, 1), "{:#?}", rig.log());
}

#[tokio::test]
async fn a_known_domain_has_every_reason_at_0_before_anything_happens() {
    let rig = Rig::new().await;
    rig.world.add_domain(Domain::push("push.quiet.example.com"));
    let rig = rig.start().await;
    until("the domain appears", async || {
        let metrics = rig.metrics().await;
        seen(metrics.get(DISCONNECTS, &[("domain", "push.quiet.example.com")]).is_some(), ())
    })
    .await;
    let metrics = rig.metrics().await;
    for reason in TABLE.iter().map(|entry| entry.reason) {
        let labels = [("domain", "push.quiet.example.com"), ("reason", reason.as_str())];
        assert_eq!(metrics.get(DISCONNECTS, &labels), Some(0.0), "{reason:?}");
    }
}

#[tokio::test]
async fn the_watermark_moves_on_while_nothing_happens() {
    let rig = Rig::new().await.start().await;
    rig.turns(1).await;
    let name = "tencent_live_exporter_watermark_timestamp_seconds";
    let before = rig.own(name, &[]).await;
    rig.reaches(name, &[], before + 2).await;
    let now = u64::try_from(rig.world.now()).unwrap();
    assert!(before < now);
}

#[tokio::test]
async fn e1_a_restart_goes_on_where_the_last_run_stopped() {
    let mut rig = Rig::new().await.start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    let before = rig.metrics().await.streams();
    rig.stop().await;
    rig.world.publish(rig.ended("room", 1));
    rig.world.publish(rig.ended("another", 1));
    rig.start_again().await;
    assert_eq!(rig.metrics().await.streams(), before, "the page is there before the first poll");
    rig.shows_the_truth().await;
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth());
}
