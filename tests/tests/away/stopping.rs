//! SIGTERM while a part is away: the program ends in time all the same, and what was answered is found afterwards.
//! Must not know: what a stop has to write.

use std::time::Duration;

use servers::{Postgres, Redis};

use crate::away::books;
use crate::away::house::{Alone, Both, House};

const DEADLINE: Duration = Duration::from_secs(10);
/// Something is under way by then.
const A_WHILE: Duration = Duration::from_secs(1);

enum Trouble<'part> {
    RedisKilled(&'part mut Redis),
    RedisStuck(&'part mut Redis),
    PostgresKilled(&'part mut Postgres),
    PostgresStuck(&'part mut Postgres),
}

impl Trouble<'_> {
    async fn begins(&mut self) {
        match self {
            Self::RedisKilled(redis) => redis.kill().await,
            Self::RedisStuck(redis) => redis.stop().await,
            Self::PostgresKilled(postgres) => postgres.kill().await,
            Self::PostgresStuck(postgres) => postgres.stop().await,
        }
    }

    async fn ends(&mut self) {
        match self {
            Self::RedisKilled(redis) => redis.restart().await,
            Self::RedisStuck(redis) => redis.resume().await,
            Self::PostgresKilled(postgres) => postgres.restart().await,
            Self::PostgresStuck(postgres) => postgres.resume().await,
        }
    }
}

async fn stop_during(mut house: House, name: &str, mut trouble: Trouble<'_>) {
    let traffic = house.traffic().await;
    trouble.begins().await;
    traffic.goes_on(A_WHILE).await;
    // The people have gone home: what they were told counts.
    let (log, exit) = tokio::join!(traffic.stop(), house.server.terminate(DEADLINE));
    eprintln!("SIGTERM, {name}: ended after {:.1?} with {:?}", exit.took, exit.status.code());
    let code = exit.status.code();
    assert!(code == Some(0) || code == Some(1), "{:?}", exit.status);
    trouble.ends().await;
    house.server.start_again().await;
    house.works().await;
    books::balance(&mut house, log.deeds).await;
}

#[tokio::test]
async fn while_redis_is_killed() {
    let mut both = Both::start().await;
    let house = both.house().await;
    stop_during(house, "Redis killed", Trouble::RedisKilled(&mut both.redis)).await;
}

#[tokio::test]
async fn while_redis_is_stuck() {
    let mut both = Both::start().await;
    let house = both.house().await;
    stop_during(house, "Redis stuck", Trouble::RedisStuck(&mut both.redis)).await;
}

#[tokio::test]
async fn while_postgres_is_killed() {
    let (mut both, mut alone) = (Both::start().await, Alone::start().await);
    let (first, second) = (both.house().await, alone.house().await);
    tokio::join!(
        stop_during(first, "PostgreSQL killed, with Redis", Trouble::PostgresKilled(&mut both.postgres)),
        stop_during(second, "PostgreSQL killed", Trouble::PostgresKilled(&mut alone.postgres)),
    );
}

#[tokio::test]
async fn while_postgres_is_stuck() {
    let (mut both, mut alone) = (Both::start().await, Alone::start().await);
    let (first, second) = (both.house().await, alone.house().await);
    tokio::join!(
        stop_during(first, "PostgreSQL stuck, with Redis", Trouble::PostgresStuck(&mut both.postgres)),
        stop_during(second, "PostgreSQL stuck", Trouble::PostgresStuck(&mut alone.postgres)),
    );
}
