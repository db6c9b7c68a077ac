//! How appointments and definitions of a day are written: whole, relative to what the reader knows already.
//! Must not know: whether they stand in an event or in a packed day.

use super::bytes::{Reader, Writer};
use crate::appointment::{Appointment, Status};
use crate::codec::DecodeError;
use crate::definition::{DayDefinition, Release, SlotDefinition};
use crate::event::Home;
use crate::id::{AppointmentId, DayKey, DoctorId, PatientId};
use crate::time::{Date, UtcMillis};

/// What both sides know before a row: the slots it may lie in, and an instant near all its instants.
#[derive(Clone, Copy)]
pub(super) struct Context<'day> {
    pub(super) slots: &'day [SlotDefinition],
    pub(super) base: UtcMillis,
}

const STATUS_BITS: u8 = 0b0111;
const HAS_HOLD_END: u8 = 0b1000;
const HAS_REASON: u8 = 0b1_0000;

/// Least number of bytes of a row.
pub(super) const ROW_BYTES_MIN: usize = 32 + BODY_BYTES_MIN;
/// Slot, place, status, two instants, version.
const BODY_BYTES_MIN: usize = 6;

pub(super) fn status_code(status: Status) -> u8 {
    match status {
        Status::Held => 0,
        Status::Booked => 1,
        Status::Cancelled => 2,
        Status::Expired => 3,
        Status::NoShow => 4,
        Status::Completed => 5,
    }
}

pub(super) fn status_from(code: u8) -> Option<Status> {
    Status::ALL.into_iter().find(|status| status_code(*status) == code)
}

pub(super) fn write_row(writer: &mut Writer, row: &Appointment, context: Context<'_>) {
    writer.fixed(row.id.as_bytes());
    writer.fixed(row.patient.as_bytes());
    write_body(writer, row, context);
}

pub(super) fn read_row(reader: &mut Reader<'_>, context: Context<'_>) -> Result<Appointment, DecodeError> {
    let id = AppointmentId::from_bytes(reader.fixed("appointment id")?);
    let patient = PatientId::from_bytes(reader.fixed("patient id")?);
    read_body(reader, id, patient, context)
}

/// All of a row but its two ids.
pub(super) fn write_body(writer: &mut Writer, row: &Appointment, context: Context<'_>) {
    let slot = context.slots.binary_search_by_key(&row.start, |slot| slot.start).ok();
    match slot.filter(|slot| context.slots[*slot].end == row.end) {
        Some(slot) => writer.number(slot as u64 + 1),
        None => {
            writer.number(0);
            writer.instant(row.start, context.base);
            writer.instant(row.end, row.start);
        }
    }
    writer.number(u64::from(row.place));
    let hold_end = if row.hold_expires_at.is_some() { HAS_HOLD_END } else { 0 };
    let reason = if row.cancellation_reason.is_some() { HAS_REASON } else { 0 };
    writer.byte(status_code(row.status) | hold_end | reason);
    writer.instant(row.created_at, context.base);
    writer.instant(row.updated_at, row.created_at);
    if let Some(end) = row.hold_expires_at {
        writer.instant(end, row.created_at);
    }
    if let Some(reason) = &row.cancellation_reason {
        writer.personal_text(reason);
    }
    writer.number(u64::from(row.version));
}

pub(super) fn read_body(
    reader: &mut Reader<'_>,
    id: AppointmentId,
    patient: PatientId,
    context: Context<'_>,
) -> Result<Appointment, DecodeError> {
    let (start, end) = match reader.position("slot")? {
        0 => {
            let start = reader.instant(context.base, "start")?;
            (start, reader.instant(start, "end")?)
        }
        position => {
            let slot = context.slots.get(position - 1).ok_or_else(|| reader.invalid("slot"))?;
            (slot.start, slot.end)
        }
    };
    let place = reader.number_u32("place")?;
    let flags = reader.byte("status")?;
    let status = status_from(flags & STATUS_BITS).ok_or_else(|| reader.invalid("status"))?;
    if flags & !(STATUS_BITS | HAS_HOLD_END | HAS_REASON) != 0 {
        return Err(reader.invalid("status"));
    }
    let created_at = reader.instant(context.base, "created_at")?;
    let updated_at = reader.instant(created_at, "updated_at")?;
    let hold_expires_at = if flags & HAS_HOLD_END == 0 { None } else { Some(reader.instant(created_at, "hold end")?) };
    let cancellation_reason = if flags & HAS_REASON == 0 { None } else { Some(reader.personal_text("reason")?) };
    let version = reader.number_u32("version")?;
    Ok(Appointment {
        id,
        patient,
        start,
        end,
        place,
        status,
        hold_expires_at,
        cancellation_reason,
        created_at,
        updated_at,
        version,
    })
}

pub(super) fn write_day_key(writer: &mut Writer, day: DayKey) {
    writer.fixed(day.doctor.as_bytes());
    writer.signed(i64::from(day.date.days()));
}

pub(super) fn read_day_key(reader: &mut Reader<'_>) -> Result<DayKey, DecodeError> {
    let doctor = DoctorId::from_bytes(reader.fixed("doctor")?);
    let date = i32::try_from(reader.signed("date")?).ok().and_then(Date::from_days);
    Ok(DayKey { doctor, date: date.ok_or_else(|| reader.invalid("date"))? })
}

pub(super) fn write_home(writer: &mut Writer, home: &Home) {
    write_day_key(writer, home.day);
    writer.block(home.time_zone.as_bytes());
}

pub(super) fn read_home(reader: &mut Reader<'_>) -> Result<Home, DecodeError> {
    Ok(Home { day: read_day_key(reader)?, time_zone: reader.text("time zone")?.into() })
}

pub(super) fn write_definition(writer: &mut Writer, definition: &DayDefinition) {
    writer.block(definition.time_zone.as_bytes());
    writer.block(definition.time_zone_database.as_bytes());
    let first = definition.slots.first().map_or(UtcMillis(0), |slot| slot.start);
    writer.signed(first.0);
    writer.number(definition.slots.len() as u64);
    let (mut previous_end, mut previous_offset) = (first, 0);
    for slot in &definition.slots {
        write_seconds(writer, slot.start, previous_end);
        write_seconds(writer, slot.end, slot.start);
        writer.number(u64::from(slot.capacity));
        writer.signed(i64::from(slot.utc_offset_seconds) - previous_offset);
        (previous_end, previous_offset) = (slot.end, i64::from(slot.utc_offset_seconds));
    }
    writer.number(definition.releases.len() as u64);
    for release in &definition.releases {
        writer.instant(release.at, first);
        writer.number(release.places.map_or(0, |places| u64::from(places) + 1));
        writer.optional_text(release.audience.as_deref());
    }
}

/// Only what [`DayDefinition::validate`] accepts is read.
pub(super) fn read_definition(reader: &mut Reader<'_>) -> Result<DayDefinition, DecodeError> {
    let time_zone = reader.text("time zone")?;
    let time_zone_database = reader.text("time zone database")?;
    let first = UtcMillis(reader.signed("first start")?);
    let count = reader.count(4, "number of slots")?;
    let mut slots = Vec::with_capacity(count);
    let (mut previous_end, mut previous_offset) = (first, 0_i64);
    for _ in 0..count {
        let start = read_seconds(reader, previous_end, "slot start")?;
        let end = read_seconds(reader, start, "slot end")?;
        let capacity = reader.number_u32("capacity")?;
        let offset = previous_offset.checked_add(reader.signed("offset")?);
        let offset = offset.and_then(|offset| i32::try_from(offset).ok()).ok_or_else(|| reader.invalid("offset"))?;
        slots.push(SlotDefinition { start, end, capacity, utc_offset_seconds: offset });
        (previous_end, previous_offset) = (end, i64::from(offset));
    }
    let count = reader.count(3, "number of releases")?;
    let mut releases = Vec::with_capacity(count);
    for _ in 0..count {
        releases.push(read_release(reader, first)?);
    }
    DayDefinition::validate(time_zone, time_zone_database, slots, releases).map_err(|_| reader.invalid("definition"))
}

/// The bounds of slots are whole seconds, and so are their distances.
fn write_seconds(writer: &mut Writer, value: UtcMillis, base: UtcMillis) {
    writer.signed(value.millis_since(base) / 1000);
}

fn read_seconds(reader: &mut Reader<'_>, base: UtcMillis, what: &'static str) -> Result<UtcMillis, DecodeError> {
    let millis = reader.signed(what)?.checked_mul(1000).and_then(|millis| base.0.checked_add(millis));
    millis.map(UtcMillis).ok_or_else(|| reader.invalid(what))
}

fn read_release(reader: &mut Reader<'_>, first: UtcMillis) -> Result<Release, DecodeError> {
    let at = reader.instant(first, "release")?;
    let places = match reader.number("places")? {
        0 => None,
        places => Some(u32::try_from(places - 1).map_err(|_| reader.invalid("places"))?),
    };
    Ok(Release { at, places, audience: reader.optional_text("audience")? })
}
