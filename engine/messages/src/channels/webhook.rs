//! A signed call to an address of the operator's, as Standard Webhooks has it.
//! Must not know: who listens there.

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::json;
use uuid::Uuid;

use super::http::{Client, JSON};
use super::{Channel, Envelope, Receipt, SendError};
use crate::alert::Alert;
use crate::instant::instant;
use crate::notice::ChannelKind;
use crate::secret::Address;

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// A checked listener.
pub(super) struct WebhookChannel {
    pub(super) client: Client,
    pub(super) target: Uri,
    pub(super) key: SigningKey,
}

/// Signs with HMAC-SHA256.
pub(super) struct SigningKey(hmac::Key);

impl SigningKey {
    /// Of a secret such as `whsec_…`: 24 to 64 bytes in base64.
    pub(super) fn parse(secret: &str) -> Option<Self> {
        let bytes = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
        (24..=64).contains(&bytes.len()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// `v1,…` of id, seconds since 1970 and body.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }
}

#[async_trait]
impl Channel for WebhookChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Webhook
    }

    async fn send(&self, batch: &[Envelope], now_ms: i64) -> Vec<Result<Receipt, SendError>> {
        let mut results = Vec::with_capacity(batch.len());
        for envelope in batch {
            results.push(self.call(envelope.message_id, body(envelope, now_ms), now_ms).await);
        }
        results
    }

    async fn alert(&self, to: &Address, alert: &Alert, now_ms: i64) -> Result<Receipt, SendError> {
        self.call(alert.message_id, body_of_alert(to, alert, now_ms), now_ms).await
    }
}

impl WebhookChannel {
    async fn call(&self, id: Uuid, body: String, now_ms: i64) -> Result<Receipt, SendError> {
        let (id, timestamp) = (id.to_string(), now_ms.div_euclid(1_000));
        let header = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).expect("ids, numbers and base64 are plain text");
            (HeaderName::from_static(name), value)
        };
        let headers = [
            header("webhook-id", &id),
            header("webhook-timestamp", &timestamp.to_string()),
            header("webhook-signature", &self.key.sign(&id, timestamp, &body)),
        ];
        let answer = self.client.post(&self.target, JSON, &headers, body, now_ms).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(Receipt::default()),
            410 => Err(SendError::permanent("the listener takes no more calls (410)")),
            _ => Err(answer.transient()),
        }
    }
}

/// Type, instant and data, as Standard Webhooks recommends.
fn body(envelope: &Envelope, now_ms: i64) -> String {
    let notice = &envelope.notice;
    json!({
        "type": format!("appointment.{}", notice.kind.word()),
        "timestamp": instant(now_ms),
        "data": {
            "message_id": envelope.message_id,
            "kind": notice.kind.word(),
            "recipient": notice.recipient.word(),
            "to": envelope.to.expose(),
            "appointment_id": notice.appointment_id,
            "appointment_version": notice.version,
            "offset_seconds": notice.offset_seconds,
            "doctor": notice.doctor,
            "patient": notice.patient,
            "place": notice.place,
            "city": notice.city,
            "start": instant(notice.start_ms),
            "end": instant(notice.end_ms),
            "time_zone": notice.time_zone,
            "language": notice.language,
            "reason": notice.reason,
            "subject": envelope.rendered.subject,
            "text": envelope.rendered.text,
            // The same visit as in a mail, without mail addresses in it.
            "calendar": envelope.rendered.calendar.as_ref().map(|event| event.to_ics(None, now_ms)),
        },
    })
    .to_string()
}

fn body_of_alert(to: &Address, alert: &Alert, now_ms: i64) -> String {
    json!({
        "type": "operations.alert",
        "timestamp": instant(now_ms),
        "data": {
            "message_id": alert.message_id,
            "kind": Alert::WORD,
            "to": to.expose(),
            "subject": alert.subject(),
            "text": alert.text(),
            "alert": alert.figures(),
        },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the Standard Webhooks libraries' own tests.
    #[test]
    fn signatures_are_those_of_the_published_vector() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_have_a_form() {
        for bad in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_not base64 at all......"]
        {
            assert!(SigningKey::parse(bad).is_none(), "{bad}");
        }
    }
}
