//! The store of claims as this process uses it: what is given back goes in batches beside everything else, and claims that stand in the way
//! are asked about.
//! Must not know: which store, how other nodes are asked.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use booking_core::UtcMillis;
use metrics::{Counter, Gauge};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::Claims;
use super::guard::{Blocker, ClaimGuard, ClaimStates, GivenBack, overlap};
use crate::clock::{Clock, timeout};
use crate::limits::PARKED_MILLIS_MAX;
use crate::ownership::peers::{ClaimState, KeyClaimState};
use crate::telemetry::catalogue;

/// Claims that wait to be deleted. One that finds no room is an orphan: it costs the next one who meets it a question.
pub(crate) const GIVEN_BACK_MAX: usize = 65_536;
/// Claims that one statement deletes.
const GIVEN_BACK_BATCH: usize = 512;
/// How long before the store is asked again after it failed.
const PAUSE: Duration = Duration::from_millis(500);
/// How often what is over is deleted, if nothing else is to be done.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// How long before a day is asked again that could not say yet, or not at all.
const ASK_PAUSE: Duration = Duration::from_millis(20);
/// How often a batch is tried to be deleted before its claims are left as orphans.
const TRIES: usize = 3;

/// See the module.
pub struct Guard {
    store: Arc<dyn ClaimGuard>,
    states: OnceLock<Arc<dyn ClaimStates>>,
    given: mpsc::Sender<GivenBack>,
    /// Until its task takes it.
    waiting: Mutex<Option<mpsc::Receiver<GivenBack>>>,
    depth: Gauge,
    asked: Counter,
}

impl Guard {
    /// Over `store`.
    pub fn new(store: Arc<dyn ClaimGuard>) -> Self {
        let (given, waiting) = mpsc::channel(GIVEN_BACK_MAX);
        Self {
            store,
            states: OnceLock::new(),
            given,
            waiting: Mutex::new(Some(waiting)),
            depth: metrics::gauge!(catalogue::CLAIMS_GIVEN_BACK_WAITING),
            asked: metrics::counter!(catalogue::CLAIMS_ASKED_ABOUT),
        }
    }

    /// The store.
    pub fn store(&self) -> &dyn ClaimGuard {
        &*self.store
    }

    /// Says who answers for days, before any day is asked. The first one stays: a test may have said it before.
    pub fn connect(&self, states: Arc<dyn ClaimStates>) {
        let _ = self.states.set(states);
    }

    /// Has a claim deleted soon. Never blocks.
    pub fn give_back(&self, given: GivenBack) {
        // See the bound.
        let _ = self.given.try_send(given);
        self.depth.set(self.given_back_waiting() as f64);
    }

    /// Claims that wait to be deleted.
    pub fn given_back_waiting(&self) -> usize {
        GIVEN_BACK_MAX - self.given.capacity()
    }

    /// Deletes what is given back, and what is over, as long as the guard is there. `None` but the first time.
    pub fn work(self: &Arc<Self>, clock: Arc<dyn Clock>) -> Option<impl Future<Output = ()> + Send + use<>> {
        let waiting = self.waiting.lock().take()?;
        Some(delete(Arc::downgrade(self), waiting, clock))
    }

    /// Finds out what became of `blocker`, which is entered in `claims` as asked about: it stood, or it is deleted and forgotten. Given up
    /// after [`PARKED_MILLIS_MAX`], as its waiters are.
    pub async fn ask_about(self: Arc<Self>, claims: Arc<Claims>, clock: Arc<dyn Clock>, blocker: Blocker) {
        self.asked.increment(1);
        let limit = Duration::from_millis(PARKED_MILLIS_MAX.unsigned_abs());
        match timeout(&*clock, limit, self.judge(&*clock, &blocker)).await {
            Some(Some(asked_micros)) => claims.foreign_stood(&blocker, asked_micros),
            Some(None) => claims.foreign_gone(blocker.id()),
            None => {
                tracing::warn!("nobody says what became of a claim; who waits for it is told to come back");
                claims.foreign_gone(blocker.id());
            }
        }
    }

    /// When its day was asked, if the claim stands; `None` once it is deleted.
    async fn judge(&self, clock: &dyn Clock, blocker: &Blocker) -> Option<u64> {
        loop {
            let asked_micros = clock.monotonic_micros();
            match self.stands(blocker).await {
                Some(true) => return Some(asked_micros),
                Some(false) if self.store.give_back(&[GivenBack::Id(blocker.id())]).await.is_ok() => return None,
                Some(false) | None => {}
            }
            clock.sleep(ASK_PAUSE).await;
        }
    }

    /// Whether the day of `blocker` has what it claims, durably; `None` if that is not settled, or the day cannot be asked.
    async fn stands(&self, blocker: &Blocker) -> Option<bool> {
        let states = self.states.get()?;
        match blocker {
            Blocker::Visit { day, visit, .. } => match states.claim_state(*day, visit.appointment).await {
                // It may have another place of that day by now.
                Ok(ClaimState::Live { start, end }) => Some(overlap(visit, &super::Visit { start, end, ..*visit })),
                Ok(ClaimState::Absent) => Some(false),
                Ok(ClaimState::Pending) | Err(_) => None,
            },
            Blocker::Key { day, key, .. } => match states.key_state(*day, key).await {
                Ok(KeyClaimState::Won) => Some(true),
                Ok(KeyClaimState::Absent) => Some(false),
                Ok(KeyClaimState::Pending) | Err(_) => None,
            },
        }
    }
}

async fn delete(guard: Weak<Guard>, mut waiting: mpsc::Receiver<GivenBack>, clock: Arc<dyn Clock>) {
    loop {
        let mut batch = Vec::new();
        let taken = timeout(&*clock, SWEEP_INTERVAL, waiting.recv_many(&mut batch, GIVEN_BACK_BATCH)).await;
        let Some(guard) = guard.upgrade() else { return };
        match taken {
            Some(0) => return,
            Some(_) => delete_batch(&guard, &batch, &*clock).await,
            None => sweep(&guard, clock.now()).await,
        }
        guard.depth.set(waiting.len() as f64);
    }
}

async fn delete_batch(guard: &Guard, batch: &[GivenBack], clock: &dyn Clock) {
    for _ in 0..TRIES {
        match guard.store.give_back(batch).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, claims = batch.len(), "claims are not given back yet"),
        }
        clock.sleep(PAUSE).await;
    }
    tracing::warn!(claims = batch.len(), "claims are left to whoever meets them");
}

async fn sweep(guard: &Guard, now: UtcMillis) {
    if let Err(error) = guard.store.sweep(now).await {
        tracing::warn!(%error, "claims that are over are not deleted yet");
    }
}
