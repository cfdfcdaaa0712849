//! Which time of a session the API holds a window against, which its documents do not say. Pure: sessions are chosen, the
//! windows around their times are asked for elsewhere, and what was shown is judged.

use std::collections::BTreeSet;
use std::time::Duration;

use super::check::{Check, counted};
use crate::clock::UnixSeconds;
use crate::listing::Window;
use crate::poller::account::seconds;
use crate::session::PushSession;

const NAME: &str = "window";

/// Shorter sessions tell nothing: rows may lie a little beside their window, as in the official sample.
const TELLING_SECONDS: i64 = 30;

/// Most sessions that are asked for.
const MOST_SESSIONS: usize = 3;

/// How far a window reaches to either side of the time it is about.
const REACH_SECONDS: i64 = 1;

/// What the API shows of one session to those who ask for a part of it. None where that is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// In a window at its start.
    pub(super) at_start: Option<bool>,
    /// In a window that is over before it ends, and begins after it starts.
    pub(super) between: Option<bool>,
    /// In a window at its end.
    pub(super) at_end: Option<bool>,
}

/// Which time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeldAgainst {
    /// When a session started.
    Start,
    /// When it ended.
    End,
    /// Any second from its start to its end.
    Overlap,
}

/// The sessions that tell most, the longest first; what ended after `until` may not be asked for yet.
pub(super) fn telling(sessions: &[PushSession], until: UnixSeconds) -> Vec<&PushSession> {
    let lasted = |session: &PushSession| session.end.saturating_sub(session.start);
    let fit = |session: &&PushSession| lasted(session) >= TELLING_SECONDS && session.end + REACH_SECONDS <= until;
    let mut found: Vec<&PushSession> = sessions.iter().filter(fit).collect();
    found.sort_by_key(|session| std::cmp::Reverse(lasted(session)));
    let mut groups = BTreeSet::new();
    found.retain(|session| groups.insert(session.group()));
    found.truncate(MOST_SESSIONS);
    found
}

/// The windows at a session's start, in between and at its end.
pub(super) fn windows(session: &PushSession) -> [Window; 3] {
    let around = |at| Window { start: at - REACH_SECONDS, end: at + REACH_SECONDS };
    [session.start, session.start.midpoint(session.end), session.end].map(around)
}

/// The windows that tell which of their ends belong to them: what they are held against is in the first second of one, and
/// in the last of the other, alone.
pub(super) fn at_the_ends(session: &PushSession, held: HeldAgainst) -> [Window; 2] {
    let (first, last) = match held {
        HeldAgainst::Start => (session.start, session.start),
        HeldAgainst::End => (session.end, session.end),
        HeldAgainst::Overlap => (session.end, session.start),
    };
    [Window { start: first, end: first + REACH_SECONDS }, Window { start: last - REACH_SECONDS, end: last }]
}

/// What one session tells.
fn held_against(shown: Shown) -> Option<HeldAgainst> {
    match (shown.at_start?, shown.between?, shown.at_end?) {
        (false, false, true) => Some(HeldAgainst::End),
        (true, false, false) => Some(HeldAgainst::Start),
        (true, true, true) => Some(HeldAgainst::Overlap),
        _ => None,
    }
}

/// What all of them tell, if they agree.
pub(super) fn agreed(shown: &[Shown]) -> Option<HeldAgainst> {
    let mut told = shown.iter().map(|shown| held_against(*shown));
    let first = told.next()??;
    told.all(|other| other == Some(first)).then_some(first)
}

/// Whether a window's first and last second belong to it, where that was asked for.
pub(super) type Ends = [Option<bool>; 2];

/// The evidence in words. `longest` is the longest session seen; `lookback` how far back sweeps look.
pub(super) fn judge(shown: &[Shown], ends: Ends, longest: i64, lookback: Duration) -> Check {
    let told: Vec<Shown> =
        shown.iter().copied().filter(|shown| [shown.at_start, shown.between, shown.at_end] != [None; 3]).collect();
    if told.is_empty() {
        let words = "not enough rows to tell which time of a session a window is held against; sessions of half a minute or \
                     more tell it. The exporter counts right whichever it is";
        return Check::unknown(NAME, words, "ask again when some have ended");
    }
    let sessions = counted(told.len() as u64, "session");
    let Some(held) = agreed(&told) else {
        let at = |part: fn(&Shown) -> Option<bool>| told.iter().filter(|shown| part(shown) == Some(true)).count();
        let message = format!(
            "unclear: of {sessions} a window at their start shows {}, one in between {}, one at their end {}",
            at(|shown| shown.at_start),
            at(|shown| shown.between),
            at(|shown| shown.at_end)
        );
        return Check::warning(
            NAME,
            message,
            "ask again; rows that come and go tell nothing. If it stays so, report it",
        );
    };
    let were = if told.len() == 1 { "was" } else { "were" };
    let words = match held {
        HeldAgainst::End => format!(
            "the end of a session: {sessions} {were} shown by a window at the end, and not by one at \
                                     the start or in between"
        ),
        HeldAgainst::Start => format!(
            "the start of a session: {sessions} {were} shown by a window at the start, and not by \
                                       one in between or at the end"
        ),
        HeldAgainst::Overlap => format!(
            "any time of a session: {sessions} {were} shown by windows at the start, in between \
                                         and at the end"
        ),
    };
    let borders = match ends {
        [Some(true), Some(true)] => "; its first and its last second belong to it",
        [Some(true), Some(false)] => "; its last second does not belong to it",
        [Some(false), Some(true)] => "; its first second does not belong to it",
        [Some(false), Some(false)] => "; neither its first nor its last second belongs to it",
        _ => "",
    };
    let message = format!("the API holds a window against {words}{borders}");
    // What began before the lookback is listed by no window that is asked for.
    if held == HeldAgainst::Start && longest > seconds(lookback) {
        let advice = format!(
            "raise poll.sweep_lookback: a session lasted {longest} s, and sweeps find what started up to {} s \
                              ago",
            seconds(lookback)
        );
        return Check::warning(NAME, message, advice);
    }
    Check::ok(NAME, message)
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn shown(at_start: bool, between: bool, at_end: bool) -> Shown {
        Shown { at_start: Some(at_start), between: Some(between), at_end: Some(at_end) }
    }

    fn session(stream: &str, start: i64, end: i64) -> PushSession {
        PushSession {
            domain: "push.example.com".into(),
            app: "live".into(),
            stream: stream.into(),
            start,
            end,
            reason_text: String::new(),
            client_ip: String::new(),
            duration: None,
            resolution: String::new(),
        }
    }

    #[test]
    fn each_meaning_of_a_window_is_recognised_by_what_it_shows() {
        for (one, held, words) in [
            (
                shown(false, false, true),
                HeldAgainst::End,
                "3 sessions were shown by a window at the end, and not by one at",
            ),
            (
                shown(true, false, false),
                HeldAgainst::Start,
                "3 sessions were shown by a window at the start, and not by one",
            ),
            (
                shown(true, true, true),
                HeldAgainst::Overlap,
                "3 sessions were shown by windows at the start, in between",
            ),
        ] {
            assert_eq!(agreed(&[one; 3]), Some(held));
            let check = judge(&[one; 3], [Some(true), Some(false)], 100, DAY);
            assert!(check.status == Status::Ok && check.message.contains(words), "{check:?}");
            assert!(check.message.ends_with("its last second does not belong to it"), "{check:?}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_a_warning_and_nothing_at_all_is_unknown() {
        for unclear in [
            vec![shown(false, false, true), shown(true, false, false)],
            vec![shown(false, true, false)],
            vec![shown(true, false, true)],
            vec![shown(false, false, false)],
        ] {
            assert_eq!(judge(&unclear, [None; 2], 100, DAY).status, Status::Warning, "{unclear:?}");
        }
        assert_eq!(judge(&[], [None; 2], 0, DAY).status, Status::Unknown);
        assert_eq!(judge(&[Shown::default()], [None; 2], 0, DAY).status, Status::Unknown);
    }

    #[test]
    fn by_starts_a_session_longer_than_the_lookback_is_missed() {
        let by_start = [shown(true, false, false)];
        assert_eq!(judge(&by_start, [None; 2], 86_400, DAY).status, Status::Ok);
        let check = judge(&by_start, [None; 2], 86_401, DAY);
        assert!(check.status == Status::Warning && check.advice.contains("poll.sweep_lookback"), "{check:?}");
        assert_eq!(judge(&[shown(false, false, true)], [None; 2], 86_401, DAY).status, Status::Ok);
    }

    #[test]
    fn the_longest_sessions_that_are_over_are_asked_for() {
        let sessions = [
            session("short", 0, 29),
            session("a", 0, 30),
            session("b", 0, 100),
            session("b", 0, 100),
            session("c", 0, 50),
            session("d", 0, 40),
            session("fresh", 0, 1_000),
        ];
        let names =
            |until| telling(&sessions, until).iter().map(|one| one.stream.text().into_owned()).collect::<Vec<_>>();
        assert_eq!(names(1_000), ["b", "c", "d"]);
        assert_eq!(names(1_001), ["fresh", "b", "c"]);
    }

    #[test]
    fn windows_at_the_start_and_the_end_do_not_reach_the_middle() {
        let session = session("a", 1_000, 1_000 + TELLING_SECONDS);
        let [start, between, end] = windows(&session);
        assert!(start.end < between.start && between.end < end.start);
        assert!(start.contains(session.start) && end.contains(session.end));
    }
}
