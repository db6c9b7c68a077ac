//! Is each dashboard of the form that Grafana publishes, and does each panel say what it means, in which unit, and what to do?
//! Must not know: whether there is anything to show (see `live`).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::schema::violations;
use super::{assert_none, dashboards, items, panels, text};

const SCHEMA: &str = include_str!("dashboard.schema.json");
/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;
/// Rows of the grid that a screen of 1,080 lines shows below Grafana's own bars.
const SCREEN_ROWS: u64 = 24;

#[test]
fn each_is_of_the_form_that_grafana_publishes() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    let mut found = Vec::new();
    for (path, dashboard) in dashboards() {
        found.extend(violations(&schema, &dashboard).into_iter().map(|violation| format!("{path}{violation}")));
    }
    assert_none("what Grafana does not know", &found);
}

#[test]
fn what_the_form_forbids_is_found() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    let (_, good) = dashboards().remove(0);
    let broken: [(&str, Value); 5] = [
        ("/panels/1/fieldConfig/defaults/unti", json!("s")),
        ("/panels/1/options/legend", json!("bottom")),
        ("/panels/1/fieldConfig/defaults/custom/drawStyle", json!("dots")),
        ("/panels/1/targets/0/expr", json!(1)),
        ("/templating/list/0/type", json!("dropdown")),
    ];
    for (pointer, value) in broken {
        let mut dashboard = good.clone();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        dashboard.pointer_mut(parent).unwrap_or_else(|| panic!("{parent}"))[name] = value;
        assert!(!violations(&schema, &dashboard).is_empty(), "{pointer} was not found");
    }
}

#[test]
fn each_panel_says_what_it_means_and_what_to_do() {
    let mut silent = Vec::new();
    for (path, dashboard) in dashboards() {
        let mut titles = BTreeSet::new();
        for panel in panels(&dashboard) {
            let place = format!("{path}, {}", panel["title"]);
            let description = panel["description"].as_str().unwrap_or_default();
            let (means, act) = description.split_once("\n\n**Do:** ").unwrap_or_default();
            let has_unit = panel["fieldConfig"]["defaults"]["unit"].is_string();
            let has_steps = items(&panel["fieldConfig"]["defaults"]["thresholds"]["steps"]).count() > 0;
            let is_sentence = |text: &str| text.len() > 7 && text.ends_with(['.', '?']);
            if !is_sentence(means) || !is_sentence(act) {
                silent.push(format!("{place}: {description:?}"));
            }
            if !has_unit || !has_steps || items(&panel["targets"]).count() == 0 {
                silent.push(format!("{place}: unit, thresholds, and a query"));
            }
            // Two panels of one title cannot be told apart in a report; in different rows they may be.
            titles.insert(format!("{} {}", panel["title"], panel["gridPos"]["y"]));
        }
        assert_eq!(titles.len(), panels(&dashboard).count(), "{path}: titles in a row");
    }
    assert_none("panels that do not say enough", &silent);
}

#[test]
fn no_panel_lies_upon_another_and_the_release_minute_fits_a_screen() {
    for (path, dashboard) in dashboards() {
        let mut taken = BTreeSet::new();
        let mut ids = BTreeSet::new();
        let mut bottom = 0;
        for panel in items(&dashboard["panels"]) {
            let at = |name: &str| panel["gridPos"][name].as_u64().unwrap_or_else(|| panic!("{path}: {panel}"));
            assert!(at("x") + at("w") <= COLUMNS, "{path}: {} is too wide", panel["title"]);
            assert!(ids.insert(panel["id"].to_string()), "{path}: two panels of one id");
            for row in at("y")..at("y") + at("h") {
                for column in at("x")..at("x") + at("w") {
                    assert!(taken.insert((row, column)), "{path}: {} lies upon another", panel["title"]);
                }
            }
            bottom = bottom.max(at("y") + at("h"));
        }
        assert!(path != "grafana/release-minute.json" || bottom <= SCREEN_ROWS, "{path}: {bottom} rows");
    }
}

#[test]
fn each_can_choose_its_source_and_nodes_and_marks_releases_and_deploys() {
    let mut ids = BTreeSet::new();
    for (path, dashboard) in dashboards() {
        assert!(ids.insert(text(&dashboard["uid"])), "{path}: its id is another's");
        let variables: Vec<String> = items(&dashboard["templating"]["list"]).map(|one| text(&one["name"])).collect();
        assert_eq!(variables, ["datasource", "node"], "{path}");
        let marks: Vec<String> = items(&dashboard["annotations"]["list"]).map(|one| text(&one["name"])).collect();
        assert_eq!(marks, ["Releases", "Deploys", "Alerts"], "{path}");
        for panel in panels(&dashboard) {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{path}: {}", panel["title"]);
        }
    }
}
