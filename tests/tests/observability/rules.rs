//! Are the rules well formed, does each alert fire on its case and stay silent otherwise, and does each lead to what to do?
//! Must not know: whether their metrics exist (see `names`, `live`).

use std::collections::BTreeSet;
use std::time::Duration;

use blackbox::program::{self, repository};
use blackbox::sources;
use serde_json::Value;

use super::{assert_none, items, rule_files, rules, text, yaml};

/// Hours of figures are evaluated minute by minute.
const PROMTOOL_DEADLINE: Duration = Duration::from_secs(120);
const RUNBOOK: &str = "deploy/OPERATIONS.md";

fn test_files() -> Vec<String> {
    let files: Vec<String> = sources::paths().into_iter().filter(|path| path.starts_with("grafana/tests/")).collect();
    assert!(files.len() > 5, "tests of rules were found: {files:?}");
    files
}

async fn promtool(arguments: &[&str], files: &[String]) {
    let mut command = program::bare_command(&servers::promtool());
    command.current_dir(repository()).args(arguments).args(files);
    let output = program::run_to_end(command, PROMTOOL_DEADLINE).await;
    assert_eq!(output.code, Some(0), "promtool {arguments:?}: {}{}", output.stdout, output.stderr);
}

#[tokio::test]
async fn they_are_well_formed() {
    promtool(&["check", "rules"], &rule_files()).await;
}

#[tokio::test]
async fn each_alert_fires_on_its_case_and_is_silent_on_the_healthy_one() {
    promtool(&["test", "rules"], &test_files()).await;
    // That each alert has both cases: promtool does not ask.
    let mut fires = BTreeSet::new();
    let mut silent = BTreeSet::new();
    for file in test_files() {
        for case in items(&yaml(&file)["tests"]) {
            assert!(items(&case["input_series"]).count() > 0, "{file}: a case without figures: {case}");
            for look in items(&case["alert_rule_test"]) {
                let set = if items(&look["exp_alerts"]).count() > 0 { &mut fires } else { &mut silent };
                set.insert(text(&look["alertname"]));
            }
        }
    }
    let alerts: BTreeSet<String> = rules().into_iter().filter(super::Rule::is_alert).map(|rule| rule.name).collect();
    assert_eq!(fires, alerts, "alerts that have been seen to fire");
    assert_eq!(silent, alerts, "alerts that have been seen to be silent");
}

/// GitHub's anchors of headings that are one word.
fn runbook_entries() -> BTreeSet<String> {
    let page = sources::read(RUNBOOK.to_owned()).text;
    page.lines().filter_map(|line| line.strip_prefix("#### Hotslot")).map(|rest| format!("Hotslot{rest}")).collect()
}

#[test]
fn each_alert_says_whom_it_wakes_and_leads_to_its_entry_of_the_runbook() {
    let mut wrong = Vec::new();
    let mut alerts = BTreeSet::new();
    for rule in rules().into_iter().filter(super::Rule::is_alert) {
        let severity = text(&rule.content["labels"]["severity"]);
        let leads_to = text(&rule.content["annotations"]["runbook_url"]);
        let has_summary = rule.content["annotations"]["summary"].as_str().is_some_and(|summary| summary.len() > 10);
        if !["page", "look"].contains(&severity.as_str()) || !has_summary {
            wrong.push(format!("{}: severity page or look, and a summary", rule.name));
        }
        if leads_to != format!("{RUNBOOK}#{}", rule.name.to_lowercase()) {
            wrong.push(format!("{}: {leads_to}", rule.name));
        }
        assert!(alerts.insert(rule.name.clone()), "{} is there twice", rule.name);
    }
    assert_none("alerts that do not say enough", &wrong);
    assert_eq!(runbook_entries(), alerts, "entries of {RUNBOOK}");
}

#[test]
fn each_entry_of_the_runbook_says_what_to_do_and_agrees_on_whom_it_wakes() {
    let page = sources::read(RUNBOOK.to_owned()).text;
    for rule in rules().into_iter().filter(super::Rule::is_alert) {
        let (_, rest) = page.split_once(&format!("#### {}\n", rule.name)).unwrap_or_else(|| panic!("{}", rule.name));
        let entry = rest.split("\n#").next().unwrap_or_default().trim();
        let severity = text(&rule.content["labels"]["severity"]);
        let hold = rule.content["for"].as_str().map(|hold| format!(" after {hold}")).unwrap_or_default();
        let opening = match severity.as_str() {
            "page" => format!("*Page{hold}.* "),
            _ => format!("*Look{hold}.* "),
        };
        assert!(entry.starts_with(&opening), "{}: {opening:?}, {entry}", rule.name);
        assert!(entry.contains("**Do:**") || entry.contains("As ["), "{}: {entry}", rule.name);
    }
}

#[test]
fn what_is_recorded_is_recorded_once() {
    let recorded: Vec<String> = rules().into_iter().filter(|rule| !rule.is_alert()).map(|rule| rule.name).collect();
    assert_eq!(recorded.iter().collect::<BTreeSet<_>>().len(), recorded.len(), "{recorded:?}");
    assert!(recorded.iter().all(|name| name.starts_with("hotslot:")), "{recorded:?}");
    // The kind of a rule decides: nothing else may be in these files.
    assert!(rules().iter().all(|rule| rule.is_alert() != rule.content["record"].is_string()));
    assert!(rules().iter().all(|rule| matches!(rule.content["expr"], Value::String(_))));
}
