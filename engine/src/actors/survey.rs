//! What the days in memory are up to, looked at once a second: the hottest of them, and sums over all.
//! Must not know: who asks for it, what a day decides.
//!
//! Memory is bounded by the days awake, whose counters lie in their own entries; of the rest nothing is kept.

use std::cmp::Ordering;
use std::sync::Arc;

use booking_core::{DayKey, DaySnapshot, PlaceTotals, UtcMillis};
use foldhash::HashMap;

use super::activity::Rates;
use super::entry::{DayEntry, Published};

/// How many of the hottest days are known: what fits on a screen.
pub const HOTTEST_MAX: usize = 20;

/// A day belongs to the release minute from so long before one of its releases until so long after.
const RELEASE_WINDOW_MILLIS: i64 = 15 * 60 * 1_000;

/// Most releases of sleeping days that are remembered: those of a day's mornings of a large group of practices. Past it only days that
/// are awake are known, as they are when somebody waits for them.
const UPCOMING_MAX: usize = 4_096;

/// Releases to come of days that have gone to sleep, so that a countdown does not end because nobody looks.
#[derive(Debug, Default)]
pub(super) struct Upcoming(HashMap<DayKey, UtcMillis>);

impl Upcoming {
    /// The day of `entry` goes to sleep at `now`.
    pub(super) fn slept(&mut self, entry: &DayEntry, now: UtcMillis) {
        let Published::Present { snapshot, .. } = &**entry.published_guard() else { return };
        if let Some(at) = snapshot.next_release_after(now).filter(|_| self.0.len() < UPCOMING_MAX) {
            self.0.insert(entry.day(), at);
        }
    }

    /// `day` is awake again, or gone: it speaks for itself.
    pub(super) fn forget(&mut self, day: DayKey) {
        self.0.remove(&day);
    }

    /// The earliest after `now`; what has passed is forgotten.
    fn earliest(&mut self, now: UtcMillis) -> Option<UtcMillis> {
        self.0.retain(|_, at| *at > now);
        self.0.values().min().copied()
    }
}

/// One of the hottest days.
#[derive(Clone, Debug)]
pub struct HotDay {
    /// Which.
    pub day: DayKey,
    /// What it is asked.
    pub rates: Rates,
    /// Commands that wait for it.
    pub queued: usize,
    /// Its durable picture, if it is published.
    pub snapshot: Option<Arc<DaySnapshot>>,
}

/// What one look has found.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// When; `None` if nobody has looked yet.
    pub at: Option<UtcMillis>,
    /// The hottest days, hottest first.
    pub hottest: Vec<HotDay>,
    /// Of all days awake.
    pub rates: Rates,
    /// Commands that wait for the day with most of them.
    pub queued_max: usize,
    /// Places of days that are not over.
    pub places: PlaceTotals,
    /// Of those with a release nearby.
    pub release_places: PlaceTotals,
    /// How many those are.
    pub release_days: usize,
    /// The next release of all.
    pub next_release: Option<UtcMillis>,
    /// The last release that has passed.
    pub last_release: Option<UtcMillis>,
}

impl Survey {
    /// Looks at `entries`, `seconds` after the last look.
    pub(super) fn look<'e>(
        entries: impl Iterator<Item = &'e Arc<DayEntry>>,
        asleep: &mut Upcoming,
        now: UtcMillis,
        seconds: f32,
    ) -> Self {
        let mut survey = Self { at: Some(now), next_release: asleep.earliest(now), ..Self::default() };
        for entry in entries {
            let rates = entry.activity().look(seconds);
            let queued = entry.intake().waiting();
            survey.rates.commands += rates.commands;
            survey.rates.reads += rates.reads;
            survey.rates.records += rates.records;
            survey.queued_max = survey.queued_max.max(queued);
            let snapshot = match &**entry.published_guard() {
                Published::Present { snapshot, .. } => Some(Arc::clone(snapshot)),
                Published::Absent | Published::Loading => None,
            };
            if let Some(snapshot) = &snapshot {
                survey.count_places(snapshot, now);
            }
            if rates.requests() > 0.0 || queued > 0 {
                survey.offer(HotDay { day: entry.day(), rates, queued, snapshot });
            }
        }
        survey
    }

    fn count_places(&mut self, snapshot: &DaySnapshot, now: UtcMillis) {
        let definition = snapshot.definition();
        if definition.slots.last().is_none_or(|slot| slot.start <= now) {
            return;
        }
        let totals = snapshot.totals_at(now);
        self.places.add(totals);
        let next = snapshot.next_release_after(now);
        let passed = definition.releases.partition_point(|release| release.at <= now);
        let last = passed.checked_sub(1).and_then(|last| definition.releases.get(last)).map(|release| release.at);
        self.next_release = self.next_release.into_iter().chain(next).min();
        self.last_release = self.last_release.into_iter().chain(last).max();
        let is_near = |at: UtcMillis| at.millis_since(now).saturating_abs() <= RELEASE_WINDOW_MILLIS;
        if next.into_iter().chain(last).any(is_near) {
            self.release_days += 1;
            self.release_places.add(totals);
        }
    }

    /// Keeps `hot` if it is one of the hottest so far.
    fn offer(&mut self, hot: HotDay) {
        let place = self.hottest.partition_point(|other| hotter(other, &hot) == Ordering::Less);
        if place < HOTTEST_MAX {
            self.hottest.insert(place, hot);
            self.hottest.truncate(HOTTEST_MAX);
        }
    }
}

/// The hotter first; of two that are equal always the same.
fn hotter(one: &HotDay, other: &HotDay) -> Ordering {
    let by_rate = other.rates.requests().total_cmp(&one.rates.requests());
    by_rate.then(other.queued.cmp(&one.queued)).then(one.day.cmp(&other.day))
}

#[cfg(test)]
mod tests {
    use booking_core::{Date, DayDefinition, DayVersion, DoctorDay, DoctorId, Event, Fact, Release, SlotDefinition};
    use uuid::Uuid;

    use super::*;
    use crate::actors::publications::Publications;

    fn entries(count: u32) -> Vec<Arc<DayEntry>> {
        let publications = Arc::new(Publications::starting_at(0, Box::new(|_| {})));
        let date = Date::from_days(20_000).expect("a date");
        let day = |number: u32| DayKey { doctor: DoctorId(Uuid::from_u128(number.into())), date };
        (0..count).map(|number| Arc::new(DayEntry::new(day(number), &publications, UtcMillis(0)))).collect()
    }

    #[test]
    fn the_hottest_are_known_in_order_and_no_more_than_a_screenful() {
        let entries = entries(1_000);
        for (number, entry) in entries.iter().enumerate() {
            (0..(number * 7) % 1_000).for_each(|_| entry.activity().asked());
        }
        let survey = Survey::look(entries.iter(), &mut Upcoming::default(), UtcMillis(5), 1.0);
        assert_eq!(survey.hottest.len(), HOTTEST_MAX);
        let rates: Vec<f32> = survey.hottest.iter().map(|hot| hot.rates.commands).collect();
        assert!(rates.is_sorted_by(|one, other| one >= other), "{rates:?}");
        let hottest = entries.iter().map(|entry| entry.activity().look(0.0).commands).fold(0.0, f32::max);
        assert_eq!(rates[0], hottest);
        assert!(survey.rates.commands > 999.0 / 2.0, "all days count");
    }

    #[test]
    fn days_that_nobody_asks_are_not_named() {
        assert!(Survey::look(entries(10).iter(), &mut Upcoming::default(), UtcMillis(5), 1.0).hottest.is_empty());
    }

    #[test]
    fn a_release_is_not_forgotten_because_its_day_sleeps() {
        let (entries, mut upcoming) = (entries(1), Upcoming::default());
        let entry = &entries[0];
        let slot =
            SlotDefinition { start: UtcMillis(90_000), end: UtcMillis(99_000), capacity: 3, utc_offset_seconds: 0 };
        let release = Release { at: UtcMillis(60_000), places: None, audience: None };
        let definition = DayDefinition::validate("UTC".into(), "".into(), vec![slot], vec![release]).expect("good");
        let mut day = DoctorDay::default();
        let fact = Fact::Published(Arc::new(definition));
        let envelope = booking_core::Command::expire().envelope;
        let event = Event { at: UtcMillis(1), envelope, fact, changes: Vec::new(), remembered: None };
        day.apply(DayVersion { epoch: 1, sequence: 1 }, &event);
        let snapshot = Arc::new(day.snapshot().expect("published"));
        entry.publish(Published::Present { snapshot, time_zone: "UTC".into() });
        let look = |upcoming: &mut Upcoming, awake: &[Arc<DayEntry>], now| {
            Survey::look(awake.iter(), upcoming, UtcMillis(now), 1.0)
        };
        let awake = look(&mut upcoming, std::slice::from_ref(entry), 5);
        assert_eq!((awake.next_release, awake.release_days), (Some(UtcMillis(60_000)), 1));
        assert_eq!((awake.release_places.withheld, awake.places.capacity()), (3, 3));
        upcoming.slept(entry, UtcMillis(5));
        assert_eq!(look(&mut upcoming, &[], 6).next_release, Some(UtcMillis(60_000)));
        assert_eq!(look(&mut upcoming, &[], 60_000).next_release, None, "it has passed");
        let after = look(&mut upcoming, std::slice::from_ref(entry), 60_001);
        assert_eq!((after.next_release, after.last_release), (None, Some(UtcMillis(60_000))));
        assert_eq!(after.release_places.free, 3);
    }
}
