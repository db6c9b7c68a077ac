//! When nobody is disturbed: quiet hours as instants, over the rules of a zone. The one place of the engine that asks jiff.
//! Must not know: messages, the present time.

use booking_core::UtcMillis;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Disambiguation, TimeZone};

use super::policy::{QuietHours, WallTime};

const SECOND_MILLIS: i64 = 1_000;

/// Some hours of the night in a zone.
#[derive(Clone, Debug)]
pub struct Quiet {
    hours: QuietHours,
    zone: TimeZone,
}

/// A night that an instant lies in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Night {
    /// The last second before it; `None` where the clocks are set so that there is none.
    pub evening: Option<UtcMillis>,
    /// The first instant after.
    pub end: UtcMillis,
}

impl Quiet {
    /// `zone` is an IANA name; one that this machine does not know counts as UTC, as it does where the time is told.
    pub fn new(hours: QuietHours, zone: &str) -> Self {
        Self { hours, zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC) }
    }

    /// The night that `at` lies in, if it lies in one.
    pub fn night(&self, at: UtcMillis) -> Option<Night> {
        let local = self.local(at)?;
        let time = wall_time(local)?;
        if !self.hours.contain(time) {
            return None;
        }
        let began = if time >= self.hours.from { local.date() } else { local.date().yesterday().ok()? };
        let ends = if time < self.hours.to { local.date() } else { local.date().tomorrow().ok()? };
        // Where clocks show a time twice, or never, the reading is taken that has `at` within, and no quiet beyond.
        let evenings = self.instants(began, self.hours.from)?.map(|from| from.plus_millis(-SECOND_MILLIS));
        let evening = evenings.into_iter().rev().find(|evening| *evening < at && !self.is_quiet(*evening));
        let end = self.instants(ends, self.hours.to)?.into_iter().find(|end| *end > at && !self.is_quiet(*end))?;
        Some(Night { evening, end })
    }

    fn is_quiet(&self, at: UtcMillis) -> bool {
        self.local(at).and_then(wall_time).is_some_and(|time| self.hours.contain(time))
    }

    fn local(&self, at: UtcMillis) -> Option<DateTime> {
        Some(self.zone.to_datetime(Timestamp::from_millisecond(at.0).ok()?))
    }

    /// The instants that can be meant by clocks that show `time` on `date`, earlier first: two where the clocks are set. Where they
    /// are set forward over it, an hour (or whatever the gap is) before and after.
    fn instants(&self, date: Date, time: WallTime) -> Option<[UtcMillis; 2]> {
        let wall: DateTime = date.at(i8::try_from(time.hour()).ok()?, i8::try_from(time.minute()).ok()?, 0, 0);
        let reading = |which| {
            let timestamp = self.zone.to_ambiguous_timestamp(wall).disambiguate(which).ok()?;
            Some(UtcMillis(timestamp.as_millisecond()))
        };
        Some([reading(Disambiguation::Earlier)?, reading(Disambiguation::Later)?])
    }
}

fn wall_time(local: DateTime) -> Option<WallTime> {
    WallTime::new(u8::try_from(local.hour()).ok()?, u8::try_from(local.minute()).ok()?)
}

/// The local time at an instant, for tests.
#[cfg(test)]
pub(super) fn local(zone: &str, at: UtcMillis) -> String {
    let zone = TimeZone::get(zone).expect("a zone");
    zone.to_datetime(Timestamp::from_millisecond(at.0).expect("an instant")).to_string()
}

/// The instant of a local time, the earlier one of two; for tests.
#[cfg(test)]
pub(super) fn instant(zone: &str, wall: &str) -> UtcMillis {
    let zone = TimeZone::get(zone).expect("a zone");
    let wall: DateTime = wall.parse().expect("a local time");
    UtcMillis(zone.to_ambiguous_timestamp(wall).compatible().expect("an instant").as_millisecond())
}

#[cfg(test)]
mod tests;
