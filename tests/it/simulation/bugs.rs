//! The simulation bites: every mistake that can be ordered is caught.

use tencent_live_exporter::planted::Bug;

use super::try_seeds;

/// A mistake must be caught within so many seeds.
const SEEDS: u64 = 1_000;

#[test]
fn every_planted_bug_is_caught() {
    let mut survivors = Vec::new();
    for bug in Bug::ALL {
        match try_seeds(0..SEEDS, Some(bug)).1 {
            Some((seed, broken)) => println!("{bug:?}: seed {seed}: {broken}"),
            None => survivors.push(bug),
        }
    }
    assert!(survivors.is_empty(), "not caught: {survivors:?}");
}
