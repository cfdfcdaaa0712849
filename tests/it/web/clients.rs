//! Conduct: what is reported, and what slow, silent, numerous and odd clients get.

use tencent_live_exporter::clock::SystemClock;

use super::*;

#[test]
fn a_scrape_that_was_read_whole_is_reported_with_its_reader() {
    let server = Server::start(snapshot(42, [series("room", 1)]));
    let answer = server.ask("GET", "/metrics", &[("User-Agent", "Prometheus/3.5.3"), ("Accept-Encoding", "gzip")]);
    assert_eq!(answer.status, 200);
    let scrape = server.next_scrape();
    assert_eq!(scrape.generation, 42);
    assert_eq!(scrape.scraper.user_agent, "Prometheus/3.5.3");
    assert!(scrape.scraper.peer.is_loopback());
    for path in ["/", "/-/healthy", "/nowhere"] {
        server.get(path);
    }
    server.no_scrape();
}

#[test]
fn a_scrape_that_breaks_off_is_never_reported() {
    let server = Server::start(big());
    let mut half = server.connect();
    send(&mut half, "GET", "/metrics", &[("User-Agent", "half")]);
    half.read_exact(&mut vec![0; 1_000_000]).unwrap();
    server.no_scrape();
    drop(half);
    let whole = server.ask("GET", "/metrics", &[("User-Agent", "whole")]);
    assert_eq!(whole.status, 200);
    assert_eq!(server.next_scrape().scraper.user_agent, "whole");
    server.no_scrape();
}

#[test]
fn one_connection_serves_many_scrapes_and_reports_each() {
    let server = Server::start(snapshot(1, [series("room", 1)]));
    let mut stream = server.connect();
    for _ in 0..3 {
        send(&mut stream, "GET", "/metrics", &[]);
        assert_eq!(Answer::read(&mut stream, "GET").status, 200);
        server.next_scrape();
    }
}

#[test]
fn clients_that_look_alike_are_told_apart_by_their_connections() {
    let server = Server::start(snapshot(1, vec![series("room", 1)]));
    let mut streams = [server.connect(), server.connect()];
    let mut scrape = |which: usize| {
        send(&mut streams[which], "GET", "/metrics", &[("User-Agent", "Prometheus/3.5.3")]);
        assert_eq!(Answer::read(&mut streams[which], "GET").status, 200);
        server.next_scrape()
    };
    let (one, other) = (scrape(0), scrape(1));
    assert_eq!(one.scraper, other.scraper);
    assert_ne!(one.connection, other.connection);
    assert_eq!(scrape(0).connection, one.connection);
    drop(streams);
    let mut ended = [(); 2].map(|()| server.ended.recv_timeout(PATIENCE).expect("the end of a connection is told"));
    ended.sort_unstable();
    let mut expected = [one.connection, other.connection];
    expected.sort_unstable();
    assert_eq!(ended, expected);
}

#[test]
fn f2_a_head_that_does_not_come_to_an_end_is_cut_off() {
    let server = Server::with(snapshot(1, []), |site| site.limits.head = Duration::from_millis(300));
    let mut silent = server.connect();
    let mut slow = server.connect();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: ").unwrap();
    assert!(is_closed(&mut silent));
    assert!(is_closed(&mut slow));
}

#[test]
fn an_idle_connection_outlives_the_deadline_of_a_head() {
    let server = Server::with(snapshot(1, []), |site| site.limits.head = Duration::from_millis(200));
    let mut scraper = server.connect();
    send(&mut scraper, "GET", "/-/healthy", &[]);
    assert_eq!(Answer::read(&mut scraper, "GET").status, 200);
    // A later connection that meets the deadline shows that it has passed for the first one too.
    assert!(is_closed(&mut server.connect()));
    send(&mut scraper, "GET", "/-/healthy", &[]);
    assert_eq!(Answer::read(&mut scraper, "GET").status, 200);
}

#[test]
fn f3_a_reader_that_takes_nothing_is_cut_off() {
    let server = Server::with(big(), |site| {
        site.limits.stall = Duration::from_millis(300);
        site.limits.idle_reader = PATIENCE;
        site.max_requests = 1;
    });
    let mut stream = server.connect();
    send(&mut stream, "GET", "/metrics", &[]);
    stream.read_exact(&mut [0; 1000]).unwrap();
    wait_for_room(&server);
    let mut rest = Vec::new();
    // A reset or an early end, as the operating system likes.
    let ended = stream.read_to_end(&mut rest);
    assert!(ended.is_err() || !rest.ends_with(b"\n"), "the page cannot have come to its end");
    server.no_scrape();
}

/// Waits until the one place for requests is free again.
fn wait_for_room(server: &Server) {
    let clock = SystemClock::new();
    while server.ask("HEAD", "/metrics", &[]).status == 503 {
        assert!(clock.elapsed() < PATIENCE, "the place of one that left is free again");
    }
}

#[test]
fn f1_silent_connections_make_room_for_one_that_speaks() {
    let server = Server::with(snapshot(1, []), |site| site.limits.connections = 8);
    let mut silent: Vec<TcpStream> = (0..24).map(|_| server.connect()).collect();
    assert_eq!(server.get("/metrics").status, 200);
    let closed = silent.iter_mut().take(16).filter_map(|stream| is_closed(stream).then_some(())).count();
    assert_eq!(closed, 16, "the oldest went first");
}

#[test]
fn f4_requests_beyond_the_limit_are_asked_to_come_again() {
    let server = Server::with(big(), |site| {
        site.max_requests = 2;
        site.limits.idle_reader = PATIENCE;
    });
    let mut slow: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut stream = server.connect();
            send(&mut stream, "GET", "/metrics", &[]);
            stream.read_exact(&mut [0; 1000]).unwrap();
            stream
        })
        .collect();
    let refused = server.get("/metrics");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(server.get("/-/healthy").status, 200, "health is told at the limit too");
    drop(slow.pop());
    wait_for_room(&server);
}

#[test]
fn f3_readers_that_take_nothing_lose_their_places_to_one_that_reads() {
    let server = Server::with(big(), |site| site.max_requests = 4);
    let lazy = (0..4).map(|_| {
        let mut stream = server.connect();
        send(&mut stream, "GET", "/metrics", &[("Connection", "close")]);
        stream.read_exact(&mut [0; 1000]).unwrap();
        stream
    });
    let lazy: Vec<TcpStream> = lazy.collect();
    wait_for_room(&server);
    assert_eq!(server.get("/metrics").status, 200);
    assert_eq!(server.next_scrape().scraper.user_agent, "", "the one that read");
    server.no_scrape();
    // Somebody has its place; the others keep theirs until they are needed, and can read on.
    let rest = lazy.into_iter().map(|mut stream| {
        let mut rest = Vec::new();
        // One that was cut off may end in an error; what came before it counts.
        let _ = stream.read_to_end(&mut rest);
        rest.len()
    });
    let rest: Vec<usize> = rest.collect();
    let whole = rest.iter().max().expect("there are four");
    let kept = rest.iter().filter(|bytes| *bytes == whole).count();
    assert!((2..=3).contains(&kept), "{rest:?}");
}

#[test]
fn f4_a_crowd_of_newcomers_does_not_keep_a_scraper_from_its_page() {
    let server = Server::with(big(), |site| {
        site.max_requests = 2;
        site.limits.idle_reader = PATIENCE;
    });
    let mut scraper = server.connect();
    let mut scrape = || {
        send(&mut scraper, "GET", "/metrics", &[]);
        Answer::read(&mut scraper, "GET").status
    };
    assert_eq!(scrape(), 200);
    let begun = (0..2).map(|_| {
        let mut stream = server.connect();
        send(&mut stream, "GET", "/metrics", &[]);
        stream.read_exact(&mut [0; 1000]).unwrap();
        stream
    });
    let begun: Vec<TcpStream> = begun.collect();
    assert_eq!(server.get("/metrics").status, 503, "newcomers have no place any more");
    assert_eq!(scrape(), 200, "there is one on top for whoever has read a page before");
    drop(begun);
}

#[test]
fn f4_scrapes_that_come_together_all_get_the_page() {
    let server = Server::with(snapshot(1, [series("room", 1)]), |site| site.max_requests = 0);
    let mut streams: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    for stream in &mut streams {
        send(stream, "GET", "/metrics", &[]);
    }
    for stream in &mut streams {
        assert_eq!(Answer::read(stream, "GET").status, 200);
    }
}

#[test]
fn f5_heads_beyond_the_limits_are_refused() {
    let server = Server::start(snapshot(1, []));
    let long = "x".repeat(20_000);
    assert_eq!(server.ask("GET", "/metrics", &[("X-Long", &long)]).status, 431);
    let many: Vec<(String, String)> = (0..101).map(|i| (format!("X-{i}"), "1".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(server.ask("GET", "/metrics", &many).status, 431);
}

#[test]
fn f5_what_is_not_http_1_is_refused_and_closed() {
    let server = Server::start(snapshot(1, []));
    for request in [
        "GET\r\n\r\n",
        "\u{16}\u{3}\u{1}garbage\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
    ] {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(Answer::read(&mut stream, "GET").status, 400, "{request:?}");
        assert!(is_closed(&mut stream), "{request:?}");
    }
    let mut http2 = server.connect();
    http2.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    assert!(is_closed(&mut http2));
}

#[test]
fn f7_a_request_with_a_body_is_answered_and_its_connection_closed() {
    let server = Server::start(snapshot(1, []));
    for request in [
        "GET /-/healthy HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n",
        "GET /-/healthy HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let answer = Answer::read(&mut stream, "GET");
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        assert!(is_closed(&mut stream));
    }
}

#[test]
fn a_client_that_closes_its_side_is_answered() {
    let server = Server::start(snapshot(1, [series("room", 1)]));
    let mut stream = server.connect();
    send(&mut stream, "GET", "/metrics", &[]);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(Answer::read(&mut stream, "GET").status, 200);
    assert!(is_closed(&mut stream));
}

#[test]
fn stopping_closes_what_is_silent_and_finishes_what_is_being_read() {
    let mut server = Server::start(big());
    let mut idle = server.connect();
    let mut reading = server.connect();
    send(&mut reading, "GET", "/metrics", &[]);
    let mut begin = vec![0; 1000];
    reading.read_exact(&mut begin).unwrap();
    server.stop.take().unwrap().send(()).unwrap();
    assert!(is_closed(&mut idle));
    let mut rest = Vec::new();
    reading.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"\n"));
    server.next_scrape();
    server.stopped.recv_timeout(PATIENCE).expect("the server ends");
}

#[test]
fn stopping_does_not_wait_for_a_reader_that_takes_nothing() {
    let mut server = Server::start(big());
    let mut stream = server.connect();
    send(&mut stream, "GET", "/metrics", &[]);
    stream.read_exact(&mut [0; 1000]).unwrap();
    server.stop.take().unwrap().send(()).unwrap();
    server.stopped.recv_timeout(Duration::from_secs(4)).expect("the server ends soon after its drain time of 1 s");
    server.no_scrape();
}
