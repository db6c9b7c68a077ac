//! Words: every language, kind and recipient; names that would be markup; the operator's templates and what is wrong with them.
//! Must not know: channels' wires.

use std::collections::BTreeMap;

use messages::{
    ChannelKind, Kind, Notice, Recipient, RenderError, Template, TemplateFault, built_in_languages, render, sample,
    validate,
};
use proptest::prelude::*;

fn template(texts: &[(&str, &str, &str)]) -> Template {
    let map = |part: fn(&(&str, &str, &str)) -> String| -> BTreeMap<String, String> {
        texts.iter().map(|entry| (entry.0.to_owned(), part(entry))).collect()
    };
    Template { subject: map(|entry| entry.1.to_owned()), text: map(|entry| entry.2.to_owned()) }
}

fn one(text: &str) -> Template {
    template(&[("en", "News", text)])
}

#[test]
fn every_language_kind_recipient_and_channel_renders_whole() {
    assert_eq!(built_in_languages().into_iter().collect::<Vec<_>>(), ["de", "en", "fr", "ru", "uk", "zh"]);
    let mut seen = std::collections::BTreeSet::new();
    for language in ["en", "en-US", "ru", "uk", "zh", "de", "fr"] {
        for kind in Kind::ALL {
            for recipient in Recipient::ALL {
                let whole = Notice { language: language.to_owned(), ..sample(kind, recipient) };
                let bare =
                    Notice { patient: None, reason: None, place: String::new(), city: String::new(), ..whole.clone() };
                for channel in ChannelKind::ALL {
                    for notice in [&whole, &bare] {
                        let rendered = render(notice, channel, None).expect("ours never fail");
                        for text in [&rendered.subject, &rendered.text] {
                            let odd = ["{{", "}}", "{%", "none", "undefined", ": \n", ", ,", ",,", "()", "  "];
                            assert!(!odd.iter().any(|odd| text.contains(odd)), "{language} {channel:?}: {text}");
                            assert_eq!(text.trim(), text);
                        }
                        assert!(!rendered.subject.contains('\n'));
                    }
                    let text = render(&whole, channel, None).expect("ours").text;
                    let name = if recipient == Recipient::Patient { "Dr. Clara Weiss" } else { "Ada Brandt" };
                    assert!(text.contains(name) && text.contains("UTC+1") && text.contains("Berlin"), "{text}");
                }
                let mail = render(&whole, ChannelKind::Email, None).expect("ours");
                assert!(mail.html.is_some());
                for channel in ChannelKind::ALL {
                    let has_calendar = render(&whole, channel, None).expect("ours").calendar.is_some();
                    assert_eq!(has_calendar, channel != ChannelKind::Sms, "{channel:?}");
                }
                seen.insert(mail.text);
            }
        }
    }
    assert_eq!(seen.len(), 7 * 4 * 2, "no two say the same");
}

#[test]
fn texts_read_as_people_write() {
    let text = |language: &str, kind, recipient| {
        let notice = Notice { language: language.to_owned(), ..sample(kind, recipient) };
        render(&notice, ChannelKind::File, None).expect("ours").text
    };
    assert_eq!(
        text("de-AT", Kind::Reminder, Recipient::Patient),
        "Guten Tag Ada Brandt,\n\nwir erinnern Sie an Ihren Termin.\n\n\
         Wann: Dienstag, 2. März 2027, 10:30 Uhr (UTC+1)\nBei: Dr. Clara Weiss\nWo: Praxis am Markt, Berlin\n\n\
         Falls Sie verhindert sind, sagen Sie bitte rechtzeitig ab, damit jemand anderes den Termin nutzen kann."
    );
    assert_eq!(
        text("ru", Kind::Cancellation, Recipient::Doctor),
        "Здравствуйте, Dr. Clara Weiss!\n\nПриём у вас отменён. Он был назначен на это время:\n\n\
         Когда: вторник, 2 марта 2027 г., 10:30 (UTC+1)\nПациент: Ada Brandt\nГде: Praxis am Markt, Berlin\n\
         Причина: The practice is closed that day"
    );
}

#[test]
fn text_messages_are_short() {
    for language in ["en", "ru", "uk", "zh", "de", "fr"] {
        for kind in Kind::ALL {
            let long = "N".repeat(300);
            let notice = Notice {
                language: language.to_owned(),
                doctor: long.clone(),
                place: long.clone(),
                city: long,
                ..sample(kind, Recipient::Patient)
            };
            let text = render(&notice, ChannelKind::Sms, None).expect("ours").text;
            assert!(text.chars().count() <= 201, "three parts at most: {text}");
            let usual = Notice { language: language.to_owned(), ..sample(kind, Recipient::Patient) };
            let text = render(&usual, ChannelKind::Sms, None).expect("ours").text;
            assert!(text.chars().count() <= 134 && !text.contains('\n'), "two parts: {text}");
        }
    }
}

#[test]
fn local_time_is_right_on_both_sides_of_a_clock_change() {
    // 2027-10-31, Berlin: 02:30 comes twice.
    for (start_ms, told) in [(1_824_942_600_000, "02:30 (UTC+2)"), (1_824_946_200_000, "02:30 (UTC+1)")] {
        let notice = Notice { start_ms, ..sample(Kind::Reminder, Recipient::Patient) };
        let text = render(&notice, ChannelKind::File, None).expect("ours").text;
        assert!(text.contains(told), "{text}");
    }
    let notice = Notice { time_zone: "Nowhere/Nil".to_owned(), ..sample(Kind::Reminder, Recipient::Patient) };
    let text = render(&notice, ChannelKind::File, None).expect("ours").text;
    assert!(text.contains("09:30 (UTC)"), "an unknown zone is told as UTC: {text}");
}

#[test]
fn an_operators_words_go_before_ours_in_the_nearest_language_there_is() {
    let own = template(&[
        ("en", "Visit on {{ date }}", "Dear {{ patient|upper }}, see you at {{ time }} ({{ zone }})."),
        (
            "de",
            "Besuch am {{ date }}",
            "{% if reason %}Grund: {{ reason }}{% else %}Bis {{ time }}!{% endif %}\n\nGruß\nIhr Team",
        ),
        ("pt-BR", "Consulta em {{ date }}", "Até {{ time }}."),
    ]);
    validate(&own).expect("good");
    let said = |language: &str| {
        let notice = Notice { language: language.to_owned(), ..sample(Kind::Reminder, Recipient::Patient) };
        render(&notice, ChannelKind::Email, Some(&own)).expect("good")
    };
    assert_eq!(said("de-CH").subject, "Besuch am Dienstag, 2. März 2027");
    assert_eq!(said("de-CH").text, "Bis 10:30 Uhr!\n\nGruß\nIhr Team");
    assert!(said("de").html.expect("mail").contains("<p>Gruß<br>\nIhr Team</p>"));
    assert_eq!(said("ru").text, "Dear ADA BRANDT, see you at 10:30 (UTC+1).");
    assert_eq!(said("pt-br").subject, "Consulta em 2027-03-02");
    assert!(said("de").calendar.is_some());
}

#[test]
fn what_is_wrong_with_a_template_is_told_with_its_place() {
    for (own, told) in [
        (one("a\n{{ docter }}"), "text.en, line 2: unknown variable docter; there are appointment_id, city"),
        (one("{{ doctor"), "text.en, line 1: must not have a tag that is not closed"),
        (one("{% if doctor %}"), "text.en, line 1: is not a valid template: "),
        (one("\n\n{{ doctor | }}"), "text.en, line 3: is not a valid template: "),
        (one("{{ doctor|title }}"), "text.en, line 1: unknown filter; there are upper and lower"),
        (one("{{ doctor * 9 }}"), "text.en, line 1: must not have arithmetic"),
        (one("{% for x in doctor %}{% endfor %}"), "text.en, line 1: must not have a statement other than"),
        (one("{{ doctor.name }}"), "text.en, line 1: cannot be rendered for a reminder: "),
        (one(&"x".repeat(4_001)), "text.en: must not be longer than 4000 characters"),
        (one("  "), "text.en: must not be blank"),
        (template(&[("en", "a\nb", "c")]), "subject.en, line 2: must be a single line"),
        (template(&[("deutsch!", "a", "b")]), "subject.deutsch!: must be a language tag"),
        (template(&[]), "subject: must have a text in at least one language"),
        (Template { subject: BTreeMap::new(), ..one("a") }, "subject: must have a text"),
        (Template { text: template(&[("de", "", "x")]).text, ..one("a") }, "subject.de: is missing"),
    ] {
        let error = validate(&own).expect_err(told);
        assert!(error.to_string().starts_with(told), "{error} instead of {told}");
    }
    let error = validate(&one("{{ nobody }}")).expect_err("unknown");
    assert!(matches!(error.fault, TemplateFault::UnknownVariable { .. }));
}

#[test]
fn a_template_that_nobody_checked_fails_softly() {
    let notice = sample(Kind::Reminder, Recipient::Patient);
    for (own, error) in [
        (template(&[]), RenderError::Empty),
        (one("{{ nobody }}"), RenderError::Template("an unknown variable")),
        (one("{{ doctor"), RenderError::Template("syntax")),
        (one("{% if reason %}x{% endif %}"), RenderError::Blank),
        (one("{{ 'x' * 1000000 }}"), RenderError::Template("too long")),
    ] {
        assert_eq!(render(&notice, ChannelKind::File, Some(&own)), Err(error));
    }
    let long = one(&"word ".repeat(700));
    let text = render(&notice, ChannelKind::Sms, Some(&long)).expect("cut").text;
    assert!(text.chars().count() <= 480 && text.ends_with("..."));
}

/// Texts with everything that some channel could take for its own.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "<b>",
        "</b>",
        "<script>",
        "&amp;",
        "&",
        "\"",
        "'",
        "{{ patient }}",
        "{% if x %}",
        "{#",
        "\r\n",
        "\n.\n",
        "\u{202e}",
        "\0",
        "Ж",
        "a b",
        ";",
        ",",
        "\\n",
        "\\",
        "BEGIN:VEVENT",
        "https://evil.example",
        "\u{2028}",
        "\t",
    ]);
    prop::collection::vec(prop_oneof![piece.prop_map(str::to_owned), "\\PC{0,8}"], 0..8)
        .prop_map(|pieces| pieces.concat())
}

/// What is left when the tags that we write ourselves are gone.
fn without(text: &str, tags: &[&str]) -> String {
    tags.iter().fold(text.to_owned(), |text, tag| text.replace(tag, ""))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_name_becomes_markup(
        doctor in hostile(), patient in hostile(), place in hostile(), reason in hostile(), language in "[a-z]{2}(-[A-Z]{2})?|ru|zh",
        kind in prop::sample::select(Kind::ALL.to_vec()), recipient in prop::sample::select(Recipient::ALL.to_vec()),
        own in any::<bool>(),
    ) {
        let base = sample(kind, recipient);
        let notice = Notice { doctor, patient: Some(patient), place, reason: Some(reason), language, ..base };
        let own = own.then(|| one("Hello {{ patient }}, {{ doctor }}\n{{ place_line }} {{ reason }} {{ time }}"));
        let rendered = |channel| render(&notice, channel, own.as_ref()).expect("it renders");
        let telegram = without(&rendered(ChannelKind::Telegram).text, &["<b>", "</b>"]);
        prop_assert!(!telegram.contains(['<', '>']), "{}", telegram);
        let tags = telegram.matches('&').count();
        let entities = ["&lt;", "&gt;", "&amp;", "&quot;", "&#x27;", "&#x2f;"];
        prop_assert_eq!(tags, entities.iter().map(|entity| telegram.matches(entity).count()).sum::<usize>());
        let mail = rendered(ChannelKind::Email);
        let page = mail.html.expect("mail has a page");
        let (_, page) = page.split_once("<body").expect("a body");
        let (_, page) = page.split_once('>').expect("a body");
        let bare = without(page, &["<p>", "</p>", "<br>", "<strong>", "</strong>", "</body>", "</html>"]);
        prop_assert!(!bare.contains(['<', '>', '"']), "{}", bare);
        prop_assert!(!mail.subject.chars().any(char::is_control), "{:?}", mail.subject);
        for channel in ChannelKind::ALL {
            let text = rendered(channel).text;
            prop_assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()), "{:?}", text);
            let turned = text.contains(['\u{202e}', '\u{2028}']);
            prop_assert!(!turned);
        }
        let ics = mail.calendar.expect("mail has one").to_ics(Some(("a@b.org", "c@d.org")), 0);
        let begins = ics.split("\r\n").filter(|line| line.starts_with("BEGIN:")).count();
        prop_assert_eq!(begins, 2, "{}", ics);
    }

    #[test]
    fn templates_of_any_text_are_told_right_or_wrong_and_the_right_ones_render(text in hostile()) {
        let own = one(&text);
        if validate(&own).is_ok() {
            for kind in Kind::ALL {
                let done = render(&sample(kind, Recipient::Doctor), ChannelKind::Telegram, Some(&own));
                prop_assert!(matches!(done, Ok(_) | Err(RenderError::Blank)), "{:?}", done);
            }
        }
    }
}
