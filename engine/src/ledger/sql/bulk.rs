//! Statements over many rows, told once for every database.
//! Must not know: how a database takes a list of rows, what a row means.

use std::sync::OnceLock;

use booking_core::DayKey;
use sqlx::error::BoxDynError;

/// What a column of a list holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::ledger) enum Kind {
    /// Sixteen bytes.
    Id,
    /// A number.
    Integer,
    /// Days since 1970.
    Date,
    /// The shard of a day: a column that only a database with several owners has.
    Shard,
    /// A text.
    Text,
    /// Bytes.
    Bytes,
}

/// The values of a list, bound row after row in the order of the columns.
pub(in crate::ledger) trait Bind {
    /// Sixteen bytes.
    fn id(&mut self, id: &[u8; 16]) -> Result<(), BoxDynError>;

    /// A number, a date too.
    fn integer(&mut self, number: i64) -> Result<(), BoxDynError> {
        self.optional_integer(Some(number))
    }

    /// A number, or none.
    fn optional_integer(&mut self, number: Option<i64>) -> Result<(), BoxDynError>;

    /// The shard of `day`, where there is such a column.
    fn shard(&mut self, day: DayKey) -> Result<(), BoxDynError>;

    /// A text.
    fn text(&mut self, text: &str) -> Result<(), BoxDynError> {
        self.optional_text(Some(text))
    }

    /// A text, or none.
    fn optional_text(&mut self, text: Option<&str>) -> Result<(), BoxDynError>;

    /// Bytes.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), BoxDynError> {
        self.optional_bytes(Some(bytes))
    }

    /// Bytes, or none.
    fn optional_bytes(&mut self, bytes: Option<&[u8]>) -> Result<(), BoxDynError>;

    /// A doctor and a date.
    fn day(&mut self, day: DayKey) -> Result<(), BoxDynError> {
        self.id(day.doctor.as_bytes())?;
        self.integer(day.date.days().into())
    }
}

/// A column's name and what it holds.
pub(in crate::ledger) type Column = (&'static str, Kind);

/// What becomes of a row whose key is there already.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) enum Conflict {
    /// The statement fails.
    Refuse,
    /// It is left out.
    Ignore,
    /// It takes the place of what is there, if the condition holds.
    Replace {
        /// The columns of the key.
        key: &'static [&'static str],
        /// Over `excluded` (the new row) and the table's name (the old one); empty: always.
        only_if: &'static str,
    },
}

/// A statement over a list of rows.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) enum Form {
    /// Writes them into a table.
    Insert {
        /// Which.
        table: &'static str,
        /// In the order in which they are bound.
        columns: &'static [Column],
        /// Of a key that is there already.
        conflict: Conflict,
    },
    /// `head`, then the list as a table whose columns are `column1`, `column2` and so on, then `tail`.
    List {
        /// Ends where a table is named.
        head: &'static str,
        /// Of the list.
        columns: &'static [Kind],
        /// Begins after the table.
        tail: &'static str,
    },
}

/// How many texts a dialect may have of one statement, by the number of rows.
pub(in crate::ledger) const TEXTS: usize = 5;

/// A [`Form`] and its texts, made when they are first wanted. A statement is run by one dialect or the other in a program, and
/// each has texts of its own.
pub(in crate::ledger) struct BulkStatement {
    pub(in crate::ledger) form: Form,
    /// By sizes of a list: for a database that wants one text a size.
    pub(in crate::ledger) sized: [OnceLock<String>; TEXTS],
    /// For a database that takes a list of any size.
    pub(in crate::ledger) whole: OnceLock<String>,
}

impl BulkStatement {
    /// Writes rows.
    pub(in crate::ledger) const fn insert(table: &'static str, columns: &'static [Column], conflict: Conflict) -> Self {
        Self::new(Form::Insert { table, columns, conflict })
    }

    /// Does something with the rows of a list.
    pub(in crate::ledger) const fn list(head: &'static str, columns: &'static [Kind], tail: &'static str) -> Self {
        Self::new(Form::List { head, columns, tail })
    }

    const fn new(form: Form) -> Self {
        Self { form, sized: [const { OnceLock::new() }; TEXTS], whole: OnceLock::new() }
    }

    /// What the columns hold, in the order in which they are bound.
    pub(in crate::ledger) fn kinds(&self) -> Vec<Kind> {
        match self.form {
            Form::Insert { columns, .. } => columns.iter().map(|(_, kind)| *kind).collect(),
            Form::List { columns, .. } => columns.to_vec(),
        }
    }

    /// How many columns there are.
    pub(in crate::ledger) const fn width(&self) -> usize {
        match self.form {
            Form::Insert { columns, .. } => columns.len(),
            Form::List { columns, .. } => columns.len(),
        }
    }
}

/// ` ON CONFLICT … DO UPDATE …` with the columns that are not of the key.
pub(in crate::ledger) fn replacing(names: impl Iterator<Item = &'static str>, key: &[&str], only_if: &str) -> String {
    let others = names.filter(|name| !key.contains(name)).map(|name| format!("{name} = excluded.{name}"));
    let condition = if only_if.is_empty() { String::new() } else { format!(" WHERE {only_if}") };
    format!(" ON CONFLICT ({}) DO UPDATE SET {}{condition}", key.join(", "), others.collect::<Vec<_>>().join(", "))
}
