//! Days that really happened: events as the core decides them, with versions and positions as a journal gives them.
//! Must not know: stores.

use std::collections::BTreeMap;
use std::sync::Arc;

use booking_core::{
    Action, Appointment, AppointmentId, Arriving, Booking, Command, Date, DayDefinition, DayKey, DayVersion, DoctorDay,
    DoctorId, Envelope, Event, Fingerprint, Home, Leaving, MoveId, PatientId, PersonalText, Release, Relocation,
    RequestId, RequestKey, Role, Seat, SlotDefinition, SubjectId, Success, UtcMillis,
};
use engine::journal::ChainHash;
use engine::ledger::AppliedRecord;
use uuid::Uuid;

/// 2026-03-02T08:00:00Z, when every day of a story begins.
pub(crate) const MORNING: i64 = 1_772_438_400_000;
/// Length of every slot.
pub(crate) const SLOT_MILLIS: i64 = 600_000;
/// The zone of every day.
pub(crate) const ZONE: &str = "Europe/Vienna";

/// Some days, and everything that happened on them in one order.
#[derive(Default)]
pub(crate) struct Story {
    days: BTreeMap<DayKey, DoctorDay>,
    pub(crate) records: Vec<AppliedRecord>,
    told: usize,
    ids: u128,
    /// The next command comes under this key of its subject.
    pub(crate) key: Option<&'static str>,
    /// The instant of the next command.
    pub(crate) now: i64,
}

/// Doctor number `doctor` on 2 March 2026.
pub(crate) fn day(doctor: u128) -> DayKey {
    DayKey { doctor: DoctorId(Uuid::from_u128(0xD0C << 96 | doctor)), date: date(0) }
}

/// So many days after 2 March 2026.
pub(crate) fn date(later: i32) -> Date {
    let date = Date::from_civil(2026, 3, 2).and_then(|date| date.plus_days(later));
    date.expect("a date")
}

/// Patient number `number`.
pub(crate) fn patient(number: u128) -> PatientId {
    PatientId(Uuid::from_u128(0xA71 << 96 | number))
}

/// Start of slot number `slot`.
pub(crate) fn start(slot: usize) -> UtcMillis {
    UtcMillis(MORNING + slot as i64 * SLOT_MILLIS)
}

impl Story {
    /// Begins two hours before the first slot.
    pub(crate) fn new() -> Self {
        Self { now: MORNING - 7_200_000, ..Self::default() }
    }

    /// Whose ids are not those of a story that began with another number.
    pub(crate) fn numbered(number: u128) -> Self {
        Self { ids: number << 32, ..Self::new() }
    }

    /// A story with one published day.
    pub(crate) fn of_day(day: DayKey, slots: usize, capacity: u32) -> Self {
        let mut story = Self::new();
        story.publish(day, slots, capacity);
        story
    }

    pub(crate) fn publish(&mut self, day: DayKey, slots: usize, capacity: u32) {
        self.try_publish(day, slots, capacity).expect("published");
    }

    /// The same, if the places that are taken allow it.
    pub(crate) fn try_publish(&mut self, day: DayKey, slots: usize, capacity: u32) -> Option<Success> {
        let slots = (0..slots).map(|slot| SlotDefinition {
            start: start(slot),
            end: start(slot + 1),
            capacity,
            utc_offset_seconds: 3_600,
        });
        let releases = vec![Release { at: UtcMillis(0), places: None, audience: None }];
        let definition = DayDefinition::validate(ZONE.into(), "2026a".into(), slots.collect(), releases);
        let definition = Arc::new(definition.expect("a day that the core takes"));
        let action = Action::Publish { definition, precondition: None };
        self.command(day, Role::Doctor, day.doctor.0, action)
    }

    pub(crate) fn close(&mut self, day: DayKey) {
        let reason = Some(PersonalText::plain("ill"));
        self.command(day, Role::Doctor, day.doctor.0, Action::Close { reason }).expect("closed");
    }

    /// Books (or holds for `hold_millis`) a slot; `None` if the core refuses.
    pub(crate) fn take(
        &mut self,
        day: DayKey,
        who: PatientId,
        slot: Option<usize>,
        hold_millis: Option<i64>,
    ) -> Option<AppointmentId> {
        self.ids += 1;
        let appointment = AppointmentId::born_in(Uuid::from_u128(self.ids << 16), &day);
        let booking = Booking {
            appointment,
            patient: who,
            start: slot.map(start),
            hold_millis,
            audiences: Arc::from([]),
            busy: Vec::new(),
        };
        self.command(day, Role::Patient, who.0, Action::Book(booking)).map(|_| appointment)
    }

    pub(crate) fn book(&mut self, day: DayKey, who: u128, slot: usize) -> AppointmentId {
        self.take(day, patient(who), Some(slot), None).expect("a place")
    }

    pub(crate) fn hold(&mut self, day: DayKey, who: u128, slot: usize) -> AppointmentId {
        self.take(day, patient(who), Some(slot), Some(60_000)).expect("a place")
    }

    /// Whether the core took it.
    pub(crate) fn confirm(&mut self, day: DayKey, appointment: AppointmentId) -> bool {
        self.change(day, appointment, Action::Confirm { appointment })
    }

    pub(crate) fn cancel(&mut self, day: DayKey, appointment: AppointmentId, reason: Option<&str>) -> bool {
        self.change(day, appointment, Action::Cancel { appointment, reason: reason.map(PersonalText::plain) })
    }

    /// A place of this day for one that has a place of it.
    pub(crate) fn move_within(&mut self, day: DayKey, appointment: AppointmentId, slot: usize) {
        let relocation = relocation(appointment, slot);
        assert!(self.change(day, appointment, Action::Move(relocation)), "moved");
    }

    /// The first step of a move to another day: a place is kept there.
    pub(crate) fn hold_for_move(&mut self, from: DayKey, appointment: AppointmentId, to: DayKey, slot: usize) -> Move {
        self.try_hold_for_move(from, appointment, to, slot).expect("a place is kept")
    }

    /// The same, if both days take it.
    pub(crate) fn try_hold_for_move(
        &mut self,
        from: DayKey,
        appointment: AppointmentId,
        to: DayKey,
        slot: usize,
    ) -> Option<Move> {
        self.ids += 1;
        let id = MoveId(Uuid::from_u128(0x307E << 96 | self.ids));
        let row = self.days[&from].appointment(appointment)?.clone();
        let arriving = Arriving { move_id: id, from, row, wish: relocation(appointment, slot) };
        self.command(to, Role::System, Uuid::nil(), Action::HoldForMove(arriving))?;
        Some(Move { id, from, to, appointment })
    }

    /// The second: the appointment leaves.
    pub(crate) fn commit_move(&mut self, step: Move) {
        self.try_commit_move(step).expect("it leaves");
    }

    /// The same, if it still may.
    pub(crate) fn try_commit_move(&mut self, step: Move) -> Option<()> {
        let kept = self.days[&step.to].arrival(step.id)?.row.clone();
        let leaving = Leaving {
            move_id: step.id,
            appointment: step.appointment,
            // That for which the place is kept.
            version: kept.version - 1,
            to: Home { day: step.to, time_zone: ZONE.into() },
            seat: Seat::of(&kept),
            end: kept.end,
        };
        self.command(step.from, Role::Patient, kept.patient.0, Action::CommitMove(leaving))?;
        // A success may be the answer of another request under the same key.
        let departure = self.days[&step.from].departure(step.appointment)?;
        (departure.move_id == step.id).then_some(())
    }

    /// The last, after the second: it has come in.
    pub(crate) fn accept_move(&mut self, step: Move) {
        let row = self.days[&step.from].departure(step.appointment).expect("it has left").row.clone();
        let accept = Action::AcceptMove { move_id: step.id, row };
        self.command(step.to, Role::System, Uuid::nil(), accept).expect("it comes in");
    }

    /// Or, without the second: the place is given back.
    pub(crate) fn drop_move(&mut self, step: Move) {
        self.command(step.to, Role::System, Uuid::nil(), Action::DropMove { move_id: step.id }).expect("dropped");
    }

    /// All steps of a move to another day.
    pub(crate) fn move_to(&mut self, from: DayKey, appointment: AppointmentId, to: DayKey, slot: usize) {
        let step = self.hold_for_move(from, appointment, to, slot);
        self.commit_move(step);
        self.accept_move(step);
    }

    fn change(&mut self, day: DayKey, appointment: AppointmentId, action: Action) -> bool {
        let who = self.row(day, appointment).patient;
        self.command(day, Role::Patient, who.0, action).is_some()
    }

    /// The doctor says that nobody came.
    pub(crate) fn no_show(&mut self, day: DayKey, appointment: AppointmentId) {
        self.command(day, Role::Doctor, day.doctor.0, Action::NoShow { appointment }).expect("no show");
    }

    /// Every hold that is due now is recorded.
    pub(crate) fn expire(&mut self, day: DayKey) {
        self.command(day, Role::System, Uuid::nil(), Action::Expire);
    }

    /// The row as the core has it.
    pub(crate) fn row(&self, day: DayKey, appointment: AppointmentId) -> Appointment {
        self.days[&day].appointment(appointment).expect("the appointment").clone()
    }

    /// Every row of every day.
    pub(crate) fn rows(&self) -> Vec<(DayKey, Appointment)> {
        self.days.iter().flat_map(|(day, state)| state.appointments().map(|row| (*day, row.clone()))).collect()
    }

    /// What was recorded since the last call.
    pub(crate) fn news(&mut self) -> Vec<AppliedRecord> {
        let news = self.records[self.told..].to_vec();
        self.told = self.records.len();
        news
    }

    /// The position of the last record.
    pub(crate) fn position(&self) -> u64 {
        self.records.last().map_or(0, |record| record.position)
    }

    /// Has `event` recorded as the next of `day`, whatever the core would say of it.
    pub(crate) fn record(&mut self, day: DayKey, event: Event) {
        let state = self.days.entry(day).or_default();
        let version = DayVersion { epoch: 1, sequence: state.version().sequence + 1 };
        state.apply(version, &event);
        // Positions have holes: only their order counts.
        let position = self.position() + 3;
        let body: Arc<[u8]> = booking_core::encode_event(&event).into();
        let hash = ChainHash([u8::try_from(position % 251).unwrap_or(0); 16]);
        self.records.push(AppliedRecord { day, version, position, hash, body, event });
    }

    /// Has `day` decide now, and records what it decides; `None` if it refuses.
    pub(crate) fn command(&mut self, day: DayKey, role: Role, subject: Uuid, action: Action) -> Option<Success> {
        self.ids += 1;
        self.now += 1_000;
        let request = RequestId(Uuid::from_u128(0x4E9 << 96 | self.ids));
        let envelope = Envelope { subject: SubjectId(subject), role, request };
        let key = self.key.take().map(|key| RequestKey {
            subject: envelope.subject,
            key: key.into(),
            fingerprint: Fingerprint([7; 16]),
        });
        let command = Command { envelope, key, action };
        let decision = self.days.entry(day).or_default().decide(&command, UtcMillis(self.now));
        if let Some(event) = decision.event {
            self.record(day, event);
        }
        decision.outcome.ok()
    }
}

/// A move of an appointment from day to day, while it is under way.
#[derive(Clone, Copy)]
pub(crate) struct Move {
    id: MoveId,
    from: DayKey,
    to: DayKey,
    appointment: AppointmentId,
}

/// Another place for `appointment`.
pub(crate) fn relocation(appointment: AppointmentId, slot: usize) -> Relocation {
    Relocation { appointment, start: Some(start(slot)), audiences: Arc::from([]), busy: Vec::new() }
}

/// The booking of `record` once more, of another patient under another id: a place sold twice.
pub(crate) fn sold_again(record: &AppliedRecord, appointment: u128) -> Event {
    let mut event = record.event.clone();
    let change = event.changes.last_mut().expect("a booking");
    change.row.id = AppointmentId(Uuid::from_u128(0xBAD << 96 | appointment));
    change.row.patient = patient(0xBAD);
    event
}
