//! How values stand in columns: statuses and roles as words, ids as sixteen bytes, dates as days since 1970.
//! Must not know: tables, statements, which database answers.

use booking_core::{Date, DayKey, DoctorId, PersonalText, Role, Status};
use uuid::Uuid;

use crate::journal::ReadError;

/// A row that a database has answered with. `None` is NULL; a value of the wrong kind is damage.
pub(in crate::ledger) trait Columns: Send + Sync {
    /// Sixteen bytes.
    fn id(&self, column: &str) -> Result<Option<Uuid>, ReadError>;

    /// A number.
    fn integer(&self, column: &str) -> Result<Option<i64>, ReadError>;

    /// A text.
    fn text(&self, column: &str) -> Result<Option<&str>, ReadError>;

    /// Bytes.
    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, ReadError>;

    /// A measure.
    fn real(&self, column: &str) -> Result<Option<f64>, ReadError>;

    /// Says what is wrong with the store.
    fn damaged(what: String) -> ReadError;
}

/// What can be read of a column; an `Option` where it may be NULL.
pub(in crate::ledger) trait FromColumn<'row>: Sized {
    /// Reads it.
    fn from_column<R: Columns>(row: &'row R, column: &str) -> Result<Option<Self>, ReadError>;
}

macro_rules! from_column {
    ($($kind:ty => $read:ident),* $(,)?) => {
        $(impl<'row> FromColumn<'row> for $kind {
            fn from_column<R: Columns>(row: &'row R, column: &str) -> Result<Option<Self>, ReadError> {
                Ok(row.$read(column)?.map(Into::into))
            }
        })*
    };
}

from_column!(Uuid => id, i64 => integer, f64 => real, &'row str => text, String => text, Vec<u8> => bytes);

impl<'row, T: FromColumn<'row>> FromColumn<'row> for Option<T> {
    fn from_column<R: Columns>(row: &'row R, column: &str) -> Result<Option<Self>, ReadError> {
        T::from_column(row, column).map(Some)
    }
}

/// A value of a column.
pub(in crate::ledger) fn value<'row, T: FromColumn<'row>>(
    row: &'row impl Columns,
    column: &str,
) -> Result<T, ReadError> {
    T::from_column(row, column)?.ok_or_else(|| damaged(row, format!("`{column}` is empty")))
}

/// Says what is wrong with the store of `row`.
pub(in crate::ledger) fn damaged<R: Columns>(_: &R, what: String) -> ReadError {
    R::damaged(what)
}

/// Sixteen bytes of a column.
pub(in crate::ledger) fn id(row: &impl Columns, column: &str) -> Result<[u8; 16], ReadError> {
    value::<Uuid>(row, column).map(Uuid::into_bytes)
}

/// A number of a column that is not negative and fits.
pub(in crate::ledger) fn number<T: TryFrom<i64>>(row: &impl Columns, column: &str) -> Result<T, ReadError> {
    let number: i64 = value(row, column)?;
    T::try_from(number).map_err(|_| damaged(row, format!("`{column}` is {number}")))
}

/// A date of a column.
pub(in crate::ledger) fn date(row: &impl Columns, column: &str) -> Result<Date, ReadError> {
    let days: i32 = number(row, column)?;
    Date::from_days(days).ok_or_else(|| damaged(row, format!("`{column}` is {days}")))
}

/// The day of the columns `doctor` and `date`.
pub(in crate::ledger) fn day(row: &impl Columns) -> Result<DayKey, ReadError> {
    Ok(DayKey { doctor: DoctorId::from_bytes(id(row, "doctor")?), date: date(row, "date")? })
}

/// A personal text of two columns. The messages name columns only, never what they hold.
pub(in crate::ledger) fn personal(
    row: &impl Columns,
    key: &str,
    bytes: &str,
) -> Result<Option<PersonalText>, ReadError> {
    let Some(bytes): Option<Vec<u8>> = value(row, bytes)? else { return Ok(None) };
    Ok(Some(PersonalText { key: number(row, key)?, bytes: bytes.into() }))
}

/// The status whose word a column holds.
pub(in crate::ledger) fn status(row: &impl Columns, column: &str) -> Result<Option<Status>, ReadError> {
    let Some(word): Option<&str> = value(row, column)? else { return Ok(None) };
    let found = Status::ALL.into_iter().find(|status| status.word() == word);
    found.map(Some).ok_or_else(|| damaged(row, format!("`{word}` is no status")))
}

/// The role whose word a column holds.
pub(in crate::ledger) fn role(row: &impl Columns, column: &str) -> Result<Role, ReadError> {
    let word: &str = value(row, column)?;
    let roles = [Role::Patient, Role::Doctor, Role::Admin, Role::System];
    let found = roles.into_iter().find(|role| role_word(*role) == word);
    found.ok_or_else(|| damaged(row, format!("`{word}` is no role")))
}

/// The word for a role.
pub(in crate::ledger) const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Patient => "patient",
        Role::Doctor => "doctor",
        Role::Admin => "admin",
        Role::System => "system",
    }
}
