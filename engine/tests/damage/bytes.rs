//! Every byte of every kind of record and of packed days, damaged in several ways: the chain and the checksum say so, and
//! the journal refuses the day with its place and what to do.
//! Must not know: files beyond the columns that hold the bytes.

use std::collections::BTreeSet;
use std::mem::discriminant;
use std::sync::Arc;

use booking_core::{DayKey, DoctorDay, Fact, decode_event, encode_event};
use engine::journal::sqlite::SqliteJournal;
use engine::journal::{Head, Journal, ReadError, StoredRecord, StoredSnapshot, chain};
use engine::ledger::Ledger;
use engine::ledger::agreement::AgreedJournal;
use engine::ledger::sqlite::SqliteLedger;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqliteConnection};
use tempfile::TempDir;

use crate::history::{self, History};
use crate::world::{JOURNAL, decoded, scratch};

/// Kinds of [`Fact`]: one for each of its variants, so that a new one must be looked at here.
const KINDS: usize = 13;

async fn written() -> (TempDir, SqliteJournal) {
    let directory = scratch();
    let journal = history::open(directory.path()).await;
    let mut history = History::new(&journal);
    history::first_half(&mut history, 1).await;
    history::second_half(&mut history).await;
    (directory, journal)
}

/// `bytes` with each byte changed: by each bit, by all, to zero; each shorter prefix; ranges of zeros.
fn damaged(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let changed = |at: usize, value: u8| {
        let mut copy = bytes.to_vec();
        copy[at] = value;
        copy
    };
    let flips = (0..bytes.len()).flat_map(move |at| {
        let masks = (0..8).map(|bit| 1 << bit).chain([0xff, bytes[at]]);
        masks.map(move |mask| changed(at, bytes[at] ^ mask))
    });
    let cuts = (0..bytes.len()).map(|length| bytes[..length].to_vec());
    let zeroed = [2, 4, 16, 64].into_iter().flat_map(move |length| {
        (0..bytes.len().saturating_sub(length)).step_by(length / 2).map(move |at| {
            let mut copy = bytes.to_vec();
            copy[at..at + length].fill(0);
            copy
        })
    });
    flips.chain(cuts).chain(zeroed).filter(move |copy| copy != bytes)
}

/// The records of each kind of event, with where their day's log ended before them; at most two of a kind.
fn of_every_kind(records: &[StoredRecord]) -> Vec<(Head, StoredRecord)> {
    let mut heads = std::collections::HashMap::<DayKey, Head>::new();
    let (mut kinds, mut chosen) = (Vec::new(), Vec::new());
    for record in records {
        let head = heads.insert(record.day, Head { version: record.version, hash: record.hash }).unwrap_or_default();
        let kind = discriminant(&decode_event(&record.body).expect("an event").fact);
        if kinds.iter().filter(|known| **known == kind).count() < 2 {
            kinds.push(kind);
            chosen.push((head, record.clone()));
        }
    }
    chosen
}

/// A number for each kind; a new kind does not compile here.
fn number_of(fact: &Fact) -> usize {
    match fact {
        Fact::Published(_) => 0,
        Fact::Closed { .. } => 1,
        Fact::Taken => 2,
        Fact::Confirmed => 3,
        Fact::Cancelled => 4,
        Fact::NoShow => 5,
        Fact::Expired => 6,
        Fact::Remembered => 7,
        Fact::Moved { .. } => 8,
        Fact::MoveHeld { .. } => 9,
        Fact::MovedIn { .. } => 10,
        Fact::MoveDropped { .. } => 11,
        Fact::MovedOut { .. } => 12,
    }
}

#[tokio::test]
async fn every_byte_of_every_kind_of_record_is_covered_by_its_link() {
    let (_directory, journal) = written().await;
    let records = journal.read_after(0, 10_000).await.expect("records");
    let chosen = of_every_kind(&records);
    let kinds: BTreeSet<usize> =
        chosen.iter().map(|(_, record)| number_of(&decode_event(&record.body).expect("an event").fact)).collect();
    assert_eq!(kinds, (0..KINDS).collect(), "every kind of event is written");
    let (mut count, mut accepted, mut same) = (0, 0, 0);
    for (head, record) in &chosen {
        let event = decode_event(&record.body).expect("an event");
        let follow = |body: &[u8]| chain::follow(*head, record.day, record.version, record.hash, body);
        assert!(follow(&record.body).is_ok());
        for body in damaged(&record.body) {
            count += 1;
            assert!(follow(&body).is_err(), "position {}: a changed body fits its link", record.position);
            // The decoder alone may take it; then it is another event, and can be written again.
            if let Ok(other) = decode_event(&body) {
                accepted += 1;
                same += usize::from(other == event);
                assert_eq!(decode_event(&encode_event(&other)), Ok(other));
            }
        }
        for hash in damaged(&record.hash.0).filter_map(|hash| hash.try_into().ok()) {
            let hash = engine::journal::ChainHash(hash);
            assert!(chain::follow(*head, record.day, record.version, hash, &record.body).is_err());
        }
        for (epoch, sequence) in [(1, 0), (0, 1), (1 << 31, 0), (0, 1 << 40)] {
            let mut version = record.version;
            (version.epoch, version.sequence) = (version.epoch ^ epoch, version.sequence ^ sequence);
            assert!(chain::follow(*head, record.day, version, record.hash, &record.body).is_err());
        }
    }
    assert_eq!(same, 0, "two bodies of one event");
    eprintln!("{count} changed bodies of {} records, {accepted} of them are other events", chosen.len());
    journal.close().await;
}

#[tokio::test]
async fn every_byte_of_a_packed_day_is_covered_by_its_checksum() {
    let (_directory, journal) = written().await;
    let mut count = 0;
    for number in [1, 4, 6] {
        let loaded = journal.load(history::day(number)).await.expect("a load").expect("a written day");
        let snapshot = loaded.snapshot.expect("a snapshot");
        let checksum = chain::snapshot_checksum(&snapshot);
        for bytes in damaged(&snapshot.bytes) {
            count += 1;
            let changed = StoredSnapshot { bytes: bytes.as_slice().into(), ..snapshot.clone() };
            assert_ne!(chain::snapshot_checksum(&changed), checksum);
            // The decoder alone may take it; then it is another state, and can be packed again.
            if let Ok(state) = DoctorDay::unpack(&bytes) {
                let again = DoctorDay::unpack(&state.pack()).expect("what was packed can be unpacked");
                assert_eq!(again.pack(), state.pack());
            }
        }
    }
    eprintln!("{count} changed states");
    journal.close().await;
}

/// A connection that knows nothing of journals, and does not wait for the disk.
async fn plain(directory: &TempDir) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(directory.path().join(JOURNAL));
    options.synchronous(SqliteSynchronous::Off).connect().await.expect("it opens")
}

async fn write(connection: &mut SqliteConnection, text: &'static str, key: &[u8], value: &[u8]) {
    let query = sqlx::query(text).bind(key.to_vec()).bind(value.to_vec());
    assert_eq!(query.execute(connection).await.expect("it is changed").rows_affected(), 1);
}

async fn assert_told(journal: &SqliteJournal, day: DayKey, what: &str) {
    match journal.load(day).await {
        Err(ReadError::Damaged(words)) => {
            let is_clear = [&day.to_string(), JOURNAL, "restore"].iter().all(|part| words.contains(*part));
            let says_where = ["position", "sequence", "snapshot"].iter().any(|part| words.contains(part));
            assert!(is_clear && says_where, "{what}: {words}");
        }
        other => panic!("{what}: {other:?}"),
    }
}

const BODY: &str = "UPDATE block SET body = ?2 WHERE position = CAST(?1 AS INTEGER)";

/// One bit, all bits and zero, of every byte that a column holds of `day`.
async fn every_byte_of(day: DayKey, column: &str, read: &'static str, change: &'static str) {
    let (directory, journal) = written().await;
    let mut connection = plain(&directory).await;
    let rows = sqlx::query(read).bind(day.to_bytes().to_vec()).fetch_all(&mut connection).await.expect("rows");
    assert!(!rows.is_empty(), "{column} has rows");
    let mut count = 0;
    for row in rows {
        let (key, bytes): (Vec<u8>, Vec<u8>) = (row.get(0), row.get(1));
        for at in 0..bytes.len() {
            for mask in [1 << (at % 8), 0xff, bytes[at]].into_iter().filter(|mask| *mask != 0) {
                let mut copy = bytes.clone();
                copy[at] ^= mask;
                write(&mut connection, change, &key, &copy).await;
                assert_told(&journal, day, &format!("{column} byte {at} by {mask:#x}")).await;
                count += 1;
            }
        }
        write(&mut connection, change, &key, &bytes).await;
        assert!(journal.load(day).await.is_ok(), "whole again");
    }
    eprintln!("{count} changes of {column}");
    journal.close().await;
}

/// Those after the snapshot, if there is one: what lies before is not read for a day.
#[tokio::test]
async fn a_block_with_one_byte_changed_is_refused() {
    let read = "SELECT CAST(position AS BLOB), body FROM block WHERE day = ?1 AND position NOT IN \
                (SELECT position FROM block WHERE first_sequence + record_count - 1 <= \
                (SELECT sequence FROM snapshot WHERE snapshot.day = block.day))";
    let (two, eight) = (history::day(2), history::day(8));
    every_byte_of(two, "block.body", read, BODY).await;
    every_byte_of(eight, "block.body", read, BODY).await;
}

#[tokio::test]
async fn a_snapshot_with_one_byte_changed_is_refused() {
    let read = "SELECT day, body FROM snapshot WHERE day = ?1";
    every_byte_of(history::day(2), "snapshot.body", read, "UPDATE snapshot SET body = ?2 WHERE day = ?1").await;
    let read = "SELECT day, checksum FROM snapshot WHERE day = ?1";
    every_byte_of(history::day(2), "snapshot.checksum", read, "UPDATE snapshot SET checksum = ?2 WHERE day = ?1").await;
    let read = "SELECT day, hash FROM snapshot WHERE day = ?1";
    every_byte_of(history::day(2), "snapshot.hash", read, "UPDATE snapshot SET hash = ?2 WHERE day = ?1").await;
}

#[tokio::test]
async fn a_head_with_one_byte_changed_is_refused() {
    let read = "SELECT day, hash FROM head WHERE day = ?1";
    every_byte_of(history::day(2), "head.hash", read, "UPDATE head SET hash = ?2 WHERE day = ?1").await;
}

/// What looks like a day that was never written is told from one by the ledger.
#[tokio::test]
async fn a_day_that_the_journal_does_not_find_any_more_is_refused() {
    let (directory, journal) = written().await;
    let ledger = Arc::new(SqliteLedger::open(directory.path()).await.expect("a ledger"));
    let records = journal.read_after(0, 10_000).await.expect("records");
    let end = records.last().expect("records").position;
    ledger.apply(&decoded(&records, 0, end), end).await.expect("applied");
    let (day, never) = (history::day(2), history::day(60));
    let mut connection = plain(&directory).await;
    let query = sqlx::query("DELETE FROM head WHERE day = ?1").bind(day.to_bytes().to_vec());
    assert_eq!(query.execute(&mut connection).await.expect("it is gone").rows_affected(), 1);
    let query = sqlx::query("DELETE FROM snapshot WHERE day = ?1").bind(day.to_bytes().to_vec());
    query.execute(&mut connection).await.expect("it is gone");
    assert!(journal.load(day).await.expect("a load").is_none(), "by itself the journal cannot know");

    let agreed = AgreedJournal::new(Arc::new(journal.clone()), Arc::clone(&ledger) as Arc<dyn Ledger>);
    assert!(agreed.load(never).await.expect("a load").is_none());
    assert!(agreed.load(history::day(1)).await.is_ok());
    match agreed.load(day).await {
        Err(ReadError::Damaged(words)) => {
            assert!(
                [&day.to_string(), "sequence", JOURNAL, "restore"].iter().all(|part| words.contains(*part)),
                "{words}"
            );
        }
        other => panic!("{other:?}"),
    }
    ledger.close().await;
    journal.close().await;
}
