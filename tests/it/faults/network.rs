//! What may happen on the way to the API and back (B1–B5, B10, B12, B14).

use std::time::Duration;

use tencent_live_exporter::live::{ClientOptions, EventSource as _};
use tencent_live_exporter::settings::Endpoint;
use tencent_live_exporter::sim::{Fault, Keys, Scenario, Simulator, Span};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::bench::{Bench, EMPTY, KEY, credentials, everything};
use crate::support::child::CommandLine;
use crate::support::metrics::Metrics;
use crate::support::passes::Passes;
use crate::support::patience::{each, seen, until};
use crate::support::rig::Rig;
use crate::support::scripted::{Scripted, Step};

const FAILURES: &str = "tencent_live_exporter_poll_failures_total";
const REQUESTS: &str = "tencent_live_exporter_api_requests_total";
const UP: &str = "tencent_live_up";
/// Long enough for any exchange that works, even on a busy machine.
const SHORT: Duration = Duration::from_secs(1);
const FAILED: &str = "pass failed, the next one goes on where it stopped";

#[tokio::test]
async fn b1_a_name_that_does_not_resolve_takes_nothing_from_the_page() {
    let mut rig = Rig::new().await.start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    rig.stop().await;
    // No name below `.invalid` is ever given to anyone (RFC 6761).
    rig.settings.accounts[0].endpoint = Endpoint::parse("https://live.invalid").unwrap();
    rig.start_again().await;
    until("a poll has failed", async || seen(rig.own(FAILURES, &[("kind", "poll")]).await > 0, rig.log())).await;
    // Whether the resolver answers that there is none or not at all is the machine's affair.
    let metrics = rig.metrics().await;
    let failed = |kind| metrics.count(FAILURES, &[("error", kind)]);
    assert!(failed("network") + failed("timeout") > 0);
    assert_eq!(metrics.streams(), rig.truth());
    assert_eq!(rig.own(UP, &[]).await, 0);
    rig.tells(&["level=warn", "kind=poll", FAILED, "live.invalid"]).await;
    assert_eq!(rig.get("/-/healthy").await.0, 200);
}

#[tokio::test]
async fn b2_an_api_that_is_down_takes_nothing_from_the_page() {
    let mut rig = Rig::new().await.with(|settings| settings.poll.interval = Duration::from_secs(2)).start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    assert_eq!(rig.own(UP, &[]).await, 1);
    rig.cut_off();
    until("the account is down", async || {
        assert_eq!(rig.get("/-/healthy").await.0, 200);
        seen(rig.own(UP, &[]).await == 0, ())
    })
    .await;
    rig.reaches(FAILURES, &[("error", "network")], 1).await;
    rig.tells(&["level=warn", "kind=poll", FAILED, "the connection to 127.0.0.1:", "onnection refused"]).await;
    assert_eq!(rig.get("/-/ready").await.0, 200);
    assert_eq!(rig.metrics().await.streams(), rig.truth());
}

#[tokio::test]
async fn b2_a_peer_that_refuses_resets_or_says_nothing_is_given_up_in_time() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    // Its backlog takes connections and nobody takes them out of it.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_at = silent.local_addr().unwrap();
    let resetting = Scripted::start(vec![Step::Close; 4]).await;
    for (endpoint, code, told) in [
        (format!("http://{closed}"), "network", format!("the connection to {closed} failed")),
        (resetting.endpoint(), "network", format!("the connection to {} failed", resetting.host())),
        (format!("http://{silent_at}"), "timeout", format!("no answer from {silent_at} in time")),
        // Here the silence falls into the TLS handshake, which is part of connecting.
        (format!("https://{silent_at}"), "timeout", format!("no answer from {silent_at} in time")),
    ] {
        let bench = Bench::new(endpoint, credentials(None), |options: &mut ClientOptions| {
            let usual = [options.connect_timeout, options.total_timeout].map(|time| time.as_secs());
            assert_eq!((usual, options.attempts), ([5, 30], 4));
            options.connect_timeout = Duration::from_millis(100);
            options.total_timeout = Duration::from_millis(200);
        });
        let error = bench.ask().await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (code, true), "{error}");
        assert_eq!(error.to_string(), format!("DescribeLiveStreamEventList: {told}"));
        assert_eq!(bench.codes(), [(code, 1), (code, 2), (code, 3), (code, 4)]);
    }
}

#[tokio::test]
async fn b3_b4_an_exchange_that_breaks_is_made_again_whichever_of_a_listing_it_is() {
    let variants = [(Fault::Drip(Span::seconds(1)), "timeout"), (Fault::ConnectionReset, "network")];
    let variants = variants.into_iter().chain([(Fault::ResetMidBody, "network"), (Fault::Hang, "timeout")]);
    each(variants, async |(fault, code)| {
        for nth in 1.. {
            let mut passes = Passes::with_timeout(credentials(None), KEY, SHORT).await;
            passes.publish(160);
            let strikes = fault.clone();
            passes.world.before_request(nth, move |world| world.fail_next(1, strikes));
            passes.poll().await.unwrap();
            let what = format!("{fault:?} at request {nth}");
            passes.shows_the_truth(&what);
            assert_eq!(passes.log(), [""; 0], "{what}: nothing is lost that anybody has to hear of");
            let broken = passes.exchanges(code);
            assert_eq!(passes.world.requests().count, passes.exchanges("ok") + broken, "{what}");
            if broken == 0 {
                assert!(nth > 4, "a listing has several requests, this one had {}", nth - 1);
                break;
            }
            assert_eq!(broken, 1, "{what}");
        }
    })
    .await;
}

#[tokio::test]
async fn b3_a_request_that_keeps_breaking_fails_the_poll_and_the_next_goes_on() {
    let variants =
        [(Fault::Drip(Span::seconds(1)), "timeout", "in time"), (Fault::ConnectionReset, "network", "failed")];
    each(variants, async |(fault, code, told)| {
        let mut passes = Passes::with_timeout(credentials(None), KEY, SHORT).await;
        passes.publish(160);
        passes.world.before_request(4, move |world| world.fail_next(4, fault));
        let error = passes.poll().await.unwrap_err();
        assert_eq!(error.kind(), code);
        assert_eq!(passes.exchanges(code), 4);
        let failures = passes.metrics().count(FAILURES, &[("kind", "poll"), ("error", code)]);
        assert_eq!(failures, 1);
        let log = passes.log();
        assert!(log.len() == 1 && [FAILED, told, "127.0.0.1:"].iter().all(|part| log[0].contains(part)), "{log:#?}");
        passes.poll().await.unwrap();
        passes.shows_the_truth(code);
    })
    .await;
}

#[tokio::test]
async fn b5_a_busy_api_is_asked_again_and_no_poll_fails_for_it() {
    let api = |code: &str| Fault::Api { code: code.into(), message: "busy".into() };
    let variants = [
        (Fault::Http(429), "http_status"),
        (Fault::Http(500), "http_status"),
        (Fault::Http(502), "http_status"),
        (Fault::Http(503), "http_status"),
        (Fault::Http(504), "http_status"),
        (Fault::Throttle, "RequestLimitExceeded"),
        (api("RequestLimitExceeded.UinLimitExceeded"), "RequestLimitExceeded.UinLimitExceeded"),
        (api("LimitExceeded.RateLimitExceeded"), "LimitExceeded.RateLimitExceeded"),
        (Fault::InternalError, "InternalError"),
        (api("InternalError.DBError"), "InternalError.DBError"),
        (api("FailedOperation.CallOtherSvrFailed"), "FailedOperation.CallOtherSvrFailed"),
    ];
    each(variants, async |(fault, code)| {
        let mut passes = Passes::new(credentials(None), KEY).await;
        passes.publish(160);
        for (strikes, succeeds) in [(3, true), (4, false), (1, true)] {
            let before = passes.exchanges(code);
            passes.world.fail_next(strikes, fault.clone());
            let outcome = passes.poll().await;
            assert_eq!(outcome.is_ok(), succeeds, "{fault:?} {strikes} times: {outcome:?}");
            assert_eq!(passes.exchanges(code) - before, strikes as u64, "{fault:?}");
            passes.shows_the_truth(code);
        }
        let log = passes.log();
        assert!(log.len() == 1 && log[0].contains(FAILED) && log[0].contains("level=warn"), "{log:#?}");
    })
    .await;
}

#[tokio::test]
async fn b5_a_burst_of_requests_gets_through_an_api_that_fails_one_in_ten() {
    let mut passes = Passes::new(credentials(None), KEY).await;
    passes.publish(5000);
    passes.world.set_faults(|faults| (faults.throttle, faults.http_500, faults.connection_reset) = (0.04, 0.03, 0.03));
    let mut polls = 1;
    while let Err(error) = passes.poll().await {
        polls += 1;
        assert!(polls < 5, "what a poll has listed stays listed: {error}");
    }
    assert!(passes.world.requests().count > 60);
    assert!(
        passes.exchanges("RequestLimitExceeded") + passes.exchanges("http_status") + passes.exchanges("network") > 0
    );
    passes.shows_the_truth("after the burst");
    assert_eq!(passes.log().len(), polls - 1, "every poll that failed is told, and nothing else");
}

#[tokio::test]
async fn b5_a_poll_of_more_requests_than_succeed_in_a_row_goes_on_where_it_was() {
    let mut passes = Passes::new(credentials(None), KEY).await;
    passes.publish(3000);
    // Of four attempts at one request all fail once in four times; a poll of 60 requests would never come through.
    passes.world.set_faults(|faults| faults.http_502 = 0.7);
    let mut polls = 1;
    while passes.poll().await.is_err() {
        polls += 1;
        assert!(polls < 60, "each poll must bring it further");
    }
    assert!(polls > 3, "{polls}");
    passes.world.set_faults(|faults| faults.http_502 = 0.0);
    passes.poll().await.unwrap();
    passes.shows_the_truth("all of it, once");
    let asked = passes.world.requests().count;
    assert!(asked < 500, "no question is asked again that was answered: {asked}");
}

#[tokio::test]
async fn b10_no_redirect_is_followed_and_each_is_told_by_its_host() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = other.local_addr().unwrap();
    for status in [301, 302, 303, 307, 308] {
        for (location, host) in [
            (format!("http://{at}/path?token=canary"), "127.0.0.1"),
            (format!("https://{at}/path?token=canary"), "127.0.0.1"),
            (format!("//{at}/canary"), "127.0.0.1"),
            ("http://169.254.0.23/latest/meta-data/cam/canary".into(), "169.254.0.23"),
            ("http://canary:canary@metadata.tencentyun.com/".into(), "metadata.tencentyun.com"),
            ("file:///etc/canary".into(), "no host"),
        ] {
            let redirect = Step::Reply { status, headers: vec![("location".into(), location)], body: vec![] };
            let server = Scripted::start([redirect]).await;
            let bench = Bench::of(&server);
            let error = bench.ask().await.unwrap_err();
            assert_eq!((error.kind(), error.code(), error.is_retryable()), ("http", "http_status", false));
            let text = everything(&error);
            assert!(text.contains(&format!("redirects to {host}, which is not followed")), "{text}");
            assert!(!text.contains("canary"), "{text}");
            assert_eq!(bench.codes(), [("http_status", 1)], "one request and no other");
            assert_eq!(server.requests().len(), 1);
        }
    }
    let nobody = tokio::time::timeout(Duration::ZERO, other.accept()).await;
    assert!(nobody.is_err(), "the other server was not so much as connected to");
}

#[tokio::test]
async fn b10_a_redirecting_api_is_told_in_the_log_and_by_the_metrics() {
    let rig = Rig::new().await.start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    rig.world.fail_next(1, Fault::Redirect("http://169.254.0.23/latest/meta-data".into()));
    rig.reaches(FAILURES, &[("error", "http")], 1).await;
    rig.tells(&["level=warn", FAILED, "redirects to 169.254.0.23, which is not followed"]).await;
    assert_eq!(rig.own(REQUESTS, &[("code", "http_status")]).await, 1);
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth());
}

#[tokio::test]
async fn b12_a_proxy_of_the_environment_is_never_asked() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (id, key) = ("AKIDEXAMPLE", "EXAMPLEKEY");
    let clock = std::sync::Arc::new(tencent_live_exporter::clock::SystemClock::new());
    let simulator = Simulator::start(listener, Scenario::default(), Keys::new(id, key), clock).unwrap();
    let mut once = CommandLine::new(&["once"]).env("TENCENTCLOUD_SECRET_ID", id).env("TENCENTCLOUD_SECRET_KEY", key);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        once = once.env(name, &format!("http://{}", proxy.local_addr().unwrap()));
    }
    let ended = once.env("TENCENT_LIVE__ACCOUNTS__0__ENDPOINT", &simulator.endpoint()).run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(Metrics::parse(&ended.stdout).count(UP, &[]), 1);
    assert!(!ended.stderr.contains("level=warn"), "{ended:?}");
    assert!(simulator.world().requests().count > 0);
    let nobody = tokio::time::timeout(Duration::ZERO, proxy.accept()).await;
    assert!(nobody.is_err(), "somebody asked the proxy");
}

/// Reads one request, of which only the end of the body is known: it is a JSON object.
async fn take_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        assert!(stream.read_buf(&mut request).await.unwrap() > 0, "the request ends early");
    }
}

#[tokio::test]
async fn b14_the_answer_to_a_request_that_was_given_up_is_no_answer_to_the_next() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answer = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let server = tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        take_request(&mut first).await;
        // Only once the client has given up and asked again does the first answer come, and then the second.
        let (mut second, _) = listener.accept().await.unwrap();
        take_request(&mut second).await;
        let late = r#"{"Response":{"EventList":[7],"TotalNum":1,"RequestId":"r-late"}}"#;
        // The client may have closed that connection by now.
        let _ = first.write_all(answer(late).as_bytes()).await;
        second.write_all(answer(EMPTY).as_bytes()).await.unwrap();
        // The connections stay open until the test ends.
        (first, second)
    });
    let bench = Bench::new(endpoint, credentials(None), |options| options.total_timeout = Duration::from_secs(2));
    let page = bench.ask().await.unwrap();
    assert_eq!((page.total, page.rows.len()), (Some(0), 0), "the late answer had a row");
    assert_eq!(bench.codes(), [("timeout", 1), ("ok", 2)]);
    let reports = bench.reports.lock().unwrap();
    assert_eq!(reports[1].request_id.as_deref(), Some("r-ok"));
    assert!(reports.iter().all(|report| report.request_id.as_deref() != Some("r-late")));
    assert!(bench.client.api_time().is_none());
    drop(server);
}
