//! A doctor-day in the simplest terms: slots with places, appointments that sit in them, keys that have won.
//! Must not know: the program's own rules engine. This is the contract once more, written down independently.

use super::log::{Code, Status};
use super::operation::{Asked, Change, Deed, Operation, Seen, Won};
use crate::search::Model;

/// What does not change on a day.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DayModel {
    /// Places of each slot.
    pub capacities: Vec<u16>,
    /// The patient of each appointment.
    pub patient_of: Vec<usize>,
    /// The appointments of each patient.
    pub appointments_of: Vec<Vec<usize>>,
    /// Number of keys.
    pub keys: usize,
}

/// What changes. Rows are packed into a word, so that a state is copied and hashed quickly.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DayState {
    /// Places taken of each slot.
    taken: Vec<u16>,
    /// Each appointment.
    rows: Vec<u32>,
    /// The answer with which each key has won; 0 if it has not.
    won: Vec<u16>,
}

/// Where an appointment stands, as seen from this day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Standing {
    /// It is not (yet) on this day.
    Absent,
    /// A place is kept for it, and it stands on another day.
    Reserved,
    /// Held here.
    Held,
    /// Booked here.
    Booked,
    /// Was cancelled here.
    Cancelled,
    /// Expired here.
    Expired,
    /// Went to another day.
    Left,
}

/// One appointment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowState {
    /// Where it stands.
    pub standing: Standing,
    /// Its slot.
    pub slot: u8,
    /// Its version.
    pub version: u16,
}

const STANDINGS: [Standing; 7] = [
    Standing::Absent,
    Standing::Reserved,
    Standing::Held,
    Standing::Booked,
    Standing::Cancelled,
    Standing::Expired,
    Standing::Left,
];

impl Standing {
    fn of(status: Status) -> Self {
        match status {
            Status::Held => Self::Held,
            Status::Booked => Self::Booked,
            Status::Cancelled => Self::Cancelled,
            Status::Expired => Self::Expired,
        }
    }

    /// Held or booked.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Held | Self::Booked)
    }

    fn takes_place(self) -> bool {
        self.is_live() || self == Self::Reserved
    }

    fn is_away(self) -> bool {
        matches!(self, Self::Absent | Self::Reserved | Self::Left)
    }
}

impl DayState {
    /// One appointment.
    pub fn row(&self, appointment: usize) -> RowState {
        let [standing, slot, high, low] = self.rows[appointment].to_be_bytes();
        RowState { standing: STANDINGS[usize::from(standing)], slot, version: u16::from_be_bytes([high, low]) }
    }

    /// Puts an appointment where `row` says; the places follow.
    fn set(&mut self, appointment: usize, row: RowState) {
        let before = self.row(appointment);
        if before.standing.takes_place() {
            self.taken[usize::from(before.slot)] -= 1;
        }
        if row.standing.takes_place() {
            self.taken[usize::from(row.slot)] += 1;
        }
        let [high, low] = row.version.to_be_bytes();
        self.rows[appointment] = u32::from_be_bytes([row.standing as u8, row.slot, high, low]);
    }

    fn has_won(&self, key: usize) -> bool {
        self.won[key] != 0
    }
}

impl Model for DayModel {
    type Operation = Operation;
    type State = DayState;

    fn initial(&self) -> DayState {
        DayState {
            taken: vec![0; self.capacities.len()],
            rows: vec![0; self.patient_of.len()],
            won: vec![0; self.keys],
        }
    }

    fn step(&self, state: &DayState, operation: &Operation) -> Option<DayState> {
        match operation {
            Operation::Change(change) => self.change(state, change),
            _ => self.allows(state, operation).then(|| state.clone()),
        }
    }

    /// What is booked or cancelled is never held again, and a cancelled one stays so.
    fn is_pure(&self, state: &DayState, operation: &Operation) -> bool {
        let Operation::Change(Change { appointment, deed, won, .. }) = operation else { return true };
        let standing = state.row(*appointment).standing;
        won.is_none()
            && match deed {
                Deed::Expire => matches!(standing, Standing::Booked | Standing::Cancelled),
                Deed::Confirm => standing == Standing::Booked,
                Deed::Cancel => standing == Standing::Cancelled,
                _ => false,
            }
    }
}

impl DayModel {
    /// Places left of each slot.
    pub fn remaining(&self, state: &DayState) -> Vec<u16> {
        self.capacities.iter().zip(&state.taken).map(|(capacity, taken)| capacity - taken).collect()
    }

    fn change(&self, state: &DayState, change: &Change) -> Option<DayState> {
        if change.won.is_some_and(|Won { key, .. }| state.has_won(key)) {
            return None;
        }
        let row = self.done(state, change)?;
        let is_here = !row.standing.is_away();
        if is_here && change.seen.is_some_and(|seen| !is_seen_as(row, seen)) {
            return None;
        }
        let mut next = state.clone();
        next.set(change.appointment, row);
        if let Some(Won { key, answer }) = change.won {
            next.won[key] = answer;
        }
        Some(next)
    }

    /// The appointment after the deed; `None` if it cannot be done.
    fn done(&self, state: &DayState, change: &Change) -> Option<RowState> {
        let row = state.row(change.appointment);
        let to = |standing| Some(RowState { standing, version: row.version + 1, ..row });
        match (change.deed, row.standing) {
            (Deed::Take { wish, held }, Standing::Absent) if self.is_free_of_visits(state, change.appointment) => {
                let standing = if held { Standing::Held } else { Standing::Booked };
                Some(RowState { standing, slot: self.free_slot(state, wish)?, version: 1 })
            }
            (Deed::Confirm, Standing::Held) => to(Standing::Booked),
            (Deed::Confirm, Standing::Booked) | (Deed::Cancel, Standing::Cancelled) => Some(row),
            (Deed::Cancel, Standing::Held | Standing::Booked) => to(Standing::Cancelled),
            (Deed::Relocate { wish }, Standing::Held | Standing::Booked) => self.relocated(state, row, wish),
            (Deed::Leave, Standing::Held | Standing::Booked) => {
                Some(RowState { standing: Standing::Left, version: change.seen?.version, ..row })
                    .filter(|left| left.version == row.version + 1)
            }
            (Deed::Reserve { wish }, Standing::Absent | Standing::Left)
                if self.is_free_of_visits(state, change.appointment) =>
            {
                let slot =
                    self.free_slot(state, wish).filter(|slot| change.seen.is_none_or(|seen| seen.slot == *slot))?;
                Some(RowState { standing: Standing::Reserved, slot, ..row })
            }
            (Deed::Release, Standing::Reserved) => Some(RowState { standing: Standing::Left, ..row }),
            // It sits where a place was kept for it, in the status in which it left.
            (Deed::Arrive, Standing::Reserved) => {
                let seen = change.seen.filter(|seen| seen.version > row.version)?;
                let standing = Some(Standing::of(seen.status)).filter(|standing| standing.is_live())?;
                Some(RowState { standing, version: seen.version, ..row })
            }
            (Deed::Expire, Standing::Held) => to(Standing::Expired),
            // It was confirmed, cancelled or moved away in time.
            (Deed::Expire, Standing::Booked | Standing::Cancelled | Standing::Left) => Some(row),
            _ => None,
        }
    }

    /// Without a wish only an earlier slot will do; the present one changes nothing.
    fn relocated(&self, state: &DayState, row: RowState, wish: Option<u8>) -> Option<RowState> {
        let slot = match wish {
            Some(slot) if slot == row.slot => return Some(row),
            Some(_) => self.free_slot(state, wish)?,
            None => match self.free_slot(state, None) {
                Some(slot) if slot < row.slot => slot,
                _ => return Some(row),
            },
        };
        Some(RowState { slot, version: row.version + 1, ..row })
    }

    /// The slot that fulfils a wish, if it has a place left.
    fn free_slot(&self, state: &DayState, wish: Option<u8>) -> Option<u8> {
        let is_free = |slot: &u8| {
            let slot = usize::from(*slot);
            state.taken.get(slot).zip(self.capacities.get(slot)).is_some_and(|(taken, capacity)| taken < capacity)
        };
        match wish {
            Some(slot) => Some(slot).filter(is_free),
            None => (0..self.capacities.len() as u8).find(is_free),
        }
    }

    /// Whether the patient of `appointment` has nothing else on this day.
    fn is_free_of_visits(&self, state: &DayState, appointment: usize) -> bool {
        let all = &self.appointments_of[self.patient_of[appointment]];
        all.iter().all(|other| *other == appointment || !state.row(*other).standing.takes_place())
    }

    fn allows(&self, state: &DayState, operation: &Operation) -> bool {
        match operation {
            Operation::Change(_) => false,
            Operation::Replay(Won { key, answer }) => state.won[*key] == *answer,
            Operation::Refused { asked, code, key } => {
                !key.is_some_and(|key| state.has_won(key)) && self.refuses(state, *asked, *code)
            }
            Operation::ReadDay { remaining, sold_out } => {
                let is_sold_out = remaining.iter().all(|left| *left == 0);
                self.remaining(state) == *remaining && is_sold_out == *sold_out
            }
            Operation::ReadHere { appointment, seen } => is_seen_as(state.row(*appointment), *seen),
            Operation::ReadElsewhere { appointment } => state.row(*appointment).standing.is_away(),
        }
    }

    fn refuses(&self, state: &DayState, asked: Asked, code: Code) -> bool {
        let is_full = |wish| self.free_slot(state, wish).is_none();
        match (asked, code) {
            (Asked::Place { wish: wish @ Some(_), .. }, Code::SlotTaken) => is_full(wish),
            (Asked::Place { wish: None, .. }, Code::SoldOut) => is_full(None),
            (Asked::Place { patient, wish }, Code::AlreadyBooked) => {
                let visits = &self.appointments_of[patient];
                !is_full(wish) && visits.iter().any(|visit| state.row(*visit).standing.is_live())
            }
            (Asked::Confirm(appointment), Code::NotChangeable) => {
                state.row(appointment).standing == Standing::Cancelled
            }
            (Asked::Confirm(appointment), Code::HoldExpired) => state.row(appointment).standing == Standing::Expired,
            (Asked::Cancel(appointment), Code::NotChangeable) => state.row(appointment).standing == Standing::Expired,
            (Asked::Move { appointment, .. }, Code::NotChangeable) => {
                matches!(state.row(appointment).standing, Standing::Cancelled | Standing::Expired)
            }
            (Asked::Move { appointment, wish: wish @ Some(slot), leaves: false }, Code::SlotTaken) => {
                let row = state.row(appointment);
                row.standing.is_live() && row.slot != slot && is_full(wish)
            }
            _ => false,
        }
    }
}

/// Whether that is how an appointment which is on this day is told of.
fn is_seen_as(row: RowState, seen: Seen) -> bool {
    row.standing == Standing::of(seen.status) && (row.slot, row.version) == (seen.slot, seen.version)
}
