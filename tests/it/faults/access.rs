//! Who may ask, how often, and what time it is: quota, credentials, clocks (B6–B9).

use std::time::Duration;

use tencent_live_exporter::secret::Secret;
use tencent_live_exporter::settings::CredentialSource;
use tencent_live_exporter::sim::{Event, Fault, Keys};

use crate::support::bench::{KEY, TempKey, credentials};
use crate::support::passes::{Passes, SECRET_ID};
use crate::support::patience::{each, meanwhile, seen, until};
use crate::support::rig::{self, DOMAIN, Rig};

const FAILURES: &str = "tencent_live_exporter_poll_failures_total";
const REQUESTS: &str = "tencent_live_exporter_api_requests_total";
const SKEW: &str = "tencent_live_exporter_clock_skew_seconds";
const STREAMS: &str = "tencent_live_stream_disconnects_total";
const UP: &str = "tencent_live_up";
const REFUSED: &str = "refused, trying again in a minute";

#[tokio::test]
async fn b6_no_more_is_asked_than_the_quota_and_each_request_is_counted() {
    let rig = Rig::new().await.with(|settings| settings.poll.max_requests_per_second = 10.0);
    rig.world.publish_all((0..2000).map(|n| rig.ended(&format!("room_{}", n % 100), 5 + n)));
    let rig = rig.start().await;
    until("the quota has been used for a while", async || {
        let asked = rig.world.requests().count;
        seen(asked >= 35, asked)
    })
    .await;
    let asked = rig.world.requests();
    let second = |at: i64| asked.recent.iter().filter(|request| request.at == at).count();
    let busiest = asked.recent.iter().map(|request| second(request.at)).max();
    // A second's worth may be saved up, and is used beside the second's own.
    assert!(busiest <= Some(20), "{busiest:?} requests in one second");
    let (from, to) = (asked.recent[0].at, asked.recent[asked.recent.len() - 1].at);
    let seconds = usize::try_from(to - from).unwrap() + 1;
    assert!(asked.recent.len() <= 10 * (seconds + 1), "{} requests in {seconds} s", asked.recent.len());
    until("each request is counted", async || {
        let (asked, counted) = (rig.world.requests().count, rig.own(REQUESTS, &[("code", "ok")]).await);
        seen(counted <= asked && asked <= counted + 1, (asked, counted))
    })
    .await;
    rig.tells_nothing();
}

#[tokio::test]
async fn b6_a_quota_that_others_have_used_up_fails_the_poll_with_advice() {
    let mut passes = Passes::new(credentials(None), KEY).await;
    passes.publish(160);
    passes.world.set_quirks(|quirks| quirks.requests_per_second = Some(0));
    assert_eq!(passes.poll().await.unwrap_err().kind(), "throttled");
    // The request that asks for the time need not be answered, its refusal tells the time as well.
    assert_eq!(passes.exchanges("RequestLimitExceeded"), 4 + 4);
    let log = passes.log();
    let told = ["kind=poll", "RequestLimitExceeded", "lower poll.max_requests_per_second"];
    assert!(log.len() == 1 && told.iter().all(|part| log[0].contains(part)), "{log:#?}");
    passes.world.set_quirks(|quirks| quirks.requests_per_second = None);
    passes.poll().await.unwrap();
    passes.shows_the_truth("once there is quota");
    // Of a hundred thousand; the refusals of one second halve it once, and it rises by a hundredth in about a second.
    let labels = [("account", passes.account.as_str())];
    let pace = passes.metrics().get("tencent_live_exporter_api_requests_per_second", &labels);
    assert!(pace.is_some_and(|pace| (20_000.0..99_000.0).contains(&pace)), "{pace:?}");
}

fn wrong() -> CredentialSource {
    let secret_key = Secret::new("wrongwrongwrongwrongwrongwrong00");
    CredentialSource::Static { secret_id: rig::SECRET_ID.into(), secret_key, token: None }
}

#[tokio::test]
async fn b7_refused_credentials_are_told_and_not_hammered_with() {
    each(
        [
            ("auth", "AuthFailure.SignatureFailure", "check secret_id and secret_key"),
            ("permission", "UnauthorizedOperation", "grant the CAM action live:DescribeLiveStreamEventList"),
        ],
        async |(kind, code, advice)| {
            let rig = Rig::new().await.with(|settings| {
                if kind == "auth" {
                    settings.accounts[0].credentials = wrong();
                }
                settings.poll.interval = Duration::from_secs(1);
            });
            let rig =
                rig.quirks(|quirks| quirks.denied_actions = vec!["DescribeLiveStreamEventList".into()]).start().await;
            rig.reaches(FAILURES, &[("kind", "poll"), ("error", kind)], 1).await;
            until("it is ready", async || seen(rig.get("/-/ready").await.0 == 200, ())).await;
            assert_eq!(rig.own(UP, &[]).await, 0);
            let asked = rig.world.requests().count;
            // Three intervals.
            meanwhile(Duration::from_secs(3), async || {
                assert_eq!(rig.get("/-/healthy").await.0, 200);
                assert_eq!(rig.world.requests().count, asked, "{code}: it is left alone for a minute");
            })
            .await;
            assert!(asked < 5, "{asked} requests");
            assert!(rig.own(REQUESTS, &[("code", code)]).await >= 1);
            rig.tells(&["level=error", "kind=poll", REFUSED, code, advice]).await;
        },
    )
    .await;
}

#[tokio::test]
async fn b7_an_account_that_may_not_list_its_domains_counts_all_the_same() {
    let rig = Rig::new().await.quirks(|quirks| quirks.denied_actions = vec!["DescribeLiveDomains".into()]);
    let rig = rig.start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth());
    assert_eq!(rig.own(UP, &[]).await, 1);
    let labels = [("action", "DescribeLiveDomains"), ("code", "UnauthorizedOperation")];
    assert_eq!(rig.own(REQUESTS, &labels).await, 1, "asked for once in ten minutes");
    let told = rig.told(&["level=warn", "push domains cannot be listed", "grant live:DescribeLiveDomains"]);
    assert_eq!((told.len(), rig.log().len()), (1, 1), "{:#?}", rig.log());
}

#[tokio::test]
async fn b8_a_key_that_expires_before_any_request_of_a_listing_costs_one_more_request() {
    for nth in 1.. {
        let key = TempKey::new(&format!("expires-{nth}"), KEY);
        let mut passes = Passes::new(key.provider(), KEY).await;
        passes.publish(160);
        let replace = key.replace_with("cameAFTERcameAFTER00");
        passes.world.before_request(nth, move |world| {
            (replace.0)();
            world.set_keys(Keys::new(SECRET_ID, "cameAFTERcameAFTER00"));
        });
        passes.poll().await.unwrap();
        passes.shows_the_truth(&format!("expired before request {nth}"));
        assert_eq!(passes.log(), [""; 0]);
        let refused = passes.exchanges("AuthFailure.SignatureFailure");
        assert_eq!(passes.world.requests().count, passes.exchanges("ok") + refused);
        if refused == 0 {
            assert!(nth > 4, "a listing has several requests, this one had {}", nth - 1);
            break;
        }
        assert_eq!(refused, 1, "request {nth}");
    }
}

#[tokio::test]
async fn b8_a_key_that_nobody_has_replaced_fails_the_poll_and_what_was_listed_stays() {
    let key = TempKey::new("stays", KEY);
    let mut passes = Passes::new(key.provider(), KEY).await;
    passes.publish(160);
    passes.world.before_request(4, |world| world.set_keys(Keys::new(SECRET_ID, "unknownUNKNOWN00")));
    assert_eq!(passes.poll().await.unwrap_err().kind(), "auth");
    let counted = passes.metrics().count(STREAMS, &[]);
    assert!((1..160).contains(&counted), "{counted}");
    assert_eq!(passes.metrics().count(FAILURES, &[("kind", "poll"), ("error", "auth")]), 1);
    let log = passes.log();
    let told = ["level=error", REFUSED, "AuthFailure.SignatureFailure", "check secret_id and secret_key"];
    assert!(log.len() == 1 && told.iter().all(|part| log[0].contains(part)), "{log:#?}");
    (key.replace_with("unknownUNKNOWN00").0)();
    passes.poll().await.unwrap();
    passes.shows_the_truth("once the file is right");
}

/// The API's clock is off by `seconds`, which its signature check may or may not bear.
async fn works_in_spite_of_a_clock_off_by(seconds: i64) {
    let rig = Rig::new().await.quirks(|quirks| quirks.clock_skew = seconds).start().await;
    let end = rig.world.now() - seconds.max(0) - 10;
    rig.world.publish(Event::ended(DOMAIN, "live", "room", end - 60, end));
    rig.shows_the_truth().await;
    let labels = [("account", rig.account())];
    until("the skew is measured", async || {
        let skew = rig.metrics().await.get(SKEW, &labels).unwrap();
        seen((skew - seconds as f64).abs() <= 2.0, skew)
    })
    .await;
    let expired = rig.own(REQUESTS, &[("code", "AuthFailure.SignatureExpire")]).await;
    assert_eq!(expired, 1, "only the very first request is signed with a time the API does not take");
    // It refuses questions about times that are not over for it.
    assert_eq!(rig.own(FAILURES, &[]).await, 0);
    rig.tells_nothing();
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
async fn b9_a_clock_that_cannot_be_learned_is_told() {
    let expired = Fault::Api { code: "AuthFailure.SignatureExpire".into(), message: "signature expired".into() };
    let mut passes = Passes::new(credentials(None), KEY).await;
    passes.world.before_request(2, move |world| world.fail_next(2, expired));
    assert_eq!(passes.poll().await.unwrap_err().kind(), "clock");
    assert_eq!(passes.exchanges("AuthFailure.SignatureExpire"), 2, "made anew once");
    let log = passes.log();
    let told = ["level=warn", "the clock of this machine is more than five minutes off"];
    assert!(log.len() == 1 && told.iter().all(|part| log[0].contains(part)), "{log:#?}");
    passes.publish(10);
    passes.poll().await.unwrap();
    passes.shows_the_truth("once it can");
}
