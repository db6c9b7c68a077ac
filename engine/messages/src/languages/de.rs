//! German.
//! Must not know: which message is rendered.

use super::{Calendar, Labels, Language, Saying, Words, colon, month, weekday};

const WEEKDAYS: [&str; 7] = ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"];
const DAYS: [&str; 7] = ["Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So."];
const MONTHS: [&str; 12] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
];

pub(super) static DE: Language = Language {
    tag: "de",
    calendar: Calendar {
        date: |date| {
            let weekday = weekday(&WEEKDAYS, date.weekday());
            format!("{weekday}, {}. {} {}", date.day(), month(&MONTHS, date), date.year())
        },
        day: |date| format!("{}, {}. {}", weekday(&DAYS, date.weekday()), date.day(), month(&MONTHS, date)),
        time: |time| format!("{} Uhr", colon(time)),
    },
    patient: Words {
        reminder: Saying { title: "Terminerinnerung", lead: "wir erinnern Sie an Ihren Termin." },
        confirmation: Saying { title: "Termin gebucht", lead: "Ihr Termin ist gebucht." },
        change: Saying { title: "Termin verschoben", lead: "Ihr Termin wurde verschoben. Er findet nun statt:" },
        cancellation: Saying { title: "Termin abgesagt", lead: "Ihr Termin wurde abgesagt. Er war vorgesehen für:" },
    },
    doctor: Words {
        reminder: Saying { title: "Bevorstehender Termin", lead: "Sie haben demnächst einen Termin." },
        confirmation: Saying { title: "Neuer Termin", lead: "bei Ihnen wurde ein Termin gebucht." },
        change: Saying {
            title: "Termin verschoben",
            lead: "ein Termin bei Ihnen wurde verschoben. Er findet nun statt:",
        },
        cancellation: Saying {
            title: "Termin abgesagt",
            lead: "ein Termin bei Ihnen wurde abgesagt. Er war vorgesehen für:",
        },
    },
    greeting: "Guten Tag{% if name %} {{ name }}{% endif %},",
    labels: Labels { when: "Wann: ", doctor: "Bei: ", patient: "Patient/in: ", place: "Wo: ", reason: "Grund: " },
    when: "{{ date }}, {{ time }} ({{ zone }})",
    subject: "{{ title }}: {{ day }}, {{ time }}{% if name %} – {{ name }}{% endif %}",
    short: "{{ title }}: {{ day }}, {{ time }} ({{ zone }})\
        {% if name %}, {{ name }}{% endif %}{% if place_line %}, {{ place_line }}{% endif %}",
    summary: "Termin{% if name %}: {{ name }}{% endif %}",
    closing: "Falls Sie verhindert sind, sagen Sie bitte rechtzeitig ab, damit jemand anderes den Termin nutzen kann.",
};
