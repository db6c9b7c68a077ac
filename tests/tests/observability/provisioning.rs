//! Do Prometheus and Grafana come up with the rules and dashboards in place, in containers and without?
//! Must not know: what is in them.

use std::time::Duration;

use blackbox::program::{self, repository};
use tempfile::TempDir;

use super::{items, text, yaml};

const SCRIPT_DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn without_containers_one_command_has_everything_in_place() {
    let directory = TempDir::with_prefix("hotslot-watch-").expect("a temporary directory");
    let mut command = program::bare_command(&repository().join("deploy/watch"));
    command.env("WATCH_DIR", directory.path()).args(["--check", "10.0.0.1:9090", "10.0.0.2:9090"]);
    let output = program::run_to_end(command, SCRIPT_DEADLINE).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("2 rule files found"), "{}", output.stdout);
    let read = |file: &str| {
        let file = directory.path().join(file);
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_saphyr::from_str::<serde_json::Value>(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    let targets = &read("prometheus.yaml")["scrape_configs"][0]["static_configs"][0]["targets"];
    assert_eq!(items(targets).map(text).collect::<Vec<_>>(), ["10.0.0.1:9090", "10.0.0.2:9090"]);
    let source = &read("grafana/provisioning/datasources/hotslot.yaml")["datasources"][0];
    assert_eq!(source["url"], "http://127.0.0.1:9090");
    let provider = &read("grafana/provisioning/dashboards/hotslot.yaml")["providers"][0];
    assert_eq!(text(&provider["options"]["path"]), repository().join("grafana").display().to_string());
}

#[test]
fn grafana_knows_how_often_figures_are_taken_and_where_they_are() {
    let figures = yaml("deploy/prometheus.yaml");
    let source = yaml("deploy/grafana/datasource.yaml");
    let source = &source["datasources"][0];
    assert_eq!(figures["global"]["scrape_interval"], source["jsonData"]["timeInterval"]);
    // The dashboards choose it by this name at first.
    assert_eq!((text(&source["type"]), text(&source["uid"])), ("prometheus".to_owned(), "prometheus".to_owned()));
    assert_eq!(figures["scrape_configs"][0]["job_name"], "hotslot", "the alerts name this job");
}
