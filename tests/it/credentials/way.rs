//! The way to the API and to STS: through the proxy of the account, and with whom it believes beside the usual roots.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tencent_live_exporter::live::{self, ClientOptions, Proxy};
use tencent_live_exporter::secret::Secret;
use tencent_live_exporter::settings::{self, CaFile, CredentialSource, Endpoint, Role};

use super::role;
use crate::support::bench::{Bench, EMPTY, credentials, everything};
use crate::support::certificates::Authority;
use crate::support::child::CommandLine;
use crate::support::folder::Folder;
use crate::support::issuers::{Issuers, issued};
use crate::support::patience::{seen, until};
use crate::support::proxy::{self, tls_before};
use crate::support::rig::{self, Rig};
use crate::support::scripted::{Scripted, Step};

/// `user:canaryP@ss`
const ASKED_FOR: &str = "Basic dXNlcjpjYW5hcnlQQHNz";

fn with_password(proxy: &proxy::Proxy) -> Proxy {
    Proxy::new(Secret::new(format!("http://user:canaryP%40ss@{}", proxy.host()))).unwrap()
}

fn believing(authority: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    roots
}

#[tokio::test]
async fn b12_https_goes_through_the_proxy_by_connect_and_it_sees_nothing_of_the_request() {
    let (api, proxy, authority) =
        (Scripted::start([Step::ok(EMPTY)]).await, proxy::Proxy::start(Some(ASKED_FOR)).await, Authority::new());
    let address = tls_before(api.host().parse().unwrap(), &authority.server()).await;
    let bench = Bench::new(format!("https://localhost:{}", address.port()), credentials(None), |options| {
        options.proxy = Some(with_password(&proxy));
        options.roots = believing(&authority);
    });
    bench.ask().await.unwrap();
    let [head] = &proxy.heads()[..] else { panic!("{:?}", proxy.heads()) };
    let place = format!("localhost:{}", address.port());
    assert!(head.starts_with(&format!("CONNECT {place} HTTP/1.1\r\n")), "{head}");
    assert!(!head.to_lowercase().contains("x-tc") && !head.contains("TC3-"), "{head}");
    let request = &api.requests()[0];
    assert_eq!((request.line.as_str(), request.headers["host"].as_str()), ("POST / HTTP/1.1", place.as_str()));
    assert!(!request.headers.contains_key("proxy-authorization"), "the password is for the proxy alone");
}

#[tokio::test]
async fn b12_http_on_loopback_goes_through_the_proxy_in_absolute_form() {
    let (api, proxy) = (Scripted::start([Step::ok(EMPTY)]).await, proxy::Proxy::start(Some(ASKED_FOR)).await);
    let bench = Bench::new(api.endpoint(), credentials(None), |options| options.proxy = Some(with_password(&proxy)));
    bench.ask().await.unwrap();
    let [head] = &proxy.heads()[..] else { panic!("{:?}", proxy.heads()) };
    assert!(head.starts_with(&format!("POST {}/ HTTP/1.1\r\n", api.endpoint())), "{head}");
    assert_eq!(api.requests()[0].headers["host"], api.host());
}

#[tokio::test]
async fn k4_a_proxy_that_refuses_or_is_not_there_is_named_without_its_password() {
    let (api, proxy) = (Scripted::start([Step::ok(EMPTY)]).await, proxy::Proxy::start(Some("Basic other")).await);
    let gone = { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string() };
    let of = |host: &str| Proxy::new(Secret::new(format!("http://user:canaryP%40ss@{host}"))).unwrap();
    for (endpoint, host, told) in [
        ("https://localhost:1".to_owned(), proxy.host(), "proxy authorization required"),
        (api.endpoint(), proxy.host(), "HTTP status 407"),
        ("https://localhost:1".to_owned(), gone.clone(), "onnection refused"),
        (api.endpoint(), gone, "onnection refused"),
    ] {
        let bench = Bench::new(endpoint, credentials(None), |options: &mut ClientOptions| {
            options.proxy = Some(of(&host));
            options.attempts = 1;
        });
        let shown = everything(&bench.ask().await.unwrap_err());
        assert!(shown.contains(told), "{told}: {shown}");
        assert!(shown.contains(&format!("through the proxy {host}")), "{shown}");
        assert!(!shown.contains("canary") && !format!("{:?}", bench.client).contains("canary"), "{shown}");
    }
    assert!(api.requests().is_empty());
}

#[tokio::test]
async fn k4_the_program_itself_never_tells_the_password_of_its_proxy() {
    let proxy = proxy::Proxy::start(Some("Basic other")).await;
    let url = format!("http://user:canaryP%40ss@{}", proxy.host());
    for endpoint in ["https://localhost:1", "http://127.0.0.1:1"] {
        let ended = CommandLine::new(&["once", "--log.level", "debug", "--state.path", ":memory:"])
            .env("TENCENTCLOUD_SECRET_ID", rig::SECRET_ID)
            .env("TENCENTCLOUD_SECRET_KEY", rig::SECRET_KEY)
            .env("TENCENT_LIVE__ACCOUNTS__0__ENDPOINT", endpoint)
            .env("TENCENT_LIVE__ACCOUNTS__0__PROXY", &url)
            .run()
            .await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let told = [ended.stdout, ended.stderr].concat();
        assert!(told.contains(&format!("through the proxy {}", proxy.host())), "{told}");
        // As it is set, as it is meant, and as it is sent.
        for secret in ["canary", "P@ss", "P%40ss", ASKED_FOR.trim_start_matches("Basic ")] {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
    }
    assert!(proxy.heads().iter().all(|head| head.contains(ASKED_FOR)), "it is sent to the proxy");
}

#[tokio::test]
async fn b11_a_private_authority_is_believed_only_where_its_file_is_given() {
    let (api, authority) = (Scripted::start([Step::ok(EMPTY)]).await, Authority::new());
    let address = tls_before(api.host().parse().unwrap(), &authority.server()).await;
    let endpoint = format!("https://localhost:{}", address.port());
    let bench = Bench::new(endpoint, credentials(None), |options| options.attempts = 1);
    let shown = everything(&bench.ask().await.unwrap_err());
    assert!(shown.contains("UnknownIssuer"), "{shown}");
    assert!(api.requests().is_empty());
}

/// The whole exporter, with STS and the API behind TLS of a private authority and a proxy before both.
#[tokio::test]
async fn an_account_asks_the_api_and_sts_through_its_proxy_and_believes_its_authority() {
    let (issuers, proxy, authority, folder) =
        (Issuers::start().await, proxy::Proxy::start(Some(ASKED_FOR)).await, Authority::new(), Folder::new());
    issuers.now(|habits| (habits.keys, habits.life) = (issued(1), 3000));
    let machine = Issuers::start().await;
    machine.now(|habits| habits.life = 4);
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, format!("# a comment\n{}{}", authority.pem(), Authority::new().pem())).unwrap();
    let rig = Rig::new().await;
    rig.world.set_keys(issued(1));
    let endpoint = &rig.settings.accounts[0].endpoint;
    let (api, sts) = (endpoint.authority().parse().unwrap(), issuers.server.host().parse().unwrap());
    let [api, sts] = [tls_before(api, &authority.server()).await, tls_before(sts, &authority.server()).await];
    let place = |address: std::net::SocketAddr| Endpoint::parse(&format!("https://localhost:{}", address.port()));
    let rig = rig.with(|settings| {
        let account = &mut settings.accounts[0];
        (account.endpoint, account.sts_endpoint) = (place(api).unwrap(), place(sts).unwrap());
        let proxy = settings::Proxy::parse(&format!("http://user:canaryP%40ss@{}", proxy.host()));
        (account.proxy, account.ca_file) = (Some(proxy.unwrap()), Some(CaFile::read(&ca).unwrap()));
        let live::Role { arn, session_name, external_id, duration } = role();
        let base = Box::new(CredentialSource::CvmRole { metadata: Some(machine.server.endpoint()) });
        let role = Role { arn, session_name, external_id, duration };
        account.credentials = CredentialSource::Role { base, role };
    });
    let rig = rig.start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    let heads = proxy.heads();
    let connected = |to: std::net::SocketAddr| {
        let start = format!("CONNECT localhost:{} ", to.port());
        heads.iter().filter(|head| head.starts_with(&start)).count()
    };
    assert!(connected(api) > 0 && connected(sts) > 0, "{heads:?}");
    assert_eq!(connected(api) + connected(sts), heads.len(), "and nobody else, the metadata service least: {heads:?}");
    // The keys that take on the role are renewed, those of the role live on.
    rig.reaches("tencent_live_exporter_credentials_renewals_total", &[("result", "success")], 3).await;
    assert!(machine.issued() >= 2 && issuers.issued() == 1, "{} {}", machine.issued(), issuers.issued());
    let metrics = rig.metrics().await;
    let expiry = metrics.get("tencent_live_exporter_credentials_expiry_timestamp_seconds", &[]).unwrap();
    assert!((expiry - (rig.world.now() + 3000) as f64).abs() < 60.0, "of the keys that the API sees: {expiry}");
    rig.tells_nothing();
}

#[tokio::test]
async fn b12_the_proxy_of_the_settings_is_taken_and_those_of_the_environment_are_not() {
    let (proxy, other) = (proxy::Proxy::start(None).await, proxy::Proxy::start(None).await);
    let rig = Rig::new().await;
    let endpoint = &rig.settings.accounts[0].endpoint;
    let mut once = CommandLine::new(&["once"])
        .env("TENCENTCLOUD_SECRET_ID", rig::SECRET_ID)
        .env("TENCENTCLOUD_SECRET_KEY", rig::SECRET_KEY)
        .env("TENCENT_LIVE__ACCOUNTS__0__ENDPOINT", &endpoint.to_string())
        .env("TENCENT_LIVE__ACCOUNTS__0__PROXY", &format!("http://{}", proxy.host()));
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        once = once.env(name, &format!("http://{}", other.host()));
    }
    let ended = once.env("NO_PROXY", "*").env("no_proxy", "127.0.0.1").run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(rig.world.requests().count > 0 && !proxy.heads().is_empty());
    assert!(other.heads().is_empty());
    assert!(proxy.heads().iter().all(|head| head.starts_with(&format!("POST {endpoint}/ "))), "{:?}", proxy.heads());
}

#[tokio::test]
async fn k1_a_reload_takes_up_what_has_changed_in_the_file_of_authorities() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, Authority::new().pem()).unwrap();
    let rig = Rig::new().await;
    let behind = rig.settings.accounts[0].endpoint.authority().parse().unwrap();
    let address = tls_before(behind, &authority.server()).await;
    let mut rig = rig
        .with(|settings| {
            let account = &mut settings.accounts[0];
            account.endpoint = Endpoint::parse(&format!("https://localhost:{}", address.port())).unwrap();
            account.ca_file = Some(CaFile::read(&ca).unwrap());
        })
        .start()
        .await;
    rig.tells(&["level=warn", "invalid peer certificate"]).await;
    std::fs::write(&ca, authority.pem()).unwrap();
    let read = CaFile::read(&ca).unwrap();
    assert_eq!(rig.reload(|settings| settings.accounts[0].ca_file = Some(read)).await.0, 200);
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    until("it is up", async || seen(rig.own("tencent_live_up", &[]).await == 1, ())).await;
}
