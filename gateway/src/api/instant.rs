//! Instants as text: RFC 3339 in, UTC with `Z` and milliseconds out.
//! Must not know: the present time, zone names, what an instant is for.

use booking_core::{Date, UtcMillis};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

/// 0001-01-01T00:00:00.000Z.
const FIRST: UtcMillis = UtcMillis(-62_135_596_800_000);
/// 9999-12-31T23:59:59.999Z.
const LAST: UtcMillis = UtcMillis(253_402_300_799_999);

/// An instant that is answered as RFC 3339 in UTC with milliseconds; outside the years 0001 to 9999 as the nearest inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InstantText(pub(crate) UtcMillis);

impl Serialize for InstantText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::fmt::Display for InstantText {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inside = self.0.clamp(FIRST, LAST);
        let instant = DateTime::<Utc>::from_timestamp_millis(inside.0).ok_or(std::fmt::Error)?;
        formatter.write_str(&instant.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// Strict RFC 3339 with any offset; digits beyond milliseconds are cut. `None` for anything else, also for leap
/// seconds, which no calendar entry can have, and for a space in place of the `T`, which the library would take.
pub(crate) fn parse(text: &str) -> Option<UtcMillis> {
    Date::parse(text.get(..10)?)?;
    let has_separator = matches!(text.as_bytes().get(10), Some(b'T' | b't'));
    let is_leap_second = text.get(17..19) == Some("60");
    if !has_separator || is_leap_second {
        return None;
    }
    DateTime::parse_from_rfc3339(text).ok().map(|instant| UtcMillis(instant.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_offset_becomes_utc_with_milliseconds() {
        for (given, answered) in [
            ("2026-01-31T07:00:00Z", "2026-01-31T07:00:00.000Z"),
            ("2026-01-31T07:00:00+05:30", "2026-01-31T01:30:00.000Z"),
            ("2026-01-31t23:59:59.9876-03:00", "2026-02-01T02:59:59.987Z"),
            ("1969-12-31T23:59:59.5z", "1969-12-31T23:59:59.500Z"),
            ("2024-02-29T00:00:00.1Z", "2024-02-29T00:00:00.100Z"),
        ] {
            assert_eq!(parse(given).map(|at| InstantText(at).to_string()).as_deref(), Some(answered), "{given}");
        }
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T07:00Z",
            "2026-01-31 07:00:00Z",
            "2026-01-31T07:00:00",
            "2026-01-31T07:00:00.Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T07:00:60Z",
            "2026-02-30T07:00:00Z",
            "2026-01-31T07:00:00+0530",
            "2026-01-31T07:00:00+24:00",
            "2026-01-31T07:00:00Z[Europe/Berlin]",
            "+002026-01-31T07:00:00Z",
            "2026-01-31T07:00:0éZ",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
