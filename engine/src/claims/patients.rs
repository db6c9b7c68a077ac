//! When patients are busy: patient → visits, pending or live.
//! Must not know: keys, why a visit was claimed.
//!
//! A table of its own for each of [`SHARDS`] parts of the patients, so that winners of different days seldom meet.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use booking_core::{Appointment, AppointmentId, Busy, DayKey, PatientId, UtcMillis, planted};
use parking_lot::Mutex;

use super::{Waiter, enter};

/// A power of two.
const SHARDS: usize = 64;

/// Shards that one sweep looks at: a shard of a million visits takes a fraction of a millisecond, the whole index a quarter of
/// a minute.
const SHARDS_PER_SWEEP: usize = 4;

/// A time that an appointment takes of its patient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visit {
    /// Whose time.
    pub patient: PatientId,
    /// Which appointment. It never stands in its own way.
    pub appointment: AppointmentId,
    /// From.
    pub start: UtcMillis,
    /// Until, exclusive.
    pub end: UtcMillis,
    /// Of a hold: when it ends by itself.
    pub hold_expires_at: Option<UtcMillis>,
}

impl Visit {
    /// The visit that `row` is; `None` if its stored status is not live.
    pub fn of(row: &Appointment) -> Option<Self> {
        row.status.is_live().then_some(Self {
            patient: row.patient,
            appointment: row.id,
            start: row.start,
            end: row.end,
            hold_expires_at: row.hold_expires_at,
        })
    }
}

/// What became of a claim.
#[derive(Debug)]
pub(super) enum VisitAnswer {
    /// It is pending now.
    Granted,
    /// A live visit overlaps. All live visits of the patient elsewhere.
    Busy(Vec<Busy>),
    /// A pending one overlaps, or a hold that is due on the named day; the waiter is entered.
    Unsettled {
        /// See above.
        expire: Option<DayKey>,
    },
}

/// One visit of a patient, as small as it can be: there is one for every appointment to come.
#[derive(Clone, Copy)]
struct Claim {
    appointment: AppointmentId,
    day: DayKey,
    start: UtcMillis,
    end: UtcMillis,
    /// `i64::MAX`: no hold.
    expires: UtcMillis,
    /// The record of `day` that says so; 0: from before the start.
    sequence: u64,
    pending: bool,
}

impl Claim {
    fn new(visit: &Visit, day: DayKey, sequence: u64, pending: bool) -> Self {
        Self {
            appointment: visit.appointment,
            day,
            start: visit.start,
            end: visit.end,
            expires: visit.hold_expires_at.unwrap_or(UtcMillis(i64::MAX)),
            sequence,
            pending,
        }
    }

    fn is_due(&self, now: UtcMillis) -> bool {
        self.expires <= now
    }

    /// Whether it can stand in the way of an appointment on `day`. On one day the day's own state decides.
    fn concerns(&self, appointment: AppointmentId, day: DayKey, now: UtcMillis) -> bool {
        self.appointment != appointment && self.day != day && (self.pending || self.end > now)
    }

    fn overlaps(&self, visit: &Visit) -> bool {
        self.start < visit.end && visit.start < self.end
    }

    fn is_of(&self, appointment: AppointmentId, day: DayKey) -> bool {
        self.appointment == appointment && self.day == day
    }
}

/// The claims of one patient: nearly always one.
enum Held {
    One(Claim),
    Many(Vec<Claim>),
}

impl Held {
    fn as_slice(&self) -> &[Claim] {
        match self {
            Self::One(claim) => std::slice::from_ref(claim),
            Self::Many(claims) => claims,
        }
    }

    fn push(&mut self, claim: Claim) {
        match self {
            Self::One(first) => *self = Self::Many(vec![*first, claim]),
            Self::Many(claims) => claims.push(claim),
        }
    }

    /// Keeps what `keep` says; `None` if nothing is left.
    fn retained(self, keep: impl Fn(&Claim) -> bool) -> Option<Self> {
        match self {
            Self::One(claim) => keep(&claim).then_some(Self::One(claim)),
            Self::Many(mut claims) => {
                claims.retain(keep);
                match claims.as_slice() {
                    [] => None,
                    [claim] => Some(Self::One(*claim)),
                    _ => Some(Self::Many(claims)),
                }
            }
        }
    }
}

#[derive(Default)]
struct Shard {
    held: HashMap<PatientId, Held>,
    /// Days with a parked command of the patient, each once.
    waiting: HashMap<PatientId, Vec<Arc<dyn Waiter>>>,
}

impl Shard {
    fn of(&self, patient: PatientId) -> &[Claim] {
        self.held.get(&patient).map_or(&[], Held::as_slice)
    }

    fn add(&mut self, patient: PatientId, claim: Claim) {
        match self.held.get_mut(&patient) {
            Some(held) => held.push(claim),
            None => {
                self.held.insert(patient, Held::One(claim));
            }
        }
    }

    /// Removes what `keep` does not keep; the number of claims that went.
    fn retain(&mut self, patient: PatientId, keep: impl Fn(&Claim) -> bool) -> usize {
        let Some(held) = self.held.remove(&patient) else { return 0 };
        let before = held.as_slice().len();
        let Some(left) = held.retained(keep) else { return before };
        let gone = before - left.as_slice().len();
        self.held.insert(patient, left);
        gone
    }

    fn take_waiting(&mut self, patient: PatientId) -> Vec<Arc<dyn Waiter>> {
        if self.waiting.is_empty() || planted!(WaitersNotWoken) {
            Vec::new()
        } else {
            self.waiting.remove(&patient).unwrap_or_default()
        }
    }
}

/// The index of visits.
pub(super) struct Patients {
    shards: Vec<Mutex<Shard>>,
    claims: AtomicUsize,
    next_swept: AtomicUsize,
}

impl Default for Patients {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            claims: AtomicUsize::new(0),
            next_swept: AtomicUsize::new(0),
        }
    }
}

impl Patients {
    /// Claims `visit` for record `sequence` of `day`, unless another day's visit overlaps.
    pub(super) fn claim(
        &self,
        visit: &Visit,
        day: DayKey,
        sequence: u64,
        now: UtcMillis,
        waiter: &Arc<dyn Waiter>,
    ) -> VisitAnswer {
        let mut shard = self.shard(visit.patient).lock();
        let others = shard.of(visit.patient).iter().filter(|claim| claim.concerns(visit.appointment, day, now));
        let others = others.filter(|claim| !claim.pending || !planted!(PendingClaimIgnored));
        let overlapping: Vec<&Claim> = others.filter(|claim| claim.overlaps(visit)).collect();
        if overlapping.is_empty() {
            shard.add(visit.patient, Claim::new(visit, day, sequence, true));
            self.claims.fetch_add(1, Ordering::Relaxed);
            return VisitAnswer::Granted;
        }
        if overlapping.iter().any(|claim| !claim.pending && !claim.is_due(now)) {
            return VisitAnswer::Busy(busy(&shard, visit.patient, day, visit.appointment, now));
        }
        // A pending claim first: once it is settled, everything is looked at again.
        let is_pending = overlapping.iter().any(|claim| claim.pending);
        let expire = if is_pending { None } else { overlapping.first().map(|claim| claim.day) };
        enter(shard.waiting.entry(visit.patient).or_default(), waiter);
        VisitAnswer::Unsettled { expire }
    }

    /// Adds a live visit of an appointment that is not here: nobody can wait for it, and nothing of it is to be replaced.
    pub(super) fn restore(&self, day: DayKey, visit: &Visit) {
        self.shard(visit.patient).lock().add(visit.patient, Claim::new(visit, day, 0, false));
        self.claims.fetch_add(1, Ordering::Relaxed);
    }

    /// The live visits of `patient` that are not on `day`, not of `except`, and not over.
    pub(super) fn busy(&self, patient: PatientId, day: DayKey, except: AppointmentId, now: UtcMillis) -> Vec<Busy> {
        busy(&self.shard(patient).lock(), patient, day, except, now)
    }

    /// Replaces what record `sequence` of `day`, or an earlier one, said of the appointment.
    pub(super) fn settle(
        &self,
        patient: PatientId,
        appointment: AppointmentId,
        day: DayKey,
        sequence: u64,
        visit: Option<Visit>,
    ) {
        let mut shard = self.shard(patient).lock();
        self.replace(&mut shard, patient, appointment, day, sequence, visit);
        let waiting = shard.take_waiting(patient);
        drop(shard);
        waiting.iter().for_each(|waiter| waiter.settled());
    }

    /// The appointment of `visit` is no more on `from`, by its record `sequence`, but on `to`, which counts if it `is_here`. If a record of
    /// `to` has told how it stands there, that is later than the move and stays.
    pub(super) fn transfer(
        &self,
        from: DayKey,
        sequence: u64,
        to: DayKey,
        visit: Visit,
        is_here: impl FnOnce() -> bool,
    ) {
        let Visit { patient, appointment, .. } = visit;
        let mut shard = self.shard(patient).lock();
        let known = shard.of(patient).iter().filter(|claim| claim.is_of(appointment, to));
        let (sequence_there, is_told) =
            known.fold((0, false), |(last, is_told), claim| (last.max(claim.sequence), is_told | !claim.pending));
        // Asked under the lock: whoever forgets the days that have left comes either before this look, or after what it adds.
        if is_here() && !is_told {
            self.replace(&mut shard, patient, appointment, to, sequence_there, Some(visit));
        }
        self.replace(&mut shard, patient, appointment, from, sequence, None);
        let waiting = shard.take_waiting(patient);
        drop(shard);
        waiting.iter().for_each(|waiter| waiter.settled());
    }

    /// A place on `day` is kept for the appointment of `visit`, says the state that was read, and no later record of `day` is left:
    /// one claim, as settled as the day of departure has told.
    pub(super) fn arriving(&self, day: DayKey, visit: &Visit) {
        let Visit { patient, appointment, .. } = *visit;
        let mut shard = self.shard(patient).lock();
        let has_left = shard.of(patient).iter().any(|claim| claim.is_of(appointment, day) && !claim.pending);
        self.replace(&mut shard, patient, appointment, day, u64::MAX, None);
        shard.add(patient, Claim::new(visit, day, 0, !has_left));
        self.claims.fetch_add(1, Ordering::Relaxed);
        let waiting = shard.take_waiting(patient);
        drop(shard);
        waiting.iter().for_each(|waiter| waiter.settled());
    }

    /// Gives back what was claimed for record `sequence` of `day`, which is not written after all.
    pub(super) fn release(&self, visit: &Visit, day: DayKey, sequence: u64) {
        let mut shard = self.shard(visit.patient).lock();
        let is_released =
            |claim: &Claim| claim.is_of(visit.appointment, day) && claim.pending && claim.sequence == sequence;
        let gone = shard.retain(visit.patient, |claim| !is_released(claim));
        self.claims.fetch_sub(gone, Ordering::Relaxed);
        let waiting = shard.take_waiting(visit.patient);
        drop(shard);
        waiting.iter().for_each(|waiter| waiter.settled());
    }

    fn replace(
        &self,
        shard: &mut Shard,
        patient: PatientId,
        appointment: AppointmentId,
        day: DayKey,
        sequence: u64,
        visit: Option<Visit>,
    ) {
        let gone = shard.retain(patient, |claim| !claim.is_of(appointment, day) || claim.sequence > sequence);
        self.claims.fetch_sub(gone, Ordering::Relaxed);
        if let Some(visit) = visit {
            // After a failure everything is replaced: what comes next counts from the state that was read.
            let sequence = if sequence == u64::MAX { 0 } else { sequence };
            shard.add(patient, Claim::new(&visit, day, sequence, false));
            self.claims.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a claim of `appointment` on `day` waits for its record, or for the outcome of a move.
    pub(super) fn is_pending(&self, patient: PatientId, appointment: AppointmentId, day: DayKey) -> bool {
        self.shard(patient).lock().of(patient).iter().any(|claim| claim.pending && claim.is_of(appointment, day))
    }

    /// Every pending claim of `day`.
    pub(super) fn pending_of(&self, day: DayKey) -> Vec<(PatientId, AppointmentId)> {
        let mut found = Vec::new();
        for shard in &self.shards {
            for (patient, held) in &shard.lock().held {
                let pending = held.as_slice().iter().filter(|claim| claim.pending && claim.day == day);
                found.extend(pending.map(|claim| (*patient, claim.appointment)));
            }
        }
        found
    }

    /// Forgets what has ended, in the next few shards.
    pub(super) fn sweep(&self, now: UtcMillis) {
        for _ in 0..SHARDS_PER_SWEEP {
            let number = self.next_swept.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let mut shard = self.shards[number].lock();
            let ended = |claim: &Claim| !claim.pending && claim.end <= now;
            let over: Vec<PatientId> = shard
                .held
                .iter()
                .filter(|(_, held)| held.as_slice().iter().any(ended))
                .map(|(patient, _)| *patient)
                .collect();
            let gone: usize = over.into_iter().map(|patient| shard.retain(patient, |claim| !ended(claim))).sum();
            self.claims.fetch_sub(gone, Ordering::Relaxed);
        }
    }

    /// Forgets every visit on days that `is_left` says; whoever waits for one looks again.
    pub(super) fn forget(&self, is_left: impl Fn(DayKey) -> bool) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let has_left = |held: &Held| held.as_slice().iter().any(|claim| is_left(claim.day));
            let patients: Vec<PatientId> =
                shard.held.iter().filter(|(_, held)| has_left(held)).map(|(patient, _)| *patient).collect();
            let mut waiting = Vec::new();
            for patient in patients {
                let gone = shard.retain(patient, |claim| !is_left(claim.day));
                self.claims.fetch_sub(gone, Ordering::Relaxed);
                waiting.append(&mut shard.take_waiting(patient));
            }
            drop(shard);
            waiting.iter().for_each(|waiter| waiter.settled());
        }
    }

    /// Number of claims.
    pub(super) fn len(&self) -> usize {
        self.claims.load(Ordering::Relaxed)
    }

    fn shard(&self, patient: PatientId) -> &Mutex<Shard> {
        let bytes = patient.as_bytes();
        &self.shards[usize::from(bytes[15] ^ bytes[7]) % SHARDS]
    }
}

fn busy(shard: &Shard, patient: PatientId, day: DayKey, except: AppointmentId, now: UtcMillis) -> Vec<Busy> {
    let others = shard.of(patient).iter().filter(|claim| claim.concerns(except, day, now));
    let certain = others.filter(|claim| !claim.pending && !claim.is_due(now));
    certain.map(|claim| Busy { appointment: claim.appointment, start: claim.start, end: claim.end }).collect()
}
