//! Counts failed logins per address, in bounded memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{AccessError, LoginQuota};
use crate::model::network;

/// Failed logins that an address may have within the window.
const ALLOWED: u32 = 10;

/// How long a failure counts.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Addresses that are remembered; an attacker with more of them has a botnet and meets the hash's price instead.
const ADDRESSES: usize = 10_000;

#[derive(Default)]
pub(super) struct Failures {
    by_address: HashMap<IpAddr, Tally>,
}

struct Tally {
    since: Instant,
    count: u32,
}

impl Failures {
    /// Refuses an address that has failed too often.
    pub(super) fn check(&self, address: IpAddr, now: Instant) -> Result<(), AccessError> {
        let Some(tally) = self.by_address.get(&network(address)) else {
            return Ok(());
        };
        let left = WINDOW.saturating_sub(now.saturating_duration_since(tally.since));
        if tally.count < ALLOWED || left.is_zero() {
            return Ok(());
        }
        Err(AccessError::TooManyFailures {
            retry_after_seconds: left.as_secs() + 1,
        })
    }

    /// What an address has left.
    pub(super) fn quota(&self, address: IpAddr, now: Instant) -> LoginQuota {
        let tally = self.by_address.get(&network(address));
        let left = tally.map_or(Duration::ZERO, |tally| {
            WINDOW.saturating_sub(now.saturating_duration_since(tally.since))
        });
        let (used, reset_seconds) = match tally {
            Some(tally) if !left.is_zero() => (tally.count, left.as_secs() + 1),
            _ => (0, 0),
        };
        LoginQuota {
            limit: ALLOWED,
            remaining: ALLOWED.saturating_sub(used),
            period_seconds: WINDOW.as_secs(),
            reset_seconds,
        }
    }

    /// Remembers one more failure.
    pub(super) fn count(&mut self, address: IpAddr, now: Instant) {
        let address = network(address);
        if self.by_address.len() >= ADDRESSES && !self.by_address.contains_key(&address) {
            self.make_room(now);
        }
        let tally = self.by_address.entry(address).or_insert(Tally {
            since: now,
            count: 0,
        });
        if now.saturating_duration_since(tally.since) >= WINDOW {
            *tally = Tally {
                since: now,
                count: 0,
            };
        }
        tally.count += 1;
    }

    /// A success: what came before was somebody mistyping.
    pub(super) fn forget(&mut self, address: IpAddr) {
        self.by_address.remove(&network(address));
    }

    fn make_room(&mut self, now: Instant) {
        self.by_address
            .retain(|_, tally| now.saturating_duration_since(tally.since) < WINDOW);
        if self.by_address.len() >= ADDRESSES {
            let oldest = self.by_address.iter().min_by_key(|(_, tally)| tally.since);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                self.by_address.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn an_address_is_refused_after_ten_failures_until_the_window_is_over() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        for _ in 0..10 {
            failures.check(ADDRESS, start).unwrap();
            failures.count(ADDRESS, start);
        }
        let refusal = failures.check(ADDRESS, start).unwrap_err();
        assert!(matches!(
            refusal,
            AccessError::TooManyFailures {
                retry_after_seconds: 901
            }
        ));
        let quota = failures.quota(ADDRESS, start);
        assert_eq!((quota.remaining, quota.reset_seconds), (0, 901));
        failures.check(IpAddr::from([192, 0, 2, 2]), start).unwrap();
        failures.check(ADDRESS, start + WINDOW).unwrap();
        failures.count(ADDRESS, start + WINDOW);
        failures.check(ADDRESS, start + WINDOW).unwrap();
    }

    #[test]
    fn a_success_forgets_the_failures_of_its_address() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        for _ in 0..10 {
            failures.count(ADDRESS, start);
        }
        failures.forget(ADDRESS);
        failures.check(ADDRESS, start).unwrap();
        let quota = failures.quota(ADDRESS, start);
        assert_eq!((quota.remaining, quota.reset_seconds), (10, 0));
    }

    #[test]
    fn neighbours_in_one_ipv6_network_share_a_count() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        for host in 0..10 {
            failures.count(
                Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host).into(),
                start,
            );
        }
        let other = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 9, 9, 9, 9);
        assert!(failures.check(other.into(), start).is_err());
        failures
            .check(Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1).into(), start)
            .unwrap();
    }

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        for number in 0..u32::try_from(ADDRESSES).unwrap() + 50 {
            let at = start + Duration::from_millis(u64::from(number));
            failures.count(IpAddr::from(number.to_be_bytes()), at);
        }
        assert_eq!(failures.by_address.len(), ADDRESSES);
    }
}
