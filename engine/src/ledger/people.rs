//! Patients and clinics as they are kept: plain values of the registry.
//! Must not know: bookings, how they are stored, who may read them.

use booking_core::{PatientId, PersonalText, UtcMillis};
use uuid::Uuid;

/// A patient's own particulars. Whoever never gave any books all the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patient {
    /// The id; a patient's token has it as its subject.
    pub id: PatientId,
    /// What a caller gives.
    pub profile: PatientProfile,
    /// When it was put first.
    pub created_at: UtcMillis,
    /// When it was put last.
    pub updated_at: UtcMillis,
}

/// What a caller says of a patient. Validated by the gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PatientProfile {
    /// Full name.
    pub name: PersonalText,
    /// E.164.
    pub phone: Option<PersonalText>,
    /// An address to write to.
    pub email: Option<PersonalText>,
    /// A chat id, or a name with `@`.
    pub telegram: Option<PersonalText>,
    /// Language tag (BCP 47).
    pub language: Option<String>,
    /// IANA name.
    pub time_zone: Option<String>,
    /// Where messages go, in the order given, none twice; `None`: not said, empty: nowhere.
    pub channels: Option<Vec<Channel>>,
}

/// A way to reach a patient.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// A file of the operator's.
    File,
    /// Mail.
    Email,
    /// Text message.
    Sms,
    /// Telegram.
    Telegram,
    /// A call to an address of the operator's.
    Webhook,
}

impl Channel {
    /// All of them, in the order of their numbers in stores, from 0.
    pub const ALL: [Self; 5] = [Self::File, Self::Email, Self::Sms, Self::Telegram, Self::Webhook];

    /// The word for it, the same on the wire and in stores.
    pub const fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Telegram => "telegram",
            Self::Webhook => "webhook",
        }
    }

    /// The inverse of [`Channel::word`].
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.word() == word)
    }
}

/// A clinic: what doctors name by its id. A doctor may also name one that is not kept here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clinic {
    /// The id, chosen by the operator.
    pub id: Uuid,
    /// What a caller gives.
    pub profile: ClinicProfile,
    /// When it was put first.
    pub created_at: UtcMillis,
    /// When it was put last.
    pub updated_at: UtcMillis,
}

/// What a caller says of a clinic. Validated by the gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClinicProfile {
    /// Its name.
    pub name: String,
    /// IANA name.
    pub time_zone: Option<String>,
}
