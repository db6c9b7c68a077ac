//! Patients on the wire: what is taken, what is answered.
//! Must not know: how patients are stored, who may read them. Messages name rules, never what was given.

use booking_core::PersonalText;
use engine::ledger::people::{Channel, Patient, PatientProfile};
use messages::{ChannelKind, validate_address};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::checks::Checks;
use super::doctor_body::{LANGUAGE_MESSAGE, NAME_MAX, ZONE_MESSAGE, is_language};
use super::instant::InstantText;
use super::problem::Problem;
use super::zone::Zone;

/// The body of a put.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatientBody {
    name: String,
    phone: Option<String>,
    email: Option<String>,
    telegram: Option<String>,
    language: Option<String>,
    time_zone: Option<String>,
    channels: Option<Vec<String>>,
}

impl PatientBody {
    /// The profile, checked.
    pub(crate) fn into_profile(self) -> Result<PatientProfile, Problem> {
        let mut checks = Checks::default();
        checks.line("/name", &self.name, NAME_MAX);
        for (pointer, text, kind) in [
            ("/phone", &self.phone, ChannelKind::Sms),
            ("/email", &self.email, ChannelKind::Email),
            ("/telegram", &self.telegram, ChannelKind::Telegram),
        ] {
            let refused = text.as_deref().and_then(|text| validate_address(kind, text).err());
            if let Some(error) = refused {
                checks.add(pointer, error.to_string());
            }
        }
        checks.require(self.language.as_deref().is_none_or(is_language), "/language", LANGUAGE_MESSAGE);
        let zone = self.time_zone.as_deref().map(Zone::find);
        checks.require(!matches!(zone, Some(None)), "/time_zone", ZONE_MESSAGE);
        let channels = self.channels.as_deref().map(|words| channels(words, &mut checks));
        checks.finish()?;
        let personal = |text: Option<String>| text.as_deref().map(PersonalText::plain);
        Ok(PatientProfile {
            name: PersonalText::plain(&self.name),
            phone: personal(self.phone),
            email: personal(self.email),
            telegram: personal(self.telegram),
            language: self.language,
            time_zone: zone.flatten().map(|zone| zone.name().to_owned()),
            channels,
        })
    }
}

/// The channels of these words; stops at the first that is one too many.
fn channels(words: &[String], checks: &mut Checks) -> Vec<Channel> {
    let mut found = Vec::new();
    checks.require(words.len() <= Channel::ALL.len(), "/channels", "must have at most 5 items");
    for (position, word) in words.iter().enumerate().take(Channel::ALL.len()) {
        match Channel::of_word(word) {
            None => {
                checks.add(format!("/channels/{position}"), "must be file, email, sms, telegram or webhook");
            }
            Some(channel) if found.contains(&channel) => {
                checks.add(format!("/channels/{position}"), "must not be there twice");
            }
            Some(channel) => found.push(channel),
        }
    }
    found
}

/// A patient as answered. What is sealed is told as null.
#[derive(Serialize)]
pub(crate) struct PatientView<'a> {
    id: Uuid,
    name: Option<&'a str>,
    phone: Option<&'a str>,
    email: Option<&'a str>,
    telegram: Option<&'a str>,
    language: Option<&'a str>,
    time_zone: Option<&'a str>,
    channels: Option<Vec<&'static str>>,
    created_at: InstantText,
    updated_at: InstantText,
}

impl<'a> From<&'a Patient> for PatientView<'a> {
    fn from(patient: &'a Patient) -> Self {
        let profile = &patient.profile;
        let told = |text: &'a Option<PersonalText>| text.as_ref().and_then(PersonalText::as_plain);
        let words = |channels: &Vec<Channel>| channels.iter().map(|channel| channel.word()).collect();
        Self {
            id: patient.id.0,
            name: profile.name.as_plain(),
            phone: told(&profile.phone),
            email: told(&profile.email),
            telegram: told(&profile.telegram),
            language: profile.language.as_deref(),
            time_zone: profile.time_zone.as_deref(),
            channels: profile.channels.as_ref().map(words),
            created_at: InstantText(patient.created_at),
            updated_at: InstantText(patient.updated_at),
        }
    }
}
