//! Which idempotency keys have won, where, and what was answered first: one key wins once, on whatever day.
//! Must not know: what is asked under a key.

use std::collections::BTreeMap;

use booking_core::{Answer, Date, DayKey, DayVersion, Event, Fact, Fingerprint, RequestKey, SubjectId};

use super::day::DayState;
use super::violation::{Violation, ensure};

/// A key is remembered across days until so many days after the last date that its answer concerns: longer than any slot reaches.
const REMEMBERED_DAYS: i32 = 2;

/// Most keys of one subject on one day (contract section 3).
pub(super) const PER_SUBJECT_MAX: usize = 64;

/// A key that has won.
#[derive(Clone, Debug)]
pub(super) struct Won {
    pub(super) position: u64,
    pub(super) day: DayKey,
    pub(super) fingerprint: Fingerprint,
    pub(super) answer: Answer,
    /// Whether the first answer was told as new.
    pub(super) is_told: bool,
    until: Date,
}

/// All of them.
#[derive(Default)]
pub(super) struct Keys {
    won: BTreeMap<(SubjectId, Box<str>), Won>,
    /// Positions at which a subject's keys won on a day.
    by_day: BTreeMap<(DayKey, SubjectId), Vec<u64>>,
}

impl Keys {
    pub(super) fn get(&self, key: &RequestKey) -> Option<&Won> {
        self.won.get(&(key.subject, key.key.clone()))
    }

    pub(super) fn get_mut(&mut self, key: &RequestKey) -> Option<&mut Won> {
        self.won.get_mut(&(key.subject, key.key.clone()))
    }

    /// How many keys of `subject` a day remembers at `position`.
    pub(super) fn count(&self, day: DayKey, subject: SubjectId, position: u64) -> usize {
        self.by_day.get(&(day, subject)).map_or(0, |won| won.iter().filter(|at| **at <= position).count())
    }

    /// The record at `position` remembers a key, or none: it must be one that is free, with the answer that the record is.
    pub(super) fn check(
        &self,
        day: DayKey,
        version: DayVersion,
        event: &Event,
        state: &DayState,
    ) -> Result<(), Violation> {
        let Some((key, answer)) = &event.remembered else {
            ensure!(event.fact != Fact::Remembered, AnswerDiffers, "a record for a key remembers none");
            return Ok(());
        };
        if let Some(won) = self.get(key) {
            let is_forgotten =
                won.day != day && won.until.days() + REMEMBERED_DAYS < date_of(event).unwrap_or(i32::MIN);
            ensure!(is_forgotten, KeyTwice, "key {:?} has won at position {} on {}", key.key, won.position, won.day);
        }
        let kept = self.by_day.get(&(day, key.subject)).map_or(0, Vec::len);
        ensure!(kept < PER_SUBJECT_MAX, IllegalStep, "{} keys of one subject are remembered", kept + 1);
        let is_as_done = match (&event.fact, answer) {
            (
                Fact::Taken | Fact::Confirmed | Fact::Cancelled | Fact::NoShow | Fact::Moved { .. },
                Answer::Appointment(row),
            ) => event.changes.last().is_some_and(|change| change.row == *row),
            (Fact::MovedOut { to, .. }, Answer::Moved { row, to: told }) => {
                event.changes.last().is_some_and(|change| change.row == *row) && told == to
            }
            (Fact::Closed { .. }, Answer::Closed { version: told, at }) => {
                told.sequence == version.sequence && *at == event.at
            }
            (Fact::Remembered, Answer::Closed { version: told, at }) => {
                told.sequence == version.sequence && *at == event.at && state.is_closed
            }
            (Fact::Remembered, Answer::Appointment(row)) => {
                state.rows.get(&row.id).is_some_and(|known| **known == *row)
            }
            _ => false,
        };
        ensure!(is_as_done, AnswerDiffers, "key {:?} remembers {answer:?}, which {:?} did not do", key.key, event.fact);
        Ok(())
    }

    /// Adopts what [`Keys::check`] has let pass.
    pub(super) fn adopt(&mut self, position: u64, day: DayKey, version: DayVersion, event: &Event) {
        let Some((key, answer)) = &event.remembered else { return };
        let answer = match answer {
            Answer::Closed { at, .. } => Answer::Closed { version, at: *at },
            other => other.clone(),
        };
        let until = match &answer {
            Answer::Moved { to, .. } => to.day.date.max(day.date),
            _ => day.date,
        };
        let won = Won { position, day, fingerprint: key.fingerprint, answer, is_told: false, until };
        self.won.insert((key.subject, key.key.clone()), won);
        self.by_day.entry((day, key.subject)).or_default().push(position);
    }
}

/// The date of an event in UTC, in days since 1970-01-01.
fn date_of(event: &Event) -> Option<i32> {
    i32::try_from(event.at.0.div_euclid(86_400_000)).ok()
}
