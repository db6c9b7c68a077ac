//! What SQLite's failures mean.
//! Must not know: tables, statements.

use crate::journal::ReadError;
use crate::ledger::ApplyError;

/// Says what is wrong with the file.
pub(super) fn damaged(what: String) -> ReadError {
    ReadError::Damaged(format!("the ledger (ledger.db): {what}; restore it from a backup"))
}

/// SQLITE_CORRUPT and SQLITE_NOTADB are damage, so is a value of the wrong kind, and a schema that a statement of ours does not
/// fit (SQLITE_ERROR); the rest may go away.
pub(super) fn read_error(error: &sqlx::Error) -> ReadError {
    match error {
        sqlx::Error::Database(database)
            if matches!(primary_code(database.as_ref()), Some(SQLITE_ERROR | SQLITE_CORRUPT | SQLITE_NOTADB)) =>
        {
            damaged(error.to_string())
        }
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::RowNotFound
        | sqlx::Error::WorkerCrashed => damaged(error.to_string()),
        _ => ReadError::Unavailable(error.to_string()),
    }
}

/// A violated constraint is the batch's fault; everything else, a full or broken disk too, is the store's. The statements are fixed: one that the
/// database does not understand means that its schema is not what was written.
pub(super) fn apply_error(during: &'static str, error: &sqlx::Error) -> ApplyError {
    let text = format!("{during}: {error}");
    match error {
        sqlx::Error::Database(database)
            if matches!(primary_code(database.as_ref()), Some(SQLITE_ERROR | SQLITE_CORRUPT | SQLITE_NOTADB)) =>
        {
            ApplyError::Unavailable(damaged(text).to_string())
        }
        sqlx::Error::Database(database)
            if matches!(primary_code(database.as_ref()), Some(SQLITE_CONSTRAINT | SQLITE_TOOBIG)) =>
        {
            ApplyError::Refused(text)
        }
        sqlx::Error::Encode(_) => ApplyError::Refused(text),
        _ => ApplyError::Unavailable(text),
    }
}

const SQLITE_ERROR: i32 = 1;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_NOTADB: i32 = 26;
const SQLITE_TOOBIG: i32 = 18;
const SQLITE_CONSTRAINT: i32 = 19;

/// The low byte of an extended result code is the primary one.
fn primary_code(error: &dyn sqlx::error::DatabaseError) -> Option<i32> {
    error.code()?.parse().ok().map(|code: i32| code & 0xff)
}
