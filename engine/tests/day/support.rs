//! An engine on one thread over a journal in memory whose faults a test plans, with a clock that stands still.
//! Must not know: HTTP.

use std::sync::Arc;
use std::time::Duration;

use booking_core::{
    Booking, Date, DayDefinition, DayKey, DoctorId, Envelope, Fingerprint, PatientId, Release, RequestId, RequestKey,
    Role, SlotDefinition, SubjectId, UtcMillis,
};
use engine::assembly::Assembly;
use engine::claims::Claims;
use engine::claims::guarded::Guard;
use engine::clock::Clock;
use engine::committer::Committer;
use engine::ids::SystemIds;
use engine::journal::Journal;
use engine::journal::memory::MemoryJournal;
use engine::ledger::Ledger;
use engine::ledger::applier::Applier;
use engine::ledger::overlay::Overlay;
use engine::ledger::registry::Registry;
use engine::ledger::sqlite::SqliteLedger;
use engine::ownership::{Cluster, Tenures, Territory};
use engine::spawn::TokioSpawn;
use engine::telemetry::meters::EngineMeters;
use engine::testing::{Faults, ManualClock, TaskActors};
use engine::view::{AppointmentReply, BookRequest, Caller, PublishRequest};
use engine::{EngineConfig, EngineError, EngineHandle};
use tempfile::TempDir;
use uuid::Uuid;

/// 2030-01-01T00:00:00Z.
pub const START: UtcMillis = UtcMillis(1_893_456_000_000);
/// Milliseconds of an hour.
pub const HOUR: i64 = 3_600_000;

/// See the module.
pub struct World {
    pub engine: EngineHandle,
    pub journal: Arc<MemoryJournal>,
    pub clock: Arc<ManualClock>,
    pub claims: Arc<Claims>,
    ledger: Arc<SqliteLedger>,
    _directory: TempDir,
}

impl World {
    /// An empty world at [`START`].
    pub async fn new() -> Self {
        Self::over(Arc::new(MemoryJournal::default()), Faults::default()).await
    }

    /// A world over a journal that may have records.
    pub async fn over(journal: Arc<MemoryJournal>, faults: Faults) -> Self {
        Self::beside(journal, faults, None).await
    }

    /// A world over a journal that others may write too: whatever it claims is claimed in `guard`.
    pub async fn beside(journal: Arc<MemoryJournal>, faults: Faults, guard: Option<Arc<Guard>>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let clock = Arc::new(ManualClock::at(START));
        let ledger = Arc::new(SqliteLedger::open(directory.path()).await.expect("a ledger"));
        let overlay = Arc::new(Overlay::default());
        let claims = Arc::new(Claims::default());
        let applier = Applier::start(
            Arc::clone(&journal) as Arc<dyn Journal>,
            Arc::clone(&ledger) as Arc<dyn Ledger>,
            Arc::clone(&overlay),
            Arc::clone(&clock) as Arc<dyn Clock>,
            500_000,
            &TokioSpawn(tokio::runtime::Handle::current()),
        )
        .await
        .expect("an applier");
        engine::claims::restore(&claims, &*ledger, &overlay, &engine::ownership::ShardSet::ALL, clock.now())
            .await
            .expect("claims");
        let committer = Committer::start_guarded(
            Arc::clone(&journal) as Arc<dyn Journal>,
            Arc::clone(&clock) as Arc<dyn Clock>,
            guard,
        );
        let (engine, _ports) = Assembly {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            ids: Arc::new(SystemIds),
            journal: Arc::clone(&journal) as Arc<dyn Journal>,
            ledger: Arc::clone(&ledger) as Arc<dyn Ledger>,
            registry: Arc::clone(&ledger) as Arc<dyn Registry>,
            reminders: Arc::clone(&ledger) as _,
            overlay,
            claims: Arc::clone(&claims),
            applier,
            committer,
            cluster: Cluster::default(),
            territory: Arc::new(Territory::new(Arc::new(Tenures::sole(1)), Arc::clone(&clock) as Arc<dyn Clock>)),
            starter: Arc::new(TaskActors),
            spawn: Arc::new(TokioSpawn(tokio::runtime::Handle::current())),
            meters: Arc::new(EngineMeters::new()),
            faults,
        }
        .assemble(&EngineConfig::embedded(directory.path().to_owned()));
        Self { engine, journal, clock, claims, ledger, _directory: directory }
    }

    /// Publishes `day` with `slots` slots of `capacity` places from nine hours after [`START`] on, open at once.
    pub async fn publish(&self, day: DayKey, slots: usize, capacity: u32) -> Result<(), EngineError> {
        let caller = caller(Role::Admin, Uuid::from_u128(1), None);
        let definition = Arc::new(definition(slots, capacity));
        self.engine.publish_day(PublishRequest { day, definition, precondition: None, caller }).await.map(|_| ())
    }

    /// Books any slot (or the one with this number) for patient number `patient`, under `key` if given.
    pub async fn book(
        &self,
        day: DayKey,
        patient: u128,
        slot: Option<usize>,
        key: Option<&str>,
    ) -> Result<AppointmentReply, EngineError> {
        self.engine.book(booking(day, patient, slot, None, key)).await
    }

    /// Holds any slot for patient number `patient` for `millis`.
    pub async fn hold(&self, day: DayKey, patient: u128, millis: i64) -> Result<AppointmentReply, EngineError> {
        self.engine.book(booking(day, patient, None, Some(millis), None)).await
    }

    /// What everyone could book on `day` now.
    pub async fn remaining(&self, day: DayKey) -> u64 {
        let view = self.engine.day(day).await.expect("the day can be read");
        view.snapshot.remaining_in_all_at(view.now)
    }

    /// What everyone could book on `day` now, if it can be read.
    pub async fn counts(&self, day: DayKey) -> Result<u64, EngineError> {
        self.engine.day(day).await.map(|view| view.snapshot.remaining_in_all_at(view.now))
    }

    /// The clock's present.
    pub fn clock_now(&self) -> UtcMillis {
        self.clock.now()
    }

    /// Lets time pass, and wakes the days whose timers are up.
    pub fn pass_time(&self, millis: i64) {
        self.clock.advance(millis);
        self.run_deadlines();
    }

    /// Wakes the days whose timers are up: no task does so here.
    pub fn run_deadlines(&self) {
        self.engine.wake_due(self.clock.now());
    }

    /// Number of records in the journal.
    pub async fn records(&self) -> u64 {
        self.journal.last_position().await.expect("a position")
    }

    /// Waits until the ledger has every record; false if it has not after ten seconds.
    pub async fn ledger_follows(&self) -> bool {
        let caught_up = async {
            while self.ledger.applied_position().await.expect("a position") < self.records().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), caught_up).await.is_ok()
    }

    /// Puts every idle day to sleep, and waits until none is awake.
    pub async fn sleep_all(&self) {
        self.clock.advance(2 * 60_000);
        while self.engine.days_awake() > 0 {
            self.engine.sweep(self.clock.now(), 60_000, 1_000);
            tokio::task::yield_now().await;
        }
    }
}

/// The day of doctor number `number`.
pub fn day(number: u128) -> DayKey {
    DayKey { doctor: DoctorId(Uuid::from_u128(77 + number)), date: Date::from_days(21_915).expect("a date") }
}

/// See [`World::publish`].
pub fn definition(slots: usize, capacity: u32) -> DayDefinition {
    let slot = |number: usize| {
        let start = START.plus_millis(9 * HOUR + number as i64 * 600_000);
        SlotDefinition { start, end: start.plus_millis(600_000), capacity, utc_offset_seconds: 0 }
    };
    let releases = vec![Release { at: UtcMillis(0), places: None, audience: None }];
    DayDefinition::validate("UTC".into(), "".into(), (0..slots).map(slot).collect(), releases).expect("a valid day")
}

/// A caller.
pub fn caller(role: Role, subject: Uuid, key: Option<&str>) -> Caller {
    let subject = SubjectId(subject);
    let envelope = Envelope { subject, role, request: RequestId(Uuid::from_u128(9)) };
    let key = key.map(|key| RequestKey { subject, key: key.into(), fingerprint: Fingerprint([7; 16]) });
    Caller { envelope, key }
}

/// A wish for a place.
pub fn booking(
    day: DayKey,
    patient: u128,
    slot: Option<usize>,
    hold_millis: Option<i64>,
    key: Option<&str>,
) -> BookRequest {
    let patient = Uuid::from_u128(1_000 + patient);
    let booking = Booking {
        appointment: booking_core::AppointmentId(Uuid::nil()),
        patient: PatientId(patient),
        start: slot.map(|number| START.plus_millis(9 * HOUR + number as i64 * 600_000)),
        hold_millis,
        audiences: Arc::from([]),
        busy: Vec::new(),
    };
    BookRequest { day, booking, caller: caller(Role::Patient, patient, key) }
}
