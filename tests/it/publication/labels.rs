//! What `series.stream`, `include` and `exclude` make of the stream counter, and what changing them leaves as it was.

use std::collections::BTreeMap;

use tencent_live_exporter::clock::Clock as _;
use tencent_live_exporter::publication::labels::{Choice, Pattern, Rule, Selector, StreamLabel, Template};
use tencent_live_exporter::session::PushSession;

use super::{CLIENT_STOPPED, DOMAIN, Desk, ended};

fn group(pattern: &str, template: &str) -> Choice {
    let pattern = Pattern::new(pattern).unwrap();
    let rule = Rule { template: Template::new(template, &pattern).unwrap(), pattern };
    Choice { stream: StreamLabel::Group(vec![rule]), ..Choice::default() }
}

fn without(stream: &str) -> Choice {
    let stream = Some(Pattern::new(stream).unwrap());
    Choice { exclude: vec![Selector { stream, ..Selector::default() }], ..Choice::default() }
}

fn totals(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter().map(|(stream, total)| ((*stream).to_owned(), *total)).collect()
}

impl Desk {
    /// Sessions on these streams end, and are shown.
    async fn counts(&self, streams: &[&str]) -> u64 {
        self.passes(4).await;
        let receipt = self.observe(streams.iter().map(|stream| self.ends(stream)).collect()).await;
        assert_eq!(receipt.counted_ends.len(), streams.len());
        self.passes(76).await;
        receipt.excluded
    }

    /// Records on disk.
    fn records(&self) -> i64 {
        let books = rusqlite::Connection::open(self.folder.join("state").join("ledger.sqlite")).unwrap();
        books.query_row("SELECT count(*) FROM record", [], |row| row.get(0)).unwrap()
    }
}

#[tokio::test]
async fn dropped_streams_share_one_series_with_an_empty_label() {
    let choice = Choice { stream: StreamLabel::Drop, ..Choice::default() };
    let desk = Desk::published().await.restarted_with(choice);
    desk.counts(&["room_1", "room_2", "room_1"]).await;
    let end = desk.clock.now();
    desk.observe(vec![PushSession { app: "vip".into(), ..ended("room_3", end) }]).await;
    desk.passes(76).await;
    let snapshot = desk.snapshot();
    let series: Vec<_> = snapshot.streams().collect();
    let shown = |app: &str| series.iter().find(|one| &*one.kind.app == app).map(|one| one.shown);
    assert_eq!((series.len(), shown("live"), shown("vip")), (2, Some(3), Some(1)));
    assert!(series.iter().all(|one| one.stream.is_empty()));
    assert_eq!(desk.class(DOMAIN, CLIENT_STOPPED), Some(4));
}

#[tokio::test]
async fn grouped_streams_share_a_series_and_the_others_keep_theirs() {
    let desk = Desk::published().await.restarted_with(group("room_[0-9]+", "room_*"));
    desk.counts(&["room_1", "room_22", "room_x", "room_1"]).await;
    assert_eq!(desk.streams(DOMAIN), totals(&[("room_*", 3), ("room_x", 1)]));
    desk.counts(&["room_333"]).await;
    assert_eq!(desk.streams(DOMAIN), totals(&[("room_*", 4), ("room_x", 1)]), "the next response too");
}

#[tokio::test]
async fn what_is_excluded_counts_everywhere_but_by_stream() {
    let desk = Desk::published().await.restarted_with(without("test_.*"));
    let excluded = desk.counts(&["room", "test_1", "test_2"]).await;
    assert_eq!(desk.streams(DOMAIN), totals(&[("room", 1)]));
    assert_eq!(desk.class(DOMAIN, CLIENT_STOPPED), Some(1 + excluded));
    assert_eq!((excluded, desk.records()), (2, 3), "each has its record");
    let end = desk.clock.now() - 76;
    let again = desk.observe(vec![ended("test_1", end), ended("room", end)]).await;
    assert_eq!((again.duplicates, again.excluded), (2, 0), "and is known when it is told again");
}

#[tokio::test]
async fn a_changed_choice_is_for_what_comes_and_takes_nothing_back() {
    let rooms = ["room_1", "room_2"];
    let desk = Desk::published().await;
    desk.counts(&rooms).await;
    let kept = totals(&[("room_1", 1), ("room_2", 1)]);
    assert_eq!(desk.streams(DOMAIN), kept);

    let desk = desk.restarted_with(group("room_[0-9]+", "room_*"));
    assert_eq!(desk.streams(DOMAIN), kept, "they are there before anything happens");
    desk.counts(&rooms).await;
    assert_eq!(desk.streams(DOMAIN), totals(&[("room_*", 2), ("room_1", 1), ("room_2", 1)]));

    let desk = desk.restarted_with(without("room_1"));
    assert_eq!(desk.counts(&rooms).await, 1);
    assert_eq!(desk.streams(DOMAIN), totals(&[("room_*", 2), ("room_1", 1), ("room_2", 2)]));

    let desk = desk.restarted_with(Choice::default());
    desk.counts(&rooms).await;
    assert_eq!(
        desk.streams(DOMAIN),
        totals(&[("room_*", 2), ("room_1", 2), ("room_2", 3)]),
        "and go on where they were"
    );
    assert_eq!(desk.class(DOMAIN, CLIENT_STOPPED), Some(8), "the sum of these, and the one that was excluded");
}

#[tokio::test]
async fn a_session_counted_under_one_name_is_not_counted_again_under_another() {
    let mut desk = Desk::published().await;
    let session = desk.ends("room_1");
    desk.observe(vec![session.clone()]).await;
    for choice in [group("room_[0-9]+", "room_*"), without("room_1"), Choice::default()] {
        desk = desk.restarted_with(choice);
        assert_eq!(desk.observe(vec![session.clone()]).await.duplicates, 1);
    }
}
