//! Keeps this node's lease and its share of the shards: renews, claims what is free, gives back what is too much, notices what is lost.
//! Must not know: SQL, what is done to take a shard over (`takeover`), how many are a fair share (`plan`).
//!
//! One task. Taking shards over runs beside it. What it waits for itself (what is under way on shards that are handed on, a claim behind the
//! appends of others) may take longer than a lease, so renewals go on meanwhile. A lease that has ended is never resumed: the node comes
//! back as another incarnation (`protocols.md` rule 29).

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::Notify;
use uuid::Uuid;

use super::plan::{Plan, plan};
use super::takeover::Shards;
use super::{Node, Ownership, OwnershipError, ShardSet, Territory};
use crate::actors::ports::DayPorts;
use crate::clock::{Clock, timeout};
use crate::ids::Ids;
use crate::signal::Signal;
use crate::spawn::Spawn;
use crate::telemetry::catalogue;
use crate::telemetry::events::EngineEvent;
use crate::upkeep::Stopped;

/// Looks at the map in each lease; a third of them renew it.
const LOOKS_PER_LEASE: u64 = 12;

/// The longest and the shortest time between two looks.
const LOOK_MILLIS_MAX: u64 = 500;
const LOOK_MILLIS_MIN: u64 = 50;

/// So much of the lease is not used, for clocks that run at different rates: one in so many parts.
const MARGIN_SHARE: u64 = 10;

/// See the module.
pub(crate) struct Keeper {
    store: Arc<dyn Ownership>,
    shards: Arc<Shards>,
    territory: Arc<Territory>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    spawn: Arc<dyn Spawn>,
    control: Arc<Control>,
    /// What others reach this node by.
    address: String,
    lease_millis: u64,
}

/// What the rest of the engine tells the keeper, and hears from it.
#[derive(Default)]
pub(crate) struct Control {
    wake: Notify,
    /// Others should look at the map.
    changed: Notify,
    is_leaving: AtomicBool,
    /// Given when every shard is handed on and the node has left.
    pub(crate) left: Signal,
    /// Given when the first shards are open, or there are none to take.
    pub(crate) ready: Signal,
}

impl Control {
    /// Something may be different from what is known.
    pub(crate) fn look(&self) {
        self.wake.notify_one();
    }

    /// Becomes ready when the map was changed here since it was ready last.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Hand everything on and leave.
    pub(crate) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Release);
        self.look();
    }
}

/// Where the keeper is.
struct State {
    incarnation: Uuid,
    joined: bool,
    renewed: Arc<Renewed>,
    left: bool,
}

/// When the lease was last prolonged, on the monotonic scale, counted from before it was asked; 0 if there is none to be renewed.
#[derive(Default)]
struct Renewed(AtomicU64);

impl Renewed {
    fn at(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Acquire)).filter(|micros| *micros != 0)
    }

    fn set(&self, micros: Option<u64>) {
        self.0.store(micros.unwrap_or_default(), Ordering::Release);
    }
}

impl Keeper {
    /// Of the engine that `shards` belong to.
    pub(crate) fn new(
        store: Arc<dyn Ownership>,
        shards: Shards,
        ports: &DayPorts,
        address: String,
        lease_millis: u64,
    ) -> Self {
        let parts = &shards.handle.parts;
        let (territory, ids, clock) = (Arc::clone(&parts.territory), Arc::clone(&parts.ids), Arc::clone(&parts.clock));
        let (spawn, control, shards) = (Arc::clone(&ports.spawn), Arc::default(), Arc::new(shards));
        Self { store, shards, territory, clock, ids, spawn, control, address, lease_millis }
    }

    /// How it is told, and heard.
    pub(crate) fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control)
    }

    /// Keeps until the engine stops. `incarnation` is this start's; never used before.
    pub(crate) async fn run(self, incarnation: Uuid, stopped: Stopped) {
        let stop = &stopped.signal;
        let mut state = State { incarnation, joined: false, renewed: Arc::default(), left: false };
        let look = Duration::from_millis((self.lease_millis / LOOKS_PER_LEASE).clamp(LOOK_MILLIS_MIN, LOOK_MILLIS_MAX));
        while !stop.is_given() {
            if let Err(error) = self.look_and_renew(&mut state, look).await {
                self.failed(&mut state, &error);
            }
            self.report();
            let (woken, stopped) = (pin!(self.control.wake.notified()), pin!(stop.wait()));
            // Whichever it was: look again.
            let _ = timeout(&*self.clock, look, select(woken, stopped)).await;
        }
    }

    /// Looks, and renews the lease however long that takes. What a look was about to do for a lease that has ended is dropped.
    async fn look_and_renew(&self, state: &mut State, pause: Duration) -> Result<(), OwnershipError> {
        let renewing = self.renew_on(state.incarnation, Arc::clone(&state.renewed), pause);
        match select(pin!(self.look(state)), pin!(renewing)).await {
            Either::Left((looked, _)) => looked,
            Either::Right((ended, _)) => Err(ended),
        }
    }

    /// Renews the lease whenever it is time, until it has ended.
    async fn renew_on(&self, incarnation: Uuid, renewed: Arc<Renewed>, pause: Duration) -> OwnershipError {
        loop {
            self.clock.sleep(pause).await;
            let Some(last) = renewed.at() else { continue };
            match self.renew(incarnation, &renewed, last).await {
                Err(OwnershipError::Unavailable(reason)) => {
                    tracing::warn!(reason, "the lease is not renewed; trying again");
                }
                Err(ended @ OwnershipError::LeaseEnded) => return ended,
                Ok(()) => {}
            }
        }
    }

    async fn look(&self, state: &mut State) -> Result<(), OwnershipError> {
        if state.left {
            // Requests that still come in are sent to those who have taken over.
            self.territory.learn(&self.store.map().await?, state.incarnation);
            return Ok(());
        }
        self.keep_lease(state).await?;
        let map = self.store.map().await?;
        self.territory.learn(&map, state.incarnation);
        let held = self.held();
        let mut plan = plan(&map, state.incarnation, &held);
        self.drop_lost(&plan);
        self.claim_again(state, &held).await?;
        if !plan.unheld.is_empty() {
            self.store.release(state.incarnation, &plan.unheld).await?;
            self.control.changed.notify_one();
            self.control.look();
        }
        if self.control.is_leaving.load(Ordering::Acquire) {
            return self.hand_everything_on(state).await;
        }
        self.give_back(state, std::mem::take(&mut plan.give_back)).await?;
        if plan.claim.is_empty() {
            if self.held().iter().all(|(shard, _)| self.territory.tenures().is_open(*shard)) {
                self.control.ready.give();
            }
            return Ok(());
        }
        let claimed = self.store.claim(state.incarnation, &plan.claim).await?;
        if !claimed.is_empty() {
            self.control.changed.notify_one();
            EngineEvent::ShardsClaimed(claimed.len()).emit();
            let former = map.owners_of(&claimed.iter().map(|(shard, _)| *shard).collect(), &self.address);
            self.take_over(claimed, former);
        }
        Ok(())
    }

    /// Joins, or renews when it is time.
    async fn keep_lease(&self, state: &mut State) -> Result<(), OwnershipError> {
        if state.joined {
            return self.renew(state.incarnation, &state.renewed, state.renewed.at().unwrap_or_default()).await;
        }
        let before = self.clock.monotonic_micros();
        let node = Node { incarnation: state.incarnation, address: self.address.clone(), is_live: true };
        self.store.join(&node, self.lease_millis).await?;
        state.joined = true;
        self.prolonged(&state.renewed, before);
        Ok(())
    }

    /// Renews if that was done `last` so long ago that it is time.
    async fn renew(&self, incarnation: Uuid, renewed: &Renewed, last: u64) -> Result<(), OwnershipError> {
        let before = self.clock.monotonic_micros();
        if before.saturating_sub(last) >= self.lease_millis * 1_000 / 3 {
            self.store.renew(incarnation, self.lease_millis).await?;
            self.prolonged(renewed, before);
        }
        Ok(())
    }

    fn prolonged(&self, renewed: &Renewed, before_micros: u64) {
        renewed.set(Some(before_micros));
        let safe_millis = self.lease_millis - self.lease_millis / MARGIN_SHARE;
        self.territory.tenures().extend(before_micros + safe_millis * 1_000);
    }

    fn failed(&self, state: &mut State, error: &OwnershipError) {
        match error {
            OwnershipError::Unavailable(_) => EngineEvent::OwnershipAway(error).emit(),
            OwnershipError::LeaseEnded => {
                let owned = self.territory.tenures().owned();
                EngineEvent::LeaseEnded { shards: owned.len() }.emit();
                self.shards.drop_at_once(&owned);
                state.joined = false;
                state.renewed.set(None);
                state.incarnation = self.ids.next();
            }
        }
    }

    fn held(&self) -> Vec<(u16, u32)> {
        let tenures = self.territory.tenures();
        tenures.owned().iter().map(|shard| (shard, tenures.epoch(shard))).filter(|(_, epoch)| *epoch != 0).collect()
    }

    fn drop_lost(&self, plan: &Plan) {
        if plan.lost.is_empty() {
            return;
        }
        EngineEvent::ShardsLost(plan.lost.len()).emit();
        self.shards.drop_at_once(&plan.lost.iter().copied().collect());
    }

    /// Shards that the journal does not let us write although they are ours on paper: given back, and claimed under a new epoch.
    async fn claim_again(&self, state: &State, held: &[(u16, u32)]) -> Result<(), OwnershipError> {
        let lost = self.shards.journal.take_lost();
        let again: Vec<(u16, u32)> = held.iter().filter(|(shard, _)| lost.contains(shard)).copied().collect();
        if again.is_empty() {
            return Ok(());
        }
        tracing::warn!(shards = again.len(), "the journal's server has changed: its shards are claimed again");
        self.shards.drop_at_once(&again.iter().map(|(shard, _)| *shard).collect());
        self.store.release(state.incarnation, &again).await?;
        let claimed = self.store.claim(state.incarnation, &again).await?;
        self.take_over(claimed, Vec::new());
        Ok(())
    }

    async fn give_back(&self, state: &State, shards: Vec<(u16, u32)>) -> Result<(), OwnershipError> {
        let tenures = self.territory.tenures();
        let open =
            shards.into_iter().filter(|(shard, epoch)| tenures.epoch(*shard) == *epoch && tenures.is_open(*shard));
        let shards: Vec<(u16, u32)> = open.collect();
        if shards.is_empty() {
            return Ok(());
        }
        self.shards.hand_on(&shards.iter().map(|(shard, _)| *shard).collect()).await;
        EngineEvent::ShardsGivenBack(shards.len()).emit();
        self.store.release(state.incarnation, &shards).await?;
        self.control.changed.notify_one();
        Ok(())
    }

    /// Everything at once: each shard is out of service until another node has taken it over.
    async fn hand_everything_on(&self, state: &mut State) -> Result<(), OwnershipError> {
        let owned: ShardSet = self.territory.tenures().owned();
        self.shards.hand_on(&owned).await;
        // A renewal beside it could come too late, and would take the end for a loss.
        state.renewed.set(None);
        self.store.leave(state.incarnation).await?;
        self.control.changed.notify_one();
        tracing::info!(shards = owned.len(), "every shard is handed on");
        (state.left, state.joined) = (true, false);
        self.control.left.give();
        Ok(())
    }

    fn take_over(&self, claimed: Vec<(u16, u32)>, former: Vec<Arc<str>>) {
        let (shards, control) = (Arc::clone(&self.shards), Arc::clone(&self.control));
        for (shard, epoch) in &claimed {
            self.territory.tenures().grant(*shard, *epoch);
        }
        self.spawn.spawn(Box::pin(async move {
            shards.take_over(&claimed, &former).await;
            control.look();
        }));
    }

    fn report(&self) {
        let tenures = self.territory.tenures();
        let owned = tenures.owned();
        let open = owned.iter().filter(|shard| tenures.is_open(*shard)).count();
        metrics::gauge!(catalogue::SHARDS_OWNED).set(owned.len() as f64);
        metrics::gauge!(catalogue::SHARDS_OPEN).set(open as f64);
        metrics::gauge!(catalogue::NODES_SEEN).set(self.territory.peers().len() as f64 + 1.0);
        let left = tenures.deadline_micros().saturating_sub(self.clock.monotonic_micros());
        metrics::gauge!(catalogue::LEASE_LEFT).set(left as f64 / 1e6);
    }
}
