//! One master of a cluster that is stopped: do the days of the others go on, and its own again when it answers?
//! Must not know: how a silent server is found out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use booking_core::{
    AppointmentId, Booking, Date, DayDefinition, DayKey, DoctorId, Envelope, PatientId, Release, RequestId, Role,
    SlotDefinition, SubjectId, UtcMillis,
};
use engine::clock::{Clock, SystemClock};
use engine::config::{RedisSettings as Servers, ServerUrl, StoreSettings};
use engine::journal::contract::{append_of, day as bare_day};
use engine::journal::{DayOutcome, Head, Journal};
use engine::verify::verify_stores;
use engine::view::{AppointmentQuery, AppointmentScope, BookRequest, Caller, PublishRequest};
use engine::{Engine, EngineConfig, EngineHandle};
use futures_util::future::join_all;
use servers::{RedisCluster, RedisClusterOptions};
use uuid::Uuid;

use crate::support::{alone, eventually, settings};

/// So many records, or bookings, of each day elsewhere must be acknowledged while the master is silent.
const WHILE_SILENT: u64 = 21;
/// Long after any run of these tests.
const DATE: i32 = 40_000;
const DAYS: u128 = 12;

/// A cluster that lets a silent master be: nobody takes its place.
async fn patient_cluster() -> RedisCluster {
    RedisCluster::start_with(RedisClusterOptions { node_timeout_ms: 120_000, ..RedisClusterOptions::default() }).await
}

/// Those of `days` that are on the master of the first one.
async fn beside_the_first(cluster: &mut RedisCluster, days: &[DayKey]) -> Vec<bool> {
    let mut masters = Vec::new();
    for day in days {
        let slot = cluster.slot_of(&format!("{{{}}}", day.shard())).await;
        masters.push(cluster.primary_of(slot).await.expect("a primary"));
    }
    masters.iter().map(|master| *master == masters[0]).collect()
}

/// What an owner knows of its days.
struct Days {
    days: Vec<DayKey>,
    heads: Vec<Head>,
    acknowledged: Vec<u64>,
    /// Where the head is not known.
    interrupted: Vec<bool>,
}

impl Days {
    /// One more record to each day, all in one batch; days whose last append failed are read first, as their owner would.
    async fn round(&mut self, journal: &impl Journal) {
        let mut batch = Vec::new();
        for at in 0..self.days.len() {
            if self.interrupted[at] {
                let Ok(loaded) = journal.load(self.days[at]).await else { continue };
                self.heads[at] = loaded.map(|loaded| loaded.head).unwrap_or_default();
                self.interrupted[at] = false;
            }
            let epoch = journal.epoch_of(self.days[at].shard());
            batch.push((at, append_of(self.days[at], epoch, self.heads[at], &[b"x"])));
        }
        let appends: Vec<_> = batch.iter().map(|(_, (append, _))| append.clone()).collect();
        let outcomes = journal.append(&appends).await.expect("part of the cluster answers");
        for ((at, (_, head)), outcome) in batch.iter().zip(outcomes) {
            match outcome {
                DayOutcome::Appended { .. } => {
                    self.heads[*at] = *head;
                    self.acknowledged[*at] += 1;
                }
                DayOutcome::Failed | DayOutcome::Unsettled => self.interrupted[*at] = true,
                other => panic!("{}: {other:?}", self.days[*at]),
            }
        }
    }
}

/// Appends to days of all masters while node `stopped`, on which the first day depends, stands still, and after it.
async fn check(mut cluster: RedisCluster, stopped: usize, replicas: usize) {
    let owner = alone(settings(cluster.urls(), replicas)).await;
    let days: Vec<DayKey> = (0..24).map(bare_day).collect();
    let is_silent = beside_the_first(&mut cluster, &days).await;
    assert!(is_silent.contains(&false), "another master has a day, too");
    let count = days.len();
    let (heads, interrupted) = (vec![Head::default(); count], vec![false; count]);
    let mut all = Days { days, heads, acknowledged: vec![0; count], interrupted };
    all.round(&owner.journal).await;
    assert_eq!(all.acknowledged, vec![1; count]);

    cluster.node_mut(stopped).stop().await;
    for _ in 0..WHILE_SILENT {
        all.round(&owner.journal).await;
    }
    for (at, is_silent) in is_silent.iter().enumerate() {
        let expected = if *is_silent { 1 } else { 1 + WHILE_SILENT };
        assert_eq!(all.acknowledged[at], expected, "{}", all.days[at]);
    }
    cluster.node_mut(stopped).resume().await;
    let all = tokio::sync::Mutex::new(all);
    eventually("every day is written again", async || {
        let mut all = all.lock().await;
        let before = all.acknowledged.clone();
        all.round(&owner.journal).await;
        all.acknowledged.iter().zip(before).all(|(now, before)| *now == before + 1)
    })
    .await;
    let all = all.into_inner();
    for (at, day) in all.days.iter().enumerate() {
        let loaded = owner.journal.load(*day).await.expect("a load").expect("a day");
        assert_eq!((loaded.head, loaded.tail.len() as u64), (all.heads[at], loaded.head.version.sequence));
        assert!(loaded.tail.len() as u64 >= all.acknowledged[at], "{day}: nothing acknowledged is lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_to_other_masters_do_not_wait_for_a_silent_one() {
    let mut cluster = patient_cluster().await;
    let slot = cluster.slot_of(&format!("{{{}}}", bare_day(0).shard())).await;
    let master = cluster.primary_of(slot).await.expect("a primary");
    check(cluster, master, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_to_other_masters_do_not_wait_for_one_whose_replica_is_silent() {
    let mut cluster = patient_cluster().await;
    let slot = cluster.slot_of(&format!("{{{}}}", bare_day(0).shard())).await;
    let replica = cluster.replica_of(slot).await.expect("a replica");
    check(cluster, replica, 1).await;
}

fn day(doctor: u128) -> DayKey {
    DayKey { doctor: DoctorId(Uuid::from_u128(0xD0C << 96 | doctor)), date: Date::from_days(DATE).expect("a date") }
}

fn caller(role: Role, subject: u128) -> Caller {
    let (subject, request) = (SubjectId(Uuid::from_u128(subject)), RequestId(Uuid::from_u128(9)));
    Caller { envelope: Envelope { subject, role, request }, key: None }
}

async fn publish(engine: &EngineHandle, day: DayKey) {
    let start = UtcMillis(i64::from(DATE) * 86_400_000 + 9 * 3_600_000);
    let slot = SlotDefinition { start, end: start.plus_millis(600_000), capacity: 10_000, utc_offset_seconds: 0 };
    let release = Release { at: UtcMillis(0), places: None, audience: None };
    let definition = DayDefinition::validate("UTC".into(), "".into(), vec![slot], vec![release]);
    let definition = Arc::new(definition.expect("a good definition"));
    let request = PublishRequest { day, definition, precondition: None, caller: caller(Role::Admin, 1) };
    engine.publish_day(request).await.expect("published");
}

async fn try_book(engine: &EngineHandle, day: DayKey, patient: u128) -> Option<AppointmentId> {
    let booking = Booking {
        appointment: AppointmentId(Uuid::nil()),
        patient: PatientId(Uuid::from_u128(patient)),
        start: None,
        hold_millis: None,
        audiences: Arc::from([]),
        busy: Vec::new(),
    };
    let booked = engine.book(BookRequest { day, booking, caller: caller(Role::Patient, patient) }).await;
    booked.ok().map(|reply| reply.placed.appointment.id)
}

fn config(directory: &Path, cluster: &RedisCluster) -> EngineConfig {
    let mut config = EngineConfig::embedded(directory.to_owned());
    let urls = cluster.urls().into_iter().map(ServerUrl::new).collect();
    let redis = Servers { urls, replicas: 0, accept_appendfsync_no: true };
    config.stores = StoreSettings::Redis { redis };
    config
}

/// Patients who book one after another, on one day each, until they are told to stop.
struct Crowd {
    confirmed: Vec<AtomicU64>,
    is_over: AtomicBool,
}

impl Crowd {
    async fn book(
        &self,
        engine: &EngineHandle,
        number: usize,
        booked: &tokio::sync::Mutex<BTreeMap<AppointmentId, DayKey>>,
    ) {
        let mut patient = (number as u128 + 1) << 64;
        while !self.is_over.load(Ordering::SeqCst) {
            patient += 1;
            if let Some(id) = try_book(engine, day(number as u128), patient).await {
                self.confirmed[number].fetch_add(1, Ordering::SeqCst);
                booked.lock().await.insert(id, day(number as u128));
            }
            tokio::task::yield_now().await;
        }
    }

    fn counts(&self) -> Vec<u64> {
        self.confirmed.iter().map(|count| count.load(Ordering::SeqCst)).collect()
    }

    /// Waits until so many more are confirmed on each of the days that `is_meant` says.
    async fn go_on(&self, is_meant: impl Fn(usize) -> bool, more: u64, what: &str) {
        let before = self.counts();
        eventually(what, async || {
            let now = self.counts();
            (0..now.len()).filter(|at| is_meant(*at)).all(|at| now[at] >= before[at] + more)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patients_of_other_masters_go_on_and_those_of_the_silent_one_after_it() {
    let mut cluster = patient_cluster().await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let engine = Engine::start(config(directory.path(), &cluster), None).await.expect("it starts");
    let handle = engine.handle();
    let days: Vec<DayKey> = (0..DAYS).map(day).collect();
    for day in &days {
        publish(&handle, *day).await;
    }
    let is_silent = beside_the_first(&mut cluster, &days).await;
    assert!(is_silent.contains(&false), "another master has a day, too");
    let crowd = Crowd { confirmed: days.iter().map(|_| AtomicU64::new(0)).collect(), is_over: AtomicBool::new(false) };
    let booked = tokio::sync::Mutex::new(BTreeMap::new());
    let patients = join_all((0..days.len()).map(|number| crowd.book(&handle, number, &booked)));
    let course = async {
        crowd.go_on(|_| true, 3, "all days are booked").await;
        let slot = cluster.slot_of(&format!("{{{}}}", days[0].shard())).await;
        let stopped = cluster.stop_primary_of(slot).await;
        crowd.go_on(|at| !is_silent[at], WHILE_SILENT, "days of other masters are booked").await;
        cluster.node_mut(stopped).resume().await;
        crowd.go_on(|_| true, 3, "all days are booked again").await;
        crowd.is_over.store(true, Ordering::SeqCst);
    };
    tokio::join!(patients, course);

    let booked = booked.into_inner();
    for day in &days {
        let query = AppointmentQuery {
            scope: AppointmentScope::Day(*day),
            statuses: Vec::new(),
            from: None,
            to: None,
            after: None,
            limit: 100_000,
            now: handle.clock().now(),
        };
        let found = handle.appointments(query).await.expect("a list");
        let ids: std::collections::BTreeSet<_> = found.iter().map(|placed| placed.appointment.id).collect();
        let lost: Vec<_> = booked.iter().filter(|(id, of)| *of == day && !ids.contains(id)).collect();
        assert!(lost.is_empty(), "{day}: {lost:?} were acknowledged");
    }
    engine.stop().await;
    let clock = Arc::new(SystemClock::start()) as Arc<dyn Clock>;
    let report = verify_stores(&config(directory.path(), &cluster), &clock).await.expect("an audit");
    assert!(report.is_clean(), "{:#?}", report.lines());
}
