//! Which path answers what.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, HeaderMap, HeaderName,
    HeaderValue, RETRY_AFTER, USER_AGENT, VARY,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::answer::{Answer, Parts};
use super::disconnects::{Accepts, Disconnects};
use super::questions::Questions;
use super::{Progress, Site, api, disconnects, landing, layout};
use crate::metrics::exposition::{self, Filter};
use crate::publication::{Scrape, Scraper};

/// The address of a client and the number of its connection.
pub(super) type Client = (IpAddr, u64);

/// The site with its limit on requests at a time.
#[derive(Debug)]
pub(super) struct Routes {
    site: Arc<Site>,
    requests: Option<Arc<Semaphore>>,
    questions: Questions,
    disconnects: Disconnects,
}

impl Routes {
    pub(super) fn new(site: Arc<Site>) -> Self {
        let limit = site.max_requests.min(Semaphore::MAX_PERMITS);
        let questions = Questions::new(Arc::clone(&site.records));
        Self {
            questions,
            disconnects: Disconnects::default(),
            requests: (limit > 0).then(|| Arc::new(Semaphore::new(limit))),
            site,
        }
    }

    pub(super) fn scraped(&self, scrape: Scrape) {
        (self.site.on_scraped)(scrape);
    }

    pub(super) fn disconnected(&self, connection: u64) {
        (self.site.on_disconnected)(connection);
    }

    /// Answers one request, however odd, without a look at its body.
    pub(super) async fn respond(
        &self,
        request: Request<Incoming>,
        client: Client,
        progress: Arc<Progress>,
    ) -> Result<Response<Parts>, Infallible> {
        let has_body = !request.body().is_end_stream();
        let mut answer = match self.permit(request.uri().path()) {
            Ok(permit) => {
                if let Some(permit) = permit {
                    progress.hold(permit);
                }
                self.answer(&request, client).await
            }
            Err(_) => self.at_limit(),
        };
        if has_body {
            // Nothing here takes a body; what comes after one that nobody reads cannot be told from it.
            answer = answer.with(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer.on(progress))
    }

    /// A place among the requests that are answered at a time; none is needed without a limit, and for health, which
    /// must be told even at the limit.
    fn permit(&self, path: &str) -> Result<Option<OwnedSemaphorePermit>, TryAcquireError> {
        match &self.requests {
            Some(requests) if !path.starts_with("/-/") => Arc::clone(requests).try_acquire_owned().map(Some),
            _ => Ok(None),
        }
    }

    fn at_limit(&self) -> Answer {
        let text = format!("limit of concurrent requests reached ({}), try again later\n", self.site.max_requests);
        Answer::text(StatusCode::SERVICE_UNAVAILABLE, text).with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    async fn answer(&self, request: &Request<Incoming>, client: Client) -> Answer {
        let path = request.uri().path();
        let method = request.method();
        let reads = method == Method::GET || method == Method::HEAD;
        let known = path == self.site.telemetry_path
            || api::is_path(path)
            || disconnects::is_path(path)
            || layout::file(path).is_some()
            || matches!(path, "/" | landing::STYLE_PATH | "/-/healthy" | "/-/ready" | "/-/reload");
        match path {
            _ if !known => Answer::not_found(),
            "/-/reload" if method == Method::POST || method == Method::PUT => {
                Answer::text(StatusCode::FORBIDDEN, "lifecycle API is not enabled\n")
            }
            "/-/reload" => Answer::not_allowed("POST, PUT"),
            _ if !reads => Answer::not_allowed("GET, HEAD"),
            _ if path == self.site.telemetry_path => self.metrics(request, client).await,
            "/-/healthy" => self.healthy(),
            "/-/ready" => self.ready(),
            landing::STYLE_PATH => landing::style(),
            _ if api::is_path(path) => api::answer(&self.site, &self.questions, request.uri()).await,
            _ if disconnects::is_path(path) => {
                let accepts = Accepts {
                    languages: all(request.headers(), &ACCEPT_LANGUAGE),
                    codings: all(request.headers(), &ACCEPT_ENCODING),
                };
                self.disconnects.answer(&self.site, &self.questions, request.uri(), &accepts).await
            }
            _ => layout::file(path).unwrap_or_else(|| landing::page(&self.site)),
        }
    }

    async fn metrics(&self, request: &Request<Incoming>, (peer, connection): Client) -> Answer {
        let headers = request.headers();
        let offer = exposition::format(&all(headers, &ACCEPT));
        let coding = exposition::coding(&all(headers, &ACCEPT_ENCODING));
        let filter = filter(request.uri().query().unwrap_or_default());
        let exposition = Arc::clone(&self.site.exposition);
        let page = tokio::task::spawn_blocking(move || exposition.filtered(offer.format, coding, &filter)).await;
        let Ok(page) = page else {
            tracing::error!("the metrics page could not be made");
            return Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics page could not be made\n");
        };
        let (generation, has_baselines) = (page.generation, page.has_baselines);
        let mut answer = Answer::new(StatusCode::OK, offer.content_type, page.parts)
            .with(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if let Some(coding) = coding.name() {
            answer = answer.with(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        if request.method() == Method::GET && has_baselines {
            let user_agent = headers.get(USER_AGENT).map_or(&b""[..], HeaderValue::as_bytes);
            answer.scrape = Some(Scrape { scraper: Scraper::new(peer, user_agent), connection, generation });
        }
        answer
    }

    fn healthy(&self) -> Answer {
        if self.site.board.healthy(self.site.clock.elapsed()) {
            Answer::text(StatusCode::OK, "tencent-live-exporter is Healthy.\n")
        } else {
            let text = "tencent-live-exporter is not healthy: a poll loop has not turned for too long.\n";
            Answer::text(StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }

    fn ready(&self) -> Answer {
        if self.site.board.ready() {
            Answer::text(StatusCode::OK, "tencent-live-exporter is Ready.\n")
        } else {
            let text = "tencent-live-exporter is not ready: an account has not finished its first poll.\n";
            Answer::text(StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }
}

/// A header that may come several times, as one list. Values that are no text count as empty.
fn all(headers: &HeaderMap, name: &HeaderName) -> String {
    let values: Vec<&str> = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    values.join(",")
}

/// The families that a query names: `name[]`, as often as wanted.
fn filter(query: &str) -> Filter {
    let parameters = form_urlencoded::parse(query.as_bytes());
    parameters.filter(|(key, _)| key == "name[]").map(|(_, name)| name.into_owned()).collect()
}

/// An answer that may be kept for an hour: it changes with the version only.
pub(super) fn lasting(content_type: &'static str, text: &'static str) -> Answer {
    Answer::new(StatusCode::OK, content_type, vec![Bytes::from_static(text.as_bytes())])
        .with(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"))
}
