//! `loadtest run`: one scenario from its file to its exit code.
//! Must not know: how a run goes, how bytes travel, how findings are found, how results are drawn.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use thiserror::Error;

use crate::api::ApiError;
use crate::driver::descriptors::DescriptorError;
use crate::driver::target::{Target, TargetError};
use crate::run::arguments::RunArgs;
use crate::run::generator::{GeneratorError, Live};
use crate::run::processes::CrewError;
use crate::run::report::Report;
use crate::run::scenario::ScenarioError;
use crate::run::session::{Described, Run};
use crate::run::world::WorldError;
use crate::tokens::{Mint, TokenError};

pub(crate) mod arguments;
mod audit;
mod background;
mod connections;
mod dice;
mod generator;
mod job;
pub(crate) mod link;
pub(crate) mod operation;
pub(crate) mod page;
mod phases;
mod plan;
pub(crate) mod processes;
pub(crate) mod report;
pub(crate) mod scenario;
mod schedule;
pub(crate) mod session;
pub(crate) mod summary;
pub(crate) mod text;
mod verdict;
pub(crate) mod world;

/// Exit code of a run whose audit has findings, or that broke a threshold.
const EXIT_FINDINGS: u8 = 1;
/// Exit code of a run whose generator fell behind: its numbers say nothing.
const EXIT_INVALID: u8 = 3;

/// Why there is no verdict.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    /// The scenario will not do.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The target will not do.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// There are no tokens.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The days cannot be set up.
    #[error("cannot set up: {0}")]
    World(#[from] WorldError),
    /// The load cannot be offered.
    #[error(transparent)]
    Generator(#[from] GeneratorError),
    /// A process of the generator failed.
    #[error(transparent)]
    Crew(#[from] CrewError),
    /// Every process needs a connection.
    #[error("--processes: each needs a connection, and there are {connections}")]
    TooManyProcesses {
        /// How many there are.
        connections: u32,
    },
    /// Too many connections for this system.
    #[error(transparent)]
    Descriptors(#[from] DescriptorError),
    /// The days cannot be read back.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A file, a thread or the terminal.
    #[error("{what}: {source}")]
    Io {
        /// What was done.
        what: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A report that is no JSON, earlier or now.
    #[error("{what}: {source}")]
    Json {
        /// Which.
        what: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Setting up took longer than was left until the release.
    #[error("the release came before everything was set up; set a later release_after_seconds")]
    ReleaseMissed,
}

/// Runs a scenario; the exit code is its verdict.
pub(crate) async fn run(args: &RunArgs) -> Result<ExitCode, RunError> {
    let scenario = scenario::read(&args.scenario, |scenario| args.change(scenario))?;
    // Read before the run, so that a wrong file costs no run.
    let earlier = args.compare.as_deref().map(report::read_earlier).transpose()?;
    let mint = Mint::from_key_file(&args.key_file)?;
    let run = Run {
        scenario: &scenario,
        folder: args.scenario.parent().unwrap_or(Path::new("")).to_owned(),
        target: Target::resolve(&args.url, args.allow_remote).await?,
        mint: &mint,
        key_file: &args.key_file,
        seed: args.seed,
        processes: args.processes,
        stage: Described { scenario: &scenario, mint: &mint },
    };
    let (report, findings) = run.whole().await?;
    let report = report.finish(&args.outputs(), earlier.as_ref())?;
    text::print(&report.text())?;
    Ok(exit_code(&report, findings))
}

/// Findings go before an invalid run, and that before thresholds.
pub(crate) fn exit_code(report: &Report, findings: usize) -> ExitCode {
    match (findings, report.valid, report.thresholds_kept()) {
        (1.., _, _) => ExitCode::from(EXIT_FINDINGS),
        (0, false, _) => ExitCode::from(EXIT_INVALID),
        (0, true, false) => ExitCode::from(EXIT_FINDINGS),
        (0, true, true) => ExitCode::SUCCESS,
    }
}

/// The settled arrivals so far, by class.
fn settled(live: &Live) -> [u64; 6] {
    [0, 1, 2, 3, 4, 5].map(|class: usize| live.settled[class].load(Ordering::Relaxed))
}
