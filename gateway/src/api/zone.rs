//! Time zones by IANA name: whether one exists, and its offset at an instant. The one place that asks jiff.
//! Must not know: days, slots.

use booking_core::{Date, UtcMillis};
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;

/// A zone of the machine's zone database.
#[derive(Clone, Debug)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    /// The zone called `name`; `None` if there is none.
    pub(crate) fn find(name: &str) -> Option<Self> {
        // These trees of the system's database hold copies under other rules, not further zones.
        if name.starts_with("posix/") || name.starts_with("right/") {
            return None;
        }
        TimeZone::get(name).ok().map(Self)
    }

    /// The name as the database spells it.
    pub(crate) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Seconds east of UTC at `at`; `None` outside the range of the calendar.
    pub(crate) fn offset_seconds(&self, at: UtcMillis) -> Option<i32> {
        let timestamp = Timestamp::from_millisecond(at.0).ok()?;
        Some(self.0.to_offset(timestamp).seconds())
    }

    /// The local date at `at`; `None` outside the range of the calendar.
    pub(crate) fn date(&self, at: UtcMillis) -> Option<Date> {
        let local_millis = at.0.checked_add(i64::from(self.offset_seconds(at)?) * 1000)?;
        Date::from_days(i32::try_from(local_millis.div_euclid(86_400_000)).ok()?)
    }

    /// The instant at which the clocks say `hour:minute` on `date`: later by the gap's length in a gap, the earlier one in
    /// an overlap.
    pub(crate) fn instant(&self, date: Date, hour: i8, minute: i8) -> Option<UtcMillis> {
        let (year, month, day) = date.civil();
        let wall = civil::DateTime::new(
            i16::try_from(year).ok()?,
            i8::try_from(month).ok()?,
            i8::try_from(day).ok()?,
            hour,
            minute,
            0,
            0,
        )
        .ok()?;
        let timestamp = self.0.to_ambiguous_timestamp(wall).compatible().ok()?;
        Some(UtcMillis(timestamp.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UtcMillis {
        super::super::instant::parse(text).expect("an instant")
    }

    #[test]
    fn names_are_those_of_the_database() {
        assert_eq!(Zone::find("Europe/Berlin").expect("known").name(), "Europe/Berlin");
        assert_eq!(Zone::find("UTC").expect("known").name(), "UTC");
        for unknown in
            ["", "Berlin", "Europe/Atlantis", "UTC+1", "CET-1CEST,M3.5.0,M10.5.0/3", "../etc/passwd", "right/UTC"]
        {
            assert!(Zone::find(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn offsets_and_dates_follow_the_zone() {
        let berlin = Zone::find("Europe/Berlin").expect("known");
        assert_eq!(berlin.offset_seconds(at("2026-01-01T00:00:00Z")), Some(3600));
        assert_eq!(berlin.offset_seconds(at("2026-07-01T00:00:00Z")), Some(7200));
        assert_eq!(berlin.date(at("2026-06-30T22:30:00Z")), Date::parse("2026-07-01"));
        let apia = Zone::find("Pacific/Apia").expect("known");
        assert_eq!(apia.date(at("2026-06-30T11:00:00Z")), Date::parse("2026-07-01"));
    }

    #[test]
    fn wall_times_become_instants_by_the_compatible_rule() {
        let berlin = Zone::find("Europe/Berlin").expect("known");
        let date = |text| Date::parse(text).expect("a date");
        assert_eq!(berlin.instant(date("2026-03-29"), 2, 30), Some(at("2026-03-29T01:30:00Z")));
        assert_eq!(berlin.instant(date("2026-10-25"), 2, 30), Some(at("2026-10-25T00:30:00Z")));
    }
}
