//! One size on one fresh server: days are published, everyone presses, and the server's own use is read before and after.
//! Must not know: other sizes, how points are shown.

use std::time::Duration;

use jiff::civil::Date;
use serde::Serialize;
use uuid::Uuid;

use super::GrowthError;
use super::answers::Answers;
use crate::compare::CompareError;
use crate::compare::environment::Environment;
use crate::compare::publish::publish;
use crate::compare::system::Shape;
use crate::driver::clock;
use crate::driver::press::{Armed, PressPlan};
use crate::driver::request::BookingRequests;
use crate::processor;
use crate::tokens::Mint;

/// Connections that publish: many, so that a commit serves many days, and no single administrator meets a limit.
const PUBLISHERS: usize = 64;
/// Days of the curve on which the days that are booked stay few.
const FEW_DAYS: usize = 1_000;
/// A day that one patient buys out.
const ONE_PLACE: Shape = Shape { slots: 1, places: 1, minutes: 15 };
/// A day of an ordinary doctor.
const TWENTY_PLACES: Shape = Shape { slots: 20, places: 1, minutes: 15 };
/// A day on which every press wins.
const ROOM_FOR_ALL: Shape = Shape { slots: 20, places: 1_000, minutes: 15 };
/// Presses that warm a server.
const WARM_PRESSES: usize = 5_000;
/// When a press is given up.
const DEADLINE: Duration = Duration::from_secs(240);
/// Room between arming and the press.
const PRESS_LEAD: Duration = Duration::from_millis(20);

/// What grows along a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Curve {
    /// So many compete for a day on which nothing is left.
    SoldOut,
    /// So many compete for a day of twenty places, which they buy out first.
    Selling,
    /// So many days are known, and wins go to a few of them in turn.
    FewDays,
    /// So many days are known, and wins go to all of them in turn.
    AllDays,
}

impl Curve {
    /// In words.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SoldOut => "sold-out",
            Self::Selling => "selling",
            Self::FewDays => "few-days",
            Self::AllDays => "all-days",
        }
    }
}

/// What one size gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Point {
    /// Which line it is on.
    pub(crate) curve: Curve,
    /// Competitors for a day, or known days.
    pub(crate) size: u32,
    /// Days that were asked for, one after the other or in turn.
    pub(crate) days: usize,
    /// Places won.
    pub(crate) wins: usize,
    /// Told that nothing is left.
    pub(crate) refusals: usize,
    /// Told something else. A good point has none.
    pub(crate) others: usize,
    /// From the press to the last answer.
    pub(crate) seconds: f64,
    /// All answers divided by that.
    pub(crate) answers_per_second: f64,
    /// Half of the presses were answered within so many milliseconds.
    pub(crate) p50_ms: f64,
    /// All but one in a hundred were.
    pub(crate) p99_ms: f64,
    /// Processor time of the server for one answer, in microseconds, writing behind included.
    pub(crate) cpu_micros_per_answer: f64,
    /// Processor time of the server in all.
    pub(crate) cpu_seconds: f64,
    /// Publishing the days, in seconds.
    pub(crate) set_up_seconds: f64,
    /// Resident memory of the server at the end.
    pub(crate) resident_bytes: Option<u64>,
    /// The machine's load average over one minute before the press.
    pub(crate) load_average: Option<f64>,
}

/// A fresh server and how it is pressed.
pub(super) struct Bench<'a> {
    environment: &'a Environment,
    mint: Mint,
    admins: Vec<Box<str>>,
    presses: usize,
    connections: usize,
    threads: usize,
}

type Days = Vec<(Uuid, Date)>;

impl<'a> Bench<'a> {
    /// At least `presses` make a point.
    pub(super) fn new(
        environment: &'a Environment,
        presses: u32,
        connections: usize,
        threads: usize,
    ) -> Result<Self, GrowthError> {
        let mint = environment.mint()?;
        let admins = (0..PUBLISHERS).map(|_| mint.admin()).collect::<Result<_, _>>().map_err(CompareError::from)?;
        Ok(Self { environment, mint, admins, presses: presses as usize, connections, threads })
    }

    /// The points of that size.
    pub(super) async fn measure(&self, curve: Curve, size: u32) -> Result<Vec<Point>, GrowthError> {
        match curve {
            Curve::SoldOut | Curve::Selling => Ok(vec![self.refusals(curve, size).await?]),
            Curve::FewDays | Curve::AllDays => self.wins(size).await,
        }
    }

    /// `competitors` press for one day, then as many others for the next, until there are enough presses.
    async fn refusals(&self, curve: Curve, competitors: u32) -> Result<Point, GrowthError> {
        let competitors_of_day = competitors as usize;
        let days_wanted = days_for(self.presses, competitors_of_day);
        let (lukewarm, _) = self.publish(ONE_PLACE, 1).await?;
        let shape = if curve == Curve::SoldOut { ONE_PLACE } else { TWENTY_PLACES };
        let (days, set_up_seconds) = self.publish(shape, days_wanted).await?;
        self.press(self.requests_in_turn(&lukewarm), WARM_PRESSES).await?;
        if curve == Curve::SoldOut {
            self.press(self.requests_in_turn(&days), days.len()).await?;
        }
        let requests = BookingRequests::day_after_day(&self.environment.target, &days, competitors_of_day);
        let presses = days.len() * competitors_of_day;
        let point = self.observed(curve, competitors, days.len(), requests, presses).await?;
        Ok(Point { set_up_seconds, ..point })
    }

    /// Wins on a few of the known days, then on all of them.
    async fn wins(&self, known: u32) -> Result<Vec<Point>, GrowthError> {
        let (days, set_up_seconds) = self.publish(ROOM_FOR_ALL, known).await?;
        let few = spaced(&days, FEW_DAYS);
        // So many that every press finds another day at most.
        let all = spaced(&days, self.presses);
        self.press(self.requests_in_turn(&few), WARM_PRESSES).await?;
        let mut points = Vec::new();
        for (curve, asked) in [(Curve::FewDays, few), (Curve::AllDays, all)] {
            let requests = self.requests_in_turn(&asked);
            let point = self.observed(curve, known, asked.len(), requests, self.presses).await?;
            points.push(Point { set_up_seconds, ..point });
        }
        Ok(points)
    }

    /// Presses once everything from before is written, and counts until everything of its own is.
    async fn observed(
        &self,
        curve: Curve,
        size: u32,
        days: usize,
        requests: BookingRequests,
        presses: usize,
    ) -> Result<Point, GrowthError> {
        let id = self.environment.system_id();
        let cpu_seconds = || processor::cpu_seconds(id).ok_or(GrowthError::Processor(id));
        self.drain().await?;
        let load_average = crate::compare::load_average();
        let before = cpu_seconds()?;
        let answers = self.press(requests, presses).await?;
        self.drain().await?;
        let cpu_seconds = cpu_seconds()? - before;
        let answered = (answers.wins + answers.refusals + answers.others).max(1) as f64;
        Ok(Point {
            curve,
            size,
            days,
            wins: answers.wins,
            refusals: answers.refusals,
            others: answers.others,
            seconds: answers.seconds,
            answers_per_second: answered / answers.seconds.max(1e-6),
            p50_ms: answers.p50_ms,
            p99_ms: answers.p99_ms,
            cpu_micros_per_answer: cpu_seconds * 1e6 / answered,
            cpu_seconds,
            set_up_seconds: 0.0,
            resident_bytes: processor::resident_bytes(id),
            load_average,
        })
    }

    async fn drain(&self) -> Result<(), GrowthError> {
        self.environment.backlog().drained().await.map_err(CompareError::from)?;
        Ok(())
    }

    /// Publishes; answers the days and how long it took, in seconds.
    async fn publish(&self, shape: Shape, count: u32) -> Result<(Days, f64), GrowthError> {
        let began = clock::now();
        let days = publish(&self.environment.target, &self.admins, shape, count).await.map_err(CompareError::from)?;
        Ok((days, began.elapsed().as_secs_f64()))
    }

    fn requests_in_turn(&self, days: &[(Uuid, Date)]) -> BookingRequests {
        BookingRequests::over_days(&self.environment.target, days)
    }

    /// `count` new patients press once each.
    async fn press(&self, requests: BookingRequests, count: usize) -> Result<Answers, GrowthError> {
        let minting = std::thread::available_parallelism().map_or(1, usize::from);
        let target = &self.environment.target;
        let armed = Armed::arm(PressPlan {
            addresses: vec![target.address],
            host: target.host.clone(),
            requests,
            patients: self.mint.patients(count, minting).map_err(CompareError::from)?,
            connections: self.connections.min(count),
            threads: self.threads,
            retries: 0,
            repress_early: false,
            deadline: DEADLINE,
            stop_after: None,
        });
        let armed = armed.await.map_err(CompareError::from)?;
        let pressed = armed.release(clock::now() + PRESS_LEAD).await.map_err(CompareError::from)?;
        Ok(Answers::of(&pressed))
    }
}

/// How many days so many presses need if each day has so many competitors.
fn days_for(presses: usize, competitors: usize) -> u32 {
    u32::try_from(presses.div_ceil(competitors.max(1)).max(1)).unwrap_or(u32::MAX)
}

/// At most `count` of the days, evenly spaced over all of them.
fn spaced(days: &[(Uuid, Date)], count: usize) -> Days {
    let count = count.min(days.len());
    (0..count).map(|number| days[number * days.len() / count]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_has_enough_presses_and_whole_days() {
        assert_eq!(days_for(100_000, 100), 1_000);
        assert_eq!(days_for(100_000, 30_000), 4);
        assert_eq!(days_for(1_000, 50_000), 1);
    }

    #[test]
    fn days_are_taken_from_everywhere() {
        let days: Days = (0..10).map(|number| (Uuid::from_u128(number), Date::MIN)).collect();
        let numbers = |count| spaced(&days, count).into_iter().map(|(id, _)| id.as_u128()).collect::<Vec<_>>();
        assert_eq!(numbers(3), [0, 3, 6]);
        assert_eq!(numbers(20), (0..10).collect::<Vec<_>>());
        assert!(spaced(&[], 5).is_empty());
    }
}
