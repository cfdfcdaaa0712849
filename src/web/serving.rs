//! The site that is served, until another takes its place.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Request, Response};
use rustls::ServerConfig;

use super::answer::Content;
use super::routes::{HasBody, Routes};
use super::{Seat, Site};
use crate::publication::Scrape;

/// A site that can be changed while it is served. A request is answered by the site that was there when it came.
#[derive(Debug)]
pub struct Serving {
    now: ArcSwap<Routes>,
}

impl Serving {
    /// Serves `site` first. Its limits are for as long as this is served.
    #[must_use]
    pub fn new(site: Site) -> Self {
        Self { now: ArcSwap::from_pointee(Routes::new(Arc::new(site))) }
    }

    /// Answers requests to come by `site`; those in hand count against its `max_requests` only if it stays the same.
    pub fn change(&self, site: Site) {
        let routes = self.now.load().followed_by(site);
        self.now.store(Arc::new(routes));
    }

    /// The site that is served now.
    #[must_use]
    pub fn site(&self) -> Arc<Site> {
        self.now.load().site()
    }

    /// How a connection of `peer` is encrypted.
    pub(super) fn tls(&self, peer: IpAddr) -> Option<Arc<ServerConfig>> {
        self.site().guard.tls(peer)
    }

    /// The headers of answers that are not ours.
    pub(super) fn headers(&self) -> HeaderMap {
        self.site().guard.headers()
    }

    /// The time for the header `Date`.
    pub(super) fn date(&self) -> Option<HeaderValue> {
        self.now.load().date()
    }

    pub(super) async fn respond(
        &self,
        request: Request<HasBody>,
        seat: &Seat,
    ) -> Result<Response<Content>, Infallible> {
        self.now.load_full().respond(request, seat).await
    }

    pub(super) fn scraped(&self, scrape: Scrape) {
        self.now.load().scraped(scrape);
    }

    pub(super) fn disconnected(&self, connection: u64) {
        self.now.load().disconnected(connection);
    }
}
