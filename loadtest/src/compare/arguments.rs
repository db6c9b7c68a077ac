//! What to compare and for how long: from the command line to the turns in their order.
//! Must not know: how a turn is made.

use std::path::PathBuf;

use clap::Args;

use super::system::{System, Workload};
use super::turn::TurnPlan;

/// Connections where nothing else is said.
const CONNECTIONS: [u32; 2] = [64, 256];
/// Connections of `--quick`.
const QUICK_CONNECTIONS: [u32; 1] = [256];
/// Connections of the workloads about forwarding: so few that an answer waits for itself and not for the others before it.
const FORWARDING_CONNECTIONS: [u32; 1] = [16];
/// Rounds where nothing else is said.
const ROUNDS: u32 = 3;
/// At most so many rounds of `sustained`: each of its turns lasts more than a minute.
const SUSTAINED_ROUNDS: u32 = 2;
/// Who is pressed for a sustained minute where nobody is named: the ceiling, the textbook, the one that also writes
/// behind, and hotslot.
const SUSTAINED_SYSTEMS: [System; 4] = [System::Bare, System::RowLock, System::RedisCounter, System::Hotslot];
/// About what a turn takes beside its measurement: start, days, warming, tokens, stop.
const TURN_OVERHEAD_SECONDS: u64 = 4;
/// About what a sustained turn takes more: tokens for everyone who presses in a minute, and the draining.
const SUSTAINED_OVERHEAD_SECONDS: u64 = 16;

/// What to compare, and how long.
#[derive(Args, Clone, Debug)]
pub(crate) struct CompareArgs {
    /// Which systems; by default all but the profiles of hotslot, and for `sustained` bare, row-lock, redis-counter and hotslot.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(super) systems: Vec<System>,
    /// Which workloads; by default all but those about forwarding, `spread` of hotslot alone, and with `--quick` no `sustained`.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(super) workloads: Vec<Workload>,
    /// hotslot embedded, on Redis and PostgreSQL, on PostgreSQL alone and as three nodes, under `burst`, `spread` and `one-hot-day`, and
    /// what forwarding costs; `--systems` and `--workloads` still say otherwise.
    #[arg(long)]
    pub(super) profiles: bool,
    /// At most eight minutes: 256 connections, 3 seconds a measurement, bursts of 6, nothing sustained.
    #[arg(long)]
    pub(super) quick: bool,
    /// Connections; of several counts each system is told by its best. By default 64,256; `sustained` has the greatest.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=8_000))]
    pub(super) connections: Vec<u32>,
    /// How often everything is measured, in turns; `sustained` at most twice.
    #[arg(long, default_value_t = ROUNDS, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) rounds: u32,
    /// How long one measurement lasts at most; by default 5.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(super) seconds: Option<u64>,
    /// How long a burst lasts at most; by default 10.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(super) burst_seconds: Option<u64>,
    /// How long `sustained` presses at most, before what is behind is drained.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub(super) sustained_seconds: u64,
    /// Over how many doctor-days wins are spread.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=15_000))]
    pub(super) days: u32,
    /// Threads that drive the connections. One has processor time enough, and yet it waits for its turn among everything
    /// else on the machine, which holds back the fastest systems most.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) threads: u32,
    /// The program `hotslot`; by default the one beside this program.
    #[arg(long)]
    pub(super) hotslot: Option<PathBuf>,
    /// The program `peers`; by default the one beside this program.
    #[arg(long)]
    pub(super) peers: Option<PathBuf>,
    /// Where the throw-away data goes: the disk that is measured.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    pub(super) directory: PathBuf,
    /// Also write everything that was measured as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

impl CompareArgs {
    /// Everyone who has a turn at all.
    pub(super) fn all_systems(&self) -> Vec<System> {
        let takes_part = |system: &System| self.turns().iter().any(|turn| turn.system == *system);
        System::ALL.into_iter().filter(takes_part).collect()
    }

    fn workloads(&self) -> Vec<Workload> {
        if !self.workloads.is_empty() {
            return self.workloads.clone();
        }
        let workloads = if self.profiles { Workload::PROFILES } else { Workload::WAYS };
        workloads.into_iter().filter(|workload| !self.quick || *workload != Workload::Sustained).collect()
    }

    fn connections_of(&self, workload: Workload) -> Vec<u32> {
        let counts = match (self.connections.is_empty(), self.quick) {
            (false, _) => self.connections.clone(),
            (true, _) if workload.is_about_forwarding() => FORWARDING_CONNECTIONS.to_vec(),
            (true, false) => CONNECTIONS.to_vec(),
            (true, true) => QUICK_CONNECTIONS.to_vec(),
        };
        match workload {
            Workload::Sustained => counts.into_iter().max().into_iter().collect(),
            _ => counts,
        }
    }

    /// Who has a turn at `workload`. What nobody has named costs no more time than the goals need.
    fn systems_of(&self, workload: Workload) -> Vec<System> {
        let systems = if !self.systems.is_empty() {
            self.systems.clone()
        } else if self.profiles {
            System::PROFILES.to_vec()
        } else if workload == Workload::Spread && self.workloads.is_empty() {
            // What hotslot's hot day is set beside; of the others a burst says the same over a longer time.
            vec![System::Hotslot]
        } else if workload == Workload::Sustained && self.workloads.is_empty() {
            SUSTAINED_SYSTEMS.to_vec()
        } else {
            System::WAYS.to_vec()
        };
        systems.into_iter().filter(|system| workload.is_for(*system)).collect()
    }

    fn seconds_of(&self, workload: Workload) -> u64 {
        match workload {
            Workload::Burst => self.burst_seconds.unwrap_or(if self.quick { 6 } else { 10 }),
            Workload::Sustained => self.sustained_seconds,
            Workload::Spread | Workload::SoldOut | Workload::OneHotDay | Workload::AtOwner | Workload::Forwarded => {
                self.seconds.unwrap_or(if self.quick { 3 } else { 5 })
            }
        }
    }

    /// The turns in their order, interleaved: within a round every system has its turn at the same workload and
    /// connections.
    pub(super) fn turns(&self) -> Vec<TurnPlan> {
        let mut turns = Vec::new();
        for round in 1..=self.rounds {
            for workload in self.workloads() {
                if workload == Workload::Sustained && round > SUSTAINED_ROUNDS {
                    continue;
                }
                for connections in self.connections_of(workload) {
                    for system in self.systems_of(workload) {
                        turns.push(self.turn(round, workload, system, connections));
                    }
                }
            }
        }
        turns
    }

    fn turn(&self, round: u32, workload: Workload, system: System, connections: u32) -> TurnPlan {
        let (seconds, days, threads) = (self.seconds_of(workload), self.days, self.threads as usize);
        TurnPlan { round, workload, system, connections: connections as usize, seconds, days, threads }
    }

    /// About how long all of it takes.
    pub(super) fn expected_seconds(&self) -> u64 {
        let of_turn = |turn: &TurnPlan| {
            let sustained = if turn.workload == Workload::Sustained { SUSTAINED_OVERHEAD_SECONDS } else { 0 };
            turn.seconds + TURN_OVERHEAD_SECONDS + sustained
        };
        self.turns().iter().map(of_turn).sum()
    }
}
