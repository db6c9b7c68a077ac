//! Many rows with one statement: a list of values a column, which the server puts together again with `UNNEST`.
//! Must not know: which table, what a row means.
//!
//! One text whatever the number of rows, so that it is planned once, and no limit to the number of values.

use booking_core::DayKey;
use sqlx::Arguments;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use uuid::Uuid;

use crate::ledger::sql::bulk::{Bind, BulkStatement, Conflict, Form, Kind, replacing};

/// The values of one column.
enum List {
    Ids(Vec<Uuid>),
    Integers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

/// The values of all rows, column by column.
pub(in crate::ledger) struct Lists {
    lists: Vec<List>,
    /// The column that is bound next.
    next: usize,
}

impl Lists {
    fn new(kinds: &[Kind], rows: usize) -> Self {
        let list = |kind: &Kind| match kind {
            Kind::Id => List::Ids(Vec::with_capacity(rows)),
            Kind::Integer | Kind::Date | Kind::Shard => List::Integers(Vec::with_capacity(rows)),
            Kind::Text => List::Texts(Vec::with_capacity(rows)),
            Kind::Bytes => List::Bytes(Vec::with_capacity(rows)),
        };
        Self { lists: kinds.iter().map(list).collect(), next: 0 }
    }

    fn next(&mut self) -> &mut List {
        let at = self.next;
        self.next = (at + 1) % self.lists.len();
        &mut self.lists[at]
    }

    fn arguments(self) -> Result<PgArguments, BoxDynError> {
        let mut arguments = PgArguments::default();
        for list in self.lists {
            match list {
                List::Ids(ids) => arguments.add(ids)?,
                List::Integers(numbers) => arguments.add(numbers)?,
                List::Texts(texts) => arguments.add(texts)?,
                List::Bytes(bytes) => arguments.add(bytes)?,
            }
        }
        Ok(arguments)
    }
}

fn wrong() -> BoxDynError {
    BoxDynError::from("a value is bound to a column of another kind")
}

impl Bind for Lists {
    fn id(&mut self, id: &[u8; 16]) -> Result<(), BoxDynError> {
        let List::Ids(ids) = self.next() else { return Err(wrong()) };
        ids.push(Uuid::from_bytes(*id));
        Ok(())
    }

    fn optional_integer(&mut self, number: Option<i64>) -> Result<(), BoxDynError> {
        let List::Integers(numbers) = self.next() else { return Err(wrong()) };
        numbers.push(number);
        Ok(())
    }

    fn shard(&mut self, day: DayKey) -> Result<(), BoxDynError> {
        self.integer(day.shard().into())
    }

    fn optional_text(&mut self, text: Option<&str>) -> Result<(), BoxDynError> {
        let List::Texts(texts) = self.next() else { return Err(wrong()) };
        texts.push(text.map(str::to_owned));
        Ok(())
    }

    fn optional_bytes(&mut self, bytes: Option<&[u8]>) -> Result<(), BoxDynError> {
        let List::Bytes(list) = self.next() else { return Err(wrong()) };
        list.push(bytes.map(<[u8]>::to_vec));
        Ok(())
    }
}

/// The text of `statement`, and the values of `rows`, each bound by `bind`.
pub(super) fn bound<T>(
    statement: &'static BulkStatement,
    rows: &[T],
    bind: impl Fn(&T, &mut Lists) -> Result<(), BoxDynError>,
) -> Result<(&'static str, PgArguments), sqlx::Error> {
    let mut lists = Lists::new(&statement.kinds(), rows.len());
    for row in rows {
        bind(row, &mut lists).map_err(sqlx::Error::Encode)?;
    }
    let arguments = lists.arguments().map_err(sqlx::Error::Encode)?;
    Ok((statement.whole.get_or_init(|| text(&statement.form)), arguments))
}

/// The statement over lists of any length.
pub(super) fn text(form: &Form) -> String {
    match form {
        Form::Insert { table, columns, conflict } => {
            let names = || columns.iter().map(|(name, _)| *name);
            let kinds: Vec<Kind> = columns.iter().map(|(_, kind)| *kind).collect();
            let tail = match conflict {
                Conflict::Refuse => String::new(),
                Conflict::Ignore => " ON CONFLICT DO NOTHING".to_owned(),
                Conflict::Replace { key, only_if } => replacing(names(), key, only_if),
            };
            let listed = names().collect::<Vec<_>>().join(", ");
            format!("INSERT INTO {table} ({listed}) SELECT * FROM UNNEST({}){tail}", lists(&kinds))
        }
        Form::List { head, columns, tail } => {
            let names = (1..=columns.len()).map(|number| format!("column{number}")).collect::<Vec<_>>().join(", ");
            format!("{head}(SELECT * FROM UNNEST({}) AS list ({names})){tail}", lists(columns))
        }
    }
}

/// `$1::uuid[], …`
fn lists(kinds: &[Kind]) -> String {
    let list = |(number, kind): (usize, &Kind)| {
        let array = match kind {
            Kind::Id => "uuid",
            Kind::Integer | Kind::Date | Kind::Shard => "bigint",
            Kind::Text => "text",
            Kind::Bytes => "bytea",
        };
        format!("${}::{array}[]", number + 1)
    };
    kinds.iter().enumerate().map(list).collect::<Vec<_>>().join(", ")
}
