//! Do the dashboards and alerts of `grafana/` show what the program tells, and does each alert fire?
//! Must not know: the engine. Metrics are read from the catalogue as text, as an operator would.

mod dashboards;
mod drive;
mod live;
mod names;
mod prometheus;
mod provisioning;
mod rules;
mod schema;

use blackbox::sources;
use serde_json::Value;

/// A query of a panel, or the expression of a rule, and where it stands.
#[derive(Clone, Debug)]
struct Query {
    /// The dashboard and its panel, or the rule.
    place: String,
    /// PromQL; of dashboards with Grafana's variables.
    expression: String,
}

/// Every dashboard: path and content.
fn dashboards() -> Vec<(String, Value)> {
    let paths = sources::paths().into_iter().filter(|path| path.starts_with("grafana/") && path.ends_with(".json"));
    let read = |path: String| {
        let text = sources::read(path.clone()).text;
        (path.clone(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}")))
    };
    let dashboards: Vec<(String, Value)> = paths.map(read).collect();
    assert!(dashboards.len() >= 5, "the dashboards were found: {}", dashboards.len());
    dashboards
}

/// The items of a list; none if there is no list.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The panels of a dashboard that show something.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    items(&dashboard["panels"]).filter(|panel| panel["type"] != "row")
}

/// Every query of every panel.
fn panel_queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for (path, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for target in items(&panel["targets"]) {
                let place = format!("{path}, {}, {}", panel["title"], target["refId"]);
                queries.push(Query { place, expression: text(&target["expr"]) });
            }
        }
    }
    assert!(queries.len() > 100, "panels have queries: {}", queries.len());
    queries
}

/// What marks releases, deploys and alerts on the dashboards; the same on all of them.
fn annotation_queries() -> Vec<Query> {
    let (path, dashboard) = dashboards().remove(0);
    let annotations = items(&dashboard["annotations"]["list"]);
    annotations
        .map(|annotation| Query {
            place: format!("{path}, annotation {}", annotation["name"]),
            expression: text(&annotation["expr"]),
        })
        .collect()
}

/// One rule of `grafana/*.rules.yaml`.
#[derive(Clone, Debug)]
struct Rule {
    /// The recorded series, or the alert.
    name: String,
    /// The whole rule.
    content: Value,
}

impl Rule {
    fn is_alert(&self) -> bool {
        self.content["alert"].is_string()
    }

    fn query(&self) -> Query {
        Query { place: self.name.clone(), expression: text(&self.content["expr"]) }
    }
}

/// The files of rules.
fn rule_files() -> Vec<String> {
    let files: Vec<String> = sources::paths()
        .into_iter()
        .filter(|path| path.starts_with("grafana/") && path.ends_with(".rules.yaml"))
        .collect();
    assert_eq!(files, ["grafana/alerts.rules.yaml", "grafana/recording.rules.yaml"]);
    files
}

/// Every rule.
fn rules() -> Vec<Rule> {
    let mut rules = Vec::new();
    for file in rule_files() {
        for group in items(&yaml(&file)["groups"]) {
            for rule in items(&group["rules"]) {
                let name =
                    rule["alert"].as_str().or(rule["record"].as_str()).unwrap_or_else(|| panic!("{file}: {rule}"));
                rules.push(Rule { name: name.to_owned(), content: rule.clone() });
            }
        }
    }
    assert!(rules.len() > 40, "rules were found: {}", rules.len());
    rules
}

/// The one document of a YAML file.
fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&sources::read(path.to_owned()).text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text: {value}")).to_owned()
}

/// Fails with all findings at once.
#[track_caller]
fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n{}", findings.join("\n"));
}
