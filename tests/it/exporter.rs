//! The whole exporter against the simulator: what the API has listed is on the page, each session once.

use std::time::Duration;

use tencent_live_exporter::reason::{Reason, TABLE};
use tencent_live_exporter::secret::Secret;
use tencent_live_exporter::settings::CredentialSource;
use tencent_live_exporter::sim::scenario::{TieOrder, WindowFilter};
use tencent_live_exporter::sim::{Damage, Domain, Event, EventChange, Scenario};

use crate::support::patience::{meanwhile, seen, until};
use crate::support::rig::{DOMAIN, Rig, SECRET_ID};

const RECORDS: &str = "tencent_live_exporter_records_total";
const INCOMPLETE: &str = "tencent_live_exporter_incomplete_listings_total";
const DISCONNECTS: &str = "tencent_live_disconnects_total";
const STREAMS: &str = "tencent_live_stream_disconnects_total";

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
    rig.world.publish_late();
    rig.shows_the_truth().await;
    let truth = rig.world.truth();
    assert!(truth.published > 200, "{}", truth.published);
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth(), "what was counted stays as it is");
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
async fn a2_sessions_that_look_alike_to_the_second_all_count() {
    let rig = Rig::new().await.start().await;
    rig.turns(1).await;
    let refused = rig.ended("room", 5).because("校验鉴权参数不通过");
    rig.world.publish_all(vec![refused.clone(); 7]);
    rig.shows_the_truth().await;
    rig.world.publish_all(vec![refused; 2]);
    rig.shows_the_truth().await;
    assert_eq!(rig.metrics().await.count(STREAMS, &[("reason", "auth_failed")]), 9);
}

#[tokio::test]
async fn a3_a_late_row_is_found_by_a_sweep_and_counts_once() {
    let rig = Rig::new().await.start().await;
    rig.world.publish(rig.ended("early", 1200));
    rig.turns(1).await;
    rig.world.publish(rig.ended("late", 1800));
    rig.shows_the_truth().await;
    rig.turns(2).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth());
    assert_eq!(rig.own(RECORDS, &[("outcome", "counted")]).await, 2);
}

#[tokio::test]
async fn a17_a_row_that_is_hidden_and_shown_again_counts_once() {
    let rig = Rig::new().await.start().await;
    let [recent, old] = [5, 1500].map(|ago| rig.world.publish(rig.ended("room", ago)));
    rig.shows_the_truth().await;
    for _ in 0..2 {
        assert!(rig.world.hide(recent) && rig.world.hide(old));
        rig.turns(1).await;
        assert!(rig.world.show(recent) && rig.world.show(old));
        rig.turns(1).await;
    }
    assert_eq!(rig.metrics().await.count(STREAMS, &[("stream", "room")]), 2);
}

#[tokio::test]
async fn a15_a_row_that_changes_after_it_was_counted_is_no_second_session() {
    let rig = Rig::new().await.start().await;
    let end = rig.world.now() - 20;
    let moved = rig.world.publish(Event::ended(DOMAIN, "live", "moved", end - 60, end));
    let readdressed = rig.world.publish(Event::ended(DOMAIN, "live", "readdressed", end - 60, end));
    let explained = rig.world.publish(Event::ended(DOMAIN, "live", "explained", end - 60, end));
    rig.shows_the_truth().await;
    rig.world.change(moved, EventChange { end: Some(end + 3), ..EventChange::default() });
    rig.world.change(readdressed, EventChange { client_ip: Some("203.0.113.99".into()), ..EventChange::default() });
    rig.world.change(explained, EventChange { reason: Some("推流链路网络异常".into()), ..EventChange::default() });
    rig.reaches(RECORDS, &[("outcome", "revised")], 3).await;
    rig.turns(1).await;
    let metrics = rig.metrics().await;
    for stream in ["moved", "readdressed", "explained"] {
        assert_eq!(metrics.count(STREAMS, &[("stream", stream)]), 1, "{stream}");
    }
    assert_eq!(metrics.count(DISCONNECTS, &[("reason", "client_stopped")]), 3, "a total never goes down");
}

#[tokio::test]
async fn a21_broken_rows_are_set_aside_and_harm_no_other() {
    let rig = Rig::new().await.start().await;
    let broken = Damage::ALL.map(|damage| damage.apply(rig.ended(&format!("{damage:?}"), 10)));
    let fatal = Damage::ALL.iter().filter(|damage| !damage.is_harmless()).count() as u64;
    rig.world.publish_all(broken);
    rig.world.publish_all((0..20).map(|n| rig.ended(&format!("sound_{n}"), 10)));
    let countable = rig.world.truth().published;
    until("everything countable is counted", async || {
        let counted = rig.metrics().await.count(STREAMS, &[]);
        seen(counted == countable, (counted, countable))
    })
    .await;
    // A row without a readable end may get one: it waits, and is neither counted nor set aside.
    rig.reaches(RECORDS, &[("outcome", "invalid")], fatal - 1).await;
    rig.reaches(RECORDS, &[("outcome", "unfinished")], 1).await;
    rig.turns(1).await;
    let log = rig.log();
    for field in ["StreamName", "DomainName", "StreamStartTime", "row"] {
        let told =
            log.iter().filter(|line| line.contains("row set aside") && line.contains(&format!("field={field} ")));
        assert_eq!(told.count(), 1, "{field}: {log:#?}");
    }
}

#[tokio::test]
async fn a14_a_session_listed_before_its_end_counts_once_it_has_ended() {
    let rig = Rig::new().await.start().await;
    let now = rig.world.now();
    let live = rig.world.publish(Event::live(DOMAIN, "live", "room", now - 1000));
    rig.reaches(RECORDS, &[("outcome", "unfinished")], 1).await;
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.count(STREAMS, &[]), 0);
    rig.world.change(live, EventChange { end: Some(rig.world.now()), ..EventChange::default() });
    rig.shows_the_truth().await;
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.count(STREAMS, &[]), 1);
}

#[tokio::test]
async fn b7_refused_credentials_are_told_and_not_hammered_with() {
    let wrong = CredentialSource::Static {
        secret_id: SECRET_ID.into(),
        secret_key: Secret::new("wrongwrongwrongwrongwrongwrong00"),
        token: None,
    };
    let rig = Rig::new().await.with(|settings| {
        settings.accounts[0].credentials = wrong;
        settings.poll.interval = Duration::from_secs(2);
    });
    let rig = rig.start().await;
    rig.reaches("tencent_live_exporter_poll_failures_total", &[("kind", "poll"), ("error", "auth")], 1).await;
    until("it is ready", async || seen(rig.get("/-/ready").await.0 == 200, ())).await;
    assert_eq!(rig.own("tencent_live_up", &[]).await, 0);
    meanwhile(Duration::from_secs(5), async || {
        assert_eq!(rig.get("/-/healthy").await.0, 200);
        let asked = rig.world.requests().count;
        assert!(asked < 5, "{asked} requests");
    })
    .await;
    assert!(rig.log().iter().any(|line| line.contains("secret_id and secret_key")), "{:#?}", rig.log());
}

#[tokio::test]
async fn b2_an_api_that_is_down_takes_nothing_from_the_page() {
    let mut rig = Rig::new().await.with(|settings| settings.poll.interval = Duration::from_secs(2)).start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    assert_eq!(rig.own("tencent_live_up", &[]).await, 1);
    rig.cut_off();
    until("the account is down", async || {
        assert_eq!(rig.get("/-/healthy").await.0, 200);
        seen(rig.own("tencent_live_up", &[]).await == 0, ())
    })
    .await;
    rig.reaches("tencent_live_exporter_poll_failures_total", &[("error", "network")], 1).await;
    assert_eq!(rig.get("/-/ready").await.0, 200);
    assert_eq!(rig.metrics().await.streams(), rig.truth());
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

/// The API's clock is off by `seconds`, which its signature check may or may not bear.
async fn works_in_spite_of_a_clock_off_by(seconds: i64) {
    let rig = Rig::new().await.quirks(|quirks| quirks.clock_skew = seconds).start().await;
    let end = rig.world.now() - seconds.max(0) - 10;
    rig.world.publish(Event::ended(DOMAIN, "live", "room", end - 60, end));
    rig.shows_the_truth().await;
    let labels = [("account", rig.account())];
    until("the skew is measured", async || {
        let skew = rig.metrics().await.get("tencent_live_exporter_clock_skew_seconds", &labels).unwrap();
        seen((skew - seconds as f64).abs() <= 2.0, skew)
    })
    .await;
}

#[tokio::test]
async fn b9_an_api_whose_clock_is_ahead_is_read_all_the_same() {
    works_in_spite_of_a_clock_off_by(1000).await;
}

#[tokio::test]
async fn b9_c4_an_api_whose_clock_is_behind_is_read_all_the_same() {
    works_in_spite_of_a_clock_off_by(-1000).await;
}

#[tokio::test]
async fn a20_an_unknown_reason_text_counts_as_unmapped_and_is_logged_once() {
    let rig = Rig::new().await.start().await;
    let text = "从未见过的原因";
    rig.world.publish_all((0..3).map(|n| rig.ended(&format!("room_{n}"), 10).because(text)));
    rig.shows_the_truth().await;
    rig.world.publish(rig.ended("room_9", 10).because(text));
    rig.shows_the_truth().await;
    let metrics = rig.metrics().await;
    assert_eq!(metrics.count(DISCONNECTS, &[("reason", "unmapped"), ("class", "unknown")]), 4);
    assert_eq!(rig.own("tencent_live_exporter_unmapped_reasons_total", &[]).await, 4);
    let log = rig.log();
    assert_eq!(log.iter().filter(|line| line.contains(text)).count(), 1, "{log:#?}");
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
        "tencent_live_exporter_held_series",
        "tencent_live_exporter_held_disconnects",
        "tencent_live_exporter_overflowed_disconnects_total",
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
async fn a27_domains_and_apps_are_asked_for_one_by_one() {
    let domains = ["push.a.example.com", "push.b.example.com"];
    let rig = Rig::new().await.quirks(|quirks| (quirks.domain_required, quirks.app_defaults_to_live) = (true, true));
    let rig = rig.with(|settings| {
        settings.accounts[0].domains = domains.map(String::from).to_vec();
        settings.accounts[0].apps = ["live", "show"].map(String::from).to_vec();
    });
    let rig = rig.start().await;
    let end = rig.world.now() - 10;
    for (n, domain) in (0..).zip(domains) {
        for app in ["live", "show"] {
            rig.world.publish_all((0..=n).map(|_| Event::ended(domain, app, "room", end - 5, end)));
        }
    }
    rig.shows_the_truth().await;
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth());
    let asked = rig.world.requests().recent;
    let listings = asked.iter().filter(|request| request.action == "DescribeLiveStreamEventList");
    for request in listings {
        let params = &request.params;
        assert!(params["DomainName"].is_string() && params["AppName"].is_string(), "{params}");
    }
}

#[tokio::test]
async fn a6_a9_a_second_with_more_rows_than_a_response_is_counted_in_full() {
    let rig = Rig::new().await.quirks(|quirks| quirks.tie_order = TieOrder::Shuffled);
    let end = rig.world.now() - 900;
    rig.world.publish_all((0..150).map(|n| {
        let domain = ["push.a.example.com", "push.b.example.com"][n % 2];
        Event::ended(domain, "live", &*format!("room_{}", n / 3), end - 60, end)
    }));
    let rig = rig.start().await;
    rig.shows_the_truth().await;
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth());
    assert_eq!(rig.own(INCOMPLETE, &[]).await, 0);
}

#[tokio::test]
async fn a9_more_identical_sessions_than_a_response_holds_are_counted_from_below_and_told() {
    let rig = Rig::new().await;
    rig.world.publish_all(vec![rig.ended("room", 900).because("校验鉴权参数不通过"); 130]);
    rig.world.publish(rig.ended("other", 900));
    let rig = rig.start().await;
    rig.reaches(INCOMPLETE, &[], 1).await;
    rig.turns(1).await;
    let metrics = rig.metrics().await;
    assert_eq!(metrics.count(STREAMS, &[("stream", "room")]), 100);
    assert_eq!(metrics.count(STREAMS, &[("stream", "other")]), 1);
    let told = |line: &String| line.contains("level=error") && line.contains("incomplete=");
    assert!(rig.log().iter().any(told), "{:#?}", rig.log());
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
