//! Reminders as they are kept: one row a message, and the port of the store that has them.
//! Must not know: who is told what in which words, how a message leaves, when the next one is looked for.

use async_trait::async_trait;
use booking_core::{AppointmentId, DayKey, DoctorId, PatientId, UtcMillis};
use uuid::Uuid;

use super::ApplyError;
use super::people::Channel;
use crate::journal::ReadError;
use crate::ownership::ShardSet;

/// Why a message is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// So long before the visit.
    Reminder,
    /// It was booked.
    Confirmation,
    /// It was moved.
    Change,
    /// It was cancelled.
    Cancellation,
}

/// Who is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Recipient {
    /// Whose visit it is.
    Patient,
    /// Whose time it is.
    Doctor,
}

/// What has become of a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReminderStatus {
    /// It waits for its instant, or for its next attempt.
    Pending,
    /// Somebody has claimed it and is sending it, or died over it.
    Sending,
    /// A provider has taken it.
    Sent,
    /// This channel will not take it; the next of the fallback order has a row of its own.
    Failed,
    /// The appointment has changed since: it never goes out.
    Cancelled,
    /// It was found due only when the visit had begun.
    Missed,
    /// No channel takes it: an operator looks.
    Dead,
}

/// What tells one message from every other; its `message_id` follows from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReminderKey {
    /// Of which appointment.
    pub appointment: AppointmentId,
    /// Of which of its versions.
    pub version: u32,
    /// Why.
    pub kind: Kind,
    /// Seconds before the start; 0 unless it is a [`Kind::Reminder`].
    pub offset_seconds: u32,
    /// How it leaves.
    pub channel: ChannelWord,
    /// To whom.
    pub recipient: Recipient,
}

/// A channel that can be ordered, as keys are.
pub type ChannelWord = Channel;

/// One message as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReminderRow {
    /// Which.
    pub key: ReminderKey,
    /// The day on which the appointment stands at that version: its shard's owner sends.
    pub day: DayKey,
    /// Whose visit.
    pub patient: PatientId,
    /// When the visit begins.
    pub start: UtcMillis,
    /// When it was to go out first; what a reader is told.
    pub due_at: UtcMillis,
    /// When it is looked at next: its instant, or that of the next attempt; of a claimed one, when the claim lapses.
    pub next_at: UtcMillis,
    /// What has become of it.
    pub status: ReminderStatus,
    /// How often it was claimed.
    pub attempts: u32,
    /// What the last attempt came to, in words without personal data.
    pub last_error: Option<String>,
    /// When a provider took it.
    pub sent_at: Option<UtcMillis>,
    /// Channels to try after this one, in order.
    pub fallback: Vec<Channel>,
}

/// Who claims rows: an owner under its epochs, this start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claimer {
    /// The process's start.
    pub incarnation: Uuid,
}

/// What became of one attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A provider took it.
    Sent,
    /// Tried again then.
    Again {
        /// When.
        at: UtcMillis,
        /// Why, without personal data.
        error: String,
    },
    /// The channel gives up. If the row has a fallback, it becomes `failed` and the next channel's row is written, due at once; else `dead`.
    GivenUp {
        /// Why, without personal data.
        error: String,
    },
    /// The appointment has changed.
    Cancelled,
    /// The visit has begun.
    Missed,
}

/// The rows, as the reminders' actor and readers see them. All writes are fenced by the epochs of the rows' shards, as the applier's are.
#[async_trait]
pub trait ReminderStore: Send + Sync + 'static {
    /// Pending rows, and claimed ones whose claim may lapse, of `shards` with `next_at` before `until`, by `next_at`; at most `limit`.
    async fn due(&self, shards: &ShardSet, until: UtcMillis, limit: usize) -> Result<Vec<ReminderRow>, ReadError>;

    /// The pending rows of these appointments: what the applier has just written.
    async fn pending_of(&self, appointments: &[AppointmentId]) -> Result<Vec<ReminderRow>, ReadError>;

    /// Every row of one appointment, by (version, due instant, key).
    async fn of_appointment(&self, id: AppointmentId) -> Result<Vec<ReminderRow>, ReadError>;

    /// Claims those of `keys` that are pending with `next_at` ≤ `now`, or whose claim has lapsed (its `next_at` ≤ `now`, or made by another incarnation): status `sending`, one attempt more,
    /// `next_at` = `lapses_at`. Returns the rows that are the claimer's now; the others are not to be sent.
    async fn claim(
        &self,
        keys: &[ReminderKey],
        claimer: Claimer,
        now: UtcMillis,
        lapses_at: UtcMillis,
    ) -> Result<Vec<ReminderRow>, ApplyError>;

    /// Records what became of claimed rows, all in one transaction; a row that is not this claimer's any more is left as it is. Returns the rows of the next
    /// channels that were written.
    async fn record(
        &self,
        outcomes: &[(ReminderKey, Outcome)],
        claimer: Claimer,
        now: UtcMillis,
    ) -> Result<Vec<ReminderRow>, ApplyError>;

    /// A page of dead rows by (due instant, key), after `after`.
    async fn dead(&self, after: Option<(UtcMillis, Uuid)>, limit: usize) -> Result<Vec<ReminderRow>, ReadError>;

    /// How many dead rows of `shards` there are.
    async fn dead_count(&self, shards: &ShardSet) -> Result<u64, ReadError>;

    /// Makes dead rows pending again, due at `now`, with no attempts: the one with this message id, or all. Returns how many.
    async fn redrive(&self, message: Option<Uuid>, now: UtcMillis) -> Result<u64, ApplyError>;

    /// Takes a dead row out of the dead letters for good (status `failed`). Whether there was one.
    async fn discard(&self, message: Uuid) -> Result<bool, ApplyError>;
}

/// Whose policy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PolicyScope {
    /// Of everybody in a clinic.
    Clinic(Uuid),
    /// Of one doctor: stands before the clinic's.
    Doctor(DoctorId),
}
