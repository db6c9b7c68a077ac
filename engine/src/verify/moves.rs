//! Whether both days of every move say the same: what left has come in, or a place is kept for it.
//! Must not know: SQL, the ledger, what else happens on a day.
//!
//! A crash may fall between any two steps, and the next start settles what is open: a place that is kept for a move is no
//! finding as such. It is one when an engine ran on for a minute after and did not settle it.

use std::collections::{BTreeMap, BTreeSet};

use booking_core::{Appointment, AppointmentId, DayKey, MoveId, PatientId, UtcMillis};

use super::finding::{Findings, Kind};
use super::rows::{self, Place};

/// How long an engine that runs may leave a move unsettled: twenty times as long as it waits before it asks.
pub(crate) const UNSETTLED_MILLIS_MAX: i64 = 60_000;

/// An appointment as it is between two days.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Transit {
    pub(crate) appointment: AppointmentId,
    pub(crate) patient: PatientId,
    /// Where it is to sit.
    pub(crate) place: Place,
    pub(crate) end: UtcMillis,
    pub(crate) hold_expires_at: Option<UtcMillis>,
    pub(crate) version: u32,
}

impl Transit {
    pub(crate) fn of(row: &Appointment) -> Self {
        Self {
            appointment: row.id,
            patient: row.patient,
            place: rows::place_of(row),
            end: row.end,
            hold_expires_at: row.hold_expires_at,
            version: row.version,
        }
    }
}

/// What one record of a day says of a move.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MoveStep {
    Held { move_id: MoveId, from: DayKey, transit: Transit, at: UtcMillis },
    In { move_id: MoveId },
    Dropped { move_id: MoveId },
    Out { move_id: MoveId, to: DayKey, transit: Transit },
}

struct Held {
    on: DayKey,
    from: DayKey,
    transit: Transit,
    since: UtcMillis,
    /// Of the record that ended it: whether the appointment came in.
    came_in: Option<bool>,
}

struct Out {
    of: DayKey,
    to: DayKey,
    transit: Transit,
}

/// One attempt, as far as both days tell.
#[derive(Default)]
struct Attempt {
    held: Option<Held>,
    out: Option<Out>,
}

/// From when to when each process wrote records: by shard and epoch, or by epoch alone where a process owns everything.
#[derive(Default)]
pub(crate) struct Runs(BTreeMap<(u16, u32), (UtcMillis, UtcMillis)>);

impl Runs {
    /// A record was written.
    pub(crate) fn saw(&mut self, run: (u16, u32), at: UtcMillis) {
        let (first, last) = self.0.entry(run).or_insert((at, at));
        (*first, *last) = (at.min(*first), at.max(*last));
    }

    /// When the last record of all was written.
    pub(crate) fn last_at(&self) -> Option<UtcMillis> {
        self.0.values().map(|(_, last)| *last).max()
    }

    /// Whether some engine ran on so long after `since` that it has failed to settle what was open then.
    fn ran_on_after(&self, since: UtcMillis) -> bool {
        self.0.values().any(|(first, last)| last.millis_since(since.max(*first)) > UNSETTLED_MILLIS_MAX)
    }
}

/// All attempts of all days: some 300 bytes each.
#[derive(Default)]
pub(crate) struct Moves {
    attempts: BTreeMap<MoveId, Attempt>,
}

impl Moves {
    /// What `day` says, in the order of its records.
    pub(crate) fn add(&mut self, day: DayKey, steps: &[MoveStep], findings: &mut Findings) {
        for step in steps {
            let (MoveStep::Held { move_id, .. }
            | MoveStep::In { move_id }
            | MoveStep::Dropped { move_id }
            | MoveStep::Out { move_id, .. }) = step;
            let attempt = self.attempts.entry(*move_id).or_default();
            let is_first = match *step {
                MoveStep::Held { from, transit, at, .. } => {
                    let held = Held { on: day, from, transit, since: at, came_in: None };
                    attempt.held.replace(held).is_none_or(|other| other.on == day)
                }
                MoveStep::Out { to, transit, .. } => {
                    attempt.out.replace(Out { of: day, to, transit }).is_none_or(|other| other.of == day)
                }
                MoveStep::In { .. } | MoveStep::Dropped { .. } => {
                    let came_in = matches!(step, MoveStep::In { .. });
                    // One that was not kept here was told when the day was followed.
                    if let Some(held) = attempt.held.as_mut().filter(|held| held.on == day) {
                        held.came_in = Some(came_in);
                    }
                    true
                }
            };
            if !is_first {
                findings.add(Kind::MoveDiffers, day, format_args!("move {move_id} is made on two days"));
            }
        }
    }

    /// Those that have left and not come in yet, with the day to which they have left: they stand there.
    pub(crate) fn on_their_way(&self) -> impl Iterator<Item = (DayKey, &Transit)> {
        self.attempts.values().filter_map(|attempt| {
            let out = attempt.out.as_ref()?;
            let is_kept = attempt.held.as_ref().is_some_and(|held| held.on == out.to && held.came_in.is_none());
            is_kept.then_some((out.to, &out.transit))
        })
    }

    /// Adds every attempt of which the two days say what cannot both be. What a day of `broken` would say is not known.
    pub(crate) fn judge(&self, runs: &Runs, broken: &BTreeSet<DayKey>, findings: &mut Findings) {
        for (move_id, attempt) in &self.attempts {
            if let Some(out) = &attempt.out {
                departure(*move_id, out, attempt.held.as_ref(), broken, findings);
            }
            let Some(held) = &attempt.held else { continue };
            let id = held.transit.appointment;
            let is_other_known = !broken.contains(&held.from) && !broken.contains(&held.on);
            if held.came_in == Some(true) && attempt.out.is_none() && is_other_known {
                let what =
                    format!("appointment {id} came in from {} by move {move_id}, and never left there", held.from);
                findings.add(Kind::MoveUncommitted, held.on, what);
            }
            if held.came_in.is_none() && is_other_known && runs.ran_on_after(held.since) {
                let what = format!("a place is kept since {} ms for {id}, move {move_id}", held.since.0);
                findings.add(Kind::ArrivalStale, held.on, format_args!("{what}: nobody has settled that"));
            }
        }
    }
}

/// What left must have come in, or its place must be kept.
fn departure(move_id: MoveId, out: &Out, held: Option<&Held>, broken: &BTreeSet<DayKey>, findings: &mut Findings) {
    let left = format!("appointment {} left for {} by move {move_id}", out.transit.appointment, out.to);
    match held.filter(|held| held.on == out.to) {
        None if broken.contains(&out.to) => {}
        None => findings.add(Kind::MoveLost, out.of, format_args!("{left}, where no place is kept for it")),
        Some(held) if held.came_in == Some(false) => {
            findings.add(Kind::MoveLost, out.of, format_args!("{left}, where its place was given back"));
        }
        Some(held) if held.transit != out.transit || held.from != out.of => {
            findings.add(Kind::MoveDiffers, out.of, format_args!("{left}, where another place or version is kept"));
        }
        Some(_) => {}
    }
}
