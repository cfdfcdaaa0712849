//! How often an address may ask: a token bucket each, kept as the time at which it will be full again.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Most addresses to keep books of. Past that the one that has most left is forgotten.
const MOST: usize = 4096;

/// What each address has spent.
pub(super) struct Books {
    interval: Duration,
    burst: u32,
    full_at: Mutex<HashMap<IpAddr, Instant>>,
}

impl Books {
    pub(super) fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, burst, full_at: Mutex::default() }
    }

    /// Spends one request of `peer`; the error is when there will be one again.
    pub(super) fn spend(&self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut books = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = books.get(&peer).map_or(now, |at| (*at).max(now));
        let credit = self.interval * (self.burst - 1);
        let missing = (full_at - now).saturating_sub(credit);
        if !missing.is_zero() {
            return Err(missing);
        }
        if books.len() >= MOST && !books.contains_key(&peer) {
            books.retain(|_, at| *at > now);
            let first = books.iter().min_by_key(|(_, at)| **at).map(|(peer, _)| *peer);
            if let Some(first) = first.filter(|_| books.len() >= MOST) {
                books.remove(&first);
            }
        }
        books.insert(peer, full_at + self.interval);
        Ok(())
    }
}

/// The address that stands for all of one client: of IPv6 the network that providers hand out.
pub(super) fn share(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            Ipv6Addr::from_bits(if address.is_loopback() { address.to_bits() } else { network }).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        share(text.parse().unwrap())
    }

    #[tokio::test]
    async fn each_address_has_its_burst_and_then_one_request_an_interval() {
        let books = Books::new(Duration::from_secs(10), 3);
        let (one, other, start) = (address("192.0.2.1"), address("192.0.2.2"), Instant::now());
        for _ in 0..3 {
            assert_eq!(books.spend(one, start), Ok(()));
        }
        assert_eq!(books.spend(one, start), Err(Duration::from_secs(10)));
        assert_eq!(books.spend(other, start), Ok(()));
        assert_eq!(books.spend(one, start + Duration::from_secs(4)), Err(Duration::from_secs(6)));
        assert_eq!(books.spend(one, start + Duration::from_secs(10)), Ok(()));
        assert_eq!(books.spend(one, start + Duration::from_secs(10)), Err(Duration::from_secs(10)));
        let later = start + Duration::from_secs(1000);
        assert_eq!([(); 4].map(|()| books.spend(one, later).is_ok()), [true, true, true, false]);
    }

    #[tokio::test]
    async fn books_of_many_addresses_do_not_grow_without_end() {
        let books = Books::new(Duration::from_secs(10), 1);
        let now = Instant::now();
        let spent = address("203.0.113.1");
        for i in 0..3 {
            assert_eq!(books.spend(spent, now + Duration::from_secs(10 * i)), Ok(()));
        }
        let now = now + Duration::from_secs(20);
        for i in 0..20_000_u32 {
            assert_eq!(books.spend(IpAddr::V4(i.into()), now), Ok(()));
        }
        assert_eq!(books.full_at.lock().unwrap().len(), MOST);
    }

    #[test]
    fn a_client_is_its_ipv4_address_or_its_ipv6_network() {
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:0:0:2"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::1"), IpAddr::V6(Ipv6Addr::LOCALHOST));
    }
}
