//! Bodies that are no answers, too much of one, an error, or the answer to another question (A23–A25, B15).

use std::io::Write as _;

use tencent_live_exporter::sim::{Event, Fault};

use crate::support::child::CommandLine;
use crate::support::patience::{each, seen, until};
use crate::support::rig::{DOMAIN, Rig};
use crate::support::scripted::{Scripted, Step};

const FAILURES: &str = "tencent_live_exporter_poll_failures_total";
const RECORDS: &str = "tencent_live_exporter_records_total";
const REQUESTS: &str = "tencent_live_exporter_api_requests_total";
const STREAMS: &str = "tencent_live_stream_disconnects_total";
const FAILED: &str = "pass failed, the next one goes on where it stopped";

/// A rig that has counted a session and goes on.
async fn counting() -> Rig {
    let rig = Rig::new().await.start().await;
    rig.world.publish(rig.ended("before", 10));
    rig.shows_the_truth().await;
    rig
}

/// A pass has failed as `kind` and was told as such; what came meanwhile is counted, once.
async fn fails_and_goes_on(rig: &Rig, kind: &str, told: &[&str]) {
    rig.reaches(FAILURES, &[("error", kind)], 1).await;
    rig.tells(&[&["level=warn", FAILED], told].concat()).await;
    rig.shows_the_truth().await;
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth(), "{told:?}");
    assert_eq!(rig.own(RECORDS, &[("outcome", "counted")]).await, 2, "{told:?}");
    assert_eq!(rig.own("tencent_live_up", &[]).await, 1, "{told:?}");
}

#[tokio::test]
async fn a23_b15_a_body_that_is_no_answer_to_the_question_is_an_error_that_shows_its_start() {
    let body = |text: &str| Fault::Body(text.to_owned());
    let variants = [
        (Fault::HtmlBody, r"the body is no answer: expected value", "<!DOCTYPE html>"),
        (Fault::EmptyBody, "the body is no answer: EOF while parsing", "request id unknown: "),
        (body("{\"Response\":{\"EventList\":[{\"App"), "the body is no answer: EOF while parsing", "EventList"),
        (body("\u{feff}{\"Response\":{\"EventList\":[],\"TotalNum\":0}}"), "the body is no answer", r"\\u{feff}{"),
        (body("{\"Response\":{}}{\"Response\":{}}"), "the body is no answer: trailing characters", "Response"),
        (body("[{\"EventList\":[],\"TotalNum\":0}]"), "the body is no answer: not an object", "EventList"),
        (body("{\"code\":4000,\"message\":\"legacy\"}"), "the body has no Response", "legacy"),
        (body("{\"Response\":{\"TotalNum\":3,\"RequestId\":\"r-7\"}}"), "no EventList", "request id r-7: "),
        (
            body("{\"Response\":{\"AllCount\":1,\"DomainList\":[{\"Name\":\"d\"}],\"RequestId\":\"r-other\"}}"),
            "no EventList",
            "request id r-other: ",
        ),
        (body("\u{1b}[31m\u{202e}<\n"), "the body is no answer", r"\\u{1b}[31m\\u{202e}<\\n"),
    ];
    each(variants, async |(fault, problem, sample)| {
        let rig = counting().await;
        // Every attempt there is at one request.
        rig.world.fail_next(4, fault);
        rig.world.publish(rig.ended("meanwhile", 10));
        fails_and_goes_on(&rig, "protocol", &["unreadable answer", problem, sample]).await;
        assert_eq!(rig.own(REQUESTS, &[("code", "bad_body")]).await, 4);
        assert!(rig.log().iter().all(|line| line.len() < 1000), "{:#?}", rig.log());
    })
    .await;
}

/// The most memory that process `id` has had, in KiB.
fn peak_memory(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn gzip_bomb() -> Step {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..256 {
        gzip.write_all(&zeros).unwrap();
    }
    Step::ok(gzip.finish().unwrap()).with("content-encoding", "gzip")
}

#[tokio::test]
async fn a24_a_body_of_any_size_or_shape_is_refused_in_bounded_memory() {
    const MIB: u64 = 1024;
    let nested = format!("{{\"Response\":{{\"a\":{}}}}}", "[".repeat(1_000_000));
    let keys: Vec<String> = (0..250_000).map(|n| format!("\"key{n}\":0")).collect();
    let variants = [
        (Step::Flood, "the answer is longer than 4194304 bytes"),
        (Step::ok(vec![b'"'; 50 << 20]), "the answer is longer than 4194304 bytes"),
        (Step::ok(nested), "unreadable answer"),
        (Step::ok(format!("{{\"Response\":{{{}}}}}", keys.join(","))), "unreadable answer, no EventList"),
        (gzip_bomb(), "unreadable answer, the body is no answer"),
    ];
    each(variants, async |(step, told)| {
        let server = Scripted::start(vec![step; 12]).await;
        let mut process = CommandLine::new(&[])
            .env("TENCENTCLOUD_SECRET_ID", "AKIDEXAMPLE")
            .env("TENCENTCLOUD_SECRET_KEY", "EXAMPLEKEY")
            .env("TENCENT_LIVE__ACCOUNTS__0__ENDPOINT", &server.endpoint())
            .env("TENCENT_LIVE__POLL__INTERVAL", "1s")
            .env("TENCENT_LIVE__WEB__LISTEN_ADDRESSES", "127.0.0.1:0")
            .start();
        let failed = [("kind", "poll"), ("error", "protocol")];
        let page = process.metrics_when("a poll has failed for it", |page| page.count(FAILURES, &failed) > 0).await;
        assert_eq!(page.count("tencent_live_up", &[]), 0);
        until("the log tells", async || seen(process.stderr().contains(told), process.stderr())).await;
        let peak = peak_memory(process.id());
        assert!(peak < 64 * MIB, "{told}: {peak} KiB");
    })
    .await;
}

#[tokio::test]
async fn a25_an_error_with_status_200_is_told_by_its_code_and_never_an_empty_success() {
    let api = |code: &str| Fault::Api { code: code.into(), message: "in its own words".into() };
    let variants = [
        (1, api("LimitExceeded"), "throttled", "LimitExceeded", "a quota of the account is used up"),
        // A signature that has expired is made anew once.
        (2, api("AuthFailure.SignatureExpire"), "clock", "AuthFailure.SignatureExpire", "the clock of this machine"),
        (4, api("InternalError.DBError"), "internal", "InternalError.DBError", "in its own words"),
        (4, api("ServiceUnavailable"), "internal", "ServiceUnavailable", "in its own words"),
        (4, Fault::ErrorWithRows, "internal", "InternalError", "An internal error occurred."),
        // A code that nobody knows yet keeps its name in the log and has none of its own on the page.
        (1, api("Brandnew.Code"), "other", "other", "Brandnew.Code: in its own words"),
    ];
    each(variants, async |(attempts, fault, kind, code, told)| {
        let rig = counting().await;
        rig.world.fail_next(attempts, fault);
        rig.world.publish(rig.ended("meanwhile", 10));
        fails_and_goes_on(&rig, kind, &["the API answered", told]).await;
        assert_eq!(rig.own(REQUESTS, &[("code", code)]).await, attempts as u64, "{code}");
    })
    .await;
}

#[tokio::test]
async fn a25_a_question_that_is_refused_however_small_it_is_made_fails_the_poll() {
    let rig = counting().await;
    let refused = Fault::Api { code: "InvalidParameterValue".into(), message: "no".into() };
    rig.world.fail_next(100_000, refused);
    rig.reaches(FAILURES, &[("kind", "poll"), ("error", "parameter")], 1).await;
    rig.tells(&["level=warn", "kind=poll", "InvalidParameterValue", "check domains and apps"]).await;
    assert!(rig.own(REQUESTS, &[("code", "InvalidParameterValue")]).await > 1, "smaller windows were asked for");
}

#[tokio::test]
async fn a25_a_refusal_is_an_error_that_says_what_to_do() {
    each(
        [
            ("AuthFailure.TokenFailure", "auth", "the session token is wrong or has expired"),
            ("UnauthorizedOperation", "permission", "grant the CAM action live:DescribeLiveStreamEventList"),
            ("ResourceNotFound.StopService", "service", "the account is in arrears or its Live service stopped"),
        ],
        async |(code, kind, advice)| {
            let rig = counting().await;
            let before = rig.metrics().await.streams();
            rig.world.fail_next(1000, Fault::Api { code: code.into(), message: "no".into() });
            rig.world.publish(rig.ended("meanwhile", 10));
            rig.reaches(FAILURES, &[("kind", "poll"), ("error", kind)], 1).await;
            rig.tells(&["level=error", "kind=poll", "refused, trying again in a minute", code, advice]).await;
            assert!(rig.own(REQUESTS, &[("code", code)]).await >= 1);
            assert_eq!(rig.own("tencent_live_up", &[]).await, 0, "{code}");
            assert_eq!(rig.metrics().await.streams(), before, "{code}: what was counted stays");
        },
    )
    .await;
}

#[tokio::test]
async fn b15_rows_of_other_names_than_asked_for_count_once_under_their_own() {
    let domains = [DOMAIN, "push.other.example.com"];
    let rig = Rig::new().await.quirks(|quirks| quirks.ignore_names = true);
    let rig = rig.with(|settings| settings.accounts[0].domains = domains.map(String::from).to_vec());
    let end = rig.world.now() - 300;
    rig.world.publish_all((0..90).map(|n| {
        let domain = domains.get(n % 3).unwrap_or(&"push.stranger.example.com");
        Event::ended(*domain, "live", &*format!("room_{n}"), end - 60, end + i64::try_from(n % 50).unwrap())
    }));
    let rig = rig.start().await;
    rig.shows_the_truth().await;
    rig.turns(1).await;
    let metrics = rig.metrics().await;
    assert_eq!(metrics.streams(), rig.truth(), "both questions are answered with all rows, each counts once");
    assert_eq!(metrics.count(STREAMS, &[("domain", "push.stranger.example.com")]), 30);
    assert_eq!(rig.own(RECORDS, &[("outcome", "counted")]).await, 90);
    assert!(rig.own(RECORDS, &[("outcome", "duplicate")]).await >= 90);
    rig.tells_nothing();
}
