//! What the decoders do with bytes that are cut, flipped or made up: they never panic, and what they accept can be used.
//! Must not know: the format.

use std::sync::Arc;

use booking_core::{
    Action, Appointment, AppointmentId, Arriving, Command, DayDefinition, DecodeError, DoctorDay, Event, Leaving,
    PersonalText, Relocation, Seat, Status, UtcMillis, decode_event, encode_event, invariant,
};
use proptest::prelude::*;

use crate::driver::{
    Driver, appointment_id, booking, command, day_key, definition, home, keyed, move_id, patient_id, subject_of,
};

const UUID_KEY: &str = "0190b8a2-7c31-7f10-9a55-0123456789ab";

fn small_definition() -> DayDefinition {
    let releases = [(0, Some(2), Some("gold")), (10, Some(1), None), (20, None, None)];
    definition(&[(1000, 2000, 2), (2000, 3000, 1), (4000, 5000, 3)], &releases).expect("a good definition")
}

/// Commands that between them write everything that can be written.
fn commands() -> Vec<(i64, Command)> {
    let (appointment, reason) = (appointment_id(1), Some(PersonalText { key: 3, bytes: Box::new([1, 2, 0xff]) }));
    let changed = definition(&[(1000, 2000, 2), (2000, 3000, 1), (5000, 6000, 3)], &[(0, None, None)]);
    let publish = |definition| Action::Publish { definition: Arc::new(definition), precondition: None };
    let mut commands = vec![
        (0, command(publish(small_definition()))),
        (30, keyed(booking(1, 1, None, Some(60_000)), subject_of(1), UUID_KEY, 1)),
        (31, keyed(booking(2, 2, None, Some(1000)), subject_of(9), "a key of another", 2)),
        (32, keyed(Action::Confirm { appointment }, subject_of(1), "confirm", 3)),
        (33, keyed(Action::Confirm { appointment }, subject_of(1), "again", 4)),
        (34, command(booking(3, 3, Some(UtcMillis(2_000_000)), None))),
        (35, keyed(Action::Cancel { appointment, reason: reason.clone() }, subject_of(1), "cancel", 5)),
        (36, command(publish(changed.expect("a good definition")))),
    ];
    commands.extend(commands_of_moves());
    commands.push((37, keyed(Action::Close { reason }, subject_of(8), UUID_KEY, 6)));
    commands.push((2500, command(Action::NoShow { appointment: appointment_id(3) })));
    commands
}

/// One moves within the day and leaves, one comes in, one does not come, one is still on its way.
fn commands_of_moves() -> Vec<(i64, Command)> {
    let within = Action::Move(relocation(4, None));
    let leaving = Leaving {
        move_id: move_id(1),
        appointment: appointment_id(4),
        version: 2,
        to: home(3),
        seat: Seat { start: UtcMillis(90_000_000), place: 300 },
        end: UtcMillis(91_000_000),
    };
    let coming_in = Appointment { start: UtcMillis(5_000_000), end: UtcMillis(6_000_000), ..booked(5) };
    let coming_in = Appointment { place: 0, version: 8, ..coming_in };
    vec![
        (36, command(booking(4, 4, Some(UtcMillis(5_000_000)), Some(60_000)))),
        (36, keyed(within, subject_of(4), "within", 7)),
        (36, keyed(Action::CommitMove(leaving), subject_of(4), "away", 8)),
        (36, command(arriving(5, 2, Some(UtcMillis(5_000_000))))),
        (36, command(Action::AcceptMove { move_id: move_id(2), row: coming_in })),
        (36, command(arriving(6, 3, None))),
        (36, command(Action::DropMove { move_id: move_id(3) })),
        (36, command(arriving(7, 4, Some(UtcMillis(5_000_000))))),
        (36, command(arriving(8, 5, Some(UtcMillis(5_000_000))))),
    ]
}

fn relocation(number: u64, start: Option<UtcMillis>) -> Relocation {
    Relocation { appointment: appointment_id(number), start, audiences: Arc::new([]), busy: Vec::new() }
}

fn arriving(number: u64, attempt: u64, start: Option<UtcMillis>) -> Action {
    let wish = relocation(number, start);
    Action::HoldForMove(Arriving { move_id: move_id(attempt), from: day_key(2), row: booked(number), wish })
}

/// An appointment as it stands on another day.
fn booked(number: u64) -> Appointment {
    Appointment {
        id: appointment_id(number),
        patient: patient_id(number),
        start: UtcMillis(180_000_000),
        end: UtcMillis(181_000_000),
        place: 2,
        status: Status::Booked,
        hold_expires_at: None,
        cancellation_reason: None,
        created_at: UtcMillis(-5),
        updated_at: UtcMillis(36_000),
        version: 7,
    }
}

pub(crate) fn samples() -> (Vec<Event>, DoctorDay) {
    let mut driver = Driver::default();
    let mut events = Vec::new();
    for (second, command) in commands() {
        let decision = driver.run(&command, UtcMillis(second * 1000));
        decision.outcome.as_ref().expect("every sample is a success");
        events.extend(decision.event);
    }
    assert_eq!(events.len(), commands().len());
    (events, driver.day)
}

/// Whatever is read can be used: applied to any day, packed, decided upon.
pub(crate) fn use_event(sample: &DoctorDay, bytes: &[u8]) {
    let Ok(event) = decode_event(bytes) else { return };
    for mut day in [DoctorDay::default(), sample.clone()] {
        day.apply(day.next_version(), &event);
        day.snapshot().map(|snapshot| snapshot.state_at(event.at));
        day.pack();
        day.decide(&command(booking(77, 77, None, None)), event.at);
    }
    assert_eq!(decode_event(&encode_event(&event)), Ok(event));
}

fn use_day(bytes: &[u8]) {
    let Ok(day) = DoctorDay::unpack(bytes) else { return };
    let now = UtcMillis(40_000);
    assert_eq!(invariant::check(&day, now), Ok(()), "what was unpacked is not in order");
    let mut driver = Driver::default();
    driver.day = day;
    for (_, command) in commands() {
        let decision = driver.day.decide(&command, now);
        if let Some(event) = decision.event {
            driver.day.apply(driver.day.next_version(), &event);
            assert_eq!(invariant::check(&driver.day, now), Ok(()));
        }
    }
}

fn cut_and_flipped(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let cut = (0..bytes.len()).map(|length| bytes[..length].to_vec());
    let flipped = (0..bytes.len()).flat_map(move |position| {
        [0x01, 0x02, 0x04, 0x10, 0x40, 0x80, 0xff].map(|mask| {
            let mut copy = bytes.to_vec();
            copy[position] ^= mask;
            copy
        })
    });
    cut.chain(flipped)
}

#[test]
fn every_cut_and_flip_of_an_event_is_refused_or_can_be_used() {
    let (events, day) = samples();
    for event in events {
        let bytes = encode_event(&event);
        assert!((0..bytes.len()).all(|length| decode_event(&bytes[..length]).is_err()), "a cut event is accepted");
        cut_and_flipped(&bytes).for_each(|copy| use_event(&day, &copy));
    }
}

#[test]
fn every_cut_and_flip_of_a_day_is_refused_or_can_be_used() {
    let bytes = samples().1.pack();
    assert!((0..bytes.len()).all(|length| DoctorDay::unpack(&bytes[..length]).is_err()), "a cut day is accepted");
    cut_and_flipped(&bytes).for_each(|copy| use_day(&copy));
}

#[test]
fn an_unknown_version_and_bytes_left_over_are_named() {
    let bytes = encode_event(&samples().0[0]);
    let mut newer = bytes.clone();
    newer[0] = 99;
    assert_eq!(decode_event(&newer), Err(DecodeError::UnknownVersion { found: 99 }));
    let mut longer = bytes;
    longer.extend([0, 0]);
    assert_eq!(decode_event(&longer), Err(DecodeError::TrailingBytes { count: 2 }));
    assert!(matches!(DoctorDay::unpack(&[]), Err(DecodeError::Truncated { offset: 0, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn made_up_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let versioned = [&[1], bytes.as_slice()].concat();
        use_event(&DoctorDay::default(), &bytes);
        use_event(&DoctorDay::default(), &versioned);
        use_day(&bytes);
        use_day(&versioned);
        use_day(&[&[2], bytes.as_slice()].concat());
    }
}

/// `bytes` with one id in the place of another, where that stands for the last time: the rows of moves come last.
fn renamed(bytes: &[u8], from: AppointmentId, to: AppointmentId) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    copy.splice(last_row(bytes, from), *to.as_bytes());
    copy
}

fn last_row(bytes: &[u8], id: AppointmentId) -> std::ops::Range<usize> {
    let position = bytes.windows(16).rposition(|window| window == id.as_bytes()).expect("the row");
    position..position + 16
}

#[test]
fn a_day_with_moves_that_cannot_be_is_refused() {
    let bytes = samples().1.pack();
    let [here, left, coming, next] = [3, 4, 7, 8].map(appointment_id);
    assert!(DoctorDay::unpack(&bytes).is_ok());
    let refused = |bytes: &[u8], what| match DoctorDay::unpack(bytes) {
        Err(DecodeError::Invalid { what: found, .. }) => assert_eq!(found, what),
        other => panic!("not refused as {what}: {other:?}"),
    };
    refused(&renamed(&bytes, coming, here), "arrival");
    refused(&renamed(&bytes, next, coming), "arrival");
    refused(&renamed(&bytes, left, here), "departure");
    // Two ids, a slot of one byte: then the place, then the status.
    let place = |id| last_row(&bytes, id).start + 33;
    let changed = |position: usize, value: u8| {
        let mut copy = bytes.clone();
        assert_ne!(copy[position], value);
        copy[position] = value;
        copy
    };
    assert_eq!((bytes[place(coming)], bytes[place(next)], bytes[place(next) + 1]), (1, 2, 1));
    refused(&changed(place(next), 1), "arrival");
    refused(&changed(place(next) + 1, 2), "arrival");
    // Of one that an appointment comes back to, both may be said.
    let returns = DoctorDay::unpack(&renamed(&bytes, coming, left)).expect("it left, and may come back");
    assert_eq!(invariant::check(&returns, UtcMillis(40_000)), Ok(()));
    // No moves: the older format says so in two bytes less.
    let without = small_day().pack();
    assert_eq!(without[0], 1);
    refused(&[&[2], &without[1..], &[0, 0]].concat(), "number of departures");
}

fn small_day() -> DoctorDay {
    Driver::published(small_definition()).day
}

/// A day of twenty slots of twenty minutes.
fn twenty_slots() -> Driver {
    let slots: Vec<_> =
        (0..20).map(|slot| (1_795_000_000 + slot * 1200, 1_795_000_000 + slot * 1200 + 1200, 1)).collect();
    Driver::published(definition(&slots, &[(1_794_900_000, None, None)]).expect("a good definition"))
}

#[test]
fn a_sleeping_day_is_small() {
    let mut driver = twenty_slots();
    let free = driver.day.pack().len();
    for patient in 0..20 {
        let key = format!("0190b8a2-7c31-7f10-9a55-{patient:012x}");
        let at = UtcMillis(1_794_950_000_123 + patient as i64);
        let command = keyed(booking(patient, patient, None, None), subject_of(patient), &key, patient as u8);
        driver.run(&command, at).outcome.expect("a place for everyone");
    }
    let sold = driver.day.pack().len();
    let cancel = Action::Cancel { appointment: appointment_id(3), reason: None };
    let cancel = keyed(cancel, subject_of(3), UUID_KEY, 0);
    let event = driver.day.decide(&cancel, UtcMillis(1_794_950_100_000)).event;
    let event = event.map_or(0, |event| encode_event(&event).len());
    assert!(free <= 160, "twenty free slots take {free} bytes");
    assert!(sold <= 160 + 20 * 90, "twenty bookings with keys take {sold} bytes");
    assert!(event <= 160, "a cancellation under a key takes {event} bytes");
}
