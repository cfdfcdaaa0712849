//! Sweeps and audits: what lies further back than a poll looks, in the time that polls leave.

use std::time::Duration;

use tokio::time::Instant;

use super::{AccountLoop, PassError, Run, bounds, seconds};
use crate::clock::UnixSeconds;
use crate::listing::{Bounds, Filter, Kind, Pass, SliceId, cover, next_border};
use crate::live::EventSource;

/// A sweep or an audit under way, over the scopes one after the other.
pub(super) struct Sweep {
    kind: Kind,
    scopes_left: Vec<Filter>,
    current: Option<(Filter, Pass)>,
    failure: Option<PassError>,
    took: Duration,
}

/// The slices of the lookback that end before every poll lists the rest anyway.
fn further_back(watermark: UnixSeconds, lookback: i64, overlap: i64, bounds: Bounds) -> Vec<SliceId> {
    let from = bounds.now.min(watermark) - lookback;
    let until = next_border(watermark - overlap).min(watermark);
    cover(from, until.min(bounds.now), bounds.floor)
}

impl<S: EventSource> AccountLoop<S> {
    /// Sweeps, or audits, if it is time to, until done or `due`.
    pub(super) async fn sweep_until(&mut self, due: Instant) {
        let elapsed = self.options.clock.elapsed();
        if self.sweep.is_none() && elapsed >= self.next_sweep {
            let kind = if elapsed >= self.next_audit { Kind::Audit } else { Kind::Sweep };
            self.next_sweep = elapsed + self.options.pace.sweep_interval;
            if kind == Kind::Audit {
                self.next_audit = elapsed + self.options.pace.audit_interval;
            }
            let mut scopes_left = self.scopes.clone();
            scopes_left.reverse();
            self.sweep = Some(Sweep { kind, scopes_left, current: None, failure: None, took: Duration::ZERO });
        }
        let Some(mut sweep) = self.sweep.take() else { return };
        let outcome = self.sweep_on(&mut sweep, due).await;
        sweep.took += self.options.clock.elapsed().saturating_sub(elapsed);
        match outcome {
            Ok(Run::Interrupted) => self.sweep = Some(sweep),
            Ok(Run::Complete) => self.report.pass_ended(sweep.kind, &Ok(()), sweep.took, self.options.clock.now()),
            Err(error) => {
                self.report.pass_ended(sweep.kind, &Err(error), sweep.took, self.options.clock.now());
            }
        }
    }

    async fn sweep_on(&mut self, sweep: &mut Sweep, due: Instant) -> Result<Run, PassError> {
        loop {
            if let Some((scope, mut pass)) = sweep.current.take() {
                match self.run_pass(sweep.kind, &scope, &mut pass, Some(due)).await.0 {
                    Ok(Run::Interrupted) => {
                        sweep.current = Some((scope, pass));
                        return Ok(Run::Interrupted);
                    }
                    Ok(Run::Complete) => {}
                    // One scope that fails must not keep the others from being swept.
                    Err(error) => sweep.failure = sweep.failure.take().or(Some(error)),
                }
            }
            let Some(scope) = sweep.scopes_left.pop() else { break };
            let now = self.bounds_now();
            let since = self.open(now).await?;
            let books = self.books.as_ref().and_then(|books| books.scopes.get(&scope));
            let Some(watermark) = books.and_then(|scope| scope.watermark) else { continue };
            let bounds = bounds(since, now);
            let pace = &self.options.pace;
            let slices = further_back(watermark, seconds(pace.sweep_lookback), seconds(pace.overlap), bounds);
            sweep.current = Some((scope.clone(), Pass::sweep(scope, &slices, bounds, sweep.kind == Kind::Sweep)));
        }
        if let Some(error) = sweep.failure.take() {
            return Err(error);
        }
        if !self.first_pass_over {
            self.options.keeper.publish(self.options.name.clone()).await?;
            self.first_pass_over = true;
        }
        Ok(Run::Complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn sweeps_and_polls_leave_no_second_out(watermark in 1_700_000_000_i64..1_700_010_000, overlap in 64_i64..4_000) {
            let (from, polled_from) = (watermark - 86_400, watermark - overlap);
            let slices = further_back(watermark, 86_400, overlap, Bounds { floor: 0, now: watermark });
            let swept = slices[0].window().start..=slices[slices.len() - 1].window().end;
            assert!(swept.contains(&from) && swept.contains(&(polled_from - 1)), "{swept:?}, {polled_from}");
            assert!(*swept.end() < watermark && swept.end() - polled_from < 64, "{swept:?}, {polled_from}");
        }
    }
}
