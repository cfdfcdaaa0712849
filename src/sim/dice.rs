//! Chance that can be repeated: every number is a hash of the seed and of what it decides.
//!
//! Nothing here has a state that earlier questions could change, so the same seed gives the same sessions whatever was
//! asked before, in whatever order, and in every later run. The mixing is `SplitMix64` (Steele, Lea, Flood 2014).

/// One repeatable roll: 64 evenly spread bits, and ways to read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dice(u64);

impl Dice {
    /// The roll of `seed` for the question named by `salt`.
    pub(super) fn new(seed: u64, salt: u64) -> Self {
        Self(mix(mix(seed) ^ salt))
    }

    /// Another roll, independent of this one and of those of other `salt`s.
    pub(super) fn fork(self, salt: u64) -> Self {
        Self(mix(self.0 ^ mix(salt)))
    }

    /// The bits themselves.
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// From 0 to just below 1.
    pub(super) fn unit(self) -> f64 {
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with probability `share`.
    pub(super) fn hits(self, share: f64) -> bool {
        self.unit() < share
    }

    /// From 0 to just below `end`; 0 where `end` is 0.
    pub(super) fn below(self, end: u64) -> u64 {
        let product = u128::from(self.0) * u128::from(end);
        u64::try_from(product >> 64).expect("the high half of a 128-bit product has 64 bits")
    }

    /// One of `items`, none where there are none.
    pub(super) fn pick<T>(self, items: &[T]) -> Option<&T> {
        usize::try_from(self.below(items.len() as u64)).ok().and_then(|at| items.get(at))
    }

    /// A whole number whose average is `mean`: its floor, or one more.
    pub(super) fn around(self, mean: f64) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to u32 first")]
        let whole = mean.clamp(0.0, f64::from(u32::MAX - 1)) as u32;
        whole + u32::from(self.hits(mean - f64::from(whole)))
    }
}

fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolls_are_spread_evenly_and_repeat() {
        let rolls: Vec<_> = (0..10_000).map(|salt| Dice::new(7, salt)).collect();
        let mean = rolls.iter().map(|dice| dice.unit()).sum::<f64>() / 10_000.0;
        assert!((0.49..0.51).contains(&mean), "{mean}");
        assert!(rolls.iter().all(|dice| dice.below(3) < 3));
        assert_eq!(rolls, (0..10_000).map(|salt| Dice::new(7, salt)).collect::<Vec<_>>());
        assert_ne!(rolls[0], Dice::new(8, 0));
    }

    #[test]
    fn around_keeps_the_mean() {
        let sum: u32 = (0..10_000).map(|salt| Dice::new(1, salt).around(2.25)).sum();
        assert!((22_000..23_000).contains(&sum), "{sum}");
    }
}
