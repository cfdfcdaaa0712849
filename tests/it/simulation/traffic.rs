//! What happens on the platform: sessions of seconds and of days, storms, clones, names that look alike.

use tencent_live_exporter::session::{Name, PushSession};

use super::cloud::Event;
use super::plan::{one_of, percent};
use super::world::START;

/// The push domains.
pub(super) const DOMAINS: [&str; 2] = ["push.a.example", "push.b.example"];
/// The push paths. Written one after the other, `live` and `1room` are `live1` and `room`.
pub(super) const APPS: [&str; 2] = ["live", "live1"];

/// Texts of the API, and the reasons they mean.
pub(super) const TEXTS: [&str; 4] =
    ["推流客户端主动断流", "校验鉴权参数不通过", "推流链路网络异常", "没有人听说过的原因"];
const REFUSED: &str = TEXTS[1];

/// What is peculiar about a seed's traffic.
struct Manner {
    /// How many of a hundred rows are corrected.
    corrects: u8,
    corrects_reasons: bool,
    /// How many of a hundred rows are hidden for a while.
    hides: u8,
    lists_live: bool,
    marathons: bool,
    /// How many of a hundred rows are very late.
    very_late: u8,
    latest: i64,
    tail: i64,
}

/// Sessions that end from before the exporter starts until `length`, listed up to `late` seconds after.
pub(super) fn events(
    dice: &mut fastrand::Rng,
    length: u64,
    lookback: u64,
    late: u64,
    steady: bool,
    storm: bool,
) -> Vec<Event> {
    let [length, lookback, late] = [length, lookback, late].map(|seconds| i64::try_from(seconds).expect("small"));
    let manner = Manner {
        corrects: if steady || percent(dice, 40) { 0 } else { 8 },
        corrects_reasons: percent(dice, 20),
        hides: if steady || percent(dice, 40) { 0 } else { 8 },
        very_late: one_of(dice, &[2, 2, 40]),
        lists_live: percent(dice, 30),
        marathons: percent(dice, 10),
        latest: START + length,
        tail: late.max(300),
    };
    let before = lookback.min(5000);
    let mut events = Vec::new();
    for _ in 0..dice.u32(20..150) {
        let end = START + dice.i64(-before..length);
        let times = if percent(dice, 20) { dice.u32(1..6) } else { 1 };
        add(dice, &manner, end, times, &mut events);
    }
    if percent(dice, 25) {
        // More in one or two seconds than a response holds.
        let end = START + dice.i64(0..length);
        for _ in 0..dice.u32(101..350) {
            let end = end + dice.i64(0..2);
            add(dice, &manner, end, 1, &mut events);
        }
    }
    if storm {
        // More in one second, or in a few, than the API answers for.
        let end = START + dice.i64(0..length);
        let seconds = one_of(dice, &[1, 2, 30]);
        for n in 0..dice.u32(10_050..11_000) {
            let at = end + dice.i64(0..seconds);
            let mut event = plain(dice, &manner, at);
            event.session.stream = Name::from(format!("storm_{n}").as_str());
            events.push(event);
        }
    }
    if percent(dice, 2) {
        // More that look alike than a response holds: nothing can tell them apart.
        let end = START + dice.i64(0..length);
        let event = plain(dice, &manner, end);
        events.extend(std::iter::repeat_n(event, dice.usize(101..140)));
    }
    events
}

fn add(dice: &mut fastrand::Rng, manner: &Manner, end: i64, times: u32, events: &mut Vec<Event>) {
    let first = plain(dice, manner, end);
    for _ in 0..times {
        let mut event = first.clone();
        event.shown_from = end + 1 + lateness(dice, manner);
        if percent(dice, manner.hides) {
            let from = event.shown_from + dice.i64(0..120);
            event.hidden = Some((from, (from + dice.i64(1..900)).min(manner.latest)));
        }
        if percent(dice, manner.corrects) {
            let corrected = corrected(dice, manner, &event);
            event.corrected = Some((event.shown_from + dice.i64(0..300), corrected));
        }
        if manner.lists_live && end - event.session.start > 60 {
            event.live_from = Some(event.session.start + dice.i64(1..60));
        }
        events.push(event);
    }
}

fn corrected(dice: &mut fastrand::Rng, manner: &Manner, event: &Event) -> PushSession {
    let mut session = event.session.clone();
    match dice.u8(..3) {
        0 => session.client_ip = "10.9.9.9".into(),
        1 if manner.corrects_reasons => session.reason_text = one_of(dice, &TEXTS).into(),
        _ => session.end = (session.end + dice.i64(1..90)).min(event.shown_from),
    }
    session
}

/// A session that is listed when it is due.
fn plain(dice: &mut fastrand::Rng, manner: &Manner, end: i64) -> Event {
    let text = one_of(dice, &TEXTS);
    let lengths: &[i64] = if manner.marathons { &[72_000, 144_000] } else { &[0, 1, 30, 600, 7_200, 36_000] };
    let longest = one_of(dice, lengths);
    let lasted = if text == REFUSED { 0 } else { dice.i64(0..=longest) };
    let session = PushSession {
        domain: one_of(dice, &DOMAINS).into(),
        app: one_of(dice, &APPS).into(),
        stream: stream(dice),
        start: end - lasted,
        end,
        reason_text: text.into(),
        client_ip: format!("10.0.0.{}", dice.u8(..3)),
        duration: dice.bool().then(|| lasted.unsigned_abs()),
        resolution: String::new(),
    };
    let shown_from = end + 1 + lateness(dice, manner);
    Event { session, live_from: None, shown_from, hidden: None, corrected: None }
}

/// As the vendor says, most within half a minute; the rest within minutes, and some very late.
fn lateness(dice: &mut fastrand::Rng, manner: &Manner) -> i64 {
    if percent(dice, manner.very_late) {
        dice.i64(0..manner.tail)
    } else if percent(dice, 80) {
        dice.i64(0..30)
    } else {
        dice.i64(0..300)
    }
}

fn stream(dice: &mut fastrand::Rng) -> Name {
    match dice.u8(..20) {
        0 => one_of(dice, &["room", "1room", "\"}\n", "房间", "a\0b"]).into(),
        1 => Name::new([vec![b'x'; 200], vec![dice.u8(..3)]].concat()),
        2 => Name::new(vec![b'n', 0xff, dice.u8(0xf0..0xff)]),
        _ => Name::from(format!("room_{}", dice.u32(..30)).as_str()),
    }
}
