//! How a test drives a day: every step is decided, recorded, replayed and checked in all the ways there are.
//! Must not know: which rule a test is about.

use std::collections::HashMap;
use std::sync::Arc;

use booking_core::{
    Action, Answer, AppointmentId, Booking, Command, Date, DayDefinition, DayKey, Decision, DoctorDay, DoctorId,
    Envelope, Event, Fact, Home, MoveId, PatientId, Rejection, Release, RequestId, RequestKey, Role, Seat,
    SlotDefinition, SubjectId, Success, UtcMillis, decode_event, encode_event, invariant,
};

/// A day and a replica that has seen nothing but the bytes of its events.
#[derive(Clone, Default)]
pub(crate) struct Driver {
    pub(crate) day: DoctorDay,
    replica: DoctorDay,
    /// Who has which place, by what the events say of the seats alone: as a store would keep it.
    seats: HashMap<Seat, AppointmentId>,
}

impl Driver {
    /// A day published with this definition at instant 0.
    pub(crate) fn published(definition: DayDefinition) -> Self {
        let mut driver = Self::default();
        let publish = Action::Publish { definition: Arc::new(definition), precondition: None };
        driver.run(&command(publish), UtcMillis(0)).outcome.expect("a first definition is accepted");
        driver
    }

    /// Decides, checks, records and replays one command.
    pub(crate) fn run(&mut self, command: &Command, at: UtcMillis) -> Decision {
        let decision = self.day.decide(command, at);
        assert_eq!(decision, self.day.decide(command, at), "deciding twice gives two answers");
        self.check_picture(command, at, &decision);
        if let Some(event) = &decision.event {
            self.check_event(command, at, &decision);
            let bytes = encode_event(event);
            let read = decode_event(&bytes).expect("what was written can be read");
            assert_eq!(*event, read, "an event changes on its way through bytes");
            let version = self.day.next_version();
            self.day.apply(version, event);
            self.replica.apply(version, &read);
            assert_eq!(self.day.version(), version);
            self.keep_seats(event);
        }
        if let Err(wrong) = invariant::check(&self.day, at) {
            panic!("after {command:?} at {at:?}: {wrong}");
        }
        let packed = self.day.pack();
        assert_eq!(packed, self.replica.pack(), "a replay leads elsewhere");
        let woken = DoctorDay::unpack(&packed).expect("what was packed can be unpacked");
        assert_eq!(packed, woken.pack(), "a day changes in its sleep");
        assert_eq!(self.day.snapshot(), woken.snapshot(), "a day looks different after its sleep");
        assert_eq!(self.day.decide(command, at), woken.decide(command, at), "a day decides differently after sleep");
        self.day = woken;
        decision
    }

    /// A seat is given back by who has it and taken when nobody has it, and in the end they are those of the rows.
    fn keep_seats(&mut self, event: &Event) {
        for (seat, id) in event.seats_left() {
            assert_eq!(self.seats.remove(&seat), Some(id), "{seat:?} is given back by {event:?}");
        }
        for (seat, id) in event.seats_taken() {
            assert_eq!(self.seats.insert(seat, id), None, "{seat:?} is taken by {event:?}");
        }
        let here = self.day.appointments().filter(|row| row.status.takes_place());
        let rows = here.chain(self.day.arrivals().map(|(_, arrival)| &arrival.row));
        let expected: HashMap<_, _> = rows.map(|row| (Seat::of(row), row.id)).collect();
        assert_eq!(self.seats, expected, "after {event:?}");
    }

    /// The published picture and the day give the same refusals.
    fn check_picture(&self, command: &Command, at: UtcMillis, decision: &Decision) {
        let (Action::Book(booking), None, Some(snapshot)) = (&command.action, &command.key, self.day.snapshot()) else {
            return;
        };
        let refusal = snapshot.refusal_at(booking.start, &booking.audiences, at);
        let refused = decision.outcome.as_ref().err().filter(|rejection| {
            use Rejection::{AlreadyBooked, Arriving, TooManyKeys, UnknownDay};
            !matches!(rejection, AlreadyBooked { .. } | Arriving | UnknownDay | TooManyKeys)
        });
        if snapshot.has_due_hold(at) {
            assert!(refusal.is_none() || refusal.as_ref() == refused, "{refusal:?} in the picture, {refused:?}");
        } else {
            assert_eq!(refusal.as_ref(), refused, "the picture and the day differ at {at:?} about {booking:?}");
        }
    }

    /// What every event must be like.
    fn check_event(&self, command: &Command, at: UtcMillis, decision: &Decision) {
        let Some(event) = &decision.event else { return };
        assert_eq!((event.at, event.envelope), (at, command.envelope));
        for change in &event.changes {
            let stored = self.day.appointment(change.row.id);
            assert_eq!(change.from, stored.map(|row| row.status));
            assert_eq!(change.row.version, stored.map_or(1, |row| row.version + 1));
            assert_eq!(change.row.updated_at, at);
        }
        if decision.outcome.is_err() {
            assert_eq!((&event.fact, &event.remembered), (&Fact::Expired, &None), "a refusal does something");
        }
        match (&event.remembered, &decision.outcome) {
            (Some((key, answer)), Ok(success)) => {
                assert_eq!(Some(key), command.key.as_ref());
                match (answer, success) {
                    (Answer::Appointment(row), Success::Appointment { appointment, replayed: false, home: None }) => {
                        assert_eq!(row, appointment);
                    }
                    (Answer::Moved { row, to }, Success::Appointment { appointment, replayed: false, home }) => {
                        assert_eq!((row, Some(to)), (appointment, home.as_ref()));
                    }
                    (Answer::Closed { version, at: answered }, Success::Day { version: told, .. }) => {
                        assert_eq!((version, *answered), (told, at));
                        assert_eq!(*version, self.day.next_version());
                    }
                    other => panic!("an answer of another kind is remembered: {other:?}"),
                }
            }
            (Some(_), Err(_)) => panic!("a refusal is remembered"),
            (None, _) => assert_ne!(event.fact, Fact::Remembered),
        }
    }
}

/// A command of an admin, without a key.
pub(crate) fn command(action: Action) -> Command {
    let subject = SubjectId::from_bytes([9; 16]);
    let envelope = Envelope { subject, role: Role::Admin, request: RequestId::from_bytes([7; 16]) };
    Command { envelope, key: None, action }
}

/// A command of `subject` under `key`.
pub(crate) fn keyed(action: Action, subject: SubjectId, key: &str, fingerprint: u8) -> Command {
    let mut command = command(action);
    command.envelope.subject = subject;
    let fingerprint = booking_core::Fingerprint([fingerprint; 16]);
    command.key = Some(RequestKey { subject, key: key.into(), fingerprint });
    command
}

/// A booking of `patient` (a hold, if `hold_millis` is given).
pub(crate) fn booking(id: u64, patient: u64, start: Option<UtcMillis>, hold_millis: Option<i64>) -> Action {
    Action::Book(Booking {
        appointment: appointment_id(id),
        patient: patient_id(patient),
        start,
        hold_millis,
        audiences: Arc::new([]),
        busy: Vec::new(),
    })
}

pub(crate) fn appointment_id(number: u64) -> AppointmentId {
    AppointmentId::from_bytes((u128::from(number) | 0xa << 120).to_be_bytes())
}

pub(crate) fn patient_id(number: u64) -> PatientId {
    PatientId::from_bytes((u128::from(number) | 0xb << 120).to_be_bytes())
}

pub(crate) fn move_id(number: u64) -> MoveId {
    MoveId::from_bytes((u128::from(number) | 0xc << 120).to_be_bytes())
}

/// One doctor's day number `number`.
pub(crate) fn day_key(number: i32) -> DayKey {
    let date = Date::from_days(number).expect("a date");
    DayKey { doctor: DoctorId::from_bytes([5; 16]), date }
}

/// The same, as a place where an appointment may stand.
pub(crate) fn home(number: i32) -> Home {
    Home { day: day_key(number), time_zone: "Europe/Rome".into() }
}

/// The subject of a patient's own token.
pub(crate) fn subject_of(patient: u64) -> SubjectId {
    SubjectId::from_bytes(*patient_id(patient).as_bytes())
}

/// A validated definition from slots (start and end in seconds, capacity) and releases (second, places, audience).
pub(crate) fn definition(
    slots: &[(i64, i64, u32)],
    releases: &[(i64, Option<u32>, Option<&str>)],
) -> Result<DayDefinition, Vec<booking_core::DefinitionError>> {
    let slot = |(start, end, capacity): &(i64, i64, u32)| SlotDefinition {
        start: UtcMillis(start * 1000),
        end: UtcMillis(end * 1000),
        capacity: *capacity,
        utc_offset_seconds: 7200,
    };
    let release = |(at, places, audience): &(i64, Option<u32>, Option<&str>)| Release {
        at: UtcMillis(at * 1000),
        places: *places,
        audience: audience.map(Box::from),
    };
    let slots = slots.iter().map(slot).collect();
    let releases = releases.iter().map(release).collect();
    DayDefinition::validate("Europe/Rome".into(), "2026a".into(), slots, releases)
}
