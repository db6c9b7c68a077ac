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
        if !change.row.status.is_live() {
            claims.freed(change.row.id, day, sequence);
        }
    }
    match &event.fact {
        Fact::Moved { .. } => {
            if let Some(change) = event.changes.last() {
                claims.freed(change.row.id, day, sequence);
            }
        }
        Fact::MovedOut { to, .. } => {
            if let Some(change) = event.changes.last() {
                claims.freed(change.row.id, day, sequence);
            }
            if let Some(visit) = event.changes.last().and_then(|change| Visit::of(&change.row)) {
                claims.transfer(day, sequence, to.day, visit);
            }
        }
        Fact::MovedIn { row, .. } => claims.settle(row.patient, row.id, day, sequence, Visit::of(row)),
        Fact::MoveDropped { row, .. } => {
            claims.settle(row.patient, row.id, day, sequence, None);
            claims.freed(row.id, day, sequence);
        }
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
    // A move on its way in is as unsettled as before; another attempt after it, which was dropped with the state, claims nothing.
    if let Some((_, arrival)) = state.arrivals().find(|(_, arrival)| arrival.row.id == appointment) {
        if let Some(visit) = Visit::of(&arrival.row) {
            claims.arriving(day, visit);
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use booking_core::{Appointment, Date, DayVersion, DoctorId, MoveId, UtcMillis};
    use uuid::Uuid;

    use super::*;
    use crate::claims::{Claimed, Waiter, Wish};

    struct Nobody;

    impl Waiter for Nobody {
        fn settled(&self) {}
    }

    fn day(number: u128) -> DayKey {
        DayKey { doctor: DoctorId(Uuid::from_u128(number)), date: Date::from_days(21_915).expect("a date") }
    }

    fn row(start: i64) -> Appointment {
        Appointment {
            id: AppointmentId(Uuid::from_u128(7)),
            patient: PatientId(Uuid::from_u128(8)),
            start: UtcMillis(start),
            end: UtcMillis(start + 10),
            place: 0,
            status: Status::Booked,
            hold_expires_at: None,
            cancellation_reason: None,
            version: 2,
            created_at: UtcMillis(1),
            updated_at: UtcMillis(1),
        }
    }

    fn event(fact: Fact) -> Event {
        Event {
            at: UtcMillis(1),
            envelope: booking_core::Command::expire().envelope,
            fact,
            changes: Vec::new(),
            remembered: None,
        }
    }

    fn held(attempt: u128, start: i64) -> Event {
        event(Fact::MoveHeld { move_id: MoveId(Uuid::from_u128(attempt)), from: day(1), row: Box::new(row(start)) })
    }

    fn claim(claims: &Claims, sequence: u64, start: i64) {
        let wish = Wish { day: day(2), sequence, visit: Visit::of(&row(start)), key: None, now: UtcMillis(0) };
        let waiter: Arc<dyn Waiter> = Arc::new(Nobody);
        assert!(matches!(claims.claim(&wish, &waiter), Claimed::Granted));
    }

    #[test]
    fn a_second_attempt_that_was_dropped_with_the_end_of_the_first_leaves_no_claim() {
        let (claims, mut state) = (Claims::default(), DoctorDay::default());
        claim(&claims, 1, 100);
        state.apply(DayVersion { epoch: 1, sequence: 1 }, &held(1, 100));
        // On the tip the first attempt ends and the second is held: neither is written.
        claim(&claims, 3, 500);
        let row_of_first = Box::new(row(100));
        let end = Fact::MoveDropped { move_id: MoveId(Uuid::from_u128(1)), row: row_of_first };
        let dropped = [event(end.clone()), held(2, 500)];
        settle_dropped(&claims, day(2), &state, dropped.iter());
        assert_eq!(claims.visits(), 1, "the place that is kept");
        assert!(claims.is_pending(row(0).patient, row(0).id, day(2)));
        settle(&claims, day(2), 2, &event(end));
        assert_eq!(claims.visits(), 0, "the first attempt has ended, and the second never was");
    }
}
