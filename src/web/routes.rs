//! Which path answers what.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, HeaderMap, HeaderName,
    HeaderValue, RETRY_AFTER, USER_AGENT, VARY,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::answer::{Answer, Content};
use super::disconnects::{Accepts, Disconnects};
use super::questions::Questions;
use super::{Seat, Site, api, disconnects, landing, layout};
use crate::metrics::exposition::{self, Filter};
use crate::publication::{Scrape, Scraper};

/// Whether the program lives; the one path that needs no password.
pub(super) const HEALTHY_PATH: &str = "/-/healthy";

/// Every path there is, beside that of the metrics.
pub fn paths() -> impl Iterator<Item = &'static str> {
    let own = ["/", HEALTHY_PATH, "/-/ready", "/-/reload"];
    own.into_iter().chain(api::PATHS).chain(disconnects::PATHS).chain(layout::PATHS)
}

/// For so many requests at a time there is one place on top.
const FOR_REGULARS: usize = 5;

/// Whether a request has a body, which is all there is to know of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct HasBody(pub(super) bool);

/// The site with its limit on requests at a time.
#[derive(Debug)]
pub(super) struct Routes {
    site: Arc<Site>,
    requests: Option<Arc<Semaphore>>,
    /// Places on top, for connections over which a whole page was read before: a crowd of newcomers must not keep a
    /// scraper from its page.
    for_regulars: Arc<Semaphore>,
    /// The turn of those that have not read a page before to make theirs.
    newcomers: Semaphore,
    questions: Arc<Questions>,
    disconnects: Arc<Disconnects>,
}

impl Routes {
    pub(super) fn new(site: Arc<Site>) -> Self {
        let limit = site.max_requests.min(Semaphore::MAX_PERMITS);
        let for_regulars = Arc::new(Semaphore::new(limit.div_ceil(FOR_REGULARS)));
        Self {
            requests: (limit > 0).then(|| Arc::new(Semaphore::new(limit))),
            for_regulars,
            newcomers: Semaphore::new(1),
            disconnects: Arc::default(),
            questions: Arc::new(Questions::new(Arc::clone(&site.records))),
            site,
        }
    }

    /// The routes of the site that takes this one's place.
    pub(super) fn followed_by(&self, site: Site) -> Self {
        let (questions, disconnects) = (Arc::clone(&self.questions), Arc::clone(&self.disconnects));
        let next = Self { questions, disconnects, ..Self::new(Arc::new(site)) };
        if next.site.max_requests != self.site.max_requests {
            return next;
        }
        Self { requests: self.requests.clone(), for_regulars: Arc::clone(&self.for_regulars), ..next }
    }

    pub(super) fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site)
    }

    pub(super) fn scraped(&self, scrape: Scrape) {
        (self.site.on_scraped)(scrape);
    }

    pub(super) fn disconnected(&self, connection: u64) {
        (self.site.on_disconnected)(connection);
    }

    /// The time for the header `Date`, which hyper adds by itself but h2 does not.
    pub(super) fn date(&self) -> Option<HeaderValue> {
        let now = jiff::Timestamp::from_second(self.site.clock.now()).ok()?;
        let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok()?;
        HeaderValue::try_from(text).ok()
    }

    /// Answers one request, however odd, without a look at its body.
    pub(super) async fn respond(
        &self,
        request: Request<HasBody>,
        seat: &Seat,
    ) -> Result<Response<Content>, Infallible> {
        let path = self.inner_path(request.uri().path());
        let mut answer = match self.site.guard.check(path, request.headers(), seat.peer).await {
            Err(refusal) => refusal.answer(),
            Ok(()) => match self.permit(path, seat) {
                Ok(permit) => Answer { permit, ..self.answer(&request, path, seat).await },
                Err(AtLimit) => self.at_limit(),
            },
        };
        answer = self.site.guard.dress(answer);
        if request.body().0 {
            // Nothing here takes a body; what comes after one that nobody reads cannot be told from it.
            answer = answer.with(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer.on(Arc::clone(&seat.progress)))
    }

    /// A path without the external one before it, where it would lead nowhere with it.
    fn inner_path<'p>(&self, path: &'p str) -> &'p str {
        let inner = path.strip_prefix(&self.site.external_path).filter(|_| !self.knows(path));
        match inner {
            Some("") => "/",
            Some(inner) if inner.starts_with('/') => inner,
            _ => path,
        }
    }

    fn knows(&self, path: &str) -> bool {
        path == self.site.telemetry_path || paths().any(|known| known == path)
    }

    /// A place among the requests that are answered at a time; none is needed without a limit, and for health, which
    /// must be told even at the limit.
    fn permit(&self, path: &str, seat: &Seat) -> Result<Option<OwnedSemaphorePermit>, AtLimit> {
        let Some(requests) = self.requests.as_ref().filter(|_| !path.starts_with("/-/")) else { return Ok(None) };
        let on_top = || {
            let regular = seat.progress.is_regular();
            regular.then(|| Arc::clone(&self.for_regulars).try_acquire_owned().ok()).flatten()
        };
        let permit = Arc::clone(requests).try_acquire_owned().ok();
        // Those that do not read come after those that ask.
        permit.or_else(on_top).or_else(|| seat.place_of_another()).map(Some).ok_or(AtLimit)
    }

    fn at_limit(&self) -> Answer {
        let text = format!("limit of concurrent requests reached ({}), try again later\n", self.site.max_requests);
        Answer::text(StatusCode::SERVICE_UNAVAILABLE, text).with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    async fn answer(&self, request: &Request<HasBody>, path: &str, seat: &Seat) -> Answer {
        let method = request.method();
        let reads = method == Method::GET || method == Method::HEAD;
        let query = request.uri().query().unwrap_or_default();
        let languages = || all(request.headers(), &ACCEPT_LANGUAGE);
        match path {
            _ if !self.knows(path) => Answer::not_found(),
            "/-/reload" if method == Method::POST || method == Method::PUT => self.reload().await,
            "/-/reload" => Answer::not_allowed("POST, PUT"),
            _ if !reads => Answer::not_allowed("GET, HEAD"),
            _ if path == self.site.telemetry_path => self.metrics(request, seat).await,
            HEALTHY_PATH => self.healthy(),
            "/-/ready" => self.ready(),
            _ if api::PATHS.contains(&path) => api::answer(&self.site, &self.questions, path, query).await,
            _ if disconnects::PATHS.contains(&path) => {
                let accepts = Accepts { languages: languages(), codings: all(request.headers(), &ACCEPT_ENCODING) };
                self.disconnects.answer(&self.site, &self.questions, path, query, &accepts).await
            }
            _ => layout::file(path).unwrap_or_else(|| landing::page(&self.site, query, &languages())),
        }
    }

    async fn reload(&self) -> Answer {
        let Some(wishes) = &self.site.reload else {
            let text = "the lifecycle API is not enabled; start with --web.enable-lifecycle or send SIGHUP\n";
            return Answer::text(StatusCode::FORBIDDEN, text);
        };
        let (wish, outcome) = oneshot::channel();
        let stopping = || Answer::text(StatusCode::SERVICE_UNAVAILABLE, "stopping, nothing is reloaded any more\n");
        if wishes.send(wish).await.is_err() {
            return stopping();
        }
        match outcome.await {
            Ok(Ok(())) => Answer::text(StatusCode::OK, "the settings were taken up\n"),
            Ok(Err(why)) => {
                let text = format!("the settings were not taken up, the old ones stay:\n{why}\n");
                Answer::text(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
            Err(_) => stopping(),
        }
    }

    async fn metrics(&self, request: &Request<HasBody>, seat: &Seat) -> Answer {
        let headers = request.headers();
        let offer = exposition::format(&all(headers, &ACCEPT));
        let coding = exposition::coding(&all(headers, &ACCEPT_ENCODING));
        let filter = filter(request.uri().query().unwrap_or_default());
        // Newcomers make their pages one after the other, so that a crowd of them leaves a scraper the processor. The
        // semaphore is never closed.
        let turn = if seat.progress.is_regular() { None } else { self.newcomers.acquire().await.ok() };
        let exposition = Arc::clone(&self.site.exposition);
        let page = tokio::task::spawn_blocking(move || exposition.filtered(offer.format, coding, &filter)).await;
        drop(turn);
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
            answer.scrape =
                Some(Scrape { scraper: Scraper::new(seat.peer, user_agent), connection: seat.number, generation });
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

/// No request more is answered at a time.
struct AtLimit;

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
