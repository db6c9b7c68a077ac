//! Booking by a counter in Redis; PostgreSQL learns of it afterwards.
//! Must not know: HTTP.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, Script};
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::answer::Decision;
use crate::peer::{PeerError, Setup};
use crate::postgres;
use crate::redis_store::{Store, key_of};
use crate::wish::{DoctorDay, Wish};

/// Takes a place and queues the booking in one step. With `appendfsync always` both are on disk before the answer, so
/// a crash loses no booking, which a counter alone could not say.
const TAKE: &str = "local left = tonumber(redis.call('GET', KEYS[1]) or '0')
    if left <= 0 then return 0 end
    redis.call('DECR', KEYS[1])
    redis.call('RPUSH', KEYS[2], ARGV[1] .. ' ' .. left)
    return left";
/// Where bookings wait for PostgreSQL.
const PENDING: &str = "pending";
/// Bookings inserted by one statement.
const INSERT_AT_ONCE: isize = 1_000;
/// How often an empty queue is looked at again, and how long a failure is waited out.
const IDLE_DELAY: Duration = Duration::from_millis(10);

const INSERT: &str = "INSERT INTO appointments (id, doctor_id, day, place, patient_id, idempotency_key)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::uuid[], $6::text[]) ON CONFLICT DO NOTHING";

/// The side that answers.
#[derive(Debug)]
pub(crate) struct RedisCounter {
    store: Store,
    take: Script,
}

impl RedisCounter {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self { store: Store::new(setup), take: Script::new(TAKE) }
    }

    pub(crate) async fn publish(&self, doctor_day: DoctorDay, places: i32) -> Result<(), PeerError> {
        let mut connection = self.store.connection().await?;
        Ok(connection.set_nx(key_of("left", doctor_day), places).await?)
    }

    pub(crate) async fn book(&self, wish: &Wish) -> Result<Decision, PeerError> {
        let mut connection = self.store.connection().await?;
        let DoctorDay { doctor, day } = wish.doctor_day;
        let booking = format!("{} {doctor} {day} {} {}", wish.id, wish.patient, wish.key);
        let mut call = self.take.prepare_invoke();
        call.key(key_of("left", wish.doctor_day)).key(PENDING).arg(booking);
        let place: i32 = call.invoke_async(&mut connection).await?;
        Ok(if place > 0 { Decision::Won { place } } else { Decision::SoldOut })
    }
}

/// Columns of bookings, each as long as the others.
#[derive(Debug, Default, PartialEq)]
struct Columns {
    ids: Vec<Uuid>,
    doctors: Vec<Uuid>,
    days: Vec<i32>,
    places: Vec<i32>,
    patients: Vec<Uuid>,
    keys: Vec<String>,
}

impl Columns {
    /// Adds a booking as the script has written it; says whether it is one.
    fn add(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        let [id, doctor, day, patient, key, place] = words[..] else { return false };
        let (Ok(id), Ok(doctor), Ok(patient)) = (id.parse(), doctor.parse(), patient.parse()) else { return false };
        let (Ok(day), Ok(place)) = (day.parse(), place.parse()) else { return false };
        self.ids.push(id);
        self.doctors.push(doctor);
        self.days.push(day);
        self.places.push(place);
        self.patients.push(patient);
        self.keys.push(key.to_owned());
        true
    }
}

/// Starts the side that inserts. It ends with the process.
pub(crate) async fn start_inserter(setup: &Setup) -> Result<(), PeerError> {
    let pool = postgres::pool_of_worker(setup);
    let mut connection = Store::new(setup).connection().await?;
    actix_web::rt::spawn(async move {
        loop {
            // A booking stays queued until it is inserted, so a failure costs time and nothing else.
            if !matches!(insert_some(&pool, &mut connection).await, Ok(1..)) {
                tokio::time::sleep(IDLE_DELAY).await;
            }
        }
    });
    Ok(())
}

/// Moves the oldest bookings; says how many.
async fn insert_some(pool: &PgPool, connection: &mut MultiplexedConnection) -> Result<usize, PeerError> {
    let lines: Vec<String> = connection.lrange(PENDING, 0, INSERT_AT_ONCE - 1).await?;
    if lines.is_empty() {
        return Ok(0);
    }
    let mut columns = Columns::default();
    let readable = lines.iter().filter(|line| columns.add(line)).count();
    let insert = sqlx::query(INSERT).bind(columns.ids).bind(columns.doctors).bind(columns.days).bind(columns.places);
    insert.bind(columns.patients).bind(columns.keys).execute(pool).await?;
    let _: () = connection.ltrim(PENDING, isize::try_from(lines.len()).unwrap_or(isize::MAX), -1).await?;
    Ok(readable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queued_booking_is_read_and_rubbish_is_not() {
        let (id, doctor, patient) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let mut columns = Columns::default();
        assert!(columns.add(&format!("{id} {doctor} 32 {patient} key 5")));
        assert!(!columns.add("not a booking"));
        assert!(!columns.add(&format!("{id} {doctor} x {patient} key 5")));
        let expected = Columns {
            ids: vec![id],
            doctors: vec![doctor],
            days: vec![32],
            places: vec![5],
            patients: vec![patient],
            keys: vec!["key".to_owned()],
        };
        assert_eq!(columns, expected);
    }
}
