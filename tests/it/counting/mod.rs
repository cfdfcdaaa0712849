//! Counting is exact: the production passes, groups, slices and ledger against a small hostile API.

mod harness;
mod sweeps;

use harness::{Api, By, Counts, Exporter, START, Shown};
use tencent_live_exporter::listing::{Progress, Whole, Window};
use tencent_live_exporter::session::{Name, PushSession};

const TEXTS: [(&str, &str); 3] = [
    ("推流客户端主动断流", "client_stopped"),
    ("校验鉴权参数不通过", "auth_failed"),
    ("推流链路网络异常", "network_error"),
];

/// A platform's two hours, and what there is to count of them.
fn platform(seed: u64, by: By) -> (Api, Counts) {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut rows = Vec::new();
    let mut truth = Counts::new();
    let domains = ["push.a.example", "push.b.example"];
    let sessions = dice.usize(50..600);
    let burst_at = START + dice.i64(600..6000);
    for n in 0..sessions {
        let in_burst = n < 150 && dice.u8(..4) < 3;
        let end = if in_burst { burst_at + dice.i64(0..2) } else { START + dice.i64(-3000..7000) };
        let (text, reason) = TEXTS[dice.usize(..3)];
        let refused = reason == "auth_failed";
        let length = if refused { 0 } else { [0, 1, 30, 600, 7000][dice.usize(..5)] };
        let lateness = match dice.u8(..100) {
            0..80 => dice.i64(0..30),
            80..98 => dice.i64(0..300),
            _ => dice.i64(0..9000),
        };
        let session = PushSession {
            domain: domains[dice.usize(..2)].into(),
            app: ["live", "live1"][dice.usize(..2)].into(),
            stream: Name::from(format!("room_{}", dice.u32(..40)).as_str()),
            start: end - length,
            end,
            reason_text: text.into(),
            client_ip: format!("10.0.0.{}", dice.u8(..3)),
            duration: None,
            resolution: String::new(),
        };
        let clones = if refused { dice.u64(1..5) } else { 1 };
        let late = |dice: &mut fastrand::Rng| end + 1 + lateness + if dice.u8(..10) == 0 { dice.i64(0..60) } else { 0 };
        for _ in 0..clones {
            let from = late(&mut dice);
            let hidden = (dice.u8(..20) == 0).then(|| (from + 40, from + 40 + dice.i64(0..600)));
            // One of several identical rows that changes becomes another row; that is told apart elsewhere.
            let corrected = (clones == 1 && dice.u8(..20) == 0).then(|| {
                let other_end = if dice.bool() { end } else { (end + dice.i64(1..90)).min(from) };
                let corrected = PushSession { end: other_end, client_ip: "10.9.9.9".into(), ..session.clone() };
                (from + dice.i64(0..200), corrected)
            });
            rows.push(Shown { session: session.clone(), from, hidden, corrected });
        }
        let label = |name: &Name| name.text().into_owned();
        let key = (label(&session.domain), label(&session.app), label(&session.stream), reason);
        *truth.entry(key).or_default() += clones;
    }
    let mut api = Api::new(rows, by, seed);
    (api.ends_included, api.ties_shuffled) = (dice.bool(), dice.bool());
    (api, truth)
}

fn simulate(seed: u64) {
    let by = [By::End, By::Start, By::Overlap][usize::try_from(seed % 3).unwrap()];
    let (mut api, truth) = platform(seed, by);
    let mut exporter = Exporter::new();
    let mut now = START;
    while now < START + 18_000 {
        now += 30;
        exporter.clock.jump_to(now);
        exporter.poll(&mut api, now);
        if now % 60 == START % 60 {
            exporter.sweep(&mut api, now, 24 * 3600, false);
        }
        for (key, counted) in &exporter.counted() {
            assert!(truth.get(key).is_some_and(|shown| counted <= shown), "seed {seed}: {key:?} {counted}");
        }
    }
    exporter.sweep(&mut api, now, 24 * 3600, true);
    assert_eq!(exporter.counted(), truth, "seed {seed}, {by:?}, {} requests", api.requests);
}

#[test]
fn whatever_the_api_means_by_its_window_every_session_counts_exactly_once() {
    let seeds = std::env::var("COUNTING_SEEDS").map_or(24, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        simulate(seed);
    }
}

#[test]
fn a_row_that_hides_as_another_appears_is_not_taken_for_corrected() {
    simulate(87);
}

#[test]
fn a_corrected_address_does_not_pass_for_the_row_that_came_beside_it() {
    simulate(69);
}

const DAY: i64 = 24 * 3600;

/// A session of stream `stream` that ended at `end` and is shown `late` seconds after.
fn shown(stream: usize, end: i64, late: i64) -> Shown {
    let session = PushSession {
        domain: Name::from(["push.a.example", "push.b.example", "push.c.example"][stream % 3]),
        app: ["live", "show"][stream / 3 % 2].into(),
        stream: Name::from(format!("room_{stream}").as_str()),
        start: end,
        end,
        reason_text: "校验鉴权参数不通过".into(),
        client_ip: "10.0.0.1".into(),
        duration: None,
        resolution: String::new(),
    };
    Shown { session, from: end + late, hidden: None, corrected: None }
}

fn total(exporter: &Exporter) -> u64 {
    exporter.counted().values().sum()
}

/// Polls and sweeps once, a minute after the start.
fn counted_of(mut api: Api) -> (Exporter, Api) {
    let mut exporter = Exporter::new();
    exporter.poll(&mut api, START + 60);
    exporter.sweep(&mut api, START + 60, DAY, false);
    (exporter, api)
}

#[test]
fn three_hundred_rows_in_one_second_are_counted_exactly() {
    for (seed, by) in [By::End, By::Start, By::Overlap].into_iter().enumerate() {
        let mut api = Api::new((0..300).map(|n| shown(n % 150, START + 10, 1)).collect(), by, seed as u64);
        api.ties_shuffled = true;
        let (exporter, _) = counted_of(api);
        assert_eq!((total(&exporter), exporter.incomplete), (300, 0));
    }
}

#[test]
fn twelve_thousand_rows_in_one_second_are_counted_exactly() {
    for saturated in [false, true] {
        let mut api = Api::new((0..12_000).map(|n| shown(n, START + 10, 1)).collect(), By::End, 1);
        api.saturated = saturated;
        let (exporter, _) = counted_of(api);
        assert_eq!(total(&exporter), 12_000, "saturated {saturated}");
    }
}

#[test]
fn more_clones_than_a_response_holds_are_counted_from_below_and_told() {
    let api = Api::new((0..150).map(|_| shown(1, START + 10, 1)).collect(), By::End, 1);
    let (exporter, _) = counted_of(api);
    assert_eq!(total(&exporter), 100);
    assert!(exporter.incomplete > 0);
}

#[test]
fn a_server_that_shows_ten_rows_a_page_is_listed_whole() {
    let mut api = Api::new((0..95).map(|n| shown(n, START + i64::try_from(n % 20).unwrap(), 1)).collect(), By::End, 1);
    api.page_rows = 10;
    let (exporter, _) = counted_of(api);
    assert_eq!(total(&exporter), 95);
}

#[test]
fn a_late_row_is_found_by_the_next_sweep_for_few_requests() {
    let mut rows: Vec<Shown> = (0..5_000).map(|n| shown(n, START - 3_000 + i64::try_from(n).unwrap() / 2, 1)).collect();
    rows.push(shown(7_777, START - 1_000, 2_000));
    let (mut exporter, mut api) = counted_of(Api::new(rows, By::End, 1));
    exporter.poll(&mut api, START + 900);
    exporter.sweep(&mut api, START + 900, DAY, false);
    assert_eq!(total(&exporter), 5_000);
    exporter.poll(&mut api, START + 1_200);
    let before = api.requests;
    exporter.sweep(&mut api, START + 1_200, DAY, false);
    assert_eq!(total(&exporter), 5_001);
    assert!(api.requests - before < 60, "{} requests", api.requests - before);
}

#[test]
fn an_answer_that_is_empty_by_mistake_is_made_up_for_by_the_next_sweep() {
    for wrong in 1..60 {
        let rows = (0..400).map(|n| shown(n, START - 3_000 + i64::try_from(n).unwrap() * 5, 3_500)).collect();
        let (mut exporter, mut api) = counted_of(Api::new(rows, By::End, 1));
        exporter.poll(&mut api, START + 3_600);
        api.empty_answer = Some(api.requests + wrong);
        exporter.sweep(&mut api, START + 3_600, DAY, false);
        exporter.sweep(&mut api, START + 3_600, DAY, false);
        assert_eq!(total(&exporter), 400, "request {wrong}");
    }
}

#[test]
fn a_row_that_came_as_another_went_is_found_by_the_audit() {
    let mut gone = shown(1, START - 600, 1);
    gone.hidden = Some((START + 900, i64::MAX));
    let came = shown(2, START - 600, 1_500);
    let (mut exporter, mut api) = counted_of(Api::new(vec![gone, came], By::End, 1));
    exporter.poll(&mut api, START + 1_800);
    exporter.sweep(&mut api, START + 1_800, DAY, false);
    assert_eq!(total(&exporter), 1, "the counts are the same, a sweep cannot tell");
    exporter.sweep(&mut api, START + 1_800, DAY, true);
    assert_eq!(total(&exporter), 2);
}

#[test]
fn a_quiet_day_costs_one_request_a_slice() {
    let (mut exporter, mut api) = counted_of(Api::new(vec![shown(1, START - 600, 1)], By::End, 1));
    exporter.sweep(&mut api, START + 60, DAY, false);
    let before = api.requests;
    exporter.sweep(&mut api, START + 60, DAY, false);
    assert!(api.requests - before <= 24, "{} requests", api.requests - before);
}

#[test]
fn a_group_that_was_counted_with_other_ends_is_not_confirmed_without_them() {
    let mut exporter = Exporter::new();
    let session = |lasted: i64, text: &str| PushSession {
        domain: "push.example.com".into(),
        app: "live".into(),
        stream: "room".into(),
        start: START,
        end: START + lasted,
        reason_text: text.into(),
        client_ip: "203.0.113.7".into(),
        duration: None,
        resolution: String::new(),
    };
    let (refused, ended) = (session(0, "校验鉴权参数不通过"), session(1, "推流客户端主动断流"));
    let mut observe = |sessions: &[PushSession], whole: Option<Whole>| {
        exporter.observe(sessions.to_vec(), whole.is_some(), whole, Progress::default(), START + 10)
    };
    assert!(observe(&[refused.clone(), ended.clone()], None).is_empty());
    // A crowd of one second knows of the two that ended in it, one of them late (seed 82774).
    let whole = |lasts: &[i64]| {
        let ends = lasts.iter().map(|lasted| Window { start: START + lasted, end: START + lasted }).collect();
        Some(Whole { group: refused.group(), ends, at_once: true })
    };
    let unsettled = observe(&[refused.clone(), refused.clone()], whole(&[0]));
    assert_eq!(unsettled.len(), 1);
    assert_eq!((&*unsettled[0].ends, unsettled[0].rows), (&[START, START + 1][..], 2));
    assert!(observe(&[refused.clone(), refused.clone(), ended], whole(&[0, 1])).is_empty());
    assert_eq!(total(&exporter), 3);
}
