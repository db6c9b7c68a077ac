//! Whether a command may happen, and what happens then: `decide(&day, &command, at)`.
//! Must not know: how events are made durable, how answers are rendered.

mod book;
mod change;
mod moment;
mod publish;
mod relocate;

use std::sync::Arc;

use crate::appointment::{Appointment, PersonalText, Status};
use crate::command::{Action, Answer, Command, RequestKey};
use crate::day::{DayVersion, DoctorDay, KEYS_PER_SUBJECT_MAX};
use crate::definition::DayDefinition;
use crate::event::{Change, Event, Fact, Home};
use crate::rejection::Rejection;
use crate::time::UtcMillis;
use moment::Moment;

/// What a command leads to. `event`, if any, must be durable before `outcome` is told to anyone: a refusal too can
/// depend on it (`HoldExpired` is the refusal, the expiry the event).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// What is to be recorded; `None` if nothing changes.
    pub event: Option<Event>,
    /// What the caller is told.
    pub outcome: Result<Success, Rejection>,
}

/// A command that was carried out, or had been before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Success {
    /// The appointment as it stands after the command (or as first answered, if `replayed`).
    Appointment {
        /// Whole.
        appointment: Appointment,
        /// The key had won before: this is its first answer.
        replayed: bool,
        /// The day on which it stands, if that is another one: it has just left, or had when the key won.
        home: Option<Home>,
    },
    /// The day was created, replaced, closed, or left as it was.
    Day {
        /// The version after the command: [`DoctorDay::next_version`] if there is an event, else the present one; of a
        /// replay the version that was first answered.
        version: DayVersion,
        /// The day did not exist before.
        created: bool,
        /// Of a close under a key that had won before: when it was first answered.
        replayed_at: Option<UtcMillis>,
    },
    /// So many holds were recorded as expired.
    Expired {
        /// Number of holds.
        holds: usize,
    },
    /// No place is kept for that move (any more).
    Dropped,
}

/// What a command that is not refused does, before it is written as an event.
enum Effect {
    /// The key has won before.
    Replay(Success),
    /// An appointment is new or changed, or (`fact` is `None`) stands as it is.
    Row { fact: Option<Fact>, from: Option<Status>, row: Appointment },
    /// The day is created or replaced, or (`definition` is `None`) stands as it is.
    Published { definition: Option<Arc<DayDefinition>>, created: bool },
    /// The day is closed now, or (`changed` is false) was already.
    Closed { changed: bool, reason: Option<PersonalText> },
    /// The due holds are recorded, and nothing else.
    Expired,
    /// A place is kept for an appointment that is not here, or it has come in, or (`fact` is `None`) all is as it was.
    Arrival { fact: Option<Fact>, row: Appointment },
    /// The place that was kept is free again, or (`fact` is `None`) none was.
    Dropped { fact: Option<Fact> },
}

impl DoctorDay {
    /// Decides `command` at the instant `at`. Pure: the same day, command and instant give the same decision.
    ///
    /// Holds that are due at `at` are recorded as expired by whatever command meets them: the decision is made as if
    /// they had expired before, and its event, whatever the outcome, begins with them.
    pub fn decide(&self, command: &Command, at: UtcMillis) -> Decision {
        let due = self.due_at(at);
        let key = key_of(command);
        match self.effect_of(command, key, at, &due) {
            Ok(effect) => self.conclude(command, key, at, due, effect),
            Err(rejection) => refusal(command, at, due, rejection),
        }
    }

    /// The decision to refuse `command` for a reason that lies outside this day. As with every decision, holds that are
    /// due at `at` are recorded.
    pub fn refuse(&self, command: &Command, at: UtcMillis, rejection: Rejection) -> Decision {
        refusal(command, at, self.due_at(at), rejection)
    }

    /// The expiry of every hold that is due at `at`, in order of expiry, then id.
    #[inline]
    fn due_at(&self, at: UtcMillis) -> Vec<Change> {
        let due = self.holds.iter().take_while(|(expiry, _)| *expiry <= at);
        due.filter_map(|(_, id)| self.appointments.get(*id)).map(|row| moment::expiry_of(row, at)).collect()
    }

    fn effect_of(
        &self,
        command: &Command,
        key: Option<&RequestKey>,
        at: UtcMillis,
        due: &[Change],
    ) -> Result<Effect, Rejection> {
        let Some(definition) = &self.definition else {
            return match &command.action {
                Action::Publish { definition, precondition } => publish::create(definition, *precondition),
                _ => Err(Rejection::UnknownDay),
            };
        };
        if let Some(replay) = key.map_or(Ok(None), |key| self.replay_of(key))? {
            return Ok(Effect::Replay(replay));
        }
        let moment = Moment { day: self, definition, at, due };
        let effect = match &command.action {
            Action::Publish { definition, precondition } => moment.publish(definition, *precondition),
            Action::Close { reason } => Ok(moment.close(reason.as_ref())),
            Action::Book(booking) => moment.book(booking),
            Action::Confirm { appointment } => moment.confirm(*appointment),
            Action::Cancel { appointment, reason } => moment.cancel(*appointment, reason.as_ref()),
            Action::NoShow { appointment } => moment.no_show(*appointment),
            Action::Expire => Ok(Effect::Expired),
            Action::Move(relocation) => moment.relocate(relocation),
            Action::PrepareMove { appointment, .. } => moment.prepare_move(*appointment),
            Action::HoldForMove(arriving) => moment.hold_for_move(arriving),
            Action::CommitMove(leaving) => moment.commit_move(leaving),
            Action::AcceptMove { move_id, row } => moment.accept_move(*move_id, row),
            Action::DropMove { move_id } => Ok(moment.drop_move(*move_id)),
        }?;
        if key.is_some_and(|key| self.keeps_too_many_keys(key)) {
            return Err(Rejection::TooManyKeys);
        }
        Ok(effect)
    }

    /// The first answer, if the key has won.
    fn replay_of(&self, key: &RequestKey) -> Result<Option<Success>, Rejection> {
        let Some(remembered) = self.remembered_key(key.subject, &key.key) else { return Ok(None) };
        if planted!(KeyNotLookedUp) {
            return Ok(None);
        }
        if remembered.fingerprint != key.fingerprint && !planted!(FingerprintIgnored) {
            return Err(Rejection::KeyReused);
        }
        Ok(Some(match &remembered.answer {
            Answer::Appointment(row) => {
                let present = self.appointment(row.id).filter(|_| planted!(ReplayTellsThePresent));
                Success::Appointment { appointment: present.unwrap_or(row).clone(), replayed: true, home: None }
            }
            Answer::Moved { row, to } => {
                Success::Appointment { appointment: row.clone(), replayed: true, home: Some(to.clone()) }
            }
            Answer::Closed { version, at } => {
                Success::Day { version: *version, created: false, replayed_at: Some(*at) }
            }
        }))
    }

    fn keeps_too_many_keys(&self, key: &RequestKey) -> bool {
        self.remembered.get(&key.subject).is_some_and(|keys| keys.len() >= KEYS_PER_SUBJECT_MAX)
    }

    /// Writes an effect as an event (none, if nothing at all changes) and an answer.
    fn conclude(
        &self,
        command: &Command,
        key: Option<&RequestKey>,
        at: UtcMillis,
        due: Vec<Change>,
        effect: Effect,
    ) -> Decision {
        let holds = due.len();
        let remembers = !matches!(effect, Effect::Replay(_)) && !matches!(command.action, Action::PrepareMove { .. });
        let key = key.filter(|_| remembers);
        let fact = effect.fact().or_else(|| key.map(|_| Fact::Remembered));
        let fact = fact.or_else(|| (holds > 0).then_some(Fact::Expired));
        let version = if fact.is_some() { self.next_version() } else { self.version };
        let mut event = fact.map(|fact| event(command, at, fact, due));
        if let Some(event) = &mut event {
            if let Some(change) = effect.change() {
                event.changes.reserve_exact(1);
                event.changes.push(change);
            }
            event.remembered = key.and_then(|key| Some((key.clone(), effect.answer(version, at)?)));
        }
        Decision { event, outcome: Ok(effect.success(version, holds)) }
    }
}

/// The key under which a success is remembered: publishing takes none, and nobody asks for an expiry under one. That of a
/// move belongs to the day which the appointment leaves.
fn key_of(command: &Command) -> Option<&RequestKey> {
    match command.action {
        Action::Publish { .. } | Action::Expire => None,
        Action::HoldForMove(_) | Action::AcceptMove { .. } | Action::DropMove { .. } => None,
        _ => command.key.as_ref(),
    }
}

fn refusal(command: &Command, at: UtcMillis, due: Vec<Change>, rejection: Rejection) -> Decision {
    let event = (!due.is_empty()).then(|| event(command, at, Fact::Expired, due));
    Decision { event, outcome: Err(rejection) }
}

fn event(command: &Command, at: UtcMillis, fact: Fact, changes: Vec<Change>) -> Event {
    Event { at, envelope: command.envelope, fact, changes, remembered: None }
}

impl Effect {
    fn fact(&self) -> Option<Fact> {
        match self {
            Self::Row { fact, .. } => fact.clone(),
            Self::Published { definition, .. } => definition.clone().map(Fact::Published),
            Self::Closed { changed, reason } => changed.then(|| Fact::Closed { reason: reason.clone() }),
            Self::Arrival { fact, .. } | Self::Dropped { fact } => fact.clone(),
            Self::Replay(_) | Self::Expired => None,
        }
    }

    /// Where the appointment stands now, if it has just left the day.
    fn home(&self) -> Option<Home> {
        match self {
            Self::Row { fact: Some(Fact::MovedOut { to, .. }), .. } => Some(to.clone()),
            _ => None,
        }
    }

    fn change(&self) -> Option<Change> {
        match self {
            Self::Row { fact: Some(_), from, row } => Some(Change { from: *from, row: row.clone() }),
            _ => None,
        }
    }

    /// What a key remembers of this.
    fn answer(&self, version: DayVersion, at: UtcMillis) -> Option<Answer> {
        match self {
            Self::Row { row, .. } => Some(match self.home() {
                Some(to) => Answer::Moved { row: row.clone(), to },
                None => Answer::Appointment(row.clone()),
            }),
            Self::Closed { .. } => Some(Answer::Closed { version, at }),
            Self::Replay(_) | Self::Published { .. } | Self::Expired | Self::Arrival { .. } | Self::Dropped { .. } => {
                None
            }
        }
    }

    fn success(self, version: DayVersion, holds: usize) -> Success {
        let home = self.home();
        match self {
            Self::Replay(first) => first,
            Self::Row { row, .. } | Self::Arrival { row, .. } => {
                Success::Appointment { appointment: row, replayed: false, home }
            }
            Self::Dropped { .. } => Success::Dropped,
            Self::Published { created, .. } => Success::Day { version, created, replayed_at: None },
            Self::Closed { .. } => Success::Day { version, created: false, replayed_at: None },
            Self::Expired => Success::Expired { holds },
        }
    }
}
