//! The lines about moves. Between two days a scenario is the messenger: it carries what one day said to the other.
//! Must not know: what a line must lead to.

use std::collections::HashMap;

use booking_core::{
    Action, Appointment, AppointmentId, Arriving, Busy, Command, Decision, Event, Fact, Leaving, MoveId, Relocation,
    Seat, Success,
};

use super::Stage;
use super::words::{Words, instant, start};
use crate::driver::{appointment_id, day_key, home, move_id};

/// What the days have said of the moves so far.
#[derive(Default)]
pub(super) struct Attempts {
    /// As each was prepared last.
    prepared: HashMap<AppointmentId, Appointment>,
    /// As each attempt was sent on its way: an echo of it says the same.
    sent: HashMap<MoveId, Appointment>,
    /// In the place that was kept.
    kept: HashMap<MoveId, Appointment>,
    /// As it left.
    departed: HashMap<MoveId, Appointment>,
}

impl Attempts {
    pub(super) fn learn(&mut self, command: &Command, decision: &Decision) {
        let Ok(Success::Appointment { appointment: row, .. }) = &decision.outcome else { return };
        match &command.action {
            Action::PrepareMove { appointment, .. } => {
                self.prepared.insert(*appointment, row.clone());
            }
            Action::HoldForMove(arriving) => {
                self.kept.insert(arriving.move_id, row.clone());
            }
            Action::CommitMove(leaving) => {
                if let Some(Event { fact: Fact::MovedOut { .. }, .. }) = &decision.event {
                    self.departed.insert(leaving.move_id, row.clone());
                }
            }
            _ => {}
        }
    }
}

impl Stage {
    pub(super) fn step_of_move(&mut self, verb: &str, id: AppointmentId, words: &Words<'_>) -> Option<Action> {
        let attempt = words.plain.get(2).map(|name| move_id(number_of(name)));
        Some(match verb {
            "move" => Action::Move(self.relocation(id, words.plain.get(2)?, words)),
            "prepare" => Action::PrepareMove { move_id: move_id(0), appointment: id },
            "keep" => {
                let from = day_key(self.day_named(words.option("from")?) as i32);
                let prepared = self.attempts.prepared.get(&id)?.clone();
                let row = self.attempts.sent.entry(attempt?).or_insert(prepared).clone();
                let wish = self.relocation(id, words.plain.get(3)?, words);
                Action::HoldForMove(Arriving { move_id: attempt?, from, row, wish })
            }
            "commit" => {
                let to = home(self.day_named(words.option("to")?) as i32);
                let version = self.attempts.sent.get(&attempt?)?.version;
                let kept = self.attempts.kept.get(&attempt?)?;
                let (seat, end) = (Seat::of(kept), kept.end);
                Action::CommitMove(Leaving { move_id: attempt?, appointment: id, version, to, seat, end })
            }
            "accept" => {
                let row = self.attempts.departed.get(&attempt?).or_else(|| self.attempts.kept.get(&attempt?))?.clone();
                Action::AcceptMove { move_id: attempt?, row }
            }
            "drop" => Action::DropMove { move_id: attempt? },
            _ => return None,
        })
    }

    fn relocation(&self, appointment: AppointmentId, to: &str, words: &Words<'_>) -> Relocation {
        Relocation { appointment, start: start(to), audiences: words.audiences(), busy: self.busy(words) }
    }

    /// `10:00-10:30@LABEL,…`
    pub(super) fn busy(&self, words: &Words<'_>) -> Vec<Busy> {
        let one = |word: &str| {
            let (interval, label) = word.split_once('@')?;
            let (start, end) = interval.split_once('-')?;
            let appointment = appointment_id(self.label(label)?);
            Some(Busy { appointment, start: instant(start), end: instant(end) })
        };
        let list = words.option("busy").into_iter().flat_map(|list| list.split(','));
        list.map(|word| one(word).unwrap_or_else(|| panic!("no busy time: {word}"))).collect()
    }
}

fn number_of(name: &str) -> u64 {
    name.bytes().fold(0, |sum, byte| sum * 256 + u64::from(byte))
}
