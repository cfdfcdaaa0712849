//! The metadata service of a CVM, which hands out the keys of the role that is bound to the machine.
//!
//! It is the one place where plain HTTP to another host is right: it is reached over the machine's own link, and asked
//! without keys. Which host it is stands in the code and cannot be set. No proxy is asked on the way.
//!
//! Source: <https://cloud.tencent.com/document/product/213/4934> (instance metadata).

use std::sync::Arc;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use rustls::RootCertStore;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::CredentialsError;
use super::issued::{self, Issued};
use crate::clock::{Clock, UnixSeconds};
use crate::live::transport::{self, Body, SetupError};
use crate::live::wire::{self, Expiry};
use crate::live::{text, time};

/// Where the metadata service is.
pub const METADATA: &str = "http://metadata.tencentyun.com";

/// Where the roles are, below it.
const ROLES: &str = "/latest/meta-data/cam/security-credentials/";

/// Longest body that is read, in bytes.
const BODY_BYTES: usize = 64 * 1024;

/// Longest name of a role, in bytes.
const NAME_BYTES: usize = 128;

/// It answers at once where there is one; a machine elsewhere should not have to wait.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);

/// The metadata service.
pub struct Metadata {
    http: reqwest::Client,
    roles: Url,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metadata").field("roles", &self.roles.as_str()).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, rename = "Code")]
    code: Option<&'a RawValue>,
    #[serde(borrow, rename = "ExpiredTime")]
    expired_time: Option<&'a RawValue>,
    #[serde(borrow, rename = "Expiration")]
    expiration: Option<&'a RawValue>,
}

/// An answer with status 200.
struct Page {
    body: Zeroizing<Vec<u8>>,
    made_at: Option<UnixSeconds>,
}

impl Metadata {
    /// The service at `base`: [`METADATA`], or a stand-in on loopback. Nothing is asked yet.
    ///
    /// # Errors
    /// When `base` is anything else, or the HTTP client cannot be made.
    pub fn new(base: &str, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        let url = if base == METADATA {
            Url::parse(base).expect("a URL, written above")
        } else {
            transport::Endpoint::new(base)?.url
        };
        let http = transport::http_client(CONNECT_TIMEOUT, TOTAL_TIMEOUT, RootCertStore::empty(), None)?;
        Ok(Self { http, roles: url.join(ROLES).expect("a path, written above"), clock })
    }

    /// Asks for the role, then for its keys.
    pub(super) async fn issue(&self) -> Result<Issued, CredentialsError> {
        let Some(page) = self.get(self.roles.clone()).await? else {
            return Err(CredentialsError::NoRole { host: self.host() });
        };
        let role = role_name(&page.body).map_err(|problem| self.unusable(problem))?;
        let url = self.roles.join(role).expect("a name of a role is one part of a path");
        let Some(page) = self.get(url).await? else {
            return Err(self.unusable("it has no keys for the role that it names"));
        };
        let now = page.made_at.unwrap_or_else(|| self.clock.now());
        keys(&page.body, now).map_err(|problem| self.unusable(problem))
    }

    /// What is at `url`; nothing where there is no such page.
    async fn get(&self, url: Url) -> Result<Option<Page>, CredentialsError> {
        let silent = |error: reqwest::Error| CredentialsError::NoMetadata {
            host: self.host(),
            timeout: error.is_timeout(),
            source: Box::new(error.without_url()),
        };
        let response = self.http.get(url).send().await.map_err(silent)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(self.unusable(&format!("it answered with HTTP status {}", status.as_u16()))),
        }
        let made_at = time::of_answer(response.headers());
        match transport::read(response, BODY_BYTES).await.map_err(silent)? {
            Body::Whole(body) => Ok(Some(Page { body, made_at })),
            Body::Cut(_) => Err(self.unusable(&format!("its answer is longer than {BODY_BYTES} bytes"))),
        }
    }

    fn unusable(&self, problem: &str) -> CredentialsError {
        CredentialsError::Unusable {
            from: format!("the metadata service {}", self.host()),
            problem: problem.to_owned(),
        }
    }

    fn host(&self) -> String {
        self.roles.authority().to_owned()
    }
}

/// The name of the role that is bound: one word that cannot lead to another path.
fn role_name(body: &[u8]) -> Result<&str, &'static str> {
    let name = std::str::from_utf8(body).map_err(|_| "the name of its role is no text")?.trim();
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    if name.is_empty() {
        return Err("it names no role");
    }
    if name.len() > NAME_BYTES || !name.bytes().all(fit) || name.bytes().all(|byte| byte == b'.') {
        return Err("what it names is no role's name");
    }
    Ok(name)
}

/// The keys in an answer that was made at `now`.
fn keys(body: &[u8], now: UnixSeconds) -> Result<Issued, &'static str> {
    let body = std::str::from_utf8(body).map_err(|_| "its answer is no JSON object")?;
    let object: &RawValue = serde_json::from_str(body).map_err(|_| "its answer is no JSON object")?;
    let members: Members<'_> = wire::object(object.get()).map_err(|_| "its answer is no JSON object")?;
    if members.code.is_some_and(|code| text::lossy(Some(code), 32) != "Success") {
        return Err("its answer has a Code other than Success");
    }
    let credentials = issued::credentials(object)?;
    let Members { expired_time, expiration, .. } = members;
    Issued::new(credentials, issued::expiry(Expiry { expired_time, expiration })?, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_name_that_could_lead_elsewhere_is_no_role() {
        for name in ["role", "TKE_QCSRole", "a+b=c,d.e@f-g", "role\n", &"r".repeat(128)] {
            assert_eq!(role_name(name.as_bytes()), Ok(name.trim()));
        }
        for name in [
            "",
            "\n",
            ".",
            "..",
            "../../x",
            "a/b",
            "/a",
            "a\\b",
            "a?b",
            "a#b",
            "%2e%2e",
            "a b",
            "a\nb",
            "a\0b",
            "a\u{1b}b",
            "r\u{f6}le",
            "//evil.example.com",
            "http://evil.example.com",
            "<html>",
        ] {
            assert!(role_name(name.as_bytes()).is_err(), "{name:?}");
        }
        assert!(role_name(&[0xff]).is_err() && role_name("r".repeat(129).as_bytes()).is_err());
    }

    #[test]
    fn it_is_at_its_own_address_or_on_loopback_and_nowhere_else() {
        let clock = || Arc::new(ManualClock::new(0));
        assert_eq!(Metadata::new(METADATA, clock()).unwrap().host(), "metadata.tencentyun.com");
        assert!(Metadata::new("http://127.0.0.1:1", clock()).is_ok());
        for base in ["http://metadata.example.com", "http://169.254.0.23", "http://metadata.tencentyun.com.example.com"]
        {
            assert!(Metadata::new(base, clock()).is_err(), "{base}");
        }
    }

    #[test]
    fn what_is_no_key_is_told_without_what_stands_there() {
        let whole = r#"{"TmpSecretId":"canaryI","TmpSecretKey":"canaryK","Token":"canaryT","ExpiredTime":2000,"Code":"Success"}"#;
        assert_eq!(keys(whole.as_bytes(), 1000).map(|issued| issued.left.as_secs()), Ok(1000));
        assert!(keys(whole.replace(r#","Code":"Success""#, "").as_bytes(), 1000).is_ok());
        for (body, problem) in [
            ("", "its answer is no JSON object"),
            ("<html>canary", "its answer is no JSON object"),
            ("\"canary\"", "its answer is no JSON object"),
            (&whole[..40], "its answer is no JSON object"),
            (&whole.replace("Success", "canary"), "its answer has a Code other than Success"),
            (&whole.replace("Token", "Tokens"), "it has no Token"),
            (&whole.replace("2000", "1000"), "its keys have expired already"),
            (&whole.replace("2000", "\"canary\""), "it has no ExpiredTime and no Expiration"),
        ] {
            assert_eq!(keys(body.as_bytes(), 1000).map(|_| ()), Err(problem), "{body}");
        }
    }
}
