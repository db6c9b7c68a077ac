//! How PostgreSQL goes about the statements: none needs to read a whole table; and what its failures are taken for.
//! Must not know: what the statements mean.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::{PostgresLedger, lists, reminders, start};
use crate::ledger::sql::{apply, lost, people, policies, projections, raw, read, registry, reminders as rows};
use crate::ownership::Tenures;

/// Tables that grow with use.
const LARGE: [&str; 13] = [
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
];

/// A server with the ledger's schema, and a session that reads a whole table only where there is no other way.
async fn server() -> (servers::Postgres, PgConnection) {
    let server = servers::Postgres::start().await;
    let ledger = PostgresLedger::open(&server.url(), Arc::new(Tenures::none()), false).await.expect("opens");
    drop(ledger);
    let mut connection = PgConnection::connect(&server.url()).await.expect("connects");
    run(&mut connection, "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan").await;
    (server, connection)
}

async fn run(connection: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await.unwrap_or_else(|error| panic!("{error}: {text}"));
}

/// The plan for any values; types that a bound value would tell are told here.
async fn plan(connection: &mut PgConnection, statement: &str) -> Vec<String> {
    let typed = statement.replace("$2 IS NULL", "$2::bigint IS NULL");
    let typed = typed.replace("$4 IS NULL", "$4::text IS NULL").replace("$5 IS NULL", "$5::text IS NULL");
    let placeholders = (1..20).filter(|number| typed.contains(&format!("${number}"))).count();
    run(connection, &format!("PREPARE asked AS {typed}")).await;
    let values = if placeholders == 0 { String::new() } else { format!("({})", vec!["NULL"; placeholders].join(",")) };
    let explain = format!("EXPLAIN EXECUTE asked{values}");
    let rows = sqlx::query_scalar(AssertSqlSafe(explain)).fetch_all(&mut *connection).await.expect("a plan");
    run(connection, "DEALLOCATE asked").await;
    rows
}

/// The first column of each index of a large table.
async fn leading_columns(connection: &mut PgConnection) -> HashMap<String, String> {
    let text = "SELECT i.indexrelid::regclass::text, t.relname::text, pg_get_indexdef(i.indexrelid, 1, true) \
                FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid";
    let rows: Vec<(String, String, String)> = sqlx::query_as(text).fetch_all(connection).await.expect("indexes");
    rows.into_iter()
        .filter(|(_, table, _)| LARGE.contains(&&**table))
        .map(|(index, _, column)| (index, column))
        .collect()
}

/// The step of a plan that reads a large table, or all of an index of it, if there is one. An index whose first column is not
/// asked for is read from end to end.
fn whole_read<'plan>(steps: &'plan [String], leading: &HashMap<String, String>) -> Option<&'plan String> {
    let named = |step: &str, before: &str| {
        let name = step.split(before).nth(1).and_then(|rest| rest.split(' ').next());
        name.map(str::to_owned)
    };
    steps.iter().enumerate().find_map(|(at, step)| {
        let is_scanned = named(step, "Seq Scan on ").is_some_and(|table| LARGE.contains(&&*table));
        let index = named(step, "Scan using ").or_else(|| named(step, "Bitmap Index Scan on "));
        let is_read = index.and_then(|index| leading.get(&index)).is_some_and(|column| {
            let asked = steps.get(at + 1).filter(|next| next.contains("Index Cond: "));
            !asked.is_some_and(|condition| condition.contains(column))
        });
        (is_scanned || is_read).then_some(step)
    })
}

#[tokio::test]
async fn no_statement_needs_to_read_a_whole_table() {
    let (_server, mut connection) = server().await;
    let leading = leading_columns(&mut connection).await;
    let bulk = apply::BULK_STATEMENTS.iter().chain(&projections::STATEMENTS).chain(&projections::REMINDER_STATEMENTS);
    let own = &reminders::STATEMENTS;
    let of_reminders = [&own.insert, &own.outdated, &own.locked].into_iter().chain(&own.shards);
    let bulk = bulk.chain(&rows::BULK_STATEMENTS).copied().chain(of_reminders).map(|it| lists::text(&it.form));
    let single =
        read::STATEMENTS.iter().chain(&registry::STATEMENTS).chain(&people::STATEMENTS).chain(&raw::STATEMENTS);
    let single =
        single.chain(&policies::STATEMENTS).chain(&rows::STATEMENTS).chain([&own.due]).chain(&lost::STATEMENTS);
    let ours = [start::LIVE, start::WON, start::FORGET_KEYS, start::FORGET_RAW];
    let mut plans = 0;
    for statement in bulk.chain(single.chain(&ours).map(|text| (*text).to_owned())) {
        let steps = plan(&mut connection, &statement).await;
        let whole = whole_read(&steps, &leading);
        assert_eq!(whole, None, "{statement}\n{}", steps.join("\n"));
        plans += steps.len();
    }
    assert!(plans > 40, "plans are shown at all");
}

#[tokio::test]
async fn pages_come_in_the_order_of_their_indexes() {
    let (_server, mut connection) = server().await;
    // A sort is planned only where there is no other way.
    run(&mut connection, "SET enable_sort = off; SET enable_bitmapscan = off").await;
    for statement in [start::LIVE, start::WON, registry::STATEMENTS[2], registry::STATEMENTS[3]] {
        let steps = plan(&mut connection, statement).await;
        assert!(steps.iter().all(|step| !step.contains("Sort")), "{}", steps.join("\n"));
        assert!(steps.iter().any(|step| step.contains("Index Cond: (ROW(")), "{}", steps.join("\n"));
    }
}

#[tokio::test]
async fn the_plan_of_a_whole_read_is_known_when_seen() {
    let (_server, mut connection) = server().await;
    let leading = leading_columns(&mut connection).await;
    for statement in ["SELECT * FROM seat WHERE place = 3", "SELECT * FROM clinic WHERE name = 'Nord'"] {
        let steps = plan(&mut connection, statement).await;
        assert!(whole_read(&steps, &leading).is_some(), "{steps:?}");
    }
}

/// However many wait, those that are due come from their index, in order, without any help.
#[tokio::test]
async fn among_100_000_reminders_the_due_ones_are_found_at_once() {
    let (_server, mut connection) = server().await;
    let fill = "INSERT INTO appointment SELECT gen_random_uuid(), gen_random_uuid(), 1, n % 1024, gen_random_uuid(), n, n, 0, \
                'booked', NULL, NULL, NULL, 0, 0, 1 FROM generate_series(1, 100000) AS n; \
                INSERT INTO reminder (appointment, version, kind, offset_seconds, channel, recipient, due_ms, next_ms, \
                status, attempts, shard) SELECT id, 1, 0, 7200, 0, 0, start_ms, start_ms, 'pending', 0, shard FROM appointment; \
                ANALYZE";
    run(&mut connection, fill).await;
    run(&mut connection, "RESET enable_seqscan; RESET plan_cache_mode").await;
    let asked = reminders::STATEMENTS.due.replace("$10", "'{1,2,3,500}'");
    let first = "'00000000-0000-0000-0000-000000000000'";
    let values = ["5000", "1000", "-1", first, "0", "0", "0", "0", "0"];
    let bound = |text: String, (at, value): (usize, &&str)| text.replace(&format!("${}", at + 1), value);
    let asked = values.iter().enumerate().fold(asked, bound);
    let explain = format!("EXPLAIN {asked}");
    let steps: Vec<String> =
        sqlx::query_scalar(AssertSqlSafe(explain)).fetch_all(&mut connection).await.expect("a plan");
    let told = steps.join("\n");
    assert!(told.contains("using reminder_due on reminder r"), "{told}");
    assert!(!told.contains("Seq Scan"), "{told}");
}
