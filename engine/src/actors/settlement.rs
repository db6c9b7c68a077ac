//! How the claims of a day follow its durable records: what they become when a record is durable, and when it was lost.
//! Must not know: who waits for a claim.

use booking_core::{AppointmentId, DayKey, DoctorDay, Event, Fact, PatientId, Status, planted};

use super::turn::key_of;
use crate::claims::{Claims, Visit};

/// Record `sequence` of `day` is durable: what it claimed is live, what it freed is gone. Before its answer leaves.
pub(super) fn settle(claims: &Claims, day: DayKey, sequence: u64, event: &Event) {
    let departing = usize::from(event.moved_to().is_some());
    for change in event.changes.iter().rev().skip(departing).rev() {
        if planted!(ClaimNotGivenBack) && change.row.status == Status::Cancelled {
            continue;
        }
        claims.settle(change.row.patient, change.row.id, day, sequence, Visit::of(&change.row));
    }
    match &event.fact {
        Fact::MovedOut { to, .. } => {
            if let Some(visit) = event.changes.last().and_then(|change| Visit::of(&change.row)) {
                claims.transfer(day, sequence, to.day, visit);
            }
        }
        Fact::MovedIn { row, .. } => claims.settle(row.patient, row.id, day, sequence, Visit::of(row)),
        Fact::MoveDropped { row, .. } => claims.settle(row.patient, row.id, day, sequence, None),
        // A place that is kept for a move stays pending: whether the appointment comes is not settled.
        _ => {}
    }
    if let Some((key, until)) = key_of(event, day.date) {
        claims.key_won(key, day, until);
    }
}

/// The state of `day` was dropped and read again as `state`: what the dropped `events` claimed is as `state` says.
pub(super) fn settle_dropped<'event>(
    claims: &Claims,
    day: DayKey,
    state: &DoctorDay,
    events: impl Iterator<Item = &'event Event>,
) {
    for event in events {
        for change in &event.changes {
            settle_as_read(claims, day, state, change.row.patient, change.row.id);
        }
        if let Fact::MoveHeld { row, .. } | Fact::MovedIn { row, .. } | Fact::MoveDropped { row, .. } = &event.fact {
            settle_as_read(claims, day, state, row.patient, row.id);
        }
        if let Some((key, until)) = key_of(event, day.date) {
            match state.remembered_key(key.subject, &key.key) {
                Some(_) if !planted!(LandedClaimForgotten) => claims.key_won(key, day, until),
                _ => claims.key_lost(key, day),
            }
        }
    }
}

/// The claim of one appointment on `day` is as `state` says.
pub(super) fn settle_as_read(
    claims: &Claims,
    day: DayKey,
    state: &DoctorDay,
    patient: PatientId,
    appointment: AppointmentId,
) {
    // A move on its way in is as unsettled as before.
    if state.arrivals().any(|(_, arrival)| arrival.row.id == appointment) {
        return;
    }
    let row = state.appointment(appointment);
    let row = row.filter(|_| !planted!(LandedClaimForgotten));
    claims.settle(patient, appointment, day, u64::MAX, row.and_then(Visit::of));
    // It may have left by one of the records: then it is where that record says.
    if let Some(departure) = state.departure(appointment)
        && claims.is_pending(patient, appointment, departure.to.day)
        && let Some(visit) = Visit::of(&departure.row)
    {
        claims.transfer(day, u64::MAX, departure.to.day, visit);
    }
}
