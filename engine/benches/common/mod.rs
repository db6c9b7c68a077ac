//! An engine with room for millions, for benchmarks of the way of a booking.
//! Must not know: what is measured.

use std::path::Path;
use std::sync::Arc;

use booking_core::{
    AppointmentId, Booking, Date, DayDefinition, DayKey, DoctorId, Envelope, Fingerprint, PatientId, Release,
    RequestId, RequestKey, Role, SlotDefinition, SubjectId, UtcMillis,
};
use engine::assembly::Assembly;
use engine::claims::Claims;
use engine::clock::Clock;
use engine::committer::Committer;
use engine::ids::SystemIds;
use engine::journal::Journal;
use engine::journal::memory::MemoryJournal;
use engine::ledger::Ledger;
use engine::ledger::applier::Applier;
use engine::ledger::overlay::Overlay;
use engine::ledger::sqlite::SqliteLedger;
use engine::ownership::{Tenures, Territory};
use engine::spawn::TokioSpawn;
use engine::telemetry::meters::EngineMeters;
use engine::testing::{Faults, TaskActors};
use engine::view::{BookRequest, Caller, PublishRequest};
use engine::{EngineConfig, EngineHandle};
use uuid::Uuid;

/// 2030-01-01T00:00:00Z.
pub const NOW: UtcMillis = UtcMillis(1_893_456_000_000);
/// Length of a slot.
pub const SLOT_MILLIS: i64 = 300_000;
const SLOTS: i64 = 200;
const CAPACITY: u32 = 1_000;
/// Wins of one day before the next has its turn: no day is ever sold out.
pub const WINS_OF_A_DAY: u64 = 100_000;
/// Days with room, more than any run can fill.
pub const DAYS: u64 = 40;
/// Number of the day on which one patient has the only place.
pub const SOLD_OUT: u64 = 1_000;

/// Sixteen bytes that look random (splitmix64, twice).
pub fn id(number: u64) -> Uuid {
    let mix = |mut value: u64| {
        value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    };
    Uuid::from_u64_pair(mix(number * 2 + 1), mix(number * 2 + 2))
}

/// The day of that number.
pub fn day(number: u64) -> DayKey {
    DayKey { doctor: DoctorId(id(number)), date: Date::from_days(21_915).expect("a date") }
}

fn caller(number: u64, role: Role) -> Caller {
    let subject = SubjectId(id(number));
    let key = RequestKey { subject, key: id(number).to_string().into(), fingerprint: Fingerprint([7; 16]) };
    let envelope = Envelope { subject, role, request: RequestId(id(number)) };
    Caller { envelope, key: (role == Role::Patient).then_some(key) }
}

/// A booking of any slot, by the patient of that number.
pub fn booking(day: DayKey, patient: u64) -> BookRequest {
    let booking = Booking {
        appointment: AppointmentId(Uuid::nil()),
        patient: PatientId(id(patient)),
        start: None,
        hold_millis: None,
        audiences: Arc::from([]),
        busy: Vec::new(),
    };
    BookRequest { day, booking, caller: caller(patient, Role::Patient) }
}

async fn publish(engine: &EngineHandle, day: DayKey, slots: i64, capacity: u32) {
    let slot = |number: i64| {
        let start = NOW.plus_millis(3_600_000 + number * SLOT_MILLIS);
        SlotDefinition { start, end: start.plus_millis(SLOT_MILLIS), capacity, utc_offset_seconds: 0 }
    };
    let releases = vec![Release { at: UtcMillis(0), places: None, audience: None }];
    let slots = (0..slots).map(slot).collect();
    let definition = DayDefinition::validate("UTC".into(), "".into(), slots, releases).expect("a good definition");
    let (definition, caller) = (Arc::new(definition), caller(1, Role::Admin));
    let request = PublishRequest { day, definition, precondition: None, caller };
    engine.publish_day(request).await.expect("it is published");
}

/// The engine over a journal in memory, on the one thread of the caller's runtime.
pub async fn engine(directory: &Path, clock: Arc<dyn Clock>, meters: EngineMeters) -> EngineHandle {
    let journal = Arc::new(MemoryJournal::default()) as Arc<dyn Journal>;
    let ledger = Arc::new(SqliteLedger::open(directory).await.expect("a ledger"));
    let overlay = Arc::new(Overlay::default());
    let follower = Arc::clone(&ledger) as Arc<dyn Ledger>;
    let spawn = TokioSpawn(tokio::runtime::Handle::current());
    let applier =
        Applier::start(Arc::clone(&journal), follower, Arc::clone(&overlay), Arc::clone(&clock), 500_000, &spawn);
    let applier = applier.await.expect("an applier");
    let committer = Committer::start(Arc::clone(&journal), Arc::clone(&clock));
    let territory = Arc::new(Territory::new(Arc::new(Tenures::sole(1)), Arc::clone(&clock)));
    let assembly = Assembly {
        clock,
        territory,
        cluster: engine::ownership::Cluster::default(),
        ids: Arc::new(SystemIds),
        journal,
        ledger: Arc::clone(&ledger) as Arc<dyn Ledger>,
        registry: Arc::clone(&ledger) as _,
        reminders: ledger,
        overlay,
        claims: Arc::new(Claims::default()),
        applier,
        committer,
        starter: Arc::new(TaskActors),
        spawn: Arc::new(TokioSpawn(tokio::runtime::Handle::current())),
        meters: Arc::new(meters),
        faults: Faults::default(),
    };
    let (engine, _ports) = assembly.assemble(&EngineConfig::embedded(directory.to_owned()));
    for number in 0..DAYS {
        publish(&engine, day(number), SLOTS, CAPACITY).await;
    }
    publish(&engine, day(SOLD_OUT), 1, 1).await;
    engine.book(booking(day(SOLD_OUT), SOLD_OUT)).await.expect("the only place");
    engine
}
