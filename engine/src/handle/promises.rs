//! What a lost record has promised, asked for again: by the normal commands, under its own ids and keys, and the day decides.
//! Must not know: where lost records are kept, how a branch is chosen.
//!
//! Each step looks at how things stand first, so that asking twice does no more than asking once: only one process asks for a day,
//! one thing after another, and an answer that was lost is looked for in the day's own durable state.

use std::collections::BTreeSet;
use std::sync::Arc;

use booking_core::{
    Action, Appointment, AppointmentId, Arriving, Command, DayDefinition, DayKey, Home, MoveId, PatientId,
    PersonalText, Rejection, Relocation,
};

use super::EngineHandle;
use super::moves::{Move, MoveTurn, system};
use crate::actors::questions::{Attempt, Known, Question};
use crate::actors::request::{CommandReply, CommandResult};
use crate::error::EngineError;
use crate::journal::StoredRecord;
use crate::lost::Standing;
use crate::lost::owed::{Asked, Next, Promise, Told, next};
use crate::view::{Caller, PublishRequest};

/// Commands for one appointment: a confirm and a move at most, and a look after each.
const STEPS_MAX: usize = 4;

/// What has become of a promise.
pub(crate) enum Keeping {
    /// It holds, or is owed no longer.
    Holds,
    /// It cannot hold any more. Why, in words without a value.
    Broken(String),
    /// Nobody can say now.
    Later,
}

impl Keeping {
    fn broken(reason: &str) -> Self {
        Self::Broken(reason.to_owned())
    }

    /// Of something that was asked for and not done.
    fn refused(error: &EngineError) -> Self {
        match error {
            EngineError::Rejected(rejection) => Self::Broken(rejection.to_string()),
            _ => Self::Later,
        }
    }
}

impl EngineHandle {
    /// Keeps `promise`, which was made by lost records of `day` from `first` on, if the day still allows it.
    pub(crate) async fn keep_promise(
        &self,
        day: DayKey,
        promise: &Promise,
        first: &StoredRecord,
        standing: &Standing,
    ) -> Keeping {
        match promise {
            Promise::Nothing => Keeping::Holds,
            Promise::Unreadable => Keeping::broken("the record cannot be decoded"),
            Promise::Published(definition, asked) => {
                let is_older = standing.is_published_after(first);
                self.publish_again(day, definition, asked, is_older).await
            }
            Promise::Closed(reason, asked) => self.close_again(day, reason.clone(), asked).await,
            Promise::Stands(told) => match &told.left {
                None => self.stand_again(day, told, standing.version_led_to(told)).await,
                Some((move_id, to)) => self.leave_again(day, told, *move_id, to).await,
            },
            Promise::Arrives { move_id, from, row } => self.arrive_again(day, *move_id, *from, row).await,
        }
    }

    async fn publish_again(
        &self,
        day: DayKey,
        definition: &Arc<DayDefinition>,
        asked: &Asked,
        is_older: bool,
    ) -> Keeping {
        match self.day(day).await {
            Ok(view) if view.snapshot.definition() == definition => return Keeping::Holds,
            Ok(_) if is_older => return Keeping::broken("the day has been published otherwise since"),
            Ok(_) | Err(EngineError::Rejected(Rejection::UnknownDay)) => {}
            Err(error) => return Keeping::refused(&error),
        }
        let caller = Caller { envelope: asked.envelope, key: None };
        let request = PublishRequest { day, definition: Arc::clone(definition), precondition: None, caller };
        self.publish_day(request).await.map_or_else(|error| Keeping::refused(&error), |_| Keeping::Holds)
    }

    async fn close_again(&self, day: DayKey, reason: Option<PersonalText>, asked: &Asked) -> Keeping {
        match self.day(day).await {
            Ok(view) if view.snapshot.is_closed_by_hand() => return Keeping::Holds,
            Ok(_) => {}
            Err(error) => return Keeping::refused(&error),
        }
        let closed = self.ask_again(day, asked.command(Action::Close { reason })).await;
        closed.map_or_else(|error| Keeping::refused(&error), |_| Keeping::Holds)
    }

    /// An appointment that was told to be on this day, and must be at `version` unless it was born by a lost record.
    async fn stand_again(&self, day: DayKey, told: &Told, mut version: Option<u32>) -> Keeping {
        for _ in 0..STEPS_MAX {
            let Some(known) = self.known(day, told.row.id).await else { return Keeping::Later };
            let present = match &known {
                Known::Here(row) => Some(&**row),
                // Born by a lost record, and known here: it was asked for before.
                Known::Left(_) if told.base.is_none() => return Keeping::Holds,
                Known::Left(_) => return Keeping::broken("the appointment is on another day now"),
                Known::Never => None,
            };
            let audiences = self.all_audiences(day).await;
            let command = match next(told, present, version, &audiences, self.parts.clock.now()) {
                Next::Done => return Keeping::Holds,
                Next::Broken(reason) => return Keeping::broken(reason),
                Next::Ask(command) => command,
            };
            match self.ask_again(day, *command).await {
                // The same request has won again, under its key and with another id.
                Ok(CommandReply::Appointment { appointment, .. }) if appointment.id != told.row.id => {
                    return Keeping::Holds;
                }
                Ok(CommandReply::Appointment { appointment, .. }) => {
                    version = version.map(|_| appointment.version);
                }
                Ok(_) => {}
                Err(error) => return Keeping::refused(&error),
            }
        }
        Keeping::Later
    }

    /// An appointment that was told to have left for the day `to`. It leaves by the same attempt, for the place that is kept for it there,
    /// or which it has there already.
    async fn leave_again(&self, day: DayKey, told: &Told, move_id: MoveId, to: &Home) -> Keeping {
        let Some(known) = self.known(day, told.row.id).await else { return Keeping::Later };
        let here = match known {
            Known::Left(departure) if departure.move_id == move_id => return Keeping::Holds,
            Known::Left(_) => return Keeping::broken("the appointment is on another day now"),
            Known::Never => return Keeping::broken("the appointment has left a day that does not know it"),
            Known::Here(row) => row,
        };
        if told.base != Some(here.version) || told.row.version != here.version + 1 {
            return Keeping::broken("the appointment has been changed otherwise since");
        }
        let (appointment, asked) = (told.row.id, told.asked(None));
        let _turn = MoveTurn::wait(&self.parts, appointment).await;
        let audiences = self.all_audiences(to.day).await;
        let wish = Relocation { appointment, start: Some(told.row.start), audiences, busy: Vec::new() };
        let (envelope, key) = (asked.envelope, asked.key.clone());
        let job = Move { move_id, from: day, to: to.clone(), wish, envelope, key };
        match self.step_here(day, job.prepare()).await {
            Ok(CommandReply::Appointment { replayed: false, .. }) => {}
            Ok(_) => return Keeping::Holds,
            Err(error) => return Keeping::refused(&error),
        }
        let seated = match self.step(to.day, job.hold(*here.clone())).await {
            Ok(CommandReply::Appointment { appointment, .. }) => appointment,
            // It is there, or has been: the other day has not lost that it came.
            Err(EngineError::Rejected(Rejection::MoveGivenUp)) => told.row.clone(),
            Ok(_) => return Keeping::Later,
            Err(error) => {
                self.give_up(&job);
                return Keeping::refused(&error);
            }
        };
        match self.step_here(day, job.commit(here.version, &seated)).await {
            Ok(CommandReply::Appointment { appointment, .. }) => {
                let (patient, id) = (appointment.patient, appointment.id);
                self.accept(to.day, move_id, appointment).await;
                self.forget_visit_unless_live(to.day, patient, id).await;
                Keeping::Holds
            }
            Ok(_) => Keeping::Later,
            // The other day asks by itself, and gives its place back.
            Err(error) => Keeping::refused(&error),
        }
    }

    /// The day of departure has told that the appointment came to `day`, where it may have ended long since: then nothing of it takes its
    /// patient's time there. A day of another node has told nothing here.
    async fn forget_visit_unless_live(&self, day: DayKey, patient: PatientId, id: AppointmentId) {
        match self.known(day, id).await {
            Some(Known::Here(row)) if row.status.is_live() => {}
            // What a record from now on says of it has another number than what is forgotten here.
            Some(_) => self.parts.claims.settle(patient, id, day, 0, None),
            None => {}
        }
    }

    /// An appointment for which this day kept a place. It is owed only if the day of departure has let it go by that attempt.
    async fn arrive_again(&self, day: DayKey, move_id: MoveId, from: DayKey, row: &Appointment) -> Keeping {
        let departure = match self.attempt_of(from, row.id, move_id).await {
            Some(Attempt::Committed(departure)) => departure,
            Some(Attempt::Aborted) => return Keeping::Holds,
            Some(Attempt::Pending) | None => return Keeping::Later,
        };
        match self.known(day, row.id).await {
            Some(Known::Here(_) | Known::Left(_)) => return Keeping::Holds,
            Some(Known::Never) => {}
            None => return Keeping::Later,
        }
        let left = departure.row;
        let (appointment, start, audiences) = (left.id, Some(left.start), self.all_audiences(day).await);
        let wish = Relocation { appointment, start, audiences, busy: Vec::new() };
        let there = Appointment { version: left.version.saturating_sub(1), ..left.clone() };
        let hold = system(Action::HoldForMove(Arriving { move_id, from, row: there, wish }));
        match self.step_here(day, hold).await {
            Ok(CommandReply::Appointment { appointment: held, .. }) if held.place == left.place => {
                self.accept(day, move_id, left).await;
                match self.known(day, appointment).await {
                    Some(Known::Here(_) | Known::Left(_)) => Keeping::Holds,
                    Some(Known::Never) | None => Keeping::Later,
                }
            }
            Ok(_) => {
                self.drop_move(day, move_id).await;
                Keeping::broken("another has the place to which the appointment moved")
            }
            Err(error) => Keeping::refused(&error),
        }
    }

    /// Asks, if need be without the key: it has won for something else since, and that answer stays.
    async fn ask_again(&self, day: DayKey, command: Command) -> CommandResult {
        let answer = self.step_here(day, command.clone()).await;
        match &answer {
            Err(EngineError::Rejected(Rejection::KeyReused | Rejection::TooManyKeys)) if command.key.is_some() => {
                self.step_here(day, Command { key: None, ..command }).await
            }
            _ => answer,
        }
    }

    /// What `day`, which must be here, knows of an appointment; `None` if it cannot say now.
    async fn known(&self, day: DayKey, id: AppointmentId) -> Option<Known> {
        self.ask_here(day, |reply| Question::Appointment(id, reply)).await.ok().flatten()
    }

    /// Every audience that `day` has releases for, as far as it is here: nobody recorded by which of them a place was taken, and it was
    /// taken lawfully.
    async fn all_audiences(&self, day: DayKey) -> Arc<[Box<str>]> {
        let Ok(view) = self.day(day).await else { return Arc::from([]) };
        let releases = view.snapshot.definition().releases.iter();
        let all: BTreeSet<Box<str>> = releases.filter_map(|release| release.audience.clone()).collect();
        all.into_iter().collect()
    }
}
