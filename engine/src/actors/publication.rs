//! What leaves a day once events are durable, and in which order: read overlay, won keys, picture, timer, applier, answers
//! (`protocols.md` rules 1 and 2).
//! Must not know: the rules, undurable state.

use std::sync::Arc;

use booking_core::{DoctorDay, Event, Fact, RememberedKey, SubjectId, UtcMillis};

use super::day::DayPorts;
use super::entry::{DayEntry, Published};
use crate::ledger::overlay::OverlayEntry;

/// Publishes `durable`, which has just had `events` (with their positions) applied. After this returns, answers may leave.
pub fn publish(ports: &DayPorts, entry: &DayEntry, durable: &DoctorDay, events: &[(Arc<Event>, u64)]) {
    let time_zone = zone_of(entry, durable, events);
    let mut overlay = Vec::new();
    let mut keys = Vec::new();
    for (event, position) in events {
        overlay.extend(OverlayEntry::of_event(entry.day(), &time_zone, event, *position));
        keys.extend(won_key(durable, event));
        count_expiries(ports, event);
    }
    if !overlay.is_empty() {
        ports.overlay.publish(overlay);
    }
    if !keys.is_empty() {
        entry.add_won(keys.into_iter());
    }
    publish_picture(ports, entry, durable, time_zone, UtcMillis(i64::MIN));
    if let Some((_, position)) = events.last() {
        (ports.on_durable)(*position);
    }
}

/// Publishes `durable` whole, as after a load: all won keys, the picture, the timer (not before `not_before`, so that a failing store
/// is not asked in a tight loop).
pub fn publish_loaded(ports: &DayPorts, entry: &DayEntry, durable: &DoctorDay, not_before: UtcMillis) {
    entry.reset_won(durable);
    let time_zone = durable.definition().map_or_else(|| Arc::from(""), |definition| Arc::from(&*definition.time_zone));
    publish_picture(ports, entry, durable, time_zone, not_before);
    ports.notices.published(entry.day());
}

fn publish_picture(
    ports: &DayPorts,
    entry: &DayEntry,
    durable: &DoctorDay,
    time_zone: Arc<str>,
    not_before: UtcMillis,
) {
    let next_expiry = durable.next_hold_expiry().map(|at| at.max(not_before));
    entry.publish(match durable.snapshot() {
        Some(snapshot) => Published::Present { snapshot: Arc::new(snapshot), time_zone },
        None => Published::Absent,
    });
    if let Some(at) = next_expiry {
        ports.deadlines.arm(entry.day(), at);
    }
}

/// The zone of the definition, shared with the last picture while it is the same.
fn zone_of(entry: &DayEntry, durable: &DoctorDay, events: &[(Arc<Event>, u64)]) -> Arc<str> {
    let amended = events.iter().any(|(event, _)| matches!(event.fact, Fact::Published(_)));
    match &**entry.published_guard() {
        Published::Present { time_zone, .. } if !amended => Arc::clone(time_zone),
        _ => durable.definition().map_or_else(|| Arc::from(""), |definition| Arc::from(&*definition.time_zone)),
    }
}

/// The remembered key of a durable event, as the state has it (its answer names the version it was given).
fn won_key(durable: &DoctorDay, event: &Event) -> Option<(SubjectId, RememberedKey)> {
    let (key, _) = event.remembered.as_ref()?;
    let known = durable.remembered_key(key.subject, &key.key)?;
    Some((key.subject, known.clone()))
}

fn count_expiries(ports: &DayPorts, event: &Event) {
    let expired = event.changes.iter().filter(|change| change.row.status == booking_core::Status::Expired).count();
    if expired > 0 {
        ports.metrics.expiries.increment(expired as u64);
    }
}
