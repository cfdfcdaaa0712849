//! Books without a file: one connection, used in turns.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::Connection;

/// A connection of which the writer has the next turn whenever it wants one.
#[derive(Debug)]
pub(super) struct Memory {
    connection: Mutex<Connection>,
    writing: AtomicBool,
}

impl Memory {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection: Mutex::new(connection), writing: AtomicBool::new(false) }
    }

    /// The only writer's turn, at most one question from now.
    pub(super) fn write<T>(&self, work: impl FnOnce(&mut Connection) -> T) -> T {
        self.writing.store(true, Ordering::SeqCst);
        let done = work(&mut self.connection.lock().unwrap_or_else(PoisonError::into_inner));
        self.writing.store(false, Ordering::SeqCst);
        done
    }

    /// A reader's turn, unless somebody else has it or the writer waits for it.
    pub(super) fn try_read(&self) -> Option<MutexGuard<'_, Connection>> {
        if self.writing.load(Ordering::SeqCst) {
            return None;
        }
        match self.connection.try_lock() {
            Ok(connection) => Some(connection),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_the_writer_waits_no_question_begins() {
        let memory = Memory::new(Connection::open_in_memory().unwrap());
        std::thread::scope(|scope| {
            let question = memory.try_read().expect("nobody else wants it");
            assert!(memory.try_read().is_none());
            let writer = scope.spawn(|| memory.write(|_| memory.try_read().is_none()));
            while !memory.writing.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            drop(question);
            assert!(writer.join().unwrap());
        });
        assert!(memory.try_read().is_some());
    }
}
