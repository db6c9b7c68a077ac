//! Redis, where the journal is, is in trouble.
//! Must not know: how the journal is kept there.

use std::time::Duration;

use servers::{Direction, OldPrimary, Postgres, Proxy, RedisOptions, ReplicaPair};

use crate::away::house::{Both, Expected, House, durable};
use crate::away::traffic::Traffic;

const SOME_SECONDS: Duration = Duration::from_secs(3);
/// Longer than a call to Redis may take.
const LONG: Duration = Duration::from_secs(5);
/// Longer than anybody waits for an answer.
const TOO_LONG: Duration = Duration::from_secs(12);
/// Requests wait, or are refused: it depends on what was under way.
const AWAY: Expected = Expected { refuses: false, part: Some("journal"), ages: false, pause: Duration::ZERO };

/// Traffic, `fault` with its end, recovery.
async fn trial(name: &str, expected: Expected, fault: impl AsyncFnOnce(&mut Both, &Traffic)) {
    let mut both = Both::start().await;
    let house = both.house().await;
    let traffic = house.traffic().await;
    fault(&mut both, &traffic).await;
    house.recovers(traffic, name, expected).await;
}

#[tokio::test]
async fn redis_is_killed_and_comes_back() {
    trial("Redis killed, 3 s", AWAY, async |both, traffic| {
        both.redis.kill().await;
        traffic.goes_on(SOME_SECONDS).await;
        both.redis.restart().await;
    })
    .await;
}

#[tokio::test]
async fn redis_restarts_at_once() {
    trial("Redis restarted", Expected::default(), async |both, _| both.redis.restart().await).await;
}

#[tokio::test]
async fn redis_is_stuck() {
    trial("Redis stuck, 12 s", Expected { refuses: true, ..AWAY }, async |both, traffic| {
        both.redis.stop().await;
        traffic.goes_on(TOO_LONG).await;
        both.redis.resume().await;
    })
    .await;
}

#[tokio::test]
async fn redis_is_slow() {
    trial("Redis slow, 200 ms each way, 3 s", Expected::default(), async |both, traffic| {
        both.redis_network.delay_ms(200);
        traffic.goes_on(SOME_SECONDS).await;
        both.redis_network.heal();
    })
    .await;
}

#[tokio::test]
async fn redis_is_too_slow() {
    trial("Redis slow, 1 s each way, 5 s", AWAY, async |both, traffic| {
        both.redis_network.delay_ms(1_000);
        traffic.goes_on(LONG).await;
        both.redis_network.heal();
    })
    .await;
}

#[tokio::test]
async fn redis_is_cut_off() {
    trial("Redis cut off (RST), 3 s", AWAY, async |both, traffic| {
        both.redis_network.cut();
        traffic.goes_on(SOME_SECONDS).await;
        both.redis_network.heal();
    })
    .await;
}

#[tokio::test]
async fn answers_of_redis_do_not_arrive() {
    trial("Redis: answers stalled, 5 s", AWAY, async |both, traffic| {
        both.redis_network.stall(Direction::Answers);
        traffic.goes_on(LONG).await;
        both.redis_network.heal();
    })
    .await;
}

#[tokio::test]
async fn requests_do_not_reach_redis() {
    trial("Redis: requests stalled, 5 s", AWAY, async |both, traffic| {
        both.redis_network.stall(Direction::Requests);
        traffic.goes_on(LONG).await;
        both.redis_network.heal();
    })
    .await;
}

#[tokio::test]
async fn redis_is_full() {
    trial("Redis at its maxmemory, 3 s", AWAY, async |both, traffic| {
        let () = both.redis.call(&["CONFIG", "SET", "maxmemory", "1"]).await;
        traffic.goes_on(SOME_SECONDS).await;
        let () = both.redis.call(&["CONFIG", "SET", "maxmemory", "0"]).await;
    })
    .await;
}

#[tokio::test]
async fn redis_forgets_everything() {
    trial("Redis: FLUSHALL", Expected::default(), async |both, _| both.redis.call(&["FLUSHALL"]).await).await;
}

#[tokio::test]
async fn redis_forgets_its_functions() {
    trial("Redis: FUNCTION FLUSH", Expected::default(), async |both, _| both.redis.call(&["FUNCTION", "FLUSH"]).await)
        .await;
}

/// While the ledger is held up, what is booked is in Redis and in the program's memory only.
#[tokio::test]
async fn redis_forgets_what_the_ledger_has_not_got() {
    trial("Redis: FLUSHALL while the ledger waits", Expected::default(), async |both, traffic| {
        let lock = "DO $$ BEGIN LOCK TABLE appointment IN EXCLUSIVE MODE; PERFORM pg_sleep(4); END $$";
        let forget = async {
            traffic.succeeds_again(60).await;
            both.redis.call(&["FLUSHALL"]).await
        };
        let ((), ()) = tokio::join!(both.postgres.execute(lock), forget);
    })
    .await;
}

#[tokio::test]
async fn redis_fails_over() {
    let mut pair = ReplicaPair::start(RedisOptions::default(), 1).await;
    let postgres = Postgres::start_with(durable()).await;
    let network = Proxy::in_front_of(pair.primary().address());
    let house = House::on(Some(&network.through(&pair.url())), &postgres.url(), &[]).await;
    let traffic = house.traffic().await;
    pair.promote(0, OldPrimary::Killed).await;
    network.cut();
    traffic.goes_on(SOME_SECONDS).await;
    network.lead_to(pair.primary().address());
    network.heal();
    house.recovers(traffic, "Redis: replica promoted, old primary killed", AWAY).await;
}

#[tokio::test]
async fn redis_fails_over_without_the_latest() {
    let mut pair = ReplicaPair::start(RedisOptions::default(), 1).await;
    let postgres = Postgres::start_with(durable()).await;
    let network = Proxy::in_front_of(pair.primary().address());
    let house = House::on(Some(&network.through(&pair.url())), &postgres.url(), &[]).await;
    let traffic = house.traffic().await;
    pair.hold_replication();
    traffic.succeeds_again(40).await;
    pair.promote(0, OldPrimary::Killed).await;
    network.cut_once();
    network.lead_to(pair.primary().address());
    house.recovers(traffic, "Redis: replica promoted without the latest", Expected::default()).await;
}
