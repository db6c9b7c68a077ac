//! How a packed day tells of moves: places kept for appointments on their way in, and where others went.
//! Must not know: how a move is settled.

use std::collections::BTreeSet;

use super::DecodeError;
use super::bytes::{Reader, Writer};
use super::days::is_sound;
use super::rows::{Context, ROW_BYTES_MIN, read_day_key, read_home, read_row, write_day_key, write_home, write_row};
use crate::day::{Departure, DoctorDay};
use crate::id::MoveId;

/// Attempt, doctor, date, instant, row.
const ARRIVAL_BYTES_MIN: usize = 34 + ROW_BYTES_MIN;
/// Attempt, doctor, date, length of the zone, row.
const DEPARTURE_BYTES_MIN: usize = 34 + ROW_BYTES_MIN;

impl DoctorDay {
    pub(super) fn pack_moves(&self, writer: &mut Writer, context: Context<'_>) {
        writer.number(self.arrivals.len() as u64);
        for (move_id, arrival) in &self.arrivals {
            writer.fixed(move_id.as_bytes());
            write_day_key(writer, arrival.from);
            writer.instant(arrival.since, context.base);
            write_row(writer, &arrival.row, context);
        }
        let mut departures: Vec<&Departure> = self.departures.values().collect();
        departures.sort_unstable_by_key(|departure| departure.row.id);
        writer.number(departures.len() as u64);
        for departure in departures {
            writer.fixed(departure.move_id.as_bytes());
            write_home(writer, &departure.to);
            write_row(writer, &departure.row, context);
        }
    }

    pub(super) fn unpack_moves(&mut self, reader: &mut Reader<'_>, context: Context<'_>) -> Result<(), DecodeError> {
        self.unpack_arrivals(reader, context)?;
        self.unpack_departures(reader, context)?;
        // A day without moves is written in the older format.
        if self.arrivals.is_empty() && self.departures.is_empty() {
            return Err(reader.invalid("number of departures"));
        }
        Ok(())
    }

    /// Only appointments that are live and not here, each once, on places that are free.
    fn unpack_arrivals(&mut self, reader: &mut Reader<'_>, context: Context<'_>) -> Result<(), DecodeError> {
        let count = reader.count(ARRIVAL_BYTES_MIN, "number of arrivals")?;
        let mut expected = BTreeSet::new();
        for _ in 0..count {
            let move_id = MoveId::from_bytes(reader.fixed("move")?);
            let from = read_day_key(reader)?;
            let since = reader.instant(context.base, "instant of the arrival")?;
            let row = read_row(reader, context)?;
            let in_order = self.arrivals.last_key_value().is_none_or(|(last, _)| *last < move_id);
            let is_new = expected.insert(row.id) && self.appointments.get(row.id).is_none();
            if !in_order || !is_new || !row.status.is_live() || !self.has_room_for(&row) {
                return Err(reader.invalid("arrival"));
            }
            self.expect(move_id, from, since, &row);
        }
        Ok(())
    }

    /// Only appointments that were live when they left, and are not here.
    fn unpack_departures(&mut self, reader: &mut Reader<'_>, context: Context<'_>) -> Result<(), DecodeError> {
        let count = reader.count(DEPARTURE_BYTES_MIN, "number of departures")?;
        let mut previous = None;
        for _ in 0..count {
            let move_id = MoveId::from_bytes(reader.fixed("move")?);
            let to = read_home(reader)?;
            let row = read_row(reader, context)?;
            let is_new = previous < Some(row.id) && self.appointments.get(row.id).is_none();
            if self.definition.is_none() || !is_new || !row.status.is_live() || !is_sound(&row) {
                return Err(reader.invalid("departure"));
            }
            previous = Some(row.id);
            self.departures.insert(row.id, Departure { move_id, to, row });
        }
        Ok(())
    }
}
