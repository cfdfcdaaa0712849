//! Lengths of time in scenario files: `200ms`, `30s`, `1h30m`, `7d`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time in whole milliseconds, written as units from large to small: `d`, `h`, `m`, `s`, `ms`; or `0`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    millis: u64,
}

const UNITS: [(&str, u64); 5] = [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];

impl Span {
    /// `seconds` whole seconds.
    #[must_use]
    pub const fn seconds(seconds: u32) -> Self {
        Self { millis: seconds as u64 * 1000 }
    }

    /// `millis` thousandths of a second.
    #[must_use]
    pub const fn millis(millis: u32) -> Self {
        Self { millis: millis as u64 }
    }

    /// The length in milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.millis
    }

    /// The length in whole seconds, rounded down.
    #[must_use]
    pub fn as_seconds(self) -> i64 {
        i64::try_from(self.millis / 1000).unwrap_or(i64::MAX)
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "0" {
            return Some(Self::default());
        }
        let mut rest = text;
        let mut total = 0_u64;
        let mut previous = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let count: u64 = rest[..digits].parse().ok()?;
            rest = &rest[digits..];
            let (unit, size) = UNITS.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
            if size >= previous {
                return None;
            }
            previous = size;
            total = total.checked_add(count.checked_mul(size)?)?;
            rest = &rest[unit.len()..];
        }
        (previous != u64::MAX).then_some(Self { millis: total })
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.millis == 0 {
            return f.write_str("0");
        }
        let mut rest = self.millis;
        for (unit, size) in UNITS[1..].iter().chain(&UNITS[..1]) {
            if rest >= *size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let parsed = match &value {
            serde_json::Value::String(text) => Self::parse(text),
            serde_json::Value::Number(number) if number.as_u64() == Some(0) => Some(Self::default()),
            _ => None,
        };
        parsed.ok_or_else(|| serde::de::Error::custom(format!("{value} is no duration such as 30s, 1h30m or 200ms")))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_prometheus_writes_them() {
        for (text, millis) in
            [("0", 0), ("30s", 30_000), ("1h30m", 5_400_000), ("7d", 604_800_000), ("1m5s200ms", 65_200)]
        {
            let span = Span::parse(text);
            assert_eq!(span.map(Span::as_millis), Some(millis), "{text}");
            assert_eq!(span.map(|span| span.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "s", "-5s", "1.5s", "30s1h", "1h1h", "5 s", "99999999999999999999s", "1y", "五s"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }
}
