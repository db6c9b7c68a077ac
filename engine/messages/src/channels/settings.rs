//! Settings of the channels: plain values.
//! Must not know: where they come from (flags, environment, file), what is right about them.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// Which channels there are. A channel without settings is not configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file channel.
    pub file: Option<FileSettings>,
    /// Mail.
    pub mail: Option<MailSettings>,
    /// Text messages.
    pub sms: Option<SmsSettings>,
    /// Telegram.
    pub telegram: Option<TelegramSettings>,
    /// The webhook.
    pub webhook: Option<WebhookSettings>,
    /// For each message (for each batch of the file channel), from the first byte to the provider's answer.
    pub deadline: Duration,
    /// PEM file of authorities to trust beside those that browsers trust: for servers of the operator's own.
    pub authorities: Option<PathBuf>,
    /// Lets plain HTTP and passwords over plain SMTP go also to other machines: for networks that are the operator's alone.
    pub allow_plain: bool,
}

impl Default for Settings {
    /// No channel, ten seconds.
    fn default() -> Self {
        Self {
            file: None,
            mail: None,
            sms: None,
            telegram: None,
            webhook: None,
            deadline: Duration::from_secs(10),
            authorities: None,
            allow_plain: false,
        }
    }
}

/// Where lines are appended.
#[derive(Clone, Debug)]
pub struct FileSettings {
    /// Usually `outbox.jsonl` in the data directory.
    pub path: PathBuf,
}

/// The server that takes our mail.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// Name or address.
    pub host: String,
    /// Usually 587 with STARTTLS, 465 with TLS.
    pub port: u16,
    /// How the connection is kept private.
    pub tls: MailTls,
    /// To log in with, if the server wants that.
    pub credentials: Option<(String, Secret)>,
    /// The sender, such as `Praxis am Markt <praxis@example.org>`.
    pub from: String,
}

/// How the connection to the mail server is kept private.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MailTls {
    /// Not at all.
    None,
    /// After the greeting; a server that cannot is not talked to.
    StartTls,
    /// From the first byte.
    Tls,
}

/// An account at a gateway for text messages.
#[derive(Clone, Debug)]
pub struct SmsSettings {
    /// Such as `https://api.twilio.com`.
    pub base_url: String,
    /// The account's id, in the call's path and as its user name.
    pub account: String,
    /// Its password.
    pub token: Secret,
    /// A number (E.164), a name of up to 11 letters and digits, or a messaging service's id (`MG…`).
    pub from: String,
}

/// A bot.
#[derive(Clone, Debug)]
pub struct TelegramSettings {
    /// Such as `https://api.telegram.org`.
    pub base_url: String,
    /// The bot's token.
    pub token: Secret,
}

/// A listener of the operator's.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// What is called. It may have a secret in it, so it is not shown.
    pub url: Secret,
    /// `whsec_` and 24 to 64 bytes in base64.
    pub secret: Secret,
}

/// One setting that is wrong. What was given is not repeated: it may be secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct SettingError {
    /// Such as `smtp_from`.
    pub setting: &'static str,
    /// What it must be, or what happened.
    pub reason: String,
}
