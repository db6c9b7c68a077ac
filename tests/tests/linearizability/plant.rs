//! Kinds of wrong that a program could do, each as a change of a history that is right.
//! Must not know: how they are found.

use std::collections::BTreeMap;

use linearizability::day::{Answer, Call, Code, Log, Record, Row, Status};

/// Places at which each kind is planted.
const PLACES: usize = 4;
/// A hold that lasts so long after a read cannot be over in it.
const LONG_MICROS: u64 = 200_000;
/// Names that the recording has not used.
const STRANGER: u32 = 1_000_000;

/// A history with something wrong.
pub(super) struct Planted {
    pub(super) log: Log,
    /// Where it is wrong.
    pub(super) day: u32,
}

/// A kind of wrong, and where it can be planted.
pub(super) type Kind = (&'static str, fn(&Story) -> Vec<Planted>);

pub(super) const KINDS: [Kind; 20] = [
    ("an acknowledged booking is lost", lost_booking),
    ("a read is older than an acknowledged cancellation", stale_appointment),
    ("a read of the day is older than an acknowledged change", stale_day),
    ("a place of a full slot is sold", sold_twice),
    ("a place of a full day is sold", oversold),
    ("a day with free places is sold out", false_sold_out),
    ("a slot with free places is taken", false_slot_taken),
    ("a patient without a visit is told of one", false_already_booked),
    ("a patient gets a second visit", second_visit),
    ("a key is answered differently the second time", other_answer),
    ("a key wins twice", won_twice),
    ("a first answer is repeated that nobody gave", replay_of_nothing),
    ("a cancellation frees its place twice", freed_twice),
    ("a cancellation is refused and happens", refused_and_done),
    ("a confirmation changes what is confirmed", changed_by_nothing),
    ("a hold is confirmed after its end", confirmed_late),
    ("a hold ends before its time", expired_early),
    ("any slot is not the earliest", not_the_earliest),
    ("an appointment that has moved stands on both days", on_two_days),
    ("an effect is seen before its call", before_its_call),
];

/// A history that is right, and what can be read off it.
pub(super) struct Story<'log> {
    log: &'log Log,
    /// From here on everything was only read.
    reading_from: u64,
    /// The last read of each day.
    days: BTreeMap<u32, usize>,
    /// The last read of each appointment.
    rows: BTreeMap<u32, (usize, Row)>,
}

impl<'log> Story<'log> {
    pub(super) fn of(log: &'log Log) -> Self {
        let mut story = Self { log, reading_from: 0, days: BTreeMap::new(), rows: BTreeMap::new() };
        let mut order: Vec<usize> = (0..log.records.len()).collect();
        order.sort_by_key(|number| log.records[*number].invoked_micros);
        for number in order {
            let record = &log.records[number];
            match (&record.call, &record.answer) {
                (Call::ReadDay { day }, _) => drop(story.days.insert(*day, number)),
                (Call::ReadAppointment { appointment }, Answer::Row { row, .. }) => {
                    story.rows.insert(*appointment, (number, *row));
                }
                (Call::ReadAppointment { .. }, _) => {}
                _ => story.reading_from = story.reading_from.max(record.settled_micros),
            }
        }
        story
    }

    /// Up to [`PLACES`] of those records that fit, spread over the history.
    fn places(&self, fits: impl Fn(&Record) -> bool) -> Vec<usize> {
        spread((0..self.log.records.len()).filter(|number| fits(&self.log.records[*number])).collect())
    }

    /// The history with one record changed.
    fn with(&self, number: usize, day: u32, change: impl FnOnce(&mut Record)) -> Planted {
        let mut log = self.log.clone();
        change(&mut log.records[number]);
        Planted { log, day }
    }

    /// The history with another call, after all changes and before the last reads.
    fn and(&self, day: u32, call: Call, answer: Answer) -> Planted {
        let mut log = self.log.clone();
        let at = self.reading_from + 1;
        log.records.push(Record { client: STRANGER, invoked_micros: at, settled_micros: at, call, answer });
        Planted { log, day }
    }

    /// Days by number, with what is left in the end and the number of the read that says so.
    fn left(&self) -> impl Iterator<Item = (u32, usize, &Vec<u16>)> {
        self.days.iter().filter_map(|(day, number)| match &self.log.records[*number].answer {
            Answer::Day { remaining, .. } => Some((*day, *number, remaining)),
            _ => None,
        })
    }

    /// Days with a free slot in the end, the earliest one.
    fn free(&self) -> Vec<(u32, u8)> {
        let free = self.left().filter_map(|(day, _, left)| Some((day, left.iter().position(|left| *left > 0)? as u8)));
        spread(free.collect())
    }

    fn has_first_answer(&self, wanted: u32) -> bool {
        let of_key = self.log.records.iter().filter(|record| record.call.key() == Some(wanted));
        of_key.into_iter().any(|record| matches!(record.answer, Answer::Row { replayed: false, .. }))
    }

    fn calls_of(&self, appointment: u32) -> impl Iterator<Item = &Record> {
        self.log.records.iter().filter(move |record| match &record.call {
            Call::Confirm { appointment: of, .. } | Call::Cancel { appointment: of, .. } => *of == appointment,
            Call::Move { appointment: of, .. } => *of == appointment,
            _ => false,
        })
    }
}

fn spread<T: Clone>(all: Vec<T>) -> Vec<T> {
    let step = (all.len() / PLACES).max(1);
    all.into_iter().step_by(step).take(PLACES).collect()
}

fn stranger_takes(day: u32, slot: Option<u8>) -> Call {
    Call::Take { day, slot, patient: STRANGER, key: STRANGER, hold_millis: None }
}

/// The first answer to somebody who takes a place.
fn took(patient: u32, day: u32, slot: u8, record: Option<&Record>) -> Answer {
    let row = Row {
        appointment: STRANGER,
        patient,
        day,
        slot,
        status: Status::Booked,
        version: 1,
        expires_at_micros: None,
        updated_at_micros: record.map_or(0, |record| record.settled_micros),
    };
    Answer::Row { row, digest: 1, replayed: false }
}

fn changed_row(record: &mut Record, change: impl FnOnce(&mut Row)) {
    if let Answer::Row { row, .. } = &mut record.answer {
        change(row);
    }
}

fn lost_booking(story: &Story) -> Vec<Planted> {
    let free = story.free().into_iter();
    free.map(|(day, slot)| story.and(day, stranger_takes(day, None), took(STRANGER, day, slot, None))).collect()
}

fn stale_appointment(story: &Story) -> Vec<Planted> {
    let cancelled = story.rows.values().filter(|(_, row)| row.status == Status::Cancelled).copied().collect();
    let older = |row: &mut Row| (row.status, row.version) = (Status::Booked, row.version - 1);
    let places = spread(cancelled).into_iter();
    places.map(|(number, row)| story.with(number, row.day, |record| changed_row(record, older))).collect()
}

fn stale_day(story: &Story) -> Vec<Planted> {
    let taken = story.left().filter_map(|(day, number, left)| {
        let capacities = &story.log.days[day as usize];
        let slot = left.iter().zip(capacities).position(|(left, capacity)| left < capacity)?;
        Some((day, number, slot))
    });
    let places = spread(taken.collect()).into_iter();
    places.map(|(day, number, slot)| story.with(number, day, |record| one_more(record, slot))).collect()
}

/// A read of a day finds one place more.
fn one_more(record: &mut Record, slot: usize) {
    if let Answer::Day { remaining, sold_out } = &mut record.answer {
        remaining[slot] += 1;
        *sold_out = false;
    }
}

/// A call that was refused for `code` has success instead, as if nothing had been in its way.
fn granted(story: &Story, code: Code) -> Vec<Planted> {
    let fits = |record: &Record| matches!(record.call, Call::Take { .. }) && record.answer == Answer::Refused(code);
    let places = story.places(fits).into_iter();
    let planted = places.filter_map(|number| {
        let Call::Take { day, slot, patient, .. } = story.log.records[number].call else { return None };
        let answer = took(patient, day, slot.unwrap_or_default(), Some(&story.log.records[number]));
        Some(story.with(number, day, |record| record.answer = answer))
    });
    planted.collect()
}

fn sold_twice(story: &Story) -> Vec<Planted> {
    granted(story, Code::SlotTaken)
}

fn oversold(story: &Story) -> Vec<Planted> {
    granted(story, Code::SoldOut)
}

fn second_visit(story: &Story) -> Vec<Planted> {
    granted(story, Code::AlreadyBooked)
}

fn false_sold_out(story: &Story) -> Vec<Planted> {
    let free = story.free().into_iter();
    free.map(|(day, _)| story.and(day, stranger_takes(day, None), Answer::Refused(Code::SoldOut))).collect()
}

fn false_slot_taken(story: &Story) -> Vec<Planted> {
    let free = story.free().into_iter();
    free.map(|(day, slot)| story.and(day, stranger_takes(day, Some(slot)), Answer::Refused(Code::SlotTaken))).collect()
}

fn false_already_booked(story: &Story) -> Vec<Planted> {
    let free = story.free().into_iter();
    free.map(|(day, _)| story.and(day, stranger_takes(day, None), Answer::Refused(Code::AlreadyBooked))).collect()
}

/// Repeated answers of bookings, and their days.
fn repeated(story: &Story, fits: impl Fn(u32) -> bool) -> Vec<(usize, u32)> {
    let fits = |record: &Record| match (&record.call, &record.answer) {
        (Call::Take { key, .. }, Answer::Row { replayed: true, .. }) => fits(*key),
        _ => false,
    };
    let day = |number: usize| match story.log.records[number].call {
        Call::Take { day, .. } => (number, day),
        _ => (number, 0),
    };
    story.places(fits).into_iter().map(day).collect()
}

/// Those whose first answer is in the history.
fn repeated_after_first(story: &Story) -> Vec<(usize, u32)> {
    repeated(story, |key| story.has_first_answer(key))
}

fn other_answer(story: &Story) -> Vec<Planted> {
    let other = |record: &mut Record| {
        if let Answer::Row { digest, .. } = &mut record.answer {
            *digest = digest.wrapping_add(1);
        }
    };
    repeated_after_first(story).into_iter().map(|(number, day)| story.with(number, day, other)).collect()
}

fn won_twice(story: &Story) -> Vec<Planted> {
    let first = |record: &mut Record| {
        if let Answer::Row { replayed, .. } = &mut record.answer {
            *replayed = false;
        }
    };
    repeated_after_first(story).into_iter().map(|(number, day)| story.with(number, day, first)).collect()
}

/// What the repeated answer repeats goes: the first answer, or the call that a kill left without one, of which a run may have none.
fn replay_of_nothing(story: &Story) -> Vec<Planted> {
    let places = repeated(story, |_| true).into_iter();
    let planted = places.map(|(number, day)| {
        let mut log = story.log.clone();
        let key = log.records[number].call.key();
        let is_repeated = |answer: &Answer| matches!(answer, Answer::Row { replayed: true, .. });
        log.records.retain(|record| record.call.key() != key || is_repeated(&record.answer));
        Planted { log, day }
    });
    planted.collect()
}

fn freed_twice(story: &Story) -> Vec<Planted> {
    let cancelled = story.rows.values().filter(|(_, row)| row.status == Status::Cancelled);
    let planted = spread(cancelled.collect()).into_iter().map(|(_, row)| {
        let call = Call::Cancel { appointment: row.appointment, day: row.day, key: None };
        let again = Row { version: row.version + 1, ..*row };
        let mut planted = story.and(row.day, call, Answer::Row { row: again, digest: 1, replayed: false });
        one_more(&mut planted.log.records[story.days[&row.day]], usize::from(row.slot));
        planted
    });
    planted.collect()
}

fn refused_and_done(story: &Story) -> Vec<Planted> {
    let fits = |record: &Record| match (&record.call, &record.answer) {
        (Call::Cancel { appointment, .. }, Answer::Row { replayed: false, .. }) => {
            story.calls_of(*appointment).filter(|record| matches!(record.call, Call::Cancel { .. })).count() == 1
        }
        _ => false,
    };
    let places = story.places(fits).into_iter();
    let planted = places.filter_map(|number| {
        let Call::Cancel { day, .. } = story.log.records[number].call else { return None };
        Some(story.with(number, day, |record| record.answer = Answer::Refused(Code::NotChangeable)))
    });
    planted.collect()
}

fn changed_by_nothing(story: &Story) -> Vec<Planted> {
    let fits = |record: &Record| {
        matches!((&record.call, &record.answer), (Call::Confirm { .. }, Answer::Row { replayed: false, .. }))
    };
    let places = story.places(fits).into_iter();
    let planted = places.filter_map(|number| {
        let Call::Confirm { day, .. } = story.log.records[number].call else { return None };
        Some(story.with(number, day, |record| changed_row(record, |row| row.version += 1)))
    });
    planted.collect()
}

fn confirmed_late(story: &Story) -> Vec<Planted> {
    let fits = |record: &Record| {
        matches!(record.call, Call::Confirm { .. }) && record.answer == Answer::Refused(Code::HoldExpired)
    };
    let places = story.places(fits).into_iter();
    let planted = places.filter_map(|number| {
        let Call::Confirm { appointment, day, .. } = story.log.records[number].call else { return None };
        let (_, expired) = story.rows.get(&appointment)?;
        let answer = Answer::Row { row: Row { status: Status::Booked, ..*expired }, digest: 1, replayed: false };
        Some(story.with(number, day, |record| record.answer = answer))
    });
    planted.collect()
}

fn expired_early(story: &Story) -> Vec<Planted> {
    // Well before its time, beyond any tolerance: one that ends in the moment of the read may be told as over.
    let is_long = |(number, row): &&(usize, Row)| {
        let read = story.log.records[*number].settled_micros;
        row.status == Status::Held && row.expires_at_micros.is_some_and(|end| end > read + LONG_MICROS)
    };
    let held = story.rows.values().filter(is_long).copied().collect();
    let over = |row: &mut Row| (row.status, row.version) = (Status::Expired, row.version + 1);
    let places = spread(held).into_iter();
    places.map(|(number, row)| story.with(number, row.day, |record| changed_row(record, over))).collect()
}

fn not_the_earliest(story: &Story) -> Vec<Planted> {
    let fits = |record: &Record| match (&record.call, &record.answer) {
        (Call::Take { slot: None, day, .. }, Answer::Row { row, replayed: false, .. }) => {
            usize::from(row.slot) + 1 < story.log.days[*day as usize].len()
                && story
                    .rows
                    .get(&row.appointment)
                    .is_some_and(|(_, last)| last.slot == row.slot && last.day == row.day)
        }
        _ => false,
    };
    let places = story.places(fits).into_iter();
    let planted = places.filter_map(|number| {
        let Call::Take { day, .. } = story.log.records[number].call else { return None };
        Some(story.with(number, day, |record| changed_row(record, |row| row.slot += 1)))
    });
    planted.collect()
}

fn on_two_days(story: &Story) -> Vec<Planted> {
    let fits = |record: &Record| match (&record.call, &record.answer) {
        (Call::Move { appointment, from, to, .. }, Answer::Row { replayed: false, .. }) => {
            from != to && story.rows.get(appointment).is_some_and(|(_, last)| last.day != *from)
        }
        _ => false,
    };
    let places = story.places(fits).into_iter();
    let planted = places.filter_map(|number| {
        let (Call::Move { appointment, from, .. }, Answer::Row { row, .. }) =
            (&story.log.records[number].call, &story.log.records[number].answer)
        else {
            return None;
        };
        let before = Row { day: *from, version: row.version - 1, ..*row };
        let answer = Answer::Row { row: before, digest: 1, replayed: false };
        Some(story.and(*from, Call::ReadAppointment { appointment: *appointment }, answer))
    });
    planted.collect()
}

fn before_its_call(story: &Story) -> Vec<Planted> {
    let fits = |record: &Record| match (&record.call, &record.answer) {
        (Call::Take { .. }, Answer::Row { row, replayed: false, .. }) => {
            story.calls_of(row.appointment).next().is_some()
        }
        _ => false,
    };
    let places = story.places(fits).into_iter();
    let planted = places.filter_map(|number| {
        let Call::Take { day, .. } = story.log.records[number].call else { return None };
        let end = story.log.ended_micros + 1;
        Some(story.with(number, day, |record| (record.invoked_micros, record.settled_micros) = (end, end)))
    });
    planted.collect()
}
