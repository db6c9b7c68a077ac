//! Days as the tests publish them: slots on a grid, releases, and the handle to a day that is there.
//! Must not know: how they are sent.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::clock::now;

/// Today's date in UTC.
pub fn today() -> Date {
    now().to_zoned(TimeZone::UTC).date()
}

/// The date so many days after today, in UTC. Tests plan a few days ahead, so that midnight changes nothing.
pub fn days_ahead(days: i64) -> Date {
    today().checked_add(days.days()).expect("a date of this era")
}

/// The instant of that wall time, such as `09:00`, on that date, in UTC.
pub fn instant(date: Date, wall_time: &str) -> Timestamp {
    format!("{date}T{wall_time}:00Z").parse().expect("a wall time")
}

/// The first whole second that lies at least `ahead` away.
pub fn next_whole_second(ahead: SignedDuration) -> Timestamp {
    let millis = (now() + ahead).as_millisecond();
    Timestamp::from_second(millis.div_euclid(1000) + 1).expect("an instant of this era")
}

/// An instant as the program writes it: UTC with `Z` and milliseconds.
pub fn text_of(instant: Timestamp) -> String {
    format!("{instant:.3}")
}

/// The body of a PUT of a day.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Start, end, capacity of each slot.
    pub slots: Vec<(Timestamp, Timestamp, u32)>,
    /// Every other field of the body.
    pub extra: Value,
}

impl Plan {
    /// Slots of equal length that follow each other.
    pub fn grid(first_start: Timestamp, slots: usize, slot_length: SignedDuration, capacity: u32) -> Self {
        let slots = (0..slots)
            .map(|index| first_start + slot_length * index as i32)
            .map(|start| (start, start + slot_length, capacity))
            .collect();
        Self { slots, extra: json!({}) }
    }

    /// Slots of a quarter of an hour from 08:00 UTC on, three days ahead, one place each, open at once.
    pub fn quarters(slots: usize) -> Self {
        Self::quarters_of(slots, 1)
    }

    /// As [`Plan::quarters`], with `capacity` places each.
    pub fn quarters_of(slots: usize, capacity: u32) -> Self {
        Self::grid(instant(days_ahead(3), "08:00"), slots, SignedDuration::from_mins(15), capacity)
    }

    /// The same plan so many days later.
    pub fn later(mut self, days: i64) -> Self {
        for (start, end, _) in &mut self.slots {
            *start += SignedDuration::from_hours(24 * days);
            *end += SignedDuration::from_hours(24 * days);
        }
        self
    }

    /// Sets a field of the body beside the slots.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra[name] = value.into();
        self
    }

    /// Opens at `at` for everyone.
    pub fn released_at(self, at: Timestamp) -> Self {
        self.with("release_at", text_of(at))
    }

    /// The body to send. A capacity of 1 is left out: it is the default.
    pub fn body(&self) -> Value {
        let slots: Vec<Value> = self
            .slots
            .iter()
            .map(|(start, end, capacity)| {
                let mut slot = json!({"start": text_of(*start), "end": text_of(*end)});
                if *capacity != 1 {
                    slot["capacity"] = json!(capacity);
                }
                slot
            })
            .collect();
        let mut body = self.extra.clone();
        body["slots"] = Value::Array(slots);
        body
    }

    /// The UTC date of the first start.
    pub fn date(&self) -> String {
        self.slots[0].0.to_zoned(TimeZone::UTC).date().to_string()
    }

    /// The handle of this plan as a day of that doctor, whose zone is UTC.
    pub fn day_of(&self, doctor: &str) -> Day {
        let starts = self.slots.iter().map(|(start, _, _)| *start).collect();
        let capacity = self.slots.iter().map(|(_, _, capacity)| *capacity as usize).sum();
        Day { doctor: doctor.to_owned(), date: self.date(), starts, capacity }
    }
}

/// A day that has been published.
#[derive(Clone, Debug)]
pub struct Day {
    /// The doctor's id.
    pub doctor: String,
    /// ISO date in the doctor's zone.
    pub date: String,
    /// Starts of the slots, in order.
    pub starts: Vec<Timestamp>,
    /// Places of all slots together.
    pub capacity: usize,
}
