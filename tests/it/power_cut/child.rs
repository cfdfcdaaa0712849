//! What the children do; each is this test binary run once more, on the disk of `disk.c`.

use std::path::{Path, PathBuf};

use tencent_live_exporter::ledger::{Ledger as _, SqliteLedger};

use super::books::rows;
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
    let fails = PathBuf::from(told("DISK_ORDERS")).exists();
    let mut marks = Marks::new(told("DISK_LOG").as_ref());
    let mut ledger = start(&folder, fails);
    for (n, posting) in (1..).zip(Script::new(told("SEED").parse().unwrap())) {
        if [4, 44].contains(&n) {
            drop(ledger);
            ledger = start(&folder, fails);
        } else if [7, 46].contains(&n) {
            ledger.reopen().or_else(|_| ledger.reopen()).unwrap();
        }
        marks.begun(n);
        let before = fails.then(|| rows(&folder).unwrap());
        while let Err(error) = ledger.commit(&posting) {
            assert!(error.to_string().contains("writing"), "{error}");
            ledger.reopen().or_else(|_| ledger.reopen()).unwrap();
            // As the keeper does: what the books say now is what has happened.
            if Some(rows(&folder).unwrap()) != before {
                break;
            }
        }
        marks.acknowledged(n);
    }
}

/// A start, and where the disk `fails` once another after it.
fn start(folder: &Path, fails: bool) -> SqliteLedger {
    let ledger = SqliteLedger::open(folder);
    ledger.or_else(|error| if fails { SqliteLedger::open(folder) } else { Err(error) }).unwrap()
}

/// A start, and a stop at once.
fn open() {
    let mut ledger = SqliteLedger::open(&PathBuf::from(told("FOLDER")).join("state")).unwrap();
    ledger.read().unwrap();
}
