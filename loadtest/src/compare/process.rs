//! Programs started for one turn: each is stopped by its id when its handle is dropped, whatever happened before.
//! Must not know: what the programs do.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use thiserror::Error;

use crate::driver::clock;

/// How long a program may take until it is ready.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// How often readiness is asked for.
const READY_INTERVAL: Duration = Duration::from_millis(20);
/// How much of a program's own words is repeated when it fails, in characters.
const LOG_CHARACTERS: usize = 600;

/// Why a program does not run.
#[derive(Debug, Error)]
pub(crate) enum ProcessError {
    /// Not there.
    #[error("{program} is missing: {remedy}")]
    Missing {
        /// Which, as it was looked for.
        program: PathBuf,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The system refuses.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// It ended, or said nothing in time.
    #[error("{program} did not get ready: {log}")]
    NotReady {
        /// Which.
        program: &'static str,
        /// The end of what it wrote.
        log: String,
    },
}

/// Which signal ends a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// SIGKILL: its data is thrown away with it.
    Kill,
    /// SIGQUIT, "immediate shutdown" of PostgreSQL: its own children end with it.
    Quit,
}

/// A running program.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    stop: Stop,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, with standard error into a file in `directory`. Standard input stays open as long as the
    /// handle lives: a program may take its end as the end of this one.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        stop: Stop,
        directory: &Path,
    ) -> Result<Self, ProcessError> {
        let failed = |source| ProcessError::System { what: format!("cannot start {name}"), source };
        let log = directory.join(format!("{name}.log"));
        let errors = std::fs::File::create(&log).map_err(failed)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let child = command.spawn().map_err(failed)?;
        Ok(Self { name, child, stop, log })
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the line `listening http://…` and answers what follows `listening `.
    pub(crate) async fn listening(&mut self) -> Result<String, ProcessError> {
        let Some(output) = self.child.stdout.take() else { return Err(self.not_ready()) };
        let read = tokio::task::spawn_blocking(move || {
            let mut reader = BufReader::new(output);
            let mut line = String::new();
            let read = reader.read_line(&mut line);
            read_to_nowhere(reader);
            read.map(|_| line)
        });
        let line = tokio::time::timeout(READY_DEADLINE, read).await.ok().and_then(Result::ok).and_then(Result::ok);
        let url = line.as_deref().and_then(|line| line.trim_end().strip_prefix("listening ")).map(str::to_owned);
        url.ok_or_else(|| self.not_ready())
    }

    /// Waits until `is_ready`, which is asked again and again.
    pub(crate) async fn ready(&mut self, mut is_ready: impl FnMut() -> bool) -> Result<(), ProcessError> {
        if let Some(output) = self.child.stdout.take() {
            read_to_nowhere(output);
        }
        let deadline = clock::now() + READY_DEADLINE;
        while !is_ready() {
            if clock::now() >= deadline || !matches!(self.child.try_wait(), Ok(None)) {
                return Err(self.not_ready());
            }
            tokio::time::sleep(READY_INTERVAL).await;
        }
        Ok(())
    }

    fn not_ready(&self) -> ProcessError {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let skipped = log.chars().count().saturating_sub(LOG_CHARACTERS);
        ProcessError::NotReady { program: self.name, log: log.chars().skip(skipped).collect() }
    }
}

/// Reads on until the program ends, so that the pipe never fills.
fn read_to_nowhere(mut output: impl std::io::Read + Send + 'static) {
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let quit = || Command::new("kill").args(["-QUIT", &self.child.id().to_string()]).status();
        if self.stop == Stop::Kill || !quit().is_ok_and(|status| status.success()) {
            // It may have ended by itself since.
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        command
    }

    fn is_running(id: u32) -> bool {
        Path::new(&format!("/proc/{id}")).exists()
    }

    #[tokio::test]
    async fn a_program_that_listens_is_found_and_gone_with_its_handle() {
        let directory = tempfile::tempdir().unwrap();
        for stop in [Stop::Kill, Stop::Quit] {
            let script = shell("echo listening http://127.0.0.1:1; exec sleep 60");
            let mut process = Process::start("sh", script, stop, directory.path()).unwrap();
            assert_eq!(process.listening().await.unwrap(), "http://127.0.0.1:1");
            let id = process.child.id();
            assert!(is_running(id));
            drop(process);
            assert!(!is_running(id));
        }
    }

    #[tokio::test]
    async fn a_program_that_fails_is_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let script = shell("echo broken >&2; exit 3");
        let mut process = Process::start("sh", script, Stop::Kill, directory.path()).unwrap();
        let error = process.listening().await.unwrap_err().to_string();
        assert!(error.contains("sh did not get ready: broken"), "{error}");
        let script = shell("echo broken >&2; exit 3");
        let mut process = Process::start("sh", script, Stop::Kill, directory.path()).unwrap();
        assert!(process.ready(|| false).await.is_err());
    }
}
