//! Booking by a unique index in PostgreSQL: no lock, the index decides who was first.
//! Must not know: HTTP.

use sqlx::postgres::PgPool;

use crate::answer::Decision;
use crate::peer::PeerError;
use crate::postgres;
use crate::wish::{DoctorDay, Wish};

/// The next place in order, inserted if it exists and is still free; one round trip, committed with the statement.
const TAKE: &str = "WITH next AS (
        SELECT days.places, 1 + coalesce((
            SELECT max(place) FROM appointments WHERE doctor_id = $1 AND day = $2), 0) AS place
        FROM days WHERE doctor_id = $1 AND day = $2),
    taken AS (
        INSERT INTO appointments (id, doctor_id, day, place, patient_id, idempotency_key)
        SELECT $3, $1, $2, place, $4, $5 FROM next WHERE place <= places
        ON CONFLICT DO NOTHING RETURNING place)
    SELECT next.place > next.places, (SELECT place FROM taken) FROM next";

/// Each booking claims the next place; if another transaction had the same idea and was faster, it claims the one after.
#[derive(Debug)]
pub(crate) struct UniqueIndex {
    pool: PgPool,
}

impl UniqueIndex {
    pub(crate) const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    pub(crate) async fn publish(&self, doctor_day: DoctorDay, places: i32) -> Result<(), PeerError> {
        postgres::publish(&self.pool, doctor_day, places).await
    }

    /// Ends, because each turn that wins nothing means that another has won, and places are finite.
    pub(crate) async fn book(&self, wish: &Wish) -> Result<Decision, PeerError> {
        let DoctorDay { doctor, day } = wish.doctor_day;
        loop {
            let take = sqlx::query_as(TAKE).bind(doctor).bind(day).bind(wish.id).bind(wish.patient).bind(&wish.key);
            let row: Option<(bool, Option<i32>)> = take.fetch_optional(&self.pool).await?;
            match row {
                None | Some((true, _)) => return Ok(Decision::SoldOut),
                Some((false, Some(place))) => return Ok(Decision::Won { place }),
                Some((false, None)) => {}
            }
        }
    }
}
