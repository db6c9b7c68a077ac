//! Is every metric that `grafana/` names one of the catalogue, with labels it has, and is every metric of the catalogue shown?
//! Must not know: what metrics mean.

use std::collections::BTreeSet;

use blackbox::sources;

use super::{Query, annotation_queries, assert_none, panel_queries, rules};

/// Metrics of the catalogue that no panel shows, each with the reason.
const NOT_SHOWN: [(&str, &str); 1] =
    [("hotslot_release_last_timestamp_seconds", "marks releases on every dashboard, as an annotation")];
/// Metrics that are not the catalogue's own: of the process, and of Prometheus itself.
const OTHERS: [&str; 7] = [
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
    "up",
    "ALERTS",
];
/// Labels that Prometheus itself puts on series.
const LABELS_OF_PROMETHEUS: [&str; 5] = ["instance", "job", "le", "alertname", "alertstate"];

fn catalogue_text() -> String {
    let text = sources::read("engine/src/telemetry/catalogue.rs".to_owned()).text;
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

/// The names that the catalogue declares.
fn catalogue() -> BTreeSet<String> {
    let text = catalogue_text();
    let is_name = |part: &&str| part.starts_with("hotslot_") && part.len() > 8 && part.chars().all(is_letter);
    let names: BTreeSet<String> = text.split('"').filter(is_name).map(str::to_owned).collect();
    assert!(names.len() > 40, "the catalogue was read: {names:?}");
    names
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
}

/// All expressions of `grafana/`.
fn all_queries() -> Vec<Query> {
    let rules = rules().iter().map(super::Rule::query).collect::<Vec<_>>();
    [panel_queries(), annotation_queries(), rules].concat()
}

/// An expression without its label matchers, ranges and numbers' units: what is left are names, functions and operators.
fn words(expression: &str) -> Vec<String> {
    let mut bare = String::new();
    let mut depth = 0;
    for letter in expression.chars() {
        match letter {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ if depth == 0 => bare.push(letter),
            _ => {}
        }
    }
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    bare.split(|letter: char| !is_word(letter)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The metrics of the catalogue (without a histogram's suffix) that an expression names.
fn metrics_of(expression: &str, catalogue: &BTreeSet<String>) -> BTreeSet<String> {
    let named = words(expression).into_iter().filter(|word| word.starts_with("hotslot_"));
    named
        .map(|word| {
            let bare = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| word.strip_suffix(suffix));
            match bare {
                Some(bare) if !catalogue.contains(&word) => bare.to_owned(),
                _ => word,
            }
        })
        .collect()
}

#[test]
fn every_metric_named_is_in_the_catalogue_or_recorded() {
    let catalogue = catalogue();
    let recorded: BTreeSet<String> =
        rules().into_iter().filter(|rule| !rule.is_alert()).map(|rule| rule.name).collect();
    let mut unknown = Vec::new();
    for query in all_queries() {
        let own = metrics_of(&query.expression, &catalogue);
        unknown.extend(own.difference(&catalogue).map(|name| format!("{}: {name}", query.place)));
        for word in words(&query.expression) {
            let is_other = word.starts_with("process_") || word == "up" || word == "ALERTS";
            if (word.contains(':') && !recorded.contains(&word)) || (is_other && !OTHERS.contains(&word.as_str())) {
                unknown.push(format!("{}: {word}", query.place));
            }
        }
    }
    assert_none("metrics that nobody tells", &unknown);
}

#[test]
fn every_metric_of_the_catalogue_is_on_a_panel_or_excused() {
    let catalogue = catalogue();
    let shown: BTreeSet<String> =
        panel_queries().iter().flat_map(|query| metrics_of(&query.expression, &catalogue)).collect();
    let recorded_and_shown: BTreeSet<String> = {
        let words: BTreeSet<String> = panel_queries().iter().flat_map(|query| words(&query.expression)).collect();
        let sources = rules().into_iter().filter(|rule| words.contains(&rule.name));
        sources.flat_map(|rule| metrics_of(&rule.query().expression, &catalogue)).collect()
    };
    let excused: BTreeSet<String> = NOT_SHOWN.iter().map(|(name, _)| (*name).to_owned()).collect();
    let missing: Vec<String> = catalogue
        .iter()
        .filter(|name| !shown.contains(*name) && !recorded_and_shown.contains(*name) && !excused.contains(*name))
        .cloned()
        .collect();
    assert_none("metrics that no panel shows", &missing);
    for (name, reason) in NOT_SHOWN {
        assert!(catalogue.contains(name) && !shown.contains(name) && !reason.is_empty(), "{name} needs no excuse");
    }
}

#[test]
fn every_label_is_one_that_the_catalogue_declares_with_that_value() {
    let source = catalogue_text();
    let declared = |word: &str| source.contains(&format!("\"{word}\""));
    let mut unknown = Vec::new();
    let mut seen = 0;
    for query in all_queries() {
        for (label, values) in matchers(&query.expression) {
            seen += 1;
            let is_other = LABELS_OF_PROMETHEUS.contains(&label);
            if !is_other && (!declared(label) || !values.split('|').all(declared)) {
                unknown.push(format!("{}: {label} {values}", query.place));
            }
        }
        for label in grouped_by(&query.expression) {
            seen += 1;
            if !LABELS_OF_PROMETHEUS.contains(&label) && !declared(label) {
                unknown.push(format!("{}: by {label}", query.place));
            }
        }
    }
    assert!(seen > 100, "labels are used: {seen}");
    assert_none("labels or values that the catalogue does not declare", &unknown);
}

/// Each label matcher of an expression: the label and its value.
fn matchers(expression: &str) -> impl Iterator<Item = (&str, &str)> {
    let inside = expression.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(inside, _)| inside);
    inside.flat_map(|inside| {
        inside.split(',').map(|matcher| {
            let (label, value) = matcher.split_once(['=', '!']).unwrap_or((matcher, ""));
            (label.trim(), value.trim_start_matches(['=', '~']).trim_matches('"'))
        })
    })
}

/// The labels in `by (…)`, `on (…)` and `group_left (…)`.
fn grouped_by(expression: &str) -> impl Iterator<Item = &str> {
    ["by (", "on (", "group_left ("].into_iter().flat_map(move |word| {
        let lists = expression.split(word).skip(1).filter_map(|rest| rest.split_once(')'));
        lists.flat_map(|(list, _)| list.split(',').map(str::trim).filter(|label| !label.is_empty()))
    })
}

mod tests {
    use super::*;

    #[test]
    fn expressions_are_taken_apart() {
        let expression = r#"sum by (le, stage) (rate(hotslot_a_bucket{b="c|d",e!~"f"}[5m])) / hotslot:x:y1h"#;
        assert!(words(expression).contains(&"hotslot_a_bucket".to_owned()));
        assert!(words(expression).contains(&"hotslot:x:y1h".to_owned()));
        assert_eq!(matchers(expression).collect::<Vec<_>>(), [("b", "c|d"), ("e", "f")]);
        assert_eq!(grouped_by(expression).collect::<Vec<_>>(), ["le", "stage"]);
        let known = BTreeSet::from(["hotslot_a".to_owned()]);
        assert_eq!(metrics_of(expression, &known), known);
    }
}
