//! Days decided by the real rules, one command after another, with what crosses days done as the protocols say: the journal and the
//! replies of an engine without faults, as a script for the oracle.
//! Must not know: which commands are played, how they are judged.

use std::collections::BTreeMap;
use std::sync::Arc;

use booking_core::{
    Action, Answer, AppointmentId, Busy, Change, Command, DayKey, DayVersion, Decision, DoctorDay, Event, Fact,
    PatientId, Rejection, RequestKey, Success, UtcMillis, encode_event,
};
use engine::EngineError;
use engine::journal::StoredRecord;
use engine::view::{AppointmentReply, Caller, DayReply, DayView, HistoryItem, PlacedAppointment};
use simulator::oracle::{Asked, Floor, LedgerRows, Oracle, Reply, Told, Violation, Window};

use crate::hand::ZONE;

/// One thing that the oracle is told.
#[derive(Clone)]
pub(crate) enum Call {
    Record(StoredRecord, UtcMillis),
    Judge(Box<(Asked, Reply, Window)>),
    End(Box<LedgerRows>, UtcMillis),
}

/// Tells an oracle all of it.
pub(crate) fn play(calls: &[Call]) -> Result<(), Violation> {
    let mut oracle = Oracle::new();
    for call in calls {
        match call {
            Call::Record(record, now) => oracle.recorded(record, 0, *now)?,
            Call::Judge(case) => drop(oracle.judge(&case.0, &case.1, &case.2)?),
            Call::End(ledger, now) => {
                oracle.compare_ledger(ledger)?;
                oracle.rest_check(*now)?;
            }
        }
    }
    Ok(())
}

/// See the module.
#[derive(Default)]
pub(crate) struct Town {
    pub(crate) days: BTreeMap<DayKey, DoctorDay>,
    pub(crate) now: Option<UtcMillis>,
    pub(crate) position: u64,
    pub(crate) told: BTreeMap<AppointmentId, PlacedAppointment>,
    pub(crate) histories: BTreeMap<AppointmentId, Vec<HistoryItem>>,
    keys: BTreeMap<(booking_core::SubjectId, Box<str>), DayKey>,
    pub(crate) calls: Vec<Call>,
}

impl Town {
    pub(crate) fn now(&self) -> UtcMillis {
        self.now.unwrap_or(UtcMillis(0))
    }

    pub(crate) fn day(&mut self, day: DayKey) -> &mut DoctorDay {
        self.days.entry(day).or_insert_with(|| {
            let mut state = DoctorDay::default();
            assert!(state.adopt_epoch(1));
            state
        })
    }

    /// Adopts and records an event.
    fn commit(&mut self, day: DayKey, event: &Event) {
        let state = self.day(day);
        let version = state.next_version();
        state.apply(version, event);
        self.position += 1;
        let body: Arc<[u8]> = encode_event(event).into();
        let (shard, position) = (day.shard(), self.position);
        let record = StoredRecord { day, shard, position, version, hash: Default::default(), body };
        self.calls.push(Call::Record(record, self.now()));
        for change in &event.changes {
            self.note(day, event, change);
        }
        if let Some((key, _)) = &event.remembered {
            self.keys.insert((key.subject, key.key.clone()), day);
        }
    }

    fn note(&mut self, day: DayKey, event: &Event, change: &Change) {
        let is_last = event.changes.last() == Some(change);
        let day = event.moved_to().filter(|_| is_last).map_or(day, |home| home.day);
        let placed = PlacedAppointment { day, time_zone: ZONE.into(), appointment: change.row.clone() };
        self.told.insert(change.row.id, placed);
        self.histories.entry(change.row.id).or_default().push(HistoryItem::of(event, change));
    }

    /// The decision on a command with everything claimed that it needs, recorded; `None` if it would have to wait.
    pub(crate) fn run(&mut self, day: DayKey, command: &Command) -> Option<Decision> {
        let mut command = command.clone();
        set_busy(&mut command.action, Vec::new());
        for _ in 0..16 {
            let now = self.now();
            let decision = self.day(day).decide(&command, now);
            match self.claim(day, &command, &decision) {
                Claim::Granted => {
                    if let Some(event) = &decision.event {
                        self.commit(day, event);
                    }
                    return Some(decision);
                }
                Claim::KeyElsewhere => {
                    let decision = self.day(day).refuse(&command, now, Rejection::KeyReused);
                    if let Some(event) = &decision.event {
                        self.commit(day, event);
                    }
                    return Some(decision);
                }
                Claim::Wait => return None,
                Claim::Expire(other) => self.expire(other),
                Claim::Busy(busy) => set_busy(&mut command.action, busy),
            }
        }
        None
    }

    fn claim(&self, day: DayKey, command: &Command, decision: &Decision) -> Claim {
        if decision.outcome == Err(Rejection::Arriving) {
            return Claim::Wait;
        }
        if let Err(Rejection::AlreadyBooked { .. }) = decision.outcome
            && let Some((patient, except, true)) = wish_of(&command.action)
        {
            let busy = self.elsewhere(patient, except, day);
            return if busy.is_empty() { Claim::Granted } else { Claim::Busy(busy) };
        }
        let Some(event) = &decision.event else { return Claim::Granted };
        let visit = match &event.fact {
            Fact::Taken | Fact::Moved { .. } => event.changes.last().map(|change| change.row.clone()),
            Fact::MoveHeld { row, .. } => Some((**row).clone()),
            _ => None,
        };
        if let Some(row) = visit {
            let busy = self.elsewhere(row.patient, row.id, day);
            if busy.iter().any(|other| other.overlaps(row.start, row.end)) {
                return Claim::Busy(busy);
            }
            let overlaps = |start, end| start < row.end && row.start < end;
            let is_other = |other: &booking_core::Appointment| other.patient == row.patient && other.id != row.id;
            for (other, state) in self.days.iter().filter(|(other, _)| **other != day) {
                let mut coming = state.arrivals().map(|(_, arrival)| &arrival.row);
                if coming.any(|coming| is_other(coming) && overlaps(coming.start, coming.end)) {
                    return Claim::Wait;
                }
                if state
                    .appointments()
                    .any(|due| is_other(due) && due.is_due(self.now()) && overlaps(due.start, due.end))
                {
                    return Claim::Expire(*other);
                }
            }
        }
        let key = event.remembered.as_ref().map(|(key, _)| (key.subject, key.key.clone()));
        let known = key.and_then(|key| self.keys.get(&key));
        if known.is_some_and(|known| *known != day) { Claim::KeyElsewhere } else { Claim::Granted }
    }

    /// Where a patient is elsewhere for certain.
    fn elsewhere(&self, patient: PatientId, except: AppointmentId, day: DayKey) -> Vec<Busy> {
        let others = self.told.values().filter(|placed| placed.day != day && placed.appointment.id != except);
        let live =
            others.filter(|placed| placed.appointment.patient == patient && placed.appointment.is_live_at(self.now()));
        live.map(|placed| {
            let row = &placed.appointment;
            Busy { appointment: row.id, start: row.start, end: row.end }
        })
        .collect()
    }

    pub(crate) fn expire(&mut self, day: DayKey) {
        let now = self.now();
        let decision = self.day(day).decide(&Command::expire(), now);
        if let Some(event) = decision.event {
            self.commit(day, &event);
        }
    }

    /// The first answer to the request of this key, if it has won anywhere.
    pub(crate) fn replay(&mut self, key: Option<&RequestKey>) -> Option<Reply> {
        let key = key?;
        let day = *self.keys.get(&(key.subject, key.key.clone()))?;
        let won = self.days.get(&day)?.remembered_key(key.subject, &key.key)?;
        let won = Some(Arc::clone(won)).filter(|won| won.fingerprint == key.fingerprint)?;
        let placed = |day, row: &booking_core::Appointment| {
            let placed = PlacedAppointment { day, time_zone: ZONE.into(), appointment: row.clone() };
            Ok(Told::Appointment(AppointmentReply { placed, replayed: true, now: row.updated_at }))
        };
        Some(match &won.answer {
            Answer::Appointment(row) => placed(day, row),
            Answer::Moved { row, to } => placed(to.day, row),
            Answer::Closed { version, at } => {
                let (view, version) = (self.view(day, *at)?, *version);
                Ok(Told::Day(DayReply { view, version, created: false, replayed: true }))
            }
        })
    }

    /// The picture of a day as it is read at `now`.
    pub(crate) fn view(&self, day: DayKey, now: UtcMillis) -> Option<DayView> {
        let snapshot = Arc::new(self.days.get(&day)?.snapshot()?);
        Some(DayView { day, snapshot, now })
    }

    /// What the caller of a decided command is told.
    pub(crate) fn reply(&self, day: DayKey, decision: &Decision) -> Reply {
        match &decision.outcome {
            Err(rejection) => Err(EngineError::Rejected(rejection.clone())),
            Ok(Success::Appointment { appointment, replayed, home }) => {
                let day = home.as_ref().map_or(day, |home| home.day);
                let placed = PlacedAppointment { day, time_zone: ZONE.into(), appointment: appointment.clone() };
                Ok(Told::Appointment(AppointmentReply { placed, replayed: *replayed, now: self.now() }))
            }
            Ok(Success::Day { version, created, replayed_at }) => {
                let view = self.view(day, replayed_at.unwrap_or(self.now())).expect("published");
                let (version, created, replayed) = (*version, *created, replayed_at.is_some());
                Ok(Told::Day(DayReply { view, version, created, replayed }))
            }
            Ok(other) => panic!("nobody is told {other:?}"),
        }
    }

    /// A request that was under way since `since`, at which instant, is answered.
    pub(crate) fn answer(&mut self, asked: Asked, reply: Reply, (since, then): (u64, UtcMillis)) {
        let (from, to_position) = (Floor::Position(since), self.position);
        let window = Window { from, to_position, from_now: then, to_now: self.now() };
        self.calls.push(Call::Judge(Box::new((asked, reply, window))));
    }

    pub(crate) fn version(&self, day: DayKey) -> DayVersion {
        self.days.get(&day).map(DoctorDay::version).unwrap_or_default()
    }

    /// The whole ledger, without lag.
    pub(crate) fn ledger(&self) -> LedgerRows {
        let (appointments, histories) = (self.told.values().cloned().collect(), self.histories.clone());
        LedgerRows { cursor: self.position, appointments, histories }
    }
}

enum Claim {
    Granted,
    KeyElsewhere,
    Wait,
    Expire(DayKey),
    Busy(Vec<Busy>),
}

/// Patient, appointment, and whether nothing is known yet of where the patient is.
fn wish_of(action: &Action) -> Option<(PatientId, AppointmentId, bool)> {
    match action {
        Action::Book(booking) => Some((booking.patient, booking.appointment, booking.busy.is_empty())),
        Action::HoldForMove(arriving) => Some((arriving.row.patient, arriving.row.id, arriving.wish.busy.is_empty())),
        _ => None,
    }
}

fn set_busy(action: &mut Action, busy: Vec<Busy>) {
    match action {
        Action::Book(booking) => booking.busy = busy,
        Action::Move(relocation) => relocation.busy = busy,
        Action::HoldForMove(arriving) => arriving.wish.busy = busy,
        _ => {}
    }
}

pub(crate) fn command(caller: &Caller, action: Action) -> Command {
    Command { envelope: caller.envelope, key: caller.key.clone(), action }
}
