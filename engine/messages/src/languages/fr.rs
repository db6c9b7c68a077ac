//! French. Before a colon stands a narrow no-break space.
//! Must not know: which message is rendered.

use jiff::civil;

use super::{Calendar, Labels, Language, Saying, Words, month, weekday};

const WEEKDAYS: [&str; 7] = ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"];
const DAYS: [&str; 7] = ["lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."];
const MONTHS: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];

/// Only the first of a month is an ordinal.
fn day_and_month(date: civil::Date) -> String {
    let ordinal = if date.day() == 1 { "er" } else { "" };
    format!("{}{ordinal} {}", date.day(), month(&MONTHS, date))
}

pub(super) static FR: Language = Language {
    tag: "fr",
    calendar: Calendar {
        date: |date| format!("{} {} {}", weekday(&WEEKDAYS, date.weekday()), day_and_month(date), date.year()),
        day: |date| format!("{} {}", weekday(&DAYS, date.weekday()), day_and_month(date)),
        time: |time| format!("{} h {:02}", time.hour(), time.minute()),
    },
    patient: Words {
        reminder: Saying { title: "Rappel de rendez-vous", lead: "Nous vous rappelons votre rendez-vous." },
        confirmation: Saying { title: "Rendez-vous confirmé", lead: "Votre rendez-vous est confirmé." },
        change: Saying {
            title: "Rendez-vous déplacé",
            lead: "Votre rendez-vous a été déplacé. Voici le nouvel horaire\u{202f}:",
        },
        cancellation: Saying {
            title: "Rendez-vous annulé",
            lead: "Votre rendez-vous a été annulé. Il était prévu à cette date\u{202f}:",
        },
    },
    doctor: Words {
        reminder: Saying { title: "Rendez-vous à venir", lead: "Vous avez prochainement un rendez-vous." },
        confirmation: Saying { title: "Nouveau rendez-vous", lead: "Un rendez-vous a été pris avec vous." },
        change: Saying {
            title: "Rendez-vous déplacé",
            lead: "Un rendez-vous avec vous a été déplacé. Voici le nouvel horaire\u{202f}:",
        },
        cancellation: Saying {
            title: "Rendez-vous annulé",
            lead: "Un rendez-vous avec vous a été annulé. Il était prévu à cette date\u{202f}:",
        },
    },
    greeting: "Bonjour{% if name %} {{ name }}{% endif %},",
    labels: Labels {
        when: "Quand\u{202f}: ",
        doctor: "Avec\u{202f}: ",
        patient: "Patient(e)\u{202f}: ",
        place: "Où\u{202f}: ",
        reason: "Motif\u{202f}: ",
    },
    when: "{{ date }} à {{ time }} ({{ zone }})",
    subject: "{{ title }}\u{202f}: {{ day }} à {{ time }}{% if name %}, {{ name }}{% endif %}",
    short: "{{ title }}: {{ day }} à {{ time }} ({{ zone }})\
        {% if name %}, {{ name }}{% endif %}{% if place_line %}, {{ place_line }}{% endif %}",
    summary: "Rendez-vous{% if name %}\u{202f}: {{ name }}{% endif %}",
    closing: "En cas d’empêchement, merci d’annuler à temps afin de libérer la place pour une autre personne.",
};
