//! bcrypt, one password at a time, with a short queue and a share of it for each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bcrypt::HashParts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Passwords that may wait while one is looked at.
pub(super) const QUEUE: usize = 8;
/// Of one address, the one that is looked at included.
pub(super) const SHARE: usize = 2;
/// When to try again where there is no place.
pub(super) const COME_AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Pool {
    places: Arc<Semaphore>,
    worker: Arc<Semaphore>,
    shares: Arc<Mutex<HashMap<IpAddr, usize>>>,
    /// bcrypt's rounds so far, powers of two as they are.
    rounds: Arc<AtomicU64>,
}

/// The worker's attention; whoever has it is alone.
pub(super) struct Turn {
    place: Place,
    worker: OwnedSemaphorePermit,
    rounds: Arc<AtomicU64>,
}

/// A place in the queue; free again when dropped.
struct Place {
    _permit: OwnedSemaphorePermit,
    shares: Arc<Mutex<HashMap<IpAddr, usize>>>,
    peer: IpAddr,
}

/// A password to look at.
pub(super) struct Work {
    pub(super) password: Zeroizing<Vec<u8>>,
    /// What it must fit; absent where there is no such user.
    pub(super) hash: Option<Secret>,
    /// The highest cost of any hash.
    pub(super) highest: u32,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(QUEUE + 1)),
            worker: Arc::new(Semaphore::new(1)),
            shares: Arc::default(),
            rounds: Arc::default(),
        }
    }

    /// Waits for the worker; absent at once where there is no place to wait, or `peer` has its share of them.
    pub(super) async fn turn(&self, peer: IpAddr) -> Option<Turn> {
        let place = self.place(peer)?;
        let worker = Arc::clone(&self.worker).acquire_owned().await.ok()?;
        Some(Turn { place, worker, rounds: Arc::clone(&self.rounds) })
    }

    fn place(&self, peer: IpAddr) -> Option<Place> {
        let mut shares = lock(&self.shares);
        let held = shares.get(&peer).copied().unwrap_or_default();
        if held >= SHARE {
            return None;
        }
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        shares.insert(peer, held + 1);
        Some(Place { _permit: permit, shares: Arc::clone(&self.shares), peer })
    }

    #[cfg(test)]
    pub(super) fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Passwords that are looked at or wait.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        QUEUE + 1 - self.places.available_permits()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shares = lock(&self.shares);
        match shares.get_mut(&self.peer) {
            Some(held) if *held > 1 => *held -= 1,
            _ => {
                shares.remove(&self.peer);
            }
        }
    }
}

fn lock(shares: &Mutex<HashMap<IpAddr, usize>>) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    shares.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turn {
    /// Whether the password is right. A client that leaves meanwhile keeps its place until the work is done.
    pub(super) async fn verify(self, work: Work) -> bool {
        let done = tokio::task::spawn_blocking(move || {
            let Turn { place, worker, rounds } = self;
            let good = work.verify(&rounds);
            drop((place, worker));
            good
        });
        done.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a password could not be looked at");
            false
        })
    }
}

impl Work {
    /// The same work for every password that is not right: a cheaper hash than the highest is made up for.
    fn verify(&self, rounds: &AtomicU64) -> bool {
        let nobody = nobody(self.highest);
        let (hash, cost) = match &self.hash {
            Some(hash) => (hash.expose(), cost(hash)),
            None => (nobody.as_str(), self.highest),
        };
        let good = verify(&self.password, hash, rounds, cost) && self.hash.is_some();
        if !good {
            // 2^c + 2^c + 2^(c+1) + … + 2^(h-1) = 2^h
            for cost in cost..self.highest {
                verify(&self.password, &self::nobody(cost), rounds, cost);
            }
        }
        good
    }
}

fn verify(password: &[u8], hash: &str, rounds: &AtomicU64, cost: u32) -> bool {
    match bcrypt::verify(password, hash) {
        Ok(good) => {
            rounds.fetch_add(1 << cost, Ordering::Relaxed);
            good
        }
        // The settings took no hash that bcrypt does not read.
        Err(error) => {
            tracing::error!(%error, "a password could not be looked at");
            false
        }
    }
}

/// A hash of `cost` that no password is known for.
fn nobody(cost: u32) -> String {
    format!("$2b${cost:02}$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz0123.")
}

/// The cost of a hash.
pub(super) fn cost(hash: &Secret) -> u32 {
    hash.expose().parse::<HashParts>().map(|hash| hash.get_cost()).unwrap_or_default()
}
