//! PostgreSQL, where the ledger, the owners and perhaps the journal are, is in trouble.
//! Must not know: how they are kept there.

use std::time::Duration;

use servers::{Direction, OldPrimary, Postgres, Proxy};

use crate::away::house::{Alone, Both, Expected, House, PAST_THE_LEASE, durable};
use crate::away::traffic::Traffic;

const SOME_SECONDS: Duration = Duration::from_secs(3);
/// Longer than a write is waited for.
const PAST_A_WRITE: Duration = Duration::from_secs(7);
const AWAY: Expected = Expected { refuses: true, part: None, ages: false, pause: Duration::ZERO };
const NO_LEASE: Expected = Expected { refuses: true, part: Some("ownership"), ages: true, pause: Duration::ZERO };

/// As for the journal on PostgreSQL, so for the one on Redis.
async fn trials(name: &str, expected: Expected, fault: impl AsyncFn(&mut Postgres, &Proxy, &Traffic)) {
    tokio::join!(trial_alone(name, expected, &fault), trial_with_redis(name, expected, &fault));
}

async fn trial_alone(name: &str, expected: Expected, fault: &impl AsyncFn(&mut Postgres, &Proxy, &Traffic)) {
    let mut alone = Alone::start().await;
    let house = alone.house().await;
    let traffic = house.traffic().await;
    fault(&mut alone.postgres, &alone.network, &traffic).await;
    house.recovers(traffic, name, expected).await;
}

async fn trial_with_redis(name: &str, expected: Expected, fault: &impl AsyncFn(&mut Postgres, &Proxy, &Traffic)) {
    let mut both = Both::start().await;
    let house = both.house().await;
    let traffic = house.traffic().await;
    fault(&mut both.postgres, &both.postgres_network, &traffic).await;
    house.recovers(traffic, name, expected).await;
}

#[tokio::test]
async fn postgres_is_killed_and_comes_back() {
    trials("PostgreSQL killed, 3 s", AWAY, async |postgres, _, traffic| {
        postgres.kill().await;
        traffic.goes_on(SOME_SECONDS).await;
        postgres.restart().await;
    })
    .await;
}

#[tokio::test]
async fn postgres_is_away_past_the_lease() {
    trials("PostgreSQL killed, past the lease", NO_LEASE, async |postgres, _, traffic| {
        postgres.kill().await;
        traffic.goes_on(PAST_THE_LEASE).await;
        postgres.restart().await;
    })
    .await;
}

#[tokio::test]
async fn postgres_is_stuck() {
    trials("PostgreSQL stuck, 3 s", AWAY, async |postgres, _, traffic| {
        postgres.stop().await;
        traffic.goes_on(SOME_SECONDS).await;
        postgres.resume().await;
    })
    .await;
}

#[tokio::test]
async fn postgres_is_stuck_past_the_lease() {
    trials("PostgreSQL stuck, past the lease", NO_LEASE, async |postgres, _, traffic| {
        postgres.stop().await;
        traffic.goes_on(PAST_THE_LEASE).await;
        postgres.resume().await;
    })
    .await;
}

#[tokio::test]
async fn postgres_is_slow() {
    trials("PostgreSQL slow, 200 ms each way, 4 s", Expected::default(), async |_, network, traffic| {
        network.delay_ms(200);
        traffic.goes_on(Duration::from_secs(4)).await;
        network.heal();
    })
    .await;
}

#[tokio::test]
async fn postgres_is_cut_off() {
    trials("PostgreSQL cut off (RST), 3 s", AWAY, async |_, network, traffic| {
        network.cut();
        traffic.goes_on(SOME_SECONDS).await;
        network.heal();
    })
    .await;
}

#[tokio::test]
async fn answers_of_postgres_do_not_arrive() {
    trials("PostgreSQL: answers stalled", NO_LEASE, async |_, network, traffic| {
        network.stall(Direction::Answers);
        traffic.goes_on(PAST_THE_LEASE).await;
        network.heal();
    })
    .await;
}

#[tokio::test]
async fn connections_to_postgres_vanish_without_a_word() {
    trials("PostgreSQL: both ways stalled, then another", NO_LEASE, async |_, network, traffic| {
        network.stall(Direction::Both);
        traffic.goes_on(PAST_THE_LEASE).await;
        // What was under way is lost; nothing of it ever arrives.
        network.cut_once();
        network.heal();
    })
    .await;
}

#[tokio::test]
async fn connections_to_postgres_are_ended_by_an_administrator() {
    trials("PostgreSQL: backends ended, 5 times", Expected::default(), async |postgres, _, traffic| {
        for _ in 0..5 {
            postgres.terminate_backends().await;
            traffic.goes_on(Duration::from_millis(300)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn postgres_takes_no_writes() {
    trials("PostgreSQL read-only, 3 s", AWAY, async |postgres, network, traffic| {
        postgres.execute("ALTER DATABASE postgres SET default_transaction_read_only = on").await;
        network.cut_once();
        traffic.goes_on(SOME_SECONDS).await;
        // Of a database that is set so only a transaction that says otherwise may change that.
        postgres.execute("BEGIN READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT").await;
        network.cut_once();
    })
    .await;
}

#[tokio::test]
async fn tables_are_locked() {
    trials("PostgreSQL: all tables locked", AWAY, async |postgres, _, traffic| {
        // It takes one table after another: whoever stands in its way is to find the deadlock.
        let lock = "SET deadlock_timeout = '1min'; DO $$ DECLARE name text; BEGIN
            FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
                EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', name); END LOOP;
            PERFORM pg_sleep(5); END $$";
        tokio::join!(postgres.execute(lock), traffic.goes_on(PAST_THE_LEASE));
    })
    .await;
}

/// Others have all the connections that there may be.
#[tokio::test]
async fn postgres_has_no_connection_left() {
    trials("PostgreSQL: no connection left, 3 s", AWAY, async |postgres, network, traffic| {
        network.cut();
        let taken = postgres.take_all_connections().await;
        network.heal();
        traffic.goes_on(SOME_SECONDS).await;
        drop(taken);
    })
    .await;
}

#[tokio::test]
async fn postgres_fails_over() {
    let mut pair = Postgres::with_synchronous_standby(durable()).await;
    let network = Proxy::in_front_of(pair.primary().address());
    let house = House::on(None, &network.through(&pair.url()), &[]).await;
    let traffic = house.traffic().await;
    pair.promote_standby(OldPrimary::Killed).await;
    network.cut();
    network.lead_to(pair.primary().address());
    network.heal();
    house.recovers(traffic, "PostgreSQL: synchronous standby promoted", Expected::default()).await;
}

#[tokio::test]
async fn the_synchronous_standby_is_stuck() {
    let mut pair = Postgres::with_synchronous_standby(durable()).await;
    let house = House::on(None, &pair.url(), &[]).await;
    let traffic = house.traffic().await;
    pair.standby_mut().stop().await;
    traffic.goes_on(PAST_A_WRITE).await;
    pair.standby_mut().resume().await;
    house.recovers(traffic, "PostgreSQL: synchronous standby stuck, 7 s", AWAY).await;
}
