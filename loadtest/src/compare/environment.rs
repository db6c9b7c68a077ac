//! Everything one system needs for one turn, in a directory of its own that goes when the turn is over.
//! Must not know: what is measured.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::CompareError;
use super::backlog::Backlog;
use super::nodes::{self, NodesError};
use super::process::{Process, ProcessError, Stop};
use super::processors::Counted;
use super::servers::{Reach, find_postgres, find_redis, redis_socket, start_postgres, start_redis};
use super::system::System;
use crate::driver::target::Target;
use crate::tokens::Mint;

/// The signing key of a server that lives for one turn on loopback: no secret.
const KEY: &[u8; 32] = b"compare: the key of nothing real";
/// The limits are on and out of reach: one address presses for everyone.
const HOTSLOT_LIMITS: [&str; 5] =
    ["--rate-limit-loopback", "--rate-address-per-second", "100000000", "--rate-address-burst", "100000000"];
/// What makes a hotslot one of several nodes. The lease is the default, stated because a node that the machine lets wait for longer
/// loses its days in the midst of a turn.
const NODE_ARGUMENTS: [&str; 4] = ["--node-listen", "127.0.0.1:0", "--lease-millis", "6000"];

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
        if system.is_hotslot() { &self.hotslot } else { &self.peers }
    }
}

/// The stores of one turn, and how a system is told of them.
#[derive(Debug)]
struct Stores {
    servers: Vec<Process>,
    arguments: Vec<String>,
}

impl Stores {
    async fn start(programs: &Programs, path: &Path, system: System) -> Result<Self, ProcessError> {
        let mut stores = Self { servers: Vec::new(), arguments: Vec::new() };
        if let Some(postgres) = programs.postgres.as_deref().filter(|_| system.needs_postgres()) {
            let (server, url) = start_postgres(postgres, path).await?;
            stores.servers.push(server);
            stores.arguments.extend(["--database-url".to_owned(), url]);
        }
        if let Some(redis) = programs.redis.as_deref().filter(|_| system.needs_redis()) {
            let reach = if system.is_hotslot() { Reach::Tcp } else { Reach::Socket };
            let (server, url) = start_redis(redis, path, reach).await?;
            stores.servers.push(server);
            stores.arguments.extend(["--redis-url".to_owned(), url]);
        }
        Ok(stores)
    }
}

/// A system that runs. The order of the fields is the order in which they end: who asks, who stores, what was stored.
#[derive(Debug)]
pub(crate) struct Environment {
    system: Vec<Process>,
    stores: Vec<Process>,
    directory: TempDir,
    /// Where the system serves; of several nodes the first.
    pub(crate) target: Target,
    /// Where each node serves; mostly there is one.
    pub(crate) nodes: Vec<Target>,
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

        let stores = Stores::start(programs, path, system).await?;
        let (mut processes, mut nodes) = (Vec::new(), Vec::new());
        for number in 1..=system.processes() {
            // Each with a log and a data directory of its own.
            let own = path.join(format!("process-{number}"));
            std::fs::create_dir(&own).map_err(failed)?;
            let mut command = Command::new(programs.program_of(system));
            if system.is_hotslot() {
                command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(own.join("data"));
                command.arg("--jwt-key-file").arg(&key).args(HOTSLOT_LIMITS);
            } else {
                command.args(["--listen", "127.0.0.1:0", "--kind", system.name()]);
            }
            if system.processes() > 1 {
                command.args(NODE_ARGUMENTS);
            }
            command.args(&stores.arguments);
            let mut process = Process::start(system.name(), command, Stop::Kill, &own)?;
            nodes.push(Target::resolve(&process.listening().await?, false).await?);
            processes.push(process);
        }
        if nodes.len() > 1 {
            nodes::shared(&nodes).await?;
        }
        let target = nodes.first().cloned().ok_or(NodesError::NoNode)?;
        Ok(Self { system: processes, stores: stores.servers, directory, target, nodes, kind: system })
    }

    /// Where it can be asked how much is not yet in the database.
    pub(crate) fn backlog(&self) -> Backlog {
        match self.kind {
            system if system.is_hotslot() => Backlog::of_hotslot(&self.nodes),
            System::RedisCounter => Backlog::Queue { socket: redis_socket(self.directory.path()) },
            _ => Backlog::Never,
        }
    }

    /// The process id of the system itself; of several nodes of the first. 0, which is nobody's, if there is none.
    pub(crate) fn system_id(&self) -> u32 {
        self.system.first().map_or(0, Process::id)
    }

    /// Whose processor time counts.
    pub(crate) fn counted(&self) -> Counted {
        let ids = |processes: &[Process]| processes.iter().map(Process::id).collect();
        Counted { system: ids(&self.system), stores: ids(&self.stores) }
    }

    /// What signs tokens that the system accepts.
    pub(crate) fn mint(&self) -> Result<Mint, CompareError> {
        Ok(Mint::from_key_file(&self.directory.path().join("jwt.key"))?)
    }
}
