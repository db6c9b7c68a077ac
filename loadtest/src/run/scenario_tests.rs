//! Whether scenario files are read strictly, and whether those that come with the program are sound.
//! Must not know: how they run.

use super::*;

const SMALL: &str = r#"
about = "small"
[parameters]
rate_per_second = 10.0
duration_seconds = 4.0
patients = 100
places = 20
[days]
doctors = 1
slots = 20
[[load]]
name = "humans"
arrivals = "spike"
share = 0.5
median_ms = 10.0
operations = { book = 1 }
"#;

fn read_str(text: &str) -> Result<Scenario, ScenarioError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    read(file.path(), |_| {})
}

#[test]
fn a_small_scenario_is_read_with_its_defaults() {
    let scenario = read_str(SMALL).unwrap();
    assert_eq!((scenario.days.days_per_doctor, scenario.generator.connections), (1, 256));
    let arrivals = scenario.load[0].arrivals(&scenario.parameters, Path::new("")).unwrap();
    assert_eq!(arrivals, Arrivals::Spike { patients: 50, median_ms: 10.0, spread: 0.0 });
}

#[test]
fn a_changed_scenario_is_checked_after_the_change() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SMALL).unwrap();
    let changed = read(file.path(), |scenario| scenario.parameters.places = 7).unwrap();
    assert_eq!(changed.parameters.places, 7);
    let error = read(file.path(), |scenario| scenario.parameters.duration_seconds = 0.0).unwrap_err();
    assert!(error.to_string().contains("duration_seconds must be from"), "{error}");
}

#[test]
fn what_is_misspelt_or_senseless_is_refused() {
    for (from, to, says) in [
        ("places = 20", "place = 20", "place"),
        ("share = 0.5", "share = -1.0", "share must be"),
        ("doctors = 1", "doctors = 0", "doctors must be"),
        ("book = 1", "book = 0", "no operations"),
        ("book = 1", "buy = 1", "buy"),
        ("\"humans\"", "\"Humans 1\"", "lower-case"),
        ("\"spike\"", "\"replay\"", "needs a file"),
        ("[[load]]", "[[threshold]]\nmetric = \"a\"\n[[load]]", "neither at_most"),
    ] {
        let error = read_str(&SMALL.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(says), "{from} -> {to}: {error}");
    }
}

#[test]
fn every_scenario_that_comes_along_is_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let scenario = read(&path, |_| {}).unwrap();
            for load in &scenario.load {
                load.arrivals(&scenario.parameters, &folder).unwrap();
            }
            names.push(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    names.sort();
    let expected = [
        "churn",
        "mixed",
        "one-hot-day",
        "overload",
        "release",
        "release-rush",
        "replay",
        "retry-storm",
        "slow-clients",
        "soak",
        "sold-out",
        "spread",
        "watchers",
        "watchers-storm",
    ];
    assert_eq!(names, expected);
}
