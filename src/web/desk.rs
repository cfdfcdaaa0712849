//! The desk: where questions to the records are put, a few at a time and on threads that may wait for the disk, so that
//! no number of visitors can keep the metrics page or the ledger's writer from their work.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::ledger::{LedgerError, Records};

/// Questions at a time.
const PLACES: usize = 2;

/// Longest a question waits for its turn.
const TURN: Duration = Duration::from_secs(1);

/// Answers questions to the records.
#[derive(Debug)]
pub struct Desk {
    records: Arc<Records>,
    places: Arc<Semaphore>,
}

/// Why a question was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It took too long.
    TooSlow,
    /// Others are being answered.
    Busy,
    /// The books cannot be read; the log says why.
    Unreadable,
}

impl Desk {
    /// A desk before `records`.
    #[must_use]
    pub fn new(records: Records) -> Self {
        Self { records: Arc::new(records), places: Arc::new(Semaphore::new(PLACES)) }
    }

    /// The answer to `question`.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Records) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, Trouble> {
        let place = tokio::time::timeout(TURN, Arc::clone(&self.places).acquire_owned());
        let Ok(Ok(place)) = place.await else { return Err(Trouble::Busy) };
        let records = Arc::clone(&self.records);
        let answer = tokio::task::spawn_blocking(move || {
            let answer = question(&records);
            // Held by the thread: a visitor who leaves does not make the question go away.
            drop(place);
            answer
        });
        match answer.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(LedgerError::TooSlow)) => Err(Trouble::TooSlow),
            Ok(Err(error)) => {
                tracing::error!(error = %chain(&error), "the records could not be read");
                Err(Trouble::Unreadable)
            }
            Err(error) => {
                tracing::error!(%error, "a question to the records did not end by itself");
                Err(Trouble::Unreadable)
            }
        }
    }
}

/// An error with what caused it.
fn chain(error: &LedgerError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
