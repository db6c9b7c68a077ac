//! How the engine is put together, kept going and stopped: the composition root.
//! Must not know: HTTP, settings files.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use booking_core::UtcMillis;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::actors::ports::DayPorts;
use crate::actors::runtime::ActorThreads;
use crate::assembly::Assembly;
use crate::claims::{self, Claims};
use crate::clock::{Clock, SystemClock};
use crate::committer::Committer;
use crate::config::{EngineConfig, StartError};
use crate::handle::EngineHandle;
use crate::ids::SystemIds;
use crate::journal::Journal;
use crate::journal::sqlite::SqliteJournal;
use crate::ledger::Ledger;
use crate::ledger::applier::Applier;
use crate::ledger::overlay::Overlay;
use crate::ledger::sqlite::SqliteLedger;
use crate::limits::{
    DRAIN_MILLIS, FORGETTING_INTERVAL_MILLIS, MAINTENANCE_INTERVAL_MILLIS, OPEN_WORK_BATCH_MAX,
    OPEN_WORK_HORIZON_MILLIS,
};
use crate::spawn::TokioSpawn;
use crate::telemetry::meters::EngineMeters;

/// Days whose snapshots are saved in one write: bounds how long the journal's writer is kept from group commits.
const SNAPSHOTS_PER_WRITE: usize = 64;
/// In a burst the ledger may fall behind by one in so many of the records past which bookings are shed: by default 250,000, which a
/// start after a crash applies within some five seconds.
const STAND_BACK_SHARE: u64 = 4;

/// The running engine: the door, and the way to stop it.
pub struct Engine {
    handle: EngineHandle,
    journal: Arc<SqliteJournal>,
    ledger: Arc<SqliteLedger>,
    committer: Committer,
    threads: Arc<ActorThreads>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    /// Awaited and never aborted: it writes.
    forgetting: JoinHandle<()>,
}

impl Engine {
    /// Opens the stores below `config.data_dir`, applies what the ledger lacks, and starts. When this returns, requests
    /// can be answered. Must be called on a tokio runtime that outlives the engine, after the metrics recorder is installed.
    pub async fn start(config: EngineConfig) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let meters = Arc::new(EngineMeters::new());
        let journal = Arc::new(SqliteJournal::open(&config.data_dir).await?);
        let ledger = Arc::new(SqliteLedger::open(&config.data_dir).await?);
        let overlay = Arc::new(Overlay::default());
        let applier = Applier::start(
            Arc::clone(&journal) as Arc<dyn Journal>,
            Arc::clone(&ledger) as Arc<dyn Ledger>,
            Arc::clone(&overlay),
            Arc::clone(&clock),
            config.ledger_lag_max / STAND_BACK_SHARE,
        )
        .await
        .map_err(|error| StartError::Store(error.to_string()))?;
        crash_point!(StartCaughtUp);
        // What a day reads from the journal is kept for readers only if the ledger has not got it: say what it has.
        let applied = ledger.applied_position().await.map_err(|error| StartError::Store(error.to_string()))?;
        overlay.evict(applied);
        let claims = Arc::new(Claims::default());
        claims::restore(&claims, &*ledger, &overlay, clock.now())
            .await
            .map_err(|error| StartError::Store(error.to_string()))?;
        crash_point!(StartClaimsRestored);
        let committer = Committer::start_thread(Arc::clone(&journal) as Arc<dyn Journal>, Arc::clone(&clock))
            .map_err(|error| StartError::Store(format!("cannot start the committer's thread: {error}")))?;
        let threads = ActorThreads::start(config.actor_threads.max(1))
            .map_err(|error| StartError::Store(format!("cannot start the actors' threads: {error}")))?;
        let threads = Arc::new(threads);
        let assembled = Assembly {
            clock,
            ids: Arc::new(SystemIds),
            journal: Arc::clone(&journal) as _,
            ledger: Arc::clone(&ledger) as _,
            registry: Arc::clone(&ledger) as _,
            overlay,
            claims,
            applier,
            committer: committer.clone(),
            starter: Arc::clone(&threads) as _,
            spawn: Arc::new(TokioSpawn(tokio::runtime::Handle::current())),
            meters,
            #[cfg(feature = "testing")]
            faults: crate::testing::Faults::from_environment(),
        }
        .assemble(&config);
        let (handle, ports) = assembled;
        crash_point!(StartAssembled);
        let keys = Arc::clone(&ledger) as Arc<dyn Ledger>;
        let (stop, stopped) = watch::channel(false);
        let forgetting = tokio::spawn(run_forgetting(keys, Arc::clone(&handle.parts.clock), stopped.clone()));
        let tasks = vec![
            tokio::spawn(run_deadlines(handle.clone(), Arc::clone(&ports), stopped.clone())),
            tokio::spawn(run_maintenance(handle.clone(), ports, config, stopped)),
            tokio::spawn(watch_journal(handle.clone(), Arc::clone(&journal))),
        ];
        Ok(Self { handle, journal, ledger, committer, threads, stop, tasks, forgetting })
    }

    /// The door.
    pub fn handle(&self) -> EngineHandle {
        self.handle.clone()
    }

    /// Becomes ready when the journal is poisoned: the process must end with a failure, saying the returned reason.
    pub async fn poisoned(&self) -> String {
        self.journal.poisoned().await
    }

    /// Takes no new requests, settles what is in flight, brings the ledger up to the journal, closes the stores.
    pub async fn stop(self) {
        let parts = &self.handle.parts;
        parts.stopping.store(true, Ordering::Release);
        let deadline = parts.clock.monotonic_micros() + DRAIN_MILLIS * 1_000;
        while parts.admission.admitted() > 0 && parts.clock.monotonic_micros() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        crash_point!(StopDrained);
        // Nobody listens any more when the engine ends without these tasks.
        let _ = self.stop.send(true);
        self.committer.stop().await;
        crash_point!(StopCommitterEnded);
        for task in self.tasks {
            task.abort();
        }
        self.threads.stop();
        parts.applier.stop().await;
        crash_point!(StopApplierEnded);
        // An error means that it has ended by a panic, which the log has.
        let _ = self.forgetting.await;
        self.ledger.close().await;
        crash_point!(StopLedgerClosed);
        self.journal.close().await;
    }

    /// Brings the schema of the stores below `config.data_dir` up to date; says in words what was done.
    pub async fn migrate(config: &EngineConfig) -> Result<String, StartError> {
        let journal = SqliteJournal::open(&config.data_dir).await?;
        let done = SqliteLedger::migrate(&config.data_dir).await?;
        journal.close().await;
        Ok(done)
    }
}

/// Wakes days whose holds end.
async fn run_deadlines(handle: EngineHandle, ports: Arc<DayPorts>, mut stopped: watch::Receiver<bool>) {
    loop {
        let now = handle.parts.clock.now();
        handle.wake_due(now);
        let pause = ports.deadlines.next().map_or(Duration::from_secs(3_600), |next| until(now, next));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = ports.deadlines.earlier() => {}
            _ = stopped.changed() => return,
        }
    }
}

fn until(now: UtcMillis, next: UtcMillis) -> Duration {
    Duration::from_millis(u64::try_from(next.millis_since(now)).unwrap_or(0))
}

/// Once a second: the clock, idle days, snapshots, the index of open work.
async fn run_maintenance(
    handle: EngineHandle,
    ports: Arc<DayPorts>,
    config: EngineConfig,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let parts = &handle.parts;
        parts.clock.discipline();
        parts.meters.clock_steady.set(if parts.clock.is_steady() { 1.0 } else { 0.0 });
        parts.meters.admitted.set(parts.admission.admitted() as f64);
        let now = parts.clock.now();
        handle.sweep(now, config.idle_millis, config.awake_days_max);
        sweep_claims(&handle, now);
        arm_open_work(&ports, now).await;
        save_snapshots(&ports).await;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(MAINTENANCE_INTERVAL_MILLIS)) => {}
            _ = stopped.changed() => return,
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
async fn run_forgetting(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>, mut stopped: watch::Receiver<bool>) {
    loop {
        if let Some(oldest) = claims::oldest_date(clock.now()) {
            match ledger.forget_won_keys(oldest).await {
                Ok(0) => {}
                Ok(forgotten) => tracing::info!(forgotten, "keys of days that are over are forgotten"),
                Err(error) => tracing::warn!(%error, "old keys were not forgotten; trying again in an hour"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(FORGETTING_INTERVAL_MILLIS)) => {}
            _ = stopped.changed() => return,
        }
    }
}

fn sweep_claims(handle: &EngineHandle, now: UtcMillis) {
    let parts = &handle.parts;
    if let Some(oldest) = claims::oldest_date(now) {
        parts.claims.sweep(now, oldest);
    }
    parts.meters.claimed_visits.set(parts.claims.visits() as f64);
    parts.meters.claimed_keys.set(parts.claims.keys() as f64);
}

async fn save_snapshots(ports: &DayPorts) {
    loop {
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

async fn watch_journal(handle: EngineHandle, journal: Arc<SqliteJournal>) {
    let reason = journal.poisoned().await;
    handle.parts.poisoned.store(true, Ordering::Release);
    tracing::error!(%reason, "the journal is poisoned; no booking is confirmed any more");
}
