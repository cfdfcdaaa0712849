//! Waiting for conditions, never for times.

use std::time::Duration;

use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

/// Longest wait for what should happen soon; a busy machine may take that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(60);

/// Looks until there is something to see, and returns it; the error says what was seen instead.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(seen) => return seen,
            Err(seen) => assert!(Instant::now() < deadline, "waited in vain until {what}; last seen: {seen}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Looks for `long` at what must not change: there is no condition to wait for when nothing may happen.
pub(crate) async fn meanwhile(long: Duration, mut look: impl AsyncFnMut()) {
    let end = Instant::now() + long;
    while Instant::now() < end {
        look().await;
        tokio::time::sleep(LOOK).await;
    }
}

/// For the looks of [`until`]: fine, or what was seen.
pub(crate) fn seen(fine: bool, what: impl std::fmt::Debug) -> Result<(), String> {
    if fine { Ok(()) } else { Err(format!("{what:?}")) }
}

/// Tries every variant, all at the same time, since most of a trial is waiting.
pub(crate) async fn each<V, F>(variants: impl IntoIterator<Item = V>, trial: impl Fn(V) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let mut trials = JoinSet::new();
    let local = LocalSet::new();
    for variant in variants {
        trials.spawn_local_on(trial(variant), &local);
    }
    local
        .run_until(async {
            while let Some(ended) = trials.join_next().await {
                if let Err(failed) = ended {
                    std::panic::resume_unwind(failed.into_panic());
                }
            }
        })
        .await;
}
