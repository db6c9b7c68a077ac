//! Asking a Prometheus that watches the program: a query over the time of a test, and the alerts.
//! Must not know: what is asked.

use std::time::Duration;

use blackbox::program::repository;
use blackbox::{Call, eventually, now};
use jiff::Timestamp;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use servers::Prometheus;

use super::rule_files;

/// Several looks within the shortest window of a query; also how long a look may take, on a busy machine too.
const INTERVAL: &str = "1s";
/// Prometheus begins to look at its targets within five seconds of its start.
const FIRST_LOOK_DEADLINE: Duration = Duration::from_secs(30);

/// A Prometheus with the rules of `grafana/`, and how to ask it.
pub(super) struct Watch {
    server: Prometheus,
    http: reqwest::Client,
    since: Timestamp,
}

impl Watch {
    /// Watches the programs at these addresses (`http://HOST:PORT`), each of which has been looked at when this returns.
    pub(super) async fn start(addresses: &[String]) -> Self {
        let since = now();
        let targets: Vec<&str> = addresses.iter().map(|address| address.trim_start_matches("http://")).collect();
        let rules: Vec<String> =
            rule_files().iter().map(|file| repository().join(file).display().to_string()).collect();
        // JSON is YAML.
        let configuration = json!({
            "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
            "rule_files": rules,
            "scrape_configs": [{"job_name": "hotslot", "static_configs": [{"targets": targets}]}],
        });
        let server = Prometheus::start(&configuration.to_string()).await;
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let watch = Self { server, http, since };
        let all = targets.len().to_string();
        eventually("every target has been looked at", FIRST_LOOK_DEADLINE, async || {
            let seen = watch.series("sum(up)").await.expect("a query");
            seen.iter().any(|series| last_of(series) == Some(all.as_str())).then_some(())
        })
        .await;
        watch
    }

    /// The series of a query, from the start of this watch until now, a value a second.
    pub(super) async fn series(&self, expression: &str) -> Result<Vec<Value>, String> {
        let seconds = |instant: Timestamp| format!("{:.3}", instant.as_millisecond() as f64 / 1e3);
        let (from, until) = (seconds(self.since), seconds(now()));
        let parameters = [("query", expression), ("start", &from), ("end", &until), ("step", "1")];
        let answer = self.ask("query_range", &parameters).await?;
        Ok(answer["result"].as_array().cloned().unwrap_or_default())
    }

    /// The alerts that are pending or fire, by name and state.
    pub(super) async fn alerts(&self) -> Vec<(String, String)> {
        let answer = self.ask("alerts", &[]).await.unwrap_or_else(|error| panic!("{error}"));
        let alerts = answer["alerts"].as_array().cloned().unwrap_or_default();
        let word = |alert: &Value, pointer: &str| {
            alert.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        alerts.iter().map(|alert| (word(alert, "/labels/alertname"), word(alert, "/state"))).collect()
    }

    /// What is wrong with the evaluation of rules, or with a scrape.
    pub(super) async fn troubles(&self) -> Vec<String> {
        let rules = self.ask("rules", &[]).await.unwrap_or_else(|error| panic!("{error}"));
        let targets = self.ask("targets", &[]).await.unwrap_or_else(|error| panic!("{error}"));
        let groups = rules["groups"].as_array().cloned().unwrap_or_default();
        assert!(groups.len() > 5, "the rules were loaded: {rules}");
        let of_rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        let of_targets = targets["activeTargets"].as_array().cloned().unwrap_or_default().into_iter();
        let all = of_rules.chain(of_targets);
        let sick = all.filter(|one| one["lastError"].as_str().is_some_and(|error| !error.is_empty()));
        sick.map(|one| one.to_string()).collect()
    }

    async fn ask(&self, what: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let url = format!("{}/api/v1/{what}", self.server.url());
        let url = Url::parse_with_params(&url, parameters).expect("an address");
        let reply = Call::new(&self.http, Method::GET, url.to_string()).await;
        let answer = reply.json();
        if reply.status == 200 && answer["status"] == "success" {
            Ok(answer["data"].clone())
        } else {
            Err(format!("{what} {parameters:?}: {}", reply.text()))
        }
    }
}

/// The newest value of a series.
fn last_of(series: &Value) -> Option<&str> {
    series["values"].as_array()?.last()?[1].as_str()
}

/// Whether any value of a series is a number and finite.
pub(super) fn has_number(series: &Value) -> bool {
    let values = series["values"].as_array().into_iter().flatten();
    values.filter_map(|point| point[1].as_str()).any(|value| value.parse::<f64>().is_ok_and(f64::is_finite))
}
