//! Records as CSV; a byte order mark tells Excel that the text is UTF-8.

use super::super::layout::Language;
use super::words;
use super::zone::Zone;
use crate::clock::UnixSeconds;
use crate::csv::line;
use crate::ledger::Disconnect;

/// Most records of a file: with usual names that is some 5 MB, which are made at once.
pub(super) const FILE_RECORDS: usize = 20_000;

/// A file over so many bytes ends: strangers choose the names.
pub(super) const FILE_BYTES: usize = 8 << 20;

const COLUMNS: [&str; 15] = [
    "end",
    "start",
    "duration_seconds",
    "domain",
    "app",
    "stream",
    "reason",
    "class",
    "description",
    "reason_text",
    "client_ip",
    "resolution",
    "account",
    "first_seen",
    "counted",
];

/// The line of column names, with the mark before it.
pub(super) fn head() -> String {
    let mut text = "\u{feff}".to_owned();
    line(&mut text, COLUMNS);
    text
}

/// Adds the line of a record. Times are RFC 3339 in `zone`.
pub(super) fn record(text: &mut String, one: &Disconnect, zone: &Zone, language: Language) {
    let time = |at: UnixSeconds| zone.write(at, "%Y-%m-%dT%H:%M:%S%:z");
    let (end, start, first_seen) = (time(one.end), time(one.start), time(one.first_seen));
    let (duration, description) = (one.duration.to_string(), words::reason_text(language, one.reason).0);
    line(
        text,
        [
            end.as_str(),
            &start,
            &duration,
            &one.domain,
            &one.app,
            &one.stream,
            one.reason.as_str(),
            one.class.as_str(),
            description,
            &one.reason_text,
            &one.client_ip,
            &one.resolution,
            &one.account,
            &first_seen,
            if one.counted { "true" } else { "false" },
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_line_with_times_of_the_zone() {
        let one = Disconnect {
            account: "main".into(),
            domain: "push.example.com".into(),
            app: "live".into(),
            stream: "房间 \"一\"".into(),
            start: 1_767_225_500,
            end: 1_767_225_600,
            duration: 100,
            client_ip: "-".into(),
            reason: crate::reason::Reason::NetworkError,
            class: crate::reason::Class::Network,
            reason_text: "推流链路网络异常".into(),
            resolution: "1920*1080".into(),
            first_seen: 1_767_225_605,
            counted: true,
        };
        let mut text = head();
        record(&mut text, &one, &Zone::named("Asia/Shanghai").unwrap(), Language::English);
        let (first, second) = text.split_once("\r\n").unwrap();
        assert!(first.starts_with("\u{feff}\"end\",\"start\",\"duration_seconds\""), "{first}");
        assert_eq!(
            second,
            "\"2026-01-01T08:00:00+08:00\",\"2026-01-01T07:58:20+08:00\",\"100\",\"push.example.com\",\"live\",\
             \"房间 \"\"一\"\"\",\"network_error\",\"network\",\"Network error for the push client.\",\"推流链路网络异常\",\
             \"'-\",\"1920*1080\",\"main\",\"2026-01-01T08:00:05+08:00\",\"true\"\r\n"
        );
    }
}
