//! What happens to bookings when the disk is full or sick: never a false success, nothing lost, all well afterwards.
//! Must not know: files and their formats.

use std::collections::BTreeSet;
use std::time::Duration;

use blackbox::disk::SmallDisk;
use blackbox::{Day, Launch, Plan, Reply, Server, Wish, at_once, eventually, fresh_id, limits};

const PATIENCE: Duration = Duration::from_secs(20);
/// Bookings sent at the same moment.
const AT_ONCE: usize = 20;
/// After so many rounds the disk must be full.
const ROUNDS_MAX: usize = 400;
/// Room left on the small disk when it is filled up.
const ROOM_BYTES: u64 = 256 * 1024;

/// One patient, one key, and the answer so far.
#[derive(Debug)]
struct Attempt {
    patient: String,
    key: String,
    reply: Option<Reply>,
}

impl Attempt {
    fn won(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.status == 201)
    }
}

/// A round of new patients who all want a place. No answer at all is allowed only where `may_end` says so.
async fn round(server: &Server, day: &Day) -> Vec<Attempt> {
    at_once(AT_ONCE, |_| {
        let (patient, key) = (fresh_id(), fresh_id());
        let call = server.patient_as(&patient).book(&Wish::any(day)).key(&key);
        async move { Attempt { patient, key, reply: call.attempt().await.ok() } }
    })
    .await
}

/// Fails unless every answer is a success or an honest 503.
fn assert_honest(attempts: &[Attempt]) {
    for reply in attempts.iter().filter_map(|attempt| attempt.reply.as_ref()).filter(|reply| reply.status != 201) {
        assert_eq!(reply.status, 503, "{}", reply.text());
        reply.assert_problem_shape();
        assert!(["unavailable", "overloaded"].contains(&reply.code().as_str()), "{}", reply.text());
    }
}

/// Fails unless every success is there, and every other attempt, sent again under its key, books exactly one place.
async fn settles(server: &Server, day: &Day, attempts: &[Attempt]) {
    let path = format!("/v1/doctors/{}/days/{}/appointments?limit=200", day.doctor, day.date);
    let ids = |items: Vec<serde_json::Value>| -> BTreeSet<String> {
        items.iter().map(|item| item["id"].as_str().expect("id").to_owned()).collect()
    };
    let listed = ids(server.doctor(&day.doctor).all_items(&path).await);
    for attempt in attempts.iter().filter(|attempt| attempt.won()) {
        let id = attempt.reply.as_ref().map(|reply| reply.text_of("id")).expect("a success has a body");
        assert!(listed.contains(&id), "{id} was answered with success and is lost");
    }
    for attempt in attempts {
        let again = server.patient_as(&attempt.patient).book(&Wish::any(day)).key(&attempt.key).await.expect(201);
        if attempt.won() {
            assert_eq!(Some(again.text()), attempt.reply.as_ref().map(Reply::text), "the first answer again");
        }
    }
    let items = server.doctor(&day.doctor).all_items(&path).await;
    let patients: BTreeSet<String> = items.iter().map(|item| item["patient_id"].to_string()).collect();
    assert_eq!((items.len(), patients.len()), (attempts.len(), attempts.len()), "one place for each patient");
}

#[tokio::test]
async fn a_full_disk_refuses_bookings_and_loses_none() {
    let disk = SmallDisk::mount(24);
    let launch = Launch { directory: Some(disk.directory()), ..Launch::default() };
    let mut server = Server::launch(launch).await;
    let day = server.publish(&Plan::quarters_of(1, 50_000)).await;
    let mut attempts = round(&server, &day).await;
    assert!(attempts.iter().all(Attempt::won), "all is well before");

    disk.fill(ROOM_BYTES);
    let mut rounds = 0;
    loop {
        let some = round(&server, &day).await;
        assert_honest(&some);
        let refused = some.iter().any(|attempt| !attempt.won());
        attempts.extend(some);
        if refused {
            break;
        }
        rounds += 1;
        assert!(rounds < ROUNDS_MAX, "the disk never filled up");
    }
    let some = round(&server, &day).await;
    assert_honest(&some);
    attempts.extend(some);

    disk.free();
    let comes_back = server.anyone().get("/healthz/live").attempt().await.is_ok();
    if comes_back {
        // A full disk is refused before anything is written: the same process goes on when there is room.
        eventually("bookings work again", PATIENCE, async || {
            let attempt = round(&server, &day).await;
            assert_honest(&attempt);
            let works = attempt.iter().all(Attempt::won);
            attempts.extend(attempt);
            works.then_some(())
        })
        .await;
        server.restart().await;
    } else {
        let status = server.ended(PATIENCE).await;
        assert_ne!(status.code(), Some(0), "whoever gives up says so");
        server.start_again().await;
    }
    settles(&server, &day, &attempts).await;
}

#[tokio::test]
async fn an_input_output_error_ends_the_process_and_no_success_was_false() {
    // A write past the limit fails with EFBIG instead of a signal; SQLite sees an input/output error.
    let launch = Launch { shell: Some(r#"trap "" XFSZ;"#.to_owned()), ..Launch::default() };
    let mut server = Server::launch(launch).await;
    let day = server.publish(&Plan::quarters_of(1, 50_000)).await;
    let mut attempts = Vec::new();
    for _ in 0..5 {
        attempts.extend(round(&server, &day).await);
    }
    assert!(attempts.iter().all(Attempt::won), "all is well before");

    limits::cap_file_size(server.process(), 0);
    let some = round(&server, &day).await;
    assert_honest(&some);
    assert!(!some.iter().any(Attempt::won), "nothing can have been written");
    attempts.extend(some);
    let status = server.ended(PATIENCE).await;
    assert_eq!(status.code().map(|code| code != 0), Some(true), "it exits by itself, not by a signal: {status:?}");

    server.start_again().await;
    settles(&server, &day, &attempts).await;
    server.patient().book(&Wish::any(&day)).await.expect(201);
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_storm_tells_nobody_a_false_success() {
    let launch = Launch { shell: Some(r#"trap "" XFSZ;"#.to_owned()), ..Launch::default() };
    let mut server = Server::launch(launch).await;
    let day = server.publish(&Plan::quarters_of(1, 50_000)).await;
    let process = server.process();
    let mut attempts = at_once(300, |number| {
        let (patient, key) = (fresh_id(), fresh_id());
        let call = server.patient_as(&patient).book(&Wish::any(&day)).key(&key);
        async move {
            if number == 150 {
                limits::cap_file_size(process, 0);
            }
            Attempt { patient, key, reply: call.attempt().await.ok() }
        }
    })
    .await;
    assert_honest(&attempts);
    attempts.extend(round(&server, &day).await);
    assert!(!attempts.iter().rev().take(AT_ONCE).any(Attempt::won), "the limit came before them");
    let status = server.ended(PATIENCE).await;
    assert!(status.code().is_some_and(|code| code != 0), "{status:?}");
    server.start_again().await;
    settles(&server, &day, &attempts).await;
}
