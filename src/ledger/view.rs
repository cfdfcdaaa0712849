//! What somebody sees of the books who only looks at them.

use std::collections::BTreeMap;

use super::{AccountBooks, Record};
use crate::clock::UnixSeconds;
use crate::listing::Group;
use crate::session::{GroupKey, IdentityKey};

/// What a ledger holds, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The version of its schema.
    pub schema_version: i64,
    /// The accounts ever polled.
    pub accounts: BTreeMap<String, AccountBooks>,
    /// Domains.
    pub domains: u64,
    /// Disconnects counted, by all series and those that no series has.
    pub disconnects: u64,
    /// Those of them that no series of the stream counter has.
    pub excluded: u64,
    /// Series of the stream counter.
    pub series: u64,
    /// Those of them that are held.
    pub held_series: u64,
    /// Groups that are remembered.
    pub groups: u64,
    /// Sessions in them.
    pub sessions: u64,
    /// Single records.
    pub records: u64,
    /// When the session of the oldest record ended.
    pub oldest_record: Option<UnixSeconds>,
    /// When the session of the newest record ended.
    pub newest_record: Option<UnixSeconds>,
    /// The ledger's files by name, with their sizes in bytes: those in use, and those that were set aside.
    pub files: Vec<(String, u64)>,
}

/// The books of one account, with all that tells one session from another.
#[derive(Debug)]
pub struct AccountView {
    /// The key of the ledger's hashes.
    pub key: IdentityKey,
    /// The account.
    pub books: AccountBooks,
    /// The groups that are remembered.
    pub groups: BTreeMap<GroupKey, Group>,
    /// The records, newest first.
    pub records: Vec<Record>,
}
