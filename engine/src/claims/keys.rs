//! On which day an idempotency key has won, or may be about to: one key sent for two days at once wins once.
//! Must not know: what was asked under it; the day's own state does.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use booking_core::{Date, DayKey, planted};
use parking_lot::Mutex;

use super::{Waiter, enter};
use crate::ledger::won_keys::KeyDigest;

/// A power of two.
const SHARDS: usize = 64;

/// Shards that one sweep looks at. Keys go when their days are over: nothing is urgent.
const SHARDS_PER_SWEEP: usize = 1;

/// What became of a claim.
pub(super) enum KeyAnswer {
    /// It is this day's.
    Granted,
    /// It has won on another day.
    Elsewhere,
    /// It may be about to win on another day; the waiter is entered.
    Unsettled,
}

struct KeyClaim {
    day: DayKey,
    /// The last date on which it must be known.
    until: Date,
    /// The record of `day` that is to remember it; 0: it has won.
    pending: u64,
}

#[derive(Default)]
struct Shard {
    known: HashMap<KeyDigest, KeyClaim>,
    /// Days with a parked command under the key, each once.
    waiting: HashMap<KeyDigest, Vec<Arc<dyn Waiter>>>,
}

/// The index of keys.
pub(super) struct KeyClaims {
    shards: Vec<Mutex<Shard>>,
    known: AtomicUsize,
    next_swept: AtomicUsize,
}

impl Default for KeyClaims {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            known: AtomicUsize::new(0),
            next_swept: AtomicUsize::new(0),
        }
    }
}

impl KeyClaims {
    /// Claims the key for record `sequence` of `day`.
    pub(super) fn claim(
        &self,
        key: KeyDigest,
        day: DayKey,
        sequence: u64,
        until: Date,
        waiter: &Arc<dyn Waiter>,
    ) -> KeyAnswer {
        let mut shard = self.shard(key).lock();
        match shard.known.get(&key) {
            Some(known) if known.day == day || planted!(KeyClaimSkipped) => KeyAnswer::Granted,
            Some(known) if known.pending == 0 => KeyAnswer::Elsewhere,
            Some(_) => {
                enter(shard.waiting.entry(key).or_default(), waiter);
                KeyAnswer::Unsettled
            }
            None => {
                shard.known.insert(key, KeyClaim { day, until, pending: sequence });
                self.known.fetch_add(1, Ordering::Relaxed);
                KeyAnswer::Granted
            }
        }
    }

    /// It has won on `day`.
    pub(super) fn won(&self, key: KeyDigest, day: DayKey, until: Date) {
        let mut shard = self.shard(key).lock();
        let before = shard.known.insert(key, KeyClaim { day, until, pending: 0 });
        if before.is_none() {
            self.known.fetch_add(1, Ordering::Relaxed);
        }
        notify(shard, key);
    }

    /// Forgets what record `sequence` of `day`, or an earlier one, was to remember and does not.
    pub(super) fn release(&self, key: KeyDigest, day: DayKey, sequence: u64) {
        let mut shard = self.shard(key).lock();
        let is_released = |known: &KeyClaim| known.day == day && known.pending != 0 && known.pending <= sequence;
        if shard.known.get(&key).is_some_and(is_released) {
            shard.known.remove(&key);
            self.known.fetch_sub(1, Ordering::Relaxed);
        }
        notify(shard, key);
    }

    /// The day that has it.
    pub(super) fn day_of(&self, key: KeyDigest) -> Option<DayKey> {
        self.shard(key).lock().known.get(&key).map(|known| known.day)
    }

    /// Forgets keys whose last date is before `today`, in the next shard.
    pub(super) fn sweep(&self, today: Date) {
        for _ in 0..SHARDS_PER_SWEEP {
            let number = self.next_swept.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let mut shard = self.shards[number].lock();
            let before = shard.known.len();
            shard.known.retain(|_, known| known.pending != 0 || known.until >= today);
            self.known.fetch_sub(before - shard.known.len(), Ordering::Relaxed);
        }
    }

    /// Forgets every key of days that `is_left` says; whoever waits for one looks again.
    pub(super) fn forget(&self, is_left: impl Fn(DayKey) -> bool) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let gone: Vec<KeyDigest> =
                shard.known.iter().filter(|(_, known)| is_left(known.day)).map(|(key, _)| *key).collect();
            let mut waiting = Vec::new();
            for key in &gone {
                shard.known.remove(key);
                waiting.extend(shard.waiting.remove(key).unwrap_or_default());
            }
            self.known.fetch_sub(gone.len(), Ordering::Relaxed);
            drop(shard);
            waiting.iter().for_each(|waiter| waiter.settled());
        }
    }

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.known.load(Ordering::Relaxed)
    }

    fn shard(&self, key: KeyDigest) -> &Mutex<Shard> {
        &self.shards[usize::from(key.0[15]) % SHARDS]
    }
}

fn notify(mut shard: parking_lot::MutexGuard<'_, Shard>, key: KeyDigest) {
    let waiting = if shard.waiting.is_empty() { None } else { shard.waiting.remove(&key) };
    drop(shard);
    waiting.iter().flatten().for_each(|waiter| waiter.settled());
}
