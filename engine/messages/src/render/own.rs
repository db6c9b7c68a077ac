//! The operator's own templates: their form, and everything that can be wrong with one, told before it is kept.
//! Must not know: which appointment they are for, how they are stored.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::ErrorKind;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::facts::{Facts, Lengths, NAMES};
use super::{guard, pages};
use crate::languages;
use crate::notice::{Kind, Notice, Recipient};

/// Longest source of a subject, in characters.
const SUBJECT_SOURCE_MAX: usize = 500;
/// Longest source of a text, in characters.
const TEXT_SOURCE_MAX: usize = 4_000;
/// Most languages of one template.
const LANGUAGES_MAX: usize = 40;
/// Longest language tag.
const TAG_MAX: usize = 35;

/// A message in an operator's words, by language tag. Both maps have the same languages. Texts are plain on every channel; `{{ … }}` puts a
/// variable in, `{% if … %}` chooses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// One line.
    pub subject: BTreeMap<String, String>,
    /// The text.
    pub text: BTreeMap<String, String>,
}

/// What is wrong with a template, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field}{}: {fault}", .line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct TemplateError {
    /// `subject`, `text`, or one of their languages, such as `text.de`.
    pub field: String,
    /// Line of that text, from 1, where there is one.
    pub line: Option<usize>,
    /// What.
    pub fault: TemplateFault,
}

/// What can be wrong.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TemplateFault {
    /// No language at all.
    #[error("must have a text in at least one language")]
    Empty,
    /// Too many.
    #[error("must not have more than {LANGUAGES_MAX} languages")]
    TooManyLanguages,
    /// The key is none.
    #[error("must be a language tag such as de-AT")]
    NotALanguage,
    /// The other map has that language.
    #[error("is missing: subject and text must have the same languages")]
    Missing,
    /// Nothing in it.
    #[error("must not be blank")]
    Blank,
    /// More than so many characters.
    #[error("must not be longer than {0} characters")]
    TooLong(usize),
    /// A subject is one line.
    #[error("must be a single line")]
    Lines,
    /// Not a template.
    #[error("is not a valid template: {0}")]
    Syntax(String),
    /// More than templates may do.
    #[error("must not have {0}")]
    Forbidden(&'static str),
    /// There is no such variable.
    #[error("unknown variable {name}; there are {}", NAMES.join(", "))]
    UnknownVariable {
        /// What stands there.
        name: String,
    },
    /// There is no such filter.
    #[error("unknown filter; there are upper and lower")]
    UnknownFilter,
    /// It cannot be rendered for this kind.
    #[error("cannot be rendered for a {0}: {1}")]
    Fails(&'static str, String),
}

/// Checks everything that can be known before there is a message: who passes is rendered without an error, for every kind and recipient, except that
/// it may turn out blank.
pub fn validate(template: &Template) -> Result<(), TemplateError> {
    for (field, texts, other) in
        [("subject", &template.subject, &template.text), ("text", &template.text, &template.subject)]
    {
        let wrong = |fault| Err(TemplateError { field: field.to_owned(), line: None, fault });
        if texts.is_empty() {
            return wrong(TemplateFault::Empty);
        }
        if texts.len() > LANGUAGES_MAX {
            return wrong(TemplateFault::TooManyLanguages);
        }
        if let Some(tag) = other.keys().find(|tag| !texts.contains_key(*tag)) {
            return Err(TemplateError { field: format!("{field}.{tag}"), line: None, fault: TemplateFault::Missing });
        }
    }
    for (tag, source) in &template.subject {
        check(&format!("subject.{tag}"), tag, source, SUBJECT_SOURCE_MAX)?;
        if source.trim().contains(['\n', '\r']) {
            return Err(TemplateError { field: format!("subject.{tag}"), line: Some(2), fault: TemplateFault::Lines });
        }
    }
    template.text.iter().try_for_each(|(tag, source)| check(&format!("text.{tag}"), tag, source, TEXT_SOURCE_MAX))
}

/// One text.
fn check(field: &str, tag: &str, source: &str, max: usize) -> Result<(), TemplateError> {
    let wrong = |line, fault| Err(TemplateError { field: field.to_owned(), line, fault });
    if !is_tag(tag) {
        return wrong(None, TemplateFault::NotALanguage);
    }
    if source.trim().is_empty() {
        return wrong(None, TemplateFault::Blank);
    }
    if source.chars().count() > max {
        return wrong(None, TemplateFault::TooLong(max));
    }
    if let Err(forbidden) = guard::check(source) {
        return wrong(Some(forbidden.line), TemplateFault::Forbidden(forbidden.what));
    }
    let environment = pages::environment();
    let unknown = match environment.template_from_named_str("own", source) {
        Ok(template) => {
            let mut unknown: Vec<String> = template.undeclared_variables(false).into_iter().collect();
            unknown.retain(|name| !NAMES.contains(&name.as_str()));
            unknown.into_iter().min()
        }
        Err(error) => return wrong(error.line(), fault_of(&error, None)),
    };
    if let Some(name) = unknown {
        return wrong(line_of(source, &name), TemplateFault::UnknownVariable { name });
    }
    let fails = |notice: &Notice| {
        let facts = Facts::new(notice, languages::calendar(tag), Lengths::WHOLE);
        pages::own(source, &facts).err().map(|error| (error.line(), fault_of(&error, Some(notice.kind))))
    };
    match samples().iter().find_map(fails) {
        Some((line, fault)) => wrong(line, fault),
        None => Ok(()),
    }
}

/// The engine's words tell what of the template is wrong, and nothing else.
fn fault_of(error: &minijinja::Error, kind: Option<Kind>) -> TemplateFault {
    let words = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match (error.kind(), kind) {
        (ErrorKind::UnknownFilter, _) => TemplateFault::UnknownFilter,
        (_, Some(kind)) => TemplateFault::Fails(kind.word(), words),
        (_, None) => TemplateFault::Syntax(words),
    }
}

/// Letters, digits and hyphens, beginning with a language of two letters or more.
fn is_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().unwrap_or_default();
    tag.len() <= TAG_MAX
        && (2..=8).contains(&first.len())
        && first.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The first line that has this name as a word.
fn line_of(source: &str, name: &str) -> Option<usize> {
    let is_word =
        |line: &str| line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == name);
    source.lines().position(is_word).map(|line| line + 1)
}

/// Every kind and recipient, with everything said and with nothing.
fn samples() -> Vec<Notice> {
    let mut samples = Vec::new();
    for kind in Kind::ALL {
        for recipient in Recipient::ALL {
            let whole = sample(kind, recipient);
            let bare =
                Notice { place: String::new(), city: String::new(), patient: None, reason: None, ..whole.clone() };
            samples.extend([whole, bare]);
        }
    }
    samples
}

/// A made-up visit: for checking, and for showing what a template looks like.
pub fn sample(kind: Kind, recipient: Recipient) -> Notice {
    Notice {
        kind,
        recipient,
        appointment_id: Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001),
        version: 1,
        offset_seconds: if kind == Kind::Reminder { 86_400 } else { 0 },
        doctor: "Dr. Clara Weiss".to_owned(),
        place: "Praxis am Markt".to_owned(),
        city: "Berlin".to_owned(),
        // Tuesday, 2 March 2027, 10:30 to 10:50 in Berlin.
        start_ms: 1_803_979_800_000,
        end_ms: 1_803_981_000_000,
        time_zone: "Europe/Berlin".to_owned(),
        patient: Some("Ada Brandt".to_owned()),
        language: "en".to_owned(),
        reason: (kind == Kind::Cancellation).then(|| "The practice is closed that day".to_owned()),
    }
}

/// The tags of the languages that messages are in without any template.
pub fn built_in_languages() -> BTreeSet<&'static str> {
    languages::ALL.into_iter().map(|language| language.tag).filter(|tag| !tag.contains('-')).collect()
}
