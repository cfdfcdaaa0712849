//! What is kept on disk.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::section::{Section, Span};

const RETENTION: Span = Span::seconds(3_600, 10 * 365 * 86_400).whole();
const IN_MEMORY: &str = ":memory:";

/// Where the ledger is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatePath {
    /// `:memory:`: nowhere, it ends with the process.
    Memory,
    /// In this folder; a relative one starts where the program was started.
    Folder(PathBuf),
}

impl fmt::Display for StatePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StatePath::Memory => f.write_str(IN_MEMORY),
            StatePath::Folder(path) => path.display().fmt(f),
        }
    }
}

/// What a record keeps of the publisher's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientIp {
    /// All of it.
    Full,
    /// The network it is in.
    Masked,
    /// Nothing.
    None,
}

/// What is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Where.
    pub path: StatePath,
    /// How long single records are kept; totals are kept for ever.
    pub retention: Duration,
    /// What a record keeps of the publisher's address.
    pub client_ip: ClientIp,
}

impl Default for State {
    fn default() -> Self {
        Self {
            path: StatePath::Folder("data".into()),
            retention: Duration::from_secs(30 * 86_400),
            client_ip: ClientIp::Masked,
        }
    }
}

impl State {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let path = |text: &str| match text {
            "" => Err("empty".to_owned()),
            text if text.contains('\0') => Err("has a NUL".to_owned()),
            IN_MEMORY => Ok(StatePath::Memory),
            text => Ok(StatePath::Folder(text.into())),
        };
        let choices = [("full", ClientIp::Full), ("masked", ClientIp::Masked), ("none", ClientIp::None)];
        Self {
            path: section.read("path", default.path, "a folder, or :memory:", path).value,
            retention: section.duration("retention", default.retention, RETENTION).value,
            client_ip: section.choice("client_ip", default.client_ip, &choices),
        }
    }
}
