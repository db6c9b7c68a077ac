//! Does `hotslot verify` call clean what is clean, also right after SIGKILL, and refuse what it cannot look at?
//! Must not know: files and their formats (planted damage is told apart in the engine's own tests).

use std::path::Path;
use std::time::Duration;

use blackbox::program::{self, Output};
use blackbox::{Dice, Plan, Profile, Server, Wish, at_once, eventually, fresh_id};
use tokio::task::JoinSet;

const KILLS: usize = 5;
const BUYERS: usize = 200;
const PLACES: usize = 30;

async fn verify(directory: &Path) -> Output {
    program::run(&["verify", "--data-dir", directory.to_str().expect("a path in UTF-8")]).await
}

/// The value of a field of the last line.
fn summed(output: &Output, name: &str) -> u64 {
    let summary = output.stdout.lines().last().unwrap_or_default();
    assert!(summary.starts_with("summary "), "{output:?}");
    let field = summary.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    field.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} in {summary}"))
}

#[track_caller]
fn assert_clean(output: &Output) {
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(output.stdout.lines().count(), 1, "a summary and nothing else: {}", output.stdout);
    assert_eq!(summed(output, "findings"), 0);
    assert_eq!(summed(output, "days_not_compared"), 0);
}

/// Everything a day can go through: bookings with and without keys, a confirmed, a cancelled and a running hold, a close.
async fn eventful_day(server: &Server) {
    let day = server.publish(&Plan::quarters_of(4, 3)).await;
    for number in 0..5 {
        server.patient().book(&Wish::slot(&day, number % 4)).key(&fresh_id()).await.expect(201);
    }
    let patient = server.patient().subject;
    let held = server.patient_as(&patient).hold(&Wish::any(&day)).await.expect(201).text_of("id");
    server.patient_as(&patient).confirm(&held).await.expect(200);
    server.patient_as(&patient).cancel_because(&held, "moved away").await.expect(200);
    server.patient().hold(&Wish::any(&day)).await.expect(201);
    server.admin().close_day(&day.doctor, &day.date).await.expect(200);
}

#[tokio::test]
async fn a_storm_and_a_clean_stop_leave_nothing_to_find() {
    let mut server = Server::start().await;
    eventful_day(&server).await;
    let day = server.publish(&Plan::quarters(PLACES)).await;
    let answers = at_once(BUYERS, |_| {
        let call = server.patient().book(&Wish::any(&day)).key(&fresh_id());
        async move { call.await.status }
    })
    .await;
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), PLACES);
    assert!(server.terminate(Duration::from_secs(10)).await.status.success());
    let output = server.run_beside(&["verify"]).await;
    assert_clean(&output);
    assert_eq!(summed(&output, "days"), 2);
    assert_eq!(summed(&output, "appointments"), (PLACES + 7) as u64);
    assert_eq!(summed(&output, "lag_records"), 0, "a clean stop brings the ledger up");
    assert_eq!(server.run_beside(&["verify"]).await.stdout, output.stdout, "the same files, the same report");
}

/// How many days sleep, as the metrics say.
async fn sleeping_days(server: &Server) -> Option<u64> {
    let text = server.anyone().get("/metrics").await.expect(200).text();
    text.lines().find_map(|line| line.strip_prefix("hotslot_days_asleep "))?.parse().ok()
}

#[tokio::test]
async fn days_that_slept_and_woke_leave_nothing_to_find() {
    let mut server = Server::start_with(&["--idle-seconds", "1"]).await;
    eventful_day(&server).await;
    let day = server.publish(&Plan::quarters_of(4, 9)).await;
    for _ in 0..2 {
        server.patient().book(&Wish::any(&day)).key(&fresh_id()).await.expect(201);
        server.patient().hold(&Wish::any(&day).ttl(1)).await.expect(201);
        let asleep = async || (sleeping_days(&server).await == Some(2)).then_some(());
        eventually("both days sleep", Duration::from_secs(20), asleep).await;
    }
    server.kill().await;
    assert_clean(&server.run_beside(&["verify"]).await);
    server.start_again().await;
    server.patient().book(&Wish::any(&day)).key(&fresh_id()).await.expect(201);
    server.kill().await;
    assert_clean(&server.run_beside(&["verify"]).await);
}

/// A day that sleeps after sixteen records or more leaves a packed state behind that covers its whole log.
#[tokio::test]
async fn a_day_whose_whole_log_is_in_its_packed_state_leaves_nothing_to_find() {
    let mut server = Server::start_with(&["--idle-seconds", "1"]).await;
    let day = server.publish(&Plan::quarters_of(4, 9)).await;
    for _ in 0..20 {
        server.patient().book(&Wish::any(&day)).key(&fresh_id()).await.expect(201);
    }
    let asleep = async || (sleeping_days(&server).await == Some(1)).then_some(());
    eventually("the day sleeps", Duration::from_secs(20), asleep).await;
    assert!(server.terminate(Duration::from_secs(10)).await.status.success());
    let output = server.run_beside(&["verify"]).await;
    assert_clean(&output);
    assert_eq!((summed(&output, "records"), summed(&output, "appointments")), (21, 20));
}

#[tokio::test]
async fn kills_in_the_middle_of_storms_leave_nothing_to_find() {
    let mut server = Server::start().await;
    let mut dice = Dice::thrown();
    eventful_day(&server).await;
    for round in 0..KILLS {
        let day = server.publish(&Plan::quarters(PLACES)).await;
        let mut storm = JoinSet::new();
        for number in 0..BUYERS {
            let patient = server.patient();
            let call = match number % 3 {
                0 => patient.hold(&Wish::any(&day).ttl(1)),
                _ => patient.book(&Wish::any(&day)),
            };
            let call = call.key(&fresh_id());
            storm.spawn(async move { call.attempt().await.ok() });
        }
        let kill_after = 1 + dice.below(100);
        for _ in 0..kill_after {
            storm.join_next().await.expect("an answer").expect("a buyer does not panic");
        }
        server.kill().await;
        let first = server.run_beside(&["verify"]).await;
        assert_clean(&first);
        assert_eq!(summed(&first, "days"), round as u64 + 2, "killed after {kill_after}");
        assert_eq!(server.run_beside(&["verify"]).await.stdout, first.stdout, "an audit changes nothing");
        storm.shutdown().await;
        server.start_again().await;
    }
}

/// Files are looked at by one program at a time; servers answer an audit beside the program.
#[tokio::test]
async fn a_running_program_is_audited_unless_its_stores_are_files() {
    let server = Server::start().await;
    if server.stores().profile() != Profile::Embedded {
        let day = server.publish(&Plan::quarters(PLACES)).await;
        let bookings = at_once(BUYERS, |_| {
            let call = server.patient().book(&Wish::any(&day)).key(&fresh_id());
            async move { call.await.status }
        });
        let audits = async {
            for _ in 0..3 {
                assert_clean(&server.run_beside(&["verify"]).await);
            }
        };
        let (answers, ()) = tokio::join!(bookings, audits);
        assert_eq!(answers.iter().filter(|status| **status == 201).count(), PLACES);
        return;
    }
    let output = server.run_beside(&["verify"]).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{}", output.stdout);
    let directory = server.directory().to_str().expect("a path in UTF-8");
    let lines: Vec<&str> = output.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("in use") && lines[0].contains(directory), "{}", lines[0]);
    assert!(lines[0].contains(&server.process().to_string()), "it names the process: {}", lines[0]);
    server.publish(&Plan::quarters(1)).await;
}

#[tokio::test]
async fn what_is_not_there_or_no_store_is_not_looked_at() {
    let parent = tempfile::tempdir().expect("a directory");
    let missing = parent.path().join("nowhere");
    let output = verify(&missing).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("nowhere"), "{}", output.stderr);
    assert!(!missing.exists(), "an audit makes no directory");

    let strange = parent.path().join("strange");
    std::fs::create_dir(&strange).expect("a directory");
    for name in ["journal.db", "ledger.db"] {
        std::fs::write(strange.join(name), [7; 8_192]).expect("a file");
    }
    let output = verify(&strange).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
    assert!(output.stderr.contains("verify could not run"), "{}", output.stderr);
}
