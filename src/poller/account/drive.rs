//! One pass, driven: ask, answer, have it written, go on.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::debug;

use super::{AccountLoop, PassError, Run};
use crate::listing::{Filter, Kind, Page, Pass, Progress, Query, Reading, Slices};
use crate::live::{CallError, EventSource};
use crate::poller::observation::Observation;

impl<S: EventSource> AccountLoop<S> {
    /// Takes a pass to its end, or to the first question after `due`. Returns also how much it counted, failed or not.
    pub(super) async fn run_pass(
        &mut self,
        kind: Kind,
        scope: &Filter,
        pass: &mut Pass,
        due: Option<Instant>,
    ) -> (Result<Run, PassError>, u64) {
        let before = pass.tally();
        let mut counted = 0;
        let outcome = self.drive(scope, pass, due, &mut counted).await;
        self.report.listed(kind, before, pass.tally());
        debug!(account = self.options.name, kind = kind.as_str(), counted, ?outcome, "listed");
        (outcome, counted)
    }

    async fn drive(
        &mut self,
        scope: &Filter,
        pass: &mut Pass,
        due: Option<Instant>,
        counted: &mut u64,
    ) -> Result<Run, PassError> {
        while let Some(query) = pass.next(self.slices(scope)) {
            if due.is_some_and(|due| Instant::now() >= due) {
                return Ok(Run::Interrupted);
            }
            let page = match self.ask(&query).await {
                // More than the API, or this program, takes in one answer.
                Err(error) if error.kind() == "parameter" && pass.refused() => continue,
                Err(CallError::TooLarge { .. }) if pass.refused() => continue,
                page => page?,
            };
            let reading = pass.answer(page, self.slices(scope));
            *counted += self.take_in(scope, reading, pass).await?;
        }
        let progress = pass.take_progress();
        if !progress.is_empty() {
            let rest = Reading { progress, ..Reading::default() };
            self.take_in(scope, rest, pass).await?;
        }
        Ok(Run::Complete)
    }

    /// Waits for an answer, and says so: an API that does not answer is no reason to restart this process.
    pub(super) async fn ask(&self, query: &Query) -> Result<Page, CallError> {
        self.alive_while(self.options.source.events(query)).await
    }

    /// Waits for `answer`, and says so.
    pub(super) async fn alive_while<T>(&self, answer: impl Future<Output = T>) -> T {
        tokio::pin!(answer);
        let mut tick = tokio::time::interval(self.options.pace.interval / 2);
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                _ = tick.tick() => self.beat(),
            }
        }
    }

    /// Has a reading written; what it leaves unsettled goes back to the pass.
    async fn take_in(&mut self, scope: &Filter, reading: Reading, pass: &mut Pass) -> Result<u64, PassError> {
        self.report.read(&reading);
        if reading.sessions.is_empty() && reading.progress.is_empty() {
            return Ok(0);
        }
        let progress = reading.progress.clone();
        let observation = Observation {
            account: self.options.name.clone(),
            scope: scope.clone(),
            sessions: reading.sessions,
            confirming: reading.confirming,
            whole: reading.whole,
            progress: reading.progress,
            seen: self.options.clock.now(),
        };
        let writing = Arc::clone(&self.writing).lock_owned().await;
        let receipt = match self.options.keeper.observe(observation).await {
            Ok(receipt) => receipt,
            Err(error) => {
                // What was written is not known: the books are read again before the next pass.
                self.books = None;
                return Err(error.into());
            }
        };
        let counted = receipt.counted_ends.len() as u64 + receipt.baseline;
        self.report.counted(&receipt, self.bounds_now() + 1);
        drop(writing);
        if receipt.unsettled.is_empty() {
            self.progressed(scope, &progress);
        } else {
            pass.confirm(receipt.unsettled, progress);
        }
        Ok(counted)
    }

    fn slices(&self, scope: &Filter) -> &Slices {
        static NONE: Slices = Slices::new();
        self.books.as_ref().and_then(|books| books.scopes.get(scope)).map_or(&NONE, |scope| &scope.slices)
    }

    fn progressed(&mut self, scope: &Filter, progress: &Progress) {
        let Some(books) = &mut self.books else { return };
        let scope = books.scopes.entry(scope.clone()).or_default();
        scope.watermark = scope.watermark.max(progress.reached);
        scope.slices.extend(progress.remember.iter().copied());
        for id in &progress.forget {
            scope.slices.remove(id);
        }
        if progress.reached.is_some()
            && let Some(watermark) = self.watermark()
        {
            self.options.metrics.watermark(&self.options.name, watermark);
        }
    }
}
