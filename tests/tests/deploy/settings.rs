//! Is every setting that `deploy/` names one of the program's: flag, environment variable, key of a file?
//! Must not know: what settings do.

use std::collections::BTreeSet;

use blackbox::{program, sources};

use super::{assert_none, compose, files, yaml};

/// Flags of the several-nodes program that this build does not have yet. To be emptied when they land; what is here
/// although the program has it fails.
const NOT_YET: &[&str] = &[];

const COMMANDS: [&str; 4] = ["serve", "token", "migrate", "verify"];

/// The flags of all commands, without dashes, as their help tells them.
async fn flags_of_the_program() -> BTreeSet<String> {
    let mut flags = BTreeSet::new();
    for command in COMMANDS {
        let help = program::run(&[command, "--help"]).await;
        assert_eq!(help.code, Some(0), "{}", help.stderr);
        flags.extend(help.stdout.lines().filter_map(|line| flag_of(line.trim_start().trim_start_matches("-h, "))));
    }
    assert!(flags.contains("data-dir") && flags.contains("role"), "the help was read: {flags:?}");
    flags
}

/// The flag with which the text begins.
fn flag_of(text: &str) -> Option<String> {
    let letters = text.strip_prefix("--")?;
    let end = letters.find(|letter: char| !(letter.is_ascii_lowercase() || letter == '-')).unwrap_or(letters.len());
    (end > 0).then(|| letters[..end].to_owned())
}

/// Flags of the program, and those to come.
async fn flags() -> BTreeSet<String> {
    let mut flags = flags_of_the_program().await;
    flags.extend(NOT_YET.iter().map(|flag| (*flag).to_owned()));
    flags
}

/// The flags that a text gives to the program: behind a command of it, and words of their own in backticks.
fn flags_named(file: &sources::Source) -> Vec<String> {
    let mut named = Vec::new();
    for line in file.text.lines() {
        for rest in COMMANDS.iter().filter_map(|command| line.split_once(&format!("hotslot {command} "))) {
            let own = rest.1.split(['|', ';', '`', ')']).next().unwrap_or_default();
            named.extend(own.split_whitespace().filter_map(flag_of));
        }
    }
    if file.path.ends_with(".md") {
        // Blocks of code may show other programs; their fences are taken out, so that backticks pair.
        let prose = file.text.split("```").step_by(2).collect::<String>();
        named.extend(prose.split('`').skip(1).step_by(2).filter_map(flag_of));
    }
    named
}

#[tokio::test]
async fn what_is_not_there_yet_is_not_there_yet() {
    let there = flags_of_the_program().await;
    let landed: Vec<String> = NOT_YET.iter().filter(|flag| there.contains(**flag)).map(|flag| (*flag).into()).collect();
    assert_none("flags that have landed: take them out of NOT_YET", &landed);
}

#[tokio::test]
async fn every_flag_it_names_is_the_programs() {
    let flags = flags().await;
    let mut unknown = Vec::new();
    let mut named = 0;
    for file in files() {
        for flag in flags_named(&file) {
            named += 1;
            if !flags.contains(&flag) {
                unknown.push(format!("{}: --{flag}", file.path));
            }
        }
    }
    assert!(named > 10, "flags are named: {named}");
    assert_none("flags that the program does not have", &unknown);
}

#[tokio::test]
async fn every_variable_it_names_is_the_programs() {
    let mut variables: BTreeSet<String> =
        flags().await.iter().map(|flag| flag.to_uppercase().replace('-', "_")).collect();
    variables.insert("CONFIG".to_owned());
    // Read by the build, for `hotslot_build_info`.
    variables.insert("COMMIT".to_owned());
    // Names of streams in NATS, not variables.
    variables.extend(["EVENTS", "EVENTS_DEAD"].map(str::to_owned));
    let mut unknown = Vec::new();
    let mut named = 0;
    for file in files() {
        for rest in file.text.split("HOTSLOT_").skip(1) {
            let is_letter = |letter: char| letter.is_ascii_uppercase() || letter == '_';
            let name = &rest[..rest.find(|letter| !is_letter(letter)).unwrap_or(rest.len())];
            if name.is_empty() {
                continue;
            }
            named += 1;
            if !variables.contains(name) {
                unknown.push(format!("{}: HOTSLOT_{name}", file.path));
            }
        }
    }
    assert!(named > 20, "variables are named: {named}");
    assert_none("variables that the program does not read", &unknown);
}

#[tokio::test]
async fn every_key_of_its_files_is_the_programs() {
    let keys: BTreeSet<String> = flags().await.iter().map(|flag| flag.replace('-', "_")).collect();
    let secrets = yaml("deploy/kubernetes/examples/secrets.yaml");
    let example = secrets.iter().find_map(|secret| secret["stringData"]["hotslot.toml"].as_str());
    let example = example.expect("an example of the settings");
    // What is commented out must be right, too.
    let commented: String = example
        .lines()
        .filter_map(|line| Some(line.strip_prefix("# ")?.to_owned() + "\n"))
        .filter(|line| line.contains(" = "))
        .collect();
    let prepared = compose::prepared("redis").await;
    let mut texts =
        vec![("the example".to_owned(), example.to_owned()), ("the example's comments".to_owned(), commented)];
    for name in ["postgres.toml", "redis.toml"] {
        let written = std::fs::read_to_string(prepared.path().join("secrets").join(name));
        texts.push((name.to_owned(), written.unwrap_or_else(|error| panic!("{name}: {error}"))));
    }
    for page in files().into_iter().filter(|file| file.path.ends_with(".md")) {
        for block in page.text.split("```toml\n").skip(1) {
            texts.push((page.path.clone(), block.split("```").next().unwrap_or_default().to_owned()));
        }
    }
    for (origin, text) in texts {
        let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{origin}: {error}"));
        assert!(!table.is_empty(), "{origin} sets something");
        let unknown: Vec<String> = table.keys().filter(|key| !keys.contains(*key)).cloned().collect();
        assert_none(&format!("{origin}: keys that are no settings"), &unknown);
    }
}
