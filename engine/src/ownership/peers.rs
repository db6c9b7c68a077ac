//! What one node asks another so that what spans doctor-days works when they have different owners: the questions, and how they are
//! asked.
//! Must not know: how a question is carried, how it is answered.
//!
//! A question may arrive twice, late, or though its asker has given up; each is a read, or a step that changes nothing the second time.
//! Whoever is asked answers only for what it speaks for, inside its lease.

use std::sync::Arc;
use std::time::Duration;

use booking_core::{
    Action, Appointment, AppointmentId, Arriving, Command, DayKey, DayVersion, Envelope, Home, MoveId, PatientId,
    RequestKey, SubjectId, UtcMillis,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::publishing::PublishLock;
use super::{PeerTransport, ShardSet};
use crate::actors::request::{CommandReply, CommandResult};
use crate::clock::{Clock, timeout};
use crate::error::EngineError;
use crate::feed::Feed;
use crate::limits::PEER_MILLIS_MAX;

/// What joins this process to the other nodes. The default is a process alone: it asks nobody, and pays for nothing.
#[derive(Clone, Default)]
pub struct Cluster {
    /// How other nodes are asked.
    pub transport: Option<Arc<dyn PeerTransport>>,
    /// One publisher a doctor among all nodes.
    pub publish_lock: Option<Arc<dyn PublishLock>>,
    /// Where changes are announced.
    pub feed: Option<Arc<Feed>>,
}

/// A question to another node. Its answer is a `Result` of what is said beside it and [`EngineError`], as JSON.
#[derive(Serialize, Deserialize)]
pub(crate) enum PeerQuestion {
    /// Take this step on a day of yours: [`Stepped`].
    Step { day: DayKey, step: Step },
    /// What became of an attempt to move an appointment out of a day of yours? `Option<Attempt>`: nothing if it cannot be said now.
    Attempt { day: DayKey, appointment: AppointmentId, move_id: MoveId },
    /// What does a day of yours offer? [`Outline`]; a refusal if it was never published.
    Definition { day: DayKey },
    /// The newest version that you know of an appointment which was born, or stood, on a day of this shard of yours:
    /// `Option<PlacedAppointment>`.
    Appointment { id: AppointmentId, shard: u16 },
    /// Which appointments of this patient wait for the ledger at yours? `Part<Vec<PlacedAppointment>>`.
    OverlayOf { patient: PatientId },
    /// Which steps of this appointment wait for the ledger at yours? `Part<Vec<HistoryItem>>`.
    History { id: AppointmentId },
    /// The first answer under this key, if it has won on a day of yours: `Part<Option<Stepped>>`.
    Replay { key: RequestKey },
    /// Does an appointment take its patient's time on a day of yours? [`ClaimState`].
    Claim { day: DayKey, appointment: AppointmentId },
    /// Has a key won on a day of yours? [`KeyClaimState`].
    Key { day: DayKey, subject: SubjectId, key: Box<str> },
    /// What have you written of these shards, which you may have had, that the ledger may not have? After this position of your log:
    /// `Vec<Remembered>`, a page of it (`super::memory`).
    Memory { shards: ShardSet, position: u64 },
}

/// A step of a move on the day of arrival, or the end of holds. Each changes nothing the second time. The steps on the day of departure
/// are not among them: a move is driven where that day is, so that an attempt which lost its driver can never commit.
#[derive(Serialize, Deserialize)]
pub(crate) enum Step {
    /// Keep a place.
    Hold { envelope: Envelope, arriving: Box<Arriving> },
    /// Take the appointment in.
    Accept { move_id: MoveId, row: Box<Appointment> },
    /// Give the place back.
    Drop { move_id: MoveId },
    /// Record every hold whose time has come, also of those that are on their way in.
    Expire,
}

impl Step {
    /// `command` as a step, if it is one that another node may take.
    pub(crate) fn of(command: &Command) -> Option<Self> {
        match &command.action {
            Action::HoldForMove(arriving) => {
                Some(Self::Hold { envelope: command.envelope, arriving: Box::new(arriving.clone()) })
            }
            Action::AcceptMove { move_id, row } => Some(Self::Accept { move_id: *move_id, row: Box::new(row.clone()) }),
            Action::DropMove { move_id } => Some(Self::Drop { move_id: *move_id }),
            Action::Expire => Some(Self::Expire),
            _ => None,
        }
    }

    /// The command that takes it.
    pub(crate) fn into_command(self) -> Command {
        match self {
            Self::Hold { envelope, arriving } => {
                Command { envelope, key: None, action: Action::HoldForMove(*arriving) }
            }
            Self::Accept { move_id, row } => {
                Command { action: Action::AcceptMove { move_id, row: *row }, ..Command::expire() }
            }
            Self::Drop { move_id } => Command { action: Action::DropMove { move_id }, ..Command::expire() },
            Self::Expire => Command::expire(),
        }
    }
}

/// What a step, or a repeated command on an appointment, came to.
#[derive(Serialize, Deserialize)]
pub(crate) enum Stepped {
    /// An appointment, as answered.
    Appointment { appointment: Box<Appointment>, home: Option<Home>, replayed: bool, at: UtcMillis },
    /// It is done.
    Done,
}

impl Stepped {
    /// From an answer of this process.
    pub(crate) fn of(reply: CommandReply) -> Result<Self, EngineError> {
        match reply {
            CommandReply::Appointment { appointment, home, replayed, at } => {
                Ok(Self::Appointment { appointment: Box::new(appointment), home, replayed, at })
            }
            CommandReply::Done => Ok(Self::Done),
            other => Err(EngineError::Internal(format!("a step was answered with {other:?}"))),
        }
    }
}

impl From<Stepped> for CommandReply {
    fn from(stepped: Stepped) -> Self {
        match stepped {
            Stepped::Appointment { appointment, home, replayed, at } => {
                Self::Appointment { appointment: *appointment, home, replayed, at }
            }
            Stepped::Done => Self::Done,
        }
    }
}

/// What a published day offers, as far as other days must know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outline {
    /// The zone of its definition.
    pub time_zone: Arc<str>,
    /// Start and end (exclusive) of its slots, sorted and disjoint.
    pub slots: Vec<(UtcMillis, UtcMillis)>,
    /// Of the record that this is the state after.
    pub version: DayVersion,
}

/// Whether an appointment takes its patient's time on a day, by the day's own durable state. Holds that are due have been recorded
/// as expired before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ClaimState {
    /// Held or booked there, durably.
    Live {
        /// From.
        start: UtcMillis,
        /// Until, exclusive.
        end: UtcMillis,
    },
    /// Decided there and not durable yet, or a place is kept for it: ask again.
    Pending,
    /// It is not there, or over: nothing decided so far makes it take that time.
    Absent,
}

/// Whether a key has won on a day, by the day's own durable state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum KeyClaimState {
    /// It is remembered there, durably.
    Won,
    /// Decided there and not durable yet: ask again.
    Pending,
    /// It is not remembered there, and nothing decided so far makes it so.
    Absent,
}

/// What one node knows, and of which shards that is all there is beside the ledger: those it spoke for when it was asked. Shards that
/// nobody has named are being taken over, and what was recorded there may be known to nobody for a moment.
#[derive(Serialize, Deserialize)]
pub(crate) struct Part<T> {
    pub(crate) shards: ShardSet,
    pub(crate) found: T,
}

/// The other nodes, as this one asks them.
pub(crate) struct Peers {
    transport: Arc<dyn PeerTransport>,
    clock: Arc<dyn Clock>,
}

impl Peers {
    pub(crate) fn new(transport: Arc<dyn PeerTransport>, clock: Arc<dyn Clock>) -> Self {
        Self { transport, clock }
    }

    /// The answer of the node at `address`, or [`EngineError::Unavailable`] if there is none within [`PEER_MILLIS_MAX`].
    pub(crate) async fn ask<T: DeserializeOwned>(&self, address: &str, question: Vec<u8>) -> Result<T, EngineError> {
        let limit = Duration::from_millis(PEER_MILLIS_MAX);
        match timeout(&*self.clock, limit, self.transport.ask(address, question)).await {
            Some(Ok(answer)) => decode(&answer),
            Some(Err(reason)) => Err(EngineError::Unavailable(format!("another node does not answer: {reason}"))),
            None => Err(EngineError::Unavailable("another node does not answer in time".to_owned())),
        }
    }
}

/// A question as it is carried.
pub(crate) fn encode_question(question: &PeerQuestion) -> Result<Vec<u8>, EngineError> {
    serde_json::to_vec(question).map_err(|error| EngineError::Internal(format!("a question to a node: {error}")))
}

/// An answer as it is carried.
pub(crate) fn encode<T: Serialize>(answer: &Result<T, EngineError>) -> Vec<u8> {
    // What cannot be written down is no answer, and the asker takes it so.
    serde_json::to_vec(answer).unwrap_or_default()
}

/// The answer that was carried.
pub(crate) fn decode<T: DeserializeOwned>(answer: &[u8]) -> Result<T, EngineError> {
    // The text of the error could hold a part of the answer, which is about a person.
    serde_json::from_slice(answer).unwrap_or_else(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Err(EngineError::Unavailable(format!("another node's answer cannot be read at {place}")))
    })
}

/// What `result` is on the wire.
pub(crate) fn stepped(result: CommandResult) -> Result<Stepped, EngineError> {
    result.and_then(Stepped::of)
}
