//! How much one caller or one address may ask. Off for loopback unless configured.
//! Must not know: what is asked, how a refusal is written.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::num::NonZeroU32;

use booking_core::SubjectId;
use engine::telemetry::catalogue::{RATE_LIMIT_KEYS, RATE_LIMITED};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use metrics::{Counter, Gauge};

use crate::config::RateSettings;

/// Callers are hashed into so many cells, with a secret key, so that memory is bounded whatever addresses a flood
/// invents: about 16 MB a limiter at worst. With ten thousand callers at once, one in 26 shares a cell with another,
/// and the two share a limit that is far above what one of them asks.
const CELLS: u64 = 1 << 18;

/// One limit over many callers.
struct Limit {
    limiter: DefaultKeyedRateLimiter<u32>,
    refused: Counter,
    keys: Gauge,
}

impl Limit {
    fn new(label: &'static str, requests_per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        Self {
            limiter: RateLimiter::keyed(Quota::per_second(requests_per_second).allow_burst(burst)),
            refused: metrics::counter!(RATE_LIMITED, "limit" => label),
            keys: metrics::gauge!(RATE_LIMIT_KEYS, "limit" => label),
        }
    }

    /// `Err` with the whole seconds until the next request would pass, rounded up.
    fn check(&self, cell: u32) -> Result<(), u64> {
        self.limiter.check_key(&cell).map_err(|refusal| {
            self.refused.increment(1);
            let wait = refusal.wait_time_from(DefaultClock::default().now());
            (wait.as_millis() as u64).div_ceil(1000).max(1)
        })
    }

    fn tidy(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        self.keys.set(self.limiter.len() as f64);
    }
}

/// Both limits.
pub(crate) struct RateLimits {
    hasher: RandomState,
    subject: Limit,
    address: Limit,
    limit_loopback: bool,
}

impl RateLimits {
    /// As configured.
    pub(crate) fn new(settings: &RateSettings) -> Self {
        Self {
            hasher: RandomState::new(),
            subject: Limit::new("subject", settings.subject_requests_per_second, settings.subject_burst),
            address: Limit::new("address", settings.address_requests_per_second, settings.address_burst),
            limit_loopback: settings.limit_loopback,
        }
    }

    /// Whether requests from `peer` are limited at all. An unknown peer (a test's) is not.
    pub(crate) fn applies_to(&self, peer: Option<IpAddr>) -> bool {
        peer.is_some_and(|peer| self.limit_loopback || !canonical(peer).is_loopback())
    }

    /// Counts a request of an address; an IPv6 site counts as one (/64).
    pub(crate) fn check_address(&self, peer: IpAddr) -> Result<(), u64> {
        let network = match canonical(peer) {
            IpAddr::V4(address) => u128::from(u32::from(address)),
            IpAddr::V6(address) => u128::from(address) & !u128::from(u64::MAX),
        };
        self.address.check(self.cell(network))
    }

    /// Counts a request of a subject.
    pub(crate) fn check_subject(&self, subject: SubjectId) -> Result<(), u64> {
        self.subject.check(self.cell(subject.0.as_u128()))
    }

    /// Forgets callers whose limit is full again, and reports how many are remembered. Called on a timer.
    pub(crate) fn tidy(&self) {
        self.subject.tidy();
        self.address.tidy();
    }

    fn cell(&self, caller: u128) -> u32 {
        (self.hasher.hash_one(caller) % CELLS) as u32
    }
}

/// IPv4 written as IPv6 is IPv4.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(burst: u32, limit_loopback: bool) -> RateLimits {
        let one = NonZeroU32::MIN;
        let burst = NonZeroU32::new(burst).expect("not zero");
        RateLimits::new(&RateSettings {
            subject_requests_per_second: one,
            subject_burst: burst,
            address_requests_per_second: one,
            address_burst: burst,
            limit_loopback,
        })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_burst_passes_and_the_next_is_told_when_to_come_back() {
        let limits = limits(3, false);
        let peer = address("192.0.2.1");
        for _ in 0..3 {
            assert_eq!(limits.check_address(peer), Ok(()));
        }
        assert_eq!(limits.check_address(peer), Err(1));
        let subject = SubjectId(uuid::Uuid::from_u128(1));
        assert_eq!(limits.check_subject(subject), Ok(()), "subjects are counted apart");
    }

    #[test]
    fn an_ipv6_site_is_one_caller() {
        let limits = limits(1, false);
        assert_eq!(limits.check_address(address("2001:db8::1")), Ok(()));
        assert!(limits.check_address(address("2001:db8::ffff:2")).is_err());
    }

    #[test]
    fn loopback_is_exempt_unless_configured() {
        for text in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(!limits(1, false).applies_to(Some(address(text))), "{text}");
            assert!(limits(1, true).applies_to(Some(address(text))), "{text}");
        }
        assert!(limits(1, false).applies_to(Some(address("192.0.2.1"))));
    }

    #[test]
    fn memory_is_bounded_by_the_number_of_cells() {
        let limits = limits(1, false);
        for number in 0..1_000_000_u128 {
            assert!(u64::from(limits.cell(number)) < CELLS);
        }
    }
}
