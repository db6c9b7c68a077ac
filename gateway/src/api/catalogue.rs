//! The error catalogue: one table from code to status, title, whether a retry can help, and words for the reader.
//! Must not know: when a code is used, how a body is written.

use actix_web::http::StatusCode;

/// One row of the catalogue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Which.
    pub(crate) code: Code,
    /// The stable word that clients test.
    pub(crate) name: &'static str,
    /// HTTP status.
    pub(crate) status: StatusCode,
    /// RFC 9457 `title`: the same for every occurrence.
    pub(crate) title: &'static str,
    /// RFC 9457 `type`.
    pub(crate) type_uri: &'static str,
    /// Whether the same request can succeed later without being changed.
    pub(crate) retryable: bool,
    /// RFC 9457 `detail` where nothing more is known.
    pub(crate) detail: &'static str,
    /// For the reader of the OpenAPI document.
    pub(crate) doc: &'static str,
}

macro_rules! catalogue {
    ($($variant:ident = $name:literal $status:ident $retryable:literal, $title:literal, $detail:literal, $doc:literal;)*) => {
        /// A stable error code.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub(crate) enum Code {
            $(#[doc = $doc] $variant,)*
        }

        /// Every code, in the order of the enum.
        pub(crate) const CATALOGUE: &[Entry] = &[
            $(Entry {
                code: Code::$variant,
                name: $name,
                status: StatusCode::$status,
                title: $title,
                type_uri: concat!("urn:hotslot:problem:", $name),
                retryable: $retryable,
                detail: $detail,
                doc: $doc,
            },)*
        ];
    };
}

catalogue! {
    InvalidRequest = "invalid_request" BAD_REQUEST false, "Invalid request", "The request cannot be understood.", "Not JSON, an empty body, a bad header, path, query value or cursor, or an unknown or repeated query parameter.";
    Unauthenticated = "unauthenticated" UNAUTHORIZED false, "Not authenticated", "A valid bearer token is needed.", "No token, or one that is malformed, expired, of a wrong issuer, audience or role.";
    Forbidden = "forbidden" FORBIDDEN false, "Forbidden", "This token may not do this.", "The token is valid, but this is not the caller's.";
    NotFound = "not_found" NOT_FOUND false, "Not found", "There is nothing here.", "No such route, doctor, day, slot or appointment.";
    MethodNotAllowed = "method_not_allowed" METHOD_NOT_ALLOWED false, "Method not allowed", "This address does not know this method.", "The `Allow` header names the methods that the address knows.";
    NotAcceptable = "not_acceptable" NOT_ACCEPTABLE false, "Not acceptable", "Only application/json can be answered.", "The `Accept` header excludes JSON.";
    NotReleased = "not_released" CONFLICT true, "Not released yet", "This day is not released yet.", "Before the release: `release_at` says when, `Retry-After` in how many whole seconds, rounded up.";
    Closed = "closed" CONFLICT false, "Closed", "The day is closed, or the slot has begun.", "The day is closed, or the slot has begun.";
    SlotTaken = "slot_taken" CONFLICT true, "Slot taken", "This slot is full.", "The given slot is full; a place can become free again.";
    SoldOut = "sold_out" CONFLICT true, "Sold out", "No slot of this day is free.", "No slot of the day is free; a place can become free again.";
    AlreadyBooked = "already_booked" CONFLICT false, "Already booked", "The patient already has a live appointment that stands in the way.", "The patient already has a live appointment on this doctor-day, or one that overlaps it elsewhere; `appointment_id` names it.";
    SlotHasBookings = "slot_has_bookings" CONFLICT false, "Slot has bookings", "A slot with places taken cannot be removed, moved or made smaller.", "The new day removes, moves or shortens a slot with places taken, or has a capacity below them.";
    OverlapsOtherDay = "overlaps_other_day" CONFLICT false, "Overlaps another day", "A slot overlaps a slot of another day of this doctor.", "Slots of the new day overlap those of another day of the same doctor.";
    NotChangeable = "not_changeable" CONFLICT false, "Not changeable", "The appointment's status does not allow this.", "Such as confirming a cancelled appointment, or cancelling one that is expired, completed or begun.";
    HoldExpired = "hold_expired" GONE false, "Hold expired", "The hold has expired; its place can be booked by others.", "The confirmation came too late.";
    PreconditionFailed = "precondition_failed" PRECONDITION_FAILED false, "Precondition failed", "The day has changed since the given version.", "`If-Match` does not hold.";
    TooLarge = "too_large" PAYLOAD_TOO_LARGE false, "Body too large", "A body has at most 64 KiB.", "The body is over 64 KiB.";
    UnsupportedMediaType = "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE false, "Unsupported media type", "A body must be sent as application/json.", "The body's `Content-Type` is missing or not `application/json`.";
    InvalidField = "invalid_field" UNPROCESSABLE_ENTITY false, "Invalid field", "The body is JSON, but not what this call takes.", "Well-formed JSON with a wrong type or value or an unknown field; `errors` lists JSON Pointers.";
    IdempotencyKeyReused = "idempotency_key_reused" UNPROCESSABLE_ENTITY false, "Idempotency key reused", "This idempotency key was used for another request.", "The key is remembered with another request of the same subject.";
    RateLimited = "rate_limited" TOO_MANY_REQUESTS true, "Rate limited", "Too many requests.", "Over a limit; `Retry-After` says when to come back.";
    HeadersTooLarge = "headers_too_large" REQUEST_HEADER_FIELDS_TOO_LARGE false, "Headers too large", "A request's head has at most 16 KiB.", "The request's head is over 16 KiB.";
    Internal = "internal" INTERNAL_SERVER_ERROR true, "Internal error", "Something went wrong here. It has been logged under the request id.", "A defect of the service; the body is constant, the cause is in the log under `request_id`.";
    Overloaded = "overloaded" SERVICE_UNAVAILABLE true, "Overloaded", "Too much at once: nothing was done, try again.", "Shed on purpose; nothing was booked.";
    Unavailable = "unavailable" SERVICE_UNAVAILABLE true, "Unavailable", "The service cannot do this now; the same idempotency key tells later what happened.", "The storage is away, or the service is starting or stopping; nothing was booked, or the same key tells what happened.";
}

impl Code {
    /// The row of this code.
    pub(crate) fn entry(self) -> &'static Entry {
        &CATALOGUE[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_at_its_code_and_is_complete() {
        for (position, entry) in CATALOGUE.iter().enumerate() {
            assert_eq!(entry.code as usize, position, "{}", entry.name);
            assert!(entry.type_uri.ends_with(entry.name));
            assert!(entry.status.is_client_error() || entry.status.is_server_error(), "{}", entry.name);
            assert!(!entry.title.is_empty() && !entry.detail.is_empty() && !entry.doc.is_empty());
        }
    }

    #[test]
    fn the_names_and_statuses_are_those_of_the_contract() {
        let rows: Vec<(u16, &str)> = CATALOGUE.iter().map(|entry| (entry.status.as_u16(), entry.name)).collect();
        for row in [
            (400, "invalid_request"),
            (401, "unauthenticated"),
            (403, "forbidden"),
            (404, "not_found"),
            (405, "method_not_allowed"),
            (406, "not_acceptable"),
            (415, "unsupported_media_type"),
            (431, "headers_too_large"),
            (409, "not_released"),
            (409, "closed"),
            (409, "slot_taken"),
            (409, "sold_out"),
            (409, "already_booked"),
            (409, "slot_has_bookings"),
            (409, "overlaps_other_day"),
            (409, "not_changeable"),
            (410, "hold_expired"),
            (412, "precondition_failed"),
            (413, "too_large"),
            (422, "invalid_field"),
            (422, "idempotency_key_reused"),
            (429, "rate_limited"),
            (500, "internal"),
            (503, "overloaded"),
            (503, "unavailable"),
        ] {
            assert!(rows.contains(&row), "{row:?}");
        }
        assert_eq!(rows.len(), 25);
    }
}
