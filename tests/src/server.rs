//! A running `hotslot serve`: started on a directory of its own, killed, ended, started again.
//! Must not know: what is asked of it.

use std::io::{BufRead, BufReader as BlockingReader, PipeReader};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::client::Client;
use crate::clock::{Stopwatch, fresh_id};
use crate::limits;
use crate::plan::{Day, Plan};
use crate::program::{self, Output};
use crate::stores::{Profile, Stores};
use crate::token::{Claims, Signer};

/// The first line must have come by then.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// Any one answer must have come by then.
const ANSWER_DEADLINE: Duration = Duration::from_secs(25);
/// Lines of standard error that a failed test shows.
const SHOWN_LINES: usize = 60;

/// How a server is to be started.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// The data directory; `None`: a new temporary one.
    pub directory: Option<PathBuf>,
    /// Where what matters is kept; `None`: new ones of the test binary's profile.
    pub stores: Option<Arc<Stores>>,
    /// Arguments after `serve --listen … --data-dir …` and the flags of the stores.
    pub arguments: Vec<String>,
    /// Shell text before the program, such as `trap "" XFSZ;`.
    pub shell: Option<String>,
    /// Environment variables, beside `PATH`.
    pub environment: Vec<(String, String)>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    /// Its status.
    pub status: ExitStatus,
    /// Time from the signal to the end.
    pub took: Duration,
}

/// A start that came to nothing: no first line.
#[derive(Debug)]
pub struct Death {
    /// How the process ended; `None` if it had not by the deadline.
    pub status: Option<ExitStatus>,
    /// Standard error of all its lives, as far as it was read.
    pub log: Vec<String>,
}

impl std::fmt::Display for Death {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "no first line ({:?}); standard error: {:#?}", self.status, self.log)
    }
}

/// Lines that a process prints, as they come.
type Printed = Arc<Mutex<Vec<String>>>;

/// A program under test. Dropping it kills it; a test that fails shows the end of its standard error.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    directory: PathBuf,
    _workspace: TempDir,
    stores: Arc<Stores>,
    child: Child,
    address: String,
    printed: Printed,
    log: Printed,
    log_reader: Option<JoinHandle<()>>,
    http: reqwest::Client,
}

impl Server {
    /// Starts on a new directory with the default settings.
    pub async fn start() -> Self {
        Self::launch(Launch::default()).await
    }

    /// Starts on a new directory with further arguments.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self::launch(Launch { arguments, ..Launch::default() }).await
    }

    /// Starts as told.
    pub async fn launch(launch: Launch) -> Self {
        match Self::try_launch(launch).await {
            Ok(server) => server,
            Err(death) => panic!("{death}"),
        }
    }

    /// Starts as told, unless the process ends before its first line.
    pub async fn try_launch(launch: Launch) -> Result<Self, Death> {
        limits::allow_many_open_files();
        let workspace = TempDir::with_prefix("hotslot-test-").expect("a temporary directory");
        let directory = launch.directory.clone().unwrap_or_else(|| workspace.path().join("data"));
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_DEADLINE)
            .pool_idle_timeout(Duration::from_secs(2))
            .pool_max_idle_per_host(2_048)
            .build()
            .expect("an HTTP client");
        let stores = match &launch.stores {
            Some(stores) => Arc::clone(stores),
            None => Stores::start(Profile::of_this_binary()).await,
        };
        let log = Printed::default();
        let life = spawn(&launch, &directory, &stores, &log).await?;
        let log_reader = Some(life.log_reader);
        let Life { child, address, printed, .. } = life;
        Ok(Self { launch, directory, _workspace: workspace, stores, child, address, printed, log, log_reader, http })
    }

    /// The data directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where it keeps what matters.
    pub fn stores(&self) -> &Arc<Stores> {
        &self.stores
    }

    /// `http://HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Process id.
    pub fn process(&self) -> u32 {
        self.child.id().expect("the server is running")
    }

    /// Everything printed on standard output so far.
    pub fn printed(&self) -> Vec<String> {
        lines_of(&self.printed)
    }

    /// Everything written to standard error so far, by all its lives.
    pub fn log(&self) -> Vec<String> {
        lines_of(&self.log)
    }

    /// SIGKILL, at once, and waits for the end.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("the server can be killed");
    }

    /// Starts again on the same directory, on another port; the server must have ended.
    pub async fn start_again(&mut self) {
        let started = spawn(&self.launch, &self.directory, &self.stores, &self.log).await;
        let life = started.unwrap_or_else(|death| panic!("{death}"));
        (self.child, self.address, self.printed) = (life.child, life.address, life.printed);
        self.log_reader = Some(life.log_reader);
    }

    /// SIGKILL and a new start on the same directory. Clients of the old life have its old address.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.start_again().await;
    }

    /// Later lives start as told here.
    pub fn change_launch(&mut self, change: impl FnOnce(&mut Launch)) {
        change(&mut self.launch);
    }

    /// SIGTERM, and waits for the end, at most `within`.
    pub async fn terminate(&mut self, within: Duration) -> Exit {
        let watch = Stopwatch::start();
        limits::signal(self.process(), "TERM");
        let status = self.ended(within).await;
        Exit { status, took: watch.elapsed() }
    }

    /// Stops the server and has its directory audited: nothing may be found.
    pub async fn assert_audited(&mut self) {
        let exit = self.terminate(Duration::from_secs(10)).await;
        assert!(exit.status.success(), "{:?}", exit.status);
        let output = self.run_beside(&["verify"]).await;
        assert_eq!(output.code, Some(0), "{output:?}");
    }

    /// Runs another command of the program on the same directory and stores to its end.
    pub async fn run_beside(&self, command: &[&str]) -> Output {
        let directory = self.directory().to_str().expect("a path in UTF-8");
        let stores = self.stores.arguments();
        let stores = stores.iter().map(String::as_str);
        let arguments: Vec<&str> = command.iter().copied().chain(["--data-dir", directory]).chain(stores).collect();
        program::run(&arguments).await
    }

    /// How the process ended, if it has.
    pub fn status_if_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Waits until the process has ended by itself, at most `within`.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        tokio::time::timeout(within, self.child.wait())
            .await
            .unwrap_or_else(|_| panic!("the server still runs after {within:?}"))
            .expect("a child can be waited for")
    }

    /// What signs tokens that this server accepts.
    pub fn signer(&self) -> Signer {
        Signer::of_directory(&self.directory)
    }

    /// A client with any claims.
    pub fn client(&self, subject: &str, claims: &Claims) -> Client {
        Client::new(&self.http, &self.address, subject, Some(self.signer().sign(claims)))
    }

    /// A client without a token.
    pub fn anyone(&self) -> Client {
        Client::new(&self.http, &self.address, "", None)
    }

    /// A new patient.
    pub fn patient(&self) -> Client {
        self.patient_as(&fresh_id())
    }

    /// The patient with that id.
    pub fn patient_as(&self, id: &str) -> Client {
        self.client(id, &Claims::of("patient", id))
    }

    /// A patient who belongs to these audiences.
    pub fn patient_of(&self, audiences: &[&str]) -> Client {
        let id = fresh_id();
        self.client(&id, &Claims::of("patient", &id).with("audiences", json!(audiences)))
    }

    /// The doctor with that id.
    pub fn doctor(&self, id: &str) -> Client {
        self.client(id, &Claims::of("doctor", id))
    }

    /// An administrator.
    pub fn admin(&self) -> Client {
        let id = fresh_id();
        self.client(&id, &Claims::of("admin", &id))
    }

    /// Creates a doctor in UTC; answers its id.
    pub async fn new_doctor(&self) -> String {
        self.new_doctor_in("UTC").await
    }

    /// Creates a doctor in that zone; answers its id.
    pub async fn new_doctor_in(&self, time_zone: &str) -> String {
        let body = json!({
            "name": "Dr. Vera Lind", "specialties": ["dermatology"], "time_zone": time_zone,
            "location": {"name": "Clinic at the Park", "city": "Utrecht", "lat": 52.09, "lon": 5.12},
        });
        self.admin().create_doctor(&body).await.expect(201).text_of("id")
    }

    /// Publishes the plan as a day of a new doctor.
    pub async fn publish(&self, plan: &Plan) -> Day {
        let doctor = self.new_doctor().await;
        self.publish_for(&doctor, plan).await
    }

    /// Publishes the plan as a day of that doctor, who must not have it yet.
    pub async fn publish_for(&self, doctor: &str, plan: &Plan) -> Day {
        let day = plan.day_of(doctor);
        self.admin().put_day(doctor, &day.date, &plan.body()).await.expect(201);
        day
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.start_kill().is_ok() {
            // The directory is deleted next; a killed process is gone within moments.
            while let Ok(None) = self.child.try_wait() {
                std::thread::yield_now();
            }
        }
        if std::thread::panicking() {
            let whole = self.log_reader.take().map(JoinHandle::join);
            let lines = self.log();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!("--- standard error of hotslot (whole: {}) ---\n{}\n---", whole.is_some(), shown.join("\n"));
        }
    }
}

/// One process of a server.
struct Life {
    child: Child,
    address: String,
    printed: Printed,
    log_reader: JoinHandle<()>,
}

/// Starts the program and waits for its first line. Standard error goes through a pipe, not into a file, so that a
/// limit on the size of files does not meet it.
async fn spawn(launch: &Launch, directory: &Path, stores: &Stores, log: &Printed) -> Result<Life, Death> {
    let (log_pipe, stderr) = std::io::pipe().expect("a pipe");
    let mut child = command(launch, directory, stores).stderr(stderr).spawn().expect("the program can be started");
    let kept = Arc::clone(log);
    let log_reader = std::thread::spawn(move || keep_log(log_pipe, &kept));
    let mut stdout = BufReader::new(child.stdout.take().expect("standard output is piped")).lines();
    let first = match tokio::time::timeout(START_DEADLINE, stdout.next_line()).await {
        Ok(Ok(Some(line))) => line,
        Ok(Ok(None)) => {
            let status = tokio::time::timeout(START_DEADLINE, child.wait()).await.ok().and_then(Result::ok);
            return Err(Death { status, log: lines_of(log) });
        }
        other => panic!("no first line within {START_DEADLINE:?} ({other:?}); standard error: {:#?}", lines_of(log)),
    };
    let address = first.strip_prefix("listening ").unwrap_or_else(|| panic!("first line: {first:?}")).to_owned();
    assert!(address.starts_with("http://127.0.0.1:") && !address.ends_with(":0"), "first line: {first:?}");
    let printed = Arc::new(Mutex::new(vec![first]));
    tokio::spawn(keep_printed(stdout, Arc::clone(&printed)));
    Ok(Life { child, address, printed, log_reader })
}

fn command(launch: &Launch, directory: &Path, stores: &Stores) -> tokio::process::Command {
    let binary = program::binary();
    let mut command = match &launch.shell {
        None => program::bare_command(&binary),
        Some(shell) => {
            let mut command = program::bare_command(Path::new("sh"));
            command.arg("-c").arg(format!(r#"{shell} exec "$0" "$@""#)).arg(&binary);
            command
        }
    };
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(directory);
    command.args(stores.arguments()).args(&launch.arguments);
    command.envs(launch.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Reads on until the end, so that the pipe never fills.
async fn keep_printed(mut stdout: Lines<BufReader<ChildStdout>>, printed: Printed) {
    while let Ok(Some(line)) = stdout.next_line().await {
        printed.lock().expect("nobody panics while it holds the lines").push(line);
    }
}

fn keep_log(pipe: PipeReader, log: &Printed) {
    for line in BlockingReader::new(pipe).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        log.lock().expect("nobody panics while it holds the lines").push(line);
    }
}

fn lines_of(lines: &Printed) -> Vec<String> {
    lines.lock().expect("nobody panics while it holds the lines").clone()
}
