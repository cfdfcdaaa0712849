//! TLS: what is spoken, whom it believes, and what becomes of those who do not speak it.

use rustls::version::{TLS12, TLS13};
use tencent_live_exporter::settings::web_config::{self, WebConfig};

use crate::support::certificates::{Authority, Identity, get, tls};
use crate::support::folder::Folder;

use super::*;

/// What a web config says, as the program takes it.
pub(super) fn terms(folder: &Folder, yaml: &str) -> Terms {
    let path = folder.join("web.yaml");
    std::fs::write(&path, yaml).unwrap();
    let config: WebConfig = web_config::read(&path).result.unwrap_or_else(|problems| panic!("{problems}"));
    Terms {
        tls: config.tls,
        headers: config.headers,
        users: config.users,
        rate_limit: config.rate_limit.map(|limit| (limit.interval, limit.burst)),
    }
}

/// A server whose certificate `authority` vouches for, with `more` keys beside it.
pub(super) fn server(authority: &Authority, more: &str, change: impl FnOnce(&mut Site)) -> Server {
    with_keys(authority, more, snapshot(7, [series("room", 1)]), change)
}

/// The same with another page.
pub(super) fn server_of(authority: &Authority, snapshot: Snapshot, change: impl FnOnce(&mut Site)) -> Server {
    with_keys(authority, "", snapshot, change)
}

fn with_keys(authority: &Authority, more: &str, snapshot: Snapshot, change: impl FnOnce(&mut Site)) -> Server {
    let folder = Folder::new();
    authority.server().write(folder.path(), "server");
    std::fs::write(folder.join("clients.crt"), authority.pem()).unwrap();
    let yaml = format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{more}");
    let guard = Arc::new(Guard::new(terms(&folder, &yaml)).unwrap());
    Server::with(snapshot, |site| {
        site.guard = guard;
        change(site);
    })
}

/// The first alert in what a server sent, if it sent one in clear.
fn alert(bytes: &[u8]) -> Option<u8> {
    (bytes.len() >= 7 && bytes[0] == 21).then(|| bytes[6])
}

/// Everything until the server closes; a reset ends it too.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

/// A hello of TLS `version`, with a suite, a signature scheme and a group that anybody has.
fn old_hello(version: [u8; 2]) -> Vec<u8> {
    let extensions = [0, 16, 0, 13, 0, 4, 0, 2, 4, 3, 0, 10, 0, 4, 0, 2, 0, 23];
    let body = [&version[..], &[7; 32], &[0, 0, 2, 0xc0, 0x2b, 1, 0], &extensions].concat();
    let length = u8::try_from(body.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[test]
fn f12_tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let authority = Authority::new();
    let server = server(&authority, "", |_| {});
    for version in [&TLS12, &TLS13] {
        let client = authority.client(&[version], &[], None);
        let (status, body) = get(server.address, &client, "/metrics", "").unwrap();
        assert_eq!(status, 200, "{version:?}");
        assert!(body.contains("tencent_live_stream_disconnects_total"));
    }
    server.next_scrape();
    for version in [[3, 0], [3, 1], [3, 2]] {
        let mut stream = server.connect();
        stream.write_all(&old_hello(version)).unwrap();
        let (protocol_version, answer) = (70, rest(&mut stream));
        assert_eq!(alert(&answer), Some(protocol_version), "{version:?}: {answer:?}");
    }
}

#[test]
fn f12_versions_and_suites_are_those_of_the_configuration() {
    let authority = Authority::new();
    let only_13 = server(&authority, "  min_version: TLS13\n", |_| {});
    let only_12 = server(
        &authority,
        "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n",
        |_| {},
    );
    for (server, good, bad) in [(&only_13, &TLS13, &TLS12), (&only_12, &TLS12, &TLS13)] {
        let ask = |version| get(server.address, &authority.client(&[version], &[], None), "/-/healthy", "");
        assert_eq!(ask(good).unwrap().0, 200);
        assert!(ask(bad).is_err());
    }
    let mut stream = tls(only_12.address, &authority.plain_client());
    send(&mut stream, "GET", "/-/healthy", &[]);
    assert_eq!(Answer::read(&mut stream, "GET").status, 200);
    let suite = stream.conn.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
}

#[test]
fn f12_what_is_not_tls_is_refused_and_http_is_told_so() {
    let authority = Authority::new();
    let server = server(&authority, "", |_| {});
    for garbage in
        [&b"\0\0\0\0\0\0\0\0"[..], b"\x16\x03\x01\xff\xff garbage", b"\x80\x2e\x01\0\x02 an SSLv2 hello", &[0xff; 3000]]
    {
        let mut stream = server.connect();
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap_or_default();
        let answer = rest(&mut stream);
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    let mut plain = server.connect();
    // At once, since the server does not wait for the rest.
    plain.write_all(b"GET /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n").unwrap();
    let answer = String::from_utf8(rest(&mut plain)).unwrap();
    assert!(answer.starts_with("HTTP/1.0 400 Bad Request\r\nx-content-type-options: nosniff\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"), "{answer}");
    assert_eq!(get(server.address, &authority.plain_client(), "/-/healthy", "").unwrap().0, 200);
}

/// A stream that sends one byte at a time.
struct Trickle(TcpStream);

impl Read for Trickle {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Trickle {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(&bytes[..1.min(bytes.len())])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn f12_a_hello_that_comes_byte_by_byte_is_read() {
    let authority = Authority::new();
    let server = server(&authority, "", |_| {});
    let stream = server.connect();
    stream.set_nodelay(true).unwrap();
    let mut stream = rustls::StreamOwned::new(
        rustls::ClientConnection::new(authority.plain_client(), "localhost".try_into().unwrap()).unwrap(),
        Trickle(stream),
    );
    send(&mut stream, "GET", "/metrics", &[]);
    assert_eq!(Answer::read(&mut stream, "GET").status, 200);
    server.next_scrape();
}

#[test]
fn f12_a_handshake_that_does_not_end_is_cut_off_and_keeps_nobody_waiting() {
    let authority = Authority::new();
    let server = server(&authority, "", |site| site.limits.head = Duration::from_secs(5));
    let mut silent = server.connect();
    let mut half = server.connect();
    half.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc]).unwrap();
    assert_eq!(get(server.address, &authority.plain_client(), "/metrics", "").unwrap().0, 200);
    assert!(is_closed(&mut silent));
    assert!(is_closed(&mut half));
}

#[test]
fn f1_handshakes_that_are_silent_make_room() {
    let authority = Authority::new();
    let server = server(&authority, "", |site| site.limits.connections = 8);
    let mut silent: Vec<TcpStream> = (0..24).map(|_| server.connect()).collect();
    assert_eq!(get(server.address, &authority.plain_client(), "/metrics", "").unwrap().0, 200);
    let closed = silent.iter_mut().take(16).filter_map(|stream| is_closed(stream).then_some(())).count();
    assert_eq!(closed, 16, "the oldest went first");
}

#[test]
fn f12_clients_are_believed_as_the_configuration_says() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let names = ["client.example.com", "10.0.0.7", "ops@example.com", "spiffe://example.com/prometheus"];
    let good = authority.issue(&names, |_| {});
    let other_name = authority.issue(&["other.example.com"], |_| {});
    let expired = authority.issue(&names, |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let early = authority.issue(&names, |params| params.not_before = rcgen::date_time_ymd(4000, 1, 1));
    let foreign = stranger.issue(&names, |_| {});
    let shown: [(&str, Option<&Identity>); 6] = [
        ("nothing", None),
        ("a good one", Some(&good)),
        ("one of another name", Some(&other_name)),
        ("an expired one", Some(&expired)),
        ("one that is not good yet", Some(&early)),
        ("one of a stranger", Some(&foreign)),
    ];
    let roots = "  client_ca_file: clients.crt\n";
    let sans = |name: &str| format!("  client_allowed_sans: [no.such.name, \"{name}\"]\n");
    let verified = format!("  client_auth_type: RequireAndVerifyClientCert\n{roots}");
    let mut cases = vec![
        ("  client_auth_type: NoClientCert\n".to_owned(), [true; 6]),
        ("  client_auth_type: RequestClientCert\n".to_owned(), [true; 6]),
        ("  client_auth_type: RequireAnyClientCert\n".to_owned(), [false, true, true, true, true, true]),
        (format!("  client_auth_type: VerifyClientCertIfGiven\n{roots}"), [true, true, true, false, false, false]),
        (verified.clone(), [false, true, true, false, false, false]),
    ];
    for name in names {
        cases.push((verified.clone() + &sans(name), [false, true, false, false, false, false]));
    }
    let any_of_name = "  client_auth_type: RequireAnyClientCert\n".to_owned() + &sans("client.example.com");
    cases.push((any_of_name, [false, true, false, true, true, true]));
    cases.push((verified + &sans("*.example.com"), [false; 6]));
    for (keys, expected) in cases {
        let server = server(&authority, &keys, |_| {});
        for version in [&TLS12, &TLS13] {
            for ((what, identity), expected) in shown.iter().zip(expected) {
                let client = authority.client(&[version], &[], *identity);
                let answer = get(server.address, &client, "/-/healthy", "");
                assert_eq!(answer.is_ok(), expected, "{keys}{version:?}: {what}: {answer:?}");
            }
        }
    }
}

#[test]
fn f12_the_servers_own_certificate_is_believed_of_loopback_alone() {
    let authority = Authority::new();
    let folder = Folder::new();
    let own = authority.server();
    own.write(folder.path(), "server");
    std::fs::write(folder.join("clients.crt"), Authority::new().pem()).unwrap();
    let yaml = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_ca_file: clients.crt\n  \
                client_auth_type: RequireAndVerifyClientCert\n";
    let tls = terms(&folder, yaml).tls.unwrap();
    let with_own = authority.client(rustls::ALL_VERSIONS, &[], Some(&own));
    for (peer, expected) in [([127, 0, 0, 1], true), ([192, 0, 2, 1], false)] {
        assert_eq!(shake_hands(tls.for_peer(peer.into()), &with_own), expected, "{peer:?}");
    }
}

/// Whether a server and a client come to terms, without a network.
fn shake_hands(server: &Arc<rustls::ServerConfig>, client: &Arc<rustls::ClientConfig>) -> bool {
    let mut server = rustls::ServerConnection::new(Arc::clone(server)).unwrap();
    let mut client = rustls::ClientConnection::new(Arc::clone(client), "localhost".try_into().unwrap()).unwrap();
    while server.is_handshaking() || client.is_handshaking() {
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        client.write_tls(&mut to_server).unwrap();
        server.read_tls(&mut to_server.as_slice()).unwrap();
        if server.process_new_packets().is_err() {
            return false;
        }
        server.write_tls(&mut to_client).unwrap();
        client.read_tls(&mut to_client.as_slice()).unwrap();
        client.process_new_packets().unwrap();
    }
    true
}
