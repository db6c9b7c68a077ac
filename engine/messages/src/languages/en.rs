//! English, and what Americans write otherwise.
//! Must not know: which message is rendered.

use super::{Calendar, Labels, Language, Saying, Words, colon, month, weekday};

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const MONTHS_SHORT: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const BRITISH: Calendar = Calendar {
    date: |date| {
        let weekday = weekday(&WEEKDAYS, date.weekday());
        format!("{weekday}, {} {} {}", date.day(), month(&MONTHS, date), date.year())
    },
    day: |date| format!("{} {} {}", weekday(&DAYS, date.weekday()), date.day(), month(&MONTHS_SHORT, date)),
    time: colon,
};

const AMERICAN: Calendar = Calendar {
    date: |date| {
        let weekday = weekday(&WEEKDAYS, date.weekday());
        format!("{weekday}, {} {}, {}", month(&MONTHS, date), date.day(), date.year())
    },
    day: |date| format!("{}, {} {}", weekday(&DAYS, date.weekday()), month(&MONTHS_SHORT, date), date.day()),
    time: |time| {
        let half = if time.hour() < 12 { "AM" } else { "PM" };
        let hour = match time.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        format!("{hour}:{:02} {half}", time.minute())
    },
};

const fn english(tag: &'static str, calendar: Calendar) -> Language {
    Language {
        tag,
        calendar,
        patient: Words {
            reminder: Saying { title: "Reminder", lead: "This is a reminder of your appointment." },
            confirmation: Saying { title: "Appointment booked", lead: "Your appointment is booked." },
            change: Saying {
                title: "Appointment moved",
                lead: "Your appointment has been moved. This is when it takes place now:",
            },
            cancellation: Saying {
                title: "Appointment cancelled",
                lead: "Your appointment has been cancelled. It would have been:",
            },
        },
        doctor: Words {
            reminder: Saying { title: "Upcoming appointment", lead: "You have an appointment coming up." },
            confirmation: Saying { title: "New appointment", lead: "An appointment with you has been booked." },
            change: Saying {
                title: "Appointment moved",
                lead: "An appointment with you has been moved. This is when it takes place now:",
            },
            cancellation: Saying {
                title: "Appointment cancelled",
                lead: "An appointment with you has been cancelled. It would have been:",
            },
        },
        greeting: "Hello{% if name %} {{ name }}{% endif %},",
        labels: Labels { when: "When: ", doctor: "With: ", patient: "Patient: ", place: "Where: ", reason: "Reason: " },
        when: "{{ date }}, {{ time }} ({{ zone }})",
        subject: "{{ title }}: {% if name %}{{ name }}, {% endif %}{{ day }}, {{ time }}",
        short: "{{ title }}: {{ day }}, {{ time }} ({{ zone }})\
            {% if name %}, {{ name }}{% endif %}{% if place_line %}, {{ place_line }}{% endif %}",
        summary: "Appointment{% if name %}: {{ name }}{% endif %}",
        closing: "If you cannot come, please cancel in time, so that somebody else can have the appointment.",
    }
}

/// English with days before months and 24 hours.
pub(super) static EN: Language = english("en", BRITISH);
/// English with months before days and twice 12 hours.
pub(super) static EN_US: Language = english("en-us", AMERICAN);
