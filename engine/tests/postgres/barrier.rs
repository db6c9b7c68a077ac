//! Appends that nobody hears of any more: lost answers, ended and paused backends, restarts of the server.
//! Must not know: SQL of the journal.

use std::sync::Arc;

use engine::journal::contract::{append_of, day};
use engine::journal::{AppendError, DayOutcome, Head, Journal};
use servers::{Direction, Postgres, Proxy};

use crate::support::{APPENDS_WAITING, connect, database, execute, number, sole, until};

/// The answer is lost after the commit: the barrier finds what was written, and it joins the log of this process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_settled_by_the_barrier() {
    let postgres = Postgres::start().await;
    let proxy = Proxy::in_front_of(postgres.address());
    let url = database(&postgres).await;
    let journal = Arc::new(sole(&url, 1).await.journal_through(&proxy.through(&url)).await);
    let (append, head) = append_of(day(1), 1, Head::default(), &[b"one"]);
    journal.append(&[append]).await.expect("the journal writes");
    proxy.stall(Direction::Answers);
    let (append, second) = append_of(day(1), 1, head, &[b"two", b"three"]);
    let (other, _) = append_of(day(2), 1, Head::default(), &[b"x"]);
    let under_way = tokio::spawn({
        let journal = Arc::clone(&journal);
        async move { journal.append(&[append, other]).await }
    });
    until(&url, "SELECT count(*) / 4 FROM journal_record").await;
    proxy.cut();
    let outcome = under_way.await.expect("it ends");
    assert!(matches!(outcome, Err(AppendError::Unknown(_))), "{outcome:?}");
    assert_eq!(journal.last_position().await.expect("a read"), 1, "not before the barrier");
    assert!(journal.barrier().await.is_err(), "the network is still away");
    let (next, _) = append_of(day(3), 1, Head::default(), &[b"next"]);
    let refused = journal.append(std::slice::from_ref(&next)).await;
    assert!(matches!(refused, Err(AppendError::Failed(_))), "nothing goes before what is unsettled: {refused:?}");
    proxy.heal();
    // The next append settles what is unsettled by itself, and comes after it.
    assert_eq!(journal.append(&[next]).await.expect("it writes"), [DayOutcome::Appended { position: 5 }]);
    assert_eq!(journal.load(day(1)).await.expect("a load").expect("a written day").head, second);
    let own = journal.read_after(0, 10).await.expect("a read");
    assert_eq!(own.iter().map(|record| record.position).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(own.iter().map(|record| record.day).collect::<Vec<_>>(), [day(1), day(1), day(1), day(2), day(3)]);
}

/// The statement itself is lost on its way: the next append settles that by itself and takes its positions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_statement_leaves_no_trace() {
    let postgres = Postgres::start().await;
    let proxy = Proxy::in_front_of(postgres.address());
    let url = database(&postgres).await;
    let journal = Arc::new(sole(&url, 1).await.journal_through(&proxy.through(&url)).await);
    proxy.stall(Direction::Requests);
    let (append, head) = append_of(day(1), 1, Head::default(), &[b"one", b"two"]);
    let under_way = tokio::spawn({
        let (journal, append) = (Arc::clone(&journal), append.clone());
        async move { journal.append(&[append]).await }
    });
    let asked = proxy.passed_bytes(Direction::Requests);
    assert!(asked > 0);
    tokio::task::yield_now().await;
    proxy.cut();
    let outcome = under_way.await.expect("it ends");
    assert!(outcome.is_err(), "{outcome:?}");
    proxy.heal();
    assert_eq!(journal.append(&[append]).await.expect("it writes"), [DayOutcome::Appended { position: 2 }]);
    assert_eq!(journal.load(day(1)).await.expect("a load").expect("a written day").head, head);
}

/// A backend of the server that is paused in the middle holds its locks: the barrier says that it is not raised, and is once
/// the backend goes on, which then ends without effect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_backend_delays_the_barrier_and_writes_nothing() {
    let postgres = Postgres::start().await;
    let url = database(&postgres).await;
    let journal = Arc::new(sole(&url, 1).await.journal().await);
    let mut holder = connect(&url).await;
    execute(&mut holder, "BEGIN; LOCK TABLE journal_head IN EXCLUSIVE MODE").await;
    let (append, _) = append_of(day(1), 1, Head::default(), &[b"late"]);
    let under_way = tokio::spawn({
        let journal = Arc::clone(&journal);
        async move { journal.append(&[append]).await }
    });
    until(&url, APPENDS_WAITING).await;
    let appending = APPENDS_WAITING.replace("count(*)", "pid::bigint");
    let backend = number(&mut connect(&url).await, &appending).await;
    signal(backend, rustix::process::Signal::STOP);
    execute(&mut holder, "ROLLBACK").await;
    let barrier = journal.barrier().await;
    assert!(matches!(barrier, Err(AppendError::Unknown(_))), "{barrier:?}");
    signal(backend, rustix::process::Signal::CONT);
    let outcome = under_way.await.expect("it ends");
    assert!(outcome.is_err(), "{outcome:?}");
    journal.barrier().await.expect("a barrier");
    assert!(journal.load(day(1)).await.expect("a load").is_none());
    let (append, _) = append_of(day(1), 1, Head::default(), &[b"one"]);
    assert_eq!(journal.append(&[append]).await.expect("it writes"), [DayOutcome::Appended { position: 1 }]);
}

fn signal(process: i64, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_raw(i32::try_from(process).expect("a process id")).expect("a process id");
    rustix::process::kill_process(id, signal).expect("the backend is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_after_a_restart_of_the_server() {
    let mut postgres = Postgres::start().await;
    let url = database(&postgres).await;
    let journal = sole(&url, 1).await.journal().await;
    let (append, head) = append_of(day(1), 1, Head::default(), &[b"one"]);
    journal.append(&[append]).await.expect("the journal writes");
    postgres.kill().await;
    let (append, after) = append_of(day(1), 1, head, &[b"two"]);
    let refused = journal.append(std::slice::from_ref(&append)).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(journal.load(day(1)).await.is_err() && journal.barrier().await.is_err());
    postgres.restart().await;
    journal.barrier().await.expect("a barrier");
    assert_eq!(journal.load(day(1)).await.expect("a load").expect("a written day").head, head);
    assert_eq!(journal.append(&[append]).await.expect("it writes"), [DayOutcome::Appended { position: 2 }]);
    postgres.terminate_backends().await;
    let gone =
        "SELECT (count(*) = 0)::int::bigint FROM pg_stat_activity WHERE application_name = 'hotslot journal append'";
    until(&url, gone).await;
    let (append, _) = append_of(day(1), 1, after, &[b"three"]);
    let lost = journal.append(std::slice::from_ref(&append)).await;
    assert!(matches!(lost, Err(AppendError::Unknown(_))), "its connection was gone: {lost:?}");
    assert_eq!(journal.append(&[append]).await.expect("it writes"), [DayOutcome::Appended { position: 3 }]);
}

/// The fence in the store itself, whatever becomes of connections: a statement that was begun before a barrier writes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_from_before_a_barrier_is_refused_by_the_store() {
    let postgres = Postgres::start().await;
    let url = database(&postgres).await;
    let journal = sole(&url, 1).await.journal().await;
    let (append, head) = append_of(day(1), 1, Head::default(), &[b"one"]);
    assert_eq!(journal.append(std::slice::from_ref(&append)).await.expect("it writes")[..], [FIRST]);
    journal.barrier().await.expect("a barrier");
    assert_eq!(journal.append(&[append]).await.expect("it answers")[..], [FIRST], "the same again is no conflict");
    let (append, _) = append_of(day(1), 1, head, &[b"two"]);
    let hex =
        |bytes: &[u8]| format!("'\\x{}'::bytea", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let (before, after) = (hex(&head.hash.0), hex(&append.records[0].hash.0));
    let (doctor, date, shard) = (day(1).doctor, day(1).date.days(), day(1).shard());
    let call = |generation: u64| {
        format!(
            "SELECT outcome::bigint FROM journal_append(1, {generation}, ARRAY[{shard}]::smallint[], ARRAY['{doctor}']::uuid[], \
             ARRAY[{date}], ARRAY[1], ARRAY[1]::bigint[], ARRAY[1]::bigint[], ARRAY[1]::bigint[], ARRAY[{before}], \
             ARRAY[1]::bigint[], ARRAY[{after}], ARRAY[NULL]::bigint[], ARRAY[1], ARRAY[2]::bigint[], ARRAY[{after}], \
             ARRAY['two'::bytea])"
        )
    };
    let mut connection = connect(&url).await;
    let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(call(1))).execute(&mut connection).await;
    let refused = refused.map(drop).expect_err("it is older than the barrier").to_string();
    assert!(refused.contains("a barrier has gone past"), "{refused}");
    assert_eq!(number(&mut connection, &call(2)).await, 0, "the same of after the barrier is written");
    assert_eq!(journal.load(day(1)).await.expect("a load").expect("a written day").tail.len(), 2);
}

const FIRST: DayOutcome = DayOutcome::Appended { position: 1 };
