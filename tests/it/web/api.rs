//! `/api/v1/*`: answers, refusals, and the file that says what they are.

use serde_json::Value;
use tencent_live_exporter::ledger::{Ledger as _, Posting, Record};
use tencent_live_exporter::reason::TABLE;
use tencent_live_exporter::session::{Fact, GroupKey, Name, PushSession};
use yaml_rust2::{Yaml, YamlLoader};

use super::*;

const PATHS: [&str; 4] = ["/api/v1/disconnects", "/api/v1/reasons", "/api/v1/status", "/api/v1/openapi.yaml"];

const START: i64 = 1_767_225_600;

fn record(n: u64, stream: &[u8]) -> Record {
    let end = START + i64::try_from(n).unwrap();
    let session = PushSession {
        domain: "push.example.com".into(),
        app: "live".into(),
        stream: Name::new(stream),
        start: end - 60,
        end,
        reason_text: if n.is_multiple_of(2) { "推流链路网络异常" } else { "推流客户端主动断流" }.into(),
        client_ip: "203.0.113.0/24".into(),
        duration: Some(59),
        resolution: "1280*720".into(),
    };
    let fact = Fact { end, reason: 1, address: 2 };
    let group = GroupKey(u128::from(n).to_le_bytes());
    Record { account: "main".into(), group, fact, session, first_seen: end + 5, counted: true }
}

/// A server with these streams in its records, the newest last.
fn server(streams: &[&[u8]]) -> Server {
    // A busy machine wants more patience.
    server_with(streams, |records| records.patience(Duration::from_secs(60)))
}

fn server_with(streams: &[&[u8]], change: impl FnOnce(Records) -> Records) -> Server {
    let mut ledger = SqliteLedger::in_memory().unwrap();
    let records = (0..).zip(streams).map(|(n, stream)| record(n, stream)).collect();
    ledger.commit(&Posting { records, ..Posting::default() }).unwrap();
    // Books in memory live as long as somebody can ask for them.
    let records = ledger.records(Classifier::new(&[]), Arc::new(SystemClock::new()));
    Server::with(snapshot(1, []), |site| site.records = Arc::new(change(records)))
}

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_slice(&answer.body).unwrap()
}

fn streams(server: &Server, query: &str) -> Vec<String> {
    let answer = server.get(&format!("/api/v1/disconnects?{query}"));
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    let answer = json(&answer);
    let disconnects = answer["data"]["disconnects"].as_array().unwrap().iter();
    disconnects.map(|one| one["stream"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_record_is_told_whole_in_the_envelope_of_prometheus() {
    let server = server(&[b"room"]);
    let expected = serde_json::json!({
        "status": "success",
        "data": {
            "disconnects": [{
                "account": "main", "domain": "push.example.com", "app": "live", "stream": "room",
                "start": "2025-12-31T23:59:00Z", "end": "2026-01-01T00:00:00Z", "duration_seconds": 59,
                "client_ip": "203.0.113.0/24", "reason": "network_error", "class": "network",
                "reason_text": "推流链路网络异常", "resolution": "1280*720",
                "first_seen": "2026-01-01T00:00:05Z", "counted": true,
            }],
            "next_cursor": null,
        },
    });
    assert_eq!(json(&server.get("/api/v1/disconnects")), expected);
}

#[test]
fn pages_are_newest_first_and_go_on_at_their_cursor() {
    let names: Vec<String> = (0..25).map(|n| format!("room_{n}")).collect();
    let server = server(&names.iter().map(String::as_bytes).collect::<Vec<_>>());
    let mut found = Vec::new();
    let mut path = "/api/v1/disconnects?limit=10".to_owned();
    loop {
        let answer = json(&server.get(&path));
        let page = answer["data"]["disconnects"].as_array().unwrap();
        found.extend(page.iter().map(|one| one["stream"].as_str().unwrap().to_owned()));
        let Some(cursor) = answer["data"]["next_cursor"].as_str() else { break };
        path = format!("/api/v1/disconnects?limit=10&cursor={cursor}");
    }
    assert_eq!(found, names.iter().rev().cloned().collect::<Vec<_>>());
}

#[test]
fn every_parameter_narrows_down() {
    let server = server(&[b"room_1", b"room_2", b"hall_1"]);
    for (query, expected) in [
        ("", vec!["hall_1", "room_2", "room_1"]),
        ("stream=room_1", vec!["room_1"]),
        ("stream=room_1&match=exact", vec!["room_1"]),
        ("stream=_1&match=contains", vec!["hall_1", "room_1"]),
        ("reason=network_error", vec!["hall_1", "room_1"]),
        ("class=client", vec!["room_2"]),
        ("domain=push.example.com&app=live&limit=1", vec!["hall_1"]),
        ("app=vip", vec![]),
        ("start=2026-01-01T00:00:01Z", vec!["hall_1", "room_2"]),
        ("start=1767225601&end=1767225601.9", vec!["room_2"]),
        ("start=5&end=4", vec![]),
    ] {
        assert_eq!(streams(&server, query), expected, "{query}");
    }
}

#[test]
fn hostile_names_come_back_exactly() {
    let names = HOSTILE.iter().copied().chain(["a\0b", "%", "_", "' OR 1=1 --"]);
    let names: Vec<&str> = names.collect();
    let server = server(&names.iter().map(|name| name.as_bytes()).collect::<Vec<_>>());
    for name in &names {
        let encoded: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        assert_eq!(streams(&server, &format!("stream={encoded}")), [*name], "{name:?}");
        let containing = names.iter().rev().filter(|other| other.contains(name)).copied().collect::<Vec<_>>();
        assert_eq!(streams(&server, &format!("stream={encoded}&match=contains")), containing, "{name:?}");
    }
}

#[test]
fn h3_h4_what_is_no_question_is_refused_with_what_is_accepted_and_without_an_echo() {
    let server = server(&[b"room"]);
    for path in [
        "/api/v1/disconnects?limit=1000000000",
        "/api/v1/disconnects?limit=-1",
        "/api/v1/disconnects?limit=%D9%A1",
        "/api/v1/disconnects?canary=%3Cscript%3E",
        "/api/v1/disconnects?reason=canary",
        "/api/v1/disconnects?start=canary",
        "/api/v1/disconnects?cursor=canary",
        "/api/v1/disconnects?stream=canary&stream=canary",
        "/api/v1/reasons?canary",
        "/api/v1/status?canary=1",
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 400, "{path}");
        assert!(!answer.text().contains("canary") && !answer.text().contains("script"), "{path}: {}", answer.text());
        let answer = json(&answer);
        assert_eq!((&answer["status"], &answer["errorType"]), (&"error".into(), &"bad_data".into()), "{path}");
        assert!(answer["error"].as_str().unwrap().len() > 10, "{path}");
    }
}

#[test]
fn a_question_that_takes_too_long_is_cut_off_and_told_so() {
    let server = server_with(&[b"room"], |records| records.patience(Duration::ZERO));
    let answer = server.get("/api/v1/disconnects");
    assert_eq!(answer.status, 503);
    assert_eq!(json(&answer)["errorType"], "timeout");
    assert!(json(&answer)["error"].as_str().unwrap().contains("narrow the range"));
    assert_eq!(server.get("/metrics").status, 200);
}

#[test]
fn status_tells_of_accounts_and_series() {
    let overflowed = (StreamLabels { stream: "__overflow__".into(), ..series("", 1).0 }, 1, START);
    let server = Server::start(snapshot(1, [series("room", 2), overflowed]));
    let account = |answer: &Value, key: &str| answer["data"]["accounts"][0][key].clone();
    let before = json(&server.get("/api/v1/status"));
    assert_eq!((&before["data"]["healthy"], &before["data"]["ready"]), (&true.into(), &false.into()));
    assert_eq!((account(&before, "last_poll"), account(&before, "watermark")), (Value::Null, Value::Null));
    server.board.update("main <b>&", |account| {
        account.last_poll = Some(START);
        account.watermark = Some(START - 60);
        account.last_error = Some("no route <b>".into());
    });
    let after = json(&server.get("/api/v1/status"));
    assert_eq!(account(&after, "name"), "main <b>&");
    assert_eq!(account(&after, "last_poll"), "2026-01-01T00:00:00Z");
    assert_eq!(account(&after, "watermark"), "2025-12-31T23:59:00Z");
    assert_eq!(account(&after, "last_error"), "no route <b>");
    let series = &after["data"]["series"];
    let expected = serde_json::json!({
        "published": 2, "limit": 50_000, "idle": 0, "held": 1, "held_disconnects": 2, "overflowed": 1,
    });
    assert_eq!((series, &after["data"]["ready"]), (&expected, &true.into()));
}

#[test]
fn the_taxonomy_is_told_in_full() {
    let answer = json(&Server::start(snapshot(1, [])).get("/api/v1/reasons"));
    let reasons = answer["data"]["reasons"].as_array().unwrap();
    assert_eq!(reasons.len(), TABLE.len());
    for (told, entry) in reasons.iter().zip(&TABLE) {
        assert_eq!((told["reason"].as_str(), told["class"].as_str()), (Some(entry.name), Some(entry.class.as_str())));
        assert_eq!(told["description"].as_str(), entry.en.first().copied(), "{}", entry.name);
        assert_eq!(told["description_zh"].as_str(), entry.zh.first().copied(), "{}", entry.name);
    }
}

#[test]
fn f15_every_path_is_read_only_and_carries_the_protective_headers() {
    let server = server(&[b"room"]);
    for path in PATHS {
        for (method, status) in
            [("GET", 200), ("HEAD", 200), ("POST", 405), ("PUT", 405), ("DELETE", 405), ("PATCH", 405)]
        {
            let answer = server.ask(method, path, &[]);
            assert_eq!(answer.status, status, "{method} {path}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{method} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{method} {path}");
            assert_eq!(answer.header("allow"), (status == 405).then_some("GET, HEAD"), "{method} {path}");
            if path != PATHS[3] {
                assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {path}");
            }
        }
    }
    assert_eq!(server.get("/api/v1/").status, 404);
    assert_eq!(server.get("/api/v1/disconnects/").status, 404);
}

/// The file that describes all of it, as it is served.
struct File(Yaml);

impl File {
    fn served_by(server: &Server) -> Self {
        let answer = server.get(PATHS[3]);
        assert_eq!(answer.header("content-type"), Some("application/yaml"));
        Self(YamlLoader::load_from_str(answer.text()).unwrap().remove(0))
    }

    /// `schema`, or what it refers to.
    fn resolve<'a>(&'a self, schema: &'a Yaml) -> &'a Yaml {
        let Some(place) = schema["$ref"].as_str() else { return schema };
        place.trim_start_matches("#/").split('/').fold(&self.0, |at, key| &at[key])
    }

    /// What of `value` is not as `schema` says, and where.
    fn wrong(&self, schema: &Yaml, value: &Value, at: &str) -> Vec<String> {
        let schema = self.resolve(schema);
        let no = |what: &str| vec![format!("{at}: {value} {what}")];
        if value.is_null() {
            return if schema["nullable"].as_bool() == Some(true) { Vec::new() } else { no("is null") };
        }
        if let Some(all) = schema["allOf"].as_vec() {
            return all.iter().flat_map(|schema| self.wrong(schema, value, at)).collect();
        }
        if let Some(allowed) = schema["enum"].as_vec()
            && !allowed.iter().any(|one| one.as_str() == value.as_str())
        {
            return no("is not in the list");
        }
        let pattern = schema["pattern"].as_str().map(|pattern| regex::Regex::new(pattern).unwrap());
        match (schema["type"].as_str().unwrap(), value) {
            ("object", Value::Object(fields)) => {
                let properties = schema["properties"].as_hash().unwrap();
                let required = schema["required"].as_vec().unwrap();
                assert_eq!(schema["additionalProperties"].as_bool(), Some(false), "{at}");
                assert_eq!(required.len(), properties.len(), "{at}: every field is always there");
                let missing = required.iter().filter(|key| !fields.contains_key(key.as_str().unwrap()));
                let mut wrong: Vec<_> = missing.map(|key| format!("{at}: no {key:?}")).collect();
                for (key, value) in fields {
                    match properties.get(&Yaml::String(key.clone())) {
                        Some(schema) => wrong.extend(self.wrong(schema, value, &format!("{at}.{key}"))),
                        None => wrong.push(format!("{at}: {key} is not described")),
                    }
                }
                wrong
            }
            ("array", Value::Array(items)) => {
                items.iter().flat_map(|item| self.wrong(&schema["items"], item, &format!("{at}[]"))).collect()
            }
            ("string", Value::String(text)) => match (schema["format"].as_str(), pattern) {
                (Some("date-time"), _) if text.parse::<jiff::Timestamp>().is_err() => no("is no time"),
                (_, Some(pattern)) if !pattern.is_match(text) => no("does not match"),
                _ => Vec::new(),
            },
            ("integer", Value::Number(number)) if number.is_u64() => Vec::new(),
            ("boolean", Value::Bool(_)) => Vec::new(),
            (wanted, _) => no(&format!("is no {wanted}")),
        }
    }

    fn holds_for(&self, path: &str, answer: &Answer) {
        let response = &self.0["paths"][path]["get"]["responses"][&*answer.status.to_string()];
        let response = self.resolve(response);
        let schema = &response["content"]["application/json"]["schema"];
        assert!(!schema.is_badvalue(), "{path}: {} is not described", answer.status);
        assert_eq!(self.wrong(schema, &json(answer), path), [""; 0]);
    }
}

#[test]
fn the_openapi_file_describes_every_path_parameter_and_answer() {
    let server = server(&[b"room", b"\xff", "房间".as_bytes()]);
    let file = File::served_by(&server);
    let described = file.0["paths"].as_hash().unwrap();
    assert_eq!(described.keys().map(|path| path.as_str().unwrap()).collect::<Vec<_>>(), PATHS);
    for operations in described.values() {
        assert_eq!(operations.as_hash().unwrap().keys().collect::<Vec<_>>(), [&Yaml::String("get".into())]);
    }

    let parameters = file.0["paths"][PATHS[0]]["get"]["parameters"].as_vec().unwrap();
    let names: Vec<&str> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
    let refused = json(&server.get("/api/v1/disconnects?no=1"));
    assert_eq!(refused["error"], format!("unknown parameter; there are {}", names.join(", ")));
    for schema in parameters.iter().map(|parameter| (&parameter["name"], file.resolve(&parameter["schema"]))) {
        let (name, schema) = (schema.0.as_str().unwrap(), schema.1);
        for value in schema["enum"].as_vec().into_iter().flatten() {
            let path = format!("/api/v1/disconnects?{name}={}", value.as_str().unwrap());
            assert_eq!(server.get(&path).status, 200, "{path}");
        }
        if let Some(most) = schema["maximum"].as_i64() {
            assert_eq!(server.get(&format!("/api/v1/disconnects?{name}={most}")).status, 200);
            assert_eq!(server.get(&format!("/api/v1/disconnects?{name}={}", most + 1)).status, 400);
        }
    }
    let listed = |schema: &str| -> Vec<String> {
        let names = file.0["components"]["schemas"][schema]["enum"].as_vec().unwrap();
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed("ReasonName"), TABLE.iter().map(|entry| entry.name).collect::<Vec<_>>());
    assert_eq!(listed("ClassName"), Class::ALL.map(Class::as_str));

    server.board.update("main <b>&", |account| {
        account.last_poll = Some(START);
        account.last_error = Some("no route".into());
    });
    for path in ["/api/v1/disconnects?limit=2", "/api/v1/disconnects?limit=0", "/api/v1/reasons", "/api/v1/status"] {
        file.holds_for(path.split('?').next().unwrap(), &server.get(path));
    }
    let slow = server_with(&[b"room"], |records| records.patience(Duration::ZERO));
    file.holds_for(PATHS[0], &slow.get(PATHS[0]));
}
