//! Somebody who books, changes and reads at random, asks again when the answer did not come, and sometimes does not.
//! Must not know: what the answers should be.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use blackbox::Dice;
use blackbox::history::{Caller, Life, Recorder};
use linearizability::day::{Answer, Call, Row, Status};
use tokio::sync::watch;

use super::storm::Scale;

/// Appointments that a visitor keeps in mind.
const VISITS_MAX: usize = 24;
/// Calls under a key that it may repeat.
const REPEATABLE_MAX: usize = 8;
/// Appointments that everybody may look at.
const BOARD_MAX: usize = 64;
/// How long before the end of a brief hold its patient does something with it again.
const RACE_BEFORE_END_MICROS: u64 = 60_000;
const SLOTS_MAX: usize = 10;
const LONG_HOLD_MILLIS: u32 = 900_000;

/// What all visitors share.
pub(super) struct Scene {
    pub(super) scale: Scale,
    pub(super) recorder: Arc<Recorder>,
    /// Which days are visited.
    pub(super) phase: AtomicU32,
    /// Visitors go home.
    pub(super) is_over: AtomicBool,
    /// A token that may read everything.
    pub(super) admin: String,
    /// Appointments that somebody was told of lately.
    pub(super) board: Mutex<VecDeque<u32>>,
}

impl Scene {
    /// The days of the present phase.
    pub(super) fn days_visited(&self) -> std::ops::Range<u32> {
        let first = self.phase.load(Ordering::Relaxed) * self.scale.days_new_a_phase as u32;
        first..first + self.scale.days_at_once as u32
    }
}

/// Somebody who may have an appointment on each day.
#[derive(Clone)]
pub(super) struct Patient {
    pub(super) number: u32,
    pub(super) token: String,
}

/// An appointment as its patient knows it.
#[derive(Clone, Copy)]
struct Visit {
    patient: usize,
    row: Row,
    /// It is held for a second or two only.
    is_brief: bool,
    /// Its calls may race each other. It never goes to another day, so that each of its moves has one outcome.
    is_contended: bool,
}

impl Visit {
    /// Whether it has not been given back. A hold that ends soon is left alone until then, so that calls meet its end.
    fn is_ripe(&self, now_micros: u64) -> bool {
        let waits =
            self.is_brief && self.row.expires_at_micros.is_some_and(|end| now_micros + RACE_BEFORE_END_MICROS < end);
        self.row.status != Status::Cancelled && !waits
    }
}

/// A call that can be repeated under its key.
type Repeatable = (usize, Call);

/// See the module.
pub(super) struct Visitor {
    scene: Arc<Scene>,
    main: Caller,
    /// For calls that race those of `main`.
    rival: Caller,
    patients: Vec<Patient>,
    dice: Dice,
    visits: Vec<Visit>,
    repeatable: VecDeque<Repeatable>,
}

impl Visitor {
    /// A visitor with that number, for these patients.
    pub(super) fn new(
        scene: &Arc<Scene>,
        number: u32,
        life: &watch::Receiver<Life>,
        patients: Vec<Patient>,
        dice: Dice,
    ) -> Self {
        let caller = |number| Caller::new(&scene.recorder, number, life);
        let (main, rival) = (caller(number * 2), caller(number * 2 + 1));
        Self { scene: Arc::clone(scene), main, rival, patients, dice, visits: Vec::new(), repeatable: VecDeque::new() }
    }

    /// Goes on until the scene is over.
    pub(super) async fn run(mut self) {
        while !self.scene.is_over.load(Ordering::Relaxed) {
            match self.dice.below(100) {
                0..16 => self.read_day().await,
                16..32 => self.read_appointment().await,
                32..62 => self.take().await,
                62..70 => self.confirm().await,
                70..82 => self.cancel().await,
                82..90 => self.relocate().await,
                90..94 => self.leave().await,
                94..98 => self.repeat().await,
                _ => self.race().await,
            }
        }
    }

    /// One of the days of the present phase; the first one is asked for most.
    fn any_day(&mut self) -> u32 {
        let days = self.scene.days_visited();
        let chosen = if self.dice.below(100) < 25 { 0 } else { self.dice.below(days.len()) };
        days.start + chosen as u32
    }

    fn any_slot(&mut self, day: u32) -> Option<u8> {
        let slots = [10, 20, 6, 4][day as usize % 4].min(SLOTS_MAX);
        (self.dice.below(2) == 0).then(|| self.dice.below(slots) as u8)
    }

    /// Calls for a patient, again and again under the same key, until it is known what came of it. Who `may_give_up` sometimes
    /// does: that outcome stays open.
    async fn settle(&mut self, patient: usize, call: &Call, may_give_up: bool) -> Answer {
        loop {
            let answer = self.main.call(call, &self.patients[patient].token).await;
            let gives_up = answer == Answer::Unknown && may_give_up && self.dice.below(5) == 0;
            if answer != Answer::Unknown || gives_up {
                return answer;
            }
        }
    }

    fn keep(&mut self, visit: Visit) {
        if self.visits.len() == VISITS_MAX {
            self.visits.swap_remove(self.dice.below(VISITS_MAX));
        }
        self.visits.push(visit);
        let mut board = self.scene.board.lock().expect("nobody panics while it holds the board");
        board.push_back(visit.row.appointment);
        if board.len() > BOARD_MAX {
            board.pop_front();
        }
    }

    fn remember(&mut self, patient: usize, call: Call) {
        self.repeatable.push_back((patient, call));
        if self.repeatable.len() > REPEATABLE_MAX {
            self.repeatable.pop_front();
        }
    }

    /// Takes an appointment out of mind, to do something with it.
    fn pick(&mut self, fits: impl Fn(&Visit, u64) -> bool) -> Option<Visit> {
        let now = self.scene.recorder.micros();
        let fitting: Vec<usize> = (0..self.visits.len()).filter(|visit| fits(&self.visits[*visit], now)).collect();
        let chosen = fitting.get(self.dice.below(fitting.len()))?;
        Some(self.visits.swap_remove(*chosen))
    }

    /// Keeps it in mind as `answer` tells of it, or, after a refusal, as it was; forgets it if nothing is known of it any more.
    fn put_back(&mut self, visit: Visit, answer: &Answer) {
        match answer {
            Answer::Row { row, replayed: false, .. } => self.keep(Visit { row: *row, ..visit }),
            Answer::Refused(_) => self.keep(visit),
            _ => {}
        }
    }

    fn some_key(&mut self) -> Option<u32> {
        (self.dice.below(2) == 0).then(|| self.scene.recorder.new_key())
    }

    async fn read_day(&mut self) {
        let call = Call::ReadDay { day: self.any_day() };
        let admin = self.scene.admin.clone();
        self.main.call(&call, &admin).await;
    }

    async fn read_appointment(&mut self) {
        let board = self.scene.board.lock().expect("nobody panics while it holds the board").clone();
        let Some(appointment) = board.get(self.dice.below(board.len())).copied() else { return };
        let admin = self.scene.admin.clone();
        self.main.call(&Call::ReadAppointment { appointment }, &admin).await;
    }

    fn wish(&mut self, patient: usize) -> Call {
        let day = self.any_day();
        let hold_millis = match self.dice.below(10) {
            0..6 => None,
            6 => Some(1_000 + 1_000 * self.dice.below(2) as u32),
            _ => Some(LONG_HOLD_MILLIS),
        };
        let (slot, key, patient) = (self.any_slot(day), self.scene.recorder.new_key(), self.patients[patient].number);
        Call::Take { day, slot, patient, key, hold_millis }
    }

    async fn take(&mut self) {
        let patient = self.dice.below(self.patients.len());
        let call = self.wish(patient);
        // Now and then the same request goes out twice at once.
        let answer = if self.dice.below(20) == 0 {
            let token = self.patients[patient].token.clone();
            let (first, twin) = tokio::join!(self.main.call(&call, &token), self.rival.call(&call, &token));
            if first == Answer::Unknown { twin } else { first }
        } else {
            self.settle(patient, &call, true).await
        };
        if let Answer::Row { row, .. } = answer {
            let is_brief = matches!(call, Call::Take { hold_millis: Some(millis), .. } if millis < LONG_HOLD_MILLIS);
            let is_contended = self.dice.below(3) == 0;
            self.keep(Visit { patient, row, is_brief, is_contended });
            self.remember(patient, call);
        }
    }

    async fn confirm(&mut self) {
        let Some(visit) = self.pick(|visit, now| visit.is_ripe(now)) else { return };
        let key = self.some_key();
        let call = Call::Confirm { appointment: visit.row.appointment, day: visit.row.day, key };
        let answer = self.settle(visit.patient, &call, true).await;
        self.put_back(visit, &answer);
    }

    async fn cancel(&mut self) {
        let again = self.dice.below(10) == 0;
        let Some(visit) = self.pick(|visit, now| again || visit.is_ripe(now)) else { return };
        let key = self.some_key();
        let call = Call::Cancel { appointment: visit.row.appointment, day: visit.row.day, key };
        let answer = self.settle(visit.patient, &call, true).await;
        self.put_back(visit, &answer);
        if key.is_some() {
            self.remember(visit.patient, call);
        }
    }

    /// Another place of the same day.
    async fn relocate(&mut self) {
        let Some(visit) = self.pick(|visit, now| visit.is_ripe(now)) else { return };
        let (key, slot, day) = (self.some_key(), self.any_slot(visit.row.day), visit.row.day);
        let call = Call::Move { appointment: visit.row.appointment, from: day, to: day, slot, key };
        let answer = self.settle(visit.patient, &call, true).await;
        self.put_back(visit, &answer);
    }

    /// A place of another day. Its outcome is always asked for until it is known.
    async fn leave(&mut self) {
        let to = self.any_day();
        let may_leave = |visit: &Visit, now: u64| {
            !visit.is_contended && !visit.is_brief && visit.row.day != to && visit.is_ripe(now)
        };
        let Some(visit) = self.pick(may_leave) else { return };
        let (slot, key) = (self.any_slot(to), Some(self.scene.recorder.new_key()));
        let call = Call::Move { appointment: visit.row.appointment, from: visit.row.day, to, slot, key };
        let answer = self.settle(visit.patient, &call, false).await;
        match answer {
            // After a kill the first answer is repeated, and nothing has happened to the appointment since.
            Answer::Row { row, .. } => {
                self.keep(Visit { row, ..visit });
                self.remember(visit.patient, call);
            }
            _ => self.put_back(visit, &answer),
        }
    }

    /// A call from a while ago once more, under its key.
    async fn repeat(&mut self) {
        let Some((patient, call)) = self.repeatable.get(self.dice.below(self.repeatable.len())).cloned() else {
            return;
        };
        self.settle(patient, &call, true).await;
    }

    /// Two calls for one appointment at once.
    async fn race(&mut self) {
        let Some(visit) = self.pick(|visit, now| visit.is_contended && visit.is_ripe(now)) else { return };
        let (appointment, day) = (visit.row.appointment, visit.row.day);
        let slot = self.any_slot(day);
        let calls = [
            Call::Confirm { appointment, day, key: None },
            Call::Cancel { appointment, day, key: None },
            Call::Move { appointment, from: day, to: day, slot, key: None },
            Call::ReadAppointment { appointment },
            Call::Cancel { appointment, day, key: self.some_key() },
        ];
        let (first, second) = (self.dice.below(calls.len()), self.dice.below(calls.len()));
        let token = self.patients[visit.patient].token.clone();
        tokio::join!(self.main.call(&calls[first], &token), self.rival.call(&calls[second], &token));
        let read = self.main.call(&Call::ReadAppointment { appointment }, &token).await;
        self.put_back(visit, &read);
    }
}
