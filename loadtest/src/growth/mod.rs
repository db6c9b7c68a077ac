//! Growth: what one refusal costs when more compete for a day, and one win when more days are known.
//! Must not know: how anything is drawn, how the server works.

mod answers;
mod page;
mod point;

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use crate::compare::CompareError;
use crate::compare::environment::{Environment, Programs};
use crate::compare::system::System;
use point::{Curve, Point};

/// Exit code after an interrupt, as shells have it for SIGINT.
const EXIT_INTERRUPTED: i32 = 130;
/// Name of the JSON's shape, and its version: raised when a name or a meaning changes, not when one is added.
const SCHEMA: &str = "hotslot-loadtest-growth";
const SCHEMA_VERSION: u32 = 1;

/// How far to let it grow.
#[derive(Args, Clone, Debug)]
pub(crate) struct GrowthArgs {
    /// How many compete for one day.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000,50000",
        value_parser = clap::value_parser!(u32).range(10..=200_000))]
    competitors: Vec<u32>,
    /// How many days are known. A million takes minutes to publish.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000,100000",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    days: Vec<u32>,
    /// At least so many presses make one point: few of them cost less than the processor's clock can tell.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    presses: u32,
    /// Connections that press.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=8_000))]
    connections: u32,
    /// Threads that drive them.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// The program `hotslot`; by default the one beside this program.
    #[arg(long)]
    hotslot: Option<PathBuf>,
    /// Where the throw-away data goes.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    directory: PathBuf,
    /// Also write the points as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write the plots to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Why there are no curves.
#[derive(Debug, Error)]
pub(crate) enum GrowthError {
    /// What is shared with the comparison failed.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// Its processor time cannot be read.
    #[error("the server's processor time cannot be read from /proc/{0}/stat")]
    Processor(u32),
    /// A file, the terminal or signals.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not representable.
    #[error("cannot write the points as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// All points.
#[derive(Debug, Serialize)]
struct Growth<'a> {
    schema: &'static str,
    schema_version: u32,
    connections: u32,
    threads: u32,
    processors: usize,
    points: &'a [Point],
}

/// Measures every point on a server of its own, prints the table, and writes JSON and page. After SIGINT or SIGTERM
/// everything that was started is stopped, its directories are removed, and the process ends.
pub(crate) async fn run(args: &GrowthArgs) -> Result<(), GrowthError> {
    let listen = |kind| signal(kind).map_err(|source| GrowthError::System { what: "cannot await signals", source });
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let measured = tokio::select! {
        measured = measure(args) => Some(measured),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    // The dropped future has stopped and removed everything. Press threads may still wait for answers that never come.
    let Some(points) = measured else { std::process::exit(EXIT_INTERRUPTED) };
    tell(args, &points?)
}

async fn measure(args: &GrowthArgs) -> Result<Vec<Point>, GrowthError> {
    let programs = Programs::find(args.hotslot.as_deref(), None, &[System::Hotslot]).map_err(CompareError::from)?;
    let mut points = Vec::new();
    for (curve, size) in sizes(args) {
        let environment = Environment::start(&programs, &args.directory, System::Hotslot).await?;
        let bench = point::Bench::new(&environment, args.presses, args.connections as usize, args.threads as usize)?;
        for point in bench.measure(curve, size).await? {
            // Progress is no result: whoever does not look at it misses nothing.
            drop(writeln!(std::io::stderr(), "{}", page::progress(&point)));
            points.push(point);
        }
    }
    points.sort_by_key(|point| (point.curve, point.size));
    Ok(points)
}

/// What is measured, each on a server of its own; wins give two points at once.
fn sizes(args: &GrowthArgs) -> Vec<(Curve, u32)> {
    let of = |curve, sizes: &[u32]| sizes.iter().map(|size| (curve, *size)).collect::<Vec<_>>();
    [of(Curve::SoldOut, &args.competitors), of(Curve::Selling, &args.competitors), of(Curve::AllDays, &args.days)]
        .concat()
}

fn tell(args: &GrowthArgs, points: &[Point]) -> Result<(), GrowthError> {
    let system = |what| move |source| GrowthError::System { what, source };
    let text = page::table(points);
    std::io::stdout().write_all(text.as_bytes()).map_err(system("cannot write the table"))?;
    if let Some(path) = &args.json {
        let growth = Growth {
            schema: SCHEMA,
            schema_version: SCHEMA_VERSION,
            connections: args.connections,
            threads: args.threads,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            points,
        };
        std::fs::write(path, serde_json::to_vec_pretty(&growth)?).map_err(system("cannot write --json"))?;
    }
    if let Some(path) = &args.html {
        std::fs::write(path, page::page(points)).map_err(system("cannot write --html"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        growth: GrowthArgs,
    }

    #[test]
    fn every_size_has_its_turn_and_a_million_days_only_when_asked() {
        let args = |arguments: &[&str]| Program::try_parse_from([&["growth"], arguments].concat()).map(|it| it.growth);
        let sizes_of = |curve, args: &GrowthArgs| {
            sizes(args).into_iter().filter(|(other, _)| *other == curve).map(|(_, size)| size).collect::<Vec<_>>()
        };
        let defaults = args(&[]).unwrap();
        assert_eq!(sizes_of(Curve::SoldOut, &defaults), [100, 1_000, 10_000, 50_000]);
        assert_eq!(sizes_of(Curve::Selling, &defaults), [100, 1_000, 10_000, 50_000]);
        assert_eq!(sizes_of(Curve::AllDays, &defaults), [100, 1_000, 10_000, 100_000]);
        assert_eq!(sizes_of(Curve::AllDays, &args(&["--days", "1000000"]).unwrap()), [1_000_000]);
        assert!(args(&["--days", "1000001"]).is_err());
    }
}
