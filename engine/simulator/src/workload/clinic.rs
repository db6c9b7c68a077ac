//! The clinic of one run: its doctors, days and patients, drawn from the seed so that everybody gets in everybody's way.
//! Must not know: who asks for what, when.

use std::collections::BTreeMap;
use std::sync::Arc;

use booking_core::{
    AppointmentId, Date, DayDefinition, DayKey, DoctorId, PatientId, Release, SlotDefinition, UtcMillis,
};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::kernel::EPOCH;
use crate::random::Random;

/// Days since 1970 of the first day.
pub(crate) const FIRST_DAY: i32 = (EPOCH.0 / 86_400_000) as i32;
/// Seconds after the beginning at which slots of the first day start: two of them during the run.
const SOON: [(i64, i64); 4] = [(120, 60), (240, 60), (3_600, 1_200), (5_400, 1_800)];
/// Seconds after the beginning at which slots of later days start, from their own morning on.
const LATER: [(i64, i64); 4] = [(0, 1_200), (1_200, 1_200), (2_400, 1_800), (7_200, 1_200)];

/// A day as it is to be published first.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which.
    pub day: DayKey,
    /// As what.
    pub definition: Arc<DayDefinition>,
}

/// A hold that a patient was told of.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    /// The appointment.
    pub id: AppointmentId,
    /// Where it stands.
    pub day: DayKey,
    /// When it ends by itself.
    pub expires_at: UtcMillis,
}

/// See the module.
pub struct Clinic {
    /// Its days.
    pub plans: Vec<Plan>,
    /// Its patients.
    pub patients: Vec<PatientId>,
    /// Instants at which something changes by time alone: releases, starts.
    pub instants: Vec<UtcMillis>,
    /// What patients know of their appointments; the devices of one patient share it.
    known: Mutex<BTreeMap<PatientId, Vec<(AppointmentId, DayKey)>>>,
    /// The newest hold of each patient, and when it ends.
    holds: Mutex<BTreeMap<PatientId, Hold>>,
}

impl Clinic {
    /// The clinic of a seed, for a run of `ticks` seconds.
    pub fn of(random: &mut Random, ticks: u64) -> Self {
        let doctors: Vec<DoctorId> = (1..=random.between(1, 3)).map(doctor).collect();
        let mut plans = Vec::new();
        for doctor in doctors {
            for date in 0..=random.below(3) {
                let Some(date) = i32::try_from(date).ok().and_then(|date| Date::from_days(FIRST_DAY + date)) else {
                    continue;
                };
                let definition = Arc::new(definition(random, date, ticks));
                plans.push(Plan { day: DayKey { doctor, date }, definition });
            }
        }
        let patients = (1..=random.between(3, 14)).map(patient).collect();
        let instants = plans.iter().flat_map(|plan| instants_of(&plan.definition)).collect();
        Self { plans, patients, instants, known: Mutex::default(), holds: Mutex::default() }
    }

    /// A clinic with these days, for scenarios: its patients are whoever asks.
    pub fn with(plans: Vec<Plan>) -> Self {
        let instants = plans.iter().flat_map(|plan| instants_of(&plan.definition)).collect();
        Self { plans, patients: Vec::new(), instants, known: Mutex::default(), holds: Mutex::default() }
    }

    /// The appointments that `patient` knows of.
    pub fn known(&self, patient: PatientId) -> Vec<(AppointmentId, DayKey)> {
        self.known.lock().get(&patient).cloned().unwrap_or_default()
    }

    /// The newest hold of `patient`, ended or not.
    pub fn hold(&self, patient: PatientId) -> Option<Hold> {
        self.holds.lock().get(&patient).copied()
    }

    /// `patient` has been told of a hold.
    pub fn note_hold(&self, patient: PatientId, hold: Hold) {
        self.holds.lock().insert(patient, hold);
    }

    /// `patient` has been told where `appointment` stands. Those that live come last: something can still happen to them.
    pub fn note(&self, patient: PatientId, appointment: AppointmentId, day: DayKey, is_live: bool) {
        let mut known = self.known.lock();
        let own = known.entry(patient).or_default();
        own.retain(|(id, _)| *id != appointment);
        let place = if is_live { own.len() } else { 0 };
        own.insert(place, (appointment, day));
    }
}

/// The doctor with this number.
pub(crate) fn doctor(number: u64) -> DoctorId {
    DoctorId(Uuid::from_u128(0xd0c0_0000_0000_0000_8000_0000_0000_0000 | u128::from(number)))
}

/// The patient with this number.
pub(crate) fn patient(number: u64) -> PatientId {
    PatientId(Uuid::from_u128(0x9a70_0000_0000_0000_8000_0000_0000_0000 | u128::from(number)))
}

fn instants_of(definition: &DayDefinition) -> Vec<UtcMillis> {
    let releases = definition.releases.iter().map(|release| release.at);
    releases.chain(definition.slots.iter().map(|slot| slot.start)).filter(|at| *at > EPOCH).collect()
}

/// A definition of `date`.
pub(super) fn definition(random: &mut Random, date: Date, ticks: u64) -> DayDefinition {
    let is_first = date.days() == FIRST_DAY;
    let grid = if is_first { SOON } else { LATER };
    let morning = i64::from(date.days()) * 86_400_000 + 8 * 3_600_000;
    let from = usize::try_from(random.below(3)).unwrap_or(0);
    let count = usize::try_from(random.between(1, 4)).unwrap_or(1);
    let slots: Vec<SlotDefinition> = grid[from..(from + count).min(grid.len())]
        .iter()
        .map(|(offset, length)| SlotDefinition {
            start: UtcMillis(morning + offset * 1_000),
            end: UtcMillis(morning + (offset + length) * 1_000),
            capacity: [1, 1, 1, 2, 3][usize::try_from(random.below(5)).unwrap_or(0)],
            utc_offset_seconds: 0,
        })
        .collect();
    let releases = releases(random, &slots, ticks);
    DayDefinition::validate("UTC".into(), "".into(), slots, releases).expect("the grid makes valid days")
}

fn releases(random: &mut Random, slots: &[SlotDefinition], ticks: u64) -> Vec<Release> {
    let last_start = slots.last().map_or(EPOCH, |slot| slot.start);
    let mut within = |share: u64| {
        let seconds = random.below((ticks * share / 100).max(1));
        UtcMillis(EPOCH.0 + i64::try_from(seconds).unwrap_or(0) * 1_000).min(last_start)
    };
    let (early, late) = (within(30), within(70));
    let all = |at| Release { at, places: None, audience: None };
    match random.below(4) {
        0 => vec![all(EPOCH.plus_millis(-3_600_000))],
        1 => vec![all(late)],
        2 => vec![Release { at: early, places: Some(1), audience: Some("regulars".into()) }, all(late.max(early))],
        _ => vec![Release { at: early, places: Some(1), audience: None }, all(late.max(early))],
    }
}
