//! One host of Tencent Cloud's API: a request is signed, sent and its answer opened, and the host's clock learned.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use rustls::RootCertStore;
use zeroize::{Zeroize as _, Zeroizing};

use super::credentials::{Credentials, blot_out};
use super::error::{CallError, NOT_SHOWN};
use super::time::{self, ApiTime};
use super::transport::{self, Body, Endpoint, Proxy, SetupError};
use super::wire::Answer;
use super::{SAMPLE_BYTES, text};
use crate::clock::{Clock, UnixSeconds};
use crate::secret::Secret;
use crate::signing::{self, Payload};

const CONTENT: &str = "application/json";

/// What stands for a signature where there is none.
const UNSIGNED: &str = "SKIP";

/// One product of the API.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    /// Its name in signatures.
    pub(super) name: &'static str,
    /// `X-TC-Version`
    pub(super) version: &'static str,
    /// Longest body that is read, in bytes.
    pub(super) body_bytes: usize,
    /// Whether answers hold keys, so that no error may quote them.
    pub(super) discreet: bool,
}

/// Where a channel leads, and how.
pub(super) struct Way<'a> {
    /// Scheme and host, with a port if need be.
    pub(super) endpoint: &'a str,
    /// Through whom.
    pub(super) proxy: Option<&'a Proxy>,
    /// Who may sign the host's certificate.
    pub(super) roots: &'a RootCertStore,
    /// Deadline of connecting.
    pub(super) connect_timeout: Duration,
    /// Deadline of an exchange as a whole.
    pub(super) total_timeout: Duration,
}

/// One host of the API.
pub(super) struct Channel {
    http: reqwest::Client,
    endpoint: Endpoint,
    /// The host, and the proxy before it, as errors name them.
    peer: String,
    service: Service,
    clock: Arc<dyn Clock>,
    // Held to copy it in and out only.
    api_time: Mutex<Option<ApiTime>>,
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// `X-TC-Action`
    pub(super) action: &'static str,
    /// `X-TC-Region`, where the action needs one.
    pub(super) region: Option<&'a str>,
    /// The body, in JSON.
    pub(super) body: &'a str,
    /// What signs it; nothing where what stands in the body vouches for it.
    pub(super) key: Option<&'a Credentials>,
    /// What in the body is a secret.
    pub(super) secret: Option<&'a Secret>,
}

impl Call<'_> {
    /// `text` without any secret of this request in it.
    fn blot_out(&self, text: &str) -> String {
        let of_key = self.key.into_iter().flat_map(Credentials::secrets);
        blot_out(text, of_key.chain(self.secret))
    }
}

/// Opens an answer.
pub(super) type Decode<T> = fn(&Answer<'_>) -> Result<T, CallError>;

/// What came of one exchange.
pub(super) struct Exchange<T> {
    pub(super) result: Result<T, CallError>,
    pub(super) request_id: Option<String>,
    pub(super) took: Duration,
    /// Whether the answer told the API's time.
    pub(super) dated: bool,
}

impl Channel {
    /// # Errors
    /// When the endpoint or the proxy cannot be used, or TLS cannot be set up.
    pub(super) fn new(way: &Way<'_>, service: Service, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        let endpoint = Endpoint::new(way.endpoint)?;
        let through = way.proxy.map_or_else(String::new, |proxy| format!(" through the proxy {}", proxy.shown()));
        Ok(Self {
            http: transport::http_client(way.connect_timeout, way.total_timeout, way.roots.clone(), way.proxy)?,
            peer: format!("{}{through}", endpoint.host),
            endpoint,
            service,
            clock,
            api_time: Mutex::new(None),
        })
    }

    /// The host, and the proxy before it.
    pub(super) fn peer(&self) -> &str {
        &self.peer
    }

    /// The host's clock, once an answer has told it.
    pub(super) fn api_time(&self) -> Option<ApiTime> {
        *self.api_time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What time it is for the host, as far as that is known.
    pub(super) fn now(&self) -> UnixSeconds {
        self.api_time().map_or_else(|| self.clock.now(), |api| api.now(self.clock.elapsed()))
    }

    /// Sends one request and opens its answer.
    pub(super) async fn exchange<T>(&self, call: Call<'_>, decode: Decode<T>) -> Exchange<T> {
        let started = self.clock.elapsed();
        let headers = self.headers(call, self.now());
        let request = self.http.post(self.endpoint.url.clone()).headers(headers).body(call.body.to_owned());
        let sent = request.send().await;
        let dated = sent.as_ref().is_ok_and(|response| self.learn_time(response.headers(), started));
        let mut request_id = None;
        let result = match sent {
            Ok(response) => self.answer(call, response, decode, &mut request_id).await,
            Err(error) => Err(self.transport_error(call.action, error)),
        };
        if let Err(error) = &result {
            request_id = error.request_id().map(str::to_owned);
        }
        Exchange { result, request_id, took: self.clock.elapsed().saturating_sub(started), dated }
    }

    /// The headers of one request, signature included.
    fn headers(&self, call: Call<'_>, at: UnixSeconds) -> HeaderMap {
        let text =
            |text: &str| HeaderValue::from_str(text).expect("what goes into headers was checked to be printable");
        let secret = |value: &str| {
            let mut value = text(value);
            value.set_sensitive(true);
            value
        };
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static(CONTENT)),
            (HeaderName::from_static("x-tc-action"), HeaderValue::from_static(call.action)),
            (HeaderName::from_static("x-tc-version"), HeaderValue::from_static(self.service.version)),
            (HeaderName::from_static("x-tc-timestamp"), text(&at.to_string())),
            (HeaderName::from_static("x-tc-language"), HeaderValue::from_static("zh-CN")),
        ]);
        if let Some(region) = call.region {
            headers.insert(HeaderName::from_static("x-tc-region"), text(region));
        }
        let Some(credentials) = call.key else {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(UNSIGNED));
            return headers;
        };
        let signed = [("content-type", CONTENT), ("host", self.endpoint.host.as_str())];
        let payload = Payload::Body(call.body.as_bytes());
        let request = signing::Request { method: "POST", query: "", headers: &signed, payload };
        let Credentials { secret_id, secret_key, token } = credentials;
        let authorization = signing::authorization(&request, secret_id, secret_key, self.service.name, at);
        headers.insert(AUTHORIZATION, secret(&authorization));
        if let Some(token) = token {
            headers.insert(HeaderName::from_static("x-tc-token"), secret(token.expose()));
        }
        headers
    }

    /// Takes the API's time from an answer, unless it comes out of a cache, and says whether there was one.
    fn learn_time(&self, headers: &HeaderMap, started: Duration) -> bool {
        let Some(at) = time::of_answer(headers) else { return false };
        let elapsed = started + self.clock.elapsed().saturating_sub(started) / 2;
        *self.api_time.lock().unwrap_or_else(PoisonError::into_inner) = Some(ApiTime { at, elapsed });
        true
    }

    async fn answer<T>(
        &self,
        call: Call<'_>,
        response: reqwest::Response,
        decode: Decode<T>,
        request_id: &mut Option<String>,
    ) -> Result<T, CallError> {
        let action = call.action;
        let status = response.status();
        let host = || self.peer.clone();
        if status.is_redirection() {
            let location = response.headers().get(reqwest::header::LOCATION).and_then(|value| value.to_str().ok());
            let target = transport::redirect_target(&self.endpoint.url, location);
            return Err(CallError::Redirect { action, host: host(), target });
        }
        if status != reqwest::StatusCode::OK {
            let sample = if self.service.discreet { NOT_SHOWN.to_owned() } else { sample(response, call).await };
            return Err(CallError::Status { action, host: host(), status: status.as_u16(), sample });
        }
        let body = match transport::read(response, self.service.body_bytes).await {
            Ok(Body::Whole(body)) => body,
            Ok(Body::Cut(_)) => return Err(CallError::TooLarge { action, most: self.service.body_bytes }),
            Err(error) => return Err(self.transport_error(action, error)),
        };
        let mut body = text::readable(&body);
        let open = |body: &str| -> Result<_, CallError> {
            let answer = Answer::open(action, body)?;
            Ok((decode(&answer)?, answer.request_id))
        };
        let opened = match open(&body) {
            Ok((answer, id)) => {
                *request_id = id;
                Ok(answer)
            }
            // Errors quote the body, so one that quotes our own request is read again without the secrets.
            Err(error) => {
                let blotted = Zeroizing::new(call.blot_out(&body));
                let error = open(&blotted).err().unwrap_or(error);
                Err(if self.service.discreet { error.without_quotes() } else { error })
            }
        };
        if let std::borrow::Cow::Owned(copy) = &mut body {
            copy.zeroize();
        }
        opened
    }

    fn transport_error(&self, action: &'static str, error: reqwest::Error) -> CallError {
        let host = self.peer.clone();
        let timeout = error.is_timeout();
        let source = Box::new(error.without_url());
        if timeout { CallError::Timeout { action, host, source } } else { CallError::Network { action, host, source } }
    }
}

/// The start of a body, printable and without secrets. One that breaks off does not change what the status says.
async fn sample(response: reqwest::Response, call: Call<'_>) -> String {
    let sample = match transport::read(response, 4 * SAMPLE_BYTES).await {
        Ok(Body::Whole(body) | Body::Cut(body)) => call.blot_out(&String::from_utf8_lossy(&body)),
        Err(_) => String::new(),
    };
    text::printable(&sample, SAMPLE_BYTES)
}
