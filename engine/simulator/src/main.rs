//! The command: runs one seed, or many, and says what went wrong and how to see it again.
//! Must not know: how a run works.

use std::io::Write;
use std::process::ExitCode;

use booking_core::planted::{Bug, plant};
use clap::Parser;
use simulator::planted::{search, settings};
use simulator::report::{Sum, excerpt, rerun};
use simulator::world::{Settings, run};

/// Runs the whole engine in a simulated world, on virtual time, in one thread: the same seed does the same things every time.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The seed of the first run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds are run, from the first on.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Virtual seconds with faults in each run.
    #[arg(long, default_value_t = 300)]
    ticks: u64,
    /// Nodes that share a store. Only 1 until there is a store to share.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1))]
    nodes: u64,
    /// The process is also killed before this step of the run.
    #[arg(long)]
    crash_at_step: Option<u64>,
    /// Plants the bug of this name; with `all`, searches for each of them and prints what finds it.
    #[arg(long)]
    planted: Option<String>,
    /// Prints the whole trace.
    #[arg(long)]
    trace: bool,
}

/// So many seeds are tried for each bug by `--planted all`.
const SEARCHED_SEEDS: u64 = 500;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    simulator::quiet_planted_panics();
    let bug = match arguments.planted.as_deref() {
        None => None,
        Some("all") => return search_all(),
        Some(name) => match Bug::ALL.iter().find(|bug| bug.name() == name) {
            Some(bug) => Some(*bug),
            None => return unknown_bug(name),
        },
    };
    let _planted = bug.map(plant);
    let mut sum = Sum::default();
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        let usual = bug.map_or_else(|| Settings::of(seed), |bug| settings(bug, seed));
        let (ticks, crash_at_step) = (arguments.ticks, arguments.crash_at_step);
        let settings = Settings { ticks, crash_at_step, keeps_trace: arguments.trace, ..usual };
        let report = run(&settings);
        sum.add(seed, &report);
        if arguments.trace {
            print_lines(&report.outcome.lines);
        } else if report.outcome.violation.is_some() {
            // Once more, the same, with the trace.
            let again = run(&Settings { keeps_trace: true, ..settings.clone() });
            print_lines(&excerpt(&again.outcome.lines));
            print_lines(&[format!("seed {seed} fails; to see all of it: {}", rerun(&settings)), String::new()]);
        }
    }
    print_lines(&[sum.words()]);
    if sum.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A table for the README: each bug, the check that found it, and the seed.
fn search_all() -> ExitCode {
    let mut outcome = ExitCode::SUCCESS;
    print_lines(&["| Bug | Found by | Seed |".to_owned(), "|---|---|---|".to_owned()]);
    for bug in Bug::ALL {
        let row = match search(*bug, SEARCHED_SEEDS) {
            Some(found) => format!("| `{}` | `{}` | {} |", bug.name(), found.violation.kind.name(), found.seed),
            None => {
                outcome = ExitCode::FAILURE;
                format!("| `{}` | not found in {SEARCHED_SEEDS} seeds | |", bug.name())
            }
        };
        print_lines(&[row]);
    }
    outcome
}

fn unknown_bug(name: &str) -> ExitCode {
    let names: Vec<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
    print_lines(&[format!("no bug is called {name}; there are: all, {}", names.join(", "))]);
    ExitCode::FAILURE
}

fn print_lines(lines: &[String]) {
    let mut out = std::io::stdout().lock();
    for line in lines {
        // Nobody reads on: nothing is left to be said.
        if writeln!(out, "{line}").is_err() {
            return;
        }
    }
}
