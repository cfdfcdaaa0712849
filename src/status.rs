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
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    accounts: Vec<AccountStatus>,
    longest_silence: Duration,
    /// Once ready, always ready: an account that is added later takes nothing from what is served.
    ready: bool,
}

impl Board {
    /// A board for the accounts named; a loop that has not turned for `longest_silence` counts as stuck.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = String>, longest_silence: Duration, elapsed: Duration) -> Self {
        let board = Self { state: RwLock::new(State { accounts: Vec::new(), longest_silence, ready: false }) };
        board.change(names, longest_silence, elapsed);
        board
    }

    /// Makes it a board for the accounts named now. What is known of those that stay is kept.
    pub fn change(&self, names: impl IntoIterator<Item = String>, longest_silence: Duration, elapsed: Duration) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut state.accounts);
        for name in names {
            let known = before.iter_mut().find(|account| account.name == name).map(std::mem::take);
            // Nobody is late right after a change.
            state.accounts.push(AccountStatus { name, last_turn: elapsed, ..known.unwrap_or_default() });
        }
        state.longest_silence = longest_silence;
    }

    /// Changes what is known of the account called `name`, if it is on the board.
    pub fn update(&self, name: &str, change: impl FnOnce(&mut AccountStatus)) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = state.accounts.iter_mut().find(|account| account.name == name) {
            change(account);
        }
        state.ready |= state.accounts.iter().all(|account| account.last_poll.is_some());
    }

    /// All accounts, in the order of the configuration.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountStatus> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).accounts.clone()
    }

    /// Whether every loop still turns. An API that fails does not make a loop stop turning.
    #[must_use]
    pub fn healthy(&self, elapsed: Duration) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let stuck = |account: &AccountStatus| elapsed.saturating_sub(account.last_turn) > state.longest_silence;
        !state.accounts.iter().any(stuck)
    }

    /// Whether every account has had its first finished poll, successful or not; once so, for good.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.state.read().unwrap_or_else(PoisonError::into_inner).ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_failed_poll_makes_ready_and_stays_healthy() {
        let board = Board::new(named(&["main"]), Duration::from_secs(90), Duration::ZERO);
        assert!(!board.ready());
        board.update("main", |account| {
            account.last_poll = Some(5);
            account.last_error = Some("no route".into());
            account.last_turn = Duration::from_secs(60);
        });
        assert!(board.ready());
        assert!(board.healthy(Duration::from_secs(150)));
        assert!(!board.healthy(Duration::from_secs(151)));
    }

    #[test]
    fn accounts_that_stay_keep_their_words_and_new_ones_take_no_readiness() {
        let board = Board::new(named(&["one", "two"]), Duration::from_secs(90), Duration::ZERO);
        board.update("two", |account| account.last_poll = Some(2));
        assert!(!board.ready(), "one is still to come");
        board.change(named(&["three", "two"]), Duration::from_secs(30), Duration::from_secs(100));
        let told: Vec<_> = board.accounts().into_iter().map(|account| (account.name, account.last_poll)).collect();
        assert_eq!(told, [("three".to_owned(), None), ("two".to_owned(), Some(2))]);
        assert!(board.healthy(Duration::from_secs(130)) && !board.healthy(Duration::from_secs(131)));
        assert!(!board.ready());
        board.update("three", |account| account.last_poll = Some(3));
        board.update("one", |account| account.last_poll = None);
        board.change(named(&["four"]), Duration::from_secs(30), Duration::from_secs(100));
        assert!(board.ready(), "once ready, always ready");
    }
}
