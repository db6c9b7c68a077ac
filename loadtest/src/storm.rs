//! The storm: many patients press at one instant for the places of one doctor-day, then everything is audited.
//! Must not know: how bytes travel, how findings are found, how results are shown.

use std::time::{Duration, Instant};

use thiserror::Error;
use uuid::Uuid;

use crate::api::{ApiError, Day, DayReader};
use crate::audit::{Evidence, Reading, Verdict, audit};
use crate::driver::clock::{self, ServerClock};
use crate::driver::descriptors::{DescriptorError, make_room};
use crate::driver::press::{Armed, PressError, PressPlan, Pressed};
use crate::driver::request::{BookingRequests, Pick};
use crate::driver::target::{Target, TargetError};
use crate::tokens::{Mint, TokenError};

/// Connections are armed this long before the release, plus a little for each, so that no server has closed them
/// as idle by then (common limits begin at 5 s).
const ARM_BEFORE_RELEASE: Duration = Duration::from_millis(1_500);
/// Added to the above for each connection.
const ARM_PER_CONNECTION: Duration = Duration::from_micros(300);
/// How often the server's time is sampled once all is armed.
const CLOCK_SAMPLES: usize = 50;
/// Room between arming and a press that waits for nothing.
const PRESS_LEAD: Duration = Duration::from_millis(20);

/// Why a storm could not be run or audited.
#[derive(Debug, Error)]
pub(crate) enum StormError {
    /// The target will not do.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// There are no tokens.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The day cannot be read.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The press did not happen.
    #[error(transparent)]
    Press(#[from] PressError),
    /// Too many connections for this system.
    #[error(transparent)]
    Descriptors(#[from] DescriptorError),
    /// A day that is not released, and nobody said to wait.
    #[error("the day is not released yet; pass --release-wait to press at its release")]
    NotReleased,
    /// A day without a release to wait for.
    #[error("--release-wait: the day has no release to come, it is {state}")]
    NothingToWaitFor {
        /// What it is.
        state: String,
    },
    /// A release too far away.
    #[error("--release-wait: the release is {wait_seconds} s away, the limit is {limit_seconds} s")]
    TooFarAway {
        /// Seconds until the release.
        wait_seconds: u64,
        /// Seconds that may be waited.
        limit_seconds: u64,
    },
}

/// What to do.
#[derive(Clone, Debug)]
pub(crate) struct StormPlan {
    /// The server's base URL.
    pub(crate) url: String,
    /// Whether it may be another machine.
    pub(crate) allow_remote: bool,
    /// Whose day.
    pub(crate) doctor: Uuid,
    /// Which day.
    pub(crate) date: jiff::civil::Date,
    /// How many press.
    pub(crate) patients: usize,
    /// Through how many connections.
    pub(crate) connections: usize,
    /// On how many threads.
    pub(crate) threads: usize,
    /// Which slots they name.
    pub(crate) pick: Pick,
    /// The longest wait for the release; `None` presses at once.
    pub(crate) release_wait: Option<Duration>,
    /// How often a patient with an open outcome is pressed again.
    pub(crate) retries: u32,
    /// Places that everyone can book at the press, where it cannot be derived.
    pub(crate) places: Option<u64>,
    /// Bound of the press, and again of the reading of the audit.
    pub(crate) deadline: Duration,
}

/// A storm that is over, and what is needed to audit it.
pub(crate) struct Stormed {
    /// What the press gave.
    pub(crate) pressed: Pressed,
    /// How long minting took.
    pub(crate) minting: Duration,
    /// How long opening and warming the connections took.
    pub(crate) arming: Duration,
    before: Reading,
    reader: DayReader,
    release_awaited: bool,
}

/// Prepares, waits for the release if asked to, and presses.
pub(crate) async fn press(plan: &StormPlan, mint: &Mint) -> Result<Stormed, StormError> {
    let origin = clock::now();
    make_room(plan.connections as u64)?;
    let target = Target::resolve(&plan.url, plan.allow_remote).await?;
    let mut reader = DayReader::new(target.clone(), plan.doctor, plan.date, mint.admin()?);
    let mut server_clock = ServerClock::new(origin);
    let (day, received) = reader.day().await?;
    server_clock.observe(received, day.server_time_millis);
    let release_millis = release_to_await(plan, &day)?;
    let before = Reading { appointments: reader.appointments(received + plan.deadline).await?, day };

    let minting_began = clock::now();
    let patients = mint.patients(plan.patients, std::thread::available_parallelism().map_or(1, usize::from))?;
    let minting = minting_began.elapsed();

    if let Some(release) = release_millis.and_then(|millis| server_clock.local_instant_of(millis)) {
        let lead = ARM_BEFORE_RELEASE + ARM_PER_CONNECTION * u32::try_from(plan.connections).unwrap_or(u32::MAX);
        tokio::time::sleep_until(release.checked_sub(lead).unwrap_or(origin).into()).await;
    }
    let arming_began = clock::now();
    let armed = Armed::arm(PressPlan {
        addresses: vec![target.address],
        host: target.host.clone(),
        requests: BookingRequests::new(&target, plan.doctor, plan.date, plan.pick, &bookable_slots(&before.day)),
        patients,
        connections: plan.connections,
        threads: plan.threads,
        retries: plan.retries,
        repress_early: release_millis.is_some(),
        deadline: plan.deadline,
        stop_after: None,
    })
    .await?;
    let arming = arming_began.elapsed();
    let at = press_instant(&mut reader, &mut server_clock, release_millis).await?;
    let pressed = armed.release(at).await?;
    Ok(Stormed { pressed, minting, arming, before, reader, release_awaited: release_millis.is_some() })
}

impl Stormed {
    /// Reads everything back from the API alone and judges it.
    pub(crate) async fn audit(&mut self, plan: &StormPlan) -> Result<Verdict, StormError> {
        let (_, received) = self.reader.day().await?;
        let appointments = self.reader.appointments(received + plan.deadline).await?;
        let (day, _) = self.reader.day().await?;
        let after = Reading { day, appointments };
        Ok(audit(&Evidence {
            before: &self.before,
            after: &after,
            presses: &self.pressed.presses,
            release_awaited: self.release_awaited,
            places: plan.places,
        }))
    }
}

/// The release to press at, UTC milliseconds of the server; `None` presses at once.
fn release_to_await(plan: &StormPlan, day: &Day) -> Result<Option<i64>, StormError> {
    match (plan.release_wait, day.release_at_millis) {
        (None, _) if day.state == "scheduled" => Err(StormError::NotReleased),
        (None, _) => Ok(None),
        (Some(_), None) => Err(StormError::NothingToWaitFor { state: day.state.clone() }),
        (Some(limit), Some(release)) => {
            let wait = u64::try_from(release.saturating_sub(day.server_time_millis)).unwrap_or(0);
            if Duration::from_millis(wait) > limit {
                let (wait_seconds, limit_seconds) = (wait.div_ceil(1000), limit.as_secs());
                return Err(StormError::TooFarAway { wait_seconds, limit_seconds });
            }
            Ok(Some(release))
        }
    }
}

/// The slots that can still be named: those that have not begun.
fn bookable_slots(day: &Day) -> Vec<(String, i64)> {
    let ahead = day.slots.iter().filter(|slot| slot.start_millis > day.server_time_millis);
    ahead.map(|slot| (slot.start.clone(), slot.start_millis)).collect()
}

/// The local instant of the press: that at which the server has surely reached the release, or nearly now.
async fn press_instant(
    reader: &mut DayReader,
    server_clock: &mut ServerClock,
    release_millis: Option<i64>,
) -> Result<Instant, StormError> {
    let soon = clock::now() + PRESS_LEAD;
    let Some(release_millis) = release_millis else { return Ok(soon) };
    for _ in 0..CLOCK_SAMPLES {
        let (day, received) = reader.day().await?;
        server_clock.observe(received, day.server_time_millis);
    }
    Ok(server_clock.local_instant_of(release_millis).unwrap_or(soon))
}

#[cfg(test)]
#[path = "storm_tests.rs"]
mod tests;
