//! The engine's meters, resolved once: recording one costs no look-up.
//! Must not know: who scrapes. Names come from the catalogue.

use booking_core::{PlaceTotals, UtcMillis};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::catalogue as names;
use super::stages::Stages;
use crate::actors::survey::Survey;
use crate::error::EngineError;

/// Handles of the engine's meters. Made after the recorder is installed.
pub struct EngineMeters {
    /// [`names::TURN_COMMANDS`].
    pub turn_commands: Histogram,
    /// [`names::EXPIRIES`].
    pub expiries: Counter,
    /// [`names::ACTIVATIONS`].
    pub activations: Counter,
    /// [`names::DAYS_AWAKE`].
    pub days_awake: Gauge,
    /// [`names::DAYS_ASLEEP`].
    pub days_asleep: Gauge,
    /// [`names::DAYS_ASLEEP_BYTES`].
    pub days_asleep_bytes: Gauge,
    /// [`names::ADMITTED`].
    pub admitted: Gauge,
    /// [`names::EARLY_REFUSALS`].
    pub early_refusals: Counter,
    /// [`names::CLAIMED_VISITS`].
    pub claimed_visits: Gauge,
    /// [`names::CLAIMED_KEYS`].
    pub claimed_keys: Gauge,
    /// [`names::PARKED_COMMANDS`].
    pub parked_commands: Gauge,
    /// [`names::MOVES_SETTLED`].
    pub moves_settled: Counter,
    /// [`names::CLOCK_STEADY`].
    pub clock_steady: Gauge,
    /// [`names::HOLDS_PLACED`].
    pub holds_placed: Counter,
    /// [`names::HOLDS_CONFIRMED`].
    pub holds_confirmed: Counter,
    /// [`names::STAGE_DURATION`].
    pub stages: Stages,
    activation: Histogram,
    places: PlaceGauges,
    release_places: PlaceGauges,
    release_days: Gauge,
    release_next: Gauge,
    release_last: Gauge,
    outcomes: Vec<Counter>,
    moves: Vec<Counter>,
    shed: Vec<Counter>,
}

/// Where the places of days are.
struct PlaceGauges {
    withheld: Gauge,
    free: Gauge,
    held: Gauge,
    booked: Gauge,
}

impl PlaceGauges {
    fn of(name: &'static str) -> Self {
        Self {
            withheld: gauge!(name, "state" => "withheld"),
            free: gauge!(name, "state" => "free"),
            held: gauge!(name, "state" => "held"),
            booked: gauge!(name, "state" => "booked"),
        }
    }

    fn report(&self, totals: PlaceTotals) {
        self.withheld.set(totals.withheld as f64);
        self.free.set(totals.free as f64);
        self.held.set(totals.held as f64);
        self.booked.set(totals.booked as f64);
    }
}

/// Why a command was turned away before it was decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShedReason {
    /// The day's queue is full.
    DayQueue,
    /// The engine holds as many commands as it may.
    EngineQueue,
    /// The ledger is too far behind.
    LedgerLag,
    /// The engine is stopping.
    Stopping,
}

/// How a move between days ended; the order is that of [`names::MOVE_OUTCOMES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MoveOutcome {
    /// It is on the other day.
    Moved,
    /// One of the days refused.
    Refused,
    /// A day or its store did not answer; nothing has changed.
    Unavailable,
    /// Its commit may have happened.
    Unknown,
}

impl EngineMeters {
    /// Resolves all handles against the installed recorder.
    pub fn new() -> Self {
        Self {
            turn_commands: histogram!(names::TURN_COMMANDS),
            expiries: counter!(names::EXPIRIES),
            activations: counter!(names::ACTIVATIONS),
            days_awake: gauge!(names::DAYS_AWAKE),
            days_asleep: gauge!(names::DAYS_ASLEEP),
            days_asleep_bytes: gauge!(names::DAYS_ASLEEP_BYTES),
            admitted: gauge!(names::ADMITTED),
            early_refusals: counter!(names::EARLY_REFUSALS),
            claimed_visits: gauge!(names::CLAIMED_VISITS),
            claimed_keys: gauge!(names::CLAIMED_KEYS),
            parked_commands: gauge!(names::PARKED_COMMANDS),
            moves_settled: counter!(names::MOVES_SETTLED),
            clock_steady: gauge!(names::CLOCK_STEADY),
            holds_placed: counter!(names::HOLDS_PLACED),
            holds_confirmed: counter!(names::HOLDS_CONFIRMED),
            stages: Stages::new(),
            activation: histogram!(names::ACTIVATION_DURATION),
            places: PlaceGauges::of(names::PLACES),
            release_places: PlaceGauges::of(names::RELEASE_PLACES),
            release_days: gauge!(names::RELEASE_DAYS),
            release_next: gauge!(names::RELEASE_NEXT),
            release_last: gauge!(names::RELEASE_LAST),
            outcomes: names::BOOKING_OUTCOMES
                .iter()
                .map(|outcome| counter!(names::BOOKINGS, "outcome" => *outcome))
                .collect(),
            moves: names::MOVE_OUTCOMES.iter().map(|outcome| counter!(names::MOVES, "outcome" => *outcome)).collect(),
            shed: names::SHED_REASONS.iter().map(|reason| counter!(names::SHED, "reason" => *reason)).collect(),
        }
    }

    /// What a look at the days awake has found.
    pub fn report_survey(&self, survey: &Survey) {
        self.places.report(survey.places);
        self.release_places.report(survey.release_places);
        self.release_days.set(survey.release_days as f64);
        let seconds = |at: Option<UtcMillis>| at.map_or(0.0, |at| at.0 as f64 / 1e3);
        self.release_next.set(seconds(survey.next_release));
        self.release_last.set(seconds(survey.last_release));
    }

    /// Handles that lead nowhere, and nothing is timed: what a benchmark compares with.
    pub fn off() -> Self {
        metrics::with_local_recorder(&metrics::NoopRecorder, || Self { stages: Stages::off(), ..Self::new() })
    }

    /// A day was brought into memory in so long.
    pub fn record_activation_micros(&self, micros: u64) {
        self.activation.record(micros as f64 / 1e6);
    }

    /// A move between days has ended.
    pub fn count_move(&self, outcome: MoveOutcome) {
        self.moves[outcome as usize].increment(1);
    }

    /// A command was turned away.
    pub fn count_shed(&self, reason: ShedReason) {
        self.shed[reason as usize].increment(1);
    }

    /// A booking or hold was answered: `Ok(replayed)` or the error.
    pub fn count_booking(&self, outcome: Result<bool, &EngineError>) {
        self.outcomes[outcome_index(outcome)].increment(1);
    }
}

impl Default for EngineMeters {
    fn default() -> Self {
        Self::new()
    }
}

/// Position in [`names::BOOKING_OUTCOMES`].
fn outcome_index(outcome: Result<bool, &EngineError>) -> usize {
    use booking_core::Rejection as No;
    match outcome {
        Ok(false) => 0,
        Ok(true) => 1,
        Err(EngineError::Repeated(error)) => outcome_index(Err(error)),
        Err(EngineError::Overloaded { .. }) => 10,
        Err(EngineError::Unavailable(_) | EngineError::NotHere { .. }) => 11,
        Err(EngineError::Internal(_)) => 12,
        Err(EngineError::Rejected(rejection)) => match rejection {
            No::UnknownDay | No::UnknownSlot | No::UnknownAppointment => 2,
            No::NotReleased { .. } => 3,
            No::Closed => 4,
            No::SlotTaken => 5,
            No::SoldOut => 6,
            No::AlreadyBooked { .. } => 7,
            No::KeyReused => 8,
            No::TooManyKeys => 9,
            No::PreconditionFailed
            | No::HoldExpired
            | No::NotChangeable
            | No::MovedAway { .. }
            | No::Arriving
            | No::MoveGivenUp
            | No::SlotHasBookings { .. }
            | No::OverlapsOtherDay { .. } => 12,
        },
    }
}

#[cfg(test)]
mod tests {
    use booking_core::Rejection;

    use super::*;

    #[test]
    fn outcomes_are_counted_under_their_names() {
        let name = |outcome| names::BOOKING_OUTCOMES[outcome_index(outcome)];
        assert_eq!(name(Ok(false)), "won");
        assert_eq!(name(Ok(true)), "replayed");
        assert_eq!(name(Err(&EngineError::Rejected(Rejection::SoldOut))), "sold_out");
        assert_eq!(name(Err(&EngineError::Rejected(Rejection::TooManyKeys))), "too_many_keys");
        assert_eq!(name(Err(&EngineError::Rejected(Rejection::UnknownDay))), "not_found");
        assert_eq!(name(Err(&EngineError::Overloaded { retry_after_millis: 1 })), "overloaded");
        assert_eq!(name(Err(&EngineError::Unavailable(String::new()))), "unavailable");
        assert_eq!(names::SHED_REASONS[ShedReason::Stopping as usize], "stopping");
        assert_eq!(names::MOVE_OUTCOMES[MoveOutcome::Unknown as usize], "unknown");
    }
}
