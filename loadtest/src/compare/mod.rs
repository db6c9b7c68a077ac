//! Side by side: hotslot, a bare handler and other ways to book, measured in turns by one driver on one machine.
//! Must not know: how any of them books.

mod arguments;
mod backlog;
pub(crate) mod environment;
mod forwarding;
mod goals;
mod metrics;
mod nodes;
pub(crate) mod process;
mod processors;
pub(crate) mod publish;
mod servers;
mod summary;
pub(crate) mod system;
mod table;
#[cfg(test)]
mod tests;
mod turn;

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use crate::api::ApiError;
use crate::driver::press::PressError;
use crate::driver::target::TargetError;
use crate::tokens::TokenError;
pub(crate) use arguments::CompareArgs;
use backlog::BacklogError;
use environment::{Environment, Programs};
use process::ProcessError;
pub(crate) use turn::load_average;
use turn::{Sample, TurnPlan};

/// Exit code after an interrupt, as shells have it for SIGINT.
const EXIT_INTERRUPTED: i32 = 130;

/// Why there is no comparison.
#[derive(Debug, Error)]
pub(crate) enum CompareError {
    /// A program cannot be started or does not say that it is ready.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// No tokens.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A program says an address that is none.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A day cannot be published.
    #[error("cannot prepare: {0}")]
    Publish(#[from] publish::PublishError),
    /// A day cannot be read.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// What is behind is not known.
    #[error(transparent)]
    Backlog(#[from] BacklogError),
    /// Nodes do not come to terms, or do not say.
    #[error(transparent)]
    Nodes(#[from] nodes::NodesError),
    /// The press did not happen.
    #[error(transparent)]
    Press(#[from] PressError),
    /// A file or the terminal.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not representable.
    #[error("cannot write the samples as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Comparison {
    rounds: u32,
    days: u32,
    threads: u32,
    processors: usize,
    samples: Vec<Sample>,
    summaries: Vec<summary::Summary>,
    ratios: Vec<summary::Ratio>,
    goals: Vec<goals::Judged>,
}

/// Measures, prints the tables and writes the samples. After SIGINT or SIGTERM everything that was started is stopped,
/// its directories are removed, and the process ends.
pub(crate) async fn run(args: &CompareArgs) -> Result<(), CompareError> {
    let listen = |kind| signal(kind).map_err(|source| CompareError::System { what: "cannot await signals", source });
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let measured = tokio::select! {
        measured = measure(args) => Some(measured),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    // The dropped future has stopped and removed everything. Press threads may still wait for answers that never come.
    let Some(samples) = measured else { std::process::exit(EXIT_INTERRUPTED) };
    let samples = samples?;
    let summaries = summary::summarize(&samples);
    let ratios = summary::ratios(&samples, &summaries);
    let goals = goals::judge(&summaries, &ratios);
    let mut text = table::measured(&summaries, &ratios);
    text += &if args.profiles { forwarding::table(&summaries) } else { table::goals(&goals) };
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|source| CompareError::System { what: "cannot write the table", source })?;
    if let Some(path) = &args.json {
        let comparison = Comparison {
            rounds: args.rounds,
            days: args.days,
            threads: args.threads,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            samples,
            summaries,
            ratios,
            goals,
        };
        let bytes = serde_json::to_vec_pretty(&comparison)?;
        std::fs::write(path, bytes).map_err(|source| CompareError::System { what: "cannot write --json", source })?;
    }
    Ok(())
}

/// All turns, one after another.
async fn measure(args: &CompareArgs) -> Result<Vec<Sample>, CompareError> {
    let programs = Programs::find(args.hotslot.as_deref(), args.peers.as_deref(), &args.all_systems())?;
    let plans = args.turns();
    // Progress is no result: whoever does not look at it misses nothing.
    let minutes = args.expected_seconds().div_ceil(60);
    drop(writeln!(std::io::stderr(), "{} turns, about {minutes} minutes", plans.len()));
    let mut samples = Vec::new();
    for plan in plans {
        let sample = one_turn(&programs, &args.directory, &plan).await?;
        drop(writeln!(std::io::stderr(), "{}", table::progress(&sample)));
        samples.push(sample);
    }
    Ok(samples)
}

/// Every turn begins with empty stores and ends with nothing left, so that no system pays for the one before it.
async fn one_turn(programs: &Programs, directory: &Path, plan: &TurnPlan) -> Result<Sample, CompareError> {
    let environment = Environment::start(programs, directory, plan.system).await?;
    turn::measure(&environment, plan).await
}
