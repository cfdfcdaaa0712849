//! Series that nothing is counted of leave the page, and come back with what they had.

use std::time::Duration;

use super::{CLIENT_STOPPED, DOMAIN, Desk};

const TTL: u64 = 3600;

/// A desk whose idle series leave after an hour, and which has counted one disconnect of `room`.
async fn desk() -> Desk {
    let mut desk = Desk::published().await;
    desk.terms.idle_ttl = Duration::from_secs(TTL);
    let desk = desk.restarted();
    desk.observe(vec![desk.ends("room")]).await;
    desk.passes(100).await;
    assert_eq!(desk.stream("room"), Some(1));
    desk
}

#[tokio::test]
async fn g6_an_idle_series_leaves_the_page_and_comes_back_at_its_old_total() {
    let desk = desk().await;
    desk.passes(TTL - 200).await;
    assert_eq!(desk.stream("room"), Some(1), "not yet");
    desk.passes(300).await;
    assert_eq!((desk.stream("room"), desk.snapshot().idle_series), (None, 1));
    assert_eq!(desk.class(DOMAIN, CLIENT_STOPPED), Some(1), "the class counter stays");
    assert_eq!(desk.on_disk()["room"], 1, "and so does the total");
    desk.passes_with(200, &["a", "b"]).await;
    desk.observe(vec![desk.ends("room")]).await;
    assert_eq!((desk.stream("room"), desk.snapshot().idle_series), (Some(1), 0), "its old total is shown first");
    assert_eq!(desk.snapshot().held_disconnects, 1);
    desk.scrape("a").await;
    desk.passes(1).await;
    assert_eq!(desk.stream("room"), Some(1), "until every scraper has read it");
    desk.scrape("b").await;
    desk.passes(1).await;
    assert_eq!(desk.stream("room"), Some(2));
}

#[tokio::test]
async fn a_series_that_came_back_is_held_at_its_old_total_over_a_restart_too() {
    let desk = desk().await;
    desk.passes(TTL + 100).await;
    desk.observe(vec![desk.ends("room"), desk.ends("room")]).await;
    let desk = desk.restarted();
    assert_eq!((desk.stream("room"), desk.snapshot().held_disconnects), (Some(1), 2));
    desk.passes(100).await;
    assert_eq!(desk.stream("room"), Some(3));
    assert_eq!(desk.restarted().stream("room"), Some(3));
}

#[tokio::test]
async fn time_in_which_nothing_runs_makes_nothing_idle() {
    let desk = desk().await;
    desk.passes(TTL - 600).await;
    desk.observe(vec![desk.ends("later")]).await;
    desk.passes(700).await;
    assert_eq!((desk.stream("room"), desk.stream("later")), (None, Some(1)));
    desk.observe(vec![]).await;
    // Down for long: nobody could read anything meanwhile.
    let clock = desk.clock.clone();
    clock.advance(Duration::from_secs(10 * TTL));
    let desk = desk.restarted();
    assert_eq!(desk.stream("later"), Some(1));
    desk.passes(TTL + 100).await;
    assert_eq!((desk.stream("room"), desk.stream("later")), (None, None));
}

#[tokio::test]
async fn without_a_time_nothing_is_ever_idle() {
    let desk = Desk::published().await;
    desk.observe(vec![desk.ends("room")]).await;
    desk.passes(10 * TTL).await;
    assert_eq!((desk.stream("room"), desk.snapshot().idle_series), (Some(1), 0));
}
