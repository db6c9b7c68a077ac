//! Does an audit name every kind of damage by its kind, and nothing where there is none?
//! Must not know: HTTP, the command line.

mod moves;
mod moving;
mod world;

use engine::journal::lock::DirectoryLock;
use engine::verify::{Kind, verify};
use sqlx::Connection;
use world::{RECORDS, World, day, kinds};

const JOURNAL: &str = "journal.db";
const LEDGER: &str = "ledger.db";

/// One damage, one test: the statements on the file, and the kinds that must be told, no more.
macro_rules! planted {
    ($($name:ident: $file:ident $statements:literal => [$($kind:ident),+];)*) => {
        $(#[tokio::test]
        async fn $name() {
            let world = World::new().await;
            world.damage($file, $statements).await;
            let report = world.verify().await;
            assert_eq!(kinds(&report), [$(Kind::$kind),+], "{:#?}", report.lines());
            assert_eq!(world.verify().await.lines(), report.lines(), "the same files, the same report");
        })*

        /// What these tests plant.
        const PLANTED: &[&[Kind]] = &[$(&[$(Kind::$kind),+]),*];
    };
}

// Every day of the world has one block a record: the first day's are positions 1 to 7, the second's 8 to 14. The second
// day's last record is not applied.
planted! {
    a_body_that_is_flipped: JOURNAL "UPDATE block SET body = CAST(substr(body, 1, length(body) - 1) || x'ff' AS BLOB) WHERE position = 3"
        => [ChainBroken];
    a_hash_that_is_flipped: JOURNAL
        "UPDATE block SET body = CAST(substr(body, 1, 8) || zeroblob(16) || substr(body, 25) AS BLOB) WHERE position = 3"
        => [ChainBroken];
    a_block_that_is_cut_short: JOURNAL "UPDATE block SET body = substr(body, 1, 20) WHERE position = 3"
        => [BlockDamaged];
    a_block_that_is_deleted: JOURNAL "DELETE FROM block WHERE position = 3"
        => [PositionGap, SequenceGap, BlockPointer];
    the_last_block_that_is_deleted: JOURNAL "DELETE FROM block WHERE position = 14" => [SequenceGap, HeadMismatch];
    a_pointer_that_is_bent: JOURNAL "UPDATE block SET previous_position = 1 WHERE position = 5" => [BlockPointer];
    a_head_that_is_changed: JOURNAL "UPDATE head SET hash = zeroblob(16) WHERE position = 7" => [HeadMismatch];
    a_head_that_is_deleted: JOURNAL "DELETE FROM head WHERE position = 7" => [HeadMismatch];
    a_forgotten_hold: JOURNAL "UPDATE head SET next_work_at = NULL WHERE position = 7" => [NextWorkMismatch];
    a_snapshot_that_is_altered: JOURNAL
        "UPDATE snapshot SET body = CAST(substr(body, 1, length(body) - 1) || x'ff' AS BLOB) WHERE rowid IN (SELECT min(rowid) FROM snapshot)"
        => [SnapshotMismatch];
    an_epoch_that_fell_back: JOURNAL "UPDATE meta SET epoch = 0" => [EpochAhead];
    a_day_of_no_date: JOURNAL "UPDATE snapshot SET day = x'00' WHERE rowid IN (SELECT min(rowid) FROM snapshot)"
        => [RowMalformed];

    an_index_that_misses_rows: LEDGER
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'patient, start_ms', 'patient, end_ms') \
         WHERE name = 'appointment_by_patient'"
        => [FileDamaged, SchemaDiffers];
    a_check_of_no_column: LEDGER
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (id = 1)', 'CHECK (ie = 1)') \
         WHERE name = 'won_key_bounds'"
        => [SchemaDiffers];

    an_appointment_that_is_deleted: LEDGER
        "DELETE FROM appointment WHERE id IN (SELECT id FROM appointment WHERE status = 'booked' LIMIT 1)"
        => [AppointmentLost];
    an_appointment_that_is_doubled: LEDGER
        "INSERT INTO appointment SELECT zeroblob(16), doctor, date, patient, start_ms, end_ms, place, status, \
         hold_expires_ms, reason_key, reason, created_ms, updated_ms, version FROM appointment WHERE status = 'booked' LIMIT 1"
        => [Oversold, AppointmentUnknown];
    an_appointment_on_another_date: LEDGER
        "UPDATE appointment SET date = date + 1 WHERE id IN (SELECT id FROM appointment WHERE status = 'booked' LIMIT 1)"
        => [AppointmentLost, AppointmentUnknown];
    a_status_that_is_changed: LEDGER "UPDATE appointment SET status = 'booked' WHERE status = 'cancelled'"
        => [Oversold, AppointmentDiffers];
    a_reason_that_is_changed: LEDGER "UPDATE appointment SET reason = x'00' WHERE status = 'cancelled'"
        => [AppointmentDiffers];
    a_status_that_is_none: LEDGER "UPDATE appointment SET status = 'lost' WHERE status = 'held'"
        => [RowMalformed, AppointmentLost];
    a_seat_that_is_deleted: LEDGER
        "DELETE FROM seat WHERE appointment IN (SELECT appointment FROM seat LIMIT 1)" => [SeatLost];
    a_seat_of_nobody: LEDGER
        "INSERT INTO seat SELECT doctor, date, start_ms, 77, appointment FROM seat LIMIT 1" => [SeatUnknown];
    a_seat_of_somebody_else: LEDGER "UPDATE seat SET appointment = zeroblob(16) WHERE start_ms = (SELECT min(start_ms) FROM seat)"
        => [SeatDiffers];
    a_step_that_is_deleted: LEDGER "DELETE FROM appointment_history WHERE to_status = 'cancelled'" => [HistoryLost];
    a_step_that_is_changed: LEDGER "UPDATE appointment_history SET at_ms = at_ms + 1 WHERE to_status = 'cancelled'"
        => [HistoryDiffers];
    a_step_of_nobody: LEDGER
        "INSERT INTO appointment_history SELECT zeroblob(16), version, at_ms, actor, role, request, from_status, to_status, \
         reason_key, reason FROM appointment_history LIMIT 1"
        => [HistoryUnknown];
    a_step_too_many: LEDGER
        "INSERT INTO appointment_history SELECT appointment, 9, at_ms, actor, role, request, from_status, to_status, \
         reason_key, reason FROM appointment_history LIMIT 1"
        => [HistoryUnknown];
    a_day_row_that_is_deleted: LEDGER "DELETE FROM doctor_day WHERE closed_ms IS NULL" => [DayLost];
    a_day_row_that_is_changed: LEDGER "UPDATE doctor_day SET capacity = capacity + 1 WHERE closed_ms IS NULL" => [DayDiffers];
    a_day_that_never_was: LEDGER
        "INSERT INTO doctor_day SELECT doctor, date + 1, time_zone, time_zone_database, first_start_ms, last_end_ms, slots, \
         capacity, first_release_ms, releases, closed_ms, closed_reason_key, closed_reason, epoch, sequence FROM doctor_day LIMIT 1"
        => [DayUnknown];
    a_day_cursor_ahead: LEDGER "UPDATE applied_day SET sequence = 99 WHERE sequence = 7" => [CursorAhead];
    a_day_cursor_of_another_epoch: LEDGER "UPDATE applied_day SET epoch = 9 WHERE sequence = 7" => [RecordForked];
    a_cursor_ahead: LEDGER "UPDATE applied_shard SET position = 99 WHERE position = 13" => [CursorAhead, RecordSkipped];
    a_record_that_was_passed_over: LEDGER "UPDATE applied_shard SET position = 14 WHERE position = 13" => [RecordSkipped];
    a_broken_promise: LEDGER
        "INSERT INTO lost_record (date, doctor, sequence, epoch, hash, position, body, state, reason) \
         SELECT date, doctor, 9, 1, zeroblob(16), 9, x'00', 2, 'the slot is taken' FROM applied_day WHERE sequence = 6"
        => [PromiseBroken];
    a_parked_day: LEDGER
        "INSERT INTO parked_day SELECT doctor, date, epoch, sequence + 1, 13, 'why' FROM applied_day WHERE sequence = 6"
        => [DayParked];
}

/// Planted by tests of their own, here and in `moves`.
const PLANTED_ALONE: [Kind; 11] = [
    Kind::EventDamaged,
    Kind::Oversold,
    Kind::DoubleBooking,
    Kind::StepBroken,
    Kind::KeyDuplicated,
    Kind::InvariantBroken,
    Kind::MoveLost,
    Kind::MoveDiffers,
    Kind::MoveUncommitted,
    Kind::AppointmentOnTwoDays,
    Kind::OverlappingAppointments,
];
/// The same, where the expectation is a number or a part of what is told.
const PLANTED_ELSEWHERE: [Kind; 2] = [Kind::KeyOnTwoDays, Kind::ArrivalStale];

/// A new kind of finding must be planted, and stand in a list here.
#[test]
fn every_kind_of_finding_is_planted_by_a_test() {
    let mut missing: Vec<Kind> = Kind::ALL.to_vec();
    let lists = PLANTED.iter().chain(moves::PLANTED).copied().chain([&PLANTED_ALONE[..], &PLANTED_ELSEWHERE[..]]);
    let planted: Vec<Kind> = lists.flatten().copied().collect();
    missing.retain(|kind| !planted.contains(kind));
    assert!(missing.is_empty(), "no test plants {missing:?}");
}

#[tokio::test]
async fn a_body_that_is_no_event_though_its_chain_is_whole() {
    let world = World::new().await;
    world.append(b"no event").await;
    let report = world.verify().await;
    assert_eq!(kinds(&report), [Kind::EventDamaged], "{:#?}", report.lines());
}

#[tokio::test]
async fn what_is_whole_is_clean_and_lag_is_no_finding() {
    let world = World::new().await;
    let report = world.verify().await;
    assert!(report.is_clean(), "{:#?}", report.lines());
    assert_eq!((report.days, report.records, report.lag_records), (2, 2 * RECORDS, 1));
    assert_eq!((report.appointments, report.days_not_compared), (8, 0));
    let text = report.lines().join("\n");
    assert_eq!(text, "summary days=2 records=14 appointments=8 lag_records=1 days_not_compared=0 findings=0");
}

#[tokio::test]
async fn a_ledger_that_has_nothing_yet_is_lag() {
    let world = World::new().await;
    for table in ["appointment", "appointment_history", "seat", "doctor_day", "applied_day", "applied_shard", "won_key"]
    {
        let mut connection = world.connect(LEDGER).await;
        let statement = sqlx::AssertSqlSafe(format!("DELETE FROM {table}"));
        sqlx::query(statement).execute(&mut connection).await.expect("it is SQL");
        connection.close().await.expect("it closes");
    }
    let report = world.verify().await;
    assert!(report.is_clean(), "{:#?}", report.lines());
    assert_eq!(report.lag_records, 2 * RECORDS);
}

#[tokio::test]
async fn a_place_that_the_journal_sold_twice() {
    let world = World::new().await;
    world.forge(|events| world::sold_again(&events[1])).await;
    let report = world.verify().await;
    assert_eq!(report.findings.count_of(Kind::Oversold), 1, "{:#?}", report.lines());
    assert!(report.findings.count_of(Kind::InvariantBroken) <= 1, "{:#?}", report.lines());
    assert!(report.lines()[0].starts_with(&format!("finding oversold {}: ", day(1))), "{:#?}", report.lines());
}

#[tokio::test]
async fn a_patient_whom_the_journal_has_twice() {
    let world = World::new().await;
    world.forge(|events| world::twice_the_same_patient(&events[1], 0)).await;
    let report = world.verify().await;
    assert_eq!(kinds(&report), [Kind::DoubleBooking], "{:#?}", report.lines());
}

#[tokio::test]
async fn a_place_that_the_slot_does_not_have() {
    let world = World::new().await;
    world.forge(|events| world::twice_the_same_patient(&events[4], 2)).await;
    let report = world.verify().await;
    assert_eq!(report.findings.count_of(Kind::Oversold), 0, "a cancelled one takes no place: {:#?}", report.lines());
    assert_eq!(report.findings.count_of(Kind::StepBroken), 1, "{:#?}", report.lines());
    world.forge(|events| world::twice_the_same_patient(&events[3], 2)).await;
    let report = world.verify().await;
    assert_eq!(report.findings.count_of(Kind::Oversold), 1, "{:#?}", report.lines());
}

#[tokio::test]
async fn a_key_that_the_journal_remembers_twice() {
    let world = World::new().await;
    world.forge(|events| world::key_again(&events[1])).await;
    let report = world.verify().await;
    assert_eq!(kinds(&report), [Kind::KeyDuplicated, Kind::InvariantBroken], "{:#?}", report.lines());
    assert!(!report.lines().join("\n").contains("first"), "the key itself is not told");
}

/// Also the raw bytes: a log that a killed process has left is read, and left.
#[tokio::test]
async fn an_audit_changes_no_file() {
    let world = World::new().await;
    let mut writer = world.connect(JOURNAL).await;
    sqlx::query("UPDATE head SET next_work_at = NULL WHERE position = 7").execute(&mut writer).await.expect("SQL");
    let copy = tempfile::tempdir().expect("a directory");
    let names = [JOURNAL, "journal.db-wal", LEDGER];
    for name in names {
        std::fs::copy(world.path().join(name), copy.path().join(name)).expect("a copy");
    }
    let bytes = || names.map(|name| std::fs::read(copy.path().join(name)).expect("a file"));
    let before = bytes();
    assert!(!before[1].is_empty(), "a log was left");
    let report = verify(copy.path()).await.expect("it can be audited");
    assert_eq!(kinds(&report), [Kind::NextWorkMismatch], "what is in the log only is seen");
    assert!(before == bytes(), "no byte has changed");
    writer.close().await.expect("it closes");
}

#[tokio::test]
async fn a_directory_in_use_is_refused() {
    let world = World::new().await;
    let lock = DirectoryLock::acquire(world.path()).expect("it is free");
    let error = verify(world.path()).await.expect_err("it is in use");
    assert!(error.to_string().contains("in use"), "{error}");
    drop(lock);
    assert!(world.verify().await.is_clean());
}

#[tokio::test]
async fn what_is_too_much_is_counted() {
    let world = World::new().await;
    let text = "WITH RECURSIVE more(number) AS (SELECT 100 UNION ALL SELECT number + 1 FROM more WHERE number < 129) \
                INSERT INTO seat SELECT doctor, date, start_ms, number, appointment FROM more, (SELECT * FROM seat LIMIT 1)";
    world.damage(LEDGER, text).await;
    let lines = world.verify().await.lines();
    assert_eq!(lines.len(), 22, "{lines:#?}");
    assert_eq!(lines[20], "finding seat_unknown elsewhere: 10 more of this kind");
}
