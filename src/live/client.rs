//! The client: signs, sends, tries again, learns the API's clock, reports.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use rustls::RootCertStore;

use super::codes::Retry;
use super::credentials::{Credentials, Provider};
use super::error::CallError;
use super::pacing::Patience;
use super::time::{self, ApiTime};
use super::transport::{self, Body, Endpoint, SetupError};
use super::wire::Answer;
use super::{BODY_BYTES, DESCRIBE_DOMAINS, DESCRIBE_EVENTS, Domain, EventSource, SAMPLE_BYTES, request, text, wire};
use crate::clock::{Clock, UnixSeconds};
use crate::listing::{FULL_PAGE, Page, Query};
use crate::signing::{self, Payload};

const CONTENT: &str = "application/json";

/// Most pages of domains that are asked for.
const MOST_DOMAIN_PAGES: u32 = 100;
/// Most domains that are kept: as many as that many full pages hold, whatever size the pages really have.
const MOST_DOMAINS: usize = (MOST_DOMAIN_PAGES * FULL_PAGE) as usize;

/// One HTTP exchange with the API, or the attempt at one.
#[derive(Debug, Clone, PartialEq)]
pub struct CallReport {
    /// The action called, one of [`super::ACTIONS`].
    pub action: &'static str,
    /// What came of it, one of [`super::CODES`].
    pub code: &'static str,
    /// From the start of sending to the end of the answer; waiting for a turn is not in it.
    pub took: Duration,
    /// `RequestId` of the answer.
    pub request_id: Option<String>,
    /// Which attempt at the same request this was, from 1.
    pub attempt: u32,
    /// How long until the next attempt; absent when this was the last.
    pub retry_in: Option<Duration>,
    /// The account's pace from now on, in requests per second: lower than what was set where the API throttles.
    pub requests_per_second: f64,
}

/// Who is told of every exchange.
pub type Observer = Arc<dyn Fn(&CallReport) + Send + Sync>;

/// What a [`Client`] needs to know.
#[derive(Clone)]
pub struct ClientOptions {
    /// Scheme and host, with a port if need be; `http://` for loopback only.
    pub endpoint: String,
    /// What to sign with.
    pub credentials: Provider,
    /// Pace of all attempts of this client together, above 0; bursts of about one second's worth.
    pub requests_per_second: f64,
    /// Most attempts at one request, at least 1.
    pub attempts: u32,
    /// Deadline of connecting, name resolution and TLS included.
    pub connect_timeout: Duration,
    /// Deadline of an exchange as a whole.
    pub total_timeout: Duration,
    /// Bound of the first pause between attempts; doubles with each, up to 8 s.
    pub back_off: Duration,
    /// Who may sign the API's certificate. There is no way to do without.
    pub roots: RootCertStore,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Who is told of every exchange.
    pub observer: Observer,
}

impl ClientOptions {
    /// Options with the usual patience: 4 attempts, 5 s to connect, 30 s in all, pauses from 500 ms. Trusted are the
    /// bundled roots.
    #[must_use]
    pub fn new(
        endpoint: impl Into<String>,
        credentials: Provider,
        requests_per_second: f64,
        clock: Arc<dyn Clock>,
        observer: Observer,
    ) -> Self {
        Self {
            endpoint: endpoint.into(),
            credentials,
            requests_per_second,
            attempts: 4,
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(30),
            back_off: Duration::from_millis(500),
            roots: transport::bundled_roots(),
            clock,
            observer,
        }
    }
}

/// The API, for one account.
pub struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
    options: ClientOptions,
    patience: Patience,
    // Held to copy it in and out only.
    api_time: Mutex<Option<ApiTime>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("host", &self.endpoint.host).finish_non_exhaustive()
    }
}

/// Opens an answer.
type Decode<T> = fn(&Answer<'_>) -> Result<T, CallError>;

/// What came of one attempt.
struct Attempt<T> {
    result: Result<T, CallError>,
    request_id: Option<String>,
    took: Duration,
    /// Whether the answer told the API's time.
    dated: bool,
}

/// What has been renewed for a request already; each is tried once.
#[derive(Default)]
struct Renewed {
    clock: bool,
    credentials: bool,
}

impl Client {
    /// A client for the account whose credentials are given. Nothing is sent yet.
    ///
    /// # Errors
    /// When the endpoint or the rate cannot be used, or TLS cannot be set up.
    pub fn new(options: ClientOptions) -> Result<Self, SetupError> {
        let rate = options.requests_per_second;
        if !(rate.is_finite() && rate > 0.0) {
            return Err(SetupError::Rate(rate));
        }
        Ok(Self {
            http: transport::http_client(options.connect_timeout, options.total_timeout, options.roots.clone())?,
            endpoint: Endpoint::new(&options.endpoint)?,
            patience: Patience::new(rate, options.attempts, options.back_off),
            api_time: Mutex::new(None),
            options,
        })
    }

    async fn call<T>(&self, action: &'static str, body: String, decode: Decode<T>) -> Result<T, CallError> {
        let mut renewed = Renewed::default();
        let mut attempt = 1;
        loop {
            let credentials = self.options.credentials.current().await;
            let credentials = credentials.map_err(|source| CallError::Credentials { action, source })?;
            self.patience.turn().await;
            let tried = self.attempt(action, &body, &credentials, decode).await;
            if tried.result.as_ref().is_err_and(CallError::is_throttled) {
                self.patience.throttled();
            }
            let retry_in = match &tried.result {
                Err(error) if self.patience.lasts_beyond(attempt) => match error.retry() {
                    Retry::Pause => Some(self.patience.pause_after(attempt)),
                    Retry::Renew => self.renew(error, tried.dated, &credentials, &mut renewed).await,
                    Retry::Never => None,
                },
                _ => None,
            };
            (self.options.observer)(&CallReport {
                action,
                code: tried.result.as_ref().map_or_else(CallError::code, |_| "ok"),
                took: tried.took,
                request_id: tried.request_id,
                attempt,
                retry_in,
                requests_per_second: self.patience.allowed(),
            });
            let Some(pause) = retry_in else { return tried.result };
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Whether the request is worth signing anew, at once: the API's clock has just been learned, or the credentials
    /// are others by now.
    async fn renew(
        &self,
        error: &CallError,
        dated: bool,
        used: &Credentials,
        renewed: &mut Renewed,
    ) -> Option<Duration> {
        let worth = if error.kind() == "clock" {
            !std::mem::replace(&mut renewed.clock, true) && dated
        } else {
            let first = !std::mem::replace(&mut renewed.credentials, true);
            first && self.options.credentials.renewed().await.is_ok_and(|fresh| fresh != *used)
        };
        worth.then_some(Duration::ZERO)
    }

    async fn attempt<T>(
        &self,
        action: &'static str,
        body: &str,
        credentials: &Credentials,
        decode: Decode<T>,
    ) -> Attempt<T> {
        let clock = &self.options.clock;
        let started = clock.elapsed();
        let signed_at = self.api_time().map_or_else(|| clock.now(), |api| api.now(started));
        let headers = self.headers(action, body, credentials, signed_at);
        let sent = self.http.post(self.endpoint.url.clone()).headers(headers).body(body.to_owned()).send().await;
        let dated = sent.as_ref().is_ok_and(|response| self.learn_time(response.headers(), started));
        let mut request_id = None;
        let result = match sent {
            Ok(response) => self.answer(action, response, credentials, decode, &mut request_id).await,
            Err(error) => Err(self.transport_error(action, error)),
        };
        if let Err(error) = &result {
            request_id = error.request_id().map(str::to_owned);
        }
        Attempt { result, request_id, took: clock.elapsed().saturating_sub(started), dated }
    }

    /// The headers of one request, signature included.
    fn headers(&self, action: &'static str, body: &str, credentials: &Credentials, at: UnixSeconds) -> HeaderMap {
        let signed = [("content-type", CONTENT), ("host", self.endpoint.host.as_str())];
        let payload = Payload::Body(body.as_bytes());
        let request = signing::Request { method: "POST", query: "", headers: &signed, payload };
        let authorization =
            signing::authorization(&request, &credentials.secret_id, &credentials.secret_key, "live", at);
        let text = |text: &str| HeaderValue::from_str(text).expect("credentials were checked to be printable ASCII");
        let secret = |value: &str| {
            let mut value = text(value);
            value.set_sensitive(true);
            value
        };
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static(CONTENT)),
            (AUTHORIZATION, secret(&authorization)),
            (HeaderName::from_static("x-tc-action"), HeaderValue::from_static(action)),
            (HeaderName::from_static("x-tc-version"), HeaderValue::from_static("2018-08-01")),
            (HeaderName::from_static("x-tc-timestamp"), text(&at.to_string())),
            (HeaderName::from_static("x-tc-language"), HeaderValue::from_static("zh-CN")),
        ]);
        if let Some(token) = &credentials.token {
            headers.insert(HeaderName::from_static("x-tc-token"), secret(token.expose()));
        }
        headers
    }

    /// Takes the API's time from an answer, unless it comes out of a cache, and says whether there was one.
    fn learn_time(&self, headers: &HeaderMap, started: Duration) -> bool {
        let date = headers.get(reqwest::header::DATE).filter(|_| !headers.contains_key(reqwest::header::AGE));
        let Some(at) = date.and_then(|date| time::parse_http_date(date.to_str().ok()?)) else { return false };
        let elapsed = started + self.options.clock.elapsed().saturating_sub(started) / 2;
        *self.api_time.lock().unwrap_or_else(PoisonError::into_inner) = Some(ApiTime { at, elapsed });
        true
    }

    async fn answer<T>(
        &self,
        action: &'static str,
        response: reqwest::Response,
        credentials: &Credentials,
        decode: Decode<T>,
        request_id: &mut Option<String>,
    ) -> Result<T, CallError> {
        let status = response.status();
        let host = || self.endpoint.host.clone();
        if status.is_redirection() {
            let location = response.headers().get(reqwest::header::LOCATION).and_then(|value| value.to_str().ok());
            let target = transport::redirect_target(&self.endpoint.url, location);
            return Err(CallError::Redirect { action, host: host(), target });
        }
        if status != reqwest::StatusCode::OK {
            // A body that breaks off does not change what the status says.
            let sample = match transport::read(response, 4 * SAMPLE_BYTES).await {
                Ok(Body::Whole(body) | Body::Cut(body)) => credentials.blot_out(&String::from_utf8_lossy(&body)),
                Err(_) => String::new(),
            };
            let sample = text::printable(&sample, SAMPLE_BYTES);
            return Err(CallError::Status { action, host: host(), status: status.as_u16(), sample });
        }
        let body = match transport::read(response, BODY_BYTES).await {
            Ok(Body::Whole(body)) => body,
            Ok(Body::Cut(_)) => return Err(CallError::TooLarge { action }),
            Err(error) => return Err(self.transport_error(action, error)),
        };
        let body = text::readable(&body);
        let open = |body: &str| {
            let answer = Answer::open(action, body)?;
            Ok((decode(&answer)?, answer.request_id))
        };
        match open(&body) {
            Ok((answer, id)) => {
                *request_id = id;
                Ok(answer)
            }
            // Errors quote the body, so one that quotes our own request is read again without the secrets.
            Err(error) => Err(open(&credentials.blot_out(&body)).err().unwrap_or(error)),
        }
    }

    fn transport_error(&self, action: &'static str, error: reqwest::Error) -> CallError {
        let host = self.endpoint.host.clone();
        let timeout = error.is_timeout();
        let source = Box::new(error.without_url());
        if timeout { CallError::Timeout { action, host, source } } else { CallError::Network { action, host, source } }
    }
}

impl EventSource for Client {
    async fn events(&self, query: &Query) -> Result<Page, CallError> {
        self.call(DESCRIBE_EVENTS, request::events(query), wire::page).await
    }

    async fn push_domains(&self) -> Result<Vec<Domain>, CallError> {
        let mut domains: Vec<Domain> = Vec::new();
        let mut names = BTreeSet::new();
        for number in 1..=MOST_DOMAIN_PAGES {
            let page = self.call(DESCRIBE_DOMAINS, request::domains(number, FULL_PAGE), wire::domains).await?;
            let known = domains.len();
            // A list that shifts while it is paged repeats domains, and so does a server that ignores the page number.
            domains.extend(page.domains.into_iter().filter(|domain| names.insert(domain.name.clone())));
            domains.truncate(MOST_DOMAINS);
            let complete = page.total.is_some_and(|total| domains.len() as u64 >= total);
            if complete || domains.len() == known || domains.len() == MOST_DOMAINS {
                break;
            }
        }
        Ok(domains)
    }

    fn api_time(&self) -> Option<ApiTime> {
        *self.api_time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
