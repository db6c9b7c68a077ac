//! What is claimed across doctor-days: a patient's time, and an idempotency key. An index in memory of this process, beside
//! the journals (`protocols.md` B and C): built at start, asked by the day that is about to record a winner.
//! Must not know: how a day decides, how records become durable, SQL.
//!
//! The order is always: place (tentative, in the day's memory), claim, append. A claim is *pending* from the turn that
//! decides until its record is durable, then *live*; it goes when the record that frees it is durable, before anybody is told.
//! Whoever meets a pending claim of another day waits for it and holds nothing meanwhile, so there is no cycle.
//!
//! Locks: one shard at a time, never across an await. A waiter is entered under the lock that its obstacle was seen under.

mod foreign;
pub mod guard;
pub mod guarded;
mod keys;
#[cfg(feature = "testing")]
pub mod memory;
mod patients;
pub mod postgres;
mod restore;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use booking_core::{AppointmentId, Busy, Date, DayKey, PatientId, RequestKey, UtcMillis};
use uuid::Uuid;

use self::foreign::Foreign;
pub use self::foreign::ForeignAnswer;
use self::guard::{Blocker, GivenBack};
use self::guarded::Guard;
use self::keys::{KeyAnswer, KeyClaims};
pub use self::patients::Visit;
use self::patients::{Patients, VisitAnswer};
pub use self::restore::restore;
use crate::ledger::won_keys::KeyDigest;
pub use crate::ledger::won_keys::oldest_date;
use crate::ownership::{ShardSet, Tenures};

/// Is told that something it waited for is settled. Must not block.
pub trait Waiter: Send + Sync + 'static {
    /// Look again.
    fn settled(&self);
}

/// Enters `waiter` once, however often it asks: what it waits for may never be settled before the process ends.
fn enter(waiting: &mut Vec<Arc<dyn Waiter>>, waiter: &Arc<dyn Waiter>) {
    let is_it = |other: &Arc<dyn Waiter>| std::ptr::addr_eq(Arc::as_ptr(other), Arc::as_ptr(waiter));
    if !waiting.iter().any(is_it) {
        waiting.push(Arc::clone(waiter));
    }
}

/// What a day is about to record.
pub struct Wish<'wish> {
    /// Which day.
    pub day: DayKey,
    /// Number of the record.
    pub sequence: u64,
    /// The time that it takes of a patient.
    pub visit: Option<Visit>,
    /// The key that it remembers, and the last date on which it must be known.
    pub key: Option<(&'wish RequestKey, Date)>,
    /// The present.
    pub now: UtcMillis,
}

/// What became of a wish.
#[derive(Debug)]
pub enum Claimed {
    /// All of it is claimed, until it is settled.
    Granted,
    /// The patient is elsewhere at that time. All the times at which it is elsewhere for certain.
    Busy(Vec<Busy>),
    /// The key has won on another day.
    KeyElsewhere,
    /// It depends on something that is not settled; the waiter will be told.
    Unsettled {
        /// A day that must record a hold which is due.
        expire: Option<DayKey>,
    },
}

/// The index.
#[derive(Default)]
pub struct Claims {
    patients: Patients,
    keys: KeyClaims,
    /// Where several processes decide.
    shared: OnceLock<Shared>,
}

/// What several processes need beside the index, which has the days of one of them only.
struct Shared {
    guard: Arc<Guard>,
    tenures: Arc<Tenures>,
    foreign: Foreign,
}

impl Claims {
    /// From now on this index is the first look only: it has the days that `tenures` says are open here, and `guard` has all. Called once,
    /// before any day is asked.
    pub fn share(&self, guard: Arc<Guard>, tenures: Arc<Tenures>) {
        let shared = self.shared.set(Shared { guard, tenures, foreign: Foreign::default() });
        debug_assert!(shared.is_ok(), "an index is shared once");
    }

    /// The claims of all processes, where there are several.
    pub fn guard(&self) -> Option<&Arc<Guard>> {
        self.shared.get().map(|shared| &shared.guard)
    }

    /// Whether claims of days of other processes, as far as they are known, stand in the way of `wish`, for a request that was queued at
    /// `queued_micros`. `waiter` is kept if they are being asked about.
    pub fn look_elsewhere(&self, wish: &Wish<'_>, queued_micros: u64, waiter: &Arc<dyn Waiter>) -> ForeignAnswer {
        let Some(shared) = self.shared.get() else { return ForeignAnswer::Clear };
        let key = wish.key.map(|(key, _)| key);
        shared.foreign.look(wish.day, wish.visit.as_ref(), key, queued_micros, waiter)
    }

    /// A claim of another day has stood in the way: whoever meets it from now on waits. False if it is being asked about already.
    pub fn foreign_met(&self, blocker: &Blocker) -> bool {
        self.shared.get().is_some_and(|shared| shared.foreign.met(blocker))
    }

    /// A claim of another day stood when that day was asked at `asked_micros`.
    pub fn foreign_stood(&self, blocker: &Blocker, asked_micros: u64) {
        if let Some(shared) = self.shared.get() {
            shared.foreign.stood(blocker, asked_micros);
        }
    }

    /// A claim of another day is gone, or nothing is known of it.
    pub fn foreign_gone(&self, id: Uuid) {
        if let Some(shared) = self.shared.get() {
            shared.foreign.forget(id);
        }
    }

    /// Forgets what was known of other processes' claims long before `now_micros`.
    pub fn sweep_foreign(&self, now_micros: u64) {
        if let Some(shared) = self.shared.get() {
            shared.foreign.sweep(now_micros);
        }
    }

    /// Record `sequence` of `day` is durable and takes `appointment` from where it was: what earlier records claimed for it can go.
    pub fn freed(&self, appointment: AppointmentId, day: DayKey, sequence: u64) {
        if let Some(shared) = self.shared.get() {
            shared.guard.give_back(GivenBack::Before { appointment, day, sequence });
        }
    }

    /// Claims all of `wish`, or nothing. `waiter` is kept only if the answer is [`Claimed::Unsettled`]. The patient's time comes
    /// first: a key that has won elsewhere stands in place of a success only, and a refusal stays that refusal.
    pub fn claim(&self, wish: &Wish<'_>, waiter: &Arc<dyn Waiter>) -> Claimed {
        if let Some(visit) = &wish.visit {
            match self.patients.claim(visit, wish.day, wish.sequence, wish.now, waiter) {
                VisitAnswer::Granted => {}
                VisitAnswer::Busy(busy) => return Claimed::Busy(busy),
                VisitAnswer::Unsettled { expire } => return Claimed::Unsettled { expire },
            }
        }
        let Some((key, until)) = wish.key else { return Claimed::Granted };
        let digest = KeyDigest::of(key.subject, &key.key);
        let refused = match self.keys.claim(digest, wish.day, wish.sequence, until, waiter) {
            KeyAnswer::Granted => return Claimed::Granted,
            KeyAnswer::Elsewhere => Claimed::KeyElsewhere,
            KeyAnswer::Unsettled => Claimed::Unsettled { expire: None },
        };
        if let Some(visit) = &wish.visit {
            self.patients.release(visit, wish.day, wish.sequence);
        }
        refused
    }

    /// When a patient is elsewhere than on `day` for certain, `except` for one appointment.
    pub fn busy(&self, patient: PatientId, day: DayKey, except: AppointmentId, now: UtcMillis) -> Vec<Busy> {
        self.patients.busy(patient, day, except, now)
    }

    /// How record `sequence` of `day` leaves an appointment: with this visit, or (`None`) with none there.
    pub fn settle(
        &self,
        patient: PatientId,
        appointment: AppointmentId,
        day: DayKey,
        sequence: u64,
        visit: Option<Visit>,
    ) {
        self.patients.settle(patient, appointment, day, sequence, visit);
    }

    /// An appointment has left `from` by record `sequence` for the visit on another day. If that is a day of another process, nobody here
    /// would ever end the visit: it is not kept.
    pub fn transfer(&self, from: DayKey, sequence: u64, to: DayKey, visit: Visit) {
        let is_here = || self.shared.get().is_none_or(|shared| shared.tenures.is_open(to.shard()));
        self.patients.transfer(from, sequence, to, visit, is_here);
    }

    /// `day` keeps a place for the appointment of `visit`, says the state that was read again: whatever later records had claimed for it
    /// is gone.
    pub fn arriving(&self, day: DayKey, visit: Visit) {
        self.patients.arriving(day, &visit);
    }

    /// Whether a claim of `appointment` on `day` is pending.
    pub fn is_pending(&self, patient: PatientId, appointment: AppointmentId, day: DayKey) -> bool {
        self.patients.is_pending(patient, appointment, day)
    }

    /// Every appointment of `day` with a pending claim. Reads the whole index: for defects only.
    pub fn pending_of(&self, day: DayKey) -> Vec<(PatientId, AppointmentId)> {
        self.patients.pending_of(day)
    }

    /// The key has won on `day`.
    pub fn key_won(&self, key: &RequestKey, day: DayKey, until: Date) {
        self.keys.won(KeyDigest::of(key.subject, &key.key), day, until);
    }

    /// The key has not won on `day` after all.
    pub fn key_lost(&self, key: &RequestKey, day: DayKey) {
        self.keys.release(KeyDigest::of(key.subject, &key.key), day, u64::MAX);
    }

    /// Where the key has won or is about to.
    pub fn day_of_key(&self, key: &RequestKey) -> Option<DayKey> {
        self.keys.day_of(KeyDigest::of(key.subject, &key.key))
    }

    /// Adds what the ledger knows of a visit, at start: of an appointment of which nothing is known here yet.
    pub fn restore_visit(&self, day: DayKey, visit: Visit) {
        self.patients.restore(day, &visit);
    }

    /// Adds what the ledger knows of a key, at start.
    pub fn restore_key(&self, digest: KeyDigest, day: DayKey, until: Date) {
        self.keys.won(digest, day, until);
    }

    /// Forgets, bit by bit, visits that have ended at `now` and keys whose last date is before `today`. Called by maintenance.
    pub fn sweep(&self, now: UtcMillis, today: Date) {
        self.patients.sweep(now);
        self.keys.sweep(today);
    }

    /// Forgets everything of days of `shards`: another process speaks for them.
    pub fn forget_shards(&self, shards: &ShardSet) {
        self.patients.forget(|day| shards.contains(day.shard()));
        self.keys.forget(|day| shards.contains(day.shard()));
    }

    /// Number of claimed visits.
    pub fn visits(&self) -> usize {
        self.patients.len()
    }

    /// Number of known keys.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }
}
