//! The lock of a doctor's publications, as an advisory lock of a PostgreSQL session.
//! Must not know: what is published.
//!
//! The lock lives as long as its connection: a node that dies or is cut off gives it back within the seconds that the server takes to
//! notice (`tcp_user_timeout`, keepalives). Publishing is rare, so each has a connection of its own, a few at a time.

use std::sync::Arc;

use async_trait::async_trait;
use booking_core::DoctorId;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::publishing::{PublishGuard, PublishLock};
use crate::config::StartError;
use crate::postgres::{self, Purpose};

/// Publications at once: as many as there are lanes.
const CONNECTIONS_MAX: usize = 16;

/// Waits for the session's `lock_timeout` at most.
const LOCK: &str = "SELECT pg_advisory_lock($1)";
const IS_HELD: &str =
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted";

/// See the module.
pub struct PostgresPublishLock {
    options: PgConnectOptions,
    room: Arc<Semaphore>,
}

impl PostgresPublishLock {
    /// Over the database of `url`.
    pub fn new(url: &str) -> Result<Self, StartError> {
        let options = postgres::for_purpose(&postgres::options(url)?, "publishing", Purpose::Write);
        Ok(Self { options, room: Arc::new(Semaphore::new(CONNECTIONS_MAX)) })
    }
}

struct Held {
    connection: PgConnection,
    _room: OwnedSemaphorePermit,
}

/// Doctors that share a number only wait for each other.
fn number_of(doctor: DoctorId) -> i64 {
    let bytes = doctor.as_bytes();
    let mut folded = [0; 8];
    for (at, byte) in bytes.iter().enumerate() {
        folded[at % 8] ^= byte.rotate_left(u32::from(at >= 8));
    }
    i64::from_be_bytes(folded)
}

#[async_trait]
impl PublishLock for PostgresPublishLock {
    async fn lock(&self, doctor: DoctorId) -> Result<Box<dyn PublishGuard>, String> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|error| error.to_string())?;
        let mut connection = postgres::connect(&self.options).await.map_err(|error| error.to_string())?;
        let locked = sqlx::query(LOCK).bind(number_of(doctor)).execute(&mut connection);
        postgres::within_deadline(locked).await.map_err(|error| error.to_string())?;
        Ok(Box::new(Held { connection, _room: room }))
    }
}

#[async_trait]
impl PublishGuard for Held {
    async fn is_held(&mut self) -> bool {
        let held = sqlx::query_scalar::<_, i64>(IS_HELD).fetch_one(&mut self.connection);
        postgres::within_deadline(held).await.is_ok_and(|locks| locks > 0)
    }

    async fn release(self: Box<Self>) {
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the connection of a publication did not close; its lock goes with it");
        }
    }
}
