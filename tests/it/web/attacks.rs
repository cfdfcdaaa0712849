//! Attacks: heads that are none, requests inside requests, bodies for nobody, odd codings, no file to open.

use super::*;
use crate::command_line::{Api, stops_cleanly};
use crate::support::child::CommandLine;
use crate::support::metrics::Metrics;
use crate::support::patience::{seen, until};

/// The protective headers that are missing from an answer.
fn unprotected(answer: &Answer) -> Vec<&'static str> {
    let names =
        ["x-content-type-options", "x-frame-options", "referrer-policy", "content-security-policy", "cache-control"];
    names.into_iter().filter(|name| answer.header(name).is_none()).collect()
}

/// All that comes back for some bytes until the server closes, which it has to; answers to what follows are none.
fn exchange(server: &Server, request: &[u8]) -> Vec<u8> {
    let mut stream = server.connect();
    // Whoever is refused before the end of what he sends need not be read to the end.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    answer
}

#[test]
fn f5_f15_what_is_no_request_is_refused_with_every_protective_header_and_closed() {
    let server = Server::start(snapshot(1, []));
    let long_url = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(64 * 1024));
    let long_header = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let many_headers = format!("GET / HTTP/1.1\r\n{}\r\n", "X: 1\r\n".repeat(10_000));
    for (request, statuses) in [
        ("GET /metrics\r\n\r\n", &[400][..]),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", &[400, 505]),
        ("G\u{1}T / HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nHost: a\r\n continued: 1\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nX\u{0}: a\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nX : a\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n", &[400]),
        (&long_url, &[414, 431]),
        (&long_header, &[431]),
        (&many_headers, &[431]),
    ] {
        let mut stream = server.connect();
        // It may be refused before its end.
        let _ = stream.write_all(request.as_bytes());
        let shown: String = request.chars().take(60).collect();
        let answer = Answer::read(&mut stream, "GET");
        assert!(statuses.contains(&answer.status), "{shown:?}: {}", answer.status);
        assert_eq!(unprotected(&answer), [""; 0], "{shown:?}");
        assert!(is_closed(&mut stream), "{shown:?}");
    }
    assert_eq!(server.get("/metrics").status, 200);
}

#[test]
fn f5_a_request_inside_the_body_of_another_is_never_answered() {
    let server = Server::start(snapshot(1, []));
    let inner = "GET /-/ready HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunk = format!("0\r\n\r\n{inner}");
    for outer in [
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}",
            chunk.len()
        ),
        format!("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n{chunk}"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{inner}", inner.len()),
        format!("GET / HTTP/1.1\nHost: a\nContent-Length: {}\n\n{inner}", inner.len()),
        format!("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n{chunk}"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\u{b}chunked\r\n\r\n{chunk}"),
    ] {
        let answer = String::from_utf8_lossy(&exchange(&server, outer.as_bytes())).into_owned();
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{outer:?}: {answer}");
        assert!(!answer.contains("not ready: an account"), "{outer:?}: {answer}");
    }
}

#[test]
fn f2_f7_a_body_is_neither_read_nor_waited_for() {
    let server = Server::start(snapshot(1, [series("room", 1)]));
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n", 405),
        ("POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\nExpect: 100-continue\r\n\r\n", 403),
        ("PUT /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", 404),
        ("GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx", 200),
    ] {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let answer = Answer::read(&mut stream, "GET");
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{request}");
        assert!(is_closed(&mut stream), "{request}");
    }
}

#[test]
fn f8_packed_requests_are_not_unpacked_and_endless_wishes_cost_nothing() {
    let server = Server::start(snapshot(1, [series("room", 1)]));
    let bomb: Vec<u8> = {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![0; 1 << 20]).unwrap();
        packer.finish().unwrap()
    };
    let head =
        format!("GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());
    let answer = exchange(&server, &[head.as_bytes(), &bomb].concat());
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    let wishes = "gzip;q=0.1,".repeat(900);
    let answer = server.ask("GET", "/metrics", &[("Accept-Encoding", &wishes)]);
    assert_eq!((answer.status, answer.header("content-encoding")), (200, Some("gzip")));
    let odd = server.ask("GET", "/metrics", &[("Accept-Encoding", "br, deflate, x-bomb;q=1000, *;q=0")]);
    assert_eq!((odd.status, odd.header("content-encoding")), (200, None));
}

#[test]
fn f13_hosts_and_forms_of_a_path_lead_nowhere_else() {
    let server = Server::start(snapshot(1, []));
    for (request, status) in [
        ("GET http://evil.example/metrics HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("GET /metrics HTTP/1.1\r\nHost: evil.example:1\"><script>\r\n\r\n", 200),
        ("GET /metrics%00 HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("GET /metrics/../-/ready HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("GET /METRICS HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("GET /metrics;x HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("CONNECT evil.example:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("TRACE / HTTP/1.1\r\nHost: a\r\nX-Secret: canary\r\n\r\n", 405),
    ] {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let answer = Answer::read(&mut stream, "GET");
        assert_eq!(answer.status, status, "{request}");
        assert_eq!(unprotected(&answer), [""; 0], "{request}");
        let text = format!("{:?} {}", answer.headers, answer.text());
        assert!(!["evil", "canary", "passwd"].iter().any(|word| text.contains(word)), "{request}: {text}");
    }
}

#[tokio::test]
async fn f16_clients_cannot_take_the_files_that_counting_needs() {
    let api = Api::start().await;
    let mut process = api.variables(CommandLine::after("ulimit -n 64", &[])).start();
    let address = process.address().await;
    let clients: Vec<TcpStream> = (0..200).filter_map(|_| TcpStream::connect(address).ok()).collect();
    assert!(clients.len() > 100, "{}", clients.len());
    api.world.publish(api.ended("room"));
    // Each look is a connection of its own, and finds room.
    let counted = |page: &Metrics| page.count("tencent_live_stream_disconnects_total", &[("stream", "room")]) == 1;
    let page = process.metrics_when("it counts all the while", counted).await;
    assert_eq!(page.count("tencent_live_exporter_poll_failures_total", &[]), 0);
    assert!(page.get("process_open_fds", &[]).is_some_and(|open| open < 64.0));
    drop(clients);
    until("their places are free again", async || {
        let page = process.metrics_when("it answers", |_| true).await;
        let open = page.get("process_open_fds", &[]);
        seen(open.is_some_and(|open| open < 40.0), open)
    })
    .await;
    let ended = stops_cleanly(process, "TERM").await;
    assert!(ended.stderr.contains("few open files are allowed, so few connections are; raise ulimit -n"), "{ended:?}");
}
