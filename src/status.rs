//! What the poll loops say about themselves, for health probes and the landing page.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use crate::clock::UnixSeconds;

/// How one account is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountStatus {
    /// The account's name in the configuration.
    pub name: String,
    /// When the last poll ended, whatever came of it.
    pub last_poll: Option<UnixSeconds>,
    /// When the last successful poll ended.
    pub last_success: Option<UnixSeconds>,
    /// Everything that ended up to here has been asked for.
    pub watermark: Option<UnixSeconds>,
    /// What the last poll failed with, in words; absent after a success.
    pub last_error: Option<String>,
    /// [`crate::clock::Clock::elapsed`] when the account's loop last turned.
    pub last_turn: Duration,
}

/// The accounts' latest words about themselves.
#[derive(Debug)]
pub struct Board {
    accounts: RwLock<Vec<AccountStatus>>,
    longest_silence: Duration,
}

impl Board {
    /// A board for the accounts named; a loop that has not turned for `longest_silence` counts as stuck.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = String>, longest_silence: Duration, elapsed: Duration) -> Self {
        let account = |name| AccountStatus { name, last_turn: elapsed, ..AccountStatus::default() };
        Self { accounts: RwLock::new(names.into_iter().map(account).collect()), longest_silence }
    }

    /// Changes what is known of the account at `index`, in the order of [`Board::new`].
    pub fn update(&self, index: usize, change: impl FnOnce(&mut AccountStatus)) {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get_mut(index) {
            change(account);
        }
    }

    /// All accounts, in the order of the configuration.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountStatus> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether every loop still turns. An API that fails does not make a loop stop turning.
    #[must_use]
    pub fn healthy(&self, elapsed: Duration) -> bool {
        let stuck = |account: &AccountStatus| elapsed.saturating_sub(account.last_turn) > self.longest_silence;
        !self.accounts().iter().any(stuck)
    }

    /// Whether every account has had its first finished poll, successful or not.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.accounts().iter().all(|account| account.last_poll.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_poll_makes_ready_and_stays_healthy() {
        let board = Board::new(["main".to_owned()], Duration::from_secs(90), Duration::ZERO);
        assert!(!board.ready());
        board.update(0, |account| {
            account.last_poll = Some(5);
            account.last_error = Some("no route".into());
            account.last_turn = Duration::from_secs(60);
        });
        assert!(board.ready());
        assert!(board.healthy(Duration::from_secs(150)));
        assert!(!board.healthy(Duration::from_secs(151)));
    }
}
