//! The relational record behind the journal: appointments, history, days, doctors, as ports.
//! Must not know: how decisions are made; SQL lives in the backends only.

pub mod agreement;
pub mod applier;
pub mod lost;
#[cfg(feature = "testing")]
pub mod memory;
pub mod overlay;
pub mod people;
pub mod postgres;
pub mod reader;
pub mod registry;
pub mod reminders;
mod sql;
pub mod sqlite;
pub mod won_keys;

use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{
    Appointment, AppointmentId, Change, Date, DayKey, DayVersion, Event, Home, PatientId, PersonalText, Role, Status,
    SubjectId, UtcMillis,
};
use uuid::Uuid;

use self::lost::LostOutcome;
use self::won_keys::{KeyDigest, LiveAppointment};
use crate::journal::{ChainHash, Head, ReadError, ShardCursor, StoredRecord};
use crate::ownership::ShardSet;

/// An appointment with the day it stands on.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct PlacedAppointment {
    /// The doctor-day.
    pub day: DayKey,
    /// The zone of the day's definition.
    pub time_zone: Arc<str>,
    /// The row.
    pub appointment: Appointment,
}

/// One step in the life of an appointment.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct HistoryItem {
    /// When.
    pub at: UtcMillis,
    /// By whom; the nil UUID for the engine itself.
    pub actor: SubjectId,
    /// In which capacity.
    pub role: Role,
    /// The status before; `None` at birth.
    pub from: Option<Status>,
    /// The status after.
    pub to: Status,
    /// Why, if said.
    pub reason: Option<PersonalText>,
    /// The appointment's version after this step.
    pub version: u32,
}

impl HistoryItem {
    /// The step that `change` is, as a part of `event`. An expiry is the engine's own doing, whoever's command met it:
    /// nobody learns from a history who else asked for a place.
    pub fn of(event: &Event, change: &Change) -> Self {
        let row = &change.row;
        let (actor, role) = match row.status {
            Status::Expired => (SubjectId(Uuid::nil()), Role::System),
            _ => (event.envelope.subject, event.envelope.role),
        };
        let reason = if row.status == Status::Cancelled { row.cancellation_reason.clone() } else { None };
        Self { at: event.at, actor, role, from: change.from, to: row.status, reason, version: row.version }
    }
}

/// Every change of `event`, with the home of its appointment from then on if that is another day than the recording one.
pub(crate) fn changes_with_homes(event: &Event) -> impl Iterator<Item = (&Change, Option<&Home>)> {
    let last = event.changes.len().saturating_sub(1);
    event.changes.iter().enumerate().map(move |(at, change)| (change, event.moved_to().filter(|_| at == last)))
}

/// One durable record, decoded, on its way into the ledger.
#[derive(Clone, Debug)]
pub struct AppliedRecord {
    /// Which day.
    pub day: DayKey,
    /// Its place in the day's log.
    pub version: DayVersion,
    /// Its position in the journal.
    pub position: u64,
    /// Its link of the chain.
    pub hash: ChainHash,
    /// The encoded event: a ledger behind a journal that may forget keeps it (`protocols.md` rule 20).
    pub body: Arc<[u8]>,
    /// What happened.
    pub event: Event,
}

impl AppliedRecord {
    /// Its place among the records of its shard.
    pub fn cursor(&self) -> ShardCursor {
        ShardCursor { epoch: self.version.epoch, position: self.position }
    }
}

/// A day with a record that the ledger could not apply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParkedDay {
    /// Which day.
    pub day: DayKey,
    /// The first record that is missing in the ledger.
    pub version: DayVersion,
    /// Every missing record has a journal position after this.
    pub position: u64,
    /// Why.
    pub reason: String,
}

/// Why a batch was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The store is away: try again later.
    #[error("the ledger did not answer: {0}")]
    Unavailable(String),
    /// Something in the batch cannot be applied: the applier looks for the day that causes it.
    #[error("the ledger refused: {0}")]
    Refused(String),
}

/// A filter and a page of appointments.
#[derive(Clone, Debug)]
pub struct AppointmentQuery {
    /// Whose: a patient's, or a day's.
    pub scope: AppointmentScope,
    /// Only these statuses as told at `now`; empty: all.
    pub statuses: Vec<Status>,
    /// Only starts at or after this.
    pub from: Option<UtcMillis>,
    /// Only starts before this.
    pub to: Option<UtcMillis>,
    /// Only after this (start, id), exclusive: where the previous page ended.
    pub after: Option<(UtcMillis, AppointmentId)>,
    /// At most so many.
    pub limit: usize,
    /// The present: `Completed` follows from it.
    pub now: UtcMillis,
}

impl AppointmentQuery {
    /// Whether `placed` belongs to the answer, the limit aside.
    pub fn admits(&self, placed: &PlacedAppointment) -> bool {
        let row = &placed.appointment;
        let in_scope = match self.scope {
            AppointmentScope::Patient(patient) => row.patient == patient,
            AppointmentScope::Day(day) => placed.day == day,
        };
        in_scope
            && (self.statuses.is_empty() || self.statuses.contains(&row.status_at(self.now)))
            && self.from.is_none_or(|from| row.start >= from)
            && self.to.is_none_or(|to| row.start < to)
            && self.after.is_none_or(|after| (row.start, row.id) > after)
    }
}

/// Whose appointments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppointmentScope {
    /// Of one patient, on any day.
    Patient(PatientId),
    /// Of one doctor-day.
    Day(DayKey),
}

/// The ledger, as the applier and the readers see it.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Applies `records` (in the order of positions) and moves the cursor to `position`, all in one transaction. Idempotent by
    /// (day, sequence): a record at or below the day's applied sequence changes nothing. Days that are parked are skipped.
    /// Refuses a gap or a fork in a day's sequences, a place taken twice or given back by one that does not have it, the same
    /// step of a history twice, and the closure of a day that was never published; then nothing of the batch is applied.
    async fn apply(&self, records: &[AppliedRecord], position: u64) -> Result<(), ApplyError>;

    /// Marks `day` as parked from record `version` on, with the reason, in one transaction with nothing else.
    async fn park(&self, day: DayKey, version: DayVersion, reason: &str) -> Result<(), ApplyError>;

    /// The parked days.
    async fn parked(&self) -> Result<Vec<ParkedDay>, ReadError>;

    /// Applies `records`, all of the parked `day`, and takes its mark away, in one transaction; the cursor stays. If this
    /// fails, the day stays parked and nothing is applied.
    async fn unpark(&self, day: DayKey, records: &[AppliedRecord]) -> Result<(), ApplyError>;

    /// The zone of a day's definition, as far as the ledger knows the day.
    async fn time_zone(&self, day: DayKey) -> Result<Option<Arc<str>>, ReadError>;

    /// The sequence up to which `day` is applied; 0 if nothing is.
    async fn applied_sequence(&self, day: DayKey) -> Result<u64, ReadError>;

    /// The journal position up to which everything is applied (parked days aside).
    async fn applied_position(&self) -> Result<u64, ReadError>;

    /// How far a shard is applied, by whomever (parked days aside).
    async fn shard_cursor(&self, shard: u16) -> Result<ShardCursor, ReadError>;

    /// How far each of `shards` is applied; one that never was may be missing.
    async fn shard_cursors(&self, shards: &ShardSet) -> Result<Vec<(u16, ShardCursor)>, ReadError> {
        let mut cursors = Vec::with_capacity(shards.len());
        for shard in shards.iter() {
            cursors.push((shard, self.shard_cursor(shard).await?));
        }
        Ok(cursors)
    }

    /// Applies `records`, all of `shard` and in the order of their cursors, which an earlier owner has written, and moves that
    /// shard's cursor to `cursor`, in one transaction, as [`Ledger::apply`] does.
    async fn apply_shard(&self, shard: u16, records: &[AppliedRecord], cursor: ShardCursor) -> Result<(), ApplyError>;

    /// The records of `day` after `sequence` as they were in the journal, by sequence, as far as the ledger keeps them: behind a
    /// journal that may forget its end, until the day is over; else none.
    async fn raw_records(&self, day: DayKey, sequence: u64) -> Result<Vec<StoredRecord>, ReadError>;

    /// Where the raw records of each day of `shard` end, as far as the ledger keeps any: what a repair compares with the journal.
    async fn raw_heads(&self, shard: u16) -> Result<Vec<(DayKey, Head)>, ReadError> {
        let _ = shard;
        Ok(Vec::new())
    }

    /// [`Ledger::raw_heads`] of the shards from `first` to `last`, both included: a node that starts has a thousand.
    async fn raw_heads_between(&self, first: u16, last: u16) -> Result<Vec<(DayKey, Head)>, ReadError> {
        let mut heads = Vec::new();
        for shard in first..=last {
            heads.extend(self.raw_heads(shard).await?);
        }
        Ok(heads)
    }

    /// Keeps `records` of branches that are over; how many of them were not known. After this their journal may let them go: whoever has
    /// the day finds them here and asks again for what they promised (`protocols.md` D 7). Also from an owner that is over.
    async fn note_lost(&self, records: &[StoredRecord]) -> Result<u64, ApplyError> {
        match records.len() {
            0 => Ok(0),
            count => Err(ApplyError::Refused(format!("{count} lost records cannot be kept here"))),
        }
    }

    /// The days with lost records that wait, by date.
    async fn lost_days(&self) -> Result<Vec<DayKey>, ReadError> {
        Ok(Vec::new())
    }

    /// The lost records of `day` that wait, by sequence.
    async fn lost_records(&self, day: DayKey) -> Result<Vec<StoredRecord>, ReadError> {
        let _ = day;
        Ok(Vec::new())
    }

    /// Says what became of lost records, of days of ours. What was said first stays.
    async fn settle_lost(&self, records: &[StoredRecord], outcome: &LostOutcome) -> Result<(), ApplyError> {
        let _ = (records, outcome);
        Ok(())
    }

    /// One appointment.
    async fn appointment(&self, id: AppointmentId) -> Result<Option<PlacedAppointment>, ReadError>;

    /// Those of `ids` that are known, in no particular order.
    async fn appointments_of(&self, ids: &[AppointmentId]) -> Result<Vec<PlacedAppointment>, ReadError> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.appointment(*id).await?);
        }
        Ok(found)
    }

    /// The steps of one appointment, oldest first.
    async fn history(&self, id: AppointmentId) -> Result<Vec<HistoryItem>, ReadError>;

    /// Appointments by (start, id).
    async fn appointments(&self, query: &AppointmentQuery) -> Result<Vec<PlacedAppointment>, ReadError>;

    /// Every held or booked appointment on days of `shards` that ends after `now`, also those whose hold is due, in no particular
    /// order. Rows are passed on as they are read, not collected. To be asked before these shards open: an answer takes long.
    async fn live_appointments(
        &self,
        shards: &ShardSet,
        now: UtcMillis,
        visit: &mut (dyn FnMut(LiveAppointment) + Send),
    ) -> Result<(), ReadError>;

    /// Every key that has won on a day of `shards`, with the day whose record remembers it and the last date that its answer
    /// concerns, where that is `from` or later; by that date. Passed on as they are read. Keys that were applied by a program that
    /// did not keep them are missing.
    async fn won_keys(
        &self,
        shards: &ShardSet,
        from: Date,
        visit: &mut (dyn FnMut(KeyDigest, DayKey, Date) + Send),
    ) -> Result<(), ReadError>;

    /// Forgets the keys whose answers concern no date from `before` on, and records kept of days before, in bounded transactions; returns how many those
    /// were. If it fails between two, the next call goes on.
    async fn forget_won_keys(&self, before: Date) -> Result<u64, ApplyError>;

    /// Flushes and releases the store.
    async fn close(&self);
}
