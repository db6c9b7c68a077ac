//! One log, many days: which operations each call is made of, and on which day.
//! Must not know: whether they are legal.
//!
//! A call concerns one day, but for two. A move to another day is a *leave* on the one and an *arrive* on the other, each at
//! some instant between call and answer; before it arrives a place is kept for it, from some instant of the same call on. A read of an appointment is a read on the
//! day on which it was found, and a read that does not find it on every other day where it ever stood. So the days are
//! searched one by one, and what ties the two halves of a move together are the reads in between and at the end.
//!
//! An unknown outcome stays open: it may have happened at any instant from its call on until the process it was sent to was seen
//! dead, or never. What a later answer under the same key tells only spares the search what it would find anyway: if that one is
//! a refusal, or says that it is the first, the earlier calls did nothing; if it repeats a first answer, that is what they did,
//! if they did something, and if there was only one, it did.

use thiserror::Error;

use super::history::{Builder, DayHistory};
use super::known::Known;
use super::log::{Answer, Call, Code, Log, OPEN, Record, Row, Status};
use super::operation::{Asked, Change, Deed, Operation, Seen, Won};
use crate::search::Timed;

/// How far from its instant the expiry of a hold may be seen, in microseconds: the clocks of program and recording are the same
/// machine's, read in milliseconds, but a turn of the program judges by the instant at which it began.
pub const EXPIRY_TOLERANCE_MICROS: u64 = 50_000;
/// What was decided within a millisecond is told to have happened at the same instant.
const SAME_TURN_MICROS: u64 = 1_000;
/// What no answer can have said.
const NEVER_SEEN: Seen = Seen { slot: u8::MAX, status: Status::Expired, version: u16::MAX };

/// Why a log cannot be split.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PartitionError {
    /// Where the appointment stands since is not known to anybody, so neither day could be judged.
    #[error("the outcome of a move to another day was never asked for again: {0:?}")]
    OpenMove(Record),
    /// An answer that does not belong to such a call.
    #[error("an answer that such a call cannot have: {0:?}")]
    Misfit(Record),
}

/// One history for each day of `log`.
pub fn histories(log: &Log) -> Result<Vec<DayHistory>, PartitionError> {
    let mut split = Split {
        log,
        known: Known::of(log),
        days: log.days.iter().map(|capacities| Builder::new(capacities)).collect(),
    };
    for (number, record) in log.records.iter().enumerate() {
        split.add(number, record)?;
    }
    for (number, record) in log.records.iter().enumerate() {
        split.add_read(number, record)?;
    }
    Ok(split.days.into_iter().zip(0..).map(|(day, number)| day.finish(number)).collect())
}

/// A call that was carried out, or may have been.
struct Done {
    row: Option<Row>,
    answer: u16,
    is_optional: bool,
}

struct Split<'log> {
    log: &'log Log,
    known: Known,
    days: Vec<Builder>,
}

impl Split<'_> {
    fn add(&mut self, number: usize, record: &Record) -> Result<(), PartitionError> {
        let misfit = || PartitionError::Misfit(record.clone());
        match (&record.call, &record.answer) {
            (Call::ReadAppointment { .. }, _) | (Call::ReadDay { .. }, Answer::Unknown) => {}
            (Call::ReadDay { day }, Answer::Day { remaining, sold_out }) => {
                let operation = Operation::ReadDay { remaining: remaining.clone(), sold_out: *sold_out };
                self.day(*day).push(number, timed(record, false, operation));
            }
            (Call::ReadDay { .. }, _) | (_, Answer::Day { .. }) => return Err(misfit()),
            (call, Answer::Refused(code)) => self.add_refusal(number, record, call, *code),
            (call, Answer::Row { digest, replayed: true, .. }) => {
                let key = call.key().ok_or_else(misfit)?;
                let answer = self.known.answer_number(key, *digest);
                let day = self.day(home_of(call));
                let operation = Operation::Replay(Won { key: day.key(key), answer });
                day.push(number, timed(record, false, operation));
                self.add_expiry(number, record);
            }
            (call, Answer::Row { row, digest, replayed: false }) => {
                let answer = call.key().map_or(Won::UNSEEN, |key| self.known.answer_number(key, *digest));
                self.add_done(number, record, &Done { row: Some(*row), answer, is_optional: false })?;
                self.add_expiry(number, record);
            }
            (call, Answer::Unknown) => {
                let known = call.key().and_then(|key| self.known.keys.get(&key));
                let row = known.and_then(|known| known.row);
                let leaves = matches!(call, Call::Move { from, to, .. } if from != to);
                if !leaves && known.is_some_and(|known| known.rules_out(record.settled_micros)) {
                    return Ok(());
                }
                let is_it =
                    known.is_some_and(|known| known.row.is_some() && !known.is_first_known && known.unknown == 1);
                let answer = if row.is_some() { 1 } else { Won::UNSEEN };
                self.add_done(
                    number,
                    record,
                    &Done { row, answer, is_optional: !is_it || record.settled_micros == OPEN },
                )?;
                self.add_open_expiry(number, record, row);
            }
        }
        Ok(())
    }

    fn day(&mut self, day: u32) -> &mut Builder {
        &mut self.days[day as usize]
    }

    fn add_done(&mut self, number: usize, record: &Record, done: &Done) -> Result<(), PartitionError> {
        let seen = |appointment: u32, day: u32, patient: Option<u32>| {
            done.row.map(|row| {
                let is_of = row.appointment == appointment && row.day == day;
                if is_of && patient.is_none_or(|patient| patient == row.patient) { seen_of(&row) } else { NEVER_SEEN }
            })
        };
        match record.call {
            Call::Take { day, slot, patient, key, hold_millis } => {
                let appointment = done.row.map_or_else(|| self.known.nameless + key, |row| row.appointment);
                self.known.patients.entry(appointment).or_insert(patient);
                let deed = Deed::Take { wish: slot, held: hold_millis.is_some() };
                let seen = seen(appointment, day, Some(patient));
                self.add_change(number, record, done, day, (appointment, deed, seen, Some(key)));
            }
            Call::Confirm { appointment, day, key } => {
                let seen = seen(appointment, day, None);
                self.add_change(number, record, done, day, (appointment, Deed::Confirm, seen, key));
            }
            Call::Cancel { appointment, day, key } => {
                let seen = seen(appointment, day, None);
                self.add_change(number, record, done, day, (appointment, Deed::Cancel, seen, key));
            }
            Call::Move { appointment, from, to, slot, key } if from == to => {
                let seen = seen(appointment, from, None);
                self.add_change(number, record, done, from, (appointment, Deed::Relocate { wish: slot }, seen, key));
            }
            Call::Move { appointment, to, .. } => {
                self.add_move_away(number, record, done, seen(appointment, to, None))?;
            }
            Call::ReadDay { .. } | Call::ReadAppointment { .. } => {}
        }
        Ok(())
    }

    /// Both halves of a move to another day.
    fn add_move_away(
        &mut self,
        number: usize,
        record: &Record,
        done: &Done,
        seen: Option<Seen>,
    ) -> Result<(), PartitionError> {
        let Call::Move { appointment, from, to, slot, key } = record.call else { return Ok(()) };
        let known = key.and_then(|key| self.known.keys.get(&key));
        if done.is_optional && !known.is_some_and(|known| known.row.is_some() || known.refused_invoked.is_some()) {
            return Err(PartitionError::OpenMove(record.clone()));
        }
        // Under a key that was refused, or was the first later, an earlier call came to nothing but a place kept for a while.
        let may_arrive = !done.is_optional || known.is_some_and(|known| known.row.is_some() && !known.is_first_known);
        let kept =
            Done { row: done.row.filter(|_| !done.is_optional), answer: Won::UNSEEN, is_optional: done.is_optional };
        // Of a call without an answer a place may have been kept that another attempt did not use.
        let kept_at = seen.filter(|_| !done.is_optional);
        self.add_change(number, record, &kept, to, (appointment, Deed::Reserve { wish: slot }, kept_at, None));
        if record.answer == Answer::Unknown {
            let open = Record { settled_micros: OPEN, ..record.clone() };
            let given_back = Done { is_optional: true, ..kept };
            self.add_change(number, &open, &given_back, to, (appointment, Deed::Release, None, None));
        }
        if may_arrive {
            self.add_change(number, record, done, from, (appointment, Deed::Leave, seen, key));
            self.add_change(number, record, done, to, (appointment, Deed::Arrive, seen, None));
        }
        Ok(())
    }

    fn add_change(
        &mut self,
        number: usize,
        record: &Record,
        done: &Done,
        day: u32,
        (appointment, deed, seen, key): (u32, Deed, Option<Seen>, Option<u32>),
    ) {
        let patient = self.known.patients.get(&appointment).copied().unwrap_or(u32::MAX);
        let likely = self.known.likely_at(record, appointment, deed);
        let day = self.day(day);
        let won = key.map(|key| Won { key: day.key(key), answer: done.answer });
        let change = Change { appointment: day.appointment(appointment, patient), deed, seen, won };
        let mut operation = timed(record, done.is_optional, Operation::Change(change));
        let told = done.row.map(|row| row.updated_at_micros);
        let likely_at = told.or_else(|| likely.filter(|_| done.is_optional));
        operation.likely_at = likely_at.map_or(OPEN, |at| at.clamp(operation.invoked, operation.latest));
        operation.doubt = match deed {
            // A place is kept some time before the move is told to have happened.
            Deed::Reserve { .. } if operation.likely_at != OPEN => operation.likely_at - operation.invoked,
            _ => SAME_TURN_MICROS,
        };
        day.push(number, operation);
    }

    fn add_refusal(&mut self, number: usize, record: &Record, call: &Call, code: Code) {
        let patients = &self.known.patients;
        let patient_of = |appointment: u32| patients.get(&appointment).copied().unwrap_or(u32::MAX);
        let (day, wanted) = match *call {
            Call::Take { day, slot, patient, .. } => (day, Wanted::Place { patient, slot }),
            Call::Move { appointment, from, to, slot, .. } if from != to && code != Code::NotChangeable => {
                // What the day of arrival refuses says nothing of the key, which the day of departure keeps.
                let patient = patient_of(appointment);
                let day = self.day(to);
                let asked = Asked::Place { patient: day.patient(patient), wish: slot };
                return day.push(number, timed(record, false, Operation::Refused { asked, code, key: None }));
            }
            Call::Confirm { appointment, day, .. } | Call::Cancel { appointment, day, .. } => {
                (day, Wanted::Change { appointment, patient: patient_of(appointment) })
            }
            Call::Move { appointment, from, .. } => {
                (from, Wanted::Change { appointment, patient: patient_of(appointment) })
            }
            Call::ReadDay { .. } | Call::ReadAppointment { .. } => return,
        };
        let day = self.day(day);
        let asked = match wanted {
            Wanted::Place { patient, slot } => Asked::Place { patient: day.patient(patient), wish: slot },
            Wanted::Change { appointment, patient } => {
                let appointment = day.appointment(appointment, patient);
                match *call {
                    Call::Confirm { .. } => Asked::Confirm(appointment),
                    Call::Move { from, to, slot, .. } => Asked::Move { appointment, wish: slot, leaves: from != to },
                    _ => Asked::Cancel(appointment),
                }
            }
        };
        let key = call.key().map(|key| day.key(key));
        day.push(number, timed(record, false, Operation::Refused { asked, code, key }));
    }

    /// The expiry of a hold, around its instant. Nobody asks for it, so the program must see to it.
    fn add_expiry(&mut self, number: usize, record: &Record) {
        let (Call::Take { day, .. }, Answer::Row { row, .. }) = (&record.call, &record.answer) else { return };
        let Some(at) = row.expires_at_micros else { return };
        if at > self.log.ended_micros + EXPIRY_TOLERANCE_MICROS {
            return;
        }
        let around = (at.saturating_sub(EXPIRY_TOLERANCE_MICROS), at + EXPIRY_TOLERANCE_MICROS);
        let (row, day) = (*row, *day);
        let builder = self.day(day);
        if builder.expiries.insert(row.appointment) {
            builder.push_expiry(number, &row, around, false);
        }
    }

    /// The expiry of a hold that may have come to be without anybody learning of it.
    fn add_open_expiry(&mut self, number: usize, record: &Record, row: Option<Row>) {
        let Call::Take { day, patient, key, hold_millis: Some(millis), slot } = record.call else { return };
        if row.is_some() {
            return;
        }
        let kept = u64::from(millis) * 1_000;
        let earliest = (record.invoked_micros + kept).saturating_sub(EXPIRY_TOLERANCE_MICROS);
        let latest = match record.settled_micros {
            OPEN => OPEN,
            settled => settled + kept + EXPIRY_TOLERANCE_MICROS,
        };
        let row = Row {
            appointment: self.known.nameless + key,
            patient,
            day,
            slot: slot.unwrap_or_default(),
            status: Status::Held,
            version: 1,
            expires_at_micros: None,
            updated_at_micros: 0,
        };
        self.day(day).push_expiry(number, &row, (earliest, latest), true);
    }

    fn add_read(&mut self, number: usize, record: &Record) -> Result<(), PartitionError> {
        let Call::ReadAppointment { appointment } = record.call else { return Ok(()) };
        let row = match &record.answer {
            Answer::Row { row, .. } => row,
            Answer::Unknown => return Ok(()),
            _ => return Err(PartitionError::Misfit(record.clone())),
        };
        for (builder, day) in self.days.iter_mut().zip(0..) {
            if day == row.day {
                let seen = if row.appointment == appointment { seen_of(row) } else { NEVER_SEEN };
                let appointment = builder.appointment(appointment, row.patient);
                builder.push(number, timed(record, false, Operation::ReadHere { appointment, seen }));
            } else if let Some(appointment) = builder.known_appointment(appointment) {
                builder.push(number, timed(record, false, Operation::ReadElsewhere { appointment }));
            }
        }
        Ok(())
    }
}

enum Wanted {
    Place { patient: u32, slot: Option<u8> },
    Change { appointment: u32, patient: u32 },
}

/// The day that keeps a call's key.
fn home_of(call: &Call) -> u32 {
    match call {
        Call::Take { day, .. } | Call::Confirm { day, .. } | Call::Cancel { day, .. } | Call::ReadDay { day } => *day,
        Call::Move { from, .. } => *from,
        Call::ReadAppointment { .. } => 0,
    }
}

fn seen_of(row: &Row) -> Seen {
    Seen { slot: row.slot, status: row.status, version: row.version }
}

fn timed(record: &Record, is_optional: bool, operation: Operation) -> Timed<Operation> {
    let (invoked, latest) = (record.invoked_micros, record.settled_micros);
    Timed { invoked, latest, is_optional, likely_at: latest, doubt: 0, operation }
}
