//! Times as a row brings them.
#![no_main]

use std::fmt::Write as _;

use libfuzzer_sys::fuzz_target;
use tencent_live_exporter::listing::Row;
use tencent_live_exporter::live::decode_events;
use tencent_live_exporter_fuzz::{calendar, check};

/// First second of 1971; ends before it are zero dates.
const AFTER_ZERO_DATES: i64 = 31_536_000;

fuzz_target!(|bytes: &[u8]| {
    // Any moment of the years 0 to 9999, written as documented, is read as that moment.
    if let Some(moment) = bytes.first_chunk::<8>() {
        let at = i64::from_le_bytes(*moment).rem_euclid(315_569_520_000) - 62_167_219_200;
        let written = calendar::written(at).expect("these years can be written");
        assert_eq!(start(&written), Some(at));
        // The same clock face east or west of Greenwich is another moment.
        let minutes = i64::from(bytes[bytes.len() - 1] & 0x7f);
        for (sign, minutes) in [('+', minutes), ('-', -minutes)] {
            let offset = format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
            assert_eq!(start(&written.replace('Z', &offset)), Some(at - minutes * 60), "{written} at {offset}");
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let found = start(text);
    if let Some(expected) = calendar::read(text) {
        assert_eq!(found, expected.ok(), "{text}");
    }
    let Some(at) = found else { return };
    if let Some(written) = calendar::written(at) {
        assert_eq!(start(&written), Some(at), "{text} reads as {written}");
    }
    assert_eq!(end(text), found.filter(|end| *end >= AFTER_ZERO_DATES), "{text} as an end");
    // Longer texts are cut before they are read.
    if text.len() < 100 {
        assert_eq!(start(&format!(" {text}\n")), found, "white space around {text}");
    }
});

/// `text` read as `StreamStartTime`.
fn start(text: &str) -> Option<i64> {
    match row(text, "2026-01-01T00:00:00Z") {
        Row::Finished(session) => Some(session.start),
        Row::Broken(row) if row.field == "StreamStartTime" => None,
        other => panic!("{other:?}"),
    }
}

/// `text` read as `StreamEndTime`.
fn end(text: &str) -> Option<i64> {
    match row("2026-01-01T00:00:00Z", text) {
        Row::Finished(session) => Some(session.end),
        Row::Unfinished => None,
        Row::Broken(other) => panic!("{other:?}"),
    }
}

fn row(start: &str, end: &str) -> Row {
    let [start, end] = [start, end].map(quoted);
    let body = format!(
        r#"{{"Response":{{"EventList":[{{"AppName":"a","DomainName":"d","StreamName":"s","StreamStartTime":{start},"StreamEndTime":{end}}}],"TotalNum":1}}}}"#
    );
    let mut page = decode_events(body.as_bytes()).expect("quoted texts in an answer");
    check::is_bounded(&page.rows[0]);
    page.rows.remove(0)
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        if c.is_ascii() { write!(out, "\\u{:04x}", u32::from(c)).expect("a String takes it") } else { out.push(c) }
    }
    out + "\""
}
