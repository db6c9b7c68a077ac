//! Is everything that was answered with success there after a SIGKILL at any instant, and nothing sold twice or lost?
//! Must not know: journals.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use blackbox::{Day, Dice, Plan, Reply, Server, Wish, fresh_id};
use serde_json::Value;
use tokio::task::JoinSet;

const ROUNDS: usize = 20;
const BUYERS: usize = 300;
const PLACES: usize = 40;
/// A kill comes after fewer than this many answers: while places are still being sold.
const LATEST_KILL: usize = 120;

/// Somebody who asks again under the same key until there is an answer.
#[derive(Clone, Debug)]
struct Buyer {
    patient: String,
    key: String,
    wish: Wish,
}

fn buyers(day: &Day) -> Vec<Buyer> {
    (0..BUYERS)
        .map(|number| Buyer {
            patient: fresh_id(),
            key: fresh_id(),
            wish: if number % 3 == 0 { Wish::slot(day, number % PLACES) } else { Wish::any(day) },
        })
        .collect()
}

/// Sends every buyer's wish at once; whoever gets no whole answer has none.
fn storm(server: &Server, buyers: &[Buyer]) -> JoinSet<(usize, Option<Reply>)> {
    let mut storm = JoinSet::new();
    for (number, buyer) in buyers.iter().enumerate() {
        let call = server.patient_as(&buyer.patient).book(&buyer.wish).key(&buyer.key);
        storm.spawn(async move { (number, call.attempt().await.ok()) });
    }
    storm
}

/// Lets the storm go on until `answers` came, then kills the server. Answers what was won by whom.
async fn storm_until_killed(server: &mut Server, buyers: &[Buyer], answers: usize) -> BTreeMap<usize, Reply> {
    let mut won = BTreeMap::new();
    let mut seen = 0;
    let mut storm = storm(server, buyers);
    while let Some(joined) = storm.join_next().await {
        let (number, reply) = joined.expect("a buyer does not panic");
        let Some(reply) = reply else { continue };
        assert!([201, 409, 503].contains(&reply.status), "{}", reply.text());
        if reply.status == 201 {
            won.insert(number, reply);
        }
        seen += 1;
        if seen == answers {
            server.kill().await;
        }
    }
    assert!(seen >= answers, "only {seen} answers came");
    won
}

/// The same wishes under the same keys once more, to the end.
async fn finish(server: &Server, buyers: &[Buyer]) -> BTreeMap<usize, Reply> {
    let mut answers = BTreeMap::new();
    let mut storm = storm(server, buyers);
    while let Some(joined) = storm.join_next().await {
        let (number, reply) = joined.expect("a buyer does not panic");
        answers.insert(number, reply.expect("a running server answers"));
    }
    answers
}

async fn listed(server: &Server, day: &Day) -> BTreeMap<String, Value> {
    let path = format!("/v1/doctors/{}/days/{}/appointments?limit=200", day.doctor, day.date);
    let items = server.doctor(&day.doctor).all_items(&path).await;
    items.into_iter().map(|item| (item["id"].as_str().expect("id").to_owned(), item)).collect()
}

fn assert_no_place_twice(listed: &BTreeMap<String, Value>) {
    let starts: BTreeSet<String> = listed.values().map(|item| item["start"].to_string()).collect();
    assert_eq!(starts.len(), listed.len(), "each place once: {listed:#?}");
    let patients: BTreeSet<String> = listed.values().map(|item| item["patient_id"].to_string()).collect();
    assert_eq!(patients.len(), listed.len(), "each patient once: {listed:#?}");
}

#[tokio::test]
async fn twenty_kills_in_twenty_storms_lose_nothing_and_sell_nothing_twice() {
    let mut server = Server::start().await;
    let mut dice = Dice::thrown();
    let mut acknowledged_before_kills = 0;
    for round in 0..ROUNDS {
        let day = server.publish(&Plan::quarters(PLACES)).await;
        let buyers = buyers(&day);
        let kill_after = 1 + dice.below(LATEST_KILL);
        let won = storm_until_killed(&mut server, &buyers, kill_after).await;
        acknowledged_before_kills += won.len();
        server.start_again().await;

        let after = listed(&server, &day).await;
        assert_no_place_twice(&after);
        for (number, reply) in &won {
            let id = reply.text_of("id");
            assert_eq!(after.get(&id), Some(&reply.json()), "round {round}, killed after {kill_after}: listed");
            let own = server.patient_as(&buyers[*number].patient).appointment(&id).await.expect(200);
            assert_eq!(own.json(), reply.json(), "round {round}, killed after {kill_after}");
        }

        let answers = finish(&server, &buyers).await;
        for (number, first) in &won {
            let again = &answers[number];
            assert_eq!((again.status, again.text()), (201, first.text()), "round {round}: the first answer again");
            assert!(again.replayed());
        }
        let sold: BTreeSet<String> =
            answers.values().filter(|reply| reply.status == 201).map(|reply| reply.text_of("id")).collect();
        assert_eq!(sold.len(), PLACES, "round {round}: exactly the capacity, nothing unsold");
        for refused in answers.values().filter(|reply| reply.status != 201) {
            assert!(["sold_out", "slot_taken"].contains(&refused.code().as_str()), "{}", refused.text());
        }
        let after = listed(&server, &day).await;
        assert_no_place_twice(&after);
        assert_eq!(after.keys().cloned().collect::<BTreeSet<_>>(), sold);
    }
    assert!(acknowledged_before_kills > ROUNDS, "the kills came in the middle of sales: {acknowledged_before_kills}");
    server.assert_audited().await;
}

#[tokio::test]
async fn a_kill_at_the_very_start_of_a_life_is_survived_too() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(30)).await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        let id = server.patient().book(&Wish::any(&day)).await.expect(201).text_of("id");
        server.restart().await;
        server.restart().await;
        ids.push(id);
    }
    let after = listed(&server, &day).await;
    assert_eq!(after.keys().cloned().collect::<BTreeSet<_>>(), ids.into_iter().collect());
}

#[tokio::test]
async fn what_was_cancelled_closed_or_amended_before_a_kill_stays_so() {
    let mut server = Server::start().await;
    let plan = Plan::quarters(3);
    let day = server.publish(&plan).await;
    let patient = server.patient().subject;
    let id = server.patient_as(&patient).book(&Wish::any(&day)).await.expect(201).text_of("id");
    let cancelled = server.patient_as(&patient).cancel_because(&id, "moved away").await.expect(200).json();
    let mut longer = plan;
    longer.slots.push((
        day.starts[2] + (day.starts[2] - day.starts[1]) * 5,
        day.starts[2] + (day.starts[2] - day.starts[1]) * 6,
        2,
    ));
    server.admin().put_day(&day.doctor, &day.date, &longer.body()).await.expect(200);
    let closed = server.admin().close_day(&day.doctor, &day.date).await.expect(200).json();
    server.restart().await;
    assert_eq!(server.patient_as(&patient).appointment(&id).await.expect(200).json(), cancelled);
    let seen = server.anyone().day(&day.doctor, &day.date).await.expect(200).json();
    for name in ["state", "slots", "version", "release_at"] {
        assert_eq!(seen[name], closed[name], "{name}");
    }
    server.assert_audited().await;
}

#[tokio::test]
async fn a_second_process_on_the_same_directory_is_turned_away() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let directory = server.directory().to_str().expect("a path in UTF-8").to_owned();
    let second = server.run_beside(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(second.code, Some(2), "{second:?}");
    assert!(second.stdout.is_empty(), "it never said that it listens: {}", second.stdout);
    let name = Path::new(&directory).file_name().and_then(|name| name.to_str()).expect("a name");
    let naming: Vec<&str> =
        second.stderr.lines().filter(|line| line.contains(&directory) && line.contains(name)).collect();
    assert_eq!(naming.len(), 1, "one clear line names the directory: {}", second.stderr);
    server.patient().book(&Wish::any(&day)).await.expect(201);
}
