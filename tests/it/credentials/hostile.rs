//! Whoever issues keys may answer anything: an error that says so and repeats nothing, within its deadline.

use std::sync::Arc;
use std::time::Duration;

use tencent_live_exporter::clock::{Clock, SystemClock};
use tencent_live_exporter::live::{CredentialsError, Metadata, Provider, Temporary};
use tencent_live_exporter::sim::Keys;

use super::{News, of_machine, of_role, pod, role};
use crate::support::bench::{KEY, credentials};
use crate::support::folder::Folder;
use crate::support::issuers::{Issuers, ROLES};
use crate::support::scripted::{Scripted, Step};

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// An error with its whole chain and all that `Debug` shows.
fn everything(error: &CredentialsError) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |error| error.source());
    chain.map(|error| format!("{error} {error:?}")).collect::<Vec<_>>().join(" ")
}

/// An answer of STS with `members` beside the request's id.
fn answer(members: &str) -> Step {
    Step::ok(format!(r#"{{"Response":{{{members},"RequestId":"r-sts"}}}}"#))
}

/// An answer of the metadata service for a role, with `change` made to it.
fn of_role_answer(from: &str, to: &str) -> Step {
    let whole = r#"{"TmpSecretId":"canaryID","TmpSecretKey":"canaryKEY","Token":"canaryTOKEN","ExpiredTime":9999999999,"Code":"Success"}"#;
    assert!(whole.contains(from), "{from}");
    Step::ok(whole.replacen(from, to, 1))
}

fn status(status: u16) -> Step {
    Step::Reply { status, headers: vec![], body: b"canary".to_vec() }
}

#[tokio::test]
async fn b10_no_redirect_of_those_who_issue_keys_is_followed() {
    let elsewhere = Scripted::start([Step::ok("role"), Step::ok("role")]).await;
    let (issuers, news) = (Issuers::start().await, News::default());
    let redirect = Step::Reply { status: 302, headers: vec![], body: vec![] };
    let redirect = redirect.with("Location", &format!("{}/canary", elsewhere.endpoint()));
    issuers.now(|habits| habits.instead = Some(redirect));
    let machine = of_machine(&issuers, &clock(), &news).current().await.unwrap_err();
    assert!(machine.to_string().ends_with("it answered with HTTP status 302"), "{machine}");
    let role = of_role(&issuers, credentials(None), &clock(), &news).current().await.unwrap_err();
    assert!(role.to_string().contains("redirects to 127.0.0.1, which is not followed"), "{role}");
    for error in [machine, role] {
        assert!(!everything(&error).contains("canary"), "{error:?}");
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn k3_no_name_of_a_role_leads_to_another_path_or_host() {
    for name in [
        "",
        " ",
        "..",
        "../../user-data",
        "a/b",
        "//evil.example.com/",
        "a?x=1",
        "a#b",
        "a\r\nX: y",
        "<html>",
        "r\u{f6}le",
    ] {
        let (issuers, news) = (Issuers::start().await, News::default());
        issuers.now(|habits| habits.role = Some(name.into()));
        let error = of_machine(&issuers, &clock(), &news).current().await.unwrap_err();
        assert!(everything(&error).contains("role"), "{name:?}: {error}");
        let lines: Vec<String> = issuers.server.requests().into_iter().map(|request| request.line).collect();
        assert_eq!(lines, [format!("GET {ROLES} HTTP/1.1")], "{name:?}");
        let (refused, trick) = (error.to_string(), name.trim());
        assert!(trick.len() < 3 || !refused.contains(trick), "{name:?} is repeated: {refused}");
    }
}

#[tokio::test]
async fn k4_whatever_the_metadata_service_answers_is_keys_or_an_error_that_repeats_none_of_it() {
    let role = || Step::ok("role");
    for (told, script) in [
        ("no role is bound", vec![status(404)]),
        ("HTTP status 500", vec![status(500)]),
        ("HTTP status 403", vec![status(403)]),
        ("its role", vec![Step::ok([0xff, 0xfe].to_vec())]),
        ("no role's name", vec![Step::ok("canary canary")]),
        ("longer than 65536 bytes", vec![Step::Flood]),
        ("does not answer", vec![Step::Close]),
        ("does not answer", vec![Step::Half { body: b"canary".to_vec() }]),
        ("no keys for the role", vec![role(), status(404)]),
        ("HTTP status 302", vec![role(), status(302)]),
        ("no JSON object", vec![role(), Step::ok("")]),
        ("no JSON object", vec![role(), Step::ok("<html>canary")]),
        ("no JSON object", vec![role(), Step::ok("[\"canary\"]")]),
        ("no JSON object", vec![role(), Step::ok("\"canary\"")]),
        ("no JSON object", vec![role(), Step::ok("{\"Token\":\"canary\",\"Token\":\"canary\"}{")]),
        ("no JSON object", vec![role(), Step::ok("[".repeat(60_000))]),
        ("longer than 65536 bytes", vec![role(), Step::ok("x".repeat(65_537))]),
        ("a Code other than Success", vec![role(), of_role_answer("Success", "canary")]),
        ("no TmpSecretId", vec![role(), of_role_answer("\"canaryID\"", "null")]),
        ("no TmpSecretKey", vec![role(), of_role_answer("TmpSecretKey", "Other")]),
        ("no Token", vec![role(), of_role_answer("\"canaryTOKEN\"", "\"\"")]),
        ("characters that no key has", vec![role(), of_role_answer("canaryKEY", r"canary\r\nX-Evil: canary")]),
        ("characters that no key has", vec![role(), of_role_answer("canaryTOKEN", r"canary\u0000")]),
        ("characters that no key has", vec![role(), of_role_answer("canaryID", "canary/x")]),
        ("no ExpiredTime and no Expiration", vec![role(), of_role_answer("9999999999", "\"canary\"")]),
        ("have expired already", vec![role(), of_role_answer("9999999999", "1000000000")]),
        ("have expired already", vec![role(), of_role_answer("9999999999", "0")]),
    ] {
        let (server, news) = (Scripted::start(script).await, News::default());
        let metadata = Metadata::new(&server.endpoint(), clock()).unwrap();
        let machine = Temporary::of_machine(metadata, clock(), news.observer());
        let error = Provider::Temporary(Arc::new(machine)).current().await.unwrap_err();
        let shown = everything(&error);
        assert!(shown.contains(told), "{told}: {shown}");
        assert!(!shown.contains("canary"), "{told}: {shown}");
        assert_eq!(news.lines(), ["CVM role not renewed, for the first time"], "{told}");
    }
}

#[tokio::test]
async fn k4_whatever_sts_answers_is_keys_or_an_error_that_repeats_none_of_it() {
    let keys = r#""Credentials":{"TmpSecretId":"canaryID","TmpSecretKey":"canaryKEY","Token":"canaryTOKEN"}"#;
    let echo = format!(r#""Error":{{"Code":"InvalidParameter","Message":"{KEY} canaryEXTERNAL"}}"#);
    for (told, step) in [
        ("HTTP status 502", status(502)),
        ("HTTP status 500", Step::Echo { status: 500 }),
        ("the body is no answer to it", Step::Echo { status: 200 }),
        ("the body is no answer to it", Step::ok("")),
        ("the body is no answer to it", Step::ok("\"canary\"")),
        ("the body is no answer to it", Step::ok("{\"Response\":\"canary\"}")),
        ("the body is no answer to it", Step::ok(format!("{{\"Response\":{{{keys}}}"))),
        ("the answer is longer than 65536 bytes", Step::Flood),
        ("failed", Step::Half { body: b"canary".to_vec() }),
        ("it has no Credentials", answer("\"New\":1")),
        ("its keys are no JSON object", answer("\"Credentials\":[\"canary\"]")),
        ("it has no ExpiredTime", answer(keys)),
        ("have expired already", answer(&format!("{keys},\"ExpiredTime\":1"))),
        ("have expired already", answer(&format!("{keys},\"Expiration\":\"2001-01-01T00:00:00Z\""))),
        ("it has no Token", answer(&format!("{},\"ExpiredTime\":9999999999", keys.replace("Token", "token")))),
        ("characters that no key has", answer(&keys.replace("canaryTOKEN", "canary canary"))),
        ("the API answered InvalidParameter: [secret] [secret]", answer(&echo)),
        ("check the role's arn", answer(&echo)),
    ] {
        let (issuers, news) = (Issuers::start().await, News::default());
        issuers.now(|habits| habits.instead = Some(step));
        let error = of_role(&issuers, credentials(None), &clock(), &news).current().await.unwrap_err();
        let shown = everything(&error);
        assert!(shown.contains(told), "{told}: {shown}");
        assert!(!shown.contains("canary"), "{told}: {shown}");
        assert_eq!(news.lines(), ["role not renewed, for the first time"], "{told}");
    }
}

#[tokio::test]
async fn k4_the_token_of_a_pod_is_in_no_error_even_when_sts_echoes_it() {
    let (issuers, news, folder) = (Issuers::start().await, News::default(), Folder::new());
    std::fs::write(folder.join("token"), "canaryWEB").unwrap();
    issuers.now(|habits| {
        habits.instead =
            Some(answer(r#""Error":{"Code":"InvalidParameter.WebIdentityTokenError","Message":"bad canaryWEB"}"#));
    });
    let sts = issuers.sts(|_| {});
    let pod = Temporary::of_pod(sts, pod(&folder.join("token")), clock(), news.observer());
    let error = Provider::Temporary(Arc::new(pod)).current().await.unwrap_err();
    let shown = everything(&error);
    assert!(shown.contains("InvalidParameter.WebIdentityTokenError: bad [secret]"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn b2_b3_who_says_nothing_is_given_up_in_time() {
    let (issuers, news) = (Issuers::start().await, News::default());
    issuers.now(|habits| {
        habits.keys = Keys::new("AKIDEXAMPLE", KEY);
        habits.instead = Some(Step::Hang);
    });
    let sts = issuers.sts(|options| {
        assert_eq!((options.connect_timeout.as_secs(), options.total_timeout.as_secs(), options.attempts), (5, 10, 3));
        options.total_timeout = Duration::from_millis(100);
    });
    let clocks = clock();
    let role = Temporary::of_role(sts, role(), credentials(None), Arc::clone(&clocks), news.observer());
    let error = Provider::Temporary(Arc::new(role)).current().await.unwrap_err();
    assert!(error.to_string().contains("no answer from 127.0.0.1:"), "{error}");
    assert_eq!(issuers.server.requests().len(), 3);
    let started = clocks.elapsed();
    let error = of_machine(&issuers, &clocks, &news).current().await.unwrap_err();
    assert!(error.to_string().contains("does not answer"), "{error}");
    let took = clocks.elapsed().saturating_sub(started);
    assert!(took < Duration::from_secs(20), "{took:?}");
}
