//! Each source signs the requests of an account, alone and in the chain.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tencent_live_exporter::clock::{Clock, SystemClock};
use tencent_live_exporter::live::{Chain, Credentials, KeyFile, ProfileFile, Provider, Temporary};
use tencent_live_exporter::secret::Secret;
use tencent_live_exporter::settings::{CredentialSource, ProfilePlaces};
use tencent_live_exporter::sim::Keys;

use super::{News, of_machine, of_pod, of_role};
use crate::support::bench::everything;
use crate::support::child::CommandLine;
use crate::support::folder::Folder;
use crate::support::issuers::{ISSUED_ID, Issuers, ROLES, issued};
use crate::support::passes::{Passes, SECRET_ID};
use crate::support::patience::{meanwhile, seen, until};
use crate::support::rig::{self, Rig};
use crate::support::scripted::{Request, Step};

const PROFILES: &str = "[default]\nsecret_id = AKIDEXAMPLE\nsecret_key = canaryPROFILE\n[other]\nsecret_id = x\n";

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// An account that polls once, with an API that knows `keys` alone.
async fn polls(provider: Provider, keys: Keys) {
    let mut passes = Passes::new(provider, "unused").await;
    passes.world.set_keys(keys);
    passes.publish(10);
    passes.poll().await.unwrap();
    passes.shows_the_truth("one poll");
    assert_eq!(passes.exchanges("ok"), passes.world.requests().count, "no request was refused");
}

fn lines(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|request| request.line.as_str()).collect()
}

#[tokio::test]
async fn the_role_of_the_machine_signs_with_keys_of_its_metadata_service() {
    let (issuers, news) = (Issuers::start().await, News::default());
    polls(of_machine(&issuers, &clock(), &news), issued(1)).await;
    let requests = issuers.server.requests();
    let role = format!("GET {ROLES}live-reader HTTP/1.1");
    assert_eq!(lines(&requests), [format!("GET {ROLES} HTTP/1.1"), role], "once for all requests of the poll");
    for request in requests {
        let ours = ["authorization", "x-tc-action", "x-tc-token"].map(|name| request.headers.contains_key(name));
        assert_eq!((ours, request.body.as_str()), ([false; 3], ""), "nothing is told but the question");
    }
    assert_eq!(news.lines(), ["CVM role renewed"]);
}

#[tokio::test]
async fn the_role_of_a_pod_is_taken_on_unsigned_with_the_token_of_its_service_account() {
    let (issuers, news, folder) = (Issuers::start().await, News::default(), Folder::new());
    let token = folder.join("token");
    std::fs::write(&token, "canaryWEB\n").unwrap();
    polls(of_pod(&issuers, &token, &clock(), &news), issued(1)).await;
    let [request] = &issuers.server.requests()[..] else { panic!("one request") };
    for (name, value) in [
        ("authorization", "SKIP"),
        ("x-tc-action", "AssumeRoleWithWebIdentity"),
        ("x-tc-version", "2018-08-13"),
        ("x-tc-region", "ap-singapore"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(request.headers[name], value, "{name}");
    }
    assert!(!request.headers.contains_key("x-tc-token"));
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    let wanted = serde_json::json!({
        "ProviderId": "cls-tests",
        "WebIdentityToken": "canaryWEB",
        "RoleArn": "qcs::cam::uin/100000000001:roleName/pod",
        "RoleSessionName": "tests",
        "DurationSeconds": 7200,
    });
    assert_eq!(body, wanted);
    assert_eq!(news.lines(), ["TKE OIDC renewed"]);
}

#[tokio::test]
async fn a_role_is_taken_on_by_the_keys_of_a_profile_and_signs_with_its_own() {
    let (issuers, news, folder) = (Issuers::start().await, News::default(), Folder::new());
    std::fs::write(folder.join("credentials"), PROFILES).unwrap();
    issuers.now(|habits| habits.keys = Keys::new("AKIDEXAMPLE", "canaryPROFILE"));
    let profile = Provider::ProfileFile(Arc::new(ProfileFile::new(vec![folder.join("credentials")], "default")));
    polls(of_role(&issuers, profile, &clock(), &news), issued(1)).await;
    let [request] = &issuers.server.requests()[..] else { panic!("one request") };
    assert_eq!((&*request.headers["x-tc-action"], &*request.headers["x-tc-version"]), ("AssumeRole", "2018-08-13"));
    assert!(request.headers["authorization"].contains("/sts/tc3_request"), "{:?}", request.headers["authorization"]);
    assert!(!request.headers.contains_key("x-tc-token"), "a permanent key has no token");
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    let wanted = serde_json::json!({
        "RoleArn": "qcs::cam::uin/100000000001:roleName/live-reader",
        "RoleSessionName": "tests",
        "DurationSeconds": 3600,
        "ExternalId": "canaryEXTERNAL",
    });
    assert_eq!(body, wanted);
    assert_eq!(news.lines(), ["role renewed"]);
}

#[tokio::test]
async fn a_role_is_taken_on_by_the_keys_of_the_machine_too() {
    let (machine, sts, news) = (Issuers::start().await, Issuers::start().await, News::default());
    sts.now(|habits| habits.keys = issued(1));
    let base = of_machine(&machine, &clock(), &news);
    let provider = of_role(&sts, base, &clock(), &news);
    polls(provider, issued(1)).await;
    assert_eq!(sts.server.requests()[0].headers["x-tc-token"], issued(1).token.unwrap());
    assert_eq!(news.lines(), ["CVM role renewed", "role renewed"]);
}

#[tokio::test]
async fn permanent_keys_of_any_source_never_send_a_token() {
    let folder = Folder::new();
    std::fs::write(folder.join("credentials"), PROFILES).unwrap();
    std::fs::write(folder.join("key"), "canaryPROFILE").unwrap();
    let key = Credentials { secret_id: SECRET_ID.into(), secret_key: Secret::new("canaryPROFILE"), token: None };
    for provider in [
        Provider::Fixed(key),
        Provider::KeyFile(Arc::new(KeyFile::new(folder.join("key"), SECRET_ID, None))),
        Provider::ProfileFile(Arc::new(ProfileFile::new(vec![folder.join("credentials")], "default"))),
    ] {
        // A token where none belongs is refused by the API.
        polls(provider, Keys::new(SECRET_ID, "canaryPROFILE")).await;
    }
}

#[tokio::test]
async fn k5_a_profile_is_read_again_when_its_file_changes_and_the_first_file_there_is_counts() {
    let folder = Folder::new();
    let [first, second] = ["first", "second"].map(|name| folder.join(name));
    std::fs::write(&second, PROFILES).unwrap();
    let provider = Provider::ProfileFile(Arc::new(ProfileFile::new(vec![first.clone(), second.clone()], "default")));
    let key = async || provider.current().await.map(|keys| keys.secret_key.expose().to_owned());
    assert_eq!(key().await.unwrap(), "canaryPROFILE");
    std::fs::write(&second, PROFILES.replace("canaryPROFILE", "longerCANARYprofile")).unwrap();
    assert_eq!(key().await.unwrap(), "longerCANARYprofile");
    std::fs::write(&first, "[default]\nsecret_id = a\nsecret_key = ofTHEfirst\n").unwrap();
    assert_eq!(key().await.unwrap(), "ofTHEfirst");
    // One that is there and broken is no reason to take another.
    std::fs::write(&first, "[default]\nsecret_key = canary\n").unwrap();
    let error = key().await.unwrap_err().to_string();
    assert!(error.ends_with("/first: secret_id is not set") && !error.contains("canary"), "{error}");
    std::fs::remove_file(&first).unwrap();
    std::fs::create_dir(&first).unwrap();
    let error = key().await.unwrap_err().to_string();
    assert!(error.ends_with("/first: not a regular file"), "{error}");
    std::fs::remove_dir(&first).unwrap();
    std::fs::write(&second, format!("{PROFILES}#{}", "x".repeat(65_536))).unwrap();
    let error = key().await.unwrap_err().to_string();
    assert!(error.ends_with("/second: longer than 65536 bytes"), "{error}");
    std::fs::remove_file(&second).unwrap();
    let error = key().await.unwrap_err().to_string();
    assert_eq!(error, format!("no file can be seen at {} or {}", first.display(), second.display()));
}

#[tokio::test]
async fn k4_the_program_itself_finds_the_keys_of_a_profile_and_of_a_pod_and_tells_none_of_them() {
    let (rig, issuers) = (Rig::new().await, Issuers::start().await);
    rig.world.publish(rig.ended("room", 10));
    let endpoint = rig.settings.accounts[0].endpoint.to_string();
    let once = || {
        let flags = ["once", "--log.level", "debug", "--state.path", ":memory:"];
        CommandLine::new(&flags).env("TENCENT_LIVE__ACCOUNTS__0__ENDPOINT", &endpoint)
    };
    let proven = async |command: CommandLine, found: &str| {
        let ended = command.run().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("stream=\"room\"") && ended.stderr.contains(found), "{ended:?}");
        let told = [ended.stdout, ended.stderr].concat();
        assert!(!told.contains("canary") && !told.contains("AKIDEXAMPLE"), "{told}");
    };
    rig.world.set_keys(Keys::new("AKIDEXAMPLE", "canaryPROFILE"));
    let profile = once().file("credentials", PROFILES).env("TENCENTCLOUD_CREDENTIALS_FILE", "credentials");
    proven(profile, "source=\"profile file\"").await;
    rig.world.set_keys(issued(1));
    let mut pod = once()
        .file("token", "canaryWEB")
        .env("TENCENT_LIVE__ACCOUNTS__0__CREDENTIALS__SOURCE", "tke_oidc")
        .env("TENCENT_LIVE__ACCOUNTS__0__STS_ENDPOINT", &issuers.server.endpoint());
    for (name, value) in [
        ("TKE_REGION", "ap-guangzhou"),
        ("TKE_PROVIDER_ID", "cls-tests"),
        ("TKE_WEB_IDENTITY_TOKEN_FILE", "token"),
        ("TKE_ROLE_ARN", "qcs::cam::uin/1:roleName/pod"),
    ] {
        pod = pod.env(name, value);
    }
    proven(pod, "code=ok").await;
    assert!(issuers.server.requests()[0].body.contains("canaryWEB"));
}

/// A chain of a profile in `folder`, a machine and a pod.
fn chain(folder: &Folder, machine: &Issuers, sts: &Issuers, news: &News) -> Provider {
    let profile = ProfileFile::new(vec![folder.join("credentials")], "default");
    let of_machine = Temporary::of_machine(machine.metadata(), clock(), news.observer()).one_of_many();
    let links = vec![
        Provider::ProfileFile(Arc::new(profile)),
        Provider::Temporary(Arc::new(of_machine)),
        of_pod(sts, &folder.join("token"), &clock(), news),
    ];
    Provider::Chain(Arc::new(Chain::new(links, vec!["environment: nothing".into()], news.observer())))
}

#[tokio::test]
async fn the_chain_takes_the_first_source_that_is_there_and_stays_with_it() {
    let (machine, sts, news, folder) = (Issuers::start().await, Issuers::start().await, News::default(), Folder::new());
    std::fs::write(folder.join("token"), "canaryWEB").unwrap();
    machine.now(|habits| habits.role = None);
    let provider = chain(&folder, &machine, &sts, &news);
    assert_eq!(provider.current().await.unwrap().secret_id, ISSUED_ID);
    assert_eq!(
        news.lines(),
        ["TKE OIDC renewed", "TKE OIDC found, expire: true"],
        "nothing is told of what is not there"
    );
    // One that comes before it now does not take over in the middle of a listing.
    std::fs::write(folder.join("credentials"), PROFILES).unwrap();
    let asked = machine.server.requests().len();
    assert_eq!(provider.current().await.unwrap().secret_id, ISSUED_ID);
    assert_eq!(machine.server.requests().len(), asked, "nobody else is asked either");
    // A new chain, as after a restart, begins at the beginning.
    let provider = chain(&folder, &machine, &sts, &news);
    assert_eq!(provider.current().await.unwrap().secret_id, "AKIDEXAMPLE");
    assert_eq!(news.lines()[2..], ["profile file found, expire: false"]);
    // The one that it had found has gone.
    std::fs::remove_file(folder.join("credentials")).unwrap();
    machine.now(|habits| habits.role = Some("back".into()));
    assert_eq!(provider.current().await.unwrap().secret_id, ISSUED_ID);
    assert_eq!(news.lines()[3..], ["CVM role renewed", "CVM role found, expire: true"]);
}

#[tokio::test]
async fn a_source_that_is_there_and_broken_is_no_reason_to_sign_as_somebody_else() {
    let (machine, sts, news, folder) = (Issuers::start().await, Issuers::start().await, News::default(), Folder::new());
    std::fs::write(folder.join("token"), "canaryWEB").unwrap();
    std::fs::write(folder.join("credentials"), "[another]\n").unwrap();
    let error = chain(&folder, &machine, &sts, &news).current().await.unwrap_err();
    assert!(error.to_string().ends_with("no such profile; there is another"), "{error}");
    std::fs::remove_file(folder.join("credentials")).unwrap();
    machine.now(|habits| habits.instead = Some(Step::Reply { status: 500, headers: vec![], body: vec![] }));
    let error = chain(&folder, &machine, &sts, &news).current().await.unwrap_err();
    assert!(error.to_string().ends_with("it answered with HTTP status 500"), "{error}");
    assert_eq!((sts.issued(), news.lines()), (0, vec!["CVM role not renewed, for the first time".to_owned()]));
}

#[tokio::test]
async fn b7_an_account_without_any_keys_starts_tells_what_it_looked_for_and_recovers_when_a_source_appears() {
    let (machine, folder) = (Issuers::start().await, Folder::new());
    machine.now(|habits| habits.role = None);
    let file: PathBuf = folder.join("credentials");
    let places = ProfilePlaces { files: vec![file.clone()], profile: "default".into() };
    let missing = vec!["TKE_REGION", "TKE_ROLE_ARN"];
    let metadata = Some(machine.server.endpoint());
    let source = CredentialSource::Chain { profile: places, metadata, web_identity: Err(missing) };
    let rig = Rig::new().await.with(|settings| settings.accounts[0].credentials = source).start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.reaches("tencent_live_exporter_poll_failures_total", &[("kind", "poll"), ("error", "auth")], 1).await;
    rig.tells(&[
        "level=warn",
        "no credentials: no source has any; looked for environment: TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY",
        "TKE OIDC: TKE_REGION, TKE_ROLE_ARN not set",
        &format!("profile file: no file can be seen at {}", file.display()),
        &format!("CVM role: no role is bound to this machine, says the metadata service {}", machine.server.host()),
    ])
    .await;
    assert_eq!((rig.get("/-/healthy").await.0, rig.get("/-/ready").await.0), (200, 200));
    assert_eq!(rig.world.requests().count, 0);
    let keys = format!("[default]\nsecret_id={}\nsecret_key={}\n", rig::SECRET_ID, rig::SECRET_KEY);
    std::fs::write(&file, keys).unwrap();
    rig.shows_the_truth().await;
    until("the account is up", async || seen(rig.own("tencent_live_up", &[]).await == 1, ())).await;
    let expiry = rig.metrics().await.get("tencent_live_exporter_credentials_expiry_timestamp_seconds", &[]);
    assert_eq!(expiry, None, "its keys do not expire");
}

#[tokio::test]
async fn an_account_whose_source_tells_no_expiry_any_more_shows_none() {
    const EXPIRY: &str = "tencent_live_exporter_credentials_expiry_timestamp_seconds";
    let (machine, folder) = (Issuers::start().await, Folder::new());
    machine.now(|habits| habits.life = 4);
    let file = folder.join("credentials");
    let places = ProfilePlaces { files: vec![file.clone()], profile: "default".into() };
    let metadata = Some(machine.server.endpoint());
    let source = CredentialSource::Chain { profile: places, metadata, web_identity: Err(Vec::new()) };
    let rig = Rig::new().await.with(|settings| settings.accounts[0].credentials = source);
    rig.world.set_keys(issued(1));
    let rig = rig.start().await;
    until("it shows one", async || seen(rig.metrics().await.get(EXPIRY, &[]).is_some(), rig.log())).await;
    machine.now(|habits| habits.role = None);
    let Keys { secret_id, secret_key, token } = issued(1);
    let keys = format!("secret_id={secret_id}\nsecret_key={secret_key}\ntoken={}\n", token.unwrap());
    std::fs::write(&file, format!("[default]\n{keys}")).unwrap();
    until("it shows none", async || seen(rig.metrics().await.get(EXPIRY, &[]).is_none(), rig.log())).await;
    let failures = async || rig.own("tencent_live_exporter_credentials_renewals_total", &[("result", "failure")]).await;
    let failed = failures().await;
    assert!(failed >= 1, "there was a time in which the keys lived and could not be renewed");
    // Longer than the next pause would be.
    meanwhile(Duration::from_secs(5), async || assert_eq!(failures().await, failed, "nobody needs them any more"))
        .await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
}

#[tokio::test]
async fn k5_a_pod_whose_token_cannot_be_read_is_told_so() {
    let (issuers, news, folder) = (Issuers::start().await, News::default(), Folder::new());
    let token = folder.join("token");
    for (content, told) in [(None, "No such file"), (Some(""), "it is empty"), (Some(" \n"), "it is empty")] {
        if let Some(content) = content {
            std::fs::write(&token, content).unwrap();
        }
        let provider = of_pod(&issuers, &token, &clock(), &news);
        let passes = Passes::new(provider, "unused").await;
        let error = { passes }.poll().await.unwrap_err();
        let tencent_live_exporter::poller::PassError::Call(error) = error else { panic!("{error}") };
        assert!(everything(&error).contains(told), "{told}: {}", everything(&error));
        assert_eq!(error.kind(), "auth");
    }
    assert!(issuers.server.requests().is_empty());
}
