//! A place for every connection, and who makes room when there are too many.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use super::progress::Standing;
use super::{Limits, Progress};

/// How soon to look again for somebody who can make room.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The connections there are.
#[derive(Debug)]
pub(super) struct Seats {
    limits: Limits,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    connections: BTreeMap<u64, (IpAddr, Arc<Progress>)>,
}

/// The place of one connection; free again when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    pub(super) number: u64,
    pub(super) peer: IpAddr,
    pub(super) progress: Arc<Progress>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    ForPeer,
    ForAll,
}

impl Seats {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, taken: Mutex::default(), freed: Notify::new() }
    }

    /// A seat, after waiting for one if need be; absent when `peer` has too many that are all being answered.
    pub(super) async fn wait(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let peer = peer.to_canonical();
        loop {
            match self.take(peer) {
                Ok(seat) => return Some(seat),
                Err(Full::ForPeer) if !self.evict(Some(peer)) => return None,
                Err(Full::ForPeer) => {}
                Err(Full::ForAll) => {
                    self.evict(None);
                }
            }
            // Whether somebody left or not, the answer is to look again.
            let _ = tokio::time::timeout(LOOK_AGAIN, self.freed.notified()).await;
        }
    }

    /// Asks the connection that can best be spared, of `peer` alone if given, to make room. False if there is none.
    pub(super) fn evict(&self, peer: Option<IpAddr>) -> bool {
        let now = Instant::now();
        let taken = self.taken();
        let ranked = taken.connections.values().filter(|(of, _)| peer.is_none_or(|peer| peer == *of));
        let first = ranked.filter_map(|(_, progress)| Some((progress.rank(now)?, progress))).min_by_key(|(r, _)| *r);
        let Some(((standing, _), progress)) = first else { return false };
        // A scraper does not go as long as somebody else only needs a moment more.
        let newcomers = || taken.connections.values().any(|(_, progress)| progress.is_waiting_newcomer());
        if standing == Standing::Regular && peer.is_none() && newcomers() {
            return false;
        }
        progress.evict();
        true
    }

    /// The place, among the requests that are answered at a time, of the reader that has taken nothing of its answer for
    /// longest; its connection ends. None if all of them read, but for connection `asking`.
    pub(super) fn take_place(&self, asking: u64) -> Option<OwnedSemaphorePermit> {
        let now = Instant::now();
        let taken = self.taken();
        let others = taken.connections.iter().filter(|(number, _)| **number != asking);
        let idle = others.filter_map(|(_, (_, progress))| Some((progress.idle_reader(now)?, progress)));
        idle.min_by_key(|(since, _)| *since)?.1.take_place()
    }

    fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Seat, Full> {
        let mut taken = self.taken();
        if taken.connections.len() >= self.limits.connections {
            return Err(Full::ForAll);
        }
        // Whoever is on this machine, a reverse proxy as a rule, speaks for many.
        let of_peer = || taken.connections.values().filter(|(of, _)| *of == peer).count();
        if !peer.is_loopback() && of_peer() >= self.limits.connections_per_peer {
            return Err(Full::ForPeer);
        }
        let number = taken.next;
        taken.next += 1;
        let progress = Arc::new(Progress::new(self.limits));
        taken.connections.insert(number, (peer, Arc::clone(&progress)));
        Ok(Seat { seats: Arc::clone(self), number, peer, progress })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// [`Seats::take_place`], for a request of this connection.
    pub(super) fn place_of_another(&self) -> Option<OwnedSemaphorePermit> {
        self.seats.take_place(self.number)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken().connections.remove(&self.number);
        self.seats.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(connections: usize, connections_per_peer: usize) -> Arc<Seats> {
        Arc::new(Seats::new(Limits { connections, connections_per_peer, ..Limits::default() }))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_seat_is_free_again_when_its_connection_ends() {
        let seats = seats(1, 1);
        let seat = seats.take(address("192.0.2.1")).unwrap();
        assert_eq!(seats.take(address("192.0.2.2")).unwrap_err(), Full::ForAll);
        drop(seat);
        assert!(seats.take(address("192.0.2.2")).is_ok());
    }

    #[test]
    fn one_address_cannot_take_every_seat() {
        let seats = seats(4, 2);
        let _held = [seats.take(address("192.0.2.1")).unwrap(), seats.take(address("192.0.2.1")).unwrap()];
        assert_eq!(seats.take(address("192.0.2.1")).unwrap_err(), Full::ForPeer);
        assert!(seats.take(address("192.0.2.2")).is_ok());
    }

    #[tokio::test]
    async fn a_peer_whose_connections_are_all_busy_is_turned_away_at_once() {
        let seats = seats(4, 1);
        let seat = seats.take(address("192.0.2.1")).unwrap();
        seat.progress.request();
        assert!(seats.wait(address("192.0.2.1")).await.is_none());
    }
}
