//! Records and replies made by hand: small numbers for everything that has a name.
//! Must not know: what they are an example of.

use std::sync::Arc;

use booking_core::{
    Answer, Appointment, AppointmentId, Booking, Change, Date, DayDefinition, DayKey, DayVersion, DoctorDay, DoctorId,
    Envelope, Event, Fact, Fingerprint, Home, MoveId, PatientId, Release, RequestId, RequestKey, Role, SlotDefinition,
    Status, SubjectId, UtcMillis, encode_event,
};
use engine::journal::StoredRecord;
use engine::view::{
    AppointmentAction, AppointmentAddress, AppointmentReply, BookRequest, Caller, DayView, PlacedAppointment,
    RescheduleRequest,
};
use simulator::oracle::{Asked, Floor, Oracle, Reply, Told, Verdict, Violation, Window};

pub(crate) const ZONE: &str = "Europe/Rome";

/// So many seconds after 1970.
pub(crate) fn second(number: i64) -> UtcMillis {
    UtcMillis(number * 1000)
}

/// Day number `number` of one doctor; from ten on, that of another one.
pub(crate) fn day(number: i32) -> DayKey {
    let doctor = DoctorId::from_bytes([5 + (number / 10) as u8; 16]);
    DayKey { doctor, date: Date::from_days(number % 10).expect("a date") }
}

pub(crate) fn bytes(kind: u8, number: u64) -> [u8; 16] {
    (u128::from(number) | u128::from(kind) << 120).to_be_bytes()
}

pub(crate) fn appointment(number: u64) -> AppointmentId {
    AppointmentId::from_bytes(bytes(0xa, number))
}

pub(crate) fn patient(number: u64) -> PatientId {
    PatientId::from_bytes(bytes(0xb, number))
}

pub(crate) fn attempt(number: u64) -> MoveId {
    MoveId::from_bytes(bytes(0xc, number))
}

pub(crate) fn subject(number: u64) -> SubjectId {
    SubjectId::from_bytes(bytes(0xd, number))
}

pub(crate) fn request(number: u64) -> RequestId {
    RequestId::from_bytes(bytes(0xe, number))
}

pub(crate) fn envelope(number: u64) -> Envelope {
    Envelope { subject: subject(0), role: Role::Admin, request: request(number) }
}

pub(crate) fn key(name: &str, fingerprint: u8) -> RequestKey {
    RequestKey { subject: subject(0), key: name.into(), fingerprint: Fingerprint([fingerprint; 16]) }
}

pub(crate) fn caller(number: u64, key: Option<RequestKey>) -> Caller {
    Caller { envelope: envelope(number), key }
}

/// Slots as (start, end, capacity) and releases as (instant, places, audience), in seconds.
pub(crate) fn definition(
    slots: &[(i64, i64, u32)],
    releases: &[(i64, Option<u32>, Option<&str>)],
) -> Result<Arc<DayDefinition>, Vec<booking_core::DefinitionError>> {
    let slot = |(start, end, capacity): &(i64, i64, u32)| SlotDefinition {
        start: second(*start),
        end: second(*end),
        capacity: *capacity,
        utc_offset_seconds: 0,
    };
    let release = |(at, places, audience): &(i64, Option<u32>, Option<&str>)| Release {
        at: second(*at),
        places: *places,
        audience: audience.map(Box::from),
    };
    let (slots, releases) = (slots.iter().map(slot).collect(), releases.iter().map(release).collect());
    DayDefinition::validate(ZONE.into(), "2026a".into(), slots, releases).map(Arc::new)
}

/// Two slots of two places, from second 100 and 200 of the test's time on, open at once.
pub(crate) fn plain() -> Arc<DayDefinition> {
    definition(&[(100, 150, 2), (200, 250, 2)], &[(0, None, None)]).expect("valid")
}

/// A booked row in its first version: who, the slot's start (it lasts 50 s), the place, when.
pub(crate) fn booked(number: u64, who: u64, start: i64, place: u32, at: i64) -> Appointment {
    Appointment {
        id: appointment(number),
        patient: patient(who),
        start: second(start),
        end: second(start + 50),
        place,
        status: Status::Booked,
        hold_expires_at: None,
        cancellation_reason: None,
        created_at: second(at),
        updated_at: second(at),
        version: 1,
    }
}

/// The same, as a hold until `expiry`.
pub(crate) fn held(number: u64, who: u64, start: i64, place: u32, at: i64, expiry: i64) -> Appointment {
    let row = booked(number, who, start, place, at);
    Appointment { status: Status::Held, hold_expires_at: Some(second(expiry)), ..row }
}

/// One version later.
pub(crate) fn later(row: &Appointment, status: Status, at: i64) -> Appointment {
    let hold_expires_at = row.hold_expires_at.filter(|_| matches!(status, Status::Held | Status::Expired));
    Appointment { status, hold_expires_at, updated_at: second(at), version: row.version + 1, ..row.clone() }
}

pub(crate) fn change(from: Option<Status>, row: &Appointment) -> Change {
    Change { from, row: row.clone() }
}

pub(crate) fn home(number: i32) -> Home {
    Home { day: day(number), time_zone: ZONE.into() }
}

pub(crate) fn placed(number: i32, row: &Appointment) -> PlacedAppointment {
    PlacedAppointment { day: day(number), time_zone: ZONE.into(), appointment: row.clone() }
}

/// An oracle and the journal that it reads. The request number of a record is its position.
#[derive(Default)]
pub(crate) struct Hand {
    pub(crate) oracle: Oracle,
    pub(crate) versions: std::collections::BTreeMap<DayKey, DayVersion>,
}

impl Hand {
    /// Day 0 is published as [`plain`].
    pub(crate) fn published() -> Self {
        let mut hand = Self::default();
        hand.step(0, 0, Fact::Published(plain()), vec![]).expect("legal");
        hand
    }

    pub(crate) fn next(&self, number: i32) -> DayVersion {
        let before = self.versions.get(&day(number)).copied().unwrap_or_default();
        DayVersion { epoch: 1, sequence: before.sequence + 1 }
    }

    /// The record that would come next.
    pub(crate) fn record(&self, number: i32, event: &Event) -> StoredRecord {
        StoredRecord {
            day: day(number),
            shard: day(number).shard(),
            position: self.oracle.last_position() + 1,
            version: self.next(number),
            hash: Default::default(),
            body: encode_event(event).into(),
        }
    }

    pub(crate) fn event(&self, at: i64, fact: Fact, changes: Vec<Change>) -> Event {
        let number = self.oracle.last_position() + 1;
        Event { at: second(at), envelope: envelope(number), fact, changes, remembered: None }
    }

    pub(crate) fn feed(&mut self, number: i32, event: &Event) -> Result<(), Violation> {
        let record = self.record(number, event);
        self.oracle.recorded(&record, 0, event.at)?;
        self.versions.insert(record.day, record.version);
        Ok(())
    }

    pub(crate) fn step(&mut self, number: i32, at: i64, fact: Fact, changes: Vec<Change>) -> Result<(), Violation> {
        let event = self.event(at, fact, changes);
        self.feed(number, &event)
    }

    pub(crate) fn take(&mut self, number: i32, row: &Appointment) -> Result<(), Violation> {
        self.step(number, row.created_at.0 / 1000, Fact::Taken, vec![change(None, row)])
    }

    /// A taking that remembers `key`.
    pub(crate) fn take_with(&mut self, number: i32, row: &Appointment, key: RequestKey) -> Result<(), Violation> {
        let mut event = self.event(row.created_at.0 / 1000, Fact::Taken, vec![change(None, row)]);
        event.remembered = Some((key, Answer::Appointment(row.clone())));
        self.feed(number, &event)
    }

    /// Judges with a window between the given positions and seconds.
    pub(crate) fn judge(
        &mut self,
        asked: &Asked,
        reply: &Reply,
        (from, to): (u64, u64),
        (from_now, to_now): (i64, i64),
    ) -> Result<Verdict, Violation> {
        let (from_now, to_now) = (second(from_now), second(to_now));
        let window = Window { from: Floor::Position(from), to_position: to, from_now, to_now };
        self.oracle.judge(asked, reply, &window)
    }
}

/// A wish of `who` for the slot at `start` of day 0, by request `number`.
pub(crate) fn wish(number: u64, who: u64, start: Option<i64>, key: Option<RequestKey>) -> Asked {
    Asked::Book(BookRequest {
        day: day(0),
        booking: Booking {
            appointment: appointment(0),
            patient: patient(who),
            start: start.map(second),
            hold_millis: None,
            audiences: Arc::new([]),
            busy: vec![],
        },
        caller: caller(number, key),
    })
}

pub(crate) fn changing(number: u64, id: u64, action: AppointmentAction, key: Option<RequestKey>) -> Asked {
    let address = AppointmentAddress { day: day(0), id: appointment(id) };
    Asked::Change { address, action, caller: caller(number, key) }
}

pub(crate) fn moving(number: u64, id: u64, to: i32, start: Option<i64>) -> Asked {
    Asked::Reschedule(RescheduleRequest {
        id: appointment(id),
        doctor: None,
        date: day(to).date,
        start: start.map(second),
        audiences: Arc::new([]),
        caller: caller(number, None),
    })
}

pub(crate) fn told(number: i32, row: &Appointment, replayed: bool) -> Reply {
    Ok(Told::Appointment(AppointmentReply { placed: placed(number, row), replayed, now: row.updated_at }))
}

/// The picture of day 0 after these events, as the real rules paint it.
pub(crate) fn view(events: &[Event], now: i64) -> DayView {
    let mut state = DoctorDay::default();
    assert!(state.adopt_epoch(1));
    for event in events {
        state.apply(state.next_version(), event);
    }
    DayView { day: day(0), snapshot: Arc::new(state.snapshot().expect("published")), now: second(now) }
}
