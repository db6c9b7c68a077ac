//! The index as it was when the last process ended: from the ledger, once that has everything the journal has, before any day is
//! asked.
//! Must not know: SQL, how the index is kept.
//!
//! A place that is kept for a move has no row and so no claim: the process that could have committed the move is gone. If it had
//! committed, the row is on the new day already.

use booking_core::UtcMillis;

use super::{Claims, Visit};
use crate::journal::ReadError;
use crate::ledger::overlay::Overlay;
use crate::ledger::won_keys::{LiveAppointment, oldest_date};
use crate::ledger::{Ledger, PlacedAppointment};
use crate::ownership::ShardSet;
use crate::waiting::Waiting;

/// Fills `claims` with what `ledger` knows of days of `shards` at `now`, and the overlay of days that the ledger does not take.
pub async fn restore(
    claims: &Claims,
    ledger: &dyn Ledger,
    overlay: &Overlay,
    shards: &ShardSet,
    now: UtcMillis,
) -> Result<(), ReadError> {
    let _waiting = Waiting::begin("restoring claims", None);
    // At once: each has a connection of its own, and so a thread.
    tokio::try_join!(restore_visits(claims, ledger, overlay, shards, now), restore_keys(claims, ledger, shards, now))?;
    tracing::info!(visits = claims.visits(), keys = claims.keys(), "claims are restored");
    Ok(())
}

async fn restore_visits(
    claims: &Claims,
    ledger: &dyn Ledger,
    overlay: &Overlay,
    shards: &ShardSet,
    now: UtcMillis,
) -> Result<(), ReadError> {
    let mut restore_row = |live: LiveAppointment| {
        let visit = Visit {
            patient: live.patient,
            appointment: live.id,
            start: live.start,
            end: live.end,
            hold_expires_at: live.hold_expires_at,
        };
        claims.restore_visit(live.day, visit);
    };
    ledger.live_appointments(shards, now, &mut restore_row).await?;
    // Only days that the ledger does not take: few, and each a defect.
    for told in overlay.newest() {
        let known = ledger.appointment(told.appointment.id).await?;
        restore_newest(claims, told, known, now);
    }
    Ok(())
}

async fn restore_keys(
    claims: &Claims,
    ledger: &dyn Ledger,
    shards: &ShardSet,
    now: UtcMillis,
) -> Result<(), ReadError> {
    let Some(from) = oldest_date(now) else { return Ok(()) };
    ledger.won_keys(shards, from, &mut |digest, day, until| claims.restore_key(digest, day, until)).await
}

/// The newer of what the overlay and the ledger say of one appointment.
fn restore_newest(claims: &Claims, told: PlacedAppointment, known: Option<PlacedAppointment>, now: UtcMillis) {
    for placed in known.iter().chain([&told]) {
        claims.settle(placed.appointment.patient, placed.appointment.id, placed.day, u64::MAX, None);
    }
    let newest = known.filter(|known| known.appointment.version > told.appointment.version).unwrap_or(told);
    if let Some(visit) = Visit::of(&newest.appointment).filter(|visit| visit.end > now) {
        claims.restore_visit(newest.day, visit);
    }
}
