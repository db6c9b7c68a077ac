//! Records, requests and replies in words, for the trace: short enough to read a thousand lines of them.
//! Must not know: what is right.

use booking_core::{Appointment, AppointmentId, Event, Fact, UtcMillis, decode_event};
use engine::journal::StoredRecord;
use engine::view::AppointmentAction;
use uuid::Uuid;

use crate::kernel::EPOCH;
use crate::oracle::{Asked, Reply, Told};

/// The last eight digits of an id: the same run has few enough of them.
pub fn id(uuid: &Uuid) -> String {
    format!("{:08x}", uuid.as_u128() as u32)
}

/// Seconds since the beginning, by the engine's clock.
pub fn instant(at: UtcMillis) -> String {
    let millis = at.millis_since(EPOCH);
    format!("{}{}.{:03}", if millis < 0 { "-" } else { "" }, millis.abs() / 1_000, millis.abs() % 1_000)
}

fn appointment(id_of: &AppointmentId) -> String {
    id(&Uuid::from_bytes(*id_of.as_bytes()))
}

fn row(row: &Appointment) -> String {
    let held = row.hold_expires_at.map(|at| format!(" until {}", instant(at))).unwrap_or_default();
    let (id, status) = (appointment(&row.id), row.status.word());
    let (start, place, version) = (instant(row.start), row.place, row.version);
    format!("{id} v{version} {status}{held} at {start}#{place}")
}

/// What a stored record says.
pub fn record(record: &StoredRecord) -> String {
    let version = format!("{}.{}", record.version.epoch, record.version.sequence);
    match decode_event(&record.body) {
        Ok(event) => format!("{version} {}", happened(&event)),
        Err(error) => format!("{version} unreadable: {error}"),
    }
}

fn happened(event: &Event) -> String {
    let fact = match &event.fact {
        Fact::Published(definition) => format!("published, {} slots", definition.slots.len()),
        Fact::Closed { .. } => "closed".to_owned(),
        Fact::Taken => "taken".to_owned(),
        Fact::Confirmed => "confirmed".to_owned(),
        Fact::Cancelled => "cancelled".to_owned(),
        Fact::NoShow => "no-show".to_owned(),
        Fact::Expired => "expired".to_owned(),
        Fact::Remembered => "remembered".to_owned(),
        Fact::Moved { from } => format!("moved from {}#{}", instant(from.start), from.place),
        Fact::MoveHeld { move_id, from, row: kept } => {
            format!("move {} from {from} held {}", move_of(move_id), row(kept))
        }
        Fact::MovedIn { move_id, row: kept } => format!("move {} in {}", move_of(move_id), row(kept)),
        Fact::MoveDropped { move_id, row: kept } => format!("move {} dropped {}", move_of(move_id), row(kept)),
        Fact::MovedOut { move_id, to, .. } => format!("move {} out to {}", move_of(move_id), to.day),
    };
    let changes: Vec<String> = event.changes.iter().map(|change| row(&change.row)).collect();
    format!("{fact} at {} [{}]", instant(event.at), changes.join(", "))
}

fn move_of(move_id: &booking_core::MoveId) -> String {
    id(&Uuid::from_bytes(*move_id.as_bytes()))
}

/// What a request asks.
pub fn asked(asked: &Asked) -> String {
    let key = asked.key().map(|key| format!(" key {}", key.key)).unwrap_or_default();
    let start = |start: Option<UtcMillis>| start.map_or_else(|| "any".to_owned(), instant);
    let what = match asked {
        Asked::Book(request) => {
            let how = if request.booking.hold_millis.is_some() { "hold" } else { "book" };
            format!("{how} {} {}", request.day, start(request.booking.start))
        }
        Asked::Change { address, action, .. } => {
            let how = match action {
                AppointmentAction::Confirm => "confirm",
                AppointmentAction::Cancel { .. } => "cancel",
                AppointmentAction::NoShow => "no-show",
            };
            format!("{how} {} on {}", appointment(&address.id), address.day)
        }
        Asked::Reschedule(request) => {
            let doctor = request.doctor.map(|doctor| format!("{doctor} ")).unwrap_or_default();
            format!("move {} to {doctor}{} {}", appointment(&request.id), request.date, start(request.start))
        }
        Asked::Publish(request) => format!("publish {}", request.day),
        Asked::Close { day, .. } => format!("close {day}"),
        Asked::ReadDay(day) => format!("read day {day}"),
        Asked::ReadAppointment(id) => format!("read {}", appointment(id)),
        Asked::List(query) => format!("list {:?}", query.scope),
        Asked::History(id) => format!("history {}", appointment(id)),
    };
    format!("{what}{key}")
}

/// What a reply says.
pub fn reply(reply: &Reply) -> String {
    match reply {
        Ok(Told::Appointment(told)) => {
            let again = if told.replayed { " again" } else { "" };
            format!("ok{again} {} on {}", row(&told.placed.appointment), told.placed.day)
        }
        Ok(Told::Day(told)) => format!("ok day {}.{}", told.version.epoch, told.version.sequence),
        Ok(Told::View(_)) => "ok view".to_owned(),
        Ok(Told::Placed(placed)) => format!("ok {} on {}", row(&placed.appointment), placed.day),
        Ok(Told::List(items)) => format!("ok {} items", items.len()),
        Ok(Told::History(items)) => format!("ok {} steps", items.len()),
        Err(error) => format!("{error:?}"),
    }
}
