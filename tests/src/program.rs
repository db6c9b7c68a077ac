//! The program as a file: where it is, and running one of its short commands to the end.
//! Must not know: `serve`, which stays (see `server`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

/// A command that has not ended by then is a failure.
const COMMAND_DEADLINE: Duration = Duration::from_secs(20);

/// What a command left behind.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// The program built beside this test, in the same profile.
pub fn binary() -> PathBuf {
    built("hotslot")
}

/// The load harness built beside this test, in the same profile.
pub fn harness() -> PathBuf {
    built("loadtest")
}

/// The journeys of the load harness, built beside this test, in the same profile.
pub fn journeys() -> PathBuf {
    built("journeys")
}

fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let profile = test.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    let binary = profile.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(binary.is_file(), "{} is missing: run `cargo build --workspace` first", binary.display());
    binary
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a package of the workspace")
}

/// A command with nothing of the developer's environment but `PATH`, so that no `HOTSLOT_` variable leaks in.
pub fn bare_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).kill_on_drop(true);
    command
}

/// Runs the program with these arguments and environment variables to its end, within a deadline.
pub async fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = bare_command(&binary());
    command.args(arguments).envs(environment.iter().copied());
    run_to_end(command, COMMAND_DEADLINE).await
}

/// Runs a command to its end, without input, at most `within`.
pub async fn run_to_end(mut command: Command, within: Duration) -> Output {
    command.stdin(std::process::Stdio::null());
    let output = tokio::time::timeout(within, command.output())
        .await
        .unwrap_or_else(|_| panic!("{command:?} did not end within {within:?}"))
        .expect("the program can be started");
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs the program with these arguments to its end, within a deadline.
pub async fn run(arguments: &[&str]) -> Output {
    run_with(arguments, &[]).await
}
