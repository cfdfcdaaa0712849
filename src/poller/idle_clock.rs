//! The clock by which series become idle.

use std::time::Duration;

use crate::clock::UnixSeconds;

/// Runs while the process does: between two lives, or while it stands still, nothing becomes idle, since nobody can read
/// it.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdleClock {
    opened: Duration,
    then: UnixSeconds,
}

impl IdleClock {
    /// Shows `then` at `opened`, by elapsed time.
    pub(super) fn new(opened: Duration, then: UnixSeconds) -> Self {
        Self { opened, then }
    }

    /// What it shows at `elapsed`.
    pub(super) fn at(self, elapsed: Duration) -> UnixSeconds {
        let lived = elapsed.saturating_sub(self.opened).as_secs();
        self.then.saturating_add_unsigned(lived)
    }

    /// Takes back what it has gone on while the process stood still.
    pub(super) fn stood_still(&mut self, for_so_long: Duration) {
        self.opened += for_so_long;
    }
}
