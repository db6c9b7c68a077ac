//! People who book, cancel and read all the while, under keys, and note what they were told and how long it took.
//! Must not know: what goes wrong meanwhile, what ought to be true afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use blackbox::{Call, Claims, Client, Day, Dice, Reply, Server, Signer, Stopwatch, Wish, eventually, fresh_id};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::away::house::Expected;

const WORKERS: usize = 6;
/// Between two requests of one worker.
const PACE: Duration = Duration::from_millis(40);
/// Successes before anything goes wrong.
const WARM_UP: usize = 60;
/// Nobody waits longer than ten seconds; one more for a busy machine.
const BOUND: Duration = Duration::from_secs(11);
/// The transport gives up long after the bound.
const TRANSPORT_DEADLINE: Duration = Duration::from_secs(40);
/// A booking in so many goes to the scarce day.
const SCARCE_SHARE: usize = 5;

/// Makes callers of one life of a server.
#[derive(Clone)]
pub struct Callers {
    http: reqwest::Client,
    address: String,
    signer: Arc<Signer>,
}

impl Callers {
    pub fn of(server: &Server) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(TRANSPORT_DEADLINE).build().expect("an HTTP client");
        Self { http, address: server.address().to_owned(), signer: Arc::new(server.signer()) }
    }

    pub fn patient(&self, id: &str) -> Client {
        Client::new(&self.http, &self.address, id, Some(self.signer.sign(&Claims::of("patient", id))))
    }
}

/// What somebody wanted, under one key.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A place of that day.
    Book(Day),
    /// To give back the appointment with that id.
    Cancel(String),
}

/// One wish and all that was said about it.
#[derive(Clone, Debug)]
pub struct Deed {
    pub patient: String,
    pub key: String,
    pub kind: Kind,
    pub answers: Vec<Reply>,
}

impl Deed {
    fn new(patient: &str, kind: Kind) -> Self {
        Self { patient: patient.to_owned(), key: fresh_id(), kind, answers: Vec::new() }
    }

    /// The request, the same each time.
    pub fn call(&self, callers: &Callers) -> Call {
        let client = callers.patient(&self.patient);
        match &self.kind {
            Kind::Book(day) => client.book(&Wish::any(day)).key(&self.key),
            Kind::Cancel(id) => client.cancel(id).key(&self.key),
        }
    }

    pub fn success(&self) -> Option<&Reply> {
        self.answers.iter().find(|reply| reply.status < 300)
    }

    /// Whether it is not known what became of it.
    fn is_open(&self) -> bool {
        self.answers.iter().all(|reply| reply.status == 503)
    }
}

/// What all have seen.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub deeds: Vec<Deed>,
    answered: usize,
    refused: usize,
    slowest: Duration,
    slowest_call: String,
    /// Days that were shown with an age.
    aged: usize,
    /// What `healthz/ready` named, how often.
    parts: BTreeMap<String, usize>,
    /// What must never be.
    complaints: Vec<String>,
}

impl Log {
    pub fn summary(&self) -> String {
        let Self { answered, refused, aged, parts, slowest, .. } = self;
        format!(
            "{answered:>5} answered, {refused:>4} refused, {aged:>3} aged, slowest {slowest:>7.1?}, not ready: {parts:?}"
        )
    }

    pub fn assert_as(&self, expected: Expected) {
        assert!(self.complaints.is_empty(), "{:#?}", self.complaints);
        assert!(self.slowest <= BOUND + expected.pause, "{} took {:?}", self.slowest_call, self.slowest);
        assert!(!expected.refuses || self.refused > 0, "the fault had no effect");
        assert!(!expected.ages || self.aged > 0, "no day was shown with its age");
        if let Some(part) = expected.part {
            assert!(self.parts.contains_key(part), "not {part} but {:?}", self.parts);
        }
    }

    fn take(&mut self, other: Self) {
        self.deeds.extend(other.deeds);
        (self.answered, self.refused) = (self.answered + other.answered, self.refused + other.refused);
        self.aged += other.aged;
        if other.slowest > self.slowest {
            (self.slowest, self.slowest_call) = (other.slowest, other.slowest_call);
        }
        other.parts.into_iter().for_each(|(part, count)| *self.parts.entry(part).or_default() += count);
        self.complaints.extend(other.complaints);
    }

    /// Sends, measures, and complains of what is neither `fine` nor an honest 503.
    async fn ask(&mut self, what: String, call: Call, fine: &[u16]) -> Option<Reply> {
        let watch = Stopwatch::start();
        let outcome = call.attempt().await;
        let took = watch.elapsed();
        if took > self.slowest {
            (self.slowest, self.slowest_call) = (took, what.clone());
        }
        let reply = match outcome {
            Ok(reply) => reply,
            Err(error) => {
                self.complaints.push(format!("{what}: {error:?}"));
                return None;
            }
        };
        if fine.contains(&reply.status) {
            self.answered += 1;
        } else if reply.status == 503 && ["unavailable", "overloaded"].contains(&reply.code().as_str()) {
            self.refused += 1;
            reply.assert_problem_shape();
        } else {
            self.complaints.push(format!("{what}: {} {}", reply.status, reply.text()));
        }
        Some(reply)
    }
}

#[derive(Default)]
struct Shared {
    has_ended: AtomicBool,
    successes: AtomicUsize,
}

/// The people.
pub struct Traffic {
    shared: Arc<Shared>,
    workers: JoinSet<Log>,
    since: Stopwatch,
}

impl Traffic {
    pub fn start(callers: Callers, days: Arc<[Day]>) -> Self {
        let shared = Arc::<Shared>::default();
        let mut workers = JoinSet::new();
        for number in 0..WORKERS {
            let dice = Dice::seeded(number as u64 + 1);
            let worker = Worker {
                callers: callers.clone(),
                days: Arc::clone(&days),
                shared: Arc::clone(&shared),
                dice,
                log: Log::default(),
            };
            workers.spawn(worker.run());
        }
        // Somebody who only reads, so that reads go on while everybody who books waits.
        let (dice, log) = (Dice::seeded(0), Log::default());
        let reader = Worker { callers: callers.clone(), days, shared: Arc::clone(&shared), dice, log };
        workers.spawn(reader.read_on());
        workers.spawn(watch_readiness(callers, Arc::clone(&shared)));
        Self { shared, workers, since: Stopwatch::start() }
    }

    /// Waits until bookings work.
    pub async fn has_succeeded(&self) {
        self.succeeds_again(WARM_UP).await;
    }

    /// Waits for so many further successes.
    pub async fn succeeds_again(&self, further: usize) {
        let wanted = self.shared.successes.load(Ordering::Relaxed) + further;
        eventually("people are served", Duration::from_secs(30), async || {
            (self.shared.successes.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    /// The fault lasts for this long.
    pub async fn goes_on(&self, lasting: Duration) {
        let never = std::future::pending::<()>();
        let waited = tokio::time::timeout(lasting, never).await;
        debug_assert!(waited.is_err(), "what never happens has not happened");
    }

    /// Says when the fault was over, for the reader of a log.
    pub fn healed(&self) {
        eprintln!("the part is back {:.1?} after the start", self.since.elapsed());
    }

    pub async fn stop(self) -> Log {
        self.shared.has_ended.store(true, Ordering::Relaxed);
        let mut whole = Log::default();
        self.workers.join_all().await.into_iter().for_each(|log| whole.take(log));
        whole
    }
}

struct Worker {
    callers: Callers,
    days: Arc<[Day]>,
    shared: Arc<Shared>,
    dice: Dice,
    log: Log,
}

impl Worker {
    async fn run(mut self) -> Log {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.shared.has_ended.load(Ordering::Relaxed) {
            pace.tick().await;
            match self.dice.below(10) {
                0..4 => self.book().await,
                4..6 => self.ask_again().await,
                6..8 => self.cancel().await,
                8 => self.read_day().await,
                _ => self.read_own().await,
            }
        }
        self.log
    }

    async fn read_on(mut self) -> Log {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.shared.has_ended.load(Ordering::Relaxed) {
            pace.tick().await;
            self.read_day().await;
        }
        self.log
    }

    async fn book(&mut self) {
        let is_scarce = self.dice.below(SCARCE_SHARE) == 0;
        let roomy = self.days.len() - 1;
        let day = if is_scarce { roomy } else { self.dice.below(roomy) };
        let deed = Deed::new(&fresh_id(), Kind::Book(self.days[day].clone()));
        self.log.deeds.push(deed);
        self.send(self.log.deeds.len() - 1).await;
    }

    /// The last one that nobody knows about.
    async fn ask_again(&mut self) {
        if let Some(place) = self.log.deeds.iter().rposition(Deed::is_open) {
            self.send(place).await;
        }
    }

    /// Some own appointment that nobody has cancelled.
    async fn cancel(&mut self) {
        let Some(place) = self.pick_booked() else { return };
        let booked = &self.log.deeds[place];
        let id = booked.success().expect("it was booked").text_of("id");
        let is_cancelled = |deed: &Deed| matches!(&deed.kind, Kind::Cancel(other) if *other == id);
        if !self.log.deeds.iter().any(is_cancelled) {
            let deed = Deed::new(&booked.patient, Kind::Cancel(id));
            self.log.deeds.push(deed);
            self.send(self.log.deeds.len() - 1).await;
        }
    }

    async fn send(&mut self, place: usize) {
        let deed = &self.log.deeds[place];
        let (call, what) =
            (deed.call(&self.callers), format!("{:?} of {} under {}", deed.kind, deed.patient, deed.key));
        let is_scarce = matches!(&deed.kind, Kind::Book(day) if day.capacity < 100);
        let Some(reply) = self.log.ask(what, call, if is_scarce { &[201, 409] } else { &[200, 201] }).await else {
            return;
        };
        if reply.status < 300 {
            self.shared.successes.fetch_add(1, Ordering::Relaxed);
        }
        self.log.deeds[place].answers.push(reply);
    }

    fn pick_booked(&mut self) -> Option<usize> {
        let booked: Vec<usize> = (0..self.log.deeds.len())
            .filter(|place| {
                let deed = &self.log.deeds[*place];
                matches!(deed.kind, Kind::Book(_)) && deed.success().is_some()
            })
            .collect();
        let chosen = self.dice.below(booked.len());
        booked.get(chosen).copied()
    }

    async fn read_day(&mut self) {
        let day = self.dice.below(self.days.len());
        let day = self.days[day].clone();
        let call = self.callers.patient(&fresh_id()).day(&day.doctor, &day.date);
        let reply = self.log.ask(format!("GET of day {}", day.doctor), call, &[200]).await;
        if reply.is_some_and(|reply| reply.status == 200 && reply.header("age").is_some()) {
            self.log.aged += 1;
        }
    }

    /// What was answered is visible, or nothing is.
    async fn read_own(&mut self) {
        let Some(place) = self.pick_booked() else { return };
        let deed = &self.log.deeds[place];
        let id = deed.success().expect("it was booked").text_of("id");
        let call = self.callers.patient(&deed.patient).appointment(&id);
        let cancels = |deed: &&Deed| matches!(&deed.kind, Kind::Cancel(other) if *other == id);
        let expected: &[&str] = match self.log.deeds.iter().find(cancels) {
            None => &["booked"],
            Some(cancel) if cancel.success().is_some() => &["cancelled"],
            Some(_) => &["booked", "cancelled"],
        };
        let Some(reply) = self.log.ask(format!("GET of {id}"), call, &[200]).await else { return };
        if reply.status == 200 && !expected.contains(&&*reply.text_of("status")) {
            self.log.complaints.push(format!("{id} ought to be {expected:?}: {}", reply.text()));
        }
    }
}

/// What the process says of itself.
async fn watch_readiness(callers: Callers, shared: Arc<Shared>) -> Log {
    let mut log = Log::default();
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let anyone = callers.patient(&fresh_id());
    while !shared.has_ended.load(Ordering::Relaxed) {
        pace.tick().await;
        log.ask("healthz/live".to_owned(), anyone.get("/healthz/live"), &[200]).await;
        let Ok(reply) = anyone.get("/healthz/ready").attempt().await else { continue };
        if reply.status != 200 {
            *log.parts.entry(reply.text_of("part")).or_default() += 1;
        }
    }
    log
}
