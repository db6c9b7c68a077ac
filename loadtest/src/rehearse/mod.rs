//! `loadtest rehearse`: the coming release of a running system, played through beforehand on a server of its own.
//! Must not know: how a run goes, how the day is cloned.
//!
//! The running system is only read. The server of the rehearsal lives in a directory that goes with it; both are gone
//! afterwards, whatever happened.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;
use tempfile::TempDir;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

use crate::compare::process::{Process, ProcessError, Stop};
use crate::driver::descriptors::{DescriptorError, make_room};
use crate::driver::target::{Target, TargetError};
use crate::rehearse::model::{Model, ModelError};
use crate::run::report::Outputs;
use crate::run::session::Run;
use crate::run::text::print;
use crate::run::{RunError, exit_code};
use crate::tokens::{Mint, TokenError};

mod model;
mod script;
#[cfg(test)]
mod tests;

/// Exit code after an interrupt, as shells have it for SIGINT.
const EXIT_INTERRUPTED: i32 = 130;

/// Rehearses the coming release of a doctor-day: reads it from a running system, publishes a clone on a throw-away
/// server, and lets everyone come.
#[derive(Args, Clone, Debug)]
pub(crate) struct RehearseArgs {
    /// Base URL of the running system, plain HTTP. It is only read.
    #[arg(long)]
    url: String,
    /// The running system's signing key: 32 raw bytes. It signs one token that reads the day's appointments.
    #[arg(long, default_value = "data/jwt.key")]
    key_file: PathBuf,
    /// The doctor's id.
    #[arg(long)]
    doctor: Uuid,
    /// The local date of the day, YYYY-MM-DD.
    #[arg(long)]
    date: jiff::civil::Date,
    /// How many patients come, humans and scripts together.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    patients: u32,
    /// Which part of them are scripts, which come within milliseconds; humans take seconds.
    #[arg(long, default_value_t = 0.1)]
    scripts: f64,
    /// Views of the day a second beside them.
    #[arg(long, default_value_t = 200.0)]
    lookers: f64,
    /// Readers of the day's stream.
    #[arg(long, default_value_t = 0)]
    watchers: u32,
    /// Connections opened beforehand.
    #[arg(long, default_value_t = 2_000)]
    connections: u32,
    /// Threads of each generator process.
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// How many processes offer the load.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    processes: u32,
    /// A generator that lagged more than this at the 99th percentile makes the rehearsal invalid.
    #[arg(long, default_value_t = 250.0)]
    lag_p99_at_most_ms: f64,
    /// Seed of everything that is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The program `hotslot`; by default the one beside this program.
    #[arg(long)]
    hotslot: Option<PathBuf>,
    /// Where the throw-away data goes; best on the disk of the running system.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    directory: PathBuf,
    /// Write the whole report as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write one HTML page with plots to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Read a running system on another machine. The rehearsal itself stays here.
    #[arg(long)]
    allow_remote: bool,
}

/// Why nothing was rehearsed.
#[derive(Debug, Error)]
pub(crate) enum RehearseError {
    /// The running system's address will not do.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// There are no tokens.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The day cannot be cloned.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Senseless(String),
    /// The throw-away server does not run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Too many connections for this system.
    #[error(transparent)]
    Descriptors(#[from] DescriptorError),
    /// The rehearsal could not be made.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A directory or a signal.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Rehearses; the exit code is that of a run. After SIGINT or SIGTERM the server is stopped, its directory removed, and
/// the process ends.
pub(crate) async fn run(args: &RehearseArgs) -> Result<ExitCode, RehearseError> {
    let listen = |kind| signal(kind).map_err(|source| RehearseError::System { what: "cannot await signals", source });
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let rehearsed = tokio::select! {
        rehearsed = rehearse(args) => Some(rehearsed),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    // The dropped future has stopped and removed everything. Generator threads may still wait for answers.
    rehearsed.unwrap_or_else(|| std::process::exit(EXIT_INTERRUPTED))
}

async fn rehearse(args: &RehearseArgs) -> Result<ExitCode, RehearseError> {
    let running = Target::resolve(&args.url, args.allow_remote).await?;
    let admin = Mint::from_key_file(&args.key_file)?.admin()?;
    let model = Model::read(running, admin, args.doctor, args.date).await?;
    let scenario = script::scenario(args, &model).map_err(RehearseError::Senseless)?;
    // Told for people; whoever does not look at it misses nothing.
    drop(writeln!(std::io::stderr(), "{}; the running system was only read", scenario.about));

    let sockets = u64::from(args.connections) + u64::from(args.watchers);
    // The server inherits the limit, and has files of its own.
    make_room(sockets + 256)?;
    let stage = ThrowAway::start(args.hotslot.as_deref(), &args.directory).await?;
    let key_file = stage.key_file();
    let mint = Mint::from_key_file(&key_file)?.with_audiences(model.audiences());
    let run = Run {
        scenario: &scenario,
        folder: PathBuf::new(),
        target: stage.target.clone(),
        mint: &mint,
        key_file: &key_file,
        seed: args.seed,
        processes: args.processes,
        stage: &model,
    };
    let (report, findings) = run.whole().await?;
    let (json, html) = (args.json.as_deref(), args.html.as_deref());
    let report = report.finish(&Outputs { name: "rehearsal".to_owned(), json, html, hold_to_targets: false }, None)?;
    print(&report.text())?;
    Ok(exit_code(&report, findings))
}

/// A server that lives for one rehearsal. The order of the fields is the order in which they end.
struct ThrowAway {
    _server: Process,
    directory: TempDir,
    target: Target,
}

impl ThrowAway {
    async fn start(hotslot: Option<&Path>, parent: &Path) -> Result<Self, RehearseError> {
        let program = match hotslot {
            Some(path) => std::path::absolute(path),
            None => std::env::current_exe().map(|program| program.with_file_name("hotslot")),
        };
        let failed = |source| RehearseError::System { what: "cannot prepare the throw-away server", source };
        let program = program.map_err(failed)?;
        if !program.exists() {
            let remedy = "run `cargo build --release -p gateway`, or name the program with --hotslot";
            return Err(ProcessError::Missing { program, remedy }.into());
        }
        let directory = TempDir::with_prefix_in("rehearse-", parent).map_err(failed)?;
        let mut command = Command::new(program);
        // Nothing of the environment, which may name the stores of the running system.
        command.env_clear().current_dir(directory.path());
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(directory.path().join("data"));
        let mut server = Process::start("hotslot", command, Stop::Kill, directory.path())?;
        let target = Target::resolve(&server.listening().await?, false).await?;
        Ok(Self { _server: server, directory, target })
    }

    fn key_file(&self) -> PathBuf {
        self.directory.path().join("data").join("jwt.key")
    }
}
