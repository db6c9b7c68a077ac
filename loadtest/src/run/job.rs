//! One arrival on its way: which request it becomes, and when an answer settles it. Pure.
//! Must not know: connections, threads.

use std::io::Write as _;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::outcome::NOT_RELEASED;
use crate::run::dice::Dice;
use crate::run::operation::{Answer, Operation, Place, Status};
use crate::run::plan::Arrival;
use crate::run::world::{World, WorldDay};
use crate::tokens::Patient;

/// How one arrival went: what the audit and the report are made of. Micros are counted from the start of the run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Done {
    /// Index of its load.
    pub(crate) load: u16,
    /// What was asked in the end.
    pub(crate) operation: Operation,
    /// Who asked; nil for anyone.
    pub(crate) patient: Uuid,
    /// The appointment that it was about, as last told.
    pub(crate) subject: Option<Place>,
    /// Index of the day that was asked for.
    pub(crate) day: u32,
    /// The slot that was named, UTC milliseconds of its start.
    pub(crate) wanted_start_millis: Option<i64>,
    /// When it was meant to be sent; latency counts from here.
    pub(crate) intended_micros: u64,
    /// When the generator got round to it.
    pub(crate) dispatched_micros: u64,
    /// Whether a connection was free then, so that any further delay of the sending is the generator's own.
    pub(crate) found_connection: bool,
    /// When its first request was sent; `None`: never.
    pub(crate) sent_micros: Option<u64>,
    /// When it was settled.
    pub(crate) ended_micros: u64,
    /// How it was settled.
    pub(crate) answer: Answer,
    /// Requests beyond the first.
    pub(crate) repeats: u32,
    /// Of these, those because it came before the release.
    pub(crate) early: u32,
}

/// Appointments and patients that later arrivals of the same thread may use. Whoever is drawn is taken out until its
/// answer is there, so that nobody has two requests in flight. At most as many as there are arrivals.
#[derive(Debug, Default)]
pub(crate) struct Decks {
    held: Vec<(Place, u32)>,
    booked: Vec<(Place, u32)>,
    freed: Vec<u32>,
}

impl Decks {
    fn draw<T>(deck: &mut Vec<T>, dice: &mut Dice) -> Option<T> {
        let index = usize::try_from(dice.below(deck.len() as u64)).ok()?;
        (index < deck.len()).then(|| deck.swap_remove(index))
    }

    /// Puts an appointment back as it was told.
    fn put(&mut self, place: Place, patient: u32) {
        match place.status {
            Status::Held => self.held.push((place, patient)),
            Status::Booked => self.booked.push((place, patient)),
            Status::Cancelled => self.freed.push(patient),
            Status::Expired | Status::Completed | Status::NoShow => {}
        }
    }
}

impl Done {
    /// How late the generator itself was: to the sending where a connection was free, else to its getting round to it.
    pub(crate) fn lag_micros(&self) -> u64 {
        let sent = self.sent_micros.filter(|_| self.found_connection);
        sent.unwrap_or(self.dispatched_micros).saturating_sub(self.intended_micros)
    }

    /// How long it waited for a connection; `None` where one was free, or it was never sent.
    pub(crate) fn connection_wait_micros(&self) -> Option<u64> {
        let sent = self.sent_micros.filter(|_| !self.found_connection)?;
        Some(sent.saturating_sub(self.dispatched_micros))
    }
}

/// An arrival that was dispatched.
#[derive(Debug)]
pub(crate) struct Job {
    /// Index of its arrival, which makes its idempotency key.
    number: usize,
    /// Index of the patient whose token is used.
    patient: u32,
    /// What becomes of it.
    pub(crate) done: Done,
    last: Option<Answer>,
}

/// What to do after an answer.
#[derive(Debug)]
pub(crate) enum Next {
    /// It is settled.
    Settled(Done),
    /// Send it again, with the same key.
    Again(Job),
}

impl Job {
    /// Draws what it needs from the decks.
    pub(crate) fn new(
        number: usize,
        arrival: &Arrival,
        world: &World,
        decks: &mut Decks,
        dice: &mut Dice,
        dispatched_micros: u64,
    ) -> Self {
        let drawn = match arrival.operation {
            Operation::Confirm => Decks::draw(&mut decks.held, dice),
            Operation::Move | Operation::Cancel => Decks::draw(&mut decks.booked, dice),
            _ => None,
        };
        let freed = if arrival.operation == Operation::Rebook { Decks::draw(&mut decks.freed, dice) } else { None };
        let needs =
            matches!(arrival.operation, Operation::Confirm | Operation::Move | Operation::Cancel | Operation::Rebook);
        let operation = if needs && drawn.is_none() && freed.is_none() { Operation::Book } else { arrival.operation };
        let slots = world.days.get(arrival.day as usize).map_or(&[][..], |day| &day.slots);
        let slot = arrival.slot.and_then(|slot| slots.get(slot as usize % slots.len().max(1)));
        let done = Done {
            load: arrival.load,
            operation,
            patient: Uuid::nil(),
            subject: drawn.map(|(place, _)| place),
            day: arrival.day,
            wanted_start_millis: slot.map(|slot| slot.start_millis),
            intended_micros: arrival.at_micros,
            dispatched_micros,
            found_connection: false,
            sent_micros: None,
            ended_micros: 0,
            answer: Answer::NotSent,
            repeats: 0,
            early: 0,
        };
        let patient = drawn.map(|(_, patient)| patient).or(freed).unwrap_or(arrival.patient);
        Self { number, patient, done, last: None }
    }

    /// Replaces what is in `buffer` by the whole request to `host`, the same bytes at each call. A hold is asked for so
    /// many seconds.
    pub(crate) fn write_request(
        &mut self,
        world: &World,
        patients: &[Patient],
        (host, hold_seconds): (&str, Option<u32>),
        buffer: &mut Vec<u8>,
    ) {
        let Done { operation, day, .. } = self.done;
        let asked = &world.days[day as usize];
        let patient = &patients[self.patient as usize % patients.len()];
        buffer.clear();
        // Writing into memory does not fail.
        let _ = self.write_target(asked, patient, buffer);
        let _ = write!(buffer, " HTTP/1.1\r\nHost: {host}\r\n");
        if !matches!(operation, Operation::ViewDay | Operation::Search) {
            self.done.patient = patient.id;
            let _ = write!(buffer, "Authorization: Bearer {}\r\n", patient.token);
        }
        if operation.only_reads() {
            buffer.extend_from_slice(b"\r\n");
            return;
        }
        let _ = write!(buffer, "Idempotency-Key: run-{}\r\n", self.number);
        let body = match operation {
            Operation::Confirm | Operation::Cancel => String::new(),
            _ => self.body(asked, hold_seconds),
        };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let _ = write!(buffer, "{kind}Content-Length: {}\r\n\r\n{body}", body.len());
    }

    /// Method and path.
    fn write_target(&self, asked: &WorldDay, patient: &Patient, buffer: &mut Vec<u8>) -> std::io::Result<()> {
        let appointment = self.done.subject.map_or(Uuid::nil(), |place| place.appointment);
        match self.done.operation {
            Operation::Book | Operation::Rebook => buffer.write_all(b"POST /v1/appointments"),
            Operation::Hold => buffer.write_all(b"POST /v1/holds"),
            Operation::Confirm => write!(buffer, "POST /v1/appointments/{appointment}/confirm"),
            Operation::Move => write!(buffer, "POST /v1/appointments/{appointment}/reschedule"),
            Operation::Cancel => write!(buffer, "POST /v1/appointments/{appointment}/cancel"),
            Operation::List => write!(buffer, "GET /v1/patients/{}/appointments?limit=20", patient.id),
            Operation::ViewDay => write!(buffer, "GET /v1/doctors/{}/days/{}", asked.doctor, asked.date),
            Operation::Search => buffer.write_all(b"GET /v1/doctors?specialty=dermatology&city=Utrecht&limit=20"),
        }
    }

    /// Where to: the day, and the slot where one is named; for how long, where it is a hold.
    fn body(&self, asked: &WorldDay, hold_seconds: Option<u32>) -> String {
        let hold_seconds = hold_seconds.filter(|_| self.done.operation == Operation::Hold);
        let ttl = hold_seconds.map_or_else(String::new, |seconds| format!(r#","ttl_seconds":{seconds}"#));
        let slot = asked.slots.iter().find(|slot| Some(slot.start_millis) == self.done.wanted_start_millis);
        let start = slot.map_or_else(String::new, |slot| format!(r#","start":"{}""#, slot.start));
        format!(r#"{{"doctor_id":"{}","date":"{}"{start}{ttl}}}"#, asked.doctor, asked.date)
    }

    /// Takes in an answer that came at `ended_micros`: settled, or to be sent again, at most `retries` times.
    pub(crate) fn settle(mut self, answer: Answer, ended_micros: u64, retries: u32) -> Next {
        let was_unknown = self.last.as_ref().is_some_and(Answer::is_unknown);
        let answer = match answer {
            // These are given before the key is looked up: they say nothing of the earlier attempt.
            Answer::Refused { status, code } if was_unknown && !matches!(status, 404 | 409 | 410 | 422) => {
                Answer::Uncertain { status, code }
            }
            other => other,
        };
        let is_early = matches!(&answer, Answer::Refused { code, .. } if code == NOT_RELEASED);
        if (answer.is_unknown() || is_early) && self.done.repeats < retries {
            self.done.repeats += 1;
            self.done.early += u32::from(is_early);
            self.last = Some(answer);
            return Next::Again(self);
        }
        self.done.answer = answer;
        self.done.ended_micros = ended_micros;
        Next::Settled(self.done)
    }

    /// The time is up: as the last answer said, or never sent.
    pub(crate) fn give_up(mut self, ended_micros: u64) -> Done {
        let unsettled = if self.done.sent_micros.is_some() { Answer::Unanswered } else { Answer::NotSent };
        self.done.answer = self.last.unwrap_or(unsettled);
        self.done.ended_micros = ended_micros;
        self.done
    }

    /// Index of the patient whose token is used.
    pub(crate) const fn patient(&self) -> u32 {
        self.patient
    }

    /// Whether the last answer came before the release.
    pub(crate) fn was_early(&self) -> bool {
        matches!(&self.last, Some(Answer::Refused { .. }))
    }
}

/// Puts what is known of an appointment after a settled arrival where later arrivals find it. After an unknown outcome
/// nobody uses it any more.
pub(crate) fn return_to(decks: &mut Decks, done: &Done, patient: u32) {
    match (&done.answer, done.subject) {
        (Answer::Served(Some(place)), _) => decks.put(*place, patient),
        (Answer::Refused { .. }, Some(place)) if done.operation == Operation::Move => decks.put(place, patient),
        _ => {}
    }
}
