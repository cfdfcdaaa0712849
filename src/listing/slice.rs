//! Aligned slices of time whose counts are remembered.
//!
//! A slice is one of the spans that halving gives: 2^level seconds, starting at a multiple of its length. Its borders
//! never move, so a sweep can put the same question to the API again and compare the answer with its own earlier one;
//! what the API's window means (start, end or overlap; ends in or out) does not matter for that.

use std::collections::BTreeMap;

use super::query::Window;
use crate::clock::UnixSeconds;

/// The API answers for at most so many rows (page 267/33186), and may stop counting there.
pub const CAP: u64 = 10_000;

/// From so many rows on a count is not believed by itself: only if the halves of its window come to it together.
pub const CROWDED: u64 = 9_000;

/// A count that no window has: the API refuses to answer for so many rows.
const REFUSED: u64 = 1 << 62;

/// Slices a sweep starts from are between 2^6 s (about a minute) and 2^16 s (18 hours) long.
const LEVELS: std::ops::RangeInclusive<u8> = 6..=16;

/// A span of 2^`level` seconds that starts at `index` × 2^`level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SliceId {
    /// Logarithm of the length in seconds.
    pub level: u8,
    /// Which of the spans of that length, counted from the Unix epoch.
    pub index: i64,
}

impl SliceId {
    /// The seconds of the slice.
    #[must_use]
    pub fn window(self) -> Window {
        let start = self.index << self.level;
        Window { start, end: start + (1 << self.level) - 1 }
    }

    /// The earlier and the later half; none of a single second.
    #[must_use]
    pub fn halves(self) -> Option<[SliceId; 2]> {
        let level = self.level.checked_sub(1)?;
        Some([0, 1].map(|side| SliceId { level, index: self.index * 2 + side }))
    }
}

/// What a slice held when it was last listed in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceCount {
    /// `TotalNum` of that listing.
    pub total: u64,
    /// Whether it may come to hold something else without another count: a row had not ended yet, or the API may have
    /// stopped counting.
    pub restless: bool,
}

impl SliceCount {
    /// Of a slice that the API does not count for us.
    pub const UNCOUNTED: Self = Self { total: REFUSED, restless: true };

    /// Whether there is no count to ask for.
    #[must_use]
    pub fn is_uncounted(self) -> bool {
        self.total >= REFUSED
    }
}

/// The remembered slices of one listing scope.
pub type Slices = BTreeMap<SliceId, SliceCount>;

/// The first second of the shortest slice that begins at `at` or later.
#[must_use]
pub fn next_border(at: UnixSeconds) -> UnixSeconds {
    let unit = *LEVELS.start();
    (at.saturating_add((1 << unit) - 1) >> unit) << unit
}

/// The fewest slices that cover `from` up to, not including, `until`, in order of time. The start is rounded down to
/// a multiple of 4096 s, so that the same slices come again for about an hour, but never below `floor`; the end is
/// rounded down to 64 s.
#[must_use]
pub fn cover(from: UnixSeconds, until: UnixSeconds, floor: UnixSeconds) -> Vec<SliceId> {
    let down = |at: UnixSeconds, level: u8| (at >> level) << level;
    let unit = *LEVELS.start();
    let floor = next_border(floor);
    let mut at = down(from, 12).max(floor);
    let until = down(until, unit);
    let mut slices = Vec::new();
    while at < until {
        let fits = |level: &u8| at & ((1 << *level) - 1) == 0 && at + (1 << *level) <= until;
        let level = LEVELS.rev().find(fits).expect("the shortest slice fits, both ends are multiples of it");
        slices.push(SliceId { level, index: at >> level });
        at += 1 << level;
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_cover_a_slice_without_gap_or_overlap() {
        let slice = SliceId { level: 7, index: 3 };
        let [early, late] = slice.halves().unwrap();
        assert_eq!(slice.window(), Window { start: 384, end: 511 });
        assert_eq!(early.window(), Window { start: 384, end: 447 });
        assert_eq!(late.window(), Window { start: 448, end: 511 });
        assert_eq!(SliceId { level: 0, index: 9 }.halves(), None);
    }

    proptest::proptest! {
        #[test]
        fn a_cover_has_no_gap_and_few_slices(from in 1_600_000_000_i64..1_600_200_000, length in 0_i64..200_000, floor in 1_599_900_000_i64..1_600_100_000) {
            let until = from + length;
            let slices = cover(from, until, floor);
            for pair in slices.windows(2) {
                assert_eq!(pair[0].window().end + 1, pair[1].window().start);
            }
            if let (Some(first), Some(last)) = (slices.first(), slices.last()) {
                assert!(first.window().start <= from.max(floor + 63));
                assert!(first.window().start >= floor);
                assert!(last.window().end < until && last.window().end + 64 >= until);
            }
            assert!(slices.len() <= 32);
        }
    }
}
