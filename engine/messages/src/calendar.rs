//! A visit as calendars take it (RFC 5545, RFC 5546): the same id for life, a sequence that rises with the appointment's version.
//! Must not know: which channel carries it.
//!
//! Instants are in UTC: right on both sides of every clock change, whatever rules the reader's machine has.

use icalendar::{Attendee, CUType, Calendar, Component, EventLike, EventStatus, PartStat, Property, Role};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

/// What a calendar is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Put it in, or bring it up to date.
    Request,
    /// Take it out.
    Cancel,
}

impl Method {
    /// As the format writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Request => "REQUEST",
            Self::Cancel => "CANCEL",
        }
    }
}

/// A visit in one of its versions. Texts are plain; what the format needs is escaped when it is written.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id in every version.
    pub appointment_id: Uuid,
    /// The higher, the newer.
    pub version: u32,
    /// What to do.
    pub method: Method,
    /// Title.
    pub summary: String,
    /// Where; empty: not said.
    pub location: String,
    /// A sentence.
    pub description: String,
    /// Milliseconds since 1970.
    pub start_ms: i64,
    /// Milliseconds since 1970.
    pub end_ms: i64,
}

impl Event {
    /// The whole file. `parties` are the checked mail addresses of who invites and who is invited, where the channel knows them; `stamp_ms`
    /// is the instant of writing.
    pub fn to_ics(&self, parties: Option<(&str, &str)>, stamp_ms: i64) -> String {
        let mut event = icalendar::Event::new();
        event.uid(&self.appointment_id.to_string()).sequence(self.version).summary(&self.summary);
        event.description(&self.description);
        if !self.location.is_empty() {
            event.location(&self.location);
        }
        for (key, millis) in [("DTSTAMP", stamp_ms), ("DTSTART", self.start_ms), ("DTEND", self.end_ms)] {
            event.add_property(key, utc(millis));
        }
        if let Some((organizer, attendee)) = parties {
            event.append_property(Property::new("ORGANIZER", format!("mailto:{organizer}")));
            let guest = Attendee::new(format!("mailto:{attendee}"))
                .cutype(CUType::Individual)
                .role(Role::ReqParticipant)
                .partstat(PartStat::Accepted)
                .rsvp(false);
            event.attendee(guest);
        }
        event.status(match self.method {
            Method::Request => EventStatus::Confirmed,
            Method::Cancel => EventStatus::Cancelled,
        });
        let mut calendar = Calendar::empty();
        for (key, value) in [
            ("VERSION", "2.0"),
            ("PRODID", "-//hotslot//appointments//EN"),
            ("CALSCALE", "GREGORIAN"),
            ("METHOD", self.method.word()),
        ] {
            calendar.append_property(Property::new(key, value));
        }
        calendar.push(event.done());
        calendar.to_string()
    }
}

/// `20270302T093000Z`; an instant outside of the calendar is the first of all.
fn utc(millis: i64) -> String {
    let instant = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    instant.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::{ChannelKind, Kind, Recipient};
    use crate::render::own::sample;
    use crate::render::render;

    fn written(kind: Kind, version: u32) -> String {
        let mut notice = sample(kind, Recipient::Patient);
        notice.version = version;
        notice.place = "Haus A; 2. Stock, links\\hinten \"neu\"".to_owned();
        let event = render(&notice, ChannelKind::Email, None).expect("ours").calendar.expect("mail has one");
        event.to_ics(Some(("praxis@example.org", "ada@example.org")), 1_803_000_000_123)
    }

    fn read(text: &str) -> (Calendar, icalendar::Event) {
        let calendar: Calendar = text.parse().expect("a calendar");
        let event = calendar.events().next().expect("an event").clone();
        (calendar, event)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let (calendar, event) = read(&written(Kind::Confirmation, 1));
        assert_eq!(calendar.property_value("METHOD"), Some("REQUEST"));
        assert_eq!(event.get_uid(), Some("01980000-0000-7000-8000-000000000001"));
        assert_eq!(event.get_sequence(), Some(1));
        assert_eq!(event.get_summary(), Some("Appointment: Dr. Clara Weiss"));
        assert_eq!(event.get_location(), Some("Haus A; 2. Stock, links\\hinten \"neu\", Berlin"));
        assert_eq!(event.property_value("DTSTART"), Some("20270302T093000Z"));
        assert_eq!(event.property_value("DTEND"), Some("20270302T095000Z"));
        assert_eq!(event.property_value("ORGANIZER"), Some("mailto:praxis@example.org"));
        assert_eq!(event.get_attendees().len(), 1);
        assert_eq!(event.get_status(), Some(EventStatus::Confirmed));
    }

    #[test]
    fn later_versions_have_the_same_id_and_a_higher_sequence_and_the_last_cancels() {
        let all = [(Kind::Confirmation, 1), (Kind::Change, 2), (Kind::Reminder, 2), (Kind::Cancellation, 3)];
        let read: Vec<_> = all.into_iter().map(|(kind, version)| read(&written(kind, version))).collect();
        let ids: Vec<_> = read.iter().map(|(_, event)| event.get_uid()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
        let sequences: Vec<_> = read.iter().filter_map(|(_, event)| event.get_sequence()).collect();
        assert_eq!(sequences, [1, 2, 2, 3]);
        let methods: Vec<_> = read.iter().filter_map(|(calendar, _)| calendar.property_value("METHOD")).collect();
        assert_eq!(methods, ["REQUEST", "REQUEST", "REQUEST", "CANCEL"]);
        assert_eq!(read[3].1.get_status(), Some(EventStatus::Cancelled));
    }

    #[test]
    fn without_addresses_it_is_the_same_visit_without_people() {
        for kind in Kind::ALL {
            let event = render(&sample(kind, Recipient::Patient), ChannelKind::Webhook, None).expect("ours").calendar;
            let event = event.expect("every channel but text messages has one");
            let ((with, of_mail), (without, bare)) =
                (read(&event.to_ics(Some(("a@b.org", "c@d.org")), 0)), read(&event.to_ics(None, 0)));
            let told = |event: &icalendar::Event| (event.get_uid().map(str::to_owned), event.get_sequence());
            assert_eq!(told(&of_mail), told(&bare));
            assert_eq!(with.property_value("METHOD"), without.property_value("METHOD"));
            assert!(bare.property_value("ORGANIZER").is_none() && bare.get_attendees().is_empty());
        }
    }

    #[test]
    fn lines_are_folded_and_end_as_the_format_wants() {
        let text = written(Kind::Reminder, 4);
        for line in text.split("\r\n") {
            assert!(line.len() <= 75 && !line.contains(['\r', '\n']), "{line:?}");
        }
        assert!(text.ends_with("END:VCALENDAR\r\n"));
    }
}
