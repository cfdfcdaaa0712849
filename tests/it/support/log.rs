//! The log of everything that runs in this process.

use std::io::Write;
use std::sync::{Mutex, Once, PoisonError};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// What makes whoever logs it panic.
static MINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Keep;

impl Write for Keep {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mined = |mine: &String| String::from_utf8_lossy(bytes).contains(mine);
        let strikes = MINES.lock().unwrap_or_else(PoisonError::into_inner).iter().any(mined);
        assert!(!strikes, "the log has been mined here");
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps the log from now on, warnings and errors; a second call changes nothing.
pub(crate) fn keep() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let lines = tracing_logfmt::builder().layer().with_writer(|| Keep);
        let level = tracing_subscriber::filter::LevelFilter::WARN;
        // Another test may have started a log of its own in this process; then there is nothing to keep.
        drop(tracing_subscriber::registry().with(level).with(lines).try_init());
    });
}

/// The lines about `account` so far.
pub(crate) fn of(account: &str) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&lines);
    let wanted = format!("account={account} ");
    text.lines().filter(|line| format!("{line} ").contains(&wanted)).map(str::to_owned).collect()
}

/// Makes whoever logs about `account` panic: the only place of a running exporter that a test can put a panic into.
pub(crate) fn mine(account: &str) {
    MINES.lock().unwrap_or_else(PoisonError::into_inner).push(format!("account={account} "));
}
