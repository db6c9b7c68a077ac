//! Russian.
//! Must not know: which message is rendered.

use super::{Calendar, Labels, Language, Saying, Words, colon, month, weekday};

const WEEKDAYS: [&str; 7] = ["понедельник", "вторник", "среда", "четверг", "пятница", "суббота", "воскресенье"];
const DAYS: [&str; 7] = ["пн", "вт", "ср", "чт", "пт", "сб", "вс"];
/// In the genitive, as after a number.
const MONTHS: [&str; 12] = [
    "января",
    "февраля",
    "марта",
    "апреля",
    "мая",
    "июня",
    "июля",
    "августа",
    "сентября",
    "октября",
    "ноября",
    "декабря",
];

/// Names stand after a colon or a dash: so nothing has to be declined.
pub(super) static RU: Language = Language {
    tag: "ru",
    calendar: Calendar {
        date: |date| {
            let weekday = weekday(&WEEKDAYS, date.weekday());
            format!("{weekday}, {} {} {} г.", date.day(), month(&MONTHS, date), date.year())
        },
        day: |date| format!("{}, {} {}", weekday(&DAYS, date.weekday()), date.day(), month(&MONTHS, date)),
        time: colon,
    },
    patient: Words {
        reminder: Saying {
            title: "Напоминание о приёме", lead: "Напоминаем вам о предстоящем приёме."
        },
        confirmation: Saying {
            title: "Вы записаны на приём", lead: "Вы записаны на приём."
        },
        change: Saying {
            title: "Приём перенесён", lead: "Ваш приём перенесён. Новое время:"
        },
        cancellation: Saying {
            title: "Приём отменён", lead: "Ваш приём отменён. Он был назначен на это время:"
        },
    },
    doctor: Words {
        reminder: Saying { title: "Предстоящий приём", lead: "У вас скоро приём." },
        confirmation: Saying {
            title: "Новая запись на приём", lead: "К вам записался пациент."
        },
        change: Saying {
            title: "Приём перенесён", lead: "Приём у вас перенесён. Новое время:"
        },
        cancellation: Saying {
            title: "Приём отменён", lead: "Приём у вас отменён. Он был назначен на это время:"
        },
    },
    greeting: "Здравствуйте{% if name %}, {{ name }}{% endif %}!",
    labels: Labels {
        when: "Когда: ", doctor: "Врач: ", patient: "Пациент: ", place: "Где: ", reason: "Причина: "
    },
    when: "{{ date }}, {{ time }} ({{ zone }})",
    subject: "{{ title }}: {{ day }}, {{ time }}{% if name %} — {{ name }}{% endif %}",
    short: "{{ title }}: {{ day }}, {{ time }} ({{ zone }})\
        {% if name %}, {{ name }}{% endif %}{% if place_line %}, {{ place_line }}{% endif %}",
    summary: "Приём{% if name %}: {{ name }}{% endif %}",
    closing: "Если вы не сможете прийти, пожалуйста, отмените запись заранее: это время займёт другой пациент.",
};
