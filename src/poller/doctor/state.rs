//! Whether an exporter can keep its books where the settings say. Pure.

use std::path::Path;

use super::check::{Check, counted};
use crate::ledger::{FolderLook, LedgerError, LedgerLook, Place};
use crate::live::printable;
use crate::poller::keeper::chain;

const NAME: &str = "state";

/// Less room than this is soon used up.
const LITTLE_BYTES: u64 = 256 * 1024 * 1024;

/// Nothing is kept.
#[must_use]
pub fn in_memory() -> Check {
    let advice = "name a folder with state.path or --state.path, so that a restart goes on from where it was";
    Check::warning(NAME, "state.path is :memory:, so that every restart begins anew", advice)
}

/// What was seen of the state folder.
#[must_use]
pub fn state(folder: &Path, look: &FolderLook) -> Check {
    let folder = printable(&folder.display().to_string(), usize::MAX);
    let room = look.free_bytes.map_or(String::new(), |bytes| format!(", {} MiB free", bytes / 1024 / 1024));
    let unwritable = "make it writable for this user, or choose another with --state.path; the exporter writes it as the user \
                      that it runs as";
    match &look.place {
        Place::Absent(above, Err(error)) => {
            let above = printable(&above.display().to_string(), usize::MAX);
            return Check::failure(
                NAME,
                format!("{folder} is not there, and cannot be made in {above}: {error}"),
                unwritable,
            );
        }
        Place::There(Err(error)) => {
            return Check::failure(NAME, format!("{folder} cannot be written: {error}"), unwritable);
        }
        Place::Absent(_, Ok(())) => {
            return Check::ok(NAME, format!("{folder} is not there yet, and can be made{room}"));
        }
        Place::There(Ok(())) => {}
    }
    let used = if look.is_in_use { "an exporter is running on it, so it was only read" } else { "it can be written" };
    let (ledger, findings) = match &look.ledger {
        LedgerLook::Absent => ("no ledger yet".to_owned(), &[][..]),
        LedgerLook::Read { version, bytes, findings } => {
            let sound = match findings {
                Some(findings) if findings.is_empty() => "sound",
                Some(_) => "not sound",
                None => "too large to be looked through on the way, which `state check` does",
            };
            let size = counted(bytes / 1024 / 1024, "MiB").replace("MiBs", "MiB");
            (format!("ledger of schema version {version}, {size}, {sound}"), findings.as_deref().unwrap_or(&[]))
        }
        LedgerLook::Unread(LedgerError::Older { found, known, .. }) => {
            let words =
                format!("ledger of schema version {found}; the exporter takes it over to {known} when it starts");
            (words, &[][..])
        }
        LedgerLook::Unread(error) => {
            return Check::failure(NAME, format!("{folder}: {}", chain(error)), "");
        }
    };
    let message = format!("{folder}: {used}; {ledger}{room}");
    if let Some(first) = findings.first() {
        let advice =
            "stop the exporter, keep a copy of the state folder, and put a backup in its place, see README, State";
        let found = counted(findings.len() as u64, "finding");
        return Check::failure(NAME, format!("{message}: {found}, the first: {first}"), advice);
    }
    if look.free_bytes.is_some_and(|bytes| bytes < LITTLE_BYTES) {
        return Check::warning(
            NAME,
            message,
            "make room on its disk; what cannot be written is not counted until it can",
        );
    }
    if let Some((file, mode)) = look.open_to_others.first() {
        let advice = format!("chmod 600 {file}: names of streams and addresses are in it");
        return Check::warning(NAME, format!("{message}; others may read {file} (mode {mode:o})"), advice);
    }
    Check::ok(NAME, message)
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    fn look() -> FolderLook {
        FolderLook {
            place: Place::There(Ok(())),
            is_in_use: false,
            ledger: LedgerLook::Read { version: 5, bytes: 3 << 20, findings: Some(Vec::new()) },
            open_to_others: Vec::new(),
            free_bytes: Some(10 << 30),
        }
    }

    fn status(change: impl FnOnce(&mut FolderLook)) -> Status {
        let mut look = look();
        change(&mut look);
        state(Path::new("data"), &look).status
    }

    fn denied() -> std::io::Error {
        std::io::Error::from(std::io::ErrorKind::PermissionDenied)
    }

    #[test]
    fn a_folder_is_judged_by_what_an_exporter_needs_of_it() {
        let read = |findings| LedgerLook::Read { version: 5, bytes: 0, findings };
        assert_eq!(status(|_| {}), Status::Ok);
        assert_eq!(status(|look| look.is_in_use = true), Status::Ok);
        assert_eq!(status(|look| look.ledger = LedgerLook::Absent), Status::Ok);
        assert_eq!(status(|look| look.ledger = read(None)), Status::Ok);
        assert_eq!(status(|look| look.ledger = read(Some(vec!["wrong".into()]))), Status::Failure);
        assert_eq!(status(|look| look.place = Place::There(Err(denied()))), Status::Failure);
        assert_eq!(status(|look| look.place = Place::Absent("/".into(), Ok(()))), Status::Ok);
        assert_eq!(status(|look| look.place = Place::Absent("/".into(), Err(denied()))), Status::Failure);
        assert_eq!(status(|look| look.free_bytes = Some(LITTLE_BYTES - 1)), Status::Warning);
        assert_eq!(status(|look| look.free_bytes = None), Status::Ok);
        assert_eq!(status(|look| look.open_to_others = vec![("ledger.sqlite".into(), 0o644)]), Status::Warning);
        let [older, newer] = [4, 6].map(|found| match found {
            4 => LedgerError::Older { file: "f".into(), found, known: 5 },
            _ => LedgerError::Newer { file: "f".into(), found, known: 5 },
        });
        assert_eq!(status(|look| look.ledger = LedgerLook::Unread(older)), Status::Ok);
        assert_eq!(status(|look| look.ledger = LedgerLook::Unread(newer)), Status::Failure);
        assert_eq!(in_memory().status, Status::Warning);
    }

    #[test]
    fn the_line_says_what_was_seen() {
        assert_eq!(
            state(Path::new("data"), &look()).message,
            "data: it can be written; ledger of schema version 5, 3 MiB, sound, 10240 MiB free"
        );
    }
}
