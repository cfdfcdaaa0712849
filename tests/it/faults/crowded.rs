//! More rows than a response holds, pages that shift, and counts that are wrong (A5–A11).

use tencent_live_exporter::sim::scenario::{PastCap, TieOrder, TotalNum};
use tencent_live_exporter::sim::{Event, Request};

use crate::support::bench::{KEY, credentials};
use crate::support::passes::Passes;
use crate::support::patience::{each, seen, until};
use crate::support::rig::{DOMAIN, Rig};

const INCOMPLETE: &str = "tencent_live_exporter_incomplete_listings_total";
const REPEATED: &str = "tencent_live_exporter_repeated_listings_total";
const SPLIT: &str = "tencent_live_exporter_split_windows_total";
const STREAMS: &str = "tencent_live_stream_disconnects_total";
const COUNTED_FROM_BELOW: &str = "listings without all of their rows, counted as far as rows were seen together";

/// So many sessions, three on each stream, that end in one second a quarter of an hour ago.
fn burst(rig: &Rig, sessions: usize) -> Vec<Event> {
    let end = rig.world.now() - 900;
    let domains = ["push.a.example.com", "push.b.example.com"];
    let session = |n: usize| Event::ended(domains[n % 2], "live", &*format!("room_{}", n / 3), end - 60, end);
    (0..sessions).map(session).collect()
}

/// Waits for the truth, lets everything be looked at once more, and finds it unchanged.
async fn counts_exactly(rig: &Rig) {
    rig.shows_the_truth().await;
    rig.turns(1).await;
    assert_eq!(rig.metrics().await.streams(), rig.truth(), "what was counted stays as it is");
}

/// No value on the page is above the truth.
async fn counts_nothing_twice(rig: &Rig) {
    let (shown, truth) = (rig.metrics().await.streams(), rig.truth());
    for (stream, count) in shown {
        assert!(truth.get(&stream).is_some_and(|most| count <= *most), "{stream:?} {count}");
    }
}

/// The last row that `request` could have been answered with.
fn last_row(request: &Request) -> Option<u64> {
    Some(request.params["PageNum"].as_u64()? * request.params["PageSize"].as_u64()?)
}

#[tokio::test]
async fn a5_rows_inserted_between_two_pages_are_neither_lost_nor_counted_twice() {
    let rig = Rig::new().await.quirks(|quirks| quirks.insert_between_pages = 2);
    rig.world.publish_all(burst(&rig, 150));
    let rig = rig.start().await;
    until("pages have shifted often", async || {
        counts_nothing_twice(&rig).await;
        let sessions = rig.world.truth().published;
        seen(sessions >= 170, sessions)
    })
    .await;
    rig.world.set_quirks(|quirks| quirks.insert_between_pages = 0);
    counts_exactly(&rig).await;
    // Whether a shift was seen through at once or only later is a matter of luck; what is counted is told either way.
    let (metric, lines) = (rig.own(INCOMPLETE, &[]).await, rig.told(&["level=error", COUNTED_FROM_BELOW]));
    assert_eq!(metric > 0, !lines.is_empty(), "{metric}: {lines:#?}");
    assert!(rig.own(SPLIT, &[]).await > 0);
}

#[tokio::test]
async fn a6_a9_a_second_with_more_rows_than_a_response_is_counted_in_full() {
    each([TieOrder::Published, TieOrder::Reversed, TieOrder::Shuffled], async |order| {
        let rig = Rig::new().await.quirks(|quirks| quirks.tie_order = order);
        rig.world.publish_all(burst(&rig, 150));
        let rig = rig.start().await;
        counts_exactly(&rig).await;
        assert_eq!(rig.own(INCOMPLETE, &[]).await, 0, "{order:?}");
        assert!(rig.own(SPLIT, &[]).await > 0, "{order:?}");
        rig.tells_nothing();
    })
    .await;
}

#[tokio::test]
async fn a7_a_wrong_total_is_told_and_changes_no_count() {
    let contradicts = true;
    each(
        [
            (TotalNum::OneMore, contradicts),
            (TotalNum::OneLess, contradicts),
            (TotalNum::Zero, contradicts),
            (TotalNum::Negative, contradicts),
            (TotalNum::Huge, contradicts),
            (TotalNum::Missing, contradicts),
            (TotalNum::Text, !contradicts),
            (TotalNum::Page, !contradicts),
        ],
        async |(lie, contradicts)| {
            let mut passes = Passes::new(credentials(None), KEY).await;
            passes.world.set_quirks(|quirks| quirks.total_num = lie);
            passes.publish(2);
            passes.poll().await.unwrap();
            passes.shows_the_truth(&format!("{lie:?}"));
            let asked = passes.world.requests().count;
            assert!(asked < 60, "{lie:?}: {asked} requests for two rows");
            let told = |passes: &Passes, metric| passes.metrics().count(metric, &[]);
            let [incomplete, repeated] = [INCOMPLETE, REPEATED].map(|metric| told(&passes, metric));
            assert_eq!((incomplete > 0, repeated > 0), (contradicts, contradicts), "{lie:?}");
            let log = passes.log();
            assert_eq!(log.len(), usize::from(contradicts), "{lie:?}: {log:#?}");
            let count = format!("incomplete={incomplete}");
            assert!(log.iter().all(|line| line.contains(COUNTED_FROM_BELOW) && line.ends_with(&count)), "{log:#?}");
            passes.world.set_quirks(|quirks| quirks.total_num = TotalNum::Exact);
            let now = passes.world.now();
            passes.world.publish_all([3, 3, 20].map(|ago| Event::ended(DOMAIN, "live", "later", now - 60, now - ago)));
            passes.poll().await.unwrap();
            passes.shows_the_truth("once it is right");
            assert_eq!(told(&passes, INCOMPLETE), incomplete, "{lie:?}: a right total needs no words");
        },
    )
    .await;
}

#[tokio::test]
async fn a7_rows_behind_a_total_that_stops_at_the_page_count_once_it_is_right() {
    let rig = Rig::new().await.quirks(|quirks| quirks.total_num = TotalNum::Page);
    rig.world.publish_all(burst(&rig, 150));
    let rig = rig.start().await;
    rig.turns(1).await;
    counts_nothing_twice(&rig).await;
    assert_eq!(rig.metrics().await.count(STREAMS, &[]), 100, "a full page that says it is all cannot be told from one");
    rig.world.set_quirks(|quirks| quirks.total_num = TotalNum::Exact);
    counts_exactly(&rig).await;
    rig.tells_nothing();
}

#[tokio::test]
async fn a8_no_page_past_the_cap_is_asked_for_and_every_row_is_counted() {
    each([PastCap::Error, PastCap::Truncate, PastCap::Saturate], async |past_cap| {
        let mut passes = Passes::new(credentials(None), KEY).await;
        passes.world.set_quirks(|quirks| quirks.past_cap = past_cap);
        passes.publish(10_100);
        passes.poll().await.unwrap();
        passes.shows_the_truth(&format!("{past_cap:?}"));
        let asked = passes.world.requests();
        assert!(asked.count < 1000, "{past_cap:?}: {} requests", asked.count);
        let past = asked.recent.iter().filter_map(last_row).find(|row| *row > 10_000);
        assert_eq!(past, None, "{past_cap:?}");
        let metrics = passes.metrics();
        assert!(metrics.count(SPLIT, &[]) > 0, "{past_cap:?}");
        assert_eq!((metrics.count(INCOMPLETE, &[]), passes.log()), (0, vec![]), "{past_cap:?}");
    })
    .await;
}

#[tokio::test]
async fn a9_more_identical_sessions_than_a_response_holds_are_counted_from_below_and_told() {
    let rig = Rig::new().await;
    rig.world.publish_all(vec![rig.ended("room", 900).because("校验鉴权参数不通过"); 130]);
    rig.world.publish(rig.ended("other", 900));
    let rig = rig.start().await;
    rig.reaches(INCOMPLETE, &[], 1).await;
    rig.turns(1).await;
    let metrics = rig.metrics().await;
    assert_eq!(metrics.count(STREAMS, &[("stream", "room")]), 100);
    assert_eq!(metrics.count(STREAMS, &[("stream", "other")]), 1);
    rig.tells(&["level=error", "incomplete=", COUNTED_FROM_BELOW]).await;
}

#[tokio::test]
async fn a10_a_server_that_ignores_the_page_number_ends_the_paging_and_is_told() {
    let rig = Rig::new().await.quirks(|quirks| quirks.ignore_page_num = true);
    let end = rig.world.now() - 900;
    rig.world.publish_all((0..250).map(|n| Event::ended(DOMAIN, "live", &*format!("room_{n}"), end - 60, end)));
    let rig = rig.start().await;
    rig.reaches(INCOMPLETE, &[], 1).await;
    rig.turns(1).await;
    counts_nothing_twice(&rig).await;
    assert_eq!(rig.metrics().await.count(STREAMS, &[]), 100, "what the one page shows is counted");
    rig.tells(&["level=error", COUNTED_FROM_BELOW]).await;
    let pages = rig.world.requests().recent.into_iter().filter_map(|request| request.params["PageNum"].as_u64());
    assert_eq!(pages.max(), Some(2), "a page that comes again is the last");
    rig.world.set_quirks(|quirks| quirks.ignore_page_num = false);
    counts_exactly(&rig).await;
}

#[tokio::test]
async fn a10_streams_that_a_page_shown_twice_leaves_out_are_told_of() {
    let rig = Rig::new().await.quirks(|quirks| quirks.ignore_page_num = true);
    let end = rig.world.now() - 900;
    // Twice 100 rows are more than there are, though 50 were never shown.
    rig.world.publish_all((0..150).map(|n| Event::ended(DOMAIN, "live", &*format!("room_{n}"), end - 60, end)));
    let rig = rig.start().await;
    rig.reaches(INCOMPLETE, &[], 1).await;
    rig.tells(&["level=error", COUNTED_FROM_BELOW]).await;
    rig.world.set_quirks(|quirks| quirks.ignore_page_num = false);
    counts_exactly(&rig).await;
}

#[tokio::test]
async fn a24_rows_that_fill_an_answer_beyond_its_bound_keep_no_other_from_being_counted() {
    let rig = Rig::new().await;
    let (name, end) = ("\"".repeat(65_535), rig.world.now() - 10);
    rig.world.publish_all((0..40).map(|n| Event::ended(DOMAIN, "live", &*format!("{name}{n}"), end - 60, end)));
    rig.world.publish(rig.ended("after", 5));
    let rig = rig.start().await;
    until("the other session is counted", async || {
        let counted = rig.metrics().await.count(STREAMS, &[("stream", "after")]);
        seen(counted == 1, counted)
    })
    .await;
    rig.reaches(INCOMPLETE, &[], 1).await;
    rig.tells(&["level=error", COUNTED_FROM_BELOW]).await;
}

#[tokio::test]
async fn a11_a_server_that_ignores_the_page_size_is_read_by_the_rows_it_sends() {
    each([10, 1000], async |served| {
        let rig = Rig::new().await.quirks(|quirks| quirks.page_size_served = Some(served));
        rig.world.publish_all((0..120).map(|n| rig.ended(&format!("room_{}", n % 30), 5 + n * 25)));
        rig.world.publish_all((0..60).map(|n| rig.ended(&format!("together_{n}"), 900)));
        let rig = rig.start().await;
        counts_exactly(&rig).await;
        assert_eq!(rig.own(INCOMPLETE, &[]).await, 0, "{served} rows a page");
        rig.tells_nothing();
    })
    .await;
}
