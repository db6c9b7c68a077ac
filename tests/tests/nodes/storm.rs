//! Patients who press through all nodes at once, as real clients do: under a key, and again through another node whenever an answer
//! does not come. Everything they were told is kept.
//! Must not know: what is broken meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blackbox::cluster::{Cluster, Doors};
use blackbox::{Call, Client, Day, Dice, Plan, Reply, Stopwatch, Wish, fresh_id, now, wall_clock_reaches};
use serde_json::Value;
use tokio::task::JoinSet;

/// Doctor-days of a run: every node has some of them.
const DAYS: usize = 10;
const SLOTS: usize = 6;
const PLACES_A_SLOT: u32 = 2;
/// Patients at once. More than two processors need to be kept busy would only wait for each other, and each is asked for at the end.
const PATIENTS_AT_ONCE: usize = 12;
/// From one patient of a worker to its next.
const PATIENT_EVERY: Duration = Duration::from_millis(120);
/// From a failed try to the next, through another node.
pub const TRY_AGAIN_AFTER: Duration = Duration::from_millis(40);
/// Who has no answer by then says so, and is a failure of the run: every fault is over long before.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One try of a booking, of all tries the ones that show when a day was served.
#[derive(Clone, Copy, Debug)]
pub struct Try {
    /// Number of the day.
    pub day: usize,
    /// Since the storm began.
    pub began: Duration,
    /// Since the storm began.
    pub ended: Duration,
    /// Whether somebody who speaks for the day has answered.
    pub is_answered: bool,
}

/// What a patient has by what it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Never got a place.
    Refused,
    /// Has a place on the day with that number.
    Booked(usize),
    /// Gave it back.
    Cancelled,
}

/// One patient, from the first press to the last answer.
#[derive(Clone, Debug)]
pub struct Visit {
    pub patient: String,
    pub token: String,
    /// The key of the booking.
    pub key: String,
    /// The day that was booked.
    pub wanted: usize,
    /// What was asked.
    pub wish: Wish,
    /// The first answer to the booking, if it was a success.
    pub booked: Option<Value>,
    /// The newest answer.
    pub newest: Option<Value>,
    pub fate: Fate,
}

/// What came of a storm.
#[derive(Default)]
pub struct Told {
    pub tries: Vec<Try>,
    pub visits: Vec<Visit>,
    /// What must not have been said.
    pub wrong: Vec<String>,
}

/// A storm under way.
pub struct Storm {
    pub days: Arc<Vec<Day>>,
    doors: Doors,
    told: Arc<Mutex<Told>>,
    watch: Stopwatch,
    is_over: Arc<AtomicBool>,
    workers: JoinSet<()>,
}

impl Storm {
    /// Publishes new days, and begins.
    pub async fn begin(cluster: &Cluster, seed: u64) -> Self {
        let doors = cluster.doors().clone();
        let mut days = Vec::new();
        for number in 0..DAYS {
            days.push(publish(&doors, number).await);
        }
        let mut storm = Self {
            days: Arc::new(days),
            doors,
            told: Arc::default(),
            watch: Stopwatch::start(),
            is_over: Arc::default(),
            workers: JoinSet::new(),
        };
        for worker in 0..PATIENTS_AT_ONCE {
            let crowd = storm.caller(seed * 1_000 + worker as u64);
            let is_over = Arc::clone(&storm.is_over);
            storm.workers.spawn(crowd.press(is_over));
        }
        storm
    }

    fn caller(&self, seed: u64) -> Caller {
        Caller {
            days: Arc::clone(&self.days),
            doors: self.doors.clone(),
            told: Arc::clone(&self.told),
            watch: self.watch,
            dice: Dice::seeded(seed),
            takes_any: false,
        }
    }

    /// How long it has lasted.
    pub fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    /// Ends it: those who are under way get their answers. Then newcomers take what is left of every day, until it is sold out.
    pub async fn end(mut self) -> (Told, Arc<Vec<Day>>) {
        self.is_over.store(true, Ordering::Release);
        while let Some(worker) = self.workers.join_next().await {
            worker.expect("a worker does not panic");
        }
        let mut sweep = Caller { takes_any: true, ..self.caller(77) };
        for day in 0..self.days.len() {
            let mut sold = 0;
            // What is wrong is told at once: whoever is not answered would wait here for a minute a day.
            while !sweep.has_wrong() && sweep.visit_once(day).await {
                sold += 1;
                assert!(sold <= self.days[day].capacity, "day {day} sells more than it has");
            }
        }
        let told = std::mem::take(&mut *self.told.lock().expect("no holder panics"));
        (told, self.days)
    }
}

/// A new doctor with one day.
pub async fn publish(doors: &Doors, number: usize) -> Day {
    let plan = Plan::quarters_of(SLOTS, PLACES_A_SLOT);
    let body = serde_json::json!({
        "name": "Dr. Vera Lind", "specialties": ["dermatology"], "time_zone": "UTC",
        "location": {"name": "Clinic at the Park", "city": "Utrecht", "lat": 52.09, "lon": 5.12},
    });
    let created = known(|| doors.admin(number).create_doctor(&body)).await.expect("a doctor");
    let day = plan.day_of(&created.expect(201).text_of("id"));
    let put = known(|| doors.admin(number + 1).put_day(&day.doctor, &day.date, &plan.body())).await.expect("a day");
    assert!([200, 201].contains(&put.status), "{} {}", put.status, put.text());
    day
}

/// The answer of somebody who knows. On a machine that is busy with other things a node may lose its days for a moment.
pub async fn known(call: impl Fn() -> Call) -> Result<Reply, String> {
    let watch = Stopwatch::start();
    loop {
        match call().attempt().await {
            Ok(reply) if reply.status != 503 => return Ok(reply),
            outcome if watch.elapsed() > PATIENCE => return Err(format!("no answer within {PATIENCE:?}: {outcome:?}")),
            _ => pause(TRY_AGAIN_AFTER).await,
        }
    }
}

/// Waits for `pause`.
pub async fn pause(pause: Duration) {
    wall_clock_reaches(now() + pause).await;
}

/// A patient's hands.
struct Caller {
    days: Arc<Vec<Day>>,
    doors: Doors,
    told: Arc<Mutex<Told>>,
    watch: Stopwatch,
    dice: Dice,
    /// Whether nobody names a slot, so that every place is found.
    takes_any: bool,
}

impl Caller {
    async fn press(mut self, is_over: Arc<AtomicBool>) {
        while !is_over.load(Ordering::Acquire) {
            let next = now() + PATIENT_EVERY;
            self.visit().await;
            wall_clock_reaches(next).await;
        }
    }

    /// A patient books, looks, and often gives the place back or moves to another day; answers when it has nothing more to ask.
    async fn visit(&mut self) {
        let day = self.dice.below(self.days.len());
        let mut visit = self.newcomer(day);
        if !self.book(&mut visit).await {
            self.keep(visit);
            return;
        }
        self.look(&visit).await;
        match self.dice.below(10) {
            0..=4 => self.cancel(&mut visit).await,
            5..=7 => {
                self.relocate(&mut visit).await;
                self.look(&visit).await;
                if self.dice.below(2) == 0 {
                    self.cancel(&mut visit).await;
                }
            }
            _ => {}
        }
        self.keep(visit);
    }

    /// Books what is left of a day; `false` once it is sold out.
    async fn visit_once(&mut self, day: usize) -> bool {
        let mut visit = self.newcomer(day);
        let has_won = self.book(&mut visit).await;
        self.keep(visit);
        has_won
    }

    fn newcomer(&mut self, wanted: usize) -> Visit {
        let patient = fresh_id();
        let token = self.doors.token("patient", &patient);
        let day = &self.days[wanted];
        let wish = match self.dice.below(3) {
            0 if !self.takes_any => Wish::slot(day, self.dice.below(SLOTS)),
            _ => Wish::any(day),
        };
        Visit { patient, token, key: fresh_id(), wanted, wish, booked: None, newest: None, fate: Fate::Refused }
    }

    fn keep(&self, visit: Visit) {
        self.told.lock().expect("no holder panics").visits.push(visit);
    }

    fn has_wrong(&self) -> bool {
        !self.told.lock().expect("no holder panics").wrong.is_empty()
    }

    fn wrong(&self, what: String) {
        self.told.lock().expect("no holder panics").wrong.push(what);
    }

    async fn book(&mut self, visit: &mut Visit) -> bool {
        let wish = visit.wish.clone();
        let key = visit.key.clone();
        let Some(reply) = self.ask(visit, Some(visit.wanted), |client| client.book(&wish).key(&key)).await else {
            return false;
        };
        match (reply.status, reply.code().as_str()) {
            (201, _) => {
                visit.booked = Some(reply.json());
                visit.newest = visit.booked.clone();
                visit.fate = Fate::Booked(visit.wanted);
                true
            }
            (409, "sold_out" | "slot_taken") => false,
            _ => {
                self.wrong(format!("a booking of {} was told {} {}", visit.patient, reply.status, reply.text()));
                false
            }
        }
    }

    async fn cancel(&mut self, visit: &mut Visit) {
        let (id, key) = (visit.id(), fresh_id());
        let Some(reply) = self.ask(visit, None, |client| client.cancel(&id).key(&key)).await else { return };
        if reply.status != 200 || reply.text_of("status") != "cancelled" {
            self.wrong(format!("a cancel of {id} was told {} {}", reply.status, reply.text()));
            return;
        }
        visit.newest = Some(reply.json());
        visit.fate = Fate::Cancelled;
    }

    async fn relocate(&mut self, visit: &mut Visit) {
        let (id, key) = (visit.id(), fresh_id());
        let day = (visit.wanted + 1 + self.dice.below(self.days.len() - 1)) % self.days.len();
        let wish = Wish::any(&self.days[day]);
        let Some(reply) = self.ask(visit, None, |client| client.reschedule(&id, &wish).key(&key)).await else { return };
        match (reply.status, reply.code().as_str()) {
            (200, _) => {
                visit.newest = Some(reply.json());
                visit.fate = Fate::Booked(day);
            }
            (409, "sold_out") => {}
            _ => self.wrong(format!("a move of {id} was told {} {}", reply.status, reply.text())),
        }
    }

    /// Whatever was answered is visible through any node.
    async fn look(&mut self, visit: &Visit) {
        let id = visit.id();
        let Some(reply) = self.ask(visit, None, |client| client.appointment(&id)).await else { return };
        if reply.status != 200 || Some(reply.json()) != visit.newest {
            let (newest, text) = (&visit.newest, reply.text());
            self.wrong(format!("{id} was read as {} {text} after the patient was told {newest:?}", reply.status));
        }
    }

    /// Asks until somebody answers for certain, through one node after another.
    async fn ask(&mut self, visit: &Visit, day: Option<usize>, call: impl Fn(&Client) -> Call) -> Option<Reply> {
        let first = self.dice.below(self.doors.count());
        let began = self.watch.elapsed();
        let mut last = String::new();
        for door in first.. {
            let client = self.doors.client(door, &visit.patient, &visit.token);
            let at = self.watch.elapsed();
            let outcome = call(&client).attempt().await;
            let is_answered = matches!(&outcome, Ok(reply) if ![429, 503].contains(&reply.status));
            if let Some(day) = day {
                let ended = self.watch.elapsed();
                let tried = Try { day, began: at, ended, is_answered };
                self.told.lock().expect("no holder panics").tries.push(tried);
            }
            match outcome {
                Ok(reply) if is_answered => return Some(reply),
                Ok(reply) => last = format!("{} {}", reply.status, reply.text()),
                Err(error) => last = format!("{error:?}"),
            }
            if self.watch.elapsed() - began > PATIENCE {
                break;
            }
            pause(TRY_AGAIN_AFTER).await;
        }
        self.wrong(format!("{} had no answer for {PATIENCE:?}; at last: {last}", visit.patient));
        None
    }
}

impl Visit {
    /// The appointment's id.
    pub fn id(&self) -> String {
        self.booked.as_ref().and_then(|body| body["id"].as_str()).expect("an appointment has an id").to_owned()
    }
}
