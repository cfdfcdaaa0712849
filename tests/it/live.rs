//! The client keeps its promises against a server that does not.

use std::sync::Arc;
use std::time::Duration;

use tencent_live_exporter::clock::{Clock as _, SystemClock};
use tencent_live_exporter::listing::{Filter, Page, Row};
use tencent_live_exporter::live::{
    ACTIONS, CODES, Domain, ERROR_KINDS, EventSource as _, KeyFile, Provider, StreamsOnline,
};
use tencent_live_exporter::secret::Secret;
use tencent_live_exporter::signing::{self, Payload};

use crate::support::bench::{Bench, EMPTY, KEY, NOW, TOKEN, TempKey, credentials, everything};
use crate::support::scripted::{Scripted, Step};

const SAMPLE: &str = include_str!("../fixtures/live/official_sample.json");

#[tokio::test]
async fn a12_the_vendors_own_sample_is_read() {
    let server = Scripted::start([Step::ok(SAMPLE)]).await;
    let bench = Bench::of(&server);
    let page = bench.ask().await.unwrap();
    assert_eq!(page.total, Some(1));
    let [Row::Finished(session)] = &page.rows[..] else { panic!("{page:?}") };
    assert_eq!((session.start, session.end, session.duration), (NOW - 28_802, NOW - 28_802, Some(0)));
    assert_eq!(session.reason_text, "客户端主动断流");
    assert_eq!(session.stream, "stream".into());
    let reports = bench.reports.lock().unwrap();
    assert_eq!(reports[0].request_id.as_deref(), Some("00000000-0000-4000-8000-000000000001"));
    assert_eq!((reports.len(), reports[0].retry_in), (1, None));
}

#[tokio::test]
async fn a_request_is_signed_and_has_all_its_headers() {
    let server = Scripted::start([Step::ok(EMPTY)]).await;
    let bench = Bench::new(server.endpoint(), credentials(Some(TOKEN)), |_| {});
    bench.ask().await.unwrap();
    let request = &server.requests()[0];
    assert_eq!(request.line, "POST / HTTP/1.1");
    let version = concat!("tencent-live-exporter/", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        ("host", server.host().as_str()),
        ("content-type", "application/json"),
        ("x-tc-action", "DescribeLiveStreamEventList"),
        ("x-tc-version", "2018-08-01"),
        ("x-tc-timestamp", "1546632000"),
        ("x-tc-language", "zh-CN"),
        ("x-tc-token", TOKEN),
        ("user-agent", version),
    ] {
        assert_eq!(request.headers[name], value, "{name}");
    }
    assert!(!request.headers.contains_key("accept-encoding"));
    assert!(signed_with(&server, 0, KEY));
}

/// Every error code of the API's pages: its kind, and whether the same request is sent again.
const API_CODES: &[(&str, &str, bool)] = &[
    ("ActionOffline", "parameter", false),
    ("AuthFailure.InvalidAuthorization", "auth", false),
    ("AuthFailure.InvalidSecretId", "auth", false),
    ("AuthFailure.MFAFailure", "auth", false),
    ("AuthFailure.SecretIdNotFound", "auth", false),
    ("AuthFailure.SignatureExpire", "clock", false),
    ("AuthFailure.SignatureFailure", "auth", false),
    ("AuthFailure.TokenFailure", "auth", false),
    ("AuthFailure.UnauthorizedOperation", "permission", false),
    ("DryRunOperation", "parameter", false),
    ("FailedOperation", "internal", true),
    ("FailedOperation.CallOtherSvrFailed", "internal", true),
    ("FailedOperation.NetworkError", "internal", true),
    ("InternalError", "internal", true),
    ("InternalError.CallOtherSvrError", "internal", true),
    ("InternalError.ConnectDbError", "internal", true),
    ("InternalError.DBError", "internal", true),
    ("InternalError.GetBizidError", "internal", true),
    ("InternalError.NetworkError", "internal", true),
    ("InternalError.SystemError", "internal", true),
    ("InvalidAction", "parameter", false),
    ("InvalidParameter", "parameter", false),
    ("InvalidParameterValue", "parameter", false),
    ("InvalidRequest", "parameter", false),
    ("IpInBlacklist", "permission", false),
    ("IpNotInWhitelist", "permission", false),
    ("LimitExceeded", "throttled", false),
    ("LimitExceeded.RateLimitExceeded", "throttled", true),
    ("MissingParameter", "parameter", false),
    ("NoSuchProduct", "parameter", false),
    ("NoSuchVersion", "parameter", false),
    ("RequestLimitExceeded", "throttled", true),
    ("RequestLimitExceeded.GlobalRegionUinLimitExceeded", "throttled", true),
    ("RequestLimitExceeded.IPLimitExceeded", "throttled", true),
    ("RequestLimitExceeded.UinLimitExceeded", "throttled", true),
    ("RequestSizeLimitExceeded", "parameter", false),
    ("ResourceInUse", "internal", false),
    ("ResourceInsufficient", "internal", false),
    ("ResourceNotFound", "service", false),
    ("ResourceNotFound.ForbidService", "service", false),
    ("ResourceNotFound.FreezeService", "service", false),
    ("ResourceNotFound.StopService", "service", false),
    ("ResourceNotFound.UserDisableService", "service", false),
    ("ResourceNotFound.UserNotExist", "service", false),
    ("ResourceUnavailable", "internal", true),
    ("ResponseSizeLimitExceeded", "parameter", false),
    ("ServiceUnavailable", "internal", true),
    ("UnauthorizedOperation", "permission", false),
    ("UnknownParameter", "parameter", false),
    ("UnsupportedOperation", "parameter", false),
    ("UnsupportedProtocol", "parameter", false),
    ("UnsupportedRegion", "parameter", false),
];

#[tokio::test]
async fn a25_every_error_code_is_known_by_its_kind_and_tried_again_only_where_that_helps() {
    for (code, kind, again) in API_CODES.iter().chain(&[("Brandnew.Code", "other", false)]) {
        let server = Scripted::start(vec![Step::error(code); 9]).await;
        let bench = Bench::of(&server);
        let error = bench.ask().await.unwrap_err();
        let label = if *code == "Brandnew.Code" { "other" } else { *code };
        assert_eq!((error.code(), error.kind(), error.is_retryable()), (label, *kind, *again), "{code}");
        assert_eq!(error.is_refusal(), ["auth", "permission", "service"].contains(kind), "{code}");
        assert!(error.to_string().contains(code) && ERROR_KINDS.contains(kind), "{code}");
        assert_eq!(error.request_id(), Some(format!("r-{code}").as_str()));
        let attempts = if *again { 4 } else { 1 };
        assert_eq!(bench.codes(), (1..=attempts).map(|attempt| (label, attempt)).collect::<Vec<_>>(), "{code}");
        assert_eq!(server.requests().len(), attempts as usize, "{code}");
    }
}

#[test]
fn the_labels_are_the_api_codes_and_six_of_our_own() {
    let mut expected: Vec<&str> = API_CODES.iter().map(|(code, ..)| *code).collect();
    expected.extend(["bad_body", "http_status", "network", "ok", "other", "timeout"]);
    assert_eq!(CODES, expected);
    assert_eq!(ACTIONS, ["DescribeLiveDomains", "DescribeLiveStreamEventList", "DescribeLiveStreamOnlineList"]);
}

#[tokio::test]
async fn b5_a_throttled_request_succeeds_at_the_next_attempt() {
    let server = Scripted::start([Step::error("RequestLimitExceeded"), Step::ok(EMPTY)]).await;
    let bench = Bench::of(&server);
    assert_eq!(bench.ask().await.unwrap(), Page { total: Some(0), rows: vec![] });
    assert_eq!(bench.codes(), [("RequestLimitExceeded", 1), ("ok", 2)]);
    let reports = bench.reports.lock().unwrap();
    assert!(reports[0].retry_in.is_some() && reports[1].retry_in.is_none());
}

#[tokio::test]
async fn b4_faults_on_the_way_are_tried_again() {
    let unavailable = Step::Reply { status: 503, headers: vec![], body: b"<html>busy".to_vec() };
    for (step, code) in [
        (Step::Close, "network"),
        (Step::Half { body: EMPTY.into() }, "network"),
        (unavailable, "http_status"),
        (Step::ok("<html>proxy</html>"), "bad_body"),
        (Step::ok(""), "bad_body"),
        (Step::ok(&EMPTY[..20]), "bad_body"),
    ] {
        let server = Scripted::start([step.clone(), Step::ok(EMPTY)]).await;
        let bench = Bench::of(&server);
        bench.ask().await.unwrap();
        assert_eq!(bench.codes(), [(code, 1), ("ok", 2)], "{step:?}");
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closes_between_requests_costs_no_request() {
    let closing = Step::ReplyThenClose { body: EMPTY.into() };
    let server = Scripted::start(vec![closing; 30]).await;
    let bench = Bench::of(&server);
    for _ in 0..10 {
        bench.ask().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_without_tls_gets_no_request_over_https() {
    let server = Scripted::start([Step::ok(EMPTY)]).await;
    // The stand-in waits for the end of a request head that never comes.
    let bench = Bench::new(format!("https://{}", server.host()), credentials(None), |options| {
        options.connect_timeout = Duration::from_millis(200);
        options.attempts = 1;
    });
    assert_eq!(bench.ask().await.unwrap_err().kind(), "timeout");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a24_a_body_without_end_is_cut_at_its_bound_and_not_asked_for_again() {
    let server = Scripted::start([Step::Flood, Step::Flood]).await;
    let bench = Bench::of(&server);
    let error = bench.ask().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), ("protocol", "bad_body"));
    assert!(error.to_string().contains("longer than 4194304 bytes"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn b9_an_expired_signature_is_made_anew_with_the_apis_clock() {
    let expired = Step::error("AuthFailure.SignatureExpire").with("Date", "Fri, 04 Jan 2019 21:00:00 GMT");
    let server = Scripted::start([expired, Step::ok(EMPTY), Step::ok(EMPTY)]).await;
    let bench = Bench::of(&server);
    bench.ask().await.unwrap();
    bench.clock.advance(Duration::from_secs(5));
    bench.ask().await.unwrap();
    let stamps: Vec<_> = server.requests().iter().map(|request| request.headers["x-tc-timestamp"].clone()).collect();
    assert_eq!(stamps, ["1546632000", "1546635600", "1546635605"]);
    assert_eq!(bench.codes(), [("AuthFailure.SignatureExpire", 1), ("ok", 2), ("ok", 1)]);
    let api = bench.client.api_time().unwrap();
    assert_eq!(api.skew(bench.clock.now(), bench.clock.elapsed()), 3600);
}

#[tokio::test]
async fn b9_a_signature_that_stays_expired_is_made_anew_only_once() {
    let expired = Step::error("AuthFailure.SignatureExpire").with("Date", "Fri, 04 Jan 2019 21:00:00 GMT");
    let server = Scripted::start(vec![expired; 4]).await;
    let bench = Bench::of(&server);
    assert_eq!(bench.ask().await.unwrap_err().kind(), "clock");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn b9_the_clock_is_learned_from_every_answer_but_those_of_a_cache() {
    let date = "Fri, 04 Jan 2019 20:00:07 GMT";
    let busy = Step::Reply { status: 503, headers: vec![("Date".into(), date.into())], body: vec![] };
    let server = Scripted::start([busy.clone().with("Age", "3"), busy]).await;
    let bench = Bench::new(server.endpoint(), credentials(None), |options| options.attempts = 1);
    assert_eq!(bench.ask().await.unwrap_err().kind(), "http");
    assert_eq!(bench.client.api_time(), None);
    assert_eq!(bench.ask().await.unwrap_err().kind(), "http");
    assert_eq!(bench.client.api_time().unwrap().at, NOW + 7);
}

/// Whether request number `index` was signed with `key`.
fn signed_with(server: &Scripted, index: usize, key: &str) -> bool {
    let request = &server.requests()[index];
    let headers = [("content-type", "application/json"), ("host", &server.host())];
    let payload = Payload::Body(request.body.as_bytes());
    let signed = signing::Request { method: "POST", query: "", headers: &headers, payload };
    request.headers["authorization"] == signing::authorization(&signed, "AKIDEXAMPLE", &Secret::new(key), "live", NOW)
}

#[tokio::test]
async fn b8_a_key_replaced_between_requests_signs_the_next() {
    let key = TempKey::new("between", "old");
    let server = Scripted::start([Step::ok(EMPTY), Step::ok(EMPTY)]).await;
    let bench = Bench::new(server.endpoint(), key.provider(), |_| {});
    bench.ask().await.unwrap();
    (key.replace_with("newer").0)();
    bench.ask().await.unwrap();
    assert!(signed_with(&server, 0, "old") && signed_with(&server, 1, "newer"));
}

#[tokio::test]
async fn b8_a_key_replaced_under_a_request_signs_its_second_attempt() {
    let key = TempKey::new("under", "old");
    let refused = Step::First(key.replace_with("newer"), Box::new(Step::error("AuthFailure.SecretIdNotFound")));
    let server = Scripted::start([refused, Step::ok(EMPTY)]).await;
    let bench = Bench::new(server.endpoint(), key.provider(), |_| {});
    bench.ask().await.unwrap();
    assert_eq!(bench.codes(), [("AuthFailure.SecretIdNotFound", 1), ("ok", 2)]);
    assert!(signed_with(&server, 0, "old") && signed_with(&server, 1, "newer"));
}

#[tokio::test]
async fn k5_an_unreadable_key_file_sends_nothing() {
    let server = Scripted::start([Step::ok(EMPTY)]).await;
    let provider = Provider::KeyFile(Arc::new(KeyFile::new("/nowhere/key", "AKIDEXAMPLE", None)));
    let bench = Bench::new(server.endpoint(), provider, |_| {});
    let error = bench.ask().await.unwrap_err();
    assert_eq!((error.kind(), error.is_refusal()), ("auth", false));
    assert!(everything(&error).contains("/nowhere/key"));
    assert!(server.requests().is_empty() && bench.codes().is_empty());
}

#[tokio::test]
async fn b6_requests_past_the_burst_wait_for_their_turn() {
    let server = Scripted::start(vec![Step::ok(EMPTY); 6]).await;
    let bench = Bench::new(server.endpoint(), credentials(None), |options| options.requests_per_second = 4.0);
    let clock = SystemClock::new();
    for _ in 0..6 {
        bench.ask().await.unwrap();
    }
    // Four at once, then two a quarter of a second apart.
    assert!(clock.elapsed() >= Duration::from_millis(490), "{:?}", clock.elapsed());
}

#[tokio::test]
async fn domains_are_paged_through() {
    let page = |range: std::ops::Range<u32>| {
        let list: Vec<String> = range.map(|n| format!(r#"{{"Name":"d{n}","Status":{}}}"#, n % 2)).collect();
        Step::ok(format!(r#"{{"Response":{{"AllCount":150,"DomainList":[{}]}}}}"#, list.join(",")))
    };
    let server = Scripted::start([page(0..100), page(99..150)]).await;
    let domains = Bench::of(&server).client.push_domains().await.unwrap();
    assert_eq!(domains.len(), 150);
    assert_eq!(domains[149], Domain { name: "d149".into(), enabled: true });
    assert!(!domains[0].enabled);
    let bodies: Vec<String> = server.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(
        bodies,
        [r#"{"DomainType":0,"PageNum":1,"PageSize":100}"#, r#"{"DomainType":0,"PageNum":2,"PageSize":100}"#]
    );
}

#[tokio::test]
async fn domains_without_end_are_read_up_to_a_bound() {
    let page = |number: u32| {
        let list: Vec<String> = (0..9_000).map(|n| format!(r#"{{"Name":"d{number}-{n}"}}"#)).collect();
        Step::ok(format!(r#"{{"Response":{{"AllCount":9000000,"DomainList":[{}]}}}}"#, list.join(",")))
    };
    let server = Scripted::start((0..5).map(page)).await;
    let domains = Bench::of(&server).client.push_domains().await.unwrap();
    assert_eq!((domains.len(), server.requests().len()), (10_000, 2));
    assert_eq!(domains[9_999].name, "d1-999".into());
}

/// A page of streams online, which are all of one domain and of two apps.
fn online_page(total: usize, streams: std::ops::Range<usize>) -> Step {
    let row = |n| format!(r#"{{"DomainName":"d","AppName":"app{}","StreamName":"s{n}"}}"#, n % 2);
    let list: Vec<String> = streams.map(row).collect();
    Step::ok(format!(r#"{{"Response":{{"TotalNum":{total},"OnlineInfo":[{}]}}}}"#, list.join(",")))
}

#[tokio::test]
async fn streams_online_are_paged_through_and_each_is_counted_once() {
    let server = Scripted::start([online_page(7_000, 0..5_000), online_page(7_000, 4_990..7_000)]).await;
    let online = Bench::of(&server).client.streams_online(&Filter::default()).await.unwrap();
    let pair = |app: &str| ("d".into(), app.into());
    assert_eq!(online, StreamsOnline::from([(pair("app0"), 3_500), (pair("app1"), 3_500)]));
    let bodies: Vec<String> = server.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, [r#"{"PageNum":1,"PageSize":5000}"#, r#"{"PageNum":2,"PageSize":5000}"#]);
}

#[tokio::test]
async fn where_long_pages_of_streams_online_are_refused_short_ones_are_asked_for() {
    let refused = Step::ok(r#"{"Response":{"Error":{"Code":"InvalidParameterValue","Message":"PageSize"}}}"#);
    let pages = [online_page(150, 0..100), online_page(150, 100..150), online_page(0, 0..0)];
    let server = Scripted::start([refused].into_iter().chain(pages)).await;
    let bench = Bench::of(&server);
    let online = bench.client.streams_online(&Filter::default()).await.unwrap();
    assert_eq!(online.values().sum::<u64>(), 150);
    assert!(bench.client.streams_online(&Filter::default()).await.unwrap().is_empty());
    let sizes: Vec<bool> = server.requests().iter().map(|request| request.body.contains(":5000")).collect();
    assert_eq!(sizes, [true, false, false, false], "refused once, they are not asked for again");
}

#[tokio::test]
async fn streams_online_without_end_are_an_error_and_no_number() {
    let pages = (0..60).map(|page| online_page(1_000_000, page * 10..page * 10 + 10));
    let server = Scripted::start(pages).await;
    let error = Bench::of(&server).client.streams_online(&Filter::default()).await.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), ("protocol", 50));
    assert!(everything(&error).contains("50 pages do not show all streams online"), "{}", everything(&error));
}

#[tokio::test]
async fn a_server_that_ignores_the_page_number_ends_the_paging() {
    let same = Step::ok(r#"{"Response":{"AllCount":9,"DomainList":[{"Name":"d","Status":1}]}}"#);
    let server = Scripted::start(vec![same; 5]).await;
    assert_eq!(Bench::of(&server).client.push_domains().await.unwrap().len(), 1);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn k4_secrets_are_in_no_error_even_when_the_server_echoes_them() {
    let token_alone = Step::ok(format!("not json: {TOKEN} {KEY}"));
    for step in [Step::Echo { status: 200 }, Step::Echo { status: 502 }, token_alone, Step::Close] {
        let server = Scripted::start([step]).await;
        let bench = Bench::new(server.endpoint(), credentials(Some(TOKEN)), |options| options.attempts = 1);
        let error = bench.ask().await.unwrap_err();
        let text = format!("{} {:?} {:?}", everything(&error), bench.client, credentials(Some(TOKEN)));
        assert!(!text.contains("canary"), "{text}");
        assert!(!text.contains("Signature=") || text.contains("Signature=[secret]"), "{text}");
    }
}
