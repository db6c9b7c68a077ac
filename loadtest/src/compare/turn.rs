//! One turn: a fresh system is prepared, warmed and pressed; what comes out is one number with its circumstances.
//! Must not know: other turns, which numbers are good.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;
use serde::Serialize;
use uuid::Uuid;

use super::CompareError;
use super::environment::Environment;
use super::publish::{PUBLISHERS, publish};
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
const PRESSES_MAX: usize = 2_000_000;
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
    /// About how long.
    pub(crate) seconds: u64,
    /// Doctor-days of `spread`.
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
    /// Answers of the expected kind a second: wins, or refusals of the sold-out day.
    pub(crate) answers_per_second: f64,
    /// Answers of the expected kind.
    pub(crate) answers: usize,
    /// From the press to the last answer, in seconds.
    pub(crate) lasted_seconds: f64,
    /// What else came, by status and code. A good turn has none.
    pub(crate) others: BTreeMap<String, usize>,
    /// Half of all presses were answered within so many milliseconds.
    pub(crate) latency_p50_ms: f64,
    /// All but one in a hundred were answered within so many milliseconds.
    pub(crate) latency_p99_ms: f64,
    /// Processor time of the driver as a share of one core.
    pub(crate) driver_share_of_one_core: Option<f64>,
    /// The machine's load average over one minute before the turn.
    pub(crate) load_average: Option<f64>,
}

/// Publishes, warms, presses.
pub(crate) async fn measure(environment: &Environment, plan: &TurnPlan) -> Result<Sample, CompareError> {
    let load_average = load_average();
    let mint = environment.mint()?;
    let days = if plan.workload == Workload::Spread { plan.days } else { 1 };
    let admins = (0..PUBLISHERS).map(|_| mint.admin()).collect::<Result<Vec<_>, _>>()?;
    let days = publish(&environment.target, &admins, plan.workload, days).await?;
    let presser = Presser { environment, plan, mint, days };
    if plan.workload == Workload::SoldOut {
        // Takes the only place.
        presser.press(1).await?;
    }
    let warm_presses = (plan.connections * WARM_PRESSES_OF_A_CONNECTION).max(WARM_PRESSES_MIN);
    let warmed = sample(plan, &presser.press(warm_presses).await?, load_average);
    let wanted = warmed.answers_per_second * plan.seconds as f64;
    let pressed = presser.press((wanted as usize).clamp(1_000, presses_max(plan, warm_presses))).await?;
    Ok(sample(plan, &pressed, load_average))
}

/// No more presses than places are left, so that every press of a workload has the same fate.
fn presses_max(plan: &TurnPlan, warm_presses: usize) -> usize {
    let (slots, places, _) = plan.workload.shape();
    let of_a_day = slots as usize * places as usize;
    match plan.workload {
        Workload::SoldOut => PRESSES_MAX,
        Workload::OneHotDay => (of_a_day - warm_presses.min(of_a_day)).max(1_000),
        // Patients take the days in turn, in both presses.
        Workload::Spread => {
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
}

impl Presser<'_> {
    /// `count` new patients press once each; none presses again.
    async fn press(&self, count: usize) -> Result<Pressed, CompareError> {
        let minting = std::thread::available_parallelism().map_or(1, usize::from);
        let target = &self.environment.target;
        let armed = Armed::arm(PressPlan {
            address: target.address,
            host: target.host.clone(),
            requests: BookingRequests::over_days(target, &self.days),
            patients: self.mint.patients(count, minting)?,
            connections: self.plan.connections.min(count),
            threads: self.plan.threads,
            retries: 0,
            repress_early: false,
            deadline: Duration::from_secs(30 + 6 * self.plan.seconds),
        });
        Ok(armed.await?.release(clock::now() + PRESS_LEAD).await?)
    }
}

/// Sums a press up.
fn sample(plan: &TurnPlan, pressed: &Pressed, load_average: Option<f64>) -> Sample {
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
    Sample {
        round: plan.round,
        workload: plan.workload,
        system: plan.system,
        connections: plan.connections,
        answers_per_second: answers as f64 / lasted_seconds,
        answers,
        lasted_seconds,
        latency_p50_ms: quantile_ms(0.5),
        latency_p99_ms: quantile_ms(0.99),
        others,
        driver_share_of_one_core: pressed.generator_cpu_nanos.map(|nanos| nanos as f64 / 1e3 / lasted_micros as f64),
        load_average,
    }
}

/// Whether a press ended as the workload means it to.
pub(crate) fn is_expected(workload: Workload, outcome: &Outcome) -> bool {
    match (workload, outcome) {
        (Workload::SoldOut, Outcome::Refused { code, .. }) => code == "sold_out",
        (Workload::Spread | Workload::OneHotDay, Outcome::Won(_)) => true,
        _ => false,
    }
}

fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().next()?.parse().ok()
}
