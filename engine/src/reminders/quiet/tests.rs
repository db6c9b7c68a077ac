//! Quiet hours where clocks are set, in both hemispheres, and anywhere at random.
//! Must not know: messages.

use proptest::prelude::*;

use super::*;

const VIENNA: &str = "Europe/Vienna";
const SYDNEY: &str = "Australia/Sydney";

fn hours(from: &str, to: &str) -> QuietHours {
    QuietHours { from: from.parse().expect(from), to: to.parse().expect(to) }
}

/// The local times of the evening before and of the end of the night at a local time.
fn night(zone: &str, quiet: (&str, &str), at: UtcMillis) -> Option<(String, String)> {
    let night = Quiet::new(hours(quiet.0, quiet.1), zone).night(at)?;
    Some((local(zone, night.evening.expect("an evening")), local(zone, night.end)))
}

#[track_caller]
fn assert_night(zone: &str, quiet: (&str, &str), at: &str, evening: &str, end: &str) {
    let found = night(zone, quiet, instant(zone, at));
    assert_eq!(found, Some((evening.to_owned(), end.to_owned())), "{zone} {quiet:?} {at}");
}

#[test]
fn a_night_lasts_from_evening_to_morning() {
    let quiet = ("21:00", "08:00");
    assert_night(VIENNA, quiet, "2026-05-04T21:00:00", "2026-05-04T20:59:59", "2026-05-05T08:00:00");
    assert_night(VIENNA, quiet, "2026-05-05T07:59:59", "2026-05-04T20:59:59", "2026-05-05T08:00:00");
    for awake in ["2026-05-05T08:00:00", "2026-05-05T20:59:59"] {
        assert_eq!(night(VIENNA, quiet, instant(VIENNA, awake)), None);
    }
}

#[test]
fn a_night_in_which_the_clocks_are_set_ends_by_the_clocks() {
    let quiet = ("21:00", "08:00");
    // Forward and back, north and south.
    for (zone, date, next, elapsed_hours) in [
        (VIENNA, "2026-03-28", "2026-03-29", 10),
        (VIENNA, "2026-10-24", "2026-10-25", 12),
        (SYDNEY, "2026-10-03", "2026-10-04", 10),
        (SYDNEY, "2026-04-04", "2026-04-05", 12),
    ] {
        let begins = instant(zone, &format!("{date}T21:00:00"));
        let found = Quiet::new(hours(quiet.0, quiet.1), zone).night(begins).expect("a night");
        assert_eq!(local(zone, found.end), format!("{next}T08:00:00"));
        assert_eq!(found.end.millis_since(begins), elapsed_hours * 3_600_000, "{zone} {date}");
    }
}

#[test]
fn an_end_that_the_clocks_skip_is_later_by_what_is_skipped() {
    assert_night(VIENNA, ("21:00", "02:30"), "2026-03-29T01:15:00", "2026-03-28T20:59:59", "2026-03-29T03:30:00");
    assert_night(SYDNEY, ("21:00", "02:30"), "2026-10-04T01:45:00", "2026-10-03T20:59:59", "2026-10-04T03:30:00");
}

#[test]
fn a_beginning_that_the_clocks_skip_leaves_an_evening_before() {
    let quiet = ("02:30", "07:00");
    assert_night(VIENNA, quiet, "2026-03-29T03:10:00", "2026-03-29T01:29:59", "2026-03-29T07:00:00");
}

#[test]
fn an_hour_that_comes_twice_is_quiet_twice() {
    // The second pass of an hour: an hour after the first.
    let second = |zone, wall: &str| instant(zone, wall).plus_millis(3_600_000);
    for (zone, date) in [(VIENNA, "2026-10-25"), (SYDNEY, "2026-04-05")] {
        let end = format!("{date}T02:30:00");
        let found = Quiet::new(hours("21:00", "02:30"), zone);
        let first = found.night(instant(zone, &format!("{date}T02:10:00"))).expect("quiet");
        assert_eq!(first.end, instant(zone, &end));
        let again = found.night(second(zone, &format!("{date}T02:10:00"))).expect("quiet again");
        assert_eq!(again.end, second(zone, &end));
        // Before the second pass the clocks show 02:59:59, which is within.
        let from_two = Quiet::new(hours("02:00", "07:00"), zone);
        let late = from_two.night(second(zone, &format!("{date}T02:40:00"))).expect("quiet");
        assert_eq!(late.evening.map(|evening| local(zone, evening)), Some(format!("{date}T01:59:59")));
    }
}

#[test]
fn a_zone_that_nobody_knows_is_utc() {
    let quiet = Quiet::new(hours("21:00", "08:00"), "Mars/Olympus");
    assert_eq!(quiet.night(UtcMillis(0)).map(|night| night.end), Some(UtcMillis(8 * 3_600_000)));
}

const ZONES: [&str; 8] = [
    VIENNA,
    SYDNEY,
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "America/Santiago",
    "UTC",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_night_contains_its_instant_and_is_quiet_to_its_end(
        zone in 0..ZONES.len(),
        at in 1_577_836_800_000_i64..1_893_456_000_000,
        (from, to) in (0_u16..1_440, 0_u16..1_440).prop_filter("some hours", |(from, to)| from != to),
    ) {
        let time = |minutes: u16| WallTime::new((minutes / 60) as u8, (minutes % 60) as u8).expect("a time");
        let hours = QuietHours { from: time(from), to: time(to) };
        let quiet = Quiet::new(hours, ZONES[zone]);
        let at = UtcMillis(at);
        let night = quiet.night(at);
        prop_assert_eq!(night.is_some(), quiet.is_quiet(at));
        if let Some(night) = night {
            prop_assert!(night.end > at && !quiet.is_quiet(night.end));
            // A day, and whatever the clocks are set by.
            prop_assert!(night.end.millis_since(at) <= 26 * 3_600_000);
            if let Some(evening) = night.evening {
                prop_assert!(evening < at && !quiet.is_quiet(evening));
            }
        }
    }
}
