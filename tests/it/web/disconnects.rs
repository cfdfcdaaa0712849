//! The page of disconnect records as browsers and spreadsheets get it.

use std::collections::BTreeSet;

use html5gum::{Token, Tokenizer};
use tencent_live_exporter::ledger::{Ledger as _, Posting, Record, Records, SqliteLedger};
use tencent_live_exporter::session::{Fact, GroupKey, Name, PushSession};

use super::*;

/// 2026-01-01T01:13:20Z, the clock of the tests.
const NOW: i64 = 1_767_230_000;

/// One session that ended so many seconds ago.
fn ended(ago: i64) -> PushSession {
    PushSession {
        domain: Name::from("push.example.com"),
        app: Name::from("live"),
        stream: Name::from("room_1"),
        start: NOW - ago - 60,
        end: NOW - ago,
        reason_text: "推流链路网络异常".into(),
        client_ip: "203.0.113.0/24".into(),
        duration: Some(60),
        resolution: "1280*720".into(),
    }
}

fn of_stream(ago: i64, stream: &str) -> PushSession {
    PushSession { stream: Name::from(stream), ..ended(ago) }
}

/// The records of `sessions`, told by `account`.
fn records_of(account: &str, sessions: impl IntoIterator<Item = PushSession>, patience: Duration) -> Arc<Records> {
    let record = |(n, session): (u64, PushSession)| Record {
        account: account.to_owned(),
        group: GroupKey(u128::from(n).to_le_bytes()),
        fact: Fact { end: session.end, reason: 1, address: 2 },
        first_seen: session.end + 9,
        counted: true,
        session,
    };
    let records = (1..).zip(sessions).map(record).collect();
    let mut ledger = SqliteLedger::in_memory().unwrap();
    ledger.commit(&Posting { records, ..Posting::default() }).unwrap();
    Arc::new(ledger.records(Classifier::new(&[]), Arc::new(ManualClock::new(NOW))).patience(patience))
}

fn server(sessions: impl IntoIterator<Item = PushSession>) -> Server {
    let records = records_of("main", sessions, PATIENCE);
    Server::with(snapshot(1, []), |site| site.records = records)
}

fn rooms(count: i64) -> Server {
    server((0..count).map(|n| of_stream(n, &format!("room_{n:03}"))))
}

/// What a browser makes of a page: elements with their attributes, and text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tree {
    /// Element and the names of its attributes, as often as they come.
    shape: Vec<String>,
    /// Values of attributes that lead somewhere.
    links: Vec<String>,
    text: String,
}

fn parsed(html: &[u8]) -> Tree {
    let mut tree = Tree::default();
    for token in Tokenizer::new(html) {
        match token.unwrap() {
            Token::StartTag(tag) => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let attributes: Vec<String> = tag.attributes.keys().map(|name| text(name)).collect();
                tree.shape.push(format!("{} {}", text(&tag.name), attributes.join(" ")));
                for (name, value) in &tag.attributes {
                    if matches!(&name[..], b"href" | b"src" | b"action") {
                        tree.links.push(text(value));
                    }
                }
            }
            Token::String(text) => tree.text.push_str(std::str::from_utf8(&text).unwrap()),
            _ => {}
        }
    }
    tree
}

/// The first columns of the records, in the order of the page.
fn streams(answer: &Answer) -> Vec<String> {
    let records = answer.text().split_once("<tbody role=\"rowgroup\">").map_or("", |(_, records)| records);
    let cells = records.split("<td class=\"stream\"").skip(1);
    cells.map(|cell| cell.split("<bdi>").nth(1).unwrap().split("</bdi>").next().unwrap().to_owned()).collect()
}

/// Where the link that says `word` leads.
fn link(answer: &Answer, word: &str) -> Option<String> {
    let before = &answer.text()[..answer.text().find(&format!("{word}</a>"))?];
    let href = before.rsplit("href=\"").next()?.split('"').next()?;
    Some(format!("/{}", href.replace("&amp;", "&")))
}

#[test]
fn the_newest_come_first_and_every_record_is_on_one_page() {
    let server = rooms(120);
    let mut path = Some("/disconnects?range=1h&limit=50".to_owned());
    let (mut seen, mut pages) = (Vec::new(), Vec::new());
    while let Some(next) = path {
        let answer = server.get(&next);
        assert_eq!(answer.status, 200, "{next}");
        let page = streams(&answer);
        pages.push(page.len());
        seen.extend(page);
        path = link(&answer, "Older »");
    }
    assert_eq!(pages, [50, 50, 20]);
    assert_eq!(seen, (0..120).map(|n| format!("room_{n:03}")).collect::<Vec<_>>());
}

#[test]
fn a_page_of_older_records_leads_back_to_the_newest() {
    let server = rooms(30);
    let first = server.get("/disconnects?limit=10");
    assert_eq!(link(&first, "« Newest"), None);
    let second = server.get(&link(&first, "Older »").unwrap());
    let back = server.get(&link(&second, "« Newest").unwrap());
    assert_eq!(streams(&back), streams(&first));
}

#[test]
fn every_filter_leaves_what_it_is_true_of() {
    let server = server([
        of_stream(1, "room_1"),
        of_stream(2, "room_12"),
        PushSession { app: Name::from("vip"), ..of_stream(3, "a") },
        PushSession { domain: Name::from("push.other.com"), ..of_stream(4, "b") },
        PushSession { reason_text: "18/202".into(), ..of_stream(5, "c") },
        of_stream(20 * 60, "d"),
        of_stream(40 * 86_400, "e"),
    ]);
    for (query, expected) in [
        ("", &["room_1", "room_12", "a", "b", "c", "d"][..]),
        ("range=15m", &["room_1", "room_12", "a", "b", "c"]),
        ("stream=room_1", &["room_1"]),
        ("stream=oom_1&match=contains", &["room_1", "room_12"]),
        ("stream=room%25&match=contains", &[]),
        ("app=vip", &["a"]),
        ("domain=push.other.com", &["b"]),
        ("class=arrears", &["c"]),
        ("reason=account_arrears", &["c"]),
        ("reason=account_arrears&class=network", &[]),
        ("start=1767229998&end=2026-01-01T01:13:19Z", &["room_1", "room_12"]),
        ("start=2026-01-01T09:13:18&end=2026-01-01T09:13:18&tz=Asia/Shanghai", &["room_12"]),
        ("end=2025-11-23", &["e"]),
    ] {
        let answer = server.get(&format!("/disconnects?{query}"));
        assert_eq!(
            (answer.status, &streams(&answer)[..]),
            (200, &expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
            "{query}"
        );
        let file = server.get(&format!("/disconnects/records.csv?{query}"));
        assert_eq!(file.text().lines().count(), 1 + expected.len(), "{query}");
    }
}

#[test]
fn the_page_speaks_the_language_of_the_browser_unless_the_address_names_one() {
    let server = rooms(1);
    let chinese = [("Accept-Language", "zh-CN,zh;q=0.9,en;q=0.8")];
    for (path, headers, tag, words) in [
        ("/disconnects", &[][..], "en", ["Disconnect records", "Network error for the push client."]),
        ("/disconnects", &chinese, "zh-CN", ["断流记录", "推流链路网络异常。"]),
        ("/disconnects?lang=en", &chinese, "en", ["Disconnect records", "Network error for the push client."]),
        ("/disconnects?lang=zh", &[], "zh-CN", ["断流记录", "推流链路网络异常。"]),
        ("/disconnects?lang=xx", &[], "en", ["Disconnect records", "Network error for the push client."]),
    ] {
        let answer = server.ask("GET", path, headers);
        assert_eq!(answer.header("content-language"), Some(tag), "{path}");
        assert_eq!(answer.header("vary"), Some("Accept-Language, Accept-Encoding"), "{path}");
        assert!(answer.text().starts_with(&format!("<!DOCTYPE html><html lang=\"{tag}\">")), "{path}");
        for word in words {
            assert!(answer.text().contains(word), "{path}: {word}");
        }
    }
    let other = server.get("/disconnects?range=1h&stream=a&lang=en");
    assert!(other.text().contains("href=\"?stream=a&amp;range=1h&amp;lang=zh\""), "the switch keeps the filters");
}

#[test]
fn a_reason_is_told_in_both_languages_with_its_class_and_what_to_do() {
    let server = rooms(1);
    let english = parsed(&server.get("/disconnects?lang=en").body).text;
    let chinese = parsed(&server.get("/disconnects?lang=zh").body).text;
    let advice = Reason::NetworkError.advice();
    for text in ["Network error for the push client.", "推流链路网络异常。", "network_error"] {
        assert!(english.contains(text) && chinese.contains(text), "{text}");
    }
    assert!(english.contains(advice.en) && english.contains("Network") && !english.contains(advice.zh));
    assert!(chinese.contains(advice.zh) && chinese.contains("网络") && !chinese.contains(advice.en));
}

#[test]
fn times_are_of_the_zone_that_is_asked_for_with_utc_beside() {
    let server = server([ended(0)]);
    for (zone, shown) in [
        ("", "2026-01-01 01:13:20 UTC"),
        ("?tz=Asia/Shanghai", "2026-01-01 09:13:20 01:13:20 UTC"),
        ("?tz=America/New_York", "2025-12-31 20:13:20 01-01 01:13:20 UTC"),
        ("?tz=%2B05:30", "2026-01-01 06:43:20 01:13:20 UTC"),
    ] {
        let answer = server.get(&format!("/disconnects{zone}"));
        assert!(parsed(&answer.body).text.contains(shown), "{zone}");
        assert!(answer.text().contains("<time datetime=\"2026-01-01T01:13:20Z\">"), "{zone}");
    }
    let file = server.get("/disconnects/records.csv?tz=Asia/Shanghai");
    assert!(file.text().contains("\"2026-01-01T09:13:20+08:00\""), "{}", file.text());
}

#[test]
fn the_timeline_and_the_tops_count_what_the_range_holds() {
    let arrears = |ago| PushSession { reason_text: "18/202".into(), ..of_stream(ago, "room_b") };
    let sessions = (0..30).map(|n| of_stream(n, "room_a")).chain((0..10).map(|n| arrears(1_800 + n)));
    let page = parsed(&server(sessions).get("/disconnects?range=1h&lang=en").body);
    assert!(page.text.contains("40 disconnects; each bar is "), "{}", page.text);
    assert!(page.text.contains("Network 30") && page.text.contains("Arrears 10"), "{}", page.text);
    for top in ["3075.0%", "1025.0%"] {
        assert_eq!(page.text.matches(top).count(), 2, "a reason and a stream have {top}: {}", page.text);
    }
    let bars = page.shape.iter().filter(|element| element.starts_with("rect class height width x y")).count();
    assert!(bars >= 4, "two bars, each with a piece and its room: {bars}");
    let nothing = parsed(&server([]).get("/disconnects?lang=en").body);
    assert!(nothing.text.contains("No disconnects match.") && !nothing.text.contains("Top reasons"));
}

#[test]
fn a_bar_leads_to_its_own_records() {
    let server = server([of_stream(0, "now"), of_stream(1_800, "then")]);
    let page = parsed(&server.get("/disconnects?range=1h").body);
    let bars: BTreeSet<&String> = page.links.iter().filter(|link| link.starts_with("disconnects?start=")).collect();
    let found: BTreeSet<Vec<String>> = bars.iter().map(|bar| streams(&server.get(&format!("/{bar}")))).collect();
    assert!(found.contains(&vec!["now".to_owned()]) && found.contains(&vec!["then".to_owned()]), "{found:?}");
}

#[test]
fn the_page_needs_no_script_and_no_style_of_its_own_and_asks_nobody_else() {
    let server = rooms(60);
    for path in ["/disconnects", "/disconnects?lang=zh&range=1h&class=network&stream=room&match=contains"] {
        let answer = server.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self';"), "{policy}");
        assert!(policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let page = parsed(&answer.body);
        let scripts: Vec<&String> = page.shape.iter().filter(|element| element.starts_with("script")).collect();
        assert_eq!(scripts, ["script src"]);
        let own =
            |element: &&String| element.starts_with("style") || element.contains(" style") || element.contains(" on");
        assert_eq!(page.shape.iter().find(own), None);
        for link in &page.links {
            let relative = ["disconnects", "?", "#", "./", "metrics", "layout.css?", "zone.js?", "favicon.svg?"];
            assert!(relative.iter().any(|start| link.starts_with(start)), "{link}");
        }
    }
    for (path, content_type) in [
        ("/layout.css", "text/css; charset=utf-8"),
        ("/zone.js", "text/javascript; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
    ] {
        let answer = server.get(&format!("{path}?v=1"));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)));
        assert_eq!(answer.header("cache-control"), Some("max-age=3600"));
    }
}

#[test]
fn records_that_take_too_long_are_told_of_on_a_page_that_can_be_used() {
    let records = records_of("main", [ended(0)], Duration::ZERO);
    let server = Server::with(snapshot(1, []), |site| site.records = records);
    for path in ["/disconnects", "/disconnects/records.csv"] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")), "{path}");
        assert!(answer.text().contains("That took too long. Narrow the range or the filters."), "{path}");
    }
    assert!(server.get("/disconnects").text().contains("<form"));
}

#[test]
fn a_file_that_has_to_end_says_where_the_next_one_begins() {
    let server = server((0..20_500).map(|n| of_stream(n % 3_000, "room")));
    let first = server.get("/disconnects/records.csv?range=1h");
    assert_eq!(first.text().lines().count(), 20_001);
    assert_eq!(
        first.header("content-disposition").unwrap().find("attachment; filename=\"disconnects_20260101T0"),
        Some(0)
    );
    let next = first.header("link").unwrap().strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    let second = server.get(&format!("/disconnects/{next}"));
    assert_eq!((second.text().lines().count(), second.header("link")), (501, None));
}

#[test]
fn a_page_is_packed_as_the_browser_likes_it() {
    let server = rooms(60);
    let path = "/disconnects?lang=zh";
    let plain = server.get(path);
    assert_eq!(plain.header("content-encoding"), None);
    for (accepted, coding) in [("gzip, deflate, br, zstd", "zstd"), ("gzip, deflate, br", "gzip")] {
        let answer = server.ask("GET", path, &[("Accept-Encoding", accepted)]);
        assert_eq!((answer.status, answer.header("content-encoding")), (200, Some(coding)));
        assert!(answer.body.len() * 5 < plain.body.len(), "{coding}: {} of {}", answer.body.len(), plain.body.len());
        let mut unpacked = Vec::new();
        match coding {
            "zstd" => zstd::stream::copy_decode(&answer.body[..], &mut unpacked).unwrap(),
            _ => drop(flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut unpacked).unwrap()),
        }
        assert_eq!(unpacked, plain.body, "{coding}");
        let file = server.ask("GET", "/disconnects/records.csv", &[("Accept-Encoding", accepted)]);
        assert_eq!(file.header("content-encoding"), Some(coding));
    }
}

/// Relative luminance of `#rrggbb`, WCAG 2.2.
fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

#[test]
fn every_class_stands_out_from_its_ground_in_both_schemes() {
    let server = rooms(1);
    let sheet = server.get("/layout.css");
    let schemes: Vec<&str> =
        sheet.text().split(":root {").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert_eq!(schemes.len(), 2, "light and dark");
    for scheme in schemes {
        let colour = |name: &str| {
            let value = scheme.split(&format!("--{name}: ")).nth(1).unwrap_or_else(|| panic!("no colour of {name}"));
            luminance(&value[..7])
        };
        let contrast = |one: f64, other: f64| (one.max(other) + 0.05) / (one.min(other) + 0.05);
        for class in Class::ALL {
            let of = contrast(colour(class.as_str()), colour("card"));
            assert!(of >= 3.0, "{}: {of:.2}", class.as_str());
            assert!(sheet.text().contains(&format!(".c-{} {{ fill: var(--{0}); }}", class.as_str())));
        }
        for (text, ground) in
            [("text", "card"), ("quiet", "card"), ("quiet", "ground"), ("link", "card"), ("bad", "bad-ground")]
        {
            let of = contrast(colour(text), colour(ground));
            assert!(of >= 4.5, "{text} on {ground}: {of:.2}");
        }
    }
}

#[test]
fn head_and_other_methods_are_answered_as_everywhere() {
    let server = rooms(1);
    for path in ["/disconnects", "/disconnects/records.csv", "/layout.css"] {
        let answer = server.ask("POST", path, &[("Content-Length", "0")]);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{path}");
        assert_eq!(server.ask("HEAD", path, &[]).status, 200, "{path}");
        assert_eq!(server.get(path).header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    for path in ["/disconnects/", "/disconnects/x", "/disconnects/records.csv/"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

/// What has broken out of other pages: markup, attributes, addresses, templates, encodings, directions.
const PAYLOADS: [&str; 42] = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<ScRiPt src=//evil.example>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert&#40;1)</script>",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "<math><mi//xlink:href=\"data:x,<script>alert(1)</script>\">",
    "<style>*{display:none}</style>",
    "<link rel=stylesheet href=//evil.example>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<form action=//evil.example><input name=x>",
    "<a href=javascript:alert(1)>x</a>",
    "</td></tr></table><h1>hacked</h1>",
    "</bdi></a></body></html><p>",
    "</title><b>x",
    "</textarea><b>x",
    "<!--",
    "--><b>x</b>",
    "<![CDATA[x]]>",
    "<?xml version=\"1.0\"?>",
    "<!DOCTYPE html>",
    "\"><b>x",
    "'><b>x",
    "\" onmouseover=\"alert(1)",
    "' onmouseover='alert(1)",
    "` onmouseover=alert(1)",
    "x\" style=\"position:fixed",
    "javascript:alert(1)",
    "data:text/html,<b>x",
    "//evil.example/",
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)} #{7*7} <%= 7*7 %>",
    "&lt;b&gt; &#60;b&#62; &amp;quot;",
    "%3Cscript%3E%22%27",
    "\u{202e}gnp.exe\u{2066}<b>",
    "a\u{0}b<b>\u{1b}[31m",
    "line\r\n\r\n<b>x</b>",
    "＜script＞\u{feff}<b\u{200b}>",
    "\u{fffd}<b>\u{2028}x",
];

/// Each payload alone and among others, 504 in all.
fn corpus() -> Vec<String> {
    let around = ["", "room_1", "房间", "\"", "'", ">", "<", "=", "&", " ", "\t", "]]>"];
    let with = |around: &'static str| PAYLOADS.iter().map(move |payload| format!("{around}{payload}{around}"));
    around.into_iter().flat_map(with).collect()
}

#[test]
fn h1_no_name_becomes_markup_an_attribute_or_a_link_out() {
    let corpus = corpus();
    assert!(corpus.len() >= 500, "{}", corpus.len());
    // All that strangers and the API choose is the payload; each in its own second.
    let session = |(n, text): (i64, &String)| PushSession {
        domain: Name::from(text.as_str()),
        app: Name::from(text.as_str()),
        stream: Name::from(text.as_str()),
        client_ip: text.clone(),
        reason_text: text.clone(),
        resolution: text.clone(),
        ..ended(n)
    };
    let tame: Vec<String> = (0..corpus.len()).map(|n| format!("name-{n}")).collect();
    let page = |texts: &[String], account: &str| {
        let records = records_of(account, (0..).zip(texts).map(session), PATIENCE);
        let server = Server::with(snapshot(1, []), |site| site.records = records);
        let answer = server.get("/disconnects?limit=1000&lang=en");
        assert_eq!(answer.status, 200);
        parsed(&answer.body)
    };
    let (hostile, expected) = (page(&corpus, PAYLOADS[0]), page(&tame, "main"));
    assert_eq!(hostile.shape.len(), expected.shape.len());
    for (at, (got, wanted)) in hostile.shape.iter().zip(&expected.shape).enumerate() {
        assert_eq!(got, wanted, "element {at}");
    }
    for link in &hostile.links {
        let relative = ["disconnects", "?", "#", "./", "metrics", "layout.css?", "zone.js?", "favicon.svg?"];
        assert!(relative.iter().any(|start| link.starts_with(start)), "{link}");
        assert!(link.is_ascii() && !link.contains(['<', '>', '"', '\'', ' ']), "{link}");
    }
    // As text they are all there.
    for payload in PAYLOADS.iter().filter(|payload| payload.chars().all(|c| !c.is_control() && c < '\u{200b}')) {
        assert!(hostile.text.contains(payload), "{payload}");
    }
}

#[test]
fn h1_no_parameter_becomes_markup_an_attribute_or_a_link_out() {
    let server = rooms(1);
    let ask = |text: &str| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for key in ["domain", "app", "stream"] {
            query.append_pair(key, text);
        }
        let answer = server.get(&format!("/disconnects?{}", query.finish()));
        assert_eq!(answer.status, 200, "{text:?}");
        parsed(&answer.body)
    };
    let expected = ask("name");
    for payload in corpus() {
        let page = ask(&payload);
        assert_eq!(page.shape, expected.shape, "{payload:?}");
        assert!(page.links.iter().all(|link| !link.contains(['<', '>', '"', '\'', ' ', '\n'])), "{payload:?}");
    }
}

#[test]
fn h1_no_name_reorders_or_hides_what_stands_beside_it() {
    let long = "长".repeat(10_000);
    let server = server([of_stream(1, "\u{202e}gnp.exe"), of_stream(2, "a\nb\u{200b}c"), of_stream(3, &long)]);
    let answer = server.get("/disconnects");
    let html = answer.text();
    for text in ["⟨U+202E⟩gnp.exe", "a␊b⟨U+200B⟩c"] {
        assert!(html.contains(&format!("<bdi>{text}</bdi>")), "{text}");
    }
    assert!(!html.contains(['\u{202e}', '\u{200b}', '\n']));
    assert_eq!(streams(&answer)[2].chars().count(), 201, "a name of any length leaves the page readable");
    assert!(html.len() < 100_000, "{}", html.len());
}

#[test]
fn h2_a_file_for_spreadsheets_has_no_cell_that_is_a_formula() {
    let formulas =
        ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "＝1", "a\",=1,\"", "x\r\n=1"];
    let session = |(n, text): (i64, &&str)| PushSession {
        client_ip: (*text).to_owned(),
        reason_text: (*text).to_owned(),
        ..of_stream(n, text)
    };
    let server = server((0..).zip(&formulas).map(session));
    let file = server.get("/disconnects/records.csv");
    assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    let rows = spreadsheet(file.text().strip_prefix('\u{feff}').unwrap());
    assert_eq!(rows.len(), 1 + formulas.len());
    for (row, formula) in rows[1..].iter().zip(formulas) {
        assert_eq!(row.len(), rows[0].len(), "{row:?}");
        let starts = ["=", "+", "-", "@", "\t", "\r", "＝"];
        assert!(!row.iter().any(|cell| starts.iter().any(|start| cell.starts_with(start))), "{row:?}");
        assert_eq!(row[5].trim_start_matches('\''), formula, "the name itself is whole");
    }
}

/// Rows and cells as RFC 4180 reads them.
fn spreadsheet(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut characters) = (false, text.chars().peekable());
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {
                assert_eq!(characters.next(), Some('\n'), "a line ends in CR LF");
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    rows
}

#[test]
fn h3_no_parameter_makes_a_page_larger_than_its_bounds() {
    let server = rooms(1_200);
    for (query, records) in [
        ("limit=1000000000", 1_000),
        ("limit=99999999999999999999999999", 1_000),
        ("limit=1001", 1_000),
        ("limit=0", 1),
        ("limit=-5", 1),
        ("limit=-99999999999999999999999999", 1),
        ("limit=20", 20),
        ("limit=", 50),
        ("", 50),
    ] {
        let answer = server.get(&format!("/disconnects?{query}"));
        assert_eq!((answer.status, streams(&answer).len()), (200, records), "{query}");
    }
    for query in
        ["limit=１０", "limit=ten", "limit=1e3", "limit=0x10", "limit=+5", "limit= 5", "limit=5.5", "limit=%00"]
    {
        let query = query.replace(' ', "%20");
        assert_eq!(server.get(&format!("/disconnects?{query}")).status, 400, "{query}");
    }
    for (query, start) in [
        ("start=0", "1970-01-01 00:00:00 – 1970-01-31 00:00:00 UTC"),
        ("start=0&end=1767230000", "2025-12-02 01:13:20 – 2026-01-01 01:13:20 UTC"),
        ("start=0&end=253402207200", "9999-11-30 22:00:00 – 9999-12-30 22:00:00 UTC"),
        ("range=30d", "2025-12-02 01:13:20 – 2026-01-01 01:13:20 UTC"),
    ] {
        let page = parsed(&server.get(&format!("/disconnects?{query}&lang=en")).body).text;
        assert!(page.contains(start), "{query}: {page}");
        assert_eq!(page.contains("The range is longer than 30 days"), query != "range=30d", "{query}");
    }
}

#[test]
fn h4_what_is_refused_is_never_repeated() {
    let server = rooms(1);
    let canary = "canary-5c1f";
    for key in ["match", "reason", "class", "range", "start", "end", "limit", "tz", "cursor"] {
        for value in [canary.to_owned(), format!("%3Cb%3E{canary}"), format!("{canary}%0d%0aSet-Cookie:x")] {
            for path in ["/disconnects", "/disconnects/records.csv"] {
                let answer = server.get(&format!("{path}?stream=a&{key}={value}"));
                assert_eq!(answer.status, 400, "{path} {key}");
                assert!(!answer.text().contains(canary), "{path} {key}: {}", answer.text());
                assert!(answer.headers.iter().all(|(_, value)| !value.contains(canary)), "{path} {key}");
            }
        }
    }
    let long = "x".repeat(257);
    let answer = server.get(&format!("/disconnects?domain={long}&lang=zh"));
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("名称超过 256 字节") && !answer.text().contains(&long));
    let page = server.get("/disconnects?reason=rain&tz=Mars&lang=en");
    for told in ["Nothing was looked up", "reason is not in the taxonomy", "Asia/Shanghai) or an offset"] {
        assert!(page.text().contains(told), "{told}");
    }
    assert!(streams(&page).is_empty() && page.text().contains("<form"));
}
