//! What becomes of reminders, in the ledger's database: looked for, claimed, sent or given up; the dead letters.
//! Must not know: who sends, how, why an attempt failed.
//!
//! Written over the registry's connections, in tasks of their own: the applier never waits for one, and a caller who goes away leaves
//! no transaction half-way. A claimer proves first that it owns the rows' shards, then locks the rows in the order of their keys, as
//! the applier does.

use async_trait::async_trait;
use booking_core::{AppointmentId, UtcMillis};
use uuid::Uuid;

use super::apply::transact;
use super::bulk::{Bind, BulkStatement, Kind};
use super::columns::number;
use super::reminder_rows::{Kept, bind_key, bind_planned, has_key, kept, key, keyed, reminder, select_reminders};
use super::statement::Statement;
use super::store::{Store, Stored};
use super::{Dialect, Writer};
use crate::journal::ReadError;
use crate::ledger::ApplyError;
use crate::ledger::reminders::{Claimer, Outcome, ReminderKey, ReminderRow, ReminderStatus, ReminderStore, Settled};
use crate::ownership::ShardSet;

/// Dead rows that are made pending in one transaction: some milliseconds.
const REDRIVEN_AT_ONCE: usize = 1_024;

const OF_APPOINTMENT: &str =
    select_reminders!("reminder r CROSS JOIN appointment a WHERE r.appointment = $1 AND a.id = r.appointment");
const DEAD: &str = select_reminders!(
    "reminder r CROSS JOIN appointment a WHERE r.message IS NOT NULL AND (r.due_ms, r.message) > ($1, $2) \
     AND a.id = r.appointment ORDER BY r.due_ms, r.message LIMIT $3"
);
const BY_MESSAGE: &str =
    select_reminders!("reminder r CROSS JOIN appointment a WHERE r.message = $1 AND a.id = r.appointment");
const DISCARD: &str = "UPDATE reminder SET status = 'failed', message = NULL WHERE message = $1";

static PENDING_OF: BulkStatement = BulkStatement::list(
    select_reminders!(""),
    &[Kind::Id],
    " AS wanted CROSS JOIN reminder r CROSS JOIN appointment a \
     WHERE r.appointment = wanted.column1 AND r.status = 'pending' AND a.id = r.appointment",
);

/// The list comes first in the plan of an update too: few rows, each found by its key.
static CLAIM: BulkStatement = BulkStatement::list(
    "UPDATE reminder SET status = 'sending', attempts = reminder.attempts + 1, claimer = taken.column7, \
     next_ms = taken.column8 FROM ",
    keyed!(Id, Integer),
    concat!(" AS taken WHERE ", has_key!("reminder", "taken")),
);

static SETTLE: BulkStatement = BulkStatement::list(
    "UPDATE reminder SET status = done.column7, next_ms = done.column8, last_error = done.column9, \
     sent_ms = done.column10, attempts = done.column11, claimer = NULL FROM ",
    keyed!(Text, Integer, Text, Integer, Integer),
    concat!(" AS done WHERE ", has_key!("reminder", "done")),
);

/// Dead rows are found by their message ids.
static BURY: BulkStatement = BulkStatement::list(
    "UPDATE reminder SET message = dead.column7 FROM ",
    keyed!(Id),
    concat!(" AS dead WHERE ", has_key!("reminder", "dead")),
);

static REDRIVE: BulkStatement = BulkStatement::list(
    "UPDATE reminder SET status = 'pending', attempts = 0, next_ms = again.column7, message = NULL FROM ",
    keyed!(Integer),
    concat!(" AS again WHERE ", has_key!("reminder", "again")),
);

/// Those that look for rows, for the test of their plans.
#[cfg(test)]
pub(in crate::ledger) static BULK_STATEMENTS: [&BulkStatement; 5] = [&PENDING_OF, &CLAIM, &SETTLE, &BURY, &REDRIVE];
#[cfg(test)]
pub(in crate::ledger) const STATEMENTS: [&str; 4] = [OF_APPOINTMENT, DEAD, BY_MESSAGE, DISCARD];

#[async_trait]
impl<L: Stored> ReminderStore for L {
    async fn due(
        &self,
        shards: &ShardSet,
        mut after: Option<(UtcMillis, ReminderKey)>,
        until: UtcMillis,
        limit: usize,
    ) -> Result<Vec<ReminderRow>, ReadError> {
        let mut found = Vec::new();
        loop {
            let rows = due::<L::Dialect>(self.store(), shards, after, until, limit).await?;
            let is_last = rows.len() < limit;
            after = rows.last().map(|row| (row.next_at, row.key));
            // Where rows have no owner in the database, those of other days are left out here.
            found.extend(rows.into_iter().filter(|row| shards.contains(row.day.shard())));
            if is_last || found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
        }
    }

    async fn pending_of(&self, appointments: &[AppointmentId]) -> Result<Vec<ReminderRow>, ReadError> {
        let bind = |id: &AppointmentId, values: &mut <L::Dialect as Dialect>::Rows| values.id(id.as_bytes());
        let rows = L::Dialect::ask_rows(&self.store().readers, &PENDING_OF, appointments, bind).await?;
        rows.iter().map(reminder).collect()
    }

    async fn of_appointment(&self, id: AppointmentId) -> Result<Vec<ReminderRow>, ReadError> {
        let rows = L::Dialect::ask(&self.store().readers, Statement::new(OF_APPOINTMENT).bind(id.0)).await?;
        let mut rows = rows.iter().map(reminder).collect::<Result<Vec<_>, _>>()?;
        rows.sort_unstable_by_key(|row| (row.key.version, row.due_at, row.key));
        Ok(rows)
    }

    async fn claim(
        &self,
        keys: &[ReminderKey],
        claimer: Claimer,
        now: UtcMillis,
        lapses_at: UtcMillis,
    ) -> Result<Vec<ReminderRow>, ApplyError> {
        let (writer, keys) = (self.store().beside_the_applier(), keys.to_vec());
        uncancelled(async move { claim(&writer, keys, claimer, now, lapses_at).await }).await
    }

    async fn record(
        &self,
        outcomes: &[(ReminderKey, Outcome)],
        claimer: Claimer,
        now: UtcMillis,
    ) -> Result<Vec<ReminderRow>, ApplyError> {
        let (writer, outcomes) = (self.store().beside_the_applier(), outcomes.to_vec());
        uncancelled(async move { record(&writer, outcomes, claimer, now).await }).await
    }

    async fn dead(&self, after: Option<(UtcMillis, Uuid)>, limit: usize) -> Result<Vec<ReminderRow>, ReadError> {
        dead(self.store(), after, limit).await
    }

    async fn dead_count(&self, shards: &ShardSet) -> Result<u64, ReadError> {
        let mut asked = Statement::new(L::Dialect::reminder_statements().dead_count);
        if L::Dialect::reminder_statements().shards.is_some() {
            asked = asked.bind(*shards);
        }
        let rows = L::Dialect::ask(&self.store().readers, asked).await?;
        rows.first().map_or(Ok(0), |row| number(row, "count"))
    }

    async fn redrive(&self, message: Option<Uuid>, now: UtcMillis) -> Result<u64, ApplyError> {
        let store = self.store().clone();
        uncancelled(async move { redrive(&store, message, now).await }).await
    }

    async fn discard(&self, message: Uuid) -> Result<bool, ApplyError> {
        let writer = self.store().beside_the_applier();
        uncancelled(async move {
            let mut gone = 0;
            transact(&writer, async |connection: &mut <L::Dialect as sqlx::Database>::Connection| {
                let done = L::Dialect::execute(connection, Statement::new(DISCARD).bind(message)).await;
                gone = done.map_err(|error| L::Dialect::apply_error("a dead reminder", &error))?;
                Ok(())
            })
            .await?;
            Ok(gone > 0)
        })
        .await
    }
}

/// Runs `work` in a task of its own: it ends even if its caller does not wait for it.
async fn uncancelled<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApplyError>> + Send + 'static,
) -> Result<T, ApplyError> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(ApplyError::Unavailable(error.to_string())))
}

async fn claim<D: Dialect>(
    writer: &Writer<D>,
    keys: Vec<ReminderKey>,
    claimer: Claimer,
    now: UtcMillis,
    lapses_at: UtcMillis,
) -> Result<Vec<ReminderRow>, ApplyError> {
    let mut claimed = Vec::new();
    transact(writer, async |connection: &mut D::Connection| {
        let own = own::<D>(keys, &writer.fence, connection).await?;
        let rows = locked::<D>(&own, connection).await?;
        claimed = rows
            .into_iter()
            .filter_map(|kept| kept.row.claimed(kept.claimer, claimer, now, lapses_at))
            .collect::<Vec<ReminderRow>>();
        let bind = |row: &ReminderRow, values: &mut D::Rows| {
            bind_key(&row.key, values)?;
            values.id(claimer.incarnation.as_bytes())?;
            values.integer(lapses_at.0)
        };
        let done = D::execute_rows(connection, &CLAIM, &claimed, bind).await;
        done.map_err(|error| D::apply_error("claims of reminders", &error))?;
        Ok(())
    })
    .await?;
    Ok(claimed)
}

async fn record<D: Dialect>(
    writer: &Writer<D>,
    mut outcomes: Vec<(ReminderKey, Outcome)>,
    claimer: Claimer,
    now: UtcMillis,
) -> Result<Vec<ReminderRow>, ApplyError> {
    outcomes.sort_by_key(|(key, _)| *key);
    let keys: Vec<ReminderKey> = outcomes.iter().map(|(key, _)| *key).collect();
    let mut written = Vec::new();
    transact(writer, async |connection: &mut D::Connection| {
        let own = own::<D>(keys, &writer.fence, connection).await?;
        let mut settled: Vec<ReminderRow> = Vec::with_capacity(own.len());
        let mut next: Vec<ReminderRow> = Vec::new();
        for Kept { row, claimer: held_by, newest } in locked::<D>(&own, connection).await? {
            let outcome = outcomes.binary_search_by_key(&row.key, |(key, _)| *key).map(|at| &outcomes[at].1);
            let is_held = row.status == ReminderStatus::Sending && held_by == Some(claimer.incarnation);
            if let (Ok(outcome), true) = (outcome, is_held) {
                let is_void = newest > row.key.version;
                let Settled { row, next: another } = row.settled(outcome, is_void, now);
                settled.push(row);
                next.extend(another);
            }
        }
        settle::<D>(&settled, connection).await?;
        written = write_next::<D>(&next, connection).await?;
        Ok(())
    })
    .await?;
    Ok(written)
}

/// Those of `keys` whose rows are this process's, sorted, after it has proved that.
async fn own<D: Dialect>(
    mut keys: Vec<ReminderKey>,
    fence: &D::Fence,
    connection: &mut D::Connection,
) -> Result<Vec<ReminderKey>, ApplyError> {
    keys.sort_unstable();
    keys.dedup();
    let Some(statement) = &D::reminder_statements().shards else { return Ok(keys) };
    let rows = D::fetch_rows(connection, statement, &keys, bind_key).await;
    let rows = rows.map_err(|error| D::apply_error("shards of reminders", &error))?;
    let owned = |row| Ok((number::<u16>(row, "shard")?, key(row)?));
    let rows = rows.iter().map(owned).collect::<Result<Vec<_>, ReadError>>().map_err(unreadable)?;
    let own = |(shard, _): &&(u16, ReminderKey)| D::is_own(fence, *shard);
    D::require_ownership(connection, fence, rows.iter().filter(own).map(|(shard, _)| *shard)).await?;
    let mut own: Vec<ReminderKey> = rows.iter().filter(own).map(|(_, key)| *key).collect();
    own.sort_unstable();
    Ok(own)
}

async fn locked<D: Dialect>(keys: &[ReminderKey], connection: &mut D::Connection) -> Result<Vec<Kept>, ApplyError> {
    let statement = &D::reminder_statements().locked;
    let rows = D::fetch_rows(connection, statement, keys, bind_key).await;
    let rows = rows.map_err(|error| D::apply_error("reminders", &error))?;
    rows.iter().map(kept).collect::<Result<_, _>>().map_err(unreadable)
}

async fn settle<D: Dialect>(rows: &[ReminderRow], connection: &mut D::Connection) -> Result<(), ApplyError> {
    let bind = |row: &ReminderRow, values: &mut D::Rows| {
        bind_key(&row.key, values)?;
        values.text(row.status.word())?;
        values.optional_integer((row.status == ReminderStatus::Pending).then_some(row.next_at.0))?;
        values.optional_text(row.last_error.as_deref())?;
        values.optional_integer(row.sent_at.map(|at| at.0))?;
        values.integer(row.attempts.into())
    };
    let settled = D::execute_rows(connection, &SETTLE, rows, bind).await;
    settled.map_err(|error| D::apply_error("outcomes of reminders", &error))?;
    let dead: Vec<&ReminderRow> = rows.iter().filter(|row| row.status == ReminderStatus::Dead).collect();
    let bind = |row: &&ReminderRow, values: &mut D::Rows| {
        bind_key(&row.key, values)?;
        values.id(row.key.message_id().as_bytes())
    };
    let buried = D::execute_rows(connection, &BURY, &dead, bind).await;
    buried.map(drop).map_err(|error| D::apply_error("dead reminders", &error))
}

/// Rows of the next channels; those that were not there yet.
async fn write_next<D: Dialect>(
    rows: &[ReminderRow],
    connection: &mut D::Connection,
) -> Result<Vec<ReminderRow>, ApplyError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<ReminderKey> = rows.iter().map(|row| row.key).collect();
    let there: Vec<ReminderKey> = locked::<D>(&keys, connection).await?.iter().map(|kept| kept.row.key).collect();
    let new: Vec<ReminderRow> = rows.iter().filter(|row| !there.contains(&row.key)).cloned().collect();
    let written = D::execute_rows(connection, &D::reminder_statements().insert, &new, bind_planned);
    written.await.map_err(|error| D::apply_error("reminders of the next channel", &error))?;
    Ok(new)
}

/// One page, of whichever shards the database cannot tell apart.
async fn due<D: Dialect>(
    store: &Store<D>,
    shards: &ShardSet,
    after: Option<(UtcMillis, ReminderKey)>,
    until: UtcMillis,
    limit: usize,
) -> Result<Vec<ReminderRow>, ReadError> {
    // Every row is behind it.
    let first = (UtcMillis(i64::MIN), ReminderKey::bounds(AppointmentId(Uuid::nil()))[0]);
    let (next_at, key) = after.unwrap_or(first);
    let mut asked = Statement::new(D::reminder_statements().due)
        .bind(until.0)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .bind(next_at.0)
        .bind(key.appointment.0)
        .bind(i64::from(key.version))
        .bind(key.kind as i64)
        .bind(i64::from(key.offset_seconds))
        .bind(key.channel as i64)
        .bind(key.recipient as i64);
    if D::reminder_statements().shards.is_some() {
        asked = asked.bind(*shards);
    }
    D::ask(&store.readers, asked).await?.iter().map(reminder).collect()
}

async fn dead<D: Dialect>(
    store: &Store<D>,
    after: Option<(UtcMillis, Uuid)>,
    limit: usize,
) -> Result<Vec<ReminderRow>, ReadError> {
    let (due, message) = after.map_or((i64::MIN, Uuid::nil()), |(due, message)| (due.0, message));
    let asked = Statement::new(DEAD).bind(due).bind(message).bind(i64::try_from(limit).unwrap_or(i64::MAX));
    D::ask(&store.readers, asked).await?.iter().map(reminder).collect()
}

/// In bounded transactions. Each begins after the page before, so that one that dies again meanwhile is not met twice.
async fn redrive<D: Dialect>(store: &Store<D>, message: Option<Uuid>, now: UtcMillis) -> Result<u64, ApplyError> {
    let writer = store.beside_the_applier();
    let (mut after, mut redriven) = (None, 0);
    loop {
        let page = match message {
            None => dead(store, after, REDRIVEN_AT_ONCE).await.map_err(unreadable)?,
            Some(message) => {
                let rows = D::ask(&store.readers, Statement::new(BY_MESSAGE).bind(message)).await;
                rows.and_then(|rows| rows.iter().map(reminder).collect()).map_err(unreadable)?
            }
        };
        let is_last = message.is_some() || page.len() < REDRIVEN_AT_ONCE;
        after = page.last().map(|row| (row.due_at, row.key.message_id()));
        let keys: Vec<ReminderKey> = page.into_iter().map(|row| row.key).collect();
        transact(&writer, async |connection: &mut D::Connection| {
            let rows = locked::<D>(&keys, connection).await?;
            let is_dead = |kept: &Kept| kept.row.status == ReminderStatus::Dead;
            let dead: Vec<ReminderKey> = rows.into_iter().filter(is_dead).map(|kept| kept.row.key).collect();
            let bind = |key: &ReminderKey, values: &mut D::Rows| {
                bind_key(key, values)?;
                values.integer(now.0)
            };
            let done = D::execute_rows(connection, &REDRIVE, &dead, bind).await;
            redriven += done.map_err(|error| D::apply_error("dead reminders", &error))?;
            Ok(())
        })
        .await?;
        if is_last {
            return Ok(redriven);
        }
    }
}

/// A damaged row is nobody's fault who writes: it waits.
fn unreadable(error: ReadError) -> ApplyError {
    ApplyError::Unavailable(error.to_string())
}
