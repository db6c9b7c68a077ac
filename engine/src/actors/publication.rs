//! What leaves a day once events are durable, and in which order: read overlay, claims, won keys, picture, timer, applier, answers
//! (`protocols.md` rules 1 and 2).
//! Must not know: the rules, undurable state.

use std::sync::Arc;

use booking_core::{DoctorDay, Event, Fact, RememberedKey, Status, SubjectId, UtcMillis, planted};

use super::entry::{DayEntry, Published};
use super::ports::DayPorts;
use super::settlement;
use crate::ledger::overlay::OverlayEntry;

/// An event that is durable.
pub struct DurableEvent<'record> {
    /// What happened.
    pub event: &'record Event,
    /// Its number in the day's log.
    pub sequence: u64,
    /// Its position in the journal.
    pub position: u64,
}

/// Publishes `durable`, which has just had `events` applied. After this returns, answers may leave.
pub fn publish(ports: &DayPorts, entry: &DayEntry, durable: &DoctorDay, events: &[DurableEvent<'_>]) {
    let time_zone = zone_of(entry, durable, events);
    entry.activity().recorded(events.len());
    let mut overlay = Vec::new();
    let mut keys = Vec::new();
    for DurableEvent { event, position, .. } in events {
        overlay.extend(OverlayEntry::of_event(entry.day(), &time_zone, event, *position));
        keys.extend(won_key(durable, event));
        count_holds(ports, event);
    }
    if planted!(OverlayLosesChanges) && overlay.len() > 1 {
        overlay.drain(..overlay.len() - 1);
    }
    // Whoever sees a change in the overlay is not answered before the picture shows it too.
    let publication = (!overlay.is_empty()).then(|| ports.overlay.publication(entry.day()));
    if !overlay.is_empty() {
        ports.overlay.publish(overlay);
    }
    crash_point!(DayOverlayPublished);
    for DurableEvent { event, sequence, .. } in events {
        settlement::settle(&ports.claims, entry.day(), *sequence, event);
        forget_visit_elsewhere(ports, event);
    }
    crash_point!(DayClaimsSettled);
    if !keys.is_empty() {
        entry.add_won(keys.into_iter());
    }
    crash_point!(DayKeysWon);
    publish_picture(ports, entry, durable, time_zone, UtcMillis(i64::MIN));
    crash_point!(DayPicturePublished);
    drop(publication);
}

/// A visit that has left for a day of another node is that node's to know: what becomes of it there is not heard of here, so it
/// would keep its patient busy for ever.
fn forget_visit_elsewhere(ports: &DayPorts, event: &Event) {
    if let (Some(to), Some(change)) = (event.moved_to(), event.changes.last())
        && !ports.territory.is_here(to.day)
    {
        ports.claims.settle(change.row.patient, change.row.id, to.day, u64::MAX, None);
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
    let next_work = durable.next_work_at().map(|at| at.max(not_before));
    entry.publish(match durable.snapshot() {
        Some(snapshot) => Published::Present { snapshot: Arc::new(snapshot), time_zone },
        None => Published::Absent,
    });
    if let Some(at) = next_work {
        ports.deadlines.arm(entry.day(), at);
    }
}

/// The zone of the definition, shared with the last picture while it is the same.
fn zone_of(entry: &DayEntry, durable: &DoctorDay, events: &[DurableEvent<'_>]) -> Arc<str> {
    let amended = events.iter().any(|durable| matches!(durable.event.fact, Fact::Published(_)));
    match &**entry.published_guard() {
        Published::Present { time_zone, .. } if !amended => Arc::clone(time_zone),
        _ => durable.definition().map_or_else(|| Arc::from(""), |definition| Arc::from(&*definition.time_zone)),
    }
}

/// The remembered key of a durable event, as the state has it (its answer names the version it was given).
fn won_key(durable: &DoctorDay, event: &Event) -> Option<(SubjectId, Arc<RememberedKey>)> {
    let (key, _) = event.remembered.as_ref()?;
    let known = durable.remembered_key(key.subject, &key.key)?;
    Some((key.subject, Arc::clone(known)))
}

fn count_holds(ports: &DayPorts, event: &Event) {
    let expired = event.changes.iter().filter(|change| change.row.status == Status::Expired).count();
    if expired > 0 {
        ports.metrics.expiries.increment(expired as u64);
    }
    match event.fact {
        Fact::Taken if event.changes.last().is_some_and(|change| change.row.status == Status::Held) => {
            ports.metrics.holds_placed.increment(1);
        }
        Fact::Confirmed => ports.metrics.holds_confirmed.increment(1),
        _ => {}
    }
}
