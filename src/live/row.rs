//! One row of `DescribeLiveStreamEventList`, read by itself, so that a broken one cannot take its page along.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{text, time};
use crate::listing::{BrokenRow, Row};
use crate::session::{Name, PushSession};

/// Longest `StopReason` that is kept, in bytes.
const REASON_BYTES: usize = 1024;
/// Longest `ClientIp` and `Resolution` that are kept, in bytes.
const SIDE_BYTES: usize = 128;
/// Longest sample of a row that is set aside, in bytes.
const SAMPLE_BYTES: usize = 128;
/// Longest `Duration` that is believed: 136 years.
const LONGEST_SECONDS: u64 = u32::MAX as u64;

/// `StreamEventInfo`, every field as it stands in the answer; absent when missing or `null`.
#[derive(Deserialize)]
struct StreamEventInfo<'a> {
    /// Push path, string.
    #[serde(borrow, rename = "AppName")]
    app: Option<&'a RawValue>,
    /// Push domain, string.
    #[serde(borrow, rename = "DomainName")]
    domain: Option<&'a RawValue>,
    /// Stream, string.
    #[serde(borrow, rename = "StreamName")]
    stream: Option<&'a RawValue>,
    /// UTC, `2019-01-07T12:00:00Z`.
    #[serde(borrow, rename = "StreamStartTime")]
    start: Option<&'a RawValue>,
    /// UTC, `2019-01-07T12:00:00Z`.
    #[serde(borrow, rename = "StreamEndTime")]
    end: Option<&'a RawValue>,
    /// A sentence.
    #[serde(borrow, rename = "StopReason")]
    reason: Option<&'a RawValue>,
    /// Seconds, uint64.
    #[serde(borrow, rename = "Duration")]
    duration: Option<&'a RawValue>,
    /// Address of the publisher, or `-`.
    #[serde(borrow, rename = "ClientIp")]
    client_ip: Option<&'a RawValue>,
    /// `W*H`.
    #[serde(borrow, rename = "Resolution")]
    resolution: Option<&'a RawValue>,
}

/// Reads one element of `EventList`.
///
/// Names and start decide whether a row can be used at all. A row whose end is empty, `-`, a zero date or anything
/// else that is no time has not ended yet. Everything else is taken as far as it can be believed.
pub(super) fn row(raw: &RawValue) -> Row {
    session(raw)
        .unwrap_or_else(|field| Row::Broken(BrokenRow { field, sample: text::printable(raw.get(), SAMPLE_BYTES) }))
}

fn session(raw: &RawValue) -> Result<Row, &'static str> {
    // Checked, since serde would read an array as the object's values in order.
    if !raw.get().starts_with('{') {
        return Err("row");
    }
    // Fails on a field that is there twice: which of the two is meant cannot be known.
    let info: StreamEventInfo<'_> = serde_json::from_str(raw.get()).map_err(|_| "row")?;
    let name = |field, raw: Option<&RawValue>| raw.and_then(text::bytes).map(Name::new).ok_or(field);
    let domain = name("DomainName", info.domain)?;
    let app = name("AppName", info.app)?;
    let stream = name("StreamName", info.stream)?;
    let start = time::parse(&text::lossy(info.start, SIDE_BYTES)).ok_or("StreamStartTime")?;
    let Some(end) = time::parse_end(&text::lossy(info.end, SIDE_BYTES)) else { return Ok(Row::Unfinished) };
    Ok(Row::Finished(PushSession {
        domain,
        app,
        stream,
        start,
        end,
        reason_text: text::lossy(info.reason, REASON_BYTES),
        client_ip: text::lossy(info.client_ip, SIDE_BYTES),
        duration: text::count(info.duration).filter(|seconds| *seconds <= LONGEST_SECONDS),
        resolution: text::lossy(info.resolution, SIDE_BYTES),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"AppName":"live","ClientIp":"180.163.8.244","Duration":1732,"DomainName":"d.example","Resolution":"640*360","StopReason":"推流客户端主动断流","StreamEndTime":"2022-11-04T09:10:58Z","StreamName":"s","StreamStartTime":"2022-11-04T08:42:06Z"}"#;

    fn read(json: &str) -> Row {
        row(serde_json::from_str(&text::readable(json.as_bytes())).unwrap())
    }

    /// The good row with `field` set to `json`, or left out.
    fn with(field: &str, json: Option<&str>) -> Row {
        let good: serde_json::Map<String, serde_json::Value> = serde_json::from_str(GOOD).unwrap();
        let kept = good.iter().filter(|(name, _)| *name != field).map(|(name, value)| format!("{name:?}:{value}"));
        let set = json.map(|json| format!("{field:?}:{json}"));
        read(&format!("{{{}}}", kept.chain(set).collect::<Vec<_>>().join(",")))
    }

    fn finished(row: Row) -> PushSession {
        match row {
            Row::Finished(session) => session,
            other => panic!("not finished: {other:?}"),
        }
    }

    fn broken(row: Row) -> &'static str {
        match row {
            Row::Broken(row) => row.field,
            other => panic!("not broken: {other:?}"),
        }
    }

    #[test]
    fn a_row_is_read_whole() {
        let session = finished(read(GOOD));
        assert_eq!(session.domain, "d.example".into());
        assert_eq!(session.app, "live".into());
        assert_eq!(session.stream, "s".into());
        assert_eq!((session.start, session.end, session.duration), (1_667_551_326, 1_667_553_058, Some(1732)));
        assert_eq!(session.reason_text, "推流客户端主动断流");
        assert_eq!((session.client_ip.as_str(), session.resolution.as_str()), ("180.163.8.244", "640*360"));
    }

    #[test]
    fn a_row_without_a_usable_name_or_start_is_set_aside_under_that_field() {
        for field in ["DomainName", "AppName", "StreamName", "StreamStartTime"] {
            for json in [None, Some("null"), Some("true"), Some("[\"x\"]"), Some("{}")] {
                assert_eq!(broken(with(field, json)), field, "{json:?}");
            }
        }
        for json in ["\"\"", "\"-\"", "\"0000-00-00 00:00:00\"", "\"later\"", "1667551326"] {
            assert_eq!(broken(with("StreamStartTime", Some(json))), "StreamStartTime", "{json}");
        }
    }

    #[test]
    fn names_keep_their_bytes() {
        for (json, expected) in [
            (r#""a\ud800b""#, &b"a\xed\xa0\x80b"[..]),
            (r#""\u0000\u001b""#, b"\0\x1b"),
            ("\"\u{1}\"", b"\x01"),
            ("12345678901234567890123", b"12345678901234567890123"),
            ("-0", b"-0"),
            ("\"\"", b""),
        ] {
            assert_eq!(finished(with("StreamName", Some(json))).stream.as_bytes(), expected, "{json}");
        }
    }

    #[test]
    fn side_fields_never_cost_the_row() {
        for json in [None, Some("null"), Some("[]"), Some("{\"a\":1}"), Some("true"), Some(r#""\ud800""#)] {
            for field in ["StopReason", "ClientIp", "Duration", "Resolution"] {
                finished(with(field, json));
            }
        }
        assert_eq!(finished(with("StopReason", Some("null"))).reason_text, "");
        assert_eq!(finished(with("StopReason", Some("18"))).reason_text, "18");
        assert_eq!(finished(with("GroupName", Some("null"))), finished(read(GOOD)));
        let long = format!("\"{}\"", "断".repeat(10_000));
        assert_eq!(finished(with("StopReason", Some(&long))).reason_text, "断".repeat(341));
    }

    #[test]
    fn a_duration_that_cannot_be_is_left_out() {
        for (json, expected) in [
            ("0", Some(0)),
            ("\"1732\"", Some(1732)),
            ("4294967295", Some(4_294_967_295)),
            ("4294967296", None),
            ("-1", None),
            ("17.5", None),
            ("1e400", None),
            ("\"long\"", None),
        ] {
            assert_eq!(finished(with("Duration", Some(json))).duration, expected, "{json}");
        }
    }

    #[test]
    fn a_row_without_an_end_has_not_ended() {
        let ends = [
            None,
            Some("null"),
            Some("\"\""),
            Some("\"-\""),
            Some("\"0000-00-00 00:00:00\""),
            Some("\"0001-01-01T00:00:00Z\""),
            Some("\"1970-01-01T00:00:00Z\""),
            Some("\"soon\""),
            Some("0"),
            Some("{}"),
        ];
        for json in ends {
            assert_eq!(with("StreamEndTime", json), Row::Unfinished, "{json:?}");
        }
        assert_eq!(finished(with("StreamEndTime", Some("\"9999-12-31T23:59:59Z\""))).end, 253_402_300_799);
    }

    #[test]
    fn what_is_no_object_or_says_a_field_twice_is_set_aside() {
        let twice = GOOD.replace('{', r#"{"StreamName":"t","#);
        let as_array = r#"["live","d","s","2022-11-04T08:42:06Z","2022-11-04T08:42:06Z","r",1,"i","r"]"#;
        for json in [twice.as_str(), as_array, "null", "7", "\"row\"", "[]"] {
            assert_eq!(broken(read(json)), "row", "{json}");
        }
    }

    #[test]
    fn the_sample_of_a_row_is_short_and_printable() {
        let Row::Broken(row) = read(&format!("[\"\u{202e}{}\"]", "房".repeat(100))) else { panic!("not broken") };
        assert!(row.sample.len() <= SAMPLE_BYTES && row.sample.starts_with("[\"\\u{202e}房"), "{}", row.sample);
    }
}
