//! A history worth damaging: days with every kind of event, in blocks of several records, with snapshots, moves and open work.
//! Must not know: what is damaged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use booking_core::{
    Action, Appointment, AppointmentId, Arriving, Booking, Command, Date, DayDefinition, DayKey, DoctorDay, DoctorId,
    Envelope, Fingerprint, Home, Leaving, MoveId, PatientId, PersonalText, Release, Relocation, RequestId, RequestKey,
    Role, Seat, SlotDefinition, SubjectId, UtcMillis, encode_event,
};
use engine::journal::sqlite::SqliteJournal;
use engine::journal::{DayAppend, Head, Journal, NewRecord, StoredSnapshot, chain};
use uuid::Uuid;

/// 2026-03-02T08:00:00Z.
const MORNING: i64 = 1_772_438_400_000;

/// Two hours before.
const BEGIN: i64 = MORNING - 7_200_000;

/// Day number `number`: of three doctors, by turns.
pub(crate) fn day(number: u64) -> DayKey {
    let first = Date::from_civil(2026, 3, 2).expect("a date").days();
    let date = Date::from_days(first + (number / 3) as i32).expect("a date");
    DayKey { doctor: doctor(number % 3), date }
}

pub(crate) fn doctor(number: u64) -> DoctorId {
    DoctorId(Uuid::from_u128(0xD0C << 96 | u128::from(number)))
}

/// The day whose slots begin while the history is written.
const EARLY: u64 = 9;

fn start(day: u64, slot: usize) -> UtcMillis {
    if day == EARLY {
        return UtcMillis(BEGIN + 300_000 + slot as i64 * 600_000);
    }
    UtcMillis(MORNING + (day / 3) as i64 * 86_400_000 + slot as i64 * 600_000)
}

fn patient(number: u64) -> PatientId {
    PatientId(Uuid::from_u128(0xA71 << 96 | u128::from(number)))
}

/// The days while they are written.
pub(crate) struct History<'journal> {
    journal: &'journal SqliteJournal,
    days: BTreeMap<u64, Written>,
    at: i64,
    appointments: u64,
}

#[derive(Default)]
struct Written {
    state: DoctorDay,
    /// Of the last record that is written.
    head: Head,
    /// Decided, not written.
    waiting: Vec<NewRecord>,
}

impl<'journal> History<'journal> {
    pub(crate) fn new(journal: &'journal SqliteJournal) -> Self {
        Self { journal, days: BTreeMap::new(), at: BEGIN, appointments: 0 }
    }

    /// What the core decides about `day`; written at the next [`History::write`].
    fn act(&mut self, day_number: u64, key: Option<&str>, action: Action) {
        self.at += 1_000;
        let subject = SubjectId(patient(day_number).0);
        let envelope = Envelope { subject, role: Role::Admin, request: RequestId(Uuid::from_u128(self.at as u128)) };
        let key = key.map(|key| RequestKey { subject, key: key.into(), fingerprint: Fingerprint([7; 16]) });
        let written = self.days.entry(day_number).or_default();
        let decision = written.state.decide(&Command { envelope, key, action }, UtcMillis(self.at));
        decision.outcome.expect("the core takes it");
        let event = decision.event.expect("it changes the day");
        let last = written.waiting.last();
        let head = last.map_or(written.head, |last| Head { version: last.version, hash: last.hash });
        let record = chain::next_record(head, day(day_number), self.journal.epoch(), encode_event(&event).into());
        written.state.apply(record.version, &event);
        written.waiting.push(record);
    }

    /// Writes what waits, a block a day, in one batch.
    pub(crate) async fn write(&mut self) {
        let mut batch = Vec::new();
        for (number, written) in &mut self.days {
            let records = std::mem::take(&mut written.waiting);
            let Some(last) = records.last() else { continue };
            let (expected, next_work_at) = (written.head, written.state.next_work_at());
            written.head = Head { version: last.version, hash: last.hash };
            batch.push(DayAppend { day: day(*number), epoch: self.journal.epoch(), expected, records, next_work_at });
        }
        self.journal.append(&batch).await.expect("it is written");
    }

    /// Keeps the packed states of these days.
    pub(crate) async fn snapshot(&self, numbers: std::ops::Range<u64>) {
        let snapshots: Vec<_> = numbers
            .map(|number| {
                let written = &self.days[&number];
                StoredSnapshot { day: day(number), head: written.head, bytes: written.state.pack().into() }
            })
            .collect();
        self.journal.save_snapshots(&snapshots).await.expect("they are kept");
    }

    pub(crate) fn publish(&mut self, number: u64) {
        let slots = (0..6).map(|slot| SlotDefinition {
            start: start(number, slot),
            end: start(number, slot + 1),
            capacity: 2,
            utc_offset_seconds: 3_600,
        });
        let releases = vec![
            Release { at: UtcMillis(0), places: Some(8), audience: None },
            Release { at: UtcMillis(1), places: None, audience: None },
        ];
        let definition = DayDefinition::validate("Europe/Berlin".into(), "2026a".into(), slots.collect(), releases);
        let definition = Arc::new(definition.expect("a day that the core takes"));
        self.act(number, None, Action::Publish { definition, precondition: None });
    }

    /// Takes a place of `slot`; a hold, if it says how long.
    pub(crate) fn book(&mut self, day_number: u64, slot: usize, hold_millis: Option<i64>) -> AppointmentId {
        self.appointments += 1;
        let number = self.appointments;
        let id = AppointmentId::born_in(Uuid::from_u128(0xB00 << 96 | u128::from(number) << 12), &day(day_number));
        let action = Action::Book(Booking {
            appointment: id,
            patient: patient(100 + number),
            start: Some(start(day_number, slot)),
            hold_millis,
            audiences: Arc::from([]),
            busy: Vec::new(),
        });
        let key = (!number.is_multiple_of(3)).then(|| format!("key-{number}"));
        self.act(day_number, key.as_deref(), action);
        id
    }

    /// Everything that a day can go through without another.
    pub(crate) fn live(&mut self, number: u64) {
        let first = self.book(number, 0, None);
        let held = self.book(number, 1, Some(60_000));
        self.act(number, Some("confirm"), Action::Confirm { appointment: held });
        self.act(number, Some("again"), Action::Confirm { appointment: held });
        let late = self.book(number, 2, Some(1_000));
        self.at += 60_000;
        self.act(number, None, Action::Expire);
        let again = self.book(number, 2, None);
        assert_ne!(late, again);
        let reason = Some(PersonalText::plain("moved away"));
        self.act(number, Some("cancel"), Action::Cancel { appointment: first, reason });
        let wish =
            Relocation { appointment: held, start: Some(start(number, 3)), audiences: Arc::from([]), busy: vec![] };
        self.act(number, None, Action::Move(wish));
        self.book(number, 4, Some(3_600_000));
    }

    /// An appointment of one day goes to another; `steps` of the three.
    pub(crate) fn travel(&mut self, from: u64, to: u64, steps: usize) {
        let id = self.book(from, 5, None);
        let row = self.days[&from].state.appointment(id).expect("it was booked").clone();
        let move_id = MoveId(Uuid::from_u128(0x307E << 96 | u128::from(self.appointments)));
        let wish = Relocation { appointment: id, start: None, audiences: Arc::from([]), busy: vec![] };
        self.act(to, None, Action::HoldForMove(Arriving { move_id, from: day(from), row: row.clone(), wish }));
        if steps == 0 {
            return self.act(to, None, Action::DropMove { move_id });
        }
        let kept: Appointment = self.days[&to].state.arrival(move_id).expect("a place is kept").row.clone();
        let home = Home { day: day(to), time_zone: "Europe/Berlin".into() };
        let (version, seat, end) = (row.version, Seat::of(&kept), kept.end);
        let leaving = Leaving { move_id, appointment: id, version, to: home, seat, end };
        self.act(from, Some("away"), Action::CommitMove(leaving));
        if steps > 1 {
            let row = self.days[&from].state.departure(id).expect("it has left").row.clone();
            self.act(to, None, Action::AcceptMove { move_id, row });
        }
    }

    pub(crate) fn close(&mut self, number: u64) {
        self.act(number, None, Action::Close { reason: Some(PersonalText::plain("ill")) });
    }
}

/// Writes `quiet` published days after nine that see everything, up to a point at which half of them have a snapshot.
pub(crate) async fn first_half(history: &mut History<'_>, quiet: u64) {
    for number in 0..9 + quiet {
        history.publish(number);
    }
    history.write().await;
    let absent = history.book(EARLY, 0, None);
    for number in 0..9 {
        history.live(number);
    }
    history.act(EARLY, None, Action::NoShow { appointment: absent });
    history.write().await;
    history.snapshot(0..5).await;
}

/// The rest, in many small batches.
pub(crate) async fn second_half(history: &mut History<'_>) {
    for (from, to, steps) in [(0, 1, 2), (3, 5, 2), (4, 3, 0), (6, 8, 1)] {
        history.travel(from, to, steps);
        history.write().await;
    }
    for number in 0..9 {
        history.book(number, 3, None);
        history.write().await;
    }
    history.snapshot(2..7).await;
    for number in [0, 2, 7] {
        history.close(number);
        history.write().await;
    }
}

/// The journal of a directory; its ledger is somebody else's.
pub(crate) async fn open(directory: &Path) -> SqliteJournal {
    SqliteJournal::open(directory).await.expect("a journal")
}
