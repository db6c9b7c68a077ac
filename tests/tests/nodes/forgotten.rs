//! What Redis forgets while the ledger waits is known to its owner alone. Does it stand afterwards, though that owner has lost its days
//! meanwhile?
//! Must not know: how nodes tell each other.

use std::time::Duration;

use blackbox::cluster::{Cluster, Doors, Journal};
use blackbox::crowd::eventually;
use blackbox::{Day, Reply, Stopwatch, Wish, fresh_id};
use servers::Direction;

use super::storm::{known, publish};

/// So many that the first of three nodes has some: all but for one run in a million.
const DAYS: usize = 36;
/// Two looks of a node at what it remembers of the days of others, and one of the next owner at what is owed.
const NOTED_DEADLINE: Duration = Duration::from_secs(60);

/// The node that is in trouble.
const OWNER: usize = 0;
const OTHER: usize = 1;

/// A booking as it was acknowledged.
struct Booked {
    day: Day,
    patient: String,
    token: String,
    key: String,
    id: String,
}

impl Booked {
    async fn book(doors: &Doors, day: Day) -> Self {
        let (patient, key) = (fresh_id(), fresh_id());
        let token = doors.token("patient", &patient);
        let mut booked = Self { day, patient, token, key, id: String::new() };
        booked.id = booked.press(doors, OWNER).await.expect(201).text_of("id");
        booked
    }

    /// The booking under its key, through `door`.
    async fn press(&self, doors: &Doors, door: usize) -> Reply {
        let client = doors.client(door, &self.patient, &self.token);
        known(|| client.book(&Wish::any(&self.day)).key(&self.key)).await.expect("an answer")
    }

    async fn is_there(&self, doors: &Doors, door: usize) -> bool {
        let client = doors.client(door, &self.patient, &self.token);
        let reply = known(|| client.appointment(&self.id)).await.expect("an answer");
        assert!(reply.status == 404 || reply.text_of("status") == "booked", "{} {}", reply.status, reply.text());
        reply.status == 200
    }
}

/// Bookings that Redis has on its primary only, and the ledger not at all, when their owner is in trouble and the primary dies.
async fn forgotten(cluster: &mut Cluster, trouble: impl AsyncFnOnce(&Cluster)) -> Vec<Booked> {
    let mut days = Vec::new();
    for number in 0..DAYS {
        days.push(publish(cluster.doors(), number).await);
    }
    cluster.redis_mut().wait_until_in_step().await;
    cluster.redis_mut().hold_replication();
    let lock = cluster.postgres().lock("appointment").await;
    let mut booked = Vec::new();
    for day in days {
        booked.push(Booked::book(cluster.doors(), day).await);
    }
    trouble(cluster).await;
    drop(lock);
    cluster.fail_redis_over().await;
    booked
}

async fn stand(cluster: &Cluster, booked: &[Booked]) {
    for one in booked {
        let again = one.press(cluster.doors(), OTHER).await.expect(201);
        assert_eq!((again.text_of("id"), again.header("idempotency-replayed")), (one.id.clone(), Some("true")));
    }
    cluster.settled().await;
    let watch = Stopwatch::start();
    loop {
        let audit = cluster.verify().await;
        if audit.code == Some(0) {
            return;
        }
        assert!(watch.elapsed() < NOTED_DEADLINE, "{audit:?}");
    }
}

#[tokio::test]
async fn whoever_takes_over_asks_the_owner_that_was_cut_off() {
    let mut cluster = Cluster::start(Journal::Redis { replicas: 1 }).await;
    let booked = forgotten(&mut cluster, async |cluster| cluster.to_postgres(OWNER).stall(Direction::Both)).await;
    for one in &booked {
        assert!(one.is_there(cluster.doors(), OTHER).await, "{} is lost", one.id);
    }
    assert!(!cluster.logged("a node has told what it remembers").is_empty(), "nobody was asked");
    assert!(cluster.logged("a record of another branch is lost").is_empty(), "nothing was written meanwhile");
    cluster.to_postgres(OWNER).heal();
    stand(&cluster, &booked).await;
}

#[tokio::test]
async fn an_owner_that_could_not_be_asked_notes_what_it_alone_remembers() {
    let mut cluster = Cluster::start(Journal::Redis { replicas: 1 }).await;
    let booked = forgotten(&mut cluster, async |cluster| cluster.stop(OWNER)).await;
    let mut missing = 0;
    for one in &booked {
        missing += usize::from(!one.is_there(cluster.doors(), OTHER).await);
    }
    assert!(missing > 0, "the paused node had no days, or somebody else knew");
    cluster.resume(OWNER);
    eventually("everybody has their place again", NOTED_DEADLINE, async || {
        for one in &booked {
            if !one.is_there(cluster.doors(), OTHER).await {
                return None;
            }
        }
        Some(())
    })
    .await;
    assert!(!cluster.logged("a record of another branch is lost").is_empty(), "it is never silent");
    stand(&cluster, &booked).await;
}
