//! How many places were surely taken, and how many perhaps, at each moment of a run: nothing oversold on the way, and
//! nobody refused while something was surely free. Pure.
//! Must not know: what is there afterwards.
//!
//! A place is *surely* taken from the answer that gave it until the request that gives it back is sent, and *perhaps*
//! taken from the request that asked for it until the answer that gave it back. A hold that nobody confirms gives its
//! place back by itself: surely taken until a margin before its end, perhaps taken until a margin after it. What has an
//! unknown outcome is perhaps taken for ever and never surely. Between the two bounds nothing can be said, and nothing is.

use std::collections::HashMap;

use uuid::Uuid;

use crate::outcome::NOT_RELEASED;
use crate::run::audit::lapse::{followers, lapse};
use crate::run::audit::{Evidence, Finding, found};
use crate::run::job::Done;
use crate::run::operation::{Answer, Operation, Place, Status};

/// Before the run, and after it.
const BEFORE: u64 = 0;
const NEVER: u64 = u64::MAX;

/// A slot of a day; `None`: the whole day.
type Where = (u32, Option<i64>);

/// Changes of one count over time.
#[derive(Debug, Default)]
struct Changes {
    surely: Vec<(u64, i64)>,
    perhaps: Vec<(u64, i64)>,
}

/// Checks a run; how many refusals were judged.
pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) -> u64 {
    let mut changes = changes(evidence);
    let mut capacity: HashMap<Where, u64> = HashMap::new();
    for (after, day) in evidence.days.iter().zip(0..) {
        for slot in &after.day.slots {
            capacity.insert((day, Some(slot.start_millis)), slot.capacity);
            *capacity.entry((day, None)).or_default() += slot.capacity;
        }
        capacity.entry((day, None)).and_modify(|all| *all = after.released.map_or(*all, |released| released.min(*all)));
    }
    let mut curves: HashMap<Where, Curve> = HashMap::new();
    for (place, changes) in changes.drain() {
        let capacity = capacity.get(&place).copied().unwrap_or(0);
        let surely = Curve::new(changes.surely);
        if surely.most(BEFORE, NEVER) > i64::try_from(capacity).unwrap_or(i64::MAX) {
            found(
                findings,
                "oversold_moment",
                format!("{place:?}: {} surely taken at once of {capacity}", surely.peak),
            );
        }
        curves.insert(place, Curve::new(changes.perhaps));
    }
    let mut judged = 0;
    for (done, code) in evidence.done.iter().filter_map(full_refusal) {
        judged += 1;
        let place = (done.day, done.wanted_start_millis.filter(|_| code == "slot_taken"));
        let (sent, ended) = (done.sent_micros.unwrap_or(BEFORE), done.ended_micros);
        let capacity = capacity.get(&place).copied().unwrap_or(0);
        let most = curves.get(&place).map_or(0, |curve| curve.most(sent, ended));
        if most < i64::try_from(capacity).unwrap_or(i64::MAX) {
            let detail = format!("patient {} was told {code}, at most {most} of {capacity} were taken", done.patient);
            found(findings, "refused_though_free", detail);
        }
    }
    judged + unreleased(evidence, findings)
}

/// A refusal that says that nothing is free.
fn full_refusal(done: &Done) -> Option<(&Done, &str)> {
    let Answer::Refused { code, .. } = &done.answer else { return None };
    matches!(code.as_ref(), "sold_out" | "slot_taken").then_some((done, code.as_ref()))
}

/// Who was told to the end that nothing is released, though the run begins after the release or waits for it.
fn unreleased(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) -> u64 {
    let refused = evidence.done.iter().filter(
        |done| matches!(&done.answer, Answer::Refused { code, .. } if code == NOT_RELEASED || code == "closed"),
    );
    let mut count = 0;
    for done in refused {
        count += 1;
        found(
            findings,
            "refused_though_released",
            format!("patient {} was told {}", done.patient, done.answer.label()),
        );
    }
    count
}

/// The changes of every count.
#[derive(Default)]
struct Counts {
    all: HashMap<Where, Changes>,
}

impl Counts {
    /// A place that is taken (`by` 1) or given back (`by` -1); `None`: that bound does not change.
    fn change(&mut self, place: &Place, surely_at: Option<u64>, perhaps_at: Option<u64>, by: i64) {
        for place in [(place.day, Some(place.start_millis)), (place.day, None)] {
            let changes = self.all.entry(place).or_default();
            changes.surely.extend(surely_at.map(|at| (at, by)));
            // Given back by the answer: at that instant it may still be taken.
            changes.perhaps.extend(perhaps_at.map(|at| (at.saturating_add(u64::from(by < 0)), by)));
        }
    }

    /// A place that an answer gave.
    fn take(
        &mut self,
        evidence: &Evidence<'_>,
        place: &Place,
        (sent, ended): (u64, u64),
        followers: &HashMap<Uuid, &Done>,
    ) {
        if place.status == Status::Booked {
            return self.change(place, Some(ended), Some(sent), 1);
        }
        let Some(lapse) = lapse(evidence, place) else {
            // It may lapse at an instant that nobody was told.
            return self.change(place, None, Some(sent), 1);
        };
        self.change(place, Some(ended), Some(sent), 1);
        let (kept_until, gone_from) = (Some(lapse.kept_until.max(ended)), Some(lapse.gone_from.max(sent)));
        match followers.get(&place.appointment).map(|done| (&done.answer, done.operation)) {
            // Confirmed: it did not lapse. Cancelled or moved: it is given back there.
            Some((Answer::Served(_), _)) => {}
            Some((answer, Operation::Confirm)) if answer.is_unknown() => self.change(place, kept_until, None, -1),
            Some((answer, _)) if answer.is_unknown() => self.change(place, None, gone_from, -1),
            _ => self.change(place, kept_until, gone_from, -1),
        }
    }

    /// Perhaps a place, of any slot of the day or of the one that was named, from `sent` on.
    fn take_somewhere(&mut self, evidence: &Evidence<'_>, done: &Done, sent: u64) {
        let wanted = done.wanted_start_millis;
        self.all.entry((done.day, None)).or_default().perhaps.push((sent, 1));
        let slots = evidence.days.get(done.day as usize).map_or(&[][..], |after| &after.day.slots);
        for slot in slots.iter().filter(|slot| wanted.is_none_or(|wanted| wanted == slot.start_millis)) {
            self.all.entry((done.day, Some(slot.start_millis))).or_default().perhaps.push((sent, 1));
        }
    }
}

fn changes(evidence: &Evidence<'_>) -> HashMap<Where, Changes> {
    let mut counts = Counts::default();
    let followers = followers(evidence);
    for place in evidence.presold {
        counts.change(place, Some(BEFORE), Some(BEFORE), 1);
    }
    for done in evidence.done.iter().filter(|done| !done.operation.only_reads()) {
        let Some(sent) = done.sent_micros else { continue };
        let ended = done.ended_micros;
        match (&done.answer, done.subject) {
            (Answer::Served(Some(place)), Some(before)) if same_place(place, &before) => {
                // Confirmed: from now on it cannot lapse.
                let confirmed = before.status == Status::Held && place.status == Status::Booked;
                if confirmed && lapse(evidence, &before).is_none() {
                    counts.change(place, Some(ended), None, 1);
                }
                if place.status == Status::Cancelled {
                    counts.change(&before, Some(sent), Some(ended), -1);
                }
            }
            (Answer::Served(Some(place)), before) => {
                counts.take(evidence, place, (sent, ended), &followers);
                if let Some(before) = before {
                    counts.change(&before, Some(sent), Some(ended), -1);
                }
            }
            (answer, subject) if answer.is_unknown() => {
                if done.operation.takes_new_place() || done.operation == Operation::Move {
                    counts.take_somewhere(evidence, done, sent);
                }
                if let Some(before) = subject.filter(|_| done.operation != Operation::Confirm) {
                    let lapses = lapse(evidence, &before).map_or(NEVER, |lapse| lapse.kept_until);
                    counts.change(&before, Some(sent.min(lapses)), None, -1);
                }
            }
            _ => {}
        }
    }
    counts.all
}

const fn same_place(one: &Place, other: &Place) -> bool {
    one.day == other.day && one.start_millis == other.start_millis
}

/// A count over time, asked for its maximum in an interval.
#[derive(Debug, Default)]
struct Curve {
    /// Instants of change, rising.
    at: Vec<u64>,
    /// Maxima over runs of two to the power of the row, so that an interval takes two look-ups.
    rows: Vec<Vec<i64>>,
    /// The maximum of all.
    peak: i64,
}

impl Curve {
    fn new(mut changes: Vec<(u64, i64)>) -> Self {
        changes.sort_unstable();
        let (mut at, mut counts): (Vec<u64>, Vec<i64>) = (Vec::new(), Vec::new());
        let mut count = 0;
        for (instant, by) in changes {
            count += by;
            if at.last() == Some(&instant) {
                counts.pop();
                at.pop();
            }
            at.push(instant);
            counts.push(count);
        }
        let peak = counts.iter().copied().max().unwrap_or(0);
        let mut rows = vec![counts];
        let mut width = 1;
        while rows.last().is_some_and(|row| row.len() > width) {
            let last = &rows[rows.len() - 1];
            rows.push(last.iter().zip(&last[width..]).map(|(one, other)| *one.max(other)).collect());
            width *= 2;
        }
        Self { at, rows, peak }
    }

    /// The largest count at any moment from `from` to `to`.
    fn most(&self, from: u64, to: u64) -> i64 {
        // The change at or before `from` is in force at `from`; before the first the count is 0.
        let end = self.at.partition_point(|at| *at <= to);
        let begin = self.at.partition_point(|at| *at <= from);
        let at_first = if begin == 0 { 0 } else { self.rows[0][begin - 1] };
        let length = end.saturating_sub(begin);
        if length == 0 {
            return at_first;
        }
        let row = length.ilog2() as usize;
        at_first.max(self.rows[row][begin]).max(self.rows[row][end - (1 << row)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_tells_the_maximum_of_any_interval() {
        let changes = vec![(10, 1), (20, 1), (30, -1), (30, -1), (40, 1), (50, 1), (60, 1), (70, -1)];
        let counts = [(0, 0), (10, 1), (20, 2), (30, 0), (40, 1), (50, 2), (60, 3), (70, 2)];
        let curve = Curve::new(changes);
        let count_at = |micros: u64| counts.iter().rev().find(|(at, _)| *at <= micros).unwrap().1;
        for from in 0..80 {
            for to in from..80 {
                let expected = (from..=to).map(count_at).max().unwrap();
                assert_eq!(curve.most(from, to), expected, "{from}..={to}");
            }
        }
        assert_eq!(curve.peak, 3);
        assert_eq!(Curve::new(vec![]).most(0, 9), 0);
    }
}
