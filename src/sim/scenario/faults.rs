//! How a request fails that would have been answered.

use serde::{Deserialize, Serialize};

use super::{ScenarioError, share};
use crate::sim::{Damage, Span};

/// One failure of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// `RequestLimitExceeded`.
    Throttle,
    /// `InternalError`.
    InternalError,
    /// Any error code of the API, with HTTP 200 as usual.
    Api {
        /// `Error.Code`
        code: String,
        /// `Error.Message`
        message: String,
    },
    /// An HTTP status of the gateway with a short text.
    Http(u16),
    /// HTTP 200 with a web page, as a captive portal sends it.
    HtmlBody,
    /// HTTP 200 with no body at all.
    EmptyBody,
    /// A complete HTTP answer whose JSON stops half way.
    TruncatedBody,
    /// The connection is reset before any answer.
    ConnectionReset,
    /// The connection is reset after half of the body.
    ResetMidBody,
    /// The right answer, that much later.
    Slow(Span),
    /// The right answer, one byte in that time.
    Drip(Span),
    /// No answer, for ever.
    Hang,
    /// Success without a row, as an upstream outage may look.
    EmptyList,
    /// Rows and an `Error` in one answer.
    ErrorWithRows,
    /// The right answer with its first row broken.
    BreakRow(Damage),
    /// HTTP 302 to that address.
    Redirect(String),
    /// A body of at least that many bytes, all `x`.
    Endless(u64),
    /// HTTP 200, `application/json`, with this body.
    Body(String),
}

impl Fault {
    /// What the request log calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Throttle => "throttle",
            Fault::InternalError => "internal_error",
            Fault::Api { .. } => "api",
            Fault::Http(_) => "http",
            Fault::HtmlBody => "html_body",
            Fault::EmptyBody => "empty_body",
            Fault::TruncatedBody => "truncated_body",
            Fault::ConnectionReset => "connection_reset",
            Fault::ResetMidBody => "reset_mid_body",
            Fault::Slow(_) => "slow",
            Fault::Drip(_) => "drip",
            Fault::Hang => "hang",
            Fault::EmptyList => "empty_list",
            Fault::ErrorWithRows => "error_with_rows",
            Fault::BreakRow(_) => "break_row",
            Fault::Redirect(_) => "redirect",
            Fault::Endless(_) => "endless",
            Fault::Body(_) => "body",
        }
    }
}

/// How often requests fail by chance, each a share from 0 to 1 of all signed requests; together at most 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Share of [`Fault::Throttle`].
    pub throttle: f64,
    /// Share of [`Fault::InternalError`].
    pub internal_error: f64,
    /// Share of [`Fault::Http`] 500.
    pub http_500: f64,
    /// Share of [`Fault::Http`] 502.
    pub http_502: f64,
    /// Share of [`Fault::HtmlBody`].
    pub html_body: f64,
    /// Share of [`Fault::TruncatedBody`].
    pub truncated_body: f64,
    /// Share of [`Fault::ConnectionReset`].
    pub connection_reset: f64,
    /// Share of [`Fault::ResetMidBody`].
    pub reset_mid_body: f64,
    /// Share of [`Fault::EmptyList`].
    pub empty_list: f64,
    /// Share of [`Fault::Slow`].
    pub slow: f64,
    /// How slow.
    pub slow_by: Span,
    /// Share of sessions, not of requests, whose row is broken for ever, each in one of `broken_kinds`.
    pub broken_rows: f64,
    /// The kinds of broken rows to choose from; empty: all.
    pub broken_kinds: Vec<Damage>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            throttle: 0.0,
            internal_error: 0.0,
            http_500: 0.0,
            http_502: 0.0,
            html_body: 0.0,
            truncated_body: 0.0,
            connection_reset: 0.0,
            reset_mid_body: 0.0,
            empty_list: 0.0,
            slow: 0.0,
            slow_by: Span::seconds(2),
            broken_rows: 0.0,
            broken_kinds: Vec::new(),
        }
    }
}

impl Faults {
    fn shares(&self) -> [(&'static str, f64, Fault); 10] {
        [
            ("faults.throttle", self.throttle, Fault::Throttle),
            ("faults.internal_error", self.internal_error, Fault::InternalError),
            ("faults.http_500", self.http_500, Fault::Http(500)),
            ("faults.http_502", self.http_502, Fault::Http(502)),
            ("faults.html_body", self.html_body, Fault::HtmlBody),
            ("faults.truncated_body", self.truncated_body, Fault::TruncatedBody),
            ("faults.connection_reset", self.connection_reset, Fault::ConnectionReset),
            ("faults.reset_mid_body", self.reset_mid_body, Fault::ResetMidBody),
            ("faults.empty_list", self.empty_list, Fault::EmptyList),
            ("faults.slow", self.slow, Fault::Slow(self.slow_by)),
        ]
    }

    /// The fault that a roll from 0 to 1 hits.
    pub(in crate::sim) fn roll(&self, mut roll: f64) -> Option<Fault> {
        for (_, share, fault) in self.shares() {
            if roll < share {
                return Some(fault);
            }
            roll -= share;
        }
        None
    }

    /// Looks for values that cannot be meant.
    ///
    /// # Errors
    /// Names the first share out of its range, or all of them where their sum is above 1.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        for (key, value, _) in self.shares() {
            share(key, value)?;
        }
        share("faults.broken_rows", self.broken_rows)?;
        share("faults", self.shares().iter().map(|(_, value, _)| value).sum())
    }
}
