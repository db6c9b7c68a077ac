//! What PostgreSQL's failures mean, in words that hold no value: details of an error name what was written, so that only its
//! message and its code are told.
//! Must not know: tables, statements.

use std::borrow::Cow;

use sqlx::Error;

use crate::journal::ReadError;
use crate::ledger::ApplyError;
use crate::ledger::registry::WriteError;

/// Classes of SQLSTATE, and codes (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
mod state {
    /// A value that does not fit.
    pub(super) const DATA: &str = "22";
    /// A violated constraint.
    pub(super) const INTEGRITY: &str = "23";
    /// More than the program can hold: a value of the batch is too large.
    pub(super) const LIMIT: &str = "54";
    /// A column or a table of ours is missing.
    pub(super) const NO_COLUMN: &str = "42703";
    pub(super) const NO_TABLE: &str = "42P01";
    /// `data_corrupted`, `index_corrupted`.
    pub(super) const CORRUPTED: [&str; 2] = ["XX001", "XX002"];
}

/// `error` without a value.
pub(super) fn words(error: &Error) -> String {
    match (error, code(error)) {
        (Error::Database(_), Some(code)) if code.starts_with(state::DATA) => {
            format!("a value does not fit (SQLSTATE {code})")
        }
        (Error::Database(answer), Some(code)) => format!("{} (SQLSTATE {code})", answer.message()),
        _ => error.to_string(),
    }
}

/// Says what is wrong with the database.
pub(super) fn damaged(what: String) -> ReadError {
    ReadError::Damaged(format!("the ledger (PostgreSQL): {what}; restore the database from a backup"))
}

/// Corrupted pages, values of the wrong kind and a schema that is not ours are damage; everything else may go away: a lost
/// connection, a limit of time, a server that stops or starts.
pub(super) fn read_error(error: &Error) -> ReadError {
    let words = words(error);
    match error {
        Error::Database(_) if is_damage(error) => damaged(words),
        Error::ColumnDecode { .. } | Error::Decode(_) | Error::ColumnNotFound(_) | Error::RowNotFound => damaged(words),
        _ => ReadError::Unavailable(words),
    }
}

/// A violated constraint and a value that does not fit are the batch's fault. Everything else is the store's: a lost connection,
/// a deadlock, a full disk, a server that stops, or one that was a primary and takes no writes any more.
pub(super) fn apply_error(during: &'static str, error: &Error) -> ApplyError {
    let words = format!("{during}: {}", words(error));
    let code = code(error);
    let is_of_class = |class: &str| code.as_deref().is_some_and(|code| code.starts_with(class));
    if is_damage(error) {
        ApplyError::Unavailable(damaged(words).to_string())
    } else if matches!(error, Error::Encode(_))
        || [state::DATA, state::INTEGRITY, state::LIMIT].into_iter().any(is_of_class)
    {
        ApplyError::Refused(words)
    } else {
        ApplyError::Unavailable(words)
    }
}

/// A failed write of the registry.
pub(super) fn write_error(error: &Error) -> WriteError {
    WriteError(words(error))
}

fn is_damage(error: &Error) -> bool {
    code(error)
        .is_some_and(|code| state::CORRUPTED.contains(&&*code) || [state::NO_COLUMN, state::NO_TABLE].contains(&&*code))
}

fn code(error: &Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}
