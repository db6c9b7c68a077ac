//! One run from its days to its report: set up, offered, read back and judged.
//! Must not know: the command line, how bytes travel, how findings are found, how results are drawn.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::DayReader;
use crate::driver::clock::{self, ServerClock};
use crate::driver::descriptors::make_room;
use crate::driver::target::Target;
use crate::run::audit::lapse::margin_micros;
use crate::run::audit::{self, DayAfter, Evidence};
use crate::run::background::{self, Beside};
use crate::run::generator::{Generated, Live, Offer, Ready};
use crate::run::operation::Operation;
use crate::run::processes::{Crew, Order, Part, Share};
use crate::run::report::{Generation, Report};
use crate::run::scenario::Scenario;
use crate::run::world::{Admin, World, set_up};
use crate::run::{RunError, plan, summary, text};
use crate::tokens::Mint;
use crate::watch::changes_of;

/// How often the server's time is sampled.
const CLOCK_SAMPLES: usize = 50;
/// Room before a start that waits for nothing; more where other processes must be told of it.
const START_LEAD: Duration = Duration::from_millis(50);
const START_LEAD_OF_PROCESSES: Duration = Duration::from_millis(500);
/// Time to set up before a release: a fixed part, a part for each day and each connection, and one for minting a patient.
const SET_UP_MILLIS: u64 = 1_000;
const SET_UP_MILLIS_PER_DAY: u64 = 15;
const SET_UP_MICROS_PER_CONNECTION: u64 = 1_000;
const SET_UP_MICROS_PER_PATIENT: u64 = 50;
/// For each further process: it draws the plan and mints once more.
const SET_UP_MILLIS_PER_PROCESS: u64 = 1_000;
/// Bound of the reading for the audit, each day.
const READING_DEADLINE: Duration = Duration::from_secs(60);

/// Where the days of a run come from.
pub(crate) trait Stage {
    /// Sets them up, with the release at this instant of the server, UTC seconds, if there is one.
    async fn set_up(&self, admin: &mut Admin, release_at_seconds: Option<i64>) -> Result<World, RunError>;
}

/// The days that the scenario describes.
pub(crate) struct Described<'a> {
    /// The scenario.
    pub(crate) scenario: &'a Scenario,
    /// Makes those who buy what is sold beforehand.
    pub(crate) mint: &'a Mint,
}

impl Stage for Described<'_> {
    async fn set_up(&self, admin: &mut Admin, release_at_seconds: Option<i64>) -> Result<World, RunError> {
        let Scenario { days, parameters, .. } = self.scenario;
        let presold = if days.sold_out { parameters.places * u64::from(days.count()) } else { 0 };
        let buyers = self.mint.patients(usize::try_from(presold).unwrap_or(usize::MAX), 1)?;
        let buyers = buyers.iter().map(|buyer| buyer.id);
        Ok(set_up(admin, days, parameters, release_at_seconds, buyers).await?)
    }
}

/// What a run is made of.
pub(crate) struct Run<'a, S> {
    /// What is offered.
    pub(crate) scenario: &'a Scenario,
    /// Where the scenario lies.
    pub(crate) folder: PathBuf,
    /// To whom.
    pub(crate) target: Target,
    /// Makes tokens that the target accepts.
    pub(crate) mint: &'a Mint,
    /// What the mint was made of.
    pub(crate) key_file: &'a Path,
    /// Seed of what is drawn.
    pub(crate) seed: u64,
    /// How many processes offer it.
    pub(crate) processes: u32,
    /// Where the days come from.
    pub(crate) stage: S,
}

/// A generator that is ready: the threads of this process, or several processes.
enum Engine {
    Threads(Ready),
    Processes(Crew),
}

impl<S: Stage> Run<'_, S> {
    /// From setting up to the audit; the report and how many findings there are.
    pub(crate) async fn whole(&self) -> Result<(Report, usize), RunError> {
        let Scenario { days, generator, background, .. } = self.scenario;
        if self.processes > generator.connections {
            return Err(RunError::TooManyProcesses { connections: generator.connections });
        }
        let beside = u64::from(background.watchers) + u64::from(background.slow_clients);
        make_room(beside + if self.processes > 1 { 0 } else { generator.connections.into() })?;
        let arrivals = plan::draw(self.scenario, &self.folder, days.count(), self.seed)?;
        let (count, asking) = (arrivals.len() as u64, plan::patients_of(&arrivals));
        let deadline_micros = plan::deadline_micros(&arrivals, generator);
        let mut admin = Admin::new(self.target.clone(), self.mint.admin()?);
        let world = self.stage.set_up(&mut admin, self.release(asking)).await?;
        let mut reader = self.reader(&world, 0)?;
        let beside = self.beside(&world, &mut reader).await?;
        let live = Arc::new(Live::default());
        let engine = if self.processes > 1 {
            Engine::Processes(Crew::prepare(&self.order(&world), self.processes).await?)
        } else {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let offer = Offer {
                target: self.target.clone(),
                world: world.clone(),
                patients: self.mint.patients(asking.max(1), threads)?,
                arrivals,
                settings: *generator,
                share: Share::WHOLE,
                deadline_micros,
                seed: self.seed,
                live: Arc::clone(&live),
            };
            Engine::Threads(Ready::prepare(Arc::new(offer)).await?)
        };
        let (start, server_clock) = self.start(&mut reader).await?;
        let progress = tokio::spawn(text::progress(Arc::clone(&live), start, count));
        let ran = match engine {
            Engine::Threads(ready) => ready.run(start).await.map(|done| (done, Vec::new())).map_err(RunError::from),
            Engine::Processes(crew) => crew.run(start, deadline_micros, &live).await.map_err(RunError::from),
        };
        progress.abort();
        let (generated, parts) = ran?;
        let server_micros_at_start = self.server_micros(&mut reader, &server_clock, start).await?;
        self.judge(&world, Ran { generated, parts, server_micros_at_start }, beside).await
    }

    /// When the places are released, UTC seconds: late enough that everything can be set up before.
    fn release(&self, patients: usize) -> Option<i64> {
        let Scenario { days, generator, .. } = self.scenario;
        let after = days.release_after_seconds?;
        let millis = SET_UP_MILLIS
            + SET_UP_MILLIS_PER_DAY * u64::from(days.count())
            + SET_UP_MICROS_PER_CONNECTION * u64::from(generator.connections) / 1_000
            + SET_UP_MICROS_PER_PATIENT * patients as u64 / 1_000
            + SET_UP_MILLIS_PER_PROCESS * u64::from(self.processes.saturating_sub(1));
        // Bounded by the scenario's checks.
        let lead = Duration::from_millis(millis) + Duration::from_secs_f64(after);
        Some(i64::try_from(clock::wall_seconds() + lead.as_secs() + 1).unwrap_or(i64::MAX))
    }

    fn order(&self, world: &World) -> Order {
        Order {
            scenario: self.scenario.clone(),
            folder: self.folder.clone(),
            address: self.target.address,
            host: self.target.host.clone(),
            key_file: self.key_file.to_owned(),
            audiences: self.mint.audiences().to_owned(),
            seed: self.seed,
            days: world.days.clone(),
            share: Share::WHOLE,
        }
    }

    /// What goes on beside the load, where the scenario wants any.
    async fn beside(&self, world: &World, reader: &mut DayReader) -> Result<Option<Beside>, RunError> {
        let background = self.scenario.background;
        if background.watchers + background.slow_clients == 0 {
            return Ok(None);
        }
        let server_clock = Arc::new(sample_clock(reader).await?);
        let started = background::start(background, self.target.clone(), world, server_clock).await;
        started.map(Some).map_err(|source| RunError::Io { what: "cannot start beside".to_owned(), source })
    }

    fn reader(&self, world: &World, day: usize) -> Result<DayReader, RunError> {
        let day = &world.days[day];
        Ok(DayReader::new(self.target.clone(), day.doctor, day.date, self.mint.admin()?))
    }

    /// The local instant at which the run begins: so long before the release as the scenario says, or nearly now.
    async fn start(&self, reader: &mut DayReader) -> Result<(Instant, ServerClock), RunError> {
        // Sampled as late as possible: the longer ago, the more the two clocks have parted.
        let server_clock = sample_clock(reader).await?;
        let lead = if self.processes > 1 { START_LEAD_OF_PROCESSES } else { START_LEAD };
        let Some(after) = self.scenario.days.release_after_seconds else {
            return Ok((clock::now() + lead, server_clock));
        };
        let (day, _) = reader.day().await?;
        let release = day.release_at_millis.and_then(|release| server_clock.local_instant_of(release));
        let start = release.and_then(|release| release.checked_sub(Duration::from_secs_f64(after)));
        let start = start.filter(|start| *start > clock::now()).ok_or(RunError::ReleaseMissed)?;
        Ok((start, server_clock))
    }

    /// The server's time at the start; `None` where its clock, sampled again after the run, has moved against ours by
    /// more than the audit allows for.
    async fn server_micros(
        &self,
        reader: &mut DayReader,
        before: &ServerClock,
        start: Instant,
    ) -> Result<Option<i64>, RunError> {
        let after = sample_clock(reader).await?;
        let known = before.server_micros_at(start).zip(after.server_micros_at(start));
        let run_micros = i64::try_from(clock::now().saturating_duration_since(start).as_micros()).unwrap_or(i64::MAX);
        let steady = known.filter(|(before, after)| (before - after).abs() <= margin_micros(run_micros) / 2);
        Ok(steady.map(|(before, _)| before))
    }

    async fn judge(&self, world: &World, ran: Ran, beside: Option<Beside>) -> Result<(Report, usize), RunError> {
        let began = clock::now();
        let mut days = Vec::with_capacity(world.days.len());
        let mut reader = self.reader(world, 0)?;
        for world_day in &world.days {
            reader.turn_to(world_day.doctor, world_day.date);
            let (before, _) = reader.day().await?;
            let rows = reader.appointments(clock::now() + READING_DEADLINE).await?;
            let (day, _) = reader.day().await?;
            let (read_from_millis, released) = (before.server_time_millis, world_day.released);
            days.push(DayAfter { day, rows, read_from_millis, released });
        }
        let audit_seconds = began.elapsed().as_secs_f64();
        let beside = self.end_beside(beside, &days).await?;
        let Ran { generated, parts, server_micros_at_start } = ran;
        let done = &generated.done;
        let mut verdict =
            audit::audit(&Evidence { days: &days, presold: &world.presold, done, server_micros_at_start });
        let names: Vec<String> = self.scenario.load.iter().map(|load| load.name.clone()).collect();
        verdict.findings.extend(beside.iter().flat_map(|seen| seen.streams.findings()).map(audit::Finding::from));
        let findings = verdict.findings.len();
        let report = Report::new(Generation {
            scenario: self.scenario.clone(),
            seed: self.seed,
            summary: summary::sum_up(done, &names, self.scenario.parameters.rate_per_second),
            cpu_seconds: generated.cpu_nanos as f64 / 1e9,
            reopened_connections: generated.reopened,
            parts,
            verdict,
            audit_seconds,
            fairness: audit::fairness::judge(done),
            beside,
        });
        Ok((report, findings))
    }

    /// Ends what went on beside the load, once everybody who watches has seen the days as they are now.
    async fn end_beside(
        &self,
        beside: Option<Beside>,
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

/// What a generator gave, and by which clock.
struct Ran {
    generated: Generated,
    parts: Vec<Part>,
    server_micros_at_start: Option<i64>,
}

async fn sample_clock(reader: &mut DayReader) -> Result<ServerClock, RunError> {
    let mut server_clock = ServerClock::new(clock::now());
    for _ in 0..CLOCK_SAMPLES {
        let (day, received) = reader.day().await?;
        server_clock.observe(received, day.server_time_millis);
    }
    Ok(server_clock)
}
