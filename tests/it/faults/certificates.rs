//! Whom the client believes to be the API (B11). The certificates are described in `tests/fixtures/live/SOURCE`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;

use crate::support::bench::{Bench, EMPTY, credentials, everything};

const ROOT: &[u8] = include_bytes!("../../fixtures/live/root.cert.der");
const TRUSTED: &[u8] = include_bytes!("../../fixtures/live/trusted.cert.der");
const EXPIRED: &[u8] = include_bytes!("../../fixtures/live/expired.cert.der");
const EARLY: &[u8] = include_bytes!("../../fixtures/live/early.cert.der");
const OTHER_NAME: &[u8] = include_bytes!("../../fixtures/live/other_name.cert.der");
const KEY: &[u8] = include_bytes!("../../fixtures/live/server.key.der");
const SELF_SIGNED: &[u8] = include_bytes!("../../fixtures/live/self_signed.cert.der");
const SELF_SIGNED_KEY: &[u8] = include_bytes!("../../fixtures/live/self_signed.key.der");

/// A server that shows `certificate` to one client and answers its one request; returns what it was sent inside TLS.
fn server(certificate: &[u8], key: &[u8]) -> (SocketAddr, JoinHandle<Result<String, String>>) {
    let key = PrivateKeyDer::Pkcs8(key.to_vec().into());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.to_vec().into()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        let mut session = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut tls = rustls::Stream::new(&mut session, &mut tcp);
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            let mut part = [0; 1024];
            match tls.read(&mut part).map_err(|error| error.to_string())? {
                0 => break,
                read => request.extend_from_slice(&part[..read]),
            }
        }
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{EMPTY}", EMPTY.len());
        tls.write_all(answer.as_bytes()).unwrap();
        Ok(String::from_utf8(request).unwrap())
    });
    (address, serving)
}

/// A client that makes one attempt and also trusts the root of the tests, or nothing but the bundled ones.
fn client(address: SocketAddr, trusts_the_root: bool) -> Bench {
    Bench::new(format!("https://{address}"), credentials(None), |options| {
        options.attempts = 1;
        options.connect_timeout = Duration::from_secs(10);
        if trusts_the_root {
            options.roots = RootCertStore::empty();
            options.roots.add(ROOT.to_vec().into()).unwrap();
        }
    })
}

#[tokio::test]
async fn b11_a_certificate_that_is_wrong_in_any_one_way_is_refused() {
    let (address, serving) = server(TRUSTED, KEY);
    client(address, true).ask().await.expect("what follows is not refused for anything else");
    assert!(serving.join().unwrap().unwrap().starts_with("POST / HTTP/1.1\r\n"));
    for (what, certificate, key, trusts_the_root, problem, alert) in [
        ("expired", EXPIRED, KEY, true, "Expired", "CertificateExpired"),
        ("not good yet", EARLY, KEY, true, "NotValidYet", "CertificateExpired"),
        ("of another name", OTHER_NAME, KEY, true, "NotValidForName", "BadCertificate"),
        ("of a root nobody trusts", TRUSTED, KEY, false, "UnknownIssuer", "UnknownCA"),
        ("self-signed", SELF_SIGNED, SELF_SIGNED_KEY, false, "UnknownIssuer", "UnknownCA"),
        ("self-signed beside a trusted root", SELF_SIGNED, SELF_SIGNED_KEY, true, "UnknownIssuer", "UnknownCA"),
    ] {
        let (address, serving) = server(certificate, key);
        let bench = client(address, trusts_the_root);
        let error = bench.ask().await.unwrap_err();
        assert_eq!((error.kind(), bench.codes()), ("network", vec![("network", 1)]), "{what}");
        assert_eq!(error.to_string(), format!("DescribeLiveStreamEventList: the connection to {address} failed"));
        assert!(everything(&error).contains(problem), "{what}: {}", everything(&error));
        let told = serving.join().unwrap().expect_err("no request came through");
        assert!(told.contains(alert), "{what}: {told}");
    }
}

#[tokio::test]
async fn b11_tls_1_1_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        let mut head = [0; 5];
        tcp.read_exact(&mut head).unwrap();
        let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        tcp.read_exact(&mut hello).unwrap();
        // A ServerHello of 1.1: its version, a random, no session, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, no compression.
        let body = [&[3, 2][..], &[7; 32], &[0, 0xc0, 0x13, 0]].concat();
        let length = u8::try_from(body.len()).unwrap();
        tcp.write_all(&[&[22, 3, 2, 0, length + 4, 2, 0, 0, length][..], &body].concat()).unwrap();
        let mut answer = Vec::new();
        // The client hangs up after its alert, with whatever its system makes of that.
        let _ = tcp.read_to_end(&mut answer);
        answer
    });
    let error = client(address, true).ask().await.unwrap_err();
    assert_eq!(error.kind(), "network");
    assert!(everything(&error).contains("ServerDoesNotSupportTls12Or13"), "{}", everything(&error));
    let alert = serving.join().unwrap();
    let (fatal, protocol_version) = (2, 70);
    assert!(alert.ends_with(&[fatal, protocol_version]), "{alert:?}");
}
