//! Who reads the file, so that the log can be taken back into it though questions overlap without end.
//!
//! After a commit SQLite takes its log back into the file, up to what the longest question began with. While there is
//! always one that began before the commit, some of the log is left, and the next commit adds to it. So once the log is
//! long, new questions wait until one commit has been made with nobody reading: then all of it is in the file, and the next
//! commit begins it anew. That commit waits for the questions before it, which are cut off after [`PATIENCE`].
//!
//! Only the questions of this process are known here. While another one reads (`state export`, say), the log grows on.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest a question to a file may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How much longer than that a commit waits: a question that is cut off has to notice it.
const LENIENCE: Duration = Duration::from_millis(500);

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

    /// The writer alone, once all questions have ended; none begins meanwhile. None if one should not be cut off in time.
    pub(super) fn stop(&self) -> Option<Alone<'_>> {
        let mut state = self.state();
        state.stopped = true;
        let waited = self.changed.wait_timeout_while(state, PATIENCE + LENIENCE, |state| state.reading > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let are_over = state.reading == 0;
        drop(state);
        // If questions are left, it is dropped here, and new ones begin.
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
    use std::sync::atomic::{AtomicBool, Ordering};

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
    fn a_question_that_is_not_cut_off_holds_the_writer_up_for_so_long_only_and_others_go_on() {
        let readers = Readers::default();
        let long = readers.turn(Duration::ZERO).unwrap();
        assert!(readers.stop().is_none());
        let other = readers.turn(Duration::ZERO).unwrap();
        drop((long, other));
        assert!(readers.stop().is_some());
    }

    #[test]
    fn however_questions_overlap_the_writer_is_alone_in_the_end() {
        let readers = Readers::default();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for number in 0..3 {
                let (readers, done) = (&readers, &done);
                scope.spawn(move || {
                    std::thread::sleep(Duration::from_millis(100) * number);
                    while !done.load(Ordering::Relaxed) {
                        let _turn = readers.turn(PATIENCE).expect("the writer is never alone for long");
                        std::thread::sleep(Duration::from_millis(300));
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(300));
            let alone = readers.stop().is_some();
            done.store(true, Ordering::Relaxed);
            assert!(alone);
        });
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
