//! Days between which appointments move, written step by step: what the core decides, and what no core would.
//! Must not know: how an audit works.

use std::collections::BTreeMap;
use std::sync::Arc;

use booking_core::{
    Action, Appointment, AppointmentId, Arriving, Booking, DayDefinition, DayKey, DoctorDay, Event, Fact, Fingerprint,
    Home, Leaving, MoveId, Release, Relocation, RequestKey, Role, Seat, SlotDefinition, SubjectId, UtcMillis,
    encode_event,
};
use engine::journal::sqlite::SqliteJournal;
use engine::journal::{DayAppend, Head, Journal, chain};
use engine::ledger::Ledger;
use engine::ledger::sqlite::SqliteLedger;
use tempfile::TempDir;
use uuid::Uuid;

use crate::world::{MORNING, World, applied, appointment, command, day, patient, start};

/// The days while they are written. Every record is a block of its own, one second after the last.
pub(crate) struct Days {
    directory: TempDir,
    journal: SqliteJournal,
    states: BTreeMap<DayKey, (DoctorDay, Head)>,
    /// The instant of the last record.
    pub(crate) at: i64,
    moves: u128,
}

/// One attempt to move an appointment.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) id: MoveId,
    from: DayKey,
    to: DayKey,
    appointment: AppointmentId,
}

/// Born on the first day; it has moved to the second and on to the third, and a place is kept for it on the first.
pub(crate) fn wanderer() -> AppointmentId {
    appointment(day(1), 1)
}

/// Born on the first day; it has left for the second, which has not taken it in.
pub(crate) fn traveller() -> AppointmentId {
    appointment(day(1), 2)
}

pub(crate) fn key(number: u128, key: &str) -> RequestKey {
    RequestKey { subject: SubjectId(patient(number).0), key: key.into(), fingerprint: Fingerprint([7; 16]) }
}

fn relocation(appointment: AppointmentId, slot: usize) -> Relocation {
    Relocation { appointment, start: Some(start(slot)), audiences: Arc::from([]), busy: Vec::new() }
}

/// So many records does [`Days::eventful`] write.
pub(crate) const RECORDS: u64 = 16;

impl Days {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let journal = SqliteJournal::open(directory.path()).await.expect("a journal");
        Self { directory, journal, states: BTreeMap::new(), at: MORNING - 7_200_000, moves: 0 }
    }

    /// Three days, a move that was made twice and one within a day, one that was given up, and two that are open: of one
    /// the appointment has left, of the other it has not.
    pub(crate) async fn eventful() -> Self {
        let mut days = Self::new().await;
        for number in 1..=3 {
            days.publish(number).await;
        }
        days.book(day(1), 1, 0, Some(key(1, "book"))).await;
        days.book(day(1), 2, 1, None).await;
        let first = days.hold(day(1), wanderer(), day(2), 1).await;
        days.commit(&first, Some(key(1, "move"))).await;
        days.accept(&first).await;
        let second = days.hold(day(2), wanderer(), day(3), 2).await;
        days.commit(&second, None).await;
        days.accept(&second).await;
        let open = days.hold(day(1), traveller(), day(2), 0).await;
        days.commit(&open, None).await;
        days.act(day(3), 1, None, Action::Move(relocation(wanderer(), 0))).await;
        let given_up = days.hold(day(3), wanderer(), day(2), 2).await;
        days.drop_move(&given_up).await;
        days
    }

    async fn publish(&mut self, number: u128) {
        let slots = (0..3).map(|slot| SlotDefinition {
            start: start(slot),
            end: start(slot + 1),
            capacity: 2,
            utc_offset_seconds: 0,
        });
        let releases = vec![Release { at: UtcMillis(0), places: None, audience: None }];
        let definition = DayDefinition::validate("UTC".into(), "2026a".into(), slots.collect(), releases);
        let definition = Arc::new(definition.expect("a day that the core takes"));
        self.act(day(number), 0, None, Action::Publish { definition, precondition: None }).await;
    }

    /// Books appointment `number` of the day for the patient of that number.
    pub(crate) async fn book(&mut self, day: DayKey, number: u128, slot: usize, key: Option<RequestKey>) {
        let booking = Booking {
            appointment: appointment(day, number),
            patient: patient(number),
            start: Some(start(slot)),
            hold_millis: None,
            audiences: Arc::from([]),
            busy: Vec::new(),
        };
        self.act(day, number, key, Action::Book(booking)).await;
    }

    pub(crate) async fn hold(&mut self, from: DayKey, id: AppointmentId, to: DayKey, slot: usize) -> Attempt {
        self.moves += 1;
        let attempt = Attempt { id: MoveId(Uuid::from_u128(0x307E << 96 | self.moves)), from, to, appointment: id };
        let arriving = Arriving { move_id: attempt.id, from, row: self.row(from, id), wish: relocation(id, slot) };
        self.act(to, 0, None, Action::HoldForMove(arriving)).await;
        attempt
    }

    pub(crate) async fn commit(&mut self, attempt: &Attempt, key: Option<RequestKey>) {
        let kept = self.states[&attempt.to].0.arrival(attempt.id).expect("a place is kept").row.clone();
        self.commit_to(attempt, attempt.to, Seat::of(&kept), kept.end, key).await;
    }

    /// As [`Days::commit`], to a place that was perhaps not kept.
    pub(crate) async fn commit_to(
        &mut self,
        attempt: &Attempt,
        to: DayKey,
        seat: Seat,
        end: UtcMillis,
        key: Option<RequestKey>,
    ) {
        let row = self.row(attempt.from, attempt.appointment);
        let leaving = Leaving {
            move_id: attempt.id,
            appointment: attempt.appointment,
            version: row.version,
            to: Home { day: to, time_zone: "UTC".into() },
            seat,
            end,
        };
        let subject = key.as_ref().map_or(0, |_| 1);
        self.act(attempt.from, subject, key, Action::CommitMove(leaving)).await;
    }

    pub(crate) async fn accept(&mut self, attempt: &Attempt) {
        let departure = self.states[&attempt.from].0.departure(attempt.appointment).expect("it has left").row.clone();
        self.act(attempt.to, 0, None, Action::AcceptMove { move_id: attempt.id, row: departure }).await;
    }

    pub(crate) async fn drop_move(&mut self, attempt: &Attempt) {
        self.act(attempt.to, 0, None, Action::DropMove { move_id: attempt.id }).await;
    }

    pub(crate) fn row(&self, day: DayKey, id: AppointmentId) -> Appointment {
        self.states[&day].0.appointment(id).expect("the appointment").clone()
    }

    /// What the core decides.
    pub(crate) async fn act(&mut self, day: DayKey, subject: u128, key: Option<RequestKey>, action: Action) {
        self.at += 1_000;
        let command = command(patient(subject).0, Role::Patient, key, action);
        let state = &self.states.entry(day).or_default().0;
        let decision = state.decide(&command, UtcMillis(self.at));
        decision.outcome.expect("the core takes it");
        self.write(day, &decision.event.expect("it changes the day")).await;
    }

    /// An event that no core would decide: `fact`, with the changes and the key of whatever the day recorded last.
    pub(crate) async fn forge(&mut self, day: DayKey, fact: Fact, forge: impl FnOnce(&mut Event)) {
        self.at += 1_000;
        let command = command(patient(0).0, Role::System, None, Action::Expire);
        let (at, envelope) = (UtcMillis(self.at), command.envelope);
        let mut event = Event { at, envelope, fact, changes: Vec::new(), remembered: None };
        forge(&mut event);
        self.write(day, &event).await;
    }

    async fn write(&mut self, day: DayKey, event: &Event) {
        let (state, head) = self.states.get_mut(&day).expect("a day");
        let record = chain::next_record(*head, day, self.journal.epoch(), encode_event(event).into());
        state.apply(record.version, event);
        let append = DayAppend {
            day,
            epoch: self.journal.epoch(),
            expected: *head,
            records: vec![record.clone()],
            next_work_at: state.next_work_at(),
        };
        self.journal.append(&[append]).await.expect("it is written");
        *head = Head { version: record.version, hash: record.hash };
    }

    /// The ledger takes the first `count` records, and everything is closed.
    pub(crate) async fn stop(self, count: u64) -> World {
        let ledger = SqliteLedger::open(self.directory.path()).await.expect("a ledger");
        let records = applied(&self.journal).await;
        let count = usize::try_from(count).expect("few");
        ledger.apply(&records[..count], count as u64).await.expect("they are applied");
        ledger.close().await;
        self.journal.close().await;
        World { directory: self.directory }
    }
}
