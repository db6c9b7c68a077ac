//! The statements over reminders as SQLite wants them: nobody else writes, so nothing is locked, and all rows have one owner.
//! Must not know: what is done with rows.

use crate::ledger::sql::bulk::{BulkStatement, Kind};
use crate::ledger::sql::reminder_rows::{ReminderStatements, has_key, keyed, select_reminders};

/// `OR IGNORE` needs no journal of the statement's own.
pub(super) static STATEMENTS: ReminderStatements = ReminderStatements {
    insert: BulkStatement::list(
        "INSERT OR IGNORE INTO reminder (appointment, version, kind, offset_seconds, channel, recipient, due_ms, \
         fallback, next_ms, status, attempts) SELECT planned.column1, planned.column2, planned.column3, \
         planned.column4, planned.column5, planned.column6, planned.column7, planned.column8, \
         CASE WHEN a.version > planned.column2 THEN NULL ELSE planned.column7 END, \
         CASE WHEN a.version > planned.column2 THEN 'cancelled' ELSE 'pending' END, 0 FROM ",
        keyed!(Integer, Text, Shard),
        " AS planned CROSS JOIN appointment a WHERE a.id = planned.column1",
    ),
    outdated: BulkStatement::list(
        "SELECT r.appointment, r.version, r.kind, r.offset_seconds, r.channel, r.recipient FROM ",
        &[Kind::Id, Kind::Integer],
        " AS newer CROSS JOIN reminder r WHERE r.appointment = newer.column1 AND r.version < newer.column2 \
         AND r.status IN ('pending', 'dead')",
    ),
    locked: BulkStatement::list(
        select_reminders!(""),
        keyed!(),
        concat!(
            " AS wanted CROSS JOIN reminder r CROSS JOIN appointment a WHERE ",
            has_key!("r", "wanted"),
            " AND a.id = r.appointment"
        ),
    ),
    shards: None,
    due: select_reminders!(
        "reminder r CROSS JOIN appointment a WHERE r.next_ms < $1 AND (r.next_ms, r.appointment, r.version, r.kind, \
         r.offset_seconds, r.channel, r.recipient) > ($3, $4, $5, $6, $7, $8, $9) AND a.id = r.appointment \
         ORDER BY r.next_ms, r.appointment, r.version, r.kind, r.offset_seconds, r.channel, r.recipient LIMIT $2"
    ),
    dead_count: "SELECT count(*) AS count FROM reminder WHERE message IS NOT NULL",
};
