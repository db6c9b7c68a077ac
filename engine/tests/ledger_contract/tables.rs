//! Every row of the ledgers as text, table by table: what a question may hide shows here.
//! Must not know: how the rows came about.

use std::path::Path;

use booking_core::{DayKey, PersonalText, Role, Status};
use engine::ledger::memory::{Contents, DayRow, KeptReminder};
use sqlx::{ConnectOptions, Connection};

/// A table's name, and its rows in the order of keys.
pub(crate) type Tables = Vec<(&'static str, Vec<String>)>;

/// The tables that are built from the journal, with their columns, those of the key first, and how many those are.
const TABLES: [(&str, &str, usize); 9] = [
    (
        "appointment",
        "id doctor date patient start_ms end_ms place status hold_expires_ms reason_key reason created_ms updated_ms version",
        1,
    ),
    ("appointment_history", "appointment version at_ms actor role request from_status to_status reason_key reason", 2),
    ("seat", "doctor date start_ms place appointment", 4),
    (
        "doctor_day",
        "doctor date time_zone time_zone_database first_start_ms last_end_ms slots capacity first_release_ms releases \
         closed_ms closed_reason_key closed_reason epoch sequence",
        2,
    ),
    ("applied_day", "doctor date epoch sequence", 2),
    ("parked_day", "doctor date epoch sequence position reason", 2),
    ("won_key", "until_date doctor date digest", 4),
    (
        "reminder",
        "appointment version kind offset_seconds channel recipient due_ms next_ms status attempts claimer last_error \
         sent_ms fallback message",
        6,
    ),
    ("applied_shard", "coalesce(max(position),0)", 0),
];

/// The rows of `ledger.db` in `directory`, past the ledger that has it open.
pub(crate) async fn in_file(directory: &Path) -> Tables {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.join("ledger.db")).read_only(true);
    let mut connection = options.connect().await.expect("the file opens");
    let mut tables = Tables::new();
    for (table, columns, keys) in TABLES {
        let columns: Vec<_> = columns.split(' ').collect();
        let values: Vec<_> = columns.iter().map(|column| format!("quote({column})")).collect();
        let order = if keys == 0 { "1".to_owned() } else { columns[..keys].join(",") };
        let text = format!("SELECT {} FROM {table} ORDER BY {order}", values.join(" || ' ' || "));
        let rows = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(text)).fetch_all(&mut connection).await;
        tables.push((table, rows.expect("rows")));
    }
    connection.close().await.expect("closed");
    tables
}

/// The same rows of the database at `url`, in the words of SQLite.
pub(crate) async fn in_database(url: &str) -> Tables {
    const SHOW: &str = "CREATE FUNCTION pg_temp.shown(value anyelement) RETURNS text LANGUAGE sql AS $$ SELECT coalesce(\
        CASE pg_typeof(value)::text \
        WHEN 'uuid' THEN 'X''' || upper(replace(value::text, '-', '')) || '''' \
        WHEN 'bytea' THEN 'X''' || upper(substr(value::text, 3)) || '''' \
        WHEN 'text' THEN '''' || value::text || '''' ELSE value::text END, 'NULL') $$";
    let mut connection = sqlx::PgConnection::connect(url).await.expect("connected");
    sqlx::raw_sql(SHOW).execute(&mut connection).await.expect("a function");
    let mut tables = Tables::new();
    for (table, columns, keys) in TABLES {
        let columns: Vec<_> = columns.split(' ').collect();
        let values: Vec<_> = columns.iter().map(|column| format!("pg_temp.shown({column})")).collect();
        let order = if keys == 0 { "1".to_owned() } else { columns[..keys].join(",") };
        let text = format!("SELECT {} FROM {table} ORDER BY {order}", values.join(" || ' ' || "));
        let rows = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(text)).fetch_all(&mut connection).await;
        tables.push((table, rows.expect("rows")));
    }
    connection.close().await.expect("closed");
    tables
}

/// The same rows of the ledger in memory.
pub(crate) fn in_memory(contents: &Contents) -> Tables {
    let rows: [Vec<String>; 9] = [
        contents.appointments.values().map(|(day, row)| appointment(*day, row)).collect(),
        contents.history.iter().map(|((id, version), row)| step(id.as_bytes(), *version, row)).collect(),
        contents
            .seats
            .iter()
            .map(|((day, seat), id)| line(&[key(*day), number(seat.start.0), number(seat.place), blob(id.as_bytes())]))
            .collect(),
        contents.days.iter().map(|(day, row)| day_row(*day, row)).collect(),
        contents
            .applied
            .iter()
            .map(|(day, version)| line(&[key(*day), number(version.epoch), number(version.sequence as i64)]))
            .collect(),
        contents.parked.values().map(parked).collect(),
        contents
            .won_keys
            .keys()
            .map(|(until, day, digest)| line(&[number(until.days()), key(*day), blob(&digest.0)]))
            .collect(),
        contents.reminders.values().map(reminder).collect(),
        vec![number(contents.cursor as i64)],
    ];
    TABLES.into_iter().map(|(table, ..)| table).zip(rows).collect()
}

fn appointment(day: DayKey, row: &booking_core::Appointment) -> String {
    line(&[
        blob(row.id.as_bytes()),
        key(day),
        blob(row.patient.as_bytes()),
        number(row.start.0),
        number(row.end.0),
        number(row.place),
        word(row.status),
        optional(row.hold_expires_at, |at| number(at.0)),
        personal(row.cancellation_reason.as_ref()),
        number(row.created_at.0),
        number(row.updated_at.0),
        number(row.version),
    ])
}

fn step(appointment: &[u8], version: u32, row: &engine::ledger::memory::StepRow) -> String {
    let role = match row.step.role {
        Role::Patient => "patient",
        Role::Doctor => "doctor",
        Role::Admin => "admin",
        Role::System => "system",
    };
    line(&[
        blob(appointment),
        number(version),
        number(row.step.at.0),
        blob(row.step.actor.as_bytes()),
        text(role),
        blob(row.request.as_bytes()),
        optional(row.step.from, word),
        word(row.step.to),
        personal(row.step.reason.as_ref()),
    ])
}

/// As the applier writes it: pending, or void from the first.
fn reminder(kept: &KeptReminder) -> String {
    let row = &kept.row;
    let fallback = row.fallback.iter().map(|channel| (*channel as u8).to_string()).collect::<Vec<_>>().join(",");
    line(&[
        blob(row.key.appointment.as_bytes()),
        number(row.key.version),
        number(row.key.kind as i64),
        number(row.key.offset_seconds),
        number(row.key.channel as i64),
        number(row.key.recipient as i64),
        number(row.due_at.0),
        optional(row.status.is_open().then_some(row.next_at), |at| number(at.0)),
        text(row.status.word()),
        number(row.attempts),
        optional(kept.claimer, |claimer| blob(claimer.as_bytes())),
        optional(row.last_error.as_deref(), text),
        optional(row.sent_at, |at| number(at.0)),
        optional((!fallback.is_empty()).then_some(&*fallback), text),
        "NULL".to_owned(),
    ])
}

fn day_row(day: DayKey, row: &DayRow) -> String {
    let definition = &row.definition;
    let places: i64 = definition.slots.iter().map(|slot| i64::from(slot.capacity)).sum();
    let reason = row.closed.as_ref().and_then(|(_, reason)| reason.as_ref());
    line(&[
        key(day),
        text(&definition.time_zone),
        text(&definition.time_zone_database),
        number(definition.slots[0].start.0),
        number(definition.slots[definition.slots.len() - 1].end.0),
        number(definition.slots.len() as i64),
        number(places),
        number(definition.releases[0].at.0),
        number(definition.releases.len() as i64),
        optional(row.closed.as_ref(), |(at, _)| number(at.0)),
        personal(reason),
        number(row.version.epoch),
        number(row.version.sequence as i64),
    ])
}

fn parked(mark: &engine::ledger::ParkedDay) -> String {
    let (epoch, sequence) = (number(mark.version.epoch), number(mark.version.sequence as i64));
    line(&[key(mark.day), epoch, sequence, number(mark.position as i64), text(&mark.reason)])
}

fn line(values: &[String]) -> String {
    values.join(" ")
}

fn key(day: DayKey) -> String {
    line(&[blob(day.doctor.as_bytes()), number(day.date.days())])
}

fn number(number: impl Into<i64>) -> String {
    number.into().to_string()
}

fn text(text: &str) -> String {
    format!("'{text}'")
}

fn word(status: Status) -> String {
    text(status.word())
}

fn blob(bytes: &[u8]) -> String {
    format!("X'{}'", bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>())
}

fn optional<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "NULL".to_owned(), show)
}

fn personal(value: Option<&PersonalText>) -> String {
    optional(value, |value| line(&[number(value.key), blob(&value.bytes)])).replace("NULL", "NULL NULL")
}
