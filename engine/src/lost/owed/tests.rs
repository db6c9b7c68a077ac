//! Promises of records that the core has really decided.

use booking_core::{
    Date, DayVersion, DoctorDay, DoctorId, Fingerprint, PatientId, Release, RequestId, Role, SlotDefinition, SubjectId,
    encode_event,
};
use uuid::Uuid;

use super::*;
use crate::journal::ChainHash;
use crate::lost::Standing;

const MORNING: i64 = 1_772_438_400_000;
const SLOT_MILLIS: i64 = 600_000;
const NOW: UtcMillis = UtcMillis(MORNING - 3_600_000);

fn day() -> DayKey {
    DayKey { doctor: DoctorId::from_bytes([7; 16]), date: Date::from_civil(2026, 3, 2).expect("a date") }
}

fn start(slot: i64) -> UtcMillis {
    UtcMillis(MORNING + slot * SLOT_MILLIS)
}

fn id(number: u128) -> AppointmentId {
    AppointmentId(Uuid::from_u128(number))
}

/// A day, and what it has recorded.
#[derive(Default)]
struct Log {
    state: DoctorDay,
    records: Vec<StoredRecord>,
}

impl Log {
    fn published() -> Self {
        let mut log = Self::default();
        let slot =
            |slot| SlotDefinition { start: start(slot), end: start(slot + 1), capacity: 1, utc_offset_seconds: 0 };
        let releases = vec![Release { at: UtcMillis(0), places: None, audience: None }];
        let definition = DayDefinition::validate("UTC".into(), "".into(), (0..6).map(slot).collect(), releases);
        let definition = Arc::new(definition.expect("a good definition"));
        log.decide(None, Action::Publish { definition, precondition: None });
        log
    }

    fn decide(&mut self, key: Option<&str>, action: Action) {
        let subject = SubjectId(Uuid::from_u128(1));
        let envelope = Envelope { subject, role: Role::Admin, request: RequestId(Uuid::from_u128(2)) };
        let key = key.map(|key| RequestKey { subject, key: key.into(), fingerprint: Fingerprint([7; 16]) });
        let decision = self.state.decide(&Command { envelope, key, action }, NOW);
        decision.outcome.expect("the core takes it");
        let event = decision.event.expect("something changes");
        let version = DayVersion { epoch: 1, sequence: self.state.version().sequence + 1 };
        self.state.apply(version, &event);
        let (body, position) = (Arc::from(encode_event(&event)), version.sequence);
        let (day, shard) = (day(), day().shard());
        self.records.push(StoredRecord { day, shard, position, version, hash: ChainHash::default(), body });
    }

    fn book(&mut self, key: Option<&str>, number: u128, slot: i64, hold_millis: Option<i64>) {
        self.decide(
            key,
            Action::Book(Booking {
                appointment: id(number),
                patient: PatientId(Uuid::from_u128(number)),
                start: Some(start(slot)),
                hold_millis,
                audiences: Arc::from([]),
                busy: Vec::new(),
            }),
        );
    }

    fn cancel(&mut self, number: u128) {
        self.decide(Some("cancel"), Action::Cancel { appointment: id(number), reason: None });
    }

    fn relocate(&mut self, number: u128, slot: i64) {
        let (appointment, start) = (id(number), Some(start(slot)));
        let to = Relocation { appointment, start, audiences: Arc::from([]), busy: Vec::new() };
        self.decide(Some("move"), Action::Move(to));
    }

    /// What the records after number `from` promise.
    fn owed_after(&self, from: usize) -> Vec<Owed> {
        owed(self.records[from..].to_vec())
    }

    fn row(&self, number: u128) -> Appointment {
        self.state.appointment(id(number)).expect("the appointment").clone()
    }
}

fn told(owed: &Owed) -> &Told {
    match &owed.promise {
        Promise::Stands(told) => told,
        other => panic!("{other:?}"),
    }
}

/// The next step in words: `done`, `broken`, or the command with its key.
fn step(told: &Told, present: Option<&Appointment>) -> String {
    match next(told, present, told.base, &Arc::from([]), NOW) {
        Next::Done => "done".to_owned(),
        Next::Broken(_) => "broken".to_owned(),
        Next::Ask(command) => {
            let action = match &command.action {
                Action::Book(booking) => format!("book {:?}", booking.hold_millis),
                Action::Confirm { .. } => "confirm".to_owned(),
                Action::Cancel { .. } => "cancel".to_owned(),
                Action::Move(_) => "move".to_owned(),
                other => panic!("{other:?}"),
            };
            format!("{action} {}", command.key.as_ref().map_or("", |key| &*key.key))
        }
    }
}

#[test]
fn an_appointment_is_one_promise_however_often_it_changed() {
    let mut log = Log::published();
    log.book(Some("hold"), 1, 0, Some(60_000));
    log.book(Some("other"), 2, 1, None);
    log.decide(Some("confirm"), Action::Confirm { appointment: id(1) });
    log.relocate(1, 2);
    let owed = log.owed_after(1);
    assert_eq!(owed.iter().map(|owed| owed.records.len()).collect::<Vec<_>>(), [3, 1]);
    let first = told(&owed[0]);
    assert_eq!((first.base, &first.row), (None, &log.row(1)));
    assert_eq!(step(first, None), "book None hold", "as it was told last, under the key of its birth");
    assert_eq!(step(first, Some(&log.row(1))), "done");
    assert_eq!(step(told(&owed[1]), None), "book None other");
}

#[test]
fn what_stood_before_is_led_on_step_by_step() {
    let mut trunk = Log::published();
    trunk.book(None, 1, 0, Some(60_000));
    let before = trunk.row(1);
    let mut log = trunk;
    log.decide(Some("confirm"), Action::Confirm { appointment: id(1) });
    let confirmed = log.row(1);
    log.relocate(1, 2);
    let owed = log.owed_after(2);
    let promise = told(&owed[0]);
    assert_eq!(promise.base, Some(1));
    assert_eq!(step(promise, Some(&before)), "confirm confirm");
    assert_eq!(step(promise, None), "broken", "it is gone");
    let led_on = next(promise, Some(&confirmed), Some(2), &Arc::from([]), NOW);
    assert!(matches!(&led_on, Next::Ask(command) if matches!(command.action, Action::Move(_))), "{led_on:?}");
    let otherwise = Appointment { version: 2, status: Status::Expired, ..before };
    assert_eq!(step(promise, Some(&otherwise)), "broken");
}

#[test]
fn a_cancel_is_owed_only_to_what_has_not_changed_since() {
    let mut log = Log::published();
    log.book(None, 1, 0, None);
    let before = log.row(1);
    log.cancel(1);
    let owed = log.owed_after(2);
    let promise = told(&owed[0]);
    assert_eq!(step(promise, Some(&before)), "cancel cancel");
    assert_eq!(step(promise, Some(&log.row(1))), "done");
    assert_eq!(step(promise, Some(&Appointment { version: 2, start: start(3), ..before.clone() })), "broken");
    assert_eq!(step(promise, Some(&Appointment { version: 5, status: Status::Cancelled, ..before })), "done");
}

#[test]
fn what_is_over_is_owed_no_longer() {
    let mut log = Log::published();
    log.book(None, 1, 0, None);
    log.cancel(1);
    log.book(None, 2, 1, Some(60_000));
    let owed = log.owed_after(1);
    assert_eq!(step(told(&owed[0]), None), "done", "booked and cancelled");
    let held = told(&owed[1]);
    assert_eq!(step(held, None), "book Some(60000) ");
    let later = NOW.plus_millis(60_000);
    assert!(matches!(next(held, None, None, &Arc::from([]), later), Next::Done), "its hold has ended");
    // It was asked for before, and is cancelled by somebody who saw it.
    let cancelled = Appointment { status: Status::Cancelled, version: 2, ..held.row.clone() };
    assert_eq!(step(held, Some(&cancelled)), "done");
}

#[test]
fn a_day_and_what_cannot_be_read_are_promises_of_their_own() {
    let mut log = Log::published();
    log.decide(None, Action::Close { reason: None });
    let mut records = log.records.clone();
    records.push(StoredRecord { body: Arc::from(*b"no event"), ..records[0].clone() });
    let owed = owed(records);
    assert!(matches!(owed[0].promise, Promise::Published(..)), "{owed:?}");
    assert!(matches!(owed[1].promise, Promise::Closed(None, _)), "{owed:?}");
    assert_eq!(owed[2].promise, Promise::Unreadable);
}

#[test]
fn a_place_kept_for_a_move_that_was_given_up_is_not_owed() {
    let mut log = Log::published();
    let (move_id, from) = (MoveId(Uuid::from_u128(9)), DayKey { doctor: DoctorId::from_bytes([8; 16]), ..day() });
    let row = Appointment {
        id: id(1),
        patient: PatientId(Uuid::from_u128(1)),
        start: start(5),
        end: start(6),
        place: 0,
        status: Status::Booked,
        hold_expires_at: None,
        cancellation_reason: None,
        created_at: NOW,
        updated_at: NOW,
        version: 1,
    };
    let wish = Relocation { appointment: id(1), start: Some(start(0)), audiences: Arc::from([]), busy: Vec::new() };
    log.decide(None, Action::HoldForMove(booking_core::Arriving { move_id, from, row, wish }));
    let kept = log.owed_after(1);
    assert!(matches!(kept[0].promise, Promise::Arrives { .. }), "{kept:?}");
    log.decide(None, Action::DropMove { move_id });
    let dropped = log.owed_after(1);
    assert_eq!((dropped.len(), &dropped[0].promise), (1, &Promise::Nothing));
    assert_eq!(log.owed_after(2)[0].promise, Promise::Nothing, "its place is asked about by the day itself");
}

#[test]
fn what_a_process_has_asked_for_before_it_died_is_a_part_of_the_promise() {
    let mut log = Log::published();
    log.book(None, 1, 0, Some(60_000));
    let trunk = log.records.len();
    log.decide(Some("confirm"), Action::Confirm { appointment: id(1) });
    let confirmed = log.row(1);
    let by_promise = Standing::of(log.records.clone());
    log.relocate(1, 2);
    let owed = log.owed_after(trunk);
    let promise = told(&owed[0]);
    assert_eq!(
        Standing::of(log.records[..trunk].to_vec()).version_led_to(promise),
        Some(1),
        "nothing is asked for yet"
    );
    let version = by_promise.version_led_to(promise);
    assert_eq!(version, Some(2));
    let led_on = next(promise, Some(&confirmed), version, &Arc::from([]), NOW);
    assert!(matches!(&led_on, Next::Ask(command) if matches!(command.action, Action::Move(_))), "{led_on:?}");

    // Confirmed by somebody else, under another key: the branch that counts has gone another way.
    let mut other = Log::published();
    other.book(None, 1, 0, Some(60_000));
    other.decide(Some("another"), Action::Confirm { appointment: id(1) });
    let version = Standing::of(other.records.clone()).version_led_to(promise);
    assert!(matches!(next(promise, Some(&other.row(1)), version, &Arc::from([]), NOW), Next::Broken(_)));
}
