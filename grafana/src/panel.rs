//! One panel: what it shows, in which unit, where it turns bad, what that means and what to do.
//! Must not know: on which dashboard it is, and where.

use serde_json::{Value, json};

/// Variable of the dashboards: which Prometheus.
pub(crate) const DATASOURCE: &str = "${datasource}";
const GOOD: &str = "green";
const WARN: &str = "orange";
const BAD: &str = "red";
/// Series whose legend says that they are a bound are drawn as a dashed line.
const BOUND_LEGEND: &str = "/bound|capacity/";

/// Units, as Grafana names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Count,
    PerSecond,
    Seconds,
    /// Hours, minutes, seconds: for a countdown.
    Clock,
    Bytes,
    /// 0 to 1, shown as percent.
    Share,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "short",
            Self::PerSecond => "ops",
            Self::Seconds => "s",
            Self::Clock => "dthms",
            Self::Bytes => "bytes",
            Self::Share => "percentunit",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Lines { stacked: bool },
    Number { names: bool },
    HeatMap,
}

/// A panel of a dashboard.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    title: &'static str,
    description: String,
    view: View,
    unit: Unit,
    queries: Vec<(String, &'static str)>,
    steps: Vec<(Option<f64>, &'static str)>,
    range: (Option<f64>, Option<f64>),
    empty: Option<&'static str>,
    /// In 24ths of the screen.
    pub(crate) width: u32,
}

impl Panel {
    /// Lines over time. `means` says what is shown, `act` what to do when it looks bad.
    pub(crate) fn lines(title: &'static str, unit: Unit, means: &str, act: &str) -> Self {
        Self::new(View::Lines { stacked: false }, title, unit, means, act)
    }

    /// Areas over time, one upon the other.
    pub(crate) fn areas(title: &'static str, unit: Unit, means: &str, act: &str) -> Self {
        Self::new(View::Lines { stacked: true }, title, unit, means, act)
    }

    /// One number, now.
    pub(crate) fn number(title: &'static str, unit: Unit, means: &str, act: &str) -> Self {
        Self::new(View::Number { names: false }, title, unit, means, act)
    }

    /// A number for each series, with its name.
    pub(crate) fn numbers(title: &'static str, unit: Unit, means: &str, act: &str) -> Self {
        Self::new(View::Number { names: true }, title, unit, means, act)
    }

    /// A histogram over time.
    pub(crate) fn heat_map(title: &'static str, unit: Unit, means: &str, act: &str) -> Self {
        Self::new(View::HeatMap, title, unit, means, act)
    }

    fn new(view: View, title: &'static str, unit: Unit, means: &str, act: &str) -> Self {
        let description = format!("{means}\n\n**Do:** {act}");
        let range = (Some(0.0), None);
        let steps = vec![(None, GOOD)];
        Self { title, description, view, unit, queries: Vec::new(), steps, range, empty: None, width: 8 }
    }

    /// One more query; `legend` names its series.
    pub(crate) fn query(mut self, expression: impl Into<String>, legend: &'static str) -> Self {
        self.queries.push((expression.into(), legend));
        self
    }

    /// From this value on it is worth a look.
    pub(crate) fn warn_from(mut self, value: f64) -> Self {
        self.steps.push((Some(value), WARN));
        self
    }

    /// From this value on it is bad.
    pub(crate) fn bad_from(mut self, value: f64) -> Self {
        self.steps.push((Some(value), BAD));
        self
    }

    /// Below the first value it is bad, below the second worth a look.
    pub(crate) fn bad_below(mut self, bad: f64, warn: f64) -> Self {
        self.steps = vec![(None, BAD), (Some(bad), WARN), (Some(warn), GOOD)];
        self
    }

    /// What the axis ends at.
    pub(crate) fn up_to(mut self, max: f64) -> Self {
        self.range.1 = Some(max);
        self
    }

    /// Values may be negative.
    pub(crate) fn signed(mut self) -> Self {
        self.range.0 = None;
        self
    }

    /// What to say if there is nothing to show.
    pub(crate) fn if_empty(mut self, text: &'static str) -> Self {
        self.empty = Some(text);
        self
    }

    /// In 24ths of the screen; 8 unless told.
    pub(crate) fn wide(mut self, width: u32) -> Self {
        self.width = width;
        self
    }

    /// As Grafana wants it, at that place.
    pub(crate) fn to_json(&self, id: usize, place: Value) -> Value {
        let kind = match self.view {
            View::Lines { .. } => "timeseries",
            View::Number { .. } => "stat",
            View::HeatMap => "heatmap",
        };
        let targets: Vec<Value> =
            self.queries.iter().enumerate().map(|(index, query)| self.target(index, query)).collect();
        json!({
            "id": id, "type": kind, "title": self.title, "description": self.description, "gridPos": place,
            "datasource": {"type": "prometheus", "uid": DATASOURCE},
            "targets": targets,
            "fieldConfig": {"defaults": self.defaults(), "overrides": self.overrides()},
            "options": self.options(),
        })
    }

    fn target(&self, index: usize, (expression, legend): &(String, &'static str)) -> Value {
        let is_number = matches!(self.view, View::Number { .. });
        let format = if self.view == View::HeatMap { "heatmap" } else { "time_series" };
        json!({
            "refId": char::from(b'A' + index as u8).to_string(),
            "datasource": {"type": "prometheus", "uid": DATASOURCE},
            "expr": expression, "legendFormat": legend, "format": format, "editorMode": "code",
            "instant": is_number, "range": !is_number,
        })
    }

    fn defaults(&self) -> Value {
        let steps: Vec<Value> =
            self.steps.iter().map(|(value, color)| json!({"value": value, "color": color})).collect();
        let color = if matches!(self.view, View::Number { .. }) { "thresholds" } else { "palette-classic-by-name" };
        let mut defaults = json!({
            "unit": self.unit.name(),
            "color": {"mode": color},
            "thresholds": {"mode": "absolute", "steps": steps},
        });
        for (name, bound) in [("min", self.range.0), ("max", self.range.1)] {
            if let Some(bound) = bound {
                defaults[name] = json!(bound);
            }
        }
        if let Some(text) = self.empty {
            defaults["noValue"] = json!(text);
        }
        if let View::Lines { stacked } = self.view {
            defaults["custom"] = self.lines_style(stacked);
        }
        defaults
    }

    fn lines_style(&self, stacked: bool) -> Value {
        let limits = if self.steps.len() > 1 { "line" } else { "off" };
        json!({
            "drawStyle": "line", "lineWidth": 1, "fillOpacity": if stacked { 30 } else { 0 },
            "lineInterpolation": "linear", "showPoints": "never", "spanNulls": false,
            "stacking": {"mode": if stacked { "normal" } else { "none" }, "group": "A"},
            "thresholdsStyle": {"mode": limits},
        })
    }

    fn overrides(&self) -> Value {
        if !matches!(self.view, View::Lines { .. }) {
            return json!([]);
        }
        json!([{
            "matcher": {"id": "byRegexp", "options": BOUND_LEGEND},
            "properties": [
                {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}},
                {"id": "custom.fillOpacity", "value": 0},
                {"id": "custom.stacking", "value": {"mode": "none", "group": "B"}},
            ],
        }])
    }

    fn options(&self) -> Value {
        match self.view {
            View::Lines { .. } => json!({
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            View::Number { names } => json!({
                "colorMode": "background", "graphMode": "none", "justifyMode": "auto", "orientation": "auto",
                "percentChangeColorMode": "standard", "showPercentChange": false, "wideLayout": true,
                "textMode": if names { "value_and_name" } else { "value" },
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            }),
            View::HeatMap => json!({
                "calculate": false, "cellGap": 1, "showValue": "never",
                "color": {"mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5, "steps": 64,
                    "reverse": false, "fill": "dark-orange"},
                "exemplars": {"color": "rgba(255,0,255,0.7)"},
                "filterValues": {"le": 1e-9},
                "legend": {"show": true},
                "rowsFrame": {"layout": "auto"},
                "tooltip": {"mode": "single", "showColorScale": false, "yHistogram": true},
                "yAxis": {"axisPlacement": "left", "reverse": false, "unit": self.unit.name()},
            }),
        }
    }
}
