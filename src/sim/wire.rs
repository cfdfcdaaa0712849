//! The answers' JSON, written by hand: byte for byte what the platform would send, also where that is not valid JSON.

use super::Event;
use super::archive::{Record, Shown};
use super::scenario::{EndText, Quirks, TextForm};
use crate::clock::UnixSeconds;

/// Writes `{"Response":{…,"RequestId":"…"}}` around `fields`.
pub(super) fn response(fields: &[u8], request_id: &str) -> Vec<u8> {
    let mut out = b"{\"Response\":{".to_vec();
    out.extend_from_slice(fields);
    if !fields.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(format!("\"RequestId\":\"{request_id}\"}}}}").as_bytes());
    out
}

/// The member `"Error":{…}`.
pub(super) fn error(code: &str, message: &str) -> Vec<u8> {
    let mut out = b"\"Error\":{\"Code\":".to_vec();
    text(&mut out, code.as_bytes(), TextForm::Utf8);
    out.extend_from_slice(b",\"Message\":");
    text(&mut out, message.as_bytes(), TextForm::Utf8);
    out.push(b'}');
    out
}

/// One element of `EventList`.
pub(super) fn row(out: &mut Vec<u8>, event: &Event, shown: Shown, quirks: &Quirks, now: UnixSeconds) {
    if let Some(raw) = &event.raw_row {
        out.extend_from_slice(&raw.0);
        return;
    }
    let string = |bytes: &[u8]| {
        let mut value = Vec::with_capacity(bytes.len() + 2);
        text(&mut value, bytes, quirks.text);
        value
    };
    let known_end = event.end.filter(|_| shown == Shown::Finished);
    let end = match (known_end, quirks.unfinished.end) {
        (Some(end), _) => quoted(&utc(end)),
        (None, EndText::Empty) => b"\"\"".to_vec(),
        (None, EndText::Dash) => b"\"-\"".to_vec(),
        (None, EndText::Zero) => b"\"0000-00-00 00:00:00\"".to_vec(),
        (None, EndText::Null) => b"null".to_vec(),
        (None, EndText::Future) => quoted(&utc(now.saturating_add(86_400))),
    };
    let lasted = event.duration.unwrap_or(known_end.unwrap_or(now).saturating_sub(event.start));
    let reason: &str = if known_end.is_some() { &event.reason } else { "" };
    let fields: [(&str, Vec<u8>); 9] = [
        ("AppName", string(event.app.as_bytes())),
        ("ClientIp", string(event.client_ip.as_bytes())),
        ("DomainName", string(event.domain.as_bytes())),
        ("Duration", lasted.to_string().into_bytes()),
        ("Resolution", string(event.resolution.as_bytes())),
        ("StopReason", string(reason.as_bytes())),
        ("StreamEndTime", end),
        ("StreamName", string(event.stream.as_bytes())),
        ("StreamStartTime", quoted(&utc(event.start))),
    ];
    out.push(b'{');
    let mut first = true;
    let mut member = |name: &str, value: &[u8]| {
        if !value.is_empty() {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.extend_from_slice(format!("\"{name}\":").as_bytes());
            out.extend_from_slice(value);
        }
    };
    for (name, value) in &fields {
        member(name, event.raw.get(*name).map_or(value, |raw| &raw.0));
    }
    for (name, raw) in &event.raw {
        if fields.iter().all(|(known, _)| known != name) {
            member(name, &raw.0);
        }
    }
    out.push(b'}');
}

/// A listing's rows, each as it is shown.
pub(super) fn rows<'a>(
    records: impl Iterator<Item = (&'a Record, Shown)>,
    quirks: &Quirks,
    now: UnixSeconds,
    damaged: Option<super::Damage>,
) -> Vec<u8> {
    let mut out = b"[".to_vec();
    for (at, (record, shown)) in records.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match damaged.filter(|_| at == 0) {
            Some(damage) => row(&mut out, &damage.apply(record.event.clone()), shown, quirks, now),
            None => row(&mut out, &record.event, shown, quirks, now),
        }
    }
    out.push(b']');
    out
}

/// `2019-01-07T12:00:00Z`; a time no calendar has is written as its seconds.
pub(super) fn utc(at: UnixSeconds) -> String {
    jiff::Timestamp::from_second(at)
        .map_or_else(|_| at.to_string(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn quoted(text: &str) -> Vec<u8> {
    format!("\"{text}\"").into_bytes()
}

/// A JSON string. Halves of surrogate pairs become `\udxxx`, other bytes that are not UTF-8 stay.
pub(super) fn text(out: &mut Vec<u8>, bytes: &[u8], form: TextForm) {
    out.push(b'"');
    let mut rest = bytes;
    while let Some(at) = rest.windows(3).position(|three| matches!(three, [0xed, 0xa0..=0xbf, 0x80..=0xbf])) {
        characters(out, &rest[..at], form);
        unit(out, 0xd000 | (u16::from(rest[at + 1] & 0x3f) << 6) | u16::from(rest[at + 2] & 0x3f));
        rest = &rest[at + 3..];
    }
    characters(out, rest, form);
    out.push(b'"');
}

fn characters(out: &mut Vec<u8>, bytes: &[u8], form: TextForm) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                c if c >= ' ' && (c.is_ascii() || form == TextForm::Utf8) => {
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                c => c.encode_utf16(&mut [0; 2]).iter().for_each(|half| unit(out, *half)),
            }
        }
        out.extend_from_slice(chunk.invalid());
    }
}

fn unit(out: &mut Vec<u8>, unit: u16) {
    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8], form: TextForm) -> String {
        let mut out = Vec::new();
        text(&mut out, bytes, form);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn text_is_escaped_as_the_platform_does_it() {
        assert_eq!(written("房\"\\\n\t😀".as_bytes(), TextForm::Escaped), r#""\u623f\"\\\n\u0009\ud83d\ude00""#);
        assert_eq!(written("房😀".as_bytes(), TextForm::Utf8), "\"房😀\"");
        assert_eq!(written(b"a\xed\xa0\xbdb", TextForm::Utf8), r#""a\ud83db""#);
        assert_eq!(written(b"\xed\xa0\xbd", TextForm::Escaped), r#""\ud83d""#);
        let mut out = Vec::new();
        text(&mut out, b"a\xff", TextForm::Utf8);
        assert_eq!(out, b"\"a\xff\"");
    }

    #[test]
    fn the_official_sample_row_is_written_with_its_fields_and_values() {
        let event = Event::ended("yourdomain.test.com", "live", "stream", 1_546_603_198, 1_546_603_198)
            .because("客户端主动断流")
            .from_ip("180.163.8.244");
        let event = Event { resolution: "640*352".into(), ..event };
        let mut out = Vec::new();
        row(&mut out, &event, Shown::Finished, &Quirks::default(), 1_546_704_000);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"AppName\":\"live\",\"ClientIp\":\"180.163.8.244\",\"DomainName\":\"yourdomain.test.com\",\
             \"Duration\":0,\"Resolution\":\"640*352\",\"StopReason\":\"客户端主动断流\",\
             \"StreamEndTime\":\"2019-01-04T11:59:58Z\",\"StreamName\":\"stream\",\
             \"StreamStartTime\":\"2019-01-04T11:59:58Z\"}"
        );
    }

    #[test]
    fn raw_json_replaces_leaves_out_and_adds_fields() {
        let event = Event::ended("d", "live", "s", 0, 1).raw("Duration", "-5").raw("ClientIp", "").raw("X", "[1]");
        let mut out = Vec::new();
        row(&mut out, &event, Shown::Finished, &Quirks::default(), 9);
        let row: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&row["Duration"], row.get("ClientIp"), &row["X"][0]), (&(-5).into(), None, &1.into()));
    }
}
