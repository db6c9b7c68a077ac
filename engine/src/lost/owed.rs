//! What lost records have promised: by appointment, as it was told last; and the next command on the way there.
//! Must not know: stores, who submits commands, the clock.
//!
//! Expiries promise nothing: a hold that was due is due on every branch. Nor does an answer that was only repeated under a second key:
//! asked again, it is the same answer. Several records of one appointment are one promise, in the place of the first of them.

use std::collections::HashMap;
use std::sync::Arc;

use booking_core::{
    Action, Appointment, AppointmentId, Booking, Change, Command, DayDefinition, DayKey, Envelope, Event, Fact, Home,
    MoveId, PersonalText, Relocation, RequestKey, Status, UtcMillis, decode_event,
};

use crate::journal::StoredRecord;

/// Who asked for something, under which key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    pub(crate) envelope: Envelope,
    pub(crate) key: Option<RequestKey>,
}

impl Asked {
    fn of(event: &Event) -> Self {
        Self { envelope: event.envelope, key: event.remembered.as_ref().map(|(key, _)| key.clone()) }
    }

    /// The command that asks for `action`.
    pub(crate) fn command(&self, action: Action) -> Command {
        Command { envelope: self.envelope, key: self.key.clone(), action }
    }
}

/// An appointment as somebody was told of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    /// Whole.
    pub(crate) row: Appointment,
    /// Its version before the first lost record; `None`: it was born by one.
    pub(crate) base: Option<u32>,
    /// Where it went, and by which attempt.
    pub(crate) left: Option<(MoveId, Home)>,
    /// Who asked for the first lost change: the birth, if it is one.
    pub(crate) first: Asked,
    /// Who asked for each later one, with the status that it led to; `None`: another place.
    later: Vec<(Option<Status>, Asked)>,
}

impl Told {
    /// Who asked last for it to be in `status`, or in another place.
    pub(crate) fn asked(&self, status: Option<Status>) -> &Asked {
        self.later.iter().rev().find(|(of, _)| *of == status).map_or(&self.first, |(_, asked)| asked)
    }

    /// Whether `event` was asked for by one of the requests that were told: it has been asked for again already.
    pub(crate) fn was_asked_by(&self, event: &Event) -> bool {
        let asked = Asked::of(event);
        self.first == asked || self.later.iter().any(|(_, later)| *later == asked)
    }
}

/// What was promised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Promise {
    /// Nothing that is owed.
    Nothing,
    /// The record cannot be read: nobody knows.
    Unreadable,
    /// The day is as this says.
    Published(Arc<DayDefinition>, Asked),
    /// The day is closed.
    Closed(Option<PersonalText>, Asked),
    /// An appointment is as it was told.
    Stands(Box<Told>),
    /// A place is kept for an appointment that comes from another day, unless it was decided there that it does not.
    Arrives { move_id: MoveId, from: DayKey, row: Box<Appointment> },
}

/// A promise, and the records that it was made by.
#[derive(Clone, Debug)]
pub(crate) struct Owed {
    pub(crate) records: Vec<StoredRecord>,
    pub(crate) promise: Promise,
}

/// What `records` of one day, in the order of their sequences, have promised.
pub(crate) fn owed(records: Vec<StoredRecord>) -> Vec<Owed> {
    let mut all = Gathered::default();
    for record in records {
        match decode_event(&record.body) {
            Ok(event) => all.take(record, event),
            Err(_) => all.push(record, Promise::Unreadable),
        }
    }
    all.owed
}

/// The appointment that a command was about; `None` if it was about the day.
pub(crate) fn appointment_of(event: &Event) -> Option<AppointmentId> {
    match &event.fact {
        Fact::Published(_) | Fact::Closed { .. } | Fact::Expired | Fact::Remembered => None,
        Fact::MoveHeld { row, .. } | Fact::MovedIn { row, .. } | Fact::MoveDropped { row, .. } => Some(row.id),
        Fact::Taken | Fact::Confirmed | Fact::Cancelled | Fact::NoShow | Fact::Moved { .. } | Fact::MovedOut { .. } => {
            event.changes.last().map(|change| change.row.id)
        }
    }
}

#[derive(Default)]
struct Gathered {
    owed: Vec<Owed>,
    appointments: HashMap<AppointmentId, usize>,
    moves: HashMap<MoveId, usize>,
}

impl Gathered {
    fn push(&mut self, record: StoredRecord, promise: Promise) {
        self.owed.push(Owed { records: vec![record], promise });
    }

    fn take(&mut self, record: StoredRecord, event: Event) {
        let asked = Asked::of(&event);
        let Event { fact, mut changes, .. } = event;
        match fact {
            Fact::Published(definition) => self.push(record, Promise::Published(definition, asked)),
            Fact::Closed { reason } => self.push(record, Promise::Closed(reason, asked)),
            Fact::Expired | Fact::Remembered => self.push(record, Promise::Nothing),
            Fact::MoveHeld { move_id, from, row } => {
                self.moves.insert(move_id, self.owed.len());
                self.push(record, Promise::Arrives { move_id, from, row });
            }
            Fact::MovedIn { move_id, .. } => self.arrived(record, move_id, false),
            Fact::MoveDropped { move_id, .. } => self.arrived(record, move_id, true),
            Fact::Taken | Fact::Confirmed | Fact::Cancelled | Fact::NoShow => match changes.pop() {
                Some(change) => self.changed(record, (Some(change.row.status), asked), change, None),
                None => self.push(record, Promise::Nothing),
            },
            Fact::Moved { .. } => match changes.pop() {
                Some(change) => self.changed(record, (None, asked), change, None),
                None => self.push(record, Promise::Nothing),
            },
            Fact::MovedOut { move_id, to, .. } => match changes.pop() {
                Some(change) => self.changed(record, (None, asked), change, Some((move_id, to))),
                None => self.push(record, Promise::Nothing),
            },
        }
    }

    /// The end of a move whose place was kept before. Where that record is not lost, the day asks what became of the move by itself.
    fn arrived(&mut self, record: StoredRecord, move_id: MoveId, is_dropped: bool) {
        let Some(owed) = self.moves.get(&move_id).and_then(|place| self.owed.get_mut(*place)) else {
            return self.push(record, Promise::Nothing);
        };
        owed.records.push(record);
        if is_dropped {
            owed.promise = Promise::Nothing;
        }
    }

    fn changed(
        &mut self,
        record: StoredRecord,
        asked: (Option<Status>, Asked),
        change: Change,
        left: Option<(MoveId, Home)>,
    ) {
        let id = change.row.id;
        if let Some(owed) = self.appointments.get(&id).and_then(|place| self.owed.get_mut(*place))
            && let Promise::Stands(told) = &mut owed.promise
        {
            owed.records.push(record);
            told.row = change.row;
            told.left = left;
            told.later.push(asked);
            return;
        }
        self.appointments.insert(id, self.owed.len());
        let base = change.from.map(|_| change.row.version.saturating_sub(1));
        let told = Told { row: change.row, base, left, first: asked.1, later: Vec::new() };
        self.push(record, Promise::Stands(Box::new(told)));
    }
}

/// What is to be done about a promise.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// It holds, or is owed no longer.
    Done,
    /// It cannot hold any more.
    Broken(&'static str),
    /// This is to be asked, and then looked again.
    Ask(Box<Command>),
}

/// The next step towards what was `told` of an appointment of this day that is `present` now, and must be at `version` unless it was
/// born by a lost record. `audiences`: all that the day has releases for, as nobody recorded whose place it was.
pub(crate) fn next(
    told: &Told,
    present: Option<&Appointment>,
    version: Option<u32>,
    audiences: &Arc<[Box<str>]>,
    now: UtcMillis,
) -> Next {
    let row = &told.row;
    let Some(present) = present else {
        return match told.base {
            Some(_) => Next::Broken("the appointment is not on this day any more"),
            None if !row.status.takes_place() || row.is_due(now) => Next::Done,
            None => ask(&told.first, Action::Book(wish(row, audiences, now))),
        };
    };
    if agrees(present, row, now) {
        return Next::Done;
    }
    match version {
        // It was asked for before, and whatever has become of it since was asked for by somebody who saw it.
        None => return Next::Done,
        Some(version) if version != present.version => {
            return Next::Broken("the appointment has been changed otherwise since");
        }
        Some(_) => {}
    }
    let (appointment, asked) = (row.id, told.asked(Some(row.status)));
    match row.status {
        Status::Cancelled => ask(asked, Action::Cancel { appointment, reason: row.cancellation_reason.clone() }),
        Status::NoShow => ask(asked, Action::NoShow { appointment }),
        Status::Booked if present.status == Status::Held => ask(asked, Action::Confirm { appointment }),
        Status::Held | Status::Booked if present.start != row.start => {
            let audiences = Arc::clone(audiences);
            let to = Relocation { appointment, start: Some(row.start), audiences, busy: Vec::new() };
            ask(told.asked(None), Action::Move(to))
        }
        _ => Next::Broken("the appointment has been changed otherwise since"),
    }
}

fn ask(asked: &Asked, action: Action) -> Next {
    Next::Ask(Box::new(asked.command(action)))
}

fn wish(row: &Appointment, audiences: &Arc<[Box<str>]>, now: UtcMillis) -> Booking {
    let left = row.hold_expires_at.filter(|_| row.status == Status::Held).map(|at| at.millis_since(now));
    Booking {
        appointment: row.id,
        patient: row.patient,
        start: Some(row.start),
        hold_millis: left,
        audiences: Arc::clone(audiences),
        busy: Vec::new(),
    }
}

/// Whether whoever was told of `row` finds in `present` what they were told, the number of the place aside.
fn agrees(present: &Appointment, row: &Appointment, now: UtcMillis) -> bool {
    match row.status {
        Status::Booked => present.status == Status::Booked && present.start == row.start,
        Status::Held if !row.is_due(now) => present.status.is_live() && present.start == row.start,
        // It is over anyway.
        Status::Held | Status::Expired => true,
        Status::Cancelled => !present.status.takes_place(),
        Status::NoShow | Status::Completed => present.status == row.status,
    }
}

#[cfg(test)]
mod tests;
