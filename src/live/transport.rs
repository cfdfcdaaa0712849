//! One HTTP exchange: to one host, within its deadlines, with a bounded answer.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Response, Url};
use rustls::RootCertStore;

use zeroize::Zeroizing;

use super::BODY_BYTES;
use crate::secret::Secret;

/// How long an idle connection is kept. The API closes idle ones itself, and a request that meets that closing fails.
const IDLE: Duration = Duration::from_secs(15);

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The endpoint is no place that requests may be sent to.
    #[error("endpoint {endpoint:?}: {problem}")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A rate that is no number above zero.
    #[error("{0} requests per second: not a number above zero")]
    Rate(f64),
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made")]
    Http(#[source] reqwest::Error),
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The proxy is no URL that requests can be sent through. It may hold a password, so it is not shown.
    #[error("the proxy is not an http:// or https:// URL with a host")]
    Proxy,
}

/// An HTTP proxy, with the name and password that it may ask for.
#[derive(Clone)]
pub struct Proxy {
    url: Secret,
    shown: String,
}

impl Proxy {
    /// The proxy at `url`: `http://` or `https://`, a host, perhaps a port, perhaps `user:password@` before it,
    /// percent-encoded.
    ///
    /// # Errors
    /// When it is something else.
    pub fn new(url: Secret) -> Result<Self, SetupError> {
        let parsed = Url::parse(url.expose()).map_err(|_| SetupError::Proxy)?;
        let host = parsed.host_str().filter(|_| matches!(parsed.scheme(), "http" | "https"));
        let (Some(host), Some(port)) = (host, parsed.port_or_known_default()) else { return Err(SetupError::Proxy) };
        let shown = format!("{host}:{port}");
        Ok(Self { url, shown })
    }

    /// Host and port, without name and password.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    fn for_http(&self) -> Result<reqwest::Proxy, SetupError> {
        reqwest::Proxy::all(self.url.expose()).map_err(|_| SetupError::Proxy)
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Proxy").field(&self.shown).finish()
    }
}

/// Where requests go.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) url: Url,
    /// The `Host` header, as sent and signed: with the port where it is not the scheme's own.
    pub(super) host: String,
}

impl Endpoint {
    /// # Errors
    /// When it is no URL, has more than scheme, host and port, or is plain HTTP to another machine.
    pub(super) fn new(endpoint: &str) -> Result<Self, SetupError> {
        let fail = |problem| SetupError::Endpoint { endpoint: without_user(endpoint), problem };
        let url = Url::parse(endpoint).map_err(|_| fail("not a URL"))?;
        let host = url.host_str().ok_or_else(|| fail("has no host"))?;
        let loopback = match host.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => host == "localhost",
        };
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(fail("http:// is for loopback only")),
            _ => return Err(fail("not an https:// URL")),
        }
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(fail("has more than scheme, host and port"));
        }
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self { url, host })
    }
}

/// `endpoint` without what stands before an `@`: a password may be there.
fn without_user(endpoint: &str) -> String {
    endpoint.rsplit_once('@').map_or_else(|| endpoint.to_owned(), |(_, host)| format!("…@{host}"))
}

/// The roots that come with the program, so that whom it trusts does not depend on the machine.
pub(super) fn bundled_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// An HTTP client with the deadlines given, which answers for itself: it goes through `proxy` or straight, the
/// environment's proxies are not asked, and nobody is trusted but `roots`.
pub(super) fn http_client(
    connect_timeout: Duration,
    total_timeout: Duration,
    roots: RootCertStore,
    proxy: Option<&Proxy>,
) -> Result<reqwest::Client, SetupError> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(SetupError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("tencent-live-exporter/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        // Attempts are counted and reported by the caller; hidden ones would be neither.
        .retry(reqwest::retry::never())
        .connect_timeout(connect_timeout)
        .timeout(total_timeout)
        .pool_idle_timeout(IDLE);
    if let Some(proxy) = proxy {
        builder = builder.proxy(proxy.for_http()?);
    }
    builder.build().map_err(SetupError::Http)
}

/// Bodies up to this length are never moved while they grow, so that no copy of the keys in one stays behind.
const UNMOVED_BYTES: usize = 64 * 1024;

/// A body, or as much of it as was allowed; overwritten when dropped, since there may be keys in it.
pub(super) enum Body {
    Whole(Zeroizing<Vec<u8>>),
    /// It went on past the bound; this is its start.
    Cut(Zeroizing<Vec<u8>>),
}

/// Reads a body, up to `most` bytes of it.
pub(super) async fn read(mut response: Response, most: usize) -> Result<Body, reqwest::Error> {
    debug_assert!(most <= BODY_BYTES, "no body is read past the bound");
    let mut body = Zeroizing::new(Vec::with_capacity(most.min(UNMOVED_BYTES)));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most {
            let fits = most - body.len();
            body.extend_from_slice(&chunk[..fits]);
            return Ok(Body::Cut(body));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Body::Whole(body))
}

/// The host that a redirect names.
pub(super) fn redirect_target(from: &Url, location: Option<&str>) -> String {
    let target = location.and_then(|location| from.join(location).ok());
    target.as_ref().and_then(Url::host_str).unwrap_or("no host").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_signed_as_it_is_sent() {
        for (endpoint, host) in [
            ("https://live.tencentcloudapi.com", "live.tencentcloudapi.com"),
            ("https://LIVE.intl.tencentcloudapi.com:443/", "live.intl.tencentcloudapi.com"),
            ("https://live.tencentcloudapi.com:8443", "live.tencentcloudapi.com:8443"),
            ("http://127.0.0.1:19777", "127.0.0.1:19777"),
            ("http://[::1]:80", "[::1]"),
            ("http://localhost:1", "localhost:1"),
        ] {
            assert_eq!(Endpoint::new(endpoint).unwrap().host, host, "{endpoint}");
        }
    }

    #[test]
    fn an_endpoint_that_is_unsafe_or_more_than_a_host_is_refused() {
        for endpoint in [
            "",
            "live.tencentcloudapi.com",
            "http://live.tencentcloudapi.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "ftp://127.0.0.1",
            "https://user:canary@live.tencentcloudapi.com",
            "https://live.tencentcloudapi.com/path",
            "https://live.tencentcloudapi.com/?query",
            "https://live.tencentcloudapi.com/#fragment",
        ] {
            let error = Endpoint::new(endpoint).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_proxy_is_shown_without_its_name_and_password() {
        for (url, shown) in [
            ("http://proxy.example.com:3128", "proxy.example.com:3128"),
            ("https://user:canary@proxy.example.com", "proxy.example.com:443"),
            ("http://us%40er:can%2Fary@[::1]:8080/", "[::1]:8080"),
        ] {
            let proxy = Proxy::new(Secret::new(url)).unwrap();
            assert_eq!((proxy.shown(), format!("{proxy:?}")), (shown, format!("Proxy({shown:?})")));
            assert!(proxy.for_http().is_ok());
        }
        for url in ["", "canary", "socks5://canary:1", "user:canary@proxy:1", "file:///canary"] {
            let error = Proxy::new(Secret::new(url)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }

    #[test]
    fn a_redirect_is_named_by_its_host_alone() {
        let from = Url::parse("https://a.example/").unwrap();
        assert_eq!(redirect_target(&from, Some("http://b.example:1/x?token=y")), "b.example");
        assert_eq!(redirect_target(&from, Some("/x")), "a.example");
        assert_eq!(redirect_target(&from, None), "no host");
    }
}
