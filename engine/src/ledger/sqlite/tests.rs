//! How SQLite goes about the statements: none may read a whole table.
//! Must not know: what they mean.

use sqlx::Row;

use super::{SqliteLedger, bulk, reminders, start};
use crate::ledger::sql::{apply, lost, people, policies, projections, raw, read, registry, reminders as rows};

/// Tables that grow with use. A list of values, or the few parked days, may be read from end to end.
const LARGE: [&str; 21] = [
    "appointment",
    "appointment_history",
    "doctor_day",
    "seat",
    "applied_day",
    "doctor",
    "doctor_specialty",
    "request_key",
    "patient",
    "clinic",
    "won_key",
    "raw_record",
    "reminder",
    "message_template",
    // As statements call them.
    "a",
    "d",
    "known",
    "of_clinic",
    "of_doctor",
    "p",
    "r",
];

async fn plan(ledger: &SqliteLedger, statement: &str) -> Vec<String> {
    let explain: &'static str = format!("EXPLAIN QUERY PLAN {statement}").leak();
    let rows = sqlx::query(explain).fetch_all(&ledger.store.writer.pool).await.expect("a plan");
    rows.iter().map(|row| row.get::<String, _>("detail")).collect()
}

#[tokio::test]
async fn no_statement_reads_a_whole_table() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = SqliteLedger::open(directory.path()).await.expect("opens");
    let bulk = apply::BULK_STATEMENTS
        .iter()
        .chain(&projections::STATEMENTS)
        .chain(&projections::REMINDER_STATEMENTS)
        .chain(&rows::BULK_STATEMENTS);
    let of_reminders = [&reminders::STATEMENTS.insert, &reminders::STATEMENTS.outdated, &reminders::STATEMENTS.locked];
    let bulk = bulk.copied().chain(of_reminders).map(|statement| bulk::text(&statement.form, 128));
    let single = apply::STATEMENTS.iter().chain(&read::STATEMENTS).chain(&start::STATEMENTS);
    let single = single.chain(&registry::STATEMENTS).chain(&people::STATEMENTS).chain(&raw::STATEMENTS);
    let single = single.chain(&lost::STATEMENTS);
    let single = single.chain(&policies::STATEMENTS).chain(&rows::STATEMENTS).chain([&reminders::STATEMENTS.due]);
    let mut plans = 0;
    for statement in bulk.chain(single.map(|text| (*text).to_owned())) {
        for step in plan(&ledger, &statement).await {
            let scanned = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
            let is_large = scanned.is_some_and(|table| LARGE.contains(&table));
            assert!(!is_large, "{step}\n{}", statement.split_at(statement.len().min(400)).0);
            plans += 1;
        }
    }
    assert!(plans > 20, "plans are shown at all");
}

#[tokio::test]
async fn a_start_reads_indexes_alone_from_the_first_date_on() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = SqliteLedger::open(directory.path()).await.expect("opens");
    let steps = plan(&ledger, start::LIVE).await;
    let search = "SEARCH appointment USING COVERING INDEX appointment_by_date ((date,doctor,start_ms,id)>(?,?,?,?))";
    assert!(steps.iter().any(|step| step == search), "{steps:?}");
    assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
}

#[tokio::test]
async fn a_search_within_a_city_reads_no_list_of_all_who_have_the_specialty() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = SqliteLedger::open(directory.path()).await.expect("opens");
    let steps = plan(&ledger, registry::PAGE_OF_BOTH[0]).await;
    let is_lookup = |step: &&String| step.contains("doctor=?") && step.contains("specialty_folded=?");
    assert_eq!(steps.iter().filter(is_lookup).count(), 1, "each doctor of the city is looked up: {steps:?}");
    assert!(!steps.iter().any(|step| step.contains("LIST SUBQUERY") || step.contains("TEMP B-TREE")), "{steps:?}");
}

#[tokio::test]
async fn the_plan_of_a_whole_read_is_known_when_seen() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = SqliteLedger::open(directory.path()).await.expect("opens");
    let steps = plan(&ledger, "SELECT * FROM seat WHERE place = 3").await;
    assert_eq!(steps, ["SCAN seat"]);
}

/// However many wait, those that are due and those that are dead come from their indexes, in order.
#[tokio::test]
async fn among_100_000_reminders_the_due_ones_are_found_at_once() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = SqliteLedger::open(directory.path()).await.expect("opens");
    let fill = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000) \
                INSERT INTO reminder (appointment, version, kind, offset_seconds, channel, recipient, due_ms, next_ms, \
                status, attempts) SELECT randomblob(16), 1, 0, 7200, 0, 0, n, n, 'pending', 0 FROM n";
    for text in [fill, "ANALYZE"] {
        sqlx::query(text).execute(&ledger.store.writer.pool).await.expect("filled");
    }
    for (statement, search) in [
        (
            reminders::STATEMENTS.due,
            "INDEX reminder_due ((next_ms,appointment,version,kind,offset_seconds,channel,recipient)>(?,?,?,?,?,?,?) AND next_ms<?)",
        ),
        (rows::STATEMENTS[1], "INDEX reminder_dead ((due_ms,message)>(?,?))"),
    ] {
        let steps = plan(&ledger, statement).await;
        assert!(steps.len() == 2 && steps[0].ends_with(search), "neither a scan nor a sort: {steps:?}");
    }
}
