//! Booking under a lock that is kept in Redis, in a transaction of PostgreSQL.
//! Must not know: HTTP.

use std::time::Duration;

use redis::Script;
use sqlx::postgres::PgPool;

use crate::answer::Decision;
use crate::peer::{PeerError, Setup};
use crate::postgres;
use crate::redis_store::{Store, key_of};
use crate::row_lock::take_next;
use crate::wish::{DoctorDay, Wish};

/// 2: known to be sold out. 1: the lock is ours. 0: someone else's.
const ACQUIRE: &str = "if redis.call('EXISTS', KEYS[2]) == 1 then return 2 end
    if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', 10000) then return 1 end
    return 0";
/// Gives the lock back if it is still ours, and remembers a day that is sold out.
const RELEASE: &str = "if ARGV[2] == '1' then redis.call('SET', KEYS[2], '1') end
    if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
    return 0";
/// The lock stands in for the row lock: the row is only read.
const LOOK: &str = "SELECT places, taken FROM days WHERE doctor_id = $1 AND day = $2";
/// How long a lock that is taken is left alone.
const RETRY_DELAY: Duration = Duration::from_millis(1);
/// How often it is tried: about ten seconds, as long as a lost lock lives.
const TRIES_MAX: u32 = 10_000;

const SOLD_OUT: i32 = 2;
const OURS: i32 = 1;

/// One lock for each day.
#[derive(Debug)]
pub(crate) struct RedisLock {
    store: Store,
    pool: PgPool,
    acquire: Script,
    release: Script,
}

impl RedisLock {
    pub(crate) fn new(setup: &Setup, pool: PgPool) -> Self {
        Self { store: Store::new(setup), pool, acquire: Script::new(ACQUIRE), release: Script::new(RELEASE) }
    }

    pub(crate) async fn publish(&self, doctor_day: DoctorDay, places: i32) -> Result<(), PeerError> {
        postgres::publish(&self.pool, doctor_day, places).await
    }

    pub(crate) async fn book(&self, wish: &Wish) -> Result<Decision, PeerError> {
        let mut connection = self.store.connection().await?;
        let keys = (key_of("lock", wish.doctor_day), key_of("sold-out", wish.doctor_day));
        let holder = wish.id.to_string();
        for _ in 0..TRIES_MAX {
            let mut call = self.acquire.prepare_invoke();
            call.key(&keys.0).key(&keys.1).arg(&holder);
            match call.invoke_async::<i32>(&mut connection).await? {
                SOLD_OUT => return Ok(Decision::SoldOut),
                OURS => {
                    let decision = take_next(&self.pool, LOOK, wish).await;
                    let is_sold_out = matches!(decision, Ok(Decision::SoldOut));
                    let mut call = self.release.prepare_invoke();
                    call.key(&keys.0).key(&keys.1).arg(&holder).arg(u8::from(is_sold_out));
                    let _: i32 = call.invoke_async(&mut connection).await?;
                    return decision;
                }
                _ => tokio::time::sleep(RETRY_DELAY).await,
            }
        }
        Err(PeerError::LockTimeout)
    }
}
