//! What micro-benchmarks reach of the parts that a booking passes on its way in and out; compiled in with `testing` only.
//! Must not know: servers, engines.

use std::path::Path;
use std::sync::Arc;

use actix_web::body::{BodySize, MessageBody as _};
use booking_core::{
    Appointment, AppointmentId, Date, DayKey, DoctorId, PatientId, Rejection, Role, Status, SubjectId, UtcMillis,
};
use engine::EngineError;
use engine::reminders::OpenCouriers;
use engine::view::{AppointmentReply, PlacedAppointment};
use uuid::Uuid;

use crate::api::{appointments, bookings, refusal};
use crate::auth::Principal;
use crate::auth::key::SigningKey;
use crate::auth::token::{self, NewToken, Verifier};
use crate::couriers::Couriers;

/// The instant at which everything happens here.
const NOW: UtcMillis = UtcMillis(1_893_456_000_000);

/// A key, and what checks tokens against it.
pub struct TokenCheck {
    key: SigningKey,
    verifier: Verifier,
}

impl Default for TokenCheck {
    fn default() -> Self {
        let key = SigningKey::from_bytes([42; 32]);
        let verifier = Verifier::new(&key);
        Self { key, verifier }
    }
}

impl TokenCheck {
    /// A token of patient number `patient`; `None` if it cannot be signed.
    pub fn mint(&self, patient: u128) -> Option<String> {
        let subject = SubjectId(Uuid::from_u128(patient));
        let principal = Principal { subject, role: Role::Patient, clinic: None, audiences: Arc::from([]) };
        token::mint(&self.key, &NewToken { principal, issued_at: NOW, ttl_seconds: 3_600 }).ok()
    }

    /// Whether the token counts. One that does is known from then on.
    pub fn verify(&self, token: &str) -> bool {
        self.verifier.verify(token, NOW).is_ok()
    }
}

/// Whether these bytes are the body of a booking.
pub fn is_booking(body: &[u8]) -> bool {
    bookings::wanted_day(body).is_ok()
}

/// A booking that has won.
pub fn won() -> AppointmentReply {
    let number = Uuid::from_u128;
    let appointment = Appointment {
        id: AppointmentId(number(1)),
        patient: PatientId(number(2)),
        start: NOW.plus_millis(3_600_000),
        end: NOW.plus_millis(4_200_000),
        place: 0,
        status: Status::Booked,
        hold_expires_at: None,
        cancellation_reason: None,
        created_at: NOW,
        updated_at: NOW,
        version: 1,
    };
    let day = DayKey { doctor: DoctorId(number(3)), date: Date::from_days(21_915).expect("in range") };
    let placed = PlacedAppointment { day, time_zone: "Europe/Amsterdam".into(), appointment };
    AppointmentReply { placed, replayed: false, now: NOW }
}

/// Writes the answer to a booking that has won; its length in bytes.
pub fn answer_win(reply: &AppointmentReply) -> u64 {
    appointments::created(reply).map_or(0, |response| length(response.body().size()))
}

/// Writes the answer to a booking of a day that is sold out; its length in bytes.
pub fn answer_sold_out() -> u64 {
    let problem = refusal::of_engine(EngineError::Rejected(Rejection::SoldOut), NOW);
    length(problem.response("0190a3c4-0000-7000-8000-000000000000").body().size())
}

fn length(size: BodySize) -> u64 {
    match size {
        BodySize::Sized(bytes) => bytes,
        BodySize::None | BodySize::Stream => 0,
    }
}

/// The couriers of a server whose one channel is the file in `directory`.
pub fn file_couriers(directory: &Path) -> Arc<dyn OpenCouriers> {
    let file = Some(messages::FileSettings { path: directory.join("outbox.jsonl") });
    let settings = messages::Settings { file, ..messages::Settings::default() };
    Arc::new(Couriers { settings, alerts: Vec::new() })
}
