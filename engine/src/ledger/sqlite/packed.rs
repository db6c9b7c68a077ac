//! Reads many short rows fast: a page of them comes as one value, so that what a row costs beside SQLite's own work is a few
//! bytes copied. The next page is read while its predecessor is looked at.
//! Must not know: tables, what a row means.

use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqlitePool};
use tokio::task::JoinHandle;

use super::words::{damaged, read_error};
use crate::journal::ReadError;
use crate::ledger::sql::columns::{number, value};

/// Rows of one page: some hundred kilobytes, and a few milliseconds of the connection's thread.
pub(super) const PAGE_ROWS: usize = 4_096;

/// The rows of a page, one after another: ids of sixteen bytes first, then numbers, each as decimal digits and a comma.
struct Page {
    count: usize,
    bytes: Vec<u8>,
}

type PageRead = Result<Page, ReadError>;

/// What is left of a page, to be read field by field.
pub(super) struct Fields<'page>(&'page [u8]);

impl Fields<'_> {
    /// Sixteen bytes.
    pub(super) fn id(&mut self) -> Result<[u8; 16], ReadError> {
        let (id, rest) = self.0.split_first_chunk().ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(*id)
    }

    /// A number, or `None` if there is none.
    pub(super) fn optional(&mut self) -> Result<Option<i64>, ReadError> {
        let end = self.0.iter().position(|byte| *byte == b',').ok_or_else(cut_short)?;
        let (digits, rest) = (&self.0[..end], &self.0[end + 1..]);
        self.0 = rest;
        if digits.is_empty() {
            return Ok(None);
        }
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        number.map(Some).ok_or_else(|| damaged("a number of a page is none".to_owned()))
    }

    /// A number that fits.
    pub(super) fn number<T: TryFrom<i64>>(&mut self) -> Result<T, ReadError> {
        let number = self.optional()?.ok_or_else(|| damaged("a number of a page is missing".to_owned()))?;
        T::try_from(number).map_err(|_| damaged(format!("a number of a page is {number}")))
    }
}

fn cut_short() -> ReadError {
    damaged("a page is cut short".to_owned())
}

/// Where a row stands in the index that is read: both kinds that are read have such keys.
pub(super) type Key<'row> = (i64, &'row [u8], i64, &'row [u8]);

/// How the rows of one kind are read.
pub(super) struct Paging<T> {
    /// Answers with one row: `count`, and as `rows` everything that so many rows hold, as [`Fields`] reads it. They are the
    /// first [`PAGE_ROWS`] rows after a key, by that key. The key's four values are bound first, then what the caller says, then
    /// the number of rows.
    pub(super) statement: &'static str,
    /// Reads one row.
    pub(super) read: fn(&mut Fields<'_>) -> Result<T, ReadError>,
    /// The key of a row.
    pub(super) key: fn(&T) -> Key<'_>,
}

impl<T> Paging<T> {
    /// Passes on every row whose key begins with `first` or a greater number, page by page, until one is not full.
    pub(super) async fn visit(
        &self,
        readers: &SqlitePool,
        first: i64,
        bounds: &[i64],
        visit: &mut (dyn FnMut(T) + Send),
    ) -> Result<(), ReadError> {
        // No row has a key with empty ids.
        let mut next = Some(self.fetch(readers, (first, &[], i64::MIN, &[]), bounds)?);
        while let Some(page) = next.take() {
            let page =
                page.await.map_err(|error| ReadError::Unavailable(format!("a read of the ledger ended: {error}")));
            let rows = self.rows(&page??)?;
            // Within a page the order is left to SQLite.
            let last = rows.iter().max_by(|one, other| (self.key)(one).cmp(&(self.key)(other)));
            if let Some(last) = last.filter(|_| rows.len() >= PAGE_ROWS) {
                next = Some(self.fetch(readers, (self.key)(last), bounds)?);
            }
            rows.into_iter().for_each(&mut *visit);
        }
        Ok(())
    }

    /// Starts reading a page, in a task of its own: the connection's thread is at work while the caller is.
    fn fetch(&self, readers: &SqlitePool, after: Key<'_>, bounds: &[i64]) -> Result<JoinHandle<PageRead>, ReadError> {
        let arguments = bind(after, bounds).map_err(|error| ReadError::Unavailable(error.to_string()))?;
        let (readers, statement) = (readers.clone(), self.statement);
        Ok(tokio::spawn(async move {
            let row = sqlx::query_with(statement, arguments).fetch_one(&readers).await;
            let row = row.map_err(|error| read_error(&error))?;
            let bytes = value::<Option<Vec<u8>>>(&row, "rows")?.unwrap_or_default();
            Ok(Page { count: number(&row, "count")?, bytes })
        }))
    }

    fn rows(&self, page: &Page) -> Result<Vec<T>, ReadError> {
        let mut fields = Fields(&page.bytes);
        let mut rows = Vec::with_capacity(page.count.min(PAGE_ROWS));
        for _ in 0..page.count {
            rows.push((self.read)(&mut fields)?);
        }
        if fields.0.is_empty() { Ok(rows) } else { Err(damaged("a page holds more than its rows".to_owned())) }
    }
}

fn bind((first, second, third, fourth): Key<'_>, bounds: &[i64]) -> Result<SqliteArguments, BoxDynError> {
    let mut arguments = SqliteArguments::default();
    arguments.add(first)?;
    arguments.add(second.to_vec())?;
    arguments.add(third)?;
    arguments.add(fourth.to_vec())?;
    for bound in bounds {
        arguments.add(*bound)?;
    }
    arguments.add(PAGE_ROWS as i64)?;
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: Paging<([u8; 16], Option<i64>)> = Paging {
        statement: "",
        read: |fields| Ok((fields.id()?, fields.optional()?)),
        key: |(id, number)| (number.unwrap_or_default(), id, 0, &[]),
    };

    /// Ids of commas, which stand between numbers too.
    fn page() -> Page {
        let bytes = [&[b','; 16][..], b"-70,", &[0; 16], b",", &[255; 16], b"9223372036854775807,"].concat();
        Page { count: 3, bytes }
    }

    #[test]
    fn rows_are_read_field_by_field() {
        let rows = PAIRS.rows(&page()).expect("whole");
        assert_eq!(rows, [([b','; 16], Some(-70)), ([0; 16], None), ([255; 16], Some(i64::MAX))]);
    }

    #[test]
    fn a_page_that_is_not_whole_is_refused() {
        for cut in 0..page().bytes.len() {
            let mut damaged = page();
            damaged.bytes.truncate(cut);
            assert!(matches!(PAIRS.rows(&damaged), Err(ReadError::Damaged(_))), "cut at {cut}");
        }
        for count in [0, 2, 4, usize::MAX] {
            assert!(matches!(PAIRS.rows(&Page { count, ..page() }), Err(ReadError::Damaged(_))), "{count} rows");
        }
        let mut no_number = page();
        no_number.bytes[17] = b'x';
        assert!(matches!(PAIRS.rows(&no_number), Err(ReadError::Damaged(_))));
    }
}
