//! `loadtest watch`: readers of one day's stream for a while, beside whatever else is done to that day.
//! Must not know: how streams are read, how numbers are found.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use thiserror::Error;
use uuid::Uuid;

use crate::api::{ApiError, DayReader};
use crate::driver::clock::{self, ServerClock};
use crate::driver::target::{Target, TargetError};
use crate::run::summary::Spread;
use crate::tokens::{Mint, TokenError};
use crate::watch::{Streams, WatchReport, Watched, changes_of};

/// Exit code of readers that did not see what they ought to.
const EXIT_FINDINGS: u8 = 1;
/// How often the server's time is sampled.
const CLOCK_SAMPLES: usize = 50;
/// Bound of the reading of the day's appointments.
const READING_DEADLINE: Duration = Duration::from_secs(60);

/// Many readers of one day's stream for a while; then what they saw and what they cost.
#[derive(Args, Clone, Debug)]
pub(crate) struct WatchArgs {
    /// Base URL of the server, plain HTTP.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The doctor's id.
    #[arg(long)]
    doctor: Uuid,
    /// The local date of the day, YYYY-MM-DD.
    #[arg(long)]
    date: jiff::civil::Date,
    /// How many read the stream.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    watchers: u32,
    /// How long, from when all are open.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// The server's signing key: 32 raw bytes.
    #[arg(long, default_value = "data/jwt.key")]
    key_file: PathBuf,
    /// Write the report as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Accept a target on another machine.
    #[arg(long)]
    allow_remote: bool,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub(crate) enum WatchError {
    /// The target will not do.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// There are no tokens.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The day cannot be read.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A thread, a file or the terminal.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The report.
    #[error("cannot write the report as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Watches; the exit code says whether everybody saw the last state.
pub(crate) async fn run(args: &WatchArgs) -> Result<ExitCode, WatchError> {
    let target = Target::resolve(&args.url, args.allow_remote).await?;
    let mint = Mint::from_key_file(&args.key_file)?;
    let mut reader = DayReader::new(target.clone(), args.doctor, args.date, mint.admin()?);
    let mut server_clock = ServerClock::new(clock::now());
    for _ in 0..CLOCK_SAMPLES {
        let (day, received) = reader.day().await?;
        server_clock.observe(received, day.server_time_millis);
    }
    let path = format!("/v1/doctors/{}/days/{}/stream", args.doctor, args.date);
    let watched = (0..args.watchers).map(|_| Watched { path: path.clone(), day: 0 }).collect();
    let streams = Streams::open(watched, target, Arc::new(server_clock)).await?;
    // Whoever waits for it begins the load now.
    print("open\n")?;
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let (last, _) = reader.day().await?;
    let rows = reader.appointments(clock::now() + READING_DEADLINE).await?;
    let changes = changes_of(&rows).map(|changes| vec![changes]);
    let report = streams.end(vec![last], changes.as_deref()).await?;
    let mut text = text_of(&report);
    for (kind, detail) in report.findings() {
        // Writing into a string does not fail.
        let _ = writeln!(text, "finding: {kind}: {detail}");
    }
    print(&text)?;
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(if report.findings().is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FINDINGS) })
}

fn print(text: &str) -> std::io::Result<()> {
    std::io::stdout().write_all(text.as_bytes())
}

/// For the terminal, with its last line ended.
pub(crate) fn text_of(report: &WatchReport) -> String {
    let mut text = format!(
        "watchers   {} streams, {} events, {} ended early, {} behind in the end; {:.2} s of processor time here\n",
        report.watchers, report.events, report.ended_early, report.behind, report.cpu_seconds
    );
    let spread = |text: &mut String, name: &str, spread: &Spread| {
        let Spread { count, p50_ms, p90_ms, p99_ms, p99_9_ms, max_ms, .. } = spread;
        // Writing into a string does not fail.
        let _ = writeln!(
            text,
            "  {name:<32} {count:>8} {p50_ms:>9.2} {p90_ms:>9.2} {p99_ms:>9.2} {p99_9_ms:>9.2} {max_ms:>9.2}"
        );
    };
    spread(&mut text, "age of an event when read", &report.event_age);
    if let Some(age) = &report.change_age {
        spread(&mut text, "age of a change when first seen", age);
    }
    if let Some(server) = &report.server {
        let _ = writeln!(
            text,
            "  server: {:.1} KiB a stream when all were open, {:.1} in the end (before: {:.1} MiB); {:.2} s of processor time",
            server.kib_per_watcher_open, server.kib_per_watcher_end, server.resident_mib_before, server.cpu_seconds
        );
    }
    text
}
