//! What a message about an appointment says, and how it leaves: words in six languages, calendars, and the channels to providers; what
//! an operator is told of messages that do not leave.
//! Must not know: the engine, the ledger, the gateway; when a message is due, whether it still should go, who tries again.
//!
//! Nothing here reads the clock or throws dice: instants come in with the call, ids with the message. Addresses, names and secrets
//! are in no error and in no `Debug`.

mod address;
mod alert;
mod calendar;
mod channels;
mod instant;
mod languages;
mod notice;
mod render;
mod secret;

pub use address::{AddressError, validate_address};
pub use alert::Alert;
pub use calendar::{Event, Method};
pub use channels::settings::{
    FileSettings, MailSettings, MailTls, SettingError, Settings, SmsSettings, TelegramSettings, WebhookSettings,
};
pub use channels::{Channel, Channels, Envelope, Fault, Receipt, SendError};
pub use notice::{ChannelKind, Kind, Notice, Recipient};
pub use render::own::{Template, TemplateError, TemplateFault, built_in_languages, sample, validate};
pub use render::{RenderError, Rendered, render};
pub use secret::{Address, Secret};
