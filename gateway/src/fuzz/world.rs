//! A service with a clinic in it, in this process: the real routes over a real engine in a directory of its own.
//! Must not know: what is asked of it.

use std::rc::Rc;
use std::sync::Arc;

use actix_http::Request;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::test::TestRequest;
use actix_web::{App, Error};
use booking_core::{Role, SubjectId, UtcMillis};
use engine::{Engine, EngineConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::api::zone::Zone;
use crate::auth::Principal;
use crate::auth::key::SigningKey;
use crate::auth::token::{self, NewToken, Verifier};
use crate::config::RateSettings;
use crate::machine::Machine;
use crate::metrics::Exporter;
use crate::middleware::rate_limit::RateLimits;
use crate::routes;
use crate::state::{Shared, Side, Worker};
use crate::streams::StreamSettings;

/// A request before it is sent.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    /// Without its query string.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
}

/// Whose token.
#[derive(Clone, Copy)]
pub(super) enum Who {
    Admin,
    Doctor,
    Patient,
}

/// The running engine and the ids of the clinic.
pub(super) struct World {
    _directory: TempDir,
    engine: Engine,
    pub(super) shared: Arc<Shared>,
    key: SigningKey,
    pub(super) doctor: Uuid,
    pub(super) patient: Uuid,
    pub(super) clinic: Uuid,
    now: UtcMillis,
}

impl World {
    /// Started, with nobody in it.
    pub(super) async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let engine =
            Engine::start(EngineConfig::embedded(directory.path().to_path_buf()), None).await.expect("it starts");
        let (key, one) = (SigningKey::from_bytes([7; 32]), std::num::NonZeroU32::MIN);
        let rates = RateSettings {
            subject_requests_per_second: one,
            subject_burst: one,
            address_requests_per_second: one,
            address_burst: one,
            limit_loopback: false,
        };
        let streams = StreamSettings { clients_max: 10, heartbeat_seconds: 15 };
        let (verifier, limits) = (Verifier::new(&key), RateLimits::new(&rates));
        let (exporter, machine) = (Exporter::detached(), Machine::new(std::env::temp_dir()));
        let shared = Shared::new(engine.handle(), verifier, limits, exporter, machine, streams, None);
        let shared = Arc::new(shared);
        let now = engine.handle().clock().now();
        let [doctor, patient, clinic] = [1, 2, 3].map(Uuid::from_u128);
        Self { _directory: directory, engine, shared, key, doctor, patient, clinic, now }
    }

    /// The routes, as a worker has them.
    pub(super) async fn routes(&self) -> impl Service<Request, Response = ServiceResponse, Error = Error> + use<> {
        let worker = Rc::new(Worker::new(Arc::clone(&self.shared), Side::Public));
        let table = routes::interface_and_metrics();
        actix_web::test::init_service(App::new().configure(move |app| routes::configure(app, &worker, table))).await
    }

    /// A token that counts for longer than a night.
    pub(super) fn token(&self, who: Who) -> String {
        let (role, subject) = match who {
            Who::Admin => (Role::Admin, Uuid::from_u128(99)),
            Who::Doctor => (Role::Doctor, self.doctor),
            Who::Patient => (Role::Patient, self.patient),
        };
        let principal = Principal { subject: SubjectId(subject), role, clinic: None, audiences: Arc::from([]) };
        token::mint(&self.key, &NewToken { principal, issued_at: self.now, ttl_seconds: 200_000 }).expect("a token")
    }

    /// A call as it should be.
    pub(super) fn ask(&self, who: Who, method: Method, path: String, body: Option<Value>) -> Ask {
        let mut headers = vec![(AUTHORIZATION.to_string(), format!("Bearer {}", self.token(who)))];
        if body.is_some() {
            headers.push((CONTENT_TYPE.to_string(), "application/json".to_owned()));
        }
        let body = body.map(|body| body.to_string().into_bytes());
        Ask { method, path, query: String::new(), headers, body }
    }

    /// The date so many days from today.
    pub(super) fn date(&self, days: u64) -> String {
        let at = self.now.plus_millis(days as i64 * 86_400_000);
        Zone::find("UTC").and_then(|zone| zone.date(at)).expect("a date").to_string()
    }

    /// A day of many slots.
    pub(super) fn day_body(&self, date: &str) -> Value {
        let slot = |number: usize| {
            let time = |number: usize| format!("{date}T{:02}:{:02}:00Z", 6 + number / 6, number % 6 * 10);
            json!({"start": time(number), "end": time(number + 1), "capacity": 5})
        };
        let slots: Vec<Value> = (0..60).map(slot).collect();
        json!({"slots": slots, "releases": [{"at": "2026-01-01T00:00:00Z", "places": 250}, {"at": "2026-01-02T00:00:00Z"}]})
    }

    pub(super) async fn stop(self) {
        self.shared.begin_stopping();
        drop(self.shared);
        self.engine.stop().await;
    }
}

impl Ask {
    /// A key of its own, if the call takes one.
    pub(super) fn give_key(&mut self, key: &str) {
        if matches!(self.method, Method::POST | Method::DELETE) {
            self.headers.push(("idempotency-key".to_owned(), key.to_owned()));
        }
    }

    /// As the service takes it; `None` if it is no request at all, which a server refuses before any route.
    pub(super) fn request(&self) -> Option<Request> {
        let target = if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) };
        let uri = actix_web::http::Uri::try_from(target.as_str()).ok().filter(|uri| uri.path().starts_with('/'))?;
        let mut request = TestRequest::with_uri(&uri.to_string()).method(self.method.clone());
        for (name, value) in &self.headers {
            let name = actix_web::http::header::HeaderName::try_from(name.as_str()).ok()?;
            let value = actix_web::http::header::HeaderValue::from_bytes(value.as_bytes()).ok()?;
            request = request.append_header((name, value));
        }
        if let Some(body) = &self.body {
            request = request.set_payload(body.clone());
        }
        Some(request.to_request())
    }
}
