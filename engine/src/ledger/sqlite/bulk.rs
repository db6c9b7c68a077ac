//! Many rows with few statements: one prepared statement a chunk, in a few fixed sizes.
//! Must not know: which table, what a row means.
//!
//! About as fast as `json_each` over one document (57,000 rows of three tables a second against 54,000), without a second
//! notation for every value.

use std::sync::OnceLock;

use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments, Encode, Sqlite, Type};

/// Rows a statement, largest first. The largest stays far below SQLite's 32,766 bound values; the last must be 1.
const CHUNKS: [usize; 5] = [512, 128, 32, 8, 1];

/// A statement over a list of rows: `head`, then `(?, …)` once a row, then `tail`.
pub(super) struct BulkStatement {
    head: &'static str,
    columns: usize,
    tail: &'static str,
    texts: [OnceLock<String>; CHUNKS.len()],
}

/// The values of one chunk, bound in the order of the columns.
pub(super) struct Values(SqliteArguments);

impl Values {
    /// Binds the next value.
    pub(super) fn push<'value, T>(&mut self, value: T) -> Result<(), BoxDynError>
    where
        T: Encode<'value, Sqlite> + Type<Sqlite>,
    {
        self.0.add(value)
    }

    /// Binds 16 bytes (or 20, or none).
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), BoxDynError> {
        self.0.add(bytes.to_vec())
    }
}

impl BulkStatement {
    /// `columns` is the number of values a row.
    pub(super) const fn new(head: &'static str, columns: usize, tail: &'static str) -> Self {
        Self { head, columns, tail, texts: [const { OnceLock::new() }; CHUNKS.len()] }
    }

    /// Runs it over `rows`, each bound by `bind`; returns the number of rows that changed.
    pub(super) async fn execute<T>(
        &'static self,
        connection: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(&T, &mut Values) -> Result<(), BoxDynError>,
    ) -> Result<u64, sqlx::Error> {
        let mut changed = 0;
        for (text, chunk) in self.chunks(rows) {
            let values = self.values(chunk, &bind)?;
            changed += sqlx::query_with(text, values).execute(&mut *connection).await?.rows_affected();
        }
        Ok(changed)
    }

    /// Runs it over `rows` and returns what it answers.
    pub(super) async fn fetch<T>(
        &'static self,
        connection: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(&T, &mut Values) -> Result<(), BoxDynError>,
    ) -> Result<Vec<sqlx::sqlite::SqliteRow>, sqlx::Error> {
        let mut answers = Vec::new();
        for (text, chunk) in self.chunks(rows) {
            let values = self.values(chunk, &bind)?;
            answers.extend(sqlx::query_with(text, values).fetch_all(&mut *connection).await?);
        }
        Ok(answers)
    }

    fn values<T>(
        &self,
        chunk: &[T],
        bind: impl Fn(&T, &mut Values) -> Result<(), BoxDynError>,
    ) -> Result<SqliteArguments, sqlx::Error> {
        let mut values = Values(SqliteArguments::default());
        values.0.reserve(chunk.len() * self.columns, 0);
        for row in chunk {
            bind(row, &mut values).map_err(sqlx::Error::Encode)?;
        }
        Ok(values.0)
    }

    /// Cuts `rows` into chunks of the fixed sizes, each with its text.
    fn chunks<'rows, T>(&'static self, mut rows: &'rows [T]) -> Vec<(&'static str, &'rows [T])> {
        let mut chunks = Vec::with_capacity(rows.len() / CHUNKS[0] + CHUNKS.len());
        for (position, size) in CHUNKS.into_iter().enumerate() {
            while rows.len() >= size {
                let (chunk, rest) = rows.split_at(size);
                chunks.push((self.texts[position].get_or_init(|| self.text(size)).as_str(), chunk));
                rows = rest;
            }
        }
        chunks
    }

    /// The statement for so many rows.
    pub(super) fn text(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns].join(","));
        format!("{}{}{}", self.head, vec![row.as_str(); rows].join(","), self.tail)
    }
}
