//! What all judgements have in common: what a success stands on, keys and first answers, which refusals were right at some instant.
//! Must not know: single calls.

use booking_core::{Answer, DayKey, Rejection, RequestKey, UtcMillis};
use engine::view::{AppointmentReply, PlacedAppointment};

use super::Oracle;
use super::ask::{Verdict, Window};
use super::keys::{PER_SUBJECT_MAX, Won};
use super::violation::{Kind, Violation, ensure};
use super::world::Standing;

/// What the rules would have said at one instant: success, or this refusal.
pub(super) type Outcome = Result<(), Rejection>;

/// A judgement that found nothing wrong.
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    /// Positions that are known to readers from now on.
    pub(super) shown: Vec<u64>,
    /// Whether it was told as new: nobody else may be told the same so.
    pub(super) is_new: bool,
}

impl Finding {
    pub(super) fn read(shown: Vec<u64>) -> Self {
        Self { verdict: Verdict::Read, shown, is_new: false }
    }

    pub(super) fn success(position: u64, is_new: bool) -> Self {
        Self { verdict: Verdict::Success { position }, shown: vec![position], is_new }
    }

    pub(super) fn refused() -> Self {
        Self { verdict: Verdict::Refused, shown: Vec::new(), is_new: false }
    }

    pub(super) fn unknown() -> Self {
        Self { verdict: Verdict::Unknown, shown: Vec::new(), is_new: false }
    }
}

/// One reply under judgement.
pub(super) struct Judge<'oracle> {
    pub(super) oracle: &'oracle Oracle,
    pub(super) window: &'oracle Window,
}

impl<'oracle> Judge<'oracle> {
    /// The recorded standing that `placed` is, if it may have been seen in the window.
    pub(super) fn standing_of(&self, placed: &PlacedAppointment) -> Result<&'oracle Standing, Violation> {
        let row = &placed.appointment;
        let is_it = |standing: &&Standing| *standing.row == *row && standing.day == placed.day;
        let world = &self.oracle.world;
        let Some(known) = world.standings(row.id).iter().rev().find(is_it) else {
            let is_version = |standing: &&Standing| standing.row.version == row.version;
            return Err(match world.standings(row.id).iter().find(is_version) {
                Some(other) if other.position <= self.window.to_position => Violation::new(
                    Kind::ReplyDiffers,
                    format!("told {row:?} on {}, recorded at {} as {:?}", placed.day, other.position, other.row),
                ),
                _ => Violation::new(Kind::ReplyBeforeDurable, format!("{row:?} is told and not recorded")),
            });
        };
        let is_durable = known.position <= self.window.to_position;
        ensure!(is_durable, ReplyBeforeDurable, "{} is told before position {}", row.id, known.position);
        let mut zones = world.zones(placed.day, self.window.to_position);
        ensure!(
            zones.any(|zone| zone == &*placed.time_zone),
            ReplyDiffers,
            "{} is no zone of its day",
            placed.time_zone
        );
        let (seen, _) = world.seen(row.id, &self.window.from, self.window.to_position);
        let newest_certain = seen.first().map_or(0, |standing| standing.position);
        let is_fresh = known.position >= newest_certain;
        ensure!(is_fresh, StaleRead, "{} is told as of {}, older than {newest_certain}", row.id, known.position);
        Ok(known)
    }

    /// What the reader of a standing sees: the record, and the place that is kept where it moved to.
    pub(super) fn shown(&self, standing: &Standing) -> Vec<u64> {
        let mut shown = vec![standing.position];
        if standing.day != standing.recorder
            && let Some(target) = self.oracle.world.day_at(standing.day, standing.position)
        {
            let kept = target.coming.values().filter(|coming| coming.row.id == standing.row.id);
            shown.extend(kept.map(|coming| coming.position));
        }
        shown
    }

    /// Of a success under a key: it must be the first answer, told as such or again. `true` if it was told again: then nothing else
    /// is to be judged.
    pub(super) fn check_key(
        &self,
        key: Option<&RequestKey>,
        is_replayed: bool,
        is_first_answer: impl Fn(&Won) -> bool,
    ) -> Result<Option<Finding>, Violation> {
        let Some(key) = key else {
            ensure!(!is_replayed, ReplayDiffers, "an answer without a key is told again");
            return Ok(None);
        };
        let won = self.oracle.keys.get(key).filter(|won| won.position <= self.window.to_position);
        let Some(won) = won else {
            ensure!(!is_replayed, ReplayDiffers, "key {:?} is told again, and never won", key.key);
            return Err(Violation::new(
                Kind::LostAcknowledgement,
                format!("a success under key {:?} that nobody remembers", key.key),
            ));
        };
        let name = &key.key;
        ensure!(won.fingerprint == key.fingerprint, ReplayDiffers, "key {name:?} won with another request");
        ensure!(is_first_answer(won), ReplayDiffers, "key {name:?} was answered first with {:?}", won.answer);
        if is_replayed {
            return Ok(Some(Finding::success(won.position, false)));
        }
        let is_certain = won.position <= self.window.from.of(won.day);
        ensure!(!is_certain && !won.is_told, AcknowledgedTwice, "key {name:?} is told as new again");
        Ok(None)
    }

    /// See [`Judge::check_key`].
    pub(super) fn check_key_of_row(
        &self,
        key: Option<&RequestKey>,
        reply: &AppointmentReply,
    ) -> Result<Option<Finding>, Violation> {
        let placed = &reply.placed;
        let found = self.check_key(key, reply.replayed, |won| match &won.answer {
            Answer::Appointment(row) => *row == placed.appointment && won.day == placed.day,
            Answer::Moved { row, to } => *row == placed.appointment && to.day == placed.day,
            Answer::Closed { .. } => false,
        })?;
        Ok(found)
    }

    /// A refusal is right if it is one of `outcomes`, or one that a key gives.
    pub(super) fn refusal(
        &self,
        told: &Rejection,
        key: Option<&RequestKey>,
        days: &[DayKey],
        outcomes: &[Outcome],
    ) -> Result<Finding, Violation> {
        if let Some(key) = key {
            self.check_not_lost(key, told)?;
            if self.key_refuses(told, key, days) {
                return Ok(Finding::refused());
            }
        }
        if outcomes.iter().any(|outcome| outcome.as_ref() == Err(told)) {
            return Ok(Finding::refused());
        }
        let is_possible = !outcomes.is_empty() && outcomes.iter().all(Result::is_ok);
        let kind = if is_possible { Kind::MustSucceed } else { Kind::RefusalWrong };
        let mut rules: Vec<String> = outcomes.iter().map(|outcome| format!("{outcome:?}")).collect();
        rules.dedup();
        Err(Violation::new(kind, format!("refused with {told:?}; the rules say {}", rules.join(", "))))
    }

    /// A success that somebody was told of is never refused again.
    fn check_not_lost(&self, key: &RequestKey, told: &Rejection) -> Result<(), Violation> {
        let Some(won) = self.oracle.keys.get(key) else { return Ok(()) };
        let is_certain = won.position <= self.window.from.of(won.day);
        let is_same = won.fingerprint == key.fingerprint;
        ensure!(
            !(is_certain && is_same),
            LostAcknowledgement,
            "key {:?} won at position {} and is refused with {told:?}",
            key.key,
            won.position
        );
        Ok(())
    }

    fn key_refuses(&self, told: &Rejection, key: &RequestKey, days: &[DayKey]) -> bool {
        let to = self.window.to_position;
        match told {
            Rejection::KeyReused => {
                let won = self.oracle.keys.get(key).filter(|won| won.position <= to);
                won.is_some_and(|won| won.fingerprint != key.fingerprint)
            }
            Rejection::TooManyKeys => {
                days.iter().any(|day| self.oracle.keys.count(*day, key.subject, to) >= PER_SUBJECT_MAX)
            }
            _ => false,
        }
    }

    /// A hold is not told as held once its instant has passed before anybody asked.
    pub(super) fn check_not_due(&self, placed: &PlacedAppointment) -> Result<(), Violation> {
        let row = &placed.appointment;
        let is_due = super::day::is_due(row, self.window.earliest());
        ensure!(!is_due, DueHoldTold, "{} is told as held until {:?}", row.id, row.hold_expires_at);
        Ok(())
    }

    pub(super) fn check_now(&self, now: UtcMillis) -> Result<(), Violation> {
        let is_within = now >= self.window.earliest() && now <= self.window.latest();
        ensure!(is_within, ReplyDiffers, "a reply of {now:?}, outside of its window");
        Ok(())
    }
}
