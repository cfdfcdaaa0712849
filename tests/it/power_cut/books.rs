//! What the books say after each commit of an undisturbed run, and which of these a disturbed one has come to.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use rusqlite::types::ValueRef;
use tencent_live_exporter::ledger::{Books, Ledger as _, LedgerError, Posting, SqliteLedger};
use tencent_live_exporter::listing::Group;
use tencent_live_exporter::session::{Fact, GroupKey, IdentityKey};

use super::script::{Script, new_account};
use super::shim::quick_folder;

pub(super) const LEDGER: &str = "ledger.sqlite";

/// The books after each of a seed's postings, the empty ones first.
pub(super) struct Reference {
    after: Vec<Books>,
    /// Which of them has these rows.
    by_rows: HashMap<u64, usize>,
}

/// What a disk held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Exactly the books after this many commits.
    Commits(usize),
    /// Something that no number of commits leaves behind.
    Neither(String),
    /// It could not be opened or read.
    Unusable(String),
}

impl Reference {
    pub(super) fn new(seed: u64) -> Self {
        let folder = quick_folder();
        let mut ledger = SqliteLedger::open(folder.path()).unwrap();
        let mut script = Script::new(seed);
        let (mut after, mut by_rows) = (Vec::new(), HashMap::new());
        loop {
            let (books, groups) = (ledger.read().unwrap(), script.groups());
            let known: Vec<GroupKey> = groups.keys().copied().collect();
            assert_eq!(ledger.groups(&known).unwrap(), groups);
            // `read` has held the sum by series against the sum by reason.
            let counted: u64 = books.series.iter().map(|series| series.total).sum();
            assert_eq!(counted, script.sessions() as u64);
            let before = by_rows.insert(rows(folder.path()).unwrap(), after.len());
            assert_eq!(before, None, "each posting changes something");
            after.push(books);
            let Some(posting) = script.next() else { return Self { after, by_rows } };
            ledger.commit(&posting).unwrap();
        }
    }

    /// Opens the ledger in `folder` as a start does, compares it, and writes one posting more.
    pub(super) fn find(&self, folder: &Path, key: &IdentityKey) -> Found {
        match self.open(folder, key) {
            Ok(found) => found,
            Err(error) => Found::Unusable(format!("{error:?}")),
        }
    }

    fn open(&self, folder: &Path, key: &IdentityKey) -> Result<Found, LedgerError> {
        let mut ledger = SqliteLedger::open(folder)?;
        let books = ledger.read()?;
        let rows = match rows(folder) {
            Ok(rows) => rows,
            Err(error) => return Ok(Found::Neither(error.to_string())),
        };
        let Some(commits) = self.by_rows.get(&rows).copied() else {
            return Ok(Found::Neither(format!("{} series", books.series.len())));
        };
        let page = &self.after[commits];
        let same = books.accounts == page.accounts
            && books.series == page.series
            && books.domains == page.domains
            && (books.key == *key || commits == 0);
        if !same {
            return Ok(Found::Neither(format!("rows as after {commits}, books not")));
        }
        ledger.commit(&one_more())?;
        let after = ledger.read()?;
        let written = after.accounts.contains_key("one more") && ledger.groups(&[ONE_MORE])?.len() == 1;
        let others = after.series == books.series && after.domains == books.domains;
        Ok(if written && others { Found::Commits(commits) } else { Found::Neither("one more was not written".into()) })
    }
}

const ONE_MORE: GroupKey = GroupKey(*b"one more session");

fn one_more() -> Posting {
    let group = Group::new(vec![Fact { end: 1, reason: 2, address: 3 }]);
    Posting {
        new_account: Some(new_account("one more")),
        groups: vec![(ONE_MORE, "one more".into(), group)],
        ..Posting::default()
    }
}

/// A digest of all rows there are, but for the key, which is another in each ledger.
pub(super) fn rows(folder: &Path) -> rusqlite::Result<u64> {
    const TABLES: [&str; 11] = [
        "account ORDER BY name",
        "scope ORDER BY id",
        "slice ORDER BY scope, level, slice_index",
        "session_group ORDER BY key",
        "series ORDER BY id",
        "domain ORDER BY id",
        "domain_reason ORDER BY domain, reason",
        "domain_excluded ORDER BY domain, reason",
        "domain_class ORDER BY domain, class",
        "domain_duration ORDER BY domain, class, up_to",
        "record ORDER BY id",
    ];
    let connection = rusqlite::Connection::open(folder.join(LEDGER))?;
    let mut bytes = Vec::new();
    for table in TABLES {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                match row.get_ref(column)? {
                    ValueRef::Null => bytes.push(0),
                    ValueRef::Integer(number) => bytes.extend(number.to_le_bytes()),
                    ValueRef::Real(number) => bytes.extend(number.to_bits().to_le_bytes()),
                    ValueRef::Text(text) | ValueRef::Blob(text) => bytes.extend(text),
                }
                bytes.push(b'|');
            }
        }
    }
    let mut digest = DefaultHasher::new();
    bytes.hash(&mut digest);
    Ok(digest.finish())
}
