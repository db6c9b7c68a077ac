//! Nodes with everything but stores in common: real engines, real servers, and a map that the tests draw.
//! Must not know: what is checked.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::web::Bytes;
use booking_core::{Date, DayKey, DoctorId, Role, SubjectId};
use engine::ledger::registry::{Doctor, DoctorProfile, Location};
use engine::ownership::{Node, OwnershipMap, ShardOwner, ShardSet};
use engine::{Engine, EngineConfig};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::super::client::{Client, HopError, Question, Reply};
use super::super::tls::NodeTls;
use super::super::{Nodes, listener};
use crate::auth::Principal;
use crate::auth::key::SigningKey;
use crate::auth::pass::Passes;
use crate::auth::token::{NewToken, Verifier, mint};
use crate::config::{HttpSettings, RateSettings};
use crate::machine::Machine;
use crate::metrics::Exporter;
use crate::middleware::rate_limit::RateLimits;
use crate::routes;
use crate::server::{self, SharedLater};
use crate::state::Shared;
use crate::streams::StreamSettings;

/// What no step of a test takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The key that the nodes share.
pub(super) fn key() -> SigningKey {
    SigningKey::from_bytes([7; 32])
}

/// The doctor whom every node knows.
pub(super) fn doctor() -> DoctorId {
    DoctorId(Uuid::from_u128(0xd0c))
}

/// A day of the doctor, in a far year.
pub(super) fn day(date: &str) -> DayKey {
    DayKey { doctor: doctor(), date: Date::parse(date).expect("a date") }
}

/// The path of a day of the doctor.
pub(super) fn day_path(date: &str) -> String {
    format!("/v1/doctors/{}/days/{date}", doctor())
}

/// One node.
pub(super) struct TestNode {
    _directory: TempDir,
    engine: Engine,
    pub(super) shared: Arc<Shared>,
    incarnation: Uuid,
    /// Where callers ask.
    pub(super) public: String,
    /// Where nodes ask.
    pub(super) internal: String,
    client: Client,
    servers: Vec<actix_web::dev::ServerHandle>,
}

impl TestNode {
    /// Started, speaking for everything.
    pub(super) async fn start(number: u128, tls: Option<&NodeTls>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let engine =
            Engine::start(EngineConfig::embedded(directory.path().to_path_buf()), None).await.expect("it starts");
        let later: SharedLater = Arc::new(OnceLock::new());
        let http = http_settings();
        let public = server::bind(&http, http.listen, 1, &later, routes::interface).expect("bound");
        let internal =
            listener::bind(&http, http.listen, tls.map(|tls| Arc::clone(&tls.server)), &later).expect("bound");
        let territory = Arc::clone(engine.handle().territory());
        let nodes = Nodes::new(territory, Arc::new(Passes::new(&key())), tls.map(|tls| Arc::clone(&tls.client)));
        let limits = RateLimits::new(&rates());
        let shared = Shared::new(
            engine.handle(),
            Verifier::new(&key()),
            limits,
            Exporter::detached(),
            Machine::new(std::env::temp_dir()),
            http.streams,
            Some(nodes),
        );
        let shared = Arc::new(shared);
        assert!(later.set(Arc::clone(&shared)).is_ok());
        let addresses = [public.address.to_string(), internal.address.to_string()];
        let running = [public.start(), internal.start()];
        let servers = running.iter().map(actix_web::dev::Server::handle).collect();
        for server in running {
            tokio::spawn(server);
        }
        let [public, internal] = addresses;
        let node = Self {
            _directory: directory,
            engine,
            shared,
            incarnation: Uuid::from_u128(number),
            public,
            internal,
            client: Client::new(None),
            servers,
        };
        node.register_doctor().await;
        node
    }

    async fn register_doctor(&self) {
        let now = self.shared.engine.clock().now();
        let location =
            Location { name: "Practice".to_owned(), city: "Berlin".to_owned(), latitude: 1.0, longitude: 1.0 };
        let profile = DoctorProfile {
            name: "Dr. A".to_owned(),
            specialties: vec!["dermatology".to_owned()],
            time_zone: "UTC".to_owned(),
            location,
            bio: None,
            languages: Vec::new(),
            clinic: None,
        };
        let doctor = Doctor { id: doctor(), profile, created_at: now, updated_at: now };
        self.shared.engine.registry().create_doctor(&doctor, None).await.expect("registered");
    }

    /// From now on this node does not speak for `days`.
    pub(super) fn give_up(&self, days: &[DayKey]) {
        days.iter().for_each(|day| self.shared.engine.territory().tenures().revoke(day.shard()));
    }

    /// From now on this node speaks for everything again.
    pub(super) fn take_back(&self, days: &[DayKey], epoch: u32) {
        for day in days {
            let tenures = self.shared.engine.territory().tenures();
            tenures.grant(day.shard(), epoch);
            tenures.open(day.shard());
        }
    }

    /// The epoch under which it speaks for `day`.
    pub(super) fn epoch(&self, day: DayKey) -> u32 {
        self.shared.engine.territory().tenures().epoch(day.shard())
    }

    /// From now on this node believes that `owner` speaks for everything that it does not; nobody, if none is given.
    pub(super) fn believes_in(&self, owner: Option<&str>) {
        let other = Uuid::from_u128(u128::MAX);
        let node = owner.map(|address| Node { incarnation: other, address: address.to_owned(), is_live: true });
        let shards = ShardSet::ALL.iter().map(|shard| ShardOwner { shard, epoch: 1, owner: Some(other) }).collect();
        let map = OwnershipMap { nodes: node.into_iter().collect(), shards };
        self.shared.engine.territory().learn(&map, self.incarnation);
    }

    /// Asks at the public door.
    pub(super) async fn ask(&self, ask: &Ask) -> Told {
        Told::of(self.client.ask(&self.public, &ask.question(), PATIENCE).await.expect("an answer"))
    }

    /// Asks at the nodes' door, in the clear.
    pub(super) async fn ask_inside(&self, ask: &Ask) -> Result<Told, HopError> {
        self.client.ask(&self.internal, &ask.question(), PATIENCE).await.map(Told::of)
    }

    /// Opens a stream at the public door.
    pub(super) async fn open(&self, ask: &Ask) -> hyper::Response<hyper::body::Incoming> {
        self.client.open(&self.public, &ask.question(), PATIENCE).await.expect("an answer")
    }

    /// Ends it in order.
    pub(super) async fn stop(self) {
        self.shared.begin_stopping();
        for server in &self.servers {
            server.stop(true).await;
        }
        drop(self.shared);
        self.engine.stop().await;
    }
}

fn http_settings() -> HttpSettings {
    HttpSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        metrics_listen: None,
        nodes: None,
        workers: 1,
        connections_max: 100,
        streams: StreamSettings { clients_max: 10, heartbeat_seconds: 15 },
        keep_alive_seconds: 75,
        shutdown_grace_seconds: 1,
    }
}

fn rates() -> RateSettings {
    let many = std::num::NonZeroU32::MAX;
    RateSettings {
        subject_requests_per_second: many,
        subject_burst: many,
        address_requests_per_second: many,
        address_burst: many,
        limit_loopback: false,
    }
}

/// A request.
#[derive(Clone)]
pub(super) struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Ask {
    /// Without a token.
    pub(super) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: None }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// By `role` number `number`.
    pub(super) fn by(self, role: Role, number: u128) -> Self {
        let principal =
            Principal { subject: SubjectId(Uuid::from_u128(number)), role, clinic: None, audiences: Arc::from([]) };
        let issued_at = booking_core::UtcMillis(1_700_000_000_000);
        let token = mint(&key(), &NewToken { principal, issued_at, ttl_seconds: 10_000_000_000 }).expect("a token");
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(super) fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self.header("content-type", "application/json")
    }

    /// As it is sent.
    pub(super) fn question(&self) -> Question {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        }
        let body = self.body.as_ref().map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let method = Method::from_bytes(self.method.as_bytes()).expect("a method");
        Question { method, target: self.path.clone(), headers, body }
    }
}

/// Publishes a day of one slot at noon.
pub(super) fn publish(date: &str, capacity: u32) -> Ask {
    let slot = json!({"start": format!("{date}T12:00:00Z"), "end": format!("{date}T12:10:00Z"), "capacity": capacity});
    Ask::new("PUT", day_path(date)).by(Role::Admin, 1).json(json!({"slots": [slot]}))
}

/// Books a place for patient number `patient`.
pub(super) fn book(date: &str, patient: u128) -> Ask {
    let body = json!({"doctor_id": doctor().0, "date": date});
    Ask::new("POST", "/v1/appointments").by(Role::Patient, patient).json(body).key(&format!("key-{patient}"))
}

/// An answer.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) json: Value,
}

impl Told {
    fn of(reply: Reply) -> Self {
        let json = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        Self { status: reply.status.as_u16(), headers: reply.headers, json }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
