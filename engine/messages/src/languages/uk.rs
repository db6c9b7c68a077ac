//! Ukrainian.
//! Must not know: which message is rendered.

use super::{Calendar, Labels, Language, Saying, Words, colon, month, weekday};

const WEEKDAYS: [&str; 7] = ["понеділок", "вівторок", "середа", "четвер", "п’ятниця", "субота", "неділя"];
const DAYS: [&str; 7] = ["пн", "вт", "ср", "чт", "пт", "сб", "нд"];
/// In the genitive, as after a number.
const MONTHS: [&str; 12] = [
    "січня",
    "лютого",
    "березня",
    "квітня",
    "травня",
    "червня",
    "липня",
    "серпня",
    "вересня",
    "жовтня",
    "листопада",
    "грудня",
];

/// Names stand after a colon or a dash: so nothing has to be declined.
pub(super) static UK: Language = Language {
    tag: "uk",
    calendar: Calendar {
        date: |date| {
            let weekday = weekday(&WEEKDAYS, date.weekday());
            format!("{weekday}, {} {} {} р.", date.day(), month(&MONTHS, date), date.year())
        },
        day: |date| format!("{}, {} {}", weekday(&DAYS, date.weekday()), date.day(), month(&MONTHS, date)),
        time: colon,
    },
    patient: Words {
        reminder: Saying {
            title: "Нагадування про прийом", lead: "Нагадуємо вам про майбутній прийом."
        },
        confirmation: Saying {
            title: "Вас записано на прийом", lead: "Вас записано на прийом."
        },
        change: Saying {
            title: "Прийом перенесено", lead: "Ваш прийом перенесено. Новий час:"
        },
        cancellation: Saying {
            title: "Прийом скасовано",
            lead: "Ваш прийом скасовано. Його було призначено на цей час:",
        },
    },
    doctor: Words {
        reminder: Saying {
            title: "Майбутній прийом", lead: "У вас незабаром прийом."
        },
        confirmation: Saying {
            title: "Новий запис на прийом", lead: "До вас записався пацієнт."
        },
        change: Saying {
            title: "Прийом перенесено", lead: "Прийом у вас перенесено. Новий час:"
        },
        cancellation: Saying {
            title: "Прийом скасовано",
            lead: "Прийом у вас скасовано. Його було призначено на цей час:",
        },
    },
    greeting: "Вітаємо{% if name %}, {{ name }}{% endif %}!",
    labels: Labels {
        when: "Коли: ", doctor: "Лікар: ", patient: "Пацієнт: ", place: "Де: ", reason: "Причина: "
    },
    when: "{{ date }}, {{ time }} ({{ zone }})",
    subject: "{{ title }}: {{ day }}, {{ time }}{% if name %} — {{ name }}{% endif %}",
    short: "{{ title }}: {{ day }}, {{ time }} ({{ zone }})\
        {% if name %}, {{ name }}{% endif %}{% if place_line %}, {{ place_line }}{% endif %}",
    summary: "Прийом{% if name %}: {{ name }}{% endif %}",
    closing: "Якщо ви не зможете прийти, будь ласка, скасуйте запис заздалегідь: цей час займе інший пацієнт.",
};
