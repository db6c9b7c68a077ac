//! Telegram: a bot's `sendDocument` with the visit as a file for calendars, else its `sendMessage`.
//! Must not know: how the text was escaped.
//!
//! What the bot interface takes: `sendMessage` as JSON, a text of at most 4,096 characters; `sendDocument` as a form with `chat_id`,
//! the file as `document`, and a `caption` of at most 1,024 characters. Both count what is shown, without the markup, take
//! `parse_mode`, and answer `{"ok": true, "result": {"message_id": …}}`.

use async_trait::async_trait;
use hyper::Uri;
use hyper::header::HeaderValue;
use serde_json::{Value, json};

use super::http::{Client, JSON, bounded, provider_id};
use super::multipart::{Field, form};
use super::{Channel, Envelope, Receipt, SendError};
use crate::alert::Alert;
use crate::calendar::Event;
use crate::notice::ChannelKind;
use crate::secret::Address;

/// Longest caption of a file, as shown.
const CAPTION_MAX: usize = 1_024;

/// A checked bot. The targets have its token.
pub(super) struct TelegramChannel {
    pub(super) client: Client,
    pub(super) message: Uri,
    pub(super) document: Uri,
}

#[async_trait]
impl Channel for TelegramChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Telegram
    }

    async fn send(&self, batch: &[Envelope], now_ms: i64) -> Vec<Result<Receipt, SendError>> {
        let mut results = Vec::with_capacity(batch.len());
        for envelope in batch {
            results.push(self.send_one(envelope, now_ms).await);
        }
        results
    }

    async fn alert(&self, to: &Address, alert: &Alert, now_ms: i64) -> Result<Receipt, SendError> {
        self.say(json!({"chat_id": to.expose(), "text": alert.text()}), now_ms).await
    }
}

impl TelegramChannel {
    async fn send_one(&self, envelope: &Envelope, now_ms: i64) -> Result<Receipt, SendError> {
        let text = &envelope.rendered.text;
        match &envelope.rendered.calendar {
            Some(event) if shown_length(text) <= CAPTION_MAX => self.hand_over(envelope, event, now_ms).await,
            _ => self.say(json!({"chat_id": envelope.to.expose(), "text": text, "parse_mode": "HTML"}), now_ms).await,
        }
    }

    /// The file, with the text as its caption.
    async fn hand_over(&self, envelope: &Envelope, event: &Event, now_ms: i64) -> Result<Receipt, SendError> {
        let ics = event.to_ics(None, now_ms);
        let fields = [
            Field::text("chat_id", envelope.to.expose()),
            Field::text("caption", &envelope.rendered.text),
            Field::text("parse_mode", "HTML"),
            Field { name: "document", file: Some(("visit.ics", "text/calendar; charset=utf-8")), content: &ics },
        ];
        let (content_type, body) = form(envelope.message_id, &fields);
        self.post(&self.document, content_type, body, now_ms).await
    }

    async fn say(&self, mut body: Value, now_ms: i64) -> Result<Receipt, SendError> {
        // A name that looks like a link fetches nothing.
        body["link_preview_options"] = json!({"is_disabled": true});
        self.post(&self.message, JSON, body.to_string(), now_ms).await
    }

    async fn post(&self, target: &Uri, kind: HeaderValue, body: String, now_ms: i64) -> Result<Receipt, SendError> {
        let answer = self.client.post(target, kind, &[], body, now_ms).await?;
        let json = answer.json();
        match answer.status.as_u16() {
            200..=299 if json["ok"] == true => Ok(Receipt { provider_id: provider_id(&json["result"]["message_id"]) }),
            400 => Err(SendError::permanent("Telegram refuses the message or knows no such chat (400)")),
            403 => Err(SendError::permanent("the recipient does not take messages from this bot (403)")),
            // Telegram answers so for a token that is none.
            401 | 404 => {
                Err(SendError::transient(format!("Telegram refuses the bot's token ({})", answer.status.as_u16())))
            }
            _ => {
                let seconds = json["parameters"]["retry_after"].as_u64();
                let mut error = answer.transient();
                error.retry_after = seconds.map(bounded).or(error.retry_after);
                Err(error)
            }
        }
    }
}

/// How long a text is as Telegram counts: without tags, and with each entity as the one character that it stands for. In UTF-16, which is
/// never less than in characters: a text that goes without its file for nothing is no harm, one that is refused is.
fn shown_length(html: &str) -> usize {
    let (mut length, mut until) = (0, None);
    for letter in html.chars() {
        match (until, letter) {
            (Some(end), letter) if letter == end => until = None,
            (Some(_), _) => {}
            (None, '<') => until = Some('>'),
            (None, '&') => {
                until = Some(';');
                length += 1;
            }
            (None, letter) => length += letter.len_utf16(),
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_long_as_it_is_shown() {
        for (html, length) in [("", 0), ("<b>Ünï</b>\n", 4), ("a &lt;b&gt; &amp; &#x27;", 9), ("\u{1f600}", 2)] {
            assert_eq!(shown_length(html), length, "{html}");
        }
    }
}
