//! Signatures agree, stage by stage, with those of Tencent's own clients and documents.
//!
//! `tests/vectors/signing/vectors.json` says of every vector which client or document made it. The vectors in
//! [`DOCUMENTED`] are the examples of the signature page in its later editions, which sign `x-tc-action` too.

use serde_json::Value;
use tencent_live_exporter::secret::Secret;
use tencent_live_exporter::signing::{self, Key, Payload, Request, Scope};

const VECTORS: &str = include_str!("../vectors/signing/vectors.json");

/// So many vectors there are; a lost one fails.
const COUNT: usize = 19;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[test]
fn b13_every_vector_is_met_at_every_stage() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), COUNT);
    let mut stages = [0; 4];
    for vector in vectors {
        let (name, input, expect) = (vector["name"].as_str().unwrap(), &vector["input"], &vector["expect"]);
        let text = |key: &str| input[key].as_str().unwrap_or_else(|| panic!("{name}: no {key}"));
        let host = input["signed_host"].as_str().unwrap_or_else(|| text("host"));
        let unsigned = input["unsigned_payload"].as_bool().unwrap_or(false);
        let headers = [("Content-Type", text("content_type")), ("Host", host)];
        let request = Request {
            method: text("method"),
            query: text("query"),
            headers: &headers,
            payload: if unsigned { Payload::Unsigned } else { Payload::Body(text("body").as_bytes()) },
        };
        let at = input["timestamp"].as_i64().unwrap();
        let secret = Secret::new(text("secret_key"));

        let canonical = request.canonical();
        assert_eq!(canonical.signed_headers, expect["signed_headers"], "{name}");
        if let Some(expected) = expect["canonical_request"].as_str() {
            assert_eq!(canonical.text, expected, "{name}");
            stages[0] += 1;
        }
        if let Some(expected) = expect["canonical_request_sha256"].as_str() {
            assert_eq!(canonical.sha256(), expected, "{name}");
            stages[0] += 1;
        }
        let scope = Scope::new(text("service"), at);
        assert_eq!(scope.date(), text("date"), "{name}");
        let to_sign = scope.string_to_sign(&canonical);
        if let Some(expected) = expect["string_to_sign"].as_str() {
            assert_eq!(to_sign, expected, "{name}");
            stages[1] += 1;
        }
        let date_key = Key::of_date(&secret, scope.date());
        let service_key = date_key.derive(text("service"));
        let key = scope.signing_key(&secret);
        for (stage, key) in [("k_date", &date_key), ("k_service", &service_key), ("k_signing", &key)] {
            if let Some(expected) = expect[stage].as_str() {
                assert_eq!(hex(key.expose()), expected, "{name}: {stage}");
                stages[2] += 1;
            }
        }
        let signature = key.sign(&to_sign);
        assert_eq!(signature, expect["signature"], "{name}");
        let authorization = scope.authorization(text("secret_id"), &canonical, &signature);
        assert_eq!(authorization, signing::authorization(&request, text("secret_id"), &secret, text("service"), at));
        if let Some(expected) = expect["authorization"].as_str() {
            assert_eq!(authorization, expected, "{name}");
            stages[3] += 1;
        }
    }
    assert_eq!(stages, [COUNT, COUNT - 1, 3, COUNT - 1], "every stage was compared");
}

/// Body of the example in the signature page.
const DOCUMENTED_BODY: &str =
    r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#;

/// One edition of the signature page: secret key, hash of the canonical request, signature.
const DOCUMENTED: [(&str, &str, &str); 2] = [
    (
        "Gu5t9xGARNpq86cd98joQYCN3*******",
        "7019a55be8395899b900fb5564e4200d984910f34794a27cb3fb7d10ff6a1e84",
        "be4f67d323c78ab9acb7395e43c0dbcf822a9cfac32fea2449a7bc7726b770a3",
    ),
    (
        "********************************",
        "7019a55be8395899b900fb5564e4200d984910f34794a27cb3fb7d10ff6a1e84",
        "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f",
    ),
];

#[test]
fn b13_a_signed_action_header_gives_the_signature_of_the_newer_documents() {
    for (secret_key, canonical_sha256, signature) in DOCUMENTED {
        let headers = [
            ("Content-Type", "application/json; charset=utf-8"),
            ("Host", "cvm.tencentcloudapi.com"),
            ("X-TC-Action", "DescribeInstances"),
        ];
        let payload = Payload::Body(DOCUMENTED_BODY.as_bytes());
        let request = Request { method: "POST", query: "", headers: &headers, payload };
        let canonical = request.canonical();
        assert_eq!(canonical.signed_headers, "content-type;host;x-tc-action");
        assert_eq!(canonical.sha256(), canonical_sha256);
        let scope = Scope::new("cvm", 1_551_113_065);
        let key = scope.signing_key(&Secret::new(secret_key));
        assert_eq!(key.sign(&scope.string_to_sign(&canonical)), signature);
    }
}

#[test]
fn b13_this_exporters_own_kind_of_request_is_signed_as_tencents_client_signs_it() {
    let body = r#"{"StartTime":"2019-01-04T12:00:00Z","EndTime":"2019-01-04T20:00:00Z","PageNum":1,"PageSize":100}"#;
    for (payload, signature) in [
        (Payload::Body(body.as_bytes()), "738f2590134d78c46d7edd7d9d59445fe12ce3e44c57ebf316040d7435650429"),
        (Payload::Unsigned, "e14098e9d3f441aea5d06f4eef38d8d562c2ccf543dfbf86f2a68680969903d0"),
    ] {
        let headers = [("Content-Type", "application/json"), ("Host", "live.tencentcloudapi.com")];
        let request = Request { method: "POST", query: "", headers: &headers, payload };
        let secret = Secret::new("Gu5t9xGARNpq86cd98joQYCN3EXAMPLE");
        let id = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE";
        let authorization = signing::authorization(&request, id, &secret, "live", 1_546_632_000);
        assert!(authorization.ends_with(&format!("Signature={signature}")), "{authorization}");
    }
}

#[test]
fn b13_a_get_is_signed_over_its_query() {
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Host", "cvm.tencentcloudapi.com")];
    let request = Request { method: "GET", query: "Limit=10&Offset=0", headers: &headers, payload: Payload::Body(b"") };
    let scope = Scope::new("cvm", 1_539_084_154);
    assert_eq!(scope.date(), "2018-10-09");
    let key = scope.signing_key(&Secret::new("Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"));
    let signature = key.sign(&scope.string_to_sign(&request.canonical()));
    assert_eq!(signature, "5da7a33f6993f0614b047e5df4582db9e9bf4672ba50567dba16c6ccf174c474");
}
