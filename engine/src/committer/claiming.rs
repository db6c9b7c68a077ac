//! Claims what a batch needs across days of several processes, before any of it is appended.
//! Must not know: which store, what a blocked day does.
//!
//! The guard fails closed: while its store is away nothing that claims is written. It must not hold up days that claim nothing, so
//! after a failure it is left alone for a moment, and what claims is refused at once.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use booking_core::DayKey;
use foldhash::HashMap;
use futures_util::FutureExt;

use super::CommitFailure;
use super::batch::{Batch, Group};
use crate::claims::guard::{GivenBack, GuardError, Lost, RecordClaims};
use crate::claims::guarded::Guard;
use crate::clock::Clock;

/// How often claims whose outcome is unknown are asked for again, under the same names.
const TRIES: usize = 3;
/// How long a store that was away is not asked again.
const AWAY_MICROS: u64 = 500_000;
/// How long before claims are asked for again.
const PAUSE: Duration = Duration::from_millis(5);

/// What is lost, by day.
pub(super) type LostOfDays = HashMap<DayKey, Vec<Lost>>;

/// See the module.
pub(super) struct Claimer {
    guard: Arc<Guard>,
    clock: Arc<dyn Clock>,
    away_until_micros: u64,
}

impl Claimer {
    pub(super) fn new(guard: Arc<Guard>, clock: Arc<dyn Clock>) -> Self {
        Self { guard, clock, away_until_micros: 0 }
    }

    /// The days of `batch` whose claims are not all granted. An error says that nothing may be appended.
    pub(super) async fn claim(&mut self, batch: &Batch) -> Result<LostOfDays, CommitFailure> {
        let wanted: Vec<&RecordClaims> = batch.groups.iter().flat_map(|group| &group.claims).collect();
        if wanted.is_empty() {
            return Ok(LostOfDays::default());
        }
        if self.clock.monotonic_micros() < self.away_until_micros {
            return Err(CommitFailure::Failed("the store of claims was away a moment ago".into()));
        }
        let mut reason = String::new();
        for _ in 0..TRIES {
            // A panic says nothing about what was claimed before it.
            let claimed = AssertUnwindSafe(self.guard.store().claim(&wanted)).catch_unwind().await;
            match claimed.unwrap_or_else(|_| Err(GuardError::Unknown("the store of claims panicked".to_owned()))) {
                Ok(lost) => return Ok(by_day(lost)),
                Err(error @ GuardError::Away(_)) => {
                    reason = error.to_string();
                    break;
                }
                Err(error @ GuardError::Unknown(_)) => reason = error.to_string(),
            }
            self.clock.sleep(PAUSE).await;
        }
        tracing::warn!(%reason, claims = wanted.len(), "records that claim something are not written");
        self.away_until_micros = self.clock.monotonic_micros() + AWAY_MICROS;
        Err(CommitFailure::Failed(reason.into()))
    }

    /// Nothing of `group` is written, and nothing will be.
    pub(super) fn give_back(&self, group: &Group) {
        for id in group.claims.iter().flat_map(RecordClaims::ids) {
            self.guard.give_back(GivenBack::Id(id));
        }
    }
}

fn by_day(lost: Vec<Lost>) -> LostOfDays {
    let mut days = LostOfDays::default();
    for lost in lost {
        days.entry(lost.day).or_default().push(lost);
    }
    days
}
