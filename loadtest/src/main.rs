//! What a running hotslot does under load: drives it from outside over HTTP and audits what it sold.
//! Must not know: anything of the engine or the gateway but their public API.
#![doc = include_str!("../README.md")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use thiserror::Error;
use uuid::Uuid;

use crate::driver::request::Pick;
use crate::report::{AuditReport, Generator, Report, Setup};
use crate::run::arguments::RunArgs;
use crate::storm::{StormError, StormPlan, Stormed};
use crate::tokens::Mint;
use crate::watch::command::{WatchArgs, WatchError};

mod api;
mod audit;
mod compare;
mod driver;
#[cfg(test)]
mod fake_server;
mod growth;
mod measure;
mod outcome;
mod processor;
mod rehearse;
mod report;
mod run;
mod storm;
mod tokens;
mod watch;

/// Exit code of a run whose audit has findings.
const EXIT_FINDINGS: u8 = 1;
/// Exit code of a run that could not be made: wrong arguments, no server.
const EXIT_NOT_RUN: u8 = 2;

/// Load driver and auditor for hotslot.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Many patients press at one instant for the places of one doctor-day; then an audit from the API alone.
    Storm(StormArgs),
    /// hotslot, a bare handler and other ways to book, side by side on this machine; starts and stops all of them.
    Compare(compare::CompareArgs),
    /// What a refusal costs as more compete, and a win as more days are known; starts and stops its own hotslot.
    Growth(growth::GrowthArgs),
    /// The coming release of a running system, played through on a throw-away server; the running one is only read.
    Rehearse(Box<rehearse::RehearseArgs>),
    /// One process of the generator of `run --processes`; orders on standard input.
    #[command(hide = true)]
    Generate,
    /// A scenario of many days and loads, offered in open loop; then an audit and a report.
    Run(Box<RunArgs>),
    /// Many readers of one day's stream for a while, beside whatever else is done to that day.
    Watch(WatchArgs),
}

#[derive(Args)]
struct StormArgs {
    /// Base URL of the server, plain HTTP.
    #[arg(long)]
    url: String,
    /// The doctor's id.
    #[arg(long)]
    doctor: Uuid,
    /// The local date of the day, YYYY-MM-DD.
    #[arg(long)]
    date: jiff::civil::Date,
    /// How many patients press, each once.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    patients: u32,
    /// How many kept-alive connections they share.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    connections: u32,
    /// How many threads drive the connections; one is enough for most servers on the same machine.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// The server's signing key: 32 raw bytes.
    #[arg(long, default_value = "data/jwt.key")]
    key_file: PathBuf,
    /// Which slots patients ask for.
    #[arg(long, value_enum, default_value_t = Pick::Any)]
    pick: Pick,
    /// Press at the day's next release, by the server's time; waits at most this many seconds for it.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "120")]
    release_wait: Option<u64>,
    /// How often a patient with an unknown outcome (transport error, 500, 503) is pressed again with the same key.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    retries_with_same_key: u32,
    /// Places that everyone can book at the press; needed only for days with several releases.
    #[arg(long)]
    places: Option<u64>,
    /// Bound of the press, and again of the reading of the audit.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    deadline_seconds: u64,
    /// Also write the report as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Accept a target on another machine.
    #[arg(long)]
    allow_remote: bool,
}

impl StormArgs {
    fn plan(&self) -> StormPlan {
        StormPlan {
            url: self.url.clone(),
            allow_remote: self.allow_remote,
            doctor: self.doctor,
            date: self.date,
            patients: self.patients as usize,
            // A connection without a patient would only be opened.
            connections: self.connections.min(self.patients) as usize,
            threads: self.threads as usize,
            pick: self.pick,
            release_wait: self.release_wait.map(Duration::from_secs),
            retries: self.retries_with_same_key,
            places: self.places,
            deadline: Duration::from_secs(self.deadline_seconds),
        }
    }
}

/// Why there is no verdict.
#[derive(Debug, Error)]
enum RunError {
    #[error(transparent)]
    Storm(#[from] StormError),
    #[error(transparent)]
    Compare(#[from] compare::CompareError),
    #[error(transparent)]
    Growth(#[from] growth::GrowthError),
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    #[error("cannot write the report: {0}")]
    Output(#[from] std::io::Error),
    #[error("cannot write the report as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Run(#[from] run::RunError),
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error(transparent)]
    Rehearse(#[from] rehearse::RehearseError),
    #[error("generator process: {0}")]
    Generate(#[from] run::processes::child::ChildError),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(RunError::Runtime).and_then(|runtime| match &command {
        Command::Storm(args) => runtime.block_on(run_storm(args)),
        Command::Compare(args) => Ok(runtime.block_on(compare::run(args)).map(|()| ExitCode::SUCCESS)?),
        Command::Growth(args) => Ok(runtime.block_on(growth::run(args)).map(|()| ExitCode::SUCCESS)?),
        Command::Rehearse(args) => Ok(runtime.block_on(rehearse::run(args))?),
        Command::Generate => Ok(runtime.block_on(run::processes::child::run()).map(|()| ExitCode::SUCCESS)?),
        Command::Run(args) => Ok(runtime.block_on(run::run(args))?),
        Command::Watch(args) => Ok(runtime.block_on(watch::command::run(args))?),
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // Nothing is left to be told if even this fails.
            drop(writeln!(std::io::stderr(), "loadtest: {error}"));
            ExitCode::from(EXIT_NOT_RUN)
        }
    }
}

/// Runs and audits; the exit code says whether the audit is clean. Whatever was measured is told even if the audit cannot be made.
async fn run_storm(args: &StormArgs) -> Result<ExitCode, RunError> {
    let plan = args.plan();
    let mint = Mint::from_key_file(&args.key_file).map_err(StormError::from)?;
    let mut stormed = storm::press(&plan, &mint).await?;
    let mut report = measured_report(&plan, &stormed);
    print(&report::measured_text(&report.setup, &report.measured, report.generator))?;

    let began = driver::clock::now();
    let verdict = stormed.audit(&plan).await;
    report.audit = verdict.as_ref().ok().map(|verdict| AuditReport::new(verdict, millis(began.elapsed())));
    if let Some(audit) = &report.audit {
        print(&audit.to_text())?;
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(if verdict?.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FINDINGS) })
}

fn measured_report(plan: &StormPlan, stormed: &Stormed) -> Report {
    let setup = Setup {
        url: plan.url.clone(),
        doctor: plan.doctor.to_string(),
        date: plan.date.to_string(),
        patients: plan.patients,
        connections: plan.connections,
        threads: plan.threads,
        pick: plan.pick,
        release_awaited: plan.release_wait.is_some(),
        minting_ms: millis(stormed.minting),
        arming_ms: millis(stormed.arming),
    };
    let presses = &stormed.pressed.presses;
    let lasted_micros = presses.iter().map(|press| press.ended_micros).max().unwrap_or(0).max(1);
    let generator = stormed.pressed.generator_cpu_nanos.map(|nanos| Generator {
        cpu_seconds: nanos as f64 / 1e9,
        cpu_share_of_one_core: nanos as f64 / 1e3 / lasted_micros as f64,
        cpu_micros_per_patient: nanos as f64 / 1e3 / presses.len().max(1) as f64,
    });
    Report { setup, measured: measure::measure(presses), generator, audit: None }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn print(text: &str) -> std::io::Result<()> {
    std::io::stdout().write_all(text.as_bytes())
}
