//! A ledger that is shared: who has lost a shard writes nothing of it, and a server that goes away is waited for.
//! Must not know: how ownership changes hands.

use std::sync::Arc;

use booking_core::DayKey;
use engine::config::ReminderSettings;
use engine::ledger::postgres::PostgresLedger;
use engine::ledger::registry::Registry;
use engine::ledger::{AppliedRecord, ApplyError, Ledger};
use engine::ownership::Tenures;

use crate::ledger::{apply_news, assert_same_rows};
use crate::story::{Story, day, sold_again};
use crate::{Backend, Database, Stores};

fn is_away(outcome: &Result<(), ApplyError>, word: &str) -> bool {
    matches!(outcome, Err(ApplyError::Unavailable(reason)) if reason.contains(word))
}

/// Two days of different shards; a booking on each.
fn town() -> Story {
    let mut story = Story::of_day(day(1), 4, 1);
    story.publish(day(2), 4, 1);
    story.book(day(1), 1, 0);
    story.book(day(2), 2, 0);
    assert_ne!(day(1).shard(), day(2).shard());
    story
}

fn of(story: &Story, day: DayKey) -> Vec<AppliedRecord> {
    story.records.iter().filter(|record| record.day == day).cloned().collect()
}

impl Database {
    /// Somebody else has `day`'s shard now.
    pub(crate) async fn lose(&self, day: DayKey) {
        let claim = format!("UPDATE shard_owner SET epoch = epoch + 1 WHERE shard = {}", day.shard());
        self.server.execute(&claim).await;
    }

    async fn count(&self, table: &str) -> String {
        self.server.ask(&format!("SELECT count(*) FROM {table}")).await.expect("a number")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_shard_is_not_written() {
    let database = Database::new().await;
    let ledger = database.open().await.ledger;
    let story = town();
    ledger.apply(&story.records[..1], story.records[0].position).await.expect("applied");
    database.lose(day(1)).await;
    let cursor = ledger.shard_cursor(day(1).shard()).await.expect("read");
    let outcome = ledger.apply(&story.records, story.position()).await;
    assert!(is_away(&outcome, "newer owner"), "{outcome:?}");
    let (of_1, of_2) = (of(&story, day(1)), of(&story, day(2)));
    let outcome = ledger.apply_shard(day(1).shard(), &of_1, of_1[1].cursor()).await;
    assert!(is_away(&outcome, "newer owner"), "{outcome:?}");
    let outcome = ledger.park(day(1), of_1[1].version, "as the test wants it").await;
    assert!(is_away(&outcome, "newer owner"), "{outcome:?}");
    let outcome = ledger.unpark(day(1), &of_1).await;
    assert!(is_away(&outcome, "newer owner"), "{outcome:?}");
    assert_eq!(ledger.shard_cursor(day(1).shard()).await.expect("read"), cursor);
    for (table, rows) in [("appointment", "0"), ("seat", "0"), ("parked_day", "0"), ("raw_record", "1")] {
        assert_eq!(database.count(table).await, rows, "{table}: nothing of a batch that was refused");
    }
    // What is still ours goes on, and so does the new owner of the other one.
    ledger.apply(&of_2, of_2[1].position).await.expect("applied");
    let tenures = Tenures::none();
    tenures.grant(day(1).shard(), Database::EPOCH + 1);
    let next = Database::ledger(&database.url, tenures).await;
    next.apply_shard(day(1).shard(), &of_1, of_1[1].cursor()).await.expect("applied");
    assert_same_rows(&next, &story).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_ours_is_not_written() {
    let database = Database::new().await;
    let ledger = Database::ledger(&database.url, Tenures::none()).await;
    let story = town();
    let outcome = ledger.apply(&story.records, story.position()).await;
    assert!(is_away(&outcome, "not this process's"), "{outcome:?}");
    // An epoch that was never claimed there is as good as none.
    let ledger = Database::ledger(&database.url, Tenures::sole(Database::EPOCH + 1)).await;
    let outcome = ledger.apply(&story.records, story.position()).await;
    assert!(is_away(&outcome, "newer owner"), "{outcome:?}");
    assert_eq!(database.count("applied_day").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_under_way_is_waited_for() {
    use sqlx::{Connection, Executor};
    let database = Database::new().await;
    let ledger = database.open().await.ledger;
    let story = town();
    let mut claimer = sqlx::PgConnection::connect(&database.url).await.expect("connected");
    let claim = format!("UPDATE shard_owner SET epoch = epoch + 1 WHERE shard = {}", day(1).shard());
    claimer.execute("BEGIN").await.expect("begun");
    claimer.execute(sqlx::AssertSqlSafe(claim)).await.expect("claimed");
    let records = story.records.clone();
    let applying = tokio::spawn(async move { ledger.apply(&records, u64::MAX >> 1).await });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while database.server.ask(waits).await.as_deref() == Some("0") {
        assert!(!applying.is_finished(), "the claim is not seen");
    }
    claimer.execute("COMMIT").await.expect("committed");
    let outcome = applying.await.expect("no panic");
    assert!(is_away(&outcome, "newer owner"), "{outcome:?}");
    assert_eq!(database.count("appointment").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_of_different_shards_apply_at_once() {
    let database = Database::new().await;
    let mut story = Story::new();
    let days: Vec<DayKey> = (1..=24).map(day).collect();
    for (number, day) in (0..).zip(&days) {
        story.publish(*day, 8, 2);
        for slot in 0..8 {
            story.book(*day, 100 * number + slot, slot as usize);
        }
    }
    let mut appliers = Vec::new();
    for parity in 0..2 {
        let tenures = Tenures::none();
        let mine: Vec<DayKey> = days.iter().filter(|day| day.shard() % 2 == parity).copied().collect();
        mine.iter().for_each(|day| tenures.grant(day.shard(), Database::EPOCH));
        assert!(mine.len() > 4, "both have something to do");
        let ledger = Database::ledger(&database.url, tenures).await;
        let records: Vec<_> = story.records.iter().filter(|record| mine.contains(&record.day)).cloned().collect();
        appliers.push(tokio::spawn(async move {
            for chunk in records.chunks(7) {
                ledger.apply(chunk, chunk[chunk.len() - 1].position).await.expect("applied");
            }
        }));
    }
    for applier in appliers {
        applier.await.expect("no panic");
    }
    assert_same_rows(&*database.open().await.ledger, &story).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_is_found_again() {
    let mut database = Database::new().await;
    let ledger = database.open().await.ledger;
    let mut story = town();
    apply_news(&*ledger, &mut story).await;
    story.book(day(1), 3, 1);
    let news = story.news();
    database.server.kill().await;
    let outcome = ledger.apply(&news, story.position()).await;
    assert!(matches!(outcome, Err(ApplyError::Unavailable(_))), "{outcome:?}");
    assert!(ledger.parked().await.is_err());
    database.server.restart().await;
    ledger.apply(&news, story.position()).await.expect("applied");
    assert_same_rows(&*ledger, &story).await;
    // Every connection but ours is ended: the next question makes another.
    assert!(database.server.terminate_backends().await > 0);
    assert_same_rows(&*ledger, &story).await;
    ledger.apply(&news, story.position()).await.expect("applied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_writes_is_away() {
    let database = Database::new().await;
    let ledger = Database::ledger(&database.url, Tenures::sole(Database::EPOCH)).await;
    // As a primary that was demoted: connections that are made from now on only read.
    database.server.execute("ALTER DATABASE postgres SET default_transaction_read_only = on").await;
    let story = town();
    let outcome = ledger.apply(&story.records, story.position()).await;
    assert!(is_away(&outcome, "read-only"), "{outcome:?}");
    assert!(ledger.put_clinic(uuid::Uuid::nil(), &clinic(), booking_core::UtcMillis(0)).await.is_err());
}

fn clinic() -> engine::ledger::people::ClinicProfile {
    engine::ledger::people::ClinicProfile { name: "Nord".into(), time_zone: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_names_no_value() {
    let database = Database::new().await;
    let ledger = database.open().await.ledger;
    let mut story = Story::of_day(day(1), 2, 1);
    let holder = story.book(day(1), 1, 0);
    apply_news(&*ledger, &mut story).await;
    let again = sold_again(&story.records[1], 1);
    let intruder = again.changes.last().expect("a change").row.id;
    story.record(day(1), again);
    let outcome = ledger.apply(&story.news(), story.position()).await;
    let Err(ApplyError::Refused(reason)) = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("seats") && reason.contains("23505"), "{reason}");
    for id in [holder.to_string(), intruder.to_string(), day(1).doctor.to_string()] {
        assert!(!reason.contains(&id), "{reason}");
    }
}

/// A database that puts texts in the order of a dictionary.
struct Dictionary {
    _server: servers::Postgres,
    url: String,
}

#[async_trait::async_trait]
impl Backend for Dictionary {
    async fn open_with(&self, reminders: &ReminderSettings) -> Stores {
        Stores::of(Database::ledger(&self.url, Tenures::none()).await.with_reminders(reminders))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_do_not_depend_on_the_locale_of_the_server() {
    let server = servers::Postgres::start().await;
    let create = "CREATE DATABASE dictionary TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-CH'";
    server.execute(create).await;
    let url = server.url_of("dictionary");
    let backend = Dictionary { _server: server, url };
    crate::registry_agreement::agree(&backend).await;
}

#[tokio::test]
async fn an_address_that_is_none_is_not_repeated() {
    let tenures = Arc::new(Tenures::none());
    let error = PostgresLedger::open("postgre://hotslot:secret@nowhere", tenures, false).await.err().expect("none");
    assert!(!error.to_string().contains("secret"), "{error}");
}
