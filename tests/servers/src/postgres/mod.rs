//! A PostgreSQL server on a copy of a prepared cluster directory.
//! Must not know: how that directory is prepared (`template`), nor standbys (`pair`).

mod pair;
mod template;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::fs::statvfs;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use crate::launch::{Launch, User, find};
use crate::port::Port;
use crate::process::Process;

pub use pair::SynchronousPair;

const READY_DEADLINE: Duration = Duration::from_secs(30);
/// Any one statement of ours.
const STATEMENT_DEADLINE: Duration = Duration::from_secs(20);
/// The databases that `initdb` makes, and the user.
const USER: &str = "postgres";
/// A file system in memory, if it has room for a few servers; in containers it often is small.
const MEMORY: &str = "/dev/shm";
const MEMORY_BYTES_NEEDED: u64 = 2 << 30;
/// PostgreSQL refuses to run as root.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// How a PostgreSQL server is configured.
///
/// ```
/// let durable = servers::PostgresOptions { fsync: true, ..servers::PostgresOptions::default() };
/// let many = durable.with("max_connections", "300");
/// # let _ = many;
/// ```
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Whether commits reach the disk, also of a machine that loses its power. By default they do not, which is faster;
    /// a kill of the process loses nothing either way.
    pub fsync: bool,
    /// Any other settings of `postgresql.conf`, which win.
    pub settings: Vec<(String, String)>,
}

impl PostgresOptions {
    /// With one more setting.
    #[must_use]
    pub fn with(mut self, setting: &str, value: &str) -> Self {
        self.settings.push((setting.to_owned(), value.to_owned()));
        self
    }

    fn arguments(&self, port: u16) -> Vec<String> {
        let fsync = if self.fsync { "on" } else { "off" };
        let fixed = [
            ("port", port.to_string()),
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("unix_socket_directories", String::new()),
            ("fsync", fsync.to_owned()),
            ("full_page_writes", fsync.to_owned()),
            // In the data directory, and not in the system's shared memory, so that a kill leaves nothing behind.
            ("dynamic_shared_memory_type", "mmap".to_owned()),
            ("shared_buffers", "32MB".to_owned()),
            // A few segments: the directory may be in memory.
            ("max_wal_size", "128MB".to_owned()),
            ("wal_receiver_status_interval", "1s".to_owned()),
            ("wal_retrieve_retry_interval", "200ms".to_owned()),
        ];
        let fixed = fixed.map(|(setting, value)| (setting.to_owned(), value));
        let all = fixed.into_iter().chain(self.settings.iter().cloned());
        all.flat_map(|(setting, value)| ["-c".to_owned(), format!("{setting}={value}")]).collect()
    }
}

/// A PostgreSQL server. Several tests of a process can share one: each creates a database of its own.
///
/// ```no_run
/// # async fn example() {
/// let mut postgres = servers::Postgres::start().await;
/// let url = postgres.create_database().await;
/// // ... connect to `url`
/// postgres.restart().await;
/// # }
/// ```
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: Port,
    directory: TempDir,
    user: Option<User>,
    databases: AtomicU32,
}

impl Postgres {
    /// Starts with the default options: without fsync.
    pub async fn start() -> Self {
        Self::start_with(PostgresOptions::default()).await
    }

    /// Starts as told, and waits until it takes connections.
    pub async fn start_with(options: PostgresOptions) -> Self {
        let user = User::instead_of_root(&USERS);
        let directory = new_directory(user, options.fsync);
        template::copy_to(&directory.path().join("data"), user);
        Self::start_on(directory, Port::claim(), options, user).await
    }

    /// Starts on a directory that has its `data` already.
    async fn start_on(directory: TempDir, port: Port, options: PostgresOptions, user: Option<User>) -> Self {
        let mut launch = Launch::new(template::binary("postgres"), directory.path());
        // At the end of this process: an immediate shutdown, of the other processes too.
        (launch.user, launch.death_signal) = (user, "QUIT");
        launch.argue(&["-D", "data"]);
        launch.arguments.extend(options.arguments(port.number()).into_iter().map(Into::into));
        let process = Process::start(format!("postgres on port {}", port.number()), launch, true);
        let databases = AtomicU32::new(0);
        let mut postgres = Self { process, port, directory, user, databases };
        postgres.wait_until_ready().await;
        postgres
    }

    /// Starts with a standby to which every commit is copied before it is answered.
    pub async fn with_synchronous_standby(options: PostgresOptions) -> SynchronousPair {
        SynchronousPair::start(options).await
    }

    async fn wait_until_ready(&mut self) {
        let url = self.url();
        self.process.ready(READY_DEADLINE, async || connect(&url).await.ok()?.ping().await.ok()).await;
    }

    /// The address of the database `postgres`, which every server has.
    pub fn url(&self) -> String {
        self.url_of(USER)
    }

    /// The address of a database: `postgres://postgres@127.0.0.1:PORT/NAME?sslmode=disable`. There is no password.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://{USER}@{}/{database}?sslmode=disable", self.port.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Creates an empty database, and answers its address.
    pub async fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name}")).await;
        self.url_of(&name)
    }

    /// Runs statements without parameters in the database `postgres`, on a connection of its own. Panics if it is refused.
    pub async fn execute(&self, statements: &str) {
        let work = async {
            let mut connection = connect(&self.url()).await?;
            sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await
        };
        self.within_deadline(statements, work).await;
    }

    /// The one value, as text, that a query without parameters answers in the database `postgres`; `None` for NULL or no
    /// row. Panics if it is refused.
    pub async fn ask(&self, query: &str) -> Option<String> {
        let text = format!("SELECT answer::text FROM ({query}) AS question(answer)");
        let work = async {
            let mut connection = connect(&self.url()).await?;
            let row =
                sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(text)).fetch_optional(&mut connection).await;
            row.map(Option::flatten)
        };
        self.within_deadline(query, work).await
    }

    async fn within_deadline<T>(&self, what: &str, work: impl Future<Output = sqlx::Result<T>>) -> T {
        let done = tokio::time::timeout(STATEMENT_DEADLINE, work).await;
        let name = self.process.name();
        let done = done.unwrap_or_else(|_| panic!("{name}: {what}: no answer within {STATEMENT_DEADLINE:?}"));
        done.unwrap_or_else(|error| panic!("{name}: {what}: {error}; log:\n{}", self.process.last_lines()))
    }

    /// Keeps everybody else from writing to `table` for as long as what is returned is kept.
    pub async fn lock(&self, table: &str) -> PgConnection {
        let statements = format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE");
        let work = async {
            let mut connection = connect(&self.url()).await?;
            sqlx::raw_sql(AssertSqlSafe(statements.as_str())).execute(&mut connection).await?;
            Ok(connection)
        };
        self.within_deadline(&statements, work).await
    }

    /// Takes all connections that are left, for as long as what is returned is kept.
    pub async fn take_all_connections(&self) -> Vec<PgConnection> {
        let mut taken = Vec::new();
        let work = async {
            while let Ok(connection) = connect(&self.url()).await {
                taken.push(connection);
            }
            Ok(())
        };
        self.within_deadline("all connections", work).await;
        taken
    }

    /// Ends all connections of clients but our own, as an administrator would; answers how many.
    pub async fn terminate_backends(&self) -> u32 {
        let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        self.ask(ended).await.and_then(|count| count.parse().ok()).unwrap_or_default()
    }

    /// SIGKILL to all its processes at once: they are gone when this returns. Its files stay as they are.
    pub async fn kill(&mut self) {
        self.process.kill().await;
        self.forget_process();
    }

    /// SIGSTOP to all its processes: connections stay open, nothing answers. A statement that was sent is run after
    /// `resume`.
    pub async fn stop(&mut self) {
        self.process.stop().await;
    }

    /// SIGCONT to all its processes.
    pub async fn resume(&mut self) {
        self.process.resume();
    }

    /// Starts it again on the same port with the same data, after recovery from its log; kills it first if it still runs.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.process.start_again();
        self.wait_until_ready().await;
    }

    /// Gives back the bit of System V shared memory that a killed server leaves, of which a system has only so many, and
    /// its lock file, which might name a process of another by now.
    fn forget_process(&self) {
        let lock = self.directory.path().join("data/postmaster.pid");
        let Ok(text) = fs::read_to_string(&lock) else { return };
        // Line 7: key and id of the segment.
        if let Some(id) = text.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
            // An error says that the segment is gone already.
            let _ = Command::new(find("ipcrm", "util-linux")).args(["-m", id]).output();
        }
        let _ = fs::remove_file(lock);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.process.kill_now();
        self.forget_process();
    }
}

/// A temporary directory that the server's user may write. Without fsync the disk is not what a test is about: memory is
/// faster, above all beside tests that keep the disk busy.
fn new_directory(user: Option<User>, fsync: bool) -> TempDir {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("hotslot-postgres-");
    let has_room = statvfs(MEMORY).is_ok_and(|system| system.f_bavail * system.f_frsize >= MEMORY_BYTES_NEEDED);
    let made = if has_room && !fsync { builder.tempdir_in(MEMORY) } else { builder.tempdir() };
    let directory = made.expect("a temporary directory");
    give_to(directory.path(), user);
    directory
}

fn give_to(path: &Path, user: Option<User>) {
    if let Some(user) = user {
        user.own(path);
    }
}

async fn connect(url: &str) -> sqlx::Result<PgConnection> {
    PgConnectOptions::from_str(url)?.disable_statement_logging().connect().await
}
