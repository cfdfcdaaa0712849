//! A second with more sessions than the API can page through: listed by name, each session once.

use std::collections::BTreeMap;

use tencent_live_exporter::listing::{
    Bounds, FULL_PAGE, Filter, Group, Page, Pass, Query, Row, Slices, Tally, Unsettled, Window,
};
use tencent_live_exporter::session::{Fact, GroupId, IdentityKey, Name, PushSession};

const SECOND: i64 = 1_700_000_000;

/// Rows beyond this are not shown, whatever `TotalNum` says (API page 267/33186).
const CAP: usize = 10_000;

/// So many sessions that end in one second, `each` of them on the same stream; streams are of two apps.
fn burst(sessions: usize, each: usize) -> Vec<PushSession> {
    let session = |n: usize| PushSession {
        domain: "push.example.com".into(),
        app: ["live", "show"][n / each % 2].into(),
        stream: Name::from(format!("room_{}", n / each).as_str()),
        start: SECOND,
        end: SECOND,
        reason_text: "校验鉴权参数不通过".into(),
        client_ip: "203.0.113.7".into(),
        duration: Some(0),
        resolution: String::new(),
    };
    (0..sessions).map(session).collect()
}

fn answer(rows: &[PushSession], query: &Query) -> Page {
    let named = |wanted: &Option<Name>, name: &Name| wanted.as_ref().is_none_or(|wanted| wanted == name);
    let Filter { domain, app, stream } = &query.filter;
    let fits = |row: &&PushSession| {
        (query.window.start..=query.window.end).contains(&row.end)
            && named(domain, &row.domain)
            && named(app, &row.app)
            && named(stream, &row.stream)
    };
    let fitting: Vec<&PushSession> = rows.iter().filter(fits).collect();
    let skipped = (query.page as usize - 1) * query.page_size as usize;
    let shown = fitting.iter().take(CAP).skip(skipped).take(query.page_size as usize);
    let rows = shown.map(|row| Row::Finished((*row).clone())).collect();
    Page { total: Some(fitting.len() as u64), rows }
}

/// Lists `rows` as a poll does and returns how many were counted.
fn list(rows: &[PushSession]) -> (usize, Tally) {
    list_from(|query| answer(rows, query))
}

fn list_from(mut answer: impl FnMut(&Query) -> Page) -> (usize, Tally) {
    let (key, slices) = (IdentityKey::new([7; 16]), Slices::new());
    let window = Window { start: SECOND - 100, end: SECOND + 1_000 };
    let bounds = Bounds { floor: SECOND - 10_000, now: SECOND + 1_000 };
    let mut pass = Pass::poll(Filter::default(), [window], bounds);
    let mut groups: BTreeMap<GroupId, Group> = BTreeMap::new();
    while let Some(query) = pass.next(&slices) {
        let reading = pass.answer(answer(&query), &slices);
        let mut views: BTreeMap<GroupId, Vec<Fact>> = BTreeMap::new();
        for session in &reading.sessions {
            views.entry(session.group()).or_default().push(session.fact(&key));
        }
        let mut unsettled = Vec::new();
        for (group, view) in views {
            let known = groups.entry(group.clone()).or_default();
            let growth = known.grow(&view, bounds.floor);
            if !growth.unaccounted.is_empty() && !reading.confirming {
                let ends = view.iter().chain(known.accounted()).map(|fact| fact.end).collect();
                let rows = view.len().max(known.accounted().len()) as u64;
                unsettled.push(Unsettled::new(group, ends, rows));
            }
        }
        if !unsettled.is_empty() {
            pass.confirm(unsettled, reading.progress);
        }
    }
    (groups.values().map(|group| group.accounted().len()).sum(), pass.tally())
}

#[test]
fn a9_a_second_beyond_the_reach_of_pages_is_split_by_name_and_counted_in_full() {
    let (counted, tally) = list(&burst(10_200, 17));
    assert_eq!((counted, tally.incomplete_listings), (10_200, 0), "{tally:?}");
}

#[test]
fn a9_more_sessions_of_one_stream_in_one_second_than_a_response_holds_are_counted_from_below() {
    let (counted, tally) = list(&burst(350, 350));
    assert!(tally.incomplete_listings > 0, "{tally:?}");
    assert_eq!(counted, usize::try_from(FULL_PAGE).unwrap());
}

#[test]
fn two_sessions_of_one_second_are_counted_though_a_page_of_their_stream_s_ended_between_them() {
    let mut rows = burst(152, 152);
    // A push that lasts, and one that was refused as it began; then its publisher is refused again every other second.
    rows[0].end = SECOND + 400;
    for (row, at) in rows[2..].iter_mut().zip((SECOND + 2..).step_by(2)) {
        (row.start, row.end) = (at, at);
    }
    let (counted, tally) = list(&rows);
    assert_eq!((counted, tally.incomplete_listings), (152, 0), "{tally:?}");
}

#[test]
fn a_crowd_that_fits_a_full_page_is_split_by_name_where_the_api_shows_shorter_pages() {
    // Rows of one second are in another order on every page, so that none of them may be taken for the next.
    let (rows, mut asked) = (burst(96, 4), 0);
    let (counted, tally) = list_from(|query| {
        asked += 1;
        let mut rows = rows.clone();
        rows.rotate_left(37 * asked % 96);
        let all = answer(&rows, &Query { page: 1, ..query.clone() });
        let shown = all.rows.into_iter().skip((query.page as usize - 1) * 40).take(40);
        Page { total: all.total, rows: shown.collect() }
    });
    assert_eq!((counted, tally.incomplete_listings), (96, 0), "{tally:?}");
}

#[test]
fn a_total_that_is_wrong_costs_no_split_by_name() {
    let (rows, mut asked) = (burst(24, 1), 0);
    let (counted, tally) = list_from(|query| {
        asked += 1;
        let page = answer(&rows, query);
        Page { total: page.total.map(|total| total + 9), ..page }
    });
    assert_eq!(counted, 24);
    assert!(tally.incomplete_listings > 0 && asked < 40, "{asked} requests: {tally:?}");
}
