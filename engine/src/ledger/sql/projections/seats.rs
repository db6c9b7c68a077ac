//! Who sits where: the guard against selling a place twice that trusts nobody else's count.
//! Must not know: why a place was given or taken back.
//!
//! Within one transaction: first vacate, then occupy with plain inserts. Several changes of one place within a batch are
//! collapsed, but each is checked against the one before, so that collapsing hides no violation.

use std::collections::hash_map::Entry;

use async_trait::async_trait;
use booking_core::{AppointmentId, DayKey, UtcMillis};
use foldhash::{HashMap, HashMapExt};
use sqlx::error::BoxDynError;

use super::super::bulk::{Bind, BulkStatement, Conflict, Kind};
use super::{Batch, Dialect, Projection};
use crate::ledger::ApplyError;

/// The list is wrapped in a query of its own: only so does SQLite look each row up by the key instead of reading all.
static VACATE: BulkStatement = BulkStatement::list(
    "DELETE FROM seat WHERE (doctor, date, start_ms, place, appointment) IN \
     (SELECT column1, column2, column3, column4, column5 FROM ",
    &[Kind::Id, Kind::Date, Kind::Integer, Kind::Integer, Kind::Id],
    " AS vacated)",
);

/// A plain insert: nothing may hide that a place is taken twice.
static OCCUPY: BulkStatement = BulkStatement::insert(
    "seat",
    &[
        ("doctor", Kind::Id),
        ("date", Kind::Date),
        ("start_ms", Kind::Integer),
        ("place", Kind::Integer),
        ("appointment", Kind::Id),
    ],
    Conflict::Refuse,
);

#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: [&BulkStatement; 2] = [&VACATE, &OCCUPY];

/// Table `seat`.
pub(super) struct Seats;

/// One place of one slot of one day.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
struct Seat {
    day: DayKey,
    start: UtcMillis,
    place: u32,
}

/// What a batch does to one seat.
struct Use {
    /// Who must sit there when the batch begins; `None`: nobody may.
    before: Option<AppointmentId>,
    /// Who sits there when it ends.
    after: Option<AppointmentId>,
}

/// A seat and who takes or leaves it.
type Taken = (Seat, AppointmentId);

#[async_trait]
impl<D: Dialect> Projection<D> for Seats {
    async fn apply(&self, batch: &Batch<'_>, connection: &mut D::Connection) -> Result<(), ApplyError> {
        let uses = uses(batch)?;
        let (vacated, occupied, unchanged) = split(uses);
        let gone = D::execute_rows(connection, &VACATE, &vacated, bind::<D>).await;
        let gone = gone.map_err(|error| D::apply_error("seats", &error))?;
        if gone != vacated.len() as u64 {
            return Err(ApplyError::Refused(format!(
                "seats: {} places were given back by appointments that do not have them",
                (vacated.len() as u64).saturating_sub(gone)
            )));
        }
        let occupy = |error| D::apply_error("seats: a place is taken twice", &error);
        D::execute_rows(connection, &OCCUPY, &occupied, bind::<D>).await.map_err(occupy)?;
        // A place that was taken and given back within the batch must have been free too: take it and give it back.
        D::execute_rows(connection, &OCCUPY, &unchanged, bind::<D>).await.map_err(occupy)?;
        let gone = D::execute_rows(connection, &VACATE, &unchanged, bind::<D>).await;
        gone.map(drop).map_err(|error| D::apply_error("seats", &error))
    }
}

/// Follows every seat through the batch. Within one record, places are given back before others are taken.
fn uses(batch: &Batch<'_>) -> Result<HashMap<Seat, Use>, ApplyError> {
    let mut uses = HashMap::with_capacity(batch.records.len());
    for record in &batch.records {
        let seat = |seat: booking_core::Seat| Seat { day: record.day, start: seat.start, place: seat.place };
        for (left, id) in record.event.seats_left() {
            leave(&mut uses, seat(left), id)?;
        }
        for (taken, id) in record.event.seats_taken() {
            sit(&mut uses, seat(taken), id)?;
        }
    }
    Ok(uses)
}

fn leave(uses: &mut HashMap<Seat, Use>, seat: Seat, id: AppointmentId) -> Result<(), ApplyError> {
    match uses.entry(seat) {
        Entry::Vacant(entry) => {
            entry.insert(Use { before: Some(id), after: None });
            Ok(())
        }
        Entry::Occupied(mut entry) if entry.get().after == Some(id) => {
            entry.get_mut().after = None;
            Ok(())
        }
        Entry::Occupied(entry) => Err(violation("given back by one that does not have it", seat, id, entry.get())),
    }
}

fn sit(uses: &mut HashMap<Seat, Use>, seat: Seat, id: AppointmentId) -> Result<(), ApplyError> {
    match uses.entry(seat) {
        Entry::Vacant(entry) => {
            entry.insert(Use { before: None, after: Some(id) });
            Ok(())
        }
        Entry::Occupied(mut entry) if entry.get().after.is_none() => {
            entry.get_mut().after = Some(id);
            Ok(())
        }
        Entry::Occupied(entry) => Err(violation("taken twice", seat, id, entry.get())),
    }
}

fn violation(what: &str, seat: Seat, id: AppointmentId, usage: &Use) -> ApplyError {
    let holder = usage.after.map_or_else(|| "nobody".to_owned(), |holder| holder.to_string());
    ApplyError::Refused(format!(
        "seats: a place is {what}: {}, slot {} ms, place {}: appointment {id}, held by {holder}",
        seat.day, seat.start.0, seat.place
    ))
}

/// Seats to vacate, seats to occupy, and seats that were free, were used in between, and are free again (with the seat's
/// own key as a stand-in for who used it). In the order of their keys, as the tree is.
fn split(uses: HashMap<Seat, Use>) -> (Vec<Taken>, Vec<Taken>, Vec<Taken>) {
    let mut uses: Vec<(Seat, Use)> = uses.into_iter().collect();
    uses.sort_unstable_by_key(|(seat, _)| *seat);
    let (mut vacated, mut occupied, mut unchanged) = (Vec::new(), Vec::new(), Vec::new());
    for (seat, usage) in uses {
        let stand_in = AppointmentId::from_bytes(*seat.day.doctor.as_bytes());
        match (usage.before, usage.after) {
            (None, None) => unchanged.push((seat, stand_in)),
            // Left and taken again by the same one: nothing to write, but it must have been there.
            (before, after) => {
                vacated.extend(before.map(|id| (seat, id)));
                occupied.extend(after.map(|id| (seat, id)));
            }
        }
    }
    (vacated, occupied, unchanged)
}

fn bind<D: Dialect>((seat, id): &Taken, values: &mut D::Rows) -> Result<(), BoxDynError> {
    values.day(seat.day)?;
    values.integer(seat.start.0)?;
    values.integer(seat.place.into())?;
    values.id(id.as_bytes())
}
