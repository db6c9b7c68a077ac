//! One turn: a fresh system is prepared, warmed and pressed; what comes out is one number with its circumstances.
//! Must not know: other turns, which numbers are good.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::civil::Date;
use serde::Serialize;
use uuid::Uuid;

use super::CompareError;
use super::backlog::Backlog;
use super::environment::Environment;
use super::nodes;
use super::processors::{Cost, Used};
use super::publish::publish;
use super::system::{System, Workload};
use crate::driver::clock;
use crate::driver::press::{Armed, PressPlan, Pressed};
use crate::driver::request::BookingRequests;
use crate::outcome::Outcome;
use crate::tokens::Mint;

/// Presses for each connection that warm a system and tell its rate: pools are filled, statements prepared.
const WARM_PRESSES_OF_A_CONNECTION: usize = 20;
/// At least so many warming presses.
const WARM_PRESSES_MIN: usize = 4_000;
/// At most so many presses are measured: about half a kilobyte of memory each.
const PRESSES_MAX: usize = 3_000_000;
/// Connections that publish days.
const PUBLISHERS: usize = 16;
/// A warm system is faster than the warming says: so many times as many patients stand ready as that rate would need.
/// Those who do not begin in time are left out.
const ROOM_FOR_FASTER: f64 = 2.0;
/// How long the last answers may take.
const LAST_ANSWERS: Duration = Duration::from_secs(30);
/// How often it is read what is behind.
const BACKLOG_INTERVAL: Duration = Duration::from_millis(100);
/// Presses through each node, to see which of them forwards.
const PROBES_OF_A_NODE: usize = 30;
/// Room between arming and the press.
const PRESS_LEAD: Duration = Duration::from_millis(20);

/// What one turn measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TurnPlan {
    /// From 1 on.
    pub(crate) round: u32,
    /// What is pressed for.
    pub(crate) workload: Workload,
    /// Whom.
    pub(crate) system: System,
    /// Through how many connections.
    pub(crate) connections: usize,
    /// How long at most.
    pub(crate) seconds: u64,
    /// Doctor-days over which wins are spread.
    pub(crate) days: u32,
    /// Threads of the driver.
    pub(crate) threads: usize,
}

/// What one turn gave.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    /// From 1 on.
    pub(crate) round: u32,
    /// What was pressed for.
    pub(crate) workload: Workload,
    /// Whom.
    pub(crate) system: System,
    /// Through how many connections.
    pub(crate) connections: usize,
    /// Answers of the expected kind a second: wins, or refusals of the sold-out day. Under `sustained` the time counts
    /// until everything is in the database too.
    pub(crate) answers_per_second: f64,
    /// Answers of the expected kind.
    pub(crate) answers: usize,
    /// From the press to the last answer, in seconds.
    pub(crate) lasted_seconds: f64,
    /// What was answered and not yet in the database; nothing where a system answers only what is there.
    pub(crate) behind: Option<Behind>,
    /// What else came, by status and code. A good turn has none.
    pub(crate) others: BTreeMap<String, usize>,
    /// Half of all presses were answered within so many milliseconds.
    pub(crate) latency_p50_ms: f64,
    /// All but one in a hundred were answered within so many milliseconds.
    pub(crate) latency_p99_ms: f64,
    /// Processor time for each answer of the expected kind, from the press until nothing of it was behind. Where a
    /// process is gone: nothing.
    pub(crate) cost: Option<Cost>,
    /// Which share of the requests one node had answered by another; nothing where there is one node.
    pub(crate) forwarded_share: Option<f64>,
    /// Processor time of the driver as a share of one core.
    pub(crate) driver_share_of_one_core: Option<f64>,
    /// The machine's load average over one minute before the turn.
    pub(crate) load_average: Option<f64>,
}

/// What was answered and not yet in the database.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Behind {
    /// The most that was read, ten times a second from the press to the last answer.
    pub(crate) greatest_records: u64,
    /// What it may be at most, where there is a bound.
    pub(crate) bound_records: Option<u64>,
    /// How often it was read.
    pub(crate) readings: usize,
    /// From the press until nothing was behind, in seconds, where that was waited for.
    pub(crate) drained_seconds: Option<f64>,
}

/// Publishes, warms, presses.
pub(crate) async fn measure(environment: &Environment, plan: &TurnPlan) -> Result<Sample, CompareError> {
    let load_average = load_average();
    let mint = environment.mint()?;
    let days = if plan.workload.is_spread() { plan.days } else { 1 };
    let admins = (0..PUBLISHERS).map(|_| mint.admin()).collect::<Result<Vec<_>, _>>()?;
    let days = publish(&environment.target, &admins, plan.workload.shape(), days).await?;
    let addresses = environment.nodes.iter().map(|node| node.address).collect();
    let mut presser = Presser { environment, plan, mint, days, addresses };
    if plan.workload.is_about_forwarding() {
        presser.addresses = vec![presser.one_node().await?];
    }
    if plan.workload == Workload::SoldOut {
        // Takes the only place.
        presser.press(1).await?;
    }
    let warm_presses = (plan.connections * WARM_PRESSES_OF_A_CONNECTION).max(WARM_PRESSES_MIN);
    // What the warming left is written when it returns, and no part of what is measured.
    let warmed = sample(plan, &presser.press(warm_presses).await?, load_average);
    let wanted = warmed.answers_per_second * plan.seconds as f64 * ROOM_FOR_FASTER;
    let pressed = presser.press((wanted as usize).clamp(1_000, presses_max(plan, warm_presses))).await?;
    Ok(sample(plan, &pressed, load_average))
}

/// No more presses than places are left, so that every press of a workload has the same fate.
fn presses_max(plan: &TurnPlan, warm_presses: usize) -> usize {
    let of_a_day = plan.workload.shape().places_of_day();
    match plan.workload {
        Workload::SoldOut => PRESSES_MAX,
        // With room for those who tried the nodes.
        Workload::AtOwner | Workload::Forwarded => (of_a_day - (2 * warm_presses).min(of_a_day)).max(1_000),
        Workload::OneHotDay => (of_a_day - warm_presses.min(of_a_day)).max(1_000),
        // Patients take the days in turn, in both presses.
        Workload::Burst | Workload::Spread | Workload::Sustained => {
            let of_all = (of_a_day * plan.days as usize).saturating_sub(warm_presses + 2 * plan.days as usize);
            PRESSES_MAX.min(of_all.max(1_000))
        }
    }
}

/// Presses again and again at one system.
struct Presser<'a> {
    environment: &'a Environment,
    plan: &'a TurnPlan,
    mint: Mint,
    days: Vec<(Uuid, Date)>,
    /// The connections take these in turn.
    addresses: Vec<SocketAddr>,
}

/// What one press gave.
struct Measured {
    pressed: Pressed,
    behind: Option<Behind>,
    /// Processor time before the press, and after nothing was behind any more.
    used: Option<(Used, Used)>,
    /// How many requests one node had answered by another; nothing where there is one node.
    forwarded: Option<u64>,
}

impl Presser<'_> {
    /// Of the node that speaks for the one day and the next one, the one that the workload means: each is tried.
    async fn one_node(&self) -> Result<SocketAddr, CompareError> {
        let targets = &self.environment.nodes;
        let mut forwarded = Vec::with_capacity(targets.len());
        for node in targets {
            forwarded.push(self.press_at(&[node.address], PROBES_OF_A_NODE).await?.forwarded.unwrap_or(0));
        }
        let owner = nodes::owner(PROBES_OF_A_NODE, &forwarded)?;
        let node = if self.plan.workload == Workload::AtOwner { owner } else { (owner + 1) % targets.len() };
        Ok(targets[node].address)
    }

    /// `count` new patients press once each, as many of them as can begin in the time of the plan; none presses again.
    async fn press(&self, count: usize) -> Result<Measured, CompareError> {
        self.press_at(&self.addresses, count).await
    }

    /// The same at these addresses. Returns once nothing is behind.
    async fn press_at(&self, addresses: &[SocketAddr], count: usize) -> Result<Measured, CompareError> {
        let minting = std::thread::available_parallelism().map_or(1, usize::from);
        let target = &self.environment.target;
        let armed = Armed::arm(PressPlan {
            addresses: addresses.to_vec(),
            host: target.host.clone(),
            requests: BookingRequests::over_days(target, &self.days),
            patients: self.mint.patients(count, minting)?,
            connections: self.plan.connections.min(count),
            threads: self.plan.threads,
            retries: 0,
            repress_early: false,
            deadline: Duration::from_secs(self.plan.seconds) + LAST_ANSWERS,
            stop_after: Some(Duration::from_secs(self.plan.seconds)),
        });
        let armed = armed.await?;
        let counted = self.environment.counted();
        let mut backlog = self.environment.backlog();
        let (forwarded_before, used_before) = (self.forwarded().await?, counted.used());
        let at = clock::now() + PRESS_LEAD;
        let (pressed, mut behind) = watched(armed.release(at), &mut backlog).await;
        let pressed = pressed?;
        // What is written afterwards is part of what a booking costs.
        let drained = backlog.drained().await?;
        let used = used_before.zip(counted.used());
        if self.plan.workload == Workload::Sustained
            && let (Some(behind), Some(drained)) = (&mut behind, drained)
        {
            behind.drained_seconds = Some(drained.saturating_duration_since(at).as_secs_f64());
        }
        let forwarded = self.forwarded().await?.zip(forwarded_before).map(|(after, before)| after - before);
        Ok(Measured { pressed, behind, used, forwarded })
    }

    /// Of all nodes together, since they started; nothing where there is one node.
    async fn forwarded(&self) -> Result<Option<u64>, CompareError> {
        let targets = &self.environment.nodes;
        Ok(if targets.len() > 1 { Some(nodes::forwarded(targets).await?.iter().sum()) } else { None })
    }
}

/// Lets `pressing` come to its end, and reads meanwhile what is behind. A reading that fails is no reason to give up.
async fn watched<T>(pressing: impl Future<Output = T>, backlog: &mut Backlog) -> (T, Option<Behind>) {
    let mut pressing = std::pin::pin!(pressing);
    let (mut greatest, mut readings) = (None, 0);
    loop {
        let read = async {
            tokio::time::sleep(BACKLOG_INTERVAL).await;
            backlog.read().await
        };
        tokio::select! {
            pressed = &mut pressing => {
                let bound_records = backlog.bound_records();
                let behind = greatest.map(|greatest_records| {
                    Behind { greatest_records, bound_records, readings, drained_seconds: None }
                });
                return (pressed, behind);
            }
            read = read => if let Ok(Some(records)) = read {
                readings += 1;
                greatest = greatest.max(Some(records));
            }
        }
    }
}

/// Sums a press up.
fn sample(plan: &TurnPlan, measured: &Measured, load_average: Option<f64>) -> Sample {
    let Measured { pressed, behind, used, forwarded } = measured;
    let behind = *behind;
    let mut others = BTreeMap::new();
    let mut latencies_micros = Vec::with_capacity(pressed.presses.len());
    for press in &pressed.presses {
        latencies_micros.push(press.ended_micros.saturating_sub(press.first_sent_micros));
        if !is_expected(plan.workload, &press.outcome) {
            let (status, code) = press.outcome.label();
            *others.entry(format!("{status} {code}")).or_insert(0) += 1;
        }
    }
    latencies_micros.sort_unstable();
    let quantile_ms = |share: f64| {
        let index = (latencies_micros.len() as f64 * share) as usize;
        latencies_micros.get(index.min(latencies_micros.len().saturating_sub(1))).map_or(0.0, |us| *us as f64 / 1e3)
    };
    let lasted_micros = pressed.presses.iter().map(|press| press.ended_micros).max().unwrap_or(0).max(1);
    let answers = pressed.presses.len() - others.values().sum::<usize>();
    let lasted_seconds = lasted_micros as f64 / 1e6;
    let counted_seconds =
        behind.and_then(|behind| behind.drained_seconds).map_or(lasted_seconds, |drained| drained.max(lasted_seconds));
    Sample {
        round: plan.round,
        workload: plan.workload,
        system: plan.system,
        connections: plan.connections,
        answers_per_second: answers as f64 / counted_seconds,
        answers,
        lasted_seconds,
        behind,
        latency_p50_ms: quantile_ms(0.5),
        latency_p99_ms: quantile_ms(0.99),
        others,
        cost: used.and_then(|(before, after)| after.since(before, answers)),
        forwarded_share: forwarded.map(|forwarded| forwarded as f64 / pressed.presses.len().max(1) as f64),
        driver_share_of_one_core: pressed.generator_cpu_nanos.map(|nanos| nanos as f64 / 1e3 / lasted_micros as f64),
        load_average,
    }
}

/// Whether a press ended as the workload means it to.
pub(crate) fn is_expected(workload: Workload, outcome: &Outcome) -> bool {
    match (workload, outcome) {
        (Workload::SoldOut, Outcome::Refused { code, .. }) => code == "sold_out",
        (Workload::SoldOut, _) => false,
        (_, Outcome::Won(_)) => true,
        _ => false,
    }
}

/// The machine's load average over one minute.
pub(crate) fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().next()?.parse().ok()
}
