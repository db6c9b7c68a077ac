//! One turn's decisions: each command is decided on the tip, claimed across days if it wins, adopted, and its answer put into the
//! gate. What depends on something unsettled elsewhere is parked.
//! Must not know: how records become durable, who takes the turn.

use std::sync::Arc;

use booking_core::{
    Action, Command, Date, Decision, Event, Fact, Home, Rejection, RequestKey, Success, UtcMillis, planted,
};

use super::day::Awake;
use super::entry::{DayEntry, Published};
use super::gate::{Gate, UndurableRecord};
use super::parked::Parked;
use super::ports::DayPorts;
use super::request::{CommandReply, CommandResult, Request};
use crate::claims::guard::{Blocker, RecordClaims};
use crate::claims::{Claimed, ForeignAnswer, Visit, Waiter, Wish};
use crate::error::EngineError;
use crate::journal::{Head, NewRecord, chain};
use crate::telemetry::stages::Stage as Timed;
use crate::telemetry::trace::{Stage, Trace};

/// How often a winner is decided again because another day claimed the patient's time in between. Each needs one more
/// appointment of the same patient to become live at that instant.
const DECISIONS_MAX: usize = 16;

/// See the module.
pub(super) struct Turn<'actor> {
    pub(super) awake: &'actor mut Awake,
    pub(super) gate: &'actor mut Gate,
    pub(super) parked: &'actor mut Parked,
    pub(super) entry: &'actor Arc<DayEntry>,
    pub(super) ports: &'actor DayPorts,
    pub(super) now: UtcMillis,
    /// What is to be appended, in order.
    pub(super) records: Vec<NewRecord>,
    /// What they claim, where several processes decide.
    pub(super) claims: Vec<RecordClaims>,
    /// Of the requests that became records, those that are looked at.
    pub(super) traces: Vec<Trace>,
    /// Names the state that is decided on.
    generation: u64,
    /// Whether a move on its way in was settled: who waits for it can be decided again.
    pub(super) settled_arrival: bool,
    /// Whether somebody waits for a move on its way in.
    pub(super) awaits_arrival: bool,
    /// Of a command that is timed: what its claims took until now.
    claiming_micros: Option<u64>,
}

impl<'actor> Turn<'actor> {
    /// Nothing is decided yet.
    pub(super) fn new(
        awake: &'actor mut Awake,
        gate: &'actor mut Gate,
        parked: &'actor mut Parked,
        entry: &'actor Arc<DayEntry>,
        ports: &'actor DayPorts,
        generation: u64,
        now: UtcMillis,
    ) -> Self {
        Self {
            awake,
            gate,
            parked,
            entry,
            ports,
            now,
            records: Vec::new(),
            claims: Vec::new(),
            traces: Vec::new(),
            generation,
            settled_arrival: false,
            awaits_arrival: false,
            claiming_micros: None,
        }
    }

    /// Decides `request`, which waits `since`.
    pub(super) fn take(&mut self, mut request: Request, since: UtcMillis) {
        #[cfg(feature = "testing")]
        self.ports.faults.before_decide(&request.command);
        request.trace.begin(Stage::Decide);
        let Some(decision) = self.decide_timed(&mut request.command, request.queued_micros, &request.trace) else {
            self.parked.push(since, request);
            if let Some(at) = self.parked.next_overdue_at() {
                self.ports.deadlines.arm(self.entry.day(), at);
            }
            return;
        };
        self.note_move(&request.command, &decision);
        let result = prepare_answer(&decision, self.now);
        let (told, refused) = (planted!(ReplyBeforeDurable), planted!(RefusalBeforeDurable));
        let is_told_at_once = if result.is_ok() { told } else { refused };
        if let Some(event) = decision.event {
            self.adopt(event);
            if request.trace.is_on() {
                request.trace.note_record();
                self.traces.push(request.trace.clone());
            }
        }
        if is_told_at_once {
            return request.settle(complete_answer(self.entry, result));
        }
        if self.gate.undurable() > 0 {
            request.trace.begin(Stage::Append);
        }
        self.gate.hold(self.awake.tip.version(), since, request, result);
    }

    /// Adopts a decided event on the tip and frames it as the next record.
    pub(super) fn adopt(&mut self, event: Event) {
        let version = self.awake.tip.next_version();
        if self.ports.claims.guard().is_some() {
            let day = self.entry.day();
            let (visit, key) = (visit_of(&event), key_of(&event, day.date));
            self.claims.extend(RecordClaims::of(day, version, self.generation, visit, key));
        }
        self.awake.tip.apply(version, &event);
        let body: Arc<[u8]> = booking_core::encode_event(&event).into();
        let hash = chain::link(self.awake.tip_head.hash, self.entry.day(), version, &body);
        self.awake.tip_head = Head { version, hash };
        self.gate.push_record(UndurableRecord { version, hash, event: Arc::new(event) });
        self.records.push(NewRecord { version, hash, body });
    }

    /// [`Turn::decide`], and how long it takes, of a few.
    fn decide_timed(&mut self, command: &mut Command, queued_micros: u64, trace: &Trace) -> Option<Decision> {
        let stages = &self.ports.metrics.stages;
        if !stages.is_timed(queued_micros) {
            return self.decide(command, queued_micros, trace);
        }
        let began = self.ports.clock.monotonic_micros();
        self.claiming_micros = Some(0);
        let decision = self.decide(command, queued_micros, trace);
        let claiming = self.claiming_micros.take().unwrap_or_default();
        let took = self.ports.clock.monotonic_micros().saturating_sub(began);
        stages.record(Timed::Decide, took.saturating_sub(claiming));
        if decision.as_ref().is_none_or(|decision| decision.event.is_some()) {
            stages.record(Timed::Claim, claiming);
        }
        decision
    }

    /// [`Turn::claim`], and how long it takes, of a command that is timed.
    fn claim_timed(&mut self, command: &Command, decision: &Decision, queued_micros: u64) -> Claimed {
        let Some(before) = self.claiming_micros else { return self.claim(command, decision, queued_micros) };
        let began = self.ports.clock.monotonic_micros();
        let claimed = self.claim(command, decision, queued_micros);
        self.claiming_micros = Some(before + self.ports.clock.monotonic_micros().saturating_sub(began));
        claimed
    }

    /// The decision, with everything claimed that it needs; `None` if it must wait.
    fn decide(&mut self, command: &mut Command, queued_micros: u64, trace: &Trace) -> Option<Decision> {
        if let Action::CommitMove(leaving) = &command.action
            && !self.awake.moves.end(leaving.appointment, leaving.move_id)
        {
            return Some(self.awake.tip.refuse(command, self.now, Rejection::MoveGivenUp));
        }
        set_busy(&mut command.action, Vec::new());
        for _ in 0..DECISIONS_MAX {
            let decision = self.awake.tip.decide(command, self.now);
            if decision.outcome == Err(Rejection::Arriving) {
                self.awaits_arrival = true;
                return None;
            }
            if decision.event.is_some() {
                trace.begin(Stage::Claim);
            }
            let busy = match self.claim_timed(command, &decision, queued_micros) {
                Claimed::Granted => return Some(decision),
                Claimed::KeyElsewhere => return Some(self.awake.tip.refuse(command, self.now, Rejection::KeyReused)),
                Claimed::Unsettled { expire } => {
                    if let Some(day) = expire {
                        self.ports.deadlines.arm(day, self.now);
                    }
                    return None;
                }
                Claimed::Busy(busy) => busy,
            };
            set_busy(&mut command.action, busy);
        }
        None
    }

    /// Claims what the decision is to record, for winners only. A refusal because of another appointment is decided again
    /// if the patient is busy elsewhere too: the earliest of all is named.
    fn claim(&self, command: &Command, decision: &Decision, queued_micros: u64) -> Claimed {
        let day = self.entry.day();
        if let Err(Rejection::AlreadyBooked { .. }) = decision.outcome
            && let Some((patient, except, known)) = wish_of(&command.action)
            && known == 0
        {
            let busy = self.ports.claims.busy(patient, day, except, self.now);
            return if busy.is_empty() { Claimed::Granted } else { Claimed::Busy(busy) };
        }
        let Some(event) = &decision.event else { return Claimed::Granted };
        let (visit, key) = (visit_of(event), key_of(event, day.date));
        if visit.is_none() && key.is_none() {
            return Claimed::Granted;
        }
        let sequence = self.awake.tip.next_version().sequence;
        let waiter = Arc::clone(self.entry) as Arc<dyn Waiter>;
        let wish = Wish { day, sequence, visit, key, now: self.now };
        let elsewhere = match self.ports.claims.look_elsewhere(&wish, queued_micros, &waiter) {
            ForeignAnswer::Clear => return self.ports.claims.claim(&wish, &waiter),
            ForeignAnswer::KeyElsewhere => return Claimed::KeyElsewhere,
            ForeignAnswer::Asked(again) => {
                again.into_iter().for_each(|blocker| ask_about(self.ports, blocker));
                return Claimed::Unsettled { expire: None };
            }
            ForeignAnswer::Busy(elsewhere) => elsewhere,
        };
        let here = wish.visit.map(|it| self.ports.claims.busy(it.patient, day, it.appointment, self.now));
        Claimed::Busy(elsewhere.into_iter().chain(here.into_iter().flatten()).collect())
    }

    /// Keeps the books of moves.
    fn note_move(&mut self, command: &Command, decision: &Decision) {
        match (&command.action, &decision.outcome) {
            (Action::PrepareMove { appointment, move_id }, Ok(Success::Appointment { replayed: false, .. })) => {
                self.awake.moves.prepare(*appointment, *move_id, self.now);
            }
            (Action::AcceptMove { .. } | Action::DropMove { .. }, Ok(_)) => self.settled_arrival = true,
            _ => {}
        }
    }
}

/// Has somebody find out what became of a claim of another day; who waits for it is told.
pub(super) fn ask_about(ports: &DayPorts, blocker: Blocker) {
    let Some(guard) = ports.claims.guard() else { return };
    let (claims, clock) = (Arc::clone(&ports.claims), Arc::clone(&ports.clock));
    ports.spawn.spawn(Box::pin(Arc::clone(guard).ask_about(claims, clock, blocker)));
}

/// The time of its patient that an event takes, of a winner.
pub(super) fn visit_of(event: &Event) -> Option<Visit> {
    match &event.fact {
        Fact::Taken | Fact::Moved { .. } => event.changes.last().and_then(|change| Visit::of(&change.row)),
        Fact::MoveHeld { row, .. } => Visit::of(row),
        _ => None,
    }
}

/// The key that an event remembers, and the last date on which it must be known.
pub(super) fn key_of(event: &Event, date: Date) -> Option<(&RequestKey, Date)> {
    let (key, _) = event.remembered.as_ref()?;
    Some((key, event.moved_to().map_or(date, |to| to.day.date.max(date))))
}

/// Of a command that takes a place: patient, the appointment itself, and how many times it knows the patient to be elsewhere.
fn wish_of(action: &Action) -> Option<(booking_core::PatientId, booking_core::AppointmentId, usize)> {
    match action {
        Action::Book(booking) => Some((booking.patient, booking.appointment, booking.busy.len())),
        Action::HoldForMove(arriving) => Some((arriving.row.patient, arriving.row.id, arriving.wish.busy.len())),
        _ => None,
    }
}

/// Says when the patient is elsewhere.
fn set_busy(action: &mut Action, busy: Vec<booking_core::Busy>) {
    match action {
        Action::Book(booking) => booking.busy = busy,
        Action::Move(relocation) => relocation.busy = busy,
        Action::HoldForMove(arriving) => arriving.wish.busy = busy,
        _ => {}
    }
}

/// The answer as far as it is known when the command is decided.
fn prepare_answer(decision: &Decision, now: UtcMillis) -> CommandResult {
    match &decision.outcome {
        Err(rejection) => Err(EngineError::Rejected(rejection.clone())),
        Ok(Success::Appointment { appointment, replayed, home }) => Ok(CommandReply::Appointment {
            appointment: appointment.clone(),
            home: home.clone(),
            replayed: *replayed,
            at: now,
        }),
        Ok(Success::Day { version, created, replayed_at }) => Ok(CommandReply::Decided {
            version: *version,
            created: *created,
            replayed: replayed_at.is_some(),
            at: replayed_at.unwrap_or(now),
        }),
        Ok(Success::Expired { .. } | Success::Dropped) => Ok(CommandReply::Done),
    }
}

/// Fills in what an answer takes from the published picture.
pub(super) fn complete_answer(entry: &DayEntry, result: CommandResult) -> CommandResult {
    let published = entry.published_guard();
    let Published::Present { snapshot, time_zone: zone } = &**published else {
        return result.and_then(|reply| match reply {
            CommandReply::Done => Ok(reply),
            _ if matches!(**published, Published::Loading) => {
                Err(EngineError::Unavailable("the day was interrupted".to_owned()))
            }
            _ => Err(EngineError::Rejected(Rejection::UnknownDay)),
        });
    };
    match result {
        Ok(CommandReply::Appointment { appointment, home, replayed, at }) => {
            let home = home.or_else(|| Some(Home { day: entry.day(), time_zone: Arc::clone(zone) }));
            Ok(CommandReply::Appointment { appointment, home, replayed, at })
        }
        Ok(CommandReply::Decided { version, created, replayed, at }) => {
            Ok(CommandReply::Day { snapshot: Arc::clone(snapshot), version, created, replayed, at })
        }
        other => other,
    }
}
