//! The engine's typed refusals in the words of the catalogue.
//! Must not know: which call was refused.

use booking_core::{Rejection, UtcMillis};
use engine::EngineError;
use engine::journal::ReadError;
use engine::ledger::ApplyError;
use engine::ledger::registry::WriteError;

use super::catalogue::Code;
use super::instant::InstantText;
use super::problem::Problem;

/// A subject that has used up its keys on a day gets them back when the day is over; nothing sooner is worth a try.
const TOO_MANY_KEYS_RETRY_SECONDS: u64 = 3_600;

/// What a caller is told at `now` in place of a success.
pub(crate) fn of_engine(error: EngineError, now: UtcMillis) -> Problem {
    match error {
        EngineError::Rejected(rejection) => of_rejection(rejection, now),
        EngineError::Overloaded { retry_after_millis } => {
            Problem::of(Code::Overloaded).retry_after_seconds(retry_after_millis.div_ceil(1000).max(1))
        }
        EngineError::Repeated(first) => of_engine(*first, now).replayed(),
        EngineError::Unavailable(cause) => Problem::unavailable(cause),
        EngineError::NotHere { shard } => Problem::not_here(shard),
        EngineError::Internal(cause) => Problem::internal(cause),
    }
}

fn of_rejection(rejection: Rejection, now: UtcMillis) -> Problem {
    match rejection {
        Rejection::UnknownDay => Problem::new(Code::NotFound, "There is no such day."),
        Rejection::UnknownAppointment => Problem::new(Code::NotFound, "There is no such appointment."),
        Rejection::UnknownSlot => Problem::new(Code::NotFound, "The day has no slot with this start."),
        Rejection::KeyReused => Problem::of(Code::IdempotencyKeyReused),
        Rejection::TooManyKeys => Problem::new(Code::RateLimited, "Too many bookings of one caller on this day.")
            .retry_after_seconds(TOO_MANY_KEYS_RETRY_SECONDS),
        // The engine follows these by itself; if it gave up, another try finds the appointment settled.
        Rejection::MovedAway { .. } | Rejection::Arriving | Rejection::MoveGivenUp => {
            Problem::unavailable("an appointment was being moved".to_owned())
        }
        Rejection::PreconditionFailed => Problem::of(Code::PreconditionFailed),
        Rejection::HoldExpired => Problem::of(Code::HoldExpired),
        Rejection::NotChangeable => Problem::of(Code::NotChangeable),
        Rejection::Closed => Problem::of(Code::Closed),
        Rejection::NotReleased { release_at } => {
            let wait_millis = u64::try_from(release_at.millis_since(now)).unwrap_or(0);
            Problem::of(Code::NotReleased).release_at(release_at).retry_after_seconds(wait_millis.div_ceil(1000).max(1))
        }
        Rejection::SlotTaken => Problem::of(Code::SlotTaken),
        Rejection::SoldOut => Problem::of(Code::SoldOut),
        // Whoever books is the patient itself or an admin, so the id is never told to a stranger.
        Rejection::AlreadyBooked { appointment } => Problem::of(Code::AlreadyBooked).appointment(appointment),
        Rejection::OverlapsOtherDay { date } => {
            Problem::new(Code::OverlapsOtherDay, format!("A slot overlaps a slot of this doctor's day {date}."))
        }
        Rejection::SlotHasBookings { start } => Problem::new(
            Code::SlotHasBookings,
            format!(
                "The slot at {} has places taken; it cannot be removed, moved or made smaller.",
                InstantText(start)
            ),
        ),
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(cause) => Self::unavailable(cause),
            ReadError::Damaged(cause) => Self::internal(cause),
        }
    }
}

impl From<ApplyError> for Problem {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Unavailable(cause) => Self::unavailable(cause),
            ApplyError::Refused(cause) => Self::internal(cause),
        }
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        Self::unavailable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(error: EngineError) -> serde_json::Value {
        serde_json::from_str(&of_engine(error, UtcMillis(1_000)).body("r")).expect("JSON")
    }

    fn retry_after(error: EngineError) -> Option<String> {
        let response = of_engine(error, UtcMillis(1_000)).response("r");
        Some(response.headers().get("retry-after")?.to_str().expect("ASCII").to_owned())
    }

    #[test]
    fn seconds_to_wait_are_rounded_up() {
        for (release_at, seconds) in [(1_001, "1"), (2_000, "1"), (2_001, "2"), (61_000, "60"), (500, "1")] {
            let rejection = Rejection::NotReleased { release_at: UtcMillis(release_at) };
            assert_eq!(retry_after(rejection.into()).as_deref(), Some(seconds), "{release_at}");
        }
        assert_eq!(retry_after(EngineError::Overloaded { retry_after_millis: 1_500 }).as_deref(), Some("2"));
        assert_eq!(retry_after(EngineError::Unavailable(String::new())).as_deref(), Some("1"));
        assert_eq!(retry_after(Rejection::TooManyKeys.into()).as_deref(), Some("3600"));
        assert_eq!(retry_after(Rejection::SoldOut.into()), None);
    }

    #[test]
    fn the_refusal_of_a_twin_says_that_it_is_repeated() {
        let repeated = EngineError::Repeated(Box::new(Rejection::SoldOut.into()));
        let response = of_engine(repeated, UtcMillis(0)).response("r");
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers().get("idempotency-replayed").map(|value| value.as_bytes()), Some(&b"true"[..]));
    }

    #[test]
    fn what_is_elsewhere_names_its_shard_and_is_unavailable_to_callers() {
        let twin = EngineError::Repeated(Box::new(EngineError::NotHere { shard: 7 }));
        for error in [EngineError::NotHere { shard: 7 }, twin] {
            let problem = of_engine(error, UtcMillis(0));
            assert_eq!((problem.shard(), problem.code()), (Some(7), Code::Unavailable));
        }
        for error in [EngineError::Unavailable(String::new()), Rejection::SoldOut.into(), Rejection::UnknownDay.into()]
        {
            assert_eq!(of_engine(error, UtcMillis(0)).shard(), None, "only what is elsewhere is forwarded");
        }
    }

    #[test]
    fn causes_stay_inside() {
        for error in [EngineError::Unavailable("secret".into()), EngineError::Internal("secret".into())] {
            assert!(!body(error).to_string().contains("secret"));
        }
    }
}
