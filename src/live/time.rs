//! Times on the wire, and the API's clock.

use std::time::Duration;

use jiff::civil;
use jiff::fmt::temporal::Pieces;

use crate::clock::UnixSeconds;

/// First second of 1971: ends before it are somebody's zero (`0001-01-01`, `1970-01-01`), not times.
const AFTER_ZERO_DATES: UnixSeconds = 31_536_000;

/// A time as the API writes it, `2018-12-29T19:00:00Z`. Also read: other offsets, a space for the `T`, no offset
/// (UTC), fractions (dropped), second 60 (the second before).
pub(super) fn parse(text: &str) -> Option<UnixSeconds> {
    let pieces = Pieces::parse(text.trim()).ok()?;
    let local = pieces.date().to_datetime(pieces.time()?);
    let offset = match pieces.to_numeric_offset() {
        Some(offset) => i64::from(offset.seconds()),
        None if pieces.time_zone_annotation().is_none() => 0,
        None => return None,
    };
    // Not by way of `jiff::Timestamp`, which ends a day before the year 9999 does.
    let epoch = civil::date(1970, 1, 1).to_datetime(civil::Time::midnight());
    let since = local.with().subsec_nanosecond(0).build().ok()?.duration_since(epoch);
    Some(since.as_secs() - offset)
}

/// An end time; nothing for the many ways to say that there is none.
pub(super) fn parse_end(text: &str) -> Option<UnixSeconds> {
    parse(text).filter(|end| *end >= AFTER_ZERO_DATES)
}

/// A time as the API takes it.
pub(super) fn format(at: UnixSeconds) -> String {
    let at = at.clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
    jiff::Timestamp::from_second(at).expect("clamped to what jiff can hold").to_string()
}

/// The `Date` header of an HTTP answer (RFC 9110, section 5.6.7).
pub(super) fn parse_http_date(text: &str) -> Option<UnixSeconds> {
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(time.as_second())
}

/// When an answer was made, unless it comes out of a cache.
pub(super) fn of_answer(headers: &reqwest::header::HeaderMap) -> Option<UnixSeconds> {
    let date = headers.get(reqwest::header::DATE).filter(|_| !headers.contains_key(reqwest::header::AGE));
    parse_http_date(date?.to_str().ok()?)
}

/// The API's clock, as its last answer told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiTime {
    /// The answer's `Date`, whole seconds.
    pub at: UnixSeconds,
    /// [`crate::clock::Clock::elapsed`] half-way between request and answer.
    pub elapsed: Duration,
}

impl ApiTime {
    /// The API's time when the elapsed clock shows `elapsed`.
    #[must_use]
    pub fn now(&self, elapsed: Duration) -> UnixSeconds {
        let since = elapsed.saturating_sub(self.elapsed).as_secs();
        self.at.saturating_add_unsigned(since)
    }

    /// Seconds by which the API's clock is ahead of ours, negative when behind, right to about a second.
    #[must_use]
    pub fn skew(&self, local_now: UnixSeconds, elapsed: Duration) -> i64 {
        self.now(elapsed).saturating_sub(local_now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_api_and_its_neighbours_write_them() {
        for (text, expected) in [
            ("2018-12-29T19:00:00Z", Some(1_546_110_000)),
            ("2018-12-30T03:00:00+08:00", Some(1_546_110_000)),
            ("2018-12-29 19:00:00", Some(1_546_110_000)),
            (" 2018-12-29T19:00:00.999Z ", Some(1_546_110_000)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_799)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1969-12-31T23:59:58.5Z", Some(-2)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799)),
            ("0001-01-01T00:00:00Z", Some(-62_135_596_800)),
            ("0000-00-00 00:00:00", None),
            ("2018-12-29", None),
            ("2018-12-29T19:00:00Zjunk", None),
            ("2018-12-29T19:00:00[Asia/Shanghai]", None),
            ("2018-02-30T00:00:00Z", None),
            ("-", None),
            ("", None),
            ("\u{fffd}", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn zero_dates_are_no_ends() {
        for text in ["", "-", "0000-00-00T00:00:00Z", "0001-01-01T00:00:00Z", "1970-01-01T08:00:00+08:00"] {
            assert_eq!(parse_end(text), None, "{text}");
        }
        assert_eq!(parse_end("2018-12-29T19:00:00Z"), Some(1_546_110_000));
    }

    #[test]
    fn times_are_written_as_documented() {
        assert_eq!(format(1_546_110_000), "2018-12-29T19:00:00Z");
        assert_eq!(parse(&format(i64::MIN)), Some(jiff::Timestamp::MIN.as_second()));
    }

    #[test]
    fn http_dates_are_read() {
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse_http_date("yesterday"), None);
    }

    #[test]
    fn the_apis_clock_runs_on_with_elapsed_time() {
        let time = ApiTime { at: 1000, elapsed: Duration::from_millis(5500) };
        assert_eq!(time.now(Duration::from_millis(7499)), 1001);
        assert_eq!(time.now(Duration::ZERO), 1000);
        assert_eq!(time.skew(990, Duration::from_millis(5500)), 10);
        assert_eq!(time.skew(1010, Duration::from_millis(5500)), -10);
    }
}
