//! How PostgreSQL goes about the statements: none needs to read a whole table; and what its failures are taken for.
//! Must not know: what the statements mean.

use std::sync::Arc;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::{PostgresLedger, lists, start};
use crate::ledger::sql::{apply, people, projections, raw, read, registry};
use crate::ownership::Tenures;

/// Tables that grow with use.
const LARGE: [&str; 12] = [
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

fn reads_whole(step: &str) -> bool {
    let table = step.split("Seq Scan on ").nth(1).and_then(|rest| rest.split(' ').next());
    table.is_some_and(|table| LARGE.contains(&table))
}

#[tokio::test]
async fn no_statement_needs_to_read_a_whole_table() {
    let (_server, mut connection) = server().await;
    let bulk = apply::BULK_STATEMENTS.iter().chain(&projections::STATEMENTS).map(|it| lists::text(&it.form));
    let single =
        read::STATEMENTS.iter().chain(&registry::STATEMENTS).chain(&people::STATEMENTS).chain(&raw::STATEMENTS);
    let ours = [start::LIVE, start::WON, start::FORGET_KEYS, start::FORGET_RAW];
    let mut plans = 0;
    for statement in bulk.chain(single.chain(&ours).map(|text| (*text).to_owned())) {
        let steps = plan(&mut connection, &statement).await;
        assert!(!steps.iter().any(|step| reads_whole(step)), "{statement}\n{}", steps.join("\n"));
        plans += steps.len();
    }
    assert!(plans > 40, "plans are shown at all");
}

#[tokio::test]
async fn pages_come_in_the_order_of_their_indexes() {
    let (_server, mut connection) = server().await;
    for statement in [start::LIVE, start::WON, registry::STATEMENTS[2], registry::STATEMENTS[3]] {
        let steps = plan(&mut connection, statement).await;
        assert!(steps.iter().all(|step| !step.contains("Sort")), "{}", steps.join("\n"));
        assert!(steps.iter().any(|step| step.contains("Index Cond: (ROW(")), "{}", steps.join("\n"));
    }
}

#[tokio::test]
async fn the_plan_of_a_whole_read_is_known_when_seen() {
    let (_server, mut connection) = server().await;
    let steps = plan(&mut connection, "SELECT * FROM seat WHERE place = 3").await;
    assert!(steps.iter().any(|step| reads_whole(step)), "{steps:?}");
}
