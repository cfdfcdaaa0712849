//! What sweeps ask, and what they find, where slices hold more rows than the API answers for.

use tencent_live_exporter::clock::UnixSeconds;
use tencent_live_exporter::listing::{
    Bounds, CAP, Filter, Page, Pass, Query, Reading, Row, SliceId, Slices, Window, cover,
};
use tencent_live_exporter::session::{Name, PushSession};

/// A border of slices of 2^16 s.
const START: UnixSeconds = 26_000 << 16;
const LENGTH: i64 = 1 << 16;

#[derive(Debug, Clone, Copy, PartialEq)]
enum WindowOf {
    Starts,
    Ends,
    Overlaps,
}

/// An API that is right about everything, but may stop counting at its cap.
struct Api {
    sessions: Vec<PushSession>,
    window_of: WindowOf,
    stops_counting: bool,
    asked: u64,
}

impl Api {
    /// So many sessions of ten minutes, evenly over the slice.
    fn new(sessions: i64, window_of: WindowOf, stops_counting: bool) -> Self {
        let sessions = (0..sessions).map(|n| session(n, START + 1000 + n * (LENGTH - 2000) / sessions)).collect();
        Self { sessions, window_of, stops_counting, asked: 0 }
    }

    fn answer(&mut self, query: &Query) -> Page {
        self.asked += 1;
        let Window { start, end } = query.window;
        let shown = |session: &&PushSession| match self.window_of {
            WindowOf::Starts => (start..=end).contains(&session.start),
            WindowOf::Ends => (start..=end).contains(&session.end),
            WindowOf::Overlaps => session.start <= end && session.end >= start,
        };
        let found: Vec<&PushSession> = self.sessions.iter().filter(shown).collect();
        let total = found.len() as u64;
        let skipped = (query.page as usize - 1) * query.page_size as usize;
        let page = found.into_iter().skip(skipped).take(query.page_size as usize);
        let rows = page.map(|session| Row::Finished(session.clone())).collect();
        Page { total: Some(if self.stops_counting { total.min(CAP) } else { total }), rows }
    }

    /// Sweeps once; the questions it took and the streams it listed.
    fn sweep(&mut self, slices: &mut Slices) -> (u64, Vec<Name>) {
        let bounds = Bounds { floor: START - LENGTH, now: START + 2 * LENGTH };
        let before = self.asked;
        let mut pass = Pass::sweep(Filter::default(), &cover(START, START + LENGTH, bounds.floor), bounds, true);
        let mut streams = Vec::new();
        while let Some(query) = pass.next(slices) {
            let Reading { sessions, progress, .. } = pass.answer(self.answer(&query), slices);
            streams.extend(sessions.into_iter().map(|session| session.stream));
            slices.extend(progress.remember);
            progress.forget.iter().for_each(|id| _ = slices.remove(id));
        }
        slices.extend(pass.take_progress().remember);
        (self.asked - before, streams)
    }
}

fn session(n: i64, start: UnixSeconds) -> PushSession {
    PushSession {
        domain: "push.example.com".into(),
        app: "live".into(),
        stream: Name::from(format!("room_{n}").as_str()),
        start,
        end: start + 600,
        reason_text: "推流客户端主动断流".into(),
        client_ip: "-".into(),
        duration: Some(600),
        resolution: String::new(),
    }
}

const ALL: SliceId = SliceId { level: 16, index: 26_000 };
const KINDS: [WindowOf; 3] = [WindowOf::Starts, WindowOf::Ends, WindowOf::Overlaps];

#[test]
fn a_high_count_that_its_halves_come_to_is_asked_for_once() {
    for window_of in KINDS {
        let (mut api, mut slices) = (Api::new(30_000, window_of, false), Slices::new());
        let (_, streams) = api.sweep(&mut slices);
        assert!(streams.len() >= 30_000, "{window_of:?}");
        assert!(slices[&ALL].total >= 30_000 && !slices[&ALL].restless, "{window_of:?}");
        assert_eq!(api.sweep(&mut slices), (1, Vec::new()), "{window_of:?}");
    }
}

#[test]
fn a_late_row_among_many_is_found_by_its_count() {
    for window_of in KINDS {
        let (mut api, mut slices) = (Api::new(30_000, window_of, false), Slices::new());
        api.sweep(&mut slices);
        api.sessions.push(session(-1, START + 40_000));
        let (questions, streams) = api.sweep(&mut slices);
        assert!(streams.contains(&Name::from("room_-1")), "{window_of:?}");
        assert!(questions < 100, "{window_of:?}: {questions} questions");
    }
}

#[test]
fn a_count_that_has_stopped_is_never_compared() {
    for window_of in KINDS {
        for sessions in [CAP.cast_signed(), 30_000] {
            let (mut api, mut slices) = (Api::new(sessions, window_of, true), Slices::new());
            api.sweep(&mut slices);
            assert!(slices[&ALL].restless, "{window_of:?}");
            api.sessions.push(session(-1, START + 40_000));
            assert!(api.sweep(&mut slices).1.contains(&Name::from("room_-1")), "{window_of:?} {sessions}");
        }
    }
}
