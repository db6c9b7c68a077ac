//! Random histories that the real rules decided are right in every step, and each of them spoilt in one place is found out.
//! Must not know: how a history is made.

use std::collections::BTreeMap;

use booking_core::{Fact, Rejection, Status, decode_event, encode_event};
use engine::EngineError;
use simulator::oracle::{Asked, Kind, Reply, Told, Verdict};

use crate::tour::Tour;
use crate::town::{Call, play};
use crate::wishes::Dice;

const HISTORIES: u64 = 2_400;
const STEPS: usize = 90;

#[test]
fn what_the_rules_decide_is_no_violation() {
    let mut facts: BTreeMap<String, usize> = BTreeMap::new();
    let mut replies: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..HISTORIES {
        let calls = Tour::of(seed, STEPS);
        let judged = calls.iter().filter(|call| matches!(call, Call::Judge(_))).count();
        assert!(judged >= 60, "seed {seed} asks {judged} times only");
        if let Err(violation) = play(&calls) {
            panic!("seed {seed}: {violation}");
        }
        for call in &calls {
            match call {
                Call::Record(record, _) => {
                    let event = decode_event(&record.body).expect("just written");
                    *facts.entry(word(&format!("{:?}", event.fact))).or_default() += 1;
                }
                Call::Judge(case) => *replies.entry(kind_of(&case.1)).or_default() += 1,
                Call::End(..) => {}
            }
        }
    }
    let common = |seen: &BTreeMap<String, usize>, names: &[&str]| {
        for name in names {
            assert!(seen.get(*name).is_some_and(|count| *count >= 20), "{name} is too rare: {seen:?}");
        }
    };
    common(
        &facts,
        &["Published", "Closed", "Taken", "Confirmed", "Cancelled", "NoShow", "Expired", "Remembered", "Moved"],
    );
    common(&facts, &["MoveHeld", "MovedIn", "MoveDropped", "MovedOut"]);
    common(&replies, &["Appointment", "replayed", "Day", "View", "Placed", "List", "History"]);
    common(&replies, &["UnknownAppointment", "KeyReused", "PreconditionFailed", "HoldExpired", "NotChangeable"]);
    common(&replies, &["Closed", "NotReleased", "UnknownSlot", "SlotTaken", "SoldOut", "AlreadyBooked"]);
    common(&replies, &["OverlapsOtherDay", "SlotHasBookings"]);
}

fn word(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric()).collect()
}

fn kind_of(reply: &Reply) -> String {
    match reply {
        Ok(Told::Appointment(reply)) if reply.replayed => "replayed".to_owned(),
        Ok(told) => word(&format!("{told:?}")),
        Err(EngineError::Rejected(rejection)) => word(&format!("{rejection:?}")),
        Err(_) => "other".to_owned(),
    }
}

/// Spoils a history of each seed in one place, until so many were spoilt; each is to be found.
fn spoil(name: &str, spoilt_wanted: usize, spoil: impl Fn(&mut Vec<Call>, &mut Dice) -> bool) {
    let mut spoilt = 0;
    for seed in 0..HISTORIES {
        let mut calls = Tour::of(seed, STEPS);
        if !spoil(&mut calls, &mut Dice(seed ^ 0x5eed)) {
            continue;
        }
        assert!(play(&calls).is_err(), "seed {seed}: {name} is not found");
        spoilt += 1;
        if spoilt == spoilt_wanted {
            return;
        }
    }
    panic!("{name} was possible {spoilt} times");
}

/// The position in the script of one that is chosen among those that fit.
fn choose(calls: &[Call], dice: &mut Dice, fits: impl Fn(&Call) -> bool) -> Option<usize> {
    let fitting: Vec<usize> = (0..calls.len()).filter(|position| fits(&calls[*position])).collect();
    (!fitting.is_empty()).then(|| fitting[dice.below(fitting.len() as u64) as usize])
}

#[test]
fn a_record_that_is_missing_is_found() {
    spoil("a missing record", 300, |calls, dice| {
        let Some(position) = choose(calls, dice, |call| matches!(call, Call::Record(..))) else { return false };
        calls.remove(position);
        true
    });
}

#[test]
fn a_place_that_is_given_twice_is_found() {
    spoil("a place given twice", 300, |calls, dice| {
        // The place of one that was taken by an earlier record and not given back in between: the record right before.
        let taken = |call: &Call| match call {
            Call::Record(record, _) => decode_event(&record.body).ok().filter(|event| event.fact == Fact::Taken),
            _ => None,
        };
        // One that carries expiries may rightly have what they gave back.
        let has_only_its_own = |call: &Call| taken(call).is_some_and(|event| event.changes.len() == 1);
        let records: Vec<usize> =
            (0..calls.len()).filter(|position| matches!(calls[*position], Call::Record(..))).collect();
        let pairs: Vec<(usize, usize)> = records
            .windows(2)
            .filter(|pair| match (&calls[pair[0]], &calls[pair[1]]) {
                (Call::Record(one, _), Call::Record(two, _)) => {
                    one.day == two.day && taken(&calls[pair[0]]).is_some() && has_only_its_own(&calls[pair[1]])
                }
                _ => false,
            })
            .map(|pair| (pair[0], pair[1]))
            .collect();
        if pairs.is_empty() {
            return false;
        }
        let (first, second) = pairs[dice.below(pairs.len() as u64) as usize];
        let (Some(one), Some(mut two)) = (taken(&calls[first]), taken(&calls[second])) else { return false };
        let (Some(seat), Some(change)) = (one.changes.last(), two.changes.last_mut()) else { return false };
        (change.row.start, change.row.end, change.row.place) = (seat.row.start, seat.row.end, seat.row.place);
        two.remembered = None;
        if let Call::Record(record, _) = &mut calls[second] {
            record.body = encode_event(&two).into();
        }
        true
    });
}

#[test]
fn a_success_told_otherwise_is_found() {
    spoil("a changed success", 400, |calls, dice| {
        let is_row = |call: &Call| matches!(call, Call::Judge(case) if matches!(case.1, Ok(Told::Appointment(_) | Told::Placed(_))));
        let Some(position) = choose(calls, dice, is_row) else { return false };
        let Call::Judge(case) = &mut calls[position] else { return false };
        let row = match &mut case.1 {
            Ok(Told::Appointment(reply)) => &mut reply.placed.appointment,
            Ok(Told::Placed(placed)) => &mut placed.appointment,
            _ => return false,
        };
        match dice.below(4) {
            0 => row.version += 1,
            1 => row.place += 1,
            2 => row.start = row.start.plus_millis(1000),
            _ => row.status = if row.status == Status::Booked { Status::Held } else { Status::Booked },
        }
        true
    });
}

#[test]
fn a_refusal_in_place_of_a_success_is_found() {
    spoil("a refused success", 400, |calls, dice| {
        // Only where nothing was unchanged or told again: a fresh booking is never rightly refused at its instant.
        let is_win = |call: &Call| match call {
            Call::Judge(case) => match (&case.0, &case.1) {
                (Asked::Book(_), Ok(Told::Appointment(reply))) => !reply.replayed,
                _ => false,
            },
            _ => false,
        };
        let Some(position) = choose(calls, dice, is_win) else { return false };
        let before = calls[..position].iter().rposition(|call| matches!(call, Call::Record(..)));
        let Call::Judge(case) = &mut calls[position] else { return false };
        // Its own record may make the refusal right afterwards: the window ends before it.
        case.2.to_position = case.2.to_position.saturating_sub(1);
        case.1 = Err(EngineError::Rejected(match dice.below(5) {
            0 => Rejection::SoldOut,
            1 => Rejection::SlotTaken,
            2 => Rejection::Closed,
            3 => Rejection::NotReleased { release_at: case.2.to_now },
            _ => Rejection::UnknownDay,
        }));
        before.is_some()
    });
}

#[test]
fn a_refusal_of_another_kind_is_found() {
    spoil("another refusal", 400, |calls, dice| {
        let is_refused = |call: &Call| match call {
            Call::Judge(case) => matches!((&case.0, &case.1), (Asked::Book(_), Err(EngineError::Rejected(_)))),
            _ => false,
        };
        let Some(position) = choose(calls, dice, is_refused) else { return false };
        let Call::Judge(case) = &mut calls[position] else { return false };
        let Err(EngineError::Rejected(told)) = &mut case.1 else { return false };
        *told = match told {
            Rejection::SoldOut => Rejection::Closed,
            Rejection::Closed => Rejection::SoldOut,
            Rejection::NotReleased { release_at } => Rejection::NotReleased { release_at: release_at.plus_millis(1) },
            Rejection::AlreadyBooked { .. } => Rejection::SlotTaken,
            _ => Rejection::HoldExpired,
        };
        true
    });
}

#[test]
fn a_ledger_that_lost_a_row_is_found() {
    spoil("a lost row", 100, |calls, dice| {
        let Some(Call::End(ledger, _)) = calls.last_mut() else { return false };
        if ledger.appointments.is_empty() {
            return false;
        }
        let chosen = dice.below(ledger.appointments.len() as u64) as usize;
        ledger.appointments.swap_remove(chosen);
        true
    });
}

#[test]
fn the_kinds_have_names_that_can_be_read() {
    for kind in Kind::ALL {
        let is_plain = |letter: char| letter.is_ascii_lowercase() || letter == '-';
        assert!(kind.name().chars().all(is_plain), "{}", kind.name());
    }
    assert_ne!(Verdict::Read, Verdict::Unknown);
}
