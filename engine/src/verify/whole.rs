//! What is collected of all days while they are followed one by one, and judged when the last one is.
//! Must not know: SQL, the records of a day.

use std::collections::BTreeSet;

use booking_core::{DayKey, Event, UtcMillis};

use super::across::Across;
use super::finding::Findings;
use super::fold::Fold;
use super::moves::{Moves, Runs};
use super::rows::DayRows;
use super::travellers::Travellers;

/// See the module.
pub(super) struct Whole {
    runs: Runs,
    across: Across,
    moves: Moves,
    pub(super) travellers: Travellers,
    /// Days that could not be followed to the end: nobody knows what they would say.
    pub(super) broken: BTreeSet<DayKey>,
}

impl Whole {
    /// Before the first day. The last record of the journal says `last_at`.
    pub(super) fn new(last_at: UtcMillis) -> Self {
        Self {
            runs: Runs::default(),
            across: Across::new(last_at),
            moves: Moves::default(),
            travellers: Travellers::default(),
            broken: BTreeSet::new(),
        }
    }

    /// What follows is of `day`.
    pub(super) fn begin(&mut self, day: DayKey) {
        self.across.begin(day);
    }

    /// A record of the day that was begun last, written in `run`.
    pub(super) fn record(&mut self, run: (u16, u32), event: &Event) {
        self.runs.saw(run, event.at);
        self.across.record(event);
    }

    /// The day that was begun last is followed; the rows of those that move are taken out of the ones it `expected`.
    pub(super) fn finish(&mut self, day: DayKey, fold: &Fold, expected: Option<&mut DayRows>, findings: &mut Findings) {
        self.moves.add(day, &fold.books().moves, findings);
        self.travellers.take(day, fold.books(), expected);
        if fold.is_broken() {
            self.broken.insert(day);
        } else {
            self.across.finish(fold.books(), fold.end());
        }
    }

    /// Adds what the days together cannot say; returns the rest.
    pub(super) fn judge(self, findings: &mut Findings) -> (Travellers, BTreeSet<DayKey>) {
        self.moves.judge(&self.runs, &self.broken, findings);
        let last_at = self.runs.last_at().unwrap_or(UtcMillis(0));
        self.across.judge(self.moves.on_their_way(), last_at, findings);
        (self.travellers, self.broken)
    }
}
