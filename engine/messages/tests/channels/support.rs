//! Messages to send, and settings that lead to a double.
//! Must not know: what is tested.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use messages::{
    Address, Channel, ChannelKind, Channels, Envelope, Kind, MailSettings, MailTls, Notice, Receipt, Recipient, Secret,
    SendError, Settings, SmsSettings, TelegramSettings, WebhookSettings, render, sample,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

/// The instant of all tests: 2027-01-01T00:00:00.123Z.
pub const NOW_MS: i64 = 1_798_761_600_123;
/// Of the webhook: 24 bytes.
pub const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Of the others. Nothing may ever show it.
pub const PASSWORD: &str = "swordfish-77";

/// A notice in words for a channel.
pub fn envelope(channel: ChannelKind, kind: Kind, to: &str) -> Envelope {
    of_notice(channel, sample(kind, Recipient::Patient), to)
}

/// This notice.
pub fn of_notice(channel: ChannelKind, notice: Notice, to: &str) -> Envelope {
    let rendered = render(&notice, channel, None).expect("ours");
    Envelope { message_id: Uuid::from_u128(7), to: Address::new(to), notice, rendered }
}

/// The one channel of these settings.
pub fn open(settings: Settings, kind: ChannelKind) -> Arc<dyn Channel> {
    let channels = Channels::open(settings).expect("good settings");
    assert_eq!(channels.configured().collect::<Vec<_>>(), [kind]);
    Arc::clone(channels.get(kind).expect("it is configured"))
}

/// Sends one.
pub async fn send(channel: &dyn Channel, envelope: &Envelope) -> Result<Receipt, SendError> {
    let mut results = channel.send(std::slice::from_ref(envelope), NOW_MS).await;
    assert_eq!(results.len(), 1);
    results.remove(0)
}

/// A deadline that a hanging double is found out by soon, and that a working one on a busy machine keeps.
pub fn with_deadline(settings: Settings, hangs: bool) -> Settings {
    Settings { deadline: Duration::from_millis(if hangs { 300 } else { 20_000 }), ..settings }
}

/// Text messages to this base URL.
pub fn sms(base_url: &str) -> Settings {
    let sms = SmsSettings {
        base_url: base_url.to_owned(),
        account: "AC123".to_owned(),
        token: Secret::new(PASSWORD),
        from: "+4930999999".to_owned(),
    };
    with_deadline(Settings { sms: Some(sms), ..Settings::default() }, false)
}

/// Telegram at this base URL.
pub fn telegram(base_url: &str) -> Settings {
    let token = Secret::new(format!("42:{PASSWORD}"));
    let telegram = TelegramSettings { base_url: base_url.to_owned(), token };
    with_deadline(Settings { telegram: Some(telegram), ..Settings::default() }, false)
}

/// The webhook at this URL.
pub fn webhook(url: &str) -> Settings {
    let webhook = WebhookSettings { url: Secret::new(url), secret: Secret::new(WEBHOOK_SECRET) };
    with_deadline(Settings { webhook: Some(webhook), ..Settings::default() }, false)
}

/// Mail over a server on this port.
pub fn mail(port: u16, tls: MailTls) -> Settings {
    let mail = MailSettings {
        host: "127.0.0.1".to_owned(),
        port,
        tls,
        credentials: None,
        from: "Praxis am Märkt <praxis@example.org>".to_owned(),
    };
    let authorities = (tls != MailTls::None).then(|| pem("ca.pem"));
    with_deadline(Settings { mail: Some(mail), authorities, ..Settings::default() }, false)
}

/// A file of certificates beside the tests.
pub fn pem(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pem").join(name)
}

/// The servers' side of TLS, with the certificate that `ca.pem` vouches for.
pub fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(pem("node.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(pem("node.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate], key));
    TlsAcceptor::from(Arc::new(config.expect("a pair")))
}

/// A connection, encrypted or not.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}
