//! How a command reaches its day: keys in flight, won keys, refusals from the picture, admission, the day's queue. In this order
//! (`protocols.md` C 2).
//! Must not know: HTTP, what is done with the answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use booking_core::{
    Action, Answer, Appointment, AppointmentId, Command, DayKey, Home, Rejection, RememberedKey, RequestKey, UtcMillis,
    planted,
};

use super::EngineHandle;
use crate::actors::admission::Lane;
use crate::actors::entry::{DayEntry, KeyState, Published};
use crate::actors::in_flight::Attached;
use crate::actors::intake::Offered;
use crate::actors::request::{CommandReply, CommandResult, Request};
use crate::error::EngineError;
use crate::limits::RETRY_AFTER_MILLIS;
use crate::telemetry::meters::ShedReason;
use crate::telemetry::stages::Stage as Timed;
use crate::telemetry::trace::{Stage, Trace};

/// How often a command looks its day up again because the day went to sleep, or a twin was interrupted, just then. Each is rare; so
/// many in a row mean that something is wrong.
pub(super) const LOOKUPS_MAX: usize = 64;

/// What one attempt came to.
pub(super) enum Attempt {
    Settled(CommandResult),
    /// Look the day up again.
    Again,
}

impl EngineHandle {
    /// Brings `command` to `day` and waits for the answer.
    pub(super) async fn submit(&self, day: DayKey, command: Command, lane: Lane) -> CommandResult {
        let trace = Trace::present();
        for _ in 0..LOOKUPS_MAX {
            let now = self.parts.clock.now();
            let entry = self.entry(day, now)?;
            trace.begin(Stage::Dedup);
            match self.attempt(&entry, &command, lane, now).await {
                Attempt::Settled(result) => {
                    trace.begin(Stage::Reply);
                    return result;
                }
                Attempt::Again => {}
            }
        }
        Err(EngineError::Unavailable("the day was interrupted again and again".to_owned()))
    }

    async fn attempt(&self, entry: &Arc<DayEntry>, command: &Command, lane: Lane, now: UtcMillis) -> Attempt {
        entry.activity().asked();
        // One in sixteen, by a byte of the request's id that is random unless the caller has named it.
        let is_timed = self.parts.meters.stages.is_timed(u64::from(command.envelope.request.as_bytes()[15]));
        let began = is_timed.then(|| self.parts.clock.monotonic_micros());
        // Keys in flight first, the picture second: a key that left in between has won keys behind it.
        if let Some(key) = &command.key
            && let Some(attempt) = self.follow(entry.in_flight().look(key)).await
        {
            return attempt;
        }
        let early = self.answer_early(entry, command, now);
        if let Some(began) = began {
            let micros = self.parts.clock.monotonic_micros().saturating_sub(began);
            self.parts.meters.stages.record(Timed::Dedup, micros);
        }
        if let Some(result) = early {
            // Looked at after the picture (`protocols.md` rule 9).
            return Attempt::Settled(self.parts.territory.require(entry.day()).and(result));
        }
        let permit = match self.admit(lane, command) {
            Ok(permit) => permit,
            Err(refusal) => return Attempt::Settled(Err(refusal)),
        };
        if let Some(key) = &command.key
            && let Some(attempt) = self.follow(entry.in_flight().enter(key)).await
        {
            return attempt;
        }
        let mut admitted = command.clone();
        if let Action::Book(booking) = &mut admitted.action {
            // Only now: an id costs a lock and a system call, and most bookings of a storm are refused before this line.
            booking.appointment = AppointmentId::born_in(self.parts.ids.next(), &entry.day());
        }
        let micros = self.parts.clock.monotonic_micros();
        let in_flight = command.key.as_ref().map(|_| Arc::clone(entry));
        let (request, answer) = Request::new(admitted, lane, micros, in_flight, permit);
        request.trace.begin(Stage::Queue);
        match entry.intake().offer(request) {
            Offered::Taken => Attempt::Settled(answer.await.unwrap_or_else(|_| Err(interrupted()))),
            Offered::Closed(request) => {
                request.withdraw();
                Attempt::Again
            }
            Offered::Full(request) => {
                let refusal = self.shed(ShedReason::DayQueue, command);
                request.settle(Err(refusal.clone()));
                Attempt::Settled(Err(refusal))
            }
        }
    }

    /// Brings one step of something larger to its day, in this process: that was admitted as a whole, and its key is looked after
    /// elsewhere.
    pub(super) async fn step_here(&self, day: DayKey, command: Command) -> CommandResult {
        for _ in 0..LOOKUPS_MAX {
            let Some(permit) = self.parts.admission.admit(Lane::Protected) else {
                return Err(self.shed(ShedReason::EngineQueue, &command));
            };
            let micros = self.parts.clock.monotonic_micros();
            let (request, answer) = Request::new(command.clone(), Lane::Protected, micros, None, permit);
            let entry = self.entry(day, self.parts.clock.now())?;
            match entry.intake().offer(request) {
                Offered::Taken => return answer.await.unwrap_or_else(|_| Err(interrupted())),
                Offered::Closed(request) => request.withdraw(),
                Offered::Full(request) => request.settle(Err(self.shed(ShedReason::DayQueue, &command))),
            }
        }
        Err(EngineError::Unavailable("the day was interrupted again and again".to_owned()))
    }

    /// The first answer to a request on an appointment, if its key has won on the day where the appointment was then, unless
    /// that is `asked_anyway`. Another request under that key is left to the day to refuse, in place of a success.
    pub(super) async fn replay_wherever(
        &self,
        key: Option<&RequestKey>,
        asked_anyway: Option<DayKey>,
    ) -> Option<CommandResult> {
        let key = key?;
        for _ in 0..LOOKUPS_MAX {
            let other = self.parts.claims.day_of_key(key).filter(|other| Some(*other) != asked_anyway)?;
            let Ok(entry) = self.entry(other, self.parts.clock.now()) else { return None };
            match self.follow(entry.in_flight().look(key)).await {
                Some(Attempt::Settled(result)) => return Some(result),
                Some(Attempt::Again) => continue,
                None => {}
            }
            match self.day(other).await {
                Ok(_) | Err(EngineError::Rejected(_)) => {}
                Err(error) => return Some(Err(error)),
            }
            let Ok(entry) = self.entry(other, self.parts.clock.now()) else { return None };
            let published = entry.published_guard();
            return match (entry.key_state(key), &**published) {
                (KeyState::Won(known), Published::Present { .. }) => Some(Ok(replay(other, &known, &published))),
                // It has gone to sleep just now.
                (_, Published::Loading) => continue,
                _ => None,
            };
        }
        None
    }

    /// Waits for a twin, if there is one; `None` if the key is free.
    pub(super) async fn follow(&self, attached: Attached) -> Option<Attempt> {
        match attached {
            Attached::Free => None,
            Attached::Twin(answer) => Some(match answer.await {
                Ok(Some(result)) => Attempt::Settled(result),
                Ok(None) | Err(_) => Attempt::Again,
            }),
            Attached::Other(answer) => {
                // Whatever it came to: if it has won, the key is remembered now; if not, this request is decided afresh.
                let _ = answer.await;
                Some(Attempt::Again)
            }
            Attached::Crowded => {
                Some(Attempt::Settled(Err(EngineError::Overloaded { retry_after_millis: RETRY_AFTER_MILLIS })))
            }
        }
    }

    /// An answer that the published picture and the won keys give for certain.
    pub(super) fn answer_early(&self, entry: &DayEntry, command: &Command, now: UtcMillis) -> Option<CommandResult> {
        let published = entry.published_guard();
        let Published::Present { snapshot, .. } = &**published else { return None };
        if let Some(key) = command.key.as_ref().filter(|_| !planted!(RefusedBeforeKey)) {
            match entry.key_state(key) {
                KeyState::Won(known) => return Some(Ok(replay(entry.day(), &known, &published))),
                KeyState::Reused => return Some(Err(Rejection::KeyReused.into())),
                KeyState::Unknown => {}
            }
        }
        let Action::Book(booking) = &command.action else { return None };
        let refusal = snapshot.refusal_at(booking.start, &booking.audiences, now)?;
        self.parts.meters.early_refusals.increment(1);
        entry.touch(now);
        Some(Err(refusal.into()))
    }

    pub(super) fn admit(&self, lane: Lane, command: &Command) -> Result<crate::actors::admission::Permit, EngineError> {
        let parts = &self.parts;
        if parts.stopping.load(Ordering::Acquire) {
            return Err(self.shed(ShedReason::Stopping, command));
        }
        if parts.poisoned.load(Ordering::Acquire) {
            return Err(EngineError::Unavailable("the journal failed".to_owned()));
        }
        if lane == Lane::Sheddable && parts.applier.lag_records() > parts.ledger_lag_max {
            return Err(self.shed(ShedReason::LedgerLag, command));
        }
        parts.admission.admit(lane).ok_or_else(|| self.shed(ShedReason::EngineQueue, command))
    }

    /// Counts a refusal on purpose. The hint is spread over two seconds by the request's id, so that those who were turned away
    /// together do not come back together.
    fn shed(&self, reason: ShedReason, command: &Command) -> EngineError {
        self.parts.meters.count_shed(reason);
        let jitter = u64::from(command.envelope.request.as_bytes()[15]) * 2_000 / 256;
        EngineError::Overloaded { retry_after_millis: RETRY_AFTER_MILLIS + jitter }
    }
}

/// The first answer again.
fn replay(day: DayKey, known: &RememberedKey, published: &Published) -> CommandReply {
    let Published::Present { snapshot, time_zone } = published else { return CommandReply::Done };
    let appointment = |row: &Appointment, home: Home| CommandReply::Appointment {
        appointment: row.clone(),
        home: Some(home),
        replayed: true,
        at: row.updated_at,
    };
    match &known.answer {
        Answer::Appointment(row) => appointment(row, Home { day, time_zone: Arc::clone(time_zone) }),
        Answer::Moved { row, to } => appointment(row, to.clone()),
        Answer::Closed { version, at } => CommandReply::Day {
            snapshot: Arc::clone(snapshot),
            version: *version,
            created: false,
            replayed: true,
            at: *at,
        },
    }
}

fn interrupted() -> EngineError {
    EngineError::Unavailable("the day was interrupted".to_owned())
}
