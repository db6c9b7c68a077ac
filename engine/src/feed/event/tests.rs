//! Is every fact told, in the words that consumers know, and nothing that a person wrote?
//! Must not know: journals, sinks.

use std::sync::Arc;

use booking_core::{
    AppointmentId, DoctorId, Envelope, Home, MoveId, PatientId, PersonalText, Release, RequestId, Role, Seat,
    SlotDefinition, SubjectId,
};
use serde_json::json;

use super::*;

/// A fact, its changes (status before and after), and what is told.
type Case = (Fact, &'static [(Option<Status>, Status)], &'static [EventType]);

/// 2030-01-01T08:30:00.250Z.
const NOW: UtcMillis = UtcMillis(1_893_486_600_250);
const SECRET: &str = "a wart";

fn day(doctor: u128) -> DayKey {
    DayKey { doctor: DoctorId(Uuid::from_u128(doctor)), date: Date::parse("2030-01-02").expect("a date") }
}

fn row(status: Status) -> Appointment {
    let start = UtcMillis(1_893_574_800_000);
    Appointment {
        id: AppointmentId(Uuid::from_u128(0xa)),
        patient: PatientId(Uuid::from_u128(0xb)),
        start,
        end: start.plus_millis(600_000),
        place: 0,
        status,
        hold_expires_at: matches!(status, Status::Held | Status::Expired).then_some(NOW.plus_millis(60_000)),
        cancellation_reason: (status == Status::Cancelled).then(|| PersonalText::plain(SECRET)),
        created_at: NOW,
        updated_at: NOW,
        version: 4,
    }
}

fn event(fact: Fact, changes: &[(Option<Status>, Status)]) -> Event {
    let nobody = Uuid::nil();
    let envelope = Envelope { subject: SubjectId(nobody), role: Role::Patient, request: RequestId(nobody) };
    let changes = changes.iter().map(|(from, to)| Change { from: *from, row: row(*to) }).collect();
    Event { at: NOW, envelope, fact, changes, remembered: None }
}

fn kinds(sequence: u64, event: &Event) -> Vec<EventType> {
    domain_events(day(1), sequence, 3, event).into_iter().map(|told| told.kind).collect()
}

#[test]
fn every_change_has_its_word() {
    use EventType::*;
    const HELD: Option<Status> = Some(Status::Held);
    const BOOKED: Option<Status> = Some(Status::Booked);
    let cases: [Case; 9] = [
        (Fact::Taken, &[(None, Status::Held)], &[Held]),
        (Fact::Taken, &[(HELD, Status::Expired), (None, Status::Booked)], &[Expired, Booked]),
        (Fact::Confirmed, &[(HELD, Status::Booked)], &[Confirmed]),
        (Fact::Cancelled, &[(BOOKED, Status::Cancelled)], &[Cancelled]),
        (Fact::NoShow, &[(BOOKED, Status::NoShow)], &[NoShow]),
        (Fact::Expired, &[(HELD, Status::Expired)], &[Expired]),
        (Fact::Remembered, &[], &[]),
        (
            Fact::Closed { reason: Some(PersonalText::plain(SECRET)) },
            &[(BOOKED, Status::Cancelled)],
            &[Cancelled, DayClosed],
        ),
        (
            Fact::Moved { from: Seat { start: NOW, place: 0 } },
            &[(HELD, Status::Expired), (BOOKED, Status::Booked)],
            &[Expired, Moved],
        ),
    ];
    for (fact, changes, expected) in cases {
        let event = event(fact, changes);
        assert_eq!(kinds(2, &event), expected, "{:?}", event.fact);
        let text = serde_json::to_string(&domain_events(day(1), 2, 3, &event)).expect("JSON");
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn a_move_between_days_is_told_on_both() {
    let (move_id, row) = (MoveId(Uuid::from_u128(5)), Box::new(row(Status::Booked)));
    let to = Home { day: day(2), time_zone: Arc::from("UTC") };
    let seat = Seat { start: NOW, place: 0 };
    let out = event(Fact::MovedOut { move_id, to, from: seat }, &[(Some(Status::Booked), Status::Booked)]);
    let told = domain_events(day(1), 7, 3, &out);
    let part = told[0].appointment.clone().expect("an appointment");
    assert_eq!((told.len(), told[0].kind), (1, EventType::Moved));
    assert_eq!(part.other_doctor_id, Some(Uuid::from_u128(2)));
    assert_eq!(part.from_slot_start.as_deref(), Some("2030-01-01T08:30:00.250Z"));
    let held = event(Fact::MoveHeld { move_id, from: day(1), row: row.clone() }, &[]);
    assert_eq!(kinds(3, &held), [EventType::MoveHeld]);
    let part = domain_events(day(2), 3, 3, &held).remove(0).appointment.expect("an appointment");
    assert_eq!(part.other_doctor_id, Some(Uuid::from_u128(1)));
    assert_eq!(kinds(4, &event(Fact::MovedIn { move_id, row: row.clone() }, &[])), [EventType::MovedIn]);
    assert_eq!(kinds(4, &event(Fact::MoveDropped { move_id, row }, &[])), [EventType::MoveDropped]);
}

#[test]
fn an_event_is_told_in_this_form() {
    let told = domain_events(day(1), 12, 3, &event(Fact::Taken, &[(None, Status::Held)]));
    let expected = json!({
        "id": "00000000-0000-0000-0000-000000000001/2030-01-02/12/0",
        "type": "held",
        "doctor_id": "00000000-0000-0000-0000-000000000001",
        "date": "2030-01-02",
        "sequence": 12,
        "epoch": 3,
        "at": "2030-01-01T08:30:00.250Z",
        "appointment_id": "00000000-0000-0000-0000-00000000000a",
        "appointment_version": 4,
        "patient_id": "00000000-0000-0000-0000-00000000000b",
        "slot_start": "2030-01-02T09:00:00.000Z",
        "slot_end": "2030-01-02T09:10:00.000Z",
        "hold_expires_at": "2030-01-01T08:31:00.250Z",
    });
    assert_eq!(serde_json::to_value(&told[0]).expect("JSON"), expected);
}

#[test]
fn a_published_day_tells_what_opens_when_and_not_for_whom() {
    let start = UtcMillis(1_893_574_800_000);
    let slot = SlotDefinition { start, end: start.plus_millis(600_000), capacity: 3, utc_offset_seconds: 0 };
    let release = |places, audience: Option<&str>| Release { at: NOW, places, audience: audience.map(Into::into) };
    let releases = vec![release(Some(1), Some("cardiology-regulars")), release(None, None)];
    let definition =
        DayDefinition::validate("Europe/Amsterdam".into(), "".into(), vec![slot], releases).expect("a good definition");
    let event = event(Fact::Published(Arc::new(definition)), &[]);
    assert_eq!((kinds(1, &event), kinds(2, &event)), (vec![EventType::DayPublished], vec![EventType::DayAmended]));
    let told = serde_json::to_value(&domain_events(day(1), 1, 1, &event)[0]).expect("JSON");
    assert_eq!((&told["slots"], &told["places"]), (&json!(1), &json!(3)));
    assert_eq!(
        told["releases"],
        json!([{"at": "2030-01-01T08:30:00.250Z", "places": 1}, {"at": "2030-01-01T08:30:00.250Z"}])
    );
    assert!(!told.to_string().contains("regulars"));
}
