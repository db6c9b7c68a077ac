//! Two branches of which both were acknowledged: is what the one that ends has promised asked for again, once, and told if it cannot hold?
//! Must not know: how a branch is chosen.
//!
//! The fork is made of whole engines: two data directories with one history, each continued on a Redis that knows nothing of the other.
//! The one that comes last has the ledger's word, and finds in Redis what the other one has acknowledged.

use std::path::Path;
use std::sync::Arc;

use booking_core::{
    AppointmentId, Booking, Date, DayDefinition, DayKey, DoctorId, Envelope, Fingerprint, PatientId, Rejection,
    Release, RequestId, RequestKey, Role, SlotDefinition, Status, SubjectId, UtcMillis,
};
use engine::clock::{Clock, SystemClock};
use engine::config::{RedisSettings as Servers, ServerUrl, StoreSettings};
use engine::journal::Journal;
use engine::journal::redis::RedisSettings;
use engine::ledger::Ledger;
use engine::ledger::sqlite::SqliteLedger;
use engine::verify::{Kind, Report, verify_stores};
use engine::view::{
    AppointmentAction, AppointmentAddress, AppointmentReply, BookRequest, Caller, PublishRequest, RescheduleRequest,
};
use engine::{Engine, EngineConfig, EngineError, EngineHandle};
use metrics_exporter_prometheus::PrometheusBuilder;
use servers::Redis;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use uuid::Uuid;

use crate::support::{alone, eventually};

/// Long after any run of these tests.
const DATE: i32 = 40_000;
const SLOTS: i64 = 6;

/// The day of doctor number `doctor`.
fn day(doctor: u128) -> DayKey {
    DayKey { doctor: DoctorId(Uuid::from_u128(0xD0C << 96 | doctor)), date: Date::from_days(DATE).expect("a date") }
}

/// Start of slot number `slot` of `doctor`'s day; no two doctors have one at the same time.
fn start(doctor: u128, slot: i64) -> UtcMillis {
    let hour = i64::try_from(doctor).expect("a small number") * 2 + 6;
    UtcMillis(i64::from(DATE) * 86_400_000 + hour * 3_600_000 + slot * 600_000)
}

fn caller(role: Role, subject: u128, key: Option<&str>) -> Caller {
    let (subject, request) = (SubjectId(Uuid::from_u128(subject)), RequestId(Uuid::from_u128(9)));
    let fingerprint = Fingerprint([7; 16]);
    Caller {
        envelope: Envelope { subject, role, request },
        key: key.map(|key| RequestKey { subject, key: key.into(), fingerprint }),
    }
}

fn patient(number: u128, key: Option<&str>) -> Caller {
    caller(Role::Patient, number, key)
}

async fn publish(engine: &EngineHandle, doctor: u128) {
    publish_like(engine, doctor, doctor).await;
}

/// A day of `doctor` with the times of `other`'s.
async fn publish_like(engine: &EngineHandle, doctor: u128, other: u128) {
    let slot = |slot| SlotDefinition {
        start: start(other, slot),
        end: start(other, slot + 1),
        capacity: 1,
        utc_offset_seconds: 0,
    };
    // Nobody records by which release a place was taken.
    let of = |audience: &str| Release { at: UtcMillis(0), places: None, audience: Some(audience.into()) };
    let definition = DayDefinition::validate("UTC".into(), "".into(), (0..SLOTS).map(slot).collect(), vec![of("all")]);
    let definition = Arc::new(definition.expect("a good definition"));
    let caller = caller(Role::Admin, 1, None);
    let request = PublishRequest { day: day(doctor), definition, precondition: None, caller };
    engine.publish_day(request).await.expect("published");
}

/// A wish of patient `who` for `doctor`'s day.
fn wish(doctor: u128, who: u128, start: UtcMillis, hold_millis: Option<i64>, key: Option<&str>) -> BookRequest {
    let booking = Booking {
        appointment: AppointmentId(Uuid::nil()),
        patient: PatientId(Uuid::from_u128(who)),
        start: Some(start),
        hold_millis,
        audiences: Arc::from([Box::from("all")]),
        busy: Vec::new(),
    };
    BookRequest { day: day(doctor), booking, caller: patient(who, key) }
}

/// A place of slot `slot` of `doctor`'s day for patient `who`, under a key of the same number.
async fn book(engine: &EngineHandle, doctor: u128, who: u128, slot: i64, hold_millis: Option<i64>) -> AppointmentReply {
    let key = format!("key {who}");
    engine.book(wish(doctor, who, start(doctor, slot), hold_millis, Some(&key))).await.expect("a place")
}

async fn booked(engine: &EngineHandle, doctor: u128, who: u128, slot: i64) -> AppointmentId {
    book(engine, doctor, who, slot, None).await.placed.appointment.id
}

async fn change(engine: &EngineHandle, doctor: u128, id: AppointmentId, who: u128, action: AppointmentAction) {
    let address = AppointmentAddress { day: day(doctor), id };
    engine.change(address, action, patient(who, Some(&format!("change {who}")))).await.expect("changed");
}

async fn relocate(engine: &EngineHandle, id: AppointmentId, who: u128, doctor: u128, slot: i64) {
    let request = RescheduleRequest {
        id,
        doctor: Some(day(doctor).doctor),
        date: day(doctor).date,
        start: Some(start(doctor, slot)),
        audiences: Arc::from([Box::from("all")]),
        caller: patient(who, Some(&format!("move {who}"))),
    };
    engine.reschedule(request).await.expect("moved");
}

/// Where an appointment stands, and how; `None`: nobody knows it.
async fn standing(engine: &EngineHandle, id: AppointmentId) -> Option<(DayKey, Status, UtcMillis)> {
    match engine.appointment(id).await {
        Ok(placed) => Some((placed.day, placed.appointment.status, placed.appointment.start)),
        Err(EngineError::Rejected(Rejection::UnknownAppointment)) => None,
        Err(error) => panic!("{error}"),
    }
}

/// A Redis, and two directories of one installation.
struct Fork {
    redis: Redis,
    winner: tempfile::TempDir,
    loser: tempfile::TempDir,
}

impl Fork {
    async fn new() -> Self {
        let directory = || tempfile::tempdir().expect("a temporary directory");
        Self { redis: Redis::start().await, winner: directory(), loser: directory() }
    }

    fn config(&self, directory: &Path) -> EngineConfig {
        let mut config = EngineConfig::embedded(directory.to_owned());
        let urls = vec![ServerUrl::new(self.redis.url())];
        config.stores = StoreSettings::Redis { redis: Servers { urls, replicas: 0, accept_appendfsync_no: false } };
        config
    }

    async fn start(&self, directory: &Path) -> Engine {
        Engine::start(self.config(directory), None).await.expect("it starts")
    }

    /// Ends the common history: from here on the two directories know nothing of each other.
    fn part(&self) {
        for file in std::fs::read_dir(self.loser.path()).expect("a directory") {
            let file = file.expect("a file");
            std::fs::copy(file.path(), self.winner.path().join(file.file_name())).expect("a copy");
        }
    }

    /// Empties Redis. What the loser's directory knows is put back at its next start; its epochs are above the winner's then.
    async fn forget(&self) {
        let () = self.redis.call(&["FLUSHALL"]).await;
        for _ in 0..3 {
            self.start(self.loser.path()).await.stop().await;
        }
    }

    /// Waits until nothing waits any more.
    async fn settled(&self) {
        let ledger = SqliteConnectOptions::new().filename(self.winner.path().join("ledger.db")).read_only(true);
        let ledger = tokio::sync::Mutex::new(ledger.connect().await.expect("the ledger opens"));
        eventually("lost records are settled", async || {
            let waiting = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM lost_record WHERE state = 0");
            waiting.fetch_one(&mut *ledger.lock().await).await.expect("a number") == 0
        })
        .await;
    }

    async fn verify(&self) -> Report {
        let clock = Arc::new(SystemClock::start()) as Arc<dyn Clock>;
        verify_stores(&self.config(self.winner.path()), &clock).await.expect("an audit")
    }

    /// Does what a start does before a shard opens, and no more: the process dies then.
    async fn repair_and_die(&self) {
        let installation = std::fs::read_to_string(self.winner.path().join("installation")).expect("an id");
        let installation = installation.trim().parse().expect("a UUID");
        let owner = alone(RedisSettings::new(vec![self.redis.url()], installation)).await;
        let ledger = SqliteLedger::open_behind_forgetful(self.winner.path()).await.expect("the ledger opens");
        let shards: Vec<u16> = (0..booking_core::SHARD_COUNT).collect();
        owner.journal.repair(&shards, &ledger, &[]).await.expect("a repair");
        assert_eq!(ledger.lost_days().await.expect("read").len(), 1, "they wait");
        ledger.close().await;
        owner.journal.close().await;
    }
}

/// What the loser promised on the first doctor's day: one that holds again, and one whose place is gone.
async fn small_fork() -> (Fork, AppointmentId, AppointmentId) {
    let fork = Fork::new().await;
    let engine = fork.start(fork.loser.path()).await;
    publish(&engine.handle(), 1).await;
    engine.stop().await;
    fork.part();
    let engine = fork.start(fork.winner.path()).await;
    booked(&engine.handle(), 1, 90, 0).await;
    engine.stop().await;
    fork.forget().await;
    let engine = fork.start(fork.loser.path()).await;
    let free = booked(&engine.handle(), 1, 11, 4).await;
    let gone = booked(&engine.handle(), 1, 12, 0).await;
    engine.stop().await;
    (fork, free, gone)
}

async fn check_small_fork(fork: &Fork, free: AppointmentId, gone: AppointmentId) {
    let engine = fork.start(fork.winner.path()).await;
    fork.settled().await;
    let handle = engine.handle();
    assert_eq!(standing(&handle, free).await, Some((day(1), Status::Booked, start(1, 4))), "under its old id");
    assert_eq!(standing(&handle, gone).await, None);
    let again = book(&handle, 1, 11, 4, None).await;
    assert!(again.replayed && again.placed.appointment.id == free, "its key tells it again");
    engine.stop().await;
    let report = fork.verify().await;
    assert_eq!((report.findings.count(), report.findings.count_of(Kind::PromiseBroken)), (1, 1), "{report:?}");
    let line = report.lines().into_iter().find(|line| line.contains("promise_broken")).expect("a line");
    assert!(line.contains(&gone.to_string()) && line.contains("the slot is taken"), "{line}");
    assert!(
        !line.contains(&PatientId(Uuid::from_u128(12)).to_string()),
        "whose it is, is told by the journal alone: {line}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_still_can_holds_again_under_its_id_and_key_and_the_rest_is_found_and_counted() {
    let numbers = PrometheusBuilder::new().install_recorder().expect("no other recorder");
    let (fork, free, gone) = small_fork().await;
    check_small_fork(&fork, free, gone).await;
    let shown = numbers.render();
    for (name, count) in [("lost", 2), ("restored", 1), ("unrestored", 1)] {
        let line = format!("hotslot_journal_{name}_records_total {count}");
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    // Neither by a restart is it asked again, nor forgotten.
    check_small_fork(&fork, free, gone).await;
    assert!(numbers.render().lines().any(|shown| shown == "hotslot_journal_unrestored_records_total 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_between_the_repair_and_the_asking_forgets_nothing() {
    let (fork, free, gone) = small_fork().await;
    fork.repair_and_die().await;
    check_small_fork(&fork, free, gone).await;
}

/// What a branch promises of appointments that both branches know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirms_cancels_and_moves_of_the_branch_that_ends_are_done_again() {
    let fork = Fork::new().await;
    let engine = fork.start(fork.loser.path()).await;
    let handle = engine.handle();
    for doctor in 1..=3 {
        publish(&handle, doctor).await;
    }
    let (cancelled, moved) = (booked(&handle, 1, 11, 0).await, booked(&handle, 1, 12, 1).await);
    let (left, left_beside) = (booked(&handle, 1, 13, 2).await, booked(&handle, 1, 14, 3).await);
    engine.stop().await;
    fork.part();

    // The branch that counts: the first two days go on, the third does not.
    let engine = fork.start(fork.winner.path()).await;
    booked(&engine.handle(), 1, 90, 5).await;
    booked(&engine.handle(), 2, 91, 5).await;
    engine.stop().await;

    fork.forget().await;
    let engine = fork.start(fork.loser.path()).await;
    let handle = engine.handle();
    change(&handle, 1, cancelled, 11, AppointmentAction::Cancel { reason: None }).await;
    relocate(&handle, moved, 12, 1, 4).await;
    relocate(&handle, left, 13, 2, 0).await;
    relocate(&handle, left_beside, 14, 3, 0).await;
    let held = book(&handle, 1, 15, 1, Some(60_000)).await.placed.appointment.id;
    change(&handle, 1, held, 15, AppointmentAction::Confirm).await;
    engine.stop().await;

    let engine = fork.start(fork.winner.path()).await;
    fork.settled().await;
    let handle = engine.handle();
    let expected = [
        (cancelled, day(1), Status::Cancelled, start(1, 0)),
        (moved, day(1), Status::Booked, start(1, 4)),
        (left, day(2), Status::Booked, start(2, 0)),
        (left_beside, day(3), Status::Booked, start(3, 0)),
        (held, day(1), Status::Booked, start(1, 1)),
    ];
    for (id, day, status, start) in expected {
        assert_eq!(standing(&handle, id).await, Some((day, status, start)));
    }
    engine.stop().await;
    let report = fork.verify().await;
    assert!(report.is_clean(), "{:#?}", report.lines());
}

/// The day of arrival went on by itself, and its word is the later one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_is_committed_again_claims_what_has_become_of_the_appointment_since() {
    let fork = Fork::new().await;
    let engine = fork.start(fork.loser.path()).await;
    let handle = engine.handle();
    for doctor in 1..=2 {
        publish(&handle, doctor).await;
    }
    publish_like(&handle, 3, 2).await;
    let (moved_on, ended) = (booked(&handle, 1, 11, 0).await, booked(&handle, 1, 12, 1).await);
    engine.stop().await;
    fork.part();

    let engine = fork.start(fork.winner.path()).await;
    booked(&engine.handle(), 1, 90, 5).await;
    engine.stop().await;

    fork.forget().await;
    let engine = fork.start(fork.loser.path()).await;
    let handle = engine.handle();
    relocate(&handle, moved_on, 11, 2, 0).await;
    relocate(&handle, ended, 12, 2, 1).await;
    let address = AppointmentAddress { day: day(2), id: moved_on };
    let to = RescheduleRequest {
        id: moved_on,
        doctor: None,
        date: address.day.date,
        start: Some(start(2, 2)),
        audiences: Arc::from([Box::from("all")]),
        caller: patient(11, None),
    };
    handle.reschedule(to).await.expect("moved on");
    change(&handle, 2, ended, 12, AppointmentAction::Cancel { reason: None }).await;
    engine.stop().await;

    let engine = fork.start(fork.winner.path()).await;
    fork.settled().await;
    let handle = engine.handle();
    assert_eq!(standing(&handle, moved_on).await, Some((day(2), Status::Booked, start(2, 2))));
    assert_eq!(standing(&handle, ended).await, Some((day(2), Status::Cancelled, start(2, 1))));
    let refused = handle.book(wish(3, 11, start(2, 2), None, None)).await;
    assert!(matches!(refused, Err(EngineError::Rejected(Rejection::AlreadyBooked { .. }))), "{refused:?}");
    for (who, slot) in [(11, 0), (12, 1)] {
        handle.book(wish(3, who, start(2, slot), None, None)).await.expect("the time is the patient's own");
    }
    engine.stop().await;
    let report = fork.verify().await;
    assert!(report.is_clean(), "{:#?}", report.lines());
}
