//! The rows of the ledger in memory, and what a record does to them: one after another, in words of the contract.
//! Must not know: faults, who asks, how the other ledger does it.
//!
//! It shares no rule with the SQLite ledger: what a step of a history is, which seats a record gives back and takes, and
//! where an appointment stands are told here once more from the event, so that each of the two checks the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use booking_core::{
    Appointment, AppointmentId, Change, Date, DayDefinition, DayKey, DayVersion, Event, Fact, PersonalText, RequestId,
    Role, Seat, Status, SubjectId, UtcMillis,
};
use uuid::Uuid;

use super::reminders::{KeptReminder, Telling};
use super::table::Table;
use crate::journal::ShardCursor;
use crate::ledger::reminders::ReminderKey;
use crate::ledger::won_keys::KeyDigest;
use crate::ledger::{AppliedRecord, ApplyError, HistoryItem, ParkedDay};

/// A day as it was published and closed last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayRow {
    /// The newest definition.
    pub definition: Arc<DayDefinition>,
    /// When it was closed last, and why, if said. Publishing it again does not take this away.
    pub closed: Option<(UtcMillis, Option<PersonalText>)>,
    /// The record that published or closed it last.
    pub version: DayVersion,
}

/// A step of a history, with the request behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StepRow {
    /// Of the record that made the step.
    pub request: RequestId,
    /// The step.
    pub step: HistoryItem,
}

/// Everything that a [`MemoryLedger`](super::MemoryLedger) knows of the journal, in the order of keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contents {
    /// Every appointment, with the day where it stands.
    pub appointments: BTreeMap<AppointmentId, (DayKey, Appointment)>,
    /// Every step, by appointment and version.
    pub history: BTreeMap<(AppointmentId, u32), StepRow>,
    /// Who has which place.
    pub seats: BTreeMap<(DayKey, Seat), AppointmentId>,
    /// Every day that was published.
    pub days: BTreeMap<DayKey, DayRow>,
    /// How far each day is applied.
    pub applied: BTreeMap<DayKey, DayVersion>,
    /// The parked days.
    pub parked: BTreeMap<DayKey, ParkedDay>,
    /// Keys that have won: last date of the answer, day of the record, digest.
    pub won_keys: BTreeMap<(Date, DayKey, KeyDigest), ()>,
    /// Every reminder.
    pub reminders: BTreeMap<ReminderKey, KeptReminder>,
    /// The position up to which the journal is applied, parked days aside.
    pub cursor: u64,
}

/// The tables.
#[derive(Default)]
pub(super) struct Store {
    pub(super) appointments: Table<AppointmentId, (DayKey, Appointment)>,
    pub(super) history: Table<(AppointmentId, u32), StepRow>,
    seats: Table<(DayKey, Seat), AppointmentId>,
    pub(super) days: Table<DayKey, DayRow>,
    pub(super) applied: Table<DayKey, DayVersion>,
    pub(super) parked: Table<DayKey, ParkedDay>,
    pub(super) won_keys: Table<(Date, DayKey, KeyDigest), ()>,
    pub(super) reminders: Table<ReminderKey, KeptReminder>,
    pub(super) cursor: u64,
    pub(super) shard_cursors: BTreeMap<u16, ShardCursor>,
}

impl Store {
    pub(super) fn contents(&self) -> Contents {
        Contents {
            appointments: self.appointments.rows().clone(),
            history: self.history.rows().clone(),
            seats: self.seats.rows().clone(),
            days: self.days.rows().clone(),
            applied: self.applied.rows().clone(),
            parked: self.parked.rows().clone(),
            won_keys: self.won_keys.rows().clone(),
            reminders: self.reminders.rows().clone(),
            cursor: self.cursor,
        }
    }

    /// Applies `records` and moves the cursor to `position`, or neither.
    pub(super) fn apply(
        &mut self,
        records: &[AppliedRecord],
        position: u64,
        telling: &Telling<'_>,
    ) -> Result<(), ApplyError> {
        self.all_or_nothing(|store| store.apply_each(records, telling))?;
        self.cursor = self.cursor.max(position);
        for record in records.iter().filter(|record| record.position <= position) {
            self.advance_shard(record.day.shard(), record.cursor());
        }
        if let Some(last) = records.last() {
            self.advance_shard(last.day.shard(), ShardCursor { epoch: last.version.epoch, position });
        }
        Ok(())
    }

    /// Applies `records` of an earlier owner of `shard` and moves its cursor, or neither.
    pub(super) fn apply_shard(
        &mut self,
        shard: u16,
        records: &[AppliedRecord],
        cursor: ShardCursor,
        telling: &Telling<'_>,
    ) -> Result<(), ApplyError> {
        self.all_or_nothing(|store| store.apply_each(records, telling))?;
        self.advance_shard(shard, cursor);
        Ok(())
    }

    fn advance_shard(&mut self, shard: u16, cursor: ShardCursor) {
        let known = self.shard_cursors.entry(shard).or_default();
        *known = cursor.max(*known);
    }

    /// Applies `records` of the parked `day` and takes its mark away, or neither.
    pub(super) fn unpark(
        &mut self,
        day: DayKey,
        records: &[AppliedRecord],
        telling: &Telling<'_>,
    ) -> Result<(), ApplyError> {
        self.all_or_nothing(|store| {
            store.parked.remove(&day);
            store.apply_each(records, telling)
        })
    }

    /// Marks `day`; the first mark stays.
    pub(super) fn park(&mut self, day: DayKey, version: DayVersion, reason: &str) {
        if self.parked.get(&day).is_none() {
            let mark = ParkedDay { day, version, position: self.cursor, reason: reason.to_owned() };
            self.parked.put(day, mark);
            self.parked.commit();
        }
    }

    /// Forgets the keys that concern no date from `before` on; how many.
    pub(super) fn forget_won_keys(&mut self, before: Date) -> u64 {
        let all = self.won_keys.rows().keys();
        let old: Vec<_> = all.take_while(|(until, ..)| *until < before).copied().collect();
        for key in &old {
            self.won_keys.remove(key);
        }
        self.won_keys.commit();
        old.len() as u64
    }

    fn all_or_nothing(&mut self, work: impl FnOnce(&mut Self) -> Result<(), ApplyError>) -> Result<(), ApplyError> {
        let outcome = work(self);
        macro_rules! each_table {
            ($end:ident) => {{
                self.appointments.$end();
                self.history.$end();
                self.seats.$end();
                self.days.$end();
                self.applied.$end();
                self.parked.$end();
                self.won_keys.$end();
                self.reminders.$end();
            }};
        }
        match &outcome {
            Ok(()) => each_table!(commit),
            Err(_) => each_table!(roll_back),
        }
        outcome
    }

    fn apply_each(&mut self, records: &[AppliedRecord], telling: &Telling<'_>) -> Result<(), ApplyError> {
        for record in records {
            let day = record.day;
            if self.parked.get(&day).is_none() && is_next(self.applied.get(&day).copied(), record)? {
                self.applied.put(day, record.version);
                self.write(record, telling)?;
            }
        }
        Ok(())
    }

    /// Everything that one record, the next of its day, says.
    fn write(&mut self, record: &AppliedRecord, telling: &Telling<'_>) -> Result<(), ApplyError> {
        let event = &record.event;
        self.write_day(record)?;
        self.write_seats(record.day, event)?;
        let last = event.changes.len().saturating_sub(1);
        for (number, change) in event.changes.iter().enumerate() {
            let home = match &event.fact {
                Fact::MovedOut { to, .. } if number == last => to.day,
                _ => record.day,
            };
            self.write_appointment(home, &change.row);
            self.write_step(event, change)?;
            self.write_reminders(home, event, change, telling);
        }
        if let Some((key, _)) = &event.remembered {
            let until = match &event.fact {
                Fact::MovedOut { to, .. } => record.day.date.max(to.day.date),
                _ => record.day.date,
            };
            self.won_keys.put((until, record.day, KeyDigest::of(key.subject, &key.key)), ());
        }
        Ok(())
    }

    fn write_day(&mut self, record: &AppliedRecord) -> Result<(), ApplyError> {
        let (day, version, before) = (record.day, record.version, self.days.get(&record.day));
        let row = match (&record.event.fact, before) {
            (Fact::Published(definition), _) => {
                if definition.slots.is_empty() || definition.releases.is_empty() {
                    return refused(format!("{day} is published without a slot or a release"));
                }
                let closed = before.and_then(|row| row.closed.clone());
                DayRow { definition: Arc::clone(definition), closed, version }
            }
            (Fact::Closed { reason }, Some(row)) => {
                let closed = Some((record.event.at, reason.clone()));
                DayRow { definition: Arc::clone(&row.definition), closed, version }
            }
            (Fact::Closed { .. }, None) => return refused(format!("{day} is closed but was never published")),
            _ => return Ok(()),
        };
        self.days.put(day, row);
        Ok(())
    }

    /// The newest version stands, whichever day's record comes first.
    fn write_appointment(&mut self, home: DayKey, row: &Appointment) {
        if self.appointments.get(&row.id).is_none_or(|(_, known)| known.version < row.version) {
            self.appointments.put(row.id, (home, row.clone()));
        }
    }

    fn write_step(&mut self, event: &Event, change: &Change) -> Result<(), ApplyError> {
        let row = &change.row;
        let key = (row.id, row.version);
        if self.history.get(&key).is_some() {
            return refused(format!("history: {} has a version {} already", row.id, row.version));
        }
        let expired = row.status == Status::Expired;
        let step = HistoryItem {
            at: event.at,
            actor: if expired { SubjectId(Uuid::nil()) } else { event.envelope.subject },
            role: if expired { Role::System } else { event.envelope.role },
            from: change.from,
            to: row.status,
            reason: row.cancellation_reason.clone().filter(|_| row.status == Status::Cancelled),
            version: row.version,
        };
        self.history.put(key, StepRow { request: event.envelope.request, step });
        Ok(())
    }

    /// First those who leave get up, then those who come sit down.
    fn write_seats(&mut self, day: DayKey, event: &Event) -> Result<(), ApplyError> {
        let (left, taken) = seats(event);
        for (seat, id) in left {
            if self.seats.get(&(day, seat)) != Some(&id) {
                return refused(format!("seats: {day}: {id} gives back {seat:?}, which it does not have"));
            }
            self.seats.remove(&(day, seat));
        }
        for (seat, id) in taken {
            if let Some(holder) = self.seats.get(&(day, seat)) {
                return refused(format!("seats: {day}: {seat:?} is taken twice: by {id}, and {holder} has it"));
            }
            self.seats.put((day, seat), id);
        }
        Ok(())
    }
}

fn refused<T>(reason: String) -> Result<T, ApplyError> {
    Err(ApplyError::Refused(reason))
}

/// Whether `record` is the next after `applied`, rather than one that is applied already.
fn is_next(applied: Option<DayVersion>, record: &AppliedRecord) -> Result<bool, ApplyError> {
    let (day, version, last) = (record.day, record.version, applied.unwrap_or_default());
    if version == last || version.sequence < last.sequence {
        return Ok(false);
    }
    if version.epoch < last.epoch || version.sequence == last.sequence {
        return refused(format!("{day}: {version:?} is a fork of {last:?}"));
    }
    if version.sequence - last.sequence > 1 {
        return refused(format!("{day}: records are missing between {last:?} and {version:?}"));
    }
    Ok(true)
}

type Seats = Vec<(Seat, AppointmentId)>;

/// The places that `event` gives back on its day, and those that it takes.
fn seats(event: &Event) -> (Seats, Seats) {
    let (mut left, mut taken) = (Vec::new(), Vec::new());
    for Change { from, row } in &event.changes {
        let sat = matches!(from, Some(Status::Held | Status::Booked | Status::NoShow | Status::Completed));
        let sits = matches!(row.status, Status::Held | Status::Booked | Status::NoShow | Status::Completed);
        match (sat, sits) {
            (true, false) => left.push((Seat::of(row), row.id)),
            (false, true) => taken.push((Seat::of(row), row.id)),
            _ => {}
        }
    }
    let mover = event.changes.last().map(|change| &change.row);
    match &event.fact {
        Fact::Moved { from } => {
            left.extend(mover.map(|row| (*from, row.id)));
            taken.extend(mover.map(|row| (Seat::of(row), row.id)));
        }
        Fact::MovedOut { from, .. } => left.extend(mover.map(|row| (*from, row.id))),
        Fact::MoveHeld { row, .. } => taken.push((Seat::of(row), row.id)),
        Fact::MoveDropped { row, .. } => left.push((Seat::of(row), row.id)),
        Fact::Published(_)
        | Fact::Closed { .. }
        | Fact::Taken
        | Fact::Confirmed
        | Fact::Cancelled
        | Fact::NoShow
        | Fact::Expired
        | Fact::Remembered
        | Fact::MovedIn { .. } => {}
    }
    (left, taken)
}
