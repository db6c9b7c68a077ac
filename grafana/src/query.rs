//! PromQL as the panels need it. Each metric is written as `name` or `name{label="value"}`, and narrowed to the
//! nodes that the reader has
//! chosen.
//! Must not know: how results are drawn.

/// What Grafana puts in for `$node`: all nodes, or the chosen ones.
const CHOSEN_NODES: &str = r#"instance=~"$node""#;
/// Four scrapes at least, and never less than one pixel is wide.
const WINDOW: &str = "$__rate_interval";

/// The series of the chosen nodes.
pub(crate) fn each(metric: &str) -> String {
    match metric.split_once('{') {
        None => format!("{metric}{{{CHOSEN_NODES}}}"),
        Some((name, rest)) => format!("{name}{{{CHOSEN_NODES},{rest}"),
    }
}

/// A gauge of all chosen nodes together.
pub(crate) fn sum(metric: &str) -> String {
    format!("sum({})", each(metric))
}

/// A gauge of all chosen nodes together, by a label.
pub(crate) fn sum_by(label: &str, metric: &str) -> String {
    format!("sum by ({label}) ({})", each(metric))
}

/// The greatest of a gauge, by a label.
pub(crate) fn max_by(label: &str, metric: &str) -> String {
    format!("max by ({label}) ({})", each(metric))
}

/// The greatest of a gauge.
pub(crate) fn max(metric: &str) -> String {
    format!("max({})", each(metric))
}

/// How often a second a counter rises.
pub(crate) fn rate(counter: &str) -> String {
    format!("sum(rate({}[{WINDOW}]))", each(counter))
}

/// How often a second a counter rises, by a label.
pub(crate) fn rate_by(label: &str, counter: &str) -> String {
    format!("sum by ({label}) (rate({}[{WINDOW}]))", each(counter))
}

/// By how much a counter has risen within the shown time.
pub(crate) fn risen(counter: &str) -> String {
    format!("sum(increase({}[$__range]))", each(counter))
}

/// By how much a counter has risen within the shown time, by a label.
pub(crate) fn risen_by(label: &str, counter: &str) -> String {
    format!("sum by ({label}) (increase({}[$__range]))", each(counter))
}

/// A quantile of a histogram.
pub(crate) fn quantile(share: f64, histogram: &str) -> String {
    format!("histogram_quantile({share}, sum by (le) (rate({}[{WINDOW}])))", each(&part("_bucket", histogram)))
}

/// A quantile of a histogram, by a label.
pub(crate) fn quantile_by(share: f64, label: &str, histogram: &str) -> String {
    let buckets = each(&part("_bucket", histogram));
    format!("histogram_quantile({share}, sum by (le, {label}) (rate({buckets}[{WINDOW}])))")
}

/// The mean of a histogram's values.
pub(crate) fn mean(histogram: &str) -> String {
    format!("{} / {}", rate(&part("_sum", histogram)), rate(&part("_count", histogram)))
}

/// The buckets of a histogram, as a heat map wants them.
pub(crate) fn buckets(histogram: &str) -> String {
    format!("sum by (le) (increase({}[{WINDOW}]))", each(&part("_bucket", histogram)))
}

/// A series of a histogram: the suffix goes behind the name, before the labels.
fn part(suffix: &str, histogram: &str) -> String {
    match histogram.split_once('{') {
        None => format!("{histogram}{suffix}"),
        Some((name, rest)) => format!("{name}{suffix}{{{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_narrowed_to_the_chosen_nodes_whatever_their_labels() {
        assert_eq!(sum("a"), r#"sum(a{instance=~"$node"})"#);
        assert_eq!(rate(r#"a{b="c"}"#), r#"sum(rate(a{instance=~"$node",b="c"}[$__rate_interval]))"#);
        let expected =
            r#"histogram_quantile(0.99, sum by (le) (rate(a_bucket{instance=~"$node",b="c"}[$__rate_interval])))"#;
        assert_eq!(quantile(0.99, r#"a{b="c"}"#), expected);
    }
}
