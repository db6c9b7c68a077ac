//! The engine's one door: everything the gateway may ask.
//! Must not know: HTTP, JSON, tokens.

use std::sync::Arc;

use booking_core::{AppointmentId, Date, DayKey, DoctorId};

use crate::clock::Clock;
use crate::error::EngineError;
use crate::ids::Ids;
use crate::ledger::registry::Registry;
use crate::view::{
    AppointmentAction, AppointmentAddress, AppointmentQuery, AppointmentReply, BookRequest, Caller, DayReply, DayView,
    HistoryItem, PlacedAppointment, PublishRequest, Readiness,
};

/// The engine as the gateway sees it. Cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    registry: Arc<dyn Registry>,
}

impl EngineHandle {
    /// The engine's clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The engine's source of ids.
    pub fn ids(&self) -> &Arc<dyn Ids> {
        &self.ids
    }

    /// Doctors and other ordinary rows.
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// Books or holds a place. The answer leaves after it is durable.
    pub async fn book(&self, request: BookRequest) -> Result<AppointmentReply, EngineError> {
        let _ = request;
        todo!()
    }

    /// Changes one appointment. Never shed.
    pub async fn change(
        &self,
        address: AppointmentAddress,
        action: AppointmentAction,
        caller: Caller,
    ) -> Result<AppointmentReply, EngineError> {
        let _ = (address, action, caller);
        todo!()
    }

    /// Creates or replaces a day.
    pub async fn publish_day(&self, request: PublishRequest) -> Result<DayReply, EngineError> {
        let _ = request;
        todo!()
    }

    /// Closes a day.
    pub async fn close_day(
        &self,
        day: DayKey,
        reason: Option<booking_core::PersonalText>,
        caller: Caller,
    ) -> Result<DayReply, EngineError> {
        let _ = (day, reason, caller);
        todo!()
    }

    /// A published day; `UnknownDay` if there is none. Holds that are due have been recorded as expired before.
    pub async fn day(&self, day: DayKey) -> Result<DayView, EngineError> {
        let _ = day;
        todo!()
    }

    /// The published days of a doctor with `from <= date <= to`, by date.
    pub async fn days(&self, doctor: DoctorId, from: Date, to: Date) -> Result<Vec<DayView>, EngineError> {
        let _ = (doctor, from, to);
        todo!()
    }

    /// One appointment, own writes included; `UnknownAppointment` if there is none. A hold that is due has been
    /// recorded as expired before.
    pub async fn appointment(&self, id: AppointmentId) -> Result<PlacedAppointment, EngineError> {
        let _ = id;
        todo!()
    }

    /// The life of one appointment, oldest step first, own writes included; `UnknownAppointment` if there is none.
    pub async fn history(&self, id: AppointmentId) -> Result<Vec<HistoryItem>, EngineError> {
        let _ = id;
        todo!()
    }

    /// A page of appointments by (start, id), own writes included, due holds expired.
    pub async fn appointments(&self, query: AppointmentQuery) -> Result<Vec<PlacedAppointment>, EngineError> {
        let _ = query;
        todo!()
    }

    /// Whether bookings can be taken.
    pub fn readiness(&self) -> Readiness {
        todo!()
    }
}
