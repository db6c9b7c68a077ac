//! Is the schema of a SQLite file what the migrations that it has seen make?
//! Must not know: which file, what the tables mean.
//!
//! SQLite's own check takes the text of a schema as it finds it. A text in which a bit has changed may still be SQL, and only refuse
//! the next row, or take any.

use std::collections::BTreeMap;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use crate::verify::finding::{Findings, Kind};

/// In the order in which they were run: columns that were added stand in that order.
const MIGRATIONS: &str = "SELECT version, success, checksum FROM _sqlx_migrations ORDER BY rowid";
/// As bytes, since a damaged text need not be text. The list of migrations is the library's own table, and what SQLite adds by itself
/// has no text.
const OBJECTS: &str = "
    SELECT CAST(type AS BLOB) AS kind, CAST(name AS BLOB) AS name, CAST(tbl_name AS BLOB) AS owner, CAST(sql AS BLOB) AS text
    FROM sqlite_schema
    WHERE name NOT IN ('_sqlx_migrations', 'sqlite_autoindex__sqlx_migrations_1', 'sqlite_stat1', 'sqlite_stat4')";

/// Kind and name of an object, and what it is: of which table, and its text.
type Objects = BTreeMap<(Vec<u8>, Vec<u8>), (Vec<u8>, Option<Vec<u8>>)>;

/// Adds a finding for everything in which the schema of `file` differs from what `migrator` makes of an empty file with the migrations
/// that `file` lists, and for every one of those that `migrator` does not know as it was. A file of an older program is in order.
pub(crate) async fn examine(
    connection: &mut SqliteConnection,
    migrator: &Migrator,
    file: &str,
    findings: &mut Findings,
) -> Result<(), sqlx::Error> {
    let mut model = SqliteConnectOptions::new().in_memory(true).disable_statement_logging().connect().await?;
    for row in &sqlx::query(MIGRATIONS).fetch_all(&mut *connection).await? {
        let (version, is_done): (i64, bool) = (row.try_get("version")?, row.try_get("success")?);
        let checksum: Vec<u8> = row.try_get("checksum")?;
        match migrator.iter().find(|migration| migration.version == version) {
            Some(known) if is_done && *known.checksum == *checksum => {
                sqlx::raw_sql(known.sql.clone()).execute(&mut model).await?;
            }
            Some(_) => findings.add(Kind::SchemaDiffers, file, format!("its migration {version} is another one")),
            None => findings.add(Kind::SchemaDiffers, file, format!("this program has no migration {version}")),
        }
    }
    let (found, expected) = (objects(connection).await?, objects(&mut model).await?);
    model.close().await?;
    compare(&found, &expected, file, findings);
    Ok(())
}

async fn objects(connection: &mut SqliteConnection) -> Result<Objects, sqlx::Error> {
    let object = |row: &SqliteRow| -> Result<_, sqlx::Error> {
        Ok(((row.try_get("kind")?, row.try_get("name")?), (row.try_get("owner")?, row.try_get("text")?)))
    };
    sqlx::query(OBJECTS).fetch_all(connection).await?.iter().map(object).collect()
}

fn compare(found: &Objects, expected: &Objects, file: &str, findings: &mut Findings) {
    let words = |(kind, name): &(Vec<u8>, Vec<u8>)| {
        format!("the {} {}", String::from_utf8_lossy(kind), String::from_utf8_lossy(name))
    };
    for (object, what) in expected {
        match found.get(object) {
            Some(there) if there == what => {}
            Some(_) => {
                let what = format!("{} is not as its migrations make it", words(object));
                findings.add(Kind::SchemaDiffers, file, what);
            }
            None => findings.add(Kind::SchemaDiffers, file, format!("{} is not there", words(object))),
        }
    }
    for object in found.keys().filter(|object| !expected.contains_key(*object)) {
        findings.add(Kind::SchemaDiffers, file, format!("no migration makes {}", words(object)));
    }
}

#[cfg(test)]
mod tests;
