//! The oracle: the journal's order is the truth, and a naive model says what is legal. It takes every record in the order of positions
//! and every reply with the window in which it was under way, and names what cannot be.
//!
//! It knows the types of `booking-core` and of the engine's door as data, and none of their rules: those are told here a second time,
//! from the contract, with lists and loops. No async, no IO, no clock, no randomness.
//!
//! Must not know: how the engine decides, what is simulated.

mod ask;
mod day;
mod judge;
mod judge_book;
mod judge_change;
mod judge_day;
mod judge_read;
mod keys;
mod moves;
mod offer;
mod patients;
mod rest;
mod seek;
mod step;
mod violation;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use booking_core::{AppointmentId, DayKey, Event, Rejection, RequestKey, UtcMillis, decode_event};
use engine::EngineError;
use engine::journal::StoredRecord;
use engine::view::AppointmentScope;

pub use ask::{Asked, Floor, Reply, Told, Verdict, Window};
pub use rest::LedgerRows;
pub use violation::{Kind, Violation};

use judge::{Finding, Judge};
use keys::Keys;
use violation::ensure;
use world::{Recorded, World};

/// A record may lie so far ahead of the clock: a step of more makes a node unready, and a slew of less is none.
const AHEAD_MILLIS_MAX: i64 = 1_000;

/// See the module.
#[derive(Default)]
pub struct Oracle {
    world: World,
    keys: Keys,
    epoch: u32,
    /// By day: when its last record was decided, and in which process.
    decided: BTreeMap<DayKey, (u32, UtcMillis)>,
    /// By day: the last position of which somebody was told.
    told: Arc<BTreeMap<DayKey, u64>>,
    /// Appointments whose birth was told as new.
    births: BTreeSet<AppointmentId>,
}

impl Oracle {
    /// Nothing has been recorded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next record, at the instant at which it became durable: `at_micros` on the simulator's own time (for the words only),
    /// `engine_now` on the engine's clock.
    ///
    /// # Errors
    /// What is not legal about it. The model is then as it was before.
    pub fn recorded(&mut self, record: &StoredRecord, at_micros: u64, engine_now: UtcMillis) -> Result<(), Violation> {
        let place = format!(
            "{at_micros} µs, position {}, {} {}/{}",
            record.position, record.day, record.version.epoch, record.version.sequence
        );
        self.adopt(record, engine_now).map_err(|violation| violation.at(&place))
    }

    fn adopt(&mut self, record: &StoredRecord, engine_now: UtcMillis) -> Result<(), Violation> {
        let next = self.world.last_position() + 1;
        ensure!(record.position == next, PositionGap, "position {next} is due");
        let before = self.world.day_now(record.day).map(|state| state.version).unwrap_or_default();
        let sequence = before.sequence + 1;
        ensure!(record.version.sequence == sequence, SequenceGap, "sequence {sequence} is due");
        ensure!(record.version.epoch >= self.epoch, EpochFell, "epoch {} has written", self.epoch);
        let event = decode_event(&record.body)
            .map_err(|error| Violation::new(Kind::Undecodable, format!("a record that cannot be read: {error}")))?;
        let ahead = event.at.millis_since(engine_now);
        ensure!(ahead <= AHEAD_MILLIS_MAX, FromTheFuture, "decided {ahead} ms from now");
        let decided = (record.version.epoch, event.at);
        if let Some((epoch, at)) = self.decided.get(&record.day) {
            let in_order = *epoch != decided.0 || *at <= event.at;
            ensure!(in_order, TimeWentBack, "decided {} ms before the last record", at.millis_since(event.at));
        }
        let step = step::advance(&self.world, record.day, record.version, &event)?;
        self.keys.check(record.day, record.version, &event, &step.state)?;
        let (state, told) = (step.state, step.told);
        self.epoch = record.version.epoch;
        self.decided.insert(record.day, decided);
        self.keys.adopt(record.position, record.day, record.version, &event);
        let record = Recorded { day: record.day, event: Arc::new(event) };
        self.world.adopt(record, state, told);
        Ok(())
    }

    /// What somebody was told of by now: the floor of a request that is sent now.
    pub fn told(&self) -> Floor {
        Floor::Told(Arc::clone(&self.told))
    }

    /// The position of the last record.
    pub fn last_position(&self) -> u64 {
        self.world.last_position()
    }

    /// Which day recorded at `position`; `None` if there is no record yet.
    pub fn day_of(&self, position: u64) -> Option<DayKey> {
        self.world.record(position).map(|record| record.day)
    }

    /// The event at `position`; `None` if there is none yet.
    pub fn event(&self, position: u64) -> Option<&Event> {
        self.world.record(position).map(|record| &*record.event)
    }

    /// After an unknown outcome: the position of the record under this key, if it is durable by now.
    pub fn effect_of(&self, key: &RequestKey) -> Option<u64> {
        self.keys.get(key).map(|won| won.position)
    }

    /// After an unknown outcome without a key: the position of the first record that the request caused, if one is durable by now.
    pub fn effect_of_request(&self, request: booking_core::RequestId) -> Option<u64> {
        let mut records = self.world.records();
        records.find(|(_, record)| record.event.envelope.request == request).map(|(position, _)| position)
    }

    /// Judges a reply at the instant at which the client receives it. To be called in the order of those instants.
    ///
    /// # Errors
    /// What cannot be about it.
    pub fn judge(&mut self, asked: &Asked, reply: &Reply, window: &Window) -> Result<Verdict, Violation> {
        let judge = Judge { oracle: self, window };
        let found = match reply {
            Ok(told) => judge.success(asked, told),
            Err(error) => judge.error(asked, error),
        };
        let finding = found.map_err(|violation| violation.at(&format!("{asked:?} in {window:?}")))?;
        self.note(asked, reply, &finding);
        Ok(finding.verdict)
    }

    /// Remembers what was told.
    fn note(&mut self, asked: &Asked, reply: &Reply, finding: &Finding) {
        let told = Arc::make_mut(&mut self.told);
        for position in &finding.shown {
            if let Some(record) = self.world.record(*position) {
                let floor = told.entry(record.day).or_default();
                *floor = (*floor).max(*position);
            }
        }
        let is_first = match reply {
            Ok(Told::Appointment(reply)) => !reply.replayed,
            Ok(Told::Day(reply)) => !reply.replayed,
            _ => false,
        };
        if let (true, Some(key)) = (is_first, asked.key())
            && let Some(won) = self.keys.get_mut(key)
        {
            won.is_told = true;
        }
        if let (true, Ok(Told::Appointment(reply))) = (finding.is_new, reply) {
            self.births.insert(reply.placed.appointment.id);
        }
    }
}

impl Judge<'_> {
    fn success(&self, asked: &Asked, told: &Told) -> Result<Finding, Violation> {
        match (asked, told) {
            (Asked::Book(asked), Told::Appointment(reply)) => self.booked(asked, reply),
            (Asked::Change { address, action, caller }, Told::Appointment(reply)) => {
                self.changed(address.id, action, caller, reply)
            }
            (Asked::Reschedule(asked), Told::Appointment(reply)) => self.moved(asked, reply),
            (Asked::Publish(asked), Told::Day(reply)) => self.published(asked, reply),
            (Asked::Close { day, caller, .. }, Told::Day(reply)) => self.closed(*day, caller, reply),
            (Asked::ReadDay(day), Told::View(view)) => self.seen_day(*day, view),
            (Asked::ReadAppointment(id), Told::Placed(placed)) => self.seen(*id, placed),
            (Asked::List(query), Told::List(rows)) => self.listed(query, rows),
            (Asked::History(id), Told::History(items)) => self.lived(*id, items),
            _ => Err(Violation::new(Kind::ReplyDiffers, format!("an answer of another kind: {told:?}"))),
        }
    }

    fn error(&self, asked: &Asked, error: &EngineError) -> Result<Finding, Violation> {
        match error {
            EngineError::Repeated(first) => self.error(asked, first),
            EngineError::Rejected(told) => self.refused(asked, told),
            EngineError::Overloaded { .. } | EngineError::Unavailable(_) => Ok(Finding::unknown()),
            EngineError::NotHere { .. } | EngineError::Internal(_) => {
                Err(Violation::new(Kind::InternalError, error.to_string()))
            }
        }
    }

    fn refused(&self, asked: &Asked, told: &Rejection) -> Result<Finding, Violation> {
        let is_change = matches!(asked, Asked::Change { .. });
        let may_be_told = !told.is_internal() || (is_change && matches!(told, Rejection::MovedAway { .. }));
        ensure!(may_be_told, InternalRefusal, "{told:?} is told to a caller");
        match asked {
            Asked::Book(asked) => self.not_booked(asked, told),
            Asked::Change { address, action, caller } => self.not_changed(address, action, caller, told),
            Asked::Reschedule(asked) => self.not_moved(asked, told),
            Asked::Publish(asked) => self.not_published(asked, told),
            Asked::Close { day, caller, .. } => self.not_closed(*day, caller, told),
            Asked::ReadDay(day) => self.not_seen_day(*day, told),
            Asked::ReadAppointment(id) | Asked::History(id) => self.not_seen(*id, told),
            Asked::List(query) => match query.scope {
                AppointmentScope::Day(day) => self.not_seen_day(day, told),
                AppointmentScope::Patient(_) => {
                    Err(Violation::new(Kind::RefusalWrong, format!("a patient's list is refused with {told:?}")))
                }
            },
        }
    }
}
