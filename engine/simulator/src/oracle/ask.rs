//! What a workload can ask of the engine, what it can be told, and when: the plain values between the simulator and the oracle.
//! Must not know: how a reply is judged.

use std::collections::BTreeMap;
use std::sync::Arc;

use booking_core::{AppointmentId, DayKey, PersonalText, RequestKey, UtcMillis};
use engine::EngineError;
use engine::view::{
    AppointmentAction, AppointmentAddress, AppointmentQuery, AppointmentReply, BookRequest, Caller, DayReply, DayView,
    HistoryItem, PlacedAppointment, PublishRequest, RescheduleRequest,
};

/// A request. The oracle tells whose effect a record is by `envelope.request`: no two requests may share one.
#[derive(Clone, Debug)]
pub enum Asked {
    /// A place, held or booked. `booking.appointment` and `booking.busy` say nothing: the engine fills them in.
    Book(BookRequest),
    /// A confirm, a cancel or a no-show.
    Change {
        /// Where the caller believes it to stand.
        address: AppointmentAddress,
        /// What is to happen.
        action: AppointmentAction,
        /// Who asks.
        caller: Caller,
    },
    /// Another place.
    Reschedule(RescheduleRequest),
    /// A day, new or amended.
    Publish(PublishRequest),
    /// Nothing more on a day.
    Close {
        /// Which.
        day: DayKey,
        /// Why, if said.
        reason: Option<PersonalText>,
        /// Who asks.
        caller: Caller,
    },
    /// A day's picture.
    ReadDay(DayKey),
    /// One appointment.
    ReadAppointment(AppointmentId),
    /// Appointments of a patient or a day.
    List(AppointmentQuery),
    /// The life of one appointment.
    History(AppointmentId),
}

impl Asked {
    /// The key that came with it, where the call takes one.
    pub fn key(&self) -> Option<&RequestKey> {
        match self {
            Self::Book(request) => request.caller.key.as_ref(),
            Self::Change { caller, .. } | Self::Close { caller, .. } => caller.key.as_ref(),
            Self::Reschedule(request) => request.caller.key.as_ref(),
            Self::Publish(_) | Self::ReadDay(_) | Self::ReadAppointment(_) | Self::List(_) | Self::History(_) => None,
        }
    }
}

/// A success.
#[derive(Clone, Debug)]
pub enum Told {
    /// Of a booking, a change, a reschedule.
    Appointment(AppointmentReply),
    /// Of a publication or a close.
    Day(DayReply),
    /// Of a read of a day.
    View(DayView),
    /// Of a read of an appointment.
    Placed(PlacedAppointment),
    /// Of a list.
    List(Vec<PlacedAppointment>),
    /// Of a history.
    History(Vec<HistoryItem>),
}

/// What a client receives.
pub type Reply = Result<Told, EngineError>;

/// What every reader must be able to see when a request was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Floor {
    /// Every record up to this position: for a simulator that publishes in the instant of durability, and at rest.
    Position(u64),
    /// By day, every record up to the last of which somebody had been told (see `Oracle::told`). What is durable but was told to
    /// nobody may be seen or not.
    Told(Arc<BTreeMap<DayKey, u64>>),
}

impl Floor {
    /// The position up to which records of `day` must be seen; 0 for none.
    pub fn of(&self, day: DayKey) -> u64 {
        match self {
            Self::Position(position) => *position,
            Self::Told(by_day) => by_day.get(&day).copied().unwrap_or(0),
        }
    }
}

/// When a request was under way.
#[derive(Clone, Debug)]
pub struct Window {
    /// What was certain when it was sent.
    pub from: Floor,
    /// The last durable position when the reply came.
    pub to_position: u64,
    /// The engine's time when it was sent.
    pub from_now: UtcMillis,
    /// The engine's time when the reply came.
    pub to_now: UtcMillis,
}

impl Window {
    /// The earlier of its ends: a clock can be set back.
    pub(super) fn earliest(&self) -> UtcMillis {
        self.from_now.min(self.to_now)
    }

    /// The later of its ends.
    pub(super) fn latest(&self) -> UtcMillis {
        self.from_now.max(self.to_now)
    }
}

/// What a right reply was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// A success; it stands on the record at this position.
    Success {
        /// See above.
        position: u64,
    },
    /// A refusal that was right at some instant.
    Refused,
    /// A read that shows what was.
    Read,
    /// Neither: the effect may be there, may come, or may never. Whether it was excusable is not judged here.
    Unknown,
}
