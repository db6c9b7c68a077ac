//! PostgreSQL and Redis for one turn: in a throw-away directory, reached by Unix sockets, durable at every commit.
//! Must not know: what is stored in them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::process::{Process, ProcessError, Stop};

/// Where Debian puts the programs of PostgreSQL, newest first.
const POSTGRES_DIRECTORIES: [&str; 4] = [
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/15/bin",
    "/usr/lib/postgresql/14/bin",
];
/// Settings beyond the defaults. Durability is stated although it is the default; the sizes are such that no checkpoint
/// falls into a turn and the data stays in memory.
const POSTGRES_SETTINGS: [&str; 8] = [
    "listen_addresses=",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "max_connections=600",
    "shared_buffers=512MB",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
];
/// How long Redis may take to say PONG.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// The programs of PostgreSQL on this machine.
pub(crate) fn find_postgres() -> Result<PathBuf, ProcessError> {
    let found = POSTGRES_DIRECTORIES.iter().map(PathBuf::from).find(|path| path.join("initdb").exists());
    found.ok_or_else(|| ProcessError::Missing {
        program: "initdb".into(),
        remedy: "install the Debian package postgresql, or leave out the systems that need it (--systems)",
    })
}

/// Whether Redis is on this machine.
pub(crate) fn find_redis() -> Result<PathBuf, ProcessError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&path).map(|directory| directory.join("redis-server"));
    candidates.find(|candidate| candidate.exists()).ok_or_else(|| ProcessError::Missing {
        program: "redis-server".into(),
        remedy: "run `apt-get install redis-server`, or leave out the systems that need it (--systems)",
    })
}

/// Starts PostgreSQL on a new cluster below `directory`; answers it with its URL.
pub(crate) async fn start_postgres(programs: &Path, directory: &Path) -> Result<(Process, String), ProcessError> {
    let system = |what: &str, source| ProcessError::System { what: what.to_owned(), source };
    let user = unprivileged_user();
    if let Some((user, group)) = user {
        chown(directory, Some(user), Some(group)).map_err(|source| system("cannot give the directory away", source))?;
    }
    let command = |program: &str| {
        let mut command = Command::new(programs.join(program));
        if let Some((user, group)) = user {
            command.uid(user).gid(group);
        }
        command.current_dir(directory);
        command
    };
    let data = directory.join("postgres");
    let mut initdb = command("initdb");
    initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]);
    let created = initdb.arg(&data).stdout(Stdio::null()).output().map_err(|source| system("initdb", source))?;
    if !created.status.success() {
        let log = String::from_utf8_lossy(&created.stderr).into_owned();
        return Err(ProcessError::NotReady { program: "initdb", log });
    }
    let mut postgres = command("postgres");
    postgres.arg("-D").arg(&data).arg("-k").arg(directory);
    for setting in POSTGRES_SETTINGS {
        postgres.args(["-c", setting]);
    }
    let mut process = Process::start("postgres", postgres, Stop::Quit, directory)?;
    let mut is_ready = command("pg_isready");
    is_ready.args(["--quiet", "-h"]).arg(directory);
    process.ready(|| is_ready.status().is_ok_and(|status| status.success())).await?;
    Ok((process, format!("postgres:///postgres?host={}&user=postgres", directory.display())))
}

/// How a system reaches Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// By a Unix socket, which costs less.
    Socket,
    /// By TCP on loopback, the only way that hotslot has.
    Tcp,
}

/// Starts Redis in `directory`, with every write on disk before its answer; answers it with its URL.
pub(crate) async fn start_redis(
    program: &Path,
    directory: &Path,
    reach: Reach,
) -> Result<(Process, String), ProcessError> {
    let socket = redis_socket(directory);
    let port = if reach == Reach::Tcp { free_port()? } else { 0 };
    let mut redis = Command::new(program);
    redis.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    redis.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no"]);
    redis.arg("--unixsocket").arg(&socket).arg("--dir").arg(directory).current_dir(directory);
    let mut process = Process::start("redis-server", redis, Stop::Kill, directory)?;
    process.ready(|| is_pong(&socket).unwrap_or(false)).await?;
    let url = match reach {
        Reach::Socket => format!("unix://{}", socket.display()),
        Reach::Tcp => format!("redis://127.0.0.1:{port}"),
    };
    Ok((process, url))
}

/// A port that nobody listens on now. If somebody else takes it first, Redis says so and the turn fails.
fn free_port() -> Result<u16, ProcessError> {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = address.map_err(|source| ProcessError::System { what: "no free port".to_owned(), source })?;
    Ok(address.port())
}

/// Where the Redis of that directory listens.
pub(crate) fn redis_socket(directory: &Path) -> PathBuf {
    directory.join("redis.sock")
}

fn is_pong(socket: &Path) -> std::io::Result<bool> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PING_TIMEOUT))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"+PONG")
}

/// PostgreSQL refuses to run as root: for root, the user and group that it is to run as.
fn unprivileged_user() -> Option<(u32, u32)> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    is_root.then(|| ["postgres", "nobody"].iter().find_map(|name| ids_of(&users, name))).flatten()
}

/// User and group of that name in the text of a user database.
fn ids_of(users: &str, name: &str) -> Option<(u32, u32)> {
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = fields.into_iter().find(|fields| fields.first() == Some(&name))?;
    Some((found.get(2)?.parse().ok()?, found.get(3)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_by_whole_names() {
        let users = "root:x:0:0::/root:/bin/sh\npostgres2:x:5:6::/:/bin/sh\npostgres:x:107:115::/:/bin/sh\nbad:x\n";
        assert_eq!(ids_of(users, "postgres"), Some((107, 115)));
        assert_eq!(ids_of(users, "post"), None);
        assert_eq!(ids_of(users, "bad"), None);
    }
}
