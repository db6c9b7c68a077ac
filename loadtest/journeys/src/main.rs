//! People on a running hotslot, from outside: patients who search, watch, hold, book, move and cancel, doctors who
//! publish; then an audit of what they were told.
//! Must not know: anything of the engine or the gateway but their public API.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use goose::GooseError;
use goose::config::GooseConfiguration;
use goose::metrics::GooseMetrics;
use thiserror::Error;

use crate::http::Api;
use crate::person::Run;
use crate::reading::ReadingError;
use crate::summary::Summary;
use crate::tally::Tally;
use crate::target::TargetError;
use crate::tokens::{Mint, TokenError};
use crate::world::{DAYS_PER_DOCTOR_MAX, DaySize, SLOTS_MAX, World, WorldError};

mod attack;
mod audit;
mod clock;
mod contract;
mod dice;
mod evidence;
mod http;
mod model;
mod patient;
mod person;
mod practice;
mod reading;
mod stream;
mod summary;
mod tally;
mod target;
mod tokens;
mod visitor;
mod world;

/// Exit code of a run with findings, unexpected answers or a broken threshold.
const EXIT_FINDINGS: u8 = 1;
/// Exit code of a run that could not be made, or whose audit could not.
const EXIT_NOT_RUN: u8 = 2;
/// Where the server is, if nobody says.
const DEFAULT_HOST: &str = "http://127.0.0.1:8080";

/// User journeys on a running hotslot, and an audit. Closed loop: for capacity and realism, never for latency claims.
#[derive(Parser)]
struct Cli {
    /// The server's signing key: 32 raw bytes.
    #[arg(help_heading = "Journeys", long, default_value = "data/jwt.key")]
    key_file: PathBuf,
    /// Accept a target on another machine.
    #[arg(help_heading = "Journeys", long)]
    allow_remote: bool,
    /// Doctors of this run.
    #[arg(help_heading = "Journeys", long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    doctors: u32,
    /// Days that each doctor has at the start; more are published on the way.
    #[arg(help_heading = "Journeys", long, default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_PER_DOCTOR_MAX)))]
    days: u32,
    /// Slots of each day.
    #[arg(help_heading = "Journeys", long, default_value_t = 12,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(SLOTS_MAX)))]
    slots: u32,
    /// Places of each slot.
    #[arg(help_heading = "Journeys", long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=900))]
    places: u32,
    /// How long people think between two steps, on average.
    #[arg(help_heading = "Journeys", long, value_name = "MILLISECONDS", default_value_t = 400,
        value_parser = clap::value_parser!(u64).range(0..=600_000))]
    think_millis: u64,
    /// Write what was done, what was unexpected and what the audit found as JSON to this file.
    #[arg(help_heading = "Journeys", long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    goose: GooseConfiguration,
}

/// Why there is no verdict.
#[derive(Debug, Error)]
enum RunError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("cannot set up: {0}")]
    World(#[from] WorldError),
    #[error("cannot make a client: {0}")]
    Client(#[from] reqwest::Error),
    #[error("{0} has no place here")]
    Option(&'static str),
    #[error("{0}")]
    Goose(Box<GooseError>),
    #[error(transparent)]
    Reading(#[from] ReadingError),
    #[error("cannot write the summary: {0}")]
    Output(#[from] std::io::Error),
    #[error("cannot write the summary as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<GooseError> for RunError {
    fn from(error: GooseError) -> Self {
        Self::Goose(Box::new(error))
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(RunError::Output).and_then(|runtime| runtime.block_on(run(cli)));
    outcome.unwrap_or_else(|error| {
        // Nothing is left to be told if even this fails.
        drop(writeln!(std::io::stderr(), "journeys: {error}"));
        ExitCode::from(EXIT_NOT_RUN)
    })
}

/// Sets up, lets goose run, audits; the exit code is the verdict.
async fn run(cli: Cli) -> Result<ExitCode, RunError> {
    let host = cli.goose.host.as_deref().unwrap_or(DEFAULT_HOST);
    let host = target::resolve(host, cli.allow_remote).await?;
    let configuration = configuration(cli.goose, &host)?;
    let mint = Mint::from_key_file(&cli.key_file)?;
    let api = Api::new(host)?;
    let size = DaySize { slots: cli.slots, places: cli.places };
    let world = World::set_up(&api, &mint, (cli.doctors, cli.days), size).await?;
    let run = Arc::new(Run { api, world, mint, tally: Tally::default(), patients: Mutex::default() });
    let attack = attack::attack(configuration, &run, Duration::from_millis(cli.think_millis))?;
    let (metrics, thresholds_broken) = match attack.execute().await {
        Ok(metrics) => (metrics, Vec::new()),
        Err(GooseError::ThresholdsFailed { failed, metrics }) => {
            let words = failed.iter().map(|failed| format!("{}: observed {}", failed.rule, failed.observed));
            (*metrics.0, words.collect())
        }
        Err(error) => return Err(error.into()),
    };
    let mut summary = summary_of(&run, &metrics, thresholds_broken);
    let read = reading::read_back(&run).await;
    if let Ok((days, patients)) = &read {
        summary.audit = Some(audit::audit(days, patients));
    }
    std::io::stdout().write_all(summary.text().as_bytes())?;
    if let Some(path) = &cli.json {
        std::fs::write(path, serde_json::to_vec_pretty(&summary)?)?;
    }
    read?;
    Ok(if summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FINDINGS) })
}

/// Goose's settings with ours: no controllers, which nobody would expect to listen, and everybody there within a second.
fn configuration(mut goose: GooseConfiguration, host: &str) -> Result<GooseConfiguration, RunError> {
    let misplaced = [
        (goose.no_autostart, "--no-autostart"),
        (goose.render_report.is_some(), "--render-report"),
        (goose.websocket, "--websocket"),
        (goose.list, "--list"),
        (goose.scenarios_list, "--scenarios-list"),
        (goose.version, "--version"),
    ];
    if let Some((_, name)) = misplaced.into_iter().find(|(given, _)| *given) {
        return Err(RunError::Option(name));
    }
    goose.host = Some(host.to_owned());
    goose.no_telnet = true;
    if goose.increase_rate.is_none() && goose.increase_time.is_none() {
        // With a test plan there is no number of users.
        goose.increase_rate = goose.users.map(|users| users.max(1).to_string());
    }
    Ok(goose)
}

fn summary_of(run: &Run, metrics: &GooseMetrics, thresholds_broken: Vec<String>) -> Summary {
    Summary {
        schema: "hotslot-journeys",
        schema_version: 1,
        users: metrics.maximum_users as u64,
        seconds: metrics.duration as u64,
        counted: run.tally.counted(),
        thresholds_broken,
        audit: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Cli {
        Cli::try_parse_from(std::iter::once(&"journeys").chain(arguments)).unwrap()
    }

    #[test]
    fn options_of_goose_and_of_ours_stand_side_by_side() {
        let cli = parsed(&[
            "--host",
            "http://127.0.0.1:9",
            "--users",
            "50",
            "--run-time",
            "60s",
            "--doctors",
            "2",
            "--report-file",
            "journeys.html",
            "--threshold",
            "p99<2s for POST book",
        ]);
        let goose = configuration(cli.goose, "http://127.0.0.1:9").unwrap();
        assert_eq!((goose.users, goose.increase_rate.as_deref(), goose.no_telnet), (Some(50), Some("50"), true));
        assert_eq!((cli.doctors, goose.report_file.as_slice()), (2, &["journeys.html".to_owned()][..]));
        let slow =
            configuration(parsed(&["--users", "50", "--increase-rate", "2"]).goose, "http://127.0.0.1:9").unwrap();
        assert_eq!(slow.increase_rate.as_deref(), Some("2"));
    }

    #[test]
    fn what_would_wait_for_a_controller_is_refused() {
        let told = configuration(parsed(&["--no-autostart"]).goose, "http://127.0.0.1:9").unwrap_err();
        assert_eq!(told.to_string(), "--no-autostart has no place here");
    }
}
