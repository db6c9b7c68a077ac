//! The store of claims in PostgreSQL: an exclusion constraint keeps a patient in one place, a primary key keeps a key on one day.
//! Must not know: what a blocker's day says of it, when claims are given back.
//!
//! One statement claims everything of a batch, in the order of patients, so that two batches never wait for each other in a circle for
//! long (the server ends such a circle, and the attempt is repeated). Claims must be as durable as the records that rest on them.

use std::time::Duration;

use async_trait::async_trait;
use booking_core::{AppointmentId, Date, DayKey, DoctorId, UtcMillis};
use foldhash::{HashMap, HashSet};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{Connection, PgConnection, Row};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::Visit;
use super::guard::{Blocker, ClaimGuard, GivenBack, GuardError, Lost, RecordClaims, day_bytes};
use crate::config::StartError;
use crate::postgres::notices::Notices;
use crate::postgres::{self, Purpose, WriteFailure};

/// Longest wait for a statement. Meanwhile the committer's other days wait too: shorter than a lease.
const DEADLINE: Duration = Duration::from_secs(2);
/// Claims that a sweep deletes at once.
const SWEEP_MAX: i64 = 2_000;
/// How often it is looked again when what stood in the way is gone.
const TRIES: usize = 3;
/// Blockers that are named for each claim: they are asked about one by one.
const BLOCKERS_MAX: usize = 8;
/// How long a claim of a visit that is over is kept: the clocks of nodes may differ.
const KEPT_MILLIS: i64 = 3_600_000;

/// A claim must be as durable as an append: a stronger setting of the server stays.
const SYNCHRONOUS: &str = "
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')";

/// Both tables in one statement, and so in one commit. A name that is there already is claimed again by a write, because only the
/// commit of a write waits for the standby (`protocols.md` rule 6). A key that its own day has claimed before is claimed anew: the
/// day's state decides whether it may, and the older claim's name may be about to be deleted.
const CLAIM: &str = "
    WITH visit AS MATERIALIZED (
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[], $5::bigint[], $6::bigint[], $7::smallint[],
            $8::bigint[], $9::bigint[]) AS visit(id, patient, appointment, day, starts, ends, shard, epoch, sequence)),
    key AS MATERIALIZED (
        SELECT * FROM unnest($10::bytea[], $11::uuid[], $12::bytea[], $13::integer[], $14::smallint[], $15::bigint[])
            AS key(digest, id, day, until_day, shard, epoch)),
    again AS (
        UPDATE patient_claim AS claim SET attempt = 1 FROM visit WHERE claim.id = visit.id RETURNING claim.id),
    key_again AS (
        UPDATE key_claim AS claim SET attempt = 1, id = key.id, shard = key.shard, epoch = key.epoch FROM key
        WHERE claim.digest = key.digest AND claim.day = key.day RETURNING claim.id),
    claimed AS (
        INSERT INTO patient_claim (id, patient, appointment, day, during, shard, epoch, sequence)
        SELECT visit.id, visit.patient, visit.appointment, visit.day,
            tstzrange(to_timestamp(visit.starts / 1000.0), to_timestamp(visit.ends / 1000.0)), visit.shard, visit.epoch,
            visit.sequence
        FROM visit ORDER BY visit.patient, visit.id
        ON CONFLICT DO NOTHING RETURNING id),
    key_claimed AS (
        INSERT INTO key_claim (digest, id, day, until_date, shard, epoch)
        SELECT key.digest, key.id, key.day, date '1970-01-01' + key.until_day, key.shard, key.epoch
        FROM key ORDER BY key.digest
        ON CONFLICT DO NOTHING RETURNING id)
    SELECT id FROM again UNION SELECT id FROM key_again UNION SELECT id FROM claimed UNION SELECT id FROM key_claimed";

/// What stands in the way of visits that were not claimed.
const BLOCKERS: &str = "
    SELECT visit.id AS wanted, claim.id, claim.appointment, claim.day,
        (extract(epoch FROM lower(claim.during)) * 1000)::bigint AS starts,
        (extract(epoch FROM upper(claim.during)) * 1000)::bigint AS ends
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[], $5::bigint[], $6::bigint[])
        AS visit(id, patient, appointment, day, starts, ends)
    JOIN patient_claim AS claim ON claim.patient = visit.patient AND claim.appointment <> visit.appointment
        AND claim.day <> visit.day
        AND claim.during && tstzrange(to_timestamp(visit.starts / 1000.0), to_timestamp(visit.ends / 1000.0))
    ORDER BY visit.id, claim.id";

/// Who has keys that were not claimed.
const KEY_BLOCKERS: &str = "
    SELECT claim.digest, claim.id, claim.day FROM key_claim AS claim WHERE claim.digest = ANY ($1::bytea[])";

const DELETE: &str = "
    WITH gone AS (DELETE FROM patient_claim WHERE id = ANY ($1::uuid[])),
    gone_keys AS (DELETE FROM key_claim WHERE id = ANY ($1::uuid[]))
    DELETE FROM patient_claim AS claim
    USING unnest($2::uuid[], $3::bytea[], $4::bigint[]) AS before(appointment, day, sequence)
    WHERE claim.appointment = before.appointment AND claim.day = before.day AND claim.sequence < before.sequence";

const SWEEP: &str = "
    WITH gone AS (DELETE FROM patient_claim WHERE id IN (
        SELECT id FROM patient_claim WHERE upper(during) < to_timestamp($1::bigint / 1000.0) LIMIT $3) RETURNING 1),
    gone_keys AS (DELETE FROM key_claim WHERE digest IN (
        SELECT digest FROM key_claim WHERE until_date < date '1970-01-01' + $2::integer LIMIT $3) RETURNING 1)
    SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM gone_keys)";

/// A [`ClaimGuard`] in PostgreSQL.
pub struct PostgresClaims {
    options: PgConnectOptions,
    /// Of the committer; `None` until it is needed, and after a failure.
    claiming: Mutex<Option<Session>>,
    /// What is deleted never holds a claim up.
    deleting: Mutex<Option<Session>>,
}

struct Session {
    connection: PgConnection,
    notices: Notices,
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

impl PostgresClaims {
    /// Over the database of `url`, whose schema is up to date ([`postgres::migrate`]).
    pub async fn open(url: &str) -> Result<Self, StartError> {
        let options = postgres::for_purpose(&postgres::options(url)?, "claims", Purpose::Write);
        let store = Self { claiming: Mutex::new(None), deleting: Mutex::new(None), options };
        let session = store.connect().await;
        let failed = |error| StartError::Store(format!("the store of claims does not open: {error}"));
        *store.claiming.lock().await = Some(session.map_err(failed)?);
        Ok(store)
    }

    /// Releases the connections.
    pub async fn close(&self) {
        let sessions = [self.claiming.lock().await.take(), self.deleting.lock().await.take()];
        for session in sessions.into_iter().flatten() {
            if let Err(error) = session.connection.close().await {
                tracing::warn!(%error, "a connection of the store of claims did not close");
            }
        }
    }

    async fn connect(&self) -> Result<Session, sqlx::Error> {
        let mut connection = postgres::connect(&self.options).await?;
        let notices = Notices::default();
        let prepare = async {
            sqlx::query(SYNCHRONOUS).fetch_all(&mut connection).await?;
            notices.require_sight(&mut connection).await
        };
        postgres::within_deadline(prepare).await?;
        Ok(Session { connection, notices })
    }

    /// Runs one statement that commits by itself. After a warning, an error or the deadline the connection is not used again.
    async fn run(&self, session: &Mutex<Option<Session>>, query: Query<'_>) -> Result<Vec<PgRow>, GuardError> {
        let mut slot = session.lock().await;
        let mut session = match slot.take() {
            Some(session) => session,
            None => match tokio::time::timeout(DEADLINE, self.connect()).await {
                Ok(connected) => connected.map_err(|error| GuardError::Away(error.to_string()))?,
                Err(_) => return Err(GuardError::Away(format!("no connection within {DEADLINE:?}"))),
            },
        };
        let watched = session.notices.watch(query.fetch_all(&mut session.connection));
        match tokio::time::timeout(DEADLINE, watched).await {
            Ok((Ok(rows), None)) => {
                *slot = Some(session);
                Ok(rows)
            }
            Ok((Ok(_), Some(warning))) => Err(GuardError::Unknown(warning)),
            Ok((Err(error), _)) => Err(match postgres::of_write(&error) {
                // Two batches waited for each other in a circle: the same again.
                WriteFailure::Definite if is_deadlock(&error) => GuardError::Unknown(error.to_string()),
                WriteFailure::Definite => GuardError::Away(error.to_string()),
                WriteFailure::Unknown => GuardError::Unknown(error.to_string()),
            }),
            Err(_) => Err(GuardError::Unknown(format!("no answer within {DEADLINE:?}"))),
        }
    }

    async fn insert(&self, wanted: &[&RecordClaims]) -> Result<HashSet<Uuid>, GuardError> {
        let (visits, keys) = (Visits::of(wanted), Keys::of(wanted));
        let query = sqlx::query(CLAIM)
            .bind(visits.ids)
            .bind(visits.patients)
            .bind(visits.appointments)
            .bind(visits.days)
            .bind(visits.starts)
            .bind(visits.ends)
            .bind(visits.shards)
            .bind(visits.epochs)
            .bind(visits.sequences)
            .bind(keys.digests)
            .bind(keys.ids)
            .bind(keys.days)
            .bind(keys.until_days)
            .bind(keys.shards)
            .bind(keys.epochs);
        let rows = self.run(&self.claiming, query).await?;
        rows.iter().map(|row| row.try_get(0).map_err(unreadable)).collect()
    }

    /// What stands in the way of records, by their claims' names.
    async fn blockers(&self, lost: &[&RecordClaims]) -> Result<HashMap<Uuid, Vec<Blocker>>, GuardError> {
        let mut found: HashMap<Uuid, Vec<Blocker>> = HashMap::default();
        let visits = Visits::of(lost);
        if !visits.ids.is_empty() {
            let query = sqlx::query(BLOCKERS)
                .bind(visits.ids)
                .bind(visits.patients)
                .bind(visits.appointments)
                .bind(visits.days)
                .bind(visits.starts)
                .bind(visits.ends);
            let by_id: HashMap<Uuid, Visit> =
                lost.iter().filter_map(|claims| claims.visit.as_ref()).map(|claim| (claim.id, claim.visit)).collect();
            for row in self.run(&self.claiming, query).await? {
                let (wanted, blocker) = read_visit(&row, &by_id).map_err(unreadable)?;
                found.entry(wanted).or_default().push(blocker);
            }
        }
        let keys = Keys::of(lost);
        if !keys.digests.is_empty() {
            for row in self.run(&self.claiming, sqlx::query(KEY_BLOCKERS).bind(keys.digests)).await? {
                let (digest, id, day) = read_key(&row).map_err(unreadable)?;
                for claims in lost {
                    let Some(wanted) = claims.key.as_ref().filter(|key| key.digest().0[..] == digest) else { continue };
                    if day != claims.day && id != wanted.id {
                        let key = wanted.key.clone();
                        found.entry(wanted.id).or_default().push(Blocker::Key { id, day, key });
                    }
                }
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl ClaimGuard for PostgresClaims {
    async fn claim(&self, wanted: &[&RecordClaims]) -> Result<Vec<Lost>, GuardError> {
        let mut waiting = wanted.to_vec();
        let mut lost = Vec::new();
        for _ in 0..TRIES {
            let granted = self.insert(&waiting).await?;
            waiting.retain(|claims| !claims.ids().all(|id| granted.contains(&id)));
            if waiting.is_empty() {
                return Ok(lost);
            }
            let mut blockers = self.blockers(&waiting).await?;
            waiting.retain(|claims| {
                let in_the_way = claims.ids().filter_map(|id| blockers.remove(&id)).flatten();
                let blockers: Vec<_> = in_the_way.take(BLOCKERS_MAX).collect();
                let is_free = blockers.is_empty();
                if !is_free {
                    lost.push(Lost { day: claims.day, version: claims.version, blockers });
                }
                // What stood in its way is gone meanwhile.
                is_free
            });
            if waiting.is_empty() {
                return Ok(lost);
            }
        }
        Err(GuardError::Away("claims come and go too fast".to_owned()))
    }

    async fn give_back(&self, given: &[GivenBack]) -> Result<(), GuardError> {
        let mut ids = Vec::new();
        let (mut appointments, mut days, mut sequences) = (Vec::new(), Vec::new(), Vec::new());
        for given in given {
            match given {
                GivenBack::Id(id) => ids.push(*id),
                GivenBack::Before { appointment, day, sequence } => {
                    appointments.push(appointment.0);
                    days.push(day_bytes(*day).to_vec());
                    sequences.push(number(*sequence));
                }
            }
        }
        let query = sqlx::query(DELETE).bind(ids).bind(appointments).bind(days).bind(sequences);
        self.run(&self.deleting, query).await.map(drop)
    }

    async fn sweep(&self, now: UtcMillis) -> Result<u64, GuardError> {
        let oldest = crate::ledger::won_keys::oldest_date(now).map_or(i32::MIN / 2, |date| date.days());
        let query = sqlx::query(SWEEP).bind(now.0.saturating_sub(KEPT_MILLIS)).bind(oldest).bind(SWEEP_MAX);
        let rows = self.run(&self.deleting, query).await?;
        let count: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0)).map_err(unreadable)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}

/// Visits as columns.
#[derive(Default)]
struct Visits {
    ids: Vec<Uuid>,
    patients: Vec<Uuid>,
    appointments: Vec<Uuid>,
    days: Vec<Vec<u8>>,
    starts: Vec<i64>,
    ends: Vec<i64>,
    shards: Vec<i16>,
    epochs: Vec<i64>,
    sequences: Vec<i64>,
}

impl Visits {
    fn of(wanted: &[&RecordClaims]) -> Self {
        let mut columns = Self::default();
        for (claims, claim) in wanted.iter().filter_map(|claims| Some((claims, claims.visit.as_ref()?))) {
            columns.ids.push(claim.id);
            columns.patients.push(claim.visit.patient.0);
            columns.appointments.push(claim.visit.appointment.0);
            columns.days.push(day_bytes(claims.day).to_vec());
            columns.starts.push(claim.visit.start.0);
            columns.ends.push(claim.visit.end.0);
            columns.shards.push(i16::try_from(claims.day.shard()).unwrap_or(i16::MAX));
            columns.epochs.push(i64::from(claims.version.epoch));
            columns.sequences.push(number(claims.version.sequence));
        }
        columns
    }
}

/// Keys as columns.
#[derive(Default)]
struct Keys {
    digests: Vec<Vec<u8>>,
    ids: Vec<Uuid>,
    days: Vec<Vec<u8>>,
    until_days: Vec<i32>,
    shards: Vec<i16>,
    epochs: Vec<i64>,
}

impl Keys {
    fn of(wanted: &[&RecordClaims]) -> Self {
        let mut columns = Self::default();
        for (claims, claim) in wanted.iter().filter_map(|claims| Some((claims, claims.key.as_ref()?))) {
            columns.digests.push(claim.digest().0.to_vec());
            columns.ids.push(claim.id);
            columns.days.push(day_bytes(claims.day).to_vec());
            columns.until_days.push(claim.until.days());
            columns.shards.push(i16::try_from(claims.day.shard()).unwrap_or(i16::MAX));
            columns.epochs.push(i64::from(claims.version.epoch));
        }
        columns
    }
}

fn is_deadlock(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|answer| answer.code()).is_some_and(|code| code == "40P01")
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unreadable(error: sqlx::Error) -> GuardError {
    GuardError::Away(format!("an answer cannot be read: {error}"))
}

fn read_day(bytes: &[u8]) -> Result<DayKey, sqlx::Error> {
    let wrong = || sqlx::Error::Decode("a day of twenty bytes cannot be read".into());
    let (doctor, date) = bytes.split_at_checked(16).ok_or_else(wrong)?;
    let doctor = DoctorId(Uuid::from_slice(doctor).map_err(|_| wrong())?);
    let date = i32::from_be_bytes(date.try_into().map_err(|_| wrong())?);
    Ok(DayKey { doctor, date: Date::from_days(date).ok_or_else(wrong)? })
}

fn read_visit(row: &PgRow, wanted: &HashMap<Uuid, Visit>) -> Result<(Uuid, Blocker), sqlx::Error> {
    let id: Uuid = row.try_get("wanted")?;
    let patient = wanted.get(&id).map(|visit| visit.patient).ok_or(sqlx::Error::RowNotFound)?;
    let visit = Visit {
        patient,
        appointment: AppointmentId(row.try_get("appointment")?),
        start: UtcMillis(row.try_get("starts")?),
        end: UtcMillis(row.try_get("ends")?),
        hold_expires_at: None,
    };
    let day = read_day(row.try_get::<&[u8], _>("day")?)?;
    Ok((id, Blocker::Visit { id: row.try_get("id")?, day, visit }))
}

fn read_key(row: &PgRow) -> Result<(Vec<u8>, Uuid, DayKey), sqlx::Error> {
    Ok((row.try_get("digest")?, row.try_get("id")?, read_day(row.try_get::<&[u8], _>("day")?)?))
}
