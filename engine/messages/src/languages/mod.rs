//! The six languages: their words, and how they write days and times.
//! Must not know: which message is rendered, for which channel.

mod de;
mod en;
mod fr;
mod neutral;
mod ru;
mod uk;
mod zh;

use jiff::civil::Weekday;
use jiff::{Zoned, civil};

use crate::notice::{Kind, Recipient};

/// How one language says it. Texts with `{{ … }}` are templates.
pub(crate) struct Language {
    /// Its tag, in lower case.
    pub(crate) tag: &'static str,
    /// Days and times.
    pub(crate) calendar: Calendar,
    /// What the patient is told, by [`Kind`].
    pub(crate) patient: Words,
    /// What the doctor is told, by [`Kind`].
    pub(crate) doctor: Words,
    /// With the recipient's `name`, or without if it is empty.
    pub(crate) greeting: &'static str,
    /// Before each fact, with the punctuation.
    pub(crate) labels: Labels,
    /// Day, time and zone in a line of their own: of `date`, `time` and `zone`.
    pub(crate) when: &'static str,
    /// One line for the subject: of `title`, `name` (the other side's), `day` and `time`.
    pub(crate) subject: &'static str,
    /// A whole text message: of `title`, `day`, `time`, `zone`, `name`, `place_line`.
    pub(crate) short: &'static str,
    /// What stands in a calendar: of `name` (the other side's).
    pub(crate) summary: &'static str,
    /// Asks the patient to give back a place that is not needed.
    pub(crate) closing: &'static str,
}

/// How days and times are written.
pub(crate) struct Calendar {
    /// A whole date, with weekday and year.
    pub(crate) date: fn(civil::Date) -> String,
    /// A short date, with weekday and without the year.
    pub(crate) day: fn(civil::Date) -> String,
    /// Hour and minute.
    pub(crate) time: fn(civil::Time) -> String,
}

/// What is said for each kind.
pub(crate) struct Words {
    pub(crate) reminder: Saying,
    pub(crate) confirmation: Saying,
    pub(crate) change: Saying,
    pub(crate) cancellation: Saying,
}

/// One kind's words.
pub(crate) struct Saying {
    /// A few words, without an end of sentence.
    pub(crate) title: &'static str,
    /// One or two sentences.
    pub(crate) lead: &'static str,
}

/// What stands before a fact.
pub(crate) struct Labels {
    pub(crate) when: &'static str,
    pub(crate) doctor: &'static str,
    pub(crate) patient: &'static str,
    pub(crate) place: &'static str,
    pub(crate) reason: &'static str,
}

impl Language {
    /// The words for this kind and recipient.
    pub(crate) fn saying(&self, kind: Kind, recipient: Recipient) -> &Saying {
        let words = match recipient {
            Recipient::Patient => &self.patient,
            Recipient::Doctor => &self.doctor,
        };
        match kind {
            Kind::Reminder => &words.reminder,
            Kind::Confirmation => &words.confirmation,
            Kind::Change => &words.change,
            Kind::Cancellation => &words.cancellation,
        }
    }
}

/// Every language, and the variants that write times otherwise.
pub(crate) static ALL: [&Language; 7] = [&en::EN, &en::EN_US, &ru::RU, &uk::UK, &zh::ZH, &de::DE, &fr::FR];

/// The language for this tag: the tag itself, then without its last subtag, and so on (RFC 4647, lookup); in the end English.
pub(crate) fn find(tag: &str) -> &'static Language {
    ranges(tag).find_map(|range| ALL.into_iter().find(|language| language.tag == range)).unwrap_or(&en::EN)
}

/// How days and times are written in a language that may be none of ours: then as ISO 8601 does, which misleads nobody.
pub(crate) fn calendar(tag: &str) -> &'static Calendar {
    ranges(tag)
        .find_map(|range| ALL.into_iter().find(|language| language.tag == range))
        .map_or(&neutral::NEUTRAL, |language| &language.calendar)
}

/// The tag in lower case, then ever less of it.
pub(crate) fn ranges(tag: &str) -> impl Iterator<Item = String> {
    let whole = tag.trim().to_ascii_lowercase().replace('_', "-");
    std::iter::successors(Some(whole), |range| range.rsplit_once('-').map(|(shorter, _)| shorter.to_owned()))
}

/// The offset from UTC at that instant, such as `UTC+1` or `UTC+5:30`: it also tells the two hours apart that a clock change repeats.
pub(crate) fn offset(zoned: &Zoned) -> String {
    let minutes = zoned.offset().seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    match (minutes.abs() / 60, minutes.abs() % 60) {
        (0, 0) => "UTC".to_owned(),
        (hours, 0) => format!("UTC{sign}{hours}"),
        (hours, rest) => format!("UTC{sign}{hours}:{rest:02}"),
    }
}

/// `names` begins with Monday.
fn weekday(names: &[&'static str; 7], day: Weekday) -> &'static str {
    // Between 0 and 6 by what Monday-based means.
    names[usize::try_from(day.to_monday_zero_offset()).unwrap_or_default()]
}

/// `names` begins with January.
fn month(names: &[&'static str; 12], date: civil::Date) -> &'static str {
    names[usize::try_from(date.month() - 1).unwrap_or_default()]
}

/// `14:05`, as most do.
fn colon(time: civil::Time) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_fall_back_to_the_nearest_language_and_then_to_english() {
        for (tag, found) in [
            ("de-AT", "de"),
            ("DE_ch", "de"),
            ("zh-Hant-TW", "zh"),
            ("en-US", "en-us"),
            ("en-US-posix", "en-us"),
            ("en-GB", "en"),
            ("uk", "uk"),
            ("pt-BR", "en"),
            ("", "en"),
            ("-", "en"),
        ] {
            assert_eq!(find(tag).tag, found, "{tag}");
        }
    }

    #[test]
    fn each_language_writes_days_and_times_its_own_way() {
        let date = civil::date(2027, 3, 1);
        let time = civil::time(14, 5, 0, 0);
        for (tag, whole, short, clock) in [
            ("en", "Monday, 1 March 2027", "Mon 1 Mar", "14:05"),
            ("en-US", "Monday, March 1, 2027", "Mon, Mar 1", "2:05 PM"),
            ("ru", "понедельник, 1 марта 2027 г.", "пн, 1 марта", "14:05"),
            ("uk", "понеділок, 1 березня 2027 р.", "пн, 1 березня", "14:05"),
            ("zh", "2027年3月1日星期一", "3月1日（周一）", "14:05"),
            ("de", "Montag, 1. März 2027", "Mo., 1. März", "14:05 Uhr"),
            ("fr", "lundi 1er mars 2027", "lun. 1er mars", "14 h 05"),
            ("pt", "2027-03-01", "2027-03-01", "14:05"),
        ] {
            let calendar = calendar(tag);
            assert_eq!((calendar.date)(date), whole);
            assert_eq!((calendar.day)(date), short);
            assert_eq!((calendar.time)(time), clock);
        }
        let clock = (calendar("en-us").time)(civil::time(0, 30, 0, 0));
        assert_eq!(clock, "12:30 AM");
        assert_eq!((calendar("en-us").time)(civil::time(12, 0, 0, 0)), "12:00 PM");
    }

    #[test]
    fn offsets_are_told_with_their_minutes() {
        for (zone, told) in [
            ("Europe/Berlin", "UTC+1"),
            ("Asia/Kolkata", "UTC+5:30"),
            ("America/St_Johns", "UTC-3:30"),
            ("Africa/Abidjan", "UTC"),
        ] {
            let zoned = civil::date(2027, 1, 1).in_tz(zone).expect("a zone");
            assert_eq!(offset(&zoned), told);
        }
    }
}
