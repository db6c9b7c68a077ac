//! Commands that wait for something unsettled outside their day's own records: a claim of another day, or a move on its way in.
//! They hold nothing meanwhile, and are decided again, in the order in which they came (`protocols.md` rule 10).
//! Must not know: what they wait for.

use std::collections::VecDeque;

use booking_core::UtcMillis;
use metrics::Gauge;

use super::request::Request;
use crate::limits::PARKED_MILLIS_MAX;

/// See the module. Bounded by admission: each keeps its permit.
pub struct Parked {
    requests: VecDeque<(UtcMillis, Request)>,
    /// How many wait on all days.
    gauge: Gauge,
}

impl Parked {
    /// Nobody waits yet.
    pub fn new(gauge: Gauge) -> Self {
        Self { requests: VecDeque::new(), gauge }
    }

    /// Adds a request that has waited since `since`.
    pub fn push(&mut self, since: UtcMillis, request: Request) {
        self.gauge.increment(1.0);
        self.requests.push_back((since, request));
    }

    /// Takes all of them, with since when they wait, to be decided again.
    pub fn take(&mut self) -> VecDeque<(UtcMillis, Request)> {
        self.gauge.decrement(self.requests.len() as f64);
        std::mem::take(&mut self.requests)
    }

    /// Takes those that have waited for too long.
    pub fn take_overdue(&mut self, now: UtcMillis) -> Vec<Request> {
        let (overdue, rest): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.requests).into_iter().partition(|(since, _)| is_overdue(*since, now));
        self.requests = rest;
        self.gauge.decrement(overdue.len() as f64);
        overdue.into_iter().map(|(_, request)| request).collect()
    }

    /// When the first has waited for too long.
    pub fn next_overdue_at(&self) -> Option<UtcMillis> {
        self.requests.iter().map(|(since, _)| since.plus_millis(PARKED_MILLIS_MAX)).min()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.gauge.decrement(self.requests.len() as f64);
    }
}

fn is_overdue(since: UtcMillis, now: UtcMillis) -> bool {
    now.millis_since(since) >= PARKED_MILLIS_MAX
}
