//! Temporary keys as they are issued, by the metadata service and by STS alike.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Credentials, life};
use crate::clock::UnixSeconds;
use crate::live::wire::{self, Expiry};
use crate::live::{text, time};
use crate::secret::Secret;

/// Longest value that is taken for a part of a key, in bytes; tokens have about a thousand.
const VALUE_BYTES: usize = 8 * 1024;

/// Keys that expire.
pub(super) struct Issued {
    pub(super) credentials: Credentials,
    /// When they expire, by the clock of whoever issued them.
    pub(super) expires: UnixSeconds,
    /// How long they live from now on.
    pub(super) left: Duration,
}

/// The members that keys have.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow, rename = "TmpSecretId")]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "TmpSecretKey")]
    key: Option<&'a RawValue>,
    #[serde(borrow, rename = "Token")]
    token: Option<&'a RawValue>,
}

/// Reads a key and its token out of a JSON object; the error says what is wrong, without what stands there.
pub(super) fn credentials(object: &RawValue) -> Result<Credentials, &'static str> {
    let keys: Keys<'_> = wire::object(object.get()).map_err(|_| "its keys are no JSON object")?;
    let token = value(keys.token).ok_or("it has no Token")?;
    let credentials = Credentials {
        secret_id: value(keys.id).ok_or("it has no TmpSecretId")?.expose().to_owned(),
        secret_key: value(keys.key).ok_or("it has no TmpSecretKey")?,
        token: Some(token),
    };
    credentials.checked().map_err(|_| "TmpSecretId, TmpSecretKey or Token has characters that no key has")
}

/// A text that is not empty.
fn value(raw: Option<&RawValue>) -> Option<Secret> {
    let raw = raw.filter(|raw| raw.get().starts_with('"') && raw.get().len() <= VALUE_BYTES)?;
    let text = String::from_utf8(text::bytes(raw)?).ok()?;
    Some(Secret::new(text)).filter(|text| !text.expose().is_empty())
}

/// When keys expire; the error says why that cannot be known.
pub(super) fn expiry(told: Expiry<'_>) -> Result<UnixSeconds, &'static str> {
    let seconds = text::count(told.expired_time).and_then(|seconds| UnixSeconds::try_from(seconds).ok());
    let written = || time::parse(&text::lossy(told.expiration, 64));
    seconds.or_else(written).ok_or("it has no ExpiredTime and no Expiration")
}

impl Issued {
    /// `credentials` that expire at `expires`, where it is `now`, both by the clock of whoever issued them.
    pub(super) fn new(credentials: Credentials, expires: UnixSeconds, now: UnixSeconds) -> Result<Self, &'static str> {
        let left = u64::try_from(expires.saturating_sub(now)).unwrap_or(0);
        if left == 0 {
            return Err("its keys have expired already");
        }
        let left = life::believed(Duration::from_secs(left));
        let expires = expires.min(now.saturating_add_unsigned(left.as_secs()));
        Ok(Self { credentials, expires, left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn keys_need_all_their_parts_and_nothing_strange_in_them() {
        let whole = r#"{"TmpSecretId":"id","TmpSecretKey":"key","Token":"token","New":{}}"#;
        let read = credentials(&raw(whole)).unwrap();
        assert_eq!((read.secret_id.as_str(), read.secret_key.expose()), ("id", "key"));
        assert_eq!(read.token, Some(Secret::new("token")));
        let long = format!("\"{}\"", "x".repeat(VALUE_BYTES));
        for (part, other) in [
            ("\"id\"", "\"\""),
            ("\"id\"", "null"),
            ("\"id\"", "7"),
            ("\"id\"", "\"i/d\""),
            ("\"key\"", "\"a b\""),
            ("\"key\"", r#""a\nb""#),
            ("\"key\"", r#""a\u0000b""#),
            ("\"key\"", r#""\ud800""#),
            ("\"token\"", "\"\u{201c}\""),
            ("\"token\"", &long),
            ("\"Token\"", "\"Tokens\""),
        ] {
            assert!(credentials(&raw(&whole.replacen(part, other, 1))).is_err(), "{part} {other}");
        }
        for no_object in ["[]", "\"id\"", "null", "7", r#"["id","key","token"]"#] {
            assert_eq!(credentials(&raw(no_object)).unwrap_err(), "its keys are no JSON object", "{no_object}");
        }
    }

    #[test]
    fn the_end_is_read_in_either_spelling() {
        let at = |expired_time: Option<&str>, expiration: Option<&str>| {
            let (time, text) = (expired_time.map(raw), expiration.map(raw));
            expiry(Expiry { expired_time: time.as_deref(), expiration: text.as_deref() }).ok()
        };
        assert_eq!(at(Some("1546632000"), None), Some(1_546_632_000));
        assert_eq!(at(Some("\"1546632000\""), Some("\"2030-01-01T00:00:00Z\"")), Some(1_546_632_000));
        assert_eq!(at(None, Some("\"2019-01-04T20:00:00Z\"")), Some(1_546_632_000));
        assert_eq!(at(Some("null"), Some("\"2019-01-05T04:00:00+08:00\"")), Some(1_546_632_000));
        for (time, text) in [(None, None), (Some("-1"), None), (Some("1e9"), Some("7")), (Some("{}"), Some("\"soon\""))]
        {
            assert_eq!(at(time, text), None, "{time:?} {text:?}");
        }
    }

    #[test]
    fn keys_that_have_expired_are_no_keys_and_none_is_believed_to_live_for_ever() {
        let keys = || credentials(&raw(r#"{"TmpSecretId":"i","TmpSecretKey":"k","Token":"t"}"#)).unwrap();
        let left =
            |expires, now| Issued::new(keys(), expires, now).map(|issued| (issued.left.as_secs(), issued.expires));
        assert_eq!(left(1_007_200, 1_000_000), Ok((7200, 1_007_200)));
        assert_eq!(left(i64::MAX, 1_000_000), Ok((86_400, 1_086_400)));
        for expires in [1_000_000, 999_999, 0, i64::MIN] {
            assert_eq!(left(expires, 1_000_000), Err("its keys have expired already"), "{expires}");
        }
    }
}
