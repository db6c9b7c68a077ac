//! The tables that the peers share, and their connections to PostgreSQL.
//! Must not know: how a peer books.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::peer::{Kind, PeerError, Setup};
use crate::wish::DoctorDay;

/// How long a request may wait for a connection of the pool. Longer than any honest queue here.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

const CREATE_DAYS: &str = "CREATE TABLE IF NOT EXISTS days (
    doctor_id uuid NOT NULL, day int NOT NULL, places int NOT NULL, taken int NOT NULL DEFAULT 0,
    PRIMARY KEY (doctor_id, day)) WITH (fillfactor = 50)";
/// One index for each kind of table: the one that its way of booking needs.
const CREATE_APPOINTMENTS: &str = "CREATE TABLE IF NOT EXISTS appointments (
    id uuid PRIMARY KEY, doctor_id uuid NOT NULL, day int NOT NULL, place int NOT NULL, patient_id uuid NOT NULL,
    idempotency_key text NOT NULL, created_at timestamptz NOT NULL DEFAULT now())";
const CREATE_UNIQUE_APPOINTMENTS: &str = "CREATE TABLE IF NOT EXISTS appointments (
    id uuid NOT NULL, doctor_id uuid NOT NULL, day int NOT NULL, place int NOT NULL, patient_id uuid NOT NULL,
    idempotency_key text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (doctor_id, day, place))";
const PUBLISH: &str = "INSERT INTO days (doctor_id, day, places) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/// Where PostgreSQL is, with statements kept prepared (the default of the client) and no log of them.
pub(crate) fn options(setup: &Setup) -> Result<PgConnectOptions, PeerError> {
    let url = setup.database_url.as_deref().ok_or(PeerError::Missing("database-url"))?;
    Ok(PgConnectOptions::from_str(url)?.disable_statement_logging())
}

/// Creates what the kind needs.
pub(crate) async fn create_tables(setup: &Setup) -> Result<(), PeerError> {
    let mut connection = options(setup)?.connect().await?;
    sqlx::query(CREATE_DAYS).execute(&mut connection).await?;
    let appointments = if setup.kind == Kind::UniqueIndex { CREATE_UNIQUE_APPOINTMENTS } else { CREATE_APPOINTMENTS };
    sqlx::query(appointments).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// A worker's share of the connections, opened as they are needed and kept. `prepare` has tried the address before.
pub(crate) fn pool_of_worker(setup: &Setup) -> PgPool {
    PgPoolOptions::new()
        .max_connections((setup.pool_size / u32::from(setup.workers.max(1))).max(1))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A round trip before each request would be unfair to the peer.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options(setup).unwrap_or_default())
}

/// Makes a day bookable.
pub(crate) async fn publish(pool: &PgPool, doctor_day: DoctorDay, places: i32) -> Result<(), PeerError> {
    let query = sqlx::query(PUBLISH).bind(doctor_day.doctor).bind(doctor_day.day).bind(places);
    query.execute(pool).await?;
    Ok(())
}
