//! A machine whose processes send messages, one process at a time, over a real ledger in a directory and in virtual time:
//! everything of the reminders as in the product; in the place of the doctor-days a diary.
//! Must not know: which messages there should be, how they leave.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use booking_core::{AppointmentId, UtcMillis};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row};
use uuid::Uuid;

use super::diary::Books;
use super::seams::{Seams, WithSeams};
use super::virtual_time::{Process, VirtualClock, VirtualTime};
use crate::clock::Clock;
use crate::config::ReminderSettings;
use crate::ledger::Ledger;
use crate::ledger::registry::Registry;
use crate::ledger::reminders::{Claimer, ReminderRow, ReminderStore};
use crate::ledger::sqlite::SqliteLedger;
use crate::ownership::{Tenures, Territory};
use crate::reminders::retry::Backoff;
use crate::reminders::{Notices, OpenCouriers, Parts, Ways, alone};
use crate::signal::Signal;
use crate::spawn::Spawn;

/// Between two comparisons of the engine's clock with the wall clock, as in the engine.
const DISCIPLINE: Duration = Duration::from_secs(1);

/// How long before the instant a machine that slept is awake: everybody has looked at the clock by then.
const AWAKE_MILLIS: i64 = 5_000;

/// See the module.
pub struct SendingHouse {
    /// When it is.
    pub time: VirtualTime,
    /// What is durable of every visit.
    pub books: Arc<Books>,
    /// Where a test may come between.
    pub seams: Arc<Seams>,
    directory: PathBuf,
    settings: ReminderSettings,
    couriers: Arc<dyn OpenCouriers>,
    ledger: Arc<SqliteLedger>,
    life: Option<Life>,
    lives: u128,
}

/// A process at work. It is killed, and never asked to stop.
struct Life {
    process: Arc<Process>,
    clock: Arc<VirtualClock>,
    notices: Arc<Notices>,
    /// Never given: this process is killed.
    _stop: Arc<Signal>,
}

/// Brings the ledger up to the diary, as the applier does, while whatever else goes on.
#[derive(Clone)]
pub struct Applying {
    time: VirtualTime,
    books: Arc<Books>,
    ledger: Arc<SqliteLedger>,
    notices: Option<Arc<Notices>>,
}

impl Applying {
    /// Applies what the ledger lacks, and tells of it.
    pub async fn apply(&self) {
        let _busy = self.time.busy();
        let (records, position) = self.books.with(|diary| diary.news());
        self.ledger.apply(&records, position).await.expect("the ledger takes it");
        if let Some(notices) = &self.notices {
            notices.tell(records.iter().flat_map(|record| record.event.changes.iter().map(|change| change.row.id)));
        }
    }
}

impl SendingHouse {
    /// A machine whose ledger is in `directory`, without a process.
    pub async fn open(
        directory: &Path,
        settings: ReminderSettings,
        couriers: Arc<dyn OpenCouriers>,
        began: UtcMillis,
    ) -> Self {
        Self {
            time: VirtualTime::at(began),
            books: Arc::default(),
            seams: Arc::default(),
            directory: directory.to_owned(),
            ledger: open_ledger(directory, &settings).await,
            settings,
            couriers,
            life: None,
            lives: 0,
        }
    }

    /// Begins a process, by the wall clock of the machine.
    pub fn start(&mut self) {
        assert!(self.life.is_none(), "one process at a time");
        self.lives += 1;
        let (process, clock) = (Arc::new(self.time.process()), self.time.clock());
        let (notices, stop) = (Arc::new(Notices::default()), Arc::new(Signal::default()));
        let engine_clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let registry = Arc::clone(&self.ledger) as Arc<dyn Registry>;
        let (time, seams) = (self.time.clone(), Arc::clone(&self.seams));
        let Ways { couriers, alarms } = self.couriers.open(&registry, &engine_clock).expect("channels");
        let parts = Parts {
            store: Arc::new(WithSeams {
                inner: Arc::clone(&self.ledger),
                time: time.clone(),
                seams: Arc::clone(&seams),
            }),
            couriers,
            alarms,
            alert_interval: Duration::from_secs(self.settings.alert_interval_seconds),
            check: Arc::new(WithSeams { inner: Arc::clone(&self.books), time, seams }),
            notices: Arc::clone(&notices),
            territory: Arc::new(Territory::new(Arc::new(Tenures::sole(1)), Arc::clone(&engine_clock))),
            claimer: Claimer { incarnation: Uuid::from_u128(self.lives) },
            is_alone: true,
            backoff: Backoff { waits_millis: self.settings.retry_waits_millis.clone() },
            clock: Arc::clone(&engine_clock),
            spawn: Arc::clone(&process) as Arc<dyn Spawn>,
        };
        alone(parts, &stop).into_iter().for_each(|work| process.spawn(work));
        process.spawn(Box::pin(async move {
            loop {
                engine_clock.sleep(DISCIPLINE).await;
                engine_clock.discipline();
            }
        }));
        self.life = Some(Life { process, clock, notices, _stop: stop });
    }

    /// The process dies where it stands; the ledger's file stays.
    pub async fn crash(&mut self) {
        let life = self.life.take().expect("a process");
        life.process.kill().await;
        self.ledger.close().await;
        self.ledger = open_ledger(&self.directory, &self.settings).await;
    }

    /// The engine's time in the present process; without one, what the next would begin with.
    pub fn now(&self) -> UtcMillis {
        self.life.as_ref().map_or_else(|| self.time.wall(), |life| life.clock.now())
    }

    /// Lets time pass until the engine's clock says so.
    pub async fn pass_until(&self, instant: UtcMillis) {
        while self.now() < instant {
            self.time.pass(instant.millis_since(self.now())).await;
        }
    }

    /// Sleeps, as a machine does, until shortly before the engine's clock says so, and passes the rest.
    pub async fn sleep_until(&self, instant: UtcMillis) {
        let left = instant.millis_since(self.now()) - AWAKE_MILLIS;
        if left > 0 {
            self.time.jump(left).await;
        }
        self.pass_until(instant).await;
    }

    /// Where doctors, patients and policies are kept.
    pub fn registry(&self) -> &SqliteLedger {
        &self.ledger
    }

    /// See there.
    pub fn applying(&self) -> Applying {
        Applying {
            time: self.time.clone(),
            books: Arc::clone(&self.books),
            ledger: Arc::clone(&self.ledger),
            notices: self.life.as_ref().map(|life| Arc::clone(&life.notices)),
        }
    }

    /// The rows of an appointment.
    pub async fn rows(&self, id: AppointmentId) -> Vec<ReminderRow> {
        self.ledger.of_appointment(id).await.expect("the ledger is readable")
    }

    /// How many rows there are of each status.
    pub async fn statuses(&self) -> BTreeMap<String, u64> {
        let options = SqliteConnectOptions::new().filename(self.directory.join("ledger.db")).read_only(true);
        let mut connection = options.connect().await.expect("the ledger's file");
        let counted = sqlx::query("SELECT status, count(*) AS count FROM reminder GROUP BY status");
        let rows = counted.fetch_all(&mut connection).await.expect("rows");
        connection.close().await.expect("it closes");
        rows.iter().map(|row| (row.get("status"), row.get::<i64, _>("count").unsigned_abs())).collect()
    }
}

async fn open_ledger(directory: &Path, settings: &ReminderSettings) -> Arc<SqliteLedger> {
    let ledger = SqliteLedger::open(directory).await.expect("the ledger opens");
    Arc::new(ledger.with_reminders(settings))
}
