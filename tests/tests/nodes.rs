//! Do three nodes on real servers sell each place once, and forget nothing that was acknowledged, whatever breaks meanwhile?
//! Must not know: which node speaks for what.
//!
//! Each test breaks one thing, `HOTSLOT_NODES_RUNS` times over on one cluster (2 unless said otherwise), and prints a line of the table of
//! times without service: `cargo nextest run -p blackbox nodes:: --success-output final`.

mod audit;
mod faults;
mod forgotten;
mod outage;
mod storm;
mod tables;

use blackbox::Stopwatch;
use blackbox::cluster::{Cluster, Journal};
use faults::Fault;
use outage::Outage;
use servers::Direction;
use storm::Storm;

const RUNS: usize = 2;
/// Storms that break something, of all tests together.
const RUNS_WANTED: usize = 30;
const _: () = assert!((postgres::FAULTS.len() + redis::FAULTS.len()) * RUNS >= RUNS_WANTED);

const FINDINGS_SHOWN: usize = 20;

fn runs_of(fault: Fault) -> usize {
    if fault == Fault::Nothing { 1 } else { runs() }
}

fn runs() -> usize {
    std::env::var("HOTSLOT_NODES_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(RUNS)
}

async fn endure(journal: Journal, fault: Fault) {
    let mut cluster = Cluster::start(journal).await;
    let mut all = Outage::default();
    let traces = |cluster: &Cluster| fault.trace().map_or(1, |trace| cluster.logged(trace).len());
    let began_with = traces(&cluster);
    for run in 0..runs_of(fault) {
        let watch = Stopwatch::start();
        let storm = Storm::begin(&cluster, seed(journal, fault, run)).await;
        fault.strike(&mut cluster, run).await;
        let stormed = storm.elapsed();
        let (told, days) = storm.end().await;
        let (outage, visits) = (Outage::of(&told.tries, days.len()), told.visits.len());
        let findings = audit::findings(&cluster, journal, told, days).await;
        let took = watch.elapsed();
        eprintln!("run {run}: {visits} patients in {stormed:?}, with the audit {took:?}: {outage:?}");
        for line in cluster.logged(" engine").iter().filter(|_| std::env::var_os("HOTSLOT_NODES_LOGS").is_some()) {
            eprintln!("  {line}");
        }
        let shown = &findings[..findings.len().min(FINDINGS_SHOWN)];
        assert!(findings.is_empty(), "{} findings, such as\n{}", findings.len(), shown.join("\n"));
        all = all.and(&outage);
    }
    assert!(fault.trace().is_none() || traces(&cluster) > began_with, "nothing has happened to any node");
    eprintln!("{}\n{}", outage::HEAD, outage::line(journal.name(), &fault.name(), runs_of(fault), &all));
}

/// Of the dice of one run: another one for each, and the same each time.
fn seed(journal: Journal, fault: Fault, run: usize) -> u64 {
    let name = format!("{}, {}, {run}", journal.name(), fault.name());
    name.bytes().fold(0, |seed, byte| (seed * 131 + u64::from(byte)) % 1_000_000_007)
}

macro_rules! storms {
    ($($name:ident: $fault:expr;)*) => {
        /// What each test breaks.
        pub const FAULTS: &[Fault] = &[$($fault),*];

        $(#[tokio::test]
        async fn $name() {
            endure(JOURNAL(), $fault).await;
        })*
    };
}

mod postgres {
    use super::{Direction, Fault, Journal, endure};

    const JOURNAL: fn() -> Journal = || Journal::Postgres;

    storms! {
        an_owner_is_killed: Fault::Killed;
        an_owner_is_killed_and_back_at_once: Fault::KilledBriefly;
        an_owner_is_paused: Fault::Paused;
        what_a_node_asks_postgres_is_lost: Fault::PostgresUnheard(Direction::Requests);
        what_postgres_answers_is_lost: Fault::PostgresUnheard(Direction::Answers);
        nodes_are_restarted_in_turn: Fault::Rolling;
        a_node_joins_and_one_leaves: Fault::JoinAndLeave;
    }

    #[tokio::test]
    async fn nothing_breaks() {
        endure(JOURNAL(), Fault::Nothing).await;
    }
}

mod redis {
    use super::{Direction, Fault, Journal, endure, runs};

    const JOURNAL: fn() -> Journal = || Journal::Redis { replicas: 0 };

    storms! {
        an_owner_is_killed: Fault::Killed;
        an_owner_is_paused: Fault::Paused;
        what_a_node_asks_postgres_is_lost: Fault::PostgresUnheard(Direction::Requests);
        what_postgres_answers_is_lost: Fault::PostgresUnheard(Direction::Answers);
        what_a_node_asks_redis_is_lost: Fault::RedisUnheard(Direction::Requests);
        what_redis_answers_is_lost: Fault::RedisUnheard(Direction::Answers);
        redis_restarts: Fault::RedisRestarts;
        nodes_are_restarted_in_turn: Fault::Rolling;
        a_node_joins_and_one_leaves: Fault::JoinAndLeave;
    }

    #[tokio::test]
    async fn nothing_breaks() {
        endure(JOURNAL(), Fault::Nothing).await;
    }

    #[tokio::test]
    async fn redis_forgets_its_last_writes() {
        endure(Journal::Redis { replicas: runs() }, Fault::RedisForgets).await;
    }
}
