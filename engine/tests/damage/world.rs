//! Data directories as a stop or a kill leaves them, and what an undamaged one answers.
//! Must not know: what is damaged, what is made of the answers.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use booking_core::{DayKey, DoctorDay, UtcMillis, decode_event};
use engine::journal::sqlite::SqliteJournal;
use engine::journal::{Head, Journal, StoredRecord};
use engine::ledger::sqlite::SqliteLedger;
use engine::ledger::{AppliedRecord, Ledger};
use tempfile::TempDir;

use crate::history::{self, History};
use crate::round::{Audited, audit};

pub(crate) const JOURNAL: &str = "journal.db";
pub(crate) const JOURNAL_LOG: &str = "journal.db-wal";
pub(crate) const LEDGER: &str = "ledger.db";
pub(crate) const LEDGER_LOG: &str = "ledger.db-wal";

/// How far the ledger of a directory has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Applied {
    /// Up to the middle.
    Half,
    /// Everything.
    Whole,
}

/// A directory that nobody uses, and what it answers.
pub(crate) struct World {
    directory: TempDir,
    pub(crate) truth: Truth,
}

/// Everything that the directory's history says.
pub(crate) struct Truth {
    pub(crate) records: Vec<StoredRecord>,
    /// The packed state of each day after each of its records.
    states: BTreeMap<(DayKey, u64), (Head, Vec<u8>)>,
    pub(crate) days: Vec<DayKey>,
    /// Days and their next work, by instant, then day.
    pub(crate) open_work: Vec<(UtcMillis, DayKey)>,
    /// Rows of the ledger when it has applied everything.
    pub(crate) ledger_rows: Vec<String>,
}

/// Memory, where there is a directory in memory: three thousand copies are synced.
pub(crate) fn scratch() -> TempDir {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.expect("a directory")
}

impl World {
    /// A history of nine busy days and `quiet` others; `killed`: its second half is in the journal's log only.
    pub(crate) async fn new(quiet: u64, killed: bool, applied: Applied) -> Self {
        let directory = scratch();
        let path = directory.path();
        let journal = history::open(path).await;
        let mut history = History::new(&journal);
        history::first_half(&mut history, quiet).await;
        let half = journal.last_position().await.expect("a position");
        journal_to_file(path).await;
        history::second_half(&mut history).await;
        let records = journal.read_after(0, 10_000).await.expect("records");
        let ledger = SqliteLedger::open(path).await.expect("a ledger");
        let end = records.last().expect("records").position;
        let upto = if applied == Applied::Half { half } else { end };
        ledger.apply(&decoded(&records, 0, upto), upto).await.expect("applied");
        let left = scratch();
        if killed {
            copy(path, left.path());
        }
        ledger.close().await;
        let ledger = SqliteLedger::open(path).await.expect("a ledger");
        let truth = Truth::of(&journal, records).await;
        journal.close().await;
        ledger.close().await;
        if !killed {
            copy(path, left.path());
        }
        let ledger = SqliteLedger::open(path).await.expect("a ledger");
        ledger.apply(&decoded(&truth.records, upto, end), end).await.expect("applied");
        ledger.close().await;
        let ledger_rows = ledger_rows(path).await.expect("rows");
        for directory in [path, left.path()] {
            let audited = audit(directory).await;
            assert!(matches!(audited, Audited::Clean), "before any damage: {audited:?}");
        }
        Self { directory: left, truth: Truth { ledger_rows, ..truth } }
    }

    /// A copy to be damaged.
    pub(crate) fn copy(&self) -> TempDir {
        let copied = scratch();
        copy(self.directory.path(), copied.path());
        copied
    }

    pub(crate) fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.directory.path().join(file)).expect("the file")
    }

    /// The root page of each tree of the stopped journal, blocks aside, in bytes of its file.
    pub(crate) async fn trees_but_blocks(&self) -> Vec<Range<usize>> {
        let copied = self.copy();
        let mut connection = plain(&copied.path().join(JOURNAL)).await.expect("it opens");
        let text = "SELECT rootpage FROM sqlite_schema WHERE rootpage > 0 AND name <> 'block'";
        let pages: Vec<i64> = sqlx::query_scalar(text).fetch_all(&mut connection).await.expect("pages");
        pages.iter().map(|page| (*page as usize - 1) * 4096..*page as usize * 4096).collect()
    }

    pub(crate) fn length_of(&self, file: &str) -> usize {
        std::fs::metadata(self.directory.path().join(file)).map_or(0, |found| found.len() as usize)
    }
}

impl Truth {
    async fn of(journal: &SqliteJournal, records: Vec<StoredRecord>) -> Self {
        let (mut states, mut folded) = (BTreeMap::new(), BTreeMap::<DayKey, DoctorDay>::new());
        for record in &records {
            let state = folded.entry(record.day).or_default();
            state.apply(record.version, &decode_event(&record.body).expect("an event"));
            let head = Head { version: record.version, hash: record.hash };
            states.insert((record.day, record.version.sequence), (head, state.pack()));
        }
        let open_work = journal.open_work(UtcMillis(i64::MAX), 10_000).await.expect("open work");
        let mut open_work: Vec<_> = open_work.into_iter().map(|(day, at)| (at, day)).collect();
        open_work.sort_unstable();
        Self { records, states, days: folded.into_keys().collect(), open_work, ledger_rows: Vec::new() }
    }

    /// What `day` is after its record `sequence`.
    pub(crate) fn state(&self, day: DayKey, sequence: u64) -> Option<&(Head, Vec<u8>)> {
        self.states.get(&(day, sequence))
    }

    /// The last record of `day` among the first `count` records of all.
    pub(crate) fn last_of(&self, day: DayKey, count: usize) -> u64 {
        let last = self.records[..count].iter().rev().find(|record| record.day == day);
        last.map_or(0, |record| record.version.sequence)
    }
}

/// The records after `after` and up to `upto`, as the ledger takes them.
pub(crate) fn decoded(records: &[StoredRecord], after: u64, upto: u64) -> Vec<AppliedRecord> {
    let within = records.iter().filter(|record| record.position > after && record.position <= upto);
    let record = |record: &StoredRecord| AppliedRecord {
        day: record.day,
        version: record.version,
        position: record.position,
        hash: record.hash,
        body: std::sync::Arc::clone(&record.body),
        event: decode_event(&record.body).expect("an event"),
    };
    within.map(record).collect()
}

/// The journal's log into its file, by somebody who knows nothing of journals.
async fn journal_to_file(directory: &Path) {
    let mut connection = plain(&directory.join(JOURNAL)).await.expect("it opens");
    let done = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await;
    done.expect("it is brought in");
    sqlx::Connection::close(connection).await.expect("it closes");
}

async fn plain(path: &Path) -> Result<sqlx::SqliteConnection, sqlx::Error> {
    use sqlx::ConnectOptions as _;
    sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(false).connect().await
}

/// Every row that the applier writes, as text.
pub(crate) async fn ledger_rows(directory: &Path) -> Result<Vec<String>, sqlx::Error> {
    const TABLES: [(&str, &str); 6] = [
        (
            "appointment",
            "hex(id), hex(doctor), date, hex(patient), start_ms, end_ms, place, status, hold_expires_ms, \
          reason_key, hex(reason), created_ms, updated_ms, version",
        ),
        (
            "appointment_history",
            "hex(appointment), version, at_ms, hex(actor), role, hex(request), from_status, \
          to_status, reason_key, hex(reason)",
        ),
        (
            "doctor_day",
            "hex(doctor), date, time_zone, time_zone_database, first_start_ms, last_end_ms, slots, capacity, \
          first_release_ms, releases, closed_ms, closed_reason_key, hex(closed_reason), epoch, sequence",
        ),
        ("seat", "hex(doctor), date, start_ms, place, hex(appointment)"),
        ("applied_day", "hex(doctor), date, epoch, sequence"),
        ("won_key", "until_date, hex(doctor), date, hex(digest)"),
    ];
    let mut connection = plain(&directory.join(LEDGER)).await?;
    let mut rows = Vec::new();
    for (table, columns) in TABLES {
        let text = format!("SELECT '{table} ' || concat_ws('|', {columns}) FROM {table} NOT INDEXED");
        rows.extend(sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(text)).fetch_all(&mut connection).await?);
    }
    sqlx::Connection::close(connection).await?;
    rows.sort_unstable();
    Ok(rows)
}

fn copy(from: &Path, to: &Path) {
    for name in [JOURNAL, JOURNAL_LOG, LEDGER, LEDGER_LOG] {
        let source: PathBuf = from.join(name);
        if source.is_file() {
            std::fs::copy(&source, to.join(name)).expect("a copy");
        }
    }
}
