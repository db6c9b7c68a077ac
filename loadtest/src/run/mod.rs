//! One scenario from its file to its verdict: days set up, load offered, everything read back and judged.
//! Must not know: how bytes travel, how findings are found, how results are drawn.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::api::{ApiError, DayReader};
use crate::driver::clock::{self, ServerClock};
use crate::driver::target::{Target, TargetError};
use crate::run::arguments::RunArgs;
use crate::run::audit::{DayAfter, Evidence};
use crate::run::generator::{Generated, GeneratorError, Live, Offer, Ready};
use crate::run::operation::Operation;
use crate::run::report::{Generation, Report};
use crate::run::scenario::{Scenario, ScenarioError};
use crate::run::world::{Admin, World, WorldError, set_up};
use crate::tokens::{Mint, TokenError};
use crate::watch::changes_of;

pub(crate) mod arguments;
mod audit;
mod background;
mod dice;
mod generator;
mod job;
pub(crate) mod link;
mod operation;
pub(crate) mod page;
mod plan;
mod report;
mod scenario;
mod schedule;
pub(crate) mod summary;
mod verdict;
mod world;

/// Exit code of a run whose audit has findings, or that broke a threshold.
const EXIT_FINDINGS: u8 = 1;
/// Exit code of a run whose generator fell behind: its numbers say nothing.
const EXIT_INVALID: u8 = 3;
/// How often the server's time is sampled.
const CLOCK_SAMPLES: usize = 50;
/// Room before a start that waits for nothing.
const START_LEAD: Duration = Duration::from_millis(50);
/// Time to set up before a release: a fixed part, and a part for each day and each connection.
const SET_UP_MILLIS: u64 = 1_000;
const SET_UP_MILLIS_PER_DAY: u64 = 15;
const SET_UP_MICROS_PER_CONNECTION: u64 = 1_000;
/// Bound of the reading for the audit, each day.
const READING_DEADLINE: Duration = Duration::from_secs(60);

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
    let folder = args.scenario.parent().unwrap_or(Path::new("")).to_owned();
    let target = Target::resolve(&args.url, args.allow_remote).await?;
    let mint = Mint::from_key_file(&args.key_file)?;
    let run = Run { scenario: &scenario, folder, target, mint: &mint, seed: args.seed };
    let (report, findings) = run.whole().await?;
    let report = report.finish(args, earlier.as_ref())?;
    report::print(&report.text())?;
    Ok(match (findings, report.valid, report.thresholds_kept()) {
        (1.., _, _) => ExitCode::from(EXIT_FINDINGS),
        (0, false, _) => ExitCode::from(EXIT_INVALID),
        (0, true, false) => ExitCode::from(EXIT_FINDINGS),
        (0, true, true) => ExitCode::SUCCESS,
    })
}

/// What a run is made of.
struct Run<'a> {
    scenario: &'a Scenario,
    folder: PathBuf,
    target: Target,
    mint: &'a Mint,
    seed: u64,
}

impl Run<'_> {
    /// From setting up to the audit; the report and how many findings there are.
    async fn whole(&self) -> Result<(Report, usize), RunError> {
        let days = self.scenario.days;
        let day_count = days.doctors * days.days_per_doctor;
        let arrivals = plan::draw(self.scenario, &self.folder, day_count, self.seed)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let patients = self.mint.patients(plan::patients_of(&arrivals).max(1), threads)?;
        let world = self.set_up(day_count).await?;
        let mut reader = self.reader(&world, 0)?;
        let server_clock = Arc::new(sample_clock(&mut reader).await?);
        let beside = if self.scenario.background.watchers + self.scenario.background.slow_clients > 0 {
            let started =
                background::start(self.scenario.background, self.target.clone(), &world, Arc::clone(&server_clock));
            Some(started.await.map_err(|source| RunError::Io { what: "cannot start beside".to_owned(), source })?)
        } else {
            None
        };
        let last = arrivals.last().map_or(0, |arrival| arrival.at_micros);
        let live = Arc::new(Live::default());
        let offer = Arc::new(Offer {
            target: self.target.clone(),
            world,
            patients,
            arrivals,
            settings: self.scenario.generator,
            // Bounded by the scenario's checks.
            deadline_micros: last + (self.scenario.generator.drain_seconds * 1e6) as u64,
            seed: self.seed,
            live: Arc::clone(&live),
        });
        let ready = Ready::prepare(Arc::clone(&offer)).await?;
        let start = self.start(&mut reader).await?;
        let progress = tokio::spawn(report::progress(live, start, offer.arrivals.len() as u64));
        let generated = ready.run(start).await;
        progress.abort();
        let generated = generated?;
        self.judge(&offer.world, &generated, beside).await
    }

    async fn set_up(&self, day_count: u32) -> Result<World, RunError> {
        let Scenario { days, parameters, generator, .. } = self.scenario;
        let mut admin = Admin::new(self.target.clone(), self.mint.admin()?);
        let release = days.release_after_seconds.map(|after| {
            let millis = SET_UP_MILLIS
                + SET_UP_MILLIS_PER_DAY * u64::from(day_count)
                + SET_UP_MICROS_PER_CONNECTION * u64::from(generator.connections) / 1_000;
            // Bounded by the scenario's checks.
            let lead = Duration::from_millis(millis) + Duration::from_secs_f64(after);
            i64::try_from(clock::wall_seconds() + lead.as_secs() + 1).unwrap_or(i64::MAX)
        });
        let presold = if days.sold_out { parameters.places * u64::from(day_count) } else { 0 };
        let buyers = self.mint.patients(usize::try_from(presold).unwrap_or(usize::MAX), 1)?;
        Ok(set_up(&mut admin, days, parameters, release, buyers.iter().map(|buyer| buyer.id)).await?)
    }

    fn reader(&self, world: &World, day: usize) -> Result<DayReader, RunError> {
        let day = &world.days[day];
        Ok(DayReader::new(self.target.clone(), day.doctor, day.date, self.mint.admin()?))
    }

    /// The local instant at which the run begins: so long before the release as the scenario says, or nearly now.
    async fn start(&self, reader: &mut DayReader) -> Result<Instant, RunError> {
        let soon = clock::now() + START_LEAD;
        let Some(after) = self.scenario.days.release_after_seconds else { return Ok(soon) };
        // Sampled again: the longer ago, the more the two clocks have parted.
        let server_clock = sample_clock(reader).await?;
        let (day, _) = reader.day().await?;
        let release = day.release_at_millis.and_then(|release| server_clock.local_instant_of(release));
        let start = release.and_then(|release| release.checked_sub(Duration::from_secs_f64(after)));
        start.filter(|start| *start > clock::now()).ok_or(RunError::ReleaseMissed)
    }

    async fn judge(
        &self,
        world: &World,
        generated: &Generated,
        beside: Option<background::Beside>,
    ) -> Result<(Report, usize), RunError> {
        let began = clock::now();
        let mut days = Vec::with_capacity(world.days.len());
        let mut reader = self.reader(world, 0)?;
        for day in &world.days {
            reader.turn_to(day.doctor, day.date);
            let rows = reader.appointments(clock::now() + READING_DEADLINE).await?;
            let (day, _) = reader.day().await?;
            days.push(DayAfter { day, rows });
        }
        let reading_seconds = began.elapsed().as_secs_f64();
        let beside = self.end_beside(beside, &days).await?;
        let mut verdict = audit::audit(&Evidence { days: &days, presold: &world.presold, done: &generated.done });
        let names: Vec<String> = self.scenario.load.iter().map(|load| load.name.clone()).collect();
        verdict.findings.extend(beside.iter().flat_map(|seen| seen.streams.findings()).map(audit::Finding::from));
        let findings = verdict.findings.len();
        let report = Report::new(Generation {
            scenario: self.scenario.clone(),
            seed: self.seed,
            summary: summary::sum_up(&generated.done, &names),
            cpu_seconds: generated.cpu_nanos as f64 / 1e9,
            reopened_connections: generated.reopened,
            verdict,
            audit_seconds: reading_seconds,
            fairness: audit::fairness::judge(&generated.done),
            beside,
        });
        Ok((report, findings))
    }

    /// Ends what went on beside the load, once everybody who watches has seen the days as they are now.
    async fn end_beside(
        &self,
        beside: Option<background::Beside>,
        days: &[DayAfter],
    ) -> Result<Option<background::Seen>, RunError> {
        let Some(beside) = beside else { return Ok(None) };
        let mut operations = self.scenario.load.iter().flat_map(|load| load.operations.keys());
        let changes = operations
            .all(|operation| *operation == Operation::Book || operation.only_reads())
            .then(|| days.iter().map(|day| changes_of(&day.rows)).collect::<Option<Vec<_>>>())
            .flatten();
        let last = days.iter().map(|day| day.day.clone()).collect();
        let seen = beside.end(last, changes.as_deref()).await;
        seen.map(Some).map_err(|source| RunError::Io { what: "beside the load".to_owned(), source })
    }
}

async fn sample_clock(reader: &mut DayReader) -> Result<ServerClock, RunError> {
    let mut server_clock = ServerClock::new(clock::now());
    for _ in 0..CLOCK_SAMPLES {
        let (day, received) = reader.day().await?;
        server_clock.observe(received, day.server_time_millis);
    }
    Ok(server_clock)
}

/// The settled arrivals so far, by class.
fn settled(live: &Live) -> [u64; 6] {
    [0, 1, 2, 3, 4, 5].map(|class: usize| live.settled[class].load(Ordering::Relaxed))
}
