//! How far questions to the API have come, on standard error, where somebody looks and it takes long.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::range::shown;
use crate::app::Told;
use crate::clock::{Clock as _, SystemClock};
use crate::live::printable;
use crate::poller::SurveyProgress;

/// Nothing is said before.
const QUIET: Duration = Duration::from_secs(2);

/// Between two lines.
const BETWEEN: Duration = Duration::from_millis(200);

/// The line about questions under way, erased when this is dropped.
pub(super) struct Progress(Arc<Line>);

struct Line {
    clock: SystemClock,
    is_terminal: bool,
    /// When the next one is due.
    next: Mutex<Duration>,
}

impl Progress {
    pub(super) fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self(Arc::new(Line { clock: SystemClock::new(), is_terminal, next: Mutex::new(QUIET) }))
    }

    pub(super) fn told(&self) -> Told {
        let line = Arc::clone(&self.0);
        Arc::new(move |account, progress| line.tell(account, progress))
    }
}

impl Line {
    fn tell(&self, account: &str, progress: SurveyProgress) {
        let elapsed = self.clock.elapsed();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_terminal && elapsed >= *next {
            *next = elapsed + BETWEEN;
            // A terminal that is gone needs no line.
            let _ = write!(std::io::stderr(), "\r{}\u{1b}[K", words(account, progress));
            let _ = std::io::stderr().flush();
        }
    }
}

fn words(account: &str, progress: SurveyProgress) -> String {
    let SurveyProgress { requests, sessions, reached } = progress;
    let reached = reached.map_or(String::new(), |reached| format!(", listed up to {}", shown(reached)));
    format!("account {}: {requests} requests, {sessions} disconnects{reached}", printable(account, 64))
}

impl Drop for Progress {
    fn drop(&mut self) {
        let next = *self.0.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next != QUIET {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_it_is() {
        let progress = SurveyProgress { requests: 120, sessions: 8_400, reached: Some(1_767_225_600) };
        assert_eq!(
            words("main", progress),
            "account main: 120 requests, 8400 disconnects, listed up to 2026-01-01T00:00:00Z"
        );
        assert_eq!(words("a\u{1b}", SurveyProgress::default()), "account a\\u{1b}: 0 requests, 0 disconnects");
    }
}
