//! When: instants in UTC milliseconds and civil dates, as plain numbers.
//! Must not know: the present time, time zones, text formats other than a date's ISO 8601 form.

/// An instant: milliseconds since 1970-01-01T00:00:00Z. Always an argument, never read from a clock here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct UtcMillis(pub i64);

impl UtcMillis {
    /// This instant plus `millis`, saturating at the ends of the range.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to `self`; negative if `self` is the earlier one.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whether this is a whole second, as every slot's bounds are.
    pub const fn is_whole_second(self) -> bool {
        self.0 % 1000 == 0
    }
}

/// A civil date: days since 1970-01-01 in the proleptic Gregorian calendar, years 0001 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "i32", into = "i32"))]
pub struct Date(i32);

/// Days from 1970-01-01 to 0001-01-01.
const MIN_DAYS: i32 = -719_162;
/// Days from 1970-01-01 to 9999-12-31.
const MAX_DAYS: i32 = 2_932_896;

impl Date {
    /// From days since 1970-01-01; `None` outside the years 0001 to 9999.
    pub const fn from_days(days: i32) -> Option<Self> {
        if days < MIN_DAYS || days > MAX_DAYS { None } else { Some(Self(days)) }
    }

    /// Days since 1970-01-01.
    pub const fn days(self) -> i32 {
        self.0
    }

    /// The date `days` later (earlier if negative); `None` outside the range.
    pub const fn plus_days(self, days: i32) -> Option<Self> {
        match self.0.checked_add(days) {
            Some(sum) => Self::from_days(sum),
            None => None,
        }
    }

    /// From year, month (1–12) and day of the month; `None` if there is no such date.
    /// Algorithm: `days_from_civil`, Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    pub fn from_civil(year: i32, month: u32, day: u32) -> Option<Self> {
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
            return None;
        }
        let shifted = i64::from(year) - i64::from(month <= 2);
        let era = shifted.div_euclid(400);
        let year_of_era = shifted - era * 400;
        let month_index = (i64::from(month) + 9) % 12;
        let day_of_year = (153 * month_index + 2) / 5 + i64::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let date = Self::from_days(i32::try_from(era * 146_097 + day_of_era - 719_468).ok()?)?;
        (date.civil() == (year, month, day)).then_some(date)
    }

    /// Year, month (1–12) and day of the month. Algorithm: `civil_from_days`, as above.
    pub fn civil(self) -> (i32, u32, u32) {
        let shifted = i64::from(self.0) + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted - era * 146_097;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_index + 2) / 5 + 1;
        let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year as i32, month as u32, day as u32)
    }

    /// Strict ISO 8601 `YYYY-MM-DD`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let digits = |range: std::ops::Range<usize>| -> Option<u32> {
            bytes[range]
                .iter()
                .try_fold(0, |sum: u32, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
        };
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        Self::from_civil(digits(0..4)? as i32, digits(5..7)?, digits(8..10)?)
    }

    /// Four bytes that sort as the dates do.
    pub const fn to_sortable_bytes(self) -> [u8; 4] {
        ((self.0 as u32) ^ 0x8000_0000).to_be_bytes()
    }

    /// The inverse of [`Date::to_sortable_bytes`].
    pub const fn from_sortable_bytes(bytes: [u8; 4]) -> Option<Self> {
        Self::from_days((u32::from_be_bytes(bytes) ^ 0x8000_0000) as i32)
    }
}

impl From<Date> for i32 {
    fn from(date: Date) -> Self {
        date.0
    }
}

impl TryFrom<i32> for Date {
    type Error = &'static str;

    fn try_from(days: i32) -> Result<Self, Self::Error> {
        Self::from_days(days).ok_or("not a date of the years 0001 to 9999")
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = self.civil();
        write!(formatter, "{year:04}-{month:02}-{day:02}")
    }
}
