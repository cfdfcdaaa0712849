//! Durations as Prometheus writes them: `30s`, `1h30m`, `7d`, `1w`, `500ms`, `0`.
//!
//! Units are `y` (365 days), `w`, `d`, `h`, `m`, `s` and `ms`, whole numbers, largest first, each at most once.
//! Source: `ParseDuration` and `Duration.String` of github.com/prometheus/common, `model/time.go`.

use std::time::Duration;

/// Unit, its milliseconds, and whether it is written only where nothing smaller remains (`1w`, but `8d`).
const UNITS: [(&str, u64, bool); 7] = [
    ("y", 365 * 86_400_000, true),
    ("w", 7 * 86_400_000, true),
    ("d", 86_400_000, false),
    ("h", 3_600_000, false),
    ("m", 60_000, false),
    ("s", 1_000, false),
    ("ms", 1, false),
];

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing, or nothing that starts with a number.
    #[error("not a duration")]
    NotADuration,
    /// `30`: seconds, minutes?
    #[error("a number without a unit")]
    NoUnit,
    /// `5parsecs`
    #[error("an unknown unit")]
    UnknownUnit,
    /// `30s1h` or `1s1s`
    #[error("units out of order or twice")]
    Order,
    /// Past 2^64 - 1 milliseconds.
    #[error("a number too large to keep")]
    TooLarge,
}

/// Reads a duration as Prometheus writes it.
///
/// ```
/// use std::time::Duration;
/// use tencent_live_exporter::settings::parse_duration;
/// assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
/// assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
/// assert!(parse_duration("1.5h").is_err());
/// ```
///
/// # Errors
/// [`DurationError`] when the text has another form or its milliseconds do not fit 64 bits.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err(DurationError::NotADuration);
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if digits == 0 {
            return Err(DurationError::NotADuration);
        }
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        if unit.is_empty() {
            return Err(DurationError::NoUnit);
        }
        if UNITS.iter().all(|(name, ..)| *name != unit) {
            return Err(DurationError::UnknownUnit);
        }
        let (_, scale, _) = units.find(|(name, ..)| *name == unit).ok_or(DurationError::Order)?;
        let number: u64 = number.parse().map_err(|_| DurationError::TooLarge)?;
        let part = number.checked_mul(*scale).ok_or(DurationError::TooLarge)?;
        millis = millis.checked_add(part).ok_or(DurationError::TooLarge)?;
        rest = tail;
    }
    Ok(Duration::from_millis(millis))
}

/// Writes a duration as Prometheus does: `90s` is `1m30s`, nothing is `0s`; below a millisecond is cut.
///
/// ```
/// use std::time::Duration;
/// use tencent_live_exporter::settings::format_duration;
/// assert_eq!(format_duration(Duration::from_secs(90)), "1m30s");
/// assert_eq!(format_duration(Duration::from_secs(8 * 86_400)), "8d");
/// ```
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut millis = duration.as_millis();
    let mut text = String::new();
    for (unit, scale, alone) in UNITS {
        let scale = u128::from(scale);
        if millis >= scale && (!alone || millis.is_multiple_of(scale)) {
            text.push_str(&(millis / scale).to_string());
            text.push_str(unit);
            millis %= scale;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_prometheus_writes_is_read() {
        for (text, seconds) in [
            ("0", 0),
            ("0s", 0),
            ("30s", 30),
            ("90s", 90),
            ("1h30m", 5_400),
            ("7d", 604_800),
            ("1w", 604_800),
            ("1y2w3d", 365 * 86_400 + 17 * 86_400),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_duration("1s500ms"), Ok(Duration::from_millis(1_500)));
    }

    #[test]
    fn what_prometheus_refuses_is_refused() {
        for (text, error) in [
            ("", DurationError::NotADuration),
            (" 30s", DurationError::NotADuration),
            ("-30s", DurationError::NotADuration),
            ("soon", DurationError::NotADuration),
            ("30", DurationError::NoUnit),
            ("1h30", DurationError::NoUnit),
            ("1.5h", DurationError::UnknownUnit),
            ("30 s", DurationError::UnknownUnit),
            ("30S", DurationError::UnknownUnit),
            ("３０s", DurationError::NotADuration),
            ("30s1h", DurationError::Order),
            ("1s1s", DurationError::Order),
            ("99999999999999999999s", DurationError::TooLarge),
            ("18446744073709551615y", DurationError::TooLarge),
        ] {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }

    #[test]
    fn years_and_weeks_are_written_only_where_nothing_remains() {
        for (seconds, text) in [(0, "0s"), (90, "1m30s"), (86_400, "1d"), (604_800, "1w"), (30 * 86_400, "30d")] {
            assert_eq!(format_duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(format_duration(Duration::from_secs(365 * 86_400)), "1y");
        assert_eq!(format_duration(Duration::from_millis(500)), "500ms");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis: u64) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[0-9ywdhms. -]{0,12}|\\PC{0,8}") {
            if let Ok(duration) = parse_duration(&text) {
                prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            }
        }
    }
}
