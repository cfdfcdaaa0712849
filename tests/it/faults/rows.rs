//! What may stand in one row: times, reasons, fields and names (A19–A22).

use std::collections::BTreeSet;

use tencent_live_exporter::sim::{Damage, Event, Name};

use crate::support::patience::{seen, until};
use crate::support::rig::{DOMAIN, Rig};

const RECORDS: &str = "tencent_live_exporter_records_total";
const UNMAPPED: &str = "tencent_live_exporter_unmapped_reasons_total";
const DISCONNECTS: &str = "tencent_live_disconnects_total";
const DURATION: &str = "tencent_live_session_duration_seconds_sum";
const STREAMS: &str = "tencent_live_stream_disconnects_total";
const SET_ASIDE: &str = "row set aside, it cannot be read";

/// A row of `stream` that ended at `end`, after a minute and without a word of that, with `json` in some of its fields.
fn row(stream: &str, end: i64, fields: &[(&str, &str)]) -> Event {
    let row = Event::ended(stream, "live", stream, end - 60, end).raw("Duration", "");
    fields.iter().fold(row, |row, (field, json)| row.raw(field, *json))
}

#[tokio::test]
async fn a19_odd_times_are_read_and_impossible_ones_wait_or_are_set_aside() {
    let rig = Rig::new().await;
    // A full minute, so that its leap second can be written down.
    let end = (rig.world.now() - 120) / 60 * 60;
    let written = |shift: i64, form: &str| {
        let time = jiff::Timestamp::from_second(end + shift).unwrap();
        format!("\"{}\"", time.strftime(form))
    };
    let counted = |stream: &str, field: &str, json: &str, lasted: u64| {
        rig.world.publish(row(stream, end, &[(field, json)]));
        (stream.to_owned(), lasted)
    };
    let read = [
        counted("offset", "StreamEndTime", &written(8 * 3600, "%Y-%m-%dT%H:%M:%S+08:00"), 60),
        counted("blank for T", "StreamEndTime", &written(0, "%Y-%m-%d %H:%M:%S"), 60),
        counted("fraction", "StreamEndTime", &written(0, "%Y-%m-%dT%H:%M:%S.999Z"), 60),
        counted("leap second", "StreamEndTime", &written(-60, "%Y-%m-%dT%H:%M:60Z"), 59),
        counted("starts after its end", "StreamStartTime", &written(100, "%Y-%m-%dT%H:%M:%SZ"), 0),
        counted("starts in 1970", "StreamStartTime", "\"1970-01-01T00:00:00Z\"", end.unsigned_abs()),
        counted("another duration", "Duration", "1234", 1234),
        counted("negative duration", "Duration", "-5", 60),
        counted("endless duration", "Duration", "9223372036854775807", 60),
    ];
    let waits = ["\"9999-12-31T23:59:59Z\"", "\"1970-01-01T00:00:00Z\"", "\"\"", "\"soon\"", "7"];
    for (n, json) in waits.iter().enumerate() {
        rig.world.publish(row(&format!("waits_{n}"), end, &[("StreamEndTime", json)]).unusable());
    }
    let broken = ["\"yesterday\"", "\"2026-02-30T00:00:00Z\"", "\"\"", "1700000000", "\"10000-01-01T00:00:00Z\""];
    for (n, json) in broken.iter().enumerate() {
        rig.world.publish(row(&format!("broken_{n}"), end, &[("StreamStartTime", json)]).unusable());
    }
    let rig = rig.start().await;
    rig.shows_the_truth().await;
    rig.turns(1).await;
    let metrics = rig.metrics().await;
    assert_eq!(metrics.streams(), rig.truth());
    for (stream, lasted) in read {
        assert_eq!(metrics.count(STREAMS, &[("stream", &stream)]), 1, "{stream}");
        assert_eq!(metrics.count(DURATION, &[("domain", &stream)]), lasted, "{stream}");
    }
    assert!(rig.own(RECORDS, &[("outcome", "unfinished")]).await >= waits.len() as u64);
    assert!(rig.own(RECORDS, &[("outcome", "invalid")]).await >= broken.len() as u64);
    for n in 0..broken.len() {
        let lines = rig.told(&["level=warn", SET_ASIDE, "field=StreamStartTime ", &format!("broken_{n}")]);
        assert_eq!(lines.len(), 1, "once each: {:#?}", rig.log());
    }
    assert_eq!(rig.log().len(), broken.len(), "{:#?}", rig.log());
}

#[tokio::test]
async fn a20_texts_nobody_has_heard_of_count_as_unmapped_and_are_told_once() {
    let rig = Rig::new().await.start().await;
    let long = "断".repeat(3500);
    let unheard =
        ["从未见过的原因", "The dog ate the cable.", "", "-", "18/99999", "\u{202e}\u{200b}🐱\n\"level=error", &long];
    let heard =
        [("校验鉴权参数不通过", "auth_failed"), ("校验鉴权参数不通过。", "auth_failed"), ("1", "client_stopped")];
    for text in unheard {
        let sessions = (0..3).map(|n| rig.ended(&format!("room_{n}"), 10).because(text.to_owned()));
        rig.world.publish_all(sessions);
    }
    rig.world.publish_all(heard.map(|(text, _)| rig.ended("heard", 10).because(text)));
    rig.shows_the_truth().await;
    rig.turns(1).await;
    let metrics = rig.metrics().await;
    let unmapped = 3 * unheard.len() as u64;
    assert_eq!(metrics.count(DISCONNECTS, &[("reason", "unmapped"), ("class", "unknown")]), unmapped);
    assert_eq!(rig.own(UNMAPPED, &[]).await, unmapped);
    for (text, reason) in heard {
        assert!(metrics.count(STREAMS, &[("stream", "heard"), ("reason", reason)]) > 0, "{text}");
    }
    let lines = rig.told(&["level=warn", "unmapped reason text, name its reason under `reasons`"]);
    assert_eq!(lines.len(), unheard.len(), "{lines:#?}");
    assert_eq!(rig.log(), lines, "and nothing else is told");
    assert_eq!(rig.told(&["text=从未见过的原因"]).len(), 1, "{lines:#?}");
    assert!(
        lines.iter().all(|line| line.chars().count() < 500 && !line.contains(['\u{202e}', '\u{200b}'])),
        "{lines:#?}"
    );
    // Whoever invents texts may fill a counter, not the log.
    rig.world.publish_all((0..90).map(|n| rig.ended("inventive", 10).because(format!("invented {n}"))));
    rig.shows_the_truth().await;
    assert_eq!(rig.own(UNMAPPED, &[]).await, unmapped + 90);
    assert_eq!(rig.log().len(), 64);
}

#[tokio::test]
async fn a21_a_spoilt_field_costs_its_own_row_at_most() {
    let rig = Rig::new().await.start().await;
    let mut spoilt: Vec<Event> = Vec::new();
    let (mut waiting, mut broken) = (0, 0);
    for field in ["DomainName", "AppName", "StreamName", "StreamStartTime", "StreamEndTime", "StopReason", "ClientIp"]
        .iter()
        .chain(&["Duration", "Resolution", "Unheard-of"])
    {
        for (n, json) in ["", "null", "true", "{\"a\":[1]}", "[\"x\"]"].iter().enumerate() {
            let row = rig.ended(&format!("{field}_{n}"), 10).raw(field, *json);
            let usable = match *field {
                "DomainName" | "AppName" | "StreamName" | "StreamStartTime" => {
                    broken += 1;
                    false
                }
                "StreamEndTime" => {
                    waiting += 1;
                    false
                }
                _ => true,
            };
            spoilt.push(if usable { row } else { row.unusable() });
        }
    }
    let twice = "{\"StreamName\":\"one\",\"StreamName\":\"two\"}";
    for json in [twice, "17", "null", "[]", "\"row\""] {
        spoilt.push(rig.ended("no row", 10).raw_row(json).unusable());
        broken += 1;
    }
    rig.world.publish_all(spoilt);
    rig.world.publish_all((0..30).map(|n| rig.ended(&format!("sound_{n}"), 10)));
    // An unreadable reason is no reason that anybody knows.
    let countable = rig.world.truth().published;
    until("everything countable is counted", async || {
        let counted = rig.metrics().await.count(STREAMS, &[]);
        seen(counted == countable, (counted, countable))
    })
    .await;
    rig.reaches(RECORDS, &[("outcome", "invalid")], broken).await;
    rig.reaches(RECORDS, &[("outcome", "unfinished")], waiting).await;
    rig.turns(1).await;
    let metrics = rig.metrics().await;
    assert_eq!(metrics.count(STREAMS, &[]), countable);
    assert!((0..30).all(|n| metrics.count(STREAMS, &[("stream", &format!("sound_{n}"))]) == 1));
    for field in ["DomainName", "AppName", "StreamName", "StreamStartTime", "row"] {
        // Rows that begin alike are told once.
        let lines = rig.told(&["level=warn", SET_ASIDE, &format!("field={field} ")]);
        assert!((1..=5).contains(&lines.len()), "{field}: {lines:#?}");
    }
}

#[tokio::test]
async fn a21_broken_rows_of_every_kind_harm_no_other() {
    let rig = Rig::new().await.start().await;
    rig.world.publish_all(Damage::ALL.map(|damage| damage.apply(rig.ended(&format!("{damage:?}"), 10))));
    rig.world.publish_all((0..20).map(|n| rig.ended(&format!("sound_{n}"), 10)));
    rig.shows_the_truth().await;
    let fatal = Damage::ALL.iter().filter(|damage| !damage.is_harmless()).count() as u64;
    // A row without a readable end may get one: it waits, and is neither counted nor set aside.
    rig.reaches(RECORDS, &[("outcome", "invalid")], fatal - 1).await;
    rig.reaches(RECORDS, &[("outcome", "unfinished")], 1).await;
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth());
    for field in ["StreamName", "DomainName", "StreamStartTime", "row"] {
        assert_eq!(rig.told(&[SET_ASIDE, &format!("field={field} ")]).len(), 1, "{field}: {:#?}", rig.log());
    }
}

#[tokio::test]
async fn a22_names_that_are_no_text_or_look_alike_are_series_of_their_own() {
    let names: [&[u8]; 20] = [
        b"room\xff",
        b"room\xfe",
        "room\u{fffd}".as_bytes(),
        b"room\xed\xa0\xbd",
        b"room\xed\xa0\xbe",
        b"room\0",
        b"room\x01",
        b"room\n",
        b"room\r",
        b"room\"",
        b"room\\",
        b"room\\n",
        b"room}",
        "room\u{202e}".as_bytes(),
        "room\u{200b}".as_bytes(),
        "room\u{2028}".as_bytes(),
        "rооm".as_bytes(),
        "ｒｏｏｍ".as_bytes(),
        b"room",
        b"",
    ];
    let rig = Rig::new().await.start().await;
    for many in 1..=2_u64 {
        let end = rig.world.now() - 10;
        let ended = |name: &&[u8]| Event::ended(DOMAIN, "live", Name::new(name), end - 60, end);
        rig.world.publish_all(names.iter().map(ended));
        until("every name is a series of its own", async || {
            let page = rig.get("/metrics").await.1;
            let series: Vec<&str> = page.split('\n').filter(|line| line.starts_with(STREAMS)).collect();
            let all = series.len() == names.len() && series.iter().all(|line| line.ends_with(&format!(" {many}")));
            let distinct: BTreeSet<&str> =
                series.iter().filter_map(|line| line.rsplit_once(' ')).map(|line| line.0).collect();
            seen(all && distinct.len() == names.len(), &series)
        })
        .await;
    }
    let metrics = rig.metrics().await;
    assert_eq!(metrics.count(DISCONNECTS, &[("domain", DOMAIN)]), 2 * names.len() as u64);
    for name in
        names.iter().filter_map(|name| std::str::from_utf8(name).ok()).filter(|name| !name.contains(['\0', '\u{fffd}']))
    {
        assert_eq!(metrics.count(STREAMS, &[("stream", name)]), 2, "{name:?} is shown as it is");
    }
    rig.tells_nothing();
}
