//! The store of ownership in PostgreSQL: single statements, and the clock of that database alone.
//! Must not know: what is done with a shard, when to claim.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{Connection, PgConnection, Row};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{Node, Ownership, OwnershipError, OwnershipMap, ShardOwner};
use crate::config::StartError;
use crate::postgres::notices::Notices;
use crate::postgres::{self, Purpose};

/// Longest wait for a statement. Longer than the server waits for a lock, and not so long that a lease ends meanwhile unseen.
const DEADLINE: Duration = Duration::from_secs(5);

/// A claim must be as durable as an append: a stronger setting of the server stays.
const SYNCHRONOUS: &str = "
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')";

const JOIN: &str = "
    INSERT INTO node (incarnation, address, lease_until)
    VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond')
    ON CONFLICT (incarnation) DO UPDATE SET address = excluded.address, lease_until = excluded.lease_until
    WHERE node.lease_until > clock_timestamp()
    RETURNING incarnation";

/// A lease that has ended is never resumed (`protocols.md` rule 29).
const RENEW: &str = "
    UPDATE node SET lease_until = clock_timestamp() + $2 * interval '1 millisecond'
    WHERE incarnation = $1 AND lease_until > clock_timestamp() RETURNING incarnation";

/// Kind 0 is a node, 1 a shard: one statement, one moment.
const MAP: &str = "
    SELECT 0 AS kind, incarnation, address, lease_until > clock_timestamp() AS is_live, NULL::smallint AS shard,
        NULL::bigint AS epoch FROM node
    UNION ALL
    SELECT 1, incarnation, NULL, NULL, shard, epoch FROM shard_owner ORDER BY kind, shard, incarnation";

/// Locks in the order of shards, as appends and barriers do, then looks at what the rows say once they are locked: an append
/// that holds one has ended by then. The owner's lease is locked too, to see a renewal that came meanwhile; the caller's own may be
/// renewed meanwhile, but not be taken out.
const CLAIM: &str = "
    WITH self AS MATERIALIZED (
        SELECT incarnation FROM node WHERE incarnation = $1 AND lease_until > clock_timestamp() FOR KEY SHARE),
    locked AS MATERIALIZED (
        SELECT owner.shard, owner.epoch, owner.incarnation FROM shard_owner AS owner
        WHERE owner.shard = ANY ($2::smallint[]) AND EXISTS (SELECT FROM self) ORDER BY owner.shard FOR UPDATE),
    ended AS MATERIALIZED (
        SELECT incarnation, lease_until <= clock_timestamp() AS is_over FROM node
        WHERE incarnation IN (SELECT locked.incarnation FROM locked) ORDER BY incarnation FOR SHARE)
    UPDATE shard_owner AS owner SET epoch = owner.epoch + 1, incarnation = $1, generation = 0
    FROM locked JOIN unnest($2::smallint[], $3::bigint[]) AS wanted(shard, epoch)
        ON wanted.shard = locked.shard AND wanted.epoch = locked.epoch
    WHERE owner.shard = locked.shard
        AND (locked.incarnation IS NULL OR NOT EXISTS (
            SELECT FROM ended WHERE ended.incarnation = locked.incarnation AND NOT ended.is_over))
    RETURNING owner.shard, owner.epoch";

const RELEASE: &str = "
    WITH locked AS MATERIALIZED (
        SELECT owner.shard FROM shard_owner AS owner WHERE owner.shard = ANY ($2::smallint[]) ORDER BY owner.shard FOR UPDATE)
    UPDATE shard_owner AS owner SET incarnation = NULL
    FROM unnest($2::smallint[], $3::bigint[]) AS given(shard, epoch)
    WHERE owner.shard = given.shard AND owner.epoch = given.epoch AND owner.incarnation = $1
        AND owner.shard IN (SELECT shard FROM locked)
    RETURNING owner.shard";

const LEAVE: &str = "
    WITH locked AS MATERIALIZED (
        SELECT owner.shard FROM shard_owner AS owner WHERE owner.incarnation = $1 ORDER BY owner.shard FOR UPDATE),
    given AS (
        UPDATE shard_owner AS owner SET incarnation = NULL
        WHERE owner.incarnation = $1 AND owner.shard IN (SELECT shard FROM locked))
    DELETE FROM node WHERE incarnation = $1 RETURNING incarnation";

/// An [`Ownership`] in PostgreSQL.
pub struct PostgresOwnership {
    options: PgConnectOptions,
    /// One statement at a time; `None` until it is needed, and after a failure.
    session: Mutex<Option<Session>>,
    /// A renewal never waits behind a claim, which waits for the appends of others.
    renewing: Mutex<Option<Session>>,
}

struct Session {
    connection: PgConnection,
    notices: Notices,
}

impl PostgresOwnership {
    /// Over the database of `url`, whose schema is up to date ([`postgres::migrate`]).
    pub async fn open(url: &str) -> Result<Self, StartError> {
        let options = postgres::for_purpose(&postgres::options(url)?, "ownership", Purpose::Write);
        let ownership = Self { session: Mutex::new(None), renewing: Mutex::new(None), options };
        let session = ownership.connect().await;
        *ownership.session.lock().await =
            Some(session.map_err(|error| StartError::Store(format!("the store of ownership does not open: {error}")))?);
        Ok(ownership)
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

    async fn run(
        &self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<Vec<PgRow>, OwnershipError> {
        self.run_on(&self.session, query).await
    }

    /// Runs one statement that commits by itself. After a warning, an error or the deadline nobody knows what it did: the
    /// caller reads the map, and the connection is not used again.
    async fn run_on(
        &self,
        session: &Mutex<Option<Session>>,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<Vec<PgRow>, OwnershipError> {
        let mut slot = session.lock().await;
        let mut session = match slot.take() {
            Some(session) => session,
            None => self.connect().await.map_err(|error| unavailable(&error))?,
        };
        let watched = session.notices.watch(query.fetch_all(&mut session.connection));
        match tokio::time::timeout(DEADLINE, watched).await {
            Ok((Ok(rows), None)) => {
                *slot = Some(session);
                Ok(rows)
            }
            Ok((Ok(_), Some(warning))) => Err(OwnershipError::Unavailable(warning)),
            Ok((Err(error), _)) => Err(unavailable(&error)),
            Err(_) => Err(OwnershipError::Unavailable(format!("no answer within {DEADLINE:?}"))),
        }
    }
}

fn unavailable(error: &sqlx::Error) -> OwnershipError {
    OwnershipError::Unavailable(error.to_string())
}

/// An interval in the database's form; a lease of millions of years is as good as any longer.
fn millis(lease_millis: u64) -> i64 {
    i64::try_from(lease_millis).unwrap_or(i64::MAX).min(1 << 50)
}

fn columns(shards: &[(u16, u32)]) -> (Vec<i16>, Vec<i64>) {
    shards.iter().map(|(shard, epoch)| (i16::try_from(*shard).unwrap_or(i16::MAX), i64::from(*epoch))).unzip()
}

fn number<T: TryFrom<i64>>(number: i64) -> Result<T, sqlx::Error> {
    T::try_from(number).map_err(|_| sqlx::Error::Decode(format!("{number} cannot be").into()))
}

fn owned(row: &PgRow) -> Result<(u16, u32), sqlx::Error> {
    Ok((number(row.try_get::<i16, _>("shard")?.into())?, number(row.try_get("epoch")?)?))
}

#[async_trait]
impl Ownership for PostgresOwnership {
    async fn join(&self, node: &Node, lease_millis: u64) -> Result<(), OwnershipError> {
        let query = sqlx::query(JOIN).bind(node.incarnation).bind(&node.address).bind(millis(lease_millis));
        let rows = self.run(query).await?;
        if rows.is_empty() { Err(OwnershipError::LeaseEnded) } else { Ok(()) }
    }

    async fn renew(&self, incarnation: Uuid, lease_millis: u64) -> Result<(), OwnershipError> {
        let query = sqlx::query(RENEW).bind(incarnation).bind(millis(lease_millis));
        let rows = self.run_on(&self.renewing, query).await?;
        if rows.is_empty() { Err(OwnershipError::LeaseEnded) } else { Ok(()) }
    }

    async fn map(&self) -> Result<OwnershipMap, OwnershipError> {
        let rows = self.run(sqlx::query(MAP)).await?;
        read_map(&rows).map_err(|error| unavailable(&error))
    }

    async fn claim(&self, incarnation: Uuid, wanted: &[(u16, u32)]) -> Result<Vec<(u16, u32)>, OwnershipError> {
        let (shards, epochs) = columns(wanted);
        let rows = self.run(sqlx::query(CLAIM).bind(incarnation).bind(shards).bind(epochs)).await?;
        let mut claimed = rows.iter().map(owned).collect::<Result<Vec<_>, _>>().map_err(|error| unavailable(&error))?;
        claimed.sort_unstable();
        Ok(claimed)
    }

    async fn release(&self, incarnation: Uuid, shards: &[(u16, u32)]) -> Result<(), OwnershipError> {
        let (shards, epochs) = columns(shards);
        self.run(sqlx::query(RELEASE).bind(incarnation).bind(shards).bind(epochs)).await.map(drop)
    }

    async fn leave(&self, incarnation: Uuid) -> Result<(), OwnershipError> {
        self.run(sqlx::query(LEAVE).bind(incarnation)).await.map(drop)
    }

    /// Releases the connection.
    async fn close(&self) {
        let sessions = [self.session.lock().await.take(), self.renewing.lock().await.take()];
        for session in sessions.into_iter().flatten() {
            if let Err(error) = session.connection.close().await {
                tracing::warn!(%error, "a connection of the store of ownership did not close");
            }
        }
    }
}

fn read_map(rows: &[PgRow]) -> Result<OwnershipMap, sqlx::Error> {
    let mut map = OwnershipMap::default();
    for row in rows {
        if row.try_get::<i32, _>("kind")? == 0 {
            map.nodes.push(Node {
                incarnation: row.try_get("incarnation")?,
                address: row.try_get("address")?,
                is_live: row.try_get("is_live")?,
            });
        } else {
            let (shard, epoch) = owned(row)?;
            map.shards.push(ShardOwner { shard, epoch, owner: row.try_get("incarnation")? });
        }
    }
    Ok(map)
}
