//! What the answers look like; `openapi.yaml` describes the same.

use serde::Serialize;

use super::super::Site;
use crate::clock::UnixSeconds;
use crate::ledger::{Disconnect, RecordPage};
use crate::reason::{Entry, TABLE};
use crate::session::OVERFLOW;

/// Data of `/api/v1/disconnects`.
#[derive(Serialize)]
pub(super) struct Page {
    disconnects: Vec<OneDisconnect>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct OneDisconnect {
    account: String,
    domain: String,
    app: String,
    stream: String,
    start: String,
    end: String,
    duration_seconds: u64,
    client_ip: String,
    reason: &'static str,
    class: &'static str,
    reason_text: String,
    resolution: String,
    first_seen: String,
    counted: bool,
}

impl From<RecordPage> for Page {
    fn from(page: RecordPage) -> Self {
        let next_cursor = page.next_cursor.map(|cursor| cursor.to_string());
        Self { disconnects: page.disconnects.into_iter().map(OneDisconnect::from).collect(), next_cursor }
    }
}

impl From<Disconnect> for OneDisconnect {
    fn from(one: Disconnect) -> Self {
        Self {
            account: one.account,
            domain: one.domain,
            app: one.app,
            stream: one.stream,
            start: time(one.start),
            end: time(one.end),
            duration_seconds: one.duration,
            client_ip: one.client_ip,
            reason: one.reason.as_str(),
            class: one.class.as_str(),
            reason_text: one.reason_text,
            resolution: one.resolution,
            first_seen: time(one.first_seen),
            counted: one.counted,
        }
    }
}

/// Data of `/api/v1/reasons`.
#[derive(Serialize)]
pub(super) struct Taxonomy {
    reasons: Vec<OneReason>,
}

#[derive(Serialize)]
struct OneReason {
    reason: &'static str,
    class: &'static str,
    description: Option<&'static str>,
    description_zh: Option<&'static str>,
    codes: &'static [&'static str],
}

impl Taxonomy {
    pub(super) fn new() -> Self {
        let one = |entry: &'static Entry| OneReason {
            reason: entry.name,
            class: entry.class.as_str(),
            description: entry.en.first().copied(),
            description_zh: entry.zh.first().copied(),
            codes: entry.codes,
        };
        Self { reasons: TABLE.iter().map(one).collect() }
    }
}

/// Data of `/api/v1/status`.
#[derive(Serialize)]
pub(super) struct Status {
    version: &'static str,
    revision: &'static str,
    healthy: bool,
    ready: bool,
    accounts: Vec<OneAccount>,
    series: Series,
}

#[derive(Serialize)]
struct OneAccount {
    name: String,
    last_poll: Option<String>,
    last_success: Option<String>,
    watermark: Option<String>,
    last_error: Option<String>,
    overflowed_disconnects: u64,
}

#[derive(Serialize)]
struct Series {
    published: u64,
    limit: u64,
    idle: u64,
    held: u64,
    held_disconnects: u64,
    overflowed: u64,
}

impl Status {
    pub(super) fn new(site: &Site) -> Self {
        let snapshot = site.exposition.snapshot();
        let own = site.exposition.own();
        let account = |account: crate::status::AccountStatus| OneAccount {
            overflowed_disconnects: own.overflowed_disconnects(&account.name),
            name: account.name,
            last_poll: account.last_poll.map(time),
            last_success: account.last_success.map(time),
            watermark: account.watermark.map(time),
            last_error: account.last_error,
        };
        Self {
            version: site.build.version,
            revision: site.build.revision,
            healthy: site.board.healthy(site.clock.elapsed()),
            ready: site.board.ready(),
            accounts: site.board.accounts().into_iter().map(account).collect(),
            series: Series {
                published: snapshot.series,
                limit: own.series_limit(),
                idle: snapshot.idle_series,
                held: snapshot.held_series,
                held_disconnects: snapshot.held_disconnects,
                overflowed: snapshot.streams().filter(|series| series.stream == OVERFLOW).count() as u64,
            },
        }
    }
}

/// RFC 3339 in UTC. A time that no calendar has can only come from a damaged ledger, and is told as its number.
fn time(at: UnixSeconds) -> String {
    jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |time| time.to_string())
}
