//! From the query of a URL to a question, or to what would have been one. Nothing of the query is repeated.

use jiff::Timestamp;

use crate::clock::UnixSeconds;
use crate::ledger::{PAGE_RECORDS, RecordQuery, StreamMatch};
use crate::reason::{Class, Reason, TABLE};

/// Records of a page that asks for no number.
const DEFAULT_LIMIT: usize = 100;

/// Every parameter there is.
const NAMES: [&str; 10] = ["domain", "app", "stream", "match", "reason", "class", "start", "end", "limit", "cursor"];

/// The question in `query`; the error says what is accepted instead.
pub(super) fn read(query: &str) -> Result<RecordQuery, String> {
    let mut values: [Option<String>; NAMES.len()] = [const { None }; NAMES.len()];
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let place = NAMES.iter().position(|known| *known == name);
        let place = place.ok_or_else(|| format!("unknown parameter; there are {}", NAMES.join(", ")))?;
        if values[place].replace(value.into_owned()).is_some() {
            return Err(format!("{} is given twice", NAMES[place]));
        }
    }
    let [domain, app, stream, compared, reason, class, start, end, limit, cursor] = values;
    let mut wanted = RecordQuery { limit: DEFAULT_LIMIT, ..RecordQuery::default() };
    let compared = match compared.as_deref() {
        None | Some("exact") => StreamMatch::Exact,
        Some("contains") => StreamMatch::Contains,
        Some(_) => return Err("match is exact or contains".into()),
    };
    wanted.filter.domain = domain;
    wanted.filter.app = app;
    wanted.filter.stream = stream.map(|stream| (stream, compared));
    wanted.filter.reason = reason.map(|name| Reason::from_name(&name).ok_or_else(reasons)).transpose()?;
    let class_of = |name: String| Class::ALL.into_iter().find(|class| class.as_str() == name).ok_or_else(classes);
    wanted.filter.class = class.map(class_of).transpose()?;
    wanted.start = start.map(|text| time("start", &text, true)).transpose()?;
    wanted.end = end.map(|text| time("end", &text, false)).transpose()?;
    if let Some(text) = limit {
        let number = whole(&text).and_then(|limit| usize::try_from(limit).ok());
        let fits = number.filter(|limit| (1..=PAGE_RECORDS).contains(limit));
        wanted.limit = fits.ok_or_else(|| format!("limit is a whole number from 1 to {PAGE_RECORDS}"))?;
    }
    let cursor = cursor.map(|text| text.parse().map_err(|_| "cursor is the next_cursor of a page before".to_owned()));
    wanted.cursor = cursor.transpose()?;
    Ok(wanted)
}

fn reasons() -> String {
    let names: Vec<&str> = TABLE.iter().map(|entry| entry.name).collect();
    format!("reason is one of {}", names.join(", "))
}

fn classes() -> String {
    format!("class is one of {}", Class::ALL.map(Class::as_str).join(", "))
}

/// Whole seconds; a fraction is taken away from the inside of the range.
fn time(name: &str, text: &str, up: bool) -> Result<UnixSeconds, String> {
    let unix = || {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = seconds.len() <= 11 && (1..=9).contains(&fraction.len());
        let fraction = whole(fraction).filter(|_| digits)?;
        Some(whole(seconds)? + i64::from(up && fraction > 0))
    };
    let written = || {
        let at: Timestamp = text.parse().ok()?;
        Some(
            at.as_second()
                + i64::from(if at.subsec_nanosecond() < 0 { -1 } else { 0 })
                + i64::from(up && at.subsec_nanosecond() != 0),
        )
    };
    unix().or_else(written).ok_or_else(|| {
        format!("{name} is a time as 2026-01-31T08:00:00Z, with Z or an offset, or in seconds since 1970")
    })
}

/// ASCII digits alone, so that no sign and no other script passes.
fn whole(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_as_people_and_programs_write_them() {
        for (text, start, end) in [
            ("1767225600", 1_767_225_600, 1_767_225_600),
            ("1767225600.5", 1_767_225_601, 1_767_225_600),
            ("1767225600.000", 1_767_225_600, 1_767_225_600),
            ("0", 0, 0),
            ("2026-01-01T00:00:00Z", 1_767_225_600, 1_767_225_600),
            ("2026-01-01T08:00:00+08:00", 1_767_225_600, 1_767_225_600),
            ("2026-01-01t00:00:00.25z", 1_767_225_601, 1_767_225_600),
            ("1969-12-31T23:59:58.5Z", -1, -2),
        ] {
            assert_eq!((time("start", text, true), time("end", text, false)), (Ok(start), Ok(end)), "{text}");
        }
        for text in [
            "",
            "-1",
            "+1",
            "1.",
            ".5",
            "1e9",
            "١٢٣",
            "now",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "999999999999",
            "1 ",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00:00Z[Asia/Shanghai]x",
        ] {
            assert!(time("start", text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_question_is_told_what_is_without_being_repeated() {
        for (query, accepted) in [
            ("limit=0", "limit is a whole number from 1 to 1000"),
            ("limit=1001", "from 1 to 1000"),
            ("limit=1000000000000000000000", "from 1 to 1000"),
            ("limit=-canary", "from 1 to 1000"),
            ("limit=%D9%A1", "from 1 to 1000"),
            ("limit=", "from 1 to 1000"),
            ("start=canary", "start is a time as 2026-01-31T08:00:00Z"),
            ("end=", "end is a time"),
            ("reason=canary", "reason is one of unknown_error, client_stopped"),
            ("class=canary", "class is one of arrears, auth"),
            ("match=canary", "match is exact or contains"),
            ("cursor=canary", "cursor is the next_cursor of a page before"),
            ("canary=1", "unknown parameter; there are domain, app, stream"),
            ("app=canary&app=canary", "app is given twice"),
        ] {
            let error = read(query).unwrap_err();
            assert!(error.contains(accepted) && !error.contains("canary"), "{query}: {error}");
        }
    }

    #[test]
    fn every_parameter_has_its_meaning() {
        let query = "domain=d&app=&stream=a%2Bb+%00%25&match=contains&reason=network_error&class=network&start=5&end=7\
                     &limit=1000&cursor=6-2a";
        let read = read(query).unwrap();
        assert_eq!(read.filter.domain.as_deref(), Some("d"));
        assert_eq!(read.filter.app.as_deref(), Some(""));
        assert_eq!(read.filter.stream, Some(("a+b \0%".into(), StreamMatch::Contains)));
        assert_eq!((read.filter.reason, read.filter.class), (Some(Reason::NetworkError), Some(Class::Network)));
        assert_eq!((read.start, read.end, read.limit), (Some(5), Some(7), 1_000));
        assert_eq!(read.cursor.unwrap().to_string(), "6-2a");
        assert_eq!(super::read("").unwrap().limit, DEFAULT_LIMIT);
    }
}
