//! A notice in words, for one channel: subject, text, the mail's HTML part, and what goes to a calendar.
//! Must not know: how it leaves, to which address.
//!
//! Names are data: cleaned of control characters, cut to a length, and escaped where the channel has markup.

pub(crate) mod facts;
mod guard;
pub(crate) mod own;
mod pages;

use std::collections::BTreeMap;

use minijinja::ErrorKind;

use self::facts::{Facts, Lengths};
use self::own::Template;
use crate::calendar::Event;
use crate::languages;
use crate::notice::{ChannelKind, Kind, Notice, Recipient};

/// Longest subject, in characters.
pub(crate) const SUBJECT_MAX: usize = 300;
/// Longest text, in characters: what Telegram takes (4,096), with room for its markup.
pub(crate) const TEXT_MAX: usize = 4_000;
/// Longest text message, in characters: seven parts in scripts that need 16 bits. Built-in ones have two or three.
pub(crate) const SHORT_MAX: usize = 480;

/// A message in words.
#[derive(Clone, PartialEq)]
pub struct Rendered {
    /// One line, plain.
    pub subject: String,
    /// Plain; HTML of the kind that Telegram takes for that channel.
    pub text: String,
    /// A whole page, for mail.
    pub html: Option<String>,
    /// The visit as calendars take it; not for text messages, which have no room for it.
    pub calendar: Option<Event>,
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Rendered(..)")
    }
}

/// Why an operator's template made no message. A built-in one never fails.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RenderError {
    /// It would not have passed [`validate`](crate::validate).
    #[error("the template cannot be rendered: {0}")]
    Template(&'static str),
    /// It has no language at all.
    #[error("the template has no text in any language")]
    Empty,
    /// It renders to nothing.
    #[error("the template renders to an empty text")]
    Blank,
}

/// Puts a notice into words: in the operator's, if there is a template, else in ours. A text that gets too long is cut, with dots.
pub fn render(notice: &Notice, channel: ChannelKind, own: Option<&Template>) -> Result<Rendered, RenderError> {
    let language = languages::find(&notice.language);
    let lengths = if channel == ChannelKind::Sms { Lengths::SHORT } else { Lengths::WHOLE };
    let built_in = pages::built_in(notice, language, channel, lengths);
    let Some(own) = own else { return Ok(built_in) };
    let subject = spoken(&own.subject, &notice.language).ok_or(RenderError::Empty)?;
    let text = spoken(&own.text, &notice.language).ok_or(RenderError::Empty)?;
    let facts = |tag: &str| Facts::new(notice, languages::calendar(tag), lengths);
    let plain_subject = facts::line(&pages::own(subject.1, &facts(subject.0)).map_err(failure)?);
    let plain_text = pages::own(text.1, &facts(text.0)).map_err(failure)?;
    if plain_text.trim().is_empty() || plain_subject.is_empty() {
        return Err(RenderError::Blank);
    }
    let max = if channel == ChannelKind::Sms { SHORT_MAX } else { TEXT_MAX };
    let plain_text = facts::cut(plain_text.trim(), max);
    Ok(Rendered {
        subject: facts::cut(&plain_subject, SUBJECT_MAX),
        html: (channel == ChannelKind::Email).then(|| pages::paragraphs(text.0, &plain_text)),
        text: if channel == ChannelKind::Telegram { pages::escaped(&plain_text) } else { plain_text },
        calendar: built_in.calendar,
    })
}

/// The text in the nearest language that the template has; else its English one; else its first.
fn spoken<'a>(texts: &'a BTreeMap<String, String>, tag: &str) -> Option<(&'a str, &'a str)> {
    let of_range = |range: &str| texts.iter().find(|(key, _)| key.eq_ignore_ascii_case(range));
    let found = languages::ranges(tag).find_map(|range| of_range(&range));
    found.or_else(|| of_range("en")).or_else(|| texts.iter().next()).map(|(key, text)| (key.as_str(), text.as_str()))
}

/// In words without anything of the message.
fn failure(error: minijinja::Error) -> RenderError {
    RenderError::Template(match error.kind() {
        ErrorKind::SyntaxError => "syntax",
        ErrorKind::UndefinedError => "an unknown variable",
        ErrorKind::UnknownFilter => "an unknown filter",
        ErrorKind::OutOfFuel | ErrorKind::WriteFailure => "too long",
        _ => "an invalid operation",
    })
}

/// The facts of a calendar's entry.
fn event(notice: &Notice, summary: String, facts: &Facts, description: String) -> Event {
    Event {
        appointment_id: notice.appointment_id,
        version: notice.version,
        method: match notice.kind {
            Kind::Cancellation => crate::calendar::Method::Cancel,
            _ => crate::calendar::Method::Request,
        },
        summary,
        location: facts.place_line.clone(),
        description,
        start_ms: notice.start_ms,
        end_ms: notice.end_ms,
    }
}

/// The name of the other side: of the doctor for the patient, and the other way round.
fn other_name(facts: &Facts, recipient: Recipient) -> &str {
    match recipient {
        Recipient::Patient => &facts.doctor,
        Recipient::Doctor => &facts.patient,
    }
}
