//! Questions to the records: few at a time, away from the threads that serve, and never in the way of a scrape.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::ledger::{LedgerError, Records};

/// Questions answered at a time.
const AT_A_TIME: usize = 3;

/// Questions that may wait beside those: each holds one of the places of `max_requests`, which scrapes need too.
const WAITING: usize = 8;

/// Longest a question waits for its turn.
const TURN: Duration = Duration::from_secs(1);

/// Lets questions through to the records.
#[derive(Debug)]
pub(super) struct Questions {
    records: Arc<Records>,
    admitted: Semaphore,
    turns: Arc<Semaphore>,
}

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unanswered {
    /// Others are being answered.
    #[error("too many questions to the records at a time, try again later")]
    Busy,
    /// It was cut off.
    #[error("reading the records took too long; narrow the range or the filters, or ask again")]
    TooSlow,
    /// The books cannot be read; the log says why.
    #[error("the records cannot be read, see the log of the exporter")]
    Unreadable,
}

impl Questions {
    pub(super) fn new(records: Arc<Records>) -> Self {
        Self { records, admitted: Semaphore::new(AT_A_TIME + WAITING), turns: Arc::new(Semaphore::new(AT_A_TIME)) }
    }

    /// The answer to `question`, which may block.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Records) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let _admitted = self.admitted.try_acquire().map_err(|_| Unanswered::Busy)?;
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Unanswered::Busy) };
        let records = Arc::clone(&self.records);
        let answer = tokio::task::spawn_blocking(move || {
            // Until it is answered, whether anybody still waits for that or not.
            let _turn = turn;
            question(&records)
        });
        match answer.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(LedgerError::TooSlow)) => Err(Unanswered::TooSlow),
            Ok(Err(error)) => {
                let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::error!(%error, source, "the records cannot be read");
                Err(Unanswered::Unreadable)
            }
            Err(error) => {
                tracing::error!(%error, "a question to the records ended badly");
                Err(Unanswered::Unreadable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::ledger::SqliteLedger;
    use crate::reason::Classifier;

    fn questions() -> Arc<Questions> {
        let ledger = SqliteLedger::in_memory().unwrap();
        let records = ledger.records(Classifier::new(&[]), Arc::new(SystemClock::new()));
        Arc::new(Questions::new(Arc::new(records)))
    }

    #[tokio::test]
    async fn only_a_few_are_answered_at_a_time_a_few_wait_and_the_rest_is_turned_away_at_once() {
        let questions = questions();
        let (asked, running) = mpsc::channel();
        let mut ends = Vec::new();
        let mut answers = Vec::new();
        for _ in 0..AT_A_TIME {
            let (end, ended) = mpsc::channel::<()>();
            let (questions, asked) = (Arc::clone(&questions), asked.clone());
            ends.push(end);
            answers.push(tokio::spawn(async move {
                let question = move |_: &Records| {
                    asked.send(()).unwrap();
                    Ok(ended.recv().is_err())
                };
                questions.ask(question).await
            }));
            tokio::task::yield_now().await;
        }
        let running: Vec<()> = running.iter().take(AT_A_TIME).collect();
        assert_eq!(running.len(), AT_A_TIME);
        assert_eq!(questions.ask(|_| Ok(())).await, Err(Unanswered::Busy), "its turn does not come");
        let places = questions.admitted.try_acquire_many(u32::try_from(WAITING).unwrap()).unwrap();
        assert_eq!(questions.ask(|_| Ok(())).await, Err(Unanswered::Busy));
        drop((places, ends));
        for answer in answers {
            assert_eq!(answer.await.unwrap(), Ok(true));
        }
        assert_eq!(questions.ask(|_| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_gives_its_turn_back() {
        let questions = questions();
        for _ in 0..=AT_A_TIME {
            let answer = questions.ask(|_| -> Result<(), LedgerError> { panic!("planted") }).await;
            assert_eq!(answer, Err(Unanswered::Unreadable));
        }
        assert_eq!(questions.ask(|_| Ok(7)).await, Ok(7));
    }
}
