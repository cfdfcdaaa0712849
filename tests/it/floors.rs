//! Who may import whom: a room imports rooms on lower floors, and nothing else.
//!
//! What a room names as `crate::room` or `tencent_live_exporter::room`, in `use` or in passing, is an import. Comments
//! are not read, so documentation may point anywhere. Tests inside a room keep to its floor too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The floors, lowest first. Rooms that stand on one floor never import each other.
const FLOORS: [&[&str]; 11] = [
    // Below the ground: any room may ask it for a mistake.
    &["planted"],
    &["session", "reason", "clock", "secret", "status", "csv", "tls"],
    &["signing", "listing"],
    &["live", "ledger"],
    // One floor of the design in two steps: metrics may import publication, not the reverse.
    &["publication"],
    &["metrics"],
    &["poller", "web"],
    &["settings"],
    &["app", "telemetry"],
    &["cli"],
    &["main"],
];

/// Time is a word that other words of the ground floor are made of.
const GROUND: [(&str, &str); 2] = [("session", "clock"), ("status", "clock")];

/// Rooms that may import less than what is below them.
const ONLY: [(&str, &[&str]); 2] = [
    // Its options are mapped onto those of the rooms below by `app`, so that each stands for itself.
    ("settings", &["session", "reason", "clock", "secret", "tls", "listing", "publication"]),
    // It stands beside the house: a mistake of the house must not agree with itself.
    ("sim", &["reason", "clock"]),
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Whether `room` may import `other`.
fn allowed(room: &str, other: &str) -> bool {
    if room == other {
        return true;
    }
    if let Some((_, only)) = ONLY.iter().find(|(limited, _)| *limited == room) {
        return only.contains(&other);
    }
    if other == "sim" {
        return room == "app";
    }
    floor(room) > floor(other) || GROUND.contains(&(room, other))
}

/// The text without its comments, line for line.
fn code(text: &str) -> String {
    let code = |line: &str| line.split_once("//").map_or(line, |(code, _)| code).to_owned();
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// What follows each `crate::` and `tencent_live_exporter::` in `text`, with the line it stands on.
fn imports(text: &str) -> Vec<(usize, String)> {
    let code = code(text);
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for root in ["crate::", "tencent_live_exporter::"] {
        for (at, _) in code.match_indices(root) {
            if code[..at].ends_with(word) {
                continue;
            }
            for (offset, part) in first_parts(&code[at + root.len()..]) {
                let line = 1 + code[..at + root.len() + offset].matches('\n').count();
                let name = if part.starts_with('*') { "*" } else { part.split(|c| !word(c)).next().unwrap_or(part) };
                found.push((line, name.to_owned()));
            }
        }
    }
    found.sort();
    found
}

/// The paths that a `use` names after its root: one, or each of a group in braces, with where they start.
fn first_parts(path: &str) -> Vec<(usize, &str)> {
    let Some(group) = path.strip_prefix('{') else { return vec![(0, path)] };
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                let part = &group[start..at];
                let indent = part.len() - part.trim_start().len();
                if !part.trim().is_empty() {
                    parts.push((1 + start + indent, part.trim_start()));
                }
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    parts
}

/// Every import in `text` that the floors forbid, one line each.
fn forbidden(file: &str, room: &str, rooms: &BTreeSet<String>, text: &str) -> Vec<String> {
    let wrong = |(line, other): (usize, String)| {
        let bad = other == "*" || (rooms.contains(&other) && !allowed(room, &other));
        bad.then(|| format!("{file}:{line}: {room} may not import {other}"))
    };
    imports(text).into_iter().filter_map(wrong).collect()
}

/// The room a file of `src` belongs to: the first part of its path.
fn room(path: &Path) -> String {
    let first = path.strip_prefix("src").expect("a path in src").iter().next().expect("a part");
    first.to_str().expect("UTF-8").trim_end_matches(".rs").to_owned()
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") && path != Path::new("src/lib.rs") {
            into.push(path);
        }
    }
}

#[test]
fn every_room_imports_from_lower_floors_only() {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let rooms: BTreeSet<String> = files.iter().map(|path| room(path)).collect();
    let mut wrong = Vec::new();
    for name in &rooms {
        if name != "sim" && floor(name).is_none() {
            wrong.push(format!("src/{name}: has no floor"));
        }
    }
    for path in &files {
        let text = std::fs::read_to_string(path).expect("a source file");
        wrong.extend(forbidden(&path.display().to_string(), &room(path), &rooms, &text));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_planted_import_is_caught() {
    let names = FLOORS.iter().flat_map(|floor| floor.iter()).chain(["sim"].iter());
    let rooms: BTreeSet<String> = names.map(|name| (*name).to_owned()).collect();
    for (room, text, problem) in [
        ("live", "use crate::ledger::Ledger;", "f.rs:1: live may not import ledger"),
        ("web", "\n\nuse crate::poller;", "f.rs:3: web may not import poller"),
        ("poller", "fn f() { crate::web::serve() }", "f.rs:1: poller may not import web"),
        (
            "clock",
            "use crate::{\n    clock::Clock,\n    session::{Name, Fact},\n};",
            "f.rs:3: clock may not import session",
        ),
        ("publication", "use crate::{reason::Reason, metrics::Own};", "f.rs:1: publication may not import metrics"),
        ("settings", "use crate::web::Options;", "f.rs:1: settings may not import web"),
        ("sim", "pub(crate) use crate::signing::sign;", "f.rs:1: sim may not import signing"),
        ("cli", "use crate::sim;", "f.rs:1: cli may not import sim"),
        ("session", "use crate::reason::Reason;", "f.rs:1: session may not import reason"),
        ("app", "use tencent_live_exporter::cli::run;", "f.rs:1: app may not import cli"),
        ("live", "use crate::*;", "f.rs:1: live may not import *"),
    ] {
        assert_eq!(forbidden("f.rs", room, &rooms, text), [problem], "{text}");
    }
    for (room, text) in [
        ("main", "use tencent_live_exporter::cli;"),
        ("app", "use crate::{poller, sim, web::{self, health}, settings::Settings};"),
        ("metrics", "use crate::publication::Snapshot;"),
        ("session", "use crate::clock::UnixSeconds;"),
        ("live", "// use crate::ledger;\n/// [`crate::web`]\nuse crate::signing;"),
        ("live", "use self::crate_ledger::x; use other_crate::ledger;"),
        ("web", "use crate::web::routes;"),
        ("web", "const A: &str = crate::VERSION;"),
    ] {
        assert_eq!(forbidden("f.rs", room, &rooms, text), [""; 0], "{text}");
    }
}
