//! Fills a data directory: days with equal histories, written through the core, its codec, the journal and the applier.
//! Must not know: what is measured on it.

use std::path::Path;
use std::sync::Arc;

use booking_core::{
    Action, AppointmentId, Booking, Command, Date, DayDefinition, DayKey, DoctorDay, DoctorId, Envelope, Fingerprint,
    PatientId, Release, RequestId, RequestKey, Role, SlotDefinition, SubjectId, UtcMillis, encode_event,
};
use engine::clock::{Clock, SystemClock};
use engine::journal::sqlite::SqliteJournal;
use engine::journal::{DayAppend, DayOutcome, Head, Journal, StoredSnapshot, chain};
use engine::ledger::Ledger;
use engine::ledger::applier::Applier;
use engine::ledger::overlay::Overlay;
use engine::ledger::sqlite::SqliteLedger;
use engine::spawn::TokioSpawn;
use uuid::Uuid;

use crate::measure::Stopwatch;

/// Days whose records are written by turns, so that those of one day lie apart, as in life. More would be more like life, but
/// the applier dirties a page for nearly every row then.
const CHUNK_DAYS: u64 = 2_000;
/// Records of one append.
const BATCH_RECORDS: u64 = 1_024;
/// As the engine does when a day goes to sleep.
const SNAPSHOT_RECORDS_MIN: u64 = 16;
const SLOTS: i64 = 20;
const DAY_MILLIS: i64 = 86_400_000;

/// How much is filled.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) days: u64,
    pub(crate) events_per_day: u64,
    pub(crate) live_per_day: u64,
    pub(crate) dates: u64,
}

/// Sixteen bytes that look random (splitmix64, twice).
pub(crate) fn id(number: u64) -> Uuid {
    let mix = |mut value: u64| {
        value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    };
    Uuid::from_u64_pair(mix(number * 2 + 1), mix(number * 2 + 2))
}

impl Plan {
    /// Day number `number`; the dates begin tomorrow.
    pub(crate) fn day(self, number: u64, now: UtcMillis) -> DayKey {
        let doctors = self.days.div_ceil(self.dates);
        let days = now.0 / DAY_MILLIS + 1 + (number / doctors) as i64;
        let date = i32::try_from(days).ok().and_then(Date::from_days).expect("a date");
        DayKey { doctor: DoctorId(id(number % doctors)), date }
    }

    /// Of the bookings that are not cancelled again, each has its own patient.
    fn cancellations(self) -> u64 {
        (self.events_per_day - 1).saturating_sub(self.live_per_day) / 2
    }
}

/// One day while its history is written.
struct Writer {
    day: DayKey,
    number: u64,
    state: DoctorDay,
    head: Head,
    last: AppointmentId,
}

fn definition(day: DayKey) -> Arc<DayDefinition> {
    let morning = i64::from(day.date.days()) * DAY_MILLIS + 7 * 3_600_000;
    let slot = |number| SlotDefinition {
        start: UtcMillis(morning + number * 1_200_000),
        end: UtcMillis(morning + (number + 1) * 1_200_000),
        capacity: 1,
        utc_offset_seconds: 3_600,
    };
    let release = Release { at: UtcMillis(0), places: None, audience: None };
    let slots = (0..SLOTS).map(slot).collect();
    let definition = DayDefinition::validate("Europe/Berlin".into(), "2026a".into(), slots, vec![release]);
    Arc::new(definition.expect("a day that the core takes"))
}

impl Writer {
    /// The command that makes event number `round` of the day.
    fn command(&mut self, round: u64, plan: Plan) -> Command {
        let command = |subject: Uuid, role, key, action| {
            let envelope = Envelope { subject: SubjectId(subject), role, request: RequestId(id(round)) };
            Command { envelope, key, action }
        };
        if round == 0 {
            let action = Action::Publish { definition: definition(self.day), precondition: None };
            return command(self.day.doctor.0, Role::Doctor, None, action);
        }
        if round.is_multiple_of(2) && round <= 2 * plan.cancellations() {
            return command(
                self.day.doctor.0,
                Role::Doctor,
                None,
                Action::Cancel { appointment: self.last, reason: None },
            );
        }
        let patient = id((1 << 40) + self.number * plan.events_per_day + round);
        // As of UUID version 7: those of one day lie far apart.
        let order = u128::from(self.number / CHUNK_DAYS * plan.events_per_day + round) << 80;
        self.last = AppointmentId::born_in(Uuid::from_u128(order | patient.as_u128() >> 48), &self.day);
        let booking = Booking {
            appointment: self.last,
            patient: PatientId(patient),
            start: None,
            hold_millis: None,
            audiences: Arc::from([]),
            busy: Vec::new(),
        };
        let key = RequestKey {
            subject: SubjectId(patient),
            key: patient.to_string().into(),
            fingerprint: Fingerprint([7; 16]),
        };
        command(patient, Role::Patient, Some(key), Action::Book(booking))
    }

    fn append(&mut self, rounds: std::ops::Range<u64>, plan: Plan, epoch: u32, at: UtcMillis) -> DayAppend {
        let (expected, mut records) = (self.head, Vec::new());
        for round in rounds {
            let command = self.command(round, plan);
            let event = self.state.decide(&command, at).event.expect("every command does something");
            let record = chain::next_record(self.head, self.day, epoch, encode_event(&event).into());
            self.state.apply(record.version, &event);
            self.head = Head { version: record.version, hash: record.hash };
            records.push(record);
        }
        DayAppend { day: self.day, epoch, expected, records, next_work_at: self.state.next_work_at() }
    }
}

async fn write_chunk(journal: &SqliteJournal, plan: Plan, numbers: std::ops::Range<u64>, at: UtcMillis) {
    let mut writers: Vec<Writer> = numbers
        .map(|number| Writer {
            day: plan.day(number, at),
            number,
            state: DoctorDay::default(),
            head: Head::default(),
            last: AppointmentId(Uuid::nil()),
        })
        .collect();
    // Few days: several records of each at once.
    let rounds = (BATCH_RECORDS / writers.len() as u64).max(1);
    let mut from = 0;
    while from < plan.events_per_day {
        let until = (from + rounds).min(plan.events_per_day);
        for some in writers.chunks_mut(BATCH_RECORDS as usize) {
            let batch: Vec<DayAppend> =
                some.iter_mut().map(|writer| writer.append(from..until, plan, journal.epoch(), at)).collect();
            let outcomes = journal.append(&batch).await.expect("it is written");
            assert!(outcomes.iter().all(|outcome| matches!(outcome, DayOutcome::Appended { .. })));
        }
        from = until;
    }
    if plan.events_per_day >= SNAPSHOT_RECORDS_MIN {
        for some in writers.chunks(64) {
            let packed = some.iter().map(|writer| StoredSnapshot {
                day: writer.day,
                head: writer.head,
                bytes: writer.state.pack().into(),
            });
            journal.save_snapshots(&packed.collect::<Vec<_>>()).await.expect("they are saved");
        }
    }
}

/// Fills `directory`, which has nothing yet.
pub(crate) async fn fill(directory: &Path, plan: Plan) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let (at, begun) = (clock.now(), Stopwatch::start());
    let journal = Arc::new(SqliteJournal::open(directory).await.expect("it opens"));
    for from in (0..plan.days).step_by(CHUNK_DAYS as usize) {
        write_chunk(&journal, plan, from..(from + CHUNK_DAYS).min(plan.days), at).await;
    }
    println!("journal filled after {:.1} s", begun.seconds());
    let ledger = Arc::new(SqliteLedger::open(directory).await.expect("it opens"));
    let spawn = TokioSpawn(tokio::runtime::Handle::current());
    let applier = Applier::start(
        Arc::clone(&journal) as Arc<dyn Journal>,
        Arc::clone(&ledger) as Arc<dyn Ledger>,
        Arc::new(Overlay::default()),
        clock,
        500_000,
        &spawn,
    );
    applier.await.expect("everything is applied").stop().await;
    ledger.close().await;
    journal.close().await;
    println!("ledger filled after {:.1} s", begun.seconds());
}
