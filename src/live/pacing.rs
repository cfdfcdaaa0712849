//! When the next request may go out: the account's pace, and the pause after a failure.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::planted::{Bug, planted};

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How long the pace takes from nothing back to its full rate.
const RECOVERY: Duration = Duration::from_secs(120);
/// The pace never falls below this part of its full rate.
const SLOWEST: f64 = 1.0 / 64.0;
/// Requests refused within this time were sent at the pace that one of them has slowed already.
const ONE_REFUSAL: Duration = Duration::from_secs(1);

/// How one account asks: at what pace, and how often the same request.
#[derive(Debug)]
pub struct Patience {
    limiter: Limiter,
    attempts: u32,
    back_off: Duration,
}

impl Patience {
    /// At most `requests_per_second` (above zero), with bursts of about one second's worth; at most `attempts` (from 1)
    /// at one request, with pauses of up to `back_off` at first, which doubles.
    #[must_use]
    pub fn new(requests_per_second: f64, attempts: u32, back_off: Duration) -> Self {
        Self { limiter: Limiter::new(requests_per_second), attempts, back_off }
    }

    /// Waits until a request may go out.
    pub async fn turn(&self) {
        self.limiter.turn().await;
    }

    /// The API says that it is asked too often: half the pace from now on, which then rises again, evenly, by its full rate in
    /// two minutes. Refusals within a second count as one.
    pub fn throttled(&self) {
        self.limiter.slow_down();
    }

    /// Requests per second that are allowed now.
    #[must_use]
    pub fn allowed(&self) -> f64 {
        self.limiter.allowed()
    }

    /// Whether the same request may be tried once more after attempt number `attempt`, from 1.
    #[must_use]
    pub fn lasts_beyond(&self, attempt: u32) -> bool {
        attempt < self.attempts && !planted(Bug::RetryPerListing)
    }

    /// How long to wait after attempt number `attempt`, from 1, has failed.
    #[must_use]
    pub fn pause_after(&self, attempt: u32) -> Duration {
        pause(self.back_off, attempt, fastrand::f64())
    }
}

/// A token bucket that holds about one second's worth of requests.
#[derive(Debug)]
struct Limiter {
    origin: Instant,
    // Held for the arithmetic only, never while waiting.
    pace: Mutex<Pace>,
}

impl Limiter {
    /// `requests_per_second` must be above zero.
    fn new(requests_per_second: f64) -> Self {
        Self { origin: Instant::now(), pace: Mutex::new(Pace::new(requests_per_second)) }
    }

    /// Waits for a turn. Turns are given in order of asking; one that is not waited for to the end is lost.
    async fn turn(&self) {
        let now = self.origin.elapsed();
        let wait = self.pace().reserve(now);
        if !wait.is_zero() {
            tokio::time::sleep_until(self.origin + now + wait).await;
        }
    }

    fn slow_down(&self) {
        let now = self.origin.elapsed();
        self.pace().slow_down(now);
    }

    fn allowed(&self) -> f64 {
        let now = self.origin.elapsed();
        self.pace().rate(now)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The generic cell rate algorithm: instead of tokens, the moment at which the bucket would be full again. The rate is
/// halved where the API throttles and rises evenly after that.
#[derive(Debug)]
struct Pace {
    full_rate: f64,
    /// The rate when the API throttled last, and when that was.
    slowed: Option<(f64, Duration)>,
    full_at: Duration,
}

impl Pace {
    fn new(requests_per_second: f64) -> Self {
        Self { full_rate: requests_per_second, slowed: None, full_at: Duration::ZERO }
    }

    /// Requests per second at `now`.
    fn rate(&self, now: Duration) -> f64 {
        let Some((rate, since)) = self.slowed else { return self.full_rate };
        let risen = now.saturating_sub(since).as_secs_f64() / RECOVERY.as_secs_f64() * self.full_rate;
        (rate + risen).min(self.full_rate)
    }

    fn slow_down(&mut self, now: Duration) {
        if self.slowed.is_none_or(|(_, since)| now >= since + ONE_REFUSAL) {
            self.slowed = Some(((self.rate(now) / 2.0).max(self.full_rate * SLOWEST), now));
        }
    }

    /// Takes the next turn and says how long after `now` it is.
    fn reserve(&mut self, now: Duration) -> Duration {
        let longest = Duration::from_secs(3600);
        let interval = Duration::try_from_secs_f64(1.0 / self.rate(now)).unwrap_or(longest).min(longest);
        // How far ahead of that moment a request may go out: the burst, less the request itself.
        let tolerance = Duration::from_secs(1).saturating_sub(interval);
        let full_at = self.full_at.max(now);
        self.full_at = full_at + interval;
        full_at.saturating_sub(tolerance).saturating_sub(now)
    }
}

/// The pause after `failures` failed attempts (from 1): evenly spread by `random` in 0..1 between nothing and a bound
/// that doubles from `base`, so that clients that failed together do not come back together.
fn pause(base: Duration, failures: u32, random: f64) -> Duration {
    let bound = base.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST_PAUSE);
    bound.mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn after_a_second_worth_of_requests_the_next_are_spaced() {
        let mut pace = Pace::new(5.0);
        let waits: Vec<Duration> = (0..8).map(|_| pace.reserve(ms(0))).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 200, 400, 600].map(ms));
        assert_eq!(pace.reserve(ms(800)), ms(0));
        assert_eq!(pace.reserve(ms(800)), ms(200));
        assert_eq!(pace.reserve(ms(60_000)), ms(0));
    }

    #[test]
    fn over_a_long_time_no_more_than_the_rate_goes_out() {
        let mut pace = Pace::new(5.0);
        let mut now = ms(0);
        let mut sent = 0;
        while now < ms(10_000) {
            now += pace.reserve(now);
            sent += 1;
        }
        assert_eq!(sent, 5 + 50);
    }

    #[test]
    fn a_slow_pace_has_no_burst() {
        let mut pace = Pace::new(0.5);
        assert_eq!([pace.reserve(ms(0)), pace.reserve(ms(0))], [ms(0), ms(2000)]);
    }

    fn thousandths(rate: f64) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "a small number")]
        let thousandths = (rate * 1000.0).round() as i64;
        thousandths
    }

    #[test]
    fn whoever_is_throttled_asks_half_as_often_and_then_ever_more_often() {
        let mut pace = Pace::new(8.0);
        pace.slow_down(ms(10_000));
        assert_eq!(thousandths(pace.rate(ms(10_000))), 4_000);
        assert_eq!(thousandths(pace.rate(ms(40_000))), 6_000);
        assert_eq!(thousandths(pace.rate(ms(70_000))), 8_000);
        assert_eq!(thousandths(pace.rate(ms(1_000_000))), 8_000);
        let waits: Vec<Duration> = (0..6).map(|_| pace.reserve(ms(10_000))).collect();
        assert_eq!(waits, [0, 0, 0, 0, 250, 500].map(ms));
    }

    #[test]
    fn refusals_of_one_second_count_once_and_the_pace_never_stops() {
        let mut pace = Pace::new(8.0);
        for at in [0, 1, 500, 999] {
            pace.slow_down(ms(at));
        }
        assert_eq!(thousandths(pace.rate(ms(0))), 4_000);
        for second in 1..100 {
            pace.slow_down(ms(second * 1000));
        }
        let slowest = thousandths(pace.rate(ms(99_000)));
        assert!((125..200).contains(&slowest), "{slowest}");
    }

    #[test]
    fn pauses_double_up_to_their_bound() {
        let longest: Vec<Duration> = (1..=7).map(|failures| pause(ms(500), failures, 1.0)).collect();
        assert_eq!(longest, [500, 1000, 2000, 4000, 8000, 8000, 8000].map(ms));
        assert_eq!(pause(ms(500), 3, 0.5), ms(1000));
        assert_eq!(pause(ms(500), u32::MAX, 0.0), ms(0));
    }
}
