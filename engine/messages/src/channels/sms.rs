//! Text messages over an HTTP gateway, in the shape of Twilio's Messages call.
//! Must not know: which company answers.

use async_trait::async_trait;
use hyper::Uri;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use uuid::Uuid;

use super::http::{Client, provider_id};
use super::{Channel, Envelope, Receipt, SendError};
use crate::alert::Alert;
use crate::notice::ChannelKind;
use crate::secret::Address;

/// Codes by which the gateway says that it is our own setting (the sender's number, the account) that is wrong: no sign against the recipient.
const OUR_FAULT: [i64; 9] = [20003, 20005, 21212, 21603, 21606, 21607, 21659, 21660, 21705];

/// A checked account.
pub(super) struct SmsChannel {
    pub(super) client: Client,
    pub(super) target: Uri,
    /// `Basic …`, marked as sensitive.
    pub(super) authorization: HeaderValue,
    /// A number, or the id of a messaging service.
    pub(super) from: String,
}

#[async_trait]
impl Channel for SmsChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Sms
    }

    async fn send(&self, batch: &[Envelope], now_ms: i64) -> Vec<Result<Receipt, SendError>> {
        let mut results = Vec::with_capacity(batch.len());
        for envelope in batch {
            let Envelope { message_id, to, rendered, .. } = envelope;
            results.push(self.send_one(*message_id, to, &rendered.text, now_ms).await);
        }
        results
    }

    async fn alert(&self, to: &Address, alert: &Alert, now_ms: i64) -> Result<Receipt, SendError> {
        self.send_one(alert.message_id, to, &alert.short(), now_ms).await
    }
}

impl SmsChannel {
    async fn send_one(&self, id: Uuid, to: &Address, text: &str, now_ms: i64) -> Result<Receipt, SendError> {
        let sender = if self.from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
        let body = form(&[("To", to.expose()), (sender, &self.from), ("Body", text)]);
        let id = HeaderValue::from_str(&id.to_string()).expect("a UUID is plain text");
        let headers = [(AUTHORIZATION, self.authorization.clone()), (HeaderName::from_static("idempotency-key"), id)];
        let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        let answer = self.client.post(&self.target, content_type, &headers, body, now_ms).await?;
        let json = answer.json();
        if answer.status.is_success() {
            return Ok(Receipt { provider_id: provider_id(&json["sid"]) });
        }
        let code = json["code"].as_i64();
        match answer.status.as_u16() {
            400 | 404 | 409 | 410 | 413 | 422 if !code.is_some_and(|code| OUR_FAULT.contains(&code)) => {
                // A 404 without a code of the gateway's own is a wrong address of the gateway, not of the patient.
                let Some(code) = code else {
                    let for_good = answer.status.as_u16() != 404;
                    return Err(if for_good { refused(answer.status.as_u16()) } else { answer.transient() });
                };
                Err(refused(code))
            }
            _ => Err(answer.transient()),
        }
    }
}

/// The gateway's own codes tell the operator whether the number is invalid, opted out or out of reach.
fn refused(code: impl std::fmt::Display) -> SendError {
    SendError::permanent(format!("the gateway refuses the message (code {code})"))
}

/// `application/x-www-form-urlencoded`.
fn form(fields: &[(&str, &str)]) -> String {
    let mut body = String::new();
    for (name, value) in fields {
        if !body.is_empty() {
            body.push('&');
        }
        body.push_str(name);
        body.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => body.push(char::from(byte)),
                b' ' => body.push('+'),
                _ => body.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_keep_every_byte() {
        assert_eq!(form(&[("To", "+49 30"), ("Body", "a&b=ü\n")]), "To=%2B49+30&Body=a%26b%3D%C3%BC%0A");
    }
}
