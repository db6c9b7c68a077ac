//! Doctor-days: publish, close, read.
//! Must not know: bookings, how a day decides.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{AGE, CACHE_CONTROL, HeaderValue};
use actix_web::web::Bytes;
use booking_core::{Date, DayKey, DoctorId, PersonalText, Precondition, Rejection};
use engine::EngineError;
use engine::view::{DayReply, PublishRequest};
use serde::Deserialize;
use serde_json::value::to_raw_value;

use super::call::{Attempt, Call, json};
use super::checks::Checks;
use super::day_body::DayBody;
use super::day_view;
use super::doctors::no_doctor;
use super::idempotency::IDEMPOTENCY_REPLAYED;
use super::lists::Items;
use super::problem::Problem;
use super::refusal::of_engine;
use super::tag::{self, Condition};
use super::zone::Zone;
use crate::auth::permission::{Guard, ManageDay};
use crate::middleware::edge::Answer;
use crate::nodes;
use crate::nodes::days::Part;
use crate::nodes::question::{self, PART};
use crate::state::Side;

/// Most days of one range, both ends included.
const RANGE_DAYS_MAX: i32 = 92;
/// Longest reason, in characters.
pub(crate) const REASON_MAX: usize = 500;

/// The body of calls that take a reason and nothing else.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReasonBody {
    reason: Option<String>,
}

impl ReasonBody {
    /// The reason, checked; an empty one is none.
    pub(crate) fn checked(self) -> Result<Option<String>, Problem> {
        let mut checks = Checks::default();
        if let Some(reason) = &self.reason {
            checks.text("/reason", reason, REASON_MAX);
        }
        checks.finish()?;
        Ok(self.reason.filter(|reason| !reason.is_empty()))
    }
}

/// `PUT /v1/doctors/{id}/days/{date}`
pub(crate) async fn publish(mut call: Call, guard: Guard<ManageDay>) -> Answer {
    call.no_query()?;
    let day = call.path_day()?;
    let body = call.body::<DayBody>().await?;
    let condition = tag::if_match(call.headers())?;
    let doctor = call.engine().registry().doctor(day.doctor).await?;
    let zone = doctor.as_ref().map(|doctor| known_zone(&doctor.profile.time_zone)).transpose()?;
    let definition = Arc::new(body.into_definition(day.date, zone.as_ref())?);
    let principal = guard.permit(&day.doctor)?;
    doctor.ok_or_else(no_doctor)?;
    let precondition = match condition {
        None => None,
        Some(condition) => Some(precondition(&call, day, condition).await?),
    };
    let request = PublishRequest { day, definition, precondition, caller: call.caller(principal, None) };
    let reply = call.engine().publish_day(request).await.map_err(|error| of_engine(error, call.now()))?;
    let status = if reply.created { StatusCode::CREATED } else { StatusCode::OK };
    answer(status, &reply)
}

fn known_zone(name: &str) -> Result<Zone, Problem> {
    Zone::find(name).ok_or_else(|| Problem::internal(format!("the zone database of this machine lacks {name}")))
}

/// What the engine is to check. Of several tags it checks one: the one that is true now, if any is.
async fn precondition(call: &Call, day: DayKey, condition: Condition) -> Result<Precondition, Problem> {
    let tags = match condition {
        Condition::Any => return Ok(Precondition::Exists),
        Condition::Tags(tags) => tags,
    };
    if let [tag] = tags[..] {
        return Ok(Precondition::Version(tag.version));
    }
    match call.engine().day(day).await {
        Ok(view) => {
            let version = view.snapshot.version();
            let named = tags.iter().any(|tag| tag.version == version);
            Ok(if named { Precondition::Version(version) } else { Precondition::Never })
        }
        Err(EngineError::Rejected(Rejection::UnknownDay)) => Ok(Precondition::Never),
        Err(error) => Err(of_engine(error, call.now())),
    }
}

/// `POST /v1/doctors/{id}/days/{date}/close`
pub(crate) async fn close(mut call: Call, guard: Guard<ManageDay>) -> Answer {
    call.no_query()?;
    let day = call.path_day()?;
    let reason = call.optional_body::<ReasonBody>().await?.checked()?;
    let digest = call
        .digest("/v1/doctors/{id}/days/{date}/close")
        .id(day.doctor.0)
        .number(i64::from(day.date.days()))
        .optional_text(reason.as_deref());
    let key = call.idempotency_key()?.map(|key| digest.bind(guard.subject(), key));
    let caller = call.caller(guard.permit(&day.doctor)?, key);
    let reason = reason.as_deref().map(PersonalText::plain);
    let reply = call.engine().close_day(day, reason, caller).await.map_err(|error| of_engine(error, call.now()))?;
    answer(StatusCode::OK, &reply)
}

fn answer(status: StatusCode, reply: &DayReply) -> Answer {
    let mut response = day_view::answer(status, &reply.view, reply.version)?;
    if reply.replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// `GET /v1/doctors/{id}/days/{date}`
pub(crate) async fn read(call: Call) -> Answer {
    call.no_query()?;
    let day = call.path_day()?;
    match call.engine().day(day).await {
        Ok(view) => day_view::conditional_answer(call.headers(), &view),
        Err(EngineError::NotHere { .. }) if call.attempt() == Attempt::LastResort => old_answer(&call, day),
        Err(error) => Err(of_engine(error, call.now())),
    }
}

/// What was known when the lease of this node ended, and how old it can be at most (RFC 9111, section 5.1).
fn old_answer(call: &Call, day: DayKey) -> Answer {
    let (view, age_seconds) = call.engine().stale_day(day).ok_or_else(|| Problem::not_here(day.shard()))?;
    let mut response = day_view::conditional_answer(call.headers(), &view)?;
    response.headers_mut().insert(AGE, HeaderValue::from(age_seconds));
    Ok(response)
}

/// `GET /v1/doctors/{id}/days`
pub(crate) async fn list(call: Call) -> Answer {
    let query = call.query(&["from", "to"], &[])?;
    let doctor = call.path_doctor()?;
    let (from, to) = (query.date("from")?, query.date("to")?);
    let span_days = to.days() - from.days() + 1;
    if !(1..=RANGE_DAYS_MAX).contains(&span_days) {
        return Err(Problem::invalid(format!("from and to must span 1 to {RANGE_DAYS_MAX} days.")));
    }
    call.engine().registry().doctor(doctor).await?.ok_or_else(no_doctor)?;
    let here = || part_here(&call, doctor, from, to);
    let own = here().await?;
    if call.worker().side == Side::Nodes && call.headers().contains_key(PART) {
        return json(StatusCode::OK, &own);
    }
    let whole = match (own.elsewhere.first().and_then(|date| Date::from_days(*date)), call.forwarder()) {
        (None, _) => own,
        (Some(_), Some(forwarder)) => {
            let question = question::of_request(call.request(), call.name(), None, Bytes::new());
            nodes::days::complete(forwarder, question, own, here).await?
        }
        (Some(date), None) => return Err(Problem::not_here(DayKey { doctor, date }.shard())),
    };
    let mut response = json(StatusCode::OK, &Items { items: whole.items.into_iter().map(|(_, item)| item).collect() })?;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// The days of `doctor` that this node speaks for, and which others there may be.
async fn part_here(call: &Call, doctor: DoctorId, from: Date, to: Date) -> Result<Part, Problem> {
    let reply = call.engine().days(doctor, from, to).await.map_err(|error| of_engine(error, call.now()))?;
    let mut part = Part::default();
    for view in &reply.views {
        let item = to_raw_value(&day_view::summary(view));
        let item = item.map_err(|error| Problem::internal(format!("a day is no JSON: {error}")))?;
        part.items.push((view.day.date.days(), item));
    }
    part.elsewhere = reply.elsewhere.iter().map(|day| day.date.days()).collect();
    Ok(part)
}
