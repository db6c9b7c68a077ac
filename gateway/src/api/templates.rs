//! Templates of messages: put, read, list, and see what one looks like before anybody gets it.
//! Must not know: when a message is sent, to whom.

use actix_web::http::StatusCode;
use engine::reminders::policy::is_template_name;
use messages::{ChannelKind, Kind, Recipient, Rendered, Template, TemplateError};
use serde::{Deserialize, Serialize};

use super::call::{Call, json};
use super::catalogue::Code;
use super::checks::Checks;
use super::cursor;
use super::lists::page;
use super::problem::Problem;
use crate::auth::permission::{Guard, ManageMessages};
use crate::middleware::edge::Answer;

/// Longest language tag of a preview.
const LANGUAGE_MAX: usize = 35;

#[derive(Serialize)]
struct TemplateView<'a> {
    name: &'a str,
    template: &'a Template,
}

/// The name in the path.
fn path_name(call: &Call) -> Result<String, Problem> {
    let name = call.request().match_info().get("name").unwrap_or_default();
    match is_template_name(name) {
        true => Ok(name.to_owned()),
        false => Err(Problem::invalid("A template's name has 1 to 64 letters a-z, digits, - or _.")),
    }
}

/// `PUT /v1/message-templates/{name}`
pub(crate) async fn put(mut call: Call, guard: Guard<ManageMessages>) -> Answer {
    call.no_query()?;
    let name = path_name(&call)?;
    let template = call.body::<Template>().await?;
    messages::validate(&template).map_err(|error| faulty("", &error))?;
    guard.permit(&())?;
    let kept = serde_json::to_string(&template).map_err(|_| Problem::of(Code::Internal))?;
    call.engine().registry().put_template(&name, Some(&kept), call.now()).await?;
    json(StatusCode::OK, &TemplateView { name: &name, template: &template })
}

/// `GET /v1/message-templates/{name}`
pub(crate) async fn read(call: Call, guard: Guard<ManageMessages>) -> Answer {
    call.no_query()?;
    let name = path_name(&call)?;
    guard.permit(&())?;
    let template = find(&call, &name).await?;
    json(StatusCode::OK, &TemplateView { name: &name, template: &template })
}

/// `DELETE /v1/message-templates/{name}`. Messages that were to be told by it are told in the usual words. Asked twice it is a 404.
pub(crate) async fn delete(call: Call, guard: Guard<ManageMessages>) -> Answer {
    call.no_query()?;
    call.idempotency_key()?;
    let name = path_name(&call)?;
    guard.permit(&())?;
    let template = find(&call, &name).await?;
    call.engine().registry().put_template(&name, None, call.now()).await?;
    json(StatusCode::OK, &TemplateView { name: &name, template: &template })
}

/// `GET /v1/message-templates`
pub(crate) async fn list(call: Call, guard: Guard<ManageMessages>) -> Answer {
    let query = call.query(&["cursor", "limit"], &[])?;
    let limit = query.limit()?;
    let after = query.get("cursor").map(cursor::to_template).transpose()?;
    guard.permit(&())?;
    let rows = call.engine().registry().templates(after.as_deref(), limit + 1).await?;
    let rows = rows.into_iter().map(|(name, text)| Ok((name, stored(&text)?)));
    let rows = rows.collect::<Result<Vec<(String, Template)>, Problem>>()?;
    let view = |(name, template)| TemplateView { name, template };
    let body = page(&rows, limit, |(name, _)| cursor::of_template(name), |row| view((&row.0, &row.1)));
    json(StatusCode::OK, &body)
}

async fn find(call: &Call, name: &str) -> Result<Template, Problem> {
    let text = call.engine().registry().template(name).await?;
    stored(&text.ok_or_else(|| Problem::new(Code::NotFound, "There is no such template."))?)
}

fn stored(text: &str) -> Result<Template, Problem> {
    serde_json::from_str(text).map_err(|error| {
        tracing::error!(%error, "a stored template cannot be read");
        Problem::of(Code::Internal)
    })
}

/// What a preview is asked for: a stored template, one that is not stored yet, or the usual words.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviewBody {
    name: Option<String>,
    template: Option<Template>,
    kind: String,
    channel: String,
    #[serde(default)]
    recipient: Option<String>,
    #[serde(default)]
    language: Option<String>,
}

#[derive(Serialize)]
struct PreviewView {
    subject: String,
    text: String,
    html: Option<String>,
}

impl From<Rendered> for PreviewView {
    fn from(rendered: Rendered) -> Self {
        Self { subject: rendered.subject, text: rendered.text, html: rendered.html }
    }
}

/// `POST /v1/message-preview`: of a made-up visit. Nothing is sent or kept.
pub(crate) async fn preview(mut call: Call, guard: Guard<ManageMessages>) -> Answer {
    call.no_query()?;
    call.idempotency_key()?;
    let body = call.body::<PreviewBody>().await?;
    let mut checks = Checks::default();
    let kind = of_word(&Kind::ALL, Kind::word, &body.kind);
    let channel = of_word(&ChannelKind::ALL, ChannelKind::word, &body.channel);
    let wanted = body.recipient.as_deref().unwrap_or(Recipient::Patient.word());
    let recipient = of_word(&Recipient::ALL, Recipient::word, wanted);
    checks.require(kind.is_some(), "/kind", "must be reminder, confirmation, change or cancellation");
    checks.require(channel.is_some(), "/channel", "must be file, email, sms, telegram or webhook");
    checks.require(recipient.is_some(), "/recipient", "must be patient or doctor");
    let is_tag = |tag: &str| (1..=LANGUAGE_MAX).contains(&tag.len()) && tag.bytes().all(is_tag_byte);
    checks.require(body.language.as_deref().is_none_or(is_tag), "/language", "must be a language tag such as de-AT");
    checks.require(body.name.is_none() || body.template.is_none(), "/template", "must not stand beside name");
    checks.require(body.name.as_deref().is_none_or(is_template_name), "/name", "must be a template's name");
    checks.finish()?;
    if let Some(template) = &body.template {
        messages::validate(template).map_err(|error| faulty("/template", &error))?;
    }
    guard.permit(&())?;
    let (Some(kind), Some(channel), Some(recipient)) = (kind, channel, recipient) else {
        return Err(Problem::of(Code::Internal));
    };
    let template = match &body.name {
        Some(name) => Some(find(&call, name).await?),
        None => body.template,
    };
    let mut notice = messages::sample(kind, recipient);
    notice.language = body.language.unwrap_or(notice.language);
    let rendered = messages::render(&notice, channel, template.as_ref()).map_err(|error| {
        let mut checks = Checks::default();
        checks.add("/template", error.to_string());
        checks.finish().err().unwrap_or_else(|| Problem::of(Code::Internal))
    })?;
    json(StatusCode::OK, &PreviewView::from(rendered))
}

fn is_tag_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn of_word<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str, wanted: &str) -> Option<T> {
    all.iter().copied().find(|each| word(*each) == wanted)
}

/// A fault of a template, pointed at: `text.de`, line 3.
fn faulty(prefix: &str, error: &TemplateError) -> Problem {
    let place = error.field.split('.').fold(prefix.to_owned(), |pointer, part| format!("{pointer}/{part}"));
    let line = error.line.map(|line| format!("line {line}: ")).unwrap_or_default();
    Problem::fields(vec![super::problem::FieldError { pointer: place, message: format!("{line}{}", error.fault) }])
}
