//! Tests of the SQLite journal: the contract of every journal, and what only a file can do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use super::*;
use crate::journal::contract::{self, JournalFactory, append_of, day};
use crate::journal::{Head, chain};

/// One directory for each empty store; they live as long as the factory.
#[derive(Default)]
struct Directories {
    all: Mutex<Vec<TempDir>>,
}

impl Directories {
    fn create(&self) -> PathBuf {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().to_path_buf();
        self.all.lock().push(directory);
        path
    }

    fn newest(&self) -> PathBuf {
        self.all.lock().last().expect("a store was created").path().to_path_buf()
    }
}

#[async_trait]
impl JournalFactory for Directories {
    async fn empty(&self) -> Arc<dyn Journal> {
        let path = self.create();
        Arc::new(SqliteJournal::open(&path).await.expect("it opens"))
    }

    async fn reopen(&self, journal: Arc<dyn Journal>) -> Arc<dyn Journal> {
        journal.close().await;
        Arc::new(SqliteJournal::open(&self.newest()).await.expect("it opens again"))
    }

    async fn damage(&self, journal: Arc<dyn Journal>, position: u64) -> Arc<dyn Journal> {
        journal.close().await;
        let mut connection = plain(&self.newest()).await;
        // The last byte of the record's body is the last of its block, or stands before the next record's header.
        let (block, mut body): (i64, Vec<u8>) =
            sqlx::query_as("SELECT position, body FROM block WHERE position >= ?1 ORDER BY position LIMIT 1")
                .bind(i64::try_from(position).expect("a small number"))
                .fetch_one(&mut connection)
                .await
                .expect("the record's block");
        assert_eq!(block, position as i64, "the test damages the last record of a block");
        *body.last_mut().expect("a body") ^= 1;
        sqlx::query("UPDATE block SET body = ?2 WHERE position = ?1")
            .bind(block)
            .bind(body)
            .execute(&mut connection)
            .await
            .expect("it is changed");
        connection.close().await.expect("it closes");
        Arc::new(SqliteJournal::open(&self.newest()).await.expect("it opens again"))
    }
}

/// A connection that knows nothing of journals.
async fn plain(directory: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(directory.join(FILE_NAME)).connect().await.expect("a plain connection")
}

async fn change(directory: &Path, sql: &'static str) {
    let mut connection = plain(directory).await;
    let done = sqlx::query(sql).execute(&mut connection).await.expect("it is changed");
    assert_eq!(done.rows_affected(), 1, "{sql}");
    connection.close().await.expect("it closes");
}

/// Runs `sql` on the journal's own writer, to bring it into a state.
async fn on_writer(journal: &SqliteJournal, sql: &'static str) {
    let mut writer = journal.shared.writer.lock().await;
    let connection = still_open(&mut writer).expect("it is open");
    sqlx::query(sql).fetch_all(connection).await.expect("the writer takes it");
}

#[tokio::test]
async fn it_keeps_the_contract() {
    contract::run(&Directories::default()).await;
}

#[tokio::test]
async fn a_second_process_is_refused_with_the_directory_and_the_holder() {
    let directory = tempfile::tempdir().expect("a directory");
    let journal = SqliteJournal::open(directory.path()).await.expect("it opens");
    match SqliteJournal::open(directory.path()).await.err() {
        Some(StartError::InUse { directory: named, holder }) => {
            assert_eq!((named.as_path(), holder), (directory.path(), Some(std::process::id())));
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert_eq!(journal.epoch(), 1, "the refused one has not taken an epoch");
    journal.close().await;
    assert_eq!(SqliteJournal::open(directory.path()).await.expect("free again").epoch(), 2);
}

#[tokio::test]
async fn what_was_appended_survives_without_a_close() {
    let directory = tempfile::tempdir().expect("a directory");
    let journal = SqliteJournal::open(directory.path()).await.expect("it opens");
    let (append, head) = append_of(day(1), journal.epoch(), Head::default(), &[b"one"]);
    journal.append(&[append]).await.expect("it writes");
    // What a process that is killed leaves behind: the files as they are now, with the WAL not brought in.
    let left = tempfile::tempdir().expect("a directory");
    for name in ["journal.db", "journal.db-wal"] {
        std::fs::copy(directory.path().join(name), left.path().join(name)).expect("it is copied");
    }
    let next = SqliteJournal::open(left.path()).await.expect("it recovers");
    assert_eq!(next.load(day(1)).await.expect("a load").expect("a written day").head, head);
    let wal = std::fs::metadata(left.path().join("journal.db-wal")).expect("a WAL").len();
    assert_eq!(wal, 0, "opening has brought the WAL in");
}

#[tokio::test]
async fn each_kind_of_damage_is_told() {
    let damages = [
        "UPDATE block SET body = CAST(substr(body, 1, 30) || x'00' || substr(body, 32) AS BLOB) WHERE position = 2",
        "UPDATE block SET body = CAST(substr(body, 1, 10) || x'00' || substr(body, 12) AS BLOB) WHERE position = 2",
        "UPDATE block SET body = substr(body, 1, length(body) - 1) WHERE position = 2",
        "UPDATE block SET record_count = 1 WHERE position = 2",
        "UPDATE block SET first_sequence = 2 WHERE position = 2",
        "UPDATE block SET previous_position = 3 WHERE position = 3",
        "UPDATE block SET previous_position = 1 WHERE position = 3",
        "UPDATE block SET day = x'00' WHERE position = 2",
        "DELETE FROM block WHERE position = 2",
        "UPDATE head SET hash = zeroblob(16)",
        "UPDATE head SET hash = zeroblob(3)",
        "UPDATE head SET epoch = epoch + 1",
        "UPDATE head SET sequence = -1",
        "INSERT INTO snapshot SELECT day, epoch, sequence, hash, zeroblob(16), x'00' FROM head",
    ];
    for damage in damages {
        let directory = tempfile::tempdir().expect("a directory");
        let journal = SqliteJournal::open(directory.path()).await.expect("it opens");
        let epoch = journal.epoch();
        let (first, head) = append_of(day(1), epoch, Head::default(), &[b"a long first", b"two"]);
        let (second, _) = append_of(day(1), epoch, head, &[b"three"]);
        journal.append(&[first]).await.expect("it writes");
        journal.append(&[second]).await.expect("it writes");
        assert!(journal.load(day(1)).await.is_ok());
        change(directory.path(), damage).await;
        match journal.load(day(1)).await {
            Err(ReadError::Damaged(words)) => {
                assert!(words.contains(&day(1).to_string()) && words.contains("copy"), "{damage}: {words}");
            }
            other => panic!("{damage}: expected damage, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_file_that_is_not_sound_is_refused_at_start() {
    let damages = [
        ("UPDATE head SET position = position + 1", "the last position"),
        ("UPDATE head SET sequence = sequence + 1", "do not agree"),
        ("DELETE FROM block", "the last position"),
        ("UPDATE _sqlx_migrations SET version = version + 1000", "newer program"),
        ("PRAGMA application_id = 7", "something else"),
    ];
    for (damage, words) in damages {
        let directory = tempfile::tempdir().expect("a directory");
        let journal = SqliteJournal::open(directory.path()).await.expect("it opens");
        let (append, _) = append_of(day(1), journal.epoch(), Head::default(), &[b"one"]);
        journal.append(&[append]).await.expect("it writes");
        journal.close().await;
        let mut connection = plain(directory.path()).await;
        sqlx::query(damage).execute(&mut connection).await.expect("it is changed");
        connection.close().await.expect("it closes");
        match SqliteJournal::open(directory.path()).await.err() {
            Some(StartError::Store(said)) => assert!(said.contains(words) && said.contains("journal.db"), "{said}"),
            other => panic!("{damage}: expected a refusal, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_a_definite_failure_and_passes() {
    let directory = tempfile::tempdir().expect("a directory");
    let journal = SqliteJournal::open(directory.path()).await.expect("it opens");
    let (append, head) = append_of(day(1), journal.epoch(), Head::default(), &[b"one"]);
    journal.append(&[append]).await.expect("it writes");
    on_writer(&journal, "PRAGMA max_page_count = 1").await;
    let (large, after) = append_of(day(1), journal.epoch(), head, &[&[1; 40_000]]);
    match journal.append(std::slice::from_ref(&large)).await {
        Err(AppendError::Failed(reason)) => assert!(reason.contains("full"), "{reason}"),
        other => panic!("expected a definite failure, got {other:?}"),
    }
    assert_eq!(journal.load(day(1)).await.expect("a load").expect("a written day").head, head);
    on_writer(&journal, "PRAGMA max_page_count = 1000000").await;
    journal.append(&[large]).await.expect("it writes again");
    assert_eq!(journal.load(day(1)).await.expect("a load").expect("a written day").head, after);
}

#[tokio::test]
async fn a_busy_store_and_an_open_transaction_are_definite_failures() {
    let directory = tempfile::tempdir().expect("a directory");
    let journal = SqliteJournal::open(directory.path()).await.expect("it opens");
    on_writer(&journal, "PRAGMA busy_timeout = 0").await;
    let mut other = plain(directory.path()).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("it locks");
    let (append, _) = append_of(day(1), journal.epoch(), Head::default(), &[b"one"]);
    let refused = journal.append(std::slice::from_ref(&append)).await;
    assert!(matches!(&refused, Err(AppendError::Failed(reason)) if reason.contains("locked")), "{refused:?}");
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("it unlocks");

    on_writer(&journal, "BEGIN").await;
    let refused = journal.append(std::slice::from_ref(&append)).await;
    assert!(matches!(refused, Err(AppendError::Failed(_))), "left by an append that was dropped: {refused:?}");
    journal.append(&[append]).await.expect("rolled back, and free again");
}

#[tokio::test]
async fn damage_met_while_writing_poisons_everything_after() {
    let directory = tempfile::tempdir().expect("a directory");
    let journal = SqliteJournal::open(directory.path()).await.expect("it opens");
    journal.close().await;
    let file = directory.path().join(FILE_NAME);
    let journal = SqliteJournal::open(directory.path()).await.expect("it opens");
    // The writer's page cache is emptied, so that it must read the pages that are overwritten behind its back.
    on_writer(&journal, "PRAGMA shrink_memory").await;
    let length = std::fs::metadata(&file).expect("a file").len();
    let mut bytes = std::fs::read(&file).expect("a file");
    bytes[4096..].fill(0xff);
    std::fs::write(&file, &bytes).expect("overwritten");
    assert_eq!(bytes.len() as u64, length);

    let (append, _) = append_of(day(1), journal.epoch(), Head::default(), &[b"one"]);
    let first = journal.append(std::slice::from_ref(&append)).await;
    assert!(matches!(first, Err(AppendError::Poisoned(_))), "{first:?}");
    let reason = journal.poisoned().await;
    assert!(reason.contains("malformed"), "{reason}");
    assert!(matches!(journal.append(&[append]).await, Err(AppendError::Poisoned(_))));
    assert!(matches!(journal.barrier().await, Err(AppendError::Poisoned(_))));
    assert!(matches!(journal.save_snapshots(&[]).await, Err(AppendError::Poisoned(_))));
    assert!(matches!(journal.load(day(1)).await, Err(ReadError::Unavailable(_))));
    journal.close().await;
}

#[tokio::test]
async fn checkpoints_keep_the_wal_small_beside_a_steady_load() {
    let directory = tempfile::tempdir().expect("a directory");
    let journal = SqliteJournal::open(directory.path()).await.expect("it opens");
    let mut head = Head::default();
    let body = vec![5_u8; 1 << 20];
    // 100 MiB in all: three times the size at which a checkpoint starts.
    for _ in 0..25 {
        let (append, after) = append_of(day(1), journal.epoch(), head, &[&body, &body, &body, &body]);
        journal.append(&[append]).await.expect("it writes");
        let snapshot = StoredSnapshot { day: day(1), head: after, bytes: Arc::from(&b"packed"[..]) };
        journal.save_snapshots(&[snapshot]).await.expect("it is kept");
        head = after;
    }
    let wal = std::fs::metadata(directory.path().join("journal.db-wal")).expect("a WAL").len();
    assert!(wal < 72 << 20, "the WAL starts again at its beginning: {wal} bytes");
    let loaded = journal.load(day(1)).await.expect("a load").expect("a written day");
    assert_eq!((loaded.head, loaded.tail.len()), (head, 0));
    journal.close().await;
    assert_eq!(chain::verify(&loaded), Ok(()));
}

#[tokio::test]
async fn a_migration_says_the_version_and_takes_no_epoch() {
    let directory = tempfile::tempdir().expect("a directory");
    let lock = DirectoryLock::acquire(directory.path()).expect("a lock");
    for _ in 0..2 {
        let said = SqliteJournal::migrate(&lock).await.expect("it migrates");
        assert!(said.ends_with("is at version 1"), "{said}");
    }
    let journal = SqliteJournal::open_locked(Arc::new(lock)).await.expect("it opens");
    assert_eq!(journal.epoch(), 1);
}
