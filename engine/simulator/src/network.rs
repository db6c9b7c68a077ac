//! The way between clients and the machine: requests and replies that take time, get lost, come twice, overtake each other; and the
//! place where every reply is judged as it leaves.
//! Must not know: why something is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use booking_core::{Fingerprint, RequestId, SubjectId, UtcMillis};
use engine::EngineError;
use engine::EngineHandle;
use engine::view::{AppointmentAddress, Caller};
use futures_util::future::{Either, select};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::kernel::{Domain, OUTSIDE};
use crate::node::Node;
use crate::oracle::{Asked, Floor, Kind, Reply, Told, Verdict, Violation, Window};
use crate::stage::Stage;
use crate::weather::Fault;
use crate::words;

/// A client waits so long for a reply before it takes it for lost, in microseconds.
pub const PATIENCE_MICROS: u64 = 20_000_000;

/// Requests that the machine works on, by number: what is asked, and since when.
type Open = BTreeMap<u64, (u64, String)>;

/// When a request came, and what was certain then.
#[derive(Clone, Debug)]
struct Since {
    floor: Floor,
    now: UtcMillis,
    micros: u64,
}

/// Requests by key, each by its number.
type Flights = BTreeMap<(SubjectId, Box<str>), BTreeMap<u64, Flight>>;

/// A request under a key: when it came, and when its reply left.
#[derive(Clone, Debug)]
struct Flight {
    fingerprint: Fingerprint,
    since: Since,
    left_micros: Option<u64>,
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct Network {
    stage: Stage,
    node: Node,
    open: Arc<Mutex<Open>>,
    flights: Arc<Mutex<Flights>>,
    counted: Arc<Mutex<Counted>>,
}

/// How requests ended.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counted {
    /// Requests that reached the machine.
    pub requests: u64,
    /// With success.
    pub successes: u64,
    /// With a refusal by the rules.
    pub refusals: u64,
    /// With 503 or less than that.
    pub unknown: u64,
}

/// Takes a request off the list of open ones, however it ends.
struct Opened {
    network: Network,
    number: u64,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.network.open.lock().remove(&self.number);
    }
}

impl Network {
    /// Between everybody and `node`.
    pub fn new(stage: &Stage, node: &Node) -> Self {
        Self {
            stage: stage.clone(),
            node: node.clone(),
            open: Arc::default(),
            flights: Arc::default(),
            counted: Arc::default(),
        }
    }

    /// The other end.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// How requests ended so far.
    pub fn counted(&self) -> Counted {
        *self.counted.lock()
    }

    /// Requests that the machine has worked on since before `instant_micros`.
    pub fn open_since(&self, instant_micros: u64) -> Vec<String> {
        let open = self.open.lock();
        open.values().filter(|(since, _)| *since < instant_micros).map(|(_, what)| what.clone()).collect()
    }

    /// Asks, and waits for the reply; `None` if none comes: then nobody knows what became of the request.
    pub async fn ask(&self, asked: &Asked) -> Option<Reply> {
        self.ask_within(PATIENCE_MICROS, asked).await
    }

    /// The same, by a client that waits for so many microseconds.
    pub async fn ask_within(&self, patience_micros: u64, asked: &Asked) -> Option<Reply> {
        let (send, receive) = oneshot::channel();
        let stage = &self.stage;
        if !stage.draws(Fault::RequestLost, 0) {
            self.deliver(asked.clone(), Some(send));
        }
        if stage.draws(Fault::RequestDuplicated, 0) {
            self.deliver(asked.clone(), None);
        }
        match select(receive, Box::pin(stage.kernel.sleep(OUTSIDE, patience_micros))).await {
            Either::Left((Ok(reply), _)) if !stage.draws(Fault::ReplyLost, 0) => Some(reply),
            _ => None,
        }
    }

    fn deliver(&self, asked: Asked, reply: Option<oneshot::Sender<Reply>>) {
        let delay = self.delay();
        let network = self.clone();
        let at = self.stage.kernel.now_micros() + delay;
        self.stage.kernel.call_at(OUTSIDE, at, move || network.arrive(asked, reply));
    }

    fn delay(&self) -> u64 {
        if self.stage.draws(Fault::RequestDelayed, 0) {
            return self.stage.between(10_000, 5_000_000);
        }
        self.stage.between(50, 1_000)
    }

    /// A request reaches the machine: whoever is not there does not answer.
    fn arrive(&self, mut asked: Asked, reply: Option<oneshot::Sender<Reply>>) {
        let Some((domain, handle)) = self.node.door() else { return };
        let number = {
            let mut counted = self.counted.lock();
            counted.requests += 1;
            counted.requests
        };
        // As the gateway does: every arrival is a request of its own.
        stamp(&mut asked, number);
        let what = words::asked(&asked);
        self.stage.tell(format!("request {number}: {what}"));
        self.open.lock().insert(number, (self.stage.kernel.now_micros(), format!("request {number}: {what}")));
        let opened = Opened { network: self.clone(), number };
        let network = self.clone();
        let leaves_after = self.stage.draws(Fault::ClientVanished, 0).then(|| self.stage.between(0, 20_000));
        let kernel = self.stage.kernel.clone();
        let work = async move {
            let served = network.serve(&handle, asked, opened);
            match leaves_after {
                None => network.send_back(domain, served.await, reply).await,
                Some(micros) => match select(Box::pin(served), Box::pin(kernel.sleep(domain, micros))).await {
                    Either::Left((told, _)) => network.send_back(domain, told, reply).await,
                    Either::Right(_) => network.stage.tell(format!("request {number}: the client is gone")),
                },
            }
        };
        self.stage.kernel.spawn(domain, Box::pin(work));
    }

    async fn send_back(&self, domain: Domain, told: Reply, reply: Option<oneshot::Sender<Reply>>) {
        self.stage.kernel.sleep(domain, self.delay()).await;
        if let Some(reply) = reply {
            // A client that lost its patience does not listen any more.
            let _ = reply.send(told);
        }
    }

    async fn serve(&self, handle: &EngineHandle, mut asked: Asked, opened: Opened) -> Reply {
        let since = Since {
            floor: self.stage.lock().oracle.told(),
            now: handle.clock().now(),
            micros: self.stage.kernel.now_micros(),
        };
        if let Asked::List(query) = &mut asked {
            query.now = since.now;
        }
        self.enter(&asked, opened.number, &since);
        let reply = perform(handle, asked.clone(), self.stage.between(0, 1) == 0).await;
        self.judge(&asked, &reply, since, handle.clock().now(), opened.number);
        self.leave(&asked, opened.number);
        reply
    }

    fn enter(&self, asked: &Asked, number: u64, since: &Since) {
        if let Some(key) = asked.key() {
            let flight = Flight { fingerprint: key.fingerprint, since: since.clone(), left_micros: None };
            self.flights.lock().entry((key.subject, key.key.clone())).or_default().insert(number, flight);
        }
    }

    fn leave(&self, asked: &Asked, number: u64) {
        let Some(key) = asked.key() else { return };
        let mut flights = self.flights.lock();
        if let Some(flight) = flights.get_mut(&(key.subject, key.key.clone())).and_then(|it| it.get_mut(&number)) {
            flight.left_micros = Some(self.stage.kernel.now_micros());
        }
    }

    /// A refusal that is repeated to a twin was right when the first of the twins was under way.
    fn since_of_twins(&self, asked: &Asked, since: Since) -> Since {
        let Some(key) = asked.key() else { return since };
        let flights = self.flights.lock();
        let Some(twins) = flights.get(&(key.subject, key.key.clone())) else { return since };
        let together = twins.values().filter(|twin| {
            twin.fingerprint == key.fingerprint
                && twin.since.micros <= since.micros
                && twin.left_micros.is_none_or(|left| left >= since.micros)
        });
        let first = together.min_by_key(|twin| twin.since.micros).map(|twin| twin.since.clone());
        first.unwrap_or(since)
    }

    fn judge(&self, asked: &Asked, reply: &Reply, since: Since, to_now: UtcMillis, number: u64) {
        let is_repeated = matches!(reply, Err(EngineError::Repeated(_)));
        let since = if is_repeated { self.since_of_twins(asked, since) } else { since };
        let (from, from_now, since_micros) = (since.floor, since.now, since.micros);
        self.stage.tell(format!("reply {number}: {}", words::reply(reply)));
        let verdict = {
            let mut shared = self.stage.lock();
            let to_position = shared.oracle.last_position();
            shared.oracle.judge(asked, reply, &Window { from, to_position, from_now, to_now })
        };
        let mut counted = self.counted.lock();
        match verdict {
            Ok(Verdict::Success { .. } | Verdict::Read) => counted.successes += 1,
            Ok(Verdict::Refused) => counted.refusals += 1,
            Ok(Verdict::Unknown) => {
                counted.unknown += 1;
                drop(counted);
                self.require_excuse(asked, reply, since_micros);
            }
            Err(violation) => self.stage.fail(violation),
        }
    }

    /// A 503 needs a reason: something that went wrong while the request was worked on, or shortly before.
    fn require_excuse(&self, asked: &Asked, reply: &Reply, since_micros: u64) {
        if matches!(reply, Err(EngineError::Overloaded { .. }))
            || self.stage.is_excused(since_micros, self.stage.kernel.now_micros())
        {
            return;
        }
        let text = format!("{} was told {}", words::asked(asked), words::reply(reply));
        self.stage.fail(Violation::new(Kind::UnavailableWithoutCause, text));
    }
}

/// A request id that no other request has.
fn stamp(asked: &mut Asked, number: u64) {
    let caller: &mut Caller = match asked {
        Asked::Book(request) => &mut request.caller,
        Asked::Change { caller, .. } | Asked::Close { caller, .. } => caller,
        Asked::Reschedule(request) => &mut request.caller,
        Asked::Publish(request) => &mut request.caller,
        Asked::ReadDay(_) | Asked::ReadAppointment(_) | Asked::List(_) | Asked::History(_) => return,
    };
    caller.envelope.request = RequestId(Uuid::from_u128(u128::from(number)));
}

/// Asks the engine as the gateway does. `looks_up`: whether a change first looks where its appointment stands.
async fn perform(handle: &EngineHandle, asked: Asked, looks_up: bool) -> Reply {
    match asked {
        Asked::Book(request) => handle.book(request).await.map(Told::Appointment),
        Asked::Change { address, action, caller } => {
            let day = if looks_up { handle.appointment(address.id).await?.day } else { address.day };
            handle.change(AppointmentAddress { day, id: address.id }, action, caller).await.map(Told::Appointment)
        }
        Asked::Reschedule(request) => handle.reschedule(request).await.map(Told::Appointment),
        Asked::Publish(request) => handle.publish_day(request).await.map(Told::Day),
        Asked::Close { day, reason, caller } => handle.close_day(day, reason, caller).await.map(Told::Day),
        Asked::ReadDay(day) => handle.day(day).await.map(Told::View),
        Asked::ReadAppointment(id) => handle.appointment(id).await.map(Told::Placed),
        Asked::List(query) => handle.appointments(query).await.map(Told::List),
        Asked::History(id) => handle.history(id).await.map(Told::History),
    }
}
