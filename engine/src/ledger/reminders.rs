//! Reminders as they are kept: one row a message, and the port of the store that has them.
//! Must not know: who is told what in which words, how a message leaves, when the next one is looked for.

use async_trait::async_trait;
use booking_core::{AppointmentId, DayKey, DoctorId, PatientId, UtcMillis};
use uuid::Uuid;

use super::ApplyError;
use super::people::Channel;
use crate::ids::derived;
use crate::journal::ReadError;
use crate::ownership::ShardSet;

/// The namespace of message ids.
const MESSAGES: Uuid = Uuid::from_u128(0x5b0f_6a39_6f2e_4c0e_9d0b_1e6a_7c2d_4f81);

/// Why a message is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
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

impl Kind {
    /// All of them, in the order of their numbers in stores, from 0.
    pub const ALL: [Self; 4] = [Self::Reminder, Self::Confirmation, Self::Change, Self::Cancellation];

    /// The word for it on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reminder => "reminder",
            Self::Confirmation => "confirmation",
            Self::Change => "change",
            Self::Cancellation => "cancellation",
        }
    }
}

/// Who is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Recipient {
    /// Whose visit it is.
    Patient,
    /// Whose time it is.
    Doctor,
}

impl Recipient {
    /// All of them, in the order of their numbers in stores, from 0.
    pub const ALL: [Self; 2] = [Self::Patient, Self::Doctor];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Doctor => "doctor",
        }
    }
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

impl ReminderStatus {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::Sending, Self::Sent, Self::Failed, Self::Cancelled, Self::Missed, Self::Dead];

    /// The word for it, the same on the wire and in stores.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Missed => "missed",
            Self::Dead => "dead",
        }
    }

    /// Whether it may still go out by itself.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Sending)
    }
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

impl ReminderKey {
    /// What a recipient tells two copies of one message by: a UUID of version 5 over the key, so that whoever sends the row
    /// again, after whatever crash, says the same.
    pub fn message_id(&self) -> Uuid {
        derived(&[
            MESSAGES.as_bytes(),
            self.appointment.as_bytes(),
            &self.version.to_be_bytes(),
            &[self.kind as u8, self.recipient as u8],
            &self.offset_seconds.to_be_bytes(),
            self.channel.word().as_bytes(),
        ])
    }
}

impl ReminderKey {
    /// The first and the last key that an appointment can have.
    pub(crate) const fn bounds(appointment: AppointmentId) -> [Self; 2] {
        let first = Self {
            appointment,
            version: 0,
            kind: Kind::Reminder,
            offset_seconds: 0,
            channel: Channel::File,
            recipient: Recipient::Patient,
        };
        let last = Self {
            appointment,
            version: u32::MAX,
            kind: Kind::Cancellation,
            offset_seconds: u32::MAX,
            channel: Channel::Webhook,
            recipient: Recipient::Doctor,
        };
        [first, last]
    }
}

/// A channel that can be ordered, as keys are.
pub type ChannelWord = Channel;

/// One message as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReminderRow {
    /// Which.
    pub key: ReminderKey,
    /// The day on which the appointment stands: its shard's owner sends. Of a row that is over, where it stands now.
    pub day: DayKey,
    /// Whose visit.
    pub patient: PatientId,
    /// When the visit begins. Of a row that is over, when it begins now.
    pub start: UtcMillis,
    /// When it was to go out first; what a reader is told.
    pub due_at: UtcMillis,
    /// When it is looked at next: its instant, or that of the next attempt; of a claimed one, when the claim lapses; of one
    /// that is over, [`ReminderRow::due_at`].
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

/// What a row is after an attempt, and the row of the next channel if there is one.
#[derive(Debug)]
pub(in crate::ledger) struct Settled {
    pub(in crate::ledger) row: ReminderRow,
    pub(in crate::ledger) next: Option<ReminderRow>,
}

impl ReminderRow {
    /// The row as `claimer` has it from now on; `None` if it may not: see [`ReminderStore::claim`].
    pub(in crate::ledger) fn claimed(
        mut self,
        held_by: Option<Uuid>,
        claimer: Claimer,
        now: UtcMillis,
        lapses_at: UtcMillis,
    ) -> Option<Self> {
        let is_free = match self.status {
            ReminderStatus::Pending => self.next_at <= now,
            ReminderStatus::Sending => self.next_at <= now || held_by != Some(claimer.incarnation),
            _ => false,
        };
        is_free.then(|| {
            self.status = ReminderStatus::Sending;
            self.attempts = self.attempts.saturating_add(1);
            self.next_at = lapses_at;
            self
        })
    }

    /// The row after `outcome`: see [`ReminderStore::record`]. `is_void`: the appointment has changed since it was planned.
    pub(in crate::ledger) fn settled(mut self, outcome: &Outcome, is_void: bool, now: UtcMillis) -> Settled {
        let mut next = None;
        self.next_at = self.due_at;
        self.status = match outcome {
            Outcome::Sent => {
                self.sent_at = Some(now);
                self.last_error = None;
                ReminderStatus::Sent
            }
            Outcome::Missed => ReminderStatus::Missed,
            Outcome::Cancelled => ReminderStatus::Cancelled,
            Outcome::Released { at, error } => {
                self.attempts = self.attempts.saturating_sub(1);
                self.last_error = error.clone().or(self.last_error);
                if is_void {
                    ReminderStatus::Cancelled
                } else {
                    self.next_at = *at;
                    ReminderStatus::Pending
                }
            }
            Outcome::Again { error, .. } | Outcome::GivenUp { error } => {
                self.last_error = Some(error.clone());
                match outcome {
                    _ if is_void => ReminderStatus::Cancelled,
                    Outcome::Again { at, .. } => {
                        self.next_at = *at;
                        ReminderStatus::Pending
                    }
                    _ => {
                        next = self.over_the_next_channel(now);
                        if next.is_some() { ReminderStatus::Failed } else { ReminderStatus::Dead }
                    }
                }
            }
        };
        Settled { row: self, next }
    }

    /// It never goes out.
    #[cfg(feature = "testing")]
    pub(in crate::ledger) fn cancel(&mut self) {
        self.status = ReminderStatus::Cancelled;
        self.next_at = self.due_at;
    }

    fn over_the_next_channel(&self, now: UtcMillis) -> Option<Self> {
        let (channel, fallback) = self.fallback.split_first()?;
        Some(Self {
            key: ReminderKey { channel: *channel, ..self.key },
            due_at: now,
            next_at: now,
            status: ReminderStatus::Pending,
            attempts: 0,
            last_error: None,
            sent_at: None,
            fallback: fallback.to_vec(),
            ..self.clone()
        })
    }
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
    /// Not tried after all: pending again, and the claim was no attempt.
    Released {
        /// When it is looked at next.
        at: UtcMillis,
        /// Why, without personal data; `None`: what was said last stays.
        error: Option<String>,
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

/// The rows, as the reminders' actor and readers see them. What a claimer writes is fenced by the epochs of the rows' shards, as
/// what the applier writes is.
#[async_trait]
pub trait ReminderStore: Send + Sync + 'static {
    /// Pending rows, and claimed ones whose claim may lapse, of `shards` with `next_at` before `until`, by (`next_at`, key) and
    /// behind `after`, if that is given; at most `limit`.
    async fn due(
        &self,
        shards: &ShardSet,
        after: Option<(UtcMillis, ReminderKey)>,
        until: UtcMillis,
        limit: usize,
    ) -> Result<Vec<ReminderRow>, ReadError>;

    /// The pending rows of these appointments: what the applier has just written.
    async fn pending_of(&self, appointments: &[AppointmentId]) -> Result<Vec<ReminderRow>, ReadError>;

    /// Every row of one appointment, by (version, due instant, key).
    async fn of_appointment(&self, id: AppointmentId) -> Result<Vec<ReminderRow>, ReadError>;

    /// Claims those of `keys` that are pending with `next_at` ≤ `now`, or whose claim has lapsed (its `next_at` ≤ `now`, or made by
    /// another incarnation): status `sending`, one attempt more, `next_at` = `lapses_at`. Returns the rows that are the claimer's
    /// now, by key; the others are not to be sent. Rows of shards that this process does not own are left out; if another process
    /// has taken over one that it believes its own, nothing is claimed.
    async fn claim(
        &self,
        keys: &[ReminderKey],
        claimer: Claimer,
        now: UtcMillis,
        lapses_at: UtcMillis,
    ) -> Result<Vec<ReminderRow>, ApplyError>;

    /// Records what became of claimed rows, all in one transaction; a row that is not this claimer's any more is left as it is. Of a
    /// row whose appointment has changed meanwhile only [`Outcome::Sent`] and [`Outcome::Missed`] are taken at their word: whatever
    /// else, it is cancelled. Returns the rows of the next channels that were written.
    async fn record(
        &self,
        outcomes: &[(ReminderKey, Outcome)],
        claimer: Claimer,
        now: UtcMillis,
    ) -> Result<Vec<ReminderRow>, ApplyError>;

    /// A page of dead rows by (due instant, message id), after `after`.
    async fn dead(&self, after: Option<(UtcMillis, Uuid)>, limit: usize) -> Result<Vec<ReminderRow>, ReadError>;

    /// How many dead rows of `shards` there are. A file has one owner, who is told of all of them.
    async fn dead_count(&self, shards: &ShardSet) -> Result<u64, ReadError>;

    /// Makes dead rows pending again, to be looked at from `now` on, with no attempts: the one with this message id, or all.
    /// Returns how many. Any process may: nobody else writes a dead row.
    async fn redrive(&self, message: Option<Uuid>, now: UtcMillis) -> Result<u64, ApplyError>;

    /// Takes a dead row out of the dead letters for good (status `failed`). Whether there was one. Any process may.
    async fn discard(&self, message: Uuid) -> Result<bool, ApplyError>;
}

/// Whose policy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PolicyScope {
    /// Of everybody in a clinic.
    Clinic(Uuid),
    /// Of one doctor: stands before the clinic's.
    Doctor(DoctorId),
}
