//! How many clients this process may have, given how many files it may open.

use tracing::warn;

use crate::web::Limits;

/// Files that are not for clients: the ledger's, connections to the API, key files, the runtime's own.
const RESERVED: usize = 48;

/// What clients may take, such that the ledger and the API can always be opened.
pub(super) fn of_process() -> Limits {
    let limits = Limits::default();
    // Where the system does not tell, there is nothing to go by.
    let files = std::fs::read_to_string("/proc/self/limits").ok().and_then(|text| open_files(&text));
    let connections = files.map_or(limits.connections, |files| connections(files, limits.connections));
    if connections < limits.connections {
        warn!(open_files = files, connections, "few open files are allowed, so few connections are; raise ulimit -n");
    }
    Limits { connections, ..limits }
}

/// Of so many files, those for connections, at most `most`.
fn connections(files: usize, most: usize) -> usize {
    files.saturating_sub(RESERVED).clamp(8, most)
}

/// The soft limit in the words of proc(5); none if there is no limit.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_as_the_kernel_writes_it() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             63459                63459                processes \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(open_files(text), Some(1024));
        assert_eq!(open_files("Max open files            unlimited            unlimited            files"), None);
        assert_eq!(open_files(""), None);
    }

    #[test]
    fn what_is_reserved_is_not_for_clients() {
        assert_eq!(connections(1_048_576, 512), 512);
        assert_eq!(connections(256, 512), 208);
        assert_eq!(connections(10, 512), 8);
    }
}
