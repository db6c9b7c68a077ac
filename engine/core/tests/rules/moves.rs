//! What the steps of a move do with what no day that keeps the protocol would say.
//! Must not know: how moves are driven.

use std::sync::Arc;

use booking_core::{
    Action, Appointment, Arriving, Leaving, Rejection, Relocation, Seat, Status, Success, UtcMillis, invariant,
};

use crate::driver::{Driver, appointment_id, booking, command, day_key, definition, home, move_id, patient_id};

const NOW: UtcMillis = UtcMillis(100_000);

/// A day that is offered, with an appointment of its own.
fn day() -> Driver {
    let offered = definition(&[(1000, 2000, 3), (3000, 4000, 1)], &[(0, None, None)]).expect("a good definition");
    let mut driver = Driver::published(offered);
    driver.run(&command(booking(1, 1, None, None)), NOW).outcome.expect("a place");
    driver
}

/// Appointment 2 of patient 2, as it stands on another day.
fn traveller() -> Appointment {
    Appointment {
        id: appointment_id(2),
        patient: patient_id(2),
        start: UtcMillis(90_000_000),
        end: UtcMillis(91_000_000),
        place: 7,
        status: Status::Held,
        hold_expires_at: Some(UtcMillis(500_000)),
        cancellation_reason: None,
        created_at: UtcMillis(5),
        updated_at: UtcMillis(6),
        version: 4,
    }
}

fn arriving(row: Appointment, attempt: u64) -> Action {
    let wish = Relocation { appointment: row.id, start: None, audiences: Arc::new([]), busy: Vec::new() };
    Action::HoldForMove(Arriving { move_id: move_id(attempt), from: day_key(1), row, wish })
}

fn kept(driver: &mut Driver) -> Appointment {
    match driver.run(&command(arriving(traveller(), 1)), NOW).outcome {
        Ok(Success::Appointment { appointment, .. }) => appointment,
        other => panic!("no place is kept: {other:?}"),
    }
}

#[test]
fn no_place_is_kept_for_an_appointment_that_takes_none() {
    let mut driver = day();
    for status in [Status::Cancelled, Status::Expired, Status::NoShow, Status::Completed] {
        let row = Appointment { status, ..traveller() };
        assert_eq!(driver.run(&command(arriving(row, 1)), NOW).outcome, Err(Rejection::NotChangeable), "{status:?}");
    }
    let due = Appointment { hold_expires_at: Some(NOW), ..traveller() };
    assert_eq!(driver.run(&command(arriving(due, 1)), NOW).outcome, Err(Rejection::NotChangeable));
    assert_eq!(driver.day.arrivals().count(), 0);
}

#[test]
fn only_what_the_place_was_kept_for_is_taken_in() {
    let mut driver = day();
    let row = kept(&mut driver);
    assert_eq!((row.start, row.place, row.version), (UtcMillis(1_000_000), 1, 5));
    let others = [
        Appointment { id: appointment_id(1), ..row.clone() },
        Appointment { id: appointment_id(3), ..row.clone() },
        Appointment { patient: patient_id(1), ..row.clone() },
        Appointment { place: 0, ..row.clone() },
        Appointment { place: 2, ..row.clone() },
        Appointment { start: UtcMillis(3_000_000), end: UtcMillis(4_000_000), ..row.clone() },
        Appointment { end: UtcMillis(1_500_000), ..row.clone() },
        Appointment { status: Status::Booked, hold_expires_at: None, ..row.clone() },
        Appointment { version: 6, ..row.clone() },
    ];
    for other in others {
        let accept = Action::AcceptMove { move_id: move_id(1), row: other };
        assert_eq!(driver.run(&command(accept), NOW).outcome, Err(Rejection::MoveGivenUp));
    }
    // The two days record the change each at its own time.
    let row = Appointment { updated_at: UtcMillis(101_000), ..row };
    let accept = Action::AcceptMove { move_id: move_id(1), row: row.clone() };
    driver.run(&command(accept), NOW).outcome.expect("what the place was kept for");
    assert_eq!(driver.day.appointment(row.id), Some(&row));
}

#[test]
fn a_day_asks_after_a_move_when_its_driver_must_have_given_it_up() {
    let mut driver = day();
    assert_eq!(driver.day.next_work_at(), None);
    kept(&mut driver);
    assert_eq!(driver.day.next_work_at(), Some(NOW.plus_millis(booking_core::ARRIVAL_PATIENCE_MILLIS)));
    driver.run(&command(booking(3, 3, None, Some(1000))), NOW).outcome.expect("a place");
    assert_eq!(driver.day.next_work_at(), Some(NOW.plus_millis(1000)));
    assert_eq!(driver.day.next_hold_expiry(), Some(NOW.plus_millis(1000)));
    driver.run(&command(Action::DropMove { move_id: move_id(1) }), NOW).outcome.expect("dropped");
    driver.run(&command(Action::Expire), NOW.plus_millis(1000)).outcome.expect("expired");
    assert_eq!(driver.day.next_work_at(), None);
}

#[test]
fn equal_states_give_equal_bytes_in_whatever_order_rows_came() {
    // The same three appointments, two of which leave: the list of rows is shuffled by whoever leaves first.
    let packed = |order: [u64; 2]| {
        let offered = definition(&[(1000, 2000, 5)], &[(0, None, None)]).expect("a good definition");
        let mut driver = Driver::published(offered);
        for number in 1..=5 {
            driver.run(&command(booking(number, number, None, None)), NOW).outcome.expect("a place");
        }
        let mut day = driver.day;
        for number in order {
            let leaving = Leaving {
                move_id: move_id(number),
                appointment: appointment_id(number),
                version: 1,
                to: home(2),
                seat: Seat { start: UtcMillis(90_000_000), place: number as u32 },
                end: UtcMillis(91_000_000),
            };
            // Not through the driver: it puts the day to sleep after every step, which sorts the rows.
            let event = day.decide(&command(Action::CommitMove(leaving)), NOW).event.expect("it may leave");
            day.apply(day.next_version(), &event);
        }
        assert_eq!(invariant::check(&day, NOW), Ok(()));
        let order: Vec<_> = day.appointments().map(|row| row.id).collect();
        (day.pack(), order)
    };
    let ((first, order), (second, other_order)) = (packed([1, 2]), packed([2, 1]));
    assert_ne!(order, other_order, "the order of the rows is the same: nothing is shown");
    assert_eq!(first, second);
}
