//! Idempotency keys: the header, and the digest that binds a key to one request.
//! Must not know: where keys are remembered.

use actix_web::http::header::{HeaderMap, HeaderName};
use booking_core::{Fingerprint, RequestKey, SubjectId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::problem::Problem;

/// The header that carries the key.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of every answer but the first.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The key of a request, if one is given; malformed or doubled is `invalid_request`.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::invalid("The header Idempotency-Key is given more than once."));
    }
    let visible = |byte: &u8| (0x21..=0x7e).contains(byte);
    match value.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) && key.as_bytes().iter().all(visible) => Ok(Some(key)),
        _ => Err(Problem::invalid("The header Idempotency-Key must be 1 to 255 visible ASCII characters.")),
    }
}

/// A digest in the making: of the method, the route, and every parsed value after defaults, in the order of the call's
/// documentation. Each part is written with its length, so that no two requests have the same parts.
pub(crate) struct RequestDigest(Sha256);

impl RequestDigest {
    /// Of a request of this method and route (the pattern; the ids in it follow as values).
    pub(crate) fn of(method: &str, route: &str) -> Self {
        Self(Sha256::new()).text(method).text(route)
    }

    /// Adds a text.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
        self
    }

    /// Adds a text that may be left out.
    pub(crate) fn optional_text(self, text: Option<&str>) -> Self {
        match text {
            None => self.number(0),
            Some(text) => self.number(1).text(text),
        }
    }

    /// Adds a UUID.
    pub(crate) fn id(mut self, id: Uuid) -> Self {
        self.0.update(id.as_bytes());
        self
    }

    /// Adds a UUID that may be left out.
    pub(crate) fn optional_id(self, id: Option<Uuid>) -> Self {
        match id {
            None => self.number(0),
            Some(id) => self.number(1).id(id),
        }
    }

    /// Adds a number.
    pub(crate) fn number(mut self, number: i64) -> Self {
        self.0.update(number.to_be_bytes());
        self
    }

    /// Adds a number that may be left out.
    pub(crate) fn optional_number(self, number: Option<i64>) -> Self {
        match number {
            None => self.number(0),
            Some(number) => self.number(1).number(number),
        }
    }

    /// The digest, cut to 16 bytes.
    pub(crate) fn finish(self) -> Fingerprint {
        let mut cut = [0; 16];
        cut.copy_from_slice(&self.0.finalize()[..16]);
        Fingerprint(cut)
    }

    /// The key of `subject`, bound to this request.
    pub(crate) fn bind(self, subject: SubjectId, key: &str) -> RequestKey {
        RequestKey { subject, key: key.into(), fingerprint: self.finish() }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).expect("a header value"));
        }
        headers
    }

    #[test]
    fn a_key_is_1_to_255_visible_characters_given_once() {
        let longest = [b'k'; 255];
        for good in [&b"a"[..], b"{\"a,b\":~!}", &longest] {
            assert_eq!(key_of(&headers(&[good])).expect("good").map(str::as_bytes), Some(good));
        }
        assert!(key_of(&headers(&[])).expect("absent").is_none());
        for bad in [&[&b""[..]][..], &[b"a b"], &[b" a"], &[b"a\tb"], &[b"\xc3\xa4"], &[&[b'k'; 256]], &[b"a", b"a"]] {
            assert!(key_of(&headers(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_fingerprint_never_changes() {
        // Stored in journals: another value for the same request would turn every retry into a reuse.
        let digest = RequestDigest::of("POST", "/v1/appointments")
            .id(Uuid::from_u128(1))
            .text("2026-01-31")
            .optional_number(None)
            .id(Uuid::from_u128(2))
            .finish();
        let hex: String = digest.0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "b91f1fdf1d9a6f46440dddde7c32f21c");
    }

    #[test]
    fn parts_cannot_be_moved_between_values() {
        let digest = |parts: &[&str]| {
            parts.iter().fold(RequestDigest::of("POST", "/x"), |digest, part| digest.text(part)).finish()
        };
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["abc"]), digest(&["abc", ""]));
        let optional = |text| RequestDigest::of("POST", "/x").optional_text(text).finish();
        assert_ne!(optional(None), optional(Some("")));
        assert_ne!(RequestDigest::of("POST", "/x").finish(), RequestDigest::of("DELETE", "/x").finish());
    }
}
