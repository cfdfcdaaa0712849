//! What is told again, late, otherwise or not at all for a while: each session counts once (A1–A4, A12–A18, A26–A28).

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tencent_live_exporter::sim::scenario::{EndText, WindowFilter};
use tencent_live_exporter::sim::{Event, EventChange, Span};

use crate::support::child::CommandLine;
use crate::support::patience::{each, seen, until};
use crate::support::rig::{DOMAIN, Rig};

const RECORDS: &str = "tencent_live_exporter_records_total";
const DISCONNECTS: &str = "tencent_live_disconnects_total";
const STREAMS: &str = "tencent_live_stream_disconnects_total";
const WINDOWS: [WindowFilter; 3] = [WindowFilter::End, WindowFilter::Start, WindowFilter::Overlap];

/// Waits for the truth, lets everything be looked at once more, and finds it unchanged.
async fn counts_exactly(rig: &Rig) {
    rig.shows_the_truth().await;
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth(), "what was counted stays as it is");
}

#[tokio::test]
async fn a1_what_every_poll_lists_again_counts_once() {
    let rig = Rig::new().await.start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    rig.reaches(RECORDS, &[("outcome", "duplicate")], 4).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth());
    assert_eq!(rig.own(RECORDS, &[("outcome", "counted")]).await, 1);
    rig.tells_nothing();
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
    assert_eq!(rig.own(RECORDS, &[("outcome", "counted")]).await, 9);
    rig.tells_nothing();
}

#[tokio::test]
async fn a3_a_late_row_is_found_by_a_sweep_and_counts_once() {
    let rig = Rig::new().await.start().await;
    rig.world.publish(rig.ended("early", 1200));
    rig.turns(1).await;
    rig.world.publish(rig.ended("late", 1800));
    counts_exactly(&rig).await;
    assert_eq!(rig.own(RECORDS, &[("outcome", "counted")]).await, 2);
    let lag = "tencent_live_exporter_observation_lag_seconds";
    assert!(rig.own(&format!("{lag}_sum"), &[]).await >= 1800, "how late is told");
    assert_eq!(rig.own(&format!("{lag}_count"), &[]).await, 1, "and of the baseline it is not");
    rig.tells_nothing();
}

#[tokio::test]
async fn a4_a_row_from_before_all_memory_is_never_counted_and_never_asked_for() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let rig = Rig::new().await.with(|settings| settings.poll.horizon = hours(12));
    // Every window shows what lies up to fourteen hours before it.
    let rig = rig.quirks(|quirks| quirks.window_slack = Span::seconds(14 * 3600));
    let floor = rig.world.now() - 12 * 3600;
    rig.world.publish(rig.ended("forgotten", 13 * 3600));
    rig.world.publish(rig.ended("room", 10));
    let rig = rig.start().await;
    rig.reaches(RECORDS, &[("outcome", "late")], 3).await;
    let streams = rig.metrics().await.streams();
    assert_eq!(
        streams.into_iter().map(|((_, _, stream, _), count)| (stream, count)).collect::<Vec<_>>(),
        [("room".to_owned(), 1)]
    );
    assert_eq!(rig.own(RECORDS, &[("outcome", "counted")]).await, 1);
    let floor = jiff::Timestamp::from_second(floor).unwrap().to_string();
    for request in rig.world.requests().recent {
        let start = request.params["StartTime"].as_str().unwrap_or("9");
        assert!(start >= floor.as_str(), "{start} is below the floor {floor}");
    }
    rig.tells_nothing();
}

#[tokio::test]
async fn a12_rows_outside_the_window_asked_for_count_once_and_by_their_own_end() {
    let rig = Rig::new().await.quirks(|quirks| quirks.window_slack = Span::seconds(600)).start().await;
    rig.turns(1).await;
    rig.world.publish_all((0..120).map(|n| rig.ended(&format!("room_{}", n % 40), 5 + n * 20)));
    let latest = rig.world.truth().sessions.iter().map(|session| session.end).max();
    counts_exactly(&rig).await;
    let last = rig.metrics().await.count("tencent_live_last_disconnect_timestamp_seconds", &[("domain", DOMAIN)]);
    assert_eq!(Some(last), latest.map(i64::cast_unsigned));
    rig.tells_nothing();
}

#[tokio::test]
async fn a14_a_session_listed_before_its_end_counts_once_it_has_ended() {
    each([EndText::Empty, EndText::Dash, EndText::Zero, EndText::Null, EndText::Future], async |end| {
        let rig = Rig::new().await.quirks(|quirks| quirks.unfinished.end = end).start().await;
        let now = rig.world.now();
        let live = rig.world.publish(Event::live(DOMAIN, "live", "room", now - 1000));
        rig.reaches(RECORDS, &[("outcome", "unfinished")], 1).await;
        rig.turns(1).await;
        assert_eq!(rig.metrics().await.count(STREAMS, &[]), 0, "{end:?}");
        rig.world.change(live, EventChange { end: Some(rig.world.now()), ..EventChange::default() });
        counts_exactly(&rig).await;
        assert_eq!(rig.own(RECORDS, &[("outcome", "counted")]).await, 1, "{end:?}");
        rig.tells_nothing();
    })
    .await;
}

#[tokio::test]
async fn a15_a_row_that_changes_after_it_was_counted_is_no_second_session() {
    let rig = Rig::new().await.start().await;
    let end = rig.world.now() - 20;
    let streams = ["moved", "readdressed", "explained", "resized"];
    let ids = streams.map(|stream| rig.world.publish(Event::ended(DOMAIN, "live", stream, end - 60, end)));
    rig.shows_the_truth().await;
    let unchanged = EventChange::default;
    for (id, change) in ids.into_iter().zip([
        EventChange { end: Some(end + 3), ..unchanged() },
        EventChange { client_ip: Some("203.0.113.99".into()), ..unchanged() },
        EventChange { reason: Some("推流链路网络异常".into()), ..unchanged() },
        EventChange { resolution: Some("640*360".into()), ..unchanged() },
    ]) {
        assert!(rig.world.change(id, change));
    }
    // The resolution is no part of what tells rows apart.
    rig.reaches(RECORDS, &[("outcome", "revised")], 3).await;
    rig.turns(1).await;
    let metrics = rig.metrics().await;
    for stream in streams {
        assert_eq!(metrics.count(STREAMS, &[("stream", stream)]), 1, "{stream}");
    }
    assert_eq!(metrics.count(DISCONNECTS, &[("reason", "client_stopped")]), 4, "a total never goes down");
    rig.tells_nothing();
}

#[tokio::test]
async fn a16_a_row_that_moves_between_any_two_requests_of_a_pass_counts_once() {
    let seen_at_both_places = Rc::new(Cell::new(false));
    each(2..=9, |nth| {
        let seen_at_both_places = Rc::clone(&seen_at_both_places);
        async move {
            let rig = Rig::new().await;
            let now = rig.world.now();
            let session = |stream: &str, ago: i64| Event::ended(DOMAIN, "live", stream, now - 3000, now - ago);
            // Too many for one response, so that a pass has parts; the row moves from an early one to a late one.
            rig.world.publish_all((0..110).map(|n| session(&format!("beside_{n}"), 5 + n * 20)));
            let moving = rig.world.publish(session("moving", 2200));
            rig.world.before_request(nth, move |world| {
                world.change(moving, EventChange { end: Some(now - 3), ..EventChange::default() });
            });
            let rig = rig.start().await;
            counts_exactly(&rig).await;
            assert_eq!(rig.own(RECORDS, &[("outcome", "counted")]).await, 111, "request {nth}");
            if rig.own(RECORDS, &[("outcome", "revised")]).await > 0 {
                seen_at_both_places.set(true);
            }
            rig.tells_nothing();
        }
    })
    .await;
    assert!(seen_at_both_places.get(), "no request was the one between the two parts");
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
    assert_eq!(rig.own(RECORDS, &[("outcome", "counted")]).await, 2);
    rig.tells_nothing();
}

#[tokio::test]
async fn a18_sessions_that_differ_in_nothing_but_their_end_both_count() {
    each(WINDOWS, async |filter| {
        let rig = Rig::new().await.quirks(|quirks| quirks.filter = filter).start().await;
        let now = rig.world.now();
        let ended = |ago: i64| Event::ended(DOMAIN, "live", "room", now - 1000, now - ago);
        for (count, ago) in [(1, 600), (2, 300), (3, 5)] {
            // One at a time: no poll shows one together with those before.
            rig.world.publish(ended(ago));
            rig.shows_the_truth().await;
            assert_eq!(rig.own(RECORDS, &[("outcome", "counted")]).await, count, "{filter:?}");
        }
        counts_exactly(&rig).await;
        rig.tells_nothing();
    })
    .await;
}

#[tokio::test]
async fn a26_rows_that_empty_answers_kept_back_count_when_they_are_shown() {
    let rig = Rig::new().await.start().await;
    rig.world.publish(rig.ended("before", 10));
    rig.shows_the_truth().await;
    let before = rig.truth();
    rig.world.set_faults(|faults| faults.empty_list = 1.0);
    rig.world.publish_all([20, 2000].map(|ago| rig.ended("meanwhile", ago)));
    rig.turns(2).await;
    assert_eq!(rig.metrics().await.streams(), before, "an outage looks like a quiet hour");
    assert_eq!(rig.own("tencent_live_up", &[]).await, 1);
    rig.world.set_faults(|faults| faults.empty_list = 0.0);
    counts_exactly(&rig).await;
    assert_eq!(rig.own(RECORDS, &[("outcome", "counted")]).await, 3);
    rig.tells_nothing();
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
    counts_exactly(&rig).await;
    let asked = rig.world.requests().recent;
    let listings = asked.iter().filter(|request| request.action == "DescribeLiveStreamEventList");
    for request in listings {
        let params = &request.params;
        assert!(params["DomainName"].is_string() && params["AppName"].is_string(), "{params}");
    }
    assert_eq!(rig.own(RECORDS, &[("outcome", "counted")]).await, 6);
    rig.tells_nothing();
}

#[tokio::test]
async fn a27_without_apps_an_api_that_means_live_shows_live_alone() {
    let rig = Rig::new().await.quirks(|quirks| quirks.app_defaults_to_live = true).start().await;
    let end = rig.world.now() - 10;
    rig.world.publish_all(["live", "show"].map(|app| Event::ended(DOMAIN, app, "room", end - 5, end)));
    until("the app `live` is shown", async || {
        let metrics = rig.metrics().await;
        seen(metrics.count(STREAMS, &[("app", "live")]) == 1, metrics.streams())
    })
    .await;
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.streams().len(), 1, "what the README says to set `apps` for");
    rig.tells_nothing();
}

#[tokio::test]
async fn a28_accounts_that_would_count_a_session_twice_are_refused_by_name() {
    let account = |name: &str, id: &str, domains: &str| {
        format!("  - {{ name: {name}, domains: [{domains}], credentials: {{ secret_id: {id}, secret_key: key }} }}\n")
    };
    let both = |one: &str, other: &str| format!("accounts:\n{one}{other}");
    for (yaml, told) in BTreeMap::from([
        (
            both(&account("a", "AKIDA", "push.example.com"), &account("b", "AKIDB", "PUSH.example.com")),
            "accounts[1].domains[0]: PUSH.example.com: also in accounts[0].domains, its sessions would be counted twice",
        ),
        (
            both(&account("a", "AKIDA", ""), &account("b", "AKIDA", "push.example.com")),
            "accounts[1].domains: same secret_id as accounts[0], and one of the two asks for all domains",
        ),
    ]) {
        let ended = CommandLine::new(&["--config.file", "both.yaml"]).file("both.yaml", &yaml).run().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains(told), "{ended:?}");
        assert_eq!(ended.folder.names(), ["both.yaml"], "nothing was begun, so there is no metric either");
    }
}
