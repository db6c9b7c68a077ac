//! How values stand in columns: statuses and roles as words, ids as bytes; and how failures are told apart.
//! Must not know: tables, statements.

use booking_core::{Date, DayKey, DoctorId, PersonalText, Role, Status};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::journal::ReadError;
use crate::ledger::ApplyError;

/// The word for a role.
pub(super) const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Patient => "patient",
        Role::Doctor => "doctor",
        Role::Admin => "admin",
        Role::System => "system",
    }
}

/// The inverse of [`Status::word`].
pub(super) fn status(word: &str) -> Result<Status, ReadError> {
    let found = Status::ALL.into_iter().find(|status| status.word() == word);
    found.ok_or_else(|| damaged(format!("`{word}` is no status")))
}

/// The inverse of [`role_word`].
pub(super) fn role(word: &str) -> Result<Role, ReadError> {
    let roles = [Role::Patient, Role::Doctor, Role::Admin, Role::System];
    roles.into_iter().find(|role| role_word(*role) == word).ok_or_else(|| damaged(format!("`{word}` is no role")))
}

/// Sixteen bytes of a column.
pub(super) fn id(row: &SqliteRow, column: &str) -> Result<[u8; 16], ReadError> {
    let bytes: &[u8] = row.try_get(column).map_err(|error| read_error(&error))?;
    bytes.try_into().map_err(|_| damaged(format!("`{column}` has {} bytes instead of 16", bytes.len())))
}

/// A value of a column.
pub(super) fn value<'row, T>(row: &'row SqliteRow, column: &str) -> Result<T, ReadError>
where
    T: sqlx::Decode<'row, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(column).map_err(|error| read_error(&error))
}

/// A number of a column that is not negative and fits.
pub(super) fn number<T: TryFrom<i64>>(row: &SqliteRow, column: &str) -> Result<T, ReadError> {
    let number: i64 = value(row, column)?;
    T::try_from(number).map_err(|_| damaged(format!("`{column}` is {number}")))
}

/// The day of the columns `doctor` and `date`.
pub(super) fn day(row: &SqliteRow) -> Result<DayKey, ReadError> {
    let days: i32 = number(row, "date")?;
    let date = Date::from_days(days).ok_or_else(|| damaged(format!("`date` is {days}")))?;
    Ok(DayKey { doctor: DoctorId::from_bytes(id(row, "doctor")?), date })
}

/// The personal text of the columns `reason_key` and `reason`.
pub(super) fn reason(row: &SqliteRow) -> Result<Option<PersonalText>, ReadError> {
    let Some(bytes): Option<Vec<u8>> = value(row, "reason")? else { return Ok(None) };
    Ok(Some(PersonalText { key: number(row, "reason_key")?, bytes: bytes.into() }))
}

/// SQLite's integers are signed: sequences and positions stay below 2^63.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

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

/// A violated constraint is the batch's fault; everything else, a full or broken disk too, is the store's.
pub(super) fn apply_error(during: &'static str, error: &sqlx::Error) -> ApplyError {
    let text = format!("{during}: {error}");
    match error {
        sqlx::Error::Database(database)
            if matches!(primary_code(database.as_ref()), Some(SQLITE_CORRUPT | SQLITE_NOTADB)) =>
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
