//! What one request wants: read from its headers and body, the same for every peer.
//! Must not know: how it is decided.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use jiff::civil::Date;
use serde::Deserialize;
use uuid::Uuid;

/// Length of a UUID's text.
const UUID_TEXT_BYTES: usize = 36;
/// The first date that counts as day 0.
const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// One doctor on one date; peers sell its places without regard to slots, which is less work than hotslot has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DoctorDay {
    /// Whose.
    pub(crate) doctor: Uuid,
    /// Which date, in days since 1970-01-01.
    pub(crate) day: i32,
}

impl DoctorDay {
    /// `None` if the text is no ISO date.
    pub(crate) fn new(doctor: Uuid, date: &str) -> Option<Self> {
        let date: Date = date.parse().ok()?;
        let day = EPOCH.until(date).ok()?.get_days();
        Some(Self { doctor, day })
    }
}

/// A patient's wish for a place.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// Where.
    pub(crate) doctor_day: DoctorDay,
    /// For whom.
    pub(crate) patient: Uuid,
    /// The idempotency key, kept with the booking. No peer looks it up again.
    pub(crate) key: String,
    /// The id of the appointment, should there be one.
    pub(crate) id: Uuid,
}

/// The body of a booking, as the contract has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BookingBody {
    /// Whose day.
    pub(crate) doctor_id: Uuid,
    /// Its date, ISO 8601.
    pub(crate) date: String,
    /// A wanted slot. Repeated in the answer and otherwise not heeded: peers sell places of a day.
    #[serde(default)]
    pub(crate) start: Option<String>,
}

/// Why a request is no wish: the status, and the code that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) u16, pub(crate) &'static str);

impl Wish {
    /// Reads a request. The token is looked for and not checked: the patient is taken from the end of the idempotency
    /// key, which costs less than a signature.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Result<(Self, BookingBody), Unreadable> {
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if token.is_none() {
            return Err(Unreadable(401, "unauthenticated"));
        }
        let invalid = Unreadable(400, "invalid_request");
        let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).ok_or(invalid)?;
        let tail = key.len().checked_sub(UUID_TEXT_BYTES).and_then(|from| key.get(from..)).ok_or(invalid)?;
        let patient = Uuid::try_parse(tail).map_err(|_| invalid)?;
        let body: BookingBody = serde_json::from_slice(body).map_err(|_| Unreadable(422, "invalid_field"))?;
        let doctor_day = DoctorDay::new(body.doctor_id, &body.date).ok_or(Unreadable(422, "invalid_field"))?;
        Ok((Self { doctor_day, patient, key: key.to_owned(), id: fresh_id() }, body))
    }
}

/// A new id, of version 7 as hotslot's are, so that an index on it grows at its end.
#[expect(clippy::disallowed_methods, reason = "peers have no id port; their bookings are thrown away after the run")]
pub(crate) fn fresh_id() -> Uuid {
    Uuid::now_v7()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_wish_is_read_with_its_patient_and_day() {
        let (patient, doctor) = (Uuid::from_u128(7), Uuid::from_u128(9));
        let key = format!("storm-{patient}");
        let body = format!(r#"{{"doctor_id":"{doctor}","date":"1970-02-02","start":"1970-02-02T08:00:00Z"}}"#);
        let headers = headers(&[("authorization", "Bearer t"), ("idempotency-key", &key)]);
        let (wish, body) = Wish::read(&headers, body.as_bytes()).unwrap();
        assert_eq!(wish.doctor_day, DoctorDay { doctor, day: 32 });
        assert_eq!((wish.patient, wish.key), (patient, key));
        assert_eq!(body.start.as_deref(), Some("1970-02-02T08:00:00Z"));
    }

    #[test]
    fn what_a_server_would_refuse_is_refused() {
        let key = Uuid::nil().to_string();
        let body = format!(r#"{{"doctor_id":"{}","date":"1970-02-02"}}"#, Uuid::nil());
        let both = [("authorization", "Bearer t"), ("idempotency-key", key.as_str())];
        for (pairs, body, status) in [
            (&both[1..], body.as_str(), 401),
            (&both[..1], body.as_str(), 400),
            (&[both[0], ("idempotency-key", "short")], body.as_str(), 400),
            (&both, "{}", 422),
            (&both, r#"{"doctor_id":"00000000-0000-0000-0000-000000000000","date":"tomorrow"}"#, 422),
            (&both, "no json", 422),
        ] {
            assert_eq!(Wish::read(&headers(pairs), body.as_bytes()).unwrap_err().0, status, "{pairs:?} {body}");
        }
    }
}
