//! TC3-HMAC-SHA256 as the server sees it: is this request signed with this key?
//!
//! Written from the public description (cloud.tencent.com 1093/35641) and on purpose without a line of the exporter's
//! own signing, so that the two check each other. It follows what the official SDKs really send: the Node SDK signs the
//! host without its port and takes the service from the first label of the endpoint, so both forms of the host are
//! tried and any service is taken; `X-TC-Content-SHA256: UNSIGNED-PAYLOAD` leaves the body out.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::clock::UnixSeconds;

/// The longest distance between `X-TC-Timestamp` and the API's clock, in seconds.
const TOLERANCE: i64 = 300;

/// The key pair the simulator accepts.
#[derive(Clone)]
pub struct Keys {
    /// `SecretId`, sent in the clear.
    pub secret_id: String,
    /// `SecretKey`, which signs.
    pub secret_key: String,
    /// The session token that `X-TC-Token` must carry; none for permanent keys, which must not send one.
    pub token: Option<String>,
}

impl Keys {
    /// A permanent key pair.
    #[must_use]
    pub fn new(secret_id: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self { secret_id: secret_id.into(), secret_key: secret_key.into(), token: None }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}

/// The parts of an HTTP request that a signature covers.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// The query string as sent, without `?`.
    pub query: &'a str,
    /// Header names in any case, with their values.
    pub headers: &'a [(String, String)],
    /// The body as sent.
    pub body: &'a [u8],
}

/// Why a request is refused; [`Refusal::code`] is the API's error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No `Authorization` header of the described form, or no usable `X-TC-Timestamp`.
    #[error("the authorization header is missing or malformed")]
    InvalidAuthorization,
    /// The `SecretId` is not ours.
    #[error("the SecretId is not found")]
    SecretIdNotFound,
    /// The timestamp is more than five minutes from the API's clock.
    #[error("the timestamp differs from the server's clock by more than five minutes")]
    SignatureExpire,
    /// The token is missing, unexpected or another one.
    #[error("the token is wrong")]
    TokenFailure,
    /// The signature does not fit the request and the key.
    #[error("the signature does not match")]
    SignatureFailure,
}

impl Refusal {
    /// The API's error code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Refusal::InvalidAuthorization => "AuthFailure.InvalidAuthorization",
            Refusal::SecretIdNotFound => "AuthFailure.SecretIdNotFound",
            Refusal::SignatureExpire => "AuthFailure.SignatureExpire",
            Refusal::TokenFailure => "AuthFailure.TokenFailure",
            Refusal::SignatureFailure => "AuthFailure.SignatureFailure",
        }
    }
}

impl SignedRequest<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn timestamp(&self) -> Option<UnixSeconds> {
        self.header("x-tc-timestamp")?.parse().ok()
    }

    /// The canonical request, with `host` in place of the `Host` header; none where a signed header was not sent.
    fn canonical(&self, signed_headers: &str, host: &str) -> Option<String> {
        let mut canonical = format!("{}\n/\n{}\n", self.method, self.query);
        for name in signed_headers.split(';') {
            let value = match name {
                "host" => host.to_owned(),
                "content-type" => self.header(name)?.to_owned(),
                _ => self.header(name)?.to_lowercase(),
            };
            canonical.extend([name, ":", value.as_str(), "\n"]);
        }
        let unsigned = self.header("x-tc-content-sha256").filter(|value| *value == "UNSIGNED-PAYLOAD");
        let payload = unsigned.map_or(self.body, str::as_bytes);
        canonical.extend(["\n", signed_headers, "\n", hex(&Sha256::digest(payload)).as_str()]);
        Some(canonical)
    }

    /// The signature of this request in lower-case hex, over `signed_headers` (`;` between the names) and with `host`
    /// standing for the `Host` header; none where the timestamp or a signed header is missing.
    #[must_use]
    pub fn signature(&self, secret_key: &str, service: &str, signed_headers: &str, host: &str) -> Option<String> {
        let timestamp = self.timestamp()?;
        let date = utc_date(timestamp)?;
        let canonical = self.canonical(signed_headers, host)?;
        let digest = hex(&Sha256::digest(canonical.as_bytes()));
        let text = format!("TC3-HMAC-SHA256\n{timestamp}\n{date}/{service}/tc3_request\n{digest}");
        let mut key = format!("TC3{secret_key}").into_bytes();
        for part in [date.as_str(), service, "tc3_request"] {
            key = hmac(&key, part);
        }
        Some(hex(&hmac(&key, &text)))
    }

    /// The `Authorization` header that signs this request the way the Python SDK does: service `live`, headers
    /// `content-type` and `host`. None where one of them or `X-TC-Timestamp` is missing.
    #[must_use]
    pub fn authorization(&self, keys: &Keys) -> Option<String> {
        let signature = self.signature(&keys.secret_key, "live", "content-type;host", self.header("host")?)?;
        let date = utc_date(self.timestamp()?)?;
        Some(format!(
            "TC3-HMAC-SHA256 Credential={}/{date}/live/tc3_request, SignedHeaders=content-type;host, Signature={signature}",
            keys.secret_id
        ))
    }

    /// Accepts the request or says what is wrong with it, `now` being the API's clock.
    ///
    /// # Errors
    /// When the header is malformed, the key or token is another one, the timestamp is off, or the signature is wrong.
    pub fn check(&self, keys: &Keys, now: UnixSeconds) -> Result<(), Refusal> {
        let authorization = self.header("authorization").ok_or(Refusal::InvalidAuthorization)?;
        let claim = Claim::parse(authorization).ok_or(Refusal::InvalidAuthorization)?;
        let timestamp = self.timestamp().ok_or(Refusal::InvalidAuthorization)?;
        if claim.secret_id != keys.secret_id {
            return Err(Refusal::SecretIdNotFound);
        }
        if timestamp.saturating_sub(now).saturating_abs() > TOLERANCE {
            return Err(Refusal::SignatureExpire);
        }
        if self.header("x-tc-token") != keys.token.as_deref() {
            return Err(Refusal::TokenFailure);
        }
        let host = self.header("host").ok_or(Refusal::InvalidAuthorization)?;
        let bare = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let dated = utc_date(timestamp).is_some_and(|date| date == claim.date);
        let fits = |host: &str| {
            self.signature(&keys.secret_key, claim.service, claim.signed_headers, host).as_deref()
                == Some(claim.signature)
        };
        if dated && claim.covers_what_it_must() && (fits(host) || fits(bare)) {
            Ok(())
        } else {
            Err(Refusal::SignatureFailure)
        }
    }
}

/// What an `Authorization` header claims.
struct Claim<'a> {
    secret_id: &'a str,
    date: &'a str,
    service: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let fields = header.strip_prefix("TC3-HMAC-SHA256")?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=')?;
            match name {
                "Credential" => credential = Some(value),
                "SignedHeaders" => signed_headers = Some(value),
                "Signature" => signature = Some(value),
                _ => return None,
            }
        }
        let mut scope = credential?.rsplitn(4, '/');
        let (end, service, date, secret_id) = (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
        let (signed_headers, signature) = (signed_headers?, signature?);
        (end == "tc3_request").then_some(Self { secret_id, date, service, signed_headers, signature })
    }

    fn covers_what_it_must(&self) -> bool {
        ["content-type", "host"].iter().all(|must| self.signed_headers.split(';').any(|name| name == *must))
    }
}

fn utc_date(at: UnixSeconds) -> Option<String> {
    jiff::Timestamp::from_second(at).ok().map(|time| time.strftime("%Y-%m-%d").to_string())
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|half| char::from_digit(half.into(), 16)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// What a vector puts on the wire; the ones without a capture are put together from their input.
    fn headers_of(vector: &Value) -> Vec<(String, String)> {
        if let Some(wire) = vector["wire"]["headers"].as_array() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            return wire.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
        }
        let input = &vector["input"];
        vec![
            ("Host".into(), input["host"].as_str().unwrap().into()),
            ("Content-Type".into(), input["content_type"].as_str().unwrap().into()),
            ("X-TC-Timestamp".into(), input["timestamp"].to_string()),
        ]
    }

    #[test]
    fn every_signature_of_the_vectors_is_recomputed_and_accepted() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/signing/vectors.json");
        let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        assert!(vectors.len() >= 19);
        for vector in vectors {
            let (name, input, expect) = (&vector["name"], &vector["input"], &vector["expect"]);
            let text = |key: &str| input[key].as_str().unwrap();
            let mut headers = headers_of(vector);
            let body = text("body").as_bytes();
            let unsigned =
                SignedRequest { method: text("method"), query: text("query"), headers: &headers.clone(), body };
            let host = input["signed_host"].as_str().unwrap_or(text("host"));
            let signed_headers = expect["signed_headers"].as_str().unwrap();
            let signature = unsigned.signature(text("secret_key"), text("service"), signed_headers, host).unwrap();
            assert_eq!(expect["signature"], signature, "{name}");

            headers.retain(|(key, _)| key != "Authorization");
            headers.push((
                "Authorization".into(),
                format!(
                    "TC3-HMAC-SHA256 Credential={}/{}/{}/tc3_request, SignedHeaders={signed_headers}, Signature={signature}",
                    text("secret_id"),
                    text("date"),
                    text("service")
                ),
            ));
            let keys = Keys {
                secret_id: text("secret_id").into(),
                secret_key: text("secret_key").into(),
                token: input["token"].as_str().map(str::to_owned),
            };
            let request = SignedRequest { headers: &headers, ..unsigned };
            let at = input["timestamp"].as_i64().unwrap();
            assert_eq!(request.check(&keys, at + 300), Ok(()), "{name}");
            assert_eq!(request.check(&keys, at + 301), Err(Refusal::SignatureExpire), "{name}");
            let wrong = Keys { secret_key: "wrong".into(), ..keys };
            assert_eq!(request.check(&wrong, at), Err(Refusal::SignatureFailure), "{name}");
        }
    }

    #[test]
    fn an_action_that_is_signed_too_is_checked_in_lower_case() {
        // The middle edition of the official example: id and key with seven literal asterisks, x-tc-action signed.
        let headers = [
            ("Content-Type", "application/json; charset=utf-8"),
            ("Host", "cvm.tencentcloudapi.com"),
            ("X-TC-Action", "DescribeInstances"),
            ("X-TC-Timestamp", "1551113065"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let body = br#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#;
        let request = SignedRequest { method: "POST", query: "", headers: &headers, body };
        let signature = request.signature(
            "Gu5t9xGARNpq86cd98joQYCN3*******",
            "cvm",
            "content-type;host;x-tc-action",
            "cvm.tencentcloudapi.com",
        );
        assert_eq!(signature.as_deref(), Some("be4f67d323c78ab9acb7395e43c0dbcf822a9cfac32fea2449a7bc7726b770a3"));
    }

    #[test]
    fn what_is_not_signed_by_us_is_refused_with_the_code_of_the_api() {
        let keys = Keys::new("AKIDEXAMPLE", "EXAMPLEKEY");
        let signed = |extra: &[(&str, &str)], by: &Keys| {
            let mut headers: Vec<(String, String)> =
                [("Content-Type", "application/json"), ("Host", "127.0.0.1:1"), ("X-TC-Timestamp", "1000")]
                    .iter()
                    .chain(extra)
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect();
            let request = SignedRequest { method: "POST", query: "", headers: &headers, body: b"{}" };
            headers.push(("Authorization".into(), request.authorization(by).unwrap()));
            headers
        };
        let check = |headers: &[(String, String)], body: &[u8]| {
            SignedRequest { method: "POST", query: "", headers, body }.check(&keys, 1000)
        };
        assert_eq!(check(&signed(&[], &keys), b"{}"), Ok(()));
        assert_eq!(check(&signed(&[], &keys), b"{ }"), Err(Refusal::SignatureFailure));
        assert_eq!(check(&signed(&[("X-TC-Token", "t")], &keys), b"{}"), Err(Refusal::TokenFailure));
        assert_eq!(check(&signed(&[], &Keys::new("other", "EXAMPLEKEY")), b"{}"), Err(Refusal::SecretIdNotFound));
        assert_eq!(check(&[], b"{}"), Err(Refusal::InvalidAuthorization));
        assert_eq!(check(&[("Authorization".into(), "Basic x".into())], b"{}"), Err(Refusal::InvalidAuthorization));
    }
}
