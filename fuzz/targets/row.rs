//! One row between good ones.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tencent_live_exporter::listing::{Page, Row};
use tencent_live_exporter::live::{CallError, decode_events};
use tencent_live_exporter_fuzz::{check, json};

fuzz_target!(|row: &[u8]| {
    let page = decode(&[&good(1), &good(2), row, &good(3)]);
    if let Ok(page) = &page {
        // Bytes that are not one value may end the list and begin something else, but they cannot take back a row.
        assert!(is_good(&page.rows[0], 1) && is_good(&page.rows[1], 2), "{page:?}");
    }
    if json::is_one_value(row) {
        let page = page.expect("one value in a list is one row, broken or not");
        assert_eq!((page.total, page.rows.len()), (Some(4), 4));
        assert!(is_good(&page.rows[3], 3), "{:?}", page.rows[3]);
        check::is_bounded(&page.rows[2]);
        let alone = decode(&[row]).expect("the same value in a list of its own");
        assert_eq!(alone.rows, page.rows[2..3], "a row means the same wherever it stands");
    }
});

fn decode(rows: &[&[u8]]) -> Result<Page, CallError> {
    let total = rows.len().to_string();
    let parts = [b"{\"Response\":{\"EventList\":[", &rows.join(&b',')[..], b"],\"TotalNum\":", total.as_bytes(), b"}}"];
    decode_events(&parts.concat())
}

fn good(number: u8) -> Vec<u8> {
    format!(
        r#"{{"AppName":"live","ClientIp":"192.0.2.{number}","DomainName":"push.example.com","Duration":60,"Resolution":"1*1","StopReason":"1","StreamEndTime":"2026-01-01T00:01:0{number}Z","StreamName":"good_{number}","StreamStartTime":"2026-01-01T00:00:0{number}Z"}}"#
    )
    .into_bytes()
}

fn is_good(row: &Row, number: u8) -> bool {
    let Row::Finished(session) = row else { return false };
    session.stream == format!("good_{number}").as_str().into()
        && session.client_ip == format!("192.0.2.{number}")
        && (session.start, session.end) == (1_767_225_600 + i64::from(number), 1_767_225_660 + i64::from(number))
        && session.duration == Some(60)
}
