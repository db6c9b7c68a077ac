//! The settings of reminders: when, and over which channels messages leave.
//! Must not know: what a message says, how a provider is talked to.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::config::ReminderSettings;
use engine::ledger::people::Channel;
use messages::{FileSettings, MailSettings, MailTls, Secret, Settings, SmsSettings, TelegramSettings, WebhookSettings};

use super::values::Reader;

/// Where the file channel writes, below the data directory.
const OUTBOX: &str = "outbox.jsonl";
/// Most offsets of the settings.
const OFFSETS_MAX: usize = 10;
/// The longest offset: ninety days.
const OFFSET_SECONDS_MAX: i64 = 90 * 86_400;
/// Most waits of the settings, and so one attempt more.
const WAITS_MAX: usize = 10;
/// The shortest wait and the longest: below, a provider is hammered; above, the message is of no use any more.
const WAIT_MILLIS: RangeInclusive<u64> = 100..=3_600_000;
/// How rarely operators can want to hear.
const ALERT_INTERVAL_SECONDS: RangeInclusive<u64> = 1..=86_400;
const SMS_URL: &str = "https://api.twilio.com";
const TELEGRAM_URL: &str = "https://api.telegram.org";

/// When patients are told, over which channels if they do not say, and how often a provider is asked for one message.
pub(super) fn reminders(reader: &mut Reader<'_>, channels: &Settings) -> ReminderSettings {
    let mut settings = ReminderSettings::default();
    if let Some(offsets_seconds) = reader.durations("reminder_offsets", OFFSETS_MAX, OFFSET_SECONDS_MAX) {
        settings.offsets_seconds = offsets_seconds;
    }
    if let Some(retry_waits_millis) = reader.waits("reminder_retry_waits", WAITS_MAX, WAIT_MILLIS) {
        settings.retry_waits_millis = retry_waits_millis;
    }
    let interval = settings.alert_interval_seconds;
    settings.alert_interval_seconds = reader.number("alert_interval_seconds", interval, ALERT_INTERVAL_SECONDS);
    settings.configured = Channel::ALL.into_iter().filter(|channel| is_configured(channels, *channel)).collect();
    if let Some(default_channels) = reader.words("reminder_channels", &Channel::ALL, Channel::word) {
        settings.default_channels = default_channels;
    }
    let missing = settings.default_channels.iter().find(|channel| !settings.configured.contains(channel));
    if let Some(channel) = missing {
        reader.mistake("reminder_channels", &format!("{} is named, and its settings are not given", channel.word()));
    }
    settings
}

fn is_configured(settings: &Settings, channel: Channel) -> bool {
    match channel {
        Channel::File => settings.file.is_some(),
        Channel::Email => settings.mail.is_some(),
        Channel::Sms => settings.sms.is_some(),
        Channel::Telegram => settings.telegram.is_some(),
        Channel::Webhook => settings.webhook.is_some(),
    }
}

/// The channels. The file is always there.
pub(super) fn channels(reader: &mut Reader<'_>, data_dir: &Path) -> Settings {
    Settings {
        file: Some(FileSettings { path: data_dir.join(OUTBOX) }),
        mail: mail(reader),
        sms: sms(reader),
        telegram: telegram(reader),
        webhook: webhook(reader),
        deadline: Duration::from_millis(reader.number("message_deadline_millis", 10_000, 50..=60_000)),
        authorities: reader.optional_text("message_authorities").map(PathBuf::from),
        allow_plain: reader.switch("message_allow_plain"),
    }
}

fn mail(reader: &mut Reader<'_>) -> Option<MailSettings> {
    let choices = [("starttls", MailTls::StartTls), ("tls", MailTls::Tls), ("none", MailTls::None)];
    let tls = reader.choice("smtp_tls", &choices);
    let port = if tls == MailTls::Tls { 465 } else { 587 };
    let port = reader.number("smtp_port", port, 1..=65_535) as u16;
    let (user, password) = (reader.optional_text("smtp_user"), reader.secret("smtp_password"));
    let credentials = match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        (Some(_), None) => {
            reader.mistake("smtp_user", "means nothing without smtp_password");
            None
        }
        (None, Some(_)) => {
            reader.mistake("smtp_password", "means nothing without smtp_user");
            None
        }
    };
    let from = reader.optional_text("smtp_from");
    let Some(host) = reader.optional_text("smtp_host") else {
        orphans(reader, "smtp_host", &["smtp_port", "smtp_tls", "smtp_user", "smtp_password", "smtp_from"]);
        return None;
    };
    let from = required(reader, "smtp_from", from, "smtp_host")?;
    Some(MailSettings { host, port, tls, credentials, from })
}

fn sms(reader: &mut Reader<'_>) -> Option<SmsSettings> {
    let base_url = reader.text("sms_url", SMS_URL);
    let (token, from) = (reader.secret("sms_token"), reader.optional_text("sms_from"));
    let Some(account) = reader.optional_text("sms_account") else {
        orphans(reader, "sms_account", &["sms_url", "sms_token", "sms_from"]);
        return None;
    };
    let token = required(reader, "sms_token", token, "sms_account");
    let from = required(reader, "sms_from", from, "sms_account");
    Some(SmsSettings { base_url, account, token: token?, from: from? })
}

fn telegram(reader: &mut Reader<'_>) -> Option<TelegramSettings> {
    let base_url = reader.text("telegram_url", TELEGRAM_URL);
    let Some(token) = reader.secret("telegram_token") else {
        orphans(reader, "telegram_token", &["telegram_url"]);
        return None;
    };
    Some(TelegramSettings { base_url, token })
}

fn webhook(reader: &mut Reader<'_>) -> Option<WebhookSettings> {
    let secret = reader.secret("webhook_secret");
    let Some(url) = reader.secret("webhook_url") else {
        orphans(reader, "webhook_url", &["webhook_secret"]);
        return None;
    };
    let secret = required(reader, "webhook_secret", secret, "webhook_url")?;
    Some(WebhookSettings { url, secret })
}

/// What is given without what it belongs to.
fn orphans(reader: &mut Reader<'_>, of: &str, keys: &[&str]) {
    for key in keys {
        if reader.is_given(key) {
            reader.mistake(key, &format!("means nothing without {of}"));
        }
    }
}

fn required<T>(reader: &mut Reader<'_>, key: &str, value: Option<T>, with: &str) -> Option<T> {
    if value.is_none() && !reader.is_given(key) {
        reader.mistake(key, &format!("is missing: it goes with {with}"));
    }
    value
}

/// Kept secret from the first moment.
pub(super) fn secret(text: &str) -> Secret {
    Secret::new(text)
}
