//! The zone in which times are shown: one of the IANA's names, or an offset. The zones come with the program, so that
//! what an address names never leads to the disk.

use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};

use crate::clock::UnixSeconds;

/// Offered beside the zone that is in use; every other one can be written into the address.
pub(super) const OFFERED: [&str; 26] = [
    "UTC",
    "Asia/Shanghai",
    "Asia/Hong_Kong",
    "Asia/Taipei",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Asia/Seoul",
    "Asia/Bangkok",
    "Asia/Jakarta",
    "Asia/Manila",
    "Asia/Kolkata",
    "Asia/Dubai",
    "Asia/Riyadh",
    "Australia/Sydney",
    "Africa/Johannesburg",
    "Africa/Lagos",
    "Europe/Istanbul",
    "Europe/Moscow",
    "Europe/Berlin",
    "Europe/London",
    "America/Sao_Paulo",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "Pacific/Auckland",
];

/// Longest name of a zone in bytes that is looked for.
const NAME_BYTES: usize = 64;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

static PARSER: DateTimeParser = DateTimeParser::new();

/// A zone and the name it goes by in addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    pub(super) fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// The zone of this name, in letters of any case, or at this offset, `+08:00`; the plus may have become a blank on
    /// its way through an address.
    pub(super) fn named(text: &str) -> Option<Self> {
        if text.len() > NAME_BYTES {
            return None;
        }
        if text.starts_with(['+', '-', ' ']) {
            let zone = PARSER.parse_time_zone_with(&ZONES, text.replacen(' ', "+", 1)).ok()?;
            let seconds = zone.to_fixed_offset().ok()?.seconds();
            return Some(if seconds == 0 { Self::utc() } else { Self { name: offset(seconds), zone } });
        }
        let zone = ZONES.get(text).ok()?;
        let name = zone.iana_name()?.to_owned();
        let is_utc = matches!(name.as_str(), "UTC" | "Etc/UTC" | "Etc/GMT" | "GMT" | "Zulu" | "Etc/Zulu");
        Some(if is_utc { Self::utc() } else { Self { name, zone } })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_utc(&self) -> bool {
        self.name == "UTC"
    }

    /// How far it is ahead of UTC at a moment, `+08:00`.
    pub(super) fn offset(&self, at: UnixSeconds) -> String {
        offset(self.zoned(at).map_or(0, |zoned| zoned.offset().seconds()))
    }

    /// A moment as `strftime` writes it; seconds where the calendar ends.
    pub(super) fn write(&self, at: UnixSeconds, format: &str) -> String {
        self.zoned(at).map_or_else(|| at.to_string(), |zoned| zoned.strftime(format).to_string())
    }

    /// The moment that a text means: Unix seconds, RFC 3339, or a date and time of this zone.
    pub(super) fn read(&self, text: &str) -> Option<UnixSeconds> {
        let second = if let Ok(seconds) = text.parse::<UnixSeconds>() {
            seconds
        } else if let Ok(timestamp) = text.parse::<Timestamp>() {
            timestamp.as_second()
        } else if let Ok(local) = text.parse::<DateTime>() {
            local.to_zoned(self.zone.clone()).ok()?.timestamp().as_second()
        } else {
            // A plus that has become a blank.
            let (time, offset) = text.rsplit_once(' ')?;
            format!("{time}+{offset}").parse::<Timestamp>().ok()?.as_second()
        };
        (0..=Timestamp::MAX.as_second()).contains(&second).then_some(second)
    }

    fn zoned(&self, at: UnixSeconds) -> Option<Zoned> {
        Some(Timestamp::from_second(at).ok()?.to_zoned(self.zone.clone()))
    }
}

/// `+08:00`; with seconds only where there are some, as before 1900.
fn offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes, seconds) = (seconds.abs() / 3600, seconds.abs() / 60 % 60, seconds.abs() % 60);
    let exact = if seconds == 0 { String::new() } else { format!(":{seconds:02}") };
    format!("{sign}{hours:02}:{minutes:02}{exact}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01T00:00:00Z.
    const NEW_YEAR: UnixSeconds = 1_767_225_600;

    #[test]
    fn zones_go_by_name_or_by_offset() {
        for (text, name, offset) in [
            ("UTC", "UTC", "+00:00"),
            ("asia/shanghai", "Asia/Shanghai", "+08:00"),
            ("Etc/UTC", "UTC", "+00:00"),
            ("America/New_York", "America/New_York", "-05:00"),
            ("Asia/Calcutta", "Asia/Calcutta", "+05:30"),
            ("+08:00", "+08:00", "+08:00"),
            (" 0530", "+05:30", "+05:30"),
            ("-03", "-03:00", "-03:00"),
            ("+00:00", "UTC", "+00:00"),
        ] {
            let zone = Zone::named(text).unwrap();
            assert_eq!((zone.name(), zone.offset(NEW_YEAR).as_str()), (name, offset), "{text}");
            assert_eq!(Zone::named(zone.name()), Some(zone), "{text}");
        }
        let long = "x".repeat(65);
        for text in ["", "Mars/Olympus", "../../etc/passwd", "EST5EDT,M3.2.0,M11.1.0", "+99:00", "+", "<b>", &long] {
            assert_eq!(Zone::named(text), None, "{text}");
        }
        for name in OFFERED {
            assert_eq!(Zone::named(name).map(|zone| zone.name), Some(name.to_owned()));
        }
    }

    #[test]
    fn times_are_read_as_machines_and_people_write_them() {
        let shanghai = Zone::named("Asia/Shanghai").unwrap();
        for text in [
            "1767225600",
            "2026-01-01T00:00:00Z",
            "2026-01-01T08:00:00+08:00",
            "2026-01-01T08:00:00 08:00",
            "2026-01-01T08:00",
            "2026-01-01 08:00:00",
        ] {
            assert_eq!(shanghai.read(text), Some(NEW_YEAR), "{text}");
        }
        assert_eq!(shanghai.read("2026-01-01"), Some(NEW_YEAR - 8 * 3600));
        for text in ["", "yesterday", "-1", "253402207201", "9999999999999999999", "2026-13-01", "１７", " "] {
            assert_eq!(shanghai.read(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_written_in_the_zone() {
        let zone = Zone::named("Asia/Kolkata").unwrap();
        assert_eq!(zone.write(NEW_YEAR, "%Y-%m-%dT%H:%M:%S%:z"), "2026-01-01T05:30:00+05:30");
        assert_eq!(zone.write(i64::MAX, "%Y"), i64::MAX.to_string());
    }
}
