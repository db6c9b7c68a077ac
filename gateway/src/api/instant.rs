//! Instants as text: RFC 3339 in, UTC with `Z` and milliseconds out.
//! Must not know: the present time, zone names, what an instant is for.

use booking_core::{Date, UtcMillis};
use serde::{Serialize, Serializer};

/// Length of the answered form, `2026-01-31T07:00:00.000Z`.
const TEXT_LENGTH: usize = 24;

const SECONDS_A_DAY: i64 = 86_400;

/// An instant that is answered as RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InstantText(pub(crate) UtcMillis);

impl Serialize for InstantText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let buffer = encode(self.0);
        serializer.serialize_str(std::str::from_utf8(&buffer).map_err(serde::ser::Error::custom)?)
    }
}

impl std::fmt::Display for InstantText {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(std::str::from_utf8(&encode(self.0)).map_err(|_| std::fmt::Error)?)
    }
}

/// The answered form. Instants outside the years 0001 to 9999 are told as the nearest instant inside.
fn encode(at: UtcMillis) -> [u8; TEXT_LENGTH] {
    let millis = at.0.rem_euclid(1000);
    let seconds = at.0.div_euclid(1000);
    let days = seconds.div_euclid(SECONDS_A_DAY);
    let date = i32::try_from(days).ok().and_then(Date::from_days);
    let (year, month, day) = date.map_or(if days < 0 { (1, 1, 1) } else { (9999, 12, 31) }, Date::civil);
    let second_of_day = seconds.rem_euclid(SECONDS_A_DAY);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    write_digits(&mut text[0..4], i64::from(year));
    write_digits(&mut text[5..7], i64::from(month));
    write_digits(&mut text[8..10], i64::from(day));
    write_digits(&mut text[11..13], second_of_day / 3600);
    write_digits(&mut text[14..16], second_of_day / 60 % 60);
    write_digits(&mut text[17..19], second_of_day % 60);
    write_digits(&mut text[20..23], millis);
    text
}

fn write_digits(text: &mut [u8], mut value: i64) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Strict RFC 3339 with any offset; digits beyond milliseconds are cut. `None` for anything else, also for leap
/// seconds, which no calendar entry can have.
pub(crate) fn parse(text: &str) -> Option<UtcMillis> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || bytes.len() > 40 || !matches!(bytes[10], b'T' | b't') || !text.is_ascii() {
        return None;
    }
    let date = Date::parse(&text[..10])?;
    if bytes[13] != b':' || bytes[16] != b':' {
        return None;
    }
    let (hour, minute, second) = (number(&bytes[11..13])?, number(&bytes[14..16])?, number(&bytes[17..19])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (millis, rest) = fraction(&bytes[19..])?;
    let offset_seconds = offset(rest)?;
    let seconds = i64::from(date.days()) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second - offset_seconds;
    Some(UtcMillis(seconds * 1000 + millis))
}

/// Milliseconds of an optional fraction, and what follows it.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits_and_rest) = bytes.strip_prefix(b".") else {
        return Some((0, bytes));
    };
    let length = digits_and_rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let digit = |position: usize| if position < length { i64::from(digits_and_rest[position] - b'0') } else { 0 };
    Some((digit(0) * 100 + digit(1) * 10 + digit(2), &digits_and_rest[length..]))
}

/// Seconds east of UTC of `Z` or `±HH:MM`.
fn offset(bytes: &[u8]) -> Option<i64> {
    match bytes {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), hour_tens, hour_ones, b':', minute_tens, minute_ones] => {
            let hour = number(&[*hour_tens, *hour_ones])?;
            let minute = number(&[*minute_tens, *minute_ones])?;
            let seconds = hour * 3600 + minute * 60;
            (hour <= 23 && minute <= 59).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
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
