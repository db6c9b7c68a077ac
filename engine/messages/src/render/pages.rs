//! The templates as compiled: ours once for the process, the operator's at each use. Strict about variables, bounded in work and size.
//! Must not know: which template is right for whom, how a message leaves.

use std::io;
use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

use super::facts::{Facts, Lengths};
use super::{Rendered, SHORT_MAX, SUBJECT_MAX, event, other_name};
use crate::languages::{self, Language};
use crate::notice::{ChannelKind, Kind, Notice, Recipient};

/// Steps that one rendering may take: ours need less than a tenth.
const FUEL: u64 = 20_000;
/// Most bytes of one rendering: four times what the longest text of four-byte characters has.
const BYTES_MAX: usize = 64 << 10;

const PLAIN: &str = "{{ greeting }}\n\n{{ lead }}\n\n\
    {% for fact in facts %}{{ fact[0] }}{{ fact[1] }}\n{% endfor %}\
    {% if closing %}\n{{ closing }}\n{% endif %}";
const MAIL: &str = "<!DOCTYPE html>\n<html lang=\"{{ language }}\">\n<head><meta charset=\"utf-8\"></head>\n\
    <body style=\"font-family: sans-serif; line-height: 1.5\">\n<p>{{ greeting }}</p>\n<p>{{ lead }}</p>\n<p>\n\
    {% for fact in facts %}{{ fact[0] }}<strong>{{ fact[1] }}</strong><br>\n{% endfor %}</p>\n\
    {% if closing %}<p>{{ closing }}</p>\n{% endif %}</body>\n</html>\n";
const TELEGRAM: &str = "{{ greeting }}\n\n{{ lead }}\n\n\
    {% for fact in facts %}{{ fact[0] }}<b>{{ fact[1] }}</b>\n{% endfor %}\
    {% if closing %}\n{{ closing }}\n{% endif %}";
const PARAGRAPHS: &str = "<!DOCTYPE html>\n<html lang=\"{{ language }}\">\n<head><meta charset=\"utf-8\"></head>\n\
    <body style=\"font-family: sans-serif; line-height: 1.5\">\n\
    {% for lines in paragraphs %}<p>{% for line in lines %}{{ line }}{% if not loop.last %}<br>\n{% endif %}{% endfor %}</p>\n\
    {% endfor %}</body>\n</html>\n";

/// Ours, compiled once. Languages' own lines are `{tag}/{part}`.
static OURS: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut ours = environment();
    let mut add = |name: String, text: &'static str| {
        ours.add_template_owned(name, text).expect("our templates compile: the tests render each of them");
    };
    for (name, text) in [("plain", PLAIN), ("mail.html", MAIL), ("telegram.html", TELEGRAM)] {
        add(name.to_owned(), text);
    }
    add("paragraphs.html".to_owned(), PARAGRAPHS);
    add("escaped.html".to_owned(), "{{ text }}");
    for language in languages::ALL {
        for (part, text) in [
            ("greeting", language.greeting),
            ("when", language.when),
            ("subject", language.subject),
            ("short", language.short),
            ("summary", language.summary),
        ] {
            add(format!("{}/{part}", language.tag), text);
        }
    }
    ours
});

/// Nothing built in, strict, bounded; what ends in `.html` is escaped.
pub(super) fn environment<'a>() -> Environment<'a> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(
        |name| {
            if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
        },
    );
    environment.add_filter("upper", |text: String| text.to_uppercase());
    environment.add_filter("lower", |text: String| text.to_lowercase());
    environment
}

/// Bytes up to a bound; more is an error of writing.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > BYTES_MAX {
            return Err(io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One of the operator's, rendered as plain text.
pub(super) fn own(source: &str, facts: &Facts) -> Result<String, minijinja::Error> {
    let environment = environment();
    let template = environment.template_from_named_str("own", source)?;
    let mut bytes = Bounded(Vec::new());
    template.render_captured_to(Value::from_pairs(facts.values()), &mut bytes)?;
    // Whatever is rendered was text; nothing is lost.
    Ok(String::from_utf8_lossy(&bytes.0).into_owned())
}

/// One of ours. Nothing given from outside makes it fail: variables are always all there, and values are of bounded length.
fn ours(name: &str, values: Value) -> String {
    let rendered = OURS.get_template(name).and_then(|template| template.render(values));
    rendered.expect("our templates render with all of their variables: the tests render each of them")
}

/// The same text where `<`, `>`, `&` and quotes have a meaning.
pub(super) fn escaped(text: &str) -> String {
    ours("escaped.html", context! { text })
}

/// A page of a plain text: empty lines part paragraphs.
pub(super) fn paragraphs(language: &str, text: &str) -> String {
    let lines = |paragraph: &str| Value::from_iter(paragraph.lines().map(Value::from));
    let paragraphs: Vec<Value> = text.split("\n\n").map(lines).collect();
    ours("paragraphs.html", context! { language, paragraphs })
}

/// In our words.
pub(super) fn built_in(notice: &Notice, language: &Language, channel: ChannelKind, lengths: Lengths) -> Rendered {
    let facts = Facts::new(notice, &language.calendar, lengths);
    let saying = language.saying(notice.kind, notice.recipient);
    let part = |part: &str, values: Value| ours(&format!("{}/{part}", language.tag), values);
    let Facts { date, day, time, zone, place_line, .. } = &facts;
    let (title, name) = (saying.title, other_name(&facts, notice.recipient));
    let subject = super::facts::cut(&part("subject", context! { title, name, day, time }), SUBJECT_MAX);
    if channel == ChannelKind::Sms {
        let text = part("short", context! { title, day, time, zone, name, place_line });
        return Rendered { subject, text: super::facts::cut(&text, SHORT_MAX), html: None, calendar: None };
    }
    let when = part("when", context! { date, time, zone });
    let labels = &language.labels;
    let mut lines = vec![(labels.when, when.as_str())];
    let other_label = if notice.recipient == Recipient::Patient { labels.doctor } else { labels.patient };
    lines.extend([(other_label, name), (labels.place, place_line), (labels.reason, &facts.reason)]);
    let lines: Vec<Value> = lines
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| Value::from_iter([Value::from(label), Value::from(value)]))
        .collect();
    let greeted = match notice.recipient {
        Recipient::Patient => &facts.patient,
        Recipient::Doctor => &facts.doctor,
    };
    let asks = notice.recipient == Recipient::Patient && notice.kind != Kind::Cancellation;
    let values = context! {
        language => language.tag,
        greeting => part("greeting", context! { name => greeted }),
        lead => saying.lead,
        facts => lines,
        closing => if asks { language.closing } else { "" },
    };
    let text = |page: &str| ours(page, values.clone()).trim_end().to_owned();
    let is_mail = channel == ChannelKind::Email;
    let calendar =
        event(notice, part("summary", context! { name }), &facts, saying.lead.trim_end_matches(':').to_owned());
    Rendered {
        subject,
        html: is_mail.then(|| text("mail.html")),
        text: text(if channel == ChannelKind::Telegram { "telegram.html" } else { "plain" }),
        calendar: Some(calendar),
    }
}
