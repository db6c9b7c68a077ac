//! Does the load harness run its scenarios against the real program, find it clean, and say when it is not?
//! Must not know: the harness's inside; it is a program with arguments, exit codes and files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use blackbox::Server;
use blackbox::program::{self, Output, repository};
use serde_json::Value;

/// A small scenario ends long before.
const RUN_DEADLINE: Duration = Duration::from_secs(60);

/// Runs a scenario, with a report in `folder`.
async fn run(server: &Server, scenario: &Path, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = program::bare_command(&program::harness());
    command.arg("run").arg(scenario);
    command.args(["--url", server.address(), "--key-file"]).arg(server.directory().join("jwt.key"));
    command.arg("--json").arg(folder.join("report.json")).arg("--html").arg(folder.join("report.html"));
    // How fast a crowded machine is, is no question here.
    command.args(["--lag-p99-at-most-ms", "30000"]).args(arguments);
    program::run_to_end(command, RUN_DEADLINE).await
}

/// A scenario that comes with the harness.
fn scenario(name: &str) -> PathBuf {
    repository().join("loadtest/scenarios").join(name)
}

/// The same without its thresholds: how fast a debug build is on a crowded machine, is no question here either.
fn without_thresholds(name: &str, folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(scenario(name)).expect("the scenario is there");
    let path = folder.join(name);
    std::fs::write(&path, text.split("[[threshold]]").next().expect("a first part")).expect("it can be written");
    path
}

fn report(folder: &Path) -> Value {
    let text = std::fs::read(folder.join("report.json")).expect("the report is written");
    serde_json::from_slice(&text).expect("the report is JSON")
}

#[track_caller]
fn assert_clean(report: &Value, output: &Output) {
    assert_eq!(report["schema"], "hotslot-loadtest-run", "{output:?}");
    assert_eq!(report["schema_version"], 1);
    assert_eq!(report["valid"], true, "{output:?}");
    assert_eq!(report["audit"]["findings"], serde_json::json!([]), "{output:?}");
    assert_eq!(report["audit"]["unknown"], 0, "{output:?}");
    assert_eq!(report["measured"]["not_sent"], 0, "{output:?}");
    assert_eq!(report["measured"]["arrivals"], report["measured"]["sent"]);
}

#[tokio::test]
async fn a_release_sells_exactly_its_places_and_is_reported() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let small =
        ["--patients", "100", "--places", "7", "--rate", "20", "--duration-seconds", "3", "--connections", "64"];
    let output = run(&server, &scenario("release.toml"), folder.path(), &small).await;
    let report = report(folder.path());
    assert_clean(&report, &output);
    assert_eq!(report["audit"]["keeping_place"], 7);
    assert_eq!((&report["fairness"]["winners"], &report["fairness"]["losers"]), (&7.into(), &93.into()));
    assert_eq!(report["measured"]["operations"]["book"]["served"]["count"], 7);
    // The scenario asks for twenty places sold: with seven that bound is broken, and said to be so.
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains("threshold BROKEN: audit.keeping_place is 7.00"), "{}", output.stdout);

    let page = std::fs::read_to_string(folder.path().join("report.html")).expect("the page is written");
    assert!(page.contains("<svg") && page.contains("Latency over time"), "{page}");
    for outside in ["<script", "http://", "https://", "src=", "@import"] {
        assert!(!page.contains(outside), "{outside} on the page");
    }
}

#[tokio::test]
async fn churn_ends_with_everything_where_it_was_told_to_be() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let small = ["--rate", "100", "--duration-seconds", "3", "--doctors", "1", "--places", "20", "--connections", "32"];
    let churn = without_thresholds("churn.toml", folder.path());
    let output = run(&server, &churn, folder.path(), &small).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let first = report(folder.path());
    assert_clean(&first, &output);
    for operation in ["book", "hold", "confirm", "move", "cancel", "rebook"] {
        let served = first["measured"]["operations"][operation]["served"]["count"].as_u64();
        assert!(served.is_some_and(|count| count > 0), "{operation}: {output:?}");
    }
    assert!(first["fairness"]["winners"].as_u64() > Some(0));

    let earlier = folder.path().join("earlier.json");
    std::fs::rename(folder.path().join("report.json"), &earlier).expect("the report can be moved");
    let compare = ["--rate", "20", "--duration-seconds", "1", "--compare", earlier.to_str().expect("a path in UTF-8")];
    let output = run(&server, &churn, folder.path(), &compare).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let second = report(folder.path());
    assert_clean(&second, &output);
    assert!(second["comparison"].as_array().is_some_and(|rows| !rows.is_empty()), "{output:?}");
}

#[tokio::test]
async fn what_cannot_be_run_ends_with_two_and_says_why() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    for (name, arguments, says) in [
        ("no-such.toml", &[][..], "no-such.toml"),
        ("churn.toml", &["--duration-seconds", "0"][..], "duration_seconds must be"),
        ("churn.toml", &["--compare", "no-such.json"][..], "no-such.json"),
    ] {
        let output = run(&server, &scenario(name), folder.path(), arguments).await;
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains(says), "{output:?}");
    }
}
