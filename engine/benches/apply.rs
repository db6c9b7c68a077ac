//! What it costs to apply bookings to the ledger in SQLite, with and without the reminders that are written with them. Run with
//! `cargo bench --all-features -p engine --bench apply`.
//! Must not know: how records are made durable.

use std::sync::Arc;
use std::time::Duration;

use booking_core::{
    Appointment, AppointmentId, Change, Date, DayDefinition, DayKey, DayVersion, DoctorId, Envelope, Event, Fact,
    PatientId, Release, RequestId, Role, SlotDefinition, Status, SubjectId, UtcMillis,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::config::ReminderSettings;
use engine::journal::ChainHash;
use engine::ledger::sqlite::SqliteLedger;
use engine::ledger::{AppliedRecord, Ledger};
use uuid::Uuid;

/// Bookings of one batch: what the applier takes at once at most.
const BATCH: u64 = 4_096;
/// Bookings of one day.
const OF_DAY: u64 = 32;
/// 2026-01-01T00:00:00Z.
const NOW: UtcMillis = UtcMillis(1_767_225_600_000);
const SLOT_MILLIS: i64 = 600_000;

/// Sixteen bytes that look random.
fn id(number: u64) -> Uuid {
    let mixed = (number.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Uuid::from_u64_pair(mixed ^ (mixed >> 29), mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9))
}

fn day(number: u64) -> DayKey {
    DayKey { doctor: DoctorId(id(number)), date: Date::from_days(20_475).expect("a date") }
}

fn start(slot: u64) -> UtcMillis {
    UtcMillis(20_475 * 86_400_000 + 28_800_000).plus_millis(slot as i64 * SLOT_MILLIS)
}

/// Makes records, each with the next position.
#[derive(Default)]
struct Records {
    days: u64,
    position: u64,
}

impl Records {
    fn record(&mut self, day: DayKey, sequence: u64, fact: Fact, changes: Vec<Change>) -> AppliedRecord {
        self.position += 1;
        let subject = SubjectId(id(self.position));
        let envelope = Envelope { subject, role: Role::Patient, request: RequestId(id(self.position)) };
        let event = Event { at: NOW, envelope, fact, changes, remembered: None };
        let version = DayVersion { epoch: 1, sequence };
        let (hash, body) = (ChainHash([7; 16]), Arc::from([]));
        AppliedRecord { day, version, position: self.position, hash, body, event }
    }

    fn published(&mut self, day: DayKey) -> AppliedRecord {
        let slot = |number| SlotDefinition {
            start: start(number),
            end: start(number + 1),
            capacity: 1,
            utc_offset_seconds: 0,
        };
        let release = Release { at: UtcMillis(0), places: None, audience: None };
        let slots = (0..OF_DAY).map(slot).collect();
        let definition = DayDefinition::validate("Europe/Vienna".into(), "".into(), slots, vec![release]);
        self.record(day, 1, Fact::Published(Arc::new(definition.expect("a good definition"))), Vec::new())
    }

    fn booked(&mut self, day: DayKey, slot: u64) -> AppliedRecord {
        // As of UUID version 7: ids rise with time.
        let order = u128::from(self.position) << 80;
        let row = Appointment {
            id: AppointmentId::born_in(Uuid::from_u128(order | id(self.position).as_u128() >> 48), &day),
            patient: PatientId(id(self.position)),
            start: start(slot),
            end: start(slot + 1),
            place: 0,
            status: Status::Booked,
            hold_expires_at: None,
            cancellation_reason: None,
            created_at: NOW,
            updated_at: NOW,
            version: 1,
        };
        self.record(day, slot + 2, Fact::Taken, vec![Change { from: None, row }])
    }

    /// New days, and bookings on them by turns.
    fn batch(&mut self) -> (Vec<AppliedRecord>, Vec<AppliedRecord>) {
        let days: Vec<DayKey> = (self.days..self.days + BATCH / OF_DAY).map(day).collect();
        self.days += BATCH / OF_DAY;
        let published = days.iter().map(|day| self.published(*day)).collect();
        let slots = (0..OF_DAY).flat_map(|slot| days.iter().map(move |day| (*day, slot)));
        let slots: Vec<(DayKey, u64)> = slots.collect();
        (published, slots.into_iter().map(|(day, slot)| self.booked(day, slot)).collect())
    }
}

fn applying(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("apply 4,096 bookings");
    group.throughput(Throughput::Elements(BATCH)).sample_size(20).measurement_time(Duration::from_secs(10));
    let none = ReminderSettings { configured: Vec::new(), ..ReminderSettings::default() };
    for (name, settings) in [("nobody is told", none), ("three messages each", ReminderSettings::default())] {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = runtime.block_on(SqliteLedger::open(directory.path())).expect("a ledger");
        let ledger = ledger.with_reminders(&settings);
        let mut records = Records::default();
        group.bench_function(name, |bencher| {
            let next = || {
                let (published, booked) = records.batch();
                let last = published[published.len() - 1].position;
                runtime.block_on(ledger.apply(&published, last)).expect("applied");
                booked
            };
            let apply = |booked: Vec<AppliedRecord>| {
                runtime.block_on(ledger.apply(&booked, booked[booked.len() - 1].position)).expect("applied");
            };
            bencher.iter_batched(next, apply, BatchSize::PerIteration);
        });
        runtime.block_on(ledger.close());
    }
    group.finish();
}

criterion_group!(benches, applying);
criterion_main!(benches);
