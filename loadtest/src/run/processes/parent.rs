//! The processes of a generator as their parent sees them: started, told when to begin, heard to the end.
//! Must not know: what they offer, how a run is judged.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::io::{AsyncBufRead, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::driver::clock;
use crate::run::generator::{Generated, Live};
use crate::run::processes::words::{Order, Share, Start, Word, WordsError, hear, say};
use crate::run::summary::{Durations, Spread};

/// How long the children may take to mint and connect.
const READY_DEADLINE: Duration = Duration::from_secs(120);
/// How long after the last answer is due all records must have been told.
const TELLING_DEADLINE: Duration = Duration::from_secs(120);

/// Why several processes made no run.
#[derive(Debug, Error)]
pub(crate) enum CrewError {
    /// This program cannot be started again.
    #[error("cannot start a generator process: {0}")]
    Start(std::io::Error),
    /// A process ended before it had told everything; its own words are on standard error.
    #[error("generator process {process} of {processes} died ({status}): the run says nothing")]
    Died {
        /// Which, from 1.
        process: u32,
        /// Of how many.
        processes: u32,
        /// How it ended.
        status: String,
    },
    /// A process does not say what it is to say in time.
    #[error("generator process {process} of {processes} is silent: the run says nothing")]
    Silent {
        /// Which, from 1.
        process: u32,
        /// Of how many.
        processes: u32,
    },
    /// A process says something else than what is expected.
    #[error("generator process {process} of {processes}: {reason}")]
    Garbled {
        /// Which, from 1.
        process: u32,
        /// Of how many.
        processes: u32,
        /// What it said.
        reason: String,
    },
}

/// What one process gave.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct Part {
    /// Its arrivals.
    pub(crate) arrivals: u64,
    /// Processor time of its generator threads.
    pub(crate) cpu_seconds: f64,
    /// How late it was by itself.
    pub(crate) lag: Spread,
}

/// Processes that are ready, or running. All are killed when this is dropped.
pub(crate) struct Crew {
    members: Vec<Member>,
}

struct Member {
    share: Share,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Crew {
    /// Starts one process for each order; returns when all have opened their connections.
    pub(crate) async fn prepare(order: &Order, processes: u32) -> Result<Self, CrewError> {
        let deadline = clock::now() + READY_DEADLINE;
        let mut crew = Self { members: Vec::new() };
        for process in 0..processes {
            let share = Share { process, processes };
            let mut member = Member::start(share)?;
            let said = say(&mut member.input, &[Order { share, ..order.clone() }]).await;
            if let Err(error) = said {
                return Err(member.failed(error).await);
            }
            crew.members.push(member);
        }
        for member in &mut crew.members {
            match tokio::time::timeout_at(deadline.into(), hear(&mut member.output)).await {
                Ok(Ok(Word::Ready)) => {}
                Ok(Ok(other)) => return Err(member.share.garbled(&other)),
                Ok(Err(error)) => return Err(member.failed(error).await),
                Err(_) => return Err(member.share.silent()),
            }
        }
        Ok(crew)
    }

    /// Lets all begin at the local instant `start`; what they gave together, and each of them. The last answer is due
    /// `deadline_micros` after the start. The first process that fails ends the run.
    pub(crate) async fn run(
        self,
        start: Instant,
        deadline_micros: u64,
        live: &Arc<Live>,
    ) -> Result<(Generated, Vec<Part>), CrewError> {
        let until = start + Duration::from_micros(deadline_micros) + TELLING_DEADLINE;
        let mut hearing = tokio::task::JoinSet::new();
        for mut member in self.members {
            if let Err(error) = say(&mut member.input, &[Start::at(start)]).await {
                return Err(member.failed(error).await);
            }
            let live = Arc::clone(live);
            hearing.spawn(async move {
                let heard = tokio::time::timeout_at(until.into(), hear_out(&mut member.output, member.share, &live));
                match heard.await {
                    Ok(Ok(generated)) => Ok((member.share.process, generated)),
                    Ok(Err(Heard::Words(error))) => Err(member.failed(error).await),
                    Ok(Err(Heard::Wrong(error))) => Err(error),
                    Err(_) => Err(member.share.silent()),
                }
            });
        }
        let mut all = Vec::new();
        while let Some(heard) = hearing.join_next().await {
            all.push(heard.map_err(|error| CrewError::Start(error.into()))??);
        }
        all.sort_by_key(|(process, _)| *process);
        Ok(merged(all.into_iter().map(|(_, generated)| generated)))
    }
}

/// All records in one heap; sums where there is something to add.
pub(super) fn merged(all: impl Iterator<Item = Generated>) -> (Generated, Vec<Part>) {
    let (mut sum, mut parts) = (Generated::default(), Vec::new());
    for one in all {
        parts.push(Part {
            arrivals: one.done.len() as u64,
            cpu_seconds: one.cpu_nanos as f64 / 1e9,
            lag: Durations::of(one.done.iter().map(crate::run::job::Done::lag_micros)).spread(),
        });
        sum.cpu_nanos += one.cpu_nanos;
        sum.reopened += one.reopened;
        sum.done.extend(one.done);
    }
    (sum, parts)
}

/// Why a child was not heard to its end.
#[derive(Debug)]
pub(super) enum Heard {
    /// Its pipe ended or cannot be understood.
    Words(WordsError),
    /// It said something out of turn.
    Wrong(CrewError),
}

/// Hears one child to its end.
pub(super) async fn hear_out(
    output: &mut (impl AsyncBufRead + Unpin),
    share: Share,
    live: &Live,
) -> Result<Generated, Heard> {
    let mut generated = Generated::default();
    loop {
        match hear(output).await.map_err(Heard::Words)? {
            Word::Progress { dispatched, settled, worst_lag_micros } => {
                live.dispatched.fetch_add(dispatched, Ordering::Relaxed);
                live.worst_lag_micros.fetch_max(worst_lag_micros, Ordering::Relaxed);
                for (sum, count) in live.settled.iter().zip(settled) {
                    sum.fetch_add(count, Ordering::Relaxed);
                }
            }
            Word::Done(done) => generated.done.push(*done),
            Word::End { arrivals, cpu_nanos, reopened } if arrivals == generated.done.len() as u64 => {
                return Ok(Generated { cpu_nanos, reopened, ..generated });
            }
            other => return Err(Heard::Wrong(share.garbled(&other))),
        }
    }
}

impl Share {
    const fn silent(self) -> CrewError {
        CrewError::Silent { process: self.process + 1, processes: self.processes }
    }

    fn garbled(self, word: &Word) -> CrewError {
        let reason = format!("said {word:?} out of turn").chars().take(200).collect();
        CrewError::Garbled { process: self.process + 1, processes: self.processes, reason }
    }
}

impl Member {
    fn start(share: Share) -> Result<Self, CrewError> {
        let mut command = Command::new(std::env::current_exe().map_err(CrewError::Start)?);
        command.arg("generate").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(CrewError::Start)?;
        let missing = || CrewError::Start(std::io::Error::other("it has no pipes"));
        let (input, output) = (child.stdin.take().ok_or_else(missing)?, child.stdout.take().ok_or_else(missing)?);
        Ok(Self { share, child, input, output: BufReader::new(output) })
    }

    /// Why nothing more can be heard. A process whose pipe has ended is gone or about to go.
    async fn failed(&mut self, error: WordsError) -> CrewError {
        let Share { process, processes } = self.share;
        if let WordsError::Line(error) = error {
            return CrewError::Garbled { process: process + 1, processes, reason: error.to_string() };
        }
        let ended = tokio::time::timeout(Duration::from_secs(1), self.child.wait()).await;
        let status = ended.ok().and_then(Result::ok).map_or_else(|| error.to_string(), |status| status.to_string());
        CrewError::Died { process: process + 1, processes, status }
    }
}
