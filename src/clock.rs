//! Time, in two kinds: wall seconds, which may jump, and elapsed time, which may not.
//!
//! Every other room takes time as an argument; only the edges hold a [`Clock`]. Timers are `tokio::time`'s.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Whole seconds since 1970-01-01T00:00:00Z.
pub type UnixSeconds = i64;

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// Wall time as this machine believes it, in whole seconds.
    fn now(&self) -> UnixSeconds;

    /// Time since an arbitrary fixed moment of this process; never goes back.
    fn elapsed(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose [`Clock::elapsed`] starts at zero now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clocks")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clocks")]
    fn now(&self) -> UnixSeconds {
        match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
        }
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    elapsed_millis: AtomicU64,
}

impl ManualClock {
    /// Starts at `now`, with no time elapsed.
    #[must_use]
    pub fn new(now: UnixSeconds) -> Self {
        Self { now: AtomicI64::new(now), elapsed_millis: AtomicU64::new(0) }
    }

    /// Lets `by` pass on both clocks; the wall clock moves by the whole seconds of it.
    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(i64::try_from(by.as_secs()).unwrap_or(i64::MAX), Ordering::SeqCst);
        self.elapsed_millis.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Sets the wall clock alone, as an operator or NTP does.
    pub fn jump_to(&self, now: UnixSeconds) {
        self.now.store(now, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixSeconds {
        self.now.load(Ordering::SeqCst)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.elapsed_millis.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_jump_does_not_move_elapsed_time() {
        let clock = ManualClock::new(1000);
        clock.advance(Duration::from_millis(2500));
        clock.jump_to(5);
        assert_eq!((clock.now(), clock.elapsed()), (5, Duration::from_millis(2500)));
    }

    #[test]
    fn the_system_clock_is_past_2020() {
        assert!(SystemClock::new().now() > 1_577_836_800);
    }
}
