//! How a server's process is started: found among the installed programs, and tied to the life of this process.
//! Must not know: what a process is told to do, nor how it is watched.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};

/// Where Debian puts servers, which an ordinary user's `PATH` does not name.
const MORE_DIRECTORIES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// The user that a server runs as when root runs the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: u32,
    pub(crate) group: u32,
}

impl User {
    /// The first of these users that exists; `None`: no need for another, since root does not run this.
    pub(crate) fn instead_of_root(names: &[&str]) -> Option<Self> {
        let is_root = fs::metadata("/proc/self").is_ok_and(|itself| itself.uid() == 0);
        if !is_root {
            return None;
        }
        let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
        let find = |name: &&str| {
            let fields: Vec<&str> = users
                .lines()
                .map(|line| line.split(':').collect())
                .find(|user: &Vec<&str>| user.first() == Some(name))?;
            Some(Self { id: fields.get(2)?.parse().ok()?, group: fields.get(3)?.parse().ok()? })
        };
        Some(names.iter().find_map(find).unwrap_or_else(|| panic!("none of the users {names:?} exists")))
    }

    /// Makes a file or a directory (not what is in it) this user's.
    pub(crate) fn own(self, path: &Path) {
        std::os::unix::fs::chown(path, Some(self.id), Some(self.group))
            .unwrap_or_else(|error| panic!("{} cannot be given to user {}: {error}", path.display(), self.id));
    }
}

/// A program to start, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// Standard output and error are appended here.
    pub(crate) log: PathBuf,
    /// The working directory.
    pub(crate) directory: PathBuf,
    pub(crate) user: Option<User>,
    /// What the kernel sends when this process ends first, such as `KILL`.
    pub(crate) death_signal: &'static str,
}

impl Launch {
    /// A server that can be killed without a trace left in the system.
    pub(crate) fn new(program: PathBuf, directory: &Path) -> Self {
        let (log, directory) = (directory.join("log"), directory.to_owned());
        Self { program, arguments: Vec::new(), log, directory, user: None, death_signal: "KILL" }
    }

    pub(crate) fn argue(&mut self, arguments: &[&str]) {
        self.arguments.extend(arguments.iter().map(OsString::from));
    }

    /// The command: `setpriv` asks the kernel for the death signal and becomes the program, with the same id. A group of
    /// its own keeps a terminal's Ctrl-C, and a test runner's signal to the test, from the server.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(find("setpriv", "util-linux"));
        command.args(["--pdeathsig", self.death_signal]);
        if let Some(user) = self.user {
            command.args(["--reuid", &user.id.to_string(), "--regid", &user.group.to_string(), "--clear-groups"]);
        }
        command.arg("--").arg(&self.program).args(&self.arguments);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
        command.current_dir(&self.directory).stdin(Stdio::null()).process_group(0);
        command
    }

    /// Starts the program.
    pub(crate) fn spawn(&self) -> Child {
        let open = || File::options().create(true).append(true).open(&self.log);
        let logs = open().and_then(|log| Ok((log.try_clone()?, log)));
        let (output, errors) = logs.unwrap_or_else(|error| panic!("{}: {error}", self.log.display()));
        let mut command = self.command();
        command.stdout(output).stderr(errors);
        spawn_for_ever(command).unwrap_or_else(|error| panic!("{}: {error}", self.program.display()))
    }

    /// The temporary directory of the server.
    pub(crate) fn home(&self) -> &Path {
        self.log.parent().expect("the log is in a directory")
    }

    /// The last lines of the log, for a failing test to show.
    pub(crate) fn last_lines(&self, count: usize) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

/// The file of an installed program.
pub(crate) fn find(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(MORE_DIRECTORIES.iter().map(PathBuf::from));
    let mut files = directories.map(|directory| directory.join(program));
    files.find(|file| file.is_file()).unwrap_or_else(|| missing(program, package))
}

/// Says what to install.
pub(crate) fn missing(program: &str, package: &str) -> ! {
    panic!("`{program}` is missing: install the Debian package `{package}` (tests/run does it as root)")
}

/// An order to start a command, and where the answer goes.
type Order = (Command, SyncSender<io::Result<Child>>);

/// Starts a command from a thread that lives as long as the process. The kernel sends the death signal when the thread
/// ends that started a process, and the thread of a test, or of a runtime, may end while its server is still wanted.
fn spawn_for_ever(command: Command) -> io::Result<Child> {
    static STARTER: OnceLock<SyncSender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        // No queue: whoever orders waits for the answer anyhow.
        let (sender, orders) = sync_channel::<Order>(0);
        let serve = move || {
            for (mut command, answer) in orders {
                // Nobody waits for the answer if the test has panicked meanwhile.
                let _ = answer.send(command.spawn());
            }
        };
        std::thread::Builder::new().name("starter".to_owned()).spawn(serve).expect("a thread can be started");
        sender
    });
    let (sender, answer) = sync_channel(1);
    starter.send((command, sender)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}
