//! Booking by a row lock in PostgreSQL, the textbook way.
//! Must not know: HTTP.

use sqlx::postgres::PgPool;

use crate::answer::Decision;
use crate::peer::PeerError;
use crate::postgres;
use crate::wish::{DoctorDay, Wish};

const LOCK: &str = "SELECT places, taken FROM days WHERE doctor_id = $1 AND day = $2 FOR UPDATE";
/// One statement for the count and the booking saves a round trip inside the lock.
const TAKE: &str = "WITH counted AS (UPDATE days SET taken = $3 WHERE doctor_id = $1 AND day = $2)
    INSERT INTO appointments (id, doctor_id, day, place, patient_id, idempotency_key)
    VALUES ($4, $1, $2, $3, $5, $6)";

/// A day's row is locked, looked at, counted up; the booking is inserted; all of it is committed.
#[derive(Debug)]
pub(crate) struct RowLock {
    pool: PgPool,
}

impl RowLock {
    pub(crate) const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    pub(crate) async fn publish(&self, doctor_day: DoctorDay, places: i32) -> Result<(), PeerError> {
        postgres::publish(&self.pool, doctor_day, places).await
    }

    pub(crate) async fn book(&self, wish: &Wish) -> Result<Decision, PeerError> {
        take_next(&self.pool, LOCK, wish).await
    }
}

/// One transaction: looks at the day's row by `look`, and takes the next place if there is one.
pub(crate) async fn take_next(pool: &PgPool, look: &'static str, wish: &Wish) -> Result<Decision, PeerError> {
    let DoctorDay { doctor, day } = wish.doctor_day;
    let mut transaction = pool.begin().await?;
    let row: Option<(i32, i32)> = sqlx::query_as(look).bind(doctor).bind(day).fetch_optional(&mut *transaction).await?;
    let Some((_, taken)) = row.filter(|(places, taken)| taken < places) else {
        transaction.rollback().await?;
        return Ok(Decision::SoldOut);
    };
    let place = taken + 1;
    let take = sqlx::query(TAKE).bind(doctor).bind(day).bind(place).bind(wish.id).bind(wish.patient);
    take.bind(&wish.key).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Decision::Won { place })
}
