//! Settings: what is wrong is told, all at once, by name, without repeating it.
//! Must not know: what the channels do.

use std::fs;
use std::time::Duration;

use messages::{ChannelKind, Channels, MailTls, Secret, Settings};
use tempfile::TempDir;

use super::support::{PASSWORD, mail, pem, sms, telegram, webhook};

fn errors(settings: Settings) -> Vec<String> {
    let errors = Channels::open(settings).expect_err("wrong settings");
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn without_settings_there_are_no_channels() {
    let channels = Channels::open(Settings::default()).expect("nothing to be wrong");
    assert_eq!(channels.configured().count(), 0);
    assert!(channels.get(ChannelKind::File).is_none());
}

#[test]
fn everything_that_is_wrong_is_told_by_name_and_nothing_is_repeated() {
    let mut all = sms("ftp://provider.example");
    all.telegram = telegram("http://api.telegram.example").telegram;
    all.webhook = webhook("https://user:swordfish-77@hook.example").webhook;
    all.mail = mail(0, MailTls::None).mail;
    all.deadline = Duration::ZERO;
    if let (Some(sms), Some(telegram), Some(webhook), Some(mail)) =
        (&mut all.sms, &mut all.telegram, &mut all.webhook, &mut all.mail)
    {
        sms.account = "../AC1".to_owned();
        sms.from = "030 1234567890".to_owned();
        telegram.token = Secret::new(format!("no token {PASSWORD}"));
        webhook.secret = Secret::new(PASSWORD);
        mail.from = "praxis".to_owned();
        mail.host = "mail.example".to_owned();
        mail.credentials = Some(("mailer".to_owned(), Secret::new(PASSWORD)));
    }
    assert!(!format!("{all:?}").contains(PASSWORD), "settings can be shown");
    let errors = errors(all);
    let named: Vec<&str> = errors.iter().filter_map(|error| error.split_once(": ")).map(|(name, _)| name).collect();
    let expected = [
        "message_deadline",
        "sms_account",
        "sms_from",
        "sms_url",
        "telegram_token",
        "telegram_url",
        "webhook_url",
        "webhook_secret",
        "smtp_port",
        "smtp_tls",
        "smtp_from",
    ];
    assert_eq!(named, expected, "{errors:?}");
    assert!(errors.iter().all(|error| !error.contains(PASSWORD) && !error.contains('\n')), "{errors:?}");
}

#[test]
fn plain_http_goes_to_this_machine_or_where_the_operator_says_so() {
    for good in ["https://hook.example/x", "http://127.0.0.1:9", "http://localhost:9/x", "http://[::1]:9"] {
        assert!(Channels::open(webhook(good)).is_ok(), "{good}");
    }
    for bad in
        ["http://hook.example", "hook.example", "", "/x", "https://", "not a url", "http://127.0.0.1.evil.example"]
    {
        assert!(errors(webhook(bad))[0].starts_with("webhook_url: must "), "{bad}");
    }
    let allowed = Settings { allow_plain: true, ..webhook("http://hook.internal") };
    assert!(Channels::open(allowed).is_ok());
}

#[test]
fn authorities_are_certificates() {
    let folder = TempDir::new().expect("a folder");
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "").expect("written");
    for (path, good) in [(pem("ca.pem"), true), (pem("node.key"), false), (empty, false), (pem("absent"), false)] {
        let opened = Channels::open(Settings { authorities: Some(path), ..webhook("https://hook.example") });
        assert_eq!(opened.is_ok(), good, "{opened:?}");
    }
}

#[test]
fn senders_may_have_names() {
    for (from, good) in [
        ("a@b.org", true),
        ("Praxis, am Markt <a@b.org>", true),
        ("\"Praxis\" <a@b.org>", true),
        ("Praxis <a@b.org", false),
        ("Praxis\r\nBcc: x <a@b.org>", false),
        ("<>", false),
    ] {
        let mut settings = mail(25, MailTls::None);
        if let Some(mail) = &mut settings.mail {
            mail.from = from.to_owned();
        }
        assert_eq!(Channels::open(settings).is_ok(), good, "{from}");
    }
}
