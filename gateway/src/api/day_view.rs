//! Days on their way out: JSON, entity tag, the answers to conditional requests.
//! Must not know: who reads, where a day comes from.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue};
use booking_core::{Date, DayState, DayVersion};
use engine::view::DayView;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::instant::InstantText;
use super::problem::Problem;
use super::tag::{DayTag, none_match_names};

/// A date in its ISO 8601 form.
#[derive(Clone, Copy)]
pub(crate) struct DateView(pub(crate) Date);

impl Serialize for DateView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Serialize)]
struct DayBody<'a> {
    #[serde(flatten)]
    head: DayHead<'a>,
    slots: Vec<SlotView>,
}

#[derive(Serialize)]
struct DayHead<'a> {
    doctor_id: Uuid,
    date: DateView,
    time_zone: &'a str,
    state: &'static str,
    release_at: Option<InstantText>,
    server_time: InstantText,
    version: u64,
}

#[derive(Serialize)]
struct SlotView {
    start: InstantText,
    end: InstantText,
    capacity: u32,
    remaining: u32,
}

/// A day of a list: everything but its slots.
#[derive(Serialize)]
pub(crate) struct DaySummary<'a> {
    #[serde(flatten)]
    head: DayHead<'a>,
    remaining: u64,
}

/// The version as one number: 2^32 for each epoch, so that a new owner's versions are above all older ones. Exact in JSON for
/// two million epochs.
pub(crate) fn version_number(version: DayVersion) -> u64 {
    (u64::from(version.epoch) << 32).saturating_add(version.sequence)
}

/// Its name in JSON.
pub(crate) fn state_name(state: DayState) -> &'static str {
    match state {
        DayState::Scheduled => "scheduled",
        DayState::Open => "open",
        DayState::SoldOut => "sold_out",
        DayState::Closed => "closed",
    }
}

fn head(view: &DayView, version: DayVersion) -> DayHead<'_> {
    DayHead {
        doctor_id: view.day.doctor.0,
        date: DateView(view.day.date),
        time_zone: &view.snapshot.definition().time_zone,
        state: state_name(view.snapshot.state_at(view.now)),
        release_at: view.snapshot.next_release_after(view.now).map(InstantText),
        server_time: InstantText(view.now),
        version: version_number(version),
    }
}

/// The item of a list of days.
pub(crate) fn summary(view: &DayView) -> DaySummary<'_> {
    let slots = 0..view.snapshot.definition().slots.len();
    DaySummary {
        head: head(view, view.snapshot.version()),
        remaining: slots.map(|slot| u64::from(view.snapshot.remaining_at(slot, view.now))).sum(),
    }
}

/// The whole day, with its tag. `version` is what the answer names: that of the view except in a replay.
pub(crate) fn answer(status: StatusCode, view: &DayView, version: DayVersion) -> Result<HttpResponse, Problem> {
    let mut response = HttpResponse::build(status).content_type("application/json").body(body(view, version)?);
    tag_headers(&mut response, &tag_of(view, version));
    Ok(response)
}

/// The JSON of the whole day, on one line.
pub(crate) fn body(view: &DayView, version: DayVersion) -> Result<Vec<u8>, Problem> {
    let slot = |(position, slot): (usize, &booking_core::SlotDefinition)| SlotView {
        start: InstantText(slot.start),
        end: InstantText(slot.end),
        capacity: slot.capacity,
        remaining: view.snapshot.remaining_at(position, view.now),
    };
    let slots = view.snapshot.definition().slots.iter().enumerate().map(slot).collect();
    serde_json::to_vec(&DayBody { head: head(view, version), slots })
        .map_err(|error| Problem::internal(format!("an answer is no JSON: {error}")))
}

/// The whole day, or 304 if the reader has it already.
pub(crate) fn conditional_answer(request: &HeaderMap, view: &DayView) -> Result<HttpResponse, Problem> {
    let version = view.snapshot.version();
    let tag = tag_of(view, version);
    if none_match_names(request, &tag) {
        let mut response = HttpResponse::new(StatusCode::NOT_MODIFIED);
        tag_headers(&mut response, &tag);
        return Ok(response);
    }
    answer(StatusCode::OK, view, version)
}

fn tag_of(view: &DayView, version: DayVersion) -> DayTag {
    DayTag { version, phase: view.snapshot.phase_at(view.now) }
}

fn tag_headers(response: &mut HttpResponse, tag: &DayTag) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&tag.to_string()) {
        headers.insert(ETAG, value);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rise_with_the_epoch_first() {
        let number = |epoch, sequence| version_number(DayVersion { epoch, sequence });
        assert_eq!(number(1, 5), 4_294_967_301);
        assert!(number(2, 1) > number(1, 4_000_000_000));
    }
}
