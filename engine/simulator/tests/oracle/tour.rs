//! One random history: requests come in one after another, moves between days in their steps among them, until all is at rest.
//! Must not know: how it is judged.

use std::collections::BTreeSet;
use std::sync::Arc;

use booking_core::{Action, Command, DayKey, Rejection, UtcMillis};
use engine::EngineError;
use engine::view::{
    AppointmentAction, AppointmentAddress, AppointmentQuery, AppointmentScope, BookRequest, Caller, PlacedAppointment,
    PublishRequest,
};
use simulator::oracle::{Asked, Told};

use crate::hand::{caller, day, second};
use crate::town::{Call, Town, command};
use crate::travel::{Stage, UnderWay};
use crate::wishes::{DAYS, Dice, any_definition, any_request};

/// See the module.
#[derive(Default)]
pub(crate) struct Tour {
    pub(crate) town: Town,
    pub(crate) moves: Vec<UnderWay>,
    pub(crate) requests: u64,
    sent: Vec<Asked>,
}

impl Tour {
    /// The script of a history of so many steps.
    pub(crate) fn of(seed: u64, steps: usize) -> Vec<Call> {
        let mut dice = Dice(seed);
        let mut tour = Self::default();
        for number in DAYS {
            let (target, caller) = (day(number), tour.caller());
            let definition = any_definition(&mut dice, target);
            let fitting = PublishRequest { day: target, definition, precondition: None, caller };
            tour.publish(&fitting);
        }
        for _ in 0..steps {
            let later = [0, 0, 0, 1_000, 4_000, 30_000][dice.below(6) as usize];
            let now = tour.town.now().plus_millis(dice.below(later + 1) as i64);
            let bound = if dice.one_in(8) { tour.next_bound(&mut dice) } else { None };
            tour.town.now = Some(bound.unwrap_or(now));
            if !tour.moves.is_empty() && dice.one_in(2) {
                let chosen = dice.below(tour.moves.len() as u64) as usize;
                let gives_up = dice.one_in(12);
                tour.advance(chosen, gives_up);
            } else {
                tour.ask(&mut dice);
            }
        }
        tour.rest();
        tour.town.calls
    }

    /// The next instant at which a slot begins or ends or a release opens, or the end of some hold to come: where rules change.
    fn next_bound(&self, dice: &mut Dice) -> Option<UtcMillis> {
        let definitions = self.town.days.values().filter_map(|state| state.definition());
        let slots = definitions.clone().flat_map(|known| &known.slots).flat_map(|slot| [slot.start, slot.end]);
        let releases = definitions.flat_map(|known| &known.releases).map(|release| release.at);
        let holds = self.town.told.values().filter_map(|placed| placed.appointment.hold_expires_at);
        let bounds: Vec<_> = if dice.one_in(2) { holds.collect() } else { slots.chain(releases).collect() };
        bounds.into_iter().filter(|at| *at > self.town.now()).min()
    }

    pub(crate) fn caller(&mut self) -> Caller {
        self.requests += 1;
        caller(self.requests, None)
    }

    fn ask(&mut self, dice: &mut Dice) {
        self.requests += 1;
        let number = self.requests;
        let again = self.sent.len() as u64;
        let asked = match dice.one_in(10) && again > 0 {
            true => with_request(&self.sent[dice.below(again) as usize], number),
            false => any_request(dice, &self.town, number),
        };
        // A twin would wait for the first.
        let keys = self.moves.iter().filter_map(|moving| moving.asked.caller.key.as_ref());
        let in_flight: BTreeSet<Box<str>> = keys.map(|key| key.key.clone()).collect();
        if asked.key().is_some_and(|key| in_flight.contains(&key.key)) {
            return;
        }
        if asked.key().is_some() {
            self.sent.push(asked.clone());
        }
        match &asked {
            Asked::Book(request) => self.book(request),
            Asked::Change { address, action, caller } => self.change(*address, action, caller, &asked),
            Asked::Reschedule(request) => self.reschedule(request),
            Asked::Publish(request) => self.publish(request),
            Asked::Close { day, caller, .. } => {
                let close = command(caller, Action::Close { reason: None });
                self.run(*day, &close, &asked);
            }
            Asked::ReadDay(day) => self.read_day(*day),
            Asked::ReadAppointment(id) | Asked::History(id) => self.read(*id, &asked),
            Asked::List(query) => self.list(query),
        }
    }

    pub(crate) fn sent_now(&self) -> (u64, UtcMillis) {
        (self.town.position, self.town.now())
    }

    pub(crate) fn run(&mut self, day: DayKey, command: &Command, asked: &Asked) {
        let sent = self.sent_now();
        if let Some(decision) = self.town.run(day, command) {
            let reply = self.town.reply(day, &decision);
            self.town.answer(asked.clone(), reply, sent);
        }
    }

    fn book(&mut self, request: &BookRequest) {
        let mut booking = request.booking.clone();
        booking.appointment = crate::hand::appointment(self.requests);
        let booking = command(&request.caller, Action::Book(booking));
        self.run(request.day, &booking, &Asked::Book(request.clone()));
    }

    fn publish(&mut self, request: &PublishRequest) {
        let sent = self.sent_now();
        let overlaps = |state: &booking_core::DoctorDay| {
            let slots = state.definition().into_iter().flat_map(|definition| &definition.slots);
            slots
                .into_iter()
                .any(|one| request.definition.slots.iter().any(|two| one.start < two.end && two.start < one.end))
        };
        let mut others = self.town.days.iter();
        let near = others
            .find(|(other, state)| other.doctor == request.day.doctor && **other != request.day && overlaps(state));
        if let Some((other, _)) = near {
            let refusal = Rejection::OverlapsOtherDay { date: other.date };
            let reply = Err(EngineError::Rejected(refusal));
            return self.town.answer(Asked::Publish(request.clone()), reply, sent);
        }
        let (definition, precondition) = (Arc::clone(&request.definition), request.precondition);
        let publish = command(&request.caller, Action::Publish { definition, precondition });
        self.run(request.day, &publish, &Asked::Publish(request.clone()));
    }

    fn change(&mut self, address: AppointmentAddress, action: &AppointmentAction, caller: &Caller, asked: &Asked) {
        let sent = self.sent_now();
        if let Some(reply) = self.town.replay(caller.key.as_ref()) {
            return self.town.answer(asked.clone(), reply, sent);
        }
        let appointment = address.id;
        let action = match action {
            AppointmentAction::Confirm => Action::Confirm { appointment },
            AppointmentAction::Cancel { reason } => Action::Cancel { appointment, reason: reason.clone() },
            AppointmentAction::NoShow => Action::NoShow { appointment },
        };
        let (change, mut day) = (command(caller, action), address.day);
        while let Some(decision) = self.town.run(day, &change) {
            match decision.outcome {
                Err(Rejection::MovedAway { to }) => day = to,
                _ => {
                    let reply = self.town.reply(day, &decision);
                    return self.town.answer(asked.clone(), reply, sent);
                }
            }
        }
    }

    /// The appointment as it is told, with no hold that is due; whether it is known.
    pub(crate) fn placed(&mut self, id: booking_core::AppointmentId) -> Option<PlacedAppointment> {
        let placed = self.town.told.get(&id)?.clone();
        if placed.appointment.is_due(self.town.now()) {
            self.expire_for_certain(placed.day);
        }
        self.town.told.get(&id).cloned()
    }

    fn expire_for_certain(&mut self, day: DayKey) {
        for position in 0..self.moves.len() {
            if self.moves[position].to == day {
                self.take_in(position);
            }
        }
        self.moves.retain(|moving| !matches!(&moving.stage, Stage::Committed(_)) || moving.to != day);
        self.town.expire(day);
    }

    fn read(&mut self, id: booking_core::AppointmentId, asked: &Asked) {
        let sent = self.sent_now();
        let reply = match self.placed(id) {
            None => Err(EngineError::Rejected(Rejection::UnknownAppointment)),
            Some(_) if matches!(asked, Asked::History(_)) => Ok(Told::History(self.town.histories[&id].clone())),
            Some(placed) => Ok(Told::Placed(placed)),
        };
        self.town.answer(asked.clone(), reply, sent);
    }

    fn read_day(&mut self, day: DayKey) {
        let (sent, now) = (self.sent_now(), self.town.now());
        self.town.expire(day);
        let view = self.town.view(day, now);
        let reply = view.map(Told::View).ok_or(EngineError::Rejected(Rejection::UnknownDay));
        self.town.answer(Asked::ReadDay(day), reply, sent);
    }

    fn list(&mut self, query: &AppointmentQuery) {
        let (sent, now) = (self.sent_now(), self.town.now());
        let due = self.town.told.values().filter(|placed| placed.appointment.is_due(now));
        let in_scope = due.filter(|placed| match query.scope {
            AppointmentScope::Patient(patient) => placed.appointment.patient == patient,
            AppointmentScope::Day(day) => placed.day == day,
        });
        let days: BTreeSet<DayKey> = in_scope.map(|placed| placed.day).collect();
        days.into_iter().for_each(|day| self.expire_for_certain(day));
        let mut rows: Vec<_> = self.town.told.values().filter(|placed| query.admits(placed)).cloned().collect();
        rows.sort_by_key(|placed| (placed.appointment.start, placed.appointment.id));
        rows.truncate(query.limit);
        self.town.answer(Asked::List(query.clone()), Ok(Told::List(rows)), sent);
    }

    /// Every move ends, every hold that is due expires.
    fn rest(&mut self) {
        for moving in std::mem::take(&mut self.moves) {
            if let Stage::Kept(_) = moving.stage {
                self.give_back(&moving);
            }
            self.moves.push(moving);
            self.take_in(self.moves.len() - 1);
        }
        self.town.now = Some(self.town.now().max(second(1)));
        DAYS.into_iter().for_each(|number| self.town.expire(day(number)));
        let end = Call::End(Box::new(self.town.ledger()), self.town.now());
        self.town.calls.push(end);
    }
}

/// The same request, sent again.
fn with_request(asked: &Asked, number: u64) -> Asked {
    let mut again = asked.clone();
    let caller = match &mut again {
        Asked::Book(request) => &mut request.caller,
        Asked::Change { caller, .. } | Asked::Close { caller, .. } => caller,
        Asked::Reschedule(request) => &mut request.caller,
        _ => return again,
    };
    caller.envelope.request = crate::hand::request(number);
    again
}
