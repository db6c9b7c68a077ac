//! Whether every scenario under `tests/scenarios` plays as it is written.
//! Must not know: what they are about.

use std::path::Path;

use crate::language::Stage;

/// Plays one scenario; the errors name file and line.
fn check(path: &Path) -> Vec<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut errors = Vec::new();
    if !text.starts_with("# ") {
        errors.push(format!("{name}: does not open with a comment that says what it shows"));
    }
    let mut stage = Stage::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty()
            && let Err(error) = stage.play(line)
        {
            errors.push(format!("{name}:{}: {line}\n {error}", number + 1));
        }
    }
    errors
}

#[test]
fn every_scenario_plays_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = std::fs::read_dir(folder).expect("the folder of scenarios");
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    assert!(files.len() >= 30, "scenarios are missing: {}", files.len());
    let errors: Vec<String> = files.iter().flat_map(|file| check(file)).collect();
    assert!(errors.is_empty(), "{} scenario lines differ:\n{}", errors.len(), errors.join("\n"));
}
