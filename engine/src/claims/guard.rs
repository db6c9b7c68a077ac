//! What a record claims across days that several nodes decide, and the port of the store in which it does: before the record is
//! appended, and never on the store's own word alone (`protocols.md` B 3 to 5, C 3).
//! Must not know: SQL, how a day decides, how other nodes are asked.
//!
//! A claim without its record is an orphan: of a crash, of a failed append, of a freed place whose claim is not deleted yet. It holds
//! nobody up for ever: whoever meets a claim asks its day, and deletes it if the day knows nothing of it.

use async_trait::async_trait;
use booking_core::{AppointmentId, Date, DayKey, DayVersion, RequestKey, UtcMillis};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Visit;
use crate::error::EngineError;
use crate::ledger::won_keys::KeyDigest;
use crate::ownership::peers::{ClaimState, KeyClaimState};

/// Everything that one record claims.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordClaims {
    /// The day of the record.
    pub day: DayKey,
    /// The record.
    pub version: DayVersion,
    /// The time that it takes of a patient.
    pub visit: Option<VisitClaim>,
    /// The key that it remembers.
    pub key: Option<KeyClaim>,
}

/// A claim to a time of a patient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VisitClaim {
    /// Names the claim; made with the decision, so that an attempt which is repeated is the same one.
    pub id: Uuid,
    /// Whose time, from when to when, for which appointment.
    pub visit: Visit,
}

/// A claim to an idempotency key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyClaim {
    /// As in [`VisitClaim`].
    pub id: Uuid,
    /// Which.
    pub key: RequestKey,
    /// The last date on which it must be known.
    pub until: Date,
}

impl KeyClaim {
    /// The key, told apart from all others without naming it.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.key.subject, &self.key.key)
    }
}

impl RecordClaims {
    /// What record `version` of `day` claims, decided under `generation`; `None` if that is nothing.
    pub fn of(
        day: DayKey,
        version: DayVersion,
        generation: u64,
        visit: Option<Visit>,
        key: Option<(&RequestKey, Date)>,
    ) -> Option<Self> {
        let id = |kind| claim_id(day, version, generation, kind);
        let visit = visit.map(|visit| VisitClaim { id: id(b'v'), visit });
        let key = key.map(|(key, until)| KeyClaim { id: id(b'k'), key: key.clone(), until });
        (visit.is_some() || key.is_some()).then_some(Self { day, version, visit, key })
    }

    /// The names of its claims.
    pub fn ids(&self) -> impl Iterator<Item = Uuid> {
        self.visit.iter().map(|claim| claim.id).chain(self.key.iter().map(|claim| claim.id))
    }
}

/// No two decisions have the same: an epoch has one process, which never uses a generation twice, and a generation never a number.
fn claim_id(day: DayKey, version: DayVersion, generation: u64, kind: u8) -> Uuid {
    let hash = Sha256::new()
        .chain_update(day_bytes(day))
        .chain_update(version.epoch.to_be_bytes())
        .chain_update(version.sequence.to_be_bytes())
        .chain_update(generation.to_be_bytes())
        .chain_update([kind])
        .finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    Uuid::from_bytes(half)
}

/// A day as stores keep it: the doctor's sixteen bytes, then the days since 1970, big-endian.
pub fn day_bytes(day: DayKey) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[..16].copy_from_slice(day.doctor.as_bytes());
    bytes[16..].copy_from_slice(&day.date.days().to_be_bytes());
    bytes
}

/// A claim of another day that stands in the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Blocker {
    /// Of the patient's time.
    Visit {
        /// The claim's name.
        id: Uuid,
        /// The day that knows of it.
        day: DayKey,
        /// The time that is claimed, and for which appointment. A hold's end is not told.
        visit: Visit,
    },
    /// Of the key.
    Key {
        /// The claim's name.
        id: Uuid,
        /// The day that knows of it.
        day: DayKey,
        /// Which key.
        key: RequestKey,
    },
}

impl Blocker {
    /// The claim's name.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Visit { id, .. } | Self::Key { id, .. } => *id,
        }
    }

    /// The day that knows of it.
    pub fn day(&self) -> DayKey {
        match self {
            Self::Visit { day, .. } | Self::Key { day, .. } => *day,
        }
    }
}

/// A record whose claims were not all granted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    /// The day of the record.
    pub day: DayKey,
    /// The record.
    pub version: DayVersion,
    /// What stands in its way; of each claim at most a few.
    pub blockers: Vec<Blocker>,
}

/// A claim that is not needed any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GivenBack {
    /// By name: of a record that is not written, or that its day knows nothing of.
    Id(Uuid),
    /// Of every record of `day` before `sequence`, for `appointment`: that record is durable and takes the appointment from where it
    /// was. Late or twice it is as right as at once, because nothing that comes after it has a lower number.
    Before {
        /// Which appointment.
        appointment: AppointmentId,
        /// Which day.
        day: DayKey,
        /// The record.
        sequence: u64,
    },
}

/// Why the store did not say what is claimed.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Nothing was claimed: it is away, or refuses.
    #[error("the store of claims is away: {0}")]
    Away(String),
    /// Some or all may be claimed, or may be still: the same claims can be asked for again.
    #[error("it is unknown what the store of claims did: {0}")]
    Unknown(String),
}

/// The store of claims. Every call has a deadline of its own.
#[async_trait]
pub trait ClaimGuard: Send + Sync + 'static {
    /// Claims everything that `wanted` names; a claim that is present under its name is granted. Durable when it returns. Returns the
    /// records of which something is not granted; what else of them was granted stays, until it is given back.
    async fn claim(&self, wanted: &[&RecordClaims]) -> Result<Vec<Lost>, GuardError>;

    /// Deletes claims. One that is not there is no error.
    async fn give_back(&self, given: &[GivenBack]) -> Result<(), GuardError>;

    /// Deletes claims of visits that ended before `now` and of keys whose last date has passed: at most a few thousand at once. Returns how
    /// many.
    async fn sweep(&self, now: UtcMillis) -> Result<u64, GuardError>;
}

/// What the owners of days say of claims: this engine of its own days, other nodes of theirs.
#[async_trait]
pub trait ClaimStates: Send + Sync + 'static {
    /// Whether `appointment` takes its patient's time on `day`.
    async fn claim_state(&self, day: DayKey, appointment: AppointmentId) -> Result<ClaimState, EngineError>;

    /// Whether `key` has won on `day`.
    async fn key_state(&self, day: DayKey, key: &RequestKey) -> Result<KeyClaimState, EngineError>;
}

/// Whether two visits take the same time of the same patient.
pub(super) fn overlap(one: &Visit, other: &Visit) -> bool {
    one.patient == other.patient && one.start < other.end && other.start < one.end
}

/// Whether two claims cannot both stand: of one patient, at one time, on two days, for two appointments.
pub(super) fn exclude(day: DayKey, one: &Visit, other_day: DayKey, other: &Visit) -> bool {
    day != other_day && one.appointment != other.appointment && overlap(one, other)
}
