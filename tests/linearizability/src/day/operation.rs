//! What happens on one doctor-day, as the search sees it: a call together with its answer, in numbers of that day.
//! Must not know: other days, clients, instants.

use super::log::{Code, Status};

/// An appointment as an answer tells of it, without who and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The slot.
    pub slot: u8,
    /// The status.
    pub status: Status,
    /// The version.
    pub version: u16,
}

/// Under which key something was done, and which of the answers known for that key it had: 1 for the first, and so on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Won {
    /// Number of the key on this day.
    pub key: usize,
    /// Number of the answer. [`Won::UNSEEN`] if nobody ever saw it.
    pub answer: u16,
}

impl Won {
    /// The answer of a call of which nobody learnt the outcome.
    pub const UNSEEN: u16 = u16::MAX;
}

/// Something that changes one appointment. `seen` is how it was told afterwards; `None` if nobody was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Number of the appointment on this day.
    pub appointment: usize,
    /// What is done to it.
    pub deed: Deed,
    /// How it was told afterwards.
    pub seen: Option<Seen>,
    /// The key.
    pub won: Option<Won>,
}

/// What is done to an appointment. Slots are wishes: `None` is the earliest free one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    /// It comes into being.
    Take {
        /// Where.
        wish: Option<u8>,
        /// It is held, not booked.
        held: bool,
    },
    /// Held → booked; booked: unchanged.
    Confirm,
    /// Live → cancelled; cancelled: unchanged.
    Cancel,
    /// Another place of this day.
    Relocate {
        /// Where.
        wish: Option<u8>,
    },
    /// It goes to another day.
    Leave,
    /// A place is kept for one that may come from another day. Of `seen` only the slot counts.
    Reserve {
        /// Where.
        wish: Option<u8>,
    },
    /// It comes from another day, to the place that is kept for it.
    Arrive,
    /// It does not come.
    Release,
    /// Its time as a hold is over.
    Expire,
}

/// What a refusal was about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// A place for a patient (number on this day).
    Place {
        /// For whom.
        patient: usize,
        /// Where.
        wish: Option<u8>,
    },
    /// To confirm an appointment.
    Confirm(usize),
    /// To cancel an appointment.
    Cancel(usize),
    /// Another place for an appointment: of this day, or (`leaves`) of another one.
    Move {
        /// Which.
        appointment: usize,
        /// Where.
        wish: Option<u8>,
        /// To another day.
        leaves: bool,
    },
}

/// A call with its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// It was done.
    Change(Change),
    /// The key had won before, and its answer was told again.
    Replay(Won),
    /// It was refused.
    Refused {
        /// What was asked.
        asked: Asked,
        /// Why not.
        code: Code,
        /// Under which key: one that has not won.
        key: Option<usize>,
    },
    /// The places left of each slot were read.
    ReadDay {
        /// So many.
        remaining: Vec<u16>,
        /// Whether it was told as sold out.
        sold_out: bool,
    },
    /// An appointment was read, and stands here.
    ReadHere {
        /// Which.
        appointment: usize,
        /// What was read.
        seen: Seen,
    },
    /// An appointment was read, and stands on another day.
    ReadElsewhere {
        /// Which.
        appointment: usize,
    },
}
