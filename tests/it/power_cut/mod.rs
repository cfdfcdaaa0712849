//! Power cuts and failing disks: a commit that returned is on the disk, and nothing is lost or counted twice after.
//!
//! The ledger runs in a child process on a disk that records and fails as it is told (`disk.c`, loaded by `LD_PRELOAD`).
//! From the record this process builds the disks that a power cut may have left, opens the ledger on each, and compares
//! it with the books of an undisturbed run.

mod books;
mod child;
mod cuts;
mod damage;
mod disk;
mod failing;
mod log;
mod script;
mod shim;
