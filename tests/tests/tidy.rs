//! Is the repository as tidy as its rules say? Taste as a test.
//! Must not know: what any of the files does.

use std::collections::BTreeSet;
use std::process::Command;

use blackbox::program::repository;
use blackbox::sources::{self, Source};

const LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
/// The one folder that may know the actor framework.
const ACTOR_FOLDER: &str = "engine/src/actors/runtime";
/// What the pure core may depend on, with what those need to be built.
const CORE_DEPENDENCIES: [&str; 8] =
    ["booking-core", "uuid", "thiserror", "thiserror-impl", "proc-macro2", "quote", "syn", "unicode-ident"];

/// Fails with all findings at once.
#[track_caller]
fn assert_none(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}:\n{}", findings.join("\n"));
}

/// Where any of these texts stands in the code (not in comments or quoted text) of these files.
fn uses<'a>(sources: impl IntoIterator<Item = &'a Source>, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (number, code) in source.code() {
            if let Some(text) = texts.iter().find(|text| names(&code, text)) {
                found.push(format!("{}:{number}: {text}", source.path));
            }
        }
    }
    found
}

/// Whether the code has this text, and not only as the end of a longer name.
fn names(code: &str, text: &str) -> bool {
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(text).any(|(position, _)| !text.starts_with(is_name) || !code[..position].ends_with(is_name))
}

#[test]
fn every_rust_file_opens_by_saying_what_it_answers() {
    let silent = sources::rust().into_iter().filter(|source| !source.text.starts_with("//! "));
    assert_none("files that do not open with `//!`", silent.map(|source| source.path).collect());
}

#[test]
fn no_rust_file_is_longer_than_400_lines() {
    let mut long = Vec::new();
    for source in sources::rust() {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            long.push(format!("{}: {lines}", source.path));
        }
    }
    assert_none("files that are too long", long);
}

#[test]
fn no_function_is_longer_than_70_lines() {
    let mut long = Vec::new();
    let mut seen = 0;
    for source in sources::rust() {
        for function in source.functions() {
            seen += 1;
            if function.length > FUNCTION_LINES_MAX {
                long.push(format!("{}:{}: {} lines", source.path, function.line, function.length));
            }
        }
    }
    assert!(seen > 100, "functions were found: {seen}");
    assert_none("functions that are too long", long);
}

#[test]
fn nothing_unfinished_is_left_behind() {
    let sources = sources::rust();
    assert_none("unfinished", uses(&sources, &["todo!", "unimplemented!", "dbg!", "#[ignore"]));
    let mut marked = Vec::new();
    let marks = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];
    for source in &sources {
        for (index, line) in source.text.lines().enumerate() {
            if line.split(|letter: char| !letter.is_alphanumeric()).any(|word| marks.contains(&word)) {
                marked.push(format!("{}:{}: {}", source.path, index + 1, line.trim()));
            }
        }
    }
    assert_none("marks of unfinished work", marked);
}

#[test]
fn only_one_folder_knows_the_actor_framework() {
    let outside: Vec<Source> =
        sources::rust().into_iter().filter(|source| !source.path.starts_with(ACTOR_FOLDER)).collect();
    let mut found = uses(&outside, &["use actix;", "actix::"]);
    let engine: Vec<&Source> = outside.iter().filter(|source| source.path.starts_with("engine/")).collect();
    found.extend(uses(engine, &["actix_rt", "actix_web"]));
    assert_none("the actor framework outside its folder", found);
}

#[test]
fn every_queue_is_bounded() {
    assert_none("queues without a bound", uses(&sources::rust(), &["unbounded", "do_send", "UnboundedSender"]));
}

#[test]
fn warnings_are_silenced_only_with_a_reason() {
    let mut silent = Vec::new();
    for source in sources::rust() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (number, code) in source.code() {
            if !["#[allow(", "#![allow(", "#[expect(", "#![expect("].iter().any(|mark| code.contains(mark)) {
                continue;
            }
            let attribute: String = lines[number - 1..].iter().take(6).copied().collect();
            let attribute = attribute.split(")]").next().unwrap_or_default();
            if !attribute.contains("reason =") {
                silent.push(format!("{}:{number}", source.path));
            }
        }
    }
    assert_none("warnings silenced without a reason", silent);
}

#[test]
fn neither_tests_nor_the_core_wait_for_time_to_pass() {
    let mut sources = sources::rust();
    sources.retain(|source| source.path.starts_with("tests/") || source.path.starts_with("engine/core/"));
    assert_none("sleeps", uses(&sources, &["sleep(", "sleep_until("]));
}

#[test]
fn the_core_reads_no_clock_and_throws_no_dice() {
    let mut sources = sources::rust();
    sources.retain(|source| source.path.starts_with("engine/core/src"));
    assert!(sources.len() > 10, "the core was found");
    let impure =
        ["SystemTime", "Instant::now", "Utc::now", "rand::", "new_v4", "now_v7", "std::fs", "std::net", "async fn"];
    assert_none("impurities of the core", uses(&sources, &impure));
}

#[test]
fn the_core_depends_on_next_to_nothing() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["tree", "--offline", "--locked", "-e", "normal", "-p", "booking-core", "--prefix", "none"])
        .current_dir(repository())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("names in UTF-8");
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains("uuid"), "the tree was read: {tree}");
    let more: Vec<String> =
        names.iter().filter(|name| !CORE_DEPENDENCIES.contains(name)).map(|name| (*name).to_owned()).collect();
    assert_none("dependencies that the core must not have", more);
}

/// Whether a word in backticks names a path of the repository: it has a slash, and an extension or a slash at its end.
fn is_path(word: &str) -> bool {
    let plain = word.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-/".contains(letter));
    let last = word.rsplit('/').next().unwrap_or_default();
    let of_this_repository =
        !word.starts_with(['/', '.', '-']) && !word.starts_with("target/") && !word.starts_with("data/");
    plain && word.contains('/') && of_this_repository && (last.is_empty() || last.contains('.'))
}

#[test]
fn every_path_that_the_documents_name_exists() {
    let mut dead = Vec::new();
    let mut named = 0;
    for document in ["README.md", "ARCHITECTURE.md"] {
        let source = sources::read(document.to_owned());
        for word in source.text.split('`').skip(1).step_by(2).filter(|word| is_path(word)) {
            named += 1;
            if !repository().join(word).exists() {
                dead.push(format!("{document}: {word}"));
            }
        }
    }
    assert!(named > 5, "the documents name paths: {named}");
    assert_none("paths that do not exist", dead);
}

#[test]
fn nothing_private_or_generated_is_committed() {
    let paths = sources::paths();
    let unwanted = ["jwt.key", ".sqlite", ".db", ".sqlite-wal", ".log", ".orig", ".rej"];
    let found = paths.iter().filter(|path| unwanted.iter().any(|ending| path.ends_with(ending)));
    assert_none("files that do not belong here", found.cloned().collect());
}
