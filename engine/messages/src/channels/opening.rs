//! From settings to channels: everything that can be wrong is found before anything is sent, and told in one line each.
//! Must not know: where settings come from, what is sent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::Channel;
use super::file::FileChannel;
use super::http::Client;
use super::mail::{Encryption, MailChannel, recipient};
use super::settings::{MailSettings, MailTls, SettingError, Settings, SmsSettings, TelegramSettings, WebhookSettings};
use super::sms::SmsChannel;
use super::telegram::TelegramChannel;
use super::webhook::{SigningKey, WebhookChannel};
use crate::notice::ChannelKind;
use crate::validate_address;

/// The shortest deadline that leaves a provider a chance.
const DEADLINE_MIN: Duration = Duration::from_millis(50);
/// The longest: a message is sent again rather than waited for.
const DEADLINE_MAX: Duration = Duration::from_secs(60);

fn wrong(setting: &'static str, reason: impl Into<String>) -> SettingError {
    SettingError { setting, reason: reason.into() }
}

/// Opens what is set, and tells everything that is wrong.
pub(super) fn open(settings: Settings) -> Result<Vec<Arc<dyn Channel>>, Vec<SettingError>> {
    let mut opening = Opening { channels: Vec::new(), errors: Vec::new() };
    if !(DEADLINE_MIN..=DEADLINE_MAX).contains(&settings.deadline) {
        opening.errors.push(wrong("message_deadline", "must be between 50 ms and 60 s"));
    }
    let common = match Common::new(&settings) {
        Ok(common) => common,
        Err(error) => {
            opening.errors.push(error);
            return Err(opening.errors);
        }
    };
    if let Some(sms) = settings.sms {
        opening.take(open_sms(&common, &sms));
    }
    if let Some(telegram) = settings.telegram {
        opening.take(open_telegram(&common, &telegram));
    }
    if let Some(webhook) = settings.webhook {
        opening.take(open_webhook(&common, &webhook));
    }
    if let Some(mail) = settings.mail {
        opening.take(open_mail(&common, mail));
    }
    if let Some(file) = settings.file {
        let opened = FileChannel::open(file.path, common.deadline);
        opening.take(opened.map_err(|error| vec![wrong("outbox", format!("cannot be opened: {error}"))]));
    }
    if opening.errors.is_empty() { Ok(opening.channels) } else { Err(opening.errors) }
}

struct Opening {
    channels: Vec<Arc<dyn Channel>>,
    errors: Vec<SettingError>,
}

impl Opening {
    fn take<C: Channel>(&mut self, opened: Result<C, Vec<SettingError>>) {
        match opened {
            Ok(channel) => self.channels.push(Arc::new(channel)),
            Err(errors) => self.errors.extend(errors),
        }
    }
}

/// What all channels share.
struct Common {
    deadline: Duration,
    allow_plain: bool,
    tls: Arc<ClientConfig>,
    authorities: Vec<CertificateDer<'static>>,
}

impl Common {
    fn new(settings: &Settings) -> Result<Self, SettingError> {
        let authorities = settings.authorities.as_deref().map_or(Ok(Vec::new()), authorities)?;
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for authority in &authorities {
            let added = roots.add(authority.clone());
            added.map_err(|error| wrong("message_authorities", format!("has a bad certificate: {error}")))?;
        }
        // Named, so that nothing depends on a default provider of the process.
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("message_authorities", error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { deadline: settings.deadline, allow_plain: settings.allow_plain, tls: Arc::new(tls), authorities })
    }

    fn client(&self) -> Client {
        Client::new(&self.tls, self.deadline)
    }

    /// An address to call: `https`, or `http` where nobody listens in.
    fn url(&self, setting: &'static str, text: &str) -> Result<Uri, SettingError> {
        let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| wrong(setting, "must be a URL"))?;
        let host = uri.host().unwrap_or_default();
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong(setting, "must not have a user name or password in it"));
        }
        match uri.scheme_str() {
            _ if host.is_empty() => Err(wrong(setting, "must be a URL such as https://example.org")),
            Some("https") => Ok(uri),
            Some("http") if self.allow_plain || is_loopback(host) => Ok(uri),
            Some("http") => Err(wrong(setting, "must begin with https:// (http:// only to this machine)")),
            _ => Err(wrong(setting, "must begin with https://")),
        }
    }
}

/// The certificates of a PEM file, at least one.
fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, SettingError> {
    let unread =
        |error: rustls::pki_types::pem::Error| wrong("message_authorities", format!("cannot be read: {error}"));
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unread)?;
    if found.is_empty() {
        return Err(wrong("message_authorities", "has no certificate"));
    }
    Ok(found)
}

/// Whether a host is this machine.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Collects the errors of settings that do not depend on each other.
macro_rules! checked {
    ($errors:ident, $result:expr) => {
        match $result {
            Ok(value) => Some(value),
            Err(error) => {
                $errors.push(error);
                None
            }
        }
    };
}

fn open_sms(common: &Common, settings: &SmsSettings) -> Result<SmsChannel, Vec<SettingError>> {
    let mut errors = Vec::new();
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_plain(&settings.account) {
        errors.push(wrong("sms_account", "must be letters and digits"));
    }
    if settings.token.expose().is_empty() {
        errors.push(wrong("sms_token", "must not be empty"));
    }
    let is_name = settings.from.len() <= 11 && is_plain(&settings.from);
    let is_service = settings.from.starts_with("MG") && is_plain(&settings.from);
    if !is_name && !is_service && validate_address(ChannelKind::Sms, &settings.from).is_err() {
        let reason = "must be a number as in E.164, up to 11 letters and digits, or the id of a messaging service";
        errors.push(wrong("sms_from", reason));
    }
    let url = common.url("sms_url", &settings.base_url).and_then(|base| {
        let account = &settings.account;
        below("sms_url", &base, &format!("/2010-04-01/Accounts/{account}/Messages.json"))
    });
    let target = checked!(errors, url);
    let basic = STANDARD.encode(format!("{}:{}", settings.account, settings.token.expose()));
    let header = HeaderValue::from_str(&format!("Basic {basic}"));
    let header = checked!(errors, header.map_err(|_| wrong("sms_token", "must be text")));
    match (target, header) {
        (Some(target), Some(mut authorization)) if errors.is_empty() => {
            authorization.set_sensitive(true);
            Ok(SmsChannel { client: common.client(), target, authorization, from: settings.from.clone() })
        }
        _ => Err(errors),
    }
}

fn open_telegram(common: &Common, settings: &TelegramSettings) -> Result<TelegramChannel, Vec<SettingError>> {
    let mut errors = Vec::new();
    let token = settings.token.expose();
    let is_token = token.split_once(':').is_some_and(|(id, key)| {
        id.parse::<u64>().is_ok()
            && !key.is_empty()
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    });
    if !is_token {
        errors.push(wrong("telegram_token", "must be a bot's token: digits, a colon, and a key"));
    }
    let base = checked!(errors, common.url("telegram_url", &settings.base_url));
    match base {
        Some(base) if errors.is_empty() => {
            let method = |name: &str| {
                let target = below("telegram_url", &base, &format!("/bot{token}/{name}"));
                target.map_err(|error| vec![error])
            };
            let (message, document) = (method("sendMessage")?, method("sendDocument")?);
            Ok(TelegramChannel { client: common.client(), message, document })
        }
        _ => Err(errors),
    }
}

fn open_webhook(common: &Common, settings: &WebhookSettings) -> Result<WebhookChannel, Vec<SettingError>> {
    let mut errors = Vec::new();
    let target = checked!(errors, common.url("webhook_url", settings.url.expose()));
    let key = SigningKey::parse(settings.secret.expose())
        .ok_or_else(|| wrong("webhook_secret", "must be whsec_ and 24 to 64 bytes in base64"));
    let key = checked!(errors, key);
    match (target, key) {
        (Some(target), Some(key)) => Ok(WebhookChannel { client: common.client(), target, key }),
        _ => Err(errors),
    }
}

fn open_mail(common: &Common, settings: MailSettings) -> Result<MailChannel, Vec<SettingError>> {
    let mut errors = Vec::new();
    if settings.host.is_empty() || settings.host.contains(|letter: char| letter.is_whitespace() || letter == '/') {
        errors.push(wrong("smtp_host", "must be a host's name or address"));
    }
    if settings.port == 0 {
        errors.push(wrong("smtp_port", "must not be 0"));
    }
    let bare = settings.tls == MailTls::None && settings.credentials.is_some();
    if bare && !common.allow_plain && !is_loopback(&settings.host) {
        errors.push(wrong("smtp_tls", "must not be none with a password, which would go over the network readable"));
    }
    let from = checked!(errors, sender(&settings.from));
    let encryption = checked!(errors, encryption(common, &settings));
    match (from, encryption) {
        (Some(from), Some(encryption)) if errors.is_empty() => Ok(MailChannel {
            host: settings.host,
            port: settings.port,
            encryption,
            credentials: settings
                .credentials
                .map(|(name, password)| Credentials::new(name, password.expose().to_owned())),
            from,
            deadline: common.deadline,
            idle: parking_lot::Mutex::default(),
        }),
        _ => Err(errors),
    }
}

/// `name@example.org` or `Name <name@example.org>`.
fn sender(text: &str) -> Result<Mailbox, SettingError> {
    let bad = || wrong("smtp_from", "must be a mail address such as Practice <practice@example.org>");
    let (name, address) = match text.trim().strip_suffix('>').and_then(|rest| rest.split_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"'), address),
        None => ("", text.trim()),
    };
    let is_one_line = !name.chars().any(char::is_control);
    let address = recipient(address).filter(|_| is_one_line).ok_or_else(bad)?;
    Ok(Mailbox::new((!name.is_empty()).then(|| name.to_owned()), address))
}

fn encryption(common: &Common, settings: &MailSettings) -> Result<Encryption, SettingError> {
    if settings.tls == MailTls::None {
        return Ok(Encryption::None);
    }
    let host = settings.host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let mut builder = TlsParameters::builder(host);
    for authority in &common.authorities {
        let authority = Certificate::from_der(authority.to_vec());
        let authority = authority.map_err(|_| wrong("message_authorities", "has a bad certificate"))?;
        builder = builder.add_root_certificate(authority);
    }
    let tls = builder.build_rustls().map_err(|_| wrong("smtp_host", "must be a name that a certificate can have"))?;
    Ok(if settings.tls == MailTls::Tls { Encryption::Tls(tls) } else { Encryption::StartTls(tls) })
}

/// The base with a path below it.
fn below(setting: &'static str, base: &Uri, path: &str) -> Result<Uri, SettingError> {
    if base.query().is_some() {
        return Err(wrong(setting, "must not have a query"));
    }
    let whole = format!("{}{path}", base.to_string().trim_end_matches('/'));
    whole.parse().map_err(|_| wrong(setting, "must be a URL"))
}
