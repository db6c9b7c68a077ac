//! What the processes of a generator say to each other: one JSON value a line, over standard input and output.
//! Must not know: who starts whom.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::driver::clock;
use crate::run::job::Done;
use crate::run::scenario::Scenario;
use crate::run::world::WorldDay;

/// What a child is to do: the first line that it reads.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Order {
    /// The whole scenario, changes of the command line included.
    pub(crate) scenario: Scenario,
    /// Where the scenario lies.
    pub(crate) folder: PathBuf,
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    /// The value of the `Host` header.
    pub(crate) host: String,
    /// The server's signing key. The path only: the key itself goes through no pipe.
    pub(crate) key_file: PathBuf,
    /// The audiences that patients belong to.
    pub(crate) audiences: Vec<String>,
    /// Seed of what is drawn.
    pub(crate) seed: u64,
    /// The days that were set up.
    pub(crate) days: Vec<WorldDay>,
    /// Which part of it is this child's.
    pub(crate) share: Share,
}

/// One process of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Share {
    /// Which, from 0.
    pub(crate) process: u32,
    /// Of how many; at least 1.
    pub(crate) processes: u32,
}

impl Share {
    /// Everything.
    pub(crate) const WHOLE: Self = Self { process: 0, processes: 1 };

    /// Of things that are numbered, those of this process.
    pub(crate) fn of<T>(self, things: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        things.skip(self.process as usize).step_by(self.processes.max(1) as usize)
    }

    /// How many of `count` things are this process's.
    pub(crate) const fn count(self, count: u32) -> u32 {
        count.saturating_sub(self.process).div_ceil(if self.processes == 0 { 1 } else { self.processes })
    }
}

/// When to begin: the second line that a child reads.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Start {
    /// By the wall clock, which all processes of a machine share; microseconds since 1970-01-01T00:00:00Z.
    at_wall_micros: u64,
}

impl Start {
    /// At this local instant.
    pub(crate) fn at(instant: Instant) -> Self {
        let ahead = instant.saturating_duration_since(clock::now());
        Self { at_wall_micros: clock::wall_micros() + u64::try_from(ahead.as_micros()).unwrap_or(u64::MAX / 2) }
    }

    /// As a local instant; one that has passed is now.
    pub(crate) fn instant(self) -> Instant {
        clock::now() + Duration::from_micros(self.at_wall_micros.saturating_sub(clock::wall_micros()))
    }
}

/// What a child says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// Its connections are open.
    Ready,
    /// What has come since the last such word.
    Progress {
        /// Arrivals dispatched.
        dispatched: u64,
        /// Settled, by class in the order of `Class::ALL`.
        settled: [u64; 6],
        /// The largest lag.
        worst_lag_micros: u64,
    },
    /// One arrival, when all are over.
    Done(Box<Done>),
    /// All have been told.
    End {
        /// How many.
        arrivals: u64,
        /// Processor time of its threads during the run; 0 where the system does not tell.
        cpu_nanos: u64,
        /// Connections that had to be opened again.
        reopened: u64,
    },
}

/// Why a line cannot be said or understood.
#[derive(Debug, Error)]
pub(crate) enum WordsError {
    /// The pipe.
    #[error("the pipe between the processes: {0}")]
    Pipe(#[from] std::io::Error),
    /// The other side has gone.
    #[error("the other process has closed its pipe")]
    Closed,
    /// Not what is expected.
    #[error("a line between the processes: {0}")]
    Line(#[from] serde_json::Error),
}

/// Reads one line.
pub(crate) async fn hear<T: DeserializeOwned>(input: &mut (impl AsyncBufRead + Unpin)) -> Result<T, WordsError> {
    let mut line = String::new();
    if input.read_line(&mut line).await? == 0 {
        return Err(WordsError::Closed);
    }
    Ok(serde_json::from_str(&line)?)
}

/// Writes lines and sends them off.
pub(crate) async fn say<T: Serialize>(output: &mut (impl AsyncWrite + Unpin), words: &[T]) -> Result<(), WordsError> {
    let mut lines = Vec::new();
    for word in words {
        serde_json::to_writer(&mut lines, word)?;
        lines.push(b'\n');
    }
    output.write_all(&lines).await?;
    Ok(output.flush().await?)
}
