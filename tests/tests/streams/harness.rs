//! Does the load harness see with its readers what there is to see, and does it tell?
//! Must not know: the harness's inside; it is a program with arguments, exit codes and files.

use std::time::Duration;

use blackbox::program::{self, repository};
use blackbox::{Plan, Server};
use serde_json::Value;

/// Both end long before.
const RUN_DEADLINE: Duration = Duration::from_secs(60);
const READERS: u64 = 40;

#[tokio::test]
async fn the_readers_of_a_scenario_see_the_last_state_and_how_old_each_booking_was() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    // Without its thresholds: how fast a debug build is on a crowded machine, is no question here.
    let text = std::fs::read_to_string(repository().join("loadtest/scenarios/watchers.toml")).expect("it is there");
    let (scenario, report) = (folder.path().join("watchers.toml"), folder.path().join("report.json"));
    std::fs::write(&scenario, text.split("[[threshold]]").next().expect("a first part")).expect("it can be written");
    let mut command = program::bare_command(&program::harness());
    command.arg("run").arg(scenario).arg("--json").arg(&report);
    command.args(["--url", server.address(), "--key-file"]).arg(server.directory().join("jwt.key"));
    command.args(["--watchers", &READERS.to_string(), "--rate", "2", "--duration-seconds", "3"]);
    command.args(["--lag-p99-at-most-ms", "30000"]);
    let output = program::run_to_end(command, RUN_DEADLINE).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(report).expect("it is written")).expect("JSON");
    let beside = &report["beside"];
    let bookings = report["audit"]["acknowledged"].as_u64().expect("a number");
    assert!(bookings >= 5, "{report}");
    assert_eq!(
        (&beside["watchers"], &beside["behind"], &beside["ended_early"]),
        (&READERS.into(), &0.into(), &0.into())
    );
    assert!(beside["caught_up_ms"].is_number(), "{beside}");
    // Half a second lies between two bookings; a machine that is very busy may still have two told together.
    let seen = beside["change_age"]["count"].as_u64().expect("a number");
    assert!((READERS..=READERS * bookings).contains(&seen), "{seen} of {bookings} bookings");
    assert!(beside["server"]["kib_per_watcher_open"].is_number(), "{beside}");
}

#[tokio::test]
async fn a_day_is_watched_for_a_while() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(3)).await;
    let mut command = program::bare_command(&program::harness());
    command.args(["watch", "--url", server.address(), "--doctor", &day.doctor, "--date", &day.date]);
    command.arg("--key-file").arg(server.directory().join("jwt.key"));
    command.args(["--watchers", "3", "--seconds", "1"]);
    let output = program::run_to_end(command, RUN_DEADLINE).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.starts_with("open\n"), "{output:?}");
    assert!(output.stdout.contains("3 streams, 3 events, 0 ended early, 0 behind"), "{output:?}");
}
