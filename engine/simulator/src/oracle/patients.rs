//! When a patient is elsewhere: one live appointment a day, no overlap between days.
//! Must not know: places, keys.

use std::sync::Arc;

use booking_core::{Appointment, AppointmentId, DayKey, PatientId, UtcMillis};

use super::ask::Window;
use super::day::is_live;
use super::violation::{Violation, ensure};
use super::world::{Standing, World};

fn overlaps(row: &Appointment, start: UtcMillis, end: UtcMillis) -> bool {
    row.start < end && start < row.end
}

/// `row` is about to be live on `day` from `at` on: no other live appointment of its patient may stand in the way.
pub(super) fn check(world: &World, day: DayKey, row: &Appointment, at: UtcMillis) -> Result<(), Violation> {
    for id in world.of_patient(row.patient).filter(|id| *id != row.id) {
        let Some(other) = world.standing_at(id, u64::MAX).filter(|other| is_live(&other.row, at)) else { continue };
        ensure!(other.day != day, TwoLiveOnADay, "{id} of the same patient is live there when {} comes", row.id);
        let is_apart = !overlaps(&other.row, row.start, row.end);
        ensure!(is_apart, OverlappingVisits, "{} overlaps {id} of the same patient on {}", row.id, other.day);
    }
    Ok(())
}

/// Who may have kept a patient away from `[start, end)` of `day` at some instant of the window.
pub(super) fn in_the_way(
    world: &World,
    window: &Window,
    (patient, except): (PatientId, Option<AppointmentId>),
    day: DayKey,
    (start, end): (UtcMillis, UtcMillis),
) -> Vec<Arc<Appointment>> {
    let others = world.of_patient(patient).filter(|id| Some(*id) != except);
    let blocks = |standing: &&Standing| {
        standing.day != day && is_live(&standing.row, window.earliest()) && overlaps(&standing.row, start, end)
    };
    let seen = others.flat_map(|id| world.seen(id, &window.from, window.to_position).0);
    seen.filter(blocks).map(|standing| Arc::clone(&standing.row)).collect()
}
