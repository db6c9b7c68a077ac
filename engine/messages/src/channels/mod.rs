//! The channels behind one trait: a message is handed to a provider, or it is said why not and whether trying again makes sense.
//! Must not know: when to send, how often to try, what to do when a channel fails.

mod file;
mod http;
mod mail;
mod multipart;
mod opening;
pub(crate) mod settings;
mod sms;
mod telegram;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use self::settings::{SettingError, Settings};
use crate::alert::Alert;
use crate::notice::{ChannelKind, Notice};
use crate::render::Rendered;
use crate::secret::Address;

/// A message ready to leave.
#[derive(Clone, PartialEq, Debug)]
pub struct Envelope {
    /// The same for every attempt: whoever gets it twice can tell.
    pub message_id: Uuid,
    /// Where to, as [`validate_address`](crate::validate_address) wants it for the channel.
    pub to: Address,
    /// What it is about.
    pub notice: Notice,
    /// In words, rendered for this channel.
    pub rendered: Rendered,
}

/// A provider has taken a message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Receipt {
    /// What the provider calls it, if it says so: at most 128 bytes, printable.
    pub provider_id: Option<String>,
}

/// Who is to blame for a failure, and so whether it says anything about other messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// This message to this address will never be taken: not tried again, and no sign against the provider.
    Permanent,
    /// The provider does not work, or refuses us: the same message may go later. It may also have arrived.
    Transient,
}

/// Why a message did not leave, or may not have. The words have neither address nor name nor secret, and nothing that the provider said.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct SendError {
    /// Whether trying again makes sense.
    pub fault: Fault,
    /// Not before this has passed, says the provider: at most an hour.
    pub retry_after: Option<Duration>,
    /// In words, for whoever operates.
    pub reason: String,
}

impl SendError {
    pub(crate) fn permanent(reason: impl Into<String>) -> Self {
        Self { fault: Fault::Permanent, retry_after: None, reason: reason.into() }
    }

    pub(crate) fn transient(reason: impl Into<String>) -> Self {
        Self { fault: Fault::Transient, retry_after: None, reason: reason.into() }
    }

    /// Whether it is no use to try again.
    pub fn is_permanent(&self) -> bool {
        self.fault == Fault::Permanent
    }
}

/// One way out.
#[async_trait]
pub trait Channel: Send + Sync + 'static {
    /// Which.
    fn kind(&self) -> ChannelKind;

    /// Most messages of one call that are worth handing over together; more are taken too.
    fn batch_max(&self) -> usize {
        1
    }

    /// Hands messages over, in order; one result each, in the same order. Returns within the channel's deadline for each message (for the whole call
    /// where a batch is one write), and dropping the future leaves nothing broken; then, as after a transient error, it is not known whether
    /// messages left. `now_ms` is the present instant, in milliseconds since 1970.
    async fn send(&self, batch: &[Envelope], now_ms: i64) -> Vec<Result<Receipt, SendError>>;

    /// Hands an alert to an operator over, within the channel's deadline; may be dropped as [`Channel::send`] may. `to` is an address as
    /// messages on this channel have it.
    async fn alert(&self, to: &Address, alert: &Alert, now_ms: i64) -> Result<Receipt, SendError>;
}

/// Those that are configured. Cheap to clone.
#[derive(Clone)]
pub struct Channels {
    all: [Option<Arc<dyn Channel>>; ChannelKind::ALL.len()],
}

impl Channels {
    /// Opens all that are set; on error, everything that is wrong with the settings. Reads files, and connects to nobody. The connections that
    /// are made later belong to the runtime that sends.
    pub fn open(settings: Settings) -> Result<Self, Vec<SettingError>> {
        opening::open(settings).map(Self::of)
    }

    /// These, of which later ones replace earlier ones of the same kind: for tests and simulations.
    pub fn of(channels: Vec<Arc<dyn Channel>>) -> Self {
        let mut all = [const { None }; ChannelKind::ALL.len()];
        for channel in channels {
            let kind = channel.kind();
            all[kind as usize] = Some(channel);
        }
        Self { all }
    }

    /// The one of this kind, if it is configured.
    pub fn get(&self, kind: ChannelKind) -> Option<&Arc<dyn Channel>> {
        self.all[kind as usize].as_ref()
    }

    /// Which are configured.
    pub fn configured(&self) -> impl Iterator<Item = ChannelKind> + '_ {
        ChannelKind::ALL.into_iter().filter(|kind| self.get(*kind).is_some())
    }
}

impl std::fmt::Debug for Channels {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.configured().map(ChannelKind::word)).finish()
    }
}
