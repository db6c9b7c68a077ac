//! What the rules answer to a wish for a place, of one state at one instant: the contract's order of refusals, told naively.
//! Must not know: where else the patient is, which instants come into question.

use booking_core::{Rejection, UtcMillis};

use super::day::DayState;
use super::offer::Who;

/// The slots that would do, earliest first, or why there is none.
pub(super) fn slots(
    state: &DayState,
    start: Option<UtcMillis>,
    audiences: &[Box<str>],
    at: UtcMillis,
) -> Result<Vec<usize>, Rejection> {
    let who = Who::Holder(audiences);
    let named = start.map(|start| state.offer.slot_at(start));
    let has_begun = |slot: usize| state.start(slot) <= at;
    if state.is_over(at) || named.flatten().is_some_and(has_begun) {
        return Err(Rejection::Closed);
    }
    let releases = state.offer.definition.releases.iter().filter(|release| who.is_admitted(release));
    match releases.map(|release| release.at).min() {
        None => return Err(Rejection::SoldOut),
        Some(release_at) if release_at > at => return Err(Rejection::NotReleased { release_at }),
        Some(_) => {}
    }
    match named {
        Some(None) => Err(Rejection::UnknownSlot),
        Some(Some(slot)) if state.pick(slot, who, at).is_some() => Ok(vec![slot]),
        Some(Some(slot)) => {
            let untaken = state.untaken(slot, at).into_iter();
            let later = untaken.filter_map(|place| state.offer.opens(slot, place, who)).min();
            Err(later.map_or(Rejection::SlotTaken, |release_at| Rejection::NotReleased { release_at }))
        }
        None => {
            let to_come = (0..state.slots()).filter(|slot| !has_begun(*slot));
            let found: Vec<usize> = to_come.filter(|slot| state.pick(*slot, who, at).is_some()).collect();
            if found.is_empty() { Err(Rejection::SoldOut) } else { Ok(found) }
        }
    }
}

/// The instants from `from` to `to` at which the state can say something new: the first, and each at which a release opens, a
/// slot begins or ends, or a hold falls due.
pub(super) fn instants(state: &DayState, from: UtcMillis, to: UtcMillis) -> Vec<UtcMillis> {
    let definition = &state.offer.definition;
    let slots = definition.slots.iter().flat_map(|slot| [slot.start, slot.end]);
    let releases = definition.releases.iter().map(|release| release.at);
    let holds = state.rows.values().filter_map(|row| row.hold_expires_at);
    let mut instants: Vec<UtcMillis> =
        slots.chain(releases).chain(holds).filter(|at| *at > from && *at <= to).collect();
    instants.push(from);
    instants.sort_unstable();
    instants.dedup();
    instants
}
