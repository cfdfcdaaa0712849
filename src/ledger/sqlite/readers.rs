//! Who reads the file, so that the log can be taken back into it though questions overlap without end.
//!
//! After a commit SQLite takes its log back into the file, as far as nobody reads what was before it. While there is always
//! somebody who does, the log only grows. So once it is long, new questions wait until one commit has been made with nobody
//! reading: then all of the log is in the file, and the next commit begins it anew.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest that a commit waits for questions to end.
const PATIENCE: Duration = Duration::from_millis(100);

/// The questions that are being answered.
#[derive(Debug, Default)]
pub(super) struct Readers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    reading: usize,
    /// The writer is alone, or waits to be.
    stopped: bool,
}

/// Somebody reads until this is dropped.
pub(super) struct Turn<'a>(&'a Readers);

/// Nobody reads until this is dropped.
pub(super) struct Alone<'a>(&'a Readers);

impl Readers {
    /// A turn to read, if it comes within `patience`.
    pub(super) fn turn(&self, patience: Duration) -> Option<Turn<'_>> {
        let waited = self.changed.wait_timeout_while(self.state(), patience, |state| state.stopped);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.stopped {
            return None;
        }
        state.reading += 1;
        Some(Turn(self))
    }

    /// The writer alone, if all questions end in time; meanwhile none begins.
    pub(super) fn stop(&self) -> Option<Alone<'_>> {
        let mut state = self.state();
        state.stopped = true;
        let waited = self.changed.wait_timeout_while(state, PATIENCE, |state| state.reading > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let are_over = state.reading == 0;
        drop(state);
        // Dropped where they are not, so that they go on.
        let alone = Alone(self);
        are_over.then_some(alone)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().reading -= 1;
        self.0.changed.notify_all();
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.state().stopped = false;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_the_writer_is_alone_no_question_begins() {
        let readers = Readers::default();
        let alone = readers.stop().unwrap();
        assert!(readers.turn(Duration::ZERO).is_none());
        drop(alone);
        assert!(readers.turn(Duration::ZERO).is_some());
    }

    #[test]
    fn a_question_that_does_not_end_holds_the_writer_up_for_a_moment_only_and_others_go_on() {
        let readers = Readers::default();
        let long = readers.turn(Duration::ZERO).unwrap();
        assert!(readers.stop().is_none());
        let other = readers.turn(Duration::ZERO).unwrap();
        drop((long, other));
        assert!(readers.stop().is_some());
    }

    #[test]
    fn the_writer_is_alone_as_soon_as_the_last_question_has_ended() {
        let readers = Readers::default();
        let last = readers.turn(Duration::ZERO).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| readers.stop().is_some());
            while !readers.state().stopped {
                std::thread::yield_now();
            }
            assert!(readers.turn(Duration::ZERO).is_none(), "none begins while the writer waits");
            drop(last);
            assert!(writer.join().unwrap());
        });
    }
}
