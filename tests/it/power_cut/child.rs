//! What the children do; each is this test binary run once more, on the disk of `disk.c`.

use std::path::PathBuf;

use tencent_live_exporter::ledger::{Ledger as _, SqliteLedger};

use super::log::Marks;
use super::script::Script;

/// The path of this module, without the crate.
pub(super) const PATH: &str = "power_cut::child";

pub(super) fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

#[test]
#[ignore = "a part of other tests, which start it in a process of its own"]
fn play() {
    // Whoever runs all ignored tests has started it without a part.
    let Ok(part) = std::env::var("PART") else { return };
    match &*part {
        "post" => post(),
        "open" => open(),
        "keep" => super::failing::keep(),
        other => panic!("there is no part {other}"),
    }
}

/// Commits the postings of a seed, with a close or a reopening now and then, and marks each.
fn post() {
    let folder = PathBuf::from(told("FOLDER")).join("state");
    let mut marks = Marks::new(told("DISK_LOG").as_ref());
    let mut ledger = SqliteLedger::open(&folder).unwrap();
    for (n, posting) in (1..).zip(Script::new(told("SEED").parse().unwrap())) {
        if n % 13 == 0 {
            drop(ledger);
            ledger = SqliteLedger::open(&folder).unwrap();
        } else if n % 17 == 0 {
            ledger.reopen().unwrap();
        }
        marks.begun(n);
        ledger.commit(&posting).unwrap();
        marks.acknowledged(n);
    }
}

/// A start, and a stop at once.
fn open() {
    let mut ledger = SqliteLedger::open(&PathBuf::from(told("FOLDER")).join("state")).unwrap();
    ledger.read().unwrap();
}
