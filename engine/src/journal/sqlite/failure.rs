//! What an error of SQLite says about the disk: certainly nothing written, or nothing is certain any more.
//! Must not know: batches, days, who is told.
//!
//! The classes, and why they are safe (WAL mode, `synchronous=FULL`, no cache spill, power-safe overwrite):
//!
//! - A commit writes its pages to the end of the WAL, the last with the commit mark, syncs the WAL, and only then changes
//!   the shared index that makes them visible. Frames are linked by running checksums; recovery after a crash stops at
//!   the first frame that does not fit and keeps only what a commit mark closes.
//! - `SQLITE_BUSY` and constraint failures come before the commit has written anything.
//! - `SQLITE_FULL` comes from a short `write`, never from a sync (a sync that fails is `SQLITE_IOERR_FSYNC`, whatever the
//!   system's reason). The frame with the commit mark is the last one written, so a write that failed is either that
//!   frame, which is then incomplete and fits no checksum, or one before it. Neither this process nor a recovery can see
//!   such a transaction, and the next commit overwrites the frames from the same place. (Padding after the commit mark,
//!   which would break the argument, is off for power-safe overwrite, SQLite's default on Unix.)
//! - So these are definite once the transaction is rolled back. SQLite may have done that itself; then `ROLLBACK` says
//!   that no transaction is active, and a re-read of the last position must show what stood before. If it does not, SQLite
//!   behaves unlike the argument, and the journal is poisoned.
//! - A checkpoint that meets a full disk has lost nothing: what it copies stays in the WAL until all of it is synced in the
//!   database file.
//! - Every I/O error, every sign of corruption and everything unforeseen poisons: after a failed sync the page cache may
//!   show what the disk does not have, so no re-read proves anything (`protocols.md` rule 7). The next process recovers
//!   from the disk and checkpoints before its first answer.

use sqlx::Error;
use sqlx::migrate::MigrateError;

/// Primary result codes (<https://www.sqlite.org/rescode.html>): the low eight bits of the extended code.
mod code {
    pub(super) const ERROR: i32 = 1;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NOMEM: i32 = 7;
    pub(super) const READONLY: i32 = 8;
    pub(super) const INTERRUPT: i32 = 9;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const PROTOCOL: i32 = 15;
    pub(super) const SCHEMA: i32 = 17;
    pub(super) const TOOBIG: i32 = 18;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const MISMATCH: i32 = 20;
    pub(super) const RANGE: i32 = 25;
    pub(super) const NOTADB: i32 = 26;
}

/// What a failed write leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WriteFailure {
    /// Nothing, once it is rolled back.
    Definite,
    /// Nobody knows.
    Poisoning,
}

/// The class of `error` when it came from a write, a commit or a checkpoint.
pub(super) fn of_write(error: &Error) -> WriteFailure {
    match primary_code(error) {
        Some(
            code::ERROR
            | code::BUSY
            | code::LOCKED
            | code::NOMEM
            | code::READONLY
            | code::INTERRUPT
            | code::FULL
            | code::PROTOCOL
            | code::SCHEMA
            | code::TOOBIG
            | code::CONSTRAINT
            | code::MISMATCH
            | code::RANGE,
        ) => WriteFailure::Definite,
        // A value of ours that does not fit: SQLite had no part in it, and the rollback settles the rest.
        None if matches!(
            error,
            Error::ColumnDecode { .. } | Error::Decode(_) | Error::Encode(_) | Error::RowNotFound
        ) =>
        {
            WriteFailure::Definite
        }
        _ => WriteFailure::Poisoning,
    }
}

/// Whether a read met bytes that cannot be, as opposed to a store that does not answer. A statement of ours is in order, so
/// that one in which SQLite finds an error meets a schema that is not.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(primary_code(error), Some(code::ERROR | code::CORRUPT | code::NOTADB))
        // A row that an index names and the table has not; a schema at whose words the driver's thread has ended.
        || matches!(error, Error::ColumnDecode { .. } | Error::Decode(_) | Error::RowNotFound | Error::WorkerCrashed)
}

/// What to do about a file that is not what was written.
pub(crate) const ADVICE: &str =
    "Stop the program, keep a copy of the whole data directory, then restore the last backup beside it and compare";

/// `error` in words for whoever starts the program, with what to do if the file is damaged.
pub(crate) fn at_open(error: &Error) -> String {
    if is_damage(error) { format!("{error}. {ADVICE}") } else { error.to_string() }
}

/// The same of an error while the schema is brought up to date. Of a file whose schema is known already, nothing but a lock
/// or the disk explains one.
pub(crate) fn at_migration(error: &MigrateError) -> String {
    const BY_DISK: [i32; 6] = [code::BUSY, code::LOCKED, code::READONLY, code::IOERR, code::FULL, code::CANTOPEN];
    match error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)
            if primary_code(cause).is_some_and(|code| BY_DISK.contains(&code)) =>
        {
            error.to_string()
        }
        _ => format!("{error}. {ADVICE}"),
    }
}

/// Whether `ROLLBACK` found that SQLite had rolled back already.
pub(super) fn is_without_transaction(error: &Error) -> bool {
    primary_code(error) == Some(code::ERROR) && error.to_string().contains("no transaction is active")
}

fn primary_code(error: &Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}
