//! How long after their end the API shows sessions. Pure.

use std::time::Duration;

use super::check::{Check, counted};
use crate::poller::account::seconds;

const NAME: &str = "publication_delay";

/// Where delays were learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Witness {
    /// From looking again and again, with this pause in between.
    Watched(Duration),
    /// From when the exporter first saw what it has counted; it looks this often.
    Ledger(Duration),
}

/// Delays in whole seconds, of so many sessions, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Distribution {
    sessions: usize,
    half: i64,
    ninety: i64,
    ninety_nine: i64,
    longest: i64,
}

impl Distribution {
    fn of(delays: &mut [i64]) -> Option<Self> {
        delays.sort_unstable();
        // The least delay that so many in a hundred do not exceed.
        let percentile = |part: usize| delays.get((delays.len() * part).div_ceil(100).max(1) - 1).copied();
        Some(Self {
            sessions: delays.len(),
            half: percentile(50)?,
            ninety: percentile(90)?,
            ninety_nine: percentile(99)?,
            longest: *delays.last()?,
        })
    }
}

/// What the delays say of `overlap`, by which each poll reaches behind the one before.
pub(super) fn judge(mut delays: Vec<i64>, witness: Witness, overlap: Duration) -> Check {
    let Some(found) = Distribution::of(&mut delays) else {
        let (message, advice) = match witness {
            Witness::Watched(_) => ("no session has ended while it was watched", "watch for longer, with --watch 10m"),
            Witness::Ledger(_) => (
                "the ledger has no session yet that ended while the exporter ran",
                "watch the API for a while, with --watch 2m",
            ),
        };
        return Check::unknown(NAME, message, advice);
    };
    let Distribution { sessions, half, ninety, ninety_nine, longest } = found;
    let sessions = counted(sessions as u64, "session");
    let (by, late) = match witness {
        Witness::Watched(pause) => (format!("watched every {} s", seconds(pause).max(1)), pause),
        Witness::Ledger(interval) => {
            (format!("by the ledger, waiting for a poll each {} s included", seconds(interval)), interval)
        }
    };
    let message = format!(
        "from the end of a session to its first sight: half within {half} s, 90% {ninety} s, 99% {ninety_nine} s, all \
         {longest} s; {sessions}, {by}"
    );
    let reach = seconds(overlap);
    if ninety_nine > reach + seconds(late) {
        let found = format!(
            "{message}. One in a hundred is later than poll.overlap ({reach} s) reaches, so that sweeps find it"
        );
        return Check::warning(
            NAME,
            found,
            format!("raise poll.overlap to {} s to count them sooner", ninety_nine + seconds(late)),
        );
    }
    Check::ok(NAME, format!("{message}; poll.overlap is {reach} s"))
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    const OVERLAP: Duration = Duration::from_secs(120);

    fn judged(delays: &[i64], witness: Witness) -> Check {
        judge(delays.to_vec(), witness, OVERLAP)
    }

    const WATCHED: Witness = Witness::Watched(Duration::from_secs(10));

    #[test]
    fn percentiles_are_the_least_that_so_many_do_not_exceed() {
        let mut delays: Vec<i64> = (1..=200).rev().collect();
        let found = Distribution::of(&mut delays).unwrap();
        assert_eq!(found, Distribution { sessions: 200, half: 100, ninety: 180, ninety_nine: 198, longest: 200 });
        let one = Distribution::of(&mut [7]).unwrap();
        assert_eq!(one, Distribution { sessions: 1, half: 7, ninety: 7, ninety_nine: 7, longest: 7 });
        assert_eq!(Distribution::of(&mut []), None);
    }

    #[test]
    fn rows_later_than_the_overlap_are_a_warning() {
        for (longest, status) in [(1, Status::Ok), (130, Status::Ok), (131, Status::Warning)] {
            assert_eq!(judged(&[1, 2, longest], WATCHED).status, status, "{longest}");
        }
        // Two in two hundred are no one in a hundred.
        let mut delays = vec![5; 198];
        delays.extend([9_000; 2]);
        assert_eq!(judged(&delays, WATCHED).status, Status::Ok);
        delays.push(9_000);
        let check = judged(&delays, WATCHED);
        assert!(check.status == Status::Warning && check.message.contains("sweeps find it"), "{check:?}");
        assert!(check.advice.contains("poll.overlap"), "{check:?}");
    }

    #[test]
    fn it_is_said_where_the_delays_were_learned() {
        let ledger = Witness::Ledger(Duration::from_secs(30));
        assert!(
            judged(&[3], ledger).message.contains("1 session, by the ledger, waiting for a poll each 30 s included")
        );
        assert!(judged(&[3], WATCHED).message.contains("watched every 10 s"));
        assert_eq!(judged(&[], ledger).status, Status::Unknown);
        assert!(judged(&[], ledger).advice.contains("--watch"));
    }
}
