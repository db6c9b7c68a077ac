//! The metrics page: the catalogue made known to the exporter, and rendered on demand.
//! Must not know: names, help, buckets (the engine's catalogue has them), who measures.

use std::time::Duration;

use engine::telemetry::catalogue::{BUILD_INFO, CATALOGUE, COMMIT, Kind, Metric};
use metrics::Label;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

/// How often samples are folded into their buckets, so that memory stays flat when nobody scrapes.
pub(crate) const UPKEEP_PERIOD: Duration = Duration::from_secs(5);

/// Renders the page.
pub(crate) struct Exporter {
    handle: PrometheusHandle,
    process: Collector,
}

impl Exporter {
    /// Installs the recorder of this process and exports every series of the catalogue as zero.
    pub(crate) fn install() -> Result<Self, BuildError> {
        let mut builder = PrometheusBuilder::new();
        for metric in CATALOGUE.iter().filter(|metric| metric.kind == Kind::Histogram) {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), metric.buckets)?;
        }
        let handle = builder.install_recorder()?;
        for metric in CATALOGUE {
            declare(metric);
        }
        metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION"), "commit" => COMMIT).set(1.0);
        let process = Collector::default();
        process.describe();
        Ok(Self { handle, process })
    }

    /// One that is not the process's recorder, so that a process can have several.
    #[cfg(test)]
    pub(crate) fn detached() -> Self {
        Self { handle: PrometheusBuilder::new().build_recorder().handle(), process: Collector::default() }
    }

    /// The page, in the Prometheus text format.
    pub(crate) fn render(&self) -> String {
        self.process.collect();
        self.handle.render()
    }

    /// Folds samples; every [`UPKEEP_PERIOD`].
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn declare(metric: &'static Metric) {
    match metric.kind {
        Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
        Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
        Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
    }
    for labels in label_sets(metric) {
        match metric.kind {
            Kind::Counter => metrics::counter!(metric.name, labels).absolute(0),
            Kind::Gauge => metrics::gauge!(metric.name, labels).set(0.0),
            // A histogram is exported with all its buckets at 0 once it is known.
            Kind::Histogram => drop(metrics::histogram!(metric.name, labels)),
        }
    }
}

/// Every combination of the label values of `metric`; one empty set if it has no label.
fn label_sets(metric: &'static Metric) -> Vec<Vec<Label>> {
    metric.labels.iter().fold(vec![Vec::new()], |sets, (name, values)| {
        let extended = |set: &Vec<Label>, value: &&'static str| {
            let mut set = set.clone();
            set.push(Label::new(*name, *value));
            set
        };
        sets.iter().flat_map(|set| values.iter().map(move |value| extended(set, value))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_of_the_catalogue_is_exported_before_anything_happens() {
        // The recorder is global to the process: this is the only test that installs it.
        let page = Exporter::install().expect("installed").render();
        for metric in CATALOGUE {
            assert!(page.contains(&format!("# HELP {} ", metric.name)), "{}", metric.name);
            let suffix = if metric.kind == Kind::Histogram { "_count" } else { "" };
            let series = page.lines().filter(|line| {
                let name = line.split(['{', ' ']).next();
                name == Some(&format!("{}{suffix}", metric.name))
            });
            let expected: usize = metric.labels.iter().map(|(_, values)| values.len()).product();
            assert_eq!(series.count(), expected, "{}", metric.name);
        }
        assert!(page.contains("process_resident_memory_bytes"));
        assert!(page.contains("hotslot_build_info{version=\""));
    }
}
