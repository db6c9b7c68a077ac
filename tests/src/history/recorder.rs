//! The log as it grows, the names of things in it, and the callers that write it.
//! Must not know: who calls what, and when the program is killed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use linearizability::day::{Answer, Call, Log, Record};
use linearizability::search::OPEN;
use tokio::sync::watch;

use super::answer;
use super::connection::Connection;
use super::request::bytes_of;
use crate::clock::{Stopwatch, fresh_id, now};
use crate::plan::{Day, text_of};

/// Any one answer must have come by then.
const ANSWER_DEADLINE: Duration = Duration::from_secs(25);
/// How long a caller waits for word of a new life before it tries the old address again.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(50);

/// One life of the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life {
    /// Which: 0 is the first.
    pub number: u32,
    /// Where it listens; `None` while it does not.
    pub address: Option<SocketAddr>,
}

/// What became of one call, before it is known when each life ended.
struct Noted {
    record: Record,
    /// Of a call without an answer: the life it was sent to.
    lost_with: Option<u32>,
}

/// The log and its names.
pub struct Recorder {
    stopwatch: Stopwatch,
    started: Timestamp,
    days: Vec<Day>,
    capacities: Vec<Vec<u16>>,
    places: HashMap<(String, String, String), (u32, u8)>,
    patients: Vec<String>,
    patient_numbers: HashMap<String, u32>,
    appointments: Mutex<(Vec<String>, HashMap<String, u32>)>,
    key_prefix: String,
    keys: AtomicU32,
    notes: Mutex<Vec<Noted>>,
    count: AtomicUsize,
    ends: Mutex<HashMap<u32, u64>>,
}

impl Recorder {
    /// Starts to record what happens on these days, of which each slot has that many places, to these patients (ids).
    pub fn start(days: Vec<(Day, Vec<u16>)>, patients: Vec<String>) -> Arc<Self> {
        let mut places = HashMap::new();
        for ((day, _), number) in days.iter().zip(0..) {
            for (start, slot) in day.starts.iter().zip(0..) {
                places.insert((day.doctor.clone(), day.date.clone(), text_of(*start)), (number, slot));
            }
        }
        let (days, capacities) = days.into_iter().unzip();
        Arc::new(Self {
            stopwatch: Stopwatch::start(),
            started: now(),
            days,
            capacities,
            places,
            patient_numbers: patients.iter().cloned().zip(0..).collect(),
            patients,
            appointments: Mutex::default(),
            key_prefix: fresh_id(),
            keys: AtomicU32::new(0),
            notes: Mutex::default(),
            count: AtomicUsize::new(0),
            ends: Mutex::default(),
        })
    }

    /// Calls that are noted so far.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// A key that was not used before.
    pub fn new_key(&self) -> u32 {
        self.keys.fetch_add(1, Ordering::Relaxed)
    }

    /// How many appointments were told of so far: they are numbered from 0.
    pub fn appointments_known(&self) -> u32 {
        locked(&self.appointments).0.len() as u32
    }

    /// The present instant on the recording's scale.
    pub fn micros(&self) -> u64 {
        self.stopwatch.elapsed().as_micros() as u64
    }

    /// Notes that a life has ended: it was seen dead just now.
    pub fn life_ended(&self, life: u32) {
        locked(&self.ends).insert(life, self.micros());
    }

    /// Everything that was noted.
    pub fn log(&self) -> Log {
        let ends = locked(&self.ends);
        let notes = locked(&self.notes);
        let records = notes.iter().map(|noted| {
            let mut record = noted.record.clone();
            if let Some(life) = noted.lost_with {
                record.settled_micros = ends.get(&life).copied().unwrap_or(OPEN);
            }
            record
        });
        Log { days: self.capacities.clone(), records: records.collect(), ended_micros: self.micros() }
    }

    pub(super) fn day(&self, day: u32) -> &Day {
        &self.days[day as usize]
    }

    pub(super) fn place(&self, doctor: &str, date: &str, start: &str) -> (u32, u8) {
        let place = (doctor.to_owned(), date.to_owned(), start.to_owned());
        self.places.get(&place).copied().unwrap_or_else(|| panic!("no such place: {place:?}"))
    }

    pub(super) fn patient_id(&self, patient: u32) -> &str {
        &self.patients[patient as usize]
    }

    pub(super) fn patient(&self, id: &str) -> u32 {
        self.patient_numbers.get(id).copied().unwrap_or_else(|| panic!("no such patient: {id}"))
    }

    pub(super) fn appointment_id(&self, appointment: u32) -> String {
        locked(&self.appointments).0[appointment as usize].clone()
    }

    pub(super) fn appointment(&self, id: &str) -> u32 {
        let mut names = locked(&self.appointments);
        if let Some(number) = names.1.get(id) {
            return *number;
        }
        let number = names.0.len() as u32;
        names.0.push(id.to_owned());
        names.1.insert(id.to_owned(), number);
        number
    }

    pub(super) fn key_text(&self, key: u32) -> String {
        format!("{}-{key}", self.key_prefix)
    }

    /// A wall-clock instant of the program on the recording's scale.
    pub(super) fn micros_of(&self, instant: Timestamp) -> u64 {
        u64::try_from(instant.as_microsecond() - self.started.as_microsecond()).unwrap_or(0)
    }

    fn note(&self, noted: Noted) {
        locked(&self.notes).push(noted);
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// One caller on a connection of its own: one call after another.
pub struct Caller {
    recorder: Arc<Recorder>,
    number: u32,
    lives: watch::Receiver<Life>,
    connection: Option<(u32, Connection)>,
}

impl Caller {
    /// A caller with that number, who follows the program from life to life.
    pub fn new(recorder: &Arc<Recorder>, number: u32, lives: &watch::Receiver<Life>) -> Self {
        Self { recorder: Arc::clone(recorder), number, lives: lives.clone(), connection: None }
    }

    /// Calls with `token`, notes what came of it, and answers that.
    pub async fn call(&mut self, call: &Call, token: &str) -> Answer {
        let request = bytes_of(&self.recorder, call, token);
        let (life, mut connection) = self.connected().await;
        let invoked_micros = self.recorder.micros();
        let exchange = tokio::time::timeout(ANSWER_DEADLINE, connection.exchange(&request)).await;
        let settled_micros = self.recorder.micros();
        let (answer, lost_with) = match exchange.unwrap_or_else(|_| panic!("no answer in time: {call:?}")) {
            Ok(response) => {
                self.connection = Some((life, connection));
                (answer::read(&self.recorder, &format!("{call:?}"), &response), None)
            }
            Err(_) => (Answer::Unknown, Some(life)),
        };
        // A word that the outcome is not known leaves it open for ever.
        let settled_micros = if answer == Answer::Unknown { OPEN } else { settled_micros };
        let record = Record { client: self.number, invoked_micros, settled_micros, call: call.clone(), answer };
        let answer = record.answer.clone();
        self.recorder.note(Noted { record, lost_with });
        answer
    }

    /// A connection to the present life.
    async fn connected(&mut self) -> (u32, Connection) {
        loop {
            let life = *self.lives.borrow_and_update();
            if let Some((of, connection)) = self.connection.take()
                && of == life.number
                && life.address.is_some()
                && !connection.is_stale()
            {
                return (of, connection);
            }
            if let Some(address) = life.address
                && let Ok(connection) = Connection::open(address).await
            {
                return (life.number, connection);
            }
            // An old address refuses until word of the new one has come.
            let _ = tokio::time::timeout(RECONNECT_INTERVAL, self.lives.changed()).await;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while it holds the log")
}
