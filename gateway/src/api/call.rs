//! One request as a handler sees it: path, query, headers and body, read strictly.
//! Must not know: what is done with them.

use std::cell::OnceCell;
use std::rc::Rc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use booking_core::{AppointmentId, Date, DayKey, DoctorId, Envelope, RequestKey, UtcMillis};
use engine::EngineHandle;
use engine::view::Caller;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::idempotency::{self, RequestDigest};
use super::problem::Problem;
use super::query::Query;
use super::{body, input};
use crate::auth::Principal;
use crate::middleware::request_name::RequestName;
use crate::nodes::forward::Forwarder;
use crate::state::Worker;

/// One request.
pub(crate) struct Call {
    worker: Rc<Worker>,
    request: HttpRequest,
    payload: Payload,
    name: RequestName,
    /// When its head had come, on the clock's monotonic scale.
    started_micros: u64,
    /// Where the body is kept, once it is read, for a node that has to be asked instead.
    kept: Option<Kept>,
    attempt: Attempt,
}

/// A body that has been read; shared.
pub(crate) type Kept = Rc<OnceCell<Bytes>>;

/// Which attempt at a request this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Attempt {
    /// As it came.
    First,
    /// Once more: what it is about has come here meanwhile.
    Again,
    /// Nobody could be asked: an old answer is better than none.
    LastResort,
}

impl Call {
    /// Of a worker.
    pub(crate) fn new(
        worker: Rc<Worker>,
        request: HttpRequest,
        payload: Payload,
        name: RequestName,
        started_micros: u64,
    ) -> Self {
        Self { worker, request, payload, name, started_micros, kept: None, attempt: Attempt::First }
    }

    /// When its head had come, on the clock's monotonic scale.
    pub(crate) fn started_micros(&self) -> u64 {
        self.started_micros
    }

    /// Everything that is asked of a booking before the engine is asked has been.
    pub(crate) fn note_admitted(&self) {
        self.worker.measures.admitted(self.started_micros, &**self.engine().clock());
    }

    /// Keeps the body, once it is read, in `kept`.
    pub(crate) fn keeping(mut self, kept: Kept) -> Self {
        self.kept = Some(kept);
        self
    }

    /// A request whose body is in `kept`, if it has one, in another attempt.
    pub(crate) fn repeated(self, kept: Kept, attempt: Attempt) -> Self {
        Self { kept: Some(kept), attempt, ..self }
    }

    /// Which attempt at the request this is.
    pub(crate) fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// The name under which it is answered and logged.
    pub(crate) fn name(&self) -> &RequestName {
        &self.name
    }

    /// How other nodes are asked, unless this call was passed on by one.
    pub(crate) fn forwarder(&self) -> Option<&Forwarder> {
        self.worker.forwarder.as_ref()
    }

    /// The worker that answers.
    pub(crate) fn worker(&self) -> &Worker {
        &self.worker
    }

    /// The worker that answers, to be kept.
    pub(crate) fn shared_worker(&self) -> Rc<Worker> {
        Rc::clone(&self.worker)
    }

    /// The request itself.
    pub(crate) fn request(&self) -> &HttpRequest {
        &self.request
    }

    /// Its headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &EngineHandle {
        &self.worker.shared.engine
    }

    /// The engine's time.
    pub(crate) fn now(&self) -> UtcMillis {
        self.engine().clock().now()
    }

    /// The id in the path segment `{id}`.
    pub(crate) fn path_id(&self) -> Result<Uuid, Problem> {
        let text = self.request.match_info().get("id").unwrap_or("");
        input::parse_uuid(text).ok_or_else(|| Problem::invalid("The id in the path is not a UUID."))
    }

    /// The doctor in the path segment `{id}`.
    pub(crate) fn path_doctor(&self) -> Result<DoctorId, Problem> {
        self.path_id().map(DoctorId)
    }

    /// The appointment in the path segment `{id}`.
    pub(crate) fn path_appointment(&self) -> Result<AppointmentId, Problem> {
        self.path_id().map(AppointmentId)
    }

    /// The doctor-day in the path segments `{id}` and `{date}`.
    pub(crate) fn path_day(&self) -> Result<DayKey, Problem> {
        let doctor = self.path_doctor()?;
        let date = Date::parse(self.request.match_info().get("date").unwrap_or(""));
        let date = date.ok_or_else(|| Problem::invalid("The date in the path is not a date such as 2026-01-31."))?;
        Ok(DayKey { doctor, date })
    }

    /// The query string: `once` may be given once each, `repeatable` any number of times.
    pub(crate) fn query(&self, once: &[&'static str], repeatable: &[&'static str]) -> Result<Query, Problem> {
        Query::parse(self.request.query_string(), once, repeatable)
    }

    /// Refuses any query string.
    pub(crate) fn no_query(&self) -> Result<(), Problem> {
        if self.request.query_string().is_empty() { Ok(()) } else { self.query(&[], &[]).map(drop) }
    }

    /// The body, which must be there.
    pub(crate) async fn body<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let bytes = self.read_body().await?;
        if bytes.is_empty() && !self.headers().contains_key("content-type") {
            return Err(Problem::invalid("A body is needed."));
        }
        body::check_content_type(&self.request)?;
        if bytes.is_empty() {
            return Err(Problem::invalid("The body is empty."));
        }
        body::parse(&bytes)
    }

    /// The body of a call whose fields are all optional: none, or JSON.
    pub(crate) async fn optional_body<T: DeserializeOwned + Default>(&mut self) -> Result<T, Problem> {
        let bytes = self.read_body().await?;
        if bytes.is_empty() {
            return Ok(T::default());
        }
        body::check_content_type(&self.request)?;
        body::parse(&bytes)
    }

    /// The body as it came.
    pub(crate) async fn read_body(&mut self) -> Result<Bytes, Problem> {
        if let Some(bytes) = self.kept.as_ref().and_then(|kept| kept.get()) {
            return Ok(bytes.clone());
        }
        let bytes = body::read(&self.request, std::mem::replace(&mut self.payload, Payload::None)).await?;
        if let Some(kept) = &self.kept {
            // A body is read once.
            let _ = kept.set(bytes.clone());
        }
        Ok(bytes)
    }

    /// The idempotency key, if given.
    pub(crate) fn idempotency_key(&self) -> Result<Option<&str>, Problem> {
        idempotency::key_of(self.headers())
    }

    /// A digest of this method and `route` to bind the key to.
    pub(crate) fn digest(&self, route: &str) -> RequestDigest {
        RequestDigest::of(self.request.method().as_str(), route)
    }

    /// Who asks, for the record.
    pub(crate) fn envelope(&self, principal: &Principal) -> Envelope {
        Envelope { subject: principal.subject, role: principal.role, request: self.name.id }
    }

    /// Who asks, under which key.
    pub(crate) fn caller(&self, principal: &Principal, key: Option<RequestKey>) -> Caller {
        Caller { envelope: self.envelope(principal), key }
    }
}

/// A JSON answer.
pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<HttpResponse, Problem> {
    let body =
        serde_json::to_vec(value).map_err(|error| Problem::internal(format!("an answer is no JSON: {error}")))?;
    Ok(HttpResponse::build(status).content_type("application/json").body(body))
}
