//! Side by side: hotslot, a bare handler and other ways to book, measured in turns by one driver on one machine.
//! Must not know: how any of them books.

mod environment;
pub(crate) mod process;
mod publish;
mod servers;
mod summary;
mod system;
mod table;
#[cfg(test)]
mod tests;
mod turn;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use crate::api::ApiError;
use crate::driver::press::PressError;
use crate::driver::target::TargetError;
use crate::tokens::TokenError;
use environment::{Environment, Programs};
use process::ProcessError;
use system::{System, Workload};
use turn::{Sample, TurnPlan};

/// Exit code after an interrupt, as shells have it for SIGINT.
const EXIT_INTERRUPTED: i32 = 130;

/// What to compare, and how long.
#[derive(Args, Clone, Debug)]
pub(crate) struct CompareArgs {
    /// Which systems; all by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    systems: Vec<System>,
    /// Which workloads; all by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    workloads: Vec<Workload>,
    /// Connections; of several counts each system is told by its best.
    #[arg(long, value_delimiter = ',', default_value = "64,256,512",
        value_parser = clap::value_parser!(u32).range(1..=8_000))]
    connections: Vec<u32>,
    /// How often everything is measured, in turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// About how long one measurement lasts.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Over how many doctor-days `spread` spreads.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=15_000))]
    days: u32,
    /// Threads that drive the connections.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// The program `hotslot`; by default the one beside this program.
    #[arg(long)]
    hotslot: Option<PathBuf>,
    /// The program `peers`; by default the one beside this program.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Where the throw-away data goes: the disk that is measured.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    directory: PathBuf,
    /// Also write everything that was measured as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl CompareArgs {
    fn systems(&self) -> Vec<System> {
        if self.systems.is_empty() { System::ALL.to_vec() } else { self.systems.clone() }
    }

    fn workloads(&self) -> Vec<Workload> {
        if self.workloads.is_empty() { Workload::ALL.to_vec() } else { self.workloads.clone() }
    }
}

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
    seconds: u64,
    days: u32,
    threads: u32,
    processors: usize,
    samples: Vec<Sample>,
    summaries: Vec<summary::Summary>,
    ratios: Vec<summary::Ratio>,
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
    let text = table::text(&summaries, &ratios);
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|source| CompareError::System { what: "cannot write the table", source })?;
    if let Some(path) = &args.json {
        let comparison = Comparison {
            rounds: args.rounds,
            seconds: args.seconds,
            days: args.days,
            threads: args.threads,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            samples,
            summaries,
            ratios,
        };
        let bytes = serde_json::to_vec_pretty(&comparison)?;
        std::fs::write(path, bytes).map_err(|source| CompareError::System { what: "cannot write --json", source })?;
    }
    Ok(())
}

/// All turns, interleaved: within a round every system has its turn at the same workload and connections.
async fn measure(args: &CompareArgs) -> Result<Vec<Sample>, CompareError> {
    let programs = Programs::find(args.hotslot.as_deref(), args.peers.as_deref(), &args.systems())?;
    let mut samples = Vec::new();
    for plan in turns(args) {
        let sample = one_turn(&programs, &args.directory, &plan).await?;
        // Progress is no result: whoever does not look at it misses nothing.
        drop(writeln!(std::io::stderr(), "{}", table::progress(&sample)));
        samples.push(sample);
    }
    Ok(samples)
}

/// The turns in their order.
fn turns(args: &CompareArgs) -> Vec<TurnPlan> {
    let mut turns = Vec::new();
    for round in 1..=args.rounds {
        for workload in args.workloads() {
            for connections in &args.connections {
                for system in args.systems().into_iter().filter(|system| workload.is_for(*system)) {
                    let (seconds, days, threads) = (args.seconds, args.days, args.threads as usize);
                    let connections = *connections as usize;
                    turns.push(TurnPlan { round, workload, system, connections, seconds, days, threads });
                }
            }
        }
    }
    turns
}

/// Every turn begins with empty stores and ends with nothing left, so that no system pays for the one before it.
async fn one_turn(programs: &Programs, directory: &Path, plan: &TurnPlan) -> Result<Sample, CompareError> {
    let environment = Environment::start(programs, directory, plan.system).await?;
    turn::measure(&environment, plan).await
}
