//! What the overlay promises: nothing that was published is missed before the ledger has it.
//! Must not know: SQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use booking_core::{
    Appointment, AppointmentId, Change, Date, DayKey, DoctorId, Envelope, Event, Fact, Home, MoveId, PatientId,
    RequestId, Role, Seat, Status, SubjectId, UtcMillis,
};
use uuid::Uuid;

use super::{Overlay, OverlayEntry};
use crate::ledger::{AppointmentScope, HistoryItem, PlacedAppointment};

fn day(number: u128) -> DayKey {
    DayKey { doctor: DoctorId(Uuid::from_u128(number)), date: Date::from_civil(2026, 3, 2).expect("a date") }
}

fn id(number: u128) -> AppointmentId {
    AppointmentId(Uuid::from_u128(number))
}

fn entry(day: DayKey, appointment: u128, version: u32, position: u64) -> OverlayEntry {
    let row = Appointment {
        id: id(appointment),
        patient: PatientId(Uuid::from_u128(appointment)),
        start: UtcMillis(0),
        end: UtcMillis(1_000),
        place: 0,
        status: Status::Booked,
        hold_expires_at: None,
        cancellation_reason: None,
        created_at: UtcMillis(0),
        updated_at: UtcMillis(i64::from(version)),
        version,
    };
    let step = HistoryItem {
        at: UtcMillis(i64::from(version)),
        actor: SubjectId(Uuid::nil()),
        role: Role::System,
        from: None,
        to: Status::Booked,
        reason: None,
        version,
    };
    let placed = PlacedAppointment { day, time_zone: Arc::from("UTC"), appointment: row };
    OverlayEntry { placed, recorded_by: day, step, position }
}

fn version(overlay: &Overlay, appointment: u128) -> Option<u32> {
    overlay.appointment(id(appointment)).map(|placed| placed.appointment.version)
}

/// The picture of the day is swapped in after the overlay: a reader in between would find there what the picture does not
/// show yet, and whoever it tells would then read the older picture.
#[test]
fn whoever_finds_what_is_being_published_waits_for_the_picture() {
    let reads: [fn(&Overlay) -> usize; 3] = [
        |overlay| overlay.appointment(id(7)).into_iter().count(),
        |overlay| overlay.appointments(AppointmentScope::Day(day(1))).len(),
        |overlay| overlay.history(id(7)).len(),
    ];
    for read in reads {
        let (overlay, picture_shows) = (Overlay::default(), AtomicBool::new(false));
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        std::thread::scope(|scope| {
            let publication = overlay.publication(day(1));
            overlay.publish(vec![entry(day(1), 7, 1, 10)]);
            let (overlay, picture_shows) = (&overlay, &picture_shows);
            scope.spawn(move || {
                let found = read(overlay);
                answer.send((found, picture_shows.load(Ordering::Acquire))).expect("somebody listens");
            });
            // A reader that does not wait answers now.
            let early = answered.recv_timeout(std::time::Duration::from_millis(50));
            picture_shows.store(true, Ordering::Release);
            drop(publication);
            assert_eq!(early.or_else(|_| answered.recv()), Ok((1, true)));
        });
    }
}

#[test]
fn keeps_the_newest_version_and_every_step() {
    let overlay = Overlay::default();
    overlay.publish(vec![entry(day(1), 7, 1, 10), entry(day(1), 7, 2, 11), entry(day(1), 7, 2, 11)]);
    overlay.publish(vec![entry(day(1), 7, 1, 10)]);
    assert_eq!(version(&overlay, 7), Some(2));
    assert_eq!(overlay.history(id(7)).iter().map(|step| step.version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(overlay.len(), 2);
    assert_eq!(overlay.appointments(AppointmentScope::Day(day(1))).len(), 1);
    assert_eq!(overlay.appointments(AppointmentScope::Patient(PatientId(Uuid::from_u128(7)))).len(), 1);
    assert!(overlay.appointments(AppointmentScope::Day(day(2))).is_empty());
}

#[test]
fn evicts_by_position_whatever_the_order_of_publishing() {
    let overlay = Overlay::default();
    overlay.publish(vec![entry(day(1), 1, 1, 30)]);
    overlay.publish(vec![entry(day(2), 2, 1, 10), entry(day(2), 3, 1, 20), entry(day(2), 2, 2, 40)]);
    overlay.evict(20);
    assert_eq!(overlay.len(), 2, "positions 30 and 40 stay");
    assert_eq!(version(&overlay, 1), Some(1));
    assert_eq!(version(&overlay, 3), None);
    assert_eq!(version(&overlay, 2), Some(2), "its newest version waits still");
    assert_eq!(overlay.history(id(2)).len(), 1, "its first step is in the ledger");
    overlay.evict(40);
    assert!(overlay.is_empty());
    assert!(overlay.appointments(AppointmentScope::Day(day(2))).is_empty(), "the indexes are empty too");
    assert!(overlay.by_patient.get(&PatientId(Uuid::from_u128(2))).is_empty());
}

#[test]
fn takes_nothing_that_the_ledger_has_and_keeps_nothing_older() {
    let overlay = Overlay::default();
    overlay.publish(vec![entry(day(1), 1, 1, 5)]);
    // The ledger took positions 5 and 6 before position 6 was published; the sweep has not come to this shard yet.
    overlay.evicted.store(6, Ordering::Release);
    overlay.publish(vec![entry(day(1), 1, 2, 6)]);
    assert_eq!(version(&overlay, 1), None, "version 1 would hide version 2 of the ledger");
    assert!(overlay.is_empty());
}

#[test]
fn keeps_pinned_days() {
    let overlay = Overlay::default();
    overlay.publish(vec![entry(day(1), 1, 1, 1), entry(day(2), 2, 1, 2)]);
    overlay.pin_day(day(1));
    overlay.evict(9);
    assert_eq!(version(&overlay, 1), Some(1));
    assert_eq!(version(&overlay, 2), None);
    overlay.publish(vec![entry(day(1), 1, 2, 3)]);
    overlay.evict(12);
    assert_eq!(version(&overlay, 1), Some(2), "also what is published late");
    assert_eq!(overlay.history(id(1)).len(), 2);
}

/// Version `version` of an appointment that `from` recorded when it left for `to`.
fn departure(from: DayKey, to: DayKey, appointment: u128, version: u32, position: u64) -> OverlayEntry {
    OverlayEntry { recorded_by: from, ..entry(to, appointment, version, position) }
}

fn home(overlay: &Overlay, appointment: u128) -> Option<DayKey> {
    overlay.appointment(id(appointment)).map(|placed| placed.day)
}

/// Whether whoever lists `day` is told of the appointment, and where.
fn told(overlay: &Overlay, day: DayKey) -> Vec<DayKey> {
    overlay.appointments(AppointmentScope::Day(day)).iter().map(|placed| placed.day).collect()
}

#[test]
fn tells_the_day_that_an_appointment_left_where_it_is() {
    let overlay = Overlay::default();
    // The ledger has version 1 on day 1, and will show it there until it has version 2.
    overlay.publish(vec![departure(day(1), day(2), 7, 2, 10)]);
    assert_eq!(home(&overlay, 7), Some(day(2)));
    assert_eq!((told(&overlay, day(1)), told(&overlay, day(2))), (vec![day(2)], vec![day(2)]));
    overlay.publish(vec![departure(day(2), day(1), 7, 3, 20)]);
    assert_eq!((told(&overlay, day(1)), told(&overlay, day(2))), (vec![day(1)], vec![day(1)]));
    overlay.evict(10);
    assert_eq!((home(&overlay, 7), overlay.len()), (Some(day(1)), 1));
    overlay.evict(20);
    assert!(overlay.is_empty());
    assert!(told(&overlay, day(1)).is_empty() && told(&overlay, day(2)).is_empty(), "the indexes are empty too");
}

#[test]
fn the_recording_day_is_the_one_that_is_pinned() {
    let overlay = Overlay::default();
    overlay.pin_day(day(1));
    overlay.publish(vec![departure(day(1), day(2), 7, 2, 10), entry(day(2), 7, 3, 20)]);
    overlay.publish(vec![departure(day(3), day(1), 8, 2, 15)]);
    overlay.evict(30);
    assert_eq!(home(&overlay, 8), None, "the ledger took that: day 3 is not parked");
    assert_eq!(version(&overlay, 7), Some(3), "never an older one than was told");
    assert_eq!(overlay.history(id(7)).iter().map(|step| step.version).collect::<Vec<_>>(), [2]);
    assert_eq!(overlay.newest().len(), 1);
    // Published late, after the sweep: what the ledger lacks is taken, what it has is not.
    overlay.publish(vec![departure(day(1), day(2), 9, 2, 25), entry(day(2), 9, 3, 28)]);
    assert_eq!(version(&overlay, 9), Some(2));
}

#[test]
fn entries_of_an_event_stand_where_the_appointment_does() {
    let (row, vienna) = (entry(day(1), 7, 2, 0).placed.appointment, Arc::<str>::from("Europe/Vienna"));
    let expired = Appointment { id: id(6), status: Status::Expired, ..row.clone() };
    let to = Home { day: day(2), time_zone: Arc::from("UTC") };
    let from = Seat { start: UtcMillis(0), place: 3 };
    let nil = Uuid::nil();
    let event = Event {
        at: UtcMillis(5),
        envelope: Envelope { subject: SubjectId(nil), role: Role::System, request: RequestId(nil) },
        fact: Fact::MovedOut { move_id: MoveId(nil), to, from },
        changes: vec![
            Change { from: Some(Status::Held), row: expired },
            Change { from: Some(Status::Booked), row: row.clone() },
        ],
        remembered: None,
    };
    let homes = |event: &Event| {
        let entries = OverlayEntry::of_event(day(1), &vienna, event, 9);
        let told = entries.map(|it| (it.placed.appointment.id, it.placed.day, it.placed.time_zone, it.recorded_by));
        told.collect::<Vec<_>>()
    };
    let here = |number| (id(number), day(1), vienna.clone(), day(1));
    assert_eq!(homes(&event), [here(6), (id(7), day(2), Arc::from("UTC"), day(1))]);
    let stays = Event { fact: Fact::Moved { from }, ..event.clone() };
    assert_eq!(homes(&stays), [here(6), here(7)]);
    let arrives = Fact::MovedIn { move_id: MoveId(nil), row: Box::new(row) };
    assert!(homes(&Event { fact: arrives, changes: Vec::new(), ..event }).is_empty(), "the other day has told it");
}

/// A publisher, an applier that has the ledger take the changes and evicts them, and a reader. The reader takes note of the
/// newest version published before it asks, and must never be told of an older one.
#[test]
fn no_reader_misses_a_published_version_while_the_applier_evicts() {
    const APPOINTMENTS: usize = 8;
    const VERSIONS: u32 = 4_000;
    let overlay = Overlay::default();
    let published: Vec<AtomicU32> = (0..APPOINTMENTS).map(|_| AtomicU32::new(0)).collect();
    let ledger: Vec<AtomicU32> = (0..APPOINTMENTS).map(|_| AtomicU32::new(0)).collect();
    let done = AtomicBool::new(false);
    let position = |version: u32, number: usize| u64::from(version) * APPOINTMENTS as u64 + number as u64;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for version in 1..=VERSIONS {
                for (number, newest) in published.iter().enumerate() {
                    overlay.publish(vec![entry(day(1), number as u128, version, position(version, number))]);
                    newest.store(version, Ordering::SeqCst);
                }
            }
            done.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            let mut applied = 0;
            while applied < VERSIONS {
                // Ahead of the publisher now and then: the journal has a record before the overlay does.
                let next = (published[0].load(Ordering::SeqCst) + 1).min(VERSIONS);
                for newest in &ledger {
                    newest.store(next, Ordering::SeqCst);
                }
                overlay.evict(position(next, APPOINTMENTS - 1));
                applied = next;
            }
        });
        let mut reads = 0_u64;
        while !done.load(Ordering::SeqCst) || reads == 0 {
            for (number, newest) in published.iter().enumerate() {
                let told = newest.load(Ordering::SeqCst);
                let waiting = version(&overlay, number as u128).unwrap_or(0);
                let applied = ledger[number].load(Ordering::SeqCst);
                assert!(waiting.max(applied) >= told, "{waiting} and {applied} after {told} was published");
                if waiting > 0 {
                    let scope = AppointmentScope::Patient(PatientId(Uuid::from_u128(number as u128)));
                    let listed = overlay.appointments(scope);
                    let listed = listed.first().map_or(0, |placed| placed.appointment.version);
                    let applied = ledger[number].load(Ordering::SeqCst);
                    assert!(listed.max(applied) >= told, "listed {listed} and {applied} after {told} was published");
                }
                reads += 1;
            }
        }
    });
    overlay.evict(u64::MAX);
    assert!(overlay.is_empty());
}
