//! Do the journeys run against the real program, do everything they are there for, and say when something is wrong?
//! Must not know: their inside; they are a program with arguments, exit codes and files.

use std::path::Path;
use std::time::Duration;

use blackbox::program::{self, Output};
use blackbox::{Reply, Server, days_ahead};
use serde_json::Value;

/// A small run ends long before, also on a crowded machine.
const RUN_DEADLINE: Duration = Duration::from_secs(120);
/// A dozen people who each go their way three times, on few places. Counted in ways and not in seconds, so that as much is
/// done on a slow machine.
const SMALL: [&str; 12] =
    ["--users", "12", "--iterations", "3", "--think-millis", "100", "--doctors", "2", "--days", "3", "--slots", "4"];
const OPERATIONS: [&str; 14] = [
    "search",
    "open_doctor",
    "list_days",
    "open_day",
    "watch",
    "hold",
    "confirm",
    "book",
    "move",
    "cancel",
    "list_own",
    "publish",
    "amend",
    "read_day",
];

async fn run(host: &str, key_file: &Path, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = program::bare_command(&program::journeys());
    command.args(["--host", host, "--key-file"]).arg(key_file).arg("--json").arg(folder.join("journeys.json"));
    command.arg("--report-file").arg(folder.join("journeys.html")).args(arguments);
    program::run_to_end(command, RUN_DEADLINE).await
}

async fn run_on(server: &Server, folder: &Path, arguments: &[&str]) -> Output {
    run(server.address(), &server.directory().join("jwt.key"), folder, arguments).await
}

fn summary(folder: &Path) -> Value {
    let text = std::fs::read(folder.join("journeys.json")).expect("the summary is written");
    serde_json::from_slice(&text).expect("the summary is JSON")
}

#[track_caller]
fn assert_clean(summary: &Value, output: &Output) {
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!((&summary["schema"], &summary["schema_version"]), (&"hotslot-journeys".into(), &1.into()));
    assert_eq!(summary["unexpected"], 0, "{output:?}");
    assert_eq!(summary["audit"]["findings"], serde_json::json!([]), "{output:?}");
    assert_eq!(summary["audit"]["in_doubt"], 0, "{output:?}");
}

#[tokio::test]
async fn everybody_does_everything_and_is_told_the_truth_also_in_a_second_run() {
    let mut server = Server::start().await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let output = run_on(&server, folder.path(), &SMALL).await;
    let first = summary(folder.path());
    assert_clean(&first, &output);
    for operation in OPERATIONS {
        let served = first["operations"][operation]["served"].as_u64();
        assert!(served > Some(0), "{operation}: {output:?}");
    }
    // Two doctors with three days each, and one who has published at each of three goes.
    assert_eq!((&first["audit"]["days"], &first["users"]), (&9.into(), &12.into()), "{output:?}");
    assert_eq!(first["operations"]["publish"]["served"], 3);
    assert!(first["stream_events"].as_u64() >= first["operations"]["watch"]["served"].as_u64());
    assert!(first["audit"]["acknowledged"].as_u64() > first["audit"]["keeping_place"].as_u64(), "{output:?}");
    let page = std::fs::read_to_string(folder.path().join("journeys.html")).expect("the report of goose is written");
    assert!(page.contains("open_day") && page.contains("Booker"), "the report names requests and scenarios");

    let output = run_on(&server, folder.path(), &["--users", "4", "--iterations", "1", "--think-millis", "0"]).await;
    assert_clean(&summary(folder.path()), &output);
    server.assert_audited().await;
}

/// Cancels every booked appointment on the server as an admin, behind the back of its patient; how many.
async fn cancel_behind_their_backs(server: &Server) -> usize {
    let admin = server.admin();
    let (from, to) = (days_ahead(0).to_string(), days_ahead(90).to_string());
    let mut cancelled = 0;
    for doctor in items(&admin.doctors("limit=200").await) {
        let doctor = text(&doctor["id"]);
        for day in items(&admin.days(&doctor, &from, &to).await) {
            for row in items(&admin.day_appointments(&doctor, &text(&day["date"])).await) {
                if row["status"] == "booked" {
                    // Its patient may have cancelled it a moment ago: 200 as well.
                    admin.cancel(&text(&row["id"])).await.expect(200);
                    cancelled += 1;
                }
            }
        }
    }
    cancelled
}

fn items(reply: &Reply) -> Vec<Value> {
    reply.json()["items"].as_array().expect("a list has items").clone()
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

#[tokio::test]
async fn whoever_takes_places_away_behind_their_backs_is_noticed() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let journeys = run_on(&server, folder.path(), &SMALL);
    tokio::pin!(journeys);
    let mut cancelled = 0;
    let output = loop {
        tokio::select! {
            output = &mut journeys => break output,
            count = cancel_behind_their_backs(&server) => cancelled += count,
        }
    };
    assert!(cancelled > 0, "{output:?}");
    assert_eq!(output.code, Some(1), "{output:?}");
    let summary = summary(folder.path());
    let findings = summary["audit"]["findings"].as_array().expect("findings").len() as u64;
    assert!(summary["unexpected"].as_u64().expect("a number") + findings > 0, "{output:?}");
    assert!(output.stdout.contains("unexpected: ") || output.stdout.contains("finding: "), "{output:?}");
}

#[tokio::test]
async fn what_cannot_be_run_ends_with_two_and_says_why() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (right, other) = (server.directory().join("jwt.key"), folder.path().join("other.key"));
    std::fs::write(&other, [7; 32]).expect("a key can be written");
    let (address, missing) = (server.address(), folder.path().join("no-such.key"));
    for (host, key_file, argument, says) in [
        (address, &other, "--users=1", "does not accept tokens of this key"),
        (address, &missing, "--users=1", "no-such.key"),
        ("http://192.0.2.1:80", &right, "--users=1", "--allow-remote"),
        (address, &right, "--no-autostart", "--no-autostart has no place here"),
    ] {
        let output = run(host, key_file, folder.path(), &[argument, "--run-time=1s"]).await;
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains(says), "{says}: {output:?}");
    }
}
