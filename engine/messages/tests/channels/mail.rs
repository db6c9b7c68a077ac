//! Mail: what arrives at a real server, and what each refusal means.
//! Must not know: how the server is played.

use icalendar::{Calendar, CalendarComponent, Component};
use messages::{ChannelKind, Envelope, Kind, MailSettings, MailTls, Secret, Settings};

use super::mail_server::{Mail, MailServer, Manner};
use super::support::{PASSWORD, envelope, mail, of_notice, open, pem, send, with_deadline};

const TO: &str = "ada@example.org";

fn message(kind: Kind) -> Envelope {
    envelope(ChannelKind::Email, kind, TO)
}

/// The parts of this content type, decoded.
fn parts(mail: &Mail, content_type: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in mail.content.split("\r\n--").skip(1) {
        let Some((head, body)) = part.split_once("\r\n\r\n") else { continue };
        if head.contains(&format!("Content-Type: {content_type}")) {
            found.push(decode(head, body));
        }
    }
    found
}

fn decode(head: &str, body: &str) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    if head.contains("Content-Transfer-Encoding: base64") {
        let packed: String = body.split_whitespace().collect();
        return String::from_utf8(STANDARD.decode(packed).expect("base64")).expect("text");
    }
    if !head.contains("Content-Transfer-Encoding: quoted-printable") {
        return body.to_owned();
    }
    let body = body.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = body.as_bytes();
    while let [first, tail @ ..] = rest {
        if let (b'=', [high, low, after @ ..]) = (first, tail) {
            let hex = [*high, *low];
            let hex = std::str::from_utf8(&hex).expect("hex digits");
            bytes.push(u8::from_str_radix(hex, 16).expect("hex digits"));
            rest = after;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).expect("text")
}

#[tokio::test]
async fn a_mail_has_text_page_and_calendar_under_a_stable_id() {
    let server = MailServer::start(Manner::default()).await;
    let channel = open(mail(server.port, MailTls::None), ChannelKind::Email);
    let sent = message(Kind::Confirmation);
    for _ in 0..2 {
        send(&*channel, &sent).await.expect("taken");
    }
    let mails = server.mails();
    let [first, second] = mails.as_slice() else { panic!("two mails: {mails:?}") };
    assert_eq!((first.connection, second.connection), (0, 0), "the connection is used again");
    assert_eq!(first.from, "MAIL FROM:<praxis@example.org>");
    assert_eq!(first.to, "RCPT TO:<ada@example.org>");
    let id = format!("Message-ID: <{}@example.org>\r\n", sent.message_id);
    for mail in &mails {
        assert!(mail.content.contains(&id), "{}", mail.content);
        assert!(mail.content.is_ascii(), "no extension of the server is needed");
    }
    assert!(first.content.contains("Auto-Submitted: auto-generated\r\n"));
    assert!(first.content.contains("Date: Fri, 01 Jan 2027 00:00:00 +0000\r\n"), "{}", first.content);
    let (text, page) = (parts(first, "text/plain").remove(0), parts(first, "text/html").remove(0));
    assert_eq!(text.trim_end().replace("\r\n", "\n"), sent.rendered.text);
    assert!(page.contains("<strong>Dr. Clara Weiss</strong>"), "{page}");
    assert_eq!(parts(first, "application/ics; charset=utf-8; method=REQUEST").len(), 1);
}

#[tokio::test]
async fn the_calendar_in_the_mail_is_one_and_a_cancellation_takes_it_out_again() {
    let server = MailServer::start(Manner::default()).await;
    let channel = open(mail(server.port, MailTls::None), ChannelKind::Email);
    for (kind, version) in [(Kind::Confirmation, 3), (Kind::Cancellation, 4)] {
        let mut notice = message(kind).notice;
        notice.version = version;
        send(&*channel, &of_notice(ChannelKind::Email, notice, TO)).await.expect("taken");
    }
    let read: Vec<(String, String, u32)> = server
        .mails()
        .iter()
        .map(|mail| {
            let calendar: Calendar = parts(mail, "text/calendar").remove(0).parse().expect("a calendar");
            let CalendarComponent::Event(event) = &calendar.components[0] else { panic!("an event") };
            assert_eq!(
                event.property_value("ATTENDEE").or(event.multi_properties()["ATTENDEE"].first().map(|p| p.value())),
                Some("mailto:ada@example.org")
            );
            let method = calendar.property_value("METHOD").expect("a method").to_owned();
            (method, event.get_uid().expect("an id").to_owned(), event.get_sequence().expect("a sequence"))
        })
        .collect();
    let id = message(Kind::Change).notice.appointment_id.to_string();
    assert_eq!(read, [("REQUEST".to_owned(), id.clone(), 3), ("CANCEL".to_owned(), id, 4)]);
}

#[tokio::test]
async fn who_takes_the_recipient_or_the_content_ill_says_whether_for_good() {
    for (step, reply, for_good, words) in [
        ("RCPT", "550 5.1.1 <ada@example.org>: no such user", true, "refuses the message (550)"),
        ("RCPT", "450 greylisted, ada@example.org", false, "puts the message off (450)"),
        ("RCPT", "530 log in first", false, "refuses our credentials (530)"),
        ("DATA", "452 disk full", false, "puts the message off (452)"),
        ("CONTENT", "554 5.7.1 spam", true, "refuses the message (554)"),
        ("CONTENT", "451 later", false, "puts the message off (451)"),
        ("GREETING", "554 no service for you", false, "refuses us (554)"),
        ("MAIL", "550 5.7.1 sender not allowed", false, "refuses us (550)"),
        ("MAIL", "421 closing", false, "refuses us (421)"),
        ("EHLO", "nonsense", false, "does not speak SMTP, or hung up"),
    ] {
        let server = MailServer::start(Manner { replies: vec![(step, reply)], ..Manner::default() }).await;
        let channel = open(mail(server.port, MailTls::None), ChannelKind::Email);
        let error = send(&*channel, &message(Kind::Reminder)).await.expect_err(reply);
        assert_eq!(error.is_permanent(), for_good, "{step} {reply}");
        assert_eq!(error.to_string(), format!("the mail server {words}"));
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_left_and_its_late_answer_belongs_to_nobody() {
    let server = MailServer::start(Manner { replies: vec![("CONTENT", "")], ..Manner::default() }).await;
    let channel = open(with_deadline(mail(server.port, MailTls::None), true), ChannelKind::Email);
    for _ in 0..2 {
        let error = send(&*channel, &message(Kind::Reminder)).await.expect_err("it hangs");
        assert_eq!(error.to_string(), "the mail server does not answer in time");
        assert!(!error.is_permanent());
    }
    let connections: Vec<usize> = server.mails().iter().map(|mail| mail.connection).collect();
    assert_eq!(connections, [0, 1], "a connection in the middle of a conversation is not used again");
}

#[tokio::test]
async fn an_idle_connection_that_the_server_has_closed_costs_nothing() {
    let server = MailServer::start(Manner { replies: vec![("NOOP", "421 too long idle")], ..Manner::default() }).await;
    let channel = open(mail(server.port, MailTls::None), ChannelKind::Email);
    for _ in 0..2 {
        send(&*channel, &message(Kind::Reminder)).await.expect("taken");
    }
    let connections: Vec<usize> = server.mails().iter().map(|mail| mail.connection).collect();
    assert_eq!(connections, [0, 1]);
}

fn with_password(settings: Settings) -> Settings {
    let credentials = Some(("mailer".to_owned(), Secret::new(PASSWORD)));
    let mail = settings.mail.map(|mail| MailSettings { credentials, ..mail });
    Settings { mail, ..settings }
}

#[tokio::test]
async fn both_kinds_of_encryption_come_before_the_password() {
    for (manner, tls) in [
        (Manner { tls: true, ..Manner::default() }, MailTls::Tls),
        (Manner { starttls: true, ..Manner::default() }, MailTls::StartTls),
    ] {
        let server = MailServer::start(manner).await;
        let channel = open(with_password(mail(server.port, tls)), ChannelKind::Email);
        send(&*channel, &message(Kind::Reminder)).await.expect("taken");
        assert!(server.mails()[0].encrypted);
        let commands = server.commands();
        let at = |word: &str| commands.iter().position(|command| command.starts_with(word));
        assert!(at("AUTH PLAIN").is_some(), "{commands:?}");
        assert!(at("STARTTLS") < at("AUTH"), "{commands:?}");
    }
}

#[tokio::test]
async fn without_encryption_or_a_certificate_to_trust_nothing_is_said() {
    let server = MailServer::start(Manner::default()).await;
    let channel = open(with_password(mail(server.port, MailTls::StartTls)), ChannelKind::Email);
    let error = send(&*channel, &message(Kind::Reminder)).await.expect_err("no STARTTLS");
    assert!(!error.is_permanent() && error.to_string().contains("lacks what is configured"), "{error}");
    assert!(!server.commands().iter().any(|command| command.starts_with("AUTH") || command.starts_with("MAIL")));
    let server = MailServer::start(Manner { tls: true, ..Manner::default() }).await;
    for authorities in [None, Some(pem("other.pem"))] {
        let settings = Settings { authorities, ..with_password(mail(server.port, MailTls::Tls)) };
        let error = send(&*open(settings, ChannelKind::Email), &message(Kind::Reminder)).await.expect_err("a stranger");
        assert!(!error.is_permanent(), "{error}");
    }
    assert!(server.commands().is_empty(), "{:?}", server.commands());
}

#[tokio::test]
async fn a_wrong_password_is_no_fault_of_the_message() {
    let replies = vec![("AUTH", "535 5.7.8 bad credentials for mailer")];
    let server = MailServer::start(Manner { replies, ..Manner::default() }).await;
    let channel = open(with_password(mail(server.port, MailTls::None)), ChannelKind::Email);
    let error = send(&*channel, &message(Kind::Reminder)).await.expect_err("refused");
    assert_eq!(error.to_string(), "the mail server refuses our credentials (535)");
    assert!(!error.is_permanent());
}

#[tokio::test]
async fn addresses_beyond_ascii_go_where_they_are_understood() {
    let message = |to: &str| envelope(ChannelKind::Email, Kind::Reminder, to);
    let server = MailServer::start(Manner::default()).await;
    let channel = open(mail(server.port, MailTls::None), ChannelKind::Email);
    send(&*channel, &message("ada@müller.example")).await.expect("the domain has another form");
    assert_eq!(server.mails()[0].to, "RCPT TO:<ada@xn--mller-kva.example>");
    assert!(send(&*channel, &message("jörg@example.org")).await.expect_err("not here").is_permanent());
    let able = MailServer::start(Manner { utf8: true, ..Manner::default() }).await;
    let channel = open(mail(able.port, MailTls::None), ChannelKind::Email);
    send(&*channel, &message("jörg@example.org")).await.expect("it can");
    assert_eq!(able.mails()[0].from, "MAIL FROM:<praxis@example.org> SMTPUTF8");
    for bad in ["no address", "a@b.org\r\nRCPT TO:<x@b.org>", ""] {
        assert!(send(&*channel, &message(bad)).await.expect_err(bad).is_permanent());
    }
}

#[tokio::test]
async fn names_are_text_in_every_part_of_a_mail() {
    let server = MailServer::start(Manner::default()).await;
    let channel = open(mail(server.port, MailTls::None), ChannelKind::Email);
    let mut notice = message(Kind::Reminder).notice;
    notice.doctor = "Eve\r\nBcc: all@example.org\r\n\r\n.\r\n<script>alert(1)</script>".to_owned();
    send(&*channel, &of_notice(ChannelKind::Email, notice, TO)).await.expect("taken");
    let mail = server.mails().remove(0);
    assert!(!mail.content.contains("\r\nBcc:") && server.mails().len() == 1, "{}", mail.content);
    let page = parts(&mail, "text/html").remove(0);
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
}
