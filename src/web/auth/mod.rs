//! Who may ask: passwords, the rate limit, and the certificate that goes with them.
//!
//! Promises: without a password that is known, nothing is answered but whether the program is healthy; a flood of wrong
//! passwords slows nobody whose password is right, nor does it tell which users there are.
//!
//! bcrypt is slow on purpose, so a password goes through it once: those that were right are remembered by a keyed hash
//! ([`known`]), compared in constant time. All others go to a pool of one worker with a short queue ([`pool`]), and past that
//! they are told to come again. The rate limit has books of its own for those who got in ([`rate`]), so that bad
//! requests do not spend it.
//!
//! Source: github.com/prometheus/exporter-toolkit, `web/handler.go`, and its advisory CVE-2022-46146, whose cache this one
//! is not.

mod basic;
mod known;
mod pool;
mod rate;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use rustls::ServerConfig;
use tokio::time::Instant;

pub use self::basic::LONGEST_PASSWORD;

use self::basic::Login;
use self::known::Known;
use self::pool::{Pool, Work};
use self::rate::Books;
use super::answer::{Answer, PROTECTION};
use super::routes::HEALTHY_PATH;
use crate::secret::Secret;
use crate::tls::Server;

/// Who may ask, and how it is encrypted. The default: everybody, and not at all.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// The server's side of TLS.
    pub tls: Option<Server>,
    /// Headers of every answer, over the ones it has.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Users with the bcrypt hashes of their passwords; without any everybody may ask.
    pub users: BTreeMap<String, Secret>,
    /// Time in which a request becomes due, and how many may come at once, for each address.
    pub rate_limit: Option<(Duration, u32)>,
}

/// Why terms are not taken up, or cannot be kept at all.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The system has no random numbers.
    #[error("cannot make a random key")]
    Random(#[source] getrandom::Error),
    /// TLS was on and would be off, or the other way round.
    #[error("TLS is switched on or off at a start only; restart to do so")]
    TlsSwitched,
    /// There were passwords, and everybody could ask.
    #[error("passwords are switched off at a start only; restart to do so")]
    PasswordsOff,
}

/// Holds the terms and what has been seen under them.
pub struct Guard {
    active: ArcSwap<Active>,
    known: Known,
    pool: Pool,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

struct Active {
    terms: Terms,
    /// The highest cost of any hash: what a password costs that is not right.
    cost: u32,
    /// Those who got in, and the others.
    books: Option<(Books, Books)>,
}

impl Active {
    fn new(terms: Terms) -> Self {
        let cost = terms.users.values().map(pool::cost).max().unwrap_or_default();
        let books =
            terms.rate_limit.map(|(interval, burst)| (Books::new(interval, burst), Books::new(interval, burst)));
        Self { terms, cost, books }
    }
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No password, or none that is right.
    Unknown,
    /// Too many requests; try again after this time.
    TooMany(Duration),
}

impl Guard {
    /// A guard of `terms`.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new(terms: Terms) -> Result<Self, GuardError> {
        let known = Known::new().map_err(GuardError::Random)?;
        Ok(Self { active: ArcSwap::from_pointee(Active::new(terms)), known, pool: Pool::new() })
    }

    /// Takes up `terms` for whatever is asked from now on.
    ///
    /// # Errors
    /// When they open what was closed: an emptied file would else open everything.
    pub fn replace(&self, terms: Terms) -> Result<(), GuardError> {
        let old = self.active.load();
        if old.terms.tls.is_some() != terms.tls.is_some() {
            return Err(GuardError::TlsSwitched);
        }
        if terms.users.is_empty() && !old.terms.users.is_empty() {
            return Err(GuardError::PasswordsOff);
        }
        self.active.store(Arc::new(Active::new(terms)));
        Ok(())
    }

    /// How a connection of `peer` is encrypted.
    pub(super) fn tls(&self, peer: IpAddr) -> Option<Arc<ServerConfig>> {
        self.active.load().terms.tls.as_ref().map(|tls| Arc::clone(tls.for_peer(peer)))
    }

    /// Whether a request for `path` from `peer` with these headers is answered.
    pub(super) async fn check(&self, path: &str, headers: &HeaderMap, peer: IpAddr) -> Result<(), Refusal> {
        if path == HEALTHY_PATH {
            // Probes of containers have no password, and there is nothing to read.
            return Ok(());
        }
        let active = self.active.load_full();
        let peer = rate::share(peer);
        let now = Instant::now();
        if active.terms.users.is_empty() {
            return limit(active.books.as_ref().map(|(good, _)| good), peer, now);
        }
        let login = headers.get(AUTHORIZATION).and_then(|value| Login::parse(value.as_bytes()));
        if login.as_ref().is_some_and(|login| self.known.has(login, active.terms.users.get(&login.user))) {
            return limit(active.books.as_ref().map(|(good, _)| good), peer, now);
        }
        limit(active.books.as_ref().map(|(_, others)| others), peer, now)?;
        let login = login.ok_or(Refusal::Unknown)?;
        let hash = active.terms.users.get(&login.user).cloned();
        self.first_time(login, hash, active.cost, peer).await
    }

    /// A password that is not known to be right.
    async fn first_time(&self, login: Login, hash: Option<Secret>, cost: u32, peer: IpAddr) -> Result<(), Refusal> {
        let turn = self.pool.turn(peer).await.ok_or(Refusal::TooMany(pool::COME_AGAIN))?;
        if self.known.has(&login, hash.as_ref()) {
            // Another request with the same password was before this one.
            return Ok(());
        }
        let work = Work { password: login.password.clone(), hash: hash.clone(), highest: cost };
        let good = turn.verify(work).await;
        match hash {
            Some(hash) if good => {
                self.known.remember(&login, &hash);
                Ok(())
            }
            _ => Err(Refusal::Unknown),
        }
    }

    /// The answer with the headers that every one has.
    pub(super) fn dress(&self, mut answer: Answer) -> Answer {
        self.add_headers(answer.response.headers_mut());
        answer
    }

    /// The headers of answers that are not ours.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = PROTECTION.into_iter().collect();
        self.add_headers(&mut headers);
        headers
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.active.load().terms.headers {
            headers.insert(name.clone(), value.clone());
        }
    }
}

fn limit(books: Option<&Books>, peer: IpAddr, now: Instant) -> Result<(), Refusal> {
    books.map_or(Ok(()), |books| books.spend(peer, now).map_err(Refusal::TooMany))
}

impl Refusal {
    pub(super) fn answer(self) -> Answer {
        match self {
            Refusal::Unknown => {
                let realm = HeaderValue::from_static("Basic realm=\"tencent-live-exporter\", charset=\"UTF-8\"");
                Answer::text(StatusCode::UNAUTHORIZED, "401 unauthorized\n").with(WWW_AUTHENTICATE, realm)
            }
            Refusal::TooMany(after) => {
                let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
                Answer::text(StatusCode::TOO_MANY_REQUESTS, "too many requests, try again later\n")
                    .with(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
