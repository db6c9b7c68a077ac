//! The records of a move from day to day (`protocols.md` A): kept, committed, arrived or dropped, in no other order.
//! Must not know: who drives a move.

use std::sync::Arc;

use booking_core::{Appointment, Change, DayKey, Home, MoveId, Seat};

use super::day::{Coming, Gone};
use super::patients;
use super::step::{Step, reseated};
use super::violation::{Violation, ensure};

/// `MoveHeld`: a place is kept for an appointment as it stands, or stood, on another day.
pub(super) fn keep(step: &mut Step<'_>, move_id: MoveId, from: DayKey, row: &Appointment) -> Result<(), Violation> {
    let id = row.id;
    let is_new = !step.state.coming.contains_key(&move_id) && from != step.day;
    ensure!(is_new, MoveBroken, "a second place is kept for move {move_id} of {id}");
    ensure!(!step.state.rows.contains_key(&id), MoveBroken, "a place is kept for {id}, which is here");
    let mut standings = step.world.standings(id).iter();
    let origin = standings.find(|origin| origin.day == from && origin.row.version + 1 == row.version);
    let expected =
        origin.map(|origin| Appointment { updated_at: step.at, version: row.version, ..reseated(&origin.row, row) });
    ensure!(expected.as_ref() == Some(row), MoveBroken, "{id} was not so on {from}: {row:?}");
    step.check_place(row)?;
    let coming = Coming { from, row: Arc::new(row.clone()), position: step.position };
    step.state.coming.insert(move_id, coming);
    Ok(())
}

/// `MovedOut`: the commit point.
pub(super) fn leave(
    step: &mut Step<'_>,
    move_id: MoveId,
    to: &Home,
    from: Seat,
    change: &Change,
) -> Result<(), Violation> {
    let id = change.row.id;
    let before = step.before(change)?;
    step.check_movable(&before, from)?;
    step.becomes(&before, change, reseated(&before, &change.row))?;
    let target = step.world.day_now(to.day);
    let coming = target.and_then(|target| target.coming.get(&move_id));
    let is_kept =
        coming.is_some_and(|coming| coming.from == step.day && is_same_but_for_time(&coming.row, &change.row));
    ensure!(is_kept, MoveBroken, "{id} leaves by {move_id} for a place that {} does not keep", to.day);
    ensure!(step.at < change.row.start, AfterStart, "{id} leaves for a slot that has begun");
    patients::check(step.world, to.day, &change.row, step.at)?;
    let row = Arc::new(change.row.clone());
    step.state.rows.remove(&id);
    step.state.gone.insert(id, Gone { move_id, to: to.day, row: Arc::clone(&row) });
    step.told.pop();
    step.told.push((to.day, row));
    Ok(())
}

/// `MovedIn`: what the other day has let go is here.
pub(super) fn arrive(step: &mut Step<'_>, move_id: MoveId, row: &Appointment) -> Result<(), Violation> {
    let coming = step.state.coming.remove(&move_id);
    ensure!(coming.is_some(), MoveBroken, "{} comes by {move_id}, for which no place is kept", row.id);
    let gone = coming.and_then(|coming| gone_by(step, &coming, move_id));
    ensure!(gone.as_deref() == Some(row), MoveBroken, "{} comes by {move_id}, but was not let go so", row.id);
    step.state.gone.remove(&row.id);
    step.state.rows.insert(row.id, Arc::new(row.clone()));
    Ok(())
}

/// `MoveDropped`: it does not come.
pub(super) fn drop(step: &mut Step<'_>, move_id: MoveId, row: &Appointment) -> Result<(), Violation> {
    let coming = step.state.coming.remove(&move_id);
    let is_it = coming.as_ref().is_some_and(|coming| *coming.row == *row);
    ensure!(is_it, MoveBroken, "{move_id} of {} is dropped, but no place is kept so", row.id);
    let gone = coming.and_then(|coming| gone_by(step, &coming, move_id));
    ensure!(gone.is_none(), MoveBroken, "{} is dropped, but left by {move_id}", row.id);
    Ok(())
}

/// What the day of departure let go by the move.
fn gone_by(step: &Step<'_>, coming: &Coming, move_id: MoveId) -> Option<Arc<Appointment>> {
    let gone = step.world.day_now(coming.from)?.gone.get(&coming.row.id)?;
    (gone.move_id == move_id && gone.to == step.day).then(|| Arc::clone(&gone.row))
}

/// The two days recorded it each at its own time.
fn is_same_but_for_time(one: &Appointment, other: &Appointment) -> bool {
    *one == Appointment { updated_at: one.updated_at, ..other.clone() }
}
