//! The client: asks with the account's keys, at its pace, tries again, reports.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::RootCertStore;

use super::channel::{Call, Channel, Decode, Service, Way};
use super::codes::Retry;
use super::credentials::{Credentials, Provider};
use super::error::CallError;
use super::pacing::Patience;
use super::time::ApiTime;
use super::transport::{self, Proxy, SetupError};
use super::wire::OnlinePage;
use super::{
    BODY_BYTES, DESCRIBE_DOMAINS, DESCRIBE_EVENTS, DESCRIBE_ONLINE, Domain, EventSource, StreamsOnline, request, wire,
};
use crate::clock::Clock;
use crate::listing::{FULL_PAGE, Filter, Page, Query};

/// Tencent Cloud Live.
const LIVE: Service = Service { name: "live", version: "2018-08-01", body_bytes: BODY_BYTES, discreet: false };

/// Most pages of domains that are asked for.
const MOST_DOMAIN_PAGES: u32 = 100;
/// Most domains that are kept: as many as that many full pages hold, whatever size the pages really have.
const MOST_DOMAINS: usize = (MOST_DOMAIN_PAGES * FULL_PAGE) as usize;

/// Streams online on one page. The API of the China site would show more, and recommends one page; but a body has to fit
/// [`BODY_BYTES`].
const ONLINE_PAGE: u32 = 5_000;
/// As many as the API of the international site takes.
const SHORT_ONLINE_PAGE: u32 = 100;
/// Most pages of streams online that are asked for.
const MOST_ONLINE_PAGES: u32 = 50;

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
    /// Through whom the requests go; straight without one.
    pub proxy: Option<Proxy>,
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
            proxy: None,
            clock,
            observer,
        }
    }
}

/// The API, for one account.
pub struct Client {
    channel: Channel,
    options: ClientOptions,
    patience: Patience,
    /// Whether the API has refused [`ONLINE_PAGE`].
    short_online_pages: AtomicBool,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("host", &self.channel.peer()).finish_non_exhaustive()
    }
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
    /// When the endpoint, the proxy or the rate cannot be used, or TLS cannot be set up.
    pub fn new(options: ClientOptions) -> Result<Self, SetupError> {
        let rate = options.requests_per_second;
        if !(rate.is_finite() && rate > 0.0) {
            return Err(SetupError::Rate(rate));
        }
        let way = Way {
            endpoint: &options.endpoint,
            proxy: options.proxy.as_ref(),
            roots: &options.roots,
            connect_timeout: options.connect_timeout,
            total_timeout: options.total_timeout,
        };
        Ok(Self {
            channel: Channel::new(&way, LIVE, Arc::clone(&options.clock))?,
            patience: Patience::new(rate, options.attempts, options.back_off),
            options,
            short_online_pages: AtomicBool::new(false),
        })
    }

    async fn online_page(&self, scope: &Filter, number: u32) -> Result<OnlinePage, CallError> {
        let page = |size| self.call(DESCRIBE_ONLINE, request::online(scope, number, size), wire::online);
        if self.short_online_pages.load(Ordering::Relaxed) {
            return page(SHORT_ONLINE_PAGE).await;
        }
        match page(ONLINE_PAGE).await {
            Err(error) if error.kind() == "parameter" && number == 1 => {
                let short = page(SHORT_ONLINE_PAGE).await;
                self.short_online_pages.store(short.is_ok(), Ordering::Relaxed);
                short
            }
            answered => answered,
        }
    }

    async fn call<T>(&self, action: &'static str, body: String, decode: Decode<T>) -> Result<T, CallError> {
        let mut renewed = Renewed::default();
        let mut attempt = 1;
        loop {
            let credentials = self.options.credentials.current().await;
            let credentials = credentials.map_err(|source| CallError::Credentials { action, source })?;
            self.patience.turn().await;
            let call = Call { action, region: None, body: &body, key: Some(&credentials), secret: None };
            let tried = self.channel.exchange(call, decode).await;
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
            first && self.options.credentials.renewed(used).await.is_ok_and(|fresh| fresh != *used)
        };
        worth.then_some(Duration::ZERO)
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

    async fn streams_online(&self, scope: &Filter) -> Result<StreamsOnline, CallError> {
        let mut streams = HashSet::new();
        for number in 1..=MOST_ONLINE_PAGES {
            let page = self.online_page(scope, number).await?;
            let known = streams.len();
            streams.extend(page.streams);
            let complete = page.total.is_some_and(|total| streams.len() as u64 >= total);
            if complete || streams.len() == known {
                let mut online = StreamsOnline::new();
                for stream in streams {
                    *online.entry((stream.domain, stream.app)).or_default() += 1;
                }
                return Ok(online);
            }
        }
        Err(CallError::Protocol {
            action: DESCRIBE_ONLINE,
            problem: format!("{MOST_ONLINE_PAGES} pages do not show all streams online, ask for fewer by `domains`"),
            sample: String::new(),
            request_id: None,
        })
    }

    fn api_time(&self) -> Option<ApiTime> {
        self.channel.api_time()
    }
}
