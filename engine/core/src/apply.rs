//! How an event changes a day: total, no failure, no clock.
//! Must not know: why the event was decided.

use crate::day::{DayVersion, DoctorDay};
use crate::event::Event;

impl DoctorDay {
    /// Adopts `event` as the record `version`. Total for every event that `decide` made on this state.
    pub fn apply(&mut self, version: DayVersion, event: &Event) {
        let _ = (version, event);
        todo!("core helper")
    }
}
