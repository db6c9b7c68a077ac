//! Mail over SMTP: text, page and calendar in one message; each step of the conversation has its own meaning when it fails.
//! Must not know: how to make templates, who the recipient is.
//!
//! Connections are kept here and not by lettre's pool: that one keeps a connection also when a send was given up in the middle, and would
//! read the late answer as that of the next message.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use lettre::address::Envelope as MailEnvelope;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::{Address, Message};
use parking_lot::Mutex;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Channel, Envelope, Receipt, SendError};
use crate::address::is_email;
use crate::alert::Alert;
use crate::notice::ChannelKind;
use crate::secret;

/// Idle connections that are kept: as many as the channel sends at once.
const IDLE_MAX: usize = 8;
/// Servers may close an idle connection after five minutes (RFC 5321); many do so earlier.
const IDLE_MILLIS_MAX: i64 = 30_000;

/// Whether and when the conversation is encrypted.
#[derive(Clone)]
pub(super) enum Encryption {
    /// Never: to a relay on the same machine.
    None,
    /// After the greeting, and not without.
    StartTls(TlsParameters),
    /// From the first byte.
    Tls(TlsParameters),
}

/// A checked server and sender.
pub(super) struct MailChannel {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encryption: Encryption,
    pub(super) credentials: Option<Credentials>,
    pub(super) from: Mailbox,
    pub(super) deadline: Duration,
    pub(super) idle: Mutex<Vec<Idle>>,
}

/// A connection between two messages.
pub(super) struct Idle {
    connection: AsyncSmtpConnection,
    since_ms: i64,
}

/// `Auto-Submitted: auto-generated` (RFC 3834): holiday notices do not answer.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[async_trait]
impl Channel for MailChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Email
    }

    async fn send(&self, batch: &[Envelope], now_ms: i64) -> Vec<Result<Receipt, SendError>> {
        let mut results = Vec::with_capacity(batch.len());
        for envelope in batch {
            let write = |to: Address| self.message(envelope, to, now_ms);
            results.push(self.send_one(&envelope.to, write, now_ms).await);
        }
        results
    }

    async fn alert(&self, to: &secret::Address, alert: &Alert, now_ms: i64) -> Result<Receipt, SendError> {
        let write = |to: Address| {
            let head = self.head(alert.message_id, to, alert.subject(), now_ms);
            head.singlepart(SinglePart::plain(alert.text())).map_err(no_message)
        };
        self.send_one(to, write, now_ms).await
    }
}

impl MailChannel {
    async fn send_one(
        &self,
        to: &secret::Address,
        write: impl FnOnce(Address) -> Result<Message, SendError>,
        now_ms: i64,
    ) -> Result<Receipt, SendError> {
        let to = recipient(to.expose()).ok_or_else(|| SendError::permanent("not a mail address"))?;
        let message = write(to.clone())?.formatted();
        let sent = timeout(self.deadline, self.hand_over(to, &message, now_ms)).await;
        sent.unwrap_or_else(|_| Err(SendError::transient("the mail server does not answer in time")))
    }

    /// A connection goes back to the others only after a whole conversation.
    async fn hand_over(&self, to: Address, message: &[u8], now_ms: i64) -> Result<Receipt, SendError> {
        let route = MailEnvelope::new(Some(self.from.email.clone()), vec![to])
            .map_err(|_| SendError::permanent("not a mail address"))?;
        let mut connection = self.connection(now_ms).await?;
        converse(&mut connection, &route, message).await?;
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { connection, since_ms: now_ms });
        }
        Ok(Receipt::default())
    }

    /// One that still answers, else a new one.
    async fn connection(&self, now_ms: i64) -> Result<AsyncSmtpConnection, SendError> {
        loop {
            let Some(idle) = self.idle.lock().pop() else { return self.connect().await.map_err(of_server) };
            let mut connection = idle.connection;
            if (0..IDLE_MILLIS_MAX).contains(&(now_ms - idle.since_ms)) && connection.test_connected().await {
                return Ok(connection);
            }
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let hello = ClientId::Domain(self.from.email.domain().to_owned());
        let server = (self.host.as_str(), self.port);
        let tls = match &self.encryption {
            Encryption::Tls(tls) => Some(tls.clone()),
            Encryption::None | Encryption::StartTls(_) => None,
        };
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(self.deadline), &hello, tls, None).await?;
        if let Encryption::StartTls(tls) = &self.encryption {
            connection.starttls(tls.clone(), &hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await?;
        }
        Ok(connection)
    }

    /// From whom, to whom, when, under which id; that nobody wrote it.
    fn head(&self, id: Uuid, to: Address, subject: String, now_ms: i64) -> MessageBuilder {
        let date = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or_default());
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .date(date)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .header(AutoSubmitted)
    }

    /// The whole message, in ASCII: the server needs no extension for it.
    fn message(&self, envelope: &Envelope, to: Address, now_ms: i64) -> Result<Message, SendError> {
        let rendered = &envelope.rendered;
        let mut texts = MultiPart::alternative().singlepart(SinglePart::plain(rendered.text.clone()));
        if let Some(html) = &rendered.html {
            texts = texts.singlepart(SinglePart::html(html.clone()));
        }
        let mut whole = MultiPart::mixed().multipart(texts.clone());
        if let Some(event) = &rendered.calendar {
            let ics = event.to_ics(Some((self.from.email.as_ref(), to.as_ref())), now_ms);
            let typed = |base: &str| {
                let words = format!("{base}; charset=utf-8; method={}", event.method.word());
                ContentType::parse(&words).expect("a content type of fixed words")
            };
            // Beside the texts for programs that know invitations, and as a file for people whose program does not.
            let invitation = SinglePart::builder().header(typed("text/calendar")).body(ics.clone());
            let file = Attachment::new("appointment.ics".to_owned()).body(ics, typed("application/ics"));
            whole = MultiPart::mixed().multipart(texts.singlepart(invitation)).singlepart(file);
        }
        let head = self.head(envelope.message_id, to, rendered.subject.clone(), now_ms);
        head.multipart(whole).map_err(no_message)
    }
}

fn no_message(_: lettre::error::Error) -> SendError {
    SendError::permanent("no message can be made of it")
}

/// With the domain as the network writes it, so that only a local part beyond ASCII needs an extension of the server.
pub(super) fn recipient(text: &str) -> Option<Address> {
    let (local, domain) = text.split_once('@').filter(|_| is_email(text))?;
    Address::new(local, idna::domain_to_ascii(domain).ok()?).ok()
}

/// Sender, recipient, content. Who the sender is is between the server and us; a refusal of the rest is about this message.
async fn converse(connection: &mut AsyncSmtpConnection, route: &MailEnvelope, message: &[u8]) -> Result<(), SendError> {
    let server = connection.server_info();
    let mut options = Vec::new();
    if route.to().iter().any(|to| !<Address as AsRef<str>>::as_ref(to).is_ascii()) {
        if !server.supports_feature(Extension::SmtpUtfEight) {
            return Err(SendError::permanent("the mail server takes no addresses beyond ASCII"));
        }
        options.push(MailParameter::SmtpUtfEight);
    }
    if server.supports_feature(Extension::EightBitMime) {
        options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    connection.command(Mail::new(route.from().cloned(), options)).await.map_err(of_server)?;
    for to in route.to() {
        connection.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(of_message)?;
    }
    connection.command(Data).await.map_err(of_message)?;
    connection.message(message).await.map_err(of_message)?;
    Ok(())
}

/// Before the recipient is named: whatever fails is not about this message.
fn of_server(error: SmtpError) -> SendError {
    SendError::transient(match error.status() {
        Some(code) if matches!(u16::from(code), 530 | 534 | 535 | 538) => {
            format!("the mail server refuses our credentials ({code})")
        }
        Some(code) => format!("the mail server refuses us ({code})"),
        None => trouble(&error).to_owned(),
    })
}

/// From the recipient on: 5xx is for good, unless it asks for credentials.
fn of_message(error: SmtpError) -> SendError {
    match error.status() {
        Some(code) if u16::from(code) == 530 => of_server(error),
        Some(code) if error.is_permanent() => {
            SendError::permanent(format!("the mail server refuses the message ({code})"))
        }
        Some(code) => SendError::transient(format!("the mail server puts the message off ({code})")),
        None => SendError::transient(trouble(&error)),
    }
}

/// Without what the server said: that may repeat the address.
fn trouble(error: &SmtpError) -> &'static str {
    if error.is_tls() {
        "no encrypted connection to the mail server"
    } else if error.is_client() {
        "the mail server lacks what is configured: encryption or a way to log in"
    } else if error.is_response() {
        "the mail server does not speak SMTP, or hung up"
    } else {
        "no connection to the mail server"
    }
}
