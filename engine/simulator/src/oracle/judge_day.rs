//! Publications and closes, and the picture of a day.
//! Must not know: appointments' own calls.

use std::collections::BTreeMap;

use booking_core::{Answer, DayKey, DayState as Shown, DayVersion, Fact, Precondition, Rejection, UtcMillis};
use engine::view::{Caller, DayReply, DayView, PublishRequest};

use super::day::{Counts, DayState, is_due};
use super::judge::{Finding, Judge, Outcome};
use super::offer::Who;
use super::violation::{Kind, Violation, ensure};

/// How far the slots of one date can reach into another.
const REACH_DAYS: i32 = 2;

impl Judge<'_> {
    pub(super) fn published(&self, asked: &PublishRequest, reply: &DayReply) -> Result<Finding, Violation> {
        ensure!(!reply.replayed, ReplayDiffers, "a publication is told again");
        let (position, state) = self.version_of(asked.day, reply.version)?;
        let record = self.oracle.world.record(position);
        let is_as_asked = state.offer.definition == asked.definition;
        ensure!(is_as_asked, ReplyDiffers, "version {:?} has another definition", reply.version);
        let is_own = record.is_some_and(|record| {
            let is_it = record.event.envelope.request == asked.caller.envelope.request;
            is_it && matches!(record.event.fact, Fact::Published(_))
        });
        let is_first = is_own && reply.version.sequence == 1;
        ensure!(reply.created == is_first, ReplyDiffers, "created: {} at {:?}", reply.created, reply.version);
        let shown = self.picture(&reply.view, asked.day)?;
        ensure!(shown >= position, StaleRead, "the view is older than the version {:?}", reply.version);
        Ok(Finding { shown: vec![position, shown], ..Finding::success(position, false) })
    }

    pub(super) fn not_published(&self, asked: &PublishRequest, told: &Rejection) -> Result<Finding, Violation> {
        if let Rejection::OverlapsOtherDay { date } = told {
            self.check_overlap(asked, DayKey { date: *date, ..asked.day })?;
            return Ok(Finding::refused());
        }
        let from = self.window.from.of(asked.day);
        let mut outcomes = Vec::new();
        for state in self.oracle.world.states(asked.day, from, self.window.to_position) {
            let Some(state) = state else {
                let is_met = asked.precondition.is_none();
                outcomes.push(if is_met { Ok(()) } else { Err(Rejection::PreconditionFailed) });
                continue;
            };
            for at in super::seek::instants(state, self.window.earliest(), self.window.latest()) {
                outcomes.push(amendment(asked, state, at));
            }
        }
        self.refusal(told, None, &[], &outcomes)
    }

    fn check_overlap(&self, asked: &PublishRequest, other: DayKey) -> Result<(), Violation> {
        let from = self.window.from.of(other);
        let states = self.oracle.world.states(other, from, self.window.to_position);
        let is_near = (other.date.days() - asked.day.date.days()).abs() <= REACH_DAYS && other != asked.day;
        let overlaps = |state: &DayState| {
            let slots = &state.offer.definition.slots;
            slots.iter().any(|one| asked.definition.slots.iter().any(|two| one.start < two.end && two.start < one.end))
        };
        let is_right = is_near && states.into_iter().flatten().any(|state| overlaps(state));
        ensure!(is_right, RefusalWrong, "refused because of {other}, which does not overlap");
        Ok(())
    }

    pub(super) fn closed(&self, day: DayKey, caller: &Caller, reply: &DayReply) -> Result<Finding, Violation> {
        let key = caller.key.as_ref();
        let is_first = |won: &super::keys::Won| match &won.answer {
            Answer::Closed { version, at } => {
                *version == reply.version && won.day == day && (!reply.replayed || *at == reply.view.now)
            }
            Answer::Appointment(_) | Answer::Moved { .. } => false,
        };
        let shown = self.picture(&reply.view, day)?;
        if let Some(replay) = self.check_key(key, reply.replayed, is_first)? {
            return Ok(replay);
        }
        let (position, state) = self.version_of(day, reply.version)?;
        ensure!(state.is_closed, ReplyDiffers, "told as closed at {:?}, and is not", reply.version);
        ensure!(!reply.created && shown >= position, StaleRead, "the view is older than {:?}", reply.version);
        Ok(Finding { shown: vec![position, shown], ..Finding::success(position, false) })
    }

    pub(super) fn not_closed(&self, day: DayKey, caller: &Caller, told: &Rejection) -> Result<Finding, Violation> {
        let outcomes = self.existence(day);
        self.refusal(told, caller.key.as_ref(), &[day], &outcomes)
    }

    pub(super) fn seen_day(&self, day: DayKey, view: &DayView) -> Result<Finding, Violation> {
        self.check_now(view.now)?;
        let position = self.picture(view, day)?;
        let state = self.oracle.world.day_at(day, position);
        let due = state.and_then(|state| state.rows.values().find(|row| is_due(row, self.window.earliest())));
        ensure!(due.is_none(), DueHoldTold, "a hold is counted as held after its end: {due:?}");
        Ok(Finding::read(vec![position]))
    }

    pub(super) fn not_seen_day(&self, day: DayKey, told: &Rejection) -> Result<Finding, Violation> {
        self.refusal(told, None, &[], &self.existence(day))
    }

    /// Whether the day was there, at each state of the window.
    fn existence(&self, day: DayKey) -> Vec<Outcome> {
        let states = self.oracle.world.states(day, self.window.from.of(day), self.window.to_position);
        states.into_iter().map(|state| state.map(|_| ()).ok_or(Rejection::UnknownDay)).collect()
    }

    /// The record that left the day at this version, if it may have been seen, and the state after it.
    fn version_of(&self, day: DayKey, version: DayVersion) -> Result<(u64, &DayState), Violation> {
        let world = &self.oracle.world;
        let known = world.position_of(day, version).filter(|position| *position <= self.window.to_position);
        let Some((position, state)) = known.and_then(|position| Some((position, world.day_at(day, position)?))) else {
            let text = format!("version {version:?} of {day} is told and not recorded");
            return Err(Violation::new(Kind::ReplyBeforeDurable, text));
        };
        let floor = self.window.from.of(day);
        let is_fresh = world.next_of(day, position).is_none_or(|next| next > floor);
        ensure!(is_fresh, StaleRead, "{day} is told as of position {position}, and {floor} was known");
        Ok((position, state))
    }

    /// The position that `view` shows: everything in it is as the records say.
    fn picture(&self, view: &DayView, day: DayKey) -> Result<u64, Violation> {
        let (shown, now) = (&view.snapshot, view.now);
        let (position, state) = self.version_of(day, shown.version())?;
        let is_it = view.day == day && *shown.definition() == state.offer.definition;
        ensure!(is_it, ReplyDiffers, "the picture of {day} has another definition");
        ensure!(shown.is_closed_by_hand() == state.is_closed, ReplyDiffers, "closed or not: not as recorded");
        let mut remaining = 0;
        for slot in 0..state.slots() {
            let told = shown.counts_at(slot, now);
            let counts = Counts { free: told.free, withheld: told.withheld, held: told.held, booked: told.booked };
            let expected = state.counts(slot, now);
            ensure!(counts == expected, ReplyDiffers, "slot {slot} of {day}: {counts:?} told, {expected:?} recorded");
            let sum = told.free + told.withheld + told.held + told.booked;
            let capacity = state.offer.capacity(slot);
            ensure!(sum == capacity, ReplyDiffers, "slot {slot} of {day} adds up to {sum}, not {capacity}");
            remaining += u64::from(expected.free);
        }
        ensure!(shown.remaining_in_all_at(now) == remaining, ReplyDiffers, "{remaining} remain on {day}");
        let told = shown.state_at(now);
        let expected = state_at(state, now);
        ensure!(told == expected, ReplyDiffers, "{day} is told as {told:?}, not {expected:?}");
        let releases = state.offer.definition.releases.iter().map(|release| release.at);
        let next = releases.filter(|at| *at > now).min();
        ensure!(shown.next_release_after(now) == next, ReplyDiffers, "the next release of {day} is {next:?}");
        Ok(position)
    }
}

/// What the contract calls the day at `now`.
fn state_at(state: &DayState, now: UtcMillis) -> Shown {
    if state.is_over(now) {
        return Shown::Closed;
    }
    if state.offer.definition.releases.iter().all(|release| release.at > now) {
        return Shown::Scheduled;
    }
    let is_free = |slot: &usize| {
        let untaken = state.untaken(*slot, UtcMillis(i64::MIN));
        let mut open = untaken.into_iter().filter(|place| state.offer.is_open(*slot, *place, Who::Anybody, now));
        state.start(*slot) > now && open.next().is_some()
    };
    if (0..state.slots()).any(|slot| is_free(&slot)) { Shown::Open } else { Shown::SoldOut }
}

/// What the rules say to another definition.
fn amendment(asked: &PublishRequest, state: &DayState, at: UtcMillis) -> Outcome {
    let is_met = match asked.precondition {
        None | Some(Precondition::Exists) => true,
        Some(Precondition::Version(version)) => version == state.version,
        Some(Precondition::Never) => false,
    };
    if !is_met {
        return Err(Rejection::PreconditionFailed);
    }
    if state.offer.definition == asked.definition {
        return Ok(());
    }
    if state.is_closed {
        return Err(Rejection::Closed);
    }
    let mut taken: BTreeMap<UtcMillis, (UtcMillis, u32)> = BTreeMap::new();
    for row in state.seated().filter(|row| !is_due(row, at)) {
        taken.entry(row.start).or_insert((row.end, 0)).1 += 1;
    }
    for (start, (end, count)) in taken {
        let mut slots = asked.definition.slots.iter();
        if !slots.any(|slot| slot.start == start && slot.end == end && slot.capacity >= count) {
            return Err(Rejection::SlotHasBookings { start });
        }
    }
    Ok(())
}
