//! Is every metric that `deploy/` names one of the catalogue? (The rules of alerts are in `grafana/`: see `observability`.)
//! Must not know: what metrics mean.

use blackbox::sources;

use super::{assert_none, files, single, text};

/// The names that the catalogue declares.
fn catalogue() -> Vec<String> {
    let source = sources::read("engine/src/telemetry/catalogue.rs".to_owned()).text;
    let names: Vec<String> = source.split('"').filter(|part| is_metric(part)).map(str::to_owned).collect();
    assert!(names.len() > 20, "the catalogue was read: {names:?}");
    names
}

fn is_letter_of_metric(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
}

fn is_metric(word: &str) -> bool {
    word.len() > "hotslot_".len() && word.starts_with("hotslot_") && word.chars().all(is_letter_of_metric)
}

#[test]
fn every_metric_it_names_is_in_the_catalogue() {
    let catalogue = catalogue();
    let known = |word: &str| {
        let bare = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| word.strip_suffix(suffix));
        catalogue.iter().any(|name| name == word || Some(name.as_str()) == bare)
    };
    let mut unknown = Vec::new();
    let mut named = 0;
    for file in files() {
        for word in file.text.split(|letter| !is_letter_of_metric(letter)).filter(|word| is_metric(word)) {
            named += 1;
            if !known(word) {
                unknown.push(format!("{}: {word}", file.path));
            }
        }
    }
    assert!(named > 10, "metrics are named: {named}");
    assert_none("metrics that are not in the catalogue", &unknown);
}

#[test]
fn the_autoscaler_asks_for_what_the_adapter_offers() {
    let autoscaler = single("deploy/kubernetes/monitoring/autoscaler.yaml");
    let values = single("deploy/kubernetes/monitoring/adapter-values.yaml");
    let asked = text(&autoscaler["spec"]["metrics"][0]["pods"]["metric"]["name"], "the autoscaler's metric");
    let rule = &values["rules"]["custom"][0];
    assert_eq!(text(&rule["name"]["as"], "the adapter's name"), asked);
    assert!(text(&rule["seriesQuery"], "the adapter's series").starts_with(&format!("{asked}{{")), "{rule}");
}
