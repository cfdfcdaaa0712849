//! When storms and cut-offs strike, and which domain.
//!
//! Each rule has one turn in every `every` seconds of the wall clock, at a moment its seed chooses, so that any second
//! can be asked without walking through the ones before it.

use super::Span;
use super::dice::Dice;
use crate::clock::UnixSeconds;

/// One rule: a turn in each `every`, lasting `lasts`.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    dice: Dice,
    every: i64,
    lasts: i64,
    /// Indexes of the domains it may strike, never empty.
    domains: Vec<usize>,
}

/// One strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strike {
    /// The first second.
    pub(super) begin: UnixSeconds,
    /// The first second after it.
    pub(super) end: UnixSeconds,
    /// The domain's index.
    pub(super) domain: usize,
    /// A roll of its own.
    pub(super) dice: Dice,
}

impl Calendar {
    /// None where there is no domain to strike or `every` is below a second.
    pub(super) fn new(dice: Dice, every: Span, lasts: Span, domains: Vec<usize>) -> Option<Self> {
        let (every, lasts) = (every.as_seconds(), lasts.as_seconds());
        (every > 0 && !domains.is_empty()).then_some(Self { dice, every, lasts: lasts.min(every), domains })
    }

    fn turn(&self, turn: i64) -> Strike {
        let dice = self.dice.fork(turn.cast_unsigned());
        let room = u64::try_from(self.every - self.lasts).unwrap_or(0) + 1;
        let wait = i64::try_from(dice.fork(1).below(room)).unwrap_or(0);
        let begin = turn * self.every + wait;
        let domain = dice.fork(2).pick(&self.domains).copied().unwrap_or_default();
        Strike { begin, end: begin + self.lasts, domain, dice }
    }

    /// The strike that is on at `at`.
    pub(super) fn at(&self, at: UnixSeconds) -> Option<Strike> {
        Some(self.turn(at.div_euclid(self.every))).filter(|strike| (strike.begin..strike.end).contains(&at))
    }

    /// The first strike on `domain` that is on at some second of `start..=end`.
    pub(super) fn first_within(&self, domain: usize, start: UnixSeconds, end: UnixSeconds) -> Option<Strike> {
        let turns = start.div_euclid(self.every)..=end.div_euclid(self.every);
        turns
            .map(|turn| self.turn(turn))
            .find(|strike| strike.domain == domain && strike.begin <= end && strike.end > start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_turn_strikes_once_inside_itself() {
        let calendar =
            Calendar::new(Dice::new(1, 1), Span::seconds(600), Span::seconds(60), vec![3, 5]).expect("domains given");
        for turn in -3..30 {
            let seconds: Vec<_> = (turn * 600..(turn + 1) * 600).filter_map(|at| calendar.at(at)).collect();
            assert_eq!(seconds.len(), 60);
            assert!(seconds.iter().all(|strike| *strike == seconds[0] && [3, 5].contains(&strike.domain)));
            let strike = seconds[0];
            assert_eq!(calendar.first_within(strike.domain, strike.begin - 1, strike.begin), Some(strike));
            assert_eq!(calendar.first_within(9, strike.begin, strike.begin), None);
        }
    }

    #[test]
    fn nothing_to_strike_is_no_calendar() {
        assert!(Calendar::new(Dice::new(1, 1), Span::seconds(600), Span::seconds(60), vec![]).is_none());
    }
}
