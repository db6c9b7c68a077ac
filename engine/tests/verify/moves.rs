//! Does an audit follow appointments from day to day, and name what the days together cannot say?
//! Must not know: files and their formats beyond what it damages.

use booking_core::{Change, Fact, MoveId, Seat, UtcMillis};
use engine::verify::Kind;
use sqlx::Connection;
use uuid::Uuid;

use crate::moving::{Attempt, Days, RECORDS, key, traveller, wanderer};
use crate::world::{World, appointment, day, kinds, patient, start};

const JOURNAL: &str = "journal.db";
const LEDGER: &str = "ledger.db";

/// One damage to the files of a world that the ledger has applied whole, one test.
macro_rules! planted {
    ($($name:ident: $file:ident $statements:literal => [$($kind:ident),+];)*) => {
        $(#[tokio::test]
        async fn $name() {
            let world = Days::eventful().await.stop(RECORDS).await;
            world.damage($file, $statements).await;
            assert_found(&world, &[$(Kind::$kind),+]).await;
        })*

        /// What these tests plant.
        pub(crate) const PLANTED: &[&[Kind]] = &[$(&[$(Kind::$kind),+]),*];
    };
}

async fn assert_found(world: &World, expected: &[Kind]) {
    let report = world.verify().await;
    assert_eq!(kinds(&report), expected, "{:#?}", report.lines());
    assert_eq!(world.verify().await.lines(), report.lines(), "the same files, the same report");
}

/// What was written after the eventful days; the ledger has applied those.
async fn assert_told(days: Days, expected: &[Kind]) {
    assert_found(&days.stop(RECORDS).await, expected).await;
}

// The wanderer is the appointment of four versions: born, moved, moved, moved within the third day. The traveller has
// two. The places that the second day keeps are those of its seats.
planted! {
    a_moved_row_on_the_day_that_it_left: LEDGER
        "UPDATE appointment SET doctor = (SELECT min(doctor) FROM doctor_day) WHERE version = 4" => [AppointmentDiffers];
    a_moved_row_of_an_older_version: LEDGER "UPDATE appointment SET version = 3 WHERE version = 4" => [AppointmentDiffers];
    a_moved_row_on_a_day_that_never_saw_it: LEDGER
        "UPDATE appointment SET date = date + 1 WHERE version = 4" => [AppointmentUnknown, AppointmentDiffers];
    a_moved_row_that_is_deleted: LEDGER "DELETE FROM appointment WHERE version = 2" => [AppointmentLost];
    a_moved_step_that_is_deleted: LEDGER
        "DELETE FROM appointment_history WHERE version = 3" => [HistoryLost];
    a_moved_step_too_many: LEDGER
        "INSERT INTO appointment_history SELECT appointment, 9, at_ms, actor, role, request, from_status, to_status, \
         reason_key, reason FROM appointment_history WHERE version = 4" => [HistoryUnknown];
    a_kept_place_without_a_seat: LEDGER
        "DELETE FROM seat WHERE appointment = (SELECT id FROM appointment WHERE version = 2)" => [SeatLost];
    a_seat_that_was_left: LEDGER
        "INSERT INTO seat SELECT (SELECT min(doctor) FROM doctor_day), date, start_ms, 0, appointment FROM seat \
         WHERE appointment = (SELECT id FROM appointment WHERE version = 4)" => [SeatUnknown];
    a_won_key_that_is_deleted: LEDGER "DELETE FROM won_key WHERE digest = (SELECT min(digest) FROM won_key)" => [WonKeyLost];
    a_won_key_of_nobody: LEDGER
        "INSERT INTO won_key SELECT until_date, doctor, date, zeroblob(16) FROM won_key LIMIT 1" => [WonKeyUnknown];
    a_won_key_of_a_day_that_never_was: LEDGER
        "INSERT INTO won_key SELECT until_date, zeroblob(16), date, digest FROM won_key LIMIT 1" => [WonKeyUnknown];
    a_won_key_that_is_kept_too_short: LEDGER
        "UPDATE won_key SET until_date = until_date - 1 WHERE digest = (SELECT min(digest) FROM won_key)"
        => [WonKeyLost, WonKeyUnknown];
    a_won_key_of_no_date: LEDGER "UPDATE won_key SET until_date = 99999999999 WHERE digest = (SELECT min(digest) FROM won_key)"
        => [RowMalformed, WonKeyLost];
    an_open_move_that_is_forgotten: JOURNAL
        "UPDATE head SET next_work_at = NULL WHERE next_work_at IS NOT NULL" => [NextWorkMismatch];
}

#[tokio::test]
async fn moves_are_clean_wherever_the_engine_stopped_and_the_ledger_stands() {
    for applied in 0..=RECORDS {
        let report = Days::eventful().await.stop(applied).await.verify().await;
        assert!(report.is_clean(), "{applied} applied: {:#?}", report.lines());
        assert_eq!((report.days, report.records, report.lag_records), (3, RECORDS, RECORDS - applied));
        assert_eq!(report.appointments, applied.saturating_sub(3).min(2), "each once");
    }
}

/// The eventful days, and a place on the third that is kept for an appointment of the first.
async fn days_with_a_move_begun() -> (Days, Attempt) {
    let mut days = Days::eventful().await;
    days.book(day(1), 3, 2, None).await;
    let attempt = days.hold(day(1), appointment(day(1), 3), day(3), 1).await;
    (days, attempt)
}

#[tokio::test]
async fn an_appointment_that_was_to_move_and_never_did_is_clean() {
    let (days, _) = days_with_a_move_begun().await;
    let begun = days.stop(RECORDS + 2).await.verify().await;
    assert!(begun.is_clean(), "{:#?}", begun.lines());
    let (mut days, attempt) = days_with_a_move_begun().await;
    days.drop_move(&attempt).await;
    let given_up = days.stop(RECORDS + 3).await.verify().await;
    assert!(given_up.is_clean(), "{:#?}", given_up.lines());
}

#[tokio::test]
async fn a_ledger_that_keeps_no_keys_yet_or_forgot_them_is_clean() {
    let world = Days::eventful().await.stop(RECORDS).await;
    world.damage(LEDGER, "UPDATE won_key_bounds SET after_position = 4").await;
    world.damage(LEDGER, "DELETE FROM won_key WHERE digest = (SELECT min(digest) FROM won_key)").await;
    let found = world.verify().await.findings.count();
    world.damage(LEDGER, "UPDATE won_key_bounds SET forgotten_before = 99999").await;
    assert!(world.verify().await.is_clean(), "what is forgotten may be there or not; {found} found before");
    let mut connection = world.connect(LEDGER).await;
    let before = ["DROP TABLE won_key", "DROP TABLE won_key_bounds", "DELETE FROM _sqlx_migrations WHERE version = 3"];
    for statement in before {
        sqlx::query(statement).execute(&mut connection).await.expect("it is SQL");
    }
    connection.close().await.expect("it closes");
    assert!(world.verify().await.is_clean(), "the file of a program before");
}

#[tokio::test]
async fn a_key_from_before_the_table_need_not_be_there() {
    let world = Days::eventful().await.stop(RECORDS).await;
    world.damage(LEDGER, "DELETE FROM won_key").await;
    let report = world.verify().await;
    assert_eq!(report.findings.count_of(Kind::WonKeyLost), 2, "{:#?}", report.lines());
    // The bookings of the first day are positions 4 and 5, the first departure is position 7.
    world.damage(LEDGER, "UPDATE won_key_bounds SET after_position = 4").await;
    assert_eq!(world.verify().await.findings.count_of(Kind::WonKeyLost), 1);
    world.damage(LEDGER, "UPDATE won_key_bounds SET after_position = 7").await;
    assert!(world.verify().await.is_clean());
}

#[tokio::test]
async fn an_appointment_whose_kept_place_was_given_back() {
    let mut days = Days::eventful().await;
    let attempt = days.hold(day(3), wanderer(), day(1), 2).await;
    days.commit(&attempt, None).await;
    days.drop_move(&attempt).await;
    assert_told(days, &[Kind::MoveLost]).await;
}

#[tokio::test]
async fn an_appointment_that_left_for_a_day_that_keeps_nothing() {
    let mut days = Days::eventful().await;
    let attempt = days.hold(day(3), wanderer(), day(1), 2).await;
    let kept = days.row(day(3), wanderer());
    days.commit_to(&attempt, day(2), Seat { start: start(2), place: 1 }, start(3), None).await;
    assert_eq!(kept.version, 4);
    assert_told(days, &[Kind::MoveLost]).await;
}

#[tokio::test]
async fn an_appointment_that_left_for_another_place_than_was_kept() {
    let mut days = Days::eventful().await;
    let attempt = days.hold(day(3), wanderer(), day(1), 2).await;
    days.commit_to(&attempt, day(1), Seat { start: start(2), place: 1 }, start(3), None).await;
    assert_told(days, &[Kind::MoveDiffers]).await;
}

#[tokio::test]
async fn an_appointment_that_came_in_and_never_left() {
    let mut days = Days::eventful().await;
    let attempt = days.hold(day(3), wanderer(), day(1), 2).await;
    let row = booking_core::Appointment { start: start(2), end: start(3), version: 5, ..days.row(day(3), wanderer()) };
    days.forge(day(1), Fact::MovedIn { move_id: attempt.id, row: Box::new(row) }, |_| {}).await;
    assert_told(days, &[Kind::AppointmentOnTwoDays, Kind::MoveUncommitted]).await;
}

#[tokio::test]
async fn an_appointment_that_came_in_to_a_place_that_was_not_kept() {
    let mut days = Days::eventful().await;
    let row = booking_core::Appointment { version: 5, ..days.row(day(3), wanderer()) };
    let move_id = MoveId(Uuid::from_u128(0xBAD));
    days.forge(day(1), Fact::MovedIn { move_id, row: Box::new(row) }, |_| {}).await;
    let report = days.stop(RECORDS).await.verify().await;
    let found = kinds(&report);
    assert!(found.contains(&Kind::StepBroken) && found.contains(&Kind::AppointmentOnTwoDays), "{:#?}", report.lines());
}

#[tokio::test]
async fn a_departure_from_a_place_that_it_did_not_have() {
    let mut days = Days::eventful().await;
    let attempt = days.hold(day(3), wanderer(), day(1), 2).await;
    let before = days.row(day(3), wanderer());
    let (at, version) = (UtcMillis(days.at + 1_000), before.version + 1);
    let row = booking_core::Appointment { start: start(2), end: start(3), version, updated_at: at, ..before.clone() };
    let to = booking_core::Home { day: day(1), time_zone: "UTC".into() };
    let from = Seat { start: start(1), place: 1 };
    let change = Change { from: Some(before.status), row };
    days.forge(day(3), Fact::MovedOut { move_id: attempt.id, to, from }, |event| event.changes.push(change)).await;
    assert_told(days, &[Kind::StepBroken]).await;
}

#[tokio::test]
async fn one_appointment_that_is_born_on_two_days() {
    let mut days = Days::eventful().await;
    days.book(day(2), 7, 0, None).await;
    let mut row = days.row(day(2), appointment(day(2), 7));
    (row.patient, row.place) = (patient(8), 0);
    days.forge(day(3), Fact::Taken, |event| event.changes.push(Change { from: None, row })).await;
    let report = days.stop(RECORDS).await.verify().await;
    assert!(kinds(&report).contains(&Kind::AppointmentOnTwoDays), "{:#?}", report.lines());
}

#[tokio::test]
async fn a_place_that_is_kept_twice_over() {
    let mut days = Days::eventful().await;
    let attempt = days.hold(day(3), wanderer(), day(1), 0).await;
    let row = booking_core::Appointment { place: 0, start: start(0), ..days.row(day(3), wanderer()) };
    let fact = Fact::MoveHeld { move_id: MoveId(Uuid::from_u128(0xBAD)), from: day(3), row: Box::new(row) };
    days.drop_move(&attempt).await;
    days.book(day(1), 9, 0, None).await;
    days.forge(day(1), fact, |_| {}).await;
    let report = days.stop(RECORDS).await.verify().await;
    assert_eq!(report.findings.count_of(Kind::Oversold), 1, "{:#?}", report.lines());
}

#[tokio::test]
async fn a_key_that_wins_on_two_days() {
    for (number, key, expected) in
        [(1, key(1, "book"), 1), (1, key(1, "move"), 1), (9, key(9, "book"), 0), (1, key(1, "another"), 0)]
    {
        let mut days = Days::eventful().await;
        let mut fingerprint = key.clone();
        fingerprint.fingerprint.0[0] = number;
        days.book(day(2), 9, 1, Some(key)).await;
        let report = days.stop(RECORDS).await.verify().await;
        assert_eq!(report.findings.count_of(Kind::KeyOnTwoDays), expected, "{:#?}", report.lines());
        assert_eq!(report.findings.count(), expected, "{:#?}", report.lines());
    }
}

#[tokio::test]
async fn a_key_may_win_again_when_its_day_is_over() {
    let mut days = Days::eventful().await;
    let row = days.row(day(3), wanderer());
    days.at = start(3).0 + 1_000;
    let again = (key(1, "book"), booking_core::Answer::Appointment(row));
    days.forge(day(2), Fact::Remembered, |event| event.remembered = Some(again)).await;
    let report = days.stop(RECORDS).await.verify().await;
    assert_eq!(report.findings.count_of(Kind::KeyOnTwoDays), 0, "{:#?}", report.lines());
}

#[tokio::test]
async fn a_patient_who_is_at_two_places() {
    // The wanderer, of the first patient, stands on the third day in the first slot.
    let mut days = Days::eventful().await;
    days.book(day(2), 1, 2, None).await;
    assert_told(days, &[]).await;
    let mut days = Days::eventful().await;
    days.book(day(2), 1, 0, None).await;
    assert_told(days, &[Kind::OverlappingAppointments]).await;
    // The traveller, of the second patient, is on its way to the first slot of the second day.
    let mut days = Days::eventful().await;
    days.book(day(3), 2, 0, None).await;
    assert_told(days, &[Kind::OverlappingAppointments]).await;
    // What is over at the time of the last record is not judged.
    let mut days = Days::eventful().await;
    days.book(day(3), 2, 0, None).await;
    days.at = start(1).0;
    days.book(day(3), 9, 2, None).await;
    assert_told(days, &[Kind::ArrivalStale]).await;
}

#[tokio::test]
async fn a_place_that_is_kept_for_nobody() {
    let mut days = Days::eventful().await;
    days.hold(day(3), wanderer(), day(1), 2).await;
    days.at += 30_000;
    days.book(day(3), 9, 2, None).await;
    assert_told(days, &[]).await;

    let mut days = Days::eventful().await;
    days.hold(day(3), wanderer(), day(1), 2).await;
    days.at += 120_000;
    days.book(day(3), 9, 2, None).await;
    let report = days.stop(RECORDS).await.verify().await;
    assert_eq!(kinds(&report), [Kind::ArrivalStale], "{:#?}", report.lines());
    assert_eq!(report.findings.count_of(Kind::ArrivalStale), 2, "the traveller's place, and the wanderer's");
    assert!(report.lines().iter().any(|line| line.contains(&traveller().to_string())), "{:#?}", report.lines());
}
