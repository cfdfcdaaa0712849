//! What settings cost before there is anything to list.

use std::time::Duration;

use super::{ONLINE_INTERVAL, Pace};
use crate::clock::UnixSeconds;
use crate::listing::{cover, next_border};

const DAY: Duration = Duration::from_secs(86_400);

/// The requests of a day in which nothing happens, of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietDay {
    /// Of polls.
    pub polls: u64,
    /// Of sweeps: each compares a few counts.
    pub sweeps: u64,
    /// For the streams online: once a minute, not more often than polls.
    pub streams_online: u64,
}

impl QuietDay {
    /// Of an account that is asked for so many pairs of a domain and an app, one by one, around `now`.
    #[must_use]
    pub fn of(pace: &Pace, scopes: u64, streams_online: bool, now: UnixSeconds) -> Self {
        let times = |interval: Duration| DAY.as_secs() / interval.as_secs().max(1);
        Self {
            polls: scopes * times(pace.interval),
            sweeps: scopes * times(pace.sweep_interval) * slices(pace, now) / 64,
            streams_online: if streams_online { scopes * times(pace.interval.max(ONLINE_INTERVAL)) } else { 0 },
        }
    }

    /// All of them.
    #[must_use]
    pub fn requests(self) -> u64 {
        self.polls + self.sweeps + self.streams_online
    }
}

/// How many slices 64 sweeps compare, at moments spread over the day before `now`.
fn slices(pace: &Pace, now: UnixSeconds) -> u64 {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let moments = (0..64).map(|n| now - n * (seconds(DAY) / 64));
    let of_one = |moment: UnixSeconds| {
        let from = moment - seconds(pace.sweep_lookback);
        cover(from, next_border(moment - seconds(pace.overlap)), moment - seconds(pace.horizon)).len() as u64
    };
    moments.map(of_one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        let seconds = Duration::from_secs;
        Pace {
            interval: seconds(30),
            overlap: seconds(120),
            sweep_interval: seconds(60),
            sweep_lookback: DAY,
            audit_interval: DAY,
            horizon: DAY * 3,
            initial_lookback: seconds(3600),
            retention: DAY * 30,
        }
    }

    #[test]
    fn a_quiet_day_is_told_as_it_is() {
        let day = QuietDay::of(&pace(), 1, true, 1_767_225_600);
        assert_eq!((day.polls, day.streams_online), (2_880, 1_440));
        // Between five and ten slices cover a day, as the moment has it.
        assert!((1_440 * 5..1_440 * 10).contains(&day.sweeps), "{day:?}");
        let ten = QuietDay::of(&pace(), 10, true, 1_767_225_600);
        assert!(ten.requests().abs_diff(day.requests() * 10) < 10, "{ten:?}");
    }

    #[test]
    fn whoever_polls_half_as_often_asks_half_as_often() {
        let (pace, lazy) = (pace(), Pace { interval: pace().interval * 2, ..pace() });
        let (one, other) = (QuietDay::of(&pace, 3, false, 1_767_225_600), QuietDay::of(&lazy, 3, false, 1_767_225_600));
        assert_eq!((one.polls, one.sweeps, one.streams_online), (other.polls * 2, other.sweeps, 0));
    }
}
