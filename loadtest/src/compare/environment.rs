//! Everything one system needs for one turn, in a directory of its own that goes when the turn is over.
//! Must not know: what is measured.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::CompareError;
use super::backlog::Backlog;
use super::process::{Process, ProcessError, Stop};
use super::servers::{find_postgres, find_redis, redis_socket, start_postgres, start_redis};
use super::system::System;
use crate::driver::target::Target;
use crate::tokens::Mint;

/// The signing key of a server that lives for one turn on loopback: no secret.
const KEY: &[u8; 32] = b"compare: the key of nothing real";
/// The limits are on and out of reach: one address presses for everyone.
const HOTSLOT_LIMITS: [&str; 5] =
    ["--rate-limit-loopback", "--rate-address-per-second", "100000000", "--rate-address-burst", "100000000"];

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    hotslot: PathBuf,
    peers: PathBuf,
    postgres: Option<PathBuf>,
    redis: Option<PathBuf>,
}

impl Programs {
    /// Looks for what these systems need; the first that is missing is the error.
    pub(crate) fn find(hotslot: Option<&Path>, peers: Option<&Path>, systems: &[System]) -> Result<Self, ProcessError> {
        let beside = |given: Option<&Path>, name: &str| match given {
            Some(path) => path.to_owned(),
            None => std::env::current_exe().unwrap_or_default().with_file_name(name),
        };
        let programs = Self {
            hotslot: beside(hotslot, "hotslot"),
            peers: beside(peers, "peers"),
            postgres: systems.iter().any(|system| system.needs_postgres()).then(find_postgres).transpose()?,
            redis: systems.iter().any(|system| system.needs_redis()).then(find_redis).transpose()?,
        };
        for system in systems {
            let program = programs.program_of(*system);
            if !program.exists() {
                let remedy = "run `cargo build --release -p gateway -p loadtest -p peers`";
                return Err(ProcessError::Missing { program: program.clone(), remedy });
            }
        }
        Ok(programs)
    }

    const fn program_of(&self, system: System) -> &PathBuf {
        if matches!(system, System::Hotslot) { &self.hotslot } else { &self.peers }
    }
}

/// A system that runs. The order of the fields is the order in which they end: who asks, who stores, what was stored.
#[derive(Debug)]
pub(crate) struct Environment {
    system: Process,
    _servers: Vec<Process>,
    directory: TempDir,
    /// Where the system serves.
    pub(crate) target: Target,
    kind: System,
}

impl Environment {
    /// Starts the system and the servers that it needs, on empty stores below `parent`.
    pub(crate) async fn start(programs: &Programs, parent: &Path, system: System) -> Result<Self, CompareError> {
        let failed = |source| CompareError::System { what: "cannot prepare the directory", source };
        let directory = TempDir::with_prefix_in("compare-", parent).map_err(failed)?;
        let path = directory.path();
        let key = path.join("jwt.key");
        std::fs::write(&key, KEY).map_err(failed)?;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;

        let mut command = Command::new(programs.program_of(system));
        let mut servers = Vec::new();
        if system == System::Hotslot {
            command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(path.join("data"));
            command.arg("--jwt-key-file").arg(&key).args(HOTSLOT_LIMITS);
        } else {
            command.args(["--listen", "127.0.0.1:0", "--kind", system.name()]);
        }
        if let Some(postgres) = programs.postgres.as_deref().filter(|_| system.needs_postgres()) {
            let (server, url) = start_postgres(postgres, path).await?;
            servers.push(server);
            command.arg("--database-url").arg(url);
        }
        if let Some(redis) = programs.redis.as_deref().filter(|_| system.needs_redis()) {
            let (server, url) = start_redis(redis, path).await?;
            servers.push(server);
            command.arg("--redis-url").arg(url);
        }
        let mut process = Process::start(system.name(), command, Stop::Kill, path)?;
        let target = Target::resolve(&process.listening().await?, false).await?;
        Ok(Self { system: process, _servers: servers, directory, target, kind: system })
    }

    /// Where it can be asked how much is not yet in the database.
    pub(crate) fn backlog(&self) -> Backlog {
        match self.kind {
            System::Hotslot => Backlog::of_hotslot(self.target.clone()),
            System::RedisCounter => Backlog::Queue { socket: redis_socket(self.directory.path()) },
            _ => Backlog::Never,
        }
    }

    /// The process id of the system itself.
    pub(crate) fn system_id(&self) -> u32 {
        self.system.id()
    }

    /// What signs tokens that the system accepts.
    pub(crate) fn mint(&self) -> Result<Mint, CompareError> {
        Ok(Mint::from_key_file(&self.directory.path().join("jwt.key"))?)
    }
}
