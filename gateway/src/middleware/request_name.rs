//! The name of a request: the caller's own, that of its trace, or a new one.
//! Must not know: who calls, what for.

use std::cell::Cell;
use std::rc::Rc;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use booking_core::{RequestId, UtcMillis};
use engine::ids::Ids;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::traces::context::{TraceContext, TraceName};

/// The header that names a request, both ways.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest name that is taken from a caller.
const NAME_LENGTH_MAX: usize = 128;

/// New request ids of one worker: UUIDs of version 7, each with the present instant, whose random part counts up from one that
/// the engine's port gave. A system call and a lock for each refusal of a storm so become one in [`IDS_PER_SEED`].
pub(crate) struct RequestIds {
    next: Cell<u64>,
    seed: Cell<u128>,
}

/// So many ids are made from one seed. The 62 bits that count are random, so two workers never meet.
const IDS_PER_SEED: u64 = 4_096;
/// The bits below the variant of a UUID: those that count.
const COUNTING_BITS: u128 = (1 << 62) - 1;
/// The bits below the instant of a UUID of version 7.
const BELOW_INSTANT: u128 = (1 << 80) - 1;

impl Default for RequestIds {
    fn default() -> Self {
        Self { next: Cell::new(IDS_PER_SEED), seed: Cell::new(0) }
    }
}

impl RequestIds {
    /// A new id at `now`.
    pub(crate) fn next(&self, now: UtcMillis, ids: &dyn Ids) -> Uuid {
        if self.next.get() >= IDS_PER_SEED {
            self.seed.set(ids.next().as_u128());
            self.next.set(0);
        }
        let count = self.next.get();
        self.next.set(count + 1);
        let seed = self.seed.get();
        let counted = (seed & BELOW_INSTANT & !COUNTING_BITS) | ((seed + u128::from(count)) & COUNTING_BITS);
        let instant = u128::from(now.0.unsigned_abs()) << 80;
        Uuid::from_u128(instant | counted)
    }
}

/// The name under which a request is answered and logged.
#[derive(Clone, Debug)]
pub(crate) struct RequestName {
    /// What records carry: the name itself if it is a UUID, else a digest of it.
    pub(crate) id: RequestId,
    /// The caller's name, if it is not a UUID.
    given: Option<Rc<str>>,
    /// Where in which trace it stands.
    pub(crate) trace: TraceContext,
}

impl RequestName {
    /// From `X-Request-Id` (1 to 128 of letters, digits, `-`, `_`, `.`), else the trace id of `traceparent`, else new.
    pub(crate) fn of(headers: &HeaderMap, new: impl FnOnce() -> Uuid) -> Self {
        let trace = TraceContext::of(headers);
        let (id, given) = headers.get(&REQUEST_ID).and_then(given_name).unwrap_or_else(|| {
            let of_trace = trace.as_ref().map(|trace| Uuid::from_u128(trace.trace));
            (of_trace.unwrap_or_else(new), None)
        });
        Self { id: RequestId(id), given, trace: trace.unwrap_or_else(|| TraceContext::new(id)) }
    }

    /// The name of its trace.
    pub(crate) fn trace_name(&self) -> TraceName {
        TraceName(self.trace.trace)
    }

    /// Calls `with` with the name as text.
    pub(crate) fn with_text<T>(&self, with: impl FnOnce(&str) -> T) -> T {
        match &self.given {
            Some(text) => with(text),
            None => with(self.id.0.hyphenated().encode_lower(&mut Uuid::encode_buffer())),
        }
    }

    /// The answered header.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        self.with_text(|text| HeaderValue::from_str(text).ok())
    }
}

impl std::fmt::Display for RequestName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.with_text(|text| formatter.write_str(text))
    }
}

fn given_name(value: &HeaderValue) -> Option<(Uuid, Option<Rc<str>>)> {
    let text = value.to_str().ok()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > NAME_LENGTH_MAX || !text.bytes().all(fits) {
        return None;
    }
    let uuid = crate::api::input::parse_uuid(text).filter(|_| !text.bytes().any(|byte| byte.is_ascii_uppercase()));
    Some(match uuid {
        Some(uuid) => (uuid, None),
        None => (digest(text), Some(text.into())),
    })
}

fn digest(text: &str) -> Uuid {
    let mut cut = [0; 16];
    cut.copy_from_slice(&Sha256::digest(text.as_bytes())[..16]);
    Builder::from_custom_bytes(cut).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::context::TRACEPARENT;

    struct Fixed;

    impl Ids for Fixed {
        fn next(&self) -> Uuid {
            Uuid::from_u128(99)
        }
    }

    fn name(header: HeaderName, value: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header, HeaderValue::from_str(value).expect("a header value"));
        RequestName::of(&headers, || Fixed.next()).to_string()
    }

    #[test]
    fn a_sane_name_is_kept_and_a_strange_one_replaced() {
        let new = Uuid::from_u128(99).to_string();
        for kept in ["abc-1.2_3", "0190a3c4-0000-7000-8000-000000000000", "0190A3C4-0000-7000-8000-000000000000"] {
            assert_eq!(name(REQUEST_ID, kept), kept);
        }
        for strange in ["", "a b", "a\"b", "<x>", &"x".repeat(129)] {
            assert_eq!(name(REQUEST_ID, strange), new);
        }
    }

    #[test]
    fn new_ids_never_repeat_and_carry_their_instant() {
        let ids = RequestIds::default();
        let seeds = engine::ids::SystemIds;
        let made: std::collections::HashSet<Uuid> = (0..10_000).map(|_| ids.next(UtcMillis(1_234), &seeds)).collect();
        assert_eq!(made.len(), 10_000);
        for id in made {
            assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
            assert_eq!(id.as_u128() >> 80, 1_234);
        }
    }

    #[test]
    fn the_trace_id_names_the_request() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let uuid = Uuid::try_parse(trace).expect("hex").to_string();
        assert_eq!(name(TRACEPARENT, &format!("00-{trace}-00f067aa0ba902b7-01")), uuid);
        for broken in [
            "",
            "00",
            &format!("ff-{trace}-00f067aa0ba902b7-01"),
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
        ] {
            assert_eq!(name(TRACEPARENT, broken), Uuid::from_u128(99).to_string());
        }
    }
}
