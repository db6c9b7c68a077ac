//! Do servers end with the process that started them, however it ends? Not with the thread that did?
//! Must not know: which server it is.

use std::fs::Permissions;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use servers::{Postgres, Redis};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Tells the process under test what to start and to say.
const ROLE: &str = "HOTSLOT_SERVERS_VICTIM";
const SOON: Duration = Duration::from_secs(20);

async fn eventually(otherwise: &str, is_so: impl Fn() -> bool) {
    let mut looks = interval(Duration::from_millis(20));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let so = timeout(SOON, async {
        while !is_so() {
            looks.tick().await;
        }
    });
    assert!(so.await.is_ok(), "{otherwise}");
}

/// Processes that work in a directory, be it deleted or not.
fn processes_in(directory: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("/proc can be read").flatten();
    let places = processes.filter_map(|process| std::fs::read_link(process.path().join("cwd")).ok());
    places.filter(|place| place.to_string_lossy().trim_end_matches(" (deleted)") == directory).count()
}

/// Not a test by itself: the process that is killed while its servers run, one of them stopped.
#[tokio::test]
async fn victim() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let (redis, postgres, mut stopped) = tokio::join!(Redis::start(), Postgres::start(), Postgres::start());
    let directories = redis.call::<Vec<String>>(&["CONFIG", "GET", "dir"]).await;
    let data = "SELECT current_setting('data_directory')";
    let running = postgres.ask(data).await.expect("a directory");
    let paused = stopped.ask(data).await.expect("a directory");
    stopped.stop().await;
    eprintln!("directories {} {running} {paused}", directories[1]);
    eprintln!("addresses {} {} {}", redis.address(), postgres.address(), stopped.address());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn servers_end_with_a_process_that_is_killed() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    // PostgreSQL must get in.
    let workspace = tempfile::TempDir::with_prefix("hotslot-victim-").expect("a temporary directory");
    std::fs::set_permissions(workspace.path(), Permissions::from_mode(0o755)).expect("it is ours");
    let mut command = Command::new(std::env::current_exe().expect("a test knows its own file"));
    command.args(["--exact", "process::victim", "--nocapture"]).env(ROLE, "1").env("TMPDIR", workspace.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut victim = tokio::process::Command::from(command).kill_on_drop(true).spawn().expect("a process");
    let mut lines = BufReader::new(victim.stderr.take().expect("standard error is piped")).lines();
    let mut said = async |start: &str| {
        let line = timeout(SOON, async {
            loop {
                let line = lines.next_line().await.expect("text").expect("the process goes on");
                if let Some(rest) = line.strip_prefix(start) {
                    return rest.to_owned();
                }
            }
        });
        line.await.expect("the servers start")
    };
    let (directories, addresses) = (said("directories ").await, said("addresses ").await);
    let addresses: Vec<SocketAddr> = addresses.split(' ').map(|address| address.parse().expect("an address")).collect();
    assert_eq!(addresses.len(), 3);
    for directory in directories.split(' ') {
        assert!(processes_in(directory) > 0, "no process in {directory}");
    }
    for &address in &addresses {
        TcpStream::connect(address).expect("the server listens");
    }
    victim.kill().await.expect("the process can be killed");
    for address in addresses {
        eventually(&format!("{address} still listens"), || TcpStream::connect(address).is_err()).await;
    }
    for directory in directories.split(' ') {
        eventually(&format!("{directory} is still there"), || !Path::new(directory).exists()).await;
        eventually(&format!("a process is still in {directory}"), || processes_in(directory) == 0).await;
    }
}

#[tokio::test]
async fn servers_end_with_the_value_and_not_with_the_thread() {
    let start = || tokio::runtime::Runtime::new().expect("a runtime").block_on(Redis::start());
    // The thread and its runtime are gone when the server is used.
    let redis = std::thread::spawn(start).join().expect("a server");
    let pong: String = redis.call(&["PING"]).await;
    assert_eq!(pong, "PONG");
    let address = redis.address();
    drop(redis);
    assert!(TcpStream::connect(address).is_err(), "a dropped server listens");
}
