//! Telegram: one `sendMessage` of a bot.
//! Must not know: how the text was escaped.

use async_trait::async_trait;
use hyper::Uri;
use serde_json::json;

use super::http::{Client, bounded, provider_id};
use super::{Channel, Envelope, Receipt, SendError};
use crate::notice::ChannelKind;

/// A checked bot. The target has its token.
pub(super) struct TelegramChannel {
    pub(super) client: Client,
    pub(super) target: Uri,
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
}

impl TelegramChannel {
    async fn send_one(&self, envelope: &Envelope, now_ms: i64) -> Result<Receipt, SendError> {
        let body = json!({
            "chat_id": envelope.to.expose(),
            "text": envelope.rendered.text,
            "parse_mode": "HTML",
            // A name that looks like a link fetches nothing.
            "link_preview_options": {"is_disabled": true},
        });
        let answer = self.client.post(&self.target, "application/json", &[], body.to_string(), now_ms).await?;
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
