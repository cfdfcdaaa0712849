//! Keys that expire are renewed before they do, and nothing waits for it.

use std::sync::Arc;
use std::time::Duration;

use tencent_live_exporter::clock::{Clock, ManualClock, SystemClock};
use tencent_live_exporter::live::{self, ProfileFile, Provider};
use tencent_live_exporter::settings::{CredentialSource, Endpoint, Role};
use tencent_live_exporter::sim::Keys;

use super::{News, of_machine, of_pod, of_role, role};
use crate::support::bench::{KEY, NOW, credentials};
use crate::support::folder::Folder;
use crate::support::issuers::{Issuers, issued};
use crate::support::passes::{Passes, SECRET_ID};
use crate::support::patience::{meanwhile, seen, until};
use crate::support::rig::{self, Rig};
use crate::support::scripted::{Act, Step};

const EXPIRY: &str = "tencent_live_exporter_credentials_expiry_timestamp_seconds";
const RENEWALS: &str = "tencent_live_exporter_credentials_renewals_total";
const FAILURES: &str = "tencent_live_exporter_poll_failures_total";

fn system() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// A machine whose keys live two hours, on a clock that is moved by hand.
struct Machine {
    issuers: Issuers,
    clock: Arc<ManualClock>,
    news: News,
    provider: Provider,
}

impl Machine {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let (issuers, news) = (Issuers::on(clock.clone()).await, News::default());
        let provider = of_machine(&issuers, &(clock.clone() as Arc<dyn Clock>), &news);
        Self { issuers, clock, news, provider }
    }

    fn after(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The number of the keys that are used now.
    async fn used(&self) -> u32 {
        let token = self.provider.current().await.unwrap().token.unwrap();
        token.expose().trim_start_matches("canaryTOKEN").parse().unwrap()
    }

    /// Waits until so many lines were told.
    async fn tells(&self, lines: usize) -> Vec<String> {
        until("it is told", async || seen(self.news.lines().len() >= lines, self.news.lines())).await;
        self.news.lines()
    }
}

#[tokio::test]
async fn keys_are_renewed_five_to_seven_and_a_half_minutes_before_they_expire() {
    let machine = Machine::new().await;
    assert_eq!(machine.used().await, 1);
    machine.after(7200 - 451);
    assert_eq!((machine.used().await, machine.issuers.issued()), (1, 1), "it is too soon");
    machine.after(151);
    // Whoever finds that it is time is served with the old ones.
    assert_eq!(machine.used().await, 1);
    machine.tells(2).await;
    assert_eq!((machine.used().await, machine.issuers.issued()), (2, 2));
    assert_eq!(machine.news.lines(), ["CVM role renewed"; 2]);
}

#[tokio::test]
async fn the_wall_clock_does_not_say_when_keys_expire() {
    let machine = Machine::new().await;
    assert_eq!(machine.used().await, 1);
    for wall in [0, NOW + 100 * 86_400, NOW] {
        machine.clock.jump_to(wall);
        assert_eq!((machine.used().await, machine.issuers.issued()), (1, 1), "{wall}");
    }
}

#[tokio::test]
async fn b8_no_request_waits_for_a_renewal_that_hangs_and_the_old_keys_serve_until_they_expire() {
    let machine = Machine::new().await;
    assert_eq!(machine.used().await, 1);
    machine.issuers.now(|habits| habits.instead = Some(Step::Hang));
    machine.after(7000);
    for _ in 0..20 {
        assert_eq!(machine.used().await, 1);
    }
    until("a renewal hangs", async || seen(machine.issuers.server.requests().len() == 3, ())).await;
    assert_eq!(machine.used().await, 1, "and only one");
    machine.after(199);
    assert_eq!(machine.used().await, 1, "one second is left");
    machine.issuers.now(|habits| habits.instead = None);
    machine.after(1);
    // Now somebody has to wait: for the renewal that hangs to be given up, and for another.
    until("there are others", async || {
        let current = machine.provider.current().await;
        machine.after(60);
        seen(current.is_ok(), format!("{current:?}"))
    })
    .await;
    assert_eq!(machine.issuers.issued(), 2);
    let told = ["CVM role renewed", "CVM role not renewed, for the first time", "CVM role renewed again"];
    assert_eq!(machine.news.lines(), told);
}

#[tokio::test]
async fn a_renewal_that_fails_is_tried_again_after_a_while_and_told_once() {
    let machine = Machine::new().await;
    assert_eq!(machine.used().await, 1);
    machine.issuers.now(|habits| habits.instead = Some(Step::Reply { status: 503, headers: vec![], body: vec![] }));
    machine.after(7000);
    assert_eq!(machine.used().await, 1);
    machine.tells(2).await;
    let asked = machine.issuers.server.requests().len();
    // By the clock that is moved by hand no time passes.
    meanwhile(Duration::from_millis(1500), async || {
        assert_eq!(machine.used().await, 1);
        assert_eq!(machine.issuers.server.requests().len(), asked, "it is too soon after the last");
    })
    .await;
    for failures in 2..=4 {
        machine.after(16);
        assert_eq!(machine.used().await, 1);
        machine.tells(failures + 1).await;
    }
    machine.issuers.now(|habits| habits.instead = None);
    machine.after(16);
    assert_eq!(machine.used().await, 1);
    machine.tells(6).await;
    assert_eq!(machine.used().await, 2);
    let failed = "CVM role not renewed";
    let first = "CVM role not renewed, for the first time";
    assert_eq!(machine.news.lines(), ["CVM role renewed", first, failed, failed, failed, "CVM role renewed again"]);
}

#[tokio::test]
async fn those_who_ask_together_have_keys_issued_once() {
    let machine = Machine::new().await;
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let provider = machine.provider.clone();
            tokio::spawn(async move { provider.current().await.unwrap().token })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap().unwrap().expose(), issued(1).token.unwrap());
    }
    assert_eq!(machine.issuers.issued(), 1);
}

#[tokio::test]
async fn a_timer_renews_keys_that_nobody_asks_for() {
    let (issuers, news) = (Issuers::start().await, News::default());
    // A fifth of ten seconds is left after eight.
    issuers.now(|habits| habits.life = 5);
    let provider = of_machine(&issuers, &system(), &news);
    provider.current().await.unwrap();
    until("they are renewed", async || seen(issuers.issued() >= 2, issuers.issued())).await;
    drop(provider);
    // A renewal that was under way may still come to its end; there is none after it.
    let last = issuers.issued();
    meanwhile(Duration::from_secs(6), async || assert!(issuers.issued() <= last + 1)).await;
}

#[tokio::test]
async fn b8_keys_that_expire_before_any_request_of_a_listing_cost_one_more_request() {
    for nth in 1.. {
        let (issuers, news) = (Issuers::start().await, News::default());
        let mut passes = Passes::new(of_machine(&issuers, &system(), &news), "unused").await;
        passes.world.set_keys(issued(1));
        passes.publish(160);
        passes.world.before_request(nth, |world| world.set_keys(issued(2)));
        passes.poll().await.unwrap();
        passes.shows_the_truth(&format!("expired before request {nth}"));
        assert_eq!(passes.log(), [""; 0]);
        let refused = passes.exchanges("AuthFailure.TokenFailure");
        assert_eq!(passes.world.requests().count, passes.exchanges("ok") + refused);
        assert_eq!(u64::from(issuers.issued()), 1 + refused);
        if refused == 0 {
            assert!(nth > 4, "a listing has several requests, this one had {}", nth - 1);
            break;
        }
        assert_eq!(refused, 1, "request {nth}");
    }
}

#[tokio::test]
async fn b8_a_token_of_a_service_account_is_read_for_every_renewal() {
    let (issuers, news, folder) = (Issuers::start().await, News::default(), Folder::new());
    let token = folder.join("token");
    std::fs::write(&token, "canaryWEB1").unwrap();
    let mut passes = Passes::new(of_pod(&issuers, &token, &system(), &news), "unused").await;
    passes.world.set_keys(issued(1));
    passes.publish(160);
    let file = token.clone();
    passes.world.before_request(3, move |world| {
        std::fs::write(&file, "canaryWEB2").unwrap();
        world.set_keys(issued(2));
    });
    passes.poll().await.unwrap();
    passes.shows_the_truth("with the keys of either token");
    let bodies: Vec<String> = issuers.server.requests().into_iter().map(|request| request.body).collect();
    assert!(bodies.len() == 2 && bodies[0].contains("canaryWEB1") && bodies[1].contains("canaryWEB2"), "{bodies:?}");
}

#[tokio::test]
async fn b8_a_key_replaced_under_sts_takes_on_the_role_at_the_second_attempt() {
    let (issuers, news, folder) = (Issuers::start().await, News::default(), Folder::new());
    let file = folder.join("credentials");
    let profile = |key: &str| format!("[default]\nsecret_id = AKIDEXAMPLE\nsecret_key = {key}\n");
    std::fs::write(&file, profile("canaryOLD")).unwrap();
    let base = ProfileFile::new(vec![file.clone()], "default");
    let base = Provider::ProfileFile(Arc::new(base));
    let provider = of_role(&issuers, base.clone(), &system(), &news);
    base.current().await.unwrap();
    // The file changes without a trace; only a refusal shows it.
    let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
    std::fs::write(&file, profile("canaryNEW")).unwrap();
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
    issuers.now(|habits| habits.keys = Keys::new("AKIDEXAMPLE", "canaryNEW"));
    provider.current().await.unwrap();
    assert_eq!(issuers.server.requests().len(), 2);
    assert_eq!(news.lines(), ["role renewed"]);
}

#[tokio::test]
async fn b5_sts_that_is_busy_is_asked_again() {
    let (issuers, news) = (Issuers::start().await, News::default());
    issuers.now(|habits| {
        habits.keys = Keys::new("AKIDEXAMPLE", KEY);
        habits.instead = Some(Step::error("InternalError"));
    });
    let provider = of_role(&issuers, credentials(None), &system(), &news);
    let error = provider.current().await.unwrap_err();
    assert!(error.to_string().contains("AssumeRole: the API answered InternalError"), "{error}");
    assert_eq!(issuers.server.requests().len(), 3);
    let habits = issuers.habits();
    let recovering = Step::First(
        Act(Arc::new(move || habits.lock().unwrap().instead = None)),
        Box::new(Step::error("InternalError")),
    );
    issuers.now(|habits| habits.instead = Some(recovering));
    let provider = of_role(&issuers, credentials(None), &system(), &news);
    provider.current().await.unwrap();
    assert_eq!(issuers.server.requests().len(), 5);
}

#[tokio::test]
async fn b9_a_clock_that_is_off_is_learned_from_sts_and_keys_live_by_its_clock() {
    let clock = Arc::new(ManualClock::new(NOW));
    let (issuers, news) = (Issuers::on(clock.clone()).await, News::default());
    let expired = Step::error("AuthFailure.SignatureExpire").with("Date", "Fri, 04 Jan 2019 21:00:00 GMT");
    let keys = format!(
        r#"{{"Response":{{"Credentials":{{"TmpSecretId":"i","TmpSecretKey":"k","Token":"t"}},"ExpiredTime":{}}}}}"#,
        NOW + 3600 + 7200
    );
    let habits = issuers.habits();
    let then = move || habits.lock().unwrap().instead = Some(Step::ok(keys.clone()));
    let first = Step::First(Act(Arc::new(then)), Box::new(expired));
    issuers.now(|habits| habits.instead = Some(first));
    let shared: Arc<dyn Clock> = clock.clone();
    let provider = of_role(&issuers, credentials(None), &shared, &news);
    provider.current().await.unwrap();
    let stamps: Vec<_> =
        issuers.server.requests().iter().map(|request| request.headers["x-tc-timestamp"].clone()).collect();
    assert_eq!(stamps, [NOW.to_string(), (NOW + 3600).to_string()]);
    // By this machine's clock they would live three hours.
    clock.advance(Duration::from_secs(7000));
    issuers.now(|habits| habits.instead = Some(Step::Hang));
    provider.current().await.unwrap();
    until("they are renewed", async || seen(issuers.server.requests().len() == 3, ())).await;
}

/// An account that signs as a role which the rig's own key takes on.
async fn with_role(issuers: &Issuers) -> Rig {
    issuers.now(|habits| habits.keys = Keys::new(rig::SECRET_ID, rig::SECRET_KEY));
    let rig = Rig::new().await;
    rig.world.set_keys(issued(1));
    let sts = Endpoint::parse(&issuers.server.endpoint()).unwrap();
    rig.with(|settings| {
        let account = &mut settings.accounts[0];
        let live::Role { arn, session_name, external_id, duration } = role();
        let role = Role { arn, session_name, external_id, duration };
        account.credentials = CredentialSource::Role { base: Box::new(account.credentials.clone()), role };
        account.sts_endpoint = sts;
    })
}

#[tokio::test]
async fn an_account_shows_when_its_keys_expire_and_counts_their_renewals() {
    let issuers = Issuers::start().await;
    let rig = with_role(&issuers).await.start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    let metrics = rig.metrics().await;
    let expiry = metrics.get(EXPIRY, &[("account", rig.account())]).unwrap();
    let wanted = (rig.world.now() + 7200) as f64;
    assert!((expiry - wanted).abs() < 60.0, "{expiry} {wanted}");
    assert_eq!(rig.own(RENEWALS, &[("result", "success")]).await, 1);
    assert_eq!(rig.own(RENEWALS, &[("result", "failure")]).await, 0);
    rig.tells_nothing();
}

#[tokio::test]
async fn b7_sts_that_refuses_is_told_with_advice_and_not_hammered_with() {
    let issuers = Issuers::start().await;
    let rig = with_role(&issuers).await;
    issuers.now(|habits| habits.instead = Some(Step::error("UnauthorizedOperation")));
    let rig = rig.start().await;
    rig.reaches(FAILURES, &[("kind", "poll"), ("error", "permission")], 1).await;
    let advice = "grant the CAM action sts:AssumeRole to the key, and let the role trust its account";
    rig.tells(&["level=error", "kind=poll", "AssumeRole: the API answered UnauthorizedOperation", advice]).await;
    rig.tells(&["level=warn", "source=role", "keys not renewed", advice]).await;
    assert_eq!((rig.own(RENEWALS, &[("result", "failure")]).await, rig.world.requests().count), (1, 0));
    meanwhile(Duration::from_secs(2), async || assert_eq!(issuers.server.requests().len(), 1)).await;
    assert_eq!(rig.log().len(), 2, "a line each, {:#?}", rig.log());
}

#[tokio::test]
async fn a_renewal_that_fails_while_the_keys_still_live_costs_no_poll_and_one_line() {
    let issuers = Issuers::start().await;
    // Renewed after a second and a half to two thirds of the way; then there is time for some failures.
    issuers.now(|habits| habits.life = 20);
    let rig = with_role(&issuers).await.start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    issuers.now(|habits| habits.instead = Some(Step::error("InternalError")));
    rig.reaches(RENEWALS, &[("result", "failure")], 2).await;
    assert_eq!(rig.own(FAILURES, &[]).await, 0, "the old keys serve");
    let told = rig.told(&["level=warn", "source=role", "keys not renewed, those there are serve until they expire"]);
    assert_eq!((told.len(), rig.log().len()), (1, 1), "{:#?}", rig.log());
    issuers.now(|habits| habits.instead = None);
    rig.world.set_keys(issued(2));
    rig.reaches(RENEWALS, &[("result", "success")], 2).await;
    rig.world.publish(rig.ended("later", 5));
    rig.shows_the_truth().await;
    assert_eq!(rig.log().len(), 1, "{:#?}", rig.log());
}

#[tokio::test]
async fn b7_keys_that_stay_refused_are_renewed_once_a_call_and_the_poll_fails() {
    let (issuers, news) = (Issuers::start().await, News::default());
    let mut passes = Passes::new(of_machine(&issuers, &system(), &news), "unused").await;
    passes.world.set_keys(Keys::new(SECRET_ID, "another"));
    assert_eq!(passes.poll().await.unwrap_err().kind(), "auth");
    let asked = passes.world.requests().count;
    assert!(asked <= 4, "{asked} requests");
    let renewed = u64::from(issuers.issued());
    assert!(renewed <= asked, "{renewed} renewals for {asked} requests");
}

#[tokio::test]
async fn k4_no_debug_text_shows_what_a_source_signs_with() {
    let (issuers, news) = (Issuers::start().await, News::default());
    issuers.now(|habits| habits.keys = Keys::new("AKIDEXAMPLE", KEY));
    let provider = of_role(&issuers, credentials(None), &system(), &news);
    provider.current().await.unwrap();
    let shown = format!("{provider:?} {provider:#?}");
    assert!(!shown.contains("canary"), "{shown}");
}
