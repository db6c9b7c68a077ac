//! One dashboard: its rows of panels, laid out from left to right, with the variables, links and annotations that
//! all of them share.
//! Must not know: what is on it.

use serde_json::{Value, json};

use crate::panel::{DATASOURCE, Panel};

/// Columns of Grafana's grid.
const COLUMNS: u32 = 24;
/// Of Grafana 11.6, which deploy/compose.yaml starts.
const SCHEMA_VERSION: u32 = 41;
const TITLE_HEIGHT: u32 = 1;

/// A dashboard.
#[derive(Clone, Debug)]
pub struct Board {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    since: &'static str,
    rows: Vec<Row>,
}

/// Panels of one height.
#[derive(Clone, Debug)]
struct Row {
    title: Option<&'static str>,
    height: u32,
    panels: Vec<Panel>,
}

impl Board {
    /// An empty dashboard that shows the time from `since` (such as `now-1h`) on.
    pub(crate) fn new(name: &'static str, title: &'static str, since: &'static str, description: &'static str) -> Self {
        Self { name, title, description, since, rows: Vec::new() }
    }

    /// A row below the others, under a title that folds it.
    pub(crate) fn row(mut self, title: &'static str, panels: Vec<Panel>) -> Self {
        self.rows.push(Row { title: Some(title), height: 8, panels });
        self
    }

    /// A row without a title, of that height: for a screen that must hold everything at once.
    pub(crate) fn tight_row(mut self, height: u32, panels: Vec<Panel>) -> Self {
        self.rows.push(Row { title: None, height, panels });
        self
    }

    /// Its file, without `.json`; also its id in links.
    pub fn name(&self) -> &str {
        self.name
    }

    /// As Grafana provisions it.
    pub fn to_json(&self) -> String {
        let board = json!({
            "uid": format!("hotslot-{}", self.name), "title": self.title, "description": self.description,
            "tags": ["hotslot"], "schemaVersion": SCHEMA_VERSION, "editable": false, "graphTooltip": 1,
            "refresh": "5s", "time": {"from": self.since, "to": "now"}, "timezone": "browser",
            "timepicker": {"refresh_intervals": ["5s", "10s", "30s", "1m", "5m"]},
            "links": links(), "templating": {"list": variables()}, "annotations": {"list": annotations()},
            "panels": self.panels(),
        });
        let text = serde_json::to_string_pretty(&board).expect("a value of text and numbers can be written");
        format!("{text}\n")
    }

    fn panels(&self) -> Vec<Value> {
        let mut shown = Vec::new();
        let mut top = 0;
        for row in &self.rows {
            if let Some(title) = row.title {
                let place = json!({"x": 0, "y": top, "w": COLUMNS, "h": TITLE_HEIGHT});
                let id = shown.len() + 1;
                shown.push(json!({
                    "id": id, "type": "row", "title": title, "collapsed": false, "panels": [], "gridPos": place,
                }));
                top += TITLE_HEIGHT;
            }
            let mut left = 0;
            for panel in &row.panels {
                if left + panel.width > COLUMNS {
                    (left, top) = (0, top + row.height);
                }
                let place = json!({"x": left, "y": top, "w": panel.width, "h": row.height});
                shown.push(panel.to_json(shown.len() + 1, place));
                left += panel.width;
            }
            top += row.height;
        }
        shown
    }
}

/// To the other dashboards, with the chosen nodes and time.
fn links() -> Value {
    json!([{
        "title": "hotslot", "type": "dashboards", "tags": ["hotslot"], "asDropdown": true, "includeVars": true,
        "keepTime": true, "targetBlank": false, "icon": "external link", "tooltip": "The other dashboards",
    }])
}

fn variables() -> Value {
    json!([
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus",
            "description": "Where the figures are.", "current": {"text": "Prometheus", "value": "prometheus"}},
        {"name": "node", "label": "Node", "type": "query", "query": "label_values(hotslot_build_info, instance)",
            "datasource": {"type": "prometheus", "uid": DATASOURCE}, "refresh": 2, "sort": 1,
            "description": "One node, some, or all.", "multi": true, "includeAll": true, "allValue": ".+",
            "current": {"text": "All", "value": "$__all"}},
    ])
}

/// Grafana takes the value of a series for the time, in milliseconds.
fn annotations() -> Value {
    let nodes = r#"{instance=~"$node"}"#;
    let releases = format!("max(hotslot_release_last_timestamp_seconds{nodes} > 0) * 1000");
    let starts = format!(
        "process_start_time_seconds{nodes} * 1000 * on (instance) group_left (version, commit) \
         hotslot_build_info{nodes}"
    );
    let annotation = |name: &str, color: &str, expression: &str, title: &str, text: &str, is_instant: bool| {
        json!({
            "name": name, "enable": true, "hide": false, "iconColor": color, "expr": expression, "step": "5s",
            "titleFormat": title, "textFormat": text, "useValueForTime": is_instant,
            "datasource": {"type": "prometheus", "uid": DATASOURCE},
        })
    };
    json!([
        annotation("Releases", "blue", &releases, "Release", "A day was released.", true),
        annotation(
            "Deploys",
            "purple",
            &starts,
            "{{instance}} started",
            "Version {{version}}, commit {{commit}}.",
            true
        ),
        annotation(
            "Alerts",
            "red",
            r#"ALERTS{alertname=~"Hotslot.+",alertstate="firing"}"#,
            "{{alertname}}",
            "{{severity}}",
            false
        ),
    ])
}
