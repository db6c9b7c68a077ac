//! Which random definitions and commands the other tests play: few slots, few people, few keys, so that everything
//! meets everything.
//! Must not know: what they are checked for.

use std::sync::Arc;

use booking_core::{
    Action, Booking, Busy, Command, DayDefinition, DayVersion, PersonalText, Precondition, Relocation, UtcMillis,
};
use proptest::prelude::*;

use crate::driver::{appointment_id, command, definition, keyed, patient_id, subject_of};

/// Audiences that there are; one more is never named by a release.
const AUDIENCES: [&str; 3] = ["gold", "silver", "nobody"];

/// One step: so many milliseconds later, this wish.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) later_millis: i64,
    pub(crate) wish: Wish,
    /// Key and body, if the caller uses one.
    key: Option<(u8, u8)>,
}

/// What is asked; appointments are named by the number of the step that made them.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    Book { patient: u64, hold_millis: Option<i64>, place: PlaceWish },
    Move { appointment: usize, place: PlaceWish },
    Confirm(usize),
    Cancel(usize),
    NoShow(usize),
    Expire,
    Close,
    Publish { definition: DayDefinition, precondition: u8 },
}

/// Which place would do.
#[derive(Clone, Debug)]
pub(crate) struct PlaceWish {
    start: Option<i64>,
    audiences: Vec<usize>,
    /// When the patient is elsewhere: from this second on, for so many.
    busy: Vec<(i64, i64)>,
}

impl PlaceWish {
    /// The earliest that there is.
    pub(crate) fn any() -> Self {
        Self { start: None, audiences: Vec::new(), busy: Vec::new() }
    }

    pub(crate) fn start(&self) -> Option<UtcMillis> {
        self.start.map(|second| UtcMillis(second * 1000))
    }

    pub(crate) fn audiences(&self) -> Arc<[Box<str>]> {
        self.audiences.iter().map(|position| AUDIENCES[*position].into()).collect()
    }

    pub(crate) fn busy(&self) -> Vec<Busy> {
        let one = |(number, (start, seconds)): (usize, &(i64, i64))| Busy {
            appointment: appointment_id(1000 + number as u64),
            start: UtcMillis(start * 1000),
            end: UtcMillis((start + seconds) * 1000),
        };
        self.busy.iter().enumerate().map(one).collect()
    }
}

impl Step {
    /// The command of step number `number`.
    pub(crate) fn command(&self, number: usize, version: DayVersion) -> Command {
        let chosen = |position: &usize| appointment_id(if number == 0 { 0 } else { (position % number) as u64 });
        let mut patient = 0;
        let action = match &self.wish {
            Wish::Book { patient: who, hold_millis, place } => {
                patient = *who;
                Action::Book(Booking {
                    appointment: appointment_id(number as u64),
                    patient: patient_id(*who),
                    start: place.start(),
                    hold_millis: *hold_millis,
                    audiences: place.audiences(),
                    busy: place.busy(),
                })
            }
            Wish::Move { appointment, place } => Action::Move(Relocation {
                appointment: chosen(appointment),
                start: place.start(),
                audiences: place.audiences(),
                busy: place.busy(),
            }),
            Wish::Confirm(position) => Action::Confirm { appointment: chosen(position) },
            Wish::Cancel(position) => {
                let reason = (position % 2 == 0).then(|| PersonalText::plain("fever"));
                Action::Cancel { appointment: chosen(position), reason }
            }
            Wish::NoShow(position) => Action::NoShow { appointment: chosen(position) },
            Wish::Expire => Action::Expire,
            Wish::Close => Action::Close { reason: None },
            Wish::Publish { definition, precondition } => Action::Publish {
                definition: Arc::new(definition.clone()),
                precondition: match precondition {
                    0 => Some(Precondition::Exists),
                    1 => Some(Precondition::Never),
                    2 => Some(Precondition::Version(version)),
                    3 => Some(Precondition::Version(DayVersion { sequence: version.sequence + 1, ..version })),
                    _ => None,
                },
            },
        };
        match self.key {
            Some((key, body)) => keyed(action, subject_of(patient), &format!("key-{key}"), body),
            None => command(action),
        }
    }
}

/// Up to five slots of a hundred seconds within the first twelve hundred, with up to four releases.
pub(crate) fn any_definition() -> impl Strategy<Value = DayDefinition> {
    let slots = proptest::collection::btree_map(2_i64..12, 1_u32..4, 1..5);
    let audience = prop_oneof![3 => Just(None), 1 => Just(Some("gold")), 1 => Just(Some("silver"))];
    let release = (0_i64..8, proptest::option::of(1_u32..4), audience);
    (slots, proptest::collection::vec(release, 1..5), proptest::bool::weighted(0.6)).prop_filter_map(
        "a definition that is not valid",
        |(slots, releases, everyone)| {
            let slots: Vec<_> =
                slots.iter().map(|(start, capacity)| (start * 100, start * 100 + 100, *capacity)).collect();
            let mut releases: Vec<_> =
                releases.iter().map(|(at, places, audience)| (at * 100, *places, *audience)).collect();
            if everyone {
                releases.push((0, None, None));
            }
            definition(&slots, &releases).ok()
        },
    )
}

/// A day has at most five slots at known starts, two hundred to eleven hundred seconds in.
pub(crate) fn any_place() -> impl Strategy<Value = PlaceWish> {
    let start = proptest::option::weighted(0.6, (1_i64..13).prop_map(|hundred| hundred * 100));
    let audiences = prop_oneof![3 => Just(vec![]), 2 => proptest::collection::vec(0_usize..3, 1..3)];
    let busy = proptest::collection::vec(((1_i64..26).prop_map(|fifty| fifty * 50), 1_i64..300), 1..4);
    let busy = prop_oneof![3 => Just(vec![]), 1 => busy];
    (start, audiences, busy).prop_map(|(start, audiences, busy)| PlaceWish { start, audiences, busy })
}

fn any_booking() -> impl Strategy<Value = Wish> {
    let hold_millis = proptest::option::of(prop_oneof![1_i64..1000, 1000_i64..300_000]);
    (0_u64..7, hold_millis, any_place()).prop_map(|(patient, hold_millis, place)| Wish::Book {
        patient,
        hold_millis,
        place,
    })
}

fn any_move() -> impl Strategy<Value = Wish> {
    (0_usize..60, any_place()).prop_map(|(appointment, place)| Wish::Move { appointment, place })
}

fn any_wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        12 => any_booking(),
        5 => any_move(),
        3 => (0_usize..60).prop_map(Wish::Confirm),
        4 => (0_usize..60).prop_map(Wish::Cancel),
        2 => (0_usize..60).prop_map(Wish::NoShow),
        1 => Just(Wish::Expire),
        1 => (any_definition(), 0_u8..12).prop_map(|(definition, precondition)| Wish::Publish { definition, precondition }),
    ]
}

/// Up to sixty steps that together last about as long as a day; one in a hundred closes it.
pub(crate) fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let later_millis = prop_oneof![4 => Just(0_i64), 3 => 1_i64..2000, 2 => 2000_i64..60_000];
    let key = proptest::option::weighted(0.4, (0_u8..3, 0_u8..2));
    let wish = prop_oneof![99 => any_wish(), 1 => Just(Wish::Close)];
    let step = (later_millis, wish, key).prop_map(|(later_millis, wish, key)| Step { later_millis, wish, key });
    proptest::collection::vec(step, 1..60)
}

/// Steps that only book, hold, move, confirm and cancel, without keys.
pub(crate) fn plain_steps() -> impl Strategy<Value = Vec<Step>> {
    let later_millis = prop_oneof![4 => Just(0_i64), 3 => 1_i64..2000, 2 => 2000_i64..60_000];
    let wish = prop_oneof![
        6 => any_booking(),
        3 => any_move(),
        2 => (0_usize..60).prop_map(Wish::Confirm),
        3 => (0_usize..60).prop_map(Wish::Cancel),
    ];
    let step = (later_millis, wish).prop_map(|(later_millis, wish)| Step { later_millis, wish, key: None });
    proptest::collection::vec(step, 1..60)
}
