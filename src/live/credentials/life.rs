//! When temporary keys are renewed: ahead of their end, and again after a failure. Pure.

use std::time::Duration;

/// How much of their life keys have left when they are renewed, at most.
const LEAD: Duration = Duration::from_secs(300);

/// The same as a part of the life they had left when they were received.
const LEAD_PART: u32 = 5;

/// Longest life that is believed. Nothing that issues keys gives more than half of it.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Longest pause between two attempts at renewing, and that after a refusal.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How much of their life keys that were received with `left` to go are believed to have.
pub(super) fn believed(left: Duration) -> Duration {
    left.min(LONGEST)
}

/// How long after they were received, with `left` to go, keys are renewed: at 300 s or a fifth of `left` before their
/// end, whichever is later, and up to half of that sooner by `random` in 0..1, so that those who started together do
/// not ask together.
pub(super) fn renew_after(left: Duration, random: f64) -> Duration {
    let lead = LEAD.min(left / LEAD_PART).mul_f64(1.0 + random.clamp(0.0, 1.0) / 2.0);
    left.saturating_sub(lead)
}

/// How long to wait after `failures` failed renewals in a row (from 1): a second that doubles up to a minute, of which
/// `random` in 0..1 takes off up to a half. After a refusal it is the minute, since only someone's doing changes that.
pub(super) fn retry_after(failures: u32, refused: bool, random: f64) -> Duration {
    let doubled = Duration::from_secs(2_u64.saturating_pow(failures.saturating_sub(1)));
    let bound = if refused { LONGEST_PAUSE } else { doubled.min(LONGEST_PAUSE) };
    bound.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn keys_are_renewed_at_five_minutes_or_a_fifth_of_their_life_whichever_is_later() {
        for (left, latest, soonest) in [
            (7200, s(6900), s(6750)),
            (43_200, s(42_900), s(42_750)),
            (1500, s(1200), s(1050)),
            (600, s(480), s(420)),
            (10, s(8), s(7)),
            (0, s(0), s(0)),
        ] {
            assert_eq!((renew_after(s(left), 0.0), renew_after(s(left), 1.0)), (latest, soonest), "{left} s");
        }
        assert_eq!(renew_after(s(600), 0.5), s(450), "spread evenly in between");
        assert_eq!(believed(Duration::MAX), s(86_400));
    }

    #[test]
    fn pauses_after_failures_double_up_to_a_minute() {
        let pauses: Vec<Duration> = (1..=8).map(|failures| retry_after(failures, false, 0.0)).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60].map(s));
        assert_eq!(retry_after(3, false, 1.0), s(2));
        assert_eq!(retry_after(u32::MAX, false, 0.0), s(60));
        assert_eq!((retry_after(1, true, 0.0), retry_after(1, true, 1.0)), (s(60), s(30)));
    }
}
