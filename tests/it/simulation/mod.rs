//! Years of polling, by seed: the real account loop, passes, groups, slices, keeper and publication against an API that
//! shifts, hides, corrects and lies, over a network that fails, on a disk that fails, killed before and after every
//! effect, read by scrapers at random times.
//!
//! One `u64` decides everything: what happens on the platform ([`traffic`]), what the API makes of it ([`cloud`]), what
//! goes wrong ([`plan`], [`source`], [`disk`]), how often the process dies and is started again ([`life`], [`run`]). The
//! clock stands still until everybody waits, so a day takes milliseconds and a seed is the same run each time.
//! What is promised is checked as it happens ([`world`], [`prometheus`]) and at rest ([`truth`]).
//!
//! `SIMULATION_SEEDS=100000 cargo test --test it simulation::` tries more seeds; `SIMULATION_SEED=7 cargo test --test it
//! simulation::years -- --nocapture` replays one and tells what happens in it. When a seed fails, keep it below.

mod bugs;
mod cloud;
mod directed;
mod disk;
mod life;
mod plan;
mod prometheus;
mod run;
mod source;
mod traffic;
mod truth;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tencent_live_exporter::planted::Bug;

use self::run::{Outcome, run};
use self::world::Tally;

/// Seeds of a run without further wishes; `tests/run` has 2,000 of them.
const SEEDS: u64 = 60;

/// Runs the seeds on every core until one breaks a promise; the tally of all, and the lowest that failed.
#[expect(clippy::print_stdout, reason = "a long run says how far it is")]
fn try_seeds(seeds: std::ops::Range<u64>, bug: Option<Bug>) -> (Tally, Option<(u64, String)>) {
    let next = AtomicU64::new(seeds.start);
    let result = Mutex::new((Tally::default(), None::<(u64, String)>));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || result.lock().unwrap().1.is_some() {
                return;
            }
            let outcome = run(seed, bug, false);
            let mut result = result.lock().unwrap();
            result.0.add(outcome.tally);
            let done = seed + 1 - seeds.start;
            if done.is_multiple_of(5_000) {
                println!("simulation: {done} seeds, {}", result.0);
            }
            if let Some(broken) = outcome.broken
                && result.1.as_ref().is_none_or(|(lowest, _)| seed < *lowest)
            {
                result.1 = Some((seed, broken));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    result.into_inner().unwrap()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn years_of_polling_come_out_exactly_right() {
    if let Some(seed) = number("SIMULATION_SEED") {
        let outcome = run(seed, None, true);
        assert_eq!(outcome.broken, None, "seed {seed}");
        return;
    }
    let first = number("SIMULATION_FIRST").unwrap_or(0);
    let seeds = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let (tally, failed) = try_seeds(first..first + seeds, None);
    println!("simulation: {seeds} seeds, {tally}");
    if let Some((seed, broken)) = failed {
        panic!(
            "seed {seed}: {broken}\nreplay it: SIMULATION_SEED={seed} cargo test --test it simulation::years -- --nocapture"
        );
    }
    assert!(
        tally.due * 5 > tally.events * 2,
        "too little of what happens has to be counted to prove anything: {tally:?}"
    );
}

/// Seeds that failed once. Where the generator has changed since, they are seeds like others; what each of them found has
/// a test of its own beside the code.
const FAILED_ONCE: [u64; 6] = [
    9_651,  // a session below the floor hid another of its start
    18_590, // a poll that needed more answers than came in a row began again each time
    27_731, // the same
    32_705, // an empty answer by mistake let a session that ended at once stand for a longer one
    56_844, // the harness: a scraper whose failure was followed by a pause of the process counted as seen lately
    82_774, // a crowd confirmed a group by the ends it knew of, while another row of it was counted before
];

#[test]
fn seeds_that_failed_once_come_out_right() {
    for seed in FAILED_ONCE {
        assert_eq!(run(seed, None, false).broken, None, "seed {seed}");
    }
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in 0..12 {
        let [one, other]: [Outcome; 2] = [(); 2].map(|()| run(seed, None, false));
        assert_eq!(one, other, "seed {seed}");
    }
}
