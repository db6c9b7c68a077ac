//! When nobody is disturbed: quiet hours as instants, over the rules of a zone. The one place of the engine that asks jiff.
//! Must not know: messages, the present time.

use booking_core::UtcMillis;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Disambiguation, TimeZone};

use super::policy::{QuietHours, WallTime};

/// Some hours of the night in a zone.
#[derive(Clone, Debug)]
pub struct Quiet {
    hours: QuietHours,
    zone: TimeZone,
}

/// A night: from one instant up to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Night {
    /// The first instant, or one before from which on nothing but quiet follows.
    pub from: UtcMillis,
    /// The first instant after.
    pub to: UtcMillis,
}

impl Quiet {
    /// `zone` is an IANA name; one that this machine does not know counts as UTC, as it does where the time is told.
    pub fn new(hours: QuietHours, zone: &str) -> Self {
        Self { hours, zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC) }
    }

    /// The night that `at` lies in, if it lies in one.
    pub fn night(&self, at: UtcMillis) -> Option<Night> {
        let timestamp = Timestamp::from_millisecond(at.0).ok()?;
        let local = self.zone.to_datetime(timestamp);
        let time = WallTime::new(u8::try_from(local.hour()).ok()?, u8::try_from(local.minute()).ok()?)?;
        if !self.hours.contain(time) {
            return None;
        }
        let began = if time >= self.hours.from { local.date() } else { local.date().yesterday().ok()? };
        let ends = if time < self.hours.to { local.date() } else { local.date().tomorrow().ok()? };
        // Where clocks show a time twice, or never, the reading is taken that has `at` within.
        let from = self.instants(began, self.hours.from)?.into_iter().rev().find(|from| *from <= at);
        let to = self.instants(ends, self.hours.to)?.into_iter().find(|to| *to > at);
        Some(Night { from: from.unwrap_or(at), to: to? })
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
