//! What others are told of a journal record: domain events as JSON, each with an id that stays the same for ever. Pure.
//! Must not know: who follows the journal, where events go.
//!
//! An event carries no name and no free text: neither reasons nor audiences. It carries the patient's id, as who reminds a patient or
//! keeps a
//! list of visits needs it; it is a random UUID that says nothing without the registry.

use booking_core::{Appointment, Change, Date, DayDefinition, DayKey, Event, Fact, Status, UtcMillis, decode_event};
use serde::Serialize;
use uuid::Uuid;

use crate::journal::StoredRecord;

const DAY_MILLIS: i64 = 86_400_000;

/// What has happened. The words are in `deploy/EVENTS.md`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// A day was published for the first time.
    DayPublished,
    /// A published day was replaced.
    DayAmended,
    /// A day was closed.
    DayClosed,
    /// A place is held.
    Held,
    /// A place was booked at once.
    Booked,
    /// A hold became a booking.
    Confirmed,
    /// An appointment was cancelled.
    Cancelled,
    /// A hold ended.
    Expired,
    /// The patient did not come.
    NoShow,
    /// An appointment left its place for another, of this day or of another one.
    Moved,
    /// A place of this day is kept for an appointment of another day.
    MoveHeld,
    /// That appointment has come.
    MovedIn,
    /// It does not come: its place is free.
    MoveDropped,
}

/// One domain event. Instants are RFC 3339 in UTC with milliseconds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DomainEvent {
    /// `<doctor>/<date>/<sequence>/<n>`: the same however often it is published.
    pub id: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// Whose day.
    pub doctor_id: Uuid,
    /// Which day.
    pub date: String,
    /// Of the record among those of the day; rises without a gap over records, of which some tell nothing.
    pub sequence: u64,
    /// Of the owner that wrote it; never falls within a day.
    pub epoch: u32,
    /// When it was decided.
    pub at: String,
    /// About which appointment.
    #[serde(flatten)]
    pub appointment: Option<AppointmentPart>,
    /// What was published.
    #[serde(flatten)]
    pub day: Option<DayPart>,
}

/// The appointment after the event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AppointmentPart {
    /// Which.
    pub appointment_id: Uuid,
    /// Of the appointment: who has a newer one needs this one no more.
    pub appointment_version: u32,
    /// Whose visit.
    pub patient_id: Uuid,
    /// The slot's start.
    pub slot_start: String,
    /// The slot's end.
    pub slot_end: String,
    /// Of a held one: when the hold ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_expires_at: Option<String>,
    /// Of a moved one: the start of the slot that it left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_slot_start: Option<String>,
    /// Of one that moves between days: the other day, which it left or where it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_doctor_id: Option<Uuid>,
    /// The date of that day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_date: Option<String>,
}

/// What a published day offers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DayPart {
    /// IANA name.
    pub time_zone: String,
    /// Slots.
    pub slots: usize,
    /// Places of all slots.
    pub places: u64,
    /// When how many of them open; the audiences are not told.
    pub releases: Vec<ReleasePart>,
}

/// One opening.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ReleasePart {
    /// When.
    pub at: String,
    /// How many places; all the rest if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub places: Option<u32>,
}

/// An event on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// Decides its order: events of one shard stay in their order.
    pub shard: u16,
    /// See [`DomainEvent::id`].
    pub id: String,
    /// When it was decided.
    pub at: UtcMillis,
    /// The event as JSON, or why there is none: its record cannot be read.
    pub body: Result<String, String>,
}

/// What `record` tells, in order; often one event, sometimes none. A record that cannot be read is one event without a body.
pub fn outgoing(record: &StoredRecord) -> Vec<Outgoing> {
    let (day, sequence) = (record.day, record.version.sequence);
    let unreadable = |reason: String| {
        let id = id(day, sequence, 0);
        vec![Outgoing { shard: record.shard, id, at: UtcMillis(0), body: Err(reason) }]
    };
    let event = match decode_event(&record.body) {
        Ok(event) => event,
        Err(error) => return unreadable(format!("the record cannot be decoded: {error}")),
    };
    let told = domain_events(day, sequence, record.version.epoch, &event);
    let outgoing = told.into_iter().map(|told| Outgoing {
        shard: record.shard,
        body: serde_json::to_string(&told).map_err(|error| format!("no JSON: {error}")),
        id: told.id,
        at: event.at,
    });
    outgoing.collect()
}

/// What `event`, record `sequence` of `day`, tells: first what became of appointments, in the order of the record, then what became of
/// the day or of a place kept for a move.
pub fn domain_events(day: DayKey, sequence: u64, epoch: u32, event: &Event) -> Vec<DomainEvent> {
    let last = event.changes.len().saturating_sub(1);
    let changes = event.changes.iter().enumerate();
    let mut told: Vec<(EventType, Option<AppointmentPart>, Option<DayPart>)> =
        changes.map(|(at, change)| of_change(event, change, at == last)).collect();
    told.extend(of_fact(sequence, event));
    let number = |(n, (kind, appointment, about_day)): (usize, (_, _, _))| DomainEvent {
        id: id(day, sequence, n),
        kind,
        doctor_id: day.doctor.0,
        date: day.date.to_string(),
        sequence,
        epoch,
        at: instant(event.at),
        appointment,
        day: about_day,
    };
    told.into_iter().enumerate().map(number).collect()
}

type Told = (EventType, Option<AppointmentPart>, Option<DayPart>);

fn of_change(event: &Event, change: &Change, is_last: bool) -> Told {
    let mut part = appointment(&change.row);
    let from = match &event.fact {
        Fact::Moved { from } | Fact::MovedOut { from, .. } if is_last => Some(from),
        _ => None,
    };
    if let Some(from) = from {
        part.from_slot_start = Some(instant(from.start));
        let home = event.moved_to().map(|home| home.day);
        (part.other_doctor_id, part.other_date) = other(home);
        return (EventType::Moved, Some(part), None);
    }
    let kind = match (change.from, change.row.status) {
        (_, Status::Held) => EventType::Held,
        (Some(Status::Held), Status::Booked | Status::Completed) => EventType::Confirmed,
        (_, Status::Booked | Status::Completed) => EventType::Booked,
        (_, Status::Cancelled) => EventType::Cancelled,
        (_, Status::Expired) => EventType::Expired,
        (_, Status::NoShow) => EventType::NoShow,
    };
    (kind, Some(part), None)
}

fn of_fact(sequence: u64, event: &Event) -> Option<Told> {
    match &event.fact {
        Fact::Published(definition) => {
            // The first record of a day is its first publication: nothing else can be done to a day before.
            let kind = if sequence == 1 { EventType::DayPublished } else { EventType::DayAmended };
            Some((kind, None, Some(offer(definition))))
        }
        Fact::Closed { .. } => Some((EventType::DayClosed, None, None)),
        Fact::MoveHeld { from, row, .. } => {
            let mut part = appointment(row);
            (part.other_doctor_id, part.other_date) = other(Some(*from));
            Some((EventType::MoveHeld, Some(part), None))
        }
        Fact::MovedIn { row, .. } => Some((EventType::MovedIn, Some(appointment(row)), None)),
        Fact::MoveDropped { row, .. } => Some((EventType::MoveDropped, Some(appointment(row)), None)),
        Fact::Taken
        | Fact::Confirmed
        | Fact::Cancelled
        | Fact::NoShow
        | Fact::Expired
        | Fact::Remembered
        | Fact::Moved { .. }
        | Fact::MovedOut { .. } => None,
    }
}

fn appointment(row: &Appointment) -> AppointmentPart {
    let hold = row.hold_expires_at.filter(|_| row.status == Status::Held);
    AppointmentPart {
        appointment_id: row.id.0,
        appointment_version: row.version,
        patient_id: row.patient.0,
        slot_start: instant(row.start),
        slot_end: instant(row.end),
        hold_expires_at: hold.map(instant),
        from_slot_start: None,
        other_doctor_id: None,
        other_date: None,
    }
}

fn other(day: Option<DayKey>) -> (Option<Uuid>, Option<String>) {
    day.map(|day| (day.doctor.0, day.date.to_string())).unzip()
}

fn offer(definition: &DayDefinition) -> DayPart {
    let releases = definition.releases.iter();
    DayPart {
        time_zone: definition.time_zone.to_string(),
        slots: definition.slots.len(),
        places: definition.slots.iter().map(|slot| u64::from(slot.capacity)).sum(),
        releases: releases.map(|release| ReleasePart { at: instant(release.at), places: release.places }).collect(),
    }
}

fn id(day: DayKey, sequence: u64, n: usize) -> String {
    format!("{}/{}/{sequence}/{n}", day.doctor.0, day.date)
}

/// RFC 3339 in UTC with milliseconds; beyond the calendar, milliseconds since 1970.
fn instant(at: UtcMillis) -> String {
    let date = i32::try_from(at.0.div_euclid(DAY_MILLIS)).ok().and_then(Date::from_days);
    let Some(date) = date else { return at.0.to_string() };
    let millis = at.0.rem_euclid(DAY_MILLIS);
    let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1_000 % 60);
    format!("{date}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", millis % 1_000)
}

#[cfg(test)]
mod tests;
