//! What becomes of streams past `series.limit`, and which domains still have places.

use tencent_live_exporter::clock::Clock as _;
use tencent_live_exporter::publication::{OVERFLOW, StreamSeries};
use tencent_live_exporter::session::{Name, PushSession};

use super::{ACCOUNT, CLIENT_STOPPED, DOMAIN, Desk, START, ended};

const OTHER: &str = "push.other.example.com";
const LATER: &str = "push.later.example.com";

/// So many sessions of `domain`, each of a stream that nobody has heard of.
fn newcomers(desk: &Desk, domain: &str, names: std::ops::Range<u32>) -> Vec<PushSession> {
    let end = desk.clock.now();
    names.map(|n| PushSession { domain: domain.into(), ..ended(&format!("newcomer_{n}"), end) }).collect()
}

/// How many series of its own a domain has on the page.
fn own(desk: &Desk, domain: &str) -> usize {
    desk.streams(domain).keys().filter(|stream| *stream != OVERFLOW).count()
}

#[tokio::test]
async fn g2_past_the_limit_streams_fold_and_every_sum_stays_exact() {
    let desk = Desk::with_series_limit(20).await;
    desk.keeper.publish(ACCOUNT.into()).await.unwrap();
    let mut overflowed = 0;
    for app in 0..10 {
        let session = |n: i64| PushSession {
            app: Name::from(format!("app{app}").as_str()),
            ..ended(&format!("room{n}"), START + n)
        };
        overflowed += desk.observe((0..10).map(session).collect()).await.overflowed;
        let again = desk.observe((0..10).map(session).collect()).await;
        assert_eq!((again.duplicates, again.overflowed), (10, 0));
    }
    desk.passes(76).await;
    let snapshot = desk.snapshot();
    let series: Vec<_> = snapshot.streams().collect();
    assert!(series.len() <= 20 + 2 + 1, "{}", series.len());
    assert_eq!(overflowed, 100 - 20);
    let sum = |wanted: &dyn Fn(&str, &str) -> bool| -> u64 {
        let fits = |one: &&StreamSeries<'_>| wanted(&one.kind.app, one.stream);
        series.iter().filter(fits).map(|one| one.shown).sum()
    };
    assert_eq!(sum(&|_, _| true), 100);
    assert_eq!(desk.class(DOMAIN, CLIENT_STOPPED), Some(100));
    assert_eq!(sum(&|_, stream| stream == OVERFLOW), 80);
    assert_eq!(sum(&|app, stream| app == "app2" && stream == OVERFLOW), 10, "streams fold first");
    assert_eq!(sum(&|app, _| app == OVERFLOW), 60, "then apps");
}

#[tokio::test]
async fn g5_a_flood_on_one_domain_leaves_the_others_their_share_over_restarts_too() {
    let desk = Desk::with_series_limit(100).await;
    desk.keeper.publish(ACCOUNT.into()).await.unwrap();
    let domains = [DOMAIN, OTHER].map(Name::from).to_vec();
    desk.keeper.introduce(ACCOUNT.into(), domains).await.unwrap();
    let flood = desk.observe(newcomers(&desk, DOMAIN, 0..200)).await;
    // All but the other domain's share of a quarter.
    assert_eq!(own(&desk, DOMAIN), 100 - 25);
    assert_eq!(flood.overflowed, 200 - 75);
    assert_eq!(flood.full_domains.iter().map(|domain| &**domain).collect::<Vec<_>>(), [DOMAIN]);
    let desk = desk.restarted();
    assert_eq!(desk.observe(newcomers(&desk, DOMAIN, 200..300)).await.overflowed, 100);
    let receipt = desk.observe(newcomers(&desk, OTHER, 0..25)).await;
    assert_eq!((receipt.overflowed, own(&desk, OTHER)), (0, 25), "whatever happened to the first");
    assert_eq!(desk.observe(newcomers(&desk, OTHER, 25..50)).await.overflowed, 25);
    for domain in [DOMAIN, OTHER] {
        desk.passes(76).await;
        let shown: u64 = desk.streams(domain).values().sum();
        assert_eq!(Some(shown), desk.class(domain, CLIENT_STOPPED), "every sum stays exact");
    }
}

#[tokio::test]
async fn g5_a_domain_that_appears_when_all_is_taken_finds_a_twentieth_of_the_limit() {
    let desk = Desk::with_series_limit(100).await;
    desk.keeper.publish(ACCOUNT.into()).await.unwrap();
    desk.observe(newcomers(&desk, DOMAIN, 0..200)).await;
    assert_eq!(own(&desk, DOMAIN), 100);
    let desk = desk.restarted();
    desk.observe(newcomers(&desk, LATER, 0..50)).await;
    assert_eq!(own(&desk, LATER), 5);
    assert_eq!(desk.observe(newcomers(&desk, DOMAIN, 200..210)).await.overflowed, 10, "the first has had its part");
    desk.observe(newcomers(&desk, OTHER, 0..50)).await;
    assert_eq!(own(&desk, OTHER), 3, "half of what is left, for the next");
}

#[tokio::test]
async fn a_lower_limit_takes_nothing_from_those_that_have_a_series() {
    let mut desk = Desk::with_series_limit(100).await;
    desk.keeper.publish(ACCOUNT.into()).await.unwrap();
    desk.observe(newcomers(&desk, DOMAIN, 0..50)).await;
    desk.terms.series_limit = 10;
    let desk = desk.restarted();
    assert_eq!(own(&desk, DOMAIN), 50);
    desk.clock.advance(std::time::Duration::from_secs(4));
    let receipt = desk.observe(newcomers(&desk, DOMAIN, 40..60)).await;
    assert_eq!((receipt.overflowed, own(&desk, DOMAIN)), (10, 50));
}

#[tokio::test]
async fn a_stream_that_is_called_as_what_folds_has_a_series_of_its_own() {
    let desk = Desk::with_series_limit(10).await;
    desk.keeper.publish(ACCOUNT.into()).await.unwrap();
    let receipt = desk.observe(vec![desk.ends(OVERFLOW)]).await;
    assert_eq!(receipt.overflowed, 0);
    let marked = desk.streams(DOMAIN).into_keys().next().expect("one stream");
    assert!(marked.starts_with("__overflow__~"), "{marked}");
    let overflowed = desk.observe(newcomers(&desk, DOMAIN, 0..20)).await.overflowed;
    desk.passes(76).await;
    assert_eq!(desk.stream(&marked), Some(1));
    assert_eq!(desk.stream(OVERFLOW), Some(overflowed), "what folds is what is said to have folded, and nothing else");
}
