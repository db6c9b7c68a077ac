//! The facts of a notice as templates see them: cleaned names, local days and times.
//! Must not know: templates, channels' markup.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::languages::{self, Calendar};
use crate::notice::Notice;

/// Every variable that templates have.
pub(crate) struct Facts {
    /// `reminder`, `confirmation`, `change` or `cancellation`.
    pub(crate) kind: &'static str,
    /// `patient` or `doctor`.
    pub(crate) recipient: &'static str,
    /// UUID.
    pub(crate) appointment_id: String,
    /// Name.
    pub(crate) doctor: String,
    /// Name; empty: not said.
    pub(crate) patient: String,
    /// Name of the place; empty: not said.
    pub(crate) place: String,
    /// Its city; empty: not said.
    pub(crate) city: String,
    /// Both, as far as there are any.
    pub(crate) place_line: String,
    /// Day of the start, with weekday and year.
    pub(crate) date: String,
    /// Day of the start, short.
    pub(crate) day: String,
    /// When it begins.
    pub(crate) time: String,
    /// When it ends.
    pub(crate) end_time: String,
    /// Offset from UTC at the start.
    pub(crate) zone: String,
    /// IANA name.
    pub(crate) zone_name: String,
    /// Why it was cancelled; empty: not said.
    pub(crate) reason: String,
}

/// The names of all variables, sorted.
pub(crate) const NAMES: [&str; 15] = [
    "appointment_id",
    "city",
    "date",
    "day",
    "doctor",
    "end_time",
    "kind",
    "patient",
    "place",
    "place_line",
    "reason",
    "recipient",
    "time",
    "zone",
    "zone_name",
];

/// Longest values, in characters.
#[derive(Clone, Copy)]
pub(crate) struct Lengths {
    /// Of a name.
    name: usize,
    /// Of a reason.
    reason: usize,
}

impl Lengths {
    /// Longer than any name that the registry takes.
    pub(crate) const WHOLE: Self = Self { name: 200, reason: 500 };
    /// For text messages, which are paid by the part.
    pub(crate) const SHORT: Self = Self { name: 40, reason: 60 };
}

impl Facts {
    /// In local time, as this language writes it.
    pub(crate) fn new(notice: &Notice, calendar: &Calendar, lengths: Lengths) -> Self {
        let name = |text: &str| cut(&line(text), lengths.name);
        let start = local(notice.start_ms, &notice.time_zone);
        let end = local(notice.end_ms, &notice.time_zone);
        let (place, city) = (name(&notice.place), name(&notice.city));
        let place_line = match (place.as_str(), city.as_str()) {
            (place, "") => place.to_owned(),
            ("", city) => city.to_owned(),
            (place, city) if place.contains(city) => place.to_owned(),
            (place, city) => format!("{place}, {city}"),
        };
        Self {
            kind: notice.kind.word(),
            recipient: notice.recipient.word(),
            appointment_id: notice.appointment_id.to_string(),
            doctor: name(&notice.doctor),
            patient: name(notice.patient.as_deref().unwrap_or_default()),
            place,
            city,
            place_line,
            date: (calendar.date)(start.date()),
            day: (calendar.day)(start.date()),
            time: (calendar.time)(start.time()),
            end_time: (calendar.time)(end.time()),
            zone: languages::offset(&start),
            zone_name: start.time_zone().iana_name().unwrap_or("UTC").to_owned(),
            reason: cut(&line(notice.reason.as_deref().unwrap_or_default()), lengths.reason),
        }
    }

    /// All variables, in the order of [`NAMES`].
    pub(crate) fn values(&self) -> [(&'static str, &str); NAMES.len()] {
        [
            ("appointment_id", &self.appointment_id),
            ("city", &self.city),
            ("date", &self.date),
            ("day", &self.day),
            ("doctor", &self.doctor),
            ("end_time", &self.end_time),
            ("kind", self.kind),
            ("patient", &self.patient),
            ("place", &self.place),
            ("place_line", &self.place_line),
            ("reason", &self.reason),
            ("recipient", self.recipient),
            ("time", &self.time),
            ("zone", &self.zone),
            ("zone_name", &self.zone_name),
        ]
    }
}

/// The instant in this zone; an unknown zone, or an instant outside of the calendar, is told in UTC.
fn local(millis: i64, zone: &str) -> Zoned {
    let instant = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    instant.to_zoned(TimeZone::get(zone).unwrap_or(TimeZone::UTC))
}

/// One line of text: what breaks lines or turns the direction of writing is gone, blanks are single.
pub(crate) fn line(text: &str) -> String {
    let turns = |character: char| matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = |character: char| {
        character.is_control() || character.is_whitespace() && !matches!(character, '\u{a0}' | '\u{202f}')
    };
    let mut clean = String::with_capacity(text.len());
    for character in text.chars().filter(|character| !turns(*character)) {
        if !breaks(character) {
            clean.push(character);
        } else if !clean.is_empty() && !clean.ends_with(' ') {
            clean.push(' ');
        }
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// At most `max` characters; three dots say that there were more.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max.saturating_sub(3)).collect();
    format!("{}...", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_values() {
        let notice = crate::render::own::sample(crate::Kind::Reminder, crate::Recipient::Patient);
        let facts = Facts::new(&notice, languages::calendar("en"), Lengths::WHOLE);
        assert_eq!(facts.values().map(|(name, _)| name), NAMES);
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(line(" a\r\n b\u{2028}c\u{202e}d\0e\t"), "a b cd e");
        assert_eq!(line("\u{1b}[31mred"), "[31mred");
    }

    #[test]
    fn what_is_too_long_ends_in_dots() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß äöü", 7), "äöüß...");
        assert_eq!(cut("äöüß äöü", 8).chars().count(), 8);
    }
}
