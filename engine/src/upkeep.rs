//! What the engine does by itself: wakes days whose holds end, sends idle ones to sleep, saves snapshots, compares the clock, looks for
//! work that nobody drives, forgets old keys.
//! Must not know: how the engine was put together, what a day decides.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use booking_core::UtcMillis;
use futures_util::future::select;
use tokio::sync::mpsc;

use crate::actors::ports::DayPorts;
use crate::claims;
use crate::clock::{Clock, timeout};
use crate::config::EngineConfig;
use crate::handle::EngineHandle;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::limits::{
    FORGETTING_INTERVAL_MILLIS, MAINTENANCE_INTERVAL_MILLIS, OPEN_WORK_BATCH_MAX, OPEN_WORK_HORIZON_MILLIS,
};
use crate::signal::Signal;
use crate::spawn::Work;

/// Days whose snapshots are saved in one write: bounds how long the journal's writer is kept from group commits.
const SNAPSHOTS_PER_WRITE: usize = 64;

/// How long the timers rest when none is armed; arming one ends the rest.
const TIMERS_REST: Duration = Duration::from_secs(3_600);

/// Everything that runs beside the requests, each to be spawned. All of it ends by itself soon after `stopped` says so, and is
/// never cancelled before: some of it writes.
pub(crate) fn works(
    handle: &EngineHandle,
    ports: &Arc<DayPorts>,
    ledger: &Arc<dyn Ledger>,
    config: &EngineConfig,
    stopped: &Stopped,
) -> Vec<Work> {
    let journal = Arc::clone(&ports.journal);
    vec![
        Box::pin(run_deadlines(handle.clone(), Arc::clone(ports), stopped.clone())),
        Box::pin(run_maintenance(handle.clone(), Arc::clone(ports), config.clone(), stopped.clone())),
        Box::pin(run_forgetting(Arc::clone(ledger), Arc::clone(&ports.clock), stopped.clone())),
        Box::pin(watch_journal(handle.clone(), journal, stopped.clone())),
    ]
}

/// Known to each of these tasks until it ends.
#[derive(Clone)]
pub(crate) struct Stopped {
    /// Given when the engine stops.
    pub(crate) signal: Arc<Signal>,
    /// Closed when the last of them has ended.
    pub(crate) _working: mpsc::Sender<()>,
}

/// Waits for `pause`; true if the engine stops meanwhile.
async fn ends_within(clock: &dyn Clock, pause: Duration, stopped: &Stopped) -> bool {
    timeout(clock, pause, stopped.signal.wait()).await.is_some()
}

/// Wakes days whose holds end.
async fn run_deadlines(handle: EngineHandle, ports: Arc<DayPorts>, stopped: Stopped) {
    while !stopped.signal.is_given() {
        let now = handle.parts.clock.now();
        handle.wake_due(now);
        let pause = ports.deadlines.next().map_or(TIMERS_REST, |next| until(now, next));
        let (stop, earlier) = (std::pin::pin!(stopped.signal.wait()), std::pin::pin!(ports.deadlines.earlier()));
        // Whichever it was: look again.
        timeout(&*ports.clock, pause, select(stop, earlier)).await;
    }
}

fn until(now: UtcMillis, next: UtcMillis) -> Duration {
    Duration::from_millis(u64::try_from(next.millis_since(now)).unwrap_or(0))
}

/// Once a second: the clock, idle days, snapshots, the index of open work.
async fn run_maintenance(handle: EngineHandle, ports: Arc<DayPorts>, config: EngineConfig, stopped: Stopped) {
    loop {
        let parts = &handle.parts;
        parts.clock.discipline();
        parts.meters.clock_steady.set(if parts.clock.is_steady() { 1.0 } else { 0.0 });
        parts.meters.admitted.set(parts.admission.admitted() as f64);
        let now = parts.clock.now();
        // Whoever waits for a timer waits for so much time to pass, and does not see that the clock was set forward just now.
        handle.wake_due(now);
        handle.sweep(now, config.idle_millis, config.awake_days_max);
        sweep_claims(&handle, now);
        arm_open_work(&ports, now).await;
        save_snapshots(&ports, &stopped).await;
        if ends_within(&*ports.clock, Duration::from_millis(MAINTENANCE_INTERVAL_MILLIS), &stopped).await {
            return;
        }
    }
}

/// Arms what the journal's index says is due soon: after a restart nobody else would (`protocols.md` rule 26).
async fn arm_open_work(ports: &DayPorts, now: UtcMillis) {
    let horizon = now.plus_millis(OPEN_WORK_HORIZON_MILLIS);
    match ports.journal.open_work(horizon, OPEN_WORK_BATCH_MAX).await {
        Ok(work) => work.into_iter().for_each(|(day, at)| ports.deadlines.arm(day, at)),
        Err(error) => tracing::warn!(%error, "the index of open work could not be read; trying again"),
    }
}

/// Once an hour: the ledger forgets keys whose days are over.
async fn run_forgetting(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>, stopped: Stopped) {
    loop {
        if let Some(oldest) = claims::oldest_date(clock.now()) {
            match ledger.forget_won_keys(oldest).await {
                Ok(0) => {}
                Ok(forgotten) => tracing::info!(forgotten, "keys of days that are over are forgotten"),
                Err(error) => tracing::warn!(%error, "old keys were not forgotten; trying again in an hour"),
            }
        }
        if ends_within(&*clock, Duration::from_millis(FORGETTING_INTERVAL_MILLIS), &stopped).await {
            return;
        }
    }
}

fn sweep_claims(handle: &EngineHandle, now: UtcMillis) {
    let parts = &handle.parts;
    if let Some(oldest) = claims::oldest_date(now) {
        parts.claims.sweep(now, oldest);
        parts.claims.sweep_foreign(parts.clock.monotonic_micros());
    }
    parts.meters.claimed_visits.set(parts.claims.visits() as f64);
    parts.meters.claimed_keys.set(parts.claims.keys() as f64);
}

async fn save_snapshots(ports: &DayPorts, stopped: &Stopped) {
    while !stopped.signal.is_given() {
        let batch = ports.snapshots.take(SNAPSHOTS_PER_WRITE);
        if batch.is_empty() {
            return;
        }
        if let Err(error) = ports.journal.save_snapshots(&batch).await {
            tracing::warn!(%error, "snapshots were not saved; activation will take longer");
            return;
        }
    }
}

async fn watch_journal(handle: EngineHandle, journal: Arc<dyn Journal>, stopped: Stopped) {
    let (poisoned, stop) = (std::pin::pin!(journal.poisoned()), std::pin::pin!(stopped.signal.wait()));
    if let futures_util::future::Either::Left((reason, _)) = select(poisoned, stop).await {
        handle.parts.poisoned.store(true, Ordering::Release);
        tracing::error!(%reason, "the journal is poisoned; no booking is confirmed any more");
    }
}
