//! Patients on the wire: what is taken, what is answered.
//! Must not know: how patients are stored, who may read them. Messages name rules, never what was given.

use booking_core::PersonalText;
use engine::ledger::people::{Channel, Patient, PatientProfile};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::checks::Checks;
use super::doctor_body::{LANGUAGE_MESSAGE, NAME_MAX, ZONE_MESSAGE, is_language};
use super::instant::InstantText;
use super::problem::Problem;
use super::zone::Zone;

/// Longest mail address, in bytes (RFC 5321).
const EMAIL_MAX: usize = 254;
/// Longest part of a mail address before the `@`, in bytes.
const EMAIL_LOCAL_MAX: usize = 64;
/// Longest name on Telegram, without the `@`.
const TELEGRAM_MAX: usize = 32;

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
        let mut form = |pointer: &str, text: &Option<String>, holds: fn(&str) -> bool, message: &str| {
            checks.require(text.as_deref().is_none_or(holds), pointer, message);
        };
        form("/phone", &self.phone, is_phone, "must be + and 7 to 15 digits, as in E.164");
        form("/email", &self.email, is_email, "must be a mail address");
        form("/telegram", &self.telegram, is_telegram, "must be a numeric chat id or a name with @ in front");
        form("/language", &self.language, is_language, LANGUAGE_MESSAGE);
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

/// E.164: no country code begins with 0.
fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Plausible: one `@`, a local part without blanks or what could end a header, a domain of two labels or more.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_local = |character: char| {
        !character.is_whitespace() && !character.is_control() && !r#"@<>()[],;:"\"#.contains(character)
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|character| character.is_alphanumeric() || character == '-')
    };
    text.len() <= EMAIL_MAX
        && (1..=EMAIL_LOCAL_MAX).contains(&local.len())
        && local.chars().all(is_local)
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

/// A chat id (groups have negative ones), or `@` and a name.
fn is_telegram(text: &str) -> bool {
    match text.strip_prefix('@') {
        Some(name) => {
            name.len() <= TELEGRAM_MAX
                && name.starts_with(|first: char| first.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        }
        None => !text.starts_with('+') && text.parse::<i64>().is_ok_and(|id| id != 0),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_e164() {
        for good in ["+4930123", "+493012345678901"] {
            assert!(is_phone(good), "{good}");
        }
        for bad in ["", "+", "4930123456", "+493012", "+4930123456789012", "+49 30 123", "+0301234567", "++4930123"] {
            assert!(!is_phone(bad), "{bad}");
        }
    }

    #[test]
    fn mail_addresses_are_plausible() {
        for good in ["a@b.org", "first.last+tag@sub.example.com", "jörg@müller.example"] {
            assert!(is_email(good), "{good}");
        }
        let long = format!("{}@b.org", "a".repeat(EMAIL_LOCAL_MAX + 1));
        for bad in ["", "a", "@b.org", "a@", "a@b", "a@@b.org", "a@b@c.org", "a b@c.org", "a@b..org", "a@-b.org", &long]
        {
            assert!(!is_email(bad), "{bad}");
        }
        assert!(!is_email("a\r\nBcc:x@b.org"));
    }

    #[test]
    fn telegram_takes_ids_and_names() {
        for good in ["123456789", "-1001234567890", "@ada_l"] {
            assert!(is_telegram(good), "{good}");
        }
        for bad in ["", "@", "ada", "@1da", "@a-b", "0", "+5", "1.5", "99999999999999999999"] {
            assert!(!is_telegram(bad), "{bad}");
        }
    }
}
