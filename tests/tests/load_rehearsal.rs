//! Does a rehearsal play the release of a running system through elsewhere, and leave nothing behind?
//! Must not know: the harness's inside; it is a program with arguments, exit codes and files.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use blackbox::program;
use blackbox::{Day, Plan, Server, Wish, eventually, limits, next_whole_second};
use jiff::SignedDuration;
use serde_json::Value;
use tokio::process::Command;

/// A small rehearsal ends long before.
const REHEARSAL_DEADLINE: Duration = Duration::from_secs(90);

/// A small rehearsal of that day, whose throw-away data goes below `folder/data` and whose report goes to `folder`.
fn rehearsal(server: &Server, day: &Day, folder: &Path) -> Command {
    let data = folder.join("data");
    std::fs::create_dir_all(&data).expect("the directory can be made");
    let mut command = program::bare_command(&program::harness());
    command.args(["rehearse", "--url", server.address(), "--key-file"]).arg(server.directory().join("jwt.key"));
    command.args(["--doctor", &day.doctor, "--date", &day.date, "--patients", "60", "--connections", "32"]);
    command.args(["--lookers", "20", "--scripts", "0.5", "--lag-p99-at-most-ms", "30000", "--directory"]).arg(data);
    command.arg("--json").arg(folder.join("report.json")).arg("--html").arg(folder.join("report.html"));
    command
}

/// Fails unless nothing of a rehearsal is left: neither files nor processes.
async fn assert_nothing_left(folder: &Path) {
    let data = folder.join("data");
    let left: Vec<_> = std::fs::read_dir(&data).expect("the directory is there").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let text = data.to_str().expect("a path in UTF-8").to_owned();
    let none = async || (!is_named_by_a_process(&text)).then_some(());
    eventually("no process names the directory", Duration::from_secs(20), none).await;
}

fn is_named_by_a_process(text: &str) -> bool {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(text))
}

async fn seen(server: &Server, day: &Day) -> Value {
    let mut seen = server.anyone().day(&day.doctor, &day.date).await.expect(200).json();
    seen["server_time"] = Value::Null;
    seen
}

#[tokio::test]
async fn a_scheduled_day_is_rehearsed_elsewhere_and_only_read_here() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let tomorrow = next_whole_second(SignedDuration::from_hours(20));
    let day = server.publish(&Plan::quarters_of(5, 2).released_at(tomorrow)).await;
    let before = seen(&server, &day).await;
    assert_eq!(before["state"], "scheduled");

    let output = program::run_to_end(rehearsal(&server, &day, folder.path()), REHEARSAL_DEADLINE).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let text = std::fs::read(folder.path().join("report.json")).expect("the report is written");
    let report: Value = serde_json::from_slice(&text).expect("the report is JSON");
    assert_eq!(report["audit"]["findings"], serde_json::json!([]));
    assert_eq!(report["audit"]["keeping_place"], 10, "{output:?}");
    assert_eq!(report["fairness"]["winners"], 10);
    assert_eq!(report["measured"]["operations"]["book"]["refused"]["count"], 50);
    assert!(std::fs::read_to_string(folder.path().join("report.html")).expect("the page").contains("Rehearsal"));

    assert_eq!(seen(&server, &day).await, before, "the running system is only read");
    let rows = server.admin().day_appointments(&day.doctor, &day.date).await.expect(200).json();
    assert_eq!(rows["items"], serde_json::json!([]));
    let doctors = server.anyone().doctors("limit=200").await.expect(200).json();
    assert_eq!(doctors["items"].as_array().map(Vec::len), Some(1));
    assert_nothing_left(folder.path()).await;
}

#[tokio::test]
async fn what_is_taken_is_not_rehearsed_and_an_interrupt_leaves_nothing() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let day = server.publish(&Plan::quarters(3)).await;
    server.patient().book(&Wish::slot(&day, 0)).await.expect(201);

    let mut command = rehearsal(&server, &day, folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = command.spawn().expect("the harness can be started");
    let key = |entry: std::fs::DirEntry| entry.path().join("data").join("jwt.key").exists();
    let data = folder.path().join("data");
    let started = async || std::fs::read_dir(&data).ok()?.flatten().any(key).then_some(());
    eventually("the throw-away server has begun", Duration::from_secs(30), started).await;
    limits::signal(running.id().expect("it runs"), "INT");
    let output = tokio::time::timeout(REHEARSAL_DEADLINE, running.wait_with_output()).await;
    let output = output.expect("it ends soon").expect("its output");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("2 places in 2 slots, 60 patients"), "{said}");
    assert_nothing_left(folder.path()).await;
}

#[tokio::test]
async fn what_cannot_be_rehearsed_ends_with_two_and_says_why() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let day = server.publish(&Plan::quarters(1)).await;
    server.admin().close_day(&day.doctor, &day.date).await.expect(200);
    let closed = program::run_to_end(rehearsal(&server, &day, folder.path()), REHEARSAL_DEADLINE).await;
    assert_eq!(closed.code, Some(2), "{closed:?}");
    assert!(closed.stderr.contains("nothing to rehearse"), "{closed:?}");

    let open = server.publish(&Plan::quarters(1)).await;
    let mut command = rehearsal(&server, &open, folder.path());
    command.args(["--hotslot", "no/such/program"]);
    let missing = program::run_to_end(command, REHEARSAL_DEADLINE).await;
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.stderr.contains("no/such/program is missing"), "{missing:?}");

    let elsewhere = Day { date: "2031-01-01".to_owned(), ..open };
    let unknown = program::run_to_end(rehearsal(&server, &elsewhere, folder.path()), REHEARSAL_DEADLINE).await;
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.stderr.contains("cannot read the running system"), "{unknown:?}");
    assert_nothing_left(folder.path()).await;
}
