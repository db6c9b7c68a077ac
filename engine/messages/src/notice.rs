//! What is to be told: plain facts about one version of one appointment, for one recipient.
//! Must not know: words, languages' rules, how it leaves.

use std::fmt;

use uuid::Uuid;

/// Why a message is sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// So long before the visit.
    Reminder,
    /// It was booked.
    Confirmation,
    /// It was moved.
    Change,
    /// It was cancelled.
    Cancellation,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Reminder, Self::Confirmation, Self::Change, Self::Cancellation];

    /// The word for it on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reminder => "reminder",
            Self::Confirmation => "confirmation",
            Self::Change => "change",
            Self::Cancellation => "cancellation",
        }
    }
}

/// Who is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Recipient {
    /// Whose visit it is.
    Patient,
    /// Whose time it is.
    Doctor,
}

impl Recipient {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Patient, Self::Doctor];

    /// The word for it on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Doctor => "doctor",
        }
    }
}

/// How a message leaves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ChannelKind {
    /// A line of a file of the operator's.
    File,
    /// Mail.
    Email,
    /// Text message.
    Sms,
    /// Telegram.
    Telegram,
    /// A signed call to an address of the operator's.
    Webhook,
}

impl ChannelKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::File, Self::Email, Self::Sms, Self::Telegram, Self::Webhook];

    /// The word for it on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Telegram => "telegram",
            Self::Webhook => "webhook",
        }
    }
}

/// What is to be told. Instants are milliseconds since 1970, UTC. Names and the reason may be any text: they are cleaned and escaped
/// when they are put into words.
#[derive(Clone, PartialEq)]
pub struct Notice {
    /// Why.
    pub kind: Kind,
    /// To whom.
    pub recipient: Recipient,
    /// Of which appointment.
    pub appointment_id: Uuid,
    /// Of which of its versions: what is told later about it has a higher one.
    pub version: u32,
    /// Seconds before the start; 0 unless it is a reminder.
    pub offset_seconds: u32,
    /// Name.
    pub doctor: String,
    /// Name of the place; empty: not said.
    pub place: String,
    /// Its city; empty: not said.
    pub city: String,
    /// When the visit begins.
    pub start_ms: i64,
    /// When it ends.
    pub end_ms: i64,
    /// IANA name of the zone whose local time is told. An unknown one is told as UTC: a message must not be lost over it.
    pub time_zone: String,
    /// Name; `None`: not said.
    pub patient: Option<String>,
    /// Language tag (BCP 47). What is not spoken here is told in the nearest that is, in the end English.
    pub language: String,
    /// Why it was cancelled, if somebody said so.
    pub reason: Option<String>,
}

impl fmt::Debug for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Notice")
            .field("kind", &self.kind)
            .field("recipient", &self.recipient)
            .field("appointment_id", &self.appointment_id)
            .field("version", &self.version)
            .field("offset_seconds", &self.offset_seconds)
            .finish_non_exhaustive()
    }
}
