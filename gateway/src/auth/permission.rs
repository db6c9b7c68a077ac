//! What a caller may do: one type a permission, carried in the handler's signature.
//! Must not know: HTTP, where the facts about a target come from.

use std::marker::PhantomData;
use std::sync::Arc;

use booking_core::{DoctorId, PatientId, Role, SubjectId};
use engine::ledger::reminders::PolicyScope;
use uuid::Uuid;

use super::Principal;
use crate::api::catalogue::Code;
use crate::api::problem::Problem;

/// A permission: a rule over the caller and what is to be touched.
pub(crate) trait Permission: 'static {
    /// For the route table.
    const NAME: &'static str;
    /// The facts that the rule needs.
    type Target;

    /// Whether `principal` may.
    fn allows(principal: &Principal, target: &Self::Target) -> bool;
}

/// A verified caller who is not yet permitted anything. The whole principal, which every command needs, is only to be
/// had through [`Guard::permit`]; what a body's defaults need is open before, since a body is judged before permission.
pub(crate) struct Guard<P> {
    principal: Arc<Principal>,
    permission: PhantomData<P>,
}

impl<P: Permission> Guard<P> {
    /// For a caller whose token was verified.
    pub(crate) fn of(principal: Arc<Principal>) -> Self {
        Self { principal, permission: PhantomData }
    }

    /// The caller's role.
    pub(crate) fn role(&self) -> Role {
        self.principal.role
    }

    /// The caller's id.
    pub(crate) fn subject(&self) -> SubjectId {
        self.principal.subject
    }

    /// The caller, if permitted; `forbidden` otherwise.
    pub(crate) fn permit(&self, target: &P::Target) -> Result<&Principal, Problem> {
        if P::allows(&self.principal, target) { Ok(&self.principal) } else { Err(Problem::of(Code::Forbidden)) }
    }
}

impl Principal {
    fn is(&self, role: Role, id: Uuid) -> bool {
        self.role == role && self.subject.0 == id
    }
}

/// Whose an appointment is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppointmentParties {
    /// Who is seen.
    pub(crate) patient: PatientId,
    /// By whom.
    pub(crate) doctor: DoctorId,
}

macro_rules! permission {
    ($(#[$doc:meta])* $name:ident($target:ty), |$principal:ident, $at:ident| $rule:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl Permission for $name {
            const NAME: &'static str = stringify!($name);
            type Target = $target;

            fn allows($principal: &Principal, $at: &$target) -> bool {
                $rule
            }
        }
    };
}

permission!(
    /// Register or change doctors: admins.
    ManageDoctors(()),
    |principal, _target| principal.role == Role::Admin
);
permission!(
    /// Look into the process: admins.
    Operate(()),
    |principal, _target| principal.role == Role::Admin
);
permission!(
    /// Put clinics: admins.
    ManageClinics(()),
    |principal, _target| principal.role == Role::Admin
);
permission!(
    /// Publish or close a day, read who comes: that doctor, admins.
    ManageDay(DoctorId),
    |principal, doctor| principal.role == Role::Admin || principal.is(Role::Doctor, doctor.0)
);
permission!(
    /// Book, hold: a patient for itself, admins for anyone.
    Book(PatientId),
    |principal, patient| principal.role == Role::Admin || principal.is(Role::Patient, patient.0)
);
permission!(
    /// Confirm a hold: its patient, admins.
    Confirm(AppointmentParties),
    |principal, parties| principal.role == Role::Admin || principal.is(Role::Patient, parties.patient.0)
);
permission!(
    /// Give it another place: its patient, admins.
    Reschedule(AppointmentParties),
    |principal, parties| principal.role == Role::Admin || principal.is(Role::Patient, parties.patient.0)
);
permission!(
    /// Read, cancel: its patient, its doctor, admins.
    TakePart(AppointmentParties),
    |principal, parties| principal.role == Role::Admin
        || principal.is(Role::Patient, parties.patient.0)
        || principal.is(Role::Doctor, parties.doctor.0)
);
permission!(
    /// Say that a patient did not come: its doctor, admins.
    ReportNoShow(AppointmentParties),
    |principal, parties| principal.role == Role::Admin || principal.is(Role::Doctor, parties.doctor.0)
);
permission!(
    /// Read a patient's appointments: that patient, admins.
    ReadPatient(PatientId),
    |principal, patient| principal.role == Role::Admin || principal.is(Role::Patient, patient.0)
);
permission!(
    /// Read or put a patient's particulars: that patient, admins.
    ManagePatient(PatientId),
    |principal, patient| principal.role == Role::Admin || principal.is(Role::Patient, patient.0)
);

permission!(
    /// Read what was told of an appointment: its patient, admins.
    ReadReminders(AppointmentParties),
    |principal, parties| principal.role == Role::Admin || principal.is(Role::Patient, parties.patient.0)
);
permission!(
    /// Say what is told of visits: a doctor of its own, admins.
    ManagePolicy(PolicyScope),
    |principal, scope| principal.role == Role::Admin
        || matches!(scope, PolicyScope::Doctor(doctor) if principal.is(Role::Doctor, doctor.0))
);
permission!(
    /// Write templates, look after messages that nobody takes: admins.
    ManageMessages(()),
    |principal, _target| principal.role == Role::Admin
);

#[cfg(test)]
mod tests {
    use super::*;

    const ME: u128 = 1;
    const OTHER: u128 = 2;

    fn caller(role: Role) -> Principal {
        Principal { subject: SubjectId(Uuid::from_u128(ME)), role, clinic: None, audiences: [].into() }
    }

    /// Whether patient, doctor and admin number [`ME`] may.
    fn who<P: Permission>(target: &P::Target) -> [bool; 3] {
        [Role::Patient, Role::Doctor, Role::Admin].map(|role| P::allows(&caller(role), target))
    }

    #[test]
    fn the_table_of_the_contract() {
        let id = Uuid::from_u128;
        let parties =
            |patient, doctor| AppointmentParties { patient: PatientId(id(patient)), doctor: DoctorId(id(doctor)) };
        assert_eq!(who::<ManageDoctors>(&()), [false, false, true]);
        assert_eq!(who::<ManageClinics>(&()), [false, false, true]);
        assert_eq!(who::<ManagePatient>(&PatientId(id(ME))), [true, false, true]);
        assert_eq!(who::<ManagePatient>(&PatientId(id(OTHER))), [false, false, true]);
        assert_eq!(who::<ManageDay>(&DoctorId(id(ME))), [false, true, true]);
        assert_eq!(who::<ManageDay>(&DoctorId(id(OTHER))), [false, false, true]);
        assert_eq!(who::<Book>(&PatientId(id(ME))), [true, false, true]);
        assert_eq!(who::<Book>(&PatientId(id(OTHER))), [false, false, true]);
        assert_eq!(who::<Confirm>(&parties(ME, ME)), [true, false, true]);
        assert_eq!(who::<Confirm>(&parties(OTHER, ME)), [false, false, true]);
        assert_eq!(who::<Reschedule>(&parties(ME, ME)), [true, false, true]);
        assert_eq!(who::<Reschedule>(&parties(OTHER, ME)), [false, false, true]);
        assert_eq!(who::<TakePart>(&parties(ME, OTHER)), [true, false, true]);
        assert_eq!(who::<TakePart>(&parties(OTHER, ME)), [false, true, true]);
        assert_eq!(who::<TakePart>(&parties(OTHER, OTHER)), [false, false, true]);
        assert_eq!(who::<ReportNoShow>(&parties(ME, ME)), [false, true, true]);
        assert_eq!(who::<ReportNoShow>(&parties(ME, OTHER)), [false, false, true]);
        assert_eq!(who::<ReadPatient>(&PatientId(id(ME))), [true, false, true]);
        assert_eq!(who::<ReadPatient>(&PatientId(id(OTHER))), [false, false, true]);
    }
}
