//! The parameters of a request, read as strictly as the API reads them.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::Name;
use super::archive::Ask;
use super::scenario::{PastCap, Quirks};
use crate::clock::UnixSeconds;

const DAY: i64 = 86_400;

/// An `Error` of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) code: String,
    pub(super) message: String,
}

impl ApiError {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    fn value(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValue", message)
    }
}

/// Parameters by name; each is taken once, what is left over is unknown to the action.
pub(super) struct Params(BTreeMap<String, Box<RawValue>>);

impl Params {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        serde_json::from_slice(body)
            .map(Self)
            .map_err(|_| ApiError::new("InvalidParameter", "The request body is not a JSON object."))
    }

    fn take<T: serde::de::DeserializeOwned>(&mut self, name: &str, kind: &str) -> Result<Option<T>, ApiError> {
        let Some(raw) = self.0.remove(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map_err(|_| {
            ApiError::new("InvalidParameter", format!("The value type of parameter `{name}` is not valid: {kind}."))
        })
    }

    fn name(&mut self, name: &str) -> Result<Option<Name>, ApiError> {
        let bytes = self.take::<serde_bytes::ByteBuf>(name, "string")?;
        Ok(bytes.filter(|bytes| !bytes.is_empty()).map(|bytes| Name::new(&bytes)))
    }

    fn number(&mut self, name: &str, default: u64, least: u64, most: u64) -> Result<u64, ApiError> {
        let number = self.take(name, "uint64")?.unwrap_or(default);
        if (least..=most).contains(&number) {
            return Ok(number);
        }
        Err(ApiError::value(format!("{name} must be from {least} to {most}.")))
    }

    fn flag(&mut self, name: &str) -> Result<bool, ApiError> {
        self.number(name, 0, 0, 1).map(|number| number == 1)
    }

    fn time(&mut self, name: &str) -> Result<UnixSeconds, ApiError> {
        let Some(text) = self.take::<String>(name, "string")? else {
            return Err(ApiError::new("MissingParameter", format!("The request is missing the parameter `{name}`.")));
        };
        let shaped = text.len() == "2018-12-29T19:00:00Z".len() && text.ends_with('Z') && text.contains('T');
        let time = text.parse::<jiff::Timestamp>().ok().filter(|_| shaped);
        time.map(jiff::Timestamp::as_second)
            .ok_or_else(|| ApiError::value(format!("{name} must look like 2018-12-29T19:00:00Z.")))
    }

    fn nothing_else(self) -> Result<(), ApiError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(ApiError::new("UnknownParameter", format!("The parameter `{name}` is not recognized."))),
        }
    }

    /// The parameters of `DescribeLiveStreamEventList`.
    pub(super) fn event_list(mut self, quirks: &Quirks, now: UnixSeconds) -> Result<Ask, ApiError> {
        let ask = Ask {
            start: self.time("StartTime")?,
            end: self.time("EndTime")?,
            domain: self.name("DomainName")?,
            app: self.name("AppName")?,
            stream: self.name("StreamName")?,
            page_num: self.number("PageNum", 1, 1, u64::MAX)?,
            page_size: self.number("PageSize", 10, 1, 100)?,
            started_only: self.flag("IsFilter")?,
            strict: self.flag("IsStrict")?,
            ascending: self.flag("IsAsc")?,
        };
        self.nothing_else()?;
        if ask.start > ask.end {
            return Err(ApiError::value("StartTime is after EndTime."));
        }
        if ask.end > now {
            return Err(ApiError::value("EndTime is after the current time."));
        }
        if ask.end - ask.start > 30 * DAY {
            return Err(ApiError::value("The time range is longer than 30 days."));
        }
        if ask.start < now - 60 * DAY {
            return Err(ApiError::value("Only the last 60 days can be queried."));
        }
        if quirks.past_cap == PastCap::Error && ask.page_num.saturating_mul(ask.page_size) > quirks.cap {
            return Err(ApiError::value(format!("Only queries within {} entries are supported.", quirks.cap)));
        }
        if quirks.domain_required && ask.domain.is_none() {
            return Err(unauthorized("DescribeLiveStreamEventList"));
        }
        Ok(ask)
    }

    /// The parameters of `DescribeLiveDomains`.
    pub(super) fn domains(mut self) -> Result<DomainAsk, ApiError> {
        let status = self.take::<u64>("DomainStatus", "uint64")?;
        let kind = self.take::<u64>("DomainType", "uint64")?;
        let page_size = self.number("PageSize", 10, 10, 100)?;
        let page_num = self.number("PageNum", 1, 1, 100_000)?;
        let prefix = self.take::<String>("DomainPrefix", "string")?.unwrap_or_default();
        self.take::<u64>("IsDelayLive", "uint64")?;
        self.take::<u64>("PlayType", "uint64")?;
        self.nothing_else()?;
        Ok(DomainAsk { status, kind, page_num, page_size, prefix })
    }

    /// The parameters of `DescribeLiveStreamOnlineList`.
    pub(super) fn online(mut self, quirks: &Quirks) -> Result<OnlineAsk, ApiError> {
        let ask = OnlineAsk {
            domain: self.name("DomainName")?,
            app: self.name("AppName")?,
            stream: self.name("StreamName")?,
            page_num: self.number("PageNum", 1, 1, u64::MAX)?,
            page_size: self.number("PageSize", 10, 10, quirks.most_online_on_a_page)?,
        };
        self.nothing_else()?;
        if quirks.domain_required && ask.domain.is_none() {
            return Err(unauthorized("DescribeLiveStreamOnlineList"));
        }
        Ok(ask)
    }
}

/// What `DescribeLiveStreamOnlineList` asks for.
#[derive(Debug)]
pub(super) struct OnlineAsk {
    pub(super) domain: Option<Name>,
    pub(super) app: Option<Name>,
    pub(super) stream: Option<Name>,
    pub(super) page_num: u64,
    pub(super) page_size: u64,
}

/// What `DescribeLiveDomains` asks for.
#[derive(Debug)]
pub(super) struct DomainAsk {
    pub(super) status: Option<u64>,
    pub(super) kind: Option<u64>,
    pub(super) page_num: u64,
    pub(super) page_size: u64,
    pub(super) prefix: String,
}

/// The refusal of the access policy, worded as the platform words it.
pub(super) fn unauthorized(action: &str) -> ApiError {
    let message =
        format!("you are not authorized to perform operation (live:{action})\nresource (*) has no permission");
    ApiError::new("UnauthorizedOperation", message)
}
