//! Which rules of the catalogue of interleavings have a scenario here, and which cannot have one in one process?
//! Must not know: what the scenarios do.

use std::collections::BTreeSet;

const SOURCES: [&str; 8] = [
    include_str!("expiry.rs"),
    include_str!("gate.rs"),
    include_str!("keys.rs"),
    include_str!("ledger.rs"),
    include_str!("life.rs"),
    include_str!("moves.rs"),
    include_str!("patients.rs"),
    include_str!("retried.rs"),
];

/// Every rule that one process over its own stores can show.
const SHOWN: [&str; 43] = [
    "1", "2", "3", "4", "5", "7", "8", "10", "11", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22", "23",
    "24", "25", "26", "36", "A.1", "A.2", "A.3", "A.4", "A.5", "A.6", "A.7", "A.8", "A.9", "A.10", "A.11", "B.1",
    "B.2", "B.5", "C.1", "C.2", "C.3", "C.4", "C.5",
];

/// The others, with the reason.
const NOT_SHOWN: [(&str, &str); 15] = [
    ("6", "the wait for a standby is PostgreSQL's"),
    ("9", "a refusal by the wrong node needs a second node"),
    ("12", "an appointment that another node does not know needs a second node"),
    ("27", "nothing reminds anybody yet"),
    ("28", "the audit reads a directory that nobody serves"),
    ("29", "a lease needs a second node"),
    ("30", "a pause inside a transaction is PostgreSQL's"),
    ("31", "locks on the row of ownership are PostgreSQL's"),
    ("32", "epochs in one store and records in another need both"),
    ("33", "a failover needs a replica"),
    ("34", "waiting for replicas is Redis'"),
    ("35", "eviction is Redis'"),
    ("B.3", "claims of several nodes are in PostgreSQL"),
    ("B.4", "orphaned claims of several nodes are in PostgreSQL"),
    ("D", "records in Redis, epochs in PostgreSQL: other stores"),
];

/// The rules that the comment of a test names: `Rule 4`, `Rules 3 and 4`, `A.7 and B.2`.
fn cited() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in SOURCES {
        let mut lines = source.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(text) = line.strip_prefix("/// ") else { continue };
            if !lines
                .clone()
                .take_while(|next| next.starts_with("///") || next.starts_with("#["))
                .any(|it| it == "#[test]")
            {
                continue;
            }
            let head = text.split(['.', ':']).next().unwrap_or_default();
            let words: Vec<&str> = text.split(|letter: char| !(letter.is_alphanumeric() || letter == '.')).collect();
            let numbered = head.starts_with("Rule");
            let rules = words.iter().map(|word| word.trim_end_matches('.')).filter(|word| {
                let is_number = numbered && word.parse().is_ok_and(|number| (1..=36).contains(&number));
                is_number || (word.len() > 2 && word.as_bytes()[1] == b'.' && "ABC".contains(&word[..1]))
            });
            found.extend(rules.filter(|rule| !rule.is_empty()).map(str::to_owned));
        }
    }
    found
}

#[test]
fn every_rule_that_one_process_can_show_has_a_scenario() {
    let cited = cited();
    let shown: BTreeSet<String> = SHOWN.iter().map(|rule| (*rule).to_owned()).collect();
    assert_eq!(cited.difference(&shown).collect::<Vec<_>>(), Vec::<&String>::new(), "cited and not listed");
    assert_eq!(shown.difference(&cited).collect::<Vec<_>>(), Vec::<&String>::new(), "listed without a scenario");
}

#[test]
fn every_rule_is_either_shown_or_has_a_reason_why_not() {
    let mut rules: BTreeSet<String> = (1..=36).map(|number| number.to_string()).collect();
    rules.extend((1..=11).map(|number| format!("A.{number}")));
    rules.extend((1..=5).flat_map(|number| [format!("B.{number}"), format!("C.{number}")]));
    rules.insert("D".to_owned());
    let listed: Vec<String> =
        SHOWN.iter().copied().chain(NOT_SHOWN.iter().map(|(rule, _)| *rule)).map(str::to_owned).collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), rules);
    assert_eq!(listed.len(), rules.len(), "each once");
    assert!(NOT_SHOWN.iter().all(|(_, reason)| reason.len() > 10));
}
