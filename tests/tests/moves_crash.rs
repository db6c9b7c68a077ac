//! After a SIGKILL in the middle of moves: does each appointment stand in exactly one place, where it was answered to stand?
//! Must not know: records and how moves are settled.

use std::collections::BTreeMap;
use std::time::Duration;

use blackbox::places::{assert_adds_up, live, remaining};
use blackbox::{Client, Day, Dice, Plan, Reply, Server, Wish, eventually, fresh_id};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const ROUNDS: usize = 20;
const APPOINTMENTS: usize = 40;
const MOVERS: usize = 8;
/// A kill comes after fewer than this many answers.
const LATEST_KILL: usize = 60;
const PATIENCE: Duration = Duration::from_secs(15);

/// One attempt to move: where to, and under which key.
#[derive(Clone, Debug)]
struct Attempt {
    wish: Wish,
    key: String,
}

/// One appointment as its patient knows it.
#[derive(Clone, Debug)]
struct Known {
    patient: String,
    /// The last answer with success.
    answered: Value,
    /// The move that was sent and not answered.
    open: Option<Attempt>,
}

impl Known {
    fn id(&self) -> &str {
        self.answered["id"].as_str().expect("id")
    }

    /// Takes in what the server answered to the open attempt, if it did.
    fn learn(&mut self, reply: Option<Reply>) {
        let Some(reply) = reply else { return };
        match reply.status {
            200 => self.answered = reply.json(),
            409 => drop(reply.problem(409, &reply.code())),
            // Whether it happened is told by the same key.
            503 => return,
            _ => panic!("{}", reply.text()),
        }
        self.open = None;
    }
}

/// Two doctors' days on two dates, tight enough that some moves find no place.
async fn four_days(server: &Server) -> Vec<Day> {
    let mut days = Vec::new();
    for _ in 0..2 {
        let doctor = server.new_doctor().await;
        for date in 0..2 {
            days.push(server.publish_for(&doctor, &Plan::quarters_of(4, 4).later(date)).await);
        }
    }
    days
}

async fn appointments(server: &Server, days: &[Day]) -> Vec<Known> {
    let mut known = Vec::new();
    for number in 0..APPOINTMENTS {
        let patient = server.patient();
        let wish = Wish::any(&days[number % days.len()]);
        let call = if number % 5 == 0 { patient.hold(&wish.ttl(900)) } else { patient.book(&wish) };
        known.push(Known { patient: patient.subject, answered: call.await.expect(201).json(), open: None });
    }
    known
}

/// Moves its appointments here and there until the server does not answer any more.
async fn keep_moving(
    mut mine: Vec<(Client, Known)>,
    days: Vec<Day>,
    mut dice: Dice,
    answers: mpsc::Sender<()>,
) -> Vec<Known> {
    loop {
        let chosen = dice.below(mine.len());
        let (client, known) = &mut mine[chosen];
        let day = &days[dice.below(days.len())];
        let wish = if dice.below(2) == 0 { Wish::any(day) } else { Wish::slot(day, dice.below(4)) };
        let attempt = known.open.clone().unwrap_or_else(|| Attempt { wish, key: fresh_id() });
        known.open = Some(attempt.clone());
        let reply = client.reschedule(known.id(), &attempt.wish).key(&attempt.key).attempt().await.ok();
        let is_over = reply.is_none();
        known.learn(reply);
        if is_over || answers.send(()).await.is_err() {
            return mine.into_iter().map(|(_, known)| known).collect();
        }
    }
}

/// Lets the movers move until so many answers came, then kills the server.
async fn move_until_killed(
    server: &mut Server,
    days: &[Day],
    known: Vec<Known>,
    dice: &mut Dice,
    kill_after: usize,
) -> Vec<Known> {
    let (answers, mut answered) = mpsc::channel(MOVERS);
    let mut movers = JoinSet::new();
    for mine in known.chunks(APPOINTMENTS / MOVERS) {
        let mine = mine.iter().map(|known| (server.patient_as(&known.patient), known.clone())).collect();
        let own_dice = Dice::seeded(dice.below(usize::MAX) as u64);
        movers.spawn(keep_moving(mine, days.to_vec(), own_dice, answers.clone()));
    }
    drop(answers);
    for _ in 0..kill_after {
        answered.recv().await.expect("the movers go on until the kill");
    }
    server.kill().await;
    drop(answered);
    movers.join_all().await.into_iter().flatten().collect()
}

/// Fails unless each appointment is where it was answered to be, or where its unanswered move would put it, and nowhere
/// else. Takes in where it is.
async fn assert_homes(server: &Server, days: &[Day], known: &mut [Known]) {
    let mut listed: BTreeMap<String, Value> = BTreeMap::new();
    for day in days {
        for (id, item) in live(server, day).await {
            assert_eq!((&item["doctor_id"], &item["date"]), (&json!(day.doctor), &json!(day.date)));
            let before = listed.insert(id, item);
            assert!(before.is_none(), "on two days: {before:?}");
        }
    }
    assert_eq!(listed.len(), APPOINTMENTS, "none is lost");
    for known in known {
        let patient = server.patient_as(&known.patient);
        let seen = patient.appointment(known.id()).await.expect(200).json();
        assert_eq!(listed.get(known.id()), Some(&seen));
        let own = patient.own_appointments("").await.expect(200).json();
        assert_eq!(own["items"], json!([seen]), "listed once");
        let Some(attempt) = &known.open else {
            assert_eq!(seen, known.answered, "it stays where it was answered to be");
            continue;
        };
        let has_moved = seen != known.answered;
        if has_moved {
            let wish = attempt.wish.body();
            assert_eq!((&seen["doctor_id"], &seen["date"]), (&wish["doctor_id"], &wish["date"]));
            assert!(wish["start"].is_null() || wish["start"] == seen["start"], "{wish} {seen}");
            assert_eq!(seen["version"].as_u64(), known.answered["version"].as_u64().map(|version| version + 1));
        }
        let reply = patient.reschedule(known.id(), &attempt.wish).key(&attempt.key).await;
        if has_moved {
            assert_eq!(
                (reply.status, reply.replayed()),
                (200, true),
                "its key tells that it has moved: {}",
                reply.text()
            );
            assert_eq!(reply.json(), seen);
        }
        known.learn(Some(reply));
        assert!(known.open.is_none(), "a running server settles it");
        assert_eq!(patient.appointment(known.id()).await.expect(200).json(), known.answered);
    }
}

/// Waits until nothing is kept for moves that are over, then fails unless every place adds up.
async fn assert_nothing_leaks(server: &Server, days: &[Day]) {
    for day in days {
        eventually("places kept for moves are given back", PATIENCE, async || {
            let taken = live(server, day).await.len() as u64;
            (remaining(server, day).await.iter().sum::<u64>() + taken == day.capacity as u64).then_some(())
        })
        .await;
        assert_adds_up(server, day).await;
    }
}

#[tokio::test]
async fn twenty_kills_in_the_middle_of_moves_leave_each_appointment_in_one_place() {
    let mut server = Server::start().await;
    let mut dice = Dice::thrown();
    let days = four_days(&server).await;
    let mut known = appointments(&server, &days).await;
    let (mut unanswered, mut moves) = (0, 0);
    for round in 0..ROUNDS {
        let kill_after = 1 + dice.below(LATEST_KILL);
        eprintln!("round {round}: killed after {kill_after} answers");
        known = move_until_killed(&mut server, &days, known, &mut dice, kill_after).await;
        unanswered += known.iter().filter(|known| known.open.is_some()).count();
        moves += kill_after;
        server.start_again().await;
        assert_homes(&server, &days, &mut known).await;
        assert_nothing_leaks(&server, &days).await;
    }
    eprintln!("{moves} answers, {unanswered} moves without one");
    assert!(unanswered > ROUNDS, "the kills came in the middle of moves: {unanswered}");
    server.assert_audited().await;
}

#[tokio::test]
async fn a_move_that_was_answered_is_there_after_a_kill_at_once() {
    let mut server = Server::start().await;
    let days = four_days(&server).await;
    let patient = server.patient().subject;
    let mut known = server.patient_as(&patient).book(&Wish::any(&days[0])).await.expect(201).json();
    for round in 1..16 {
        let (from, target) = (&days[(round - 1) % days.len()], &days[round % days.len()]);
        let id = known["id"].as_str().expect("id").to_owned();
        known = server.patient_as(&patient).reschedule(&id, &Wish::any(target)).await.expect(200).json();
        server.restart().await;
        let client = server.patient_as(&patient);
        // What is asked first differs: the appointment, its list, a day, the next move.
        match round % 5 {
            0 => assert_eq!(client.appointment(&id).await.expect(200).json(), known),
            1 => assert_eq!(client.own_appointments("").await.expect(200).field("items"), json!([known])),
            2 => assert_eq!(live(&server, target).await.get(&id), Some(&known)),
            3 => assert!(live(&server, from).await.is_empty(), "round {round}"),
            _ => {}
        }
        assert_eq!(remaining(&server, from).await, [4; 4], "round {round}: the place it left is free at once");
        assert_eq!(remaining(&server, target).await, [3, 4, 4, 4], "round {round}: the place it has is taken at once");
        let other =
            if round % 2 == 0 { client.confirm(&id).await } else { client.reschedule(&id, &Wish::any(target)).await };
        assert_eq!(other.expect(200).json(), known, "round {round}: unchanged");
    }
    assert_nothing_leaks(&server, &days).await;
}
