//! What a patient asks for: the body of a booking, a hold or a move.
//! Must not know: how it is sent.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::plan::{Day, text_of};

/// The body of `POST /v1/appointments`, `POST /v1/holds` and of a move.
#[derive(Clone, Debug)]
pub struct Wish(Value);

impl Wish {
    /// Any place of that day.
    pub fn any(day: &Day) -> Self {
        Self(json!({"doctor_id": day.doctor, "date": day.date}))
    }

    /// Any place of that date, with the doctor whom the appointment is with (moves only).
    pub fn date(date: &str) -> Self {
        Self(json!({"date": date}))
    }

    /// A place in the slot number `slot` of that day.
    pub fn slot(day: &Day, slot: usize) -> Self {
        Self::any(day).at(day.starts[slot])
    }

    /// A place in the slot that starts then.
    pub fn at(self, start: Timestamp) -> Self {
        self.with("start", text_of(start))
    }

    /// For that patient.
    pub fn patient(self, id: &str) -> Self {
        self.with("patient_id", id)
    }

    /// Kept for so many seconds (holds only).
    pub fn ttl(self, seconds: i64) -> Self {
        self.with("ttl_seconds", seconds)
    }

    /// Sets one field, wrong ones too.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0[name] = value.into();
        self
    }

    /// The body.
    pub fn body(&self) -> &Value {
        &self.0
    }
}
