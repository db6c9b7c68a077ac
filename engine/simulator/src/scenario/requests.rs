//! The requests of scenarios, and the days they are about: short to write, as the gateway would ask them.
//! Must not know: how they are sent, what the answers are.

use std::sync::Arc;

use booking_core::{
    AppointmentId, Booking, Date, DayDefinition, DayKey, Envelope, PatientId, Precondition, Release, RequestId, Role,
    SlotDefinition, SubjectId, UtcMillis,
};
use engine::view::{
    AppointmentAction, AppointmentAddress, AppointmentQuery, AppointmentScope, BookRequest, Caller, PublishRequest,
    RescheduleRequest,
};
use uuid::Uuid;

use crate::kernel::EPOCH;
use crate::oracle::Asked;
use crate::workload::{FIRST_DAY, Plan, doctor, patient, with_key};

/// The day of this doctor, so many days after the first, which is the one on which every run begins at eight.
pub fn day(doctor_number: u64, days_later: i32) -> DayKey {
    let date = Date::from_days(FIRST_DAY + days_later).expect("a date within this century");
    DayKey { doctor: doctor(doctor_number), date }
}

/// So many seconds after eight on that day.
pub fn at(day: DayKey, seconds: i64) -> UtcMillis {
    UtcMillis(i64::from(day.date.days()) * 86_400_000 + (8 * 3_600 + seconds) * 1_000)
}

/// So many milliseconds after the beginning of the run.
pub const fn instant(millis: i64) -> UtcMillis {
    UtcMillis(EPOCH.0 + millis)
}

/// A day with these slots (seconds after eight, length in seconds, capacity), released long ago.
pub fn plan(day: DayKey, slots: &[(i64, i64, u32)]) -> Plan {
    let release = Release { at: instant(-3_600_000), places: None, audience: None };
    plan_released(day, slots, vec![release])
}

/// A day with these slots and releases.
pub fn plan_released(day: DayKey, slots: &[(i64, i64, u32)], releases: Vec<Release>) -> Plan {
    let slot = |(start, length, capacity): &(i64, i64, u32)| SlotDefinition {
        start: at(day, *start),
        end: at(day, start + length),
        capacity: *capacity,
        utc_offset_seconds: 0,
    };
    let slots = slots.iter().map(slot).collect();
    let definition =
        DayDefinition::validate("UTC".into(), "".into(), slots, releases).expect("a scenario has valid days");
    Plan { day, definition: Arc::new(definition) }
}

/// The patient with this number.
pub fn patient_id(patient_number: u64) -> PatientId {
    patient(patient_number)
}

/// A place for the patient with this number; `None`: in any slot.
pub fn book(patient_number: u64, day: DayKey, start: Option<UtcMillis>) -> Asked {
    booking(patient_number, day, start, None)
}

/// The same as a hold of so many milliseconds.
pub fn hold(patient_number: u64, day: DayKey, start: Option<UtcMillis>, millis: i64) -> Asked {
    booking(patient_number, day, start, Some(millis))
}

fn booking(patient_number: u64, day: DayKey, start: Option<UtcMillis>, hold_millis: Option<i64>) -> Asked {
    let booking = Booking {
        appointment: AppointmentId(Uuid::nil()),
        patient: patient(patient_number),
        start,
        hold_millis,
        audiences: Arc::from([]),
        busy: Vec::new(),
    };
    Asked::Book(BookRequest { day, booking, caller: caller(patient_number) })
}

/// The patient with this number confirms.
pub fn confirm(patient_number: u64, day: DayKey, id: AppointmentId) -> Asked {
    change(patient_number, day, id, AppointmentAction::Confirm)
}

/// The patient with this number cancels.
pub fn cancel(patient_number: u64, day: DayKey, id: AppointmentId) -> Asked {
    change(patient_number, day, id, AppointmentAction::Cancel { reason: None })
}

fn change(patient_number: u64, day: DayKey, id: AppointmentId, action: AppointmentAction) -> Asked {
    Asked::Change { address: AppointmentAddress { day, id }, action, caller: caller(patient_number) }
}

/// The patient with this number asks for another place on `day`.
pub fn reschedule(patient_number: u64, id: AppointmentId, day: DayKey, start: Option<UtcMillis>) -> Asked {
    let (doctor, date, audiences) = (Some(day.doctor), day.date, Arc::from([]));
    Asked::Reschedule(RescheduleRequest { id, doctor, date, start, audiences, caller: caller(patient_number) })
}

/// The day is published so.
pub fn publish(plan: &Plan, precondition: Option<Precondition>) -> Asked {
    let (day, definition) = (plan.day, Arc::clone(&plan.definition));
    Asked::Publish(PublishRequest { day, definition, precondition, caller: office() })
}

/// The day is closed.
pub fn close(day: DayKey) -> Asked {
    Asked::Close { day, reason: None, caller: office() }
}

/// All appointments of the day, in every status.
pub fn list_of_day(day: DayKey) -> Asked {
    list(AppointmentScope::Day(day))
}

/// All appointments of the patient with this number, in every status.
pub fn list_of_patient(patient_number: u64) -> Asked {
    list(AppointmentScope::Patient(patient(patient_number)))
}

fn list(scope: AppointmentScope) -> Asked {
    let (from, to, after, now) = (None, None, None, UtcMillis(0));
    Asked::List(AppointmentQuery { scope, statuses: Vec::new(), from, to, after, limit: 1_000, now })
}

/// The same request under a key; the fingerprint is as the gateway makes it.
pub fn keyed(asked: Asked, key: &str) -> Asked {
    with_key(asked, key)
}

fn caller(patient_number: u64) -> Caller {
    let subject = SubjectId(Uuid::from_bytes(*patient(patient_number).as_bytes()));
    Caller { envelope: Envelope { subject, role: Role::Patient, request: RequestId(Uuid::nil()) }, key: None }
}

fn office() -> Caller {
    let subject = SubjectId(Uuid::from_u128(0xad00_0000_0000_0000_8000_0000_0000_0001));
    Caller { envelope: Envelope { subject, role: Role::Admin, request: RequestId(Uuid::nil()) }, key: None }
}
