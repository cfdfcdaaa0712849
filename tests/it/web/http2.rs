//! HTTP/2 over TLS: the same pages, reports and limits.

use std::future::poll_fn;

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use hyper::{Request, Response};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::certificates::{Authority, tls};

use super::tls::{server, server_of};
use super::*;

type Stream = TlsStream<tokio::net::TcpStream>;

async fn shake_hands(server: &Server, authority: &Authority) -> Stream {
    let tcp = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let config = authority.client(rustls::ALL_VERSIONS, &[b"h2", b"http/1.1"], None);
    let stream = TlsConnector::from(config).connect("localhost".try_into().unwrap(), tcp).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream
}

async fn connect(server: &Server, authority: &Authority) -> (SendRequest<Bytes>, Connection<Stream>) {
    h2::client::handshake(shake_hands(server, authority).await).await.unwrap()
}

fn request(method: &str, path: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("https://localhost{path}")).body(()).unwrap()
}

/// Asks, and reads the whole answer.
async fn ask(sender: &SendRequest<Bytes>, method: &str, path: &str) -> Response<Vec<u8>> {
    let asked = async {
        let mut sender = sender.clone().ready().await.unwrap();
        let (answer, _) = sender.send_request(request(method, path), true).unwrap();
        let (head, mut body) = answer.await.unwrap().into_parts();
        let mut bytes = Vec::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.unwrap();
            bytes.extend_from_slice(&chunk);
            body.flow_control().release_capacity(chunk.len()).unwrap();
        }
        Response::from_parts(head, bytes)
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("an answer")
}

#[tokio::test]
async fn http2_is_agreed_on_and_gives_the_same_pages() {
    let authority = Authority::new();
    let server = server(&authority, "", |_| {});
    let (sender, connection) = connect(&server, &authority).await;
    tokio::spawn(connection);
    for path in ["/", "/metrics", "/-/healthy", "/nowhere", "/layout.css"] {
        let answer = ask(&sender, "GET", path).await;
        let mut over_1 = tls(server.address, &authority.plain_client());
        send(&mut over_1, "GET", path, &[]);
        let over_1 = Answer::read(&mut over_1, "GET");
        assert_eq!(answer.status().as_u16(), over_1.status, "{path}");
        assert!(path == "/metrics" || *answer.body() == over_1.body, "{path}");
        for (name, value) in over_1.headers.iter().filter(|(name, _)| name != "date" && name != "content-length") {
            assert_eq!(answer.headers()[name.as_str()], value.as_str(), "{path}");
        }
        assert!(answer.headers().contains_key("date"));
        let length: usize = answer.headers()["content-length"].to_str().unwrap().parse().unwrap();
        assert_eq!(length, answer.body().len(), "{path}");
    }
    for _ in 0..2 {
        server.next_scrape();
    }
    let head = ask(&sender, "HEAD", "/metrics").await;
    assert!(head.status() == 200 && head.body().is_empty() && head.headers()["content-length"] != "0");
    server.no_scrape();
}

#[tokio::test]
async fn http2_can_be_switched_off() {
    let authority = Authority::new();
    let server = server(&authority, "http_server_config: { http2: false }\n", |_| {});
    let tcp = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let config = authority.client(rustls::ALL_VERSIONS, &[b"h2", b"http/1.1"], None);
    let stream = TlsConnector::from(config).connect("localhost".try_into().unwrap(), tcp).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn a_scrape_over_http2_is_reported_when_its_last_byte_has_left_and_not_before() {
    let authority = Authority::new();
    let big = snapshot(7, (0..2_000).map(|i| series(&format!("{i}-{}", "x".repeat(50)), i)));
    let server = server_of(&authority, big, |_| {});
    let (sender, connection) = connect(&server, &authority).await;
    tokio::spawn(connection);
    let length: u32 =
        ask(&sender, "HEAD", "/metrics").await.headers()["content-length"].to_str().unwrap().parse().unwrap();
    // Windows that no page fits in: by far, and but for less than a frame.
    for window in [50_000, length - 1_000] {
        read_through(&server, &authority, window as usize).await;
    }
}

/// Reads the page through a window of so many bytes, on a connection that has room for more.
async fn read_through(server: &Server, authority: &Authority, window: usize) {
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(u32::try_from(window).unwrap())
        .initial_connection_window_size(1 << 24)
        .handshake::<_, Bytes>(shake_hands(server, authority).await)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut ready = sender.clone().ready().await.unwrap();
    let (answer, _) = ready.send_request(request("GET", "/metrics"), true).unwrap();
    let answer = answer.await.unwrap();
    let length: usize = answer.headers()["content-length"].to_str().unwrap().parse().unwrap();
    assert!(length > window);
    let mut body = answer.into_body();
    let mut read = 0;
    let mut unreleased = 0;
    while read < length {
        let chunk = body.data().await.unwrap().unwrap();
        (read, unreleased) = (read + chunk.len(), unreleased + chunk.len());
        if unreleased == window || read == length {
            if read < length {
                // Its window is empty. Other answers are written and flushed meanwhile, and change nothing about it.
                assert_eq!(ask(&sender, "GET", "/-/healthy").await.status(), 200);
                server.no_scrape();
            }
            body.flow_control().release_capacity(std::mem::take(&mut unreleased)).unwrap();
        }
    }
    assert!(body.data().await.is_none_or(|end| end.unwrap().is_empty()));
    assert_eq!(server.next_scrape().generation, 7);
    server.no_scrape();
}

#[tokio::test]
async fn an_answer_that_waits_holds_its_own_place_among_the_requests_and_no_other() {
    let authority = Authority::new();
    let big = snapshot(7, (0..2_000).map(|i| series(&format!("{i}-{}", "x".repeat(50)), i)));
    let server = server_of(&authority, big, |site| site.max_requests = 2);
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(50_000)
        .initial_connection_window_size(1 << 24)
        .handshake::<_, Bytes>(shake_hands(&server, &authority).await)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut ready = sender.clone().ready().await.unwrap();
    let (answer, _) = ready.send_request(request("GET", "/metrics"), true).unwrap();
    let waiting = answer.await.unwrap();
    for _ in 0..20 {
        assert_eq!(ask(&sender, "GET", "/").await.status(), 200);
    }
    let mut ready = sender.clone().ready().await.unwrap();
    let (answer, _) = ready.send_request(request("GET", "/metrics"), true).unwrap();
    let waiting_too = answer.await.unwrap();
    assert_eq!((waiting.status(), waiting_too.status()), (hyper::StatusCode::OK, hyper::StatusCode::OK));
    assert_eq!(ask(&sender, "GET", "/").await.status(), 503);
    drop((waiting, waiting_too));
    let clock = tencent_live_exporter::clock::SystemClock::new();
    while ask(&sender, "GET", "/").await.status() == 503 {
        assert!(clock.elapsed() < PATIENCE, "the places of those that left are free again");
    }
}

#[tokio::test]
async fn f3_a_reader_that_takes_nothing_of_its_answers_loses_its_place_to_another_connection() {
    let authority = Authority::new();
    let big = snapshot(7, (0..2_000).map(|i| series(&format!("{i}-{}", "x".repeat(50)), i)));
    let server = server_of(&authority, big, |site| site.max_requests = 1);
    let (sender, connection) =
        h2::client::Builder::new().handshake::<_, Bytes>(shake_hands(&server, &authority).await).await.unwrap();
    let ended = tokio::spawn(connection);
    let mut ready = sender.clone().ready().await.unwrap();
    let (answer, _) = ready.send_request(request("GET", "/metrics"), true).unwrap();
    let waiting = answer.await.unwrap();
    let (address, client) = (server.address, authority.plain_client());
    let another = move || crate::support::certificates::get(address, &client, "/", "").unwrap().0;
    let clock = tencent_live_exporter::clock::SystemClock::new();
    while tokio::task::spawn_blocking(another.clone()).await.unwrap() == 503 {
        assert!(clock.elapsed() < PATIENCE, "it does not make room");
    }
    tokio::time::timeout(PATIENCE, ended).await.expect("its connection ends").unwrap().unwrap_or_default();
    drop(waiting);
    server.no_scrape();
}

#[tokio::test]
async fn f6_a_client_that_takes_its_requests_back_is_asked_to_stop() {
    let authority = Authority::new();
    let server = server(&authority, "", |_| {});
    let (mut sender, connection) = connect(&server, &authority).await;
    let ended = tokio::spawn(connection);
    let clock = tencent_live_exporter::clock::SystemClock::new();
    loop {
        let ready = poll_fn(|cx| sender.poll_ready(cx)).await;
        let asked = ready.and_then(|()| sender.send_request(request("GET", "/metrics"), true));
        let Ok((answer, mut stream)) = asked else { break };
        drop(answer);
        stream.send_reset(h2::Reason::CANCEL);
        tokio::task::yield_now().await;
        assert!(clock.elapsed() < PATIENCE, "it goes on and on");
    }
    let error = tokio::time::timeout(PATIENCE, ended).await.expect("the connection ends").unwrap().unwrap_err();
    assert!(error.is_go_away() || error.is_io() || error.is_reset(), "{error:?}");
    assert_eq!(
        crate::support::certificates::get(server.address, &authority.plain_client(), "/-/healthy", "").unwrap().0,
        200
    );
}

#[tokio::test]
async fn f6_heads_without_end_and_empty_frames_end_the_connection() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let authority = Authority::new();
    let server = server(&authority, "", |site| site.limits.head = Duration::from_secs(5));
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // A HEADERS frame without its end, and CONTINUATION frames that never end it: empty ones, and full ones.
    let open = [&b"\0\0\x01\x01\0\0\0\0\x01"[..], b"\x82"].concat();
    let full = [&b"\0\x40\0\x09\0\0\0\0\x01"[..], &[0x82; 0x4000]].concat();
    // Settings that never stop, which would each have to be answered.
    let settings = b"\0\0\0\x04\0\0\0\0\0".to_vec();
    for (what, first, again) in [
        ("empty CONTINUATION frames", open.clone(), b"\0\0\0\x09\0\0\0\0\x01".to_vec()),
        ("full CONTINUATION frames", open, full),
        ("settings", settings.clone(), settings),
    ] {
        let stream = shake_hands(&server, &authority).await;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let flood = async {
            writer.write_all(preface).await?;
            writer.write_all(&first).await?;
            loop {
                writer.write_all(&again).await?;
                writer.flush().await?;
            }
            #[expect(unreachable_code, reason = "says what kind of error the flood ends with")]
            Ok::<(), std::io::Error>(())
        };
        let until_closed = async {
            let mut bytes = [0; 4096];
            while reader.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
        };
        tokio::select! {
            ended = flood => assert!(ended.is_err(), "{what}"),
            () = until_closed => {}
            () = tokio::time::sleep(PATIENCE) => panic!("{what} go on and on"),
        }
    }
    assert_eq!(
        crate::support::certificates::get(server.address, &authority.plain_client(), "/-/healthy", "").unwrap().0,
        200
    );
}

#[tokio::test]
async fn stopping_finishes_what_is_being_read_over_http2_and_closes_what_is_silent() {
    let authority = Authority::new();
    let big = snapshot(7, (0..2_000).map(|i| series(&format!("{i}-{}", "x".repeat(50)), i)));
    let mut server = server_of(&authority, big, |_| {});
    let (idle, idle_connection) = connect(&server, &authority).await;
    let idle_ended = tokio::spawn(idle_connection);
    assert_eq!(ask(&idle, "GET", "/-/healthy").await.status(), 200);
    let (sender, connection) = connect(&server, &authority).await;
    let ended = tokio::spawn(connection);
    let mut ready = sender.clone().ready().await.unwrap();
    let (answer, _) = ready.send_request(request("GET", "/metrics"), true).unwrap();
    let mut body = answer.await.unwrap().into_body();
    server.stop.take().unwrap().send(()).unwrap();
    let _ = tokio::time::timeout(PATIENCE, idle_ended).await.expect("an idle connection is closed").unwrap();
    let mut last = Bytes::new();
    while let Some(chunk) = tokio::time::timeout(PATIENCE, body.data()).await.expect("more of the page") {
        last = chunk.unwrap();
        body.flow_control().release_capacity(last.len()).unwrap();
    }
    assert!(last.ends_with(b"\n"));
    server.next_scrape();
    let _ = tokio::time::timeout(PATIENCE, ended).await.expect("the connection is closed then").unwrap();
    server.stopped.recv_timeout(PATIENCE).expect("the server ends");
}
