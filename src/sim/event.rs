//! One push session as the simulated platform knows it, and the ways in which its row can be wrong.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::UnixSeconds;
use crate::reason::{Class, Reason};

/// The text of an ordinary end, used where an event names none.
const CLIENT_STOPPED: &str = "推流客户端主动断流";

/// A domain, app or stream name: any bytes, since whoever may push chooses them.
///
/// Lone surrogates are held as their three-byte generalised UTF-8 and leave as `\udxxx` again; other bytes that are
/// not UTF-8 leave as they are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<[u8]>);

impl Name {
    /// Keeps `bytes` as they are.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name to show, what is not UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    pub(super) fn contains(&self, part: &Name) -> bool {
        part.0.is_empty() || self.0.windows(part.0.len()).any(|window| window == &*part.0)
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes())
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

impl<'de> Deserialize<'de> for Name {
    /// By bytes: `serde_json` then lets lone surrogates pass.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::ByteBuf::deserialize(deserializer).map(|bytes| Self::new(&bytes))
    }
}

/// Names one event of a [`super::World`], in the order of publication from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId(pub(super) u32);

/// One push session: the facts, when the API shows them, and what its row looks like.
///
/// ```
/// use tencent_live_exporter::sim::Event;
/// let event = Event::ended("push.example.com", "live", "room_1", 1_700_000_000, 1_700_000_060)
///     .because("推流链路网络异常")
///     .visible_at(1_700_000_300);
/// assert_eq!(event.duration, None, "the API then tells end - start");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// `DomainName`
    pub domain: Name,
    /// `AppName`; `live` where a request body leaves it out.
    #[serde(default = "live")]
    pub app: Name,
    /// `StreamName`
    pub stream: Name,
    /// `StreamStartTime`, Unix seconds.
    pub start: UnixSeconds,
    /// `StreamEndTime`, Unix seconds; none while the push goes on.
    #[serde(default)]
    pub end: Option<UnixSeconds>,
    /// `StopReason`
    #[serde(default = "client_stopped")]
    pub reason: Cow<'static, str>,
    /// `ClientIp`
    #[serde(default = "documentation_address")]
    pub client_ip: String,
    /// `Duration` in seconds; none: the difference of the times.
    #[serde(default)]
    pub duration: Option<i64>,
    /// `Resolution`, `W*H`.
    #[serde(default = "full_hd")]
    pub resolution: Cow<'static, str>,
    /// When the finished row can first be listed, Unix seconds; none: as soon as the session has ended.
    #[serde(default)]
    pub visible_at: Option<UnixSeconds>,
    /// From when on the session is listed although it has not ended; none: never.
    #[serde(default)]
    pub live_from: Option<UnixSeconds>,
    /// JSON text that stands in the row in place of a field's value, by the API's field name. An empty text leaves the
    /// field out, an unknown name adds a field.
    #[serde(default)]
    pub raw: BTreeMap<String, RawJson>,
    /// Bytes that stand in place of the whole row.
    #[serde(default)]
    pub raw_row: Option<RawJson>,
    /// True for a row that nobody can be asked to count, such as one without a name; the truth leaves it out.
    #[serde(default)]
    pub unusable: bool,
    /// The reason meant by the text, where the maker of the event knows it.
    #[serde(skip)]
    pub(super) meant: Option<Reason>,
}

/// JSON text that is written as it is, well-formed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawJson(pub Vec<u8>);

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into_bytes()))
    }
}

fn live() -> Name {
    "live".into()
}

fn client_stopped() -> Cow<'static, str> {
    CLIENT_STOPPED.into()
}

fn documentation_address() -> String {
    "203.0.113.7".into()
}

fn full_hd() -> Cow<'static, str> {
    "1920*1080".into()
}

impl Event {
    /// A session from `start` to `end` that the client stopped.
    #[must_use]
    pub fn ended(
        domain: impl Into<Name>,
        app: impl Into<Name>,
        stream: impl Into<Name>,
        start: UnixSeconds,
        end: UnixSeconds,
    ) -> Self {
        Self { end: Some(end), live_from: None, ..Self::live(domain, app, stream, start) }
    }

    /// A session that goes on, listed from its start; [`super::World::change`] ends it.
    #[must_use]
    pub fn live(domain: impl Into<Name>, app: impl Into<Name>, stream: impl Into<Name>, start: UnixSeconds) -> Self {
        Self {
            domain: domain.into(),
            app: app.into(),
            stream: stream.into(),
            start,
            end: None,
            reason: client_stopped(),
            client_ip: documentation_address(),
            duration: None,
            resolution: full_hd(),
            visible_at: None,
            live_from: Some(start),
            raw: BTreeMap::new(),
            raw_row: None,
            unusable: false,
            meant: None,
        }
    }

    /// The same with another `StopReason`.
    #[must_use]
    pub fn because(self, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), meant: None, ..self }
    }

    /// The same from another address.
    #[must_use]
    pub fn from_ip(self, client_ip: impl Into<String>) -> Self {
        Self { client_ip: client_ip.into(), ..self }
    }

    /// The same, listed as finished only from `at` on.
    #[must_use]
    pub fn visible_at(self, at: UnixSeconds) -> Self {
        Self { visible_at: Some(at), ..self }
    }

    /// The same, listed without an end from `at` on.
    #[must_use]
    pub fn live_from(self, at: UnixSeconds) -> Self {
        Self { live_from: Some(at), ..self }
    }

    /// The same with `json` in place of the value of the API's `field`; empty leaves the field out.
    #[must_use]
    pub fn raw(mut self, field: &str, json: impl Into<Vec<u8>>) -> Self {
        self.raw.insert(field.to_owned(), RawJson(json.into()));
        self
    }

    /// The same with `json` in place of the whole row.
    #[must_use]
    pub fn raw_row(self, json: impl Into<Vec<u8>>) -> Self {
        Self { raw_row: Some(RawJson(json.into())), ..self }
    }

    /// The same, left out of the truth.
    #[must_use]
    pub fn unusable(self) -> Self {
        Self { unusable: true, ..self }
    }

    /// From when on the finished row can be listed.
    pub(super) fn finished_from(&self) -> Option<UnixSeconds> {
        self.end.map(|end| self.visible_at.unwrap_or(end))
    }
}

/// What changes in an event that may have been listed already; absent parts stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventChange {
    /// A new end, the end of a session that went on, Unix seconds.
    pub end: Option<UnixSeconds>,
    /// A new `StopReason`.
    pub reason: Option<Cow<'static, str>>,
    /// A new `ClientIp`.
    pub client_ip: Option<String>,
    /// A new `Resolution`.
    pub resolution: Option<Cow<'static, str>>,
    /// A new `Duration`.
    pub duration: Option<i64>,
    /// A new moment from which on the finished row is listed.
    pub visible_at: Option<UnixSeconds>,
}

/// True for reasons that refuse a push, so that no session comes about (codes 18 and 19 but for internal errors).
#[must_use]
pub fn refuses_push(reason: Reason) -> bool {
    matches!(
        reason.class(),
        Class::Arrears | Class::Auth | Class::Access | Class::Quota | Class::Service | Class::Config
    ) || matches!(reason, Reason::StreamForbidden | Reason::LowerPriority)
}

/// A way in which a row is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// `ClientIp` is null; the session still counts.
    NullClientIp,
    /// `Resolution` is null; the session still counts.
    NullResolution,
    /// `Duration` is negative; the session still counts.
    NegativeDuration,
    /// `Duration` is a text; the session still counts.
    TextDuration,
    /// A field nobody has documented; the session still counts.
    ExtraField,
    /// `StreamName` ends in half a surrogate pair, which no UTF-8 text can hold; the session still counts.
    LoneSurrogate,
    /// `StreamName` is null.
    NullName,
    /// `DomainName` is an object.
    WrongType,
    /// `StreamStartTime` is no time.
    BadStart,
    /// `StreamEndTime` is no time, for ever.
    BadEnd,
    /// The row is a number.
    NotAnObject,
}

impl Damage {
    /// Every kind.
    pub const ALL: [Damage; 11] = [
        Damage::NullClientIp,
        Damage::NullResolution,
        Damage::NegativeDuration,
        Damage::TextDuration,
        Damage::ExtraField,
        Damage::LoneSurrogate,
        Damage::NullName,
        Damage::WrongType,
        Damage::BadStart,
        Damage::BadEnd,
        Damage::NotAnObject,
    ];

    /// True where the session can still be counted.
    #[must_use]
    pub fn is_harmless(self) -> bool {
        !matches!(self, Damage::NullName | Damage::WrongType | Damage::BadStart | Damage::BadEnd | Damage::NotAnObject)
    }

    /// `event`, broken this way; left out of the truth where the break is not harmless.
    #[must_use]
    pub fn apply(self, mut event: Event) -> Event {
        event.unusable |= !self.is_harmless();
        match self {
            Damage::NullClientIp => event.raw("ClientIp", "null"),
            Damage::NullResolution => event.raw("Resolution", "null"),
            Damage::NegativeDuration => event.raw("Duration", "-1"),
            Damage::TextDuration => event.raw("Duration", "\"12\""),
            Damage::ExtraField => event.raw("GroupName", "null"),
            Damage::LoneSurrogate => {
                event.stream = Name::new(&[event.stream.as_bytes(), b"\xed\xa0\xbd"].concat());
                event
            }
            Damage::NullName => event.raw("StreamName", "null"),
            Damage::WrongType => event.raw("DomainName", "{\"Name\":1}"),
            Damage::BadStart => event.raw("StreamStartTime", "\"yesterday\""),
            Damage::BadEnd => event.raw("StreamEndTime", "\"soon\""),
            Damage::NotAnObject => event.raw_row("17"),
        }
    }
}
