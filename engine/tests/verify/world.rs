//! A stopped data directory with some history, and hands that damage it.
//! Must not know: how an audit works.

use std::path::Path;
use std::sync::Arc;

use booking_core::{
    Action, Answer, AppointmentId, Booking, Command, Date, DayDefinition, DayKey, DoctorDay, DoctorId, Envelope, Event,
    Fact, Fingerprint, PatientId, PersonalText, Release, RequestId, RequestKey, Role, SlotDefinition, SubjectId,
    UtcMillis, decode_event, encode_event,
};
use engine::journal::sqlite::SqliteJournal;
use engine::journal::{DayAppend, Head, Journal, StoredSnapshot, chain};
use engine::ledger::sqlite::SqliteLedger;
use engine::ledger::{AppliedRecord, Ledger};
use engine::verify::{Kind, Report, verify};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

/// 2026-03-02T08:00:00Z.
pub(crate) const MORNING: i64 = 1_772_438_400_000;
/// Records of each day of [`World::new`].
pub(crate) const RECORDS: u64 = 7;

/// Two days of equal history: published; three bookings (the first under a key); one of them cancelled, with a reason; a
/// hold; the day closed. One block each record. The second day is applied up to its sixth record only.
pub(crate) struct World {
    pub(crate) directory: TempDir,
}

/// The first day, or the second.
pub(crate) fn day(number: u128) -> DayKey {
    let date = Date::from_civil(2026, 3, 2).expect("a date");
    DayKey { doctor: DoctorId(Uuid::from_u128(0xD0C << 96 | number)), date }
}

pub(crate) fn start(slot: usize) -> UtcMillis {
    UtcMillis(MORNING + slot as i64 * 600_000)
}

/// Appointment number `number` of `day`.
pub(crate) fn appointment(day: DayKey, number: u128) -> AppointmentId {
    AppointmentId::born_in(Uuid::from_u128(day.doctor.0.as_u128() << 20 | number << 12), &day)
}

pub(crate) fn patient(number: u128) -> PatientId {
    PatientId(Uuid::from_u128(0xA71 << 96 | number))
}

/// Patient number `number` of those that use `day` only: nobody is at two places at once.
fn patient_of(day: DayKey, number: u128) -> PatientId {
    PatientId(Uuid::from_u128(patient(number).0.as_u128() | (day.doctor.0.as_u128() & 0xFF) << 64))
}

fn key(day: DayKey) -> RequestKey {
    RequestKey { subject: SubjectId(patient_of(day, 1).0), key: "first".into(), fingerprint: Fingerprint([7; 16]) }
}

pub(crate) fn command(subject: Uuid, role: Role, key: Option<RequestKey>, action: Action) -> Command {
    let request = RequestId(Uuid::from_u128(9));
    Command { envelope: Envelope { subject: SubjectId(subject), role, request }, key, action }
}

fn book(day: DayKey, number: u128, hold_millis: Option<i64>) -> Action {
    let (appointment, patient) = (appointment(day, number), patient_of(day, number));
    Action::Book(Booking { appointment, patient, start: None, hold_millis, audiences: Arc::from([]), busy: Vec::new() })
}

fn history(day: DayKey) -> Vec<Command> {
    let slots = (0..3).map(|slot| SlotDefinition {
        start: start(slot),
        end: start(slot + 1),
        capacity: 2,
        utc_offset_seconds: 0,
    });
    let releases = vec![Release { at: UtcMillis(0), places: None, audience: None }];
    let definition = DayDefinition::validate("UTC".into(), "2026a".into(), slots.collect(), releases);
    let definition = Arc::new(definition.expect("a day that the core takes"));
    let doctor = day.doctor.0;
    let reason = Some(PersonalText::plain("moved away"));
    let cancel = Action::Cancel { appointment: appointment(day, 2), reason: reason.clone() };
    vec![
        command(doctor, Role::Doctor, None, Action::Publish { definition, precondition: None }),
        command(patient_of(day, 1).0, Role::Patient, Some(key(day)), book(day, 1, None)),
        command(patient_of(day, 2).0, Role::Patient, None, book(day, 2, None)),
        command(patient_of(day, 3).0, Role::Patient, None, book(day, 3, None)),
        command(patient_of(day, 2).0, Role::Patient, None, cancel),
        command(patient_of(day, 4).0, Role::Patient, None, book(day, 4, Some(600_000))),
        command(doctor, Role::Doctor, None, Action::Close { reason }),
    ]
}

/// A state while its records are written.
struct Writer<'journal> {
    journal: &'journal SqliteJournal,
    day: DayKey,
    state: DoctorDay,
    head: Head,
}

impl Writer<'_> {
    async fn write(&mut self, event: &Event) {
        let record = chain::next_record(self.head, self.day, self.journal.epoch(), encode_event(event).into());
        self.state.apply(record.version, event);
        let append = DayAppend {
            day: self.day,
            epoch: self.journal.epoch(),
            expected: self.head,
            records: vec![record.clone()],
            next_work_at: self.state.next_work_at(),
        };
        self.journal.append(&[append]).await.expect("it is written");
        self.head = Head { version: record.version, hash: record.hash };
    }
}

impl World {
    /// See the type.
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let journal = SqliteJournal::open(directory.path()).await.expect("a journal");
        for number in 1..=2 {
            let (state, head) = (DoctorDay::default(), Head::default());
            let mut writer = Writer { journal: &journal, day: day(number), state, head };
            for (step, command) in history(writer.day).iter().enumerate() {
                let at = UtcMillis(MORNING - 7_200_000 + step as i64 * 1_000);
                let event = writer.state.decide(command, at).event.expect("it changes the day");
                writer.write(&event).await;
                if step == 4 {
                    let snapshot =
                        StoredSnapshot { day: writer.day, head: writer.head, bytes: writer.state.pack().into() };
                    journal.save_snapshots(&[snapshot]).await.expect("it is kept");
                }
            }
        }
        let ledger = SqliteLedger::open(directory.path()).await.expect("a ledger");
        let records = applied(&journal).await;
        let (last, rest) = records.split_last().expect("records");
        ledger.apply(rest, last.position - 1).await.expect("they are applied");
        ledger.close().await;
        journal.close().await;
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The next record of the first day is an event that no rule allows, chained as if it were allowed.
    pub(crate) async fn forge(&self, forge: impl FnOnce(&[Event]) -> Event) {
        let journal = SqliteJournal::open(self.path()).await.expect("a journal");
        let loaded = journal.read_after(0, 1_000).await.expect("records");
        let mut writer = Writer { journal: &journal, day: day(1), state: DoctorDay::default(), head: Head::default() };
        let mut events = Vec::new();
        for record in loaded.iter().filter(|record| record.day == day(1)) {
            let event = decode_event(&record.body).expect("an event");
            writer.state.apply(record.version, &event);
            writer.head = Head { version: record.version, hash: record.hash };
            events.push(event);
        }
        writer.write(&forge(&events)).await;
        journal.close().await;
    }

    /// The next record of the first day has this body, chained as if it were an event.
    pub(crate) async fn append(&self, body: &[u8]) {
        let journal = SqliteJournal::open(self.path()).await.expect("a journal");
        let expected = journal.load(day(1)).await.expect("a load").expect("a written day").head;
        let epoch = journal.epoch();
        let record = chain::next_record(expected, day(1), epoch, body.into());
        let append = DayAppend { day: day(1), epoch, expected, records: vec![record], next_work_at: None };
        journal.append(&[append]).await.expect("it is written");
        journal.close().await;
    }

    /// Runs statements on one of the files.
    pub(crate) async fn damage(&self, file: &str, statements: &'static str) {
        let mut connection = self.connect(file).await;
        let changed = sqlx::query(statements).execute(&mut connection).await.expect("it is SQL").rows_affected();
        assert!(changed > 0, "something was damaged");
        connection.close().await.expect("it closes");
    }

    pub(crate) async fn connect(&self, file: &str) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path().join(file));
        options.connect().await.expect("the file opens")
    }

    pub(crate) async fn verify(&self) -> Report {
        verify(self.path()).await.expect("it can be audited")
    }
}

pub(crate) async fn applied(journal: &SqliteJournal) -> Vec<AppliedRecord> {
    let stored = journal.read_after(0, 1_000).await.expect("records");
    let records = stored.iter().map(|record| AppliedRecord {
        day: record.day,
        version: record.version,
        position: record.position,
        hash: record.hash,
        body: Arc::clone(&record.body),
        event: decode_event(&record.body).expect("an event"),
    });
    records.collect()
}

/// The kinds that a report names.
pub(crate) fn kinds(report: &Report) -> Vec<Kind> {
    Kind::ALL.iter().copied().filter(|kind| report.findings.count_of(*kind) > 0).collect()
}

/// The booking of `event` again under other ids, in the same place.
pub(crate) fn sold_again(event: &Event) -> Event {
    let mut forged = event.clone();
    let change = forged.changes.last_mut().expect("a booking");
    (change.row.id, change.row.patient) = (appointment(day(1), 66), patient(66));
    forged.remembered = None;
    forged
}

/// The patient of `event` once more, in place `place`.
pub(crate) fn twice_the_same_patient(event: &Event, place: u32) -> Event {
    let mut forged = event.clone();
    let change = forged.changes.last_mut().expect("a booking");
    (change.row.id, change.row.start, change.row.end) = (appointment(day(1), 67), start(2), start(3));
    change.row.place = place;
    forged.remembered = None;
    forged
}

/// Nothing but the key of `event`, which has won already.
pub(crate) fn key_again(event: &Event) -> Event {
    let row = event.changes.last().expect("a booking").row.clone();
    let mut forged = event.clone();
    forged.fact = Fact::Remembered;
    forged.changes.clear();
    forged.remembered = Some((key(day(1)), Answer::Appointment(row)));
    forged
}
