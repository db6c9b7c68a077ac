//! What is wrong with a history that a failed test has kept? `cargo run -p linearizability --example check -- FILE [DAY]`
//! Must not know: how the history came about.

use std::error::Error;
use std::io::Write;

use linearizability::day::{Log, check_day, histories};

const CONFIGURATIONS_MAX: usize = 2_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which file?")?;
    let only: Option<u32> = arguments.next().map(|day| day.parse()).transpose()?;
    let log: Log = serde_json::from_slice(&std::fs::read(path)?)?;
    let mut out = std::io::stdout().lock();
    for history in histories(&log)?.iter().filter(|history| only.is_none_or(|day| day == history.day)) {
        match check_day(&log, history, CONFIGURATIONS_MAX) {
            None => writeln!(out, "day {}: linearizable, {} operations", history.day, history.operations.len())?,
            Some(finding) => writeln!(out, "{}", finding.text)?,
        }
    }
    Ok(())
}
