//! What a patient can ask for, and what the answer meant for a place. Pure.
//! Must not know: connections, times of the run, how outcomes are judged together.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::outcome::{Outcome, classify};

/// Something to ask for. Those that need an appointment or a freed patient of an earlier arrival, and find none, book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    /// A new patient books.
    Book,
    /// A new patient holds a place.
    Hold,
    /// A holder confirms.
    Confirm,
    /// An appointment is moved to another day or slot.
    Move,
    /// An appointment is cancelled.
    Cancel,
    /// A patient who cancelled books again.
    Rebook,
    /// A patient lists its appointments.
    List,
    /// Anyone reads a day.
    ViewDay,
    /// Anyone searches a doctor.
    Search,
}

impl Operation {
    /// Its name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Book => "book",
            Self::Hold => "hold",
            Self::Confirm => "confirm",
            Self::Move => "move",
            Self::Cancel => "cancel",
            Self::Rebook => "rebook",
            Self::List => "list",
            Self::ViewDay => "view_day",
            Self::Search => "search",
        }
    }

    /// Whether it only reads, so that its answer concerns no place.
    pub(crate) const fn only_reads(self) -> bool {
        matches!(self, Self::List | Self::ViewDay | Self::Search)
    }

    /// Whether it takes a place that its patient did not have.
    pub(crate) const fn takes_new_place(self) -> bool {
        matches!(self, Self::Book | Self::Hold | Self::Rebook)
    }
}

/// Where an appointment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Kept until it expires.
    Held,
    /// Kept.
    Booked,
    /// Given back.
    Cancelled,
    /// Lapsed.
    Expired,
    /// Over.
    Completed,
    /// Over, without the patient.
    NoShow,
}

impl Status {
    /// Whether it takes a place of its slot.
    pub(crate) const fn keeps_place(self) -> bool {
        !matches!(self, Self::Cancelled | Self::Expired)
    }
}

/// An appointment as an answer told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Place {
    /// Its id.
    pub(crate) appointment: Uuid,
    /// Whose.
    pub(crate) patient: Uuid,
    /// Index of its doctor-day in the world.
    pub(crate) day: u32,
    /// Its slot's start, UTC milliseconds.
    pub(crate) start_millis: i64,
    /// Where it stands.
    pub(crate) status: Status,
    /// Until when a hold is kept, UTC milliseconds of the server; `None` where it is no hold.
    pub(crate) held_until_millis: Option<i64>,
}

/// How one arrival ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Answer {
    /// 200 or 201; with the appointment where one was asked for.
    Served(Option<Place>),
    /// A definite no.
    Refused {
        /// The status code.
        status: u16,
        /// The stable code of the problem.
        code: Cow<'static, str>,
    },
    /// 500 or 503: perhaps done, perhaps not.
    Uncertain {
        /// The status code.
        status: u16,
        /// The stable code of the problem; empty where there is none.
        code: Cow<'static, str>,
    },
    /// An answer that the contract does not allow here.
    Unreadable {
        /// The status code.
        status: u16,
    },
    /// No answer in time, or the transport failed.
    Unanswered,
    /// The time was up before it was ever sent.
    NotSent,
}

/// What answers are counted and timed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    /// A success.
    Served,
    /// A definite no of the rules.
    Refused,
    /// Shed or limited on purpose: 429 or 503.
    Shed,
    /// 500, or an answer that is not understood.
    Failed,
    /// No answer in time.
    NoAnswer,
    /// Never sent.
    NotSent,
}

impl Class {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Served, Self::Refused, Self::Shed, Self::Failed, Self::NoAnswer, Self::NotSent];

    /// Its name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Refused => "refused",
            Self::Shed => "shed",
            Self::Failed => "failed",
            Self::NoAnswer => "no_answer",
            Self::NotSent => "not_sent",
        }
    }
}

impl Answer {
    /// Whether it leaves open what was done.
    pub(crate) const fn is_unknown(&self) -> bool {
        matches!(self, Self::Uncertain { .. } | Self::Unanswered)
    }

    /// Its class.
    pub(crate) const fn class(&self) -> Class {
        match self {
            Self::Served(_) => Class::Served,
            Self::Refused { status: 429, .. } | Self::Uncertain { status: 503, .. } => Class::Shed,
            Self::Refused { .. } => Class::Refused,
            Self::Uncertain { .. } | Self::Unreadable { .. } => Class::Failed,
            Self::Unanswered => Class::NoAnswer,
            Self::NotSent => Class::NotSent,
        }
    }

    /// Status and code, for counting.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Served(_) => "served".to_owned(),
            Self::Refused { status, code } => format!("{status} {code}"),
            Self::Uncertain { status, code } => format!("{status} {code} (outcome unknown)"),
            Self::Unreadable { status } => format!("{status} unreadable"),
            Self::Unanswered => "no answer (outcome unknown)".to_owned(),
            Self::NotSent => "not sent".to_owned(),
        }
    }
}

#[derive(Deserialize)]
struct AppointmentBody {
    id: Uuid,
    patient_id: Uuid,
    doctor_id: Option<Uuid>,
    date: Option<String>,
    start: String,
    status: Status,
    hold_expires_at: Option<String>,
}

/// Reads an answer. `asked_day` is the day that was asked for; `day_of` finds the index of a day by doctor and date.
pub(crate) fn read(
    operation: Operation,
    status: u16,
    body: &[u8],
    asked_day: u32,
    day_of: impl FnOnce(Uuid, jiff::civil::Date) -> Option<u32>,
) -> Answer {
    let expected = if operation.takes_new_place() { 201 } else { 200 };
    if status == expected && operation.only_reads() {
        return Answer::Served(None);
    }
    if status == expected {
        let place = || {
            let body: AppointmentBody = serde_json::from_slice(body).ok()?;
            let day = match (body.doctor_id, body.date) {
                (Some(doctor), Some(date)) => day_of(doctor, date.parse().ok()?)?,
                _ => asked_day,
            };
            let start_millis = crate::api::instant_millis(&body.start)?;
            let (appointment, patient, status) = (body.id, body.patient_id, body.status);
            let held_until = body.hold_expires_at.as_deref().filter(|_| status == Status::Held);
            let held_until_millis = held_until.and_then(crate::api::instant_millis);
            Some(Place { appointment, patient, day, start_millis, status, held_until_millis })
        };
        return place().map_or(Answer::Unreadable { status }, |place| Answer::Served(Some(place)));
    }
    match classify(status, false, body) {
        Outcome::Refused { status, code } => Answer::Refused { status, code },
        Outcome::Uncertain { status, code } => Answer::Uncertain { status, code },
        _ => Answer::Unreadable { status },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"id":"00000000-0000-0000-0000-000000000001","patient_id":"00000000-0000-0000-0000-000000000002",
        "doctor_id":"00000000-0000-0000-0000-000000000003","date":"2030-01-02","start":"1970-01-01T00:01:00.000Z",
        "status":"held","hold_expires_at":"1970-01-01T00:00:30.500Z"}"#;

    #[test]
    fn an_appointment_is_read_with_its_day() {
        let place = Place {
            appointment: Uuid::from_u128(1),
            patient: Uuid::from_u128(2),
            day: 9,
            start_millis: 60_000,
            status: Status::Held,
            held_until_millis: Some(30_500),
        };
        let answer =
            read(Operation::Hold, 201, BODY.as_bytes(), 4, |doctor, _| (doctor == Uuid::from_u128(3)).then_some(9));
        assert_eq!(answer, Answer::Served(Some(place)));
        assert_eq!(answer.class(), Class::Served);
        let elsewhere = read(Operation::Hold, 201, BODY.as_bytes(), 4, |_, _| None);
        assert_eq!(elsewhere, Answer::Unreadable { status: 201 });
    }

    #[test]
    fn a_success_of_another_kind_is_no_success() {
        for (operation, status) in [(Operation::Book, 200), (Operation::Move, 201), (Operation::Search, 204)] {
            let answer = read(operation, status, BODY.as_bytes(), 0, |_, _| Some(0));
            assert_eq!(answer, Answer::Unreadable { status }, "{operation:?}");
        }
        assert_eq!(read(Operation::Search, 200, b"anything", 0, |_, _| None), Answer::Served(None));
    }

    #[test]
    fn classes_tell_a_rule_from_a_limit_from_a_fault() {
        let read = |status, code: &str| {
            read(Operation::Book, status, format!(r#"{{"code":"{code}"}}"#).as_bytes(), 0, |_, _| None)
        };
        assert_eq!(read(409, "sold_out").class(), Class::Refused);
        assert_eq!(read(429, "rate_limited").class(), Class::Shed);
        assert_eq!((read(503, "overloaded").class(), read(503, "overloaded").is_unknown()), (Class::Shed, true));
        assert_eq!(read(500, "internal").class(), Class::Failed);
        assert_eq!(read(409, "sold_out").label(), "409 sold_out");
    }
}
