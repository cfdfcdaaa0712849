//! What strangers' names and numbers make of the page (G2–G10).

use std::collections::BTreeMap;

use tencent_live_exporter::settings::{ClientIp, Settings};
use tencent_live_exporter::sim::{Domain, Event};

use crate::command_line::{Api, stops_cleanly};
use crate::support::child::Process;
use crate::support::patience::{seen, until};
use crate::support::rig::{DOMAIN, Rig};

const DISCONNECTS: &str = "tencent_live_disconnects_total";
const OVERFLOWED: &str = "tencent_live_exporter_overflowed_disconnects_total";
const EXCLUDED: &str = "tencent_live_exporter_excluded_disconnects_total";
const SERIES: &str = "tencent_live_exporter_series";
const STREAMS: &str = "tencent_live_stream_disconnects_total";
const OVERFLOW: (&str, &str) = ("stream", "__overflow__");
const LIMIT_REACHED: &str = "series.limit reached, new streams of the domain fold into stream=__overflow__";

/// So many sessions on streams nobody has seen before, in the minutes before now.
fn newcomers(now: i64, from: i64, many: i64) -> Vec<Event> {
    newcomers_of(DOMAIN, now, from, many)
}

fn newcomers_of(domain: &str, now: i64, from: i64, many: i64) -> Vec<Event> {
    let session = |n: i64| {
        let end = now - 5 - (n - from) * 1200 / many;
        Event::ended(domain, "live", &*format!("newcomer_{n}"), end - 60, end)
    };
    (from..from + many).map(session).collect()
}

#[tokio::test]
async fn g2_g5_a_flood_of_new_names_folds_and_takes_no_series_from_those_that_have_one() {
    let rig = Rig::new().await.with(|settings| settings.series.limit = 20).start().await;
    let regulars = ["regular_1", "regular_2", "regular_3"];
    rig.world.publish_all(regulars.map(|stream| rig.ended(stream, 20)));
    rig.shows_the_truth().await;
    rig.world.publish_all(newcomers(rig.world.now(), 0, 400));
    let sum = |count: u64| count == 403;
    until("all of the flood is counted", async || {
        let metrics = rig.metrics().await;
        seen(sum(metrics.count(DISCONNECTS, &[])), metrics.count(DISCONNECTS, &[]))
    })
    .await;
    rig.world.publish_all(regulars.map(|stream| rig.ended(stream, 10)));
    until("those who were there first go on", async || {
        let metrics = rig.metrics().await;
        let counts = regulars.map(|stream| metrics.count(STREAMS, &[("stream", stream)]));
        seen(counts == [2, 2, 2], counts)
    })
    .await;
    let metrics = rig.metrics().await;
    assert_eq!((metrics.count(STREAMS, &[]), metrics.count(DISCONNECTS, &[])), (406, 406), "every sum is exact");
    let folded = metrics.count(STREAMS, &[OVERFLOW]);
    assert_eq!(rig.own(OVERFLOWED, &[]).await, folded);
    assert_eq!(folded, 403 - 20);
    assert_eq!(metrics.streams().len(), 20 + 1, "the limit, and what folds");
    assert_eq!(metrics.count(SERIES, &[]), 20 + 1);
    assert_eq!(rig.told(&["level=warn", LIMIT_REACHED]).len(), 1, "once: {:#?}", rig.log());
    assert_eq!(rig.log().len(), 1, "{:#?}", rig.log());
}

#[tokio::test]
async fn g5_each_domain_that_is_full_is_told_of_once_and_the_others_go_on() {
    const OTHER: &str = "push.other.example.com";
    let rig = Rig::new().await;
    rig.world.add_domain(Domain::push(DOMAIN));
    rig.world.add_domain(Domain::push(OTHER));
    let rig = rig.with(|settings| settings.series.limit = 20).start().await;
    // Both are known before anything happens, so a quarter of the places is the other's.
    until("both domains are on the page", async || {
        let metrics = rig.metrics().await;
        seen([DOMAIN, OTHER].iter().all(|domain| metrics.get(DISCONNECTS, &[("domain", domain)]).is_some()), ())
    })
    .await;
    let told = |domain: &str| rig.told(&["level=warn", LIMIT_REACHED, domain]).len();
    rig.world.publish_all(newcomers(rig.world.now(), 0, 100));
    until("the flood is counted", async || seen(rig.metrics().await.count(STREAMS, &[]) == 100, ())).await;
    rig.world.publish_all(newcomers_of(OTHER, rig.world.now(), 0, 5));
    until("the other is counted", async || seen(rig.metrics().await.count(STREAMS, &[]) == 105, ())).await;
    assert_eq!(rig.metrics().await.count(STREAMS, &[("domain", OTHER), OVERFLOW]), 0, "it had its share");
    assert_eq!((told(DOMAIN), told(OTHER)), (1, 0));
    rig.world.publish_all(newcomers_of(OTHER, rig.world.now(), 5, 20));
    rig.world.publish_all(newcomers(rig.world.now(), 100, 20));
    until("all is counted", async || seen(rig.metrics().await.count(STREAMS, &[]) == 145, ())).await;
    assert_eq!((told(DOMAIN), told(OTHER)), (1, 1), "{:#?}", rig.log());
    assert_eq!(rig.own(OVERFLOWED, &[]).await, rig.metrics().await.count(STREAMS, &[OVERFLOW]));
}

#[tokio::test]
async fn what_is_excluded_and_what_is_counted_by_stream_are_all_there_is() {
    let yaml = "series: { stream: group, groups: [{ match: 'room_[0-9]+', replace: 'room_*' }], exclude: [{ stream: 'test.*' }] }";
    let rig = Rig::new().await;
    let keys = ["ID", "KEY"].map(|word| (format!("TENCENTCLOUD_SECRET_{word}"), "made-up".to_owned()));
    let labels = Settings::from_yaml(yaml, keys).unwrap().series.labels;
    let rig = rig.with(|settings| settings.series.labels = labels).start().await;
    rig.world.publish_all(["room_1", "room_2", "test", "test_1", "lobby"].map(|stream| rig.ended(stream, 10)));
    until("all of them are counted", async || {
        let metrics = rig.metrics().await;
        seen(metrics.count(DISCONNECTS, &[]) == 5, metrics.streams())
    })
    .await;
    let metrics = rig.metrics().await;
    let of = |stream: &str| metrics.count(STREAMS, &[("stream", stream)]);
    assert_eq!((of("room_*"), of("lobby"), metrics.count(STREAMS, &[])), (2, 1, 3));
    assert_eq!(rig.own(EXCLUDED, &[]).await, 2);
    rig.tells_nothing();
}

/// The memory that a process has now, in KiB.
fn memory(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn g2_names_past_the_limit_take_no_memory() {
    const MIB: u64 = 1024;
    let api = Api::start().await;
    let mut process = api.asked_by(&[]).env("TENCENT_LIVE__SERIES__LIMIT", "100").start();
    let mut sizes = Vec::new();
    for (from, many) in [(0, 1000), (1000, 1500), (2500, 1500)] {
        api.world.publish_all(newcomers(api.world.now(), from, many));
        let all = u64::try_from(from + many).unwrap();
        process.metrics_when("the flood is counted", |page| page.count(DISCONNECTS, &[]) == all).await;
        sizes.push(memory(&process));
    }
    let page = process.metrics_when("the flood has folded", |page| page.count(OVERFLOWED, &[]) > 0).await;
    assert_eq!(page.count(STREAMS, &[]), 4000);
    assert!(page.count(SERIES, &[]) <= 101);
    // The first thousand warm it up; what comes then is on disk and not in memory.
    assert!(sizes[2] < sizes[1] + 4 * MIB && sizes[2] < sizes[0] + 12 * MIB, "{sizes:?} KiB");
    let ended = stops_cleanly(process, "TERM").await;
    assert_eq!(ended.stderr.matches(LIMIT_REACHED).count(), 1, "{}", ended.stderr);
}

#[tokio::test]
async fn g3_g4_g9_the_longest_names_are_cut_stay_apart_and_bound_the_page() {
    let rig = Rig::new().await.start().await;
    let (quotes, letters) = ("\"".repeat(65_535), "房".repeat(21_845));
    let names: Vec<String> =
        [&quotes, &letters].iter().flat_map(|name| (0..4).map(move |n| format!("{name}{n}"))).collect();
    let (end, place) = (rig.world.now() - 10, "\"".repeat(1000));
    for _ in 0..2 {
        let ended = |name: &String| Event::ended(&*place, &*place, name.as_str(), end - 60, end);
        rig.world.publish_all(names.iter().map(ended));
    }
    until("each name is a series of its own", async || {
        let streams = rig.metrics().await.streams();
        seen(streams.len() == names.len() && streams.values().all(|count| *count == 2), &streams)
    })
    .await;
    for (domain, app, stream, _) in rig.metrics().await.streams().keys() {
        for label in [domain, app, stream] {
            let (start, mark) = label.rsplit_once('~').expect("what is cut is marked");
            assert!(start.len() <= 128 && mark.len() == 8 && mark.chars().all(|c| c.is_ascii_hexdigit()), "{label}");
        }
    }
    let page = rig.get("/metrics").await.1;
    let longest = page.lines().map(str::len).max();
    assert!(longest < Some(1000), "three names, each quote of them escaped: {longest:?} bytes");
    rig.tells_nothing();
}

#[tokio::test]
async fn g7_every_value_is_a_count_or_a_finite_number_and_buckets_add_up() {
    let rig = Rig::new().await.start().await;
    let backwards = Event::ended(DOMAIN, "live", "backwards", rig.world.now(), rig.world.now() - 10);
    rig.world.publish(backwards.raw("Duration", "18446744073709551615"));
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    let page = rig.get("/metrics").await.1;
    let counters: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut buckets: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let number: f64 = value.parse().unwrap();
        assert!(number.is_finite() && value != "-0", "{line}");
        let name = series.split('{').next().unwrap();
        let whole = counters.contains(&name) && !name.starts_with("process_");
        assert!(!whole || value.chars().all(|c| c.is_ascii_digit()), "{line}");
        if let Some((before, rest)) = series.split_once("le=\"") {
            let (_, after) = rest.split_once('"').unwrap();
            buckets.entry(format!("{before}{after}")).or_default().push(number);
        }
    }
    assert!(!buckets.is_empty());
    for (histogram, counts) in buckets {
        assert!(counts.is_sorted(), "{histogram}: {counts:?}");
    }
    rig.tells_nothing();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_every_page_is_of_one_snapshot_whatever_changes_meanwhile() {
    let rig = Rig::new().await.start().await;
    rig.turns(1).await;
    let mut last = 0;
    for round in 1..=10 {
        rig.world.publish_all((0..25).map(|stream| rig.ended(&format!("room_{stream}"), 1 + round % 7)));
        until("the rows are on the page", async || {
            let metrics = rig.metrics().await;
            let (streams, all) = (metrics.count(STREAMS, &[]), metrics.count(DISCONNECTS, &[]));
            assert_eq!(streams, all, "one part of the page is older than the other");
            assert!(all >= last, "{all} after {last}");
            last = all;
            seen(all >= 25 * round.unsigned_abs(), all)
        })
        .await;
    }
    rig.shows_the_truth().await;
    rig.tells_nothing();
}

#[tokio::test]
async fn g10_neither_addresses_nor_stream_keys_are_on_the_page() {
    let rig = Rig::new().await.with(|settings| settings.state.client_ip = ClientIp::Full).start().await;
    let session = rig.ended("room", 10).from_ip("198.51.100.77");
    rig.world.publish(session.raw("StreamParam", "\"txSecret=canary&txTime=7\"").raw("ClientPort", "1935"));
    rig.shows_the_truth().await;
    for path in ["/metrics", "/"] {
        let page = rig.get(path).await.1;
        assert!(!page.contains("198.51.100") && !page.contains("canary"), "{path}: {page}");
    }
    let page = rig.get("/metrics").await.1;
    let samples = page.lines().filter(|line| line.starts_with(STREAMS));
    for line in samples {
        let names: Vec<&str> = line.split("=\"").filter_map(|part| part.rsplit(['{', ',']).next()).collect();
        assert_eq!(names[..4], ["domain", "app", "stream", "reason"], "{line}");
    }
    assert!(rig.log().iter().all(|line| !line.contains("canary")));
    rig.tells_nothing();
}
