//! From and until: the range of time that is asked for.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::UnixSeconds;
use crate::listing::Window;
use crate::poller::API_REMEMBERS;
use crate::settings::parse_duration;

/// A moment as an argument names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// So long ago.
    Ago(Duration),
    /// The second, and whether a part of it is over.
    At(UnixSeconds, bool),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
        if digits(seconds) && seconds.len() <= 11 && digits(fraction) {
            let second = seconds.parse().map_err(|_| accepted())?;
            return Ok(Moment::At(second, fraction.bytes().any(|digit| digit != b'0')));
        }
        if let Ok(ago) = parse_duration(text) {
            return Ok(Moment::Ago(ago));
        }
        let at: Timestamp = text.parse().map_err(|_| accepted())?;
        let before = i64::from(at.subsec_nanosecond() < 0);
        Ok(Moment::At(at.as_second() - before, at.subsec_nanosecond() != 0))
    }
}

fn accepted() -> String {
    "accepted are a duration up to now (2h, 1h30m, 7d), a time as 2026-01-31T08:00:00Z, with Z or an offset, and seconds \
     since 1970"
        .to_owned()
}

impl Moment {
    /// The first second from here on.
    fn first(self, now: UnixSeconds) -> UnixSeconds {
        match self {
            Moment::Ago(ago) => now.saturating_sub_unsigned(ago.as_secs()),
            Moment::At(second, over) => second + i64::from(over),
        }
    }

    /// The last second up to here.
    fn last(self, now: UnixSeconds) -> UnixSeconds {
        match self {
            Moment::Ago(_) => self.first(now),
            Moment::At(second, _) => second,
        }
    }
}

/// The range of `since` up to `until`, or to now; the error says why the API cannot answer for it.
pub(super) fn range(since: Moment, until: Option<Moment>, now: UnixSeconds) -> Result<Window, String> {
    let range = Window { start: since.first(now), end: until.map_or(now, |until| until.last(now)) };
    let remembers = i64::try_from(API_REMEMBERS.as_secs()).unwrap_or(i64::MAX);
    let [since, until, now_shown, first] = [range.start, range.end, now, now - remembers].map(shown);
    if range.start > now {
        return Err(format!("--since {since} is later than now, {now_shown}; name an earlier time"));
    }
    if range.start > range.end {
        return Err(format!("--since {since} is later than --until {until}; exchange them"));
    }
    if range.start < now - remembers {
        let first = format!("the API answers for the last 60 days only; name {first} or later");
        return Err(format!("--since {since} is further back than the API remembers: {first}"));
    }
    Ok(Window { end: range.end.min(now), ..range })
}

/// A second as RFC 3339 has it, in UTC; a number where the calendar ends.
pub(super) fn shown(at: UnixSeconds) -> String {
    Timestamp::from_second(at).map_or_else(|_| at.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-31T00:00:00Z.
    const NOW: UnixSeconds = 1_769_817_600;

    #[test]
    fn moments_are_durations_times_and_unix_seconds() {
        for (text, first, last) in [
            ("2h", NOW - 7_200, NOW - 7_200),
            ("1h30m", NOW - 5_400, NOW - 5_400),
            ("0s", NOW, NOW),
            ("1767225600", 1_767_225_600, 1_767_225_600),
            ("1767225600.25", 1_767_225_601, 1_767_225_600),
            ("2026-01-01T00:00:00Z", 1_767_225_600, 1_767_225_600),
            ("2026-01-01T08:00:00.5+08:00", 1_767_225_601, 1_767_225_600),
            ("0", 0, 0),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!((moment.first(NOW), moment.last(NOW)), (first, last), "{text}");
        }
        for text in ["", "-1", "yesterday", "2026-01-01", "2h ago", "1.", ".5", "1e9", "999999999999", "２h"] {
            assert!(text.parse::<Moment>().unwrap_err().contains("accepted are a duration"), "{text}");
        }
    }

    #[test]
    fn what_the_api_cannot_answer_is_refused_with_what_it_can() {
        let day = 24 * 3600;
        let asked = |since: &str, until: Option<&str>| {
            range(since.parse().unwrap(), until.map(|until| until.parse().unwrap()), NOW)
        };
        assert_eq!(asked("2h", None), Ok(Window { start: NOW - 7_200, end: NOW }));
        assert_eq!(asked("60d", Some("30d")), Ok(Window { start: NOW - 60 * day, end: NOW - 30 * day }));
        assert_eq!(asked("2h", Some("2026-02-02T00:00:00Z")), Ok(Window { start: NOW - 7_200, end: NOW }));
        for (since, until, words) in [
            ("60d1s", None, "--since 2025-12-01T23:59:59Z is further back than the API remembers"),
            ("0", None, "name 2025-12-02T00:00:00Z or later"),
            ("2026-02-01T00:00:00Z", None, "is later than now"),
            ("1h", Some("2h"), "--since 2026-01-30T23:00:00Z is later than --until 2026-01-30T22:00:00Z"),
        ] {
            let error = asked(since, until).unwrap_err();
            assert!(error.contains(words), "{since}: {error}");
        }
    }
}
