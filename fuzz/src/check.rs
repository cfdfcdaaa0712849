//! What holds for everything the exporter has read or says.

use tencent_live_exporter::listing::Row;

/// Earliest and latest moment that can be written with a year of four digits and a sign, whatever its offset.
const EARLIEST: i64 = -377_705_116_800 - 2 * 86_400;
const LATEST: i64 = 253_402_300_799 + 2 * 86_400;

/// What is said is short and on one line, whatever it quotes.
#[track_caller]
pub fn is_printable(text: &str, most: usize) {
    assert!(text.len() <= most, "{} bytes: {text:?}", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// A row keeps to its bounds.
#[track_caller]
pub fn is_bounded(row: &Row) {
    match row {
        Row::Unfinished => {}
        Row::Broken(row) => {
            let fields = ["row", "DomainName", "AppName", "StreamName", "StreamStartTime"];
            assert!(fields.contains(&row.field), "{}", row.field);
            is_printable(&row.sample, 128);
        }
        Row::Finished(session) => {
            assert!((EARLIEST..=LATEST).contains(&session.start), "{}", session.start);
            // Earlier ends are zero dates, and those are no ends.
            assert!((31_536_000..=LATEST).contains(&session.end), "{}", session.end);
            assert!(session.reason_text.len() <= 1024 && session.client_ip.len() <= 128);
            assert!(session.resolution.len() <= 128);
            assert!(session.duration.is_none_or(|seconds| u32::try_from(seconds).is_ok()));
        }
    }
}
