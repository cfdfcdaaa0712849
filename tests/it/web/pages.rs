//! Content: formats, codings, routes, headers.

use tencent_live_exporter::web::paths;

use super::*;

#[test]
fn every_real_scraper_gets_the_content_type_it_asked_for() {
    let server = Server::start(snapshot(1, [series("room", 1)]));
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let openmetrics_utf8 = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
    let protobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    let text = "text/plain; version=0.0.4; charset=utf-8";
    for (client, accept, content_type) in [
        (
            "Prometheus 3.5.3",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;\
             version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,\
             */*;q=0.2",
            openmetrics_utf8,
        ),
        (
            "Prometheus 2.53.3",
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            openmetrics,
        ),
        (
            "Prometheus 2.53.3 that would rather have protobuf",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.5,\
             application/openmetrics-text;version=1.0.0;q=0.4,application/openmetrics-text;version=0.0.1;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            protobuf,
        ),
        (
            "Prometheus 3.5.3 that wants nothing but protobuf",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,*/*;q=0.5",
            protobuf,
        ),
        (
            "Prometheus 2.42.0",
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            openmetrics,
        ),
        ("VictoriaMetrics", "text/plain;version=0.0.4;q=1,*/*;q=0.1", text),
        ("curl", "*/*", text),
        ("a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", text),
    ] {
        let answer = server.ask("GET", "/metrics", &[("Accept", accept)]);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)), "{client}");
        assert_eq!(answer.body.ends_with(b"# EOF\n"), content_type.contains("openmetrics"), "{client}");
    }
    assert_eq!(server.get("/metrics").header("content-type"), Some(text));
}

#[test]
fn gzip_is_the_same_page_in_one_member() {
    let server = Server::start(snapshot(1, (0..1000).map(|i| series(&i.to_string(), i))));
    let without_process =
        |text: &str| text.lines().filter(|line| !line.contains("process_")).map(str::to_owned).collect::<Vec<_>>();
    let plain = server.get("/metrics");
    assert_eq!(plain.header("content-encoding"), None);
    let packed = server.ask("GET", "/metrics", &[("Accept-Encoding", "gzip")]);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 5 < plain.body.len());
    let mut unpacked = String::new();
    // GzDecoder stops after the first member, as curl does.
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_string(&mut unpacked).unwrap();
    assert_eq!(without_process(&unpacked), without_process(plain.text()));
    let refused = server.ask("GET", "/metrics", &[("Accept-Encoding", "gzip;q=0, identity")]);
    assert_eq!(refused.header("content-encoding"), None);
    let other = server.ask("GET", "/metrics", &[("Accept-Encoding", "gzip;q=0.5, zstd")]);
    assert_eq!(other.header("content-encoding"), Some("zstd"));
    let unpacked = String::from_utf8(zstd::decode_all(&other.body[..]).unwrap()).unwrap();
    assert_eq!(without_process(&unpacked), without_process(plain.text()));
    for answer in [plain, packed, refused, other] {
        assert_eq!(answer.header("vary"), Some("Accept, Accept-Encoding"));
    }
}

#[test]
fn only_the_families_asked_for_are_on_a_filtered_page() {
    let server = Server::start(snapshot(1, [series("room", 1)]));
    let families = |path: &str| -> Vec<String> {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.header("vary")), (200, Some("Accept, Accept-Encoding")), "{path}");
        let types = answer.text().lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        types.map(str::to_owned).collect()
    };
    let (classes, up) = ("tencent_live_disconnects_total", "tencent_live_up");
    assert_eq!(families("/metrics?name[]=tencent_live_up"), [up]);
    // As Prometheus encodes its `params`.
    assert_eq!(families(&format!("/metrics?name%5B%5D={up}&name%5B%5D={classes}&x=y")), [classes, up]);
    assert_eq!(families("/metrics?name[]=tencent%5Flive%5fup"), [up]);
    assert_eq!(families("/metrics?name[]=unknown"), [""; 0]);
    assert!(families("/metrics?name=tencent_live_up&collect[]=x").len() > 20, "other parameters name nothing");
    assert_eq!(server.get("/metrics?name[]=unknown").text(), "");
    let openmetrics = [("Accept", "application/openmetrics-text")];
    assert_eq!(server.ask("GET", "/metrics?name[]=unknown", &openmetrics).text(), "# EOF\n");
    let zstd = server.ask("GET", "/metrics?name[]=unknown", &[("Accept-Encoding", "zstd")]);
    assert_eq!(zstd::decode_all(&zstd.body[..]).unwrap(), b"");
}

#[test]
fn a_page_without_all_that_is_held_is_no_scrape() {
    let server = Server::start(snapshot(1, [series("room", 1)]));
    let (streams, classes) = ("name[]=tencent_live_stream_disconnects_total", "name[]=tencent_live_disconnects_total");
    for names in ["name[]=tencent_live_up", streams, classes, &format!("{streams}&{classes}")] {
        let path = &format!("/metrics?{names}");
        let mut stream = server.connect();
        // A second answer on the connection shows that the first would have been reported.
        for _ in 0..2 {
            send(&mut stream, "GET", path, &[]);
            assert_eq!(Answer::read(&mut stream, "GET").status, 200, "{path}");
        }
        server.no_scrape();
    }
    server.get(&format!("/metrics?{streams}&{classes}&name[]=tencent_live_session_duration_seconds"));
    assert_eq!(server.next_scrape().generation, 1);
}

#[test]
fn head_is_get_without_the_body_and_no_scrape() {
    let server = Server::start(snapshot(1, [series("room", 1)]));
    for path in ["/metrics", "/", "/-/healthy", "/-/ready", "/layout.css", "/nowhere"] {
        let mut stream = server.connect();
        send(&mut stream, "HEAD", path, &[]);
        let head = Answer::read(&mut stream, "HEAD");
        assert!(head.header("content-length").unwrap().parse::<usize>().unwrap() > 0, "{path}");
        // The next answer on the same connection shows that no body was sent.
        send(&mut stream, "GET", path, &[]);
        let get = Answer::read(&mut stream, "GET");
        assert_eq!((head.status, head.header("content-type")), (get.status, get.header("content-type")), "{path}");
    }
    assert_eq!(server.next_scrape().generation, 1, "the GET");
    server.no_scrape();
}

#[test]
fn f13_a_path_that_is_not_there_is_not_found_and_not_repeated() {
    let server = Server::start(snapshot(1, []));
    for path in
        ["/nowhere", "/metrics/", "//metrics", "/%2e%2e/etc/passwd", "/../metrics", "/%3Cscript%3E", "/disconnects/"]
    {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.text()), (404, "404 page not found\n"), "{path}");
    }
}

#[test]
fn f13_other_methods_are_told_which_are_allowed() {
    let server = Server::start(snapshot(1, []));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] {
        let answer = server.ask(method, "/metrics", &[]);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    assert_eq!(server.ask("DELETE", "/nowhere", &[]).status, 404);
}

#[test]
fn f15_reload_is_forbidden_while_its_api_is_off() {
    let server = Server::start(snapshot(1, []));
    assert_eq!(server.ask("POST", "/-/reload", &[("Content-Length", "0")]).status, 403);
    assert_eq!(server.ask("PUT", "/-/reload", &[("Content-Length", "0")]).status, 403);
    let answer = server.get("/-/reload");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST, PUT")));
}

#[test]
fn health_is_the_loops_and_readiness_the_first_polls() {
    let server = Server::start(snapshot(1, []));
    let healthy = server.get("/-/healthy");
    assert_eq!((healthy.status, healthy.text()), (200, "tencent-live-exporter is Healthy.\n"));
    assert_eq!(server.get("/-/ready").status, 503);
    server.first_poll();
    let ready = server.get("/-/ready");
    assert_eq!((ready.status, ready.text()), (200, "tencent-live-exporter is Ready.\n"));
    server.clock.advance(Duration::from_secs(91));
    assert_eq!(server.get("/-/healthy").status, 503);
    assert_eq!(server.get("/-/ready").status, 200);
}

#[test]
fn f15_every_answer_carries_the_protective_headers() {
    let server = Server::start(snapshot(1, []));
    let odd = [("GET", "/metrics"), ("POST", "/-/reload"), ("GET", "/nowhere"), ("POST", "/metrics")];
    for (method, path) in paths().map(|path| ("GET", path)).chain(odd) {
        let answer = server.ask(method, path, &[]);
        let lasting = [".css", ".js", ".svg", ".yaml"].iter().any(|end| path.ends_with(end));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none';"), "{path}");
        assert_eq!(answer.header("cache-control") == Some("no-store"), !lasting, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
}

#[test]
fn the_landing_page_shows_how_it_does_and_accounts_as_text() {
    let server = Server::start(snapshot(1, [series("room", 1)]));
    server.first_poll();
    server.board.update("main <b>&", |account| account.last_error = Some("</td><script>alert(1)</script>".to_owned()));
    let answer = server.get("/");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let html = answer.text();
    assert!(html.contains("main &lt;b&gt;&amp;") && !html.contains("<script"), "{html}");
    assert!(html.contains("2026-01-01T01:11:40Z") && html.contains("(100 s ago)"), "{html}");
    assert!(html.contains("href=\"./metrics\"") && html.contains(BUILD.version), "{html}");
    assert!(html.contains("running since <time datetime=\"2025-12-29T09:20:00Z\">"), "{html}");
    assert!(html.contains("(2 d 15 h ago)"), "{html}");
    for (what, number) in [
        ("On the metrics page", 1),
        ("Limit (series.limit)", 50_000),
        ("Held at their baseline until scrapers have read it", 1),
        ("Disconnects that wait behind them", 2),
        ("Off the page as idle (series.idle_ttl)", 0),
        ("Disconnects folded into __overflow__ since the start", 0),
    ] {
        let row = format!("<th scope=\"row\">{what}</th><td class=\"number\">{number}</td>");
        assert!(html.contains(&row), "{row} is not in {html}");
    }
}

#[test]
fn the_landing_page_speaks_the_language_of_its_address_else_that_of_the_browser() {
    let server = Server::start(snapshot(1, []));
    for (path, accepted, language) in [
        ("/", "", "en"),
        ("/", "zh-CN,zh;q=0.9", "zh-CN"),
        ("/?lang=zh", "en", "zh-CN"),
        ("/?lang=en", "zh", "en"),
        ("/?lang=x", "zh", "zh-CN"),
    ] {
        let answer = server.ask("GET", path, &[("Accept-Language", accepted)]);
        let html = answer.text();
        assert!(html.contains(&format!("<html lang=\"{language}\">")), "{path} {accepted}: {html}");
        assert_eq!(html.contains("水位线"), language == "zh-CN", "{html}");
        assert_eq!(
            (answer.header("content-language"), answer.header("vary")),
            (Some(language), Some("Accept-Language"))
        );
    }
}

#[test]
fn behind_a_proxy_links_lead_through_it_and_pages_are_there_with_and_without_its_path() {
    let server = Server::with(snapshot(1, []), |site| site.external_path = "/ops/live".to_owned());
    for path in
        ["/", "/metrics", "/-/healthy", "/layout.css", "/disconnects", "/disconnects/records.csv", "/api/v1/status"]
    {
        assert_eq!(server.get(path).status, 200, "{path}");
        assert_eq!(server.get(&format!("/ops/live{path}")).status, 200, "{path}");
    }
    for page in ["/ops/live", "/ops/live/disconnects"] {
        let html = server.get(page).text().to_owned();
        // Beside them only those that stay on the page, or in its folder.
        let links = html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let links: Vec<&str> =
            links.filter(|link| !link.starts_with(['#', '?']) && !link.starts_with("disconnects")).collect();
        assert!(links.len() > 3 && links.iter().all(|link| link.starts_with("/ops/live/")), "{links:?}");
        for link in links {
            assert_ne!(server.get(link).status, 404, "{link}");
        }
    }
    let html = server.get("/ops/live").text().to_owned();
    assert!(!html.contains("href=\"disconnects"), "there the folder is another: {html}");
    for path in ["/ops/livemetrics", "/ops", "/ops/live/ops/live/metrics", "/ops/live/nowhere", "/OPS/live/metrics"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    // The place of what is asked for most is not taken by the prefix.
    let odd = Server::with(snapshot(1, []), |site| site.external_path = "/metrics".to_owned());
    assert!(odd.get("/metrics").text().starts_with("# HELP "));
    assert_eq!(odd.get("/metrics/-/ready").status, 503);
}

#[test]
fn metrics_at_the_root_take_the_landing_pages_place() {
    let server = Server::with(snapshot(1, []), |site| site.telemetry_path = "/".to_owned());
    assert!(server.get("/").text().starts_with("# HELP tencent_live_stream_disconnects_total "));
    assert_eq!(server.get("/metrics").status, 404);
}

#[test]
fn the_pages_are_as_agreed() {
    let hostile = || HOSTILE.iter().zip(1..).map(|(stream, shown)| series(stream, shown));
    for (file, format) in [("scrape.txt", Format::Text), ("scrape.om.txt", Format::OpenMetrics)] {
        let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
        let page: String = page(snapshot(1, hostile()), format)
            .split_inclusive('\n')
            .filter(|line| !line.contains("process_"))
            .map(|line| line.replace(BUILD.revision, "0123abc").replace(BUILD.rustversion, "1.2.3"))
            .collect();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        if let Some((line, (ours, theirs))) =
            page.split('\n').zip(golden.split('\n')).enumerate().find(|(_, (ours, theirs))| ours != theirs)
        {
            panic!("{file}:{}: is\n{ours}\nwas\n{theirs}", line + 1);
        }
        assert_eq!(page.len(), golden.len(), "{file} is longer or shorter than it was");
    }
}

#[test]
fn created_lines_come_on_request_and_in_openmetrics_only() {
    let created = |on, format| {
        let page = exposition(snapshot(1, [series("room", 1)]), on).page(format, Coding::Identity).concat();
        String::from_utf8(page).unwrap().lines().filter(|line| line.contains("_created{")).count()
    };
    assert_eq!(created(false, Format::OpenMetrics), 0);
    assert_eq!(created(true, Format::Text), 0);
    assert_eq!(created(true, Format::OpenMetrics), 1 + Reason::COUNT + Class::ALL.len());
}
