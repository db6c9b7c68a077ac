//! What a client wants next: weighted towards what goes wrong most easily.
//! Must not know: the network, what came of earlier wishes beyond what the patient knows.

use std::sync::Arc;

use booking_core::{
    AppointmentId, Booking, DayKey, Envelope, Fingerprint, PatientId, RequestId, RequestKey, Role, Status, SubjectId,
    UtcMillis,
};
use engine::view::{
    AppointmentAction, AppointmentAddress, AppointmentQuery, AppointmentScope, BookRequest, Caller, RescheduleRequest,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::clinic::{Clinic, Hold, Plan};
use crate::oracle::Asked;
use crate::random::Random;

/// Who wishes.
pub(super) struct Wisher<'client> {
    pub(super) clinic: &'client Clinic,
    pub(super) random: &'client mut Random,
    pub(super) patient: PatientId,
    pub(super) audiences: &'client Arc<[Box<str>]>,
}

/// In the order of the arms of [`Wisher::wish`].
const WEIGHTS: [u64; 9] = [32, 22, 12, 13, 16, 2, 9, 7, 6];
const HOLD_MILLIS: [i64; 4] = [1_000, 5_000, 30_000, 120_000];

impl Wisher<'_> {
    /// The next wish, without a key; `None` if it would be about an appointment that the patient has not got.
    pub(super) fn wish(&mut self) -> Option<Asked> {
        let plan = self.plan()?;
        match self.random.weighted(&WEIGHTS) {
            0 => Some(self.book(&plan, false)),
            1 => Some(self.book(&plan, true)),
            2 => self.change(AppointmentAction::Confirm),
            3 => self.change(AppointmentAction::Cancel { reason: None }),
            4 => self.reschedule(&plan),
            5 => self.change(AppointmentAction::NoShow),
            6 => Some(Asked::ReadDay(plan.day)),
            7 => self.any_known().map(|(id, _)| Asked::ReadAppointment(id)),
            _ => self.read_more(plan.day),
        }
    }

    /// What somebody wants who has waited until the last moment.
    pub(super) fn with_hold(&mut self, hold: Hold) -> Option<Asked> {
        let Hold { id, day, .. } = hold;
        let action = match self.random.below(8) {
            0..=4 => AppointmentAction::Confirm,
            5 => AppointmentAction::Cancel { reason: None },
            6 => return Some(Asked::ReadDay(day)),
            _ => {
                let plan = self.plan()?;
                let (start, audiences, caller) = (self.start(&plan), Arc::clone(self.audiences), self.caller());
                let doctor = Some(plan.day.doctor);
                return Some(Asked::Reschedule(RescheduleRequest {
                    id,
                    doctor,
                    date: plan.day.date,
                    start,
                    audiences,
                    caller,
                }));
            }
        };
        Some(Asked::Change { address: AppointmentAddress { day, id }, action, caller: self.caller() })
    }

    /// A place on another day than `asked` is about: of two doctors one wants whoever answers first. Of a move: on the day that it goes to.
    pub(super) fn elsewhere(&mut self, asked: &Asked) -> Option<Asked> {
        let request = match asked {
            Asked::Book(request) => request,
            Asked::Reschedule(request) => {
                let is_target = |plan: &&Plan| {
                    plan.day.date == request.date && request.doctor.is_none_or(|doctor| doctor == plan.day.doctor)
                };
                let plan = self.clinic.plans.iter().find(is_target)?.clone();
                return Some(self.book(&plan, false));
            }
            _ => return self.wish(),
        };
        let others: Vec<Plan> = self.clinic.plans.iter().filter(|plan| plan.day != request.day).cloned().collect();
        let same_date: Vec<Plan> = others.iter().filter(|plan| plan.day.date == request.day.date).cloned().collect();
        let plan = self.random.pick(if same_date.is_empty() { &others } else { &same_date })?.clone();
        let hold = self.random.chance(300_000);
        Some(self.book(&plan, hold))
    }

    fn plan(&mut self) -> Option<Plan> {
        // The first day is everybody's favourite.
        let clinic = self.clinic;
        if self.random.chance(400_000) {
            clinic.plans.first().cloned()
        } else {
            self.random.pick(&clinic.plans).cloned()
        }
    }

    fn start(&mut self, plan: &Plan) -> Option<UtcMillis> {
        if self.random.chance(450_000) {
            return None;
        }
        self.random.pick(&plan.definition.slots).map(|slot| slot.start)
    }

    fn book(&mut self, plan: &Plan, hold: bool) -> Asked {
        let hold_millis = if hold { self.random.pick(&HOLD_MILLIS).copied() } else { None };
        let booking = Booking {
            appointment: AppointmentId(Uuid::nil()),
            patient: self.patient,
            start: self.start(plan),
            hold_millis,
            audiences: Arc::clone(self.audiences),
            busy: Vec::new(),
        };
        Asked::Book(BookRequest { day: plan.day, booking, caller: self.caller() })
    }

    /// Mostly the newest: it is the one that something is happening to.
    fn any_known(&mut self) -> Option<(AppointmentId, DayKey)> {
        let known = self.clinic.known(self.patient);
        if self.random.chance(700_000) { known.last().copied() } else { self.random.pick(&known).copied() }
    }

    fn change(&mut self, action: AppointmentAction) -> Option<Asked> {
        let (id, day) = self.any_known()?;
        let mut caller = self.caller();
        if matches!(action, AppointmentAction::NoShow) {
            let subject = SubjectId(Uuid::from_bytes(*day.doctor.as_bytes()));
            caller.envelope = Envelope { subject, role: Role::Doctor, ..caller.envelope };
        }
        Some(Asked::Change { address: AppointmentAddress { day, id }, action, caller })
    }

    fn reschedule(&mut self, plan: &Plan) -> Option<Asked> {
        let (id, day) = self.any_known()?;
        let plan = if self.random.chance(250_000) {
            self.clinic.plans.iter().find(|plan| plan.day == day)?.clone()
        } else {
            plan.clone()
        };
        let doctor = Some(plan.day.doctor).filter(|doctor| *doctor != day.doctor || self.random.chance(500_000));
        let (start, audiences, caller) = (self.start(&plan), Arc::clone(self.audiences), self.caller());
        Some(Asked::Reschedule(RescheduleRequest { id, doctor, date: plan.day.date, start, audiences, caller }))
    }

    fn read_more(&mut self, day: DayKey) -> Option<Asked> {
        let scope = match self.random.below(3) {
            0 => return self.any_known().map(|(id, _)| Asked::History(id)),
            1 => AppointmentScope::Day(day),
            _ => AppointmentScope::Patient(self.patient),
        };
        let statuses = if self.random.chance(300_000) { vec![Status::Held, Status::Booked] } else { Vec::new() };
        let (from, to, after, now) = (None, None, None, UtcMillis(0));
        Some(Asked::List(AppointmentQuery { scope, statuses, from, to, after, limit: 200, now }))
    }

    fn caller(&self) -> Caller {
        let subject = SubjectId(Uuid::from_bytes(*self.patient.as_bytes()));
        let envelope = Envelope { subject, role: Role::Patient, request: RequestId(Uuid::nil()) };
        Caller { envelope, key: None }
    }
}

/// Sends `asked` under the key `name`, if the call takes one.
pub(crate) fn with_key(mut asked: Asked, name: &str) -> Asked {
    let fingerprint = fingerprint(&asked);
    let caller = match &mut asked {
        Asked::Book(request) => &mut request.caller,
        Asked::Change { caller, .. } | Asked::Close { caller, .. } => caller,
        Asked::Reschedule(request) => &mut request.caller,
        Asked::Publish(_) | Asked::ReadDay(_) | Asked::ReadAppointment(_) | Asked::List(_) | Asked::History(_) => {
            return asked;
        }
    };
    caller.key = Some(RequestKey { subject: caller.envelope.subject, key: name.into(), fingerprint });
    asked
}

/// As the gateway makes it: from what is asked, not from who asks when. A change is fingerprinted by its appointment, wherever that
/// stands.
fn fingerprint(asked: &Asked) -> Fingerprint {
    let text = match asked {
        Asked::Book(request) => format!("book {:?} {:?}", request.day, request.booking),
        Asked::Change { address, action, .. } => format!("change {:?} {action:?}", address.id),
        Asked::Reschedule(request) => {
            format!("move {:?} {:?} {:?} {:?}", request.id, request.doctor, request.date, request.start)
        }
        other => format!("{other:?}"),
    };
    let digest = Sha256::digest(text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Fingerprint(bytes)
}
