//! What people do here, and what an answer to it means by the published contract. Pure.
//! Must not know: connections, who asks, what the answer is used for.

use serde::{Serialize, Serializer};

/// Something that somebody does; also the name of its rows in every report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Operation {
    /// Anyone searches doctors.
    Search,
    /// Anyone opens a doctor.
    OpenDoctor,
    /// Anyone looks through a doctor's days.
    ListDays,
    /// Anyone opens a day.
    OpenDay,
    /// Anyone watches a day's stream.
    Watch,
    /// A patient holds a place.
    Hold,
    /// A holder confirms.
    Confirm,
    /// A patient books at once.
    Book,
    /// A patient moves an appointment.
    Move,
    /// A patient cancels an appointment.
    Cancel,
    /// A patient lists its live appointments.
    ListOwn,
    /// A doctor publishes a new day.
    Publish,
    /// A doctor adds places to a day.
    Amend,
    /// A doctor reads a day's appointments.
    ReadDay,
}

impl Operation {
    /// Its name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::OpenDoctor => "open_doctor",
            Self::ListDays => "list_days",
            Self::OpenDay => "open_day",
            Self::Watch => "watch",
            Self::Hold => "hold",
            Self::Confirm => "confirm",
            Self::Book => "book",
            Self::Move => "move",
            Self::Cancel => "cancel",
            Self::ListOwn => "list_own",
            Self::Publish => "publish",
            Self::Amend => "amend",
            Self::ReadDay => "read_day",
        }
    }

    /// Whether this status is its success.
    const fn succeeds_with(self, status: u16) -> bool {
        match self {
            Self::Hold | Self::Book => status == 201,
            Self::Publish => matches!(status, 200 | 201),
            _ => status == 200,
        }
    }

    /// The refusals that the rules of booking have for it, as status and code.
    const fn refusals(self) -> &'static [(u16, &'static str)] {
        const PLACE: &[(u16, &str)] =
            &[(409, "not_released"), (409, "closed"), (409, "slot_taken"), (409, "sold_out"), (409, "already_booked")];
        match self {
            Self::Hold | Self::Book | Self::Move => PLACE,
            // Whether a hold may have lapsed is judged by who held it.
            Self::Confirm => &[(410, "hold_expired")],
            // Somebody booked between the reading and the writing.
            Self::Amend => &[(412, "precondition_failed")],
            _ => &[],
        }
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What an answer means for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Done.
    Served,
    /// A definite no of the rules.
    Refused,
    /// Too much at once; nothing was done.
    Shed,
    /// Perhaps done; the same key tells later.
    Unsettled,
    /// Not what the contract allows here.
    Unexpected,
}

/// Judges an answer by its status and the stable code of its problem (empty where it has none).
pub(crate) fn meaning(operation: Operation, status: u16, code: &str) -> Meaning {
    match (status, code) {
        (status, _) if operation.succeeds_with(status) => Meaning::Served,
        (429, "rate_limited") | (503, "overloaded") => Meaning::Shed,
        (503, "unavailable") => Meaning::Unsettled,
        refusal if operation.refusals().contains(&refusal) => Meaning::Refused,
        _ => Meaning::Unexpected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losing_a_race_is_no_fault_and_a_broken_promise_is() {
        for (operation, status, code, expected) in [
            (Operation::Book, 201, "", Meaning::Served),
            (Operation::Book, 200, "", Meaning::Unexpected),
            (Operation::Book, 409, "sold_out", Meaning::Refused),
            (Operation::Hold, 409, "slot_taken", Meaning::Refused),
            (Operation::Move, 409, "already_booked", Meaning::Refused),
            (Operation::Move, 409, "not_changeable", Meaning::Unexpected),
            (Operation::Move, 200, "", Meaning::Served),
            (Operation::Cancel, 409, "sold_out", Meaning::Unexpected),
            (Operation::Confirm, 410, "hold_expired", Meaning::Refused),
            (Operation::Amend, 412, "precondition_failed", Meaning::Refused),
            (Operation::OpenDay, 404, "not_found", Meaning::Unexpected),
            (Operation::Book, 401, "unauthenticated", Meaning::Unexpected),
            (Operation::Book, 429, "rate_limited", Meaning::Shed),
            (Operation::Watch, 503, "overloaded", Meaning::Shed),
            (Operation::Book, 503, "unavailable", Meaning::Unsettled),
            (Operation::Book, 503, "", Meaning::Unexpected),
            (Operation::Book, 500, "internal", Meaning::Unexpected),
            (Operation::Publish, 409, "overlaps_other_day", Meaning::Unexpected),
        ] {
            assert_eq!(meaning(operation, status, code), expected, "{operation:?} {status} {code}");
        }
    }
}
