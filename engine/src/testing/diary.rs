//! Doctor-days as they happen, decided by the core: the records of them, as the applier hands them to a ledger, and what is
//! durable of every appointment, as whoever sends messages asks for it.
//! Must not know: stores, messages.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{
    Action, AppointmentId, Booking, Command, DayDefinition, DayKey, DayVersion, DoctorDay, Envelope, PatientId,
    Release, Relocation, RequestId, Role, SlotDefinition, SubjectId, UtcMillis,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::journal::ChainHash;
use crate::ledger::reminders::ReminderRow;
use crate::ledger::{AppliedRecord, PlacedAppointment};
use crate::reminders::check::{Check, Verdict, judge};

/// Length of every slot.
const SLOT_MILLIS: i64 = 600_000;

/// See the module.
#[derive(Default)]
pub struct Diary {
    days: BTreeMap<DayKey, (Arc<str>, DoctorDay)>,
    homes: HashMap<AppointmentId, DayKey>,
    news: Vec<AppliedRecord>,
    ids: u128,
    position: u64,
}

impl Diary {
    /// Publishes a day of that zone, with slots of ten minutes at these instants and so many places in each.
    pub fn publish(&mut self, day: DayKey, zone: &str, starts: &[UtcMillis], capacity: u32, at: UtcMillis) {
        let rules = TimeZone::get(zone).expect("a zone");
        let offset_seconds = |at: UtcMillis| {
            let instant = Timestamp::from_millisecond(at.0).expect("an instant");
            rules.to_offset(instant).seconds()
        };
        let slot = |start: &UtcMillis| SlotDefinition {
            start: *start,
            end: start.plus_millis(SLOT_MILLIS),
            capacity,
            utc_offset_seconds: offset_seconds(*start),
        };
        let releases = vec![Release { at: UtcMillis(0), places: None, audience: None }];
        let slots = starts.iter().map(slot).collect();
        let definition = DayDefinition::validate(zone.into(), "".into(), slots, releases).expect("a valid day");
        self.days.insert(day, (zone.into(), DoctorDay::default()));
        let action = Action::Publish { definition: Arc::new(definition), precondition: None };
        self.command(day, Role::Doctor, day.doctor.0, action, at);
    }

    /// Books a place.
    pub fn book(&mut self, day: DayKey, patient: PatientId, start: UtcMillis, at: UtcMillis) -> AppointmentId {
        self.ids += 1;
        let appointment = AppointmentId::born_in(Uuid::from_u128(self.ids << 16), &day);
        let (hold_millis, audiences, busy) = (None, Arc::from([]), Vec::new());
        let booking = Booking { appointment, patient, start: Some(start), hold_millis, audiences, busy };
        self.command(day, Role::Patient, patient.0, Action::Book(booking), at);
        self.homes.insert(appointment, day);
        appointment
    }

    /// The patient cancels.
    pub fn cancel(&mut self, appointment: AppointmentId, at: UtcMillis) {
        self.change(appointment, Action::Cancel { appointment, reason: None }, at);
    }

    /// The patient moves to another slot of the day.
    pub fn shift(&mut self, appointment: AppointmentId, start: UtcMillis, at: UtcMillis) {
        let (start, audiences, busy) = (Some(start), Arc::from([]), Vec::new());
        self.change(appointment, Action::Move(Relocation { appointment, start, audiences, busy }), at);
    }

    /// What was recorded since the last call, and the position up to which it goes.
    pub fn news(&mut self) -> (Vec<AppliedRecord>, u64) {
        (std::mem::take(&mut self.news), self.position)
    }

    /// An appointment as it is durable.
    pub fn placed(&self, id: AppointmentId) -> Option<PlacedAppointment> {
        let day = *self.homes.get(&id)?;
        let (zone, state) = self.days.get(&day)?;
        let appointment = state.appointment(id)?.clone();
        Some(PlacedAppointment { day, time_zone: Arc::clone(zone), appointment })
    }

    fn change(&mut self, appointment: AppointmentId, action: Action, at: UtcMillis) {
        let placed = self.placed(appointment).expect("an appointment");
        self.command(placed.day, Role::Patient, placed.appointment.patient.0, action, at);
    }

    fn command(&mut self, day: DayKey, role: Role, subject: Uuid, action: Action, at: UtcMillis) {
        self.position += 1;
        let request = RequestId(Uuid::from_u128(u128::from(self.position)));
        let envelope = Envelope { subject: SubjectId(subject), role, request };
        let (_, state) = self.days.get_mut(&day).expect("a day that is published");
        let decision = state.decide(&Command { envelope, key: None, action }, at);
        let event = decision.event.filter(|_| decision.outcome.is_ok()).expect("the day takes it");
        let version = DayVersion { epoch: 1, sequence: state.version().sequence + 1 };
        state.apply(version, &event);
        let body: Arc<[u8]> = booking_core::encode_event(&event).into();
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&self.position.to_be_bytes());
        self.news.push(AppliedRecord { day, version, position: self.position, hash: ChainHash(hash), body, event });
    }
}

/// A diary that whoever sends messages asks.
#[derive(Default)]
pub struct Books(Mutex<Diary>);

impl Books {
    /// Writes in it, or reads.
    pub fn with<T>(&self, write: impl FnOnce(&mut Diary) -> T) -> T {
        write(&mut self.0.lock())
    }
}

#[async_trait]
impl Check for Books {
    async fn check(&self, rows: &[ReminderRow]) -> Vec<Verdict> {
        let diary = self.0.lock();
        rows.iter().map(|row| judge(row, diary.placed(row.key.appointment))).collect()
    }
}
