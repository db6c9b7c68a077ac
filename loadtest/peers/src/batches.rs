//! Booking as an expert in PostgreSQL would do it: one writer, and one statement for all requests that wait.
//! Must not know: HTTP.

use std::collections::HashMap;

use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{ConnectOptions as _, FromRow};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::answer::Decision;
use crate::peer::{PeerError, Setup};
use crate::postgres;
use crate::wish::{DoctorDay, Wish};

/// More than the connections of any comparison: a full queue makes requests wait, it refuses none.
const QUEUE: usize = 4_096;
/// Requests decided by one statement.
const BATCH: usize = 1_024;

/// Decides a whole batch, in the order of its turns, and commits it. Days that are sold out are not locked, so a batch
/// of refusals writes nothing and waits for no disk.
const DECIDE: &str = "WITH wanted AS (
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::uuid[], $5::text[])
            WITH ORDINALITY AS wanted (doctor_id, day, id, patient_id, key, turn)),
    open AS (
        SELECT doctor_id, day, places, taken FROM days
        WHERE (doctor_id, day) IN (SELECT DISTINCT doctor_id, day FROM wanted) AND taken < places FOR UPDATE),
    won AS (
        SELECT * FROM (
            SELECT wanted.*, open.places,
                open.taken + row_number() OVER (PARTITION BY wanted.doctor_id, wanted.day ORDER BY turn) AS place
            FROM wanted JOIN open USING (doctor_id, day)) AS ranked
        WHERE place <= places),
    counted AS (
        UPDATE days SET taken = sums.taken
        FROM (SELECT doctor_id, day, max(place) AS taken FROM won GROUP BY doctor_id, day) AS sums
        WHERE days.doctor_id = sums.doctor_id AND days.day = sums.day),
    inserted AS (
        INSERT INTO appointments (id, doctor_id, day, place, patient_id, idempotency_key)
        SELECT id, doctor_id, day, place::int, patient_id, key FROM won)
    SELECT id, place::int AS place FROM won";

/// A wish, and who waits for it.
#[derive(Debug)]
struct Waiting {
    wish: Wish,
    answer: oneshot::Sender<Option<Decision>>,
}

/// The way to the one writer.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Waiting>,
}

#[derive(FromRow)]
struct Place {
    id: Uuid,
    place: i32,
}

impl Writer {
    /// Starts the writer on a connection of its own. It ends with the process.
    pub(crate) async fn start(setup: &Setup) -> Result<Self, PeerError> {
        let mut connection = postgres::options(setup)?.connect().await?;
        let (queue, mut waiting) = mpsc::channel::<Waiting>(QUEUE);
        actix_web::rt::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while waiting.recv_many(&mut batch, BATCH).await > 0 {
                let decided = decide(&mut connection, &batch).await;
                for Waiting { wish, answer } in batch.drain(..) {
                    let decision = decided.as_ref().ok().map(|won| decision_of(won, wish.id));
                    // Whoever does not wait any more does not want to know.
                    let _ = answer.send(decision);
                }
            }
        });
        Ok(Self { queue })
    }
}

fn decision_of(won: &HashMap<Uuid, i32>, id: Uuid) -> Decision {
    won.get(&id).map_or(Decision::SoldOut, |place| Decision::Won { place: *place })
}

/// The places that were won, by appointment.
async fn decide(connection: &mut PgConnection, batch: &[Waiting]) -> Result<HashMap<Uuid, i32>, sqlx::Error> {
    let column = |of: fn(&Wish) -> Uuid| batch.iter().map(|waiting| of(&waiting.wish)).collect::<Vec<_>>();
    let days: Vec<i32> = batch.iter().map(|waiting| waiting.wish.doctor_day.day).collect();
    let keys: Vec<&str> = batch.iter().map(|waiting| waiting.wish.key.as_str()).collect();
    let query = sqlx::query_as(DECIDE).bind(column(|wish| wish.doctor_day.doctor)).bind(days);
    let query = query.bind(column(|wish| wish.id)).bind(column(|wish| wish.patient)).bind(keys);
    let rows: Vec<Place> = query.fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.place)).collect())
}

/// The side of a worker.
#[derive(Debug)]
pub(crate) struct Batches {
    pool: PgPool,
    writer: Option<Writer>,
}

impl Batches {
    pub(crate) const fn new(pool: PgPool, writer: Option<Writer>) -> Self {
        Self { pool, writer }
    }

    pub(crate) async fn publish(&self, doctor_day: DoctorDay, places: i32) -> Result<(), PeerError> {
        postgres::publish(&self.pool, doctor_day, places).await
    }

    pub(crate) async fn book(&self, wish: &Wish) -> Result<Decision, PeerError> {
        let writer = self.writer.as_ref().ok_or(PeerError::WriterGone)?;
        let (answer, decision) = oneshot::channel();
        let waiting = Waiting { wish: wish.clone(), answer };
        writer.queue.send(waiting).await.map_err(|_| PeerError::WriterGone)?;
        decision.await.ok().flatten().ok_or(PeerError::WriterGone)
    }
}
