//! How a whole day is packed: the form of a sleeping day and of a journal snapshot.
//! Must not know: events, where the bytes are kept.

use std::sync::Arc;

use super::DecodeError;
use super::bytes::{Reader, Writer};
use super::keys::{KEY_BYTES_MIN, read_key, write_key};
use super::rows::{Context, ROW_BYTES_MIN, read_definition, read_row, write_definition, write_row};
use crate::apply::taking;
use crate::appointment::{Appointment, Status};
use crate::day::{Closure, DayVersion, DoctorDay, KEYS_PER_SUBJECT_MAX, RememberedKey};
use crate::definition::DayDefinition;
use crate::id::{AppointmentId, SubjectId};
use crate::layout::Layout;
use crate::places::Places;
use crate::time::UtcMillis;

/// The format of a day that no appointment has ever left or was to come to.
const DAY_VERSION: u8 = 1;
/// The same, followed by who is on the way in and who has left.
const DAY_VERSION_WITH_MOVES: u8 = 2;

impl DoctorDay {
    /// This state as bytes: the form of a sleeping day and of a journal snapshot. Deterministic: equal states give
    /// equal bytes.
    pub fn pack(&self) -> Vec<u8> {
        let (rows, ranks) = self.appointments.by_id();
        let mut writer = Writer { bytes: Vec::with_capacity(256 + 128 * rows.len()) };
        let moves = !self.arrivals.is_empty() || !self.departures.is_empty();
        writer.byte(if moves { DAY_VERSION_WITH_MOVES } else { DAY_VERSION });
        write_day_version(&mut writer, self.version);
        match &self.definition {
            None => writer.byte(0),
            Some(definition) => {
                writer.byte(1);
                write_definition(&mut writer, definition);
            }
        }
        write_closure(&mut writer, self.closure.as_ref());
        let context = context_of(self.definition.as_deref());
        writer.number(rows.len() as u64);
        rows.iter().for_each(|row| write_row(&mut writer, row, context));
        let rank_of = |id| ranks.get(self.appointments.position(id)?).map(|rank| *rank as usize);
        self.pack_keys(&mut writer, &rows, rank_of, context);
        if moves {
            self.pack_moves(&mut writer, context);
        }
        writer.bytes
    }

    fn pack_keys(
        &self,
        writer: &mut Writer,
        rows: &[&Appointment],
        rank_of: impl Fn(AppointmentId) -> Option<usize>,
        context: Context<'_>,
    ) {
        let mut keys: Vec<(SubjectId, &Arc<RememberedKey>)> = self.remembered().collect();
        // Stable: the keys of one subject keep their order.
        keys.sort_by_key(|(subject, _)| *subject);
        writer.number(keys.len() as u64);
        let mut previous = None;
        for (subject, remembered) in keys {
            write_key(writer, subject, previous, remembered, (rows, &rank_of), context);
            previous = Some(subject);
        }
    }

    /// The inverse of [`DoctorDay::pack`]. Never panics on any input, and what it returns is in order
    /// ([`invariant::check`](crate::invariant::check)).
    ///
    /// # Errors
    /// The first thing in `bytes` that [`DoctorDay::pack`] does not write.
    pub fn unpack(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let moves = match reader.byte("version")? {
            DAY_VERSION => false,
            DAY_VERSION_WITH_MOVES => true,
            found => return Err(DecodeError::UnknownVersion { found }),
        };
        let mut day = Self { version: read_day_version(&mut reader)?, ..Self::default() };
        match reader.byte("definition")? {
            0 => {}
            1 => {
                let definition = read_definition(&mut reader)?;
                let layout = Layout::new(&definition);
                day.places = Places::new(&layout, definition.slots.len());
                day.layout = Arc::new(layout);
                day.definition = Some(Arc::new(definition));
            }
            _ => return Err(reader.invalid("definition")),
        }
        day.closure = read_closure(&mut reader)?;
        let definition = day.definition.clone();
        let context = context_of(definition.as_deref());
        let ids = day.unpack_rows(&mut reader, context)?;
        day.unpack_keys(&mut reader, &ids, context)?;
        if moves {
            day.unpack_moves(&mut reader, context)?;
        }
        reader.finish()?;
        Ok(day)
    }

    fn unpack_rows(
        &mut self,
        reader: &mut Reader<'_>,
        context: Context<'_>,
    ) -> Result<Vec<AppointmentId>, DecodeError> {
        let count = reader.count(ROW_BYTES_MIN, "number of appointments")?;
        let mut ids: Vec<AppointmentId> = Vec::with_capacity(count);
        for _ in 0..count {
            let row = read_row(reader, context)?;
            if ids.last().is_some_and(|last| *last >= row.id) {
                return Err(reader.invalid("order of appointments"));
            }
            if !self.has_room_for(&row) {
                return Err(reader.invalid("appointment"));
            }
            self.adopt_row(&row);
            ids.push(row.id);
        }
        Ok(ids)
    }

    /// Whether `row` is sound, and its place (if it takes one) exists and is untaken.
    pub(super) fn has_room_for(&self, row: &Appointment) -> bool {
        let is_sound = is_sound(row) && self.definition.is_some();
        if taking(row.status).is_none() {
            return is_sound;
        }
        let slot = self.slot_of(row).filter(|slot| {
            let definition = self.definition.as_ref();
            definition.is_some_and(|definition| definition.slots[*slot].end == row.end)
        });
        is_sound && slot.is_some_and(|slot| self.places.is_free(slot, row.place))
    }

    fn unpack_keys(
        &mut self,
        reader: &mut Reader<'_>,
        ids: &[AppointmentId],
        context: Context<'_>,
    ) -> Result<(), DecodeError> {
        let count = reader.count(KEY_BYTES_MIN, "number of keys")?;
        let mut previous = None;
        for _ in 0..count {
            let row_at = |position: usize| self.appointments.get(*ids.get(position)?);
            let (subject, remembered) = read_key(reader, previous, row_at, context)?;
            let keys = self.remembered.entry(subject).or_insert_with(|| Vec::with_capacity(1));
            if keys.len() >= KEYS_PER_SUBJECT_MAX || keys.iter().any(|known| known.key == remembered.key) {
                return Err(reader.invalid("key"));
            }
            keys.push(Arc::new(remembered));
            previous = Some(subject);
        }
        Ok(())
    }
}

/// Whether status and hold of a row go together.
pub(super) fn is_sound(row: &Appointment) -> bool {
    row.status != Status::Completed
        && row.hold_expires_at.is_some() == matches!(row.status, Status::Held | Status::Expired)
        && row.hold_expires_at.is_none_or(|end| end <= row.start)
}

/// Instants are near the first slot.
fn context_of(definition: Option<&DayDefinition>) -> Context<'_> {
    let slots = definition.map_or(&[][..], |definition| &definition.slots);
    Context { slots, base: slots.first().map_or(UtcMillis(0), |slot| slot.start) }
}

pub(super) fn write_day_version(writer: &mut Writer, version: DayVersion) {
    writer.number(u64::from(version.epoch));
    writer.number(version.sequence);
}

pub(super) fn read_day_version(reader: &mut Reader<'_>) -> Result<DayVersion, DecodeError> {
    Ok(DayVersion { epoch: reader.number_u32("epoch")?, sequence: reader.number("sequence")? })
}

fn write_closure(writer: &mut Writer, closure: Option<&Closure>) {
    let Some(closure) = closure else { return writer.byte(0) };
    writer.byte(if closure.reason.is_some() { 2 } else { 1 });
    writer.signed(closure.at.0);
    if let Some(reason) = &closure.reason {
        writer.personal_text(reason);
    }
}

fn read_closure(reader: &mut Reader<'_>) -> Result<Option<Closure>, DecodeError> {
    let kind = reader.byte("closure")?;
    if kind == 0 {
        return Ok(None);
    }
    let at = UtcMillis(reader.signed("instant of the closure")?);
    match kind {
        1 => Ok(Some(Closure { at, reason: None })),
        2 => Ok(Some(Closure { at, reason: Some(reader.personal_text("reason")?) })),
        _ => Err(reader.invalid("closure")),
    }
}
