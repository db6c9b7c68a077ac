//! Is what `deploy/` says true of the program, and does it fit together?
//! Must not know: container engines, clusters; none is needed.

mod compose;
mod figures;
mod kubernetes;
mod settings;

use blackbox::program::repository;
use blackbox::sources::{self, Source};
use serde_json::Value;

/// Every file of `deploy/`.
fn files() -> Vec<Source> {
    let paths = sources::paths().into_iter().filter(|path| path.starts_with("deploy/"));
    let files: Vec<Source> = paths.map(sources::read).collect();
    assert!(files.len() > 20, "deploy/ was found: {}", files.len());
    files
}

/// The documents of a YAML file, merge keys merged.
fn yaml(path: &str) -> Vec<Value> {
    let text = sources::read(path.to_owned()).text;
    let documents = serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(!documents.is_empty(), "{path} has a document");
    documents
}

/// The one document of a YAML file.
fn single(path: &str) -> Value {
    let mut documents = yaml(path);
    assert_eq!(documents.len(), 1, "{path}");
    documents.remove(0)
}

/// Fails with all findings at once.
#[track_caller]
fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n{}", findings.join("\n"));
}

/// The items of a list; none if there is no list.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The keys of a map; none if there is no map.
fn keys(value: &Value) -> impl Iterator<Item = &str> {
    value.as_object().into_iter().flatten().map(|(key, _)| key.as_str())
}

/// A text, or a failure that says where it was missing.
#[track_caller]
fn text<'v>(value: &'v Value, what: &str) -> &'v str {
    value.as_str().unwrap_or_else(|| panic!("{what} is a text: {value}"))
}

#[test]
fn every_yaml_file_is_yaml() {
    let yaml_files: Vec<String> = files().into_iter().map(|file| file.path).filter(|path| is_yaml(path)).collect();
    assert!(yaml_files.len() > 10, "{yaml_files:?}");
    for path in yaml_files {
        assert!(yaml(&path).iter().all(Value::is_object), "{path}: each document is a map");
    }
}

fn is_yaml(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

/// Words in backticks that name a path of the repository, as in the documents at its root.
#[test]
fn every_path_that_its_pages_name_exists() {
    let mut dead = Vec::new();
    let mut named = 0;
    for file in files().into_iter().filter(|file| file.path.ends_with(".md")) {
        let words = file.text.split('`').skip(1).step_by(2);
        let is_path = |word: &&str| {
            let plain = word.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-/".contains(letter));
            plain && word.contains('/') && !word.starts_with(['/', '.']) && !word.starts_with("deploy/secrets/")
        };
        for word in words.filter(is_path) {
            named += 1;
            if !repository().join(word).exists() {
                dead.push(format!("{}: {word}", file.path));
            }
        }
    }
    assert!(named > 10, "the pages name paths: {named}");
    assert_none("paths that do not exist", &dead);
}
