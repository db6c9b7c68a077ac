//! How a packed day tells of moves: places kept for appointments on their way in, and where others went.
//! Must not know: how a move is settled.

use super::DecodeError;
use super::bytes::{Reader, Writer};
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
        let count = reader.count(ARRIVAL_BYTES_MIN, "number of arrivals")?;
        for _ in 0..count {
            let move_id = MoveId::from_bytes(reader.fixed("move")?);
            let from = read_day_key(reader)?;
            let since = reader.instant(context.base, "instant of the arrival")?;
            let row = read_row(reader, context)?;
            let last = self.arrivals.last_key_value().map(|(last, _)| *last);
            if last >= Some(move_id) || !row.status.is_live() || !self.has_room_for(&row) {
                return Err(reader.invalid("arrival"));
            }
            self.expect(move_id, from, since, &row);
        }
        let count = reader.count(DEPARTURE_BYTES_MIN, "number of departures")?;
        let mut previous = None;
        for _ in 0..count {
            let move_id = MoveId::from_bytes(reader.fixed("move")?);
            let to = read_home(reader)?;
            let row = read_row(reader, context)?;
            if previous >= Some(row.id) || self.appointments.get(row.id).is_some() {
                return Err(reader.invalid("departure"));
            }
            previous = Some(row.id);
            self.departures.insert(row.id, Departure { move_id, to, row });
        }
        Ok(())
    }
}
