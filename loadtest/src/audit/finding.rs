//! What can be wrong after a storm, and the one line that says so.
//! Must not know: how it is found.

use std::fmt;

use uuid::Uuid;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// More places taken in a slot than it has, by the day's own list of appointments.
    OversoldSlot { start_millis: i64, taken: u64, capacity: u64 },
    /// More sold than could be booked, or than patients pressed.
    OversoldDay { sold: u64, at_most: u64 },
    /// Places left although so many patients were answered that none should be.
    UnsoldPlaces { sold: u64, at_least: u64 },
    /// A patient was told that nothing is free, and something is.
    RefusedThoughFree { patient: Uuid, code: String, free: u64 },
    /// A 201 without an appointment behind it.
    LostAppointment { patient: Uuid, appointment: Uuid },
    /// A 201 whose appointment is another one than was told: another patient, or cancelled.
    ChangedAppointment { appointment: Uuid, what: &'static str },
    /// A 201 for one slot, an appointment in another; or another slot than was asked for.
    WrongSlot { appointment: Uuid, told_millis: i64, found_millis: i64 },
    /// One appointment told to two patients, or listed twice.
    DuplicatedAppointment { appointment: Uuid },
    /// One patient with several places of the day.
    DuplicatedPatient { patient: Uuid, places: usize },
    /// An appointment that nobody was told of and nobody may wonder about.
    PhantomAppointment { appointment: Uuid, patient: Uuid },
    /// `remaining` of a slot is more than its places not taken.
    SlotRemainingMismatch { start_millis: i64, remaining: u64, at_most: u64 },
    /// `remaining` of the day is not what could be booked less what was sold.
    DayRemainingMismatch { remaining: u64, expected: u64 },
    /// An appointment in a slot that the day does not have.
    UnknownSlot { appointment: Uuid, start_millis: i64 },
    /// An answer that the contract does not allow.
    UnreadableAnswer { patient: Uuid, status: u16 },
    /// The deadline came before these patients were pressed for.
    NeverSent { patients: u64 },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |millis: &i64| {
            jiff::Timestamp::from_millisecond(*millis).map_or_else(|_| millis.to_string(), |at| at.to_string())
        };
        match self {
            Self::OversoldSlot { start_millis, taken, capacity } => {
                write!(f, "oversold slot {}: {taken} places taken of {capacity}", at(start_millis))
            }
            Self::OversoldDay { sold, at_most } => write!(f, "oversold day: {sold} sold, at most {at_most} could be"),
            Self::UnsoldPlaces { sold, at_least } => {
                write!(f, "unsold places: {sold} sold, at least {at_least} should be")
            }
            Self::RefusedThoughFree { patient, code, free } => {
                write!(f, "refused though free: patient {patient} was told {code}, {free} places are free")
            }
            Self::LostAppointment { patient, appointment } => {
                write!(f, "lost appointment {appointment}: patient {patient} was told 201")
            }
            Self::ChangedAppointment { appointment, what } => write!(f, "changed appointment {appointment}: {what}"),
            Self::WrongSlot { appointment, told_millis, found_millis } => {
                write!(f, "wrong slot of {appointment}: {} expected, {} found", at(told_millis), at(found_millis))
            }
            Self::DuplicatedAppointment { appointment } => write!(f, "duplicated appointment {appointment}"),
            Self::DuplicatedPatient { patient, places } => {
                write!(f, "duplicated patient {patient}: {places} places on the day")
            }
            Self::PhantomAppointment { appointment, patient } => {
                write!(f, "phantom appointment {appointment}: nobody was told, patient {patient}")
            }
            Self::SlotRemainingMismatch { start_millis, remaining, at_most } => {
                write!(f, "remaining of slot {}: {remaining}, at most {at_most} are free", at(start_millis))
            }
            Self::DayRemainingMismatch { remaining, expected } => {
                write!(f, "remaining of the day: {remaining}, expected {expected}")
            }
            Self::UnknownSlot { appointment, start_millis } => {
                write!(f, "unknown slot {} of appointment {appointment}", at(start_millis))
            }
            Self::UnreadableAnswer { patient, status } => {
                write!(f, "unreadable answer: patient {patient}, status {status}")
            }
            Self::NeverSent { patients } => write!(f, "never sent: {patients} patients when the deadline came"),
        }
    }
}
