//! Is everything found in which a schema differs, and nothing else?
//! Must not know: the file of a journal or of a ledger.

use super::*;
use crate::journal::sqlite::open::MIGRATOR;

/// What is found after `change` to a file of the newest program.
async fn found_after(change: &'static str) -> Vec<String> {
    let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.expect("memory");
    MIGRATOR.run_direct(None, &mut connection, false).await.expect("the migrations run");
    sqlx::raw_sql(change).execute(&mut connection).await.expect("the change is SQL");
    let mut findings = Findings::default();
    examine(&mut connection, &MIGRATOR, "a-file", &mut findings).await.expect("it can be read");
    findings.lines().collect()
}

#[tokio::test]
async fn what_the_migrations_make_is_in_order() {
    assert_eq!(found_after("SELECT 1").await, Vec::<String>::new());
    assert_eq!(found_after("ANALYZE").await, Vec::<String>::new());
}

#[tokio::test]
async fn whatever_is_gone_changed_or_added_is_found() {
    let cases = [
        ("DROP INDEX head_by_next_work", "the index head_by_next_work is not there"),
        ("ALTER TABLE meta ADD COLUMN more INTEGER", "the table meta is not as its migrations make it"),
        ("CREATE TABLE more (id INTEGER)", "no migration makes the table more"),
        ("UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1", "its migration 1 is another one"),
        ("UPDATE _sqlx_migrations SET version = 7000 WHERE version = 1", "this program has no migration 7000"),
    ];
    for (change, what) in cases {
        let line = format!("finding schema_differs a-file: {what}");
        let found = found_after(change).await;
        assert!(found.contains(&line), "{change}: {found:?}");
    }
}
