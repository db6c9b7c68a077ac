//! How an instant is written for machines.
//! Must not know: whose.

use jiff::Timestamp;

/// RFC 3339 in UTC with milliseconds; one outside of the calendar is the first of all.
pub(crate) fn instant(millis: i64) -> String {
    let instant = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{instant:.3}")
}
