//! Medians, ratios and targets, printed as Markdown for benches/README.md to take over.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "tables are what these benches are for")]

use std::fmt;
use std::hint::black_box;
use std::time::Duration;

use tencent_live_exporter::clock::{Clock as _, SystemClock};

/// Numbers of series to measure at: the numbers on the command line, else `default`. Without cargo's `--bench`, as under
/// `cargo test`, a thousand, to see that the bench still works.
pub(crate) fn counts(default: &[u64]) -> Vec<u64> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return vec![1000];
    }
    let numbers: Vec<u64> = arguments.iter().filter_map(|argument| argument.replace('_', "").parse().ok()).collect();
    if numbers.is_empty() { default.to_vec() } else { numbers }
}

/// Says how far a bench has come, on stderr.
pub(crate) fn progress(words: impl fmt::Display) {
    eprintln!("{words}");
}

/// Times of one kind of work, round by round.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// Does the work once more.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let clock = SystemClock::new();
        let done = black_box(work());
        self.0.push(clock.elapsed());
        done
    }

    /// Adds a time that was taken elsewhere.
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time that as many rounds were below as above.
    pub(crate) fn median(&self) -> Duration {
        let mut times = self.0.clone();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }

    /// The longest of them.
    pub(crate) fn longest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }
}

/// What a ratio is to come to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// At most so much.
    AtMost(f64),
    /// At least so much.
    AtLeast(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Target::AtMost(most) => value <= most,
            Target::AtLeast(least) => value >= least,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::AtMost(most) => write!(f, "≤ {most}"),
            Target::AtLeast(least) => write!(f, "≥ {least}"),
        }
    }
}

/// Prints the head of a table.
pub(crate) fn head(columns: &[&str]) {
    println!("\n| {} |", columns.join(" | "));
    println!("|{}", "---|".repeat(columns.len()));
}

/// Prints a line of a table.
pub(crate) fn line(cells: &[&dyn fmt::Display]) {
    let cells: Vec<String> = cells.iter().map(ToString::to_string).collect();
    println!("| {} |", cells.join(" | "));
}

/// Prints a line of a table of ratios; a target counts at the number of series it was set for.
pub(crate) fn ratio(series: u64, what: &str, value: f64, target: Option<Target>) {
    let target = target.map_or_else(String::new, |target| {
        format!("{target}, {}", if target.is_met(value) { "met" } else { "**not met**" })
    });
    line(&[&series, &what, &three_digits(value), &target]);
}

/// One time over another.
pub(crate) fn over(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// A number with some three digits that mean something.
pub(crate) fn three_digits(value: f64) -> String {
    let decimals = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else if value >= 1.0 {
        2
    } else {
        3
    };
    format!("{value:.decimals$}")
}

/// A time with three digits and its unit.
pub(crate) fn rounded(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        1.0.. => (seconds, "s"),
        1e-3.. => (seconds * 1e3, "ms"),
        _ => (seconds * 1e6, "µs"),
    };
    format!("{} {unit}", three_digits(value))
}
