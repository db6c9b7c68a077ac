//! Whatever may happen on some days: commands drawn at random, as far as the core takes them.
//! Must not know: stores.

use booking_core::{Action, AppointmentId, DayKey, Fact, Role};
use engine::ledger::AppliedRecord;
use uuid::Uuid;

use crate::story::{Move, Story, date, day, patient, relocation};

/// Days of one case.
pub(crate) const DAYS: u128 = 4;
/// Patients of one case.
pub(crate) const PATIENTS: u128 = 9;
/// Slots of every day; each for two.
pub(crate) const SLOTS: usize = 4;
/// Kinds of commands.
pub(crate) const COMMANDS: u8 = 40;

const KEYS: [&str; 3] = ["one", "two", "three"];

/// Which command, on which day, by whom, and a number that chooses the rest.
pub(crate) type Wish = (u8, u128, u128, usize);

/// Day number `number` of case `case`: of several dates.
pub(crate) fn wild_day(case: u128, number: u128) -> DayKey {
    DayKey { date: date((number % 3) as i32), ..day(DAYS * case + number) }
}

/// Patient number `number` of case `case`.
pub(crate) fn wild_patient(case: u128, number: u128) -> booking_core::PatientId {
    patient(PATIENTS * case + number)
}

struct Wild {
    case: u128,
    story: Story,
    /// Moves whose place is kept, with whether they are committed.
    moves: Vec<(Move, bool)>,
}

/// Lets everything happen that the core allows. Who has left his day has come in at the end; a place may still be kept.
pub(crate) fn wild_story(case: u128, wishes: &[Wish]) -> Story {
    let mut wild = Wild { case, story: Story::numbered(case), moves: Vec::new() };
    for number in 0..DAYS {
        wild.story.publish(wild_day(case, number), SLOTS, 2);
    }
    for wish in wishes {
        wild.command(*wish);
    }
    for (step, _) in wild.moves.extract_if(.., |(_, committed)| *committed) {
        wild.story.accept_move(step);
    }
    wild.story
}

impl Wild {
    fn command(&mut self, (command, number, who, choice): Wish) {
        let (day, who) = (wild_day(self.case, number), wild_patient(self.case, who));
        let (slot, story) = (choice % SLOTS, &mut self.story);
        story.key = (choice % 3 == 0).then(|| KEYS[choice % KEYS.len()]);
        let chosen = choose(story, day, choice);
        match (command, chosen) {
            (0..=5, _) => drop(story.take(day, who, None, None)),
            (6..=9, _) => drop(story.take(day, who, Some(slot), Some(20_000))),
            (10..=13, Some(id)) => drop(story.confirm(day, id)),
            (14..=16, Some(id)) => drop(story.cancel(day, id, (choice % 2 == 0).then_some("so"))),
            (17..=18, _) => story.expire(day),
            (19..=21, Some(id)) => {
                let owner = story.row(day, id).patient;
                drop(story.command(day, Role::Patient, owner.0, Action::Move(relocation(id, slot))));
            }
            (22..=25, Some(id)) => {
                let to = wild_day(self.case, (number + 1 + choice as u128 % (DAYS - 1)) % DAYS);
                let kept = story.try_hold_for_move(day, id, to, slot);
                self.moves.extend(kept.map(|step| (step, false)));
            }
            (26..=32, _) => self.go_on_with_a_move(choice),
            (33, Some(id)) if choice < 6 => {
                story.now = story.now.max(story.row(day, id).start.0);
                drop(story.command(day, Role::Doctor, day.doctor.0, Action::NoShow { appointment: id }));
            }
            (34, _) if choice < 2 => {
                story.close(day);
                // The core would not publish it any more. A ledger need not know: it stays closed.
                let is_published = |it: &&AppliedRecord| it.day == day && matches!(it.event.fact, Fact::Published(_));
                let again = story.records.iter().rfind(is_published).map(|record| record.event.clone());
                if let Some(event) = again.filter(|_| choice == 0) {
                    story.record(day, event);
                }
            }
            (35, _) => drop(story.try_publish(day, SLOTS + choice % 2, 2)),
            (36, _) => story.now += 1_500_000,
            _ => story.now += 10_000,
        }
        self.story.key = None;
    }

    fn go_on_with_a_move(&mut self, choice: usize) {
        let count = self.moves.len().max(1);
        let Some((step, committed)) = self.moves.get_mut(choice % count) else { return };
        if *committed {
            self.story.accept_move(*step);
        } else if !choice.is_multiple_of(4) && self.story.try_commit_move(*step).is_some() {
            *committed = true;
            return;
        } else {
            self.story.drop_move(*step);
        }
        self.moves.remove(choice % count);
    }
}

/// One of the appointments of `day`.
fn choose(story: &Story, day: DayKey, choice: usize) -> Option<AppointmentId> {
    let mut ids: Vec<_> = story.rows().iter().filter(|(at, _)| *at == day).map(|(_, row)| row.id).collect();
    ids.sort_unstable();
    ids.get(choice % ids.len().max(1)).copied()
}

/// An appointment that never was.
pub(crate) fn nobody() -> AppointmentId {
    AppointmentId(Uuid::max())
}
