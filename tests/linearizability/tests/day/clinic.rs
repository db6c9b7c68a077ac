//! A clinic that does one thing after another, in the plainest way, and tells of it as if its answers had overlapped.
//! Must not know: the model that judges it.

use std::collections::BTreeMap;

use linearizability::day::{Answer, Call, Code, Log, OPEN, Record, Row, Status};

pub const DAYS: usize = 2;
const SLOTS: usize = 3;
pub const PLACES: u16 = 2;
const PATIENTS: u32 = 9;
const STEP_MICROS: u64 = 1_000;

/// See the module.
pub struct Clinic {
    dice: u64,
    /// Whether some bookings are left without an answer.
    loses_answers: bool,
    rows: Vec<Row>,
    /// Appointments of which nobody was told: nobody can ask for them.
    nameless: Vec<u32>,
    /// What each key was answered.
    won: BTreeMap<u32, Answer>,
    keys: u32,
    answers: u64,
}

impl Clinic {
    pub fn new(seed: u64, loses_answers: bool) -> Self {
        Self {
            dice: seed,
            loses_answers,
            rows: Vec::new(),
            nameless: Vec::new(),
            won: BTreeMap::new(),
            keys: 0,
            answers: 0,
        }
    }

    /// So many calls, each in its instant; calls and answers lie up to `overlap_micros` before and after it.
    pub fn run(&mut self, calls: usize, overlap_micros: u64) -> Log {
        let mut records = Vec::new();
        for number in 0..calls as u64 {
            let at = (number + 10) * STEP_MICROS;
            let Some((call, mut answer)) = self.step(at) else { continue };
            let (before, after) = (self.below(overlap_micros + 1), self.below(overlap_micros + 1));
            let mut settled_micros = at + after;
            // A booking of which nobody is told; or one that did not happen, and nobody is told so.
            let is_take = matches!(call, Call::Take { .. });
            if is_take && self.loses_answers && self.below(12) == 0 {
                if let Answer::Row { row, .. } = answer {
                    self.nameless.push(row.appointment);
                }
                answer = Answer::Unknown;
                settled_micros = if self.below(2) == 0 { OPEN } else { settled_micros };
            }
            let invoked_micros = at - before.min(at);
            records.push(Record { client: 0, invoked_micros, settled_micros, call, answer });
        }
        let days = vec![vec![PLACES; SLOTS]; DAYS];
        Log { days, records, ended_micros: (calls as u64 + 100) * STEP_MICROS }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % bound.max(1)
    }

    fn step(&mut self, at: u64) -> Option<(Call, Answer)> {
        let day = self.below(DAYS as u64) as u32;
        match self.below(8) {
            0 => Some((Call::ReadDay { day }, self.read_day(day))),
            1..4 => Some(self.take(day, at)),
            4 => self.repeat(),
            _ => {
                let count = self.rows.len() as u64;
                let chosen = (count > 0).then(|| self.below(count) as usize)?;
                (!self.nameless.contains(&(chosen as u32))).then_some(())?;
                Some(self.change(chosen, day, at))
            }
        }
    }

    /// Places left of each slot.
    pub fn left_on(&self, day: u32) -> Vec<u16> {
        (0..SLOTS).map(|slot| self.left(day, slot)).collect()
    }

    fn left(&self, day: u32, slot: usize) -> u16 {
        let taken =
            self.rows.iter().filter(|row| row.day == day && usize::from(row.slot) == slot && is_live(row)).count();
        PLACES - taken as u16
    }

    fn read_day(&self, day: u32) -> Answer {
        let remaining = self.left_on(day);
        let sold_out = remaining.iter().all(|left| *left == 0);
        Answer::Day { remaining, sold_out }
    }

    /// A slot for a patient, or why not.
    fn place(&self, day: u32, patient: u32, slot: Option<u8>, but: Option<u32>) -> Result<u8, Code> {
        let found = match slot {
            Some(slot) => Some(slot).filter(|slot| self.left(day, usize::from(*slot)) > 0).ok_or(Code::SlotTaken)?,
            None => (0..SLOTS).find(|slot| self.left(day, *slot) > 0).ok_or(Code::SoldOut)? as u8,
        };
        let in_the_way =
            |row: &&Row| row.day == day && row.patient == patient && is_live(row) && Some(row.appointment) != but;
        if self.rows.iter().any(|row| in_the_way(&row)) { Err(Code::AlreadyBooked) } else { Ok(found) }
    }

    fn slot(&mut self) -> Option<u8> {
        (self.below(2) == 0).then(|| self.below(SLOTS as u64) as u8)
    }

    fn take(&mut self, day: u32, at: u64) -> (Call, Answer) {
        let patient = self.below(u64::from(PATIENTS)) as u32;
        let (slot, held) = (self.slot(), self.below(2) == 0);
        let key = self.new_key();
        let call = Call::Take { day, slot, patient, key, hold_millis: held.then_some(900_000) };
        let answer = match self.place(day, patient, slot, None) {
            Err(code) => Answer::Refused(code),
            Ok(slot) => {
                let appointment = self.rows.len() as u32;
                let status = if held { Status::Held } else { Status::Booked };
                let row = Row {
                    appointment,
                    patient,
                    day,
                    slot,
                    status,
                    version: 1,
                    expires_at_micros: None,
                    updated_at_micros: at,
                };
                self.rows.push(row);
                self.answer(row, Some(key))
            }
        };
        (call, answer)
    }

    fn new_key(&mut self) -> u32 {
        self.keys += 1;
        self.keys
    }

    fn answer(&mut self, row: Row, key: Option<u32>) -> Answer {
        self.answers += 1;
        let answer = Answer::Row { row, digest: self.answers, replayed: false };
        if let Some(key) = key {
            self.won.insert(key, answer.clone());
        }
        answer
    }

    /// A booking's key once more.
    fn repeat(&mut self) -> Option<(Call, Answer)> {
        let key = self.below(u64::from(self.keys) + 1) as u32;
        let Answer::Row { row, digest, .. } = *self.won.get(&key)? else { return None };
        // What was asked, as far as it matters who keeps the key.
        (row.version == 1).then_some(())?;
        let call = Call::Take { day: row.day, slot: None, patient: row.patient, key, hold_millis: None };
        Some((call, Answer::Row { row, digest, replayed: true }))
    }

    fn change(&mut self, chosen: usize, to: u32, at: u64) -> (Call, Answer) {
        let before = self.rows[chosen];
        let (appointment, day) = (before.appointment, before.day);
        let kind = self.below(5);
        if kind == 0 {
            return (Call::ReadAppointment { appointment }, self.answer(before, None));
        }
        let slot = self.slot();
        let key = (self.below(2) == 0).then(|| self.new_key());
        let call = match kind {
            1 => Call::Confirm { appointment, day, key },
            2 => Call::Cancel { appointment, day, key },
            _ => Call::Move { appointment, from: day, to, slot, key },
        };
        let changed = match call {
            Call::Confirm { .. } if before.status == Status::Cancelled => Err(Code::NotChangeable),
            Call::Confirm { .. } => Ok(Row { status: Status::Booked, ..before }),
            Call::Cancel { .. } => Ok(Row { status: Status::Cancelled, ..before }),
            _ if before.status == Status::Cancelled => Err(Code::NotChangeable),
            _ => self.moved(before, to, slot),
        };
        let answer = match changed {
            Err(code) => Answer::Refused(code),
            Ok(row) => {
                let is_same = row == before;
                let version = before.version + u16::from(!is_same);
                let row =
                    Row { version, updated_at_micros: if is_same { before.updated_at_micros } else { at }, ..row };
                self.rows[chosen] = row;
                self.answer(row, key)
            }
        };
        (call, answer)
    }

    fn moved(&self, before: Row, to: u32, slot: Option<u8>) -> Result<Row, Code> {
        if to != before.day {
            return self.place(to, before.patient, slot, None).map(|slot| Row { day: to, slot, ..before });
        }
        if slot == Some(before.slot) {
            return Ok(before);
        }
        match (self.place(to, before.patient, slot, Some(before.appointment)), slot) {
            (Ok(found), None) if found >= before.slot => Ok(before),
            (Ok(slot), _) => Ok(Row { slot, ..before }),
            (Err(_), None) => Ok(before),
            (Err(code), Some(_)) => Err(code),
        }
    }
}

fn is_live(row: &Row) -> bool {
    matches!(row.status, Status::Held | Status::Booked)
}
