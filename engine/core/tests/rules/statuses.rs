//! What every action does to an appointment in every status, before and after its start: the whole table, written out.
//! Must not know: how places are found.

use std::sync::Arc;

use booking_core::{Action, Decision, Fact, Rejection, Relocation, Status, Success, UtcMillis};

use crate::driver::{Driver, appointment_id, booking, command, definition, move_id};

/// The slot is from second 1000 to 2000; the hold, if any, from 100 to 400. Columns: status, second at which the action
/// comes, then what confirm, cancel, no-show, expire, a move to the slot from 3000 on and the preparation of a move to
/// another day lead to: `-> x` a change, `= x` unchanged success, `! x` a refusal, `+ expired` with the expiry recorded,
/// `n expired` the answer of expire.
const TABLE: &str = "
    held       200   | -> booked                     | -> cancelled                 | ! not changeable             | 0 expired             | -> held                   | = held
    due        400   | ! hold expired + expired      | ! not changeable + expired   | ! not changeable + expired   | 1 expired + expired   | ! not changeable + expired | ! not changeable + expired
    due        1500  | ! hold expired + expired      | ! not changeable + expired   | ! not changeable + expired   | 1 expired + expired   | ! not changeable + expired | ! not changeable + expired
    booked     999   | = booked                      | -> cancelled                 | ! not changeable             | 0 expired             | -> booked                 | = booked
    booked     1000  | = booked                      | ! not changeable             | -> noshow                    | 0 expired             | ! not changeable          | ! not changeable
    booked     1999  | = booked                      | ! not changeable             | -> noshow                    | 0 expired             | ! not changeable          | ! not changeable
    completed  2000  | = booked                      | ! not changeable             | -> noshow                    | 0 expired             | ! not changeable          | ! not changeable
    cancelled  999   | ! not changeable              | = cancelled                  | ! not changeable             | 0 expired             | ! not changeable          | ! not changeable
    cancelled  1500  | ! not changeable              | = cancelled                  | ! not changeable             | 0 expired             | ! not changeable          | ! not changeable
    expired    999   | ! hold expired                | ! not changeable             | ! not changeable             | 0 expired             | ! not changeable          | ! not changeable
    expired    1500  | ! hold expired                | ! not changeable             | ! not changeable             | 0 expired             | ! not changeable          | ! not changeable
    noshow     999   | ! not changeable              | ! not changeable             | = noshow                     | 0 expired             | ! not changeable          | ! not changeable
    noshow     1500  | ! not changeable              | ! not changeable             | = noshow                     | 0 expired             | ! not changeable          | ! not changeable
    noshow     2000  | ! not changeable              | ! not changeable             | = noshow                     | 0 expired             | ! not changeable          | ! not changeable
";

#[test]
fn every_action_on_every_status_does_what_the_table_says() {
    let rows = TABLE.lines().map(str::trim).filter(|line| !line.is_empty());
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let mut head = cells[0].split_whitespace();
        let status = head.next().expect("a status");
        let second: i64 = head.next().and_then(|second| second.parse().ok()).expect("a second");
        for (action, expected) in actions().into_iter().zip(&cells[1..]) {
            let mut driver = brought_to(status);
            let decision = driver.run(&command(action.clone()), UtcMillis(second * 1000));
            assert_eq!(told(&decision), *expected, "{status} at {second}: {action:?}");
        }
    }
}

fn actions() -> [Action; 6] {
    let appointment = appointment_id(1);
    [
        Action::Confirm { appointment },
        Action::Cancel { appointment, reason: None },
        Action::NoShow { appointment },
        Action::Expire,
        Action::Move(Relocation {
            appointment,
            start: Some(UtcMillis(3_000_000)),
            audiences: Arc::new([]),
            busy: Vec::new(),
        }),
        Action::PrepareMove { move_id: move_id(1), appointment },
    ]
}

/// A day whose one appointment has come to this status.
fn brought_to(status: &str) -> Driver {
    let day = definition(&[(1000, 2000, 1), (3000, 4000, 1)], &[(0, None, None)]).expect("a good definition");
    let mut driver = Driver::published(day);
    let hold_millis = matches!(status, "held" | "due" | "expired").then_some(300_000);
    let mut steps = vec![(100, booking(1, 1, None, hold_millis))];
    let [_, cancel, no_show, expire, ..] = actions();
    match status {
        "cancelled" => steps.push((200, cancel)),
        "expired" => steps.push((400, expire)),
        "noshow" => steps.push((1500, no_show)),
        _ => {}
    }
    for (second, action) in steps {
        driver.run(&command(action), UtcMillis(second * 1000)).outcome.expect("a step on the way");
    }
    driver
}

fn told(decision: &Decision) -> String {
    let changes = decision.event.as_ref().map_or(&[][..], |event| &event.changes);
    let changed = decision.event.as_ref().is_some_and(|event| event.fact != Fact::Expired);
    let word = |status: Status| format!("{status:?}").to_lowercase();
    let outcome = match &decision.outcome {
        Ok(Success::Appointment { appointment, .. }) if changed => format!("-> {}", word(appointment.status)),
        Ok(Success::Appointment { appointment, .. }) => format!("= {}", word(appointment.status)),
        Ok(Success::Expired { holds }) => format!("{holds} expired"),
        Ok(other) => format!("{other:?}"),
        Err(Rejection::HoldExpired) => "! hold expired".into(),
        Err(Rejection::NotChangeable) => "! not changeable".into(),
        Err(other) => format!("! {other:?}"),
    };
    let expired = changes.iter().any(|change| change.row.status == Status::Expired);
    format!("{outcome}{}", if expired { " + expired" } else { "" })
}
