//! The parts of sending a message as ports that tell when they are at work, and let a test come between one step and the next.
//! Must not know: what the test does there, which store it is.

use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{AppointmentId, UtcMillis};
use parking_lot::Mutex;
use uuid::Uuid;

use super::virtual_time::VirtualTime;
use crate::journal::ReadError;
use crate::ledger::ApplyError;
use crate::ledger::reminders::{Claimer, Outcome, ReminderKey, ReminderRow, ReminderStore};
use crate::ownership::ShardSet;
use crate::reminders::check::{Check, Verdict};
use crate::spawn::Work;

/// A place between two steps of sending.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Seam {
    /// Somebody is about to claim them.
    BeforeClaim,
    /// They are claimed, and nobody has asked whether they are still true.
    Claimed,
    /// They are true, and no provider has any.
    Checked,
    /// The provider has them, and has not said so.
    Taken,
    /// The provider has said so, and nobody has recorded it.
    BeforeRecord,
    /// It is recorded, and nobody knows.
    Recorded,
}

impl Seam {
    /// All of them, in order.
    pub const ALL: [Self; 6] =
        [Self::BeforeClaim, Self::Claimed, Self::Checked, Self::Taken, Self::BeforeRecord, Self::Recorded];
}

/// What a test does at a seam.
type Meddle = Arc<dyn Fn(Seam) -> Work + Send + Sync>;

/// Where a test may come between. Nobody does at first.
#[derive(Default)]
pub struct Seams(Mutex<Option<Meddle>>);

impl Seams {
    /// From now on that is done at every seam.
    pub fn meddle(&self, meddle: impl Fn(Seam) -> Work + Send + Sync + 'static) {
        *self.0.lock() = Some(Arc::new(meddle));
    }

    /// From now on nothing is.
    pub fn leave(&self) {
        *self.0.lock() = None;
    }

    /// Somebody is at this seam.
    pub async fn reach(&self, seam: Seam) {
        let meddle = self.0.lock().clone();
        if let Some(meddle) = meddle {
            meddle(seam).await;
        }
    }
}

/// A store, or whoever knows appointments, with seams around what it does.
pub struct WithSeams<T> {
    /// What it is.
    pub inner: Arc<T>,
    /// Stands while it is at work.
    pub time: VirtualTime,
    /// See there.
    pub seams: Arc<Seams>,
}

#[async_trait]
impl<T: Check> Check for WithSeams<T> {
    async fn check(&self, rows: &[ReminderRow]) -> Vec<Verdict> {
        self.seams.reach(Seam::Claimed).await;
        let _busy = self.time.busy();
        self.inner.check(rows).await
    }
}

#[async_trait]
impl<T: ReminderStore> ReminderStore for WithSeams<T> {
    async fn due(
        &self,
        shards: &ShardSet,
        after: Option<(UtcMillis, ReminderKey)>,
        until: UtcMillis,
        limit: usize,
    ) -> Result<Vec<ReminderRow>, ReadError> {
        let _busy = self.time.busy();
        self.inner.due(shards, after, until, limit).await
    }

    async fn pending_of(&self, appointments: &[AppointmentId]) -> Result<Vec<ReminderRow>, ReadError> {
        let _busy = self.time.busy();
        self.inner.pending_of(appointments).await
    }

    async fn of_appointment(&self, id: AppointmentId) -> Result<Vec<ReminderRow>, ReadError> {
        let _busy = self.time.busy();
        self.inner.of_appointment(id).await
    }

    async fn claim(
        &self,
        keys: &[ReminderKey],
        claimer: Claimer,
        now: UtcMillis,
        lapses_at: UtcMillis,
    ) -> Result<Vec<ReminderRow>, ApplyError> {
        self.seams.reach(Seam::BeforeClaim).await;
        let _busy = self.time.busy();
        self.inner.claim(keys, claimer, now, lapses_at).await
    }

    async fn record(
        &self,
        outcomes: &[(ReminderKey, Outcome)],
        claimer: Claimer,
        now: UtcMillis,
    ) -> Result<Vec<ReminderRow>, ApplyError> {
        self.seams.reach(Seam::BeforeRecord).await;
        let recorded = {
            let _busy = self.time.busy();
            self.inner.record(outcomes, claimer, now).await
        };
        self.seams.reach(Seam::Recorded).await;
        recorded
    }

    async fn dead(&self, after: Option<(UtcMillis, Uuid)>, limit: usize) -> Result<Vec<ReminderRow>, ReadError> {
        let _busy = self.time.busy();
        self.inner.dead(after, limit).await
    }

    async fn dead_count(&self, shards: &ShardSet) -> Result<u64, ReadError> {
        let _busy = self.time.busy();
        self.inner.dead_count(shards).await
    }

    async fn redrive(&self, message: Option<Uuid>, now: UtcMillis) -> Result<u64, ApplyError> {
        let _busy = self.time.busy();
        self.inner.redrive(message, now).await
    }

    async fn discard(&self, message: Uuid) -> Result<bool, ApplyError> {
        let _busy = self.time.busy();
        self.inner.discard(message).await
    }
}
