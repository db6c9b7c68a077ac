//! How one event is written: the payload of a journal record.
//! Must not know: packed days, framing of records.

use std::sync::Arc;

use super::bytes::{Reader, Writer};
use super::rows::{
    Context, ROW_BYTES_MIN, read_day_key, read_definition, read_home, read_row, status_code, status_from,
    write_day_key, write_definition, write_home, write_row,
};
use super::{DecodeError, read_version};
use crate::appointment::Appointment;
use crate::command::{Answer, Envelope, Fingerprint, RequestKey, Role};
use crate::day::DayVersion;
use crate::event::{Change, Event, Fact, Seat};
use crate::id::{MoveId, RequestId, SubjectId};
use crate::time::UtcMillis;

/// The format that this program writes.
const EVENT_VERSION: u8 = 1;

const ROLES: [Role; 4] = [Role::Patient, Role::Doctor, Role::Admin, Role::System];

/// Answers: the last change's row, a row of its own, or the closed day.
const ANSWER_LAST_CHANGE: u8 = 0;
const ANSWER_ROW: u8 = 1;
const ANSWER_CLOSED: u8 = 2;
/// The last change's row, on the day to which the event lets it go.
const ANSWER_MOVED: u8 = 3;
const ANSWER_BITS: u8 = 0b0011;
/// The key's subject is not the envelope's.
const OTHER_SUBJECT: u8 = 0b0100;

/// `event` as bytes, version byte first. What is written is read again if every definition in it has been validated.
pub fn encode_event(event: &Event) -> Vec<u8> {
    let mut writer = Writer { bytes: Vec::with_capacity(192) };
    writer.byte(EVENT_VERSION);
    writer.signed(event.at.0);
    writer.byte(ROLES.iter().position(|role| *role == event.envelope.role).unwrap_or_default() as u8);
    writer.fixed(event.envelope.subject.as_bytes());
    writer.fixed(event.envelope.request.as_bytes());
    let context = Context { slots: &[], base: event.at };
    write_fact(&mut writer, &event.fact, context);
    writer.number(event.changes.len() as u64);
    for change in &event.changes {
        writer.byte(change.from.map_or(0, |status| status_code(status) + 1));
        write_row(&mut writer, &change.row, context);
    }
    match &event.remembered {
        None => writer.byte(0),
        Some((key, answer)) => {
            writer.byte(1);
            write_remembered(&mut writer, event, key, answer);
        }
    }
    writer.bytes
}

/// The inverse of [`encode_event`]. Never panics, never allocates more than a small multiple of `bytes.len()`.
///
/// # Errors
/// The first thing in `bytes` that [`encode_event`] does not write.
pub fn decode_event(bytes: &[u8]) -> Result<Event, DecodeError> {
    let mut reader = Reader::new(bytes);
    read_version(&mut reader, EVENT_VERSION)?;
    let at = UtcMillis(reader.signed("instant")?);
    let role = reader.byte("role")?;
    let role = ROLES.get(usize::from(role)).copied().ok_or_else(|| reader.invalid("role"))?;
    let subject = SubjectId::from_bytes(reader.fixed("subject")?);
    let request = RequestId::from_bytes(reader.fixed("request")?);
    let envelope = Envelope { subject, role, request };
    let fact = read_fact(&mut reader, Context { slots: &[], base: at })?;
    let changes = read_changes(&mut reader, at)?;
    let mut event = Event { at, envelope, fact, changes, remembered: None };
    event.remembered = match reader.byte("remembered")? {
        0 => None,
        1 => Some(read_remembered(&mut reader, &event)?),
        _ => return Err(reader.invalid("remembered")),
    };
    reader.finish()?;
    Ok(event)
}

fn write_fact(writer: &mut Writer, fact: &Fact, context: Context<'_>) {
    match fact {
        Fact::Published(definition) => {
            writer.byte(0);
            write_definition(writer, definition);
        }
        Fact::Closed { reason: None } => writer.byte(1),
        Fact::Closed { reason: Some(reason) } => {
            writer.byte(2);
            writer.personal_text(reason);
        }
        Fact::Taken => writer.byte(3),
        Fact::Confirmed => writer.byte(4),
        Fact::Cancelled => writer.byte(5),
        Fact::NoShow => writer.byte(6),
        Fact::Expired => writer.byte(7),
        Fact::Remembered => writer.byte(8),
        Fact::Moved { from } => {
            writer.byte(9);
            write_seat(writer, *from, context);
        }
        Fact::MoveHeld { move_id, from, row } => {
            writer.byte(10);
            writer.fixed(move_id.as_bytes());
            write_day_key(writer, *from);
            write_row(writer, row, context);
        }
        Fact::MovedIn { move_id, row } => write_attempt(writer, 11, *move_id, row, context),
        Fact::MoveDropped { move_id, row } => write_attempt(writer, 12, *move_id, row, context),
        Fact::MovedOut { move_id, to, from } => {
            writer.byte(13);
            writer.fixed(move_id.as_bytes());
            write_home(writer, to);
            write_seat(writer, *from, context);
        }
    }
}

fn write_attempt(writer: &mut Writer, code: u8, move_id: MoveId, row: &Appointment, context: Context<'_>) {
    writer.byte(code);
    writer.fixed(move_id.as_bytes());
    write_row(writer, row, context);
}

fn write_seat(writer: &mut Writer, seat: Seat, context: Context<'_>) {
    writer.instant(seat.start, context.base);
    writer.number(u64::from(seat.place));
}

fn read_seat(reader: &mut Reader<'_>, context: Context<'_>) -> Result<Seat, DecodeError> {
    Ok(Seat { start: reader.instant(context.base, "start of the seat")?, place: reader.number_u32("place")? })
}

fn read_fact(reader: &mut Reader<'_>, context: Context<'_>) -> Result<Fact, DecodeError> {
    Ok(match reader.byte("fact")? {
        0 => Fact::Published(Arc::new(read_definition(reader)?)),
        1 => Fact::Closed { reason: None },
        2 => Fact::Closed { reason: Some(reader.personal_text("reason")?) },
        3 => Fact::Taken,
        4 => Fact::Confirmed,
        5 => Fact::Cancelled,
        6 => Fact::NoShow,
        7 => Fact::Expired,
        8 => Fact::Remembered,
        9 => Fact::Moved { from: read_seat(reader, context)? },
        10 => {
            let move_id = MoveId::from_bytes(reader.fixed("move")?);
            let from = read_day_key(reader)?;
            Fact::MoveHeld { move_id, from, row: Box::new(read_row(reader, context)?) }
        }
        code @ (11 | 12) => {
            let move_id = MoveId::from_bytes(reader.fixed("move")?);
            let row = Box::new(read_row(reader, context)?);
            if code == 11 { Fact::MovedIn { move_id, row } } else { Fact::MoveDropped { move_id, row } }
        }
        13 => {
            let move_id = MoveId::from_bytes(reader.fixed("move")?);
            let to = read_home(reader)?;
            Fact::MovedOut { move_id, to, from: read_seat(reader, context)? }
        }
        _ => return Err(reader.invalid("fact")),
    })
}

fn read_changes(reader: &mut Reader<'_>, at: UtcMillis) -> Result<Vec<Change>, DecodeError> {
    let count = reader.count(1 + ROW_BYTES_MIN, "number of changes")?;
    let mut changes = Vec::with_capacity(count);
    for _ in 0..count {
        let from = match reader.byte("status before")? {
            0 => None,
            code => Some(status_from(code - 1).ok_or_else(|| reader.invalid("status before"))?),
        };
        changes.push(Change { from, row: read_row(reader, Context { slots: &[], base: at })? });
    }
    Ok(changes)
}

fn write_remembered(writer: &mut Writer, event: &Event, key: &RequestKey, answer: &Answer) {
    let kind = match answer {
        Answer::Appointment(row) if event.changes.last().is_some_and(|last| last.row == *row) => ANSWER_LAST_CHANGE,
        Answer::Appointment(_) => ANSWER_ROW,
        Answer::Closed { .. } => ANSWER_CLOSED,
        Answer::Moved { .. } => ANSWER_MOVED,
    };
    if key.subject == event.envelope.subject {
        writer.byte(kind);
    } else {
        writer.byte(kind | OTHER_SUBJECT);
        writer.fixed(key.subject.as_bytes());
    }
    writer.key(&key.key);
    writer.fixed(&key.fingerprint.0);
    match answer {
        Answer::Appointment(row) if kind == ANSWER_ROW => {
            write_row(writer, row, Context { slots: &[], base: event.at });
        }
        Answer::Appointment(_) | Answer::Moved { .. } => {}
        Answer::Closed { version, at } => {
            writer.number(u64::from(version.epoch));
            writer.number(version.sequence);
            writer.instant(*at, event.at);
        }
    }
}

fn read_remembered(reader: &mut Reader<'_>, event: &Event) -> Result<(RequestKey, Answer), DecodeError> {
    let flags = reader.byte("answer")?;
    if flags & !(ANSWER_BITS | OTHER_SUBJECT) != 0 {
        return Err(reader.invalid("answer"));
    }
    let subject = if flags & OTHER_SUBJECT == 0 {
        event.envelope.subject
    } else {
        SubjectId::from_bytes(reader.fixed("subject of the key")?)
    };
    let key = reader.key("key")?;
    let fingerprint = Fingerprint(reader.fixed("fingerprint")?);
    let answer = match flags & ANSWER_BITS {
        ANSWER_LAST_CHANGE => {
            Answer::Appointment(event.changes.last().ok_or_else(|| reader.invalid("answer"))?.row.clone())
        }
        ANSWER_ROW => Answer::Appointment(read_row(reader, Context { slots: &[], base: event.at })?),
        ANSWER_CLOSED => Answer::Closed {
            version: DayVersion { epoch: reader.number_u32("epoch")?, sequence: reader.number("sequence")? },
            at: reader.instant(event.at, "instant of the answer")?,
        },
        ANSWER_MOVED => match (event.moved_to(), event.changes.last()) {
            (Some(to), Some(last)) => Answer::Moved { row: last.row.clone(), to: to.clone() },
            _ => return Err(reader.invalid("answer")),
        },
        _ => return Err(reader.invalid("answer")),
    };
    Ok((RequestKey { subject, key, fingerprint }, answer))
}
