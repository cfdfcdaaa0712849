//! The Tencent Cloud Live API, 2018-08-01: asking it, and making sense of whatever it answers.
//!
//! What this room promises:
//! - A call ends: with an answer, or with a [`CallError`] that says what to do about it, within
//!   attempts × (deadline + pause), plus the account's pace. Only faults that are likely to pass are tried again.
//! - An answer is never invented. An error beside a list is an error, a body without a list is an error, and rows are
//!   read one by one: one that cannot be used is handed on as broken, and the others never suffer.
//! - Requests go to the one host they were signed for: through no proxy but the one that is given, no redirect, TLS
//!   unless that host is loopback.
//! - Temporary keys are renewed before they expire, without a request waiting for it.
//! - No secret is in an error, a report or a `Debug` text.
//! - The API's clock is learned from every answer, so that signatures hold on a machine whose clock is off.
//!
//! Nothing is logged or counted here: every HTTP exchange becomes one [`CallReport`] for the observer, every call one
//! result for the caller.
//!
//! Source: <https://cloud.tencent.com/document/api/267/33186> (the event list), and the pages of common parameters,
//! results and error codes beside it.

mod channel;
mod client;
mod codes;
mod credentials;
mod error;
mod pacing;
mod request;
mod row;
mod text;
mod time;
mod transport;
mod wire;

pub use client::{CallReport, Client, ClientOptions, Observer};
pub use codes::{CODES, ERROR_KINDS};
pub use credentials::{
    Chain, Coming, Credentials, CredentialsError, KeyFile, KeyNews, KeyObserver, METADATA, Metadata, ProfileFile,
    Provider, Role, SOURCES, Sts, StsOptions, Temporary, WebIdentity,
};
pub use error::{ApiError, Broken, CallError};
pub use pacing::Patience;
pub use text::{printable, push_string};
pub use time::ApiTime;
pub use transport::{Proxy, SetupError};
pub use wire::{OnlinePage, OnlineStream};

use std::collections::BTreeMap;

use crate::listing::{Filter, Page, Query};
use crate::session::Name;

/// The action that lists disconnect records.
pub const DESCRIBE_EVENTS: &str = "DescribeLiveStreamEventList";
/// The action that lists domains.
pub const DESCRIBE_DOMAINS: &str = "DescribeLiveDomains";

/// The action that lists the streams that are pushed now.
pub const DESCRIBE_ONLINE: &str = "DescribeLiveStreamOnlineList";

/// The action of STS that lends the keys of a role to whoever signs for it.
const ASSUME_ROLE: &str = "AssumeRole";
/// The same for whoever shows the token of an OIDC provider.
const ASSUME_ROLE_WITH_WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";
/// The actions of STS, which are counted as renewals of keys and not as requests.
const STS_ACTIONS: [&str; 2] = [ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY];

/// Every value of the `action` label, sorted.
pub const ACTIONS: &[&str] = &[DESCRIBE_DOMAINS, DESCRIBE_EVENTS, DESCRIBE_ONLINE];

/// Longest body that is read, in bytes. A full page has about 60,000.
pub const BODY_BYTES: usize = 4 * 1024 * 1024;

/// Longest sample of a body that an error carries, in bytes.
pub const SAMPLE_BYTES: usize = 200;

/// A push domain of the account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Domain {
    /// `Name`
    pub name: Name,
    /// `Status`: whether the domain is switched on.
    pub enabled: bool,
}

/// How many streams are pushed now, by `DomainName` and `AppName`; pairs without one are left out.
pub type StreamsOnline = BTreeMap<(Name, Name), u64>;

/// Where disconnect records come from: the API, or a script in tests.
pub trait EventSource: Send + Sync {
    /// One page of records.
    ///
    /// # Errors
    /// Any [`CallError`]; nothing is known then.
    fn events(&self, query: &Query) -> impl Future<Output = Result<Page, CallError>> + Send;

    /// The push domains of the account, switched on or off, each once; as many as paging brings up, 10,000 at most.
    ///
    /// # Errors
    /// Any [`CallError`], also when only a later page failed.
    fn push_domains(&self) -> impl Future<Output = Result<Vec<Domain>, CallError>> + Send;

    /// The streams of `scope` that are pushed now, counted; its stream is not asked for. Where no app is named the API may
    /// leave out all but `live` (<https://www.tencentcloud.com/document/product/267/30798>). Streams that come or go
    /// while the list is paged may be missed; none is counted twice.
    ///
    /// # Errors
    /// Any [`CallError`], also when only a later page failed, or when 50 pages do not show all: 250,000 streams, or 5,000
    /// where the API shows 100 on a page at most, as that of the international site says it does.
    fn streams_online(&self, scope: &Filter) -> impl Future<Output = Result<StreamsOnline, CallError>> + Send;

    /// The API's clock, once an answer has told it.
    fn api_time(&self) -> Option<ApiTime>;
}

/// Reads the body of an answer to `DescribeLiveStreamEventList`.
///
/// # Errors
/// [`CallError::Protocol`] when it is no such answer, [`CallError::Api`] when it is an error.
pub fn decode_events(body: &[u8]) -> Result<Page, CallError> {
    wire::page(&wire::Answer::open(DESCRIBE_EVENTS, &text::readable(body))?)
}

/// Reads the body of an answer to `DescribeLiveStreamOnlineList`.
///
/// # Errors
/// As [`decode_events`].
pub fn decode_online(body: &[u8]) -> Result<OnlinePage, CallError> {
    wire::online(&wire::Answer::open(DESCRIBE_ONLINE, &text::readable(body))?)
}
