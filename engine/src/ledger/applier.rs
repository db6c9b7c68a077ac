//! The write-behind applier: follows the journal in order and applies it to the ledger in bulk, at least once.
//! Must not know: who waits for what; SQL.

mod faults;
mod pace;
mod parked;
mod turn;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use booking_core::AppointmentId;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};

use self::pace::Pace;
use self::turn::BULK_RECORDS;
pub use self::turn::{ApplyLoop, TurnOutcome};
use super::{Ledger, overlay::Overlay};
use crate::clock::{Clock, timeout};
use crate::journal::{Journal, ReadError};
use crate::reminders::Notices;
use crate::spawn::Spawn;
use crate::telemetry::catalogue;
use crate::telemetry::lag::Marks;
use crate::waiting::Waiting;

/// How long the applier lets records gather before it begins a transaction, unless a whole bulk has gathered before. Each
/// costs a sync of the disk that the journal waits for too, and the larger it is, the more of its rows share a page. Nobody
/// waits for the ledger: the overlay answers meanwhile, and this much of a steady load is some megabytes of it.
const GATHER_MILLIS: u64 = 200;

/// Failed attempts in a row after which a start gives up: about 15 s.
const START_FAILURES_MAX: u32 = 20;

/// Failed attempts in a row after which a stop leaves the rest to the next start: about 1 s. The journal has it all.
const STOP_FAILURES_MAX: u32 = 7;

/// How far the journal reaches and how far the ledger is, shared between the applier's task and everybody else.
#[derive(Default)]
pub struct Progress {
    head: AtomicU64,
    applied: AtomicU64,
    stopping: AtomicBool,
    /// Wakes the task; remembers one wake-up, so none is lost.
    wake: Notify,
    /// Ends the gathering: there is a whole bulk, or the task is to stop.
    gathered: Notify,
    /// Ends every wait.
    stop: Notify,
    /// When the journal had come how far.
    marks: Mutex<Marks>,
    /// Who is told which appointments have changed in the ledger.
    notices: OnceLock<Arc<Notices>>,
}

impl Progress {
    /// The journal reaches at least to `position`.
    pub fn advanced(&self, position: u64) {
        let before = self.head.fetch_max(position, Ordering::AcqRel);
        self.wake.notify_one();
        // Told once: with every record it would cost a burst more than the records do.
        let whole = self.applied() + BULK_RECORDS as u64;
        if before < whole && position >= whole {
            self.gathered.notify_one();
        }
    }

    /// Notes how far the journal reaches at `now_micros`.
    fn mark(&self, now_micros: u64) {
        self.marks.lock().reached(self.head(), now_micros);
    }

    /// Notes that the ledger has everything up to `position` at `now_micros`.
    fn passed(&self, position: u64, now_micros: u64) {
        let stage = metrics::histogram!(catalogue::STAGE_DURATION, "stage" => "ledger");
        self.marks.lock().passed(position, now_micros).for_each(|micros| stage.record(micros as f64 / 1e6));
    }

    /// The rows of these are durable. Never blocks.
    fn applied_to(&self, appointments: impl IntoIterator<Item = AppointmentId>) {
        if let Some(notices) = self.notices.get() {
            notices.tell(appointments);
        }
    }

    fn has_whole_bulk(&self) -> bool {
        self.lag_records() >= BULK_RECORDS as u64
    }

    /// Becomes ready when records have gathered for long enough, or enough of them, or nothing more will come.
    async fn gather(&self, clock: &dyn Clock) {
        let is_over = || self.has_whole_bulk() || self.stopping.load(Ordering::Acquire);
        let gathered = async {
            // A permit may be left from a bulk that was applied since.
            while !is_over() {
                self.gathered.notified().await;
            }
        };
        // Time that is up is as good a reason as any.
        let _ = timeout(clock, Duration::from_millis(GATHER_MILLIS), gathered).await;
    }

    /// Becomes ready after one interval, or when nothing more will come.
    async fn wait_for_more(&self, clock: &dyn Clock) {
        let _ = timeout(clock, Duration::from_millis(GATHER_MILLIS), self.stop.notified()).await;
    }

    /// How far the journal reaches, as far as told.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// How far the ledger is.
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// The difference.
    pub fn lag_records(&self) -> u64 {
        self.head().saturating_sub(self.applied())
    }
}

/// The running applier. Cheap to clone.
#[derive(Clone)]
pub struct Applier {
    progress: Arc<Progress>,
    finished: watch::Receiver<bool>,
}

impl Applier {
    /// Applies everything that the journal has and the ledger has not, then starts to follow. When this returns, the
    /// ledger is at the journal's head (parked days are in the overlay). In a burst it may fall behind by
    /// `stand_back_records_max`.
    pub async fn start(
        journal: Arc<dyn Journal>,
        ledger: Arc<dyn Ledger>,
        overlay: Arc<Overlay>,
        clock: Arc<dyn Clock>,
        stand_back_records_max: u64,
        spawn: &dyn Spawn,
    ) -> Result<Self, ReadError> {
        let progress = Arc::new(Progress::default());
        let (finish, finished) = watch::channel(false);
        let (ready, started) = oneshot::channel();
        let task = {
            let progress = Arc::clone(&progress);
            async move {
                let opened = open(journal, ledger, overlay, Arc::clone(&clock), progress).await;
                let (apply_loop, outcome) = opened.map_or_else(|error| (None, Err(error)), |it| (Some(it), Ok(())));
                // Nobody waits for a start that was given up: then there is nothing to follow for.
                if let (Ok(()), Some(apply_loop)) = (ready.send(outcome), apply_loop) {
                    follow(apply_loop, &*clock, stand_back_records_max).await;
                }
                finish.send_replace(true);
            }
        };
        // A task of its own from the first transaction on: no caller can cancel one half-way.
        spawn.spawn(Box::pin(task));
        match started.await {
            Ok(outcome) => outcome.map(|()| Self { progress, finished }),
            Err(_) => Err(ReadError::Unavailable("the applier ended while it started".into())),
        }
    }

    /// Tells that everything up to `position` is durable and published. Never blocks.
    pub fn advanced(&self, position: u64) {
        self.progress.advanced(position);
    }

    /// Tells `notices` from now on which appointments have changed in the ledger.
    pub fn tell(&self, notices: Arc<Notices>) {
        // Told once, by whoever puts the engine together: a second one would be told nothing.
        let _ = self.progress.notices.set(notices);
    }

    /// How far it was told that the journal reaches.
    pub fn head(&self) -> u64 {
        self.progress.head()
    }

    /// How far the ledger is.
    pub fn applied(&self) -> u64 {
        self.progress.applied()
    }

    /// What has gathered is to be applied now.
    pub fn hurry(&self) {
        self.progress.wake.notify_one();
        self.progress.gathered.notify_one();
    }

    /// Records that are published and not yet applied.
    pub fn lag_records(&self) -> u64 {
        self.progress.lag_records()
    }

    /// Age of the oldest of them, to within a fifth of a second, at `now_micros`.
    pub fn lag_micros(&self, now_micros: u64) -> u64 {
        if self.lag_records() == 0 {
            return 0;
        }
        self.progress.mark(now_micros);
        self.progress.marks.lock().oldest_micros(now_micros)
    }

    /// Applies everything told by [`Applier::advanced`], then ends the task. If the ledger is away, what is missing is
    /// left to the next start.
    pub async fn stop(&self) {
        self.progress.stopping.store(true, Ordering::Release);
        self.progress.wake.notify_one();
        self.progress.gathered.notify_one();
        self.progress.stop.notify_one();
        // An error means that the task is gone, which is what we wait for.
        let _ = self.finished.clone().wait_for(|finished| *finished).await;
    }
}

/// Opens the loop and brings the ledger up to the journal's head.
async fn open(
    journal: Arc<dyn Journal>,
    ledger: Arc<dyn Ledger>,
    overlay: Arc<Overlay>,
    clock: Arc<dyn Clock>,
    progress: Arc<Progress>,
) -> Result<ApplyLoop, ReadError> {
    let mut apply_loop = ApplyLoop::open(journal, ledger, overlay, Arc::clone(&clock), Arc::clone(&progress)).await?;
    let (first, mut waiting) = (progress.applied(), None);
    loop {
        match apply_loop.turn().await {
            TurnOutcome::Idle => return Ok(apply_loop),
            TurnOutcome::Retry { failures, reason, .. } if failures >= START_FAILURES_MAX => {
                return Err(ReadError::Unavailable(reason));
            }
            TurnOutcome::Retry { after_millis, .. } => clock.sleep(Duration::from_millis(after_millis)).await,
            TurnOutcome::Applied { .. } => {}
        }
        let total = progress.head().saturating_sub(first);
        let waiting = waiting.get_or_insert_with(|| Waiting::begin("bringing the ledger up to date", Some(total)));
        waiting.at(progress.applied().saturating_sub(first), Some(total));
    }
}

/// Turns until it is told to stop.
async fn follow(mut apply_loop: ApplyLoop, clock: &dyn Clock, stand_back_records_max: u64) {
    let progress = Arc::clone(apply_loop.progress());
    let mut pace = Pace::new(stand_back_records_max, clock.monotonic_micros(), progress.head());
    loop {
        apply_loop.sweep_parked().await;
        let outcome = apply_loop.turn().await;
        let stopping = progress.stopping.load(Ordering::Acquire);
        match outcome {
            TurnOutcome::Applied { .. } => gather(&progress, &mut pace, clock).await,
            TurnOutcome::Idle if stopping => return,
            TurnOutcome::Idle => {
                match apply_loop.sweep_in() {
                    // Whichever it was: turn again.
                    Some(pause) => drop(timeout(clock, pause, progress.wake.notified()).await),
                    None => progress.wake.notified().await,
                }
                // So that the first look tells what came since, and a burst is known before its first bulk is written.
                pace.begin(clock.monotonic_micros(), progress.applied());
                gather(&progress, &mut pace, clock).await;
            }
            TurnOutcome::Retry { failures, reason, .. } if stopping && failures >= STOP_FAILURES_MAX => {
                let missing = progress.lag_records();
                tracing::warn!(missing, reason, "the ledger is left behind: the next start brings it up to date");
                return;
            }
            TurnOutcome::Retry { after_millis, .. } => clock.sleep(Duration::from_millis(after_millis)).await,
        }
    }
}

/// Lets records gather, and a burst pass.
async fn gather(progress: &Progress, pace: &mut Pace, clock: &dyn Clock) {
    progress.mark(clock.monotonic_micros());
    progress.gather(clock).await;
    while !progress.stopping.load(Ordering::Acquire)
        && pace.stands_back(clock.monotonic_micros(), progress.head(), progress.applied())
    {
        progress.mark(clock.monotonic_micros());
        metrics::gauge!(catalogue::LEDGER_LAG).set(progress.lag_records() as f64);
        progress.wait_for_more(clock).await;
    }
}
