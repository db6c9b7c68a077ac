//! What one patient was told: from an answer's status and body to an outcome.
//! Must not know: connections, timing of the run, how outcomes are judged together.

use std::borrow::Cow;

use serde::Deserialize;
use uuid::Uuid;

use crate::api::instant_millis;

/// The refusal of a press that came before the release.
pub(crate) const NOT_RELEASED: &str = "not_released";

/// Codes that a storm meets; they cost no allocation. Others are kept as they came.
const COMMON_CODES: [&str; 12] = [
    "sold_out",
    "slot_taken",
    NOT_RELEASED,
    "closed",
    "already_booked",
    "overloaded",
    "unavailable",
    "rate_limited",
    "unauthenticated",
    "forbidden",
    "not_found",
    "internal",
];

/// A place that a patient was told to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Won {
    /// The appointment's id.
    pub(crate) appointment: Uuid,
    /// Whose it is, as the answer says.
    pub(crate) patient: Uuid,
    /// The slot's start, UTC milliseconds.
    pub(crate) start_millis: i64,
    /// The answer was a repetition of an earlier one.
    pub(crate) replayed: bool,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 201: booked.
    Won(Won),
    /// A definite no, with its code (section "Error codes" of the contract).
    Refused {
        /// The status code.
        status: u16,
        /// The stable code of the problem.
        code: Cow<'static, str>,
    },
    /// 500 or 503: perhaps booked, perhaps not; the same key tells.
    Uncertain {
        /// The status code.
        status: u16,
        /// The stable code of the problem; empty where the body has none.
        code: Cow<'static, str>,
    },
    /// An answer that the contract does not allow here: another success, or a body without what it must have.
    Unreadable {
        /// The status code.
        status: u16,
    },
    /// No answer at all: the transport failed or the time was up.
    NoAnswer,
    /// The time was up before the request was ever sent.
    NeverSent,
}

impl Outcome {
    /// Whether the patient cannot know whether there is an appointment.
    pub(crate) const fn is_unknown(&self) -> bool {
        matches!(self, Self::Uncertain { .. } | Self::NoAnswer)
    }

    /// Whether the server said definitely yes or no.
    pub(crate) const fn is_decided(&self) -> bool {
        matches!(self, Self::Won(_) | Self::Refused { .. })
    }

    /// Status and code for counting; a press without an answer has status 0.
    pub(crate) fn label(&self) -> (u16, Cow<'static, str>) {
        match self {
            Self::Won(won) => (201, Cow::Borrowed(if won.replayed { "booked (replayed)" } else { "booked" })),
            Self::Refused { status, code } => (*status, code.clone()),
            Self::Uncertain { status, code } => (*status, Cow::Owned(format!("{code} (outcome unknown)"))),
            Self::Unreadable { status } => (*status, Cow::Borrowed("unreadable")),
            Self::NoAnswer => (0, Cow::Borrowed("no answer (outcome unknown)")),
            Self::NeverSent => (0, Cow::Borrowed("never sent")),
        }
    }
}

/// The whole story of one patient. Micros are counted from the press, which is the release where one was awaited.
#[derive(Clone, Debug)]
pub(crate) struct Press {
    /// Who pressed.
    pub(crate) patient: Uuid,
    /// The slot that was asked for, UTC milliseconds of its start; `None` for any.
    pub(crate) wanted_start_millis: Option<i64>,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// When the first request was sent.
    pub(crate) first_sent_micros: u64,
    /// When the answer that decided was whole, or the patient gave up.
    pub(crate) ended_micros: u64,
    /// What had to be asked again.
    pub(crate) trouble: Trouble,
}

/// Attempts of one patient that did not settle the matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// No answer came back.
    pub(crate) transport_errors: u32,
    /// 500 or 503 came back.
    pub(crate) uncertain_answers: u32,
    /// `not_released` came back.
    pub(crate) early_presses: u32,
}

impl Trouble {
    /// Attempts in total that did not settle the matter.
    pub(crate) const fn attempts(&self) -> u32 {
        self.transport_errors + self.uncertain_answers + self.early_presses
    }
}

#[derive(Deserialize)]
struct WonBody<'a> {
    id: Uuid,
    patient_id: Uuid,
    #[serde(borrow)]
    start: Cow<'a, str>,
}

#[derive(Deserialize)]
struct ProblemBody<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
}

/// Reads an answer to `POST /v1/appointments`.
pub(crate) fn classify(status: u16, replayed: bool, body: &[u8]) -> Outcome {
    match status {
        201 => read_won(replayed, body).map_or(Outcome::Unreadable { status }, Outcome::Won),
        500 | 503 => Outcome::Uncertain { status, code: read_code(body).unwrap_or_default() },
        400..=599 => match read_code(body) {
            Some(code) => Outcome::Refused { status, code },
            None => Outcome::Unreadable { status },
        },
        _ => Outcome::Unreadable { status },
    }
}

fn read_won(replayed: bool, body: &[u8]) -> Option<Won> {
    let body: WonBody<'_> = serde_json::from_slice(body).ok()?;
    let start_millis = instant_millis(&body.start)?;
    Some(Won { appointment: body.id, patient: body.patient_id, start_millis, replayed })
}

fn read_code(body: &[u8]) -> Option<Cow<'static, str>> {
    let problem: ProblemBody<'_> = serde_json::from_slice(body).ok()?;
    let known = COMMON_CODES.iter().find(|known| **known == problem.code);
    Some(known.map_or_else(|| Cow::Owned(problem.code.into_owned()), |known| Cow::Borrowed(*known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_booking_is_read_with_its_slot() {
        let (appointment, patient) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let body = format!(
            r#"{{"id":"{appointment}","patient_id":"{patient}","start":"1970-01-01T00:01:00.000Z","version":1}}"#
        );
        let won = Won { appointment, patient, start_millis: 60_000, replayed: true };
        assert_eq!(classify(201, true, body.as_bytes()), Outcome::Won(won));
    }

    #[test]
    fn a_refusal_is_definite_and_a_503_is_not() {
        let refused = classify(409, false, br#"{"status":409,"code":"sold_out"}"#);
        assert!(refused.is_decided() && !refused.is_unknown());
        assert_eq!(refused.label(), (409, Cow::Borrowed("sold_out")));
        let odd = classify(422, false, br#"{"code":"a_new_code"}"#);
        assert_eq!(odd.label(), (422, Cow::Borrowed("a_new_code")));
        for body in [&br#"{"code":"unavailable"}"#[..], b"", b"<html>"] {
            let uncertain = classify(503, false, body);
            assert!(uncertain.is_unknown() && !uncertain.is_decided());
        }
    }

    #[test]
    fn what_the_contract_does_not_allow_is_unreadable() {
        for (status, body) in [(201, &b"{}"[..]), (200, b"{}"), (409, b"sold out"), (302, b"")] {
            assert_eq!(classify(status, false, body), Outcome::Unreadable { status });
        }
    }
}
