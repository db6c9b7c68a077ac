//! The calls of the contract: parse, ask the engine, render. One file a subject.
//! Must not know: rules about slots, SQL, how a booking is decided.

pub(crate) mod activity;
pub(crate) mod appointments;
pub(crate) mod body;
pub(crate) mod bookings;
pub(crate) mod call;
pub(crate) mod catalogue;
pub(crate) mod checks;
pub(crate) mod clinics;
pub(crate) mod cursor;
pub(crate) mod day_body;
pub(crate) mod day_view;
pub(crate) mod days;
pub(crate) mod doctor_body;
pub(crate) mod doctors;
pub(crate) mod idempotency;
pub(crate) mod input;
pub(crate) mod instant;
pub(crate) mod lists;
pub(crate) mod operations;
pub(crate) mod patient_body;
pub(crate) mod patients;
pub(crate) mod policies;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod refusal;
pub(crate) mod reminders;
pub(crate) mod reschedule;
pub(crate) mod stream;
pub(crate) mod tag;
pub(crate) mod templates;
pub(crate) mod zone;
